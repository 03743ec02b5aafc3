"""Forward functions: the mistake of each wrong one is named, and backward is judged by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import right
from .broken import BROKEN
from .right import Array
from .test_backward import example, mistakes_in

Forward = Callable[[Array, Array, Array, float], tuple[Array, Any]]


def of_formula(formula: Callable[..., Array]) -> Forward:
    """A forward pass by x, gamma, beta, eps and the batch's mean and variance.

    Its cache is the right one, so that backward is wrong for it.
    """

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        cache = right.forward(x, gamma, beta, eps)[1]
        return formula(x, gamma, beta, eps, x.mean(0), x.var(0)), cache

    return forward


FORMULAS: dict[str, Callable[..., Array]] = {
    "epsilon_missing": lambda x, g, b, e, m, v: g * (x - m) / np.sqrt(v) + b,
    "epsilon_outside_root": lambda x, g, b, e, m, v: g * (x - m) / (np.sqrt(v) + e) + b,
    "other_epsilon": lambda x, g, b, e, m, v: g * (x - m) / np.sqrt(v + 3 * e) + b,
    "not_centered": lambda x, g, b, e, m, v: g * x / np.sqrt(v + e) + b,
    "variance_not_rooted": lambda x, g, b, e, m, v: g * (x - m) / (v + e) + b,
    "unbiased_variance": lambda x, g, b, e, m, v: g * (x - m) / np.sqrt(x.var(0, ddof=1) + e) + b,
    "gamma_missing": lambda x, g, b, e, m, v: (x - m) / np.sqrt(v + e) + b,
    "beta_missing": lambda x, g, b, e, m, v: g * (x - m) / np.sqrt(v + e),
    "constant_statistics": lambda x, g, b, e, m, v: g * (x - 0.3) / np.sqrt(1.7 + e) + b,
    "wrong_axis": lambda x, g, b, e, m, v: (
        g * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + e) + b
    ),
    "unknown": lambda x, g, b, e, m, v: g * np.tanh((x - m) / np.sqrt(v + e)) + b,
    "not_finite": lambda x, g, b, e, m, v: x / np.zeros_like(x),
    "low_precision": lambda x, g, b, e, m, v: (
        (g * (x - m) / np.sqrt(v + e) + b).astype(np.float32).astype(np.float64)
    ),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("mistake", FORMULAS)
def test_mistake_of_forward_is_named(mistake: str) -> None:
    forward = of_formula(FORMULAS[mistake])
    found = mistakes_in(ng.verify(forward, right.staged, example(12, 5)))
    assert {m for output, m in found if output == "normalized"} == {mistake}


@pytest.mark.filterwarnings("error")
def test_a_constant_example_raises_no_warning() -> None:
    x = np.stack([example(12, 1)[:, 0], np.full(12, 0.5)], axis=1)
    for name in ("gamma_missing", "not_centered", "unknown"):
        found = mistakes_in(ng.verify(of_formula(FORMULAS[name]), right.staged, x))
        assert ("normalized", name) in found


def test_a_biased_variance_is_named_where_the_unbiased_one_is_asked_for() -> None:
    found = mistakes_in(ng.verify(right.forward, right.staged, example(12, 5), unbiased=True))
    assert found == {("normalized", "biased_variance")}


def test_epsilon_found_is_in_the_words() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
        return right.forward(x, gamma, beta, 1e-3)

    verification = ng.verify(forward, right.staged, example(12, 5))
    assert mistakes_in(verification) == {("normalized", "other_epsilon")}
    assert "epsilon is 0.001, not the 1e-05 given" in verification.findings[0].words
    assert ng.verify(forward, right.staged, example(12, 5), epsilon=1e-3)


def test_backward_is_judged_by_its_own_forward() -> None:
    """It is the gradient of the pass with another epsilon, or with constants, and not blamed."""
    layer = right.Layer(5)
    layer.is_training = False
    functions = (layer.forward, layer.backward_with_frozen_statistics, example(12, 5))
    found = mistakes_in(ng.verify(*functions, channel_axis=-1))
    assert found == {("normalized", "constant_statistics")}
    found = mistakes_in(ng.verify(layer.forward, layer.backward, example(12, 5), channel_axis=-1))
    assert found == {("normalized", "constant_statistics"), ("input_delta", "batch_statistics")}


def test_a_mistake_in_each_function_is_named() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
        return right.forward(x, gamma, beta, 1e-3)

    found = mistakes_in(ng.verify(forward, BROKEN["variance path missing"][0], example(12, 5)))
    assert found == {("normalized", "other_epsilon"), ("input_delta", "missing_variance_path")}


def test_a_gradient_of_the_definition_but_not_of_forward_is_told() -> None:
    forward = of_formula(FORMULAS["unknown"])
    words = [
        finding.words
        for finding in ng.verify(forward, right.staged, example(12, 5)).findings
        if finding.output == "input_delta"
    ]
    assert words == ["it is the gradient of batch normalization, but not of this forward pass"]


@pytest.mark.parametrize(
    ("statistics_axes", "mistake"),
    [((0,), "wrong_axis"), ((2, 3), "wrong_axis"), ((1, 2, 3), "wrong_axis")],
)
def test_wrong_axes_of_images_are_named(statistics_axes: tuple[int, ...], mistake: str) -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        mean = x.mean(statistics_axes, keepdims=True)
        inv = 1 / np.sqrt(x.var(statistics_axes, keepdims=True) + eps)
        xhat = (x - mean) * inv
        return gamma * xhat + beta, (xhat, inv, gamma)

    images = (example(2, 3, 4, 4), *np.ones((2, 1, 3, 1, 1)))
    verification = ng.verify(forward, right.broadcast_backward, images)
    assert ("normalized", mistake) in mistakes_in(verification)
    said = " and ".join(map(str, statistics_axes))
    assert f"{said}; it should be axes 0 and 2 and 3" in verification.findings[0].words


def test_reshape_for_transpose_is_named() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        y, cache = right.forward(x.reshape(-1, x.shape[1]), gamma, beta, eps)
        return y.reshape(x.shape), cache

    def backward(dout: Array, cache: Any) -> tuple[Array, ...]:
        dx, *sums = right.staged(dout.reshape(-1, dout.shape[1]), cache)
        return (dx.reshape(dout.shape), *sums)

    found = mistakes_in(ng.verify(forward, backward, example(2, 3, 4, 4)))
    assert ("normalized", "wrong_layout") in found


def test_chance_is_named() -> None:
    generator = np.random.default_rng(0)

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        y, cache = right.forward(x, gamma, beta, eps)
        return y * generator.binomial(1, 0.9, size=x.shape), cache

    found = mistakes_in(ng.verify(forward, right.staged, example(12, 5)))
    assert ("forward", "not_repeatable") in found
