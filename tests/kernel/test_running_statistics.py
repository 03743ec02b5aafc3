"""update_running_statistics: the formula, rounded once, its arguments, and where it writes."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .layouts import misaligned, sliced
from .real_types import REAL_TYPES, Array, RealType

Pair = tuple[Array, Array]


def pair(real_type: RealType, seed: int, channels: int = 40) -> Pair:
    random = np.random.default_rng(seed)
    mean, variance = random.standard_normal(channels), random.uniform(0.1, 3, channels)
    return mean.astype(real_type.dtype), variance.astype(real_type.dtype)


def rounded_once(value: float, real_type: RealType) -> float:
    """To the nearest number of the type, ties to even, by exact arithmetic."""
    exponent = math.frexp(value)[1] - real_type.significand_bits
    quantum = Fraction(2) ** max(exponent, real_type.smallest_exponent)
    rounded = round(Fraction(value) / quantum) * quantum
    if abs(rounded) >= Fraction(2) ** real_type.overflow_exponent:
        return math.copysign(math.inf, value)
    return float(rounded)


def expected(old: Array, new: Array, momentum: float, factor: float = 1.0) -> Array:
    """The formula in double, operation by operation, rounded to the type of the old values."""
    real_type = next(t for t in REAL_TYPES.values() if t.dtype == old.dtype)
    values = (1.0 - momentum) * old.astype(np.float64) + momentum * (
        factor * new.astype(np.float64)
    )
    return np.array([rounded_once(v, real_type) for v in values.tolist()]).astype(old.dtype)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.5, 0.99, 1.0, 1e-300])
@pytest.mark.parametrize("of_running", REAL_TYPES)
@pytest.mark.parametrize("of_batch", REAL_TYPES)
def test_is_the_formula_in_double_rounded_once(
    of_running: str, of_batch: str, momentum: float, unbiased: bool
) -> None:
    running, batch = pair(REAL_TYPES[of_running], 1), pair(REAL_TYPES[of_batch], 2)
    for n in (2, 3, 50176):
        result = ng.update_running_statistics(running, batch, n, momentum, unbiased)
        what = f"{of_running}, {of_batch}, momentum {momentum}, n {n}"
        factor = n / (n - 1) if unbiased else 1.0
        assert_same_bits(result.mean, expected(running[0], batch[0], momentum), f"mean, {what}")
        assert_same_bits(
            result.variance, expected(running[1], batch[1], momentum, factor), f"variance, {what}"
        )


def test_defaults_are_the_weight_of_the_new_value_and_the_unbiased_variance() -> None:
    running, batch = pair(REAL_TYPES["f64"], 3), pair(REAL_TYPES["f64"], 4)
    result = ng.update_running_statistics(running, batch, 5)
    assert np.allclose(result.mean, 0.9 * running[0] + 0.1 * batch[0], rtol=1e-15, atol=1e-15)
    assert np.allclose(result.variance, 0.9 * running[1] + 0.1 * 1.25 * batch[1], rtol=1e-15)
    explicit = ng.update_running_statistics(running, batch, 5, momentum=0.1, unbiased=True)
    assert_same_bits(result.mean, explicit.mean, "mean")
    assert_same_bits(result.variance, explicit.variance, "variance")


@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_sixteen_bits_are_not_rounded_by_way_of_float(name: str) -> None:
    """A little beside the middle of two numbers; float would see the middle, and go to the even."""
    real_type = REAL_TYPES[name]
    ulp = 2.0 ** (1 - real_type.significand_bits)
    little = 2.0**-45
    values = np.array(
        [
            sign * (1 + step * ulp + ulp / 2 + side * little)
            for sign, step, side in itertools.product((1, -1), (0, 1, 2), (-1, 0, 1))
        ]
    )
    zeros = np.zeros(len(values), real_type.dtype)
    result = ng.update_running_statistics((zeros, zeros), (values, values), 7, 1.0, False).mean
    wanted = np.array([rounded_once(value, real_type) for value in values.tolist()])
    assert np.array_equal(result.astype(np.float64), wanted)
    by_way_of_float = values.astype(np.float32).astype(real_type.dtype).astype(np.float64)
    assert not np.array_equal(by_way_of_float, wanted), "the values show no difference"


@pytest.mark.parametrize("name", REAL_TYPES)
def test_the_ends_of_the_range(name: str) -> None:
    real_type = REAL_TYPES[name]
    smallest, largest = float(real_type.smallest), float(np.nextafter(np.inf, 0))
    values = np.array([0.75 * smallest, 0.5 * smallest, 1.5 * smallest, largest, np.inf, np.nan])
    zeros = np.zeros(len(values), real_type.dtype)
    result = ng.update_running_statistics((zeros, zeros), (values, -values), 7, 1.0, False)
    with np.errstate(over="ignore", under="ignore"):
        wanted = [smallest, 0.0, 2 * smallest, largest if name == "f64" else np.inf, np.inf]
    if name == "f64":  # where there is nothing below the smallest number
        wanted[:3] = [smallest, 0.0, 2 * smallest]
        values[:3] = wanted[:3]
    assert result.mean.astype(np.float64).tolist()[:5] == wanted
    assert result.variance.astype(np.float64).tolist()[:5] == [-value for value in wanted]
    assert np.isnan(float(result.mean[5]))


def test_many_updates_approach_the_statistics_of_the_data() -> None:
    """Running averages over batches of one distribution, from the kernels' own statistics."""
    random = np.random.default_rng(5)
    running = (np.zeros(3), np.ones(3))
    for _ in range(400):
        x = random.normal(2.0, 3.0, (8, 3, 4))
        forward = ng.batch_norm_training(x, None, None)
        running = ng.update_running_statistics(running, (forward.mean, forward.variance), 32, 0.02)
    # Averages of some 100 batches of 32: standard errors 3/√3200 and 9·√(2/3200); five of each.
    assert np.all(np.abs(running[0] - 2.0) < 5 * 3 / math.sqrt(3200))
    assert np.all(np.abs(running[1] - 9.0) < 5 * 9 * math.sqrt(2 / 3200))


