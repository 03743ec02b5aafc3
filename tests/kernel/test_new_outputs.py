"""New outputs are plain numpy arrays; large ones start on a cache line; nothing is kept."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng

from .real_types import Array

CACHE_LINE = 64
#: Bytes from which on an output is aligned.
LARGE = 65536
#: Bytes from which on it comes from the memory pool, where there is one, and what it starts on.
POOLED = 2**20
HUGE_PAGE = 2**21 if sys.platform.startswith("linux") else CACHE_LINE


def new_outputs(input: Array) -> Iterator[tuple[str, Array]]:
    """Every output of every function, for an input of the shape (., C, ...)."""
    vector = np.ones(input.shape[1], input.dtype)
    training = ng.batch_norm_training(input, vector, vector)
    backprop = ng.batch_norm_training_backprop(input, vector, vector, vector, vector, input)
    yield from training._asdict().items()
    yield from backprop._asdict().items()
    inference = ng.batch_norm_inference(input, vector, vector, vector, vector)
    yield "normalized of inference", inference
    frozen = ng.batch_norm_inference_backprop(input, vector, vector, vector, vector, input)
    relu = ng.batch_norm_training_relu(input, vector, vector)
    relu_backprop = ng.batch_norm_training_relu_backprop(
        input, vector, vector, vector, vector, relu.mask, input
    )
    for result in (frozen, relu, relu_backprop):
        yield from result._asdict().items()


@pytest.mark.parametrize(
    "shape",
    [(2, 3, 4, 4), (64, 8, 128), (3, 5, 37, 41), (2, 40000), (4, 16384), (5, 7, 70, 69)],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ml_dtypes.bfloat16], ids=str)
def test_new_outputs_are_aligned_where_they_are_large(shape: tuple[int, ...], dtype: Any) -> None:
    kept = []  # so that each has an address of its own
    for _ in range(5):
        for name, output in new_outputs(np.ones(shape, dtype)):
            kept.append(output)
            assert type(output) is np.ndarray
            assert output.flags.writeable
            assert output.flags.aligned
            assert output.flags.c_contiguous
            is_large = output.nbytes >= LARGE
            assert output.flags.owndata == (not is_large), name
            alignment = CACHE_LINE if is_large else output.itemsize
            alignment = HUGE_PAGE if output.nbytes >= POOLED else alignment
            assert output.ctypes.data % alignment == 0, name
            output[...] = 1
    assert all(np.all(output == 1) for output in kept)


@pytest.mark.parametrize("channel_axis", [1, -1])
def test_new_masks_are_aligned_where_they_are_large(channel_axis: int) -> None:
    """Masks of 2 or 3 axes, C-contiguous."""
    input = np.ones((40, 128, 128), np.float32)
    mask = ng.batch_norm_training_relu(input, None, None, channel_axis=channel_axis).mask
    assert mask.shape == ((40, 128, 16) if channel_axis == 1 else (5120, 16))
    assert mask.nbytes >= LARGE
    assert (mask.dtype, mask.flags.c_contiguous) == (np.uint8, True)
    assert not mask.flags.owndata
    assert mask.ctypes.data % CACHE_LINE == 0


def test_large_new_outputs_have_the_axis_order_of_the_input() -> None:
    channels_last = np.ones((4, 9, 10, 64), np.float32).transpose(0, 3, 1, 2)
    for view in (channels_last, channels_last[:, :, ::-1], channels_last[:, ::2]):
        dense_strides = np.empty_like(view).strides  # numpy keeps the order, too
        for name, output in new_outputs(view):
            if output.ndim == 4:
                assert (output.shape, output.strides) == (view.shape, dense_strides), name


def test_small_new_outputs_of_views_with_gaps_are_dense() -> None:
    input = np.ones((4, 6, 90), np.float32)
    for view in (input[:, :, ::30], input[:, ::2], input[::2], input[:, :, ::-1]):
        for name, output in new_outputs(view):
            assert output.flags.c_contiguous, name
            assert output.flags.owndata, name
    backwards = input[:, :, ::30].transpose(2, 1, 0)
    for name, output in new_outputs(backwards):
        if output.ndim == 3 and name != "mask":
            assert output.flags.f_contiguous, name


def test_new_outputs_without_elements() -> None:
    for shape in ((0, 3), (0, 3, 5), (2, 3, 0), (0, 40000, 2)):
        vector = np.ones(shape[1], np.float32)
        empty = np.empty(shape, np.float32)
        result = ng.batch_norm_training_backprop(empty, None, None, vector, vector, empty)
        assert result.input_delta.shape == shape
        assert result.input_delta.flags.owndata
        assert np.all(result.gamma_delta == 0)


@pytest.mark.parametrize("length", [16, 20000], ids=["small", "large"])
def test_new_outputs_are_given_back(length: int) -> None:
    """numpy reports its allocations to tracemalloc."""
    input = np.ones((4, 3, length), np.float32)

    def call_often() -> int:
        for _ in range(20):
            for _ in new_outputs(input):
                pass
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = call_often()
        after = call_often()
    finally:
        tracemalloc.stop()
    assert after - before < 10 * length


def test_memory_that_is_not_there_is_a_memory_error_of_the_output() -> None:
    """An expanded input has more elements than any memory."""
    input = np.broadcast_to(np.ones((1, 2, 1), np.float32), (2**18, 2, 2**36))
    vector = np.ones(2, np.float32)
    with pytest.raises(MemoryError, match="float32"):
        ng.batch_norm_inference(input, None, None, vector, vector)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("length", [5, 5000], ids=["small", "large"])
def test_an_expanded_axis_stays_where_it_is(axis: int, length: int) -> None:
    """It lies nowhere in the input's memory, and gets its logical place in the output's."""
    shape = [4, 3, length]
    single = list(shape)
    single[axis] = 1
    input = np.broadcast_to(np.ones(single, np.float32), shape)
    assert ng.batch_norm_training(input, None, None).normalized.flags.c_contiguous


def test_an_axis_of_length_1_stays_where_it_is() -> None:
    """Its stride means nothing, whatever it is."""
    rows = np.ones((4, 1, 5000), np.float32)
    input = np.lib.stride_tricks.as_strided(rows, strides=(20000, 1, 4))
    assert ng.batch_norm_training(input, None, None).normalized.strides == rows.strides
