"""`python -m normgraph cmake-dir`; tests/cpp_package builds programs with what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

import normgraph as ng
from normgraph import cli
from tests.cli import command


def test_cmake_dir_prints_where_the_package_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A build script may ask in any environment: nothing of the kernels is needed.
    monkeypatch.setenv("NORMGRAPH_ISA", "abacus")
    result = command.run("cmake-dir", directory=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    directory = Path(result.stdout.removesuffix("\n"))
    assert directory.is_absolute()
    assert (directory / "normgraphConfig.cmake").is_file()


def test_cmake_dir_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(ng, "__path__", [str(tmp_path)])
    assert cli.main(["cmake-dir"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        "normgraph cmake-dir: the C++ package is not installed: "
        f"no normgraphConfig.cmake in {tmp_path / 'lib' / 'cmake' / 'normgraph'}\n"
    )
