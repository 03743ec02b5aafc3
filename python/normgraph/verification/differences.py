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

from .calls import VARIABLES
from .cases import LARGEST, Case, Terms

#: Directions that a case too large for all its elements is moved along.
DIRECTIONS = 4

#: The error of the estimate itself: its two values may agree better than either is right.
SAFETY = 8.0

#: Roundings on the way to an element of y that differ from call to call: those of x - mean, inv,
#: the two products and the sum with beta, and of x, gamma and beta where forward narrows them.
ROUNDINGS = 8

#: Roundings of the loss that reach the extrapolated derivative, in units of loss/h. A central
#: difference of step s has e/s of two losses that are off by e; the result is 4/3 of the one of h/4
#: less 1/3 of the one of h/2: 4/3 * 4 + 1/3 * 2.
AMPLIFICATION = 6


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

    Every element is compared; with a generator, random directions instead, DIRECTIONS of them or
    one if x is too large. gradient: in the shape of its variable. unit: the roundoff of the forward
    pass.

    The two extrapolated values may agree because y does not move at all: the change of y by a step
    in gamma, h*x_hat, is lost in the rounding of beta if x_hat is tiny. So what the roundings of y
    amount to is allowed besides: ROUNDINGS * unit * sum(|delta| * (|gamma*x_hat| + |gamma*inv*x| +
    |beta|)) of the loss, AMPLIFICATION/h times that of the derivative.
    """
    case = terms.case
    variable = VARIABLES[output]
    start: Float64Array = getattr(case, variable)
    size, noise = terms.magnitude(output), terms.noise
    # A step that is far below the rounding of gamma or beta would not move them.
    units = np.maximum(np.abs(start), 1.0)
    if variable == "x":
        size, noise, units = (
            np.broadcast_to(case.spread(vector), start.shape)
            for vector in (size, noise, 1.0 / terms.inv)
        )
    directions = None
    if generator is not None:
        count = DIRECTIONS if case.x.size <= LARGEST else 1
        directions = units * generator.normal(size=(count, *start.shape))

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
    of_loss = noise.ravel() if directions is None else np.full(len(sizes), terms.noise.sum())
    rounded = ROUNDINGS * unit * AMPLIFICATION / step(unit) * of_loss
    errors = ratios(actual - derivatives, sizes)
    tolerances = (
        SAFETY * relative(uncertainty, sizes) + terms.rounding(unit) + ratios(rounded, sizes)
    )
    worst = int(np.argmax(np.where(np.isfinite(errors), errors / tolerances, np.inf)))
    return float(errors[worst]), float(tolerances[worst])


def total(values: Float64Array) -> float:
    """Return the correctly rounded sum, NaN where it or a summand is not finite."""
    try:
        return math.fsum(np.ascontiguousarray(values, np.float64).reshape(-1).data)
    except (OverflowError, ValueError):  # intermediate overflow, infinities of both signs
        return math.nan


def relative(differences: Float64Array, sizes: Float64Array) -> float:
    """Return the largest |difference| in units of its size; 0/0 is 0."""
    return float(np.max(ratios(differences, sizes), initial=0.0))


def ratios(differences: Float64Array, sizes: Float64Array) -> Float64Array:
    """Return each |difference| in units of its size; 0/0 is 0."""
    magnitudes = np.abs(differences)
    with np.errstate(all="ignore"):
        return np.where(magnitudes == 0, 0.0, magnitudes / sizes)
