"""ONNX: the checker takes what is written, and onnxruntime computes what normgraph does.

How near is in agreement.py: the bounds of error of the ops themselves. BatchNormalization computes
in the type of its input, f32 for 16 bits; its bounds are those of the stages in that type, for sums
in that type as well.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normgraph as ng
from normgraph.formats.onnx import save, to_model

from ..formats.functions import NAMES, constants
from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, TYPE_PAIRS, Array
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
    make_dynamic,
    network,
)
from .ort import run, run_reference

pytestmark = pytest.mark.interop
onnx = pytest.importorskip("onnx")

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")

LAYOUTS = [(shape, axis) for rank, shape in RANKS.items() for axis in channel_axes(rank)]
LAYOUTS.append(((3, 4, 2), 0))
NATIVE = ("BatchNormTraining", "BatchNormInference")
EXACT = dataclasses.replace(STANDARD, epsilon=2.0**-17)


def check(function: ng.Function, arguments: list[Array], **options: Any) -> None:
    check_agreement(run(to_model(function, **options), arguments), function, arguments)


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("primitive", PRIMITIVES, ids=str)
def test_primitive_ops(primitive: Primitive, element_type: str) -> None:
    function, arguments = primitive.function(element_type), primitive.arguments(element_type)
    # onnxruntime does not repeat an axis of length 1 to length 0.
    is_empty = primitive.op in ("Broadcast", "MeanBackprop") and 0 in arguments[1].shape
    for _ in range(2):
        model = to_model(function)
        results = run_reference(model, arguments) if is_empty else run(model, arguments)
        check_agreement(results, function, arguments)
        make_dynamic(function)


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("length", [0, None])
def test_means_and_sums_of_nothing_and_negative_zeros(
    element_type: str, length: int | None
) -> None:
    x = ng.Parameter(element_type, [length, 2])
    y = ng.Parameter(element_type, [2])
    # Not the sum of −0, which onnxruntime starts from the first element.
    function = ng.Function([ng.op.Mean(x, [1]), ng.op.Sum(x, [1]), ng.op.Negate(y)], [x, y])
    dtype = REAL_TYPES[element_type].dtype
    arguments = [np.zeros((0, 2), dtype), np.array([-0.0, 0.0], dtype)]
    check_same_bits(function, arguments)


def check_same_bits(function: ng.Function, arguments: list[Array]) -> None:
    results = run(to_model(function), arguments)
    for actual, expected in zip(results, ng.compile(function)(*arguments), strict=True):
        assert_same_bits(actual, expected, str(function))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((0, 3), 1),
        ((2, 3, 0), 1),
        *[(shape, axis) for shape in ((2, 9, 1), (2, 3, 8), (1, 2, 17)) for axis in (0, 1, -1)],
        ((3, 16), -1),
    ],
)
@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize("upper_bound", [None, 1.0])
def test_masks(
    shape: tuple[int, ...], axis: int, is_dynamic: bool, upper_bound: float | None
) -> None:
    """Rows of no elements, of whole bytes and of others; a NaN passes."""
    x, delta = (ng.Parameter("f32", shape) for _ in range(2))
    mask = ng.op.ReluMask(x, axis, upper_bound)
    function = ng.Function([mask, ng.op.ReluMaskSelect(delta, mask, axis)], [x, delta])
    if is_dynamic:
        make_dynamic(function)
    random = np.random.default_rng(6)
    values = random.choice(np.float32([0, -0.0, 0.5, 1, np.nan]), shape)
    check_same_bits(function, [values, random.standard_normal(shape).astype(np.float32)])


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
@pytest.mark.parametrize(
    ("data_type", "channel_type", "statistics_type"),
    [*((*pair, "") for pair in TYPE_PAIRS), ("f32", "f32", "f64"), ("bf16", "bf16", "f32")],
)
@pytest.mark.parametrize("op", NATIVE)
def test_batch_normalization(
    op: str,
    data_type: str,
    channel_type: str,
    statistics_type: str,
    shape: tuple[int, ...],
    axis: int,
    is_dynamic: bool,
) -> None:
    sample = Sample(shape, data_type, channel_type, axis, EXACT, statistics_type=statistics_type)
    case = family.make_case(op, sample)
    if is_dynamic:
        make_dynamic(case.function)
    model = to_model(case.function)
    assert [node.op_type for node in model.graph.node].count("BatchNormalization") == 1
    arguments = list(case.arguments.values())
    check_native(run(model, arguments), case, arguments)


def native_bounds(case: Any, arguments: list[Array]) -> list[Array]:
    wide = "f64" if case.sample.data_type == "f64" else "f32"
    return bounds_in_own_type(case.function, arguments, wide, 40.0)


def check_native(results: list[Array], case: Any, arguments: list[Array]) -> None:
    """Within the bounds of stages in f32, or f64, for sums of up to 40 terms in it."""
    allowed = native_bounds(case, arguments)
    for actual, expected, error in zip(results, case.fused(), allowed, strict=False):
        assert actual.dtype == expected.dtype
        check_within(actual, expected, error, str(case.sample))


@pytest.mark.parametrize("element_type", ["f32", "f64"])
@pytest.mark.parametrize("op", family.OPS[:4])
def test_the_reference_of_onnx(op: str, element_type: str) -> None:
    case = family.make_case(op, Sample((4, 3, 5), element_type, element_type, -1, EXACT))
    model = to_model(case.function)
    arguments = list(case.arguments.values())
    check_native(run_reference(model, arguments), case, arguments)


@pytest.mark.parametrize("momentum", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("reads_statistics", [False, True])
def test_running_statistics(
    momentum: float, data_type: str, channel_type: str, reads_statistics: bool
) -> None:
    """As update_running_statistics computes them with the biased variance."""
    sample = Sample((6, 3, 4), data_type, channel_type, -2, EXACT)
    case = family.make_case("BatchNormTraining", sample)
    dtype = REAL_TYPES[channel_type].dtype
    running = [np.array([0.5, -1, 2], dtype), np.array([1, 2, 0.5], dtype)]
    outputs = case.function.results if reads_statistics else case.function.results[:1]
    model = to_model(ng.Function(outputs, case.function.parameters), momentum=momentum)
    names = [value.name for value in [*model.graph.input, *model.graph.output]]
    assert [name.rpartition(".")[2] for name in names if "running" in name] == [
        "running_mean",
        "running_variance",
        "new_running_mean",
        "new_running_variance",
    ]
    arguments = list(case.arguments.values())
    results = run(model, [*arguments, *running])
    check_native(results[: len(outputs)], case, arguments)
    fused = case.fused()
    expected = ng.update_running_statistics(
        running, fused[1:], n=24, momentum=momentum, unbiased=False
    )
    allowed = native_bounds(case, arguments)[1:]
    unit = float(REAL_TYPES[channel_type].unit_roundoff) + 4 * 2.0**-24 * (data_type != "f64")
    for actual, update, error in zip(results[-2:], expected, allowed, strict=True):
        assert actual.dtype == update.dtype
        more = 4 * unit * (np.abs(update.astype(np.float64)) + 4)
        check_within(actual, update, error + more, str(sample))


def test_statistics_of_f64_are_those_of_sums_in_f64() -> None:
    sample = Sample((4, 3, 5), "f32", "f32", 1, EXACT, statistics_type="f64")
    case = family.make_case("BatchNormTraining", sample)
    arguments = list(case.arguments.values())
    statistics = run(to_model(case.function), arguments)[1:]
    allowed = bounds_in_own_type(case.function, arguments, "f64", 40.0)[1:]
    for actual, expected, error in zip(statistics, case.fused()[1:], allowed, strict=True):
        check_within(actual, expected, error, str(sample))


@pytest.mark.parametrize("upper_bound", [None, 0.7])
@pytest.mark.parametrize(
    "op",
    [
        "BatchNormTrainingRelu",
        "BatchNormTrainingAddRelu",
        "BatchNormInferenceRelu",
        "BatchNormInferenceAddRelu",
    ],
)
def test_a_relu_in_the_op(op: str, upper_bound: float | None) -> None:
    case = family.make_case(op, Sample((4, 3, 5)))
    node = getattr(ng.op, op)(*case.function.parameters, upper_bound=upper_bound)
    function = ng.Function(node.outputs, case.function.parameters)
    model = to_model(function)
    assert "BatchNormalization" in [node.op_type for node in model.graph.node]
    arguments = list(case.arguments.values())
    for actual, expected in zip(
        run(model, arguments), ng.compile(function)(*arguments), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data_type", ["f32", "f64"])
def test_norms_that_train_side_by_side_keep_their_own_statistics(data_type: str) -> None:
    """onnxruntime makes one value of equal ones, and writes new statistics over old ones."""
    x, y = (ng.Parameter(data_type, [4, 3], name=name) for name in "xy")
    vectors = [ng.Parameter(data_type, [3], name=name) for name in ("gamma", "beta")]
    first, second = (ng.op.BatchNormTraining(value, *vectors) for value in (x, y))
    differences = [ng.op.Subtract(first.output(i), second.output(i)) for i in range(3)]
    function = ng.Function(differences, [x, y, *vectors])
    random = np.random.default_rng(21)
    dtype = np.dtype("f4" if data_type == "f32" else "f8")
    data = [(random.standard_normal((4, 3)) * scale).astype(dtype) for scale in (1, 3)]
    arguments = [data[0], data[1] + 5, np.ones(3, dtype), np.zeros(3, dtype)]
    check_like_the_kernels(function, arguments)


@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormTrainingAddRelu"])
def test_gradients_in_f64_are_those_of_the_kernels(op: str) -> None:
    case = family.make_case(op, Sample((6, 3, 4), "f64", "f64"))
    results = [value for value in case.function.results if value.element_type == ng.element.f64]
    function = ng.Function(results, case.function.parameters)
    step = ng.gradients(function)
    deltas = ng.compile(function)(*case.arguments.values())
    check_like_the_kernels(step, [*case.arguments.values(), *deltas])


def check_like_the_kernels(function: ng.Function, arguments: list[Array]) -> None:
    expected = ng.compile(function)(*arguments)
    for actual, wanted in zip(run(to_model(function), arguments), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


def test_a_sum_with_a_residual_is_rounded_once() -> None:
    """70000 is beyond f16, and what a residual leaves of it is not."""
    x, residual = (ng.Parameter("f16", [1, 1], name=name) for name in ("x", "residual"))
    vectors = [ng.Parameter("f32", [1]) for _ in range(4)]
    node = ng.op.BatchNormInferenceAddRelu(x, *vectors, residual, epsilon=0)
    function = ng.Function([node], [x, *vectors, residual])
    numbers = (np.array([value], np.float32) for value in (1, 70000, 0, 1))
    (actual,) = run(
        to_model(function), [np.zeros((1, 1), "f2"), *numbers, np.full((1, 1), -60000, "f2")]
    )
    assert actual.tolist() == [[10000.0]]


@pytest.mark.parametrize("upper_bound", [0.9003906250000001, 0.9])
def test_bounds_of_bf16_are_rounded_once(upper_bound: float) -> None:
    x = ng.Parameter("f32", [3], name="x")
    short = ng.op.Convert(x, "bf16")
    activated = ng.op.Convert(ng.op.Relu(short, upper_bound), "f32")
    function = ng.Function([activated], [x])
    arguments = [np.array([0.5, 1, 2], np.float32)]
    check_like_the_kernels(function, arguments)


@pytest.mark.parametrize("element_type", ["f32", "bf16"])
@pytest.mark.parametrize("is_dynamic", [False, True])
@settings(max_examples=25)
@given(data=st.data(), size=st.integers(1, 14))
def test_random_graphs_are_models(
    element_type: str, is_dynamic: bool, data: st.DataObject, size: int
) -> None:
    """And run: what they compute may be NaN, so that only types and shapes are looked at."""
    graph = Graph(element_type, data.draw, is_dynamic)
    for _ in range(size):
        graph.add()
    function = ng.Function(graph.results(), graph.parameters)
    model = to_model(function)
    arguments = random_arrays(function, element_type, size)
    with np.errstate(all="ignore"):
        expected = ng.compile(function)(*arguments)
    for actual, result in zip(run(model, arguments), expected, strict=True):
        assert (actual.dtype, actual.shape) == (result.dtype, result.shape)


@settings(max_examples=60)
@given(constant=constants())
def test_constants_to_the_bit(constant: ng.Constant) -> None:
    model = to_model(ng.Function([constant, constant], []))
    onnx.checker.check_model(model, full_check=True)
    (initializer,) = model.graph.initializer
    assert tuple(initializer.dims) == constant.shape
    assert initializer.raw_data == constant.attributes["data"]
    for result in run(model, []):
        assert result.tobytes() == constant.attributes["data"]


@settings(max_examples=30)
@given(names=st.lists(NAMES, min_size=4, max_size=4))
def test_any_names(names: list[str]) -> None:
    x = ng.Parameter("f32", [2], name=names[0])
    y = ng.Parameter("f32", [2], name=names[1])
    total = ng.op.Add(x, ng.op.Negate(y, name=names[0]), name=names[2])
    function = ng.Function([total, x, total], [x, y], name=names[3])
    check(function, [np.float32([1, 2]), np.float32([3, 5])])


@pytest.mark.parametrize("momentum", [None, 0.5])
@settings(max_examples=40)
@given(names=st.lists(NAMES, min_size=6, max_size=6))
def test_any_names_of_layers_constants_and_statistics(
    names: list[str], momentum: float | None
) -> None:
    x = ng.Parameter("f32", [None, 2], name=names[0])
    gamma, beta = (ng.Constant([1.0, 2.0], "f32", name=name) for name in names[1:3])
    first = ng.op.BatchNormTraining(x, gamma, beta, name=names[3])
    second = ng.op.BatchNormTrainingRelu(first.output(0), gamma, gamma, name=names[4])
    function = ng.Function([second.output(0), first.output("mean")], [x], name=names[5])
    model = to_model(function, momentum=momentum)
    arrays = [
        np.float32([[1, 2], [3, 5]]),
        *[np.ones(2, np.float32)] * (len(model.graph.input) - 1),
    ]
    results = run(model, arrays)
    for actual, expected in zip(results, ng.compile(function)(arrays[0]), strict=False):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        *("a\nb", "\r\n", "\0", "\u2028", " ", "", ":0", "/", "//", "a//b/", "^x", "{", "%s", "\\"),
        *("value", "value_1", "constant", "x", "x_0", "unk__0", "y", "Identity", "\U0001f600" * 50),
        "n" * 10_000,
    ],
)
def test_names_that_others_give_a_meaning(name: str) -> None:
    x = ng.Parameter("f32", [None, 2], name="x")
    scale = ng.Constant([1.0, 2.0], "f32", name=name or None)
    scaled = ng.op.Multiply(x, ng.op.Broadcast(scale, x, [1]), name=name or None)
    function = ng.Function([scaled, ng.op.Mean(scaled, [1], name="y")], [x], name=name or None)
    rows = np.float32([[1, 2], [3, 5]])
    model = to_model(function)
    for actual, expected in zip(run(model, [rows]), ng.compile(function)(rows), strict=True):
        assert_same_bits(actual, expected, name)
    assert all("\n" not in node.name for node in model.graph.node)


def test_weights_keep_their_names() -> None:
    x = ng.Parameter("f32", [4, 2], name="x")
    gamma, beta = (ng.Constant([1.0, 2.0], "f32", name=f"bn.{name}") for name in ("weight", "bias"))
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    model = to_model(ng.Function([norm.output(0)], [x]))
    assert {"bn.weight", "bn.bias"} <= {item.name for item in model.graph.initializer}
    (node,) = (node for node in model.graph.node if node.op_type == "BatchNormalization")
    assert list(node.input[1:3]) == ["bn.weight", "bn.bias"]


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize("form", ["stages", "native"])
@pytest.mark.parametrize("op", family.OPS)
def test_an_empty_batch_gives_what_the_stages_give(op: str, form: Any, is_dynamic: bool) -> None:
    """NaN for the statistics that the fused op refuses to make."""
    case = family.make_case(op, Sample((0, 3), "f32", "f32"))
    if is_dynamic:
        make_dynamic(case.function)
    arguments = list(case.arguments.values())
    stages = ng.compile(ng.decompose(case.function))(*arguments)
    results = run(to_model(case.function, family=form), arguments)
    for actual, expected in zip(results, stages, strict=True):
        assert_same_bits(actual, expected, op)


def test_a_file_holds_the_model(tmp_path: Path) -> None:
    function, _ = network(rows=None)
    save(function, tmp_path / "network.onnx")
    assert onnx.load(tmp_path / "network.onnx") == to_model(function)


def test_gradients_of_f16_data_beyond_its_variance() -> None:
    """Statistics stay in f32 between the stages, as they do in a compiled graph."""
    x = ng.Parameter("f16", [256, 3], name="x")
    gamma, beta = (ng.Parameter("f16", [3], name=name) for name in ("gamma", "beta"))
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    function = ng.gradients(ng.Function([norm.output("normalized")], [x, gamma, beta]))
    values = np.random.default_rng(0).standard_normal((256, 3))
    ones, zeros = np.ones(3, np.float16), np.zeros(3, np.float16)
    arguments: list[Array] = [(300 * values).astype(np.float16), ones, zeros]
    arguments.append(values.astype(np.float16))
    expected = ng.compile(function)(*arguments)[1].astype(np.float64)
    found = run(to_model(function), arguments)[1].astype(np.float64)
    assert np.all(expected > 100)
    assert np.allclose(found, expected, rtol=0.005, atol=0)
