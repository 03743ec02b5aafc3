"""The plot of the front page, of the results that are stored: `python -m benchmarks.front_page`.

A training step beside torch, and the two training kernels beside torch, JAX and oneDNN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.peers.cases import ELEMENT_TYPES, OPS
from benchmarks.peers.plots import SETTINGS, STYLES, TEXT, WIDTH, prepare, save, set_scale
from benchmarks.peers.results import Results as KernelResults
from benchmarks.training.cases import EAGER, LAYOUTS, TITLES
from benchmarks.training.plots import line_name
from benchmarks.training.results import Results as TrainingResults

DOCS = Path(__file__).parents[1] / "docs"
PLOT = DOCS / "front_page" / "speed.svg"

#: The libraries that the kernels stand beside.
LIBRARIES = ("torch", "JAX", "oneDNN")
#: The network that is a single layer measures a call.
NETWORKS = tuple(name for name in TITLES if name != "one_layer")
TITLE = "Times as long as with normgraph"
#: Inches.
LINE_HEIGHT, REST_HEIGHT = 0.32, 1.75
#: One and two threads stand below each other within a line.
STEP_IN_LINE = 0.3
#: Ratios above are shown on a logarithmic axis.
LONGEST_LINEAR_AXIS = 2
MARK: dict[str, Any] = {"linestyle": "none", "markersize": 6.5, "markeredgewidth": 1.5}


@dataclass(frozen=True)
class Mark:
    """How many times as long as normgraph a library takes, in a line of a panel."""

    line: str
    library: str
    threads: int
    ratio: float


def training_marks(results: TrainingResults) -> Iterator[Mark]:
    """A step of each network in f32, as torch runs it without options."""
    for row in results:
        case = row.case
        is_shown = case.network in NETWORKS and case.element_type == "f32" and case.mode == EAGER
        if is_shown and not row.error:
            line = line_name(case.network, case.layout).replace("\n", " ")
            yield Mark(line, "torch", case.threads, row.ratio.value)


def kernel_marks(results: KernelResults) -> Iterator[Mark]:
    """Geometric means over the shapes whose data come from memory."""
    for name, op in OPS.items():
        for element_type in ELEMENT_TYPES:
            for layout in LAYOUTS:
                line = f"{name}, {element_type}, {layout.replace('_', ' ')}"
                wanted = {"op": op, "element_type": element_type, "layout": layout}
                for threads in results.thread_counts:
                    for library in LIBRARIES:
                        mean = results.speed_up(library, **wanted, threads=threads, state="cold")
                        if mean:
                            yield Mark(line, library, threads, mean.value)


def panels_of(docs: Path) -> dict[str, list[Mark]]:
    """What is shown of the results that are stored, by the title of its panel."""
    training = TrainingResults.load(docs / "training" / "results.json")
    kernels = KernelResults.load(docs / "benchmarks" / "peers.json")
    return {
        "a training step, f32": list(training_marks(training)),
        "a training kernel": list(kernel_marks(kernels)),
    }


def write(panels: dict[str, list[Mark]], file: Path) -> None:
    """Draw the panels, one below the other."""
    with mpl.rc_context(SETTINGS):
        save(_figure(panels), file)


def _figure(panels: dict[str, list[Mark]]) -> Figure:
    lines = {title: list(dict.fromkeys(m.line for m in marks)) for title, marks in panels.items()}
    counts = [len(names) for names in lines.values()]
    height = REST_HEIGHT + LINE_HEIGHT * sum(counts)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(TITLE, x=0.02, ha="left", fontsize=12, fontweight="bold")
    all_axes = figure.subplots(
        len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": counts}
    )[:, 0]
    for axes, (title, marks) in zip(all_axes, panels.items(), strict=True):
        prepare(axes, title, lines[title])
        for mark in marks:
            _draw(axes, mark, lines[title].index(mark.line))
        if max(mark.ratio for mark in marks) > LONGEST_LINEAR_AXIS:
            set_scale(axes)
        else:
            axes.axvline(1, color=TEXT, linewidth=1)
    all_axes[-1].set_xlabel("right of 1 normgraph is faster")
    figure.legend(
        handles=list(_legend()),
        loc="outside lower left",
        ncols=5,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    return figure


def _draw(axes: Axes, mark: Mark, line: int) -> None:
    is_one = mark.threads == 1
    y = line + STEP_IN_LINE * (-0.5 if is_one else 0.5)
    axes.plot(mark.ratio, y, **_style(mark.library, is_filled=is_one))


def _style(library: str, *, is_filled: bool) -> dict[str, Any]:
    color, marker = STYLES[library]
    face = color if is_filled else "white"
    return {**MARK, "marker": marker, "color": color, "markerfacecolor": face}


def _legend() -> Iterator[Line2D]:
    for library in LIBRARIES:
        yield _handle(library, _style(library, is_filled=True))
    for threads in (1, 2):
        style = {**MARK, "marker": "o", "color": TEXT}
        face = TEXT if threads == 1 else "white"
        yield _handle(f"{threads} thread{'s' * (threads > 1)}", {**style, "markerfacecolor": face})


def _handle(label: str, style: dict[str, Any]) -> Line2D:
    nothing: Sequence[float] = ()
    return Line2D(nothing, nothing, label=label, **style)


def main() -> None:
    """Draw what is stored."""
    PLOT.parent.mkdir(exist_ok=True)
    write(panels_of(DOCS), PLOT)
    print(f"written to {PLOT.parent}: {PLOT.name}")


if __name__ == "__main__":
    main()
