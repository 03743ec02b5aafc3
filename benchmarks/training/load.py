"""What all processes of the machine do: a step of two threads waits for each of them."""

from __future__ import annotations

import os
from pathlib import Path

_STAT = Path("/proc/stat")
#: Columns of its first line: user, nice, system, idle, iowait, irq, softirq, steal.
_IDLE = (3, 4)
_COLUMNS = 8


def busy_seconds() -> float:
    """Processor seconds of all processes since the start; 0 where the system does not tell.

    What a host took of a virtual machine's time is among them.
    """
    if not _STAT.exists():
        return 0.0
    columns = [int(text) for text in _STAT.read_text(encoding="ascii").split()[1 : 1 + _COLUMNS]]
    busy = sum(value for index, value in enumerate(columns) if index not in _IDLE)
    return busy / os.sysconf("SC_CLK_TCK")
