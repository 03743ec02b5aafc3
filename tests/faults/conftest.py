"""The library that lets calls fail, compiled once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import UNDER_SANITIZER

SOURCE = Path(__file__).with_name("failing_calls.cpp")


@pytest.fixture(scope="session")
def failing_calls(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its path."""
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("left out: failing calls, which need Linux and a C++ compiler (CXX)")
    if UNDER_SANITIZER:
        pytest.skip("a sanitizer has allocation functions of its own")
    library = tmp_path_factory.mktemp("failing_calls") / "failing_calls.so"
    options = ["-std=c++20", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
    command = [*compiler.split(), *options, str(SOURCE), "-o", str(library), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return str(library)
