"""Expected values: against an oracle of their own, and as limits that the kernels keep."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from fractions import Fraction

import gmpy2
import ml_dtypes
import numpy as np
import pytest
from gmpy2 import mpfr

import normgraph as ng
from normgraph.check.accuracy import BF16, F16, F32, F64, Format
from normgraph.conform import exact
from normgraph.conform.cases import ZERO_CHANNEL, Case, cases
from normgraph.conform.expected import Channels, Expected, expected_outputs
from normgraph.conform.judgement import score
from tests.kernel import definition
from tests.kernel.real_types import REAL_TYPES

DTYPES = {"bf16": np.dtype(ml_dtypes.bfloat16), "f16": np.dtype("f2"), "f32": np.dtype("f4")}


@pytest.mark.parametrize(
    "value", [Fraction(2), Fraction(1, 3), Fraction(5, 2**400), 7 ** Fraction(90)]
)
def test_an_inverse_root_has_320_bits(value: Fraction) -> None:
    root = exact.inverse_root(Fraction(value))
    assert abs(root * root * Fraction(value) - 1) < Fraction(1, 2**319)


def test_two_doubles_hold_106_bits() -> None:
    value = Fraction(1, 3)
    high, low = exact.high_and_low(value)
    assert high == 1 / 3
    assert abs(Fraction(high) + Fraction(low) - value) < Fraction(1, 2**107)
    assert exact.high_and_low(Fraction(10) ** 400) == (math.inf, 0.0)


@pytest.mark.parametrize("to", [F16, BF16, F32], ids=lambda to: to.name)
def test_rounding_is_that_of_the_types(to: Format) -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=400) * 2.0 ** generator.integers(-160, 140, 400)
    # Ties, denormals and what is beyond the type.
    values = np.concatenate([values, [2.0**-25, 3 * 2.0**-25, 65520.0, 65519.0, 2.0**-134, 0.0]])
    with np.errstate(over="ignore"):
        # By way of float, which rounds no double of 53 bits to a tie of the narrow type here.
        expected = values.astype(DTYPES[to.name]).astype(np.float64)
    assert exact.quantized(values, to).tolist() == expected.tolist()
    assert [exact.nearest(Fraction(value), to) for value in values] == expected.tolist()


def test_rounding_to_double_is_that_of_a_division() -> None:
    generator = random.Random(2)
    for _ in range(2000):
        numerator = generator.getrandbits(generator.randrange(1, 1200)) * generator.choice([1, -1])
        value = Fraction(numerator, generator.getrandbits(generator.randrange(1, 1200)) + 1)
        assert exact.nearest(value, F64) == exact.nearest_double(value)
    half = Fraction(1, 2**1075)  # of the smallest denormal number
    assert exact.nearest(half, F64) == exact.nearest_double(half) == 0.0
    assert exact.nearest(3 * half, F64) == exact.nearest_double(3 * half) == 2.0**-1073


def test_an_exact_sum_is_that_of_rational_numbers() -> None:
    generator = random.Random(3)
    values = [
        Fraction(generator.randrange(-(10**9), 10**9), generator.randrange(1, 10**6))
        for _ in range(50)
    ]
    assert exact.exact_sum(values) == sum(values)
    assert exact.exact_sum([]) == 0


def oracle(case: Case) -> Mapping[str, definition.Bounded]:
    """The tests' own definition, in 256-bit arithmetic."""
    inputs = {
        name: values.astype(REAL_TYPES[case.format_of(name).name].dtype)
        for name, values in case.inputs.items()
    }
    options = {"epsilon": case.epsilon, "channel_axis": case.channel_axis}
    x, gamma, beta = inputs["x"], inputs["gamma"], inputs["beta"]
    if case.role == "training":
        vector = REAL_TYPES[case.vector.name]
        return definition.training(x, gamma, beta, statistics_type=vector, **options)
    given = (x, gamma, beta, inputs["mean"], inputs["variance"])
    if case.role == "inference":
        return {"normalized": definition.inference(*given, **options)}
    function = {
        "backward": definition.training_backprop,
        "inference_backward": definition.inference_backprop,
    }[case.role]
    return function(*given, inputs["delta"], **options)


def worst_difference(output: Expected, bounded: definition.Bounded) -> mpfr:
    """Relative to the larger of the two, or to the smallest double that matters."""
    worst = mpfr(0)
    for index in np.ndindex(output.high.shape):
        value = mpfr(output.high[index]) + mpfr(output.low[index])
        size = max(abs(bounded.value[index]), mpfr(2) ** -900)
        worst = max(worst, abs(value - bounded.value[index]) / size)
    return worst


PLAIN = ("easy", "shift", "no_epsilon", "constant", "huge", "delta_one", "count_1")


@pytest.mark.parametrize("role", ["training", "inference", "backward", "inference_backward"])
def test_values_are_those_of_the_definition_in_256_bits(role: str) -> None:
    chosen = [
        case
        for case in cases(role)
        if case.difficulty.name in PLAIN and case.layout.name in ("nc", "nhwc")
    ]
    assert len(chosen) > 30
    for case in chosen:
        expected = expected_outputs(case)
        for name, bounded in oracle(case).items():
            # 106 bits; less where a small number's second double is denormal.
            assert worst_difference(expected[name], bounded) < mpfr(2) ** -95, (case.name, name)


