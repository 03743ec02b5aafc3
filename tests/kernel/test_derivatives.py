"""The backward pass is the derivative of the forward pass.

Gradients are taken against random deltas: of a constant one the true input_delta is zero, and a
zero hides nearly every mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpfr

import normgraph as ng

from . import definition
from .derivations import Gradients, closed_form_gradients, staged_gradients
from .real_types import Array

UNIT_ROUNDOFF = 2.0**-53


class Problem(NamedTuple):
    """f64 arguments as rows (channels, elements per channel), with what the forward gave."""

    x: Array
    gamma: Array
    beta: Array
    delta: Array
    mean: Array
    variance: Array
    epsilon: float

    def gradients(self, delta: Array | None = None) -> Gradients:
        result = ng.batch_norm_training_backprop(
            self.x,
            self.gamma,
            self.beta,
            self.mean,
            self.variance,
            self.delta if delta is None else delta,
            epsilon=self.epsilon,
            channel_axis=0,
        )
        return Gradients(*result)

    @property
    def inverse(self) -> Array:
        return np.asarray(1 / np.sqrt(self.variance + self.epsilon))[:, np.newaxis]

    @property
    def x_hat(self) -> Array:
        return np.asarray((self.x - self.mean[:, np.newaxis]) * self.inverse)

    @property
    def scale(self) -> Array:
        return self.gamma[:, np.newaxis] * self.inverse


def make_problem(seed: int, count: int = 11, channels: int = 3, epsilon: float = 1e-3) -> Problem:
    random = np.random.default_rng(seed)
    x = random.standard_normal((channels, count)) * 1.7 + random.uniform(-2, 2, (channels, 1))
    gamma, beta = random.uniform(0.5, 2, channels), random.standard_normal(channels)
    _, mean, variance = ng.batch_norm_training(x, gamma, beta, epsilon=epsilon, channel_axis=0)
    delta = random.standard_normal(x.shape)
    return Problem(x, gamma, beta, delta, mean, variance, epsilon)


def tolerance(problem: Problem) -> Gradients:
    """Rounding of two evaluations in double of the gradients' sums and products.

    Terms go through at most n + 50 roundings (a sum of n, and the handful of operations before and
    after it) in either evaluation, and the statistics add as much again.
    """
    count = problem.x.shape[1]
    roundings = 4 * (count + 50) * UNIT_ROUNDOFF
    delta_sum = np.abs(problem.delta).sum(axis=1, keepdims=True)
    # The mean's error matters for x̂, too: |mean|·inv units of it.
    x_hat = np.abs(problem.x_hat) + np.abs(problem.mean[:, np.newaxis]) * problem.inverse
    product_sum = (np.abs(problem.delta) * x_hat).sum(axis=1, keepdims=True)
    magnitude = np.abs(problem.delta) + delta_sum / count + x_hat * product_sum / count
    return Gradients(
        roundings * np.abs(problem.scale) * magnitude,
        roundings * product_sum[:, 0],
        roundings * delta_sum[:, 0],
    )


def assert_close(actual: Gradients, expected: Gradients, allowed: Gradients, what: str) -> None:
    for name, got, wanted, bound in zip(Gradients._fields, actual, expected, allowed, strict=True):
        excess = np.abs(got - wanted) - bound
        assert np.all(excess <= 0), f"{what}: {name}\n{got}\nexpected\n{wanted}\nexcess\n{excess}"


@pytest.mark.parametrize("derivation", [staged_gradients, closed_form_gradients])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 7, 11, 1000])
def test_agrees_with_other_derivations(
    derivation: Callable[[Array, Array, Array, float], Gradients], seed: int, count: int
) -> None:
    problem = make_problem(seed, count)
    expected = derivation(problem.x, problem.gamma[:, np.newaxis], problem.delta, problem.epsilon)
    what = f"{derivation.__name__}, seed {seed}, n {count}"
    assert_close(problem.gradients(), expected, tolerance(problem), what)


def _loss_of_the_definition(x: Array, gamma: Array, beta: Array, problem: Problem) -> mpfr:
    """Σ δ·normalized in 256-bit arithmetic; all arguments have mpfr elements."""
    count = x.shape[1]
    mean = x.sum(axis=1, keepdims=True) / count
    variance = ((x - mean) ** 2).sum(axis=1, keepdims=True) / count
    inverse = (variance + mpfr(problem.epsilon)) ** mpfr(-0.5)
    normalized = gamma[:, np.newaxis] * (x - mean) * inverse + beta[:, np.newaxis]
    return (definition.exact(problem.delta) * normalized).sum()


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_differences_of_the_definition(seed: int) -> None:
    """Central differences of step 1e-20 in 256 bits: their own error, about 1e-38, is no matter."""
    problem = make_problem(seed, count=7, channels=2)
    arguments = [definition.exact(array) for array in (problem.x, problem.gamma, problem.beta)]
    step = mpfr("1e-20")
    derivatives = []
    for which, argument in enumerate(arguments):
        derivative = np.empty(argument.shape)
        for index in np.ndindex(argument.shape):
            losses = []
            for sign in (1, -1):
                moved = [array.copy() for array in arguments]
                moved[which][index] += sign * step
                losses.append(_loss_of_the_definition(*moved, problem))
            derivative[index] = float((losses[0] - losses[1]) / (2 * step))
        derivatives.append(derivative)
    assert gmpy2.get_context().precision >= 256
    assert_close(problem.gradients(), Gradients(*derivatives), tolerance(problem), f"seed {seed}")


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_differences_of_the_forward_kernel(seed: int) -> None:
    """Central differences of step h err by a multiple of h², which the step 2h shows.

    D(2h) − D(h) is three times the error of D(h). Rounding adds that of the losses, n·C terms
    with a few roundings each, divided by the step.
    """
    problem = make_problem(seed, count=13)

    def loss(x: Array) -> tuple[float, float]:
        normalized = ng.batch_norm_training(
            x, problem.gamma, problem.beta, epsilon=problem.epsilon, channel_axis=0
        ).normalized
        terms = problem.delta * normalized
        return float(terms.sum()), float(np.abs(terms).sum())

    def difference(index: tuple[int, ...], step: float) -> tuple[float, float]:
        forward, backward = problem.x.copy(), problem.x.copy()
        forward[index] += step
        backward[index] -= step
        upper, magnitude = loss(forward)
        lower, _ = loss(backward)
        distance = float(forward[index] - backward[index])
        return (upper - lower) / distance, 2 * 80 * UNIT_ROUNDOFF * magnitude / distance

    input_delta = problem.gradients().input_delta
    step = 2.0**-15
    for index in np.ndindex(problem.x.shape):
        near, rounding = difference(index, step)
        far, _ = difference(index, 2 * step)
        allowed = abs(far - near) / 3 * 1.1 + 2 * rounding
        assert abs(input_delta[index] - near) <= allowed, f"seed {seed}, at {index}"


def test_every_derivation_would_notice_a_wrong_factor() -> None:
    """The tolerances are far below the gradients: n − 1 for n in one term is an error seen."""
    problem = make_problem(0, count=1000)
    count = 1000
    correct = problem.gradients().input_delta
    term = problem.scale * problem.x_hat * problem.gradients().gamma_delta[:, np.newaxis]
    wrong = correct + term / count - term / (count - 1)
    assert np.all(np.abs(wrong - correct).max(axis=1) > tolerance(problem).input_delta.max(axis=1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 9, 513, 20000])
def test_sum_of_input_delta_is_0(seed: int, count: int) -> None:
    problem = make_problem(seed, count)
    total = problem.gradients().input_delta.sum(axis=1)
    allowed = tolerance(problem).input_delta.sum(axis=1)
    assert np.all(np.abs(total) <= allowed), f"seed {seed}, n {count}: {total}, {allowed}"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 9, 513, 20000])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1.0])
def test_sum_of_input_delta_times_x_hat(seed: int, count: int, epsilon: float) -> None:
    """Σ input_delta·x̂ = gamma·inv·gamma_delta·epsilon/(variance + epsilon)."""
    problem = make_problem(seed, count, epsilon=epsilon)
    gradients = problem.gradients()
    total = (gradients.input_delta * problem.x_hat).sum(axis=1)
    share = epsilon / (problem.variance + epsilon)
    expected = problem.scale[:, 0] * gradients.gamma_delta * share
    allowed = (tolerance(problem).input_delta * (np.abs(problem.x_hat) + 1)).sum(axis=1)
    excess = np.abs(total - expected) - allowed
    assert np.all(excess <= 0), f"seed {seed}, n {count}: {total}, {expected}, excess {excess}"


@pytest.mark.parametrize("seed", range(5))
def test_is_linear_in_delta(seed: int) -> None:
    problem = make_problem(seed, 25)
    random = np.random.default_rng(seed + 100)
    other = problem._replace(delta=random.standard_normal(problem.x.shape))
    combined = problem._replace(delta=1.5 * problem.delta - 0.75 * other.delta)
    first, second = problem.gradients(), other.gradients()
    expected = Gradients(*(1.5 * f - 0.75 * s for f, s in zip(first, second, strict=True)))
    allowed = Gradients(
        *(
            1.5 * f + 0.75 * s + c
            for f, s, c in zip(*map(tolerance, (problem, other, combined)), strict=True)
        )
    )
    assert_close(combined.gradients(), expected, allowed, f"seed {seed}")


@pytest.mark.parametrize("factor", [2.0, -4.0, 2.0**-30])
def test_a_power_of_two_in_delta_is_one_in_the_gradients(factor: float) -> None:
    problem = make_problem(3, 25)
    expected = problem.gradients()
    scaled = problem.gradients(problem.delta * factor)
    for name, got, base in zip(Gradients._fields, scaled, expected, strict=True):
        assert np.array_equal(got, base * factor), name


@pytest.mark.parametrize("shift", [1.0, -3.5, 1024.0])
def test_a_shift_of_the_input_changes_nothing(shift: float) -> None:
    """On a grid where the shift, the mean and all sums are exact."""
    random = np.random.default_rng(20)
    x = random.integers(-256, 257, (3, 64)) / 64.0
    delta = random.standard_normal(x.shape)
    _, mean, variance = ng.batch_norm_training(x, None, None, channel_axis=0)
    _, shifted_mean, shifted_variance = ng.batch_norm_training(
        x + shift, None, None, channel_axis=0
    )
    expected = ng.batch_norm_training_backprop(x, None, None, mean, variance, delta, channel_axis=0)
    shifted = ng.batch_norm_training_backprop(
        x + shift, None, None, shifted_mean, shifted_variance, delta, channel_axis=0
    )
    for name in expected._fields:
        assert np.array_equal(getattr(shifted, name), getattr(expected, name)), name
