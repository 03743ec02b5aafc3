"""Functions of JAX arrays as functions of numpy arrays, and their gradients by `jax.vjp`.

They run with JAX's 64-bit types, whatever the caller has configured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import results
from .values import unit_roundoff


class RulesDifferError(ValueError):
    """The forward rule of a `jax.custom_vjp` returns another y than the function itself."""


def lent(value: Any) -> Any:
    """Return a numpy array as a JAX array; what holds arrays, with JAX arrays."""
    import jax.numpy

    if isinstance(value, np.ndarray):
        return jax.numpy.asarray(value)
    if type(value) is dict:
        return {name: lent(item) for name, item in value.items()}
    return value


def in_64_bits(function: Any) -> Callable[..., Any]:
    """Return a function of JAX arrays as one that is given numpy arrays."""

    def called(*arguments: Any, **keywords: Any) -> Any:
        import jax

        with jax.enable_x64(True):
            lent_keywords = {name: lent(value) for name, value in keywords.items()}
            return function(*map(lent, arguments), **lent_keywords)

    return called


@dataclass(frozen=True)
class Run:
    """A call of forward that can be differentiated: y, and the arguments by their quantities.

    rest: what forward returned behind y.
    """

    y: Any
    values: Mapping[str, Any]
    rest: tuple[Any, ...]


def differentiable(
    function: Any, positional: tuple[str, ...], keywords: Mapping[str, str]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a forward of arrays, whose cache is a `Run`, and the backward that `jax.vjp` makes.

    positional, keywords: the quantities that the function is given.
    """

    def result_of(values: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        result = function(
            *(values[quantity] for quantity in positional),
            **{name: values[quantity] for name, quantity in keywords.items()},
        )
        return results.y_and_cache(result, values["x"].shape)

    def forward(*arguments: Any, **named: Any) -> Any:
        import jax

        values = dict(zip(positional, arguments, strict=True))
        values |= {keywords[name]: value for name, value in named.items()}
        with jax.enable_x64(True):
            values = {quantity: lent(value) for quantity, value in values.items()}
            y, rest = result_of(values)
        return y, Run(y, values, rest)

    def backward(delta: Any, run: Run) -> dict[str, Any]:
        import jax

        variables = {
            quantity: value
            for quantity, value in run.values.items()
            if quantity in results.DIFFERENTIATED or quantity == "params"
        }
        with jax.enable_x64(True):
            y, pull_back = jax.vjp(lambda moved: result_of({**run.values, **moved})[0], variables)
            require_same_y(y, run.y)
            (gradients,) = pull_back(lent(delta).astype(y.dtype))
            of_parameters = gradients.pop("params", {})
            return results.by_output({**gradients, **of_parameters})

    return forward, backward


def require_same_y(of_rule: Any, of_function: Any) -> None:
    """Raise RulesDifferError if two y differ by more than another order of operations may."""
    one, other = np.asarray(of_rule), np.asarray(of_function)
    limit = unit_roundoff(other) ** 0.5 * np.abs(other).max(initial=0.0)
    difference = np.abs(one - other).max(initial=0.0)
    if not difference <= limit:
        raise RulesDifferError(
            f"the forward rule given to defvjp returns a y that differs by {difference:.2g} from "
            "that of the function itself: with and without differentiation the values are others"
        )
