"""Statistics of 16-bit data stay wide between the ops of a graph."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array
from .family import SIGNATURES

TYPES = ("f16", "bf16")


def layer(
    data_type: str, op: str = "BatchNormTraining", vectors: str | None = None, epsilon: float = 1e-5
) -> ng.Function:
    x = ng.Parameter(data_type, [None, 3], name="x")
    gamma, beta = (ng.Parameter(vectors or data_type, [3], name=name) for name in ("gamma", "beta"))
    node = getattr(ng.op, op)(x, gamma, beta, epsilon, name="norm")
    return ng.Function(node.outputs[:3], [x, gamma, beta])


def gradients_of_first(function: ng.Function) -> ng.Function:
    return ng.gradients(ng.Function(function.results[:1], function.parameters))


def arguments_of(data_type: str, mean: float, deviation: float) -> tuple[Array, ...]:
    random = np.random.default_rng(9)
    dtype = REAL_TYPES[data_type].dtype
    x = (mean + deviation * random.standard_normal((128, 3))).astype(dtype)
    delta = ((x.astype(np.float64) - mean) / deviation).astype(dtype)
    return x, np.ones(3, dtype), np.zeros(3, dtype), delta


def kinds(function: ng.Function) -> list[str]:
    return [node.type_name for node in function.nodes if node.type_name != "Parameter"]


@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormTrainingRelu"])
@pytest.mark.parametrize("data_type", TYPES)
def test_results_keep_their_types_and_their_bits(data_type: str, op: str) -> None:
    function = layer(data_type, op)
    wide = ng.widen_statistics(function)
    assert kinds(wide) == [op, "Convert", "Convert"]
    norm = wide.nodes[3]
    assert norm.attributes["statistics_type"] == ng.element.f32
    assert norm.friendly_name == "norm"
    assert [r.element_type for r in wide.results] == [r.element_type for r in function.results]
    arguments = arguments_of(data_type, 3, 2)[:3]
    expected = SIGNATURES[op].function(*arguments, statistics_type=data_type)
    for backend in ("cpu", "reference"):
        result = ng.compile(function, backend=backend)(*arguments)
        for index, value in enumerate(result):
            assert_same_bits(value, expected[index], f"{data_type} {op} {backend} {index}")


def test_a_bound_is_kept() -> None:
    x = ng.Parameter("bf16", [4, 3], name="x")
    vector = ng.Parameter("bf16", [3], name="vector")
    for norm in (
        ng.op.BatchNormTrainingRelu(x, vector, vector, upper_bound=6.0),
        ng.op.BatchNormTrainingAddRelu(x, vector, vector, x, upper_bound=6.0),
    ):
        wide = ng.widen_statistics(ng.Function(norm.outputs, [x, vector])).results[0].node
        assert type(wide) is type(norm)
        assert [value.source for value in wide.inputs] == [value.source for value in norm.inputs]
        assert wide.attributes == {
            "epsilon": 1e-5,
            "channel_axis": 1,
            "statistics_type": ng.element.f32,
            "upper_bound": 6.0,
        }


@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormTrainingRelu"])
@pytest.mark.parametrize(
    ("data_type", "mean", "deviation"), [("bf16", 100, 1), ("f16", 100, 1), ("f16", 0, 300)]
)
def test_gradients_have_the_bits_of_wide_statistics(
    op: str, data_type: str, mean: float, deviation: float
) -> None:
    function = gradients_of_first(layer(data_type, op, epsilon=0.01))
    wide = ng.widen_statistics(function)
    assert kinds(wide) == [op, f"{op}Backprop"]
    x, gamma, beta, delta = arguments_of(data_type, mean, deviation)
    options = {"epsilon": 0.01}
    if op == "BatchNormTraining":
        plain = ng.batch_norm_training(x, gamma, beta, **options)
        expected = ng.batch_norm_training_backprop(
            x, gamma, beta, plain.mean, plain.variance, delta, **options
        )
    else:
        relu = ng.batch_norm_training_relu(x, gamma, beta, **options)
        expected = ng.batch_norm_training_relu_backprop(
            x, gamma, beta, relu.mean, relu.variance, relu.mask, delta, **options
        )
    for backend in ("cpu", "reference"):
        result = ng.compile(function, backend=backend)(x, gamma, beta, delta)
        for found, bits in zip(result, expected, strict=True):
            assert_same_bits(found, bits, f"{data_type} {op} {backend}")


@pytest.mark.parametrize(("data_type", "mean"), [("bf16", 100), ("f16", 100)])
def test_gradients_are_near_those_of_the_decomposition(data_type: str, mean: float) -> None:
    function = gradients_of_first(layer(data_type))
    arguments = arguments_of(data_type, mean, 1)
    fused = ng.compile(function)(*arguments)[1].astype(np.float64)
    decomposed = ng.compile(ng.decompose(function))(*arguments)[1].astype(np.float64)
    assert np.allclose(fused, decomposed, rtol=0.005, atol=0)


def test_decomposition_of_a_variance_beyond_f16_keeps_the_gradient() -> None:
    function = gradients_of_first(layer("f16"))
    arguments = arguments_of("f16", 0, 300)
    fused = ng.compile(function)(*arguments)[1].astype(np.float64)
    assert np.all(fused > 100)
    decomposed = ng.compile(ng.decompose(function))(*arguments)[1].astype(np.float64)
    assert np.allclose(fused, decomposed, rtol=0.005, atol=0)


def test_statistics_that_both_ends_read() -> None:
    """Results and gradients: the conversion serves the results alone."""
    forward = layer("bf16")
    backward = gradients_of_first(forward)
    both = ng.Function([*forward.results, *backward.results], backward.parameters)
    wide = ng.widen_statistics(both)
    assert sorted(kinds(wide)) == [
        "BatchNormTraining",
        "BatchNormTrainingBackprop",
        "Convert",
        "Convert",
    ]
    backprop = next(n for n in wide.nodes if n.type_name == "BatchNormTrainingBackprop")
    assert backprop.input("mean").element_type == ng.element.f32


def test_one_statistic_alone_is_read_as_it_was() -> None:
    """Mean and variance share a type: a mean that comes from elsewhere keeps both narrow."""
    function = layer("bf16")
    norm = function.results[0].node
    mean, delta = ng.Parameter("bf16", [3], name="m"), ng.Parameter("bf16", [None, 3], name="d")
    x, gamma, beta = function.parameters
    backprop = ng.op.BatchNormTrainingBackprop(x, gamma, beta, mean, norm.output("variance"), delta)
    wide = ng.widen_statistics(ng.Function(backprop.outputs, [x, gamma, beta, mean, delta]))
    read = next(n for n in wide.nodes if n.type_name == "BatchNormTrainingBackprop")
    assert read.input("variance").element_type == ng.element.bf16


@pytest.mark.parametrize(
    ("data_type", "vectors"), [("f32", None), ("f64", None), ("bf16", "f32"), ("dynamic", "f32")]
)
def test_other_functions_stay_as_they_are(data_type: str, vectors: str | None) -> None:
    function = layer(data_type, vectors=vectors)
    wide = ng.widen_statistics(function)
    assert list(wide.nodes) == list(function.nodes)


def test_a_conversion_of_the_users_stays() -> None:
    """Rounding that is asked for is not undone."""
    x, gamma, beta = layer("bf16").parameters
    norm = ng.op.BatchNormTraining(x, gamma, beta, statistics_type="f32")
    mean, variance = (ng.op.Convert(norm.output(name), "bf16") for name in ("mean", "variance"))
    inferred = ng.op.BatchNormInference(x, gamma, beta, mean, variance)
    function = ng.Function([inferred], [x, gamma, beta])
    assert list(ng.widen_statistics(function).nodes) == list(function.nodes)


def test_a_conversion_to_a_wide_type_reads_the_wide_statistics() -> None:
    function = layer("bf16")
    norm = function.results[0].node
    wide_mean = ng.op.Convert(norm.output("mean"), "f64")
    narrow = ng.op.Convert(norm.output("mean"), "f16")
    wide = ng.widen_statistics(ng.Function([wide_mean, narrow], function.parameters))
    assert wide.results[0].node.input("value").element_type == ng.element.f32
    assert wide.results[1].node.input("value").element_type == ng.element.bf16


@pytest.mark.parametrize(("mean", "deviation"), [(0, 300), (100, 1)])
def test_second_derivatives_read_the_wide_statistics(mean: float, deviation: float) -> None:
    """Stages of the backward op's gradient convert the statistics; beside the graph in f64."""
    found, expected = [], []
    *arguments, delta = arguments_of("f16", mean, deviation)
    for data_type, results in (("f16", found), ("f64", expected)):
        first = gradients_of_first(layer(data_type))
        second = ng.gradients(ng.Function(first.results[:1], first.parameters))
        dtype = REAL_TYPES[data_type].dtype
        weights = np.ones_like(delta)
        weights[::3] = 2
        values = [v.astype(dtype) for v in (*arguments, delta, weights)]
        results += [np.asarray(v, np.float64) for v in ng.compile(second)(*values)]
    for value, exact in zip(found, expected, strict=True):
        scale = np.abs(exact).max()
        assert np.abs(value - exact).max() <= 0.01 * scale + 8 * 2.0**-24


