"""The stages of a training step in graphs: decomposed and differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..kernel.real_types import Array
from ..kernel.samples import Sample
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


def test_types_that_are_not_known_are_refused_by_name() -> None:
    x = ng.Parameter("dynamic", [None, 3], name="x")
    node = ng.op.BatchNormStatistics(x, name="layer")
    with pytest.raises(ValueError, match=r"'layer'.*element type of its data.*got dynamic"):
        ng.decompose(ng.Function(node.outputs, [x]))


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
