"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .cases import OPS
from .results import OURS, TORCH, Mean, Results, Row, grouped

Table = Sequence[Sequence[str]]


def markdown(table: Table, *, text_columns: int) -> str:
    """`table` begins with its heading; columns after the first `text_columns` hold numbers."""
    heading, *lines = table
    rule = ["---" if index < text_columns else "---:" for index in range(len(heading))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, rule, *lines)) + "\n"


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def time(seconds: float) -> str:
    """`1.23 ms`."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{number(seconds * factor)} {unit}"
    return f"{number(seconds * 1e9)} ns"


def mean_text(mean: Mean | None, case_count: int) -> str:
    """Says so where not all cases are in the mean."""
    if mean is None:
        return "–"
    partly = "" if mean.count == case_count else f" ({mean.count} of {case_count})"
    return number(mean.value) + partly


def class_table(results: Results, op: str) -> str:
    """Multiples of the floor, one line per class and number of threads."""
    names = [name for name in results.names if results.floors(name, op=op)]
    table = [["class", "threads", "cases", *names, f"over {TORCH}", "over the fastest peer"]]
    for class_name in results.classes():
        for threads in results.thread_counts:
            wanted = {"op": op, "class": class_name, "threads": threads}
            rows = results.select(**wanted)
            if not rows:
                continue
            means = [
                *(results.floors(name, **wanted) for name in names),
                results.speed_up(TORCH, **wanted),
                results.speed_up_over_fastest_peer(**wanted),
            ]
            cells = [mean_text(mean, len(rows)) for mean in means]
            table.append([class_name, str(threads), str(len(rows)), *cells])
    return markdown(table, text_columns=1)


def case_table(results: Results, op: str) -> str:
    """One line per shape, type and layout; a group of columns per number of threads."""
    counts = results.thread_counts
    table = [["case", "type", "layout"]]
    for count in counts:
        threads = f"{count} thread{'s' if count > 1 else ''}"
        table[0] += [f"{threads}: time", "× floor", "over the fastest peer"]
    rows = results.select(op=op)
    for key, group in grouped(rows, "shape", "element_type", "layout").items():
        shape, element_type, layout = key
        lengths = "×".join(str(length) for length in group[0]["lengths"])
        line = [f"{shape} {lengths}", element_type, layout.replace("_", " ")]
        by_count = {row["threads"]: row for row in group}
        for count in counts:
            line += case_cells(by_count[count]) if count in by_count else ["–"] * 3
        table.append(line)
    return markdown(table, text_columns=3)


def case_cells(row: Row) -> list[str]:
    """Time, multiples of the floor, and how many times as long the fastest peer takes."""
    peer = row.fastest_peer
    comparison = f"{number(row.speed_up(peer))} ({peer})" if peer else "–"
    return [time(row.seconds[OURS]), number(row.floors(OURS)), comparison]


def settings_table(results: Results) -> str:
    """Machine and versions."""
    versions = {f"{name}, version": text for name, text in results.versions.items()}
    absent = {f"{name}, left out": text for name, text in results.left_out.items()}
    pairs = {**results.machine, **versions, **absent}
    return markdown([["", ""], *(list(pair) for pair in pairs.items())], text_columns=2)


CLASSES_TEXT = """\
Times in multiples of the streaming floor (1 is memory speed), and how many times as long as
normgraph torch and the fastest peer of each case take: geometric means over the cases of a class.
"""
CASES_TEXT = """\
normgraph's time, the same in multiples of the floor, and how many times as long the fastest peer on
the same layout takes.
"""


def page(results: Results, plots: Mapping[str, str]) -> str:
    """The whole generated page; `plots` says what the files beside it show."""
    return "\n".join(_sections(results, plots))


def _sections(results: Results, plots: Mapping[str, str]) -> Iterator[str]:
    yield "<!-- Written by `make bench-peers`. -->\n"
    for name, title in plots.items():
        yield f"![{title}]({name})\n"
    yield CLASSES_TEXT
    for name, op in OPS.items():
        if results.select(op=op):
            yield f"### Classes: {name} (`{op}`)\n"
            yield class_table(results, op)
    yield CASES_TEXT
    for name, op in OPS.items():
        if results.select(op=op):
            yield f"### Cases: {name} (`{op}`)\n"
            yield case_table(results, op)
    yield "### Machine and versions\n"
    yield settings_table(results)
    faults = [row["case"] for row in results.rows if row["page_faults"]]
    if faults:
        yield f"Page faults were counted within the timing of {len(faults)} cases.\n"
