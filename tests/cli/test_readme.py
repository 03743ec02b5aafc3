"""The Python examples of the README run and print what their comments say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def with_marks(block: str) -> Any:
    """An example; that of torch needs it."""
    return pytest.param(block, marks=pytest.mark.interop) if "import torch" in block else block


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", [with_marks(block) for block in BLOCKS])
def test_example_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "import torch" in block:
        pytest.importorskip("torch")
    exec(compile(block, README.name, "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    for said in re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE):
        assert said in printed


def test_links_lead_to_files() -> None:
    text = README.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert targets
    for target in targets:
        assert (README.parent / target.partition("#")[0]).exists(), target


def test_commands_exist() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^    make (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands[:2] == ["run", "test"]
    for name in commands:
        assert re.search(rf"^{name}\b.*:", makefile, re.MULTILINE), name
