"""Nothing looks for C++ modules, which would take a program that Clang's own package has not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.portability.cmake import configure

#: Compilers for which CMake looks for modules unless it is told not to.
SCANNING = ("clang++-16", "clang++-17", "clang++-18", "clang++-19", "g++-14", "g++-15")
COMPILER = next((name for name in SCANNING if shutil.which(name)), None)


@pytest.mark.skipif(COMPILER is None, reason=f"needs one of {', '.join(SCANNING)}")
@pytest.mark.skipif(not shutil.which("ninja"), reason="CMake scans for Ninja alone")
def test_no_source_is_scanned_for_modules(tmp_path: Path) -> None:
    result = configure(tmp_path, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={COMPILER}")
    assert result.returncode == 0, result.stderr
    assert ".ddi" not in (tmp_path / "build.ninja").read_text()
