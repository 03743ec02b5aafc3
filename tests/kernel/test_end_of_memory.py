"""Kernels read and write no byte behind the last element: there, memory may end."""

from __future__ import annotations

import sys

import pytest

import normgraph as ng
from tests.programs import UNDER_SANITIZER, assert_succeeds

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or UNDER_SANITIZER,
    reason="protects pages by Linux' own call, which a sanitizer's allocator does not know",
)

#: A program that reads behind the end is ended by the system.
SETTING = """
import ctypes, mmap
import ml_dtypes
import numpy as np
import normgraph as ng

libc = ctypes.CDLL(None, use_errno=True)
TYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}

def at_the_end(array):
    '''A copy whose last byte in memory is the last one of a page, behind which nothing is.'''
    pages = -(-array.nbytes // mmap.PAGESIZE) + 1
    memory = np.frombuffer(mmap.mmap(-1, pages * mmap.PAGESIZE), np.uint8)
    last = memory.ctypes.data + (pages - 1) * mmap.PAGESIZE
    assert libc.mprotect(ctypes.c_void_p(last), mmap.PAGESIZE, 0) == 0
    end = (pages - 1) * mmap.PAGESIZE
    copy = memory[end - array.nbytes : end].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy

def check(shape, channel_axis, type, placement, implementation):
    '''Of each operation the bits are those of arrays in other memory.'''
    random = np.random.default_rng(60)
    def of_data():
        return random.normal(size=shape).astype(TYPES[type])
    def of_channels():
        vector = random.uniform(0.5, 1.5, shape[channel_axis])
        return vector.astype(np.float64 if type == "f64" else np.float32)
    order = [slice(None, None, -1 if placement == "backwards" else 1)] * len(shape)
    order[channel_axis] = slice(None)
    def placed(array, new):
        if array.ndim == 1:
            return new(array)
        if placement == "with gaps":
            rows = array.reshape(-1, array.shape[-1])
            return new(np.concatenate([rows[:, :1]] * 3 + [rows], axis=1)).reshape(
                *array.shape[:-1], -1)[..., 3:]
        return new(array)[tuple(order)]
    plain = [of_data(), of_data(), *(of_channels() for _ in range(4))]
    def results(arrays, of_new):
        x, delta, gamma, beta, mean, variance = arrays
        options = dict(channel_axis=channel_axis, implementation=implementation)
        out = of_new(x)
        where = of_new(np.arange(x.size // x.shape[channel_axis]).reshape(
            np.moveaxis(x, channel_axis, 0).shape[1:]) % 3 != 1)
        training = ng.batch_norm_training(x, gamma, beta, out=(out, None, None), **options)
        yield from training
        yield from ng.batch_norm_training(x, gamma, beta, where=where, **options)
        relu = ng.batch_norm_training_relu(x, gamma, beta, **options)
        yield from relu
        yield ng.batch_norm_inference(x, gamma, beta, mean, variance, out=of_new(x), **options)
        yield from ng.batch_norm_training_backprop(x, gamma, beta, mean, variance, delta,
            out=(of_new(x), None, None), **options)
        yield from ng.batch_norm_inference_backprop(x, gamma, beta, mean, variance, delta,
            **options)
        yield from ng.batch_norm_training_relu_backprop(x, gamma, beta, mean, variance,
            of_new(relu.mask), delta, **options)
    expected = results([placed(array, np.copy) for array in plain], np.copy)
    guarded = results([placed(array, at_the_end) for array in plain], at_the_end)
    for found, wanted in zip(guarded, list(expected), strict=True):
        assert np.asarray(found).tobytes() == np.asarray(wanted).tobytes(), (shape, type)
"""


@pytest.mark.parametrize("placement", ["in order", "backwards", "with gaps"])
@pytest.mark.parametrize("implementation", ng.implementations())
def test_nothing_is_read_behind_the_last_element(implementation: str, placement: str) -> None:
    """Backwards: the first row is the last one in memory. With gaps: between the rows."""
    assert_succeeds(
        SETTING
        + f"""
for type in TYPES:
    for length in (1, 3, 7, 13, 17, 33):
        for rows in (1, 4, 9):
            check((rows, length), 1, type, {placement!r}, {implementation!r})
            check((rows, 3, length), 1, type, {placement!r}, {implementation!r})
"""
    )