def test_gradients_through_inference_at_the_statistics_of_the_batch() -> None:
    x, gamma, beta = layer("f16").parameters
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    y = ng.op.BatchNormInference(x, gamma, beta, norm.output("mean"), norm.output("variance"))
    *arguments, _ = arguments_of("f16", 0, 300)
    delta = np.random.default_rng(10).standard_normal((128, 3)).astype(np.float16)
    dx = ng.compile(ng.gradients(ng.Function([y], [x, gamma, beta])))(*arguments, delta)[0]
    whole = ng.compile(gradients_of_first(layer("f16")))(*arguments, delta)[0]
    scale = float(np.abs(whole.astype(np.float64)).max())
    assert np.allclose(
        dx.astype(np.float64), whole.astype(np.float64), rtol=0.01, atol=0.01 * scale
    )


def test_types_that_follow_from_the_statistics_stay() -> None:
    """Where nothing else tells the type of the data, f32 would tell less."""
    unknown = [ng.Parameter("dynamic", shape) for shape in ([None, 3], [3], [3])]
    norm = ng.op.BatchNormTraining(*unknown, statistics_type="f16")
    function = ng.Function(norm.outputs, unknown)
    assert list(ng.widen_statistics(function).nodes) == list(function.nodes)
    of_batch = layer("f16")
    statistics = [of_batch.results[0].node.output(name) for name in ("mean", "variance")]
    others = [ng.Parameter("dynamic", shape) for shape in ([None, 3], [3], [3])]
    inferred = ng.op.BatchNormInference(*others, *statistics)
    function = ng.Function([inferred], [*of_batch.parameters, *others])
    wide = ng.widen_statistics(function)
    assert wide.results[0].element_type == function.results[0].element_type == ng.element.f16


def test_narrow_decompositions_round_as_before() -> None:
    function = layer("bf16")
    stages = ng.decompose(function, compute_type=None)
    types = {output.element_type for node in stages.nodes for output in node.outputs}
    assert ng.element.f32 not in types
