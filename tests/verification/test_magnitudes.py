"""Data of any magnitude: right functions pass, and what float64 cannot hold is refused.

What a tolerance hides is told: an element type's rounding may be larger than a mistake.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import normgraph as ng

from . import right
from .broken import BROKEN
from .right import Array
from .test_backward import example, mistakes_in

Functions = tuple[Callable[..., Any], Callable[..., Any]]


def kernels(dtype: npt.DTypeLike) -> Functions:
    """The package's own kernels, on data of this type."""
    of_vectors = np.float64 if dtype == np.float64 else np.float32

    def narrowed(x: Array, *vectors: Array) -> list[Any]:
        return [x.astype(dtype), *(vector.astype(of_vectors) for vector in vectors)]

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        return ng.batch_norm_training(*narrowed(x, gamma, beta))

    def backward(
        x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, delta: Array
    ) -> Any:
        arrays = narrowed(x, gamma, beta, mean, variance)
        return ng.batch_norm_training_backprop(*arrays, delta.astype(dtype))

    return forward, backward


def one_pass(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    """The variance as the mean of squares less the square of the mean."""
    mean = x.mean(axis=0)
    inv = 1 / np.sqrt((x * x).mean(axis=0) - mean * mean + eps)
    xhat = (x - mean) * inv
    return gamma * xhat + beta, (xhat, gamma, None, inv)


F64, F32, F16 = kernels(np.float64), kernels(np.float32), kernels(np.float16)
ONE_PASS, STAGED = (one_pass, right.closed_form), (right.forward, right.staged)


@pytest.mark.parametrize(
    ("functions", "scale"),
    [
        *((F64, scale) for scale in (1e-320, 1e-310, 1e-160, 1e-20, 1e-10, 1e20, 1e150, 1e153)),
        *((F32, scale) for scale in (1e-42, 1e-30, 1e-20, 1e-9, 1e-6, 1e15)),
        *((F16, scale) for scale in (1e-7, 1e-6, 1e-4, 1.0, 100.0)),
        *((ONE_PASS, scale) for scale in (1e-200, 1e-20, 1e100, 1e150, 1e152)),
        *((STAGED, scale) for scale in (1e-200, 1e-20, 1e100, 1e150)),
    ],
)
@pytest.mark.parametrize("shape", [(12, 5), (3, 2), (100, 3)])
def test_right_functions_pass_on_any_magnitude(
    functions: Functions, scale: float, shape: tuple[int, ...]
) -> None:
    """If x is tiny, y is beta, and its change by a step in gamma is lost in beta's rounding."""
    for seed in range(3):
        verification = ng.verify(*functions, scale * example(*shape), seed=seed)
        assert verification.passed, f"seed {seed}\n{verification}"


@pytest.mark.parametrize("mean", [3.0, 30.0, 1e3])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e100, 1e149])
def test_one_pass_passes_with_a_mean(mean: float, scale: float) -> None:
    assert ng.verify(*ONE_PASS, scale * (mean + example(12, 5)))


@pytest.mark.parametrize(
    "vectors",
    [
        (np.full(5, 1e18), np.zeros(5)),
        (np.ones(5), np.full(5, 1e18)),
        (np.full(5, 1e-18), np.full(5, 1e18)),
        (np.full(5, 1e-300), np.full(5, 1e-300)),
        (np.full(5, 1e150), np.full(5, -1e150)),
    ],
)
def test_right_functions_pass_with_any_gamma_and_beta(vectors: tuple[Array, Array]) -> None:
    for backward in (right.staged, right.closed_form):
        verification = ng.verify(right.forward, backward, (example(12, 5), *vectors))
        assert verification.passed, str(verification)


@pytest.mark.parametrize("name", ["n - 1 in both paths", "gamma missing", "sums averaged"])
@pytest.mark.parametrize("scale", [1e-100, 1e-20, 1e-9, 1e9, 1e100])
def test_mistakes_are_named_on_any_magnitude(name: str, scale: float) -> None:
    backward, mistakes = BROKEN[name]
    verification = ng.verify(right.forward, backward, scale * example(12, 5))
    assert mistakes_in(verification) == mistakes, str(verification)


def test_a_mistake_that_the_rounding_of_beta_hides_from_differences_is_found() -> None:
    """By the definition: gamma_delta is wrong on tiny data alone."""

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = right.closed_form(dout, cache)
        return dx, np.where(np.abs(cache[0]).max() < 1e-10, 2 * dgamma, dgamma), dbeta

    found = mistakes_in(ng.verify(right.forward, backward, 1e-20 * example(12, 5)))
    assert found == {("gamma_delta", "factor_2")}


# ---- what float64 cannot hold --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            1e200 * np.eye(4, 3),
            "example: x: expected a variance that float64 can hold in each channel, got infinity "
            "in channel 0, whose numbers reach 1e[+]200",
        ),
        (1e308 * np.eye(4, 3), "example: x: expected a variance that float64 can hold"),
        (np.full((4, 3), 1e308), "example: x: expected a variance that float64 can hold"),
        (
            (example(4, 3), np.full(3, 1e308), np.full(3, 1e308)),
            "example: expected numbers whose y float64 can hold, got infinity or NaN in channel",
        ),
        (
            (np.zeros((4, 3)), np.full(3, 1e308), np.zeros(3)),
            "example: expected numbers whose input_delta float64 can hold",
        ),
    ],
    ids=["infinite variance", "1e308", "infinite sum", "y", "input_delta"],
)
def test_what_float64_cannot_hold_is_refused(x: Any, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=f"^{message}"):
            ng.verify(*STAGED, x)


def test_a_variance_that_has_no_digits_is_refused() -> None:
    message = "^example: x: expected variance [+] epsilon 2.23e-308 or more in each channel"
    with pytest.raises(ValueError, match=message):
        ng.verify(*STAGED, 1e-160 * example(4, 3), epsilon=0.0)


@pytest.mark.parametrize("epsilon", [5e-324, 1e-300, 1e-100, 1e100, 1e300])
def test_any_epsilon_passes(epsilon: float) -> None:
    verification = ng.verify(*STAGED, example(12, 5), epsilon=epsilon)
    assert verification.passed, str(verification)


@pytest.mark.filterwarnings("ignore:overflow|divide|invalid")
def test_a_mean_whose_square_overflows_is_no_error() -> None:
    """(mean·inv)² of the tolerance is infinite; NaN is none of the errors that it allows."""
    x = np.full((4, 2), 1e153)
    assert ng.verify(*STAGED, x, epsilon=1e-9)

    def backward(dout: Array, cache: Any) -> Any:
        return tuple(np.full_like(value, np.nan) for value in right.closed_form(dout, cache))

    found = mistakes_in(ng.verify(right.forward, backward, x, epsilon=1e-9))
    assert {mistake for _, mistake in found} == {"not_finite"}


# ---- what a tolerance hides ----------------------------------------------------------------------


def test_it_is_told_where_rounding_hides_mistakes() -> None:
    notes = ng.verify(*F16, example(50, 3)).notes
    assert any("on example (50, 3) rounding alone explains an error of" in note for note in notes)
    for functions in (F32, F64):
        assert ng.verify(*functions, example(50, 3)).notes == ()
    notes = ng.verify(*STAGED, 1e9 + example(50, 3)).notes
    assert any("on example (50, 3) rounding alone explains" in note for note in notes)
    assert not any("probe" in note for note in notes)
