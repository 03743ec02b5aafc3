"""Printed formulas against finite differences: right ones hold, wrong ones fail by far."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import normgraph as ng

from .channel import TOLERANCE, WITH_XHAT, Array, Channel, forward, gradient, relative_error
from .formulas import (
    ALL,
    BIASED,
    UNBIASED,
    WRONG,
    Published,
    closed_form,
    derivation_values,
    values_for,
)

#: A wrong formula must miss by at least this many tolerances: a real error, no rounding.
MARGIN = 1000


def name_of(formula: Published) -> str:
    return f"{formula.source}: {formula.quantity}"


RIGHT = [formula for formula in ALL if formula.corrected is None]


@pytest.mark.parametrize("formula", RIGHT, ids=name_of)
def test_right_formula_agrees_with_finite_differences(formula: Published) -> None:
    assert relative_error(formula.printed(values_for(formula)), formula.truth()) <= TOLERANCE


@pytest.mark.parametrize("formula", WRONG, ids=name_of)
def test_wrong_formula_fails_by_far_and_corrected_one_holds(formula: Published) -> None:
    values, truth = values_for(formula), formula.truth()
    assert formula.corrected is not None
    assert relative_error(formula.corrected(values), truth) <= TOLERANCE
    assert relative_error(formula.printed(values), truth) >= MARGIN * TOLERANCE


def test_wrong_formulas_are_numbered_in_their_order() -> None:
    assert [formula.number for formula in WRONG] == list(range(1, len(WRONG) + 1))
    assert all(formula.number == 0 for formula in RIGHT)


def final_form_as_printed() -> tuple[SimpleNamespace, Array]:
    s = derivation_values(BIASED)
    return s, closed_form(s, s.n / (s.n - 1))


def test_sum_of_input_delta_does_not_reveal_the_factor_of_the_final_form() -> None:
    s, printed = final_form_as_printed()
    # n terms, each off by a few 2^-53 of the largest.
    assert abs(printed.sum()) <= 4 * s.n * 2.0**-53 * np.abs(printed).max()


def test_product_with_xhat_reveals_the_factor_of_the_final_form() -> None:
    s, printed = final_form_as_printed()
    identity = s.gamma * s.invsqrt * np.sum(s.d * s.xhat) * s.epsilon / (s.variance + s.epsilon)
    assert np.isclose(closed_form(s, 1) @ s.xhat, identity, rtol=1e-10, atol=0)
    assert abs(printed @ s.xhat - identity) >= 5 * abs(identity)


def test_constant_delta_hides_the_factor_of_the_final_form() -> None:
    s = derivation_values(BIASED)
    s.d = np.ones(s.n)
    assert np.allclose(closed_form(s, s.n / (s.n - 1)), closed_form(s, 1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("channel", [BIASED, UNBIASED], ids=["biased", "unbiased"])
def test_closed_form_for_both_variances(channel: Channel) -> None:
    s = derivation_values(channel)
    input_delta = closed_form(s, s.n / channel.variance_divisor)
    assert relative_error(input_delta, gradient(WITH_XHAT, channel, "input")) <= TOLERANCE


def kernel_backprop(beta: float) -> ng.BatchNormTrainingBackpropResult:
    s = forward(WITH_XHAT, BIASED)
    x, delta = BIASED.input[:, np.newaxis], BIASED.normalized_delta[:, np.newaxis]
    gamma, beta_vector, mean, variance = (
        np.array([value]) for value in (s.gamma, beta, s.mean, s.variance)
    )
    return ng.batch_norm_training_backprop(
        x, gamma, beta_vector, mean, variance, delta, epsilon=s.epsilon
    )


def test_kernel_agrees_with_finite_differences() -> None:
    input_delta, gamma_delta, beta_delta = kernel_backprop(BIASED.beta)
    for name, value in [("input", input_delta[:, 0]), ("gamma", gamma_delta), ("beta", beta_delta)]:
        assert relative_error(value, gradient(WITH_XHAT, BIASED, name)) <= TOLERANCE


def test_backprop_does_not_read_beta() -> None:
    for one, other in zip(kernel_backprop(BIASED.beta), kernel_backprop(1e9), strict=True):
        assert one.tobytes() == other.tobytes()
