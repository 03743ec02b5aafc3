"""The process that measures, for one number of threads: `python -m benchmarks.peers.worker`.

`supervisor.py` starts it, allowed as many processors as threads, and reads from its output one line
of JSON for the versions and one for each case.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import measurement
from .candidates import Call, Candidate, LeftOut, create
from .case_data import Array, CaseData, make_case_data
from .cases import Case, Selection
from .sampling import Plan, Timing, Work, sample

FLOORS = {"floor, normal stores": False, "floor, non-temporal stores": True}

#: How far a candidate may be off the largest element of an output: 16-bit outputs have 2**-8, and
#: sums of a million terms in float about as much. What computes something else is off by far more.
TOLERANCE = 2.0**-6

#: Every element takes longer to compare than to compute; this step is a prime.
COMPARED_STEP = 997


class CallWork:
    """Keeps the results of a set until its next turn, so that new outputs are cold as well."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self.results: list[Any] = [None] * len(calls)

    def run(self, set_index: int, calls: int) -> None:
        call, results = self._calls[set_index], self.results
        for _ in range(calls):
            results[set_index] = call()


class FloorWork:
    """Streams the tensors once."""

    def __init__(self, case: Case, data: CaseData, non_temporal: bool) -> None:
        self._module = measurement.load()
        self._sets = data.sets
        tensor_count = self._module.tensor_count_of(case.op)
        self._settings = (tensor_count, case.num_threads, non_temporal)

    def run(self, set_index: int, calls: int) -> None:
        self._module.stream(self._sets[set_index], *self._settings, calls)


class Worker:
    """The candidates that are installed, normgraph first."""

    def __init__(self, num_threads: int, wanted: Sequence[str]) -> None:
        self.candidates: dict[str, Candidate] = {}
        self.left_out: dict[str, str] = {}
        for name in wanted:
            try:
                self.candidates[name] = create(name, num_threads)
            except LeftOut as reason:
                self.left_out[name] = str(reason)

    def versions(self) -> dict[str, str]:
        return {name: candidate.version() for name, candidate in self.candidates.items()}

    def measure(self, case: Case, rounds: int, seconds: float) -> dict[str, Any]:
        """One row of the results."""
        data = make_case_data(case)
        left_out: dict[str, str] = {}
        works: dict[str, Work] = {}
        expected: Sequence[Array] = ()
        for name, candidate in self.candidates.items():
            try:
                calls = candidate.calls(case, data)
                outputs = candidate.outputs(case, calls[0]())
                expected = expected or outputs
                require_agreement(outputs, expected)
                works[name] = CallWork(calls)
            except (LeftOut, RuntimeError) as reason:  # libraries refuse with RuntimeError
                left_out[name] = str(reason).partition("\n")[0]
        # The floors come last: what they write into the third tensor is read by nothing.
        for name, non_temporal in FLOORS.items():
            works[name] = FloorWork(case, data, non_temporal)
        plan = Plan(case.shape.cold, len(data.sets), rounds, seconds)
        timings = sample(works, plan)
        return row(case, timings, left_out)


def require_agreement(outputs: Sequence[Array], expected: Sequence[Array]) -> None:
    """Raise LeftOut if a candidate computes something else than the first one."""
    for index, (output, value) in enumerate(zip(outputs, expected, strict=True)):
        actual, wanted = (
            np.ravel(array)[:: COMPARED_STEP if index == 0 else 1].astype(np.float32)
            for array in (output, value)
        )
        difference = float(np.abs(actual - wanted).max())
        if not difference <= TOLERANCE * float(np.abs(wanted).max()):
            raise LeftOut(f"output {index} differs from normgraph's by {difference:.2g}")


def row(case: Case, timings: Mapping[str, Timing], left_out: Mapping[str, str]) -> dict[str, Any]:
    """A case and its medians, as it stands in the results."""
    floor = min(timings[name].median_seconds for name in FLOORS)
    calls = {name: timing for name, timing in timings.items() if name not in FLOORS}
    return {
        "case": case.name,
        "class": case.class_name,
        "op": case.op,
        "shape": case.shape.name,
        "lengths": case.shape.shape,
        "element_type": case.element_type,
        "layout": case.layout,
        "threads": case.num_threads,
        "state": "cold" if case.shape.cold else "warm",
        "rounds": min(len(timing.seconds) for timing in calls.values()),
        "floor_seconds": floor,
        "seconds": {name: timing.median_seconds for name, timing in calls.items()},
        "page_faults": {name: t.page_faults for name, t in calls.items() if t.page_faults},
        "left_out": dict(left_out),
    }


def main() -> None:
    """Read what to measure from the standard input, as JSON; write rows to the standard output."""
    request = json.load(sys.stdin)
    # Libraries that print must not spoil the lines.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def write(line: object) -> None:
        lines.write(json.dumps(line) + "\n")
        lines.flush()

    worker = Worker(request["num_threads"], request["candidates"])
    write({"versions": worker.versions(), "left_out": worker.left_out})
    selection = Selection(
        request["short"], request["only"], request["element_types"], [request["num_threads"]]
    )
    for case in selection.cases():
        write(worker.measure(case, request["rounds"], request["seconds"]))


if __name__ == "__main__":
    main()
