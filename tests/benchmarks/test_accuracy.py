"""benchmarks/accuracy: what an error is and how it is written; its data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gmpy2 import mpfr

from benchmarks.accuracy.errors import Error, error_of, relative_text, units_text
from benchmarks.accuracy.inputs import DATA, draw
from tests.kernel.definition import Bounded, exact
from tests.kernel.real_types import REAL_TYPES, Array

SINGLE = REAL_TYPES["f32"]
ULP = 2.0**-23


def bounded(value: Array, terms: Array) -> Bounded:
    return Bounded(exact(value), exact(0 * value), SINGLE, exact(terms))


def test_the_error_of_an_element_is_in_u_of_its_terms_and_relative_to_its_channel() -> None:
    value = np.array([[[2.0, 0.5], [1.0, 8.0]]], dtype=np.float32)  # (1, C = 2, 2)
    terms = np.array([[[4.0, 1.0], [1.0, 8.0]]])
    output = value + np.array([[[0, ULP / 2], [0, 0]]], dtype=np.float32)
    # u is half an ulp of 1: off by u of the term 1; the largest element of the channel is 2.
    assert error_of(output, bounded(value, terms)) == Error(1, ULP / 4)


def test_the_error_of_a_channel_output_is_relative_to_itself() -> None:
    value = np.array([1.0, 4.0], dtype=np.float32)
    output = value + np.array([ULP, 0], dtype=np.float32)
    assert error_of(output, bounded(value, np.array([16.0, 4.0]))) == Error(2 / 16, ULP)


def test_what_is_0_or_not_finite() -> None:
    zero = np.zeros(1, np.float32)
    assert error_of(zero, bounded(zero, zero)) == Error(0, 0)
    assert error_of(zero + 1, bounded(zero, zero)) == Error(math.inf, math.inf)
    error = error_of(np.array([np.inf], np.float32), bounded(zero, zero))
    assert math.isnan(error.units)
    assert math.isnan(error.relative)


@pytest.mark.parametrize(
    ("error", "units", "relative"),
    [
        (0.0, "0", "0"),
        (0.123, "0.12", "1e-01"),
        (378.4, "378", "4e+02"),
        (23456.0, "2e+04", "2e+04"),
        (math.nan, "not finite", "not finite"),
        (math.inf, "not 0", "not 0"),
    ],
)
def test_text_of_an_error(error: float, units: str, relative: str) -> None:
    assert units_text(error) == units
    assert relative_text(error) == relative


@pytest.mark.parametrize("element_type", DATA)
def test_data_are_finite_and_the_same_every_time(element_type: str) -> None:
    names = [data.name for data in DATA[element_type]]
    assert len(set(names)) == len(names)
    for data in DATA[element_type]:
        first, second = (draw(data, element_type, shape=(3, 2, 4, 5)) for _ in range(2))
        for name in ("input", "normalized_delta", "gamma", "beta"):
            array = getattr(first, name)
            assert array.tobytes() == getattr(second, name).tobytes()
            assert np.isfinite(array.astype(np.float64)).all()
        assert first.input.dtype == REAL_TYPES[element_type].dtype
        assert first.gamma.dtype == np.float32


def test_exact_values_stay_exact() -> None:
    assert exact(np.array([0.1], np.float32))[0] == mpfr(float(np.float32(0.1)))
