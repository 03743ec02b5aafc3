"""Runs of the microbenchmarks, of which each has a line of JSON in a file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.peers.machine import processor_name

from .microbenchmarks import PROJECT, Measurement


@dataclass(frozen=True)
class Record:
    """What a run has measured, when, of which commit, and where.

    `has_changes` tells whether the tree differed from the commit.
    """

    time: str
    commit: str
    has_changes: bool
    machine: str
    measurements: dict[str, Measurement]

    def to_line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Record:
        """Raises ValueError, TypeError or KeyError for a line that to_line() has not written."""
        fields = json.loads(line)
        rows = {name: Measurement(*row) for name, row in fields.pop("measurements").items()}
        return cls(**fields, measurements=rows)

    @property
    def label(self) -> str:
        """The commit as a plot names it."""
        return self.commit[:7] + ("+" if self.has_changes else "")


def new_record(measurements: dict[str, Measurement]) -> Record:
    """That of a run which has just ended."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return Record(
        now.isoformat(),
        git("rev-parse", "HEAD"),
        bool(git("status", "--porcelain", "--untracked-files=no")),
        machine(),
        measurements,
    )


def git(*arguments: str) -> str:
    """What git prints of the project; empty where there is no repository."""
    command = ["git", "-C", str(PROJECT), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine() -> str:
    """Runs of one machine may be compared: its processor, how many of them, and the system."""
    return f"{processor_name()}, {os.cpu_count()} processors, {platform.system()}"


def append(record: Record, file: Path) -> None:
    """Write it behind those that a file has; the file is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(record.to_line())


def read(file: Path) -> Iterator[Record]:
    """All of a file. Raises ValueError, which names the line, for one that is no record."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield Record.from_line(line)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(
                    f"{file}, line {number}: expected a record, got {line[:60]!r}"
                ) from error
