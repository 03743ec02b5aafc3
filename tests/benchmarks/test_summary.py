"""benchmarks/summary: ten lines of eighty columns, with torch or without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import summary
from benchmarks.peers import measurement
from benchmarks.peers.cases import BACKWARD, FORWARD
from benchmarks.peers.results import OURS, TORCH, Results, Row

needs_module = pytest.mark.skipif(
    measurement.module_file() is None, reason="not built; `make test` builds it"
)


def row(op: str, lengths: list[int], layout: str, seconds: dict[str, float]) -> Row:
    values = {"op": op, "lengths": lengths, "layout": layout}
    return Row({**values, "floor_seconds": 1e-3, "seconds": seconds})


def test_torch_stands_beside_what_was_measured() -> None:
    results = Results({}, {OURS: "1", TORCH: "2.13"})
    results.rows = [
        row(FORWARD, [32, 1024, 14, 14], "channels_last", {OURS: 2e-3, TORCH: 5e-3}),
        row(BACKWARD, [4096, 256], "channels_last", {OURS: 0.5e-3}),
    ]
    first, columns, *lines = summary.lines_of(results)
    assert "beside torch 2.13;" in first
    assert columns.split() == [
        "pass",
        "shape",
        "axes",
        "normgraph",
        "floors",
        "torch",
        "as",
        "long",
    ]
    assert [line.split() for line in lines] == [
        ["forward", "32×1024×14×14", "NHWC", "2.00", "ms", "2.00", "5.00", "ms", "×", "2.50"],
        ["backward", "4096×256", "NC", "500", "µs", "0.50", "–", "–"],
    ]
    assert len({len(line) for line in (columns, *lines)}) == 1


@pytest.mark.parametrize(
    ("rank", "layout", "axes"),
    [
        (2, "channels_last", "NC"),
        (3, "channels_first", "NCW"),
        (3, "channels_last", "NWC"),
        (4, "channels_first", "NCHW"),
        (5, "channels_last", "NDHWC"),
    ],
)
def test_axes_stand_in_the_order_of_memory(rank: int, layout: str, axes: str) -> None:
    assert summary.axes_text(row(FORWARD, [1] * rank, layout, {})) == axes


@needs_module
def test_what_is_measured_fits_ten_lines_of_a_terminal() -> None:
    request = replace(summary.request(), candidates=(OURS,), rounds=1, seconds=0.0)
    results = summary.measure(request)
    lines = list(summary.lines_of(results))
    assert "(torch is not installed)" in lines[0]
    assert len(lines) == 10
    assert max(map(len, lines)) <= 80
    assert all(found.seconds[OURS] > 0 for found in results.rows)
    for axes in ("NCHW", "NHWC", "NC  "):
        assert any(f" {axes}" in line for line in lines), axes
