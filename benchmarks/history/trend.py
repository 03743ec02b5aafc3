"""The runs of one machine as a picture: how many floors each op takes, run by run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.peers.plots import SETTINGS, STYLES, WIDTH, save

from .records import Record

#: What a line of the plot is the geometric mean of: the op, the type and the number of threads.
Group = tuple[str, str, str]


def of_machine(records: Sequence[Record]) -> list[Record]:
    """Those of the machine of the last one."""
    return [record for record in records if record.machine == records[-1].machine]


def group_of(name: str) -> Group:
    """That of a case, by the parts of its name."""
    op, _, element_type, _, _, threads = name.split("/")
    return op, element_type, threads


def means(record: Record) -> dict[Group, float]:
    """The geometric mean of the floors of each group."""
    logarithms: dict[Group, list[float]] = {}
    for name, row in record.measurements.items():
        logarithms.setdefault(group_of(name), []).append(math.log(row.floors))
    return {group: math.exp(sum(values) / len(values)) for group, values in logarithms.items()}


def write(records: Sequence[Record], file: Path) -> None:
    """The trend on the machine of the last record."""
    with mpl.rc_context(SETTINGS):
        save(_figure(of_machine(records)), file)


def _figure(records: Sequence[Record]) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(
        f"Microbenchmarks, run by run\n{records[-1].machine}", x=0.02, ha="left", fontsize=11
    )
    of_runs = [means(record) for record in records]
    groups = sorted({group for of_run in of_runs for group in of_run})
    styles = list(STYLES.values())
    for index, group in enumerate(groups):
        color, marker = styles[index % len(styles)]
        runs = [number for number, of_run in enumerate(of_runs) if group in of_run]
        values = [of_runs[number][group] for number in runs]
        style = "-" if group[2] == "1" else "--"
        axes.plot(runs, values, style, color=color, marker=marker, label=label(group))
    axes.set_xticks(range(len(records)), [record.label for record in records], rotation=45)
    axes.set_ylabel("floors (1: the speed of memory); lower is better")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower left", ncols=2, frameon=False)
    return figure


def label(group: Group) -> str:
    """What a legend calls it."""
    op, element_type, threads = group
    return f"{op} {element_type}, {threads} thread" + ("" if threads == "1" else "s")
