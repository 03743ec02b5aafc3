"""The results as they are stored, and what tables and plots take from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from .cases import CASES, Case
from .sampling import Ratio, ratio_of_medians

#: Processors that other processes may keep busy without a word about it.
MOST_OTHERS = 0.1

Samples = dict[str, list[float]]


@dataclass
class Row:
    """One case: samples of both sides, in seconds or bytes, or an error.

    `shares` has the seconds of a step by kinds of op, for each side, `page_faults` those of a step;
    `others` is how many processors other processes kept busy.
    """

    case: Case
    samples: Samples = field(default_factory=dict)
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    page_faults: dict[str, float] = field(default_factory=dict)
    others: float = 0.0
    error: str = ""

    @cached_property
    def ratio(self) -> Ratio:
        return ratio_of_medians(self.samples)

    @property
    def is_disturbed(self) -> bool:
        return self.others > MOST_OTHERS

    @property
    def is_met(self) -> bool:
        return not self.error and self.ratio.value >= self.case.goal

    @property
    def missing(self) -> float:
        """By how much of the goal it is missed."""
        return 1 - self.ratio.value / self.case.goal


@dataclass
class Results:
    """What runs on one machine with the same versions have measured."""

    machine: Mapping[str, str]
    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Add a row, in place of an earlier one of the case."""
        self.rows[row.case.name] = row

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows in the order of the cases."""
        return (self.rows[case.name] for case in CASES if case.name in self.rows)

    def store(self, file: Path) -> None:
        """Write the file anew; whoever interrupts it finds the old one or the new one."""
        rows = [
            {
                **asdict(row),
                "case": row.case.name,
                "ratio": None if row.error else asdict(row.ratio),
            }
            for row in self
        ]
        text = json.dumps({"machine": self.machine, "rows": rows}, indent=1) + "\n"
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)

    @staticmethod
    def load(file: Path) -> Results:
        """Read what was stored; cases that there are no more are left out, goals are today's."""
        values = json.loads(file.read_text(encoding="utf-8"))
        cases = {case.name: case for case in CASES}
        results = Results(values["machine"])
        for row in values["rows"]:
            if row["case"] in cases:
                del row["ratio"]
                results.add(Row(**{**row, "case": cases[row["case"]]}))
        return results
