"""What docs/conformance.md says of the kit is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import normgraph as ng
from normgraph import cli
from normgraph.conform.calls import QUANTITIES
from normgraph.conform.cases import DIFFICULTIES
from normgraph.conform.mistakes import OWN_MISTAKES
from tests.docs.pages import DOCS, tables

PAGE = (DOCS / "conformance.md").read_text("utf-8")


def first_column(header: str) -> list[str]:
    table = next(table for table in tables(PAGE) if table[0][0] == header)
    return [name for row in table[1:] for name in re.findall(r"`([\w ]+)`", row[0])]


def test_every_mistake_is_listed() -> None:
    table = next(table for table in tables(PAGE) if table[0][0] == "mistake")
    assert {row[0].strip("`"): row[1] for row in table[1:]} == OWN_MISTAKES


def test_every_kind_of_data_is_listed() -> None:
    assert {*first_column("data")} == {one.name for one in DIFFICULTIES}


def test_every_kind_of_order_is_listed() -> None:
    documented = re.search(r"kind: (.*?)words: the same", str(ng.SummationOrder.__doc__), re.DOTALL)
    assert documented
    assert set(first_column("kind")) == {*re.findall(r'"([^"]+)"', documented[1])}


def test_parameters_that_the_page_names_are_known() -> None:
    sentence = PAGE[PAGE.index("Its parameters are read") : PAGE.index("Where names are not")]
    assert {*re.findall(r"`(\w+)`", sentence)} - {"verify"} <= {*QUANTITIES}


def test_the_table_shown_is_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example, shown = re.findall(r"^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[:2]
    code = [line[4:] for line in example.splitlines() if line.startswith((">>>", "..."))]
    (tmp_path / "exercise.py").write_text("\n".join(code[:6]), encoding="utf-8")
    assert cli.main(["conform", f"{tmp_path}/exercise.py:forward", "--dtypes", "f64,f32"]) == 1
    printed, on_page = capsys.readouterr().out.splitlines(), shown.splitlines()[1:]

    # Figures are rounding, which may differ from machine to machine.
    def without_figures(line: str) -> list[str]:
        return re.sub(r"[\d.]+(e\+\d+)?(?= |$)", "#", line).split()

    assert [line.split()[0] for line in printed[:14]] == [line.split()[0] for line in on_page[:14]]
    assert [without_figures(line) for line in printed if "!" in line] == [
        without_figures(line) for line in on_page if "!" in line
    ]
    end = on_page.index("…")
    wrong = [line for line in on_page[:end] if line.startswith(("WRONG", "       "))]
    assert [line for line in printed if line in wrong] == wrong
    assert printed[-1] == on_page[-1]


def test_the_table_of_libraries_says_of_normgraph_what_is_so() -> None:
    text = (DOCS / "conformance" / "table.md").read_text("utf-8")
    rows = [row for row in tables(text)[0][1:] if row[0].startswith("normgraph")]
    functions = {
        "training": ng.batch_norm_training,
        "inference": ng.batch_norm_inference,
        "backward": ng.batch_norm_training_backprop,
    }
    assert [row[1] for row in rows] == list(functions)
    for row in rows:
        result = ng.conformance(functions[row[1]], strict=True)
        count = len(result.results)
        assert (row[3], row[4], row[5]) == ("yes", f"{count}/{count}", f"{count}/{count}")
        assert all(str(order) == row[-1] for order in result.order.values() if order.tree)
