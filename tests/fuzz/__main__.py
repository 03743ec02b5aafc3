"""`python -m tests.fuzz`: all targets in turn, each in a process of its own."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from .targets import TARGETS

FOLDER = Path(__file__).resolve().parents[2] / "build" / "fuzz"


def parse_arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Calls normgraph with random input, which coverage of its Python code guides, "
        "and keeps what has ended or surprised it. Exit status 1 if there is any.",
    )
    parser.add_argument("--only", choices=sorted(TARGETS), action="append", help="a target")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--runs", type=int, default=-1, help="calls of each target, at most")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (%(default)s)")
    return parser.parse_args()


def fuzz(name: str, options: argparse.Namespace) -> bool:
    """Whether a target got through; prints a line."""
    corpus, found = FOLDER / "corpus" / name, FOLDER / "found" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.one", name, str(corpus)]
    command += [f"-max_total_time={options.seconds}", f"-runs={options.runs}"]
    command += [
        f"-seed={options.seed}",
        f"-artifact_prefix={found}/",
        "-max_len=512",
        "-timeout=60",
    ]
    log = FOLDER / f"{name}.log"
    with log.open("w") as output:
        status = subprocess.run(command, stdout=output, stderr=output).returncode
    text = log.read_text(errors="replace")
    calls = re.findall(r"(?m)^(?:#|Done )(\d+)", text)
    what = "no fault" if status == 0 else f"a FAULT: {log}, {found}"
    print(f"{name:<16} {calls[-1] if calls else 0:>9} calls, {what}", flush=True)
    return status == 0


def main() -> int:
    """The exit status."""
    options = parse_arguments()
    results = [fuzz(name, options) for name in options.only or sorted(TARGETS)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
