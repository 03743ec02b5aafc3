"""The peak of a process's memory while steps run."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path

WARM_UP, STEPS = 2, 2

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
#: What resets the peak, VmHWM, to what is resident now.
_RESET_PEAK = "5"


def peak_bytes(step: Callable[[], object]) -> int:
    """The largest resident memory of this process in steps after the first ones.

    Where the system cannot reset its record, the first ones and what was before them count too.
    """
    for _ in range(WARM_UP):
        step()
    is_reset = _reset_peak()
    for _ in range(STEPS):
        step()
    return _recorded_peak() if is_reset else _peak_of_all()


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _recorded_peak() -> int:
    match = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"))
    if match is None:
        raise RuntimeError(f"expected a line VmHWM in {_STATUS}")
    return int(match[1]) * 1024


def _peak_of_all() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
