"""The self-check of an installed build: `python -m normgraph check`.

A line per check, with its figure and its bound. The kernels are measured against
`normgraph.definition`, which shares no code with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import normgraph as ng
from normgraph.check import accuracy, bits, inference, refusal
from normgraph.check.outcome import Check, MismatchError, UnavailableError

SUBJECT_WIDTH = 50

ADVICE = """\
This installation does not do what it promises: do not rely on its results.
  1. Build it again from a clean copy of the sources:
         python -m pip install --force-reinstall --no-cache-dir .
     and repeat this check.
  2. If it fails again, report the lines above together with the output of
         python -m normgraph info"""


def run() -> int:
    """Make every check, print a line for each; return the exit status, 0 if all hold, else 1."""
    start = time.perf_counter()
    print(f"normgraph {ng.__version__}, implementation {ng.config()['implementation']}")
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    for check in all_checks():
        verdict, detail = judge(check)
        counts[verdict] += 1
        print(f"{verdict:<7}  {check.subject:<{SUBJECT_WIDTH}}  {detail}", flush=True)
    seconds = time.perf_counter() - start
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    print(f"{sum(counts.values())} checks in {seconds:.1f} s: {summary}")
    if counts["FAILED"]:
        print(ADVICE)
        return 1
    return 0


def all_checks() -> Iterator[Check]:
    """Yield every check, in the order of the report."""
    yield from inference.checks()
    yield from accuracy.checks()
    yield from bits.checks()
    yield from refusal.checks()


def judge(check: Check) -> tuple[str, str]:
    """Return (verdict, detail) of one check; whatever a broken build raises is a failed check."""
    try:
        return "ok", check.measure()
    except UnavailableError as reason:
        return "skipped", str(reason)
    except MismatchError as difference:
        return "FAILED", str(difference)
    except Exception as error:
        return "FAILED", f"{type(error).__name__}: {error}"
