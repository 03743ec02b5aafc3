"""The results as they are stored, and what tables and plots take from them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OURS, TORCH = "normgraph", "torch"

#: The classes in the order of tables and plots, without warm cases: these measure calls rather than
#: memory.
CLASSES = (
    "f32 channels first, long rows",
    "f32 channels first, short rows",
    "bf16 channels first",
    "f32 channels last, from memory",
    "f32 channels last, from cache",
    "bf16 channels last",
)


@dataclass(frozen=True)
class Row:
    """One case; see `worker.row`."""

    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def seconds(self) -> Mapping[str, float]:
        result: Mapping[str, float] = self.values["seconds"]
        return result

    def floors(self, name: str) -> float:
        """The time of a candidate in units of the floor."""
        return self.seconds[name] / float(self.values["floor_seconds"])

    @property
    def fastest_peer(self) -> str | None:
        peers = [name for name in self.seconds if name != OURS]
        return min(peers, key=lambda name: self.seconds[name], default=None)

    def speed_up(self, name: str) -> float:
        """The candidate's time divided by normgraph's."""
        return self.seconds[name] / self.seconds[OURS]


@dataclass(frozen=True)
class Mean:
    """A geometric mean, and over how many of a class's cases."""

    value: float
    count: int


def geometric_mean(values: Iterable[float]) -> Mean | None:
    """Nothing where there are no values."""
    listed = list(values)
    return Mean(statistics.geometric_mean(listed), len(listed)) if listed else None


@dataclass
class Results:
    """Everything that one run has measured."""

    machine: Mapping[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def add_header(self, header: Mapping[str, Any]) -> None:
        """The first line of a worker."""
        self.versions |= header["versions"]
        self.left_out |= header["left_out"]

    def store(self, file: Path) -> None:
        values = asdict(self) | {"rows": [row.values for row in self.rows]}
        file.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(file: Path) -> Results:
        values = json.loads(file.read_text(encoding="utf-8"))
        rows = [Row(row) for row in values.pop("rows")]
        return Results(**values, rows=rows)

    @property
    def names(self) -> list[str]:
        """The candidates that any row has, in order."""
        return [name for name in self.versions if any(name in row.seconds for row in self.rows)]

    @property
    def thread_counts(self) -> list[int]:
        return sorted({row["threads"] for row in self.rows})

    def select(self, **wanted: Any) -> list[Row]:
        """Rows with these values: op=…, threads=…."""
        return [row for row in self.rows if all(row[key] == value for key, value in wanted.items())]

    def floors(self, name: str, **wanted: Any) -> Mean | None:
        """Mean over the selected rows that have the candidate."""
        rows = self.select(**wanted)
        return geometric_mean(row.floors(name) for row in rows if name in row.seconds)

    def speed_up(self, name: str, **wanted: Any) -> Mean | None:
        """Mean over the selected rows that have the candidate."""
        rows = self.select(**wanted)
        return geometric_mean(row.speed_up(name) for row in rows if name in row.seconds)

    def speed_up_over_fastest_peer(self, **wanted: Any) -> Mean | None:
        """Mean over the selected rows that have any peer; it is another one in each row."""
        rows = self.select(**wanted)
        return geometric_mean(row.speed_up(row.fastest_peer) for row in rows if row.fastest_peer)

    def classes(self) -> Iterator[str]:
        """The classes that have rows."""
        present = {row["class"] for row in self.rows}
        yield from (name for name in CLASSES if name in present)


def grouped(rows: Sequence[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows with the same values of these keys, in order."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups
