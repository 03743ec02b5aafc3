"""The result of trying a function, and the table of it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .cases import DIFFICULTIES, FORMATS
from .judgement import CaseResult
from .summation import SummationOrder

WIDTH = 80
NAME_WIDTH = 16
CELL_WIDTH = 15

#: What stands behind an error in a cell.
MARKS = {"accurate": " ", "ok": "~", "WRONG": "!", "raised": "!"}

LEGEND = (
    "ulps of the largest term (of a sum: of its |terms|); no mark: accurate, within what sums in "
    "a wider type reach; ~ within what the data's arithmetic explains; ! wrong"
)


@dataclass(frozen=True)
class Conformance:
    """The result of `conformance`. It is true if the function conforms, and prints as a table.

    role: the kind of function that was tried. results: one for each case that was not left out.
    left_out: how many cases were, by the reason. order: the order of summation, by the output that
    shows it. notes: what could not be tried, and why.
    """

    role: str
    results: tuple[CaseResult, ...]
    left_out: Mapping[str, int]
    order: Mapping[str, SummationOrder]
    notes: tuple[str, ...]
    strict: bool = False

    @property
    def passed(self) -> bool:
        """Whether all cases are within the tolerance; with `strict`, within the bound."""
        return not self.failures and bool(self.results)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The cases that are wrong; with `strict`, those that are not accurate."""
        return tuple(
            one
            for one in self.results
            if not one.conforms or (self.strict and one.verdict != "accurate")
        )

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The names of the mistakes, each once, the most basic first."""
        return tuple(dict.fromkeys(one.mistake for one in self.results if one.mistake))

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [*self.table(), ""]
        for mistake in self.mistakes:
            lines += mistake_lines(mistake, [one for one in self.results if one.mistake == mistake])
        for output, order in self.order.items():
            unknown = order.threads_unknown and (
                f"; whether threads change that was not looked at: {order.threads_unknown}"
            )
            lines += paragraph(f"{output} is summed: {order}{unknown}", "order")
        for note in self.notes:
            lines += paragraph(note, "note")
        for reason, count in self.left_out.items():
            lines += paragraph(f"{count} cases left out: {reason}", "note")
        count = len(self.failures)
        total = f"{len(self.results)} cases"
        what = "are not accurate" if self.strict else "are wrong"
        lines.append(
            f"does not conform: {count} of {total} {what}"
            if count
            else f"conforms: {total}"
            if self.results
            else "does not conform: no case could be tried"
        )
        return "\n".join(lines)

    def table(self) -> Iterator[str]:
        """Yield the lines of the table: a row for each kind of data, a column for each type."""
        types = [name for name in FORMATS if any(name == parts(one)[0] for one in self.results)]
        yield f"{self.role:<{NAME_WIDTH}}" + "".join(f"{name:>{CELL_WIDTH}}" for name in types)
        rows = {parts(one)[2] for one in self.results}
        for row in dict.fromkeys(one.name for one in DIFFICULTIES if one.name in rows):
            cells = (
                cell([one for one in self.results if parts(one)[::2] == (name, row)])
                for name in types
            )
            yield (f"{row:<{NAME_WIDTH}}" + "".join(cells)).rstrip()
        yield from textwrap.wrap(LEGEND, WIDTH)


def parts(result: CaseResult) -> tuple[str, str, str]:
    """Return the type, the layout and the difficulty in a case's name."""
    _, data, layout, difficulty = result.case.split("-")
    return data, layout, difficulty


def cell(results: list[CaseResult]) -> str:
    """`0.51`, `3e+03 ~`: the worst of all layouts."""
    if not results:
        return f"{'':>{CELL_WIDTH}}"
    order = list(MARKS)
    verdict = max((one.verdict for one in results), key=order.index)
    ulps = max(one.ulps for one in results)
    text = "raised" if verdict == "raised" else ulps_text(ulps)
    return f"{text:>{CELL_WIDTH - 2}} {MARKS[verdict]}"


def ulps_text(ulps: float) -> str:
    """`0.51`, `3e+03`, `not a number`."""
    if not math.isfinite(ulps):
        return "no number"
    return f"{ulps:.2g}" if ulps < 100 else f"{ulps:.0e}"


def mistake_lines(mistake: str, results: list[CaseResult]) -> list[str]:
    """Say what a mistake is, and where it shows."""
    where = ", ".join(one.case for one in results[:2])
    more = f" and {len(results) - 2} more" if len(results) > 2 else ""
    return [
        *paragraph(results[0].words, "WRONG"),
        *paragraph(f"[{mistake}] in {where}{more}", ""),
    ]


def paragraph(text: str, label: str) -> list[str]:
    """Wrap a text behind a label."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<7}", subsequent_indent=" " * 7,
        break_on_hyphens=False,
    )  # fmt: skip
