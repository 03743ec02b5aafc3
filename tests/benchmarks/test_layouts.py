"""The benchmark of layouts prints a line for each kind of view."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.layouts", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_both_ops_are_measured_on_every_layout() -> None:
    result = run("--shapes", "2x20x6x7", "2x3x5x4", "--types", "f4", "--repeats=1")
    assert (result.returncode, result.stderr) == (0, "")
    _, header, *lines = result.stdout.splitlines()
    assert header.split() == ["backward", "forward"]
    headings = [line for line in lines if not line.startswith(" ")]
    assert headings == ["2x20x6x7, float32", "2x3x5x4, float32"]
    rows = [line.split(maxsplit=4) for line in lines if line.startswith(" ")]
    labels = [row[4] for row in rows]
    assert labels[:10] == labels[10:]
    assert len(set(labels)) == 10
    assert all(float(figure) > 0 for row in rows for figure in row[:4])


@pytest.mark.parametrize("option", ["--shapes=2x3x4", "--types=i4", "--repeats=0", "--threads=0"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
