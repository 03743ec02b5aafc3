"""The benchmark of orders of axes prints a line for each case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.axis_orders import FUSED, FUSED_TYPES, ORDERS

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.axis_orders", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_every_case_is_measured() -> None:
    result = run("--repeats=1")
    assert (result.returncode, result.stderr) == (0, "")
    _, *lines = result.stdout.splitlines()
    rows = [line for line in lines if line.startswith(" ")]
    fused = len(FUSED_TYPES) * len(FUSED)
    assert len(rows) == len(ORDERS) + 2 * fused
    figures_of_rows = [8] * len(ORDERS) + [6] * fused + [4] * fused
    for row, figures in zip(rows, figures_of_rows, strict=True):
        assert all(float(figure) > 0 for figure in row.split()[:figures])


@pytest.mark.parametrize("option", ["--repeats=0", "--threads=0"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