def masked(case: Case) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """The formulas of masked batches in mpfr, channel by channel."""
    to_mpfr = np.frompyfunc(mpfr, 1, 1)
    x, delta = (to_mpfr(np.nan_to_num(case.rows(name))) for name in ("x", "delta"))
    counted = case.counted[:, np.newaxis]
    gamma, mean, variance = (to_mpfr(case.inputs[n]) for n in ("gamma", "mean", "variance"))
    inverse = 1 / np.frompyfunc(gmpy2.sqrt, 1, 1)(variance + mpfr(case.epsilon))
    x_hat = (x - mean) * inverse
    beta_delta, gamma_delta = delta.sum(axis=0), (delta * x_hat).sum(axis=0)
    correction = np.where(counted, beta_delta + x_hat * gamma_delta, mpfr(0)) / int(counted.sum())
    return {
        "input_delta": case.array(gamma * inverse * (delta - correction)),
        "gamma_delta": gamma_delta,
        "beta_delta": beta_delta,
    }


def test_masked_gradients_are_those_of_the_formulas() -> None:
    chosen = [case for case in cases("backward") if case.where is not None]
    assert len(chosen) == 24
    for case in chosen:
        expected = expected_outputs(case)
        for name, values in masked(case).items():
            sums = expected[name].high.astype(object) + expected[name].low
            difference = np.abs((sums - values).astype(np.float64)).max()
            assert difference < 1e-13 * max(1.0, np.abs(values.astype(np.float64)).max())


def test_no_element_is_near_the_corner_of_a_relu() -> None:
    for role in ("training", "inference", "backward"):
        for case in cases(role):
            if case.activation == "none":
                continue
            linear = np.asarray(Channels(case, given=True).linear, np.float64)
            if case.difficulty.name == "relu_zero":
                # Zeros that are exact in any arithmetic: gamma and beta are 0.
                assert (linear[:, ZERO_CHANNEL] == 0).all()
                linear = np.delete(linear, ZERO_CHANNEL, axis=1)
            for corner in (0.0, case.upper_bound or 0.0):
                # What a right function may be off by: a hundredth, in 16 bits.
                assert np.abs(linear - corner).min() > 1e-6, case.name
            assert (linear < 0).any(), case.name


def test_what_is_not_finite_spoils_its_channel_alone() -> None:
    for case in cases("backward"):
        if case.difficulty.name not in ("nan", "infinity"):
            continue
        expected = expected_outputs(case)
        assert np.isnan(expected["gamma_delta"].high).tolist() == [False, True, False, False]
        assert np.isfinite(expected["beta_delta"].high).all()
        spoiled = np.isnan(np.moveaxis(expected["input_delta"].high, case.channel_axis, 0))
        assert spoiled[1].all()
        assert spoiled.sum() == spoiled[1].size


def test_what_is_beyond_the_type_is_infinite_with_its_sign() -> None:
    high, zero = np.array([1e5, -1e5]), np.zeros(2)
    expected = Expected(F16, np.copysign(np.inf, high), high, zero, zero, zero, np.abs(high))
    assert score(np.array([np.inf, -np.inf]), expected).verdict == "accurate"
    for values in ([np.inf, np.inf], [65504.0, -np.inf]):
        assert score(np.array(values), expected).verdict == "WRONG"


#: The kernels keep the bound, which is the tighter limit, on every case.
KERNELS = {
    "training": (ng.batch_norm_training, 187),
    "inference": (ng.batch_norm_inference, 124),
    "backward": (ng.batch_norm_training_backprop, 211),
    "inference_backward": (ng.batch_norm_inference_backprop, 112),
}
RELU_KERNELS = {
    "training": (ng.batch_norm_training_relu, ng.batch_norm_training_add_relu),
    "inference": (ng.batch_norm_inference_relu, ng.batch_norm_inference_add_relu),
    "backward": (
        ng.batch_norm_training_relu_backprop,
        ng.batch_norm_training_add_relu_backprop,
    ),
}


@pytest.mark.parametrize("role", KERNELS)
def test_the_kernels_are_accurate_on_every_case(role: str) -> None:
    function, count = KERNELS[role]
    result = ng.conformance(function, role, strict=True, order=False)
    assert result, str(result)
    assert len(result.results) == count
    assert not result.left_out


@pytest.mark.parametrize("activation", ["relu", "relu6", "add_relu"])
@pytest.mark.parametrize("role", RELU_KERNELS)
def test_the_kernels_with_a_relu_are_accurate(role: str, activation: str) -> None:
    function = RELU_KERNELS[role][activation == "add_relu"]
    result = ng.conformance(function, role, activation=activation, strict=True, order=False)
    assert result, str(result)
    assert len(result.results) == (24 if (role, activation) == ("backward", "relu") else 12)
