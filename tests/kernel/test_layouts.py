"""Bits do not depend on strides or alignment within a layout class; outputs follow the input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import normgraph as ng

from .canonical_order import is_channels_last
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last, misaligned, sliced
from .real_types import TYPE_PAIRS, Array
from .samples import Sample

# Enough elements per channel, of enough different sizes, for another order to show.
SHAPES = ((19, 5, 23), (5, 3, 6, 7))


def contiguous_of_class(values: Array, last: bool) -> Array:
    """The plain member of a layout class, for channel axis 1."""
    return channels_last(values) if last else np.ascontiguousarray(values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_forward_bits_are_those_of_the_contiguous_array(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, seed=30)
    _, gamma, beta = sample.training()
    classes = set()
    # Deltas that cancel, as the input: their mean is a rounding error that shows the order.
    input = sample.cancelling().normalized_delta
    for name, view in arrangements(input):
        last = is_channels_last(view, 1)
        classes.add(last)
        expected = ng.batch_norm_training(contiguous_of_class(input, last), gamma, beta)
        result = ng.batch_norm_training(view, gamma, beta)
        for field in result._fields:
            assert_same_bits(
                getattr(result, field), getattr(expected, field), f"{sample}, {name}: {field}"
            )
    assert classes == {False, True}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_backward_bits_are_those_of_the_contiguous_arrays(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    """Inputs in every arrangement, deltas in arrangements of their own."""
    sample = Sample(shape, data_type, channel_type, seed=31)
    arguments = sample.cancelling()
    expected = {
        last: ng.batch_norm_training_backprop(
            *arguments._replace(input=contiguous_of_class(arguments.input, last))
        )
        for last in (False, True)
    }
    # A stride of 7 through the list of arrangements pairs every input with another delta.
    deltas = itertools.islice(
        itertools.cycle(list(arrangements(arguments.normalized_delta))), 0, None, 7
    )
    for (name, input), (delta_name, delta) in zip(
        arrangements(arguments.input), deltas, strict=False
    ):
        result = ng.batch_norm_training_backprop(
            *arguments._replace(input=input, normalized_delta=delta)
        )
        for field in result._fields:
            assert_same_bits(
                getattr(result, field),
                getattr(expected[is_channels_last(input, 1)], field),
                f"{sample}, input {name}, delta {delta_name}: {field}",
            )


@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (3,), (0, 2, 3), (0, 1, 2, 3)], ids=str)
def test_expanded_delta(axes: tuple[int, ...], last: bool) -> None:
    """Zero strides along any axes, as the gradient of a sum or a mean has them."""
    sample = Sample((3, 4, 5, 6), seed=32)
    arguments = sample.cancelling()
    first = arguments.normalized_delta[tuple(slice(0, 1 if a in axes else None) for a in range(4))]
    expanded = np.broadcast_to(first, sample.shape)
    input = contiguous_of_class(arguments.input, last)
    result = ng.batch_norm_training_backprop(
        *arguments._replace(input=input, normalized_delta=expanded)
    )
    expected = ng.batch_norm_training_backprop(
        *arguments._replace(input=input, normalized_delta=expanded.copy())
    )
    for field in result._fields:
        assert_same_bits(
            getattr(result, field), getattr(expected, field), f"{sample}, axes {axes}: {field}"
        )


@pytest.mark.parametrize("axis", [0, 2, 3])
def test_expanded_input(axis: int) -> None:
    """A zero stride that is not the channels' leaves the layout class to the others."""
    sample = Sample((5, 3, 6, 7), seed=33)
    arguments = sample.cancelling()
    for last in (False, True):
        base = contiguous_of_class(arguments.input, last)
        expanded = np.broadcast_to(np.take(base, [0], axis), sample.shape)
        view = np.lib.stride_tricks.as_strided(
            base, sample.shape, [0 if a == axis else s for a, s in enumerate(base.strides)]
        )
        assert is_channels_last(view, 1) == last
        copy = contiguous_of_class(np.ascontiguousarray(expanded), last)
        result = ng.batch_norm_training_backprop(*arguments._replace(input=view))
        expected = ng.batch_norm_training_backprop(*arguments._replace(input=copy))
        for field in result._fields:
            assert_same_bits(
                getattr(result, field), getattr(expected, field), f"{sample}, axis {axis}: {field}"
            )


