"""A process that holds a network and runs its steps: `python -m benchmarks.training.worker`.

It reads a line of JSON with the case and the sides it is to hold, then one for each thing to do,
and answers each with a line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

from . import memory, shares
from .cases import Case
from .steps import steps_of

#: Steps before the first sample. They compile what is compiled, fill pools of memory, and bring the
#: heap of the C library to the size that it keeps.
WARM_UP = 4


class Worker:
    """The steps of one case; each public method is something that can be asked for."""

    def __init__(self, case: Case, sides: tuple[str, ...]) -> None:
        self._steps = steps_of(case, sides)

    def warm_up(self, side: str) -> list[float]:
        """Run the first steps; what the first one computes."""
        first: list[float] = self._steps[side]().detach().flatten().tolist()
        for _ in range(WARM_UP - 1):
            self._steps[side]()
        return first

    def run(self, side: str, calls: int) -> dict[str, float]:
        """Steps on end; for one of them the seconds, those of all processors, the page faults."""
        step = self._steps[side]
        faults, processors, start = _page_faults(), time.process_time(), time.perf_counter()
        for _ in range(calls):
            step()
        seconds = time.perf_counter() - start
        totals = {
            "seconds": seconds,
            "processor_seconds": time.process_time() - processors,
            "page_faults": _page_faults() - faults,
        }
        return {name: total / calls for name, total in totals.items()}

    def shares(self, side: str) -> dict[str, float]:
        """Seconds of one step by kinds of ops."""
        return shares.seconds_by_kind(self._steps[side])

    def peak_bytes(self, side: str) -> int:
        """The peak of the memory of this process in its next steps."""
        return memory.peak_bytes(self._steps[side])


def _page_faults() -> int:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


def answers(requests: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield an answer for each request; an error is the last one."""
    try:
        first = next(requests)
        worker = Worker(Case(**first["case"]), tuple(first["sides"]))
        yield {"answer": None}
        for request in requests:
            method = getattr(worker, request.pop("do"))
            yield {"answer": method(**request)}
    except Exception as error:  # Whatever a network, a compiler or a conversion raises.
        yield {"error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}


def main() -> None:
    """Answer until the input ends."""
    # Libraries that print must not spoil the lines.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for answer in answers(map(json.loads, sys.stdin)):
        lines.write(json.dumps(answer) + "\n")
        lines.flush()


if __name__ == "__main__":
    main()
