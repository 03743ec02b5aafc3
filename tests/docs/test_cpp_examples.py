"""The C++ programs of the documentation compile without a warning and print what the pages show."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .pages import DOCS, PAGES, REPOSITORY

EXAMPLES = sorted((DOCS / "examples").glob("*.cpp"))
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]

#: The folder that `make test` builds in, which is where the static libraries are.
BUILD = Path(os.environ.get("NORMGRAPH_LIBRARIES", REPOSITORY / "build" / "release"))
LIBRARIES = [BUILD / "libnormgraph.a", BUILD / "libnormgraph_kernel.a"]

needs_libraries = pytest.mark.skipif(
    not all(library.exists() for library in LIBRARIES), reason="not built; `make test` builds it"
)


def compiler() -> str:
    """The one that the environment names, else the one that `make` has found, else the system's."""
    found_by_make = REPOSITORY / ".venv" / "compiler"
    found = found_by_make.read_text("utf-8").strip() if found_by_make.exists() else "c++"
    return os.environ.get("CXX") or found


def run(*command: str | Path) -> str:
    """The output of a command, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_libraries
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_program_prints_what_the_page_shows(example: Path, tmp_path: Path) -> None:
    program = tmp_path / example.stem
    include = f"-I{REPOSITORY / 'csrc'}"
    run(compiler(), *FLAGS, include, example, *LIBRARIES, "-pthread", "-o", program)
    assert run(program) == example.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_program_and_output_stand_on_a_page(example: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert f"examples/{example.name}" in pages
    assert f"examples/{example.stem}.txt" in pages
