"""BatchNormTrainingAddReluBackprop: that of the ReLU, and what the mask lets pass, to the bit."""

from __future__ import annotations

import functools
import tracemalloc
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .comparison import assert_outputs_select, assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import TYPE_PAIRS, Array
from .sample_lists import SAMPLES, for_each_sample
from .samples import BackpropArguments, Sample
from .test_batch_norm_training_relu import SHAPES
from .test_batch_norm_training_relu_backprop import random_bits

NAMES = ("input_delta", "gamma_delta", "beta_delta", "residual_delta")


def call(arguments: BackpropArguments, mask: Array, **options: Any) -> Any:
    *others, delta = arguments
    return ng.batch_norm_training_add_relu_backprop(*others, mask, delta, **options)


def assert_composed(
    arguments: BackpropArguments, bits: Array, options: dict[str, Any], what: str, **more: Any
) -> Any:
    mask = relu.packed(bits, options["channel_axis"])
    delta = arguments.normalized_delta.copy()
    result = call(arguments, mask, **options, **more)
    assert result._fields == NAMES
    expected = relu.backward(arguments._replace(normalized_delta=delta), bits, **options)
    passed = np.where(bits, delta, np.zeros((), delta.dtype))
    for name, value in zip(NAMES, (*expected, passed), strict=True):
        assert_same_bits(getattr(result, name), value, f"{what}: {name}")
    return result


@for_each_sample(SAMPLES)
def test_is_backprop_of_what_the_mask_lets_pass(sample: Sample) -> None:
    assert_composed(sample.backprop(), random_bits(sample.shape), sample.options, str(sample))


@pytest.mark.parametrize(("shape", "channel_axis"), SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_masks_of_every_form(
    shape: tuple[int, ...], channel_axis: int, data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, channel_axis, seed=141)
    assert_composed(sample.backprop(), random_bits(shape), sample.options, str(sample))


@pytest.mark.parametrize("shape", [(5, 3, 7), (2, 9, 3, 5)], ids=str)
def test_strides_do_not_matter(shape: tuple[int, ...]) -> None:
    sample = Sample(shape, "f32", "f32", seed=142)
    arguments, bits = sample.backprop(), random_bits(shape)
    for name, view in arrangements(arguments.normalized_delta):
        what = f"{sample}, delta {name}"
        assert_composed(arguments._replace(normalized_delta=view), bits, sample.options, what)
    for name, view in arrangements(np.zeros_like(arguments.input)):
        if view.flags.writeable:
            out = (None, None, None, view)
            what = f"{sample}, residual_delta {name}"
            result = assert_composed(arguments, bits, sample.options, what, out=out)
            assert result.residual_delta is view


def test_new_outputs_lie_as_the_input_does() -> None:
    sample = Sample((2, 3, 4, 5), seed=143)
    arguments = sample.backprop()
    last = arguments._replace(input=channels_last(arguments.input))
    result = assert_composed(last, random_bits(sample.shape), sample.options, str(sample))
    assert result.input_delta.strides == last.input.strides
    assert result.residual_delta.strides == last.input.strides


@pytest.mark.parametrize("shape", [(4, 3, 5), (8, 64, 40, 40)], ids=str)
def test_input_delta_may_be_exactly_the_gradient(shape: tuple[int, ...]) -> None:
    """The residual's gradient is read from it before."""
    sample = Sample(shape, seed=144)
    arguments = sample.backprop()
    delta = arguments.normalized_delta.copy()
    in_place = arguments._replace(normalized_delta=delta)
    bits = random_bits(shape)
    result = call(in_place, relu.packed(bits, 1), out=(delta, None, None, None))
    assert result.input_delta is delta
    expected = call(arguments, relu.packed(bits, 1))
    for name in NAMES:
        assert_same_bits(getattr(result, name), getattr(expected, name), name)


def test_the_gradient_of_the_residual_has_memory_of_its_own() -> None:
    sample = Sample((4, 3, 5), seed=145)
    arguments, mask = sample.backprop(), relu.packed(random_bits(sample.shape), 1)
    with pytest.raises(
        ValueError, match=r"^out\[3\] \(residual_delta\): .*overlaps activated_delta"
    ):
        call(arguments, mask, out=(None, None, None, arguments.normalized_delta))
    shared = np.zeros(sample.shape, np.float32)
    with pytest.raises(ValueError, match=r"^out\[3\] \(residual_delta\): .*overlaps out\[0\]"):
        call(arguments, mask, out=(shared, None, None, shared))


def test_outputs_selects() -> None:
    sample = Sample((4, 3, 5), seed=146)
    arguments, mask = sample.backprop(), relu.packed(random_bits(sample.shape), 1)
    assert_outputs_select(functools.partial(call, arguments, mask), NAMES)


def test_what_is_not_selected_takes_no_memory() -> None:
    input, vector = np.zeros((64, 4, 4096), np.float32), np.ones(4, np.float32)
    mask = np.zeros((64, 4, 512), np.uint8)
    arguments = (input, None, None, vector, vector, mask, input)
    for selected, tensors in ((["gamma_delta"], 0), (["residual_delta"], 1), (NAMES, 2)):
        tracemalloc.start()
        ng.batch_norm_training_add_relu_backprop(*arguments, outputs=selected)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert abs(peak - tensors * input.nbytes) < input.nbytes / 10


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0)], ids=str)
def test_an_empty_batch_has_empty_gradients(shape: tuple[int, ...]) -> None:
    data, vector = np.zeros(shape, np.float32), np.ones(3, np.float32)
    mask = relu.packed(np.zeros(shape, bool), 1)
    result = ng.batch_norm_training_add_relu_backprop(
        data, vector, vector, vector, vector, mask, data
    )
    assert result.input_delta.shape == result.residual_delta.shape == shape
    assert result.gamma_delta.tolist() == result.beta_delta.tolist() == [0, 0, 0]
