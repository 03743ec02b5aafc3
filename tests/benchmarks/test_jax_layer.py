"""The benchmark of a jitted layer prints a line for each shape, type and layout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop
pytest.importorskip("jax")

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.jax_layer", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_every_case_has_a_line() -> None:
    result = run("--shapes", "4x3x6x6", "8x8x7x7", "--repeats=1", "--threads=1")
    assert (result.returncode, result.stderr) == (0, "")
    _, header, *lines = result.stdout.splitlines()
    assert header.split() == ["operations", "normgraph", "ratio"]
    rows = [line.split() for line in lines]
    assert [row[3:] for row in rows] == [
        [shape, name, "channels", order]
        for shape in ("4x3x6x6", "8x8x7x7")
        for name in ("f32", "bf16")
        for order in ("first", "last")
    ]
    assert all(float(figure) > 0 for row in rows for figure in row[:3])


@pytest.mark.parametrize("option", ["--shapes=2x3x4", "--repeats=0", "--threads=0"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
