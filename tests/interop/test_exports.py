"""Functions in every format for other programs: these compute what normgraph does.

How near is in agreement.py. XLA treats denormals as 0, so that there are none among the arguments.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import onnx, stablehlo

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, TYPE_PAIRS, Array
from ..kernel.samples import Sample
from .agreement import RANKS, channel_axes, check_agreement, make_dynamic, network, special

pytestmark = pytest.mark.interop

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")
masked: Any = importlib.import_module("tests.pass.masked")

LAYOUTS = [(shape, axis) for rank, shape in RANKS.items() for axis in channel_axes(rank)]
LAYOUTS.append(((3, 4, 2), 0))


class Exporter(NamedTuple):
    """Writes a function as stages, and has another program run what is written."""

    run: Callable[[ng.Function, list[Array]], list[Array]]
    takes_unknown_lengths: bool

    def check(self, function: ng.Function, arguments: list[Array]) -> None:
        check_agreement(self.run(function, arguments), function, arguments)

    def check_same_bits(self, function: ng.Function, arguments: list[Array]) -> None:
        results = self.run(function, arguments)
        for actual, expected in zip(results, ng.compile(function)(*arguments), strict=True):
            assert_same_bits(actual, expected, str(function))


@pytest.fixture(params=["onnx", "stablehlo"])
def exporter(request: pytest.FixtureRequest) -> Exporter:
    # Each needs packages that may not be there; its tests are skipped then.
    if request.param == "onnx":
        from . import ort

        return Exporter(lambda f, arrays: ort.run(onnx.to_model(f, "stages"), arrays), True)
    from . import xla

    return Exporter(lambda f, arrays: xla.run(stablehlo.dumps(f), arrays), False)


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("upper_bound", [None, 1.0, 0.7])
@pytest.mark.parametrize("op", ["Relu", "ReluBackprop"])
def test_relu_keeps_nan_and_makes_positive_zeros(
    exporter: Exporter, op: str, element_type: str, upper_bound: float | None
) -> None:
    values = special(element_type)
    arguments = [values, values[::-1].copy()][: 1 if op == "Relu" else 2]
    parameters = [ng.Parameter(element_type, values.shape) for _ in arguments]
    function = ng.Function([getattr(ng.op, op)(*parameters, upper_bound)], parameters)
    exporter.check_same_bits(function, arguments)


@pytest.mark.parametrize("to", REAL_TYPES)
@pytest.mark.parametrize("element_type", [*REAL_TYPES, "boolean", "i8", "u8", "i64", "u32"])
def test_conversions(exporter: Exporter, element_type: str, to: str) -> None:
    if element_type in REAL_TYPES:
        values = special(element_type)
    else:
        values = np.array([0, 1, 1, 0, 77, 127]).astype(ng.element.Type(element_type).dtype)
    parameter = ng.Parameter(element_type, values.shape)
    function = ng.Function([ng.op.Convert(parameter, to)], [parameter])
    exporter.check_same_bits(function, [values])


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("of_where", [(2, 5), (2, 1), (1, 5), (1, 1)])
def test_selections(exporter: Exporter, of_where: tuple[int, int], element_type: str) -> None:
    values = special(element_type).reshape(2, 5)
    where = np.random.default_rng(5).random(of_where) < 0.5
    parameters = [ng.Parameter(element_type, (2, 5)), ng.Parameter("boolean", of_where)]
    function = ng.Function([ng.op.SelectWhere(*parameters)], parameters)
    for mask in (where, ~where):
        (actual,) = exporter.run(function, [values, mask])
        (expected,) = ng.compile(function)(values, mask)
        assert actual.dtype == expected.dtype
        # onnxruntime's Where adds what it has selected of both, so that -0 becomes 0.
        np.testing.assert_array_equal(actual.astype(float), expected.astype(float))


def check_static_and_dynamic(
    exporter: Exporter, function: ng.Function, arguments: list[Array]
) -> None:
    exporter.check(function, arguments)
    if exporter.takes_unknown_lengths:
        make_dynamic(function)
        exporter.check(function, arguments)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("op", [*family.OPS, *family.STAGE_OPS])
def test_the_family_as_stages(
    exporter: Exporter,
    op: str,
    data_type: str,
    channel_type: str,
    shape: tuple[int, ...],
    axis: int,
) -> None:
    """With the masks of the fused ops, whose bits are the same."""
    case = family.make_case(op, Sample(shape, data_type, channel_type, axis))
    check_static_and_dynamic(exporter, case.function, list(case.arguments.values()))


@pytest.mark.parametrize(("shape", "axis"), masked.LAYOUTS)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("op", masked.OPS)
def test_masked_batches(
    exporter: Exporter,
    op: str,
    data_type: str,
    channel_type: str,
    shape: tuple[int, ...],
    axis: int,
) -> None:
    case = masked.make_masked_case(op, Sample(shape, data_type, channel_type, axis))
    check_static_and_dynamic(exporter, case.function, list(case.arguments.values()))


@pytest.mark.parametrize("op", masked.OPS)
def test_nan_in_the_padding_stays_there(exporter: Exporter, op: str) -> None:
    sample = Sample((5, 3, 7), "f64", "f64")
    clean, dirty = (masked.make_masked_case(op, sample, padding=value) for value in (0, np.nan))
    expected, actual = (
        exporter.run(case.function, list(case.arguments.values())) for case in (clean, dirty)
    )
    for index, (left, right) in enumerate(zip(actual, expected, strict=True)):
        if left.dtype != np.uint8:  # bits of what is normalized, of all positions
            is_normalized = op in masked.FORWARD and index == 0
            counts = clean.counts if is_normalized else np.ones(left.shape, bool)
            np.testing.assert_array_equal(left[counts], right[counts], err_msg=f"{op} {index}")


def test_second_derivatives_of_masked_batches(exporter: Exporter) -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((5, 3, 7), "f64", "f64"))
    first = ng.gradients(case.function, case.function.parameters[:-1])
    twice = ng.gradients(first, case.function.parameters[:-1])
    random = np.random.default_rng(4)
    shapes = [parameter.partial_shape.to_python() for parameter in twice.parameters]
    deltas = [random.standard_normal(shape) for shape in shapes[len(case.arguments) :]]
    exporter.check(twice, [*case.arguments.values(), *deltas])


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("rows", [5, None])
def test_a_network_and_its_gradients(
    exporter: Exporter, element_type: str, rows: int | None
) -> None:
    if rows is None and not exporter.takes_unknown_lengths:
        pytest.skip("programs of StableHLO have static shapes")
    function, arguments = network(element_type, rows)
    exporter.check(function, arguments)
    deltas = [array * array.dtype.type(0.5) for array in ng.compile(function)(*arguments)]
    exporter.check(ng.gradients(function), [*arguments, *deltas])


def test_second_derivatives(exporter: Exporter) -> None:
    function, arguments = network("f64")
    twice = ng.gradients(ng.gradients(function))
    random = np.random.default_rng(4)
    shapes = [parameter.partial_shape.to_python() for parameter in twice.parameters]
    deltas = [random.standard_normal(shape) for shape in shapes[len(arguments) :]]
    exporter.check(twice, [*arguments, *deltas])
