"""How the user's two functions are called, and what is said of one that cannot be.

A function's parameters are recognised by their names; where a name is not known, by their number;
else the caller names what each stands for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .cases import Case, Terms

#: What a function can be given, and the names of parameters that stand for it.
PARAMETER_NAMES = {
    "x": ("x", "input", "inputs", "data"),
    "gamma": ("gamma", "weight", "scale"),
    "beta": ("beta", "bias", "shift"),
    "mean": ("mean", "mu", "batch_mean", "sample_mean"),
    "variance": ("variance", "var", "batch_var", "sample_var"),
    "inv": ("inv", "invstd", "inv_std", "rstd", "ivar"),
    "x_hat": ("x_hat", "xhat"),
    "delta": (
        "delta", "normalized_delta", "dout", "dy", "grad", "grad_out", "grad_output", "upstream",
    ),
    "cache": ("cache", "ctx", "saved"),
    "epsilon": ("epsilon", "eps"),
    "channel_axis": ("channel_axis",),
    "bn_param": ("bn_param",),
}  # fmt: skip
QUANTITY_OF = {name: quantity for quantity, names in PARAMETER_NAMES.items() for name in names}

QUANTITIES = {
    "forward": ("x", "gamma", "beta", "epsilon", "channel_axis", "bn_param"),
    "backward": tuple(PARAMETER_NAMES),
}

#: What parameters stand for whose names are not known, by how many there are.
BY_NUMBER: dict[str, dict[int, tuple[str, ...]]] = {
    "forward": {
        1: ("x",),
        2: ("x", "gamma"),
        3: ("x", "gamma", "beta"),
        4: ("x", "gamma", "beta", "epsilon"),
    },
    "backward": {
        1: ("delta",),
        2: ("delta", "cache"),
        6: ("x", "gamma", "beta", "mean", "variance", "delta"),
        7: ("x", "gamma", "beta", "mean", "variance", "delta", "epsilon"),
    },
}

OUTPUTS = ("input_delta", "gamma_delta", "beta_delta")


class UnusableError(ValueError):
    """A function raises, or returns what is no array that it has to be; the message says why.

    mistake: the key of `MISTAKES` that this is.
    """

    def __init__(self, mistake: str, message: str) -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True)
class Binding:
    """What a function is given: quantities by position, then quantities by parameter name."""

    positional: tuple[str, ...]
    keywords: Mapping[str, str]

    @property
    def quantities(self) -> tuple[str, ...]:
        """All that it takes."""
        return (*self.positional, *self.keywords.values())


def bind(
    role: str,
    function: Callable[..., Any],
    named: Sequence[str] | None,
) -> Binding:
    """Find out what to give a function.

    role: "forward" or "backward". named: what its positional parameters stand for, or None.
    Raises TypeError if the function is not callable or its parameters are not recognised, and
    ValueError if `named` holds what this function cannot be given.
    """
    allowed, by_number = QUANTITIES[role], BY_NUMBER[role]
    if not callable(function):
        raise TypeError(f"{role}: expected a function, got {type(function).__name__}")
    if named is not None:
        unknown = [name for name in named if name not in allowed]
        if unknown or len(set(named)) != len(named):
            raise ValueError(
                f"{role}_arguments: expected different ones of {', '.join(allowed)}, "
                f"got {', '.join(map(str, named))}"
            )
        return Binding(tuple(named), {})
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{role}: its parameters cannot be read; name them with {role}_arguments"
        ) from error
    positional: list[str] = []
    keywords: dict[str, str] = {}
    required = []
    is_known = True
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        quantity = QUANTITY_OF.get(parameter.name.lower(), "")
        is_required = parameter.default is parameter.empty
        by_keyword = parameter.kind is parameter.KEYWORD_ONLY
        if is_required and not by_keyword:
            required.append(parameter.name)
        if quantity in allowed and quantity not in (*positional, *keywords.values()):
            if is_required and not by_keyword:
                positional.append(quantity)
            elif parameter.kind is not parameter.POSITIONAL_ONLY:
                keywords[parameter.name] = quantity
        elif is_required:
            is_known = False
    if is_known and required:
        return Binding(tuple(positional), keywords)
    if len(required) in by_number:
        by_position = by_number[len(required)]
        rest = {name: what for name, what in keywords.items() if what not in by_position}
        return Binding(by_position, rest)
    raise TypeError(
        f"{role}: expected parameters that stand for some of {', '.join(allowed)}, got "
        f"({', '.join(required)}); name what they stand for with {role}_arguments"
    )


@dataclass(frozen=True)
class Forwarded:
    """What a call of forward returned: y in float64, its unit roundoff, and the rest."""

    y: Float64Array
    unit: float
    cache: Any


@dataclass(frozen=True)
class Backwarded:
    """What a call of backward returned: its outputs by name, as they came, and what it wrote to."""

    outputs: dict[str, npt.NDArray[Any]]
    modified: tuple[str, ...]


@dataclass(frozen=True)
class Functions:
    """The user's two functions, and how they are called."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    forward_binding: Binding
    backward_binding: Binding
    epsilon: float

    @property
    def outputs(self) -> tuple[str, ...]:
        """The gradients that backward can have: those of what forward is given."""
        given = self.forward_binding.quantities
        return tuple(
            output
            for output, variable in zip(OUTPUTS, ("x", "gamma", "beta"), strict=True)
            if variable in given
        )

    def reduced(self, case: Case) -> Case:
        """Return the case with gamma 1 and beta 0 where forward does not take them."""
        given = self.forward_binding.quantities
        gamma = case.gamma if "gamma" in given else np.ones_like(case.gamma)
        beta = case.beta if "beta" in given else np.zeros_like(case.beta)
        return replace(case, gamma=gamma, beta=beta)

    def arguments(self, case: Case) -> dict[str, Any]:
        """Return copies of the case's arrays by their quantities."""
        return {
            "x": case.x.copy(),
            "gamma": case.gamma.reshape(case.vector_shape).copy(),
            "beta": case.beta.reshape(case.vector_shape).copy(),
            "epsilon": self.epsilon,
            "channel_axis": case.axis,
            # The course whose exercise the walk-through solves hands over its settings like this.
            "bn_param": {"mode": "train", "eps": self.epsilon},
        }

    def call_forward(self, case: Case) -> tuple[Forwarded, tuple[str, ...]]:
        """Return what forward returns, and the names of the arguments that it wrote to.

        Raises UnusableError if it raises or returns what cannot be y.
        """
        result, modified = call(self.forward, self.forward_binding, self.arguments(case), "forward")
        first, *rest = result if isinstance(result, tuple) and result else (result,)
        y = real_array(first)
        if y is None or y.shape != case.x.shape:
            raise UnusableError(
                "missing_output",
                f"forward: expected an array of the shape of x, {case.x.shape}, or a tuple that "
                f"begins with it, got {describe(first)}",
            )
        cache = rest[0] if len(rest) == 1 else tuple(rest)
        return Forwarded(y.astype(np.float64), unit_roundoff(y), cache), modified

    def call_backward(self, terms: Terms, forwarded: Forwarded) -> Backwarded:
        """Return what backward returns; raise UnusableError if it raises or returns no arrays."""
        case = terms.case
        if "cache" in self.backward_binding.quantities and forwarded.cache == ():
            raise TypeError("backward: it takes a cache, but forward returns y alone")
        vectors = {"mean": terms.mean, "variance": terms.variance, "inv": terms.inv}
        arguments = self.arguments(case) | {
            "delta": case.delta.copy(),
            "cache": forwarded.cache,
            "x_hat": case.array(terms.x_hat).copy(),
            **{name: value.reshape(case.vector_shape).copy() for name, value in vectors.items()},
        }
        result, modified = call(self.backward, self.backward_binding, arguments, "backward")
        returned = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        outputs = {}
        for name, value in zip(self.outputs, returned, strict=False):
            array = real_array(value)
            if array is not None:
                outputs[name] = array.copy()
            elif value is not None:
                message = f"backward: {name}: expected an array, got {describe(value)}"
                raise UnusableError("missing_output", message)
        return Backwarded(outputs, modified)


