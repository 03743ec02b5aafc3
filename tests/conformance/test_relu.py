"""Mistakes of functions with a ReLU are named: of the ReLU itself, and those of the plain forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.conform.relu import MISTAKES

from .functions import (
    BACKWARDS,
    FORWARDS,
    Array,
    axes_of,
    backward_of,
    forward_of,
    inference_of,
    spread,
    working,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

#: The two functions that are wrong in a way that a ReLU hides.
PLAIN = [name for name in FORWARDS if name != "unshifted variance"]
BOUNDS = {"relu": None, "relu6": 6.0, "add_relu": None}


def conformance(function: Any, activation: str, **options: Any) -> ng.Conformance:
    return ng.conformance(function, activation=activation, **options)


def linear_of(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float,
              channel_axis: int) -> tuple[Array, Array]:  # fmt: skip
    """x̂, and what the ReLU is applied to."""
    gamma, beta, mean, var = (spread(one, x, channel_axis) for one in (gamma, beta, mean, var))
    x_hat = (working(x) - mean) / np.sqrt(var + working(x).dtype.type(eps))
    return x_hat, gamma * x_hat + beta


#: (x, x̂, y, residual, upper bound) -> which elements pass.
Mask = Callable[..., Array]


def right_mask(x: Array, x_hat: Array, y: Array, residual: Array, bound: float) -> Array:
    return (y + residual > 0) & (y + residual < bound)


def gradient_of(
    mask: Mask = right_mask,
    backward: Callable[..., Any] | None = None,
    of_sums: Mask | None = None,
    of_residual: Mask | None = None,
) -> Callable[..., Any]:
    """The gradient of one mask, its sums that of another, and the residual's of a third."""
    make = backward or backward_of()

    def function(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, dy: Array, eps: float,
        channel_axis: int, residual: Any = None, upper_bound: float = np.inf,
    ) -> Any:  # fmt: skip
        x_hat, y = linear_of(x, gamma, beta, mean, var, eps, channel_axis)
        added = 0.0 if residual is None else working(residual)

        def passing(one: Mask) -> Array:
            return np.where(one(x, x_hat, y, added, upper_bound), dy, dy.dtype.type(0))

        def gradients(delta: Array) -> Any:
            return make(x, gamma, mean, var, delta, eps, channel_axis)

        dx, dgamma, dbeta = gradients(passing(mask))
        if of_sums is not None:
            delta = working(passing(of_sums))
            axes, n = axes_of(x, channel_axis), max(x.size // max(gamma.size, 1), 1)
            dgamma, dbeta = (delta * x_hat).sum(axes), delta.sum(axes)
            inv = 1 / np.sqrt(var + working(x).dtype.type(eps))
            scale, sum_of_delta, sum_of_x_hat = (
                spread(one, x, channel_axis) for one in (gamma * inv, dbeta, dgamma)
            )
            passed = working(passing(mask))
            dx = (scale * (passed - sum_of_delta / n - x_hat * sum_of_x_hat / n)).astype(x.dtype)
        if residual is None:
            return dx, dgamma, dbeta
        return dx, dgamma, dbeta, passing(of_residual or mask)

    return function


def everything(x: Array, x_hat: Array, y: Array, residual: Array, bound: float) -> Array:
    return np.ones(x.shape, bool)


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", BOUNDS)
def test_right_gradients_conform(activation: str) -> None:
    result = conformance(gradient_of(), activation)
    assert result, str(result)


@pytest.mark.parametrize("activation", BOUNDS)
@pytest.mark.parametrize("name", BACKWARDS)
def test_mistakes_of_plain_gradients_are_named_behind_a_relu(name: str, activation: str) -> None:
    function, mistake = BACKWARDS[name]
    result = conformance(gradient_of(backward=function), activation, dtypes=["f64", "f32"])
    assert result.mistakes == (mistake,), str(result)


@pytest.mark.parametrize(
    ("function", "activation", "mistake"),
    [
        (gradient_of(everything), "relu", "mask_missing"),
        (gradient_of(everything), "relu6", "mask_missing"),
        (gradient_of(everything), "add_relu", "mask_missing"),
        (gradient_of(of_sums=everything), "relu", "mask_not_in_sums"),
        (gradient_of(of_sums=everything), "relu6", "mask_not_in_sums"),
        (gradient_of(everything, of_sums=right_mask), "relu", "mask_in_sums_alone"),
        (gradient_of(lambda x, xh, y, r, b: ~right_mask(x, xh, y, r, b)), "relu", "mask_inverted"),
        (gradient_of(lambda x, xh, y, r, b: x > 0), "relu", "mask_of_input"),
        (gradient_of(lambda x, xh, y, r, b: x > 0), "add_relu", "mask_of_input"),
        (gradient_of(lambda x, xh, y, r, b: xh > 0), "relu", "mask_of_x_hat"),
        (gradient_of(lambda x, xh, y, r, b: y > 0), "relu6", "upper_bound_missing"),
        (gradient_of(lambda x, xh, y, r, b: y > 0), "add_relu", "residual_missing"),
        (
            gradient_of(lambda x, xh, y, r, b: y > 0, of_residual=everything),
            "add_relu",
            "residual_after_relu",
        ),
        (gradient_of(of_residual=everything), "add_relu", "mask_missing"),
        (gradient_of(lambda x, xh, y, r, b: y + r >= 0), "relu", "zero_passes"),
    ],
)
@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16", "f16"])
def test_mistakes_in_the_mask_of_a_gradient_are_named(
    function: Any, activation: str, mistake: str, dtype: str
) -> None:
    result = conformance(function, activation, dtypes=[dtype])
    assert not result
    assert result.mistakes == (mistake,), str(result)


def test_a_mask_that_is_missing_in_the_sums_that_are_returned_is_named() -> None:
    def function(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, dy: Array, eps: float,
        channel_axis: int,
    ) -> Any:  # fmt: skip
        arguments = (x, gamma, beta, mean, var, dy, eps, channel_axis)
        return gradient_of()(*arguments)[0], *gradient_of(everything)(*arguments)[1:]

    assert conformance(function, "relu", dtypes=["f64"]).mistakes == ("mask_not_in_sums",)


def test_sums_alone_do_not_tell_where_the_mask_is_missing() -> None:
    def sums(*arguments: Any, **words: Any) -> Any:
        _, dgamma, dbeta = gradient_of(everything)(*arguments, **words)
        return {"dgamma": dgamma, "dbeta": dbeta}

    def function(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, dy: Array, eps: float,
        channel_axis: int,
    ) -> Any:  # fmt: skip
        return sums(x, gamma, beta, mean, var, dy, eps, channel_axis)

    assert conformance(function, "relu", dtypes=["f64"]).mistakes == ("mask_missing",)


# ---- forward -------------------------------------------------------------------------------------


def behind_relu(forward: Callable[..., Any]) -> Callable[..., Array]:
    def function(
        x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int, residual: Any = None,
        upper_bound: float = np.inf,
    ) -> Array:  # fmt: skip
        y = working(forward(working(x), gamma, beta, eps, channel_axis))
        added = 0.0 if residual is None else working(residual)
        return np.asarray(np.clip(y + added, 0, upper_bound).astype(x.dtype))

    return function


@pytest.mark.parametrize("activation", BOUNDS)
@pytest.mark.parametrize("name", PLAIN)
def test_mistakes_of_plain_forwards_are_named_behind_a_relu(name: str, activation: str) -> None:
    function, mistake = FORWARDS[name]
    result = conformance(behind_relu(function), activation, dtypes=["f64", "f32"])
    assert not result
    assert result.mistakes == (mistake,), str(result)


@pytest.mark.parametrize("activation", BOUNDS)
def test_constants_behind_a_relu_are_named(activation: str) -> None:
    def constant(x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int) -> Array:
        zeros, ones = np.zeros_like(gamma), np.full_like(gamma, 2.0)
        return np.asarray(linear_of(x, gamma, beta, zeros, ones, eps, channel_axis)[1])

    result = conformance(behind_relu(constant), activation, dtypes=["f64"])
    assert result.mistakes == ("constant_statistics",), str(result)


def test_a_rsqrt_of_the_given_inverse_is_named_in_inference_with_a_relu() -> None:
    broken = inference_of(
        lambda x, m, v, g, b, e: np.maximum(g * (x - m) / np.sqrt(1 / np.sqrt(v + e) + e) + b, 0)
    )
    assert conformance(broken, "relu").mistakes == ("inverse_as_variance",)


def test_every_mistake_of_a_relu_has_a_test() -> None:
    assert conformance(behind_relu(forward_of()), "relu")
    assert len(MISTAKES) == 11
