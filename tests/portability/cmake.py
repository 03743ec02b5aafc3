"""CMake, run on this project to configure it only."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

SOURCE_TREE = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment; a sanitizer that is loaded into Python is not for compilers."""
    kept = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return kept | changes


def run(*words: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a program with these changes of the environment."""
    return subprocess.run(
        words,
        cwd=SOURCE_TREE,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def configure(build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Configure the libraries alone."""
    return run("cmake", "-S", SOURCE_TREE, "-B", build, "-DNORMGRAPH_BUILD_PYTHON=OFF", *options)


def compile_commands(build: Path, *options: str) -> dict[str, str]:
    """The command for each source of the libraries."""
    result = configure(build, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    assert result.returncode == 0, result.stderr
    entries = json.loads((build / "compile_commands.json").read_text())
    return {entry["file"]: entry["command"] for entry in entries}
