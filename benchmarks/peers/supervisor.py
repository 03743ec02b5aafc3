"""Starts a worker per number of threads and collects its rows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .cases import Selection
from .measurement import BENCHMARKS

#: The C library keeps freed memory, and asks for huge pages, as numpy does: else every call that
#: returns new outputs would pay for page faults, and some libraries for more of them than others.
ALLOCATOR_SETTINGS = ":".join(
    (
        "glibc.malloc.mmap_max=0",
        f"glibc.malloc.trim_threshold={2**46}",
        f"glibc.malloc.top_pad={2**28}",
        "glibc.malloc.hugetlb=1",
    )
)


@dataclass(frozen=True)
class Request:
    """The cases to be measured, and for how long."""

    selection: Selection
    candidates: Sequence[str]
    rounds: int
    seconds: float


def available_processors() -> list[int]:
    """The processors that this process may use, one of each core before the second of any."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    processors = sorted(os.sched_getaffinity(0))
    return sorted(processors, key=_position_in_core)


def _position_in_core(processor: int) -> int:
    topology = Path(f"/sys/devices/system/cpu/cpu{processor}/topology")
    try:
        siblings = (topology / "thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(processor != int(re.split("[-,\n]", siblings)[0]))


def environment(num_threads: int) -> dict[str, str]:
    """The environment of a worker."""
    count = str(num_threads)
    return {
        **os.environ,
        "GLIBC_TUNABLES": ALLOCATOR_SETTINGS,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(BENCHMARKS.parent), os.environ.get("PYTHONPATH")))
        ),
    }


def lines(request: Request, num_threads: int) -> Iterator[Mapping[str, Any]]:
    """The output of a worker: first versions, then rows. RuntimeError if it fails."""
    processors = available_processors()[:num_threads]

    def allow_processors() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, processors)

    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peers.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(num_threads),
        preexec_fn=allow_processors,
    )
    assert process.stdin
    assert process.stdout
    with process:
        selection = replace(request.selection, thread_counts=[num_threads])
        process.stdin.write(
            json.dumps(
                {
                    "num_threads": num_threads,
                    "short": selection.short,
                    "only": selection.only,
                    "element_types": list(selection.element_types),
                    "candidates": list(request.candidates),
                    "rounds": request.rounds,
                    "seconds": request.seconds,
                }
            )
        )
        process.stdin.close()
        yield from map(json.loads, process.stdout)
    if process.returncode != 0:
        raise RuntimeError(f"the worker for {num_threads} threads ended with {process.returncode}")
