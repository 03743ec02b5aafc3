"""Sums of known orders, written out addition by addition in the type of the summands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def sequential(x: Array) -> Any:
    return np.add.accumulate(x)[-1] if len(x) else x.dtype.type(0)


def backwards(x: Array) -> Any:
    return sequential(x[::-1])


def neighbours(x: Array) -> Any:
    """Each with the next, again and again; of a power of two."""
    while len(x) > 1:
        x = x[::2] + x[1::2]
    return x[0]


def pairwise(x: Array) -> Any:
    """Halves, down to single numbers. As often as halves are equal, all rows are added at once."""
    equal = len(x) & -len(x)
    return neighbours(halves_of_rows(x.reshape(equal, -1)))


def halves_of_rows(rows: Array) -> Array:
    middle = rows.shape[1] // 2
    if middle == 0:
        return rows[:, 0]
    return np.asarray(halves_of_rows(rows[:, :middle]) + halves_of_rows(rows[:, middle:]))


def aligned(x: Array) -> Any:
    """Split after the largest power of two below the length."""
    split = 1 << (len(x).bit_length() - 1)
    first = neighbours(x[:split])
    return first if split == len(x) else first + aligned(x[split:])


def lanes(x: Array, count: int, fold: Callable[[Array], Any]) -> Any:
    return fold(np.array([sequential(x[lane::count]) for lane in range(count)], x.dtype))


def by_halves(x: Array) -> Any:
    while len(x) > 1:
        x = x[: len(x) // 2] + x[len(x) // 2 :]
    return x[0]


def blocks(x: Array, size: int, of_block: Callable[[Array], Any], of_sums: Any) -> Any:
    starts = range(0, len(x), size)
    return of_sums(np.array([of_block(x[start : start + size]) for start in starts], x.dtype))


def rows_of_lanes(x: Array, length: int, count: int) -> Any:
    """Accumulators that begin anew at every row, and go on with what they have."""
    totals = np.zeros(count, x.dtype)
    for start in range(0, len(x), length):
        row = x[start : start + length]
        for first in range(0, len(row), count):
            step = row[first : first + count]
            totals[: len(step)] += step
    return by_halves(totals)


def chains_then_double(x: Array) -> Any:
    """Chains of 16 in the type of the summands, whose sums are added in double."""
    starts = range(0, len(x), 16)
    return sequential(np.array([float(sequential(x[start : start + 16])) for start in starts]))


def of_16_bits(x: Array) -> Any:
    """An accumulator of a significand that no usual type has."""
    total = 0.0
    for value in x.astype(float):
        total += value
        unit = 2.0 ** (np.frexp(total)[1] - 16)
        total = float(np.rint(total / unit) * unit) if total else 0.0
    return total


def kahan(x: Array) -> Any:
    total = lost = x.dtype.type(0)
    for value in x:
        term = value - lost
        following = total + term
        lost = (following - total) - term
        total = following
    return total


def four_at_once(x: Array) -> Any:
    """One rounding for four products and the accumulator, as matrix units have."""
    summands = x.astype(float).tolist()
    total = 0.0
    for start in range(0, len(x), 4):
        total = float(x.dtype.type(exactly([total, *summands[start : start + 4]])))
    return x.dtype.type(total)


def exactly(values: list[float]) -> float:
    """Aligned to the largest term and cut there, which is what a fused sum does."""
    largest = max(map(abs, values))
    if largest == 0:
        return 0.0
    unit = math.ldexp(1.0, math.frexp(largest)[1] - 24)
    return sum(math.trunc(value / unit) for value in values) * unit
