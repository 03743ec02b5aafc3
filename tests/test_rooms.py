"""Dependencies of the rooms point one way, and the kernels know nothing of the IR."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = REPOSITORY / "csrc"
KERNEL = "normgraph/kernel"

#: binding -> runtime -> pass -> op -> ir -> indices, runtime -> kernel -> indices.
#: Each room includes itself and what is below.
BELOW: dict[str, set[str]] = {
    "indices": set(),
    "ir": {"indices"},
    "kernel": {"indices"},
    "op": {"ir", "indices"},
    "pass": {"op", "ir", "indices"},
    "runtime": {"pass", "op", "ir", "kernel", "indices"},
    "binding": {"runtime", "pass", "op", "ir", "kernel", "indices"},
}

#: The rooms inside of the kernels, from the lowest on. "numbers" are the files of
#: csrc/normgraph/kernel itself, but for those of NAMED_FILES.
BELOW_IN_KERNEL: dict[str, set[str]] = {
    "element types": set(),
    "tuning": set(),
    "environment": set(),
    "threads": {"tuning", "environment"},
    "simd/instruction_sets": {"element types"},
    "strided": {"tuning", "simd/instruction_sets"},
    "numbers": {"element types", "threads", "strided"},
    "reference": {"element types", "tuning", "threads", "strided", "numbers"},
    "simd/micro_kernels": {"element types", "tuning", "simd/instruction_sets", "numbers"},
    "simd/tables": {"simd/instruction_sets", "simd/micro_kernels"},
    "simd/tiling": {"tuning", "threads", "strided", "numbers"},
    "simd/staging": {
        "tuning",
        "threads",
        "simd/instruction_sets",
        "strided",
        "numbers",
        "simd/micro_kernels",
        "simd/tiling",
    },
    "simd/phases": {
        "threads",
        "strided",
        "numbers",
        "simd/micro_kernels",
        "simd/tiling",
        "simd/staging",
    },
    "simd": {"numbers", "simd/micro_kernels", "simd/phases"},
    "simd/primitives": {
        "tuning",
        "threads",
        "strided",
        "numbers",
        "simd/micro_kernels",
        "simd/staging",
        "simd/phases",
    },
    "dispatch": {"element types", "environment", "threads", "numbers", "reference", "simd/tables"},
}
NAMED_FILES = {
    "element_type": "element types",
    "storage_type": "element types",
    "fused_multiply_add": "element types",
    "tuning": "tuning",
    "environment": "environment",
    "dispatch": "dispatch",
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


def kernel_room_of(path: str) -> str:
    """The room of a path in csrc/normgraph/kernel."""
    *folders, name = path.removeprefix("normgraph/kernel/").split("/")
    return "/".join(folders) or NAMED_FILES.get(name.split(".")[0], "numbers")


def test_every_room_of_the_kernels_is_listed() -> None:
    paths = [file.relative_to(SOURCES).as_posix() for file in files_of(SOURCES / KERNEL)]
    assert {kernel_room_of(path) for path in paths} == set(BELOW_IN_KERNEL)


def test_rooms_of_the_kernels_know_lower_ones_alone() -> None:
    rooms = list(BELOW_IN_KERNEL)
    for room, below in BELOW_IN_KERNEL.items():
        assert below <= set(rooms[: rooms.index(room)])


def test_rooms_of_the_kernels_include_themselves_and_what_is_below() -> None:
    for file in files_of(SOURCES / KERNEL):
        name = file.relative_to(SOURCES).as_posix()
        room = kernel_room_of(name)
        for path in included_paths(file.read_text(encoding="utf-8")):
            if path.startswith(KERNEL + "/"):
                allowed = BELOW_IN_KERNEL[room] | {room}
                assert kernel_room_of(path) in allowed, f"{name} includes {path}"


def test_benchmarks_include_the_kernels_alone() -> None:
    for file in files_of(REPOSITORY / "benchmarks"):
        for path in included_paths(file.read_text(encoding="utf-8")):
            is_own = (file.parent / path).is_file()
            assert is_own or room_of(path) == "kernel", f"{file.name} includes {path}"


def modules_imported_by(file: Path) -> set[str]:
    """The top-level modules of absolute imports, wherever they stand, and `.`, `..` of others."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level or str(node.module).split(".")[0])
    return found


def test_distributed_needs_numpy_and_the_extension_module_alone() -> None:
    """torch's adapter builds upon it, and mpi4py may be missing."""
    for file in sorted((REPOSITORY / "python/normgraph/distributed").glob("*.py")):
        others = modules_imported_by(file) - set(sys.stdlib_module_names)
        assert others <= {"numpy", ".", ".."}, file.name
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r"^ *from \.\.(\S*) import (.+)$", text, re.M)) <= {
            ("", "_core"),
            ("_core", "("),
        }, file.name


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
