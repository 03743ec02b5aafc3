"""Each erroneous formula of the published derivations, in a backward function.

The formulas are those of tests/published_errors, channel by channel; the rest of each function is
right. Two rows of docs/published_errors.md are not here: row 8, since its derivative is zero at the
batch's own mean and changes no gradient, and row 14, which is no formula of the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests.published_errors import formulas
from tests.published_errors.channel import WITH_GMUL, Channel, Value
from tests.published_errors.channel import forward as stages_of

from . import right
from .right import Array
from .test_backward import example, mistakes_in

PRINTED = {formula.number: formula.printed for formula in formulas.WRONG}
Row = Callable[[SimpleNamespace], tuple[Value, Value, Value]]


def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    return right.forward(x, gamma, beta, eps)[0], (x, gamma, beta, eps)


def values_of(channel: Channel) -> SimpleNamespace:
    """The values that the formulas refer to, under every page's names."""
    s = stages_of(WITH_GMUL, channel)
    s.d = s.dout = s.normalized_delta
    s.xhat = s.centered * s.invsqrt
    s.s2 = s.v = s.variance + s.epsilon
    s.root = s.sqrtvar
    s.xhat_delta = s.gamma * s.d
    s.variance_delta = -s.gamma / (2 * s.s2) * np.sum(s.d * s.xhat)
    s.mean_delta = -s.gamma / s.root * np.sum(s.d)
    s.centered_delta = s.d * s.gmul + 2 * s.centered * s.variance_delta / s.n
    return s


def backward_by(row: Row) -> Callable[..., tuple[Array, ...]]:
    """A backward function of arrays (N, D) whose columns are what `row` makes of a channel."""

    def backward(dout: Array, cache: Any) -> tuple[Array, ...]:
        x, gamma, beta, eps = cache
        columns = [
            row(values_of(Channel(*arguments, eps, delta, len(delta))))
            for *arguments, delta in zip(x.T, gamma, beta, dout.T, strict=True)
        ]
        dx, dgamma, dbeta = (np.array(values) for values in zip(*columns, strict=True))
        return dx.T, dgamma, dbeta.T

    return backward


def sums(s: SimpleNamespace) -> tuple[Value, Value]:
    return np.sum(s.d * s.xhat), np.sum(s.d)


def right_input_delta(s: SimpleNamespace) -> Value:
    return formulas.closed_form(s, 1)


def by_paths(s: SimpleNamespace, normalized: Value, variance: Value) -> Value:
    """The derivation's three paths, of which two are given."""
    return normalized + variance + s.mean_delta / s.n


def through_centered(s: SimpleNamespace, normalized: Value) -> Value:
    """The vectorized page's last steps: what arrives at x̄ by x*, plus that by x̄², centered."""
    centered_delta = normalized + 2 * s.centered * s.variance_delta / s.n
    return centered_delta - np.mean(centered_delta)


def normalized_path(s: SimpleNamespace) -> Value:
    return s.gamma * s.d / s.root


def variance_path(s: SimpleNamespace, derivative: Value) -> Value:
    return s.variance_delta * derivative


