"""BatchNormTrainingBackprop against its definition in 256-bit arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from . import definition
from .comparison import assert_same_bits
from .real_types import TYPE_PAIRS
from .sample_lists import SAMPLES, for_each_sample
from .samples import Sample


@for_each_sample(SAMPLES)
def test_is_within_the_bound_of_the_definition(sample: Sample) -> None:
    arguments = sample.backprop()
    result = ng.batch_norm_training_backprop(*arguments, **sample.options)
    expected = definition.training_backprop(*arguments, **sample.options)
    for name, bounded in expected.items():
        bounded.check(getattr(result, name), f"{sample}: {name}")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_statistics_are_used_as_given(data_type: str, channel_type: str) -> None:
    """Statistics of another batch: the formula holds for them, too."""
    sample = Sample((4, 3, 5), data_type, channel_type, seed=12)
    arguments = sample.backprop()
    foreign = sample.inference()
    arguments = arguments._replace(mean=foreign.mean + 1, variance=foreign.variance * 3)
    result = ng.batch_norm_training_backprop(*arguments)
    expected = definition.training_backprop(*arguments, epsilon=1e-5, channel_axis=1)
    for name, bounded in expected.items():
        bounded.check(getattr(result, name), f"{sample}: {name}")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_missing_gamma_is_1(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=13)
    arguments = sample.backprop()
    result = ng.batch_norm_training_backprop(*arguments._replace(gamma=None))
    expected = ng.batch_norm_training_backprop(
        *arguments._replace(gamma=np.ones_like(arguments.mean))
    )
    for name in result._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


def test_beta_is_not_read() -> None:
    sample = Sample((4, 3, 5), seed=14)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    for beta in (None, np.full(3, np.nan, np.float32), np.full(3, np.inf, np.float32)):
        result = ng.batch_norm_training_backprop(*arguments._replace(beta=beta))
        for name in result._fields:
            assert_same_bits(getattr(result, name), getattr(expected, name), name)


def test_channel_gradients_do_not_depend_on_gamma() -> None:
    sample = Sample((4, 3, 5), seed=15)
    arguments = sample.backprop()
    zero_gamma = np.zeros_like(arguments.mean)
    expected = ng.batch_norm_training_backprop(*arguments)
    result = ng.batch_norm_training_backprop(*arguments._replace(gamma=zero_gamma))
    assert_same_bits(result.gamma_delta, expected.gamma_delta, "gamma_delta")
    assert_same_bits(result.beta_delta, expected.beta_delta, "beta_delta")
    assert np.all(result.input_delta == 0)


def test_sums_keep_a_small_gradient_under_a_large_constant() -> None:
    """δ = 1 ± 1e-3: sums in f32 lose gamma_delta to about 3e-3 relative, sums in double keep it."""
    random = np.random.default_rng(16)
    input = random.standard_normal((64, 2, 1024)).astype(np.float32)
    delta = (1 + 1e-3 * random.standard_normal(input.shape)).astype(np.float32)
    rows = np.moveaxis(input, 1, 0).reshape(2, -1).astype(np.float64)
    mean, variance = rows.mean(axis=1).astype(np.float32), rows.var(axis=1).astype(np.float32)
    result = ng.batch_norm_training_backprop(
        input, None, None, mean, variance, delta, outputs=["gamma_delta"]
    )
    centered = rows - mean.astype(np.float64)[:, np.newaxis]
    terms = centered * np.moveaxis(delta, 1, 0).reshape(2, -1).astype(np.float64)
    inverse = 1 / np.sqrt(variance.astype(np.float64) + 1e-5)
    expected = inverse * terms.sum(axis=1)
    # One ulp of f32, and twice 1e-12 of the terms: once for the kernel, once for numpy's own sum.
    bound = np.spacing(np.abs(expected).astype(np.float32)) + 2e-12 * inverse * np.abs(terms).sum(1)
    assert np.all(np.abs(result.gamma_delta - expected) <= bound)
