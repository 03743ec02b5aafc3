"""The checked-in stubs say what the built module has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import normgraph as ng

from . import op_stubs

# pybind11's classes have a metaclass of their own; abstract ones take any argument, to refuse it.
CLASSES = [
    "BackpropSums",
    "BatchStatistics",
    "Constant",
    "Dimension",
    "Executable",
    "Function",
    "Input",
    "Match",
    "Node",
    "Output",
    "Parameter",
    "Pattern",
    "Users",
]
CLASSES += ["PartialShape", "element.Type", *(f"op.{name}" for name in ng.op.__all__)]
ABSTRACT_CLASSES = [
    "BackpropSums",
    "BatchStatistics",
    "Executable",
    "Input",
    "Match",
    "Node",
    "Pattern",
    "op.BatchNormNode",
]
DIFFERENCES_OF_PYBIND11 = [f"normgraph._core.{name}" for name in CLASSES]
DIFFERENCES_OF_PYBIND11 += [f"normgraph._core.{name}.__init__" for name in ABSTRACT_CLASSES]
if sys.version_info < (3, 12):  # Python does not show there who lends memory
    lenders = ("BackpropSums", "BatchStatistics")
    DIFFERENCES_OF_PYBIND11 += [f"normgraph._core.{name}.__buffer__" for name in lenders]

# To read numpy's stubs, and normgraph's own modules, takes thirty times as long as the comparison,
# which is of names, parameters and defaults; types are what `make lint` checks.
CONFIGURATION = """\
[mypy]
follow_imports = skip
follow_imports_for_stubs = True
[mypy-normgraph._core.*]
follow_imports = normal
"""


def test_stubs_match_the_built_module(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist.txt"
    allowlist.write_text("\n".join(map(re.escape, DIFFERENCES_OF_PYBIND11)))
    configuration = tmp_path / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    command = [sys.executable, "-m", "mypy.stubtest", "normgraph._core", "--concise"]
    command += ["--allowlist", str(allowlist), "--mypy-config-file", str(configuration)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_stubs_of_ops_and_kernel_functions_are_those_that_are_generated() -> None:
    for path, text in op_stubs.written_stubs().items():
        assert path.read_text(encoding="utf-8") == text, path.name
