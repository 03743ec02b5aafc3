"""C++ programs use the installed package through find_package(normgraph)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import normgraph as ng
from tests.cli import command

CONSUMER = Path(__file__).parent / "consumer"
SOURCE_TREE = Path(__file__).parents[2]

# Derived by hand. C = 64 comes from variance alone, the rank and 7 x 7 from delta alone. The
# gradients: beta_delta = 1 + 2 + 3 + 6, gamma_delta = -1 + 2 - 3 + 6,
# input_delta = gamma * (delta - beta_delta / 4 - x * gamma_delta / 4) = 2 * (delta - 3 - x).
OUTPUT_OF_GRAPH = """\
BatchNormTrainingBackprop(x, vector, vector, vector, variance, delta) -> \
(f32{?,64,7,7}, f32{64}, f32{64})
input_delta: f32{?,64,7,7}
gamma_delta: f32{64}
beta_delta: f32{64}
BatchNormTrainingBackprop 'backprop' is not valid, 1 constraint is violated:
  [C9] the number of channels differs: normalized_delta has 32 (axis 1 of {8,32,7,7}), \
variance has 64
input_delta: -2 -4 2 4
gamma_delta: 4
beta_delta: 12
"""

# 3x - 2 of 1, 2, -1; 3 times the deltas 1, 2, 3; x itself.
OUTPUT_OF_DEFINED_OP = """\
result: 1 4 -5
gradient: 3 6 9
without it: 1 2 -1
"""

OUTPUT_OF_KERNEL = """\
implementation: {implementation}
normalized: 8 20 10 20 12 20
mean: 0 5
variance: 0.666667 0
"""


def output_of_kernel(implementation: str) -> str:
    """What the program prints on a processor that has this implementation."""
    return OUTPUT_OF_KERNEL.format(implementation=implementation)


def run(*words: str | Path) -> str:
    """Run a program to its end and return what it prints; its errors fail the test."""
    # A sanitizer that is loaded into Python does not belong into compilers.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    result = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def build(directory: Path, target: str, *options: str) -> Path:
    """Build a program of the consumer, copied to a directory outside of the tree."""
    source = directory / "source"
    shutil.copytree(CONSUMER, source)
    major_and_minor = ".".join(ng.__version__.split(".")[:2])
    version = f"-Dwanted_version={major_and_minor}"
    run("cmake", "-S", source, "-B", directory / "build", version, *options)
    run("cmake", "--build", directory / "build", "--target", target)
    return directory / "build" / target


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The directory of the installed CMake package."""
    return Path(command.run("cmake-dir", directory=tmp_path).stdout.removesuffix("\n"))


def test_a_program_constructs_nodes_and_calls_kernels(package: Path, tmp_path: Path) -> None:
    assert run(build(tmp_path, "graph", f"-Dnormgraph_DIR={package}")) == OUTPUT_OF_GRAPH


def test_a_program_defines_an_op_and_a_pass(package: Path, tmp_path: Path) -> None:
    program = build(tmp_path, "defined_op", f"-Dnormgraph_DIR={package}")
    assert run(program) == OUTPUT_OF_DEFINED_OP


def test_a_program_links_the_kernels_alone_from_a_moved_package(
    package: Path, tmp_path: Path
) -> None:
    # The package is in lib/cmake/normgraph, beside include: these two folders are all of it.
    installed = package.parents[2]
    moved = tmp_path / "moved"
    for folder in ("include", "lib"):
        shutil.copytree(installed / folder, moved / folder)
    # The other library is not even there.
    (moved / "lib" / "libnormgraph.a").write_bytes(b"")
    program = build(tmp_path, "kernel", f"-DCMAKE_PREFIX_PATH={moved}")
    assert run(program) == output_of_kernel(ng.config()["implementation"])
    cache = (tmp_path / "build" / "CMakeCache.txt").read_text()
    assert f"normgraph_DIR:PATH={moved}" in cache


@pytest.mark.rebuilds
def test_a_project_uses_the_source_tree(tmp_path: Path) -> None:
    """With the baseline's kernels alone, not optimised, all files as one: that takes a fraction of
    the time."""
    cache = shutil.which("ccache")
    program = build(
        tmp_path,
        "kernel",
        f"-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES={CONSUMER / 'use_source_tree.cmake'}",
        f"-DNORMGRAPH_SOURCE_TREE={SOURCE_TREE}",
        "-DCMAKE_BUILD_TYPE=Debug",
        "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
        "-DNORMGRAPH_BASELINE_ONLY=ON",
        "-DCMAKE_UNITY_BUILD=ON",
        "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0",
        *([f"-DCMAKE_CXX_COMPILER_LAUNCHER={cache}"] if cache else []),
    )
    baseline = ng.implementations()[-2]
    assert run(program) == output_of_kernel(baseline)


def test_the_exported_files_name_no_place_of_the_machine(package: Path) -> None:
    places = [str(SOURCE_TREE), str(package.parents[3]), str(Path.home())]
    for file in package.iterdir():
        assert not [place for place in places if place in file.read_text()], file.name


def test_every_header_that_an_installed_header_includes_is_installed(package: Path) -> None:
    root = package.parents[2] / "include"
    headers = sorted(root.rglob("*.hpp"))
    assert root / "normgraph" / "op" / "batch_norm_training_backprop.hpp" in headers
    for header in headers:
        for line in header.read_text().splitlines():
            if line.startswith('#include "'):
                assert (root / line.split('"')[1]).is_file(), f"{header}: {line}"
