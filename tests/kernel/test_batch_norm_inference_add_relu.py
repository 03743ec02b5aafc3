"""BatchNormInferenceAddRelu against the documented arithmetic, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import canonical_order, relu
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import TYPE_PAIRS, Array
from .sample_lists import SHAPE_SAMPLES, for_each_sample
from .samples import Sample


def arguments_of(sample: Sample) -> tuple[Any, ...]:
    """The residual is as large as what it is added to."""
    input, *vectors = sample.inference()
    random = np.random.default_rng(sample.seed + 1)
    return input, *vectors, random.standard_normal(sample.shape).astype(input.dtype)


def expected_of(arguments: tuple[Any, ...], options: dict[str, Any]) -> Array:
    """The sum is made before what is normalized is rounded."""
    *others, residual = arguments
    added = canonical_order.inference(
        *others,
        epsilon=options["epsilon"],
        channel_axis=options["channel_axis"],
        residual=residual,
    )
    return relu.relu(added, options.get("upper_bound"))


@pytest.mark.parametrize("upper_bound", [None, 0.7])
@for_each_sample(SHAPE_SAMPLES)
def test_every_type_and_shape(sample: Sample, upper_bound: float | None) -> None:
    options = {**sample.options, "upper_bound": upper_bound}
    arguments = arguments_of(sample)
    result = ng.batch_norm_inference_add_relu(*arguments, **options)
    assert_same_bits(result, expected_of(arguments, options), f"{sample}, {upper_bound}")


@pytest.mark.parametrize("data_type", ["f32", "f64"])
def test_of_wide_data_it_is_the_composition(data_type: str) -> None:
    """A sum of what has been rounded to f32 or f64 is the same."""
    *arguments, residual = arguments_of(Sample((4, 3, 5), data_type, data_type, seed=151))
    normalized = ng.batch_norm_inference(*arguments)
    result = ng.batch_norm_inference_add_relu(*arguments, residual, upper_bound=0.7)
    assert_same_bits(result, relu.relu(normalized + residual, 0.7), data_type)


@pytest.mark.parametrize("implementation", ng.implementations())
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_every_layout_and_implementation(
    data_type: str, channel_type: str, implementation: str
) -> None:
    for shape in ((2, 9, 3, 5), (40, 33, 50), (70, 300)):
        sample = Sample(shape, data_type, channel_type, seed=152)
        input, *vectors, residual = arguments_of(sample)
        call = ng.batch_norm_inference_add_relu
        expected = call(input, *vectors, residual, implementation="reference")
        for name, view in arrangements(input):
            for other in (residual, channels_last(residual)):
                for num_threads in (1, 3):
                    result = call(
                        view,
                        *vectors,
                        other,
                        implementation=implementation,
                        num_threads=num_threads,
                    )
                    assert_same_bits(result, expected, f"{sample}, {name}, {num_threads} threads")


@pytest.mark.parametrize("which", [0, 5], ids=["input", "residual"])
def test_activated_may_be_exactly_a_tensor(which: int) -> None:
    arguments = list(arguments_of(Sample((8, 64, 40, 40), seed=153)))
    expected = ng.batch_norm_inference_add_relu(*arguments)
    out = arguments[which] = arguments[which].copy()
    assert ng.batch_norm_inference_add_relu(*arguments, out=out) is out
    assert_same_bits(out, expected, "in place")


def test_a_residual_that_does_not_fit_is_refused() -> None:
    *arguments, residual = arguments_of(Sample((4, 3, 5), seed=154))
    call = ng.batch_norm_inference_add_relu
    with pytest.raises(ng.NodeValidationFailure, match=r"\[C7\] the shape of residual: "):
        call(*arguments, residual[:1])
    with pytest.raises(ng.NodeValidationFailure, match=r"\[C3\] the element type of residual: "):
        call(*arguments, residual.astype(np.float64))
    with pytest.raises(TypeError, match=r"^residual: expected an array"):
        call(*arguments, None)