def test_expanded_channels_are_channels_first() -> None:
    """A channel stride of zero does not count as the smallest."""
    sample = Sample((3, 4, 50), "f64", "f64", seed=34)
    input = sample.cancelling().normalized_delta[:, :1]
    expanded = np.broadcast_to(input, sample.shape)
    assert not is_channels_last(expanded, 1)
    result = ng.batch_norm_training(expanded, None, None)
    expected = ng.batch_norm_training(expanded.copy(), None, None)
    for field in result._fields:
        assert_same_bits(getattr(result, field), getattr(expected, field), f"{sample}: {field}")


@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
def test_axes_of_length_1_do_not_count(last: bool) -> None:
    """Whatever stride numpy gives an axis of length 1, the class is that of the others."""
    sample = Sample((6, 5, 1, 7), seed=35)
    arguments = sample.cancelling()
    plain = contiguous_of_class(arguments.input, last)
    expected = ng.batch_norm_training_backprop(*arguments._replace(input=plain))
    for stride in (0, 1, 4, -4, 10**9):
        strides = list(plain.strides)
        strides[2] = stride
        input = np.lib.stride_tricks.as_strided(plain, sample.shape, strides)
        assert is_channels_last(input, 1) == last
        result = ng.batch_norm_training_backprop(*arguments._replace(input=input))
        for field in result._fields:
            assert_same_bits(
                getattr(result, field), getattr(expected, field), f"{sample}, {stride}: {field}"
            )


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_channel_vectors_in_any_strides(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 6, 5), data_type, channel_type, seed=36)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    for style in (sliced, misaligned, lambda vector: vector[::-1].copy()[::-1]):
        vectors = {
            name: style(getattr(arguments, name)) for name in ("gamma", "beta", "mean", "variance")
        }
        result = ng.batch_norm_training_backprop(*arguments._replace(**vectors))
        for field in result._fields:
            assert_same_bits(getattr(result, field), getattr(expected, field), f"{sample}: {field}")


def test_expanded_channel_vectors() -> None:
    sample = Sample((4, 6, 5), seed=37)
    input = sample.training().input
    gamma = np.broadcast_to(np.float32(1.5), (6,))
    result = ng.batch_norm_training(input, gamma, None)
    expected = ng.batch_norm_training(input, gamma.copy(), None)
    assert_same_bits(result.normalized, expected.normalized, str(sample))


@pytest.mark.parametrize("style", [sliced, misaligned])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_outputs_in_any_strides(style: object, data_type: str, channel_type: str) -> None:
    """Written where asked for, and nowhere beside it."""
    assert callable(style)
    sample = Sample((4, 3, 5), data_type, channel_type, seed=38)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    out = (
        style(np.zeros(sample.shape, sample.data.dtype)),
        style(np.zeros(3, sample.vector.dtype)),
        style(np.zeros(3, sample.vector.dtype)),
    )
    result = ng.batch_norm_training_backprop(*arguments, out=out)
    for field, given in zip(result._fields, out, strict=True):
        assert getattr(result, field) is given
        assert_same_bits(given, getattr(expected, field), f"{sample}: {field}")
        base = np.asarray(given.base, dtype=given.dtype) if style is sliced else None
        if base is not None:
            base[tuple(slice(None, None, 2) for _ in base.shape)] = 0
            assert not base.any(), f"{sample}: {field} was written beside its elements"


def test_new_outputs_have_the_axis_order_of_the_input() -> None:
    sample = Sample((2, 3, 4, 5), seed=39)
    arguments = sample.backprop()
    for order in itertools.permutations(range(4)):
        input = np.ascontiguousarray(arguments.input.transpose(order)).transpose(np.argsort(order))
        dense_strides = np.empty_like(input).strides  # numpy keeps the order, too
        for view in (input, input[:, :, ::-1]):
            normalized = ng.batch_norm_training(view, None, None).normalized
            assert normalized.strides == dense_strides, f"memory order {order}"
            input_delta = ng.batch_norm_training_backprop(
                *arguments._replace(input=view)
            ).input_delta
            assert input_delta.strides == dense_strides, f"memory order {order}"
            inferred = ng.batch_norm_inference(view, None, None, arguments.mean, arguments.variance)
            assert inferred.strides == dense_strides, f"memory order {order}"


def test_new_outputs_of_a_slice_are_dense() -> None:
    input = np.zeros((4, 6, 8, 10), np.float32)[::2, ::3, ::2, ::5]
    normalized = ng.batch_norm_training(input, None, None).normalized
    assert normalized.flags.c_contiguous
    assert normalized.flags.owndata