def call(
    function: Callable[..., Any], binding: Binding, arguments: dict[str, Any], role: str
) -> tuple[Any, tuple[str, ...]]:
    """Return the result, and the names of the arrays that the function wrote to."""
    before = {
        name: value.copy() for name, value in arguments.items() if isinstance(value, np.ndarray)
    }
    before.pop("cache", None)
    try:
        result = function(
            *(arguments[quantity] for quantity in binding.positional),
            **{name: arguments[quantity] for name, quantity in binding.keywords.items()},
        )
    except Exception as error:
        trace = error.__traceback__
        if isinstance(error, TypeError) and trace is not None and trace.tb_next is None:
            raise TypeError(
                f"{role}: cannot be called with ({', '.join(binding.quantities)}): {error}; name "
                f"what its parameters stand for with {role}_arguments"
            ) from error
        raise UnusableError(
            "raised",
            f"{role}: called with ({', '.join(binding.quantities)}), x of shape "
            f"{arguments['x'].shape}, it raises {type(error).__name__}: {error}",
        ) from error
    modified = [
        name
        for name, value in before.items()
        if name in binding.quantities and value.tobytes() != arguments[name].tobytes()
    ]
    return result, tuple(modified)


def real_array(value: Any) -> npt.NDArray[Any] | None:
    """Return a value as an array of real numbers, None if it is none."""
    if value is None:
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array if array.dtype.kind in "fiu" else None


def describe(value: Any) -> str:
    """Say in a few words what came."""
    array = real_array(value)
    return type(value).__name__ if array is None else f"an array of shape {array.shape}"


def unit_roundoff(array: npt.NDArray[Any]) -> float:
    """Return the relative error of one rounding to the array's type; integers count as float64."""
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    return max(float(np.finfo(dtype).eps) / 2, 2.0**-53)
