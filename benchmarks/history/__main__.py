"""`python -m benchmarks.history record` and `… compare COMMIT [COMMIT]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from . import comparison, microbenchmarks, records, trend

HISTORY = microbenchmarks.PROJECT / "docs" / "history" / "benchmarks.jsonl"


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """The options of the command, and those of normgraph_benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser(
        "record",
        help="measure, append the run to a file, and draw the trend beside it",
        epilog="Other options are those of normgraph_benchmarks (default: --short --seconds=0.2).",
    )
    recording.add_argument("--file", type=Path, default=HISTORY, help="lines of JSON (%(default)s)")
    comparing = commands.add_parser(
        "compare",
        help="build two commits, run their benchmarks in turns, and print the ratios",
        epilog="Other options are those of normgraph_benchmarks (default: --short --seconds=0.2).",
    )
    comparing.add_argument("first", metavar="COMMIT")
    comparing.add_argument("second", metavar="COMMIT", nargs="?", default=comparison.WORKING_TREE)
    comparing.add_argument("--rounds", type=int, default=7, help="runs of each (%(default)s)")
    return parser.parse_known_args()


def record(file: Path, arguments: list[str]) -> None:
    """A run is kept as soon as it is there: what draws it may fail."""
    earlier = list(records.read(file)) if file.is_file() else []
    made = records.new_record(microbenchmarks.run(arguments))
    records.append(made, file)
    plot = file.with_suffix(".svg")
    trend.write([*earlier, made], plot)
    for group, floors in sorted(trend.means(made).items()):
        print(f"{trend.label(group):<48} {floors:6.2f} floors")
    print(f"{made.label}: appended to {file}, trend drawn in {plot}")


def compare(names: tuple[str, str], count: int, arguments: list[str]) -> None:
    """Print how fast the second of two commits is beside the first."""
    if count < 1:
        raise ValueError(f"--rounds: expected at least 1, got {count}")
    comparison.FOLDER.mkdir(parents=True, exist_ok=True)
    programs = []
    for name in names:
        print(f"building {name} …", file=sys.stderr, flush=True)
        programs.append(comparison.build(name))
    found = []
    for pair in comparison.rounds(programs, arguments, count):
        found.append(pair)
        print(f"round {len(found)} of {count}", file=sys.stderr, flush=True)
    for line in comparison.lines(comparison.rows_of(found), names):
        print(line)


def main() -> int:
    """The exit status."""
    options, others = parse_arguments()
    arguments = others or list(microbenchmarks.SHORT_RUN)
    try:
        if options.command == "record":
            record(options.file, arguments)
        else:
            compare((options.first, options.second), options.rounds, arguments)
    except subprocess.CalledProcessError as error:
        print(f"{error}\n{error.stderr or ''}".strip(), file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


sys.exit(main())
