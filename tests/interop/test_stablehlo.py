"""StableHLO: the real dialect takes what is written, and XLA computes what normgraph does.

How near is in agreement.py: the bounds of error of the ops themselves. XLA treats denormals as 0,
so that there are none among the arguments.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normgraph as ng
from normgraph.formats import stablehlo

from ..formats.functions import NAMES, constants
from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array
from ..kernel.samples import STANDARD, Sample
from ..runtime.test_random_graphs import Graph, random_arrays
from .agreement import (
    PRIMITIVES,
    RANKS,
    Primitive,
    bounds_in_own_type,
    channel_axes,
    check_agreement,
    check_within,
)
from .xla import parsed, run

pytestmark = pytest.mark.interop

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")

LAYOUTS = [(shape, axis) for rank, shape in RANKS.items() for axis in channel_axes(rank)]
NATIVE = ("BatchNormTraining", "BatchNormInference", "BatchNormTrainingBackprop")


def check(function: ng.Function, arguments: list[Array]) -> None:
    check_agreement(run(stablehlo.dumps(function), arguments), function, arguments)


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("primitive", PRIMITIVES, ids=str)
def test_primitive_ops(primitive: Primitive, element_type: str) -> None:
    check(primitive.function(element_type), primitive.arguments(element_type))


@pytest.mark.parametrize("element_type", REAL_TYPES)
def test_a_mean_of_nothing_and_a_sum_of_negative_zeros(element_type: str) -> None:
    x = ng.Parameter(element_type, [0, 2])
    y = ng.Parameter(element_type, [2])
    # Not a sum along no axis: it is written as −0 + 0, which XLA drops, and is −0 then.
    results = [ng.op.Mean(x, [1]), ng.op.Sum(y, []), ng.op.Negate(y)]
    function = ng.Function(results, [x, y])
    dtype = REAL_TYPES[element_type].dtype
    arguments = [np.zeros((0, 2), dtype), np.array([-0.0, -0.0], dtype)]
    check_same_bits(function, arguments)


def check_same_bits(function: ng.Function, arguments: list[Array]) -> None:
    results = run(stablehlo.dumps(function), arguments)
    for actual, expected in zip(results, ng.compile(function)(*arguments), strict=True):
        assert_same_bits(actual, expected, str(function))


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("op", NATIVE)
def test_the_family_as_native_ops(
    op: str, element_type: str, shape: tuple[int, ...], axis: int
) -> None:
    """XLA computes them in their own type, in an order of its own, with an epsilon that f32 has.

    The bounds are those of the stages in that type; in it, XLA adds as well, up to 40 terms.
    """
    exact = dataclasses.replace(STANDARD, epsilon=2.0**-17)
    case = family.make_case(op, Sample(shape, element_type, element_type, axis, exact))
    text = stablehlo.dumps(case.function, family="native")
    assert text.count("stablehlo.") == 1
    arguments = list(case.arguments.values())
    results = run(text, arguments)
    allowed = bounds_in_own_type(case.function, arguments, element_type, 40.0)
    for actual, expected, error in zip(results, case.fused(), allowed, strict=True):
        assert actual.dtype == expected.dtype
        check_within(actual, expected, error, text)


@pytest.mark.parametrize("op", family.OPS)
def test_an_empty_batch_gives_what_the_stages_give(op: str) -> None:
    """NaN for the statistics that the fused op refuses to make."""
    case = family.make_case(op, Sample((0, 3), "f32", "f32"))
    arguments = list(case.arguments.values())
    stages = ng.compile(ng.decompose(case.function))(*arguments)
    results = run(stablehlo.dumps(case.function), arguments)
    for actual, expected in zip(results, stages, strict=True):
        assert_same_bits(actual, expected, op)


@pytest.mark.parametrize("element_type", ["f32", "bf16"])
@settings(max_examples=12)
@given(data=st.data(), size=st.integers(1, 14))
def test_random_graphs_are_of_the_dialect(
    element_type: str, data: st.DataObject, size: int
) -> None:
    """And run: what they compute may be NaN, so that only types and shapes are looked at."""
    graph = Graph(element_type, data.draw, False)
    for _ in range(size):
        graph.add()
    function = ng.Function(graph.results(), graph.parameters)
    parsed(stablehlo.dumps(function, family="native"))
    text = stablehlo.dumps(function)
    results = run(text, random_arrays(function, element_type, size))
    for actual, result in zip(results, function.results, strict=True):
        assert (actual.dtype, actual.shape) == (
            result.element_type.dtype,
            result.partial_shape.to_python(),
        )


@settings(max_examples=60)
@given(constant=constants())
def test_constants_to_the_bit(constant: ng.Constant) -> None:
    text = stablehlo.dumps(ng.Function([constant, constant], []))
    parsed(text)
    for result in run(text, []):
        assert result.shape == constant.shape
        assert result.tobytes() == constant.attributes["data"]


@pytest.mark.parametrize("family", ["stages", "native"])
@pytest.mark.parametrize(
    "name", ["a-", "_", "$x", ".", "a.b", "x_1", "x", "a->", "c0", "arg0", "0", "-"]
)
def test_names_that_mlir_might_read_otherwise(name: str, family: stablehlo.Family) -> None:
    x = ng.Parameter("f32", [2, 2], name=name)
    gamma = ng.Constant([1.0, 2.0], "f32", name=name)
    first = ng.op.BatchNormTraining(x, gamma, gamma, name=name)
    second = ng.op.BatchNormTraining(first.output(0), gamma, gamma, name=name)
    parsed(stablehlo.dumps(ng.Function([*second.outputs, gamma], [x], name=name), family))


@settings(max_examples=30)
@given(names=st.lists(NAMES, min_size=4, max_size=4))
def test_any_names(names: list[str]) -> None:
    x = ng.Parameter("f32", [2], name=names[0])
    y = ng.Parameter("f32", [2], name=names[1])
    total = ng.op.Add(x, ng.op.Negate(y, name=names[0]), name=names[2])
    parsed(stablehlo.dumps(ng.Function([total, x], [x, y], name=names[3])))
