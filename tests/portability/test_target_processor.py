"""The options of wide instructions reach compilers for x86-64, and no others."""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

import pytest

from tests.portability.cmake import SOURCE_TREE, compile_commands, run

CROSS_COMPILER = "aarch64-linux-gnu-g++"

needs_x86_64 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="needs a compiler for x86-64"
)


def machine_options(command: str) -> list[str]:
    return re.findall(r"(?<= )-m\S+", command)


@pytest.mark.skipif(not shutil.which(CROSS_COMPILER), reason=f"needs {CROSS_COMPILER}")
def test_a_cross_compiler_gets_none(tmp_path: Path) -> None:
    toolchain = SOURCE_TREE / "cmake" / "toolchains" / "aarch64-linux-gnu.cmake"
    commands = compile_commands(tmp_path, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}")
    assert any(Path(source).name == "neon.cpp" for source in commands)
    assert {source for source, command in commands.items() if machine_options(command)} == set()


@needs_x86_64
def test_a_compiler_for_x86_64_gets_them_for_wide_sources_alone(tmp_path: Path) -> None:
    commands = compile_commands(tmp_path)
    wide = {
        Path(source).name: machine_options(command)
        for source, command in commands.items()
        if machine_options(command)
    }
    avx2 = ["-mavx2", "-mfma", "-mf16c"]
    avx512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", *avx2]
    assert wide == {
        "avx2.cpp": avx2,
        "avx512.cpp": avx512,
        "avx512_bf16.cpp": [*avx512, "-mavx512bf16"],
    }


@needs_x86_64
def test_the_target_counts_rather_than_the_machine_that_builds(tmp_path: Path) -> None:
    """As for Apple's -arch, the name of the processor says nothing of the compiler."""
    commands = compile_commands(tmp_path, "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=x")
    assert any("-mavx2" in command for command in commands.values())


@needs_x86_64
def test_a_baseline_build_has_no_wide_sources(tmp_path: Path) -> None:
    commands = compile_commands(tmp_path, "-DNORMGRAPH_BASELINE_ONLY=ON")
    assert not any(machine_options(command) for command in commands.values())
    names = {Path(source).name for source in commands}
    assert "sse2.cpp" in names
    assert not names & {"avx2.cpp", "avx512.cpp", "avx512_bf16.cpp"}


@pytest.mark.parametrize(
    ("architectures", "expected"),
    [
        ("x86_64;arm64", "TRUE -Xarch_x86_64;-mavx2;-Xarch_x86_64;-mf16c"),
        ("arm64;arm64e", "FALSE"),
    ],
)
def test_a_build_for_several_processors_of_apple_gives_each_its_own(
    architectures: str, expected: str, tmp_path: Path
) -> None:
    script = tmp_path / "options.cmake"
    script.write_text(f"""
        set(APPLE TRUE)
        set(CMAKE_OSX_ARCHITECTURES "{architectures}")
        include("{SOURCE_TREE / "cmake" / "InstructionSets.cmake"}")
        normgraph_x86_64_options(options -mavx2 -mf16c)
        message("${{NORMGRAPH_X86_64}} ${{options}}")
    """)
    result = run("cmake", "-P", script)
    assert result.returncode == 0
    assert result.stderr.startswith(expected)
