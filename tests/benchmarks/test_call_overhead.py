"""The benchmark of small calls from Python measures every function of the family."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import normgraph as ng

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "call_overhead.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("options", [(), ("--shape=3x2", "--implementation=reference")], ids=repr)
def test_every_function_is_measured(options: tuple[str, ...]) -> None:
    result = run("--calls=2", "--repeats=3", *options)
    assert (result.returncode, result.stderr) == (0, "")
    header, *lines = result.stdout.splitlines()
    assert ("3x2" if options else "2x3x4x4") in header
    times = {label: float(time) for time, label in (line.split(maxsplit=1) for line in lines)}
    assert all(time > 0 for time in times.values())
    functions = [name for name in ng.__all__ if name.startswith("batch_norm_")]
    assert functions
    for name in functions:
        takes_out = "out" in inspect.signature(getattr(ng, name)).parameters
        assert {name, f"{name}, out="} & times.keys() == {name, *[f"{name}, out="] * takes_out}


@pytest.mark.parametrize("option", ["--shape=3", "--shape=2x0", "--calls=0", "--implementation=x"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    result = run(option)
    assert result.returncode == 2
    assert option.split("=")[0] in result.stderr


def test_help_lists_the_options() -> None:
    result = run("--help")
    assert result.returncode == 0
    for option in ("--shape", "--implementation", "--calls", "--repeats"):
        assert option in result.stdout
