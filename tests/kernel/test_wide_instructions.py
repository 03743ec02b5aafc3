"""Wide instructions stand only where the processor has been asked for them."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from normgraph.cli import cmake_directory

WIDE = {"avx2": "Avx2", "avx512": "Avx512", "avx512_bf16": "Avx512Bf16"}
"""Sources compiled with wide instructions, and the class that marks what is theirs."""

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not shutil.which("objdump"),
    reason="needs objdump, for x86-64",
)


def kernel_library() -> Path:
    """The library of the kernels, as installed."""
    (library,) = cmake_directory().parents[1].glob("libnormgraph_kernel.a")
    return library


def by_member(listing: str) -> dict[str, list[str]]:
    """The lines that nm or objdump prints for each object file of a library, by source."""
    members: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in listing.splitlines():
        name = re.match(r"([\w.]+)\.cpp\.(?:o|obj):", line)
        if name:
            lines = members.setdefault(name[1], [])
        else:
            lines.append(line)
    return members


def run(*command: str) -> dict[str, list[str]]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return by_member(done.stdout)


def test_wide_sources_define_nothing_that_others_could_take() -> None:
    """If several sources define a function, the linker keeps any: it must not be a wide one."""
    called = run("nm", "--undefined-only", str(kernel_library()))
    if any("san_init" in line for lines in called.values() for line in lines):
        pytest.skip("sanitizers keep functions that are otherwise inlined")
    members = run("nm", "--demangle", "--defined-only", str(kernel_library()))
    for source, mark in WIDE.items():
        defined = [line.split(maxsplit=2)[1:] for line in members[source] if line]
        assert any(mark in name for _, name in defined)
        foreign = [name for kind, name in defined if kind in "WVu" and mark not in name]
        assert foreign == []
        tables = [f"normgraph::kernel::simd::{source}_table"]
        if source == "avx512":  # whose micro-kernels another table has as well
            tables.insert(0, "normgraph::kernel::simd::avx512_micro_kernels")
        strong = [name for kind, name in defined if kind in "TDR" and mark not in name]
        assert sorted(strong) == tables


def test_no_other_source_has_wide_instructions() -> None:
    members = run("objdump", "--disassemble", "--no-show-raw-insn", str(kernel_library()))
    wide_registers = re.compile(r"%[yz]mm")
    assert len(members) > len(WIDE)
    for source, lines in members.items():
        has_wide = any(wide_registers.search(line) for line in lines)
        assert has_wide == (source in WIDE), source
