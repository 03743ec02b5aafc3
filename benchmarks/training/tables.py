"""The results as Markdown and as lines of a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.peers.tables import markdown, time

from .cases import COMPILED, EAGER, KEPT, LAYOUTS, MEMORY, ORIGINAL, SIDES, TITLES, Case
from .kinds import KINDS, OTHER
from .results import Results, Row

WRITTEN = "<!-- Written by `make bench-training`. -->\n"
TITLES_OF_MODES = {
    EAGER: "Time of a step",
    KEPT: "Time of a step, both processes with keep_freed_memory()",
    COMPILED: "Time of a step, both networks under torch.compile",
    MEMORY: "Peak of a process's memory in a step",
}


MODES_IN_SUMMARY = {EAGER: "", KEPT: ", freed memory kept", COMPILED: ", torch.compile"}


def amount(case: Case, value: float) -> str:
    """Seconds or bytes with their unit."""
    return f"{value / 2**20:.0f} MiB" if case.mode == MEMORY else time(value)


def ratio_text(row: Row) -> str:
    """`1.43 (1.41 to 1.46)`."""
    ratio = row.ratio
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def verdict(row: Row) -> str:
    """Whether the goal is met, and else by how much of it it is missed."""
    return "met" if row.is_met else f"missed by {100 * row.missing:.1f} %"


def medians(row: Row) -> list[str]:
    """Of both sides."""
    return [amount(row.case, statistics.median(row.samples[side])) for side in SIDES]


def line(row: Row) -> str:
    """What is printed when a case ends."""
    if row.error:
        return f"{row.case.name}: failed: {row.error}"
    original, converted = medians(row)
    disturbance = f"; other processes took {row.others:.1f} processors" * row.is_disturbed
    return (
        f"{row.case.name}: torch {original}, normgraph {converted}: {ratio_text(row)} times, "
        f"goal {row.case.goal:g}, {verdict(row)}{disturbance}"
    )


def mode_table(rows: list[Row]) -> str:
    """One line per case."""
    ratio = "torch ÷ normgraph (95 %)"
    table = [["network", "type", "layout", "threads", "torch", "normgraph", ratio, "goal", ""]]
    for row in rows:
        case = row.case
        if row.error:
            cells = ["–", "–", "–", f"≥ {case.goal:g}", f"failed: {row.error}"]
        else:
            cells = [*medians(row), ratio_text(row), f"≥ {case.goal:g}", verdict(row)]
        table.append(
            [
                TITLES[case.network],
                case.element_type,
                case.layout.replace("_", " "),
                str(case.threads),
                *cells,
            ]
        )
    return markdown(table, text_columns=3)


def page(results: Results, plot: str | None) -> str:
    """The generated part of the page."""
    return "\n".join(_sections(results, plot))


def _sections(results: Results, plot: str | None) -> Iterator[str]:
    yield WRITTEN
    if plot:
        yield f"![Times as fast as torch]({plot})\n"
    for mode, title in TITLES_OF_MODES.items():
        rows = [row for row in results if row.case.mode == mode]
        if rows:
            yield f"## {title}\n"
            yield mode_table(rows)
    disturbed = [f"`{row.case.name}`" for row in results if row.is_disturbed]
    if disturbed:
        yield f"Other processes ran at the same time in {', '.join(disturbed)}.\n"
    yield "## Machine and versions\n"
    yield markdown([["", ""], *(list(pair) for pair in results.machine.items())], text_columns=2)


def summary(results: Results) -> str:
    """How many times as fast steps are: a line for each network, type, mode and thread count."""
    lines: dict[str, dict[str, str]] = {}
    for row in results:
        case = row.case
        if row.error or case.mode == MEMORY:
            continue
        network = TITLES[case.network].partition(",")[0]
        mode = MODES_IN_SUMMARY[case.mode]
        threads = f"{case.threads} thread{'s' * (case.threads > 1)}"
        cells = lines.setdefault(f"{network}, {case.element_type}{mode}, {threads}", {})
        cells[case.layout] = f"{row.ratio.value:.2f}"
    table = [["times as fast as torch", *(layout.replace("_", " ") for layout in LAYOUTS)]]
    table += [[name, *(cells.get(c, "–") for c in LAYOUTS)] for name, cells in lines.items()]
    return WRITTEN + "\n" + markdown(table, text_columns=1)


def shares_page(results: Results) -> str:
    """The shares of each kind of op in one step, before and after, and the step's page faults."""
    kinds = (*KINDS, OTHER)
    percents = [f"{kind}, %" for kind in kinds]
    table = [["network", "type", "layout", "threads", "", "step", *percents, "page faults"]]
    for row in results:
        for side, seconds in row.shares.items():
            total = sum(seconds.values())
            table.append(
                [
                    TITLES[row.case.network],
                    row.case.element_type,
                    row.case.layout.replace("_", " "),
                    str(row.case.threads),
                    "torch" if side == ORIGINAL else "normgraph",
                    time(total),
                    *(f"{100 * seconds[kind] / total:.0f}" for kind in kinds),
                    f"{row.page_faults[side]:.0f}",
                ]
            )
    return WRITTEN + "\n" + markdown(table, text_columns=3)
