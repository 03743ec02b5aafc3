"""Functions found in the wild: each mistake is named, and without it nothing is found."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.verification import UnusableError

from . import right
from .right import Array
from .test_backward import example, mistakes_in
from .wild import WILD, forward_of_rows, gradients_of_rows


@pytest.mark.parametrize("name", WILD)
def test_mistake_found_in_the_wild_is_named(name: str) -> None:
    functions, mistakes = WILD[name]
    verification = ng.verify(**functions(False))
    assert mistakes_in(verification) == mistakes, str(verification)


@pytest.mark.parametrize("name", WILD)
def test_corrected_function_passes(name: str) -> None:
    functions, _ = WILD[name]
    verification = ng.verify(**functions(True))
    assert verification.passed, str(verification)
    assert "input_delta" in {m.output for m in verification.measurements}
    assert "the definition" in {m.against for m in verification.measurements}


# ---- a forgotten channel axis --------------------------------------------------------------------


def last_forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, object]:
    y, cache = forward_of_rows(x.reshape(-1, x.shape[-1]), gamma, beta, 1e-5)
    return y.reshape(x.shape), cache


def last_backward(dout: Array, cache: object) -> tuple[Array, ...]:
    dx, *sums = gradients_of_rows(dout.reshape(-1, dout.shape[-1]), cache)
    return (dx.reshape(dout.shape), *sums)


@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (4, 4, 4, 4)])
def test_a_forgotten_channel_axis_is_named(shape: tuple[int, ...]) -> None:
    """Whether forward raises, as gamma has another length, or not."""
    sentence = "of the channels of axis 3: channel_axis=-1 verifies it so"
    if len(set(shape)) > 1:
        with pytest.raises(UnusableError, match=f"^forward: called with .*{sentence}$"):
            ng.verify(last_forward, last_backward, example(*shape))
    else:
        verification = ng.verify(last_forward, last_backward, example(*shape))
        assert mistakes_in(verification) == {("normalized", "wrong_axis")}
        assert sentence in verification.findings[0].words
    assert ng.verify(last_forward, last_backward, example(*shape), channel_axis=-1)


def test_functions_of_rows_that_are_given_images_are_named() -> None:
    sentence = r"of arrays \(N, C\): .* np.moveaxis\(x, 1, -1\).reshape\(-1, C\)"
    with pytest.raises(UnusableError, match=f"^forward: called with .*{sentence}$"):
        ng.verify(right.forward, right.staged, example(2, 4, 3, 5))
    verification = ng.verify(right.forward, right.closed_form, example(3, 3, 3, 3))
    found = {m for output, m in mistakes_in(verification) if output == "normalized"}
    assert found == {"wrong_axis"}
    assert re.search(sentence, verification.findings[0].words)


def test_no_layout_is_offered_for_a_forward_that_is_wrong_in_all() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> Array:
        return np.tanh(x)

    verification = ng.verify(forward, lambda delta: delta, example(2, 4, 3, 5))
    assert ("normalized", "unknown") in mistakes_in(verification)
    assert "channel_axis" not in str(verification)


# ---- statistics that forward is given ------------------------------------------------------------


def by_mean_and_variance(x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
    return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta


def by_running_statistics(
    x: Array, gamma: Array, beta: Array, moving_mean: Array, moving_var: Array, eps: float
) -> Array:
    return gamma * (x - moving_mean) / np.sqrt(moving_var + eps) + beta


def by_the_inverse_deviation(x: Array, mean: Array, rstd: Array, weight: Array) -> Array:
    return (x - mean) * rstd * weight


@pytest.mark.parametrize(
    "forward", [by_mean_and_variance, by_running_statistics, by_the_inverse_deviation]
)
def test_a_forward_that_is_given_its_statistics_is_verified(forward: Any) -> None:
    def backward(dout: Array, x: Array, gamma: Array, mean: Array, inv: Array) -> tuple[Array, ...]:
        return gamma * inv * dout, (dout * (x - mean) * inv).sum(0)

    verification = ng.verify(forward, backward, example(12, 5))
    assert verification.passed, str(verification)
    assert verification.notes[0].startswith("forward takes the mean and variance that it")
    statistics = (np.linspace(-1, 1, 5), np.linspace(0.5, 2, 5))
    verification = ng.verify(forward, backward, example(12, 5), statistics=statistics)
    assert verification.passed, str(verification)
    assert not any("constants near" in note for note in verification.notes)


def test_statistics_that_may_be_left_out_are_those_of_the_batch() -> None:
    def forward(
        x: Array, gamma: Array, beta: Array, mean: Any = None, var: Any = None
    ) -> tuple[Array, object]:
        is_given = mean is not None
        mean, var = (mean, var) if is_given else (x.mean(0), x.var(0))
        inv = 1 / np.sqrt(var + 1e-5)
        return gamma * (x - mean) * inv + beta, ((x - mean) * inv, gamma, inv, is_given)

    def backward(dout: Array, cache: Any) -> tuple[Array, ...]:
        *values, is_given = cache
        dx, dgamma, dbeta = gradients_of_rows(dout, values)
        return values[1] * values[2] * dout if is_given else dx, dgamma, dbeta

    verification = ng.verify(forward, backward, example(12, 5))
    assert verification.passed, str(verification)
    assert verification.notes == ()
    statistics = (np.linspace(-1, 1, 5), np.linspace(0.5, 2, 5))
    assert ng.verify(forward, backward, example(12, 5), statistics=statistics)


# ---- coefficients --------------------------------------------------------------------------------


def test_coefficients_that_rounding_alone_keeps_from_zero_are_printed_as_zero() -> None:
    def backward(dout: Array, cache: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        dx, dgamma, dbeta = gradients_of_rows(dout, cache)
        return dx + cache[1] * cache[2] * dout.mean(0), dgamma, dbeta

    verification = ng.verify(forward_of_rows, backward, example(12, 5))
    assert verification.findings[0].evidence["mean term times"] == 0
    assert "mean term times 0, variance term times 1" in str(verification)