# ---- where it writes -----------------------------------------------------------------------------


def test_result_is_a_named_tuple_of_new_arrays() -> None:
    running, batch = pair(REAL_TYPES["f16"], 6), pair(REAL_TYPES["f32"], 7)
    before = [array.tobytes() for array in (*running, *batch)]
    result = ng.update_running_statistics(running, batch, 9)
    assert isinstance(result, ng.RunningStatistics)
    assert result._fields == ("mean", "variance")
    assert all(type(array) is np.ndarray and array.dtype == np.float16 for array in result)
    assert [array.tobytes() for array in (*running, *batch)] == before


def test_out_receives_the_result_and_may_be_running() -> None:
    batch = pair(REAL_TYPES["f32"], 9)
    wanted = ng.update_running_statistics(pair(REAL_TYPES["f32"], 8), batch, 9)
    for given in itertools.product([False, True], repeat=2):
        running = pair(REAL_TYPES["f32"], 8)
        out = tuple(r if wanted else None for r, wanted in zip(running, given, strict=True))
        result = ng.update_running_statistics(running, batch, 9, out=out)
        for field, array, old in zip(result._fields, out, running, strict=True):
            assert array is None or getattr(result, field) is array
            assert (getattr(result, field) is old) == (array is not None)
            assert_same_bits(getattr(result, field), getattr(wanted, field), f"{field}, {given}")
    own = tuple(style(np.empty_like(wanted.mean)) for style in (sliced, misaligned))
    result = ng.update_running_statistics(
        running=pair(REAL_TYPES["f32"], 8), batch=batch, n=9, out=own
    )
    for field, array in zip(result._fields, own, strict=True):
        assert_same_bits(array, getattr(wanted, field), field)


