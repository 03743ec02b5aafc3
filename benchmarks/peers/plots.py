"""The results as pictures: readable on a phone, and with a background of their own in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from .cases import OPS
from .results import OURS, TORCH, Mean, Results

#: Colour and marker: Okabe and Ito's colours, which differ for every kind of sight; the marker
#: differs as well.
STYLES = {
    "normgraph": ("#0072b2", "o"),
    "torch": ("#d55e00", "s"),
    "torch autograd": ("#e69f00", "D"),
    "torch mkldnn": ("#56b4e9", "P"),
    "oneDNN": ("#009e73", "^"),
    "JAX": ("#cc79a7", "v"),
    "numpy": ("#6b6b6b", "X"),
}
TEXT, GRID = "#222222", "#d8d8d8"
SETTINGS: Any = {
    "svg.fonttype": "path",  # text is drawn: no font of the reader's is wider than its place
    "svg.hashsalt": "normgraph",  # the same results give the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}
#: Inches of 72 pixels: a phone's screen.
WIDTH = 5.4
#: Beside the powers of ten, on an axis that spans less than this factor and on a wider one.
WIDE_SPAN = 12
NEAR_TICKS, FAR_TICKS = (1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5)
#: Candidates stand below each other within a line, so that equal ones can be told apart.
STEP_IN_LINE = 0.09


def write(results: Results, folder: Path) -> dict[str, str]:
    """Write all plots; what each shows, by the name of its file."""
    if not list(results.classes()):
        return {}
    written = {}
    with mpl.rc_context(SETTINGS):
        for threads in results.thread_counts:
            name = f"floors_{_threads_text(threads).replace(' ', '_')}.svg"
            written[name] = save(_floors(results, threads), folder / name)
        if TORCH in results.names:
            name = "speed_up_over_torch.svg"
            written[name] = save(_speed_up(results), folder / name)
    return written


def save(figure: Figure, file: Path) -> str:
    """Write a figure, the same for the same results; its title."""
    FigureCanvasSVG(figure)
    figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
    return figure.get_suptitle()


def _floors(results: Results, threads: int) -> Figure:
    """One panel per op, one line per class, one mark per candidate."""
    figure, panels = _figure(
        results, f"Time in multiples of the streaming floor, {_threads_text(threads)}"
    )
    for axes, op in panels:
        for index, name in enumerate(results.names):
            color, marker = STYLES[name]
            means = [
                results.floors(name, **{"op": op, "threads": threads, "class": class_name})
                for class_name in results.classes()
            ]
            _draw(
                axes,
                means,
                STEP_IN_LINE * (index - (len(results.names) - 1) / 2),
                marker=marker,
                color=color,
                markersize=9 if name == OURS else 7,
                markeredgecolor="white",
                markeredgewidth=0.6,
                label=name,
                zorder=3 if name == OURS else 2,
            )
        set_scale(axes)
    panels[-1][0].set_xlabel("1: memory speed; left is better")
    _add_legend(figure, panels)
    return figure


def _speed_up(results: Results) -> Figure:
    """Times that torch takes as long; filled marks for one thread, open ones for more."""
    figure, panels = _figure(results, "Speed-up over torch")
    for axes, op in panels:
        for index, threads in enumerate(results.thread_counts):
            color, marker = STYLES[TORCH if index else OURS]
            means = [
                results.speed_up(TORCH, **{"op": op, "threads": threads, "class": class_name})
                for class_name in results.classes()
            ]
            _draw(
                axes,
                means,
                shift=0,
                marker=marker,
                color=color,
                markersize=8,
                markerfacecolor="none" if index else color,
                markeredgewidth=1.8,
                label=_threads_text(threads),
            )
        set_scale(axes)
    panels[-1][0].set_xlabel("times as fast as torch; right is better")
    _add_legend(figure, panels)
    return figure


def _draw(axes: Axes, means: Sequence[Mean | None], shift: float, **style: Any) -> None:
    """One mark per class that has a mean."""
    points = [(mean.value, line + shift) for line, mean in enumerate(means) if mean]
    if points:
        axes.plot(*zip(*points, strict=True), linestyle="none", **style)


def _threads_text(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _figure(results: Results, title: str) -> tuple[Figure, list[tuple[Axes, str]]]:
    """A panel below the other for each op that has results, with the op's stem."""
    ops = {name: op for name, op in OPS.items() if results.select(op=op)}
    classes = list(results.classes())
    height = 1.6 + len(ops) * (0.55 + 0.46 * len(classes))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    all_axes = figure.subplots(len(ops), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(all_axes, ops, strict=True):
        prepare(axes, name, [_in_two_lines(text) for text in classes])
    return figure, list(zip(all_axes, ops.values(), strict=True))


def prepare(axes: Axes, title: str, lines: Sequence[str]) -> None:
    """Make a panel of named lines, the first one above, and of a grid."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_yticks(range(len(lines)), lines)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(length=0, labelsize=10)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _in_two_lines(class_name: str) -> str:
    return class_name.replace(", ", ",\n")


def set_scale(axes: Axes) -> None:
    """A logarithmic axis of ratios, with a line where they are 1."""
    axes.axvline(1, color=TEXT, linewidth=1)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    digits = NEAR_TICKS if high / low < WIDE_SPAN else FAR_TICKS
    ticks = (digit * 10.0**power for power in range(-4, 5) for digit in digits)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _add_legend(figure: Figure, panels: list[tuple[Axes, str]]) -> None:
    """One for all panels."""
    handles: dict[str, Artist] = {}
    for axes, _ in panels:
        panel_handles, labels = axes.get_legend_handles_labels()
        handles.update(zip(labels, panel_handles, strict=True))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower left",
        ncols=3,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.2,
    )
