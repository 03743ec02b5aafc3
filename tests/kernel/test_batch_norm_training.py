"""BatchNormTraining against its definition in 256-bit arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from . import definition
from .comparison import assert_same_bits
from .real_types import TYPE_PAIRS
from .sample_lists import SAMPLES, for_each_sample
from .samples import DIFFICULTIES, Sample


@for_each_sample(SAMPLES)
def test_is_within_the_bound_of_the_definition(sample: Sample) -> None:
    arguments = sample.training()
    result = ng.batch_norm_training(*arguments, **sample.training_options)
    expected = definition.training(*arguments, **sample.options, statistics_type=sample.statistics)
    for name, bounded in expected.items():
        bounded.check(getattr(result, name), f"{sample}: {name}")


@pytest.mark.parametrize("missing", ["gamma", "beta", "both"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_missing_gamma_is_1_and_missing_beta_is_0(
    data_type: str, channel_type: str, missing: str
) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=7)
    input, gamma, beta = sample.training()
    if missing in ("gamma", "both"):
        gamma = np.ones_like(gamma)
    if missing in ("beta", "both"):
        beta = np.zeros_like(beta)
    expected = ng.batch_norm_training(input, gamma, beta)
    result = ng.batch_norm_training(
        input,
        None if missing in ("gamma", "both") else gamma,
        None if missing in ("beta", "both") else beta,
    )
    assert_same_bits(result.normalized, expected.normalized, f"{sample}, no {missing}")
    if missing != "both":
        assert_same_bits(result.mean, expected.mean, f"{sample}, no {missing}")
        assert_same_bits(result.variance, expected.variance, f"{sample}, no {missing}")


@pytest.mark.parametrize(
    ("data_type", "statistics_type"),
    [("f16", "f32"), ("bf16", "f32"), ("f32", "f32"), ("f64", "f64")],
)
def test_statistics_have_a_type_where_no_vector_gives_one(
    data_type: str, statistics_type: str
) -> None:
    sample = Sample((4, 3, 5), data_type, statistics_type, seed=8)
    input = sample.training().input
    result = ng.batch_norm_training(input, None, None)
    expected = definition.training(
        input, None, None, epsilon=1e-5, channel_axis=1, statistics_type=sample.statistics
    )
    for name, bounded in expected.items():
        bounded.check(getattr(result, name), f"{sample}: {name}")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("value", [3.0, -1e4, 0.1, 6e-8])
def test_constant_channel_has_variance_0_and_output_beta(
    data_type: str, channel_type: str, value: float
) -> None:
    sample = Sample((11, 3, 7, 5), data_type, channel_type, seed=9)
    _, gamma, beta = sample.training()
    assert beta is not None
    input = np.full(sample.shape, value, sample.data.dtype)
    result = ng.batch_norm_training(input, gamma, beta, statistics_type=channel_type)
    assert_same_bits(result.variance, np.zeros(3, sample.vector.dtype), f"{sample} {value}")
    assert_same_bits(
        result.mean, input[0, :, 0, 0].astype(sample.vector.dtype), f"{sample} {value}"
    )
    rows = beta.astype(np.float32 if data_type != "f64" else np.float64).astype(input.dtype)
    expected = np.broadcast_to(rows.reshape(1, 3, 1, 1), sample.shape)
    assert_same_bits(result.normalized, expected, f"{sample} {value}")


def test_shift_of_the_input_moves_the_mean_alone() -> None:
    """A shift by a multiple of the grid the values lie on is exact, and so is its effect."""
    random = np.random.default_rng(10)
    # Multiples of 1/64 up to 4, and sums of them, are exact in double, and so is 64 elements' mean.
    input = random.integers(-256, 257, (16, 3, 4)) / 64.0
    result = ng.batch_norm_training(input, None, None)
    shifted = ng.batch_norm_training(input + 1024.0, None, None)
    assert_same_bits(shifted.mean, result.mean + 1024.0, "mean")
    assert_same_bits(shifted.variance, result.variance, "variance")
    assert_same_bits(shifted.normalized, result.normalized, "normalized")


def test_statistics_that_overflow_their_type_normalize_all_the_same() -> None:
    """1e25 squared is beyond f32, but the forward pass uses the statistics it has not rounded."""
    sample = Sample((8, 3, 5), seed=11)
    input = sample.training().input
    large = np.ldexp(input, 83).astype(np.float32)  # about 1e25, an exact scaling
    result = ng.batch_norm_training(large, None, None, epsilon=0.0)
    expected = ng.batch_norm_training(input, None, None, epsilon=0.0)
    assert np.all(np.isposinf(result.variance))
    assert_same_bits(result.normalized, expected.normalized, str(sample))


def test_normalizing_with_the_rounded_statistics_is_inference() -> None:
    """Statistics that are exact in f32 make training and inference the same computation."""
    input = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 4.0], [7.0, 8.0]], np.float32)
    gamma, beta = np.array([1.5, -0.3], np.float32), np.array([0.1, 2.0], np.float32)
    normalized, mean, variance = ng.batch_norm_training(input, gamma, beta)
    assert (mean.tolist(), variance.tolist()) == ([4.0, 5.0], [5.0, 5.0])
    inferred = ng.batch_norm_inference(input, gamma, beta, mean, variance)
    assert_same_bits(inferred, normalized, "inference")


def test_every_difficulty_is_covered_in_every_type_it_names() -> None:
    covered = {(sample.difficulty, sample.data_type) for sample in SAMPLES}
    assert covered == {(d, data_type) for d in DIFFICULTIES for data_type in d.data_types}
