"""The gradients of a forward pass by finite differences, with an estimate of their error.

The loss is sum(delta * y) with a random delta. A loss whose gradient is zero whatever the forward
pass is, as with a constant delta or with sum(x_hat**2), would let nearly every mistake pass.

Three central differences, of the steps h, h/2 and h/4, make two values of fourth order
(Richardson's extrapolation). The second is the result; the largest difference of the two in any
element estimates its error, truncation and rounding together. An element of x moves in units of
its channel's sqrt(variance + epsilon), the length on which the forward pass changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from normgraph import definition
from normgraph.definition import Float64Array

from .cases import Case, Terms

#: Which array of a case each output is the gradient in.
VARIABLES = {"input_delta": "x", "gamma_delta": "gamma", "beta_delta": "beta"}

#: Directions that a case too large for all its elements is moved along.
DIRECTIONS = 4

#: The error of the estimate itself: its two values may agree better than either is right.
SAFETY = 8.0


def step(unit: float) -> float:
    """Return h: truncation h**4 and rounding unit/h are about equal at unit**(1/5)."""
    h: float = 4.0 * unit**0.2
    return h


def extrapolated(
    function: Callable[[Float64Array], float], size: int, h: float
) -> tuple[Float64Array, Float64Array]:
    """Return the gradient of `function` at (0, …, 0), and how far its two values are apart."""
    at = np.zeros(size)
    coarse, middle, fine = (
        definition.central_differences(function, at, step) for step in (h, h / 2, h / 4)
    )
    first, second = middle + (middle - coarse) / 3, fine + (fine - middle) / 3
    return second, second - first


def error_of_gradient(
    forward: Callable[[Case], Float64Array],
    terms: Terms,
    output: str,
    gradient: Float64Array,
    unit: float,
    generator: np.random.Generator | None,
) -> tuple[float, float]:
    """Return (error, tolerance) of a gradient, relative to the terms that it is a sum of.

    Every element is compared; with a generator, DIRECTIONS random directions instead.
    gradient: in the shape of its variable. unit: the roundoff of the forward pass.
    """
    case = terms.case
    variable = VARIABLES[output]
    start: Float64Array = getattr(case, variable)
    size = terms.magnitude(output)
    units = np.ones_like(start)
    if variable == "x":
        size = np.broadcast_to(case.spread(size), start.shape)
        units = np.broadcast_to(case.spread(1.0 / terms.inv), start.shape)
    directions = None
    if generator is not None:
        directions = units * generator.normal(size=(DIRECTIONS, *start.shape))

    def project(values: Float64Array, combine: Callable[[Float64Array], float]) -> Float64Array:
        """Return what belongs to each direction: of all of values, or of one element."""
        if directions is None:
            return (values * units).ravel()
        return np.array([combine(values * direction) for direction in directions])

    def loss(t: Float64Array) -> float:
        move = (
            t.reshape(start.shape) * units
            if directions is None
            else np.tensordot(t, directions, axes=1)
        )
        changes: dict[str, Any] = {variable: start + move}
        summands = case.delta * forward(replace(case, **changes))
        return total(summands)

    sizes = project(size, lambda values: math.sqrt(total(values**2)))
    actual = project(gradient, total)
    derivatives, uncertainty = extrapolated(loss, len(sizes), step(unit))
    tolerance = SAFETY * relative(uncertainty, sizes) + terms.rounding(unit)
    return relative(actual - derivatives, sizes), tolerance


def total(values: Float64Array) -> float:
    """Return the correctly rounded sum, NaN where it or a summand is not finite."""
    try:
        return math.fsum(values.flat)
    except (OverflowError, ValueError):  # intermediate overflow, infinities of both signs
        return math.nan


def relative(differences: Float64Array, sizes: Float64Array) -> float:
    """Return the largest |difference| in units of its size; 0/0 is 0."""
    magnitudes = np.abs(differences)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(magnitudes == 0, 0.0, magnitudes / sizes)
    return float(np.max(ratios, initial=0.0))