def test_arrays_in_any_strides() -> None:
    running, batch = pair(REAL_TYPES["bf16"], 10), pair(REAL_TYPES["f64"], 11)
    wanted = ng.update_running_statistics(running, batch, 9)
    for style in (sliced, misaligned, lambda vector: vector[::-1].copy()[::-1]):
        result = ng.update_running_statistics(map_pair(style, running), map_pair(style, batch), 9)
        for field in wanted._fields:
            assert_same_bits(getattr(result, field), getattr(wanted, field), field)
    both = np.stack(batch)  # a matrix is a pair of its rows
    assert_same_bits(ng.update_running_statistics(running, both, 9).mean, wanted.mean, "rows")


def map_pair(function: Any, arrays: Pair) -> Pair:
    return function(arrays[0]), function(arrays[1])


OVERLAPS = {
    "out[0] (mean): .*overlaps running[1] (variance)": (1, None),
    "out[1] (variance): .*overlaps running[0] (mean)": (None, 0),
    "out[0] (mean): .*overlaps batch[1] (variance)": (3, None),
    "out[1] (variance): .*overlaps batch[0] (mean)": (None, 2),
    "out[1] (variance): .*overlaps out[0] (mean)": (5, 5),
}


@pytest.mark.parametrize("message", OVERLAPS)
def test_overlap_is_refused_and_nothing_is_written(message: str) -> None:
    rows = np.random.default_rng(12).uniform(1, 2, (6, 4))
    before = rows.tobytes()
    out = tuple(None if index is None else rows[index] for index in OVERLAPS[message])
    pattern = "^" + message.replace("[", r"\[").replace("]", r"\]").replace("(", r"\(").replace(
        ")", r"\)"
    )
    with pytest.raises(ValueError, match=pattern):
        ng.update_running_statistics((rows[0], rows[1]), (rows[2], rows[3]), 9, out=out)
    assert rows.tobytes() == before


def test_a_shifted_window_of_running_is_refused() -> None:
    memory = np.ones(9)
    with pytest.raises(ValueError, match=r"^out\[0\] \(mean\): .*overlaps running\[0\] \(mean\)"):
        ng.update_running_statistics(
            (memory[:4], memory[5:]), (np.ones(4), np.ones(4)), 9, out=(memory[1:5], None)
        )


# ---- what is refused -----------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "running": (np.zeros(3), np.ones(3)),
    "batch": (np.zeros(3), np.ones(3)),
    "n": 10,
}

READ_ONLY = np.zeros(3)
READ_ONLY.flags.writeable = False

BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "n of 0": ({"n": 0}, ValueError, "n: expected an integer >= 1, got 0"),
    "negative n": ({"n": -4}, ValueError, "n: expected an integer >= 1, got -4"),
    "n of 1": ({"n": 1}, ValueError, "n: expected at least 2 where unbiased is True"),
    "huge n": ({"n": 2**63}, ValueError, "n: expected an integer from 1 to 2^63 - 1"),
    "n as a float": ({"n": 10.0}, TypeError, "n: expected an integer >= 1, got 10.0 of type float"),
    "n as a bool": ({"n": True}, TypeError, "n: expected an integer >= 1, got True of type bool"),
    "n missing": ({"n": None}, TypeError, "n: expected an integer >= 1, got None"),
    "momentum below 0": ({"momentum": -0.1}, ValueError, "momentum: expected a number from 0 to 1"),
    "momentum above 1": ({"momentum": 1.5}, ValueError, "momentum: expected a number from 0 to 1"),
    "momentum of nan": ({"momentum": math.nan}, ValueError, "momentum: expected a number from 0"),
    "momentum of inf": ({"momentum": math.inf}, ValueError, "momentum: expected a number from 0"),
    "huge momentum": ({"momentum": 10**400}, ValueError, "momentum: expected a number from 0"),
    "momentum as text": ({"momentum": "0.1"}, TypeError, "momentum: expected a real number"),
    "momentum of None": ({"momentum": None}, TypeError, "momentum: expected a real number"),
    "unbiased as a number": ({"unbiased": 1}, TypeError, "unbiased: expected True or False, got 1"),
    "unbiased as text": ({"unbiased": "no"}, TypeError, "unbiased: expected True or False"),
    "running of None": ({"running": None}, TypeError, "running: expected a pair (mean, variance)"),
    "batch as a number": ({"batch": 1.0}, TypeError, "batch: expected a pair (mean, variance)"),
    "running of one": (
        {"running": (np.zeros(3),)},
        ValueError,
        "running: expected a pair (mean, variance) of arrays, got 1 items",
    ),
    "a training result": (
        {"batch": ng.batch_norm_training(np.ones((4, 3)), None, None)},
        ValueError,
        "batch: expected a pair (mean, variance) of arrays, got 3 items",
    ),
    "a list of numbers": (
        {"batch": (np.zeros(3), [1.0, 1.0, 1.0])},
        TypeError,
        "batch[1] (variance): expected an array",
    ),
    "integers": (
        {"running": (np.zeros(3, np.int32), np.ones(3))},
        ValueError,
        "running[0] (mean): expected an array of f16, bf16, f32 or f64, got i32{3}",
    ),
    "complex numbers": (
        {"batch": (np.zeros(3, np.complex64), np.ones(3))},
        TypeError,
        "batch[0] (mean): expected an array of f16, bf16, f32 or f64, got",
    ),
    "a matrix": (
        {"running": (np.zeros(3), np.ones((3, 1)))},
        ValueError,
        "running[1] (variance): expected a vector, got an array of f64{3,1}",
    ),
    "another length": (
        {"batch": (np.zeros(3), np.ones(1))},
        ValueError,
        "batch[1] (variance): expected 3 elements, as running[0] (mean) has, got 1",
    ),
    "out as an array": ({"out": np.zeros(3)}, ValueError, "out: expected a pair (mean, variance)"),
    "out as a number": ({"out": 3}, TypeError, "out: expected a pair (mean, variance)"),
    "out of another type": (
        {"out": (None, np.zeros(3, np.float32))},
        ValueError,
        "out[1] (variance): expected an array of f64{3}, got f32{3}",
    ),
    "out of another length": (
        {"out": (np.zeros(4), None)},
        ValueError,
        "out[0] (mean): expected an array of f64{3}, got f64{4}",
    ),
    "out that is read-only": (
        {"out": (READ_ONLY, None)},
        ValueError,
        "out[0] (mean): expected a writable array",
    ),
    "out that is no array": (
        {"out": (None, [1.0])},
        TypeError,
        "out[1] (variance): expected an arr",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_argument_is_named(case: str) -> None:
    changes, error, message = BAD[case]
    untouched = (np.full(3, 7.0), np.full(3, 7.0))
    with pytest.raises(error) as raised:
        ng.update_running_statistics(**{**GOOD, "out": untouched, **changes})
    assert str(raised.value).startswith(message), str(raised.value)
    assert all(np.all(array == 7.0) for array in untouched)


def test_one_element_is_legal_with_the_biased_variance() -> None:
    result = ng.update_running_statistics(**{**GOOD, "n": 1}, unbiased=False)
    assert result.variance.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("n", [10, np.int64(10), np.uint8(10)])
@pytest.mark.parametrize("momentum", [1, np.float16(1), Fraction(1)])
@pytest.mark.parametrize("unbiased", [True, np.bool_(True)])
def test_numbers_of_any_type(n: Any, momentum: Any, unbiased: Any) -> None:
    result = ng.update_running_statistics(**{**GOOD, "n": n}, momentum=momentum, unbiased=unbiased)
    assert result.variance.tolist() == [10 / 9] * 3
