"""`python -m normgraph info`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import normgraph as ng
from tests.cli import command


def test_info_prints_every_fact(tmp_path: Path) -> None:
    result = command.run("info", directory=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    for value in ng.config().values():
        for item in value if isinstance(value, list) else [value]:
            assert str(item) in result.stdout


def test_info_as_json_is_the_configuration(tmp_path: Path) -> None:
    result = command.run("info", "--json", directory=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == ng.config()


def test_info_needs_numpy_alone(tmp_path: Path) -> None:
    for module in ("rich", "matplotlib", "sklearn"):
        assert command.run_without(module, "info", directory=tmp_path).returncode == 0


def test_info_says_what_runs_here_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NORMGRAPH_ISA", raising=False)
    config = json.loads(command.run("info", "--json", directory=tmp_path).stdout)
    assert config["implementation"] == config["implementations"][0]
    assert config["implementation_chosen_because"] == "the first built one that runs here"
    monkeypatch.setenv("NORMGRAPH_ISA", "reference")
    forced = json.loads(command.run("info", "--json", directory=tmp_path).stdout)
    assert forced["implementation"] == "reference"
    assert forced["implementation_chosen_because"] == "NORMGRAPH_ISA names it"
    runs_here = [text for text in config["built_implementations"] if "(runs here" in text]
    assert [text.split()[0] for text in runs_here] == config["implementations"]
