"""BatchNormBackpropSums against the definition, and in the order of the gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import definition, stages
from .comparison import assert_same_bits
from .layouts import arrangements
from .real_types import REAL_TYPES
from .sample_lists import SAMPLES, for_each_sample
from .samples import Sample

EVERY_TYPE = pytest.mark.parametrize("data_type", REAL_TYPES)


@for_each_sample(SAMPLES)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_is_within_the_bound_of_the_definition(sample: Sample, backend: str) -> None:
    input, _, _, mean, _, delta = sample.backprop()
    options = stages.Options(backend, channel_axis=sample.channel_axis)
    beta_delta, gmul_delta = stages.backprop_sums(input, mean, delta, options)
    one = np.ones(sample.channels)
    # With an inverse deviation of 1 the gradient of gamma is the sum of products.
    expected = definition.training_backprop(
        input, one, None, mean, 0 * one, delta, epsilon=1.0, channel_axis=sample.channel_axis
    )
    expected["beta_delta"].check(beta_delta, f"{sample}: beta_delta")
    expected["gamma_delta"].check(gmul_delta, f"{sample}: gmul_delta")


@EVERY_TYPE
def test_sums_in_one_order_in_any_arrangement_and_number_of_threads(data_type: str) -> None:
    """Of what cancels nothing is left but the order: it is the one of the gradients."""
    channel_type = "f64" if data_type == "f64" else "f32"
    sample = Sample((5, 3, 40, 4), data_type, channel_type, seed=51)
    input, gamma, beta, mean, variance, delta = sample.cancelling()
    assert not mean.any()
    assert (variance == 1).all()
    for name, arranged in arrangements(input):
        whole: Any = ng.batch_norm_training_backprop(
            arranged, gamma, beta, mean, variance, delta, epsilon=0.0
        )
        for num_threads in (1, 2, 5):
            found = stages.backprop_sums(
                arranged, mean, delta, stages.Options(num_threads=num_threads)
            )
            what = f"{sample}, {name}, {num_threads} threads"
            assert_same_bits(stages.rounded(found[0], gamma), whole.beta_delta, what)
            assert_same_bits(stages.rounded(found[1], gamma), whole.gamma_delta, what)


@pytest.mark.parametrize("mean_type", ["f16", "f32", "f64"])
def test_a_mean_of_any_type_is_used_as_given(mean_type: str) -> None:
    sample = Sample((6, 3, 5), "f16", "f16", seed=52, statistics_type=mean_type)
    input, _, _, mean, _, delta = sample.backprop()
    found = stages.backprop_sums(input, mean, delta, stages.Options())
    wide = stages.backprop_sums(input, mean.astype(np.float64), delta, stages.Options())
    for array, other in zip(found, wide, strict=True):
        assert_same_bits(array, other, str(sample))


def test_an_empty_batch_has_sums_of_0() -> None:
    empty = np.zeros((0, 3, 5), np.float32)
    for backend in ("cpu", "reference"):
        for found in stages.backprop_sums(
            empty, np.ones(3, np.float32), empty, stages.Options(backend)
        ):
            assert_same_bits(found, np.zeros(3), backend)


def test_memory_of_the_mean_is_not_written_over() -> None:
    """Both outputs are f64 vectors of C, as is a mean that this op alone reads."""
    x, delta = (ng.Parameter("f64", [None, 3], name=name) for name in ("x", "delta"))
    mean = ng.op.Negate(ng.op.Mean(x, [1]))
    node = ng.op.BatchNormBackpropSums(x, mean, delta)
    arrays = np.random.default_rng(53).normal(size=(2, 50, 3))
    found = ng.compile(ng.Function(node.outputs, [x, delta]))(*arrays)
    negative = -arrays[0].mean(axis=0)
    expected = stages.backprop_sums(arrays[0], negative, arrays[1], stages.Options())
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-12)
