"""Programs in a process of their own: what concerns a whole process, or could end or hang it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

#: Whether a sanitizer's runtime is loaded, as tests/sanitizers/run.sh does: programs take ten times
#: as long, and where its own allocator finds no memory it ends the process.
UNDER_SANITIZER = any(
    library in os.environ.get("LD_PRELOAD", "") for library in ("libasan", "libtsan")
)
#: Whether this CPython is built without an interpreter lock.
WITHOUT_INTERPRETER_LOCK = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def run(program: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python to its end, with these variables set."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout * (10 if UNDER_SANITIZER else 1),
        check=False,
    )


def assert_succeeds(program: str, timeout: float = 300, **environment: str) -> str:
    """Return what the program prints; fails if it does not end in time, or not well."""
    result = run(program, timeout, **environment)
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stderr}"
    return result.stdout
