"""The benchmark of growth prints a line for each operation and kind of function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.graph_growth", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )


def test_every_operation_is_measured_at_both_sizes() -> None:
    result = run("--size=2", "--factor=3", "--repeats=1")
    assert (result.returncode, result.stderr) == (0, "")
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["operation", "seconds", "at", "2", "seconds", "at", "6", "ratio"]
    assert [line for line in lines if not line.startswith(" ")] == ["layers", "sums", "conversions"]
    rows = [line.rsplit(maxsplit=3) for line in lines if line.startswith(" ")]
    labels = [label.strip() for label, *_ in rows]
    count = len(rows) // 3
    assert labels == 3 * labels[:count]
    assert {"gradients", "decompose", "compile", "first call", "onnx", "trace"} <= set(labels)
    assert all(float(figure) > 0 for _, *figures in rows for figure in figures)


def test_what_is_asked_for_is_measured() -> None:
    result = run("--size=2", "--functions=sums", "--operations", "draw", "json.loads")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [
        "sums",
        "json.loads",
        "draw",
    ]


@pytest.mark.parametrize(
    "option", ["--size=0", "--factor=-1", "--repeats=0", "--functions=x", "--operations=x"]
)
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr
