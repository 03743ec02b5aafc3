"""The plot of the accuracy curves."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from normgraph.demo.training import TEST_DIGITS, Run

#: Distinguishable also without colour.
STYLES = (("#0b62a4", "-"), ("#c8501e", "--"), ("#777777", ":"))


class PlotError(Exception):
    """The plot cannot be saved; the message names the path and the reason."""


def require_savable(output: Path) -> None:
    """Raise PlotError if it is clear beforehand that `output` cannot be written."""
    formats = FigureCanvasAgg.get_supported_filetypes()
    try:
        if not output.parent.is_dir():
            raise PlotError(
                f"there is no directory {str(output.parent)!r} to save {output.name!r} in"
            )
        if output.is_dir():
            raise PlotError(f"expected the path of a file, got the directory {str(output)!r}")
    except OSError as error:
        raise PlotError(f"{str(output)!r}: {error.strerror}") from error
    if output.suffix[1:].lower() not in formats:
        raise PlotError(
            f"expected an ending among .{', .'.join(sorted(formats))}, got {output.name!r}"
        )
    if not os.access(output if output.exists() else output.parent, os.W_OK):
        raise PlotError(f"no permission to write {str(output)!r}")


def save(runs: list[Run], output: Path) -> None:
    """Draw the accuracy curves and save them; PlotError if the system refuses."""
    figure = Figure(figsize=(7.5, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for run, (color, line) in zip(runs, STYLES, strict=False):
        epochs = range(1, len(run.accuracies) + 1)
        axes.plot(
            epochs,
            run.accuracies,
            line,
            marker=".",
            color=color,
            linewidth=2,
            label=run.label,
        )
    axes.set_title(
        "The same deep network, with and without batch normalization", loc="left", fontsize=12
    )
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"accuracy on {TEST_DIGITS} test digits")
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", frameon=False)
    try:
        FigureCanvasAgg(figure).print_figure(output)
    except OSError as error:
        raise PlotError(f"{str(output)!r}: {error.strerror}") from error
