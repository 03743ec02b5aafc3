"""Goes through the mutants, one at a time, and tells which test notices each of them."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .catalogue import GROUPS
from .mutant import CPP_TESTS, Group, Mutant, OutOfDateError
from .workspace import (
    EXECUTION_TESTS,
    PROJECT,
    PYTHON_TESTS,
    BuildError,
    TestsError,
    Workspace,
)

KILLED, SURVIVED, NOT_BUILT = "killed", "SURVIVED", "DOES NOT BUILD"
ALL_TESTS = (CPP_TESTS, PYTHON_TESTS, EXECUTION_TESTS)
Selection = list[tuple[Group, Mutant]]


class Progress:
    """One line per mutant, which tells before it is done what is going on."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._start = time.monotonic()

    def begin(self, what: str) -> None:
        self._began = time.monotonic()
        if sys.stdout.isatty():
            line = f"[{self._done + 1}/{self._total}] {what} … {self._remaining()}"
            print(f"\r\033[K{line}", end="", flush=True)

    def end(self, result: str, name: str, by: str) -> None:
        self._done += 1
        seconds = time.monotonic() - self._began
        before = "\r\033[K" if sys.stdout.isatty() else ""
        count = f"[{self._done:3}/{self._total}]"
        print(f"{before}{count} {result:<8} {name:<44} {seconds:5.0f} s  {by}", flush=True)

    def minutes(self) -> float:
        return (time.monotonic() - self._start) / 60

    def _remaining(self) -> str:
        if self._done == 0:
            return ""
        return f"{self.minutes() / self._done * (self._total - self._done):.0f} min left"


def judge(workspace: Workspace, group: Group, mutant: Mutant) -> tuple[str, str]:
    """(KILLED, the test), (SURVIVED, "") or (NOT_BUILT, the compiler's error)."""
    stages = [group.first] if group.is_alone else dict.fromkeys([group.first, *ALL_TESTS])
    try:
        with workspace.with_mutant(group, mutant):
            for stage in stages:
                verdict = workspace.test(stage, group.path)
                if verdict.failed:
                    return KILLED, verdict.failed
    except BuildError as error:
        return NOT_BUILT, str(error)
    return SURVIVED, f"{mutant.drops}: no test notices"


def check_original(workspace: Workspace, selection: Selection) -> None:
    """Raises TestsError unless the tests of these mutants pass without any of them.

    Else they would kill anything.
    """
    stages = [
        stage
        for group, _ in selection
        for stage in ([group.first] if group.is_alone else ALL_TESTS)
    ]
    for stage in dict.fromkeys(stages):
        verdict = workspace.test(stage)
        if verdict.failed:
            raise TestsError(f"a test fails without any mutant: {verdict.failed}")
    workspace.check_that_the_copy_is_tested()


def go_through(workspace: Workspace, selection: Selection, keep_going: bool) -> Counter[str]:
    progress = Progress(len(selection))
    results: Counter[str] = Counter()
    path = ""
    for group, mutant in selection:
        if group.path != path:
            path = group.path
            print(path)
        progress.begin(mutant.name)
        result, by = judge(workspace, group, mutant)
        progress.end(result, mutant.name, by)
        results[result] += 1
        if result != KILLED and not keep_going:
            print("stopped; --keep-going tries the others")
            break
    print(
        f"{sum(results.values())} mutants: {results[KILLED]} killed, {results[SURVIVED]} survived, "
        f"{results[NOT_BUILT]} do not build; {progress.minutes():.0f} min"
    )
    return results


def select(names: Sequence[str]) -> Selection:
    """The mutants whose name or file contains one of these texts; all for none. May be empty."""
    return [
        (group, mutant)
        for group in GROUPS
        for mutant in group.mutants
        if not names or any(name in mutant.name or name in group.path for name in names)
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Drops each term of the formulas and each check, one at a time, and runs the "
        "tests. Exit status 1 if a mutant survives.",
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        default=[],
        help="the mutants whose name or file contains this; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and exit")
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop at the first that survives"
    )
    parser.add_argument(
        "--unchecked",
        action="store_true",
        help="do not run all tests without a mutant first (for a second look at a few)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=PROJECT / "build" / "mutants",
        help="where the copy of the tree is (build/mutants)",
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    selection = select(arguments.only)
    if not selection:
        print(f"no mutant's name or file has {' or '.join(arguments.only)}", file=sys.stderr)
        return 2
    if arguments.list:
        for group, mutant in selection:
            print(f"{mutant.name:<44} {mutant.drops} ({group.path})")
        return 0
    workspace = Workspace(arguments.folder.resolve())
    try:
        workspace.prepare()
        if not arguments.unchecked:
            print("all tests without a mutant …", flush=True)
            check_original(workspace, selection)
        results = go_through(workspace, selection, arguments.keep_going)
    except (BuildError, TestsError, OutOfDateError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if results[KILLED] == len(selection) else 1
