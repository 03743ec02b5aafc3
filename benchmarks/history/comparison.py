"""Two commits beside each other: their microbenchmarks in turns, so that noise meets both."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.training.sampling import Ratio, ratio_of_pairs

from .microbenchmarks import PROJECT, Measurement, run

#: Name of the tree as it is, beside those of commits.
WORKING_TREE = "working tree"
FOLDER = PROJECT / "build" / "compare"


class Row(NamedTuple):
    """A case: medians in seconds, and the time of the first side divided by the second's."""

    name: str
    seconds: tuple[float, float]
    speed_up: Ratio


def tree_of(commit: str) -> Path:
    """A folder with this commit's files, which is made if need be."""
    if commit == WORKING_TREE:
        return PROJECT
    parsed = subprocess.run(
        ["git", "-C", str(PROJECT), "rev-parse", "--verify", f"{commit}^{{commit}}"],
        capture_output=True,
        text=True,
    )
    if parsed.returncode != 0:
        raise ValueError(f"commit: expected one of this repository, got {commit!r}")
    tree = FOLDER / parsed.stdout.strip()[:12] / "tree"
    if not tree.is_dir():
        tree.mkdir(parents=True)
        archive = subprocess.Popen(
            ["git", "-C", str(PROJECT), "archive", commit], stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=True)
        if archive.wait() != 0:
            raise ValueError(f"commit: expected one that git can archive, got {commit!r}")
    return tree


def build(commit: str) -> Path:
    """The program of this commit. Raises CalledProcessError where it does not build."""
    tree = tree_of(commit)
    folder = FOLDER / "tree" if tree == PROJECT else tree.parent
    target = folder / "build"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DNORMGRAPH_BUILD_PYTHON=OFF"]
    options += ["-DNORMGRAPH_BUILD_BENCHMARKS=ON", "-DNORMGRAPH_INSTALL_SYSTEM_PACKAGES=ON"]
    jobs = str(os.cpu_count() or 1)
    with (FOLDER / "build.log").open("a", encoding="utf-8") as log:
        for command in (
            ["cmake", "-S", str(tree), "-B", str(target), *options],
            ["cmake", "--build", str(target), "-j", jobs, "--target", "normgraph_benchmarks"],
        ):
            subprocess.run(command, check=True, stdout=log, stderr=log)
    return target / "benchmarks" / "normgraph_benchmarks"


def rounds(
    programs: Sequence[Path], arguments: Sequence[str], count: int
) -> Iterator[tuple[dict[str, Measurement], ...]]:
    """So many runs of both programs; each round begins with the other one."""
    for index in range(count):
        order = sorted(range(len(programs)), reverse=index % 2 == 1)
        found = {which: run(arguments, programs[which]) for which in order}
        yield tuple(found[which] for which in range(len(programs)))


def rows_of(found: Sequence[tuple[dict[str, Measurement], ...]]) -> list[Row]:
    """Of the cases that both have; their names may differ in the implementation."""
    names = [name for name in found[0][0] if name in found[0][1]]
    rows = []
    for name in names:
        first, second = ([pair[side][name].seconds for pair in found] for side in (0, 1))
        medians = sorted(first)[len(first) // 2], sorted(second)[len(second) // 2]
        rows.append(Row(name, medians, ratio_of_pairs(first, second)))
    return rows


def lines(rows: Sequence[Row], names: tuple[str, str]) -> Iterator[str]:
    """The table, and the geometric mean."""
    width = max((len(row.name) for row in rows), default=4)
    yield f"{'case':<{width}}  {names[0][:12]:>12}  {names[1][:12]:>12}  times as fast"
    for row in rows:
        first, second = (f"{seconds * 1e6:.1f} µs" for seconds in row.seconds)
        ratio = row.speed_up
        interval = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        yield f"{row.name:<{width}}  {first:>12}  {second:>12}  {interval}"
    if rows:
        mean = math.exp(sum(math.log(row.speed_up.value) for row in rows) / len(rows))
        yield f"geometric mean of {len(rows)} cases: {mean:.3f} times as fast"
