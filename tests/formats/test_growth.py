"""The work of formats grows as the function does: counted, since times differ between machines.

benchmarks/graph_growth.py measures the times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import json as json_format
from normgraph.formats import onnx, stablehlo
from normgraph.formats.names import UniqueNames
from tests.ir.graphs import chain

Make = Callable[[int], ng.Function]


class CountingSet(set[str]):
    """Counts the questions whether something is in it."""

    questions = 0

    def __contains__(self, item: object) -> bool:
        self.questions += 1
        return super().__contains__(item)


@pytest.mark.parametrize(
    "wishes",
    [
        ["x"] * 1000,
        ["x", "y"] * 500,
        [f"x_{count}" for count in range(1, 500)] + ["x"] * 500,
        ["x"] * 500 + [f"x_{count}" for count in range(1, 500)],
        [f"x{'_1' * (count % 10)}" for count in range(1000)],
    ],
    ids=["one name", "two names", "numbers first", "numbers last", "numbers of numbers"],
)
def test_finding_names_takes_a_few_questions_each(wishes: list[str]) -> None:
    names = UniqueNames("_", 1)
    names.taken = CountingSet()
    found = [names.new(wish) for wish in wishes]
    assert len(set(found)) == len(wishes)
    # One for the wish, and one for each number: those that are free, and once those that are not.
    assert names.taken.questions <= 3 * len(wishes)


def test_numbers_are_the_lowest_that_are_free() -> None:
    names = UniqueNames("#", 2)
    wishes = ["x", "x#3", "x", "x", "x", "x#2", "x#2", "y"]
    expected = ["x", "x#3", "x#2", "x#4", "x#5", "x#2#2", "x#2#3", "y"]
    assert [names.new(wish) for wish in wishes] == expected


# ---- all lines and calls -------------------------------------------------------------------------


def static_chain(depth: int) -> ng.Function:
    function = chain(depth)
    function.parameters[0].partial_shape = [2, 4]
    function.validate_nodes_and_infer_types()
    for node in function.nodes:
        if isinstance(node, ng.op.BatchNormTraining):
            node.friendly_name = "norm"
    return ng.Function(function.results, function.parameters)


def conversions(count: int) -> ng.Function:
    """A chain of what pictures look through."""
    x = ng.Parameter("f32", [2], name="x")
    node: ng.Node = x
    for index in range(count):
        node = ng.op.Convert(node, "f32" if index % 2 else "f64")
    return ng.Function([node], [x])


def converted_constant(count: int) -> ng.Function:
    """A chain of what pictures look through, on a scalar."""
    node: ng.Node = ng.Constant(1.0, "f32")
    for index in range(count):
        node = ng.op.Convert(node, "f32" if index % 2 else "f64")
    return ng.Function([node], [])


def side_by_side(count: int) -> ng.Function:
    """Parameters, constants and results that have the same names."""
    parameters = [ng.Parameter("f32", [2], name="x") for _ in range(count)]
    sums = [
        ng.op.Add(parameter, ng.Constant([1.0, 2.0], "f32", name="c"), name="y")
        for parameter in parameters
    ]
    return ng.Function(sums, parameters)


def shared(count: int) -> ng.Function:
    """One value that many nodes read."""
    x = ng.Parameter("f32", [2], name="x")
    half = ng.op.Broadcast(ng.Constant(0.5, "f32"), x, [])
    return ng.Function([ng.op.Multiply(x, half) for _ in range(count)], [x])


def arguments_of(function: ng.Function) -> list[Any]:
    shapes = [parameter.partial_shape.to_python() for parameter in function.parameters]
    return [np.ones(shape, np.float32) for shape in shapes]  # type: ignore[arg-type]


def write_onnx(function: ng.Function, momentum: float | None = None) -> object:
    return onnx.Writer("native", momentum).graph_of(function)


def trace_with_deltas(function: ng.Function) -> object:
    deltas = [np.ones(result.partial_shape.to_python(), np.float32) for result in function.results]  # type: ignore[arg-type]
    return str(ng.trace(function, arguments_of(function), deltas))


OPERATIONS: dict[str, Callable[[ng.Function], object]] = {
    "JSON": lambda function: json_format.loads(json_format.dumps(function)),
    "StableHLO": stablehlo.dumps,
    "StableHLO, native": lambda function: stablehlo.dumps(function, "native"),
    "ONNX": write_onnx,
    "ONNX, running statistics": lambda function: write_onnx(function, 0.5),
    "ONNX, gradients": lambda function: write_onnx(ng.gradients(function)),
    "draw": ng.draw,
    "draw, deltas": lambda function: ng.draw(function, deltas=function.parameters),
    "draw, stages": lambda function: ng.draw(function, decompose=True),
    "trace": lambda function: str(ng.trace(function, arguments_of(function))),
    "trace, gradients": trace_with_deltas,
}


def lines_of(call: Callable[[], object]) -> int:
    """How many lines of this package a call runs: its work, but that of C++."""
    count = 0

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return local if "normgraph" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "make", [static_chain, conversions, converted_constant, side_by_side, shared]
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_four_times_the_nodes_are_four_times_the_lines(operation: str, make: Make) -> None:
    small, large = make(24), make(96)
    if not small.parameters and operation in ("ONNX, gradients", "trace, gradients"):
        pytest.skip("there is nothing to differentiate by")
    few, many = (lines_of(lambda f=f: OPERATIONS[operation](f)) for f in (small, large))  # type: ignore[misc]
    # Quadratic work that is but a tenth of the small one's would make it 5.2 times.
    assert many < 4.4 * few
