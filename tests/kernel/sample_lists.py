"""The problems that the accuracy tests of every kernel function go through."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from .real_types import TYPE_PAIRS
from .samples import DIFFICULTIES, Sample

# (shape, channel axis): ranks 2 to 5, every place of the channel axis, odd lengths, one element per
# channel, one channel, more lanes than elements and fewer.
SHAPES = (
    ((7, 3), 1),
    ((1, 3), 1),
    ((3, 5), 0),
    ((37, 17), -1),
    ((5, 4, 6), 1),
    ((5, 4, 6), 0),
    ((5, 4, 6), 2),
    ((1, 3, 1, 1), 1),
    ((2, 3, 4, 5), 1),
    ((3, 5, 7, 2), -1),
    ((2, 1, 9, 9), 1),
    ((2, 3, 2, 3, 4), 1),
    ((2, 2, 3, 2, 3), -2),
)

SHAPE_SAMPLES = [
    Sample(shape, data_type, channel_type, channel_axis)
    for shape, channel_axis in SHAPES
    for data_type, channel_type in TYPE_PAIRS
]

DIFFICULT_SAMPLES = [
    Sample(shape, data_type, channel_type, channel_axis, difficulty, seed)
    for difficulty in DIFFICULTIES
    for data_type, channel_type in TYPE_PAIRS
    if data_type in difficulty.data_types
    for shape, channel_axis, seed in (((3, 4, 5, 3), 1, 2), ((61, 3), -1, 3))
]

# Mean and variance of another type than gamma and beta.
WIDE_STATISTICS_SAMPLES = [
    Sample(shape, data_type, channel_type, channel_axis, difficulty, 7, statistics_type)
    for difficulty in DIFFICULTIES
    for data_type, channel_type, statistics_type in (
        ("f32", "f32", "f64"),
        ("bf16", "bf16", "f32"),
        ("bf16", "f32", "bf16"),
        ("f16", "f16", "f32"),
        ("f16", "f32", "f64"),
        ("bf16", "bf16", "f64"),
    )
    if data_type in difficulty.data_types
    for shape, channel_axis in (((3, 4, 5, 3), 1), ((61, 3), -1))
]

# More than one block per channel, and several rows in a block.
LONG_SAMPLES = [
    Sample((3, 2, 1301), "f32", difficulty=difficulty, seed=4)
    for difficulty in DIFFICULTIES
    if difficulty.name in ("far_mean", "delta_near_one")
] + [Sample((2, 1, 8201), "f64", "f64", seed=5), Sample((130, 2, 7, 5), "bf16", "f32", seed=6)]

SAMPLES = SHAPE_SAMPLES + DIFFICULT_SAMPLES + WIDE_STATISTICS_SAMPLES + LONG_SAMPLES


def for_each_sample(samples: Sequence[Sample]) -> Callable[[Callable[..., None]], Any]:
    """Lets a test be called for each sample, which its messages are to name.

    Those of the same types are one item of pytest, which takes longer for one than most tests do.
    """
    by_types: dict[str, list[Sample]] = {}
    for sample in samples:
        by_types.setdefault(sample.types, []).append(sample)

    def decorate(test: Callable[..., None]) -> Any:
        @functools.wraps(test)
        def test_all(*, sample: Sequence[Sample], **others: Any) -> None:
            for each in sample:
                test(sample=each, **others)

        return pytest.mark.parametrize("sample", by_types.values(), ids=by_types)(test_all)

    return decorate
