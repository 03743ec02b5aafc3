"""Statistics of inputs that are hard to sum: far first elements, large means, constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import normgraph as ng

from . import definition
from .real_types import REAL_TYPES, Array, RealType, real_type_of

ELEMENTS = 2_600
"""Of a channel: two samples of two pieces each."""
TYPES = tuple(REAL_TYPES)


def _normal(rng: np.random.Generator) -> Array:
    return rng.normal(size=(2, 2, ELEMENTS // 2))


def _with_first(deviations: float) -> Callable[[np.random.Generator], Array]:
    def values(rng: np.random.Generator) -> Array:
        input = _normal(rng)
        input[0, :, 0] = deviations
        return input

    return values


def _with_first_of_each_block(rng: np.random.Generator) -> Array:
    input = _normal(rng)
    input[:, :, ::1024] = 1e4
    return input


def _far_from_zero(ratio: float) -> Callable[[np.random.Generator], Array]:
    return lambda rng: _normal(rng) + ratio


def _constant_but_for_one(position: int) -> Callable[[np.random.Generator], Array]:
    def values(rng: np.random.Generator) -> Array:
        input = np.full((2, 2, ELEMENTS // 2), 5.3)
        input[0, :, position] = 1e4
        return input

    return values


INPUTS: dict[str, Callable[[np.random.Generator], Array]] = {
    "first element at 30 deviations": _with_first(30.0),
    "first element at 1e4 deviations": _with_first(1e4),
    "first of each block at 1e4 deviations": _with_first_of_each_block,
    "mean of 1e3 deviations": _far_from_zero(1e3),
    "constant but for the first": _constant_but_for_one(0),
    "constant but for the middle": _constant_but_for_one(512),
    "constant but for the last": _constant_but_for_one(ELEMENTS // 2 - 1),
}
LARGE_MEANS = {
    "mean of 1e5 deviations": _far_from_zero(1e5),
    "mean of 1e7 deviations": _far_from_zero(1e7),
}
CASES = [(kind, name) for kind in TYPES for name in INPUTS]
CASES += [(kind, name) for kind in ("f32", "f64") for name in LARGE_MEANS]


def _channel_type(kind: RealType) -> RealType:
    """The widest that the kernels take: the statistics' own error is to be seen."""
    return REAL_TYPES["f32"] if kind.dtype.itemsize == 2 else kind


@pytest.mark.parametrize(("kind", "name"), CASES)
@pytest.mark.parametrize("layout", ["channels first", "channels last"])
def test_statistics_are_within_their_bounds(kind: str, name: str, layout: str) -> None:
    values = {**INPUTS, **LARGE_MEANS}[name](np.random.default_rng(3))
    input = values.astype(REAL_TYPES[kind].dtype)
    channel_axis = 1
    if layout == "channels last":
        input, channel_axis = np.ascontiguousarray(np.moveaxis(input, 1, -1)), 2
    channel_type = _channel_type(real_type_of(input))
    gamma = np.ones(2, channel_type.dtype)
    result = ng.batch_norm_training(input, gamma, None, channel_axis=channel_axis)
    expected = definition.training(
        input, gamma, None, epsilon=1e-5, channel_axis=channel_axis, statistics_type=channel_type
    )
    expected["mean"].check(np.asarray(result.mean), "mean")
    expected["variance"].check(np.asarray(result.variance), "variance")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [0.1, -5.3, 3e4])
def test_constant_channels_have_their_value_and_no_variance(kind: str, value: float) -> None:
    input = np.full((7, 3, 999), value).astype(REAL_TYPES[kind].dtype)
    channel_type = _channel_type(real_type_of(input)).dtype
    result = ng.batch_norm_training(input, np.ones(3, channel_type), None)
    assert np.array_equal(result.mean, input[0, :, 0].astype(channel_type))
    assert np.array_equal(result.variance, np.zeros(3))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 1, 1024, 2048, 4999])
def test_special_values_first_in_a_block_spoil_their_channel_alone(
    kind: str, value: float, position: int
) -> None:
    input = np.random.default_rng(4).normal(size=(1, 2, 5000)).astype(REAL_TYPES[kind].dtype)
    clean = ng.batch_norm_training(input, None, None)
    input[0, 0, position] = value
    result = ng.batch_norm_training(input, None, None)
    assert not np.isfinite(np.asarray(result.mean[0], np.float64))
    assert np.isnan(np.asarray(result.variance[0], np.float64))
    assert np.isnan(np.asarray(result.normalized[0, 0], np.float64)).all()
    for actual, expected in zip(result, clean, strict=True):
        axis = 1 if actual.ndim == 3 else 0
        assert np.array_equal(actual.take(1, axis), expected.take(1, axis))
