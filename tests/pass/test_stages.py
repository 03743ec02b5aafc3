"""The stages of a training step in graphs: decomposed and differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import Array
from ..kernel.samples import Sample
from .family import make_case
from .test_differentiate import check_by_differences, random_deltas

COUNT = 40


def apply_with_count(sample: Sample) -> tuple[ng.Function, list[Array]]:
    """BatchNormTrainingBackpropApply on a part of a batch of COUNT elements per channel."""
    input, gamma, _, mean, variance, delta = sample.backprop()
    sums = np.random.default_rng(71).standard_normal((2, sample.channels))
    arrays = [input, gamma, mean, variance + 0.5, delta, *sums]
    parameters = [ng.Parameter(array.dtype, array.shape) for array in arrays]
    node = ng.op.BatchNormTrainingBackpropApply(*parameters, **sample.options, count=COUNT)
    return ng.Function(node.outputs, parameters), arrays


def test_count_counts_in_the_stages() -> None:
    function, arrays = apply_with_count(Sample((3, 2, 4), "f64", "f64", seed=4))
    found = ng.compile(function)(*arrays)
    for array, of_stages in zip(found, ng.compile(ng.decompose(function))(*arrays), strict=True):
        np.testing.assert_allclose(array, of_stages, rtol=1e-13, atol=1e-13)
    node: Any = function.results[0].node
    own: Any = ng.op.BatchNormTrainingBackpropApply(
        *[value.source for value in node.inputs], epsilon=node.epsilon
    )
    without = ng.compile(ng.Function(own.outputs, function.parameters))(*arrays)
    assert not np.allclose(without[0], found[0], rtol=1e-6)


def test_derivatives_with_a_count() -> None:
    check_by_differences(*apply_with_count(Sample((3, 2, 4), "f64", "f64", seed=4)))


def training_in_stages(sample: Sample) -> ng.Function:
    parameters = [
        ng.Parameter(array.dtype, array.shape, name=name)
        for name, array in sample.training()._asdict().items()
    ]
    statistics = ng.op.BatchNormStatistics(parameters[0], sample.channel_axis).outputs
    node = ng.op.BatchNormTrainingApply(*parameters, *statistics, **sample.options)
    return ng.Function([node], parameters)


@pytest.mark.parametrize(("data_type", "unit"), [("f32", 2.0**-24), ("f64", 2.0**-53)])
def test_gradients_of_the_stages_are_those_of_the_whole(data_type: str, unit: float) -> None:
    """Through the statistics back to the data: gradients of f32 are rounded between the ops."""
    sample = Sample((4, 3, 5), data_type, data_type, seed=72)
    function, arrays = training_in_stages(sample), list(sample.training())
    deltas = random_deltas(ng.compile(function)(*arrays), seed=3)
    found = ng.compile(ng.gradients(function))(*arrays, *deltas)
    forward: Any = ng.batch_norm_training(*arrays, **sample.options, statistics_type="f64")
    whole: Any = ng.batch_norm_training_backprop(
        *arrays, forward.mean, forward.variance, *deltas, **sample.options
    )
    for array, name in zip(found, whole._fields, strict=True):
        of_whole = getattr(whole, name)
        # Three gradients of the data are added, each of at most a few roundings.
        bound = 50 * unit * np.abs(of_whole).max()
        assert np.abs(array - of_whole).max() <= bound, name


def test_gradients_of_the_stages_are_derivatives() -> None:
    sample = Sample((3, 2, 4), "f64", "f64", seed=4)
    check_by_differences(training_in_stages(sample), list(sample.training()))


@pytest.mark.parametrize(("data_type", "unit"), [("f16", 2.0**-11), ("bf16", 2.0**-8)])
def test_gradients_of_16_bits_flow_through_sums_that_are_not_rounded(
    data_type: str, unit: float
) -> None:
    """Σδ is beyond f16: rounded to it, it would make every gradient of the data infinite."""
    sample = Sample((140_000, 2), data_type, data_type, seed=73)
    function, arrays = training_in_stages(sample), list(sample.training())
    delta = (0.5 + np.random.default_rng(74).normal(size=sample.shape)).astype(arrays[0].dtype)
    found = ng.compile(ng.gradients(function))(*arrays, delta)
    forward: Any = ng.batch_norm_training(*arrays, **sample.options, statistics_type="f64")
    whole: Any = ng.batch_norm_training_backprop(
        *arrays, forward.mean, forward.variance, delta, **sample.options
    )
    for index, name in ((1, "gamma_delta"), (2, "beta_delta")):
        assert_same_bits(found[index], getattr(whole, name), name)
    # Two terms and their sum are rounded, the whole op's result once; none is larger than this.
    scale = np.abs(arrays[1].astype(float)) / np.sqrt(forward.variance + sample.epsilon)
    largest = (scale * np.abs(delta.astype(float)).max(axis=0)).max()
    error = np.abs(found[0].astype(float) - whole.input_delta.astype(float)).max(axis=0)
    assert np.all(error <= 4 * unit * largest), error


@pytest.mark.parametrize("op", ["BatchNormInference", "BatchNormTrainingApply"])
@pytest.mark.parametrize("data_type", ["f16", "bf16"])
def test_gradients_of_given_statistics_are_not_those_of_rounded_sums(
    data_type: str, op: str
) -> None:
    sample = Sample((140_000, 2), data_type, data_type, seed=75, statistics_type="f64")
    case = make_case(op, sample)
    arrays = list(case.arguments.values())
    delta = np.full(sample.shape, 0.5, arrays[0].dtype)
    found = ng.compile(ng.gradients(case.function))(*arrays, delta)
    x, gamma, _, mean, variance = (array.astype(float) for array in arrays)
    scale = gamma / np.sqrt(variance + sample.epsilon)
    normed_sum = 0.5 * np.sum((x - mean) / np.sqrt(variance + sample.epsilon), axis=0)
    np.testing.assert_allclose(found[3], -scale * 70_000, rtol=1e-12)
    expected = -0.5 * scale / np.sqrt(variance + sample.epsilon) * normed_sum
    # Terms of 16-bit data are rounded to float, and added in it 16 at a time.
    bound = 18 * 2.0**-24 * np.abs(scale) / np.sqrt(variance + sample.epsilon) * 70_000
    assert np.all(np.abs(found[4] - expected) <= bound), found[4] - expected


# ---- a variance that is lost ---------------------------------------------------------------------


def lose_a_variance(arrays: dict[str, Array]) -> dict[str, Array]:
    """The same arguments with the variance of channel 1 at infinity."""
    variance = arrays["variance"].copy()
    variance[1] = np.inf
    return {**arrays, "variance": variance}


def by_channel(array: Array, sample: Sample) -> Array:
    return np.moveaxis(np.atleast_2d(array), sample.channel_axis if array.ndim > 1 else 1, 0)


@pytest.mark.parametrize("statistics_type", ["", "f32", "f64"])
@pytest.mark.parametrize("data_type", ["f16", "f32"])
def test_a_gradient_at_an_infinite_variance_is_nan(data_type: str, statistics_type: str) -> None:
    """As in the whole op: all of its channel but beta's, and no other."""
    sample = Sample((6, 3, 4), data_type, data_type, seed=76, statistics_type=statistics_type)
    case = make_case("BatchNormTrainingApply", sample)
    gradients = ng.compile(ng.gradients(case.function))
    (delta,) = random_deltas([case.arguments["input"]], seed=3)
    finite = gradients(*case.arguments.values(), delta)
    found = gradients(*lose_a_variance(dict(case.arguments)).values(), delta)
    for name, array, other in zip(case.arguments, found, finite, strict=True):
        channels, others = by_channel(array, sample), by_channel(other, sample)
        assert_same_bits(channels[[0, 2]], others[[0, 2]], name)
        if name == "beta":
            assert_same_bits(channels, others, name)
        else:
            assert np.isnan(channels[1]).all(), name


