"""The results as a picture, in the style of `benchmarks.peers.plots`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.peers.plots import SETTINGS, STYLES, TEXT, WIDTH, prepare, save

from .cases import COMPILED, EAGER, KEPT, TITLES
from .results import Results, Row

#: Panels: title, mode and element type.
PANELS = (
    ("f32", EAGER, "f32"),
    ("f32, both processes with keep_freed_memory()", KEPT, "f32"),
    ("bf16 autocast", EAGER, "bf16"),
    ("f32, both networks under torch.compile", COMPILED, "f32"),
)
#: Colour and marker by the number of threads.
ONE_THREAD, MORE_THREADS = STYLES["normgraph"], STYLES["torch"]
GOAL_COLOR = STYLES["numpy"][0]
#: One and two threads stand below each other within a line.
STEP_IN_LINE = 0.26
#: Half of the height of a goal's line.
GOAL_HEIGHT = 0.1


def write(results: Results, file: Path) -> bool:
    """Write the plot of all cases that have times; False if there are none."""
    panels = {title: rows for title, *key in PANELS if (rows := _rows(results, *key))}
    if not panels:
        return False
    with mpl.rc_context(SETTINGS):
        save(_figure(panels), file)
    return True


def _rows(results: Results, mode: str, element_type: str) -> list[Row]:
    return [
        row
        for row in results
        if (row.case.mode, row.case.element_type) == (mode, element_type) and not row.error
    ]


def _line(row: Row) -> tuple[str, str]:
    """What stands in one line of a panel: all numbers of threads of it."""
    return row.case.network, row.case.layout


def _figure(panels: dict[str, list[Row]]) -> Figure:
    lines = {title: list(dict.fromkeys(map(_line, rows))) for title, rows in panels.items()}
    counts = [len(keys) for keys in lines.values()]
    figure = Figure(
        figsize=(WIDTH, 1.4 + 0.55 * len(counts) + 0.5 * sum(counts)), layout="constrained"
    )
    figure.suptitle(
        "A training step: times as fast as torch",
        x=0.02,
        ha="left",
        fontsize=12,
        fontweight="bold",
    )
    all_axes = figure.subplots(
        len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": counts}
    )[:, 0]
    for axes, (title, rows) in zip(all_axes, panels.items(), strict=True):
        prepare(axes, title, [line_name(*key) for key in lines[title]])
        axes.axvline(1, color=TEXT, linewidth=1)
        for row in rows:
            _draw(axes, row, lines[title].index(_line(row)))
    all_axes[-1].set_xlabel("1: as fast; right is better")
    figure.legend(
        handles=_legend(),
        loc="outside lower left",
        ncols=3,
        frameon=False,
        handletextpad=0.4,
        columnspacing=1.2,
    )
    return figure


def line_name(network: str, layout: str) -> str:
    """A network and its layout, as a line of a plot names them."""
    return f"{TITLES[network].partition(',')[0]},\n{layout.replace('_', ' ')}"


def _draw(axes: Axes, row: Row, line: int) -> None:
    """The ratio, its interval, and the goal."""
    is_one = row.case.threads == 1
    color, marker = ONE_THREAD if is_one else MORE_THREADS
    y = line + STEP_IN_LINE * (-0.5 if is_one else 0.5)
    ratio = row.ratio
    axes.plot((row.case.goal,) * 2, (y - GOAL_HEIGHT, y + GOAL_HEIGHT), color=GOAL_COLOR, lw=2)
    axes.plot((ratio.low, ratio.high), (y, y), color=color, linewidth=1.4)
    face = color if is_one else "white"
    axes.plot(
        ratio.value, y, marker, color=color, markersize=7, markerfacecolor=face, markeredgewidth=1.6
    )


def _legend() -> list[Line2D]:
    one, more = (
        Line2D(
            [],
            [],
            linestyle="none",
            color=color,
            marker=marker,
            markersize=7,
            label=label,
            markerfacecolor=face,
            markeredgewidth=1.6,
        )
        for (color, marker), face, label in (
            (ONE_THREAD, ONE_THREAD[0], "1 thread"),
            (MORE_THREADS, "white", "2 threads"),
        )
    )
    goal = Line2D(
        [],
        [],
        linestyle="none",
        color=GOAL_COLOR,
        marker="|",
        markersize=10,
        markeredgewidth=2,
        label="goal",
    )
    return [one, more, goal]