#: row of docs/published_errors.md -> (a channel's gradients, what has to be found)
ROWS: dict[int, tuple[Row, set[tuple[str, str]]]] = {
    1: (
        lambda s: (right_input_delta(s), sums(s)[0], PRINTED[1](s)),
        {("beta_delta", "not_summed")},
    ),
    2: (
        lambda s: (
            formulas.ngraph_listing(s, PRINTED[2](s), -1),
            PRINTED[2](s) * s.invsqrt,
            sums(s)[1],
        ),
        {("input_delta", "sum_without_x_hat"), ("gamma_delta", "sum_without_x_hat")},
    ),
    3: (
        lambda s: (s.centered_delta + PRINTED[3](s) / s.n, *sums(s)),
        {("input_delta", "sign")},
    ),
    4: (
        lambda s: (PRINTED[4](s), *sums(s)),
        {("input_delta", "sum_without_x_hat"), ("input_delta", "sign")},
    ),
    5: (
        lambda s: (by_paths(s, PRINTED[5](s), variance_path(s, 2 * s.centered / s.n)), *sums(s)),
        {("input_delta", "inv_missing")},
    ),
    6: (
        lambda s: (by_paths(s, normalized_path(s), variance_path(s, PRINTED[6](s))), *sums(s)),
        {("input_delta", "missing_variance_path")},
    ),
    7: (
        lambda s: (by_paths(s, normalized_path(s), PRINTED[7](s)), *sums(s)),
        {("input_delta", "n_minus_1"), ("input_delta", "inv_twice")},
    ),
    9: (
        lambda s: (PRINTED[9](s), *sums(s)),
        {("input_delta", "inv_missing")},
    ),
    10: (
        lambda s: (PRINTED[10](s), *sums(s)),
        {("input_delta", "n_minus_1")},
    ),
    11: (
        lambda s: (through_centered(s, PRINTED[11](s)), *sums(s)),
        {("input_delta", "inv_divided")},
    ),
    12: (
        lambda s: (PRINTED[12](s), *sums(s)),
        {("input_delta", "epsilon_missing")},
    ),
    15: (
        lambda s: (right_input_delta(s), sums(s)[0], np.mean(s.d)),
        {("beta_delta", "averaged")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("number", ROWS)
def test_published_mistake_is_named(number: int) -> None:
    row, mistakes = ROWS[number]
    verification = ng.verify(forward, backward_by(row), example(12, 5))
    assert mistakes_in(verification) == mistakes, str(verification)


def test_the_same_functions_pass_without_the_mistakes() -> None:
    for row in (
        lambda s: (right_input_delta(s), *sums(s)),
        lambda s: (formulas.ngraph_listing(s, np.sum(s.d * s.centered), -1), *sums(s)),
        lambda s: (s.centered_delta - np.mean(s.centered_delta), *sums(s)),
        lambda s: (
            by_paths(s, normalized_path(s), variance_path(s, 2 * s.centered / s.n)),
            *sums(s),
        ),
        lambda s: (through_centered(s, s.xhat_delta * s.v**-0.5), *sums(s)),
    ):
        verification = ng.verify(forward, backward_by(row), example(12, 5))
        assert verification.passed, str(verification)


def test_row_6_with_its_sum_left_out_is_named() -> None:
    """∂σ²/∂x as −2/(n−1)·(x_i−μ): what one writes who notices that the printed sum is zero."""

    def row(s: SimpleNamespace) -> tuple[Value, Value, Value]:
        derivative = -2 / (s.n - 1) * s.centered
        return by_paths(s, normalized_path(s), variance_path(s, derivative)), *sums(s)

    found = mistakes_in(ng.verify(forward, backward_by(row), example(12, 5)))
    assert found == {("input_delta", "sign"), ("input_delta", "n_minus_1")}


def test_row_13_is_named() -> None:
    """The class's backward after a forward pass in test mode."""
    layer = right.Layer(5)
    layer.is_training = False
    verification = ng.verify(
        layer.forward,
        layer.backward,
        example(12, 5),
        epsilon=1e-8,
        channel_axis=-1,
        statistics=(layer.mean, layer.var),
    )
    assert mistakes_in(verification) == {("input_delta", "batch_statistics")}


def test_every_wrong_formula_has_its_place() -> None:
    assert {*ROWS, 8, 13, 14} == {formula.number for formula in formulas.WRONG}


def test_row_8_changes_no_gradient() -> None:
    def row(s: SimpleNamespace) -> tuple[Value, Value, Value]:
        s.other_mean = s.mean
        mean_delta = s.mean_delta + s.variance_delta * PRINTED[8](s)
        paths = normalized_path(s) + variance_path(s, 2 * s.centered / s.n) + mean_delta / s.n
        return paths, *sums(s)

    assert ng.verify(forward, backward_by(row), example(12, 5))