def test_a_gradient_of_inference_at_an_infinite_variance_is_0() -> None:
    """As IEEE says: the inverse deviation is."""
    case = make_case("BatchNormInference", Sample((6, 3, 4), seed=76))
    (delta,) = random_deltas([case.arguments["input"]], seed=3)
    arguments = lose_a_variance(dict(case.arguments))
    found = ng.compile(ng.gradients(case.function))(*arguments.values(), delta)
    for name, array in zip(arguments, found, strict=True):
        if name != "beta":
            assert not by_channel(array, case.sample)[1].any(), name


@pytest.mark.parametrize(
    "op",
    [
        "BatchNormTrainingBackprop",
        "BatchNormTrainingBackpropApply",
        "BatchNormTrainingReluBackprop",
        "BatchNormTrainingAddReluBackprop",
    ],
)
def test_second_derivatives_at_an_infinite_variance_are_nan(op: str) -> None:
    sample = Sample((6, 3, 4), "f64", "f64", seed=77)
    case = make_case(op, sample)
    function = ng.Function(case.function.results[:2], case.function.parameters)
    real = [p for p in function.parameters if p.friendly_name not in ("beta", "mask")]
    gradients = ng.compile(ng.gradients(function, real))
    deltas = random_deltas(case.fused()[:2], seed=3)
    finite = gradients(*case.arguments.values(), *deltas)
    found = gradients(*lose_a_variance(dict(case.arguments)).values(), *deltas)
    for parameter, array, other in zip(real, found, finite, strict=True):
        name = parameter.friendly_name
        channels, others = by_channel(array, sample), by_channel(other, sample)
        assert_same_bits(channels[[0, 2]], others[[0, 2]], name)
        lost = np.isnan(channels[1])
        # Where a mask lets nothing pass, the gradient's gradient is 0, as that of the ReLU.
        assert lost[others[1] != 0].all(), name
        assert lost.any(), name


