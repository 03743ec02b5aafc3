"""Starts the processes that hold the networks, and makes rows of the results from their answers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from . import sampling
from .cases import CONVERTED, EAGER, MEMORY, ORIGINAL, SIDES, Case
from .load import busy_seconds
from .results import Row
from .sampling import Plan

_ROOT = Path(__file__).parents[2]
#: Processes for each side of a case of memory.
MEMORY_SAMPLES = 3
#: How far the results of the first steps may be apart, relative to the largest value: bf16 has 2⁻⁸,
#: in a network of fifty layers. What computes something else is off by far more.
TOLERANCE = 2.0**-6
#: For torch's profiler, which writes lines about every recording.
_NO_LOG = "99"


class MeasurementError(Exception):
    """A case that could not be measured; the message says why."""


class Process:
    """A worker; within `with`, it can be asked. MeasurementError if it fails."""

    def __init__(self, case: Case, sides: Sequence[str]) -> None:
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "KINETO_LOG_LEVEL": _NO_LOG},
        )
        self._first_request = {"case": asdict(case), "sides": list(sides)}

    def __enter__(self) -> Process:
        try:
            self._send(self._first_request)
        except MeasurementError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()

    def ask(self, what: str, side: str, **arguments: Any) -> Any:
        """The answer to one of the worker's methods."""
        return self._send({"do": what, "side": side, **arguments})

    def _send(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # Then it has ended, and answers nothing.
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementError(f"the process ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise MeasurementError(answer["error"])
        return answer["answer"]


@contextlib.contextmanager
def processes(case: Case, one_process: bool) -> Iterator[dict[str, Process]]:
    """The process that holds each side."""
    with contextlib.ExitStack() as stack:
        if one_process:
            yield dict.fromkeys(SIDES, stack.enter_context(Process(case, SIDES)))
        else:
            yield {side: stack.enter_context(Process(case, (side,))) for side in SIDES}


def row_of(case: Case, plan: Plan, one_process: bool = False) -> Row:
    """Measure the case; a row with an error if that fails."""
    try:
        if case.mode == MEMORY:
            return _memory_row(case, min(MEMORY_SAMPLES, plan.repetitions))
        with processes(case, one_process) as holders:
            return _time_row(case, plan, holders)
    except MeasurementError as error:
        return Row(case, error=str(error))


def _memory_row(case: Case, count: int) -> Row:
    row = Row(case, samples={side: [] for side in SIDES})
    for _ in range(count):
        for side in SIDES:
            with Process(case, (side,)) as process:
                row.samples[side].append(process.ask("peak_bytes", side))
    return row


def _time_row(case: Case, plan: Plan, holders: dict[str, Process]) -> Row:
    first = {side: np.asarray(process.ask("warm_up", side)) for side, process in holders.items()}
    _require_agreement(first[CONVERTED], first[ORIGINAL])
    row = Row(case)
    processor_seconds = 0.0
    faults: dict[str, list[float]] = {side: [] for side in SIDES}

    def run(side: str, calls: int) -> float:
        nonlocal processor_seconds
        answer: dict[str, float] = holders[side].ask("run", side, calls=calls)
        processor_seconds += answer["processor_seconds"] * calls
        faults[side].append(answer["page_faults"])
        return answer["seconds"]

    start, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
    row.samples = sampling.sample(SIDES, run, plan)
    processor_seconds += time.process_time() - own
    others = busy_seconds() - busy - processor_seconds
    row.others = max(0.0, others / (time.perf_counter() - start))
    row.page_faults = {side: float(np.median(values)) for side, values in faults.items()}
    if case.mode == EAGER:
        row.shares = {side: holders[side].ask("shares", side) for side in SIDES}
    return row


def _require_agreement(values: Any, expected: Any) -> None:
    difference = np.abs(values - expected).max()
    if not difference <= TOLERANCE * np.abs(expected).max():
        raise MeasurementError(f"both sides compute something else, by {difference:.2g}")
