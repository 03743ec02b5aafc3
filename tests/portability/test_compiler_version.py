"""A compiler that is too old, or of a kind that is not tested, is named before it fails."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.portability.cmake import SOURCE_TREE, configure, run

NOT_CLANG = "-U__clang__"
CLANG = "-D__clang__=1 -D__clang_minor__=0 -D__clang_patchlevel__=0 -U__clang_major__"

#: Flags that make this machine's compiler pass for another one, and CMake's name for that.
TOO_OLD = {
    "GNU 10": f"{NOT_CLANG} -U__GNUC__ -D__GNUC__=10",
    "Clang 13": f"{CLANG} -D__clang_major__=13",
}
NEEDED = "GCC 11 or newer, or Clang 14 or newer"

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not shutil.which(os.environ.get("CXX", "c++")),
    reason="needs a compiler that scripts can call",
)


def words_of(text: str) -> str:
    """The text without the line breaks of CMake's messages."""
    return " ".join(text.split())


@pytest.fixture
def compiler(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    script = tmp_path / "compiler"
    real = shutil.which(os.environ.get("CXX", "c++"))
    script.write_text(f'#!/bin/sh\nexec "{real}" -w {request.param} "$@"\n')
    script.chmod(0o755)
    return script


def old_compilers() -> list[object]:
    return [pytest.param(options, name, id=name) for name, options in TOO_OLD.items()]


@pytest.mark.parametrize(("compiler", "name"), old_compilers(), indirect=["compiler"])
def test_cmake_refuses_an_old_compiler(compiler: Path, name: str, tmp_path: Path) -> None:
    result = configure(tmp_path / "build", f"-DCMAKE_CXX_COMPILER={compiler}")
    assert result.returncode != 0
    message = words_of(result.stderr)
    assert f"normgraph needs {NEEDED}; the compiler is {name}." in message
    assert str(compiler) in message


@pytest.mark.parametrize(("compiler", "name"), old_compilers()[:1], indirect=["compiler"])
def test_pip_shows_the_same_message(compiler: Path, name: str, tmp_path: Path) -> None:
    result = run(
        *(sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps"),
        *("--no-index", "--target", tmp_path / "site", f"-Cbuild-dir={tmp_path / 'build'}", "."),
        CXX=str(compiler),
    )
    assert result.returncode != 0
    message = words_of(result.stdout + result.stderr)
    assert f"normgraph needs {NEEDED}; the compiler is {name}." in message


@pytest.mark.parametrize(("compiler", "name"), old_compilers(), indirect=["compiler"])
def test_make_takes_no_old_compiler(compiler: Path, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    result = run(
        *(SOURCE_TREE / "cmake" / "create_environment.sh", folder),
        CXX=str(compiler),
        PYTHON=sys.executable,
    )
    assert result.returncode != 0, name
    assert "GCC 11 or newer, Clang 14 or newer" in result.stderr
    assert str(compiler) in result.stderr
    assert not folder.exists()


@pytest.mark.parametrize(
    "compiler",
    ["-D__NVCOMPILER=1 -D__NVCOMPILER_MAJOR__=24 -D__NVCOMPILER_MINOR__=1"],
    indirect=True,
)
def test_another_compiler_is_said_to_be_untested(compiler: Path, tmp_path: Path) -> None:
    result = configure(tmp_path / "build", f"-DCMAKE_CXX_COMPILER={compiler}")
    expected = f"normgraph is tested with {NEEDED}; with NVHPC 24.1"
    assert expected in words_of(result.stderr), result.stdout + result.stderr


def test_the_documentation_names_the_same_versions() -> None:
    text = (SOURCE_TREE / "cmake" / "CompilerVersion.cmake").read_text()
    gcc, clang = re.findall(r"^set\(NORMGRAPH_OLDEST_\w+ (\d+)\)$", text, re.M)
    assert f"GCC {gcc} or newer, or Clang {clang} or newer" == NEEDED
    readme = words_of((SOURCE_TREE / "README.md").read_text())
    assert NEEDED in readme
