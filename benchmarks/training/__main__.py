"""The command `python -m benchmarks.training`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import plots, supervisor, tables
from .cases import CASES, Case, Selection
from .results import Results
from .sampling import Plan

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "training"
TRIED = ROOT / "build" / "training"
RESULTS, TABLE, SUMMARY = "results.json", "table.md", "summary.md"
SHARES, PLOT = "shares.md", "speed_up.svg"
SHORT_REPETITIONS = 3


def parser() -> argparse.ArgumentParser:
    """The options."""
    default = Plan()
    result = argparse.ArgumentParser(
        "python -m benchmarks.training",
        description="Measures training steps of networks as they are and converted, interleaved.",
        epilog="A case is named network/type/layout/threads, as mobilenet_v2/f32/channels_first/1; "
        "before the threads there may stand /kept, /compiled or /memory. --list shows all.",
    )
    result.add_argument(
        "--only", default="", metavar="SUBSTRING", help="cases whose names contain it"
    )
    result.add_argument(
        "--short",
        action="store_true",
        help=f"only f32 with one thread, not compiled; {SHORT_REPETITIONS} pairs of steps",
    )
    result.add_argument("--no-compile", action="store_true", help="without torch.compile")
    result.add_argument(
        "--repetitions",
        type=positive,
        metavar="COUNT",
        help=f"pairs of steps, at least (default: {default.repetitions}; "
        f"5 are enough after {default.longest_seconds:g} s)",
    )
    result.add_argument(
        "--seconds",
        type=float,
        default=default.seconds,
        help=f"pairs go on for this long (default: {default.seconds:g})",
    )
    result.add_argument(
        "--one-process",
        action="store_true",
        help="both networks in one process, where each finds the memory that the other freed; "
        "else each has a process of its own, as in training, and the steps alternate all the same",
    )
    result.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="default: docs/training for all cases, build/training for a choice. Results there of "
        "the same machine and versions are kept, and replaced case by case",
    )
    result.add_argument("--list", action="store_true", help="only print the names of the cases")
    result.add_argument(
        "--draw", action="store_true", help="measure nothing: tables and plot of stored results"
    )
    return result


def positive(text: str) -> int:
    """`text` as a number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return int(text)


def output_folder(options: argparse.Namespace) -> Path:
    """Only complete results are for the documentation."""
    if options.output:
        return Path(options.output)
    is_choice = options.only or options.short or options.no_compile or options.one_process
    return TRIED if is_choice else PUBLISHED


def plan_of(options: argparse.Namespace) -> Plan:
    """How long to measure each case."""
    repetitions = options.repetitions or (SHORT_REPETITIONS if options.short else Plan.repetitions)
    return Plan(repetitions, options.seconds)


def earlier_results(file: Path, one_process: bool) -> Results:
    """The results in the file if machine, versions and processes are the same; else none."""
    from . import machine  # needs torch

    processes = "one for both networks" if one_process else "one for each network"
    described = {**machine.describe(), "processes": processes}
    if file.exists():
        stored = Results.load(file)
        if stored.machine == described:
            return stored
        print(f"{file}: of another machine or other versions, replaced", file=sys.stderr)
    return Results(described)


def measure(cases: Sequence[Case], plan: Plan, one_process: bool, file: Path) -> Results:
    """All cases; each is printed and stored as soon as it is there."""
    results = earlier_results(file, one_process)
    start = time.monotonic()
    for index, case in enumerate(cases):
        minutes = (time.monotonic() - start) / 60
        print(
            f"[{index + 1}/{len(cases)}, {minutes:.1f} min] {case.name}",
            file=sys.stderr,
            flush=True,
        )
        row = supervisor.row_of(case, plan, one_process)
        results.add(row)
        results.store(file)
        print(tables.line(row), flush=True)
    return results


def write_pages(results: Results, folder: Path) -> list[str]:
    """Tables and plot; the names of the files."""
    has_plot = plots.write(results, folder / PLOT)
    (folder / TABLE).write_text(tables.page(results, PLOT if has_plot else None), encoding="utf-8")
    (folder / SHARES).write_text(tables.shares_page(results), encoding="utf-8")
    (folder / SUMMARY).write_text(tables.summary(results), encoding="utf-8")
    return [TABLE, SHARES, SUMMARY, *([PLOT] if has_plot else [])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, store, draw."""
    options = parser().parse_args(arguments)
    selection = Selection(options.only, options.short, not options.no_compile)
    cases = selection.cases()
    if not cases:
        raise SystemExit(f"no case matches --only {options.only!r}; there are {len(CASES)}")
    if options.list:
        print(*(case.name for case in cases), sep="\n")
        return
    folder = output_folder(options)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / RESULTS
    if options.draw:
        if not file.exists():
            raise SystemExit(f"there is no {RESULTS} in {folder}")
        results = Results.load(file)
    else:
        results = measure(cases, plan_of(options), options.one_process, file)
    written = write_pages(results, folder)
    print(f"written to {folder}: {', '.join((RESULTS, *written))}")
    failed = [row.case.name for row in results if row.error]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
