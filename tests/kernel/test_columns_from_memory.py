"""Channels last in memory, not in a cache: read by other numbers of rows, to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .real_types import REAL_TYPES, Array

#: What the kernels take to be in no cache (`memory_bytes`), and a few bytes more.
BYTES = 24 * 2**20 + 4096


def columns(channels: int, dtype: Any, seed: int) -> Array:
    """(rows, channels), of at least BYTES and of an odd number of rows."""
    rows = BYTES // (channels * np.dtype(dtype).itemsize) // 2 * 2 + 3
    few = np.random.default_rng(seed).normal(size=(4099, channels)).astype(dtype)
    return np.resize(few, (rows, channels))


@pytest.mark.parametrize(
    ("data_type", "channels"),
    [
        ("f32", 33),
        ("f32", 64),
        ("f32", 130),
        ("f16", 150),
        ("bf16", 64),
        ("bf16", 257),
        ("f64", 33),
    ],
)
def test_bits_are_those_of_the_reference(data_type: str, channels: int) -> None:
    x, delta = (columns(channels, REAL_TYPES[data_type].dtype, seed) for seed in (0, 1))

    def results(**options: Any) -> list[Array]:
        forward = ng.batch_norm_training(x, None, None, channel_axis=-1, **options)
        backward = ng.batch_norm_training_backprop(
            x, None, None, *forward[1:], delta, channel_axis=-1, **options
        )
        return [*forward, *backward]

    expected = results(implementation="reference")
    for implementation in ng.implementations()[:-1]:
        for num_threads in (1, 3):
            actual = results(implementation=implementation, num_threads=num_threads)
            for found, wanted in zip(actual, expected, strict=True):
                assert_same_bits(found, wanted, f"{implementation}, {num_threads} threads")
