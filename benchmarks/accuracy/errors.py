"""Errors against the definition in 256-bit arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from gmpy2 import mpfr

from tests.kernel.definition import Bounded, by_channel, exact, like_input
from tests.kernel.real_types import Array


@dataclass(frozen=True)
class Error:
    """The largest errors of one output: NaN where it is not finite, infinite where it should be 0.

    `units` is in u of the terms: u is the unit roundoff of the output's type, the terms are those
    of the element (its largest) or of the channel (the sum of their magnitudes). `relative` is
    in the largest element of the output's channel.
    """

    units: float
    relative: float


def error_of(output: Array, expected: Bounded) -> Error:
    """The largest error of any element."""
    if not np.isfinite(output.astype(np.float64)).all():
        return Error(math.nan, math.nan)
    differences = np.abs(exact(output) - expected.value)
    unit = expected.output_type.unit_roundoff * expected.terms
    scale = _largest_of_channel(np.abs(expected.value))
    return Error(_largest_ratio(differences, unit), _largest_ratio(differences, scale))


def _largest_of_channel(magnitudes: Array) -> Array:
    """The largest element of each channel, once for each of its elements."""
    if magnitudes.ndim == 1:
        return magnitudes
    channels = by_channel(magnitudes, 1)
    largest = np.broadcast_to(channels.max(axis=1, keepdims=True), channels.shape)
    return like_input(largest, magnitudes, 1)


def _largest_ratio(differences: Array, scales: Array) -> float:
    """Nothing divided by nothing is no error."""
    ratios = (
        mpfr(0) if difference == 0 else difference / scale if scale else mpfr("inf")
        for difference, scale in zip(differences.flat, scales.flat, strict=True)
    )
    return float(max(ratios))


def units_text(error: float) -> str:
    """`0.42`, `3e+04`."""
    if math.isnan(error):
        return "not finite"
    if math.isinf(error):
        return "not 0"
    if error < 1000:
        return f"{error:.2g}" if error < 10 else f"{error:.0f}"
    return f"{error:.0e}"


def relative_text(error: float) -> str:
    """`6e-08`; `0` where the output is exact."""
    return f"{error:.0e}" if error and math.isfinite(error) else units_text(error)
