"""The benchmark of a compiled step of training prints a line for each network and batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.training_step", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_times_and_memory_are_measured() -> None:
    result = run("--batches", "3", "5", "--repeats=1")
    assert (result.returncode, result.stderr) == (0, "")
    _, header, *lines = result.stdout.splitlines()
    assert header.split() == ["network,", "f32", "batch", *["compiled", "numpy", "ratio"] * 2]
    rows = [line.split() for line in lines]
    assert [row[1] for row in rows] == ["3", "5"] * 2
    assert all(float(figure) > 0 for row in rows for figure in row[2:4])


@pytest.mark.parametrize("option", ["--batches=0", "--repeats=0", "--threads=0"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
