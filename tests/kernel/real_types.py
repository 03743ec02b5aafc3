"""The real element types of the kernels, and what the tests need to know of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import gmpy2
import ml_dtypes
import numpy as np
import numpy.typing as npt
from gmpy2 import mpfr

Array = npt.NDArray[Any]


@cache
def power_of_two(exponent: int) -> mpfr:
    return mpfr(2) ** exponent


@dataclass(frozen=True)
class RealType:
    """An IEEE-like binary format: its numpy type and its parameters."""

    name: str
    dtype: np.dtype[Any]
    significand_bits: int
    smallest_exponent: int  # the smallest denormal is 2**smallest_exponent
    overflow_exponent: int  # the largest finite number is just below 2**overflow_exponent

    @cached_property
    def unit_roundoff(self) -> mpfr:
        return mpfr(2) ** -self.significand_bits

    @cached_property
    def smallest(self) -> mpfr:
        return mpfr(2) ** self.smallest_exponent

    def spacing(self, value: mpfr) -> mpfr:
        """One unit in the last place of a number as large as value."""
        if value == 0:
            return self.smallest
        exponent = int(gmpy2.frexp(value)[0])
        return power_of_two(max(exponent - self.significand_bits, self.smallest_exponent))

    @cached_property
    def overflow_threshold(self) -> mpfr:
        """From here on, numbers round to infinity."""
        half_spacing = mpfr(2) ** (self.overflow_exponent - self.significand_bits - 1)
        return mpfr(2) ** self.overflow_exponent - half_spacing


REAL_TYPES = {
    real_type.name: real_type
    for real_type in (
        RealType("f16", np.dtype(np.float16), 11, -24, 16),
        RealType("bf16", np.dtype(ml_dtypes.bfloat16), 8, -133, 128),
        RealType("f32", np.dtype(np.float32), 24, -149, 128),
        RealType("f64", np.dtype(np.float64), 53, -1074, 1024),
    )
}

# (type of the data, type of the channel vectors): every combination the kernels have.
TYPE_PAIRS = (
    ("f16", "f16"),
    ("f16", "f32"),
    ("bf16", "bf16"),
    ("bf16", "f32"),
    ("f32", "f32"),
    ("f64", "f64"),
)


def real_type_of(array: Array) -> RealType:
    return next(t for t in REAL_TYPES.values() if t.dtype == array.dtype)
