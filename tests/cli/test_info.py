"""`python -m normgraph info`."""

from __future__ import annotations

import json
from pathlib import Path

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
