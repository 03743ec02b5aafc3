"""The command line itself: usage errors, exit statuses, interruption."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import normgraph as ng
from normgraph import cli
from tests.cli import command


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trian"], "'trian'"),
        (["info", "--yaml"], "--yaml"),
        (["demo", "--epochs", "0"], "--epochs: expected an integer from 1 to 10000, got '0'"),
        (["demo", "--epochs", "many"], "--epochs: expected an integer from 1 to 10000, got 'many'"),
        (["demo", "--seed", "-1"], "--seed: expected an integer from 0 to 4294967295, got '-1'"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], named: str, tmp_path: Path) -> None:
    result = command.run(*arguments, directory=tmp_path)
    assert result.returncode == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_version(tmp_path: Path) -> None:
    result = command.run("--version", directory=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"normgraph {ng.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_lists_the_commands(arguments: list[str], tmp_path: Path) -> None:
    result = command.run(*arguments, directory=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    names = ("demo", "info", "check", "verify", "conform", "vectors", "draw", "cmake-dir")
    assert all(name in result.stdout for name in names)


@pytest.mark.parametrize("name", ["info", "check", "demo"])
def test_an_unknown_implementation_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NORMGRAPH_ISA", "abacus")
    result = command.run(name, directory=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"normgraph {name}: ")
    assert "NORMGRAPH_ISA" in result.stderr
    assert "abacus" in result.stderr
    assert "Traceback" not in result.stderr


def test_interruption_is_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_check", interrupted)
    assert cli.main(["check"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "normgraph", "check"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=300) == 1
    assert errors == ""


@pytest.mark.parametrize(
    ("module", "package"),
    [("sklearn", "scikit-learn"), ("matplotlib", "matplotlib"), ("rich", "rich")],
)
def test_missing_package_is_named(module: str, package: str, tmp_path: Path) -> None:
    result = command.run_without(module, "demo", directory=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"python -m pip install {package}\n" in result.stderr
    assert "extra 'demo'" in result.stderr
    assert "Traceback" not in result.stderr
