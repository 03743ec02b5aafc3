"""BatchNormInference against its definition in 256-bit arithmetic."""

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
    arguments = sample.inference()
    result = ng.batch_norm_inference(*arguments, **sample.options)
    definition.inference(*arguments, **sample.options).check(result, f"{sample}: normalized")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_missing_gamma_is_1_and_missing_beta_is_0(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=7)
    input, gamma, beta, mean, variance = sample.inference()
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    for given, same_as in (
        ((None, beta), (ones, beta)),
        ((gamma, None), (gamma, zeros)),
        ((None, None), (ones, zeros)),
    ):
        result = ng.batch_norm_inference(input, *given, mean, variance)
        expected = ng.batch_norm_inference(input, *same_as, mean, variance)
        assert_same_bits(result, expected, str(sample))


def test_does_not_read_the_batch() -> None:
    """Each element is normalized by itself: a batch's parts are the parts of the batch."""
    sample = Sample((6, 3, 4, 2), seed=8)
    input, *vectors = sample.inference()
    whole = ng.batch_norm_inference(input, *vectors)
    parts = [ng.batch_norm_inference(input[i : i + 1], *vectors) for i in range(6)]
    assert_same_bits(np.concatenate(parts), whole, str(sample))


def test_identity_statistics_keep_every_number() -> None:
    """mean 0, variance 1, epsilon 0: f16's every finite number comes back, denormals and all."""
    every_pattern = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, 1)
    one, zero = np.ones(1, np.float16), np.zeros(1, np.float16)
    result = ng.batch_norm_inference(every_pattern, None, None, zero, one, epsilon=0.0)
    # -0 + 0 is +0: the missing beta is a zero that is added.
    expected = np.where(every_pattern == 0, np.float16(0), every_pattern)
    assert_same_bits(result, expected, "every f16")
