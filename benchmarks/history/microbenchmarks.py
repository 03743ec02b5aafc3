"""A run of the C++ microbenchmarks, as numbers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "build" / "release" / "benchmarks" / "normgraph_benchmarks"
#: What a run measures if nothing else is said.
SHORT_RUN = ("--short", "--seconds=0.2")
#: What the name of a case goes on with, which is no part of it.
SUFFIXES = "/iterations:"

SECONDS_PER_UNIT = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Measurement(NamedTuple):
    """The median time of a call, and the same as a multiple of the streaming floor."""

    seconds: float
    floors: float


def run(arguments: Sequence[str], program: Path = PROGRAM) -> dict[str, Measurement]:
    """What the program measures, by op/shape/type/layout/implementation/threads.

    Raises FileNotFoundError where it is not built, CalledProcessError where it fails, and
    ValueError where it measures nothing.
    """
    if not program.is_file():
        raise FileNotFoundError(
            f"expected the microbenchmarks as {program}: make bench builds them"
        )
    command = [str(program), *arguments, "--benchmark_format=json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return measurements(done.stdout)


def measurements(text: str) -> dict[str, Measurement]:
    """Those in the JSON that Google Benchmark prints."""
    start = text.find("{")
    rows = json.loads(text[start:])["benchmarks"] if start >= 0 else []
    if not rows:
        raise ValueError("expected at least one benchmark, got none: does a name match the filter?")
    return {
        row["name"].partition(SUFFIXES)[0]: Measurement(
            row["real_time"] * SECONDS_PER_UNIT[row["time_unit"]], row["floors"]
        )
        for row in rows
    }
