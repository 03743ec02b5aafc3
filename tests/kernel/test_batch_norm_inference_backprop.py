"""BatchNormInferenceBackprop against its definition in 256-bit arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from . import definition
from .comparison import assert_same_bits
from .layouts import channels_last
from .real_types import REAL_TYPES, TYPE_PAIRS, Array
from .sample_lists import SAMPLES, for_each_sample
from .samples import BackpropArguments, Sample


def frozen(sample: Sample) -> BackpropArguments:
    """Statistics near the input's, but not its own: the op's usual case."""
    foreign = sample.inference()
    return sample.backprop()._replace(mean=foreign.mean, variance=foreign.variance)


@for_each_sample(SAMPLES)
def test_is_within_the_bound_of_the_definition(sample: Sample) -> None:
    arguments = frozen(sample)
    result = ng.batch_norm_inference_backprop(*arguments, **sample.options)
    expected = definition.inference_backprop(*arguments, **sample.options)
    for name, bounded in expected.items():
        bounded.check(getattr(result, name), f"{sample}: {name}")


@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_sums_are_those_of_training_backprop(data_type: str, channel_type: str, last: bool) -> None:
    """To the bit, of sums of which nothing is left but their rounding errors."""
    sample = Sample((9, 3, 40, 5), data_type, channel_type, seed=101)
    arguments = sample.cancelling()
    if last:
        arguments = arguments._replace(input=channels_last(arguments.input))
    result = ng.batch_norm_inference_backprop(*arguments)
    expected = ng.batch_norm_training_backprop(*arguments)
    for name in ("gamma_delta", "beta_delta"):
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_missing_gamma_is_1(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=102)
    arguments = frozen(sample)
    result = ng.batch_norm_inference_backprop(*arguments._replace(gamma=None))
    expected = ng.batch_norm_inference_backprop(
        *arguments._replace(gamma=np.ones_like(arguments.mean))
    )
    for name in result._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


def test_beta_is_not_read() -> None:
    arguments = frozen(Sample((4, 3, 5), seed=103))
    expected = ng.batch_norm_inference_backprop(*arguments)
    for beta in (None, np.full(3, np.nan, np.float32)):
        result = ng.batch_norm_inference_backprop(*arguments._replace(beta=beta))
        for name in result._fields:
            assert_same_bits(getattr(result, name), getattr(expected, name), name)


def test_input_delta_does_not_read_the_rest_of_the_batch() -> None:
    """Each element has its own gradient: a batch's parts are the parts of the batch."""
    arguments = frozen(Sample((6, 3, 4, 2), seed=104))
    whole = ng.batch_norm_inference_backprop(*arguments).input_delta
    parts = [
        ng.batch_norm_inference_backprop(
            *arguments._replace(
                input=arguments.input[i : i + 1],
                normalized_delta=arguments.normalized_delta[i : i + 1],
            ),
            outputs=["input_delta"],
        ).input_delta
        for i in range(6)
    ]
    assert_same_bits(np.concatenate(parts), whole, "input_delta")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_one_element_that_is_not_finite_stays_by_itself(value: float) -> None:
    """In input_delta at its own place; in the sums of its channel."""
    arguments = frozen(Sample((5, 4, 6), seed=105))
    expected = ng.batch_norm_inference_backprop(*arguments)
    for name in ("input", "normalized_delta"):
        array = getattr(arguments, name).copy()
        array[3, 2, 1] = value
        result = ng.batch_norm_inference_backprop(*arguments._replace(**{name: array}))
        spoiled = np.zeros(array.shape, bool)
        spoiled[3, 2, 1] = name == "normalized_delta"
        assert np.array_equal(~np.isfinite(result.input_delta), spoiled), name
        assert_same_bits(result.input_delta[~spoiled], expected.input_delta[~spoiled], name)
        assert not np.isfinite(result.gamma_delta[2])
        for field in ("gamma_delta", "beta_delta"):
            others = np.array([0, 1, 3])
            assert_same_bits(
                getattr(result, field)[others], getattr(expected, field)[others], field
            )


@pytest.mark.parametrize("variance", [0.0, -1.0], ids=str)
def test_singular_variance_follows_ieee(variance: float) -> None:
    arguments = frozen(Sample((5, 3, 7), seed=106))
    singular = arguments.variance.copy()
    singular[1] = variance
    delta = arguments.normalized_delta.copy()
    delta[0, 1, 0] = 0.0
    arguments = arguments._replace(variance=singular, normalized_delta=delta)
    result = ng.batch_norm_inference_backprop(*arguments, epsilon=0.0)
    if variance < 0:
        assert np.all(np.isnan(result.input_delta[:, 1]))
        assert np.isnan(result.gamma_delta[1])
    else:
        assert np.isnan(result.input_delta[0, 1, 0])  # infinity times 0
        assert np.all(np.isinf(result.input_delta[1:, 1]))
    assert np.all(np.isfinite(result.beta_delta))
    assert np.all(np.isfinite(result.input_delta[:, [0, 2]]))


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0, 5), (0, 3, 0)], ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_empty_batch_has_empty_and_zero_gradients(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, seed=107)
    zeros = np.zeros(3, sample.vector.dtype)
    filled = (np.empty(shape, sample.data.dtype), np.ones_like(zeros), np.ones_like(zeros))
    for out in (None, filled):
        result = ng.batch_norm_inference_backprop(*sample.backprop(), out=out)
        assert_same_bits(result.input_delta, np.empty(shape, sample.data.dtype), str(sample))
        assert_same_bits(result.gamma_delta, zeros, str(sample))
        assert_same_bits(result.beta_delta, zeros, str(sample))


def test_is_the_derivative_of_inference() -> None:
    """Inference is linear in each of its arguments: a difference of any step is the derivative.

    Two roundings of a loss of 60 terms of magnitude at most 20, over steps of 1: 1e-12.
    """
    arguments = frozen(Sample((4, 3, 5), "f64", "f64", seed=108))
    delta = arguments.normalized_delta
    result = ng.batch_norm_inference_backprop(*arguments)

    def loss(**changes: Array) -> float:
        normalized = ng.batch_norm_inference(*arguments._replace(**changes)[:5])
        return float((delta * normalized).sum())

    for name in ("input", "gamma", "beta"):
        value = getattr(arguments, name)
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = 0.5
            difference = loss(**{name: value + step}) - loss(**{name: value - step})
            assert abs(difference - getattr(result, f"{name}_delta")[index]) < 1e-12, (name, index)


@pytest.mark.parametrize("data_type", REAL_TYPES)
def test_coefficient_of_one_keeps_every_number(data_type: str) -> None:
    """gamma 1, variance 1, epsilon 0: every number of f16 comes back, minus zero and all."""
    real_type = REAL_TYPES[data_type]
    patterns = np.arange(2**16, dtype=np.uint16).view(np.float16)
    delta = patterns[~np.isnan(patterns)].astype(real_type.dtype).reshape(-1, 1)
    one, zero = np.ones(1, real_type.dtype), np.zeros(1, real_type.dtype)
    result = ng.batch_norm_inference_backprop(delta, None, None, zero, one, delta, epsilon=0.0)
    assert_same_bits(result.input_delta, delta, data_type)
