"""Dependencies of the C++ rooms point one way, and the kernels know nothing of the IR."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = REPOSITORY / "csrc"

#: binding -> runtime -> pass -> op -> ir, runtime -> kernel.
#: Each room includes itself and what is below.
BELOW: dict[str, set[str]] = {
    "ir": set(),
    "kernel": set(),
    "op": {"ir"},
    "pass": {"op", "ir"},
    "runtime": {"pass", "op", "ir", "kernel"},
    "binding": {"runtime", "pass", "op", "ir", "kernel"},
}


def room_of(path: str) -> str:
    """The room of a path in csrc: `normgraph/op/….hpp`, `binding/….hpp`."""
    parts = path.split("/")
    return parts[1] if parts[0] == "normgraph" else parts[0]


def included_paths(text: str) -> list[str]:
    """The paths that a source includes in quotes, or else from this project."""
    quoted = re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M)
    return quoted + re.findall(r"^\s*#\s*include\s*<((?:normgraph|binding)/[^>]+)>", text, re.M)


def files_of(*folders: Path) -> list[Path]:
    files = (file for folder in folders for file in folder.rglob("*"))
    return sorted(file for file in files if file.suffix in {".cpp", ".hpp"})


def test_every_room_is_listed() -> None:
    paths = [file.relative_to(SOURCES).as_posix() for file in files_of(SOURCES)]
    assert {room_of(path) for path in paths} == set(BELOW)


@pytest.mark.parametrize("room", sorted(BELOW))
def test_a_room_includes_itself_and_what_is_below(room: str) -> None:
    folder = SOURCES / "binding" if room == "binding" else SOURCES / "normgraph" / room
    files = files_of(folder)
    assert files
    for file in files:
        for path in included_paths(file.read_text(encoding="utf-8")):
            name = file.relative_to(SOURCES).as_posix()
            assert (SOURCES / path).is_file(), f"{name} includes {path}, which does not exist"
            assert room_of(path) in BELOW[room] | {room}, f"{name} includes {path}"


def test_benchmarks_include_the_kernels_alone() -> None:
    for file in files_of(REPOSITORY / "benchmarks"):
        for path in included_paths(file.read_text(encoding="utf-8")):
            is_own = (file.parent / path).is_file()
            assert is_own or room_of(path) == "kernel", f"{file.name} includes {path}"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('#include "normgraph/ir/node.hpp"', "normgraph/ir/node.hpp"),
        ('#include "node.hpp"', "node.hpp"),
        ("#  include <binding/register.hpp> // why", "binding/register.hpp"),
    ],
)
def test_includes_are_recognised(line: str, path: str) -> None:
    assert included_paths(f"#pragma once\n{line}\n#include <span>\n") == [path]
