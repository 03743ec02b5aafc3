"""The benchmark of the phases prints a line for each type and arrangement."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_every_phase_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks.phases", "--calls=2", "--repeats=2"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=REPOSITORY
    )
    assert (result.returncode, result.stderr) == (0, "")
    _, header, *lines = result.stdout.splitlines()
    phases = [
        f"{phase}, {which}" for which in ("forward", "backward") for phase in ("reduce", "apply")
    ]
    assert header.split() == " ".join(phases).split()
    rows = [line.split(maxsplit=4) for line in lines]
    assert [row[4] for row in rows] == [
        f"{name} {form}"
        for name in ("f32", "bf16")
        for form in ("rows of 4096", "rows of 49", "columns, 64 channels")
    ]
    assert all(float(figure) > 0 for row in rows for figure in row[:4])
