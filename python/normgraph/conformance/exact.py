"""Exact arithmetic for expected values: Python's rational numbers, and roots to 320 bits.

A sum of rational numbers has no rounding, so that mean, variance, Σδ and Σδ·x are exact. The one
irrational number is the inverse deviation, which `inverse_root` makes with integers.
"""

from __future__ import annotations

import math
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


def nearest_double(value: Fraction) -> float:
    """Round once to double; infinite beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def high_and_low(value: Fraction) -> tuple[float, float]:
    """Return two doubles whose sum is the value to about 106 bits: it, and what rounding left."""
    high = nearest_double(value)
    return (high, 0.0) if math.isinf(high) else (high, nearest_double(value - Fraction(high)))


def nearest(value: Fraction, to: Format) -> float:
    """Round once to a format, ties to even; denormals are kept, infinite beyond its range."""
    if value == 0:
        return 0.0
    size = abs(value)
    # 2**(exponent - 1) <= size < 2**exponent
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent += size >= Fraction(2) ** exponent
    step = max(exponent - to.significand_bits, to.least_exponent)
    scaled = value / Fraction(2) ** step
    rounded = nearest_double(round(scaled) * Fraction(2) ** step)
    return math.copysign(math.inf, rounded) if abs(rounded) > largest(to) else rounded


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
