"""The benchmark of masked batches prints a line for each shape, type, layout and mask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.masked_batches", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_both_directions_are_measured() -> None:
    result = run("--shapes", "4x3x36", "8x8x49", "--repeats=1")
    assert (result.returncode, result.stderr) == (0, "")
    _, header, *lines = result.stdout.splitlines()
    assert header.split() == ["forward", "backward"]
    rows = [line.split() for line in lines]
    assert [row[4:] for row in rows] == [
        [shape, name, "channels", f"{order},", mask]
        for shape in ("4x3x36", "8x8x49")
        for name in ("f32", "bf16")
        for order in ("first", "last")
        for mask in ("padding", "gaps")
    ]
    assert all(float(figure) > 0 for row in rows for figure in row[:4])


@pytest.mark.parametrize("option", ["--shapes=2x3", "--repeats=0", "--threads=0"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
