"""The benchmark of new outputs prints a line for each shape."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.new_outputs", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_both_ops_are_measured_for_every_shape() -> None:
    result = run("--shapes", "2x3x4x4", "32x64x28x28", "--repeats=1")
    assert (result.returncode, result.stderr) == (0, "")
    _, header, *lines = result.stdout.splitlines()
    assert header.split() == ["backward", "forward"]
    rows = [line.split() for line in lines]
    assert [row[4] for row in rows] == ["2x3x4x4", "32x64x28x28"]
    assert all(float(figure) > 0 for row in rows for figure in row[:4])


@pytest.mark.parametrize("option", ["--shapes=2x3x4", "--repeats=0", "--threads=0"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