def test_statistics_that_are_widened_are_read_by_the_gradients() -> None:
    """A variance of 2^17 is beyond f16, and so is lost unless it is read as it was."""
    x = ng.Parameter("f16", [64, 2], name="x")
    gamma, beta = (ng.Parameter("f16", [2], name=name) for name in ("gamma", "beta"))
    training = ng.op.BatchNormTraining(x, gamma, beta)
    node = ng.op.BatchNormTrainingApply(x, gamma, beta, *training.outputs[1:])
    gradients = ng.gradients(ng.Function([node], [x, gamma, beta]), [gamma])
    values = (362 * np.random.default_rng(78).normal(size=(64, 2))).astype(np.float16)
    ones, delta = np.ones(2, np.float16), values / np.float16(256)
    (found,) = ng.compile(gradients)(values, ones, ones, delta)
    whole: Any = ng.batch_norm_training(values, ones, ones)
    expected: Any = ng.batch_norm_training_backprop(
        values, ones, ones, whole.mean, whole.variance, delta
    )
    assert np.isfinite(found).all()
    assert_same_bits(found, expected.gamma_delta, "gamma_delta")


def test_a_data_type_that_follows_from_the_statistics_is_known_to_the_gradients() -> None:
    """Beside mean and variance of f16 nothing but f16 can be normalized."""
    x = ng.Parameter("dynamic", [6, 3], name="x")
    types = ["f32", "f32", "f16", "f16"]
    vectors = [ng.Parameter(type_, [3]) for type_ in types]
    node = ng.op.BatchNormTrainingApply(x, *vectors)
    gradients = ng.gradients(ng.Function([node], [x, *vectors]))
    assert [str(gradient.element_type) for gradient in gradients.results] == ["f16", *types]


# ---- element types -------------------------------------------------------------------------------


def test_types_that_are_not_known_are_refused_by_name() -> None:
    x = ng.Parameter("dynamic", [None, 3], name="x")
    node = ng.op.BatchNormStatistics(x, name="layer")
    with pytest.raises(ValueError, match=r"'layer'.*element type of its data.*got dynamic"):
        ng.decompose(ng.Function(node.outputs, [x]))


@pytest.mark.parametrize("transform", [lambda function: ng.decompose(function, None), ng.gradients])
def test_a_mean_whose_type_is_not_known_is_refused_by_name(
    transform: Callable[[ng.Function], ng.Function],
) -> None:
    """By that of the op, whose type could be wider than that of the data."""
    x, delta = (ng.Parameter("f16", [None, 3], name=name) for name in ("x", "delta"))
    mean = ng.Parameter("dynamic", [3], name="mean")
    node = ng.op.BatchNormBackpropSums(x, mean, delta, name="layer")
    expected = r"BatchNormBackpropSums 'layer'.*known element type of its mean to.*got dynamic"
    with pytest.raises(ValueError, match=expected):
        transform(ng.Function(node.outputs, [x, mean, delta]))


@pytest.mark.parametrize("op", ["BatchNormTrainingApply", "BatchNormTrainingBackpropApply"])
def test_gradients_of_statistics_of_no_known_type_are_refused_by_name(op: str) -> None:
    case = make_case(op, Sample((6, 3, 4), "f16", "f16"))
    parameters = [
        ng.Parameter("dynamic" if name in ("mean", "variance") else array.dtype, array.shape)
        for name, array in case.arguments.items()
    ]
    node: Any = getattr(ng.op, op)(*parameters, name="layer")
    expected = rf"{op} 'layer'.*element type of its mean and variance.*got dynamic"
    with pytest.raises(ValueError, match=expected):
        ng.gradients(ng.Function(node.outputs, parameters))


@pytest.mark.parametrize("data_type", ["f16", "bf16"])
def test_reductions_of_16_bits_have_no_gamma_whose_type_could_be_unknown(data_type: str) -> None:
    x, delta = (ng.Parameter(data_type, [None, 3], name=name) for name in ("x", "delta"))
    mean = ng.Parameter("f64", [3], name="mean")
    for node, inputs in (
        (ng.op.BatchNormStatistics(x), [x]),
        (ng.op.BatchNormBackpropSums(x, mean, delta), [x, mean, delta]),
    ):
        function = ng.Function(node.outputs, inputs)
        for stages in (ng.decompose(function), ng.decompose(function, None)):
            assert [str(result.element_type) for result in stages.results] == ["f64", "f64"]


def test_widened_statistics_are_those_that_sums_are_about() -> None:
    """Rounded to 16 bits between two ops, they are used as they were."""
    x, delta = (ng.Parameter("f16", [None, 3], name=name) for name in ("x", "delta"))
    gamma, beta = (ng.Parameter("f16", [3], name=name) for name in ("gamma", "beta"))
    training = ng.op.BatchNormTraining(x, gamma, beta)
    sums = ng.op.BatchNormBackpropSums(x, training.output("mean"), delta)
    function = ng.widen_statistics(ng.Function(sums.outputs, [x, gamma, beta, delta]))
    (node,) = [node for node in function.nodes if node.type_name == "BatchNormBackpropSums"]
    assert node.input("mean").element_type == ng.element.f32
