"""The runs of one machine as a picture: how many floors each op takes, run by run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peers.plots import SETTINGS, STYLES, WIDTH, save

from .records import Record

#: What a line of the plot is the geometric mean of: the op, the type and the number of threads.
Group = tuple[str, str, str]
#: Panels beside each other.
COLUMNS = 2


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
    """A panel for each op, which holds a line for each type and number of threads."""
    of_runs = [means(record) for record in records]
    groups = sorted({group for of_run in of_runs for group in of_run})
    ops = sorted({group[0] for group in groups})
    rows = math.ceil(len(ops) / COLUMNS)
    figure = Figure(figsize=(WIDTH, 1.2 + 1.6 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flatten()
    figure.suptitle(
        f"Microbenchmarks, run by run\n{records[-1].machine}", x=0.02, ha="left", fontsize=11
    )
    figure.supylabel("floors (1: the speed of memory); lower is better", fontsize=11)
    for op, axes in zip(ops, panels, strict=False):
        axes.set_title(op.removeprefix("batch_norm_"), fontsize=10)
        _draw_runs(axes, of_runs, [group for group in groups if group[0] == op])
    panels[0].set_ylim(bottom=0)
    panels[0].set_xticks(range(len(records)), [record.label for record in records])
    for axes in panels[-COLUMNS:]:
        axes.tick_params("x", rotation=45, labelbottom=True)
    for axes in panels[len(ops) :]:
        axes.set_axis_off()
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False
    )
    return figure


def _draw_runs(axes: Axes, of_runs: Sequence[dict[Group, float]], groups: Sequence[Group]) -> None:
    styles = itertools.cycle(STYLES.values())
    for group, (color, marker) in zip(groups, styles, strict=False):
        runs = [number for number, of_run in enumerate(of_runs) if group in of_run]
        values = [of_runs[number][group] for number in runs]
        style = "-" if group[2] == "1" else "--"
        axes.plot(runs, values, style, color=color, marker=marker, label=_series(group))


def label(group: Group) -> str:
    """What a table calls it."""
    return f"{group[0]} {_series(group)}"


def _series(group: Group) -> str:
    """What the legend of an op's panel calls it."""
    _, element_type, threads = group
    return f"{element_type}, {threads} thread" + ("" if threads == "1" else "s")
