"""Ten lines of benchmarks, beside torch if it is installed: `python -m benchmarks.summary`.

What is measured is a choice of what `benchmarks.peers` measures, in the same way, with one thread:
whatever else the machine does then disturbs the least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.peers import supervisor
from benchmarks.peers.cases import OPS, Selection
from benchmarks.peers.results import OURS, TORCH, Results, Row
from benchmarks.peers.tables import number, time

ELEMENT_TYPE = "f32"
#: An image in both layouts, a matrix, and a call that takes no time for its data.
CASES = (
    f"/(resnet50_conv4_expand|mlp_large_batch)/{ELEMENT_TYPE}/"
    f"|/small_square/{ELEMENT_TYPE}/channels_first/"
)
ROUNDS, SECONDS = 5, 0.2
#: Columns of text, and of numbers.
TEXT_WIDTHS = (8, 13, 5)
NUMBER_WIDTHS = (10, 10, 10, 12)


def request() -> supervisor.Request:
    """What is measured; torch leaves itself out where it is not installed."""
    selection = Selection(only=CASES, element_types=(ELEMENT_TYPE,))
    return supervisor.Request(selection, (OURS, TORCH), ROUNDS, SECONDS)


def measure(wanted: supervisor.Request) -> Results:
    """Measure the cases of a request with one thread."""
    results = Results({})
    lines = supervisor.lines(wanted, num_threads=1)
    results.add_header(next(lines))
    results.rows += map(Row, lines)
    return results


def lines_of(results: Results) -> Iterator[str]:
    """The summary: two lines of headings, and one for each case."""
    version = results.versions.get(TORCH)
    beside = f"beside torch {version}" if version else "(torch is not installed)"
    yield f"{ELEMENT_TYPE} kernels with 1 thread {beside}; 1 floor: the speed of memory"
    yield line(("pass", "shape", "axes"), ("normgraph", "floors", "torch", "as long"))
    names = {op: name for name, op in OPS.items()}
    for row in results.rows:
        lengths = "×".join(map(str, row["lengths"]))
        yield line((names[row["op"]], lengths, axes_text(row)), cells(row))


def axes_text(row: Row) -> str:
    """The axes in the order of memory: NCHW, NHWC or NC."""
    spatial = "DHW"[5 - len(row["lengths"]) :]
    return f"N{spatial}C" if row["layout"] == "channels_last" else f"NC{spatial}"


def cells(row: Row) -> tuple[str, str, str, str]:
    """Time, its multiple of the floor, torch's time and its multiple of normgraph's."""
    peer = ("–", "–")
    if TORCH in row.seconds:
        peer = (time(row.seconds[TORCH]), f"× {row.speed_up(TORCH):.2f}")
    return (time(row.seconds[OURS]), number(row.floors(OURS)), *peer)


def line(text: Sequence[str], numbers: Sequence[str]) -> str:
    """Columns of text, to the left, and of numbers, to the right."""
    left = (f"{cell:<{width}}" for cell, width in zip(text, TEXT_WIDTHS, strict=True))
    right = (f"{cell:>{width}}" for cell, width in zip(numbers, NUMBER_WIDTHS, strict=True))
    return f"{'  '.join(left)}{''.join(right)}"


def main() -> None:
    """Measure and print."""
    print(*lines_of(measure(request())), sep="\n")


if __name__ == "__main__":
    main()
