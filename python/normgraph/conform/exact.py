"""Exact arithmetic for expected values: Python's rational numbers, and roots to 320 bits.

A sum of rational numbers has no rounding, so that mean, variance, Σδ and Σδ·x are exact. The one
irrational number is the inverse deviation, which `inverse_root` makes with integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from normgraph.check.accuracy import Format
from normgraph.definition import Float64Array

#: Correct bits of an inverse deviation.
ROOT_BITS = 320


def inverse_root(value: Fraction) -> Fraction:
    """Return 1/√value of a positive number, with a relative error below 2**-ROOT_BITS."""
    # 1/√(p/q) = √(p·q)/p: the root of an integer, widened until its floor has enough bits.
    radicand = value.numerator * value.denominator
    widening = max(0, ROOT_BITS + 8 - radicand.bit_length() // 2)
    return Fraction(math.isqrt(radicand << 2 * widening), value.numerator << widening)


def exact_sum(values: Iterable[Fraction]) -> Fraction:
    """Add over one denominator: a Fraction for each partial sum takes five times as long."""
    terms = list(values)
    denominator = math.lcm(*(term.denominator for term in terms))
    numerators = (term.numerator * (denominator // term.denominator) for term in terms)
    return Fraction(sum(numerators), denominator)


def quotient(numerator: int, denominator: int) -> float:
    """Round a quotient once to double; infinite beyond its range. The denominator is positive."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def nearest_double(value: Fraction) -> float:
    """Round once to double; infinite beyond its range."""
    return quotient(value.numerator, value.denominator)


def high_and_low(value: Fraction) -> tuple[float, float]:
    """Return two doubles whose sum is the value to about 106 bits: it, and what rounding left."""
    high = nearest_double(value)
    if math.isinf(high):
        return high, 0.0
    # Without a Fraction of the difference, which would be reduced: that takes most of the time.
    numerator, denominator = high.as_integer_ratio()
    left = value.numerator * denominator - numerator * value.denominator
    return high, quotient(left, value.denominator * denominator)


def nearest(value: Fraction, to: Format) -> float:
    """Round once to a format, ties to even; denormals are kept, infinite beyond its range."""
    if value == 0:
        return 0.0
    size, denominator = abs(value.numerator), value.denominator
    # 2**(exponent - 1) <= size / denominator < 2**exponent
    exponent = size.bit_length() - denominator.bit_length()
    exponent += size << max(0, -exponent) >= denominator << max(0, exponent)
    step = max(exponent - to.significand_bits, to.least_exponent)
    unit = denominator << max(0, step)
    steps, rest = divmod(size << max(0, -step), unit)
    steps += 2 * rest > unit or (2 * rest == unit and steps % 2 == 1)
    try:
        rounded = math.ldexp(steps, step)
    except OverflowError:
        rounded = math.inf
    if rounded > largest(to):
        rounded = math.inf
    return rounded if value > 0 else 0.0 - rounded


def quantized(values: npt.ArrayLike, to: Format) -> Float64Array:
    """Round doubles to a format; the result is double again. Infinite beyond its range."""
    array = np.asarray(values, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.maximum(np.frexp(array)[1] - to.significand_bits, to.least_exponent)
        # In two factors, since 2**-step of a denormal double is beyond its range.
        half = step // 2
        scaled = np.ldexp(np.ldexp(array, -half), half - step)
        rounded = np.ldexp(np.ldexp(np.rint(scaled), half), step - half)
        finite = np.where(np.abs(rounded) > largest(to), np.copysign(np.inf, array), rounded)
    result: Float64Array = np.where(np.isfinite(array), finite, array)
    return result


def largest(of: Format) -> float:
    """Return the largest finite number of a format."""
    bits, exponents = of.significand_bits, {"f16": 16, "bf16": 128, "f32": 128, "f64": 1024}
    return math.ldexp(2.0 - math.ldexp(1.0, 1 - bits), exponents[of.name] - 1)
