"""The command `python -m benchmarks.peers`."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from . import machine, plots, supervisor, tables
from .candidates import CANDIDATES
from .cases import ELEMENT_TYPES, Selection
from .measurement import BENCHMARKS
from .results import OURS, Results, Row

PUBLISHED = BENCHMARKS.parent / "docs" / "benchmarks"
TRIED = BENCHMARKS.parent / "build" / "peers"
RESULTS = "peers.json"
PAGE = "peers.md"


def regular_expression(text: str) -> str:
    """`text`, if it is one."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"expected a regular expression: {error}") from error
    return text


def positive(text: str) -> int:
    """`text` as a number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The options."""
    names = list(CANDIDATES)
    result = argparse.ArgumentParser(
        "python -m benchmarks.peers",
        description="Measures normgraph and other libraries, interleaved, on the same data.",
        epilog="A case is named op/shape/type/layout/threads: forward/small_tiny/f32/"
        "channels_first/1. All cases take about half an hour.",
    )
    result.add_argument("--short", action="store_true", help="only the shapes of a short run")
    result.add_argument(
        "--only", type=regular_expression, default="", metavar="REGEX", help="cases, by their name"
    )
    result.add_argument("--types", nargs="+", choices=ELEMENT_TYPES, default=list(ELEMENT_TYPES))
    result.add_argument(
        "--threads", nargs="+", type=positive, default=None, help="default: 1 2, if there are two"
    )
    result.add_argument(
        "--candidates",
        nargs="+",
        choices=names,
        default=names,
        metavar="NAME",
        help=f"{', '.join(names)}; the others are compared with normgraph, which is always there",
    )
    result.add_argument("--rounds", type=positive, default=5, help="at least (default: 5)")
    result.add_argument(
        "--seconds", type=float, default=1.0, help="rounds go on for this long (default: 1)"
    )
    result.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="default: docs/benchmarks for all cases, build/peers for a choice",
    )
    result.add_argument(
        "--draw", action="store_true", help="measure nothing: tables and plots of stored results"
    )
    return result


def output_folder(arguments: argparse.Namespace) -> Path:
    """Only complete results are for the documentation."""
    if arguments.output:
        return Path(arguments.output)
    defaults = parser().parse_args([])
    is_choice = any(
        getattr(arguments, name) != getattr(defaults, name)
        for name in ("short", "only", "types", "threads", "candidates")
    )
    return TRIED if is_choice else PUBLISHED


def progress_line(row: Row, done: int, count: int, seconds: float) -> str:
    """`[12/264, 20 min left] forward/…: normgraph 1.62, torch 3.20`."""
    left = seconds / done * (count - done)
    left_text = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
    floors = ", ".join(f"{name} {tables.number(row.floors(name))}" for name in row.seconds)
    return f"[{done}/{count}, {left_text} left] {row['case']}: {floors}"


def measure(arguments: argparse.Namespace, unfinished: Path) -> Results:
    """All selected cases, with a line for each as soon as it is there.

    `unfinished` is the file that has them so far: an end too early loses nothing.
    """
    thread_counts = arguments.threads or [
        count for count in (1, 2) if count <= len(supervisor.available_processors())
    ]
    selection = Selection(arguments.short, arguments.only, arguments.types, thread_counts)
    count = len(list(selection.cases()))
    if count == 0:
        raise SystemExit(f"no case matches --only {arguments.only!r}")
    candidates = [name for name in CANDIDATES if name == OURS or name in arguments.candidates]
    request = supervisor.Request(selection, candidates, arguments.rounds, arguments.seconds)
    results = Results(machine.describe())
    start = time.monotonic()
    print("Times in multiples of the streaming floor:", flush=True)
    for threads in thread_counts:
        lines = supervisor.lines(request, threads)
        results.add_header(next(lines))
        for line in lines:
            row = Row(line)
            results.rows.append(row)
            results.store(unfinished)
            seconds = time.monotonic() - start
            print(progress_line(row, len(results.rows), count, seconds), flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, store, draw."""
    options = parser().parse_args(arguments)
    folder = output_folder(options)
    unfinished_folder = TRIED if folder == PUBLISHED else folder
    for needed in (folder, unfinished_folder):
        needed.mkdir(parents=True, exist_ok=True)
    if options.draw:
        if not (folder / RESULTS).exists():
            raise SystemExit(f"there is no {RESULTS} in {folder}")
        results = Results.load(folder / RESULTS)
    else:
        results = measure(options, unfinished_folder / RESULTS)
        results.store(folder / RESULTS)
    written = plots.write(results, folder)
    (folder / PAGE).write_text(tables.page(results, written), encoding="utf-8")
    for name, reason in results.left_out.items():
        print(f"left out: {name}: {reason}")
    print(f"written to {folder}: {', '.join((RESULTS, PAGE, *written))}")


if __name__ == "__main__":
    main()
