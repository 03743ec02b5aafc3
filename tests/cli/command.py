"""Run the command line of the installed package as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: Starts the command line in a process where the module named by the first argument cannot be
#: imported.
WITHOUT_MODULE = """\
import sys
sys.modules[sys.argv[1]] = None
from normgraph.cli import main
sys.exit(main(sys.argv[2:]))
"""


def run(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """`python -m normgraph …` in a directory, with its output captured (so it is no terminal)."""
    return start([sys.executable, "-m", "normgraph", *arguments], directory)


def run_without(module: str, *arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command where `import module` fails."""
    return start([sys.executable, "-c", WITHOUT_MODULE, module, *arguments], directory)


def start(words: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a process to its end."""
    return subprocess.run(
        words,
        cwd=directory,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
