"""BatchNormInferenceRelu against BatchNormInference and a ReLU, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import REAL_TYPES, TYPE_PAIRS
from .sample_lists import SAMPLES, for_each_sample
from .samples import Sample


@pytest.mark.parametrize("upper_bound", [None, 0.7])
@for_each_sample(SAMPLES)
def test_is_the_plain_op_and_a_relu(sample: Sample, upper_bound: float | None) -> None:
    arguments = sample.inference()
    result = ng.batch_norm_inference_relu(*arguments, **sample.options, upper_bound=upper_bound)
    normalized = ng.batch_norm_inference(*arguments, **sample.options)
    assert_same_bits(result, relu.relu(normalized, upper_bound), f"{sample}, {upper_bound}")


@pytest.mark.parametrize("implementation", ng.implementations())
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_every_layout_and_implementation(
    data_type: str, channel_type: str, implementation: str
) -> None:
    for shape in ((2, 9, 3, 5), (40, 33, 50), (70, 300)):
        sample = Sample(shape, data_type, channel_type, seed=141)
        input, *vectors = sample.inference()
        normalized = ng.batch_norm_inference(input, *vectors, implementation="reference")
        for bound in (None, 0.7):
            expected = relu.relu(normalized, bound)
            for name, view in arrangements(input):
                for num_threads in (1, 3):
                    result = ng.batch_norm_inference_relu(
                        view,
                        *vectors,
                        upper_bound=bound,
                        implementation=implementation,
                        num_threads=num_threads,
                    )
                    what = f"{sample}, {name}, {bound}, {num_threads} threads"
                    assert_same_bits(result, expected, what)


def test_activated_may_be_exactly_the_input() -> None:
    input, *vectors = Sample((8, 64, 40, 40), seed=142).inference()
    expected = ng.batch_norm_inference_relu(input, *vectors)
    out = channels_last(input)
    assert ng.batch_norm_inference_relu(out, *vectors, out=out) is out
    assert_same_bits(out, expected, "in place")


@pytest.mark.parametrize("name", REAL_TYPES)
def test_special_values(name: str) -> None:
    dtype = REAL_TYPES[name].dtype
    beta = np.array([np.nan, np.inf, -np.inf, -0.0, 2, 6, 7]).astype(dtype)
    zeros, ones = np.zeros(7, dtype), np.ones(7, dtype)
    input = np.zeros((1, 7, 1), dtype)
    for bound, expected in (
        (None, [np.nan, np.inf, 0, 0, 2, 6, 7]),
        (6.0, [np.nan, 6, 0, 0, 2, 6, 6]),
    ):
        result = ng.batch_norm_inference_relu(input, None, beta, zeros, ones, upper_bound=bound)
        assert_same_bits(result.ravel(), np.array(expected).astype(dtype), f"{name}, {bound}")


def test_an_empty_batch_gives_an_empty_result() -> None:
    vector = np.ones(3, np.float32)
    result = ng.batch_norm_inference_relu(np.ones((0, 3, 2), np.float32), *4 * (vector,))
    assert result.shape == (0, 3, 2)


@pytest.mark.parametrize("upper_bound", [0.0, -1.0, np.inf, np.nan, 1e-60])
def test_a_bound_that_is_none_is_refused(upper_bound: float) -> None:
    arguments = Sample((4, 3, 5), seed=143).inference()
    with pytest.raises(ng.NodeValidationFailure, match=r"\[C13\] upper_bound: "):
        ng.batch_norm_inference_relu(*arguments, upper_bound=upper_bound)
