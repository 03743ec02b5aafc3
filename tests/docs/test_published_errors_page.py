"""The evidence in docs/published_errors.md is what the formulas give."""

from __future__ import annotations

from tests.published_errors.channel import relative_error
from tests.published_errors.formulas import ALL, WRONG, Published, values_for

from .pages import DOCS, tables

PAGE = (DOCS / "published_errors.md").read_text(encoding="utf-8")


def printed_error(formula: Published) -> str:
    """Two digits, as in the tables."""
    return f"{relative_error(formula.printed(values_for(formula)), formula.truth()):.2g}"


def test_tables_give_the_error_of_every_wrong_formula() -> None:
    rows = [row for table in tables(PAGE) for row in table[1:]]
    assert {int(row[0]): row[-1] for row in rows} == {
        formula.number: printed_error(formula) for formula in WRONG
    }


def test_tables_stand_under_their_pages() -> None:
    order = [row[0] for table in tables(PAGE) for row in table[1:]]
    assert order == [str(formula.number) for formula in WRONG]
    assert len(tables(PAGE)) == len({formula.source for formula in WRONG})


def test_counts_of_formulas_are_true() -> None:
    lines = [f for f in ALL if f.source == "nGraph" and "listing" not in f.quantity]
    assert len(lines) == 11
    assert len([formula for formula in lines if formula.corrected is None]) == 8
    steps = [formula for formula in ALL if formula.quantity.startswith("step ")]
    assert len(steps) == 12
    assert all(formula.corrected is None for formula in steps)
