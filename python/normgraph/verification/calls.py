"""Calls of the user's two functions, and the errors for one that cannot be called.

A function's parameters are recognised by their names; where a name is not known, by their number;
else the caller names what each stands for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .cases import Case, Terms
from .kept import Kept, gradients_by_name
from .values import (
    UnreadableError,
    described,
    real_array,
    same_bits,
    shape_or_kind,
    smallest_normal,
    text_of,
    to_float64,
    unit_roundoff,
)

#: The quantities that a function can be given, and the names of parameters that stand for them.
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

#: The meaning of parameters whose names are not known, by how many there are.
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

#: The array of a case that each output is the gradient in.
VARIABLES = {"input_delta": "x", "gamma_delta": "gamma", "beta_delta": "beta"}
OUTPUTS = tuple(VARIABLES)


class UnusableError(ValueError):
    """A function raises, or returns what is no array that it has to be; the message says why.

    mistake: the key of `MISTAKES` that this is.
    """

    def __init__(self, mistake: str, message: str) -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True)
class Binding:
    """The arguments of a function: quantities by position, then quantities by parameter name."""

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
        if isinstance(named, str) or not isinstance(named, Iterable):
            raise TypeError(
                f"{role}_arguments: expected a sequence of words, got {described(named)}"
            )
        words = tuple(named)
        if any(word not in allowed for word in words) or len(set(words)) != len(words):
            raise ValueError(
                f"{role}_arguments: expected different ones of {', '.join(allowed)}, "
                f"got {', '.join(map(str, words))}"
            )
        return Binding(words, {})
    try:
        parameters = inspect.signature(function).parameters.values()
    except MemoryError:
        raise
    except Exception as error:
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
    """The result of a call of forward: y in float64, what its type can hold, and the rest.

    unit: the roundoff of y's type. smallest: its smallest normal number. cache: None, with
    has_cache false, if forward returned y alone.
    """

    y: Float64Array
    unit: float
    smallest: float
    cache: Any
    has_cache: bool


@dataclass(frozen=True)
class Backwarded:
    """The result of a call of backward: its outputs by name, as they came, and what it wrote to."""

    outputs: dict[str, npt.NDArray[Any]]
    modified: tuple[str, ...]


@dataclass(frozen=True)
class Functions:
    """The user's two functions, and how they are called.

    error_state: numpy's error handling outside of `verify`, which the functions run under.
    kept: what they keep beside arguments and results. progress: called before each of their calls.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    forward_binding: Binding
    backward_binding: Binding
    epsilon: float
    error_state: Mapping[str, Any]
    kept: Kept = field(default_factory=Kept)
    progress: Callable[[str], None] | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The gradients that backward should have: those of what forward is given, or keeps."""
        kept = {*self.kept.vectors, *self.kept.constants} - {*self.kept.scalars}
        variables = {"x", *self.forward_binding.quantities, *kept}
        return tuple(output for output in OUTPUTS if VARIABLES[output] in variables)

    def reduced(self, case: Case) -> Case:
        """Return the case with the gamma and beta that forward works with.

        Those that it is not given are those that it keeps, or else 1 and 0. Raises UnusableError if
        it keeps them for another number of channels.
        """
        for vector in ("gamma", "beta"):
            if vector in self.forward_binding.quantities:
                continue
            value = self.kept.prepare(vector, getattr(case, vector))
            if value is None:
                message = f"forward: it keeps a {vector} for another number of channels"
                raise UnusableError("raised", f"{message} than {len(case.gamma)}")
            case = case.with_vector(vector, value)
        return case

    def can_move(self, variable: str, channels: int) -> bool:
        """Whether finite differences can be taken in x, gamma or beta."""
        is_given = variable in self.forward_binding.quantities
        return is_given or self.kept.is_exact(variable, channels)

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
        arguments = self.arguments(case)
        self.set_kept(case)
        result, modified = self.call("forward", case, arguments)
        self.kept.settings = arguments["bn_param"]
        first, rest = y_and_cache(result, case.x.shape)
        try:
            y = real_array(first)
        except UnreadableError:
            y = None
        if y is None or y.shape != case.x.shape:
            raise UnusableError(
                "missing_output",
                f"forward: expected an array of the shape of x, {case.x.shape}, of real numbers, "
                f"or a tuple that begins with it, got {shape_or_kind(first)}",
            )
        values = to_float64(y)
        cache = rest[0] if len(rest) == 1 else rest or None
        forwarded = Forwarded(
            values, unit_roundoff(y), smallest_normal(y.dtype), cache, has_cache=bool(rest)
        )
        return forwarded, modified

    def call_backward(self, terms: Terms, forwarded: Forwarded) -> Backwarded:
        """Return what backward returns; raise UnusableError if it raises or returns no arrays."""
        case = terms.case
        if "cache" in self.backward_binding.quantities and not forwarded.has_cache:
            raise TypeError("backward: it takes a cache, but forward returns y alone")
        vectors = {"mean": terms.mean, "variance": terms.variance, "inv": terms.inv}
        arguments = self.arguments(case) | {
            "delta": case.delta.copy(),
            "cache": forwarded.cache,
            "x_hat": case.array(terms.x_hat).copy(),
            **{name: value.reshape(case.vector_shape).copy() for name, value in vectors.items()},
        }
        self.set_kept(case)
        self.kept.clear_gradients(OUTPUTS[1:])
        result, modified = self.call("backward", case, arguments)
        outputs = {}
        for name, value in self.named_gradients(result, case.x.shape).items():
            if value is None:
                continue
            try:
                array = real_array(value).copy()
            except UnreadableError as error:
                if name not in self.outputs:
                    continue
                message = f"backward: {name}: expected an array of real numbers, got {error}"
                raise UnusableError("missing_output", message) from error
            # A name that forward does not know may mean something else.
            if name in self.outputs or array.size == len(case.gamma):
                outputs[name] = array
        for name in OUTPUTS[1:]:
            gradient = self.kept.gradient(name, len(case.gamma))
            if name not in outputs and gradient is not None:
                outputs[name] = gradient
        ordered = {name: outputs[name] for name in OUTPUTS if name in outputs}
        return Backwarded(ordered, modified)

    def set_kept(self, case: Case) -> None:
        """Set the gamma and beta that the functions keep to those of the case."""
        for vector in self.kept.vectors:
            self.kept.write(vector, getattr(case, vector))

    def named_gradients(self, result: Any, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return the gradients that backward returned by their names.

        Up to two are those of what forward is given, then of the rest; three or more are all.
        """
        if isinstance(result, dict):
            return gradients_by_name(result)
        returned = gradients_in(result, shape)
        names = dict.fromkeys(OUTPUTS if len(returned) > 2 else (*self.outputs, *OUTPUTS))
        return dict(zip(names, returned, strict=False))

    def call(self, role: str, case: Case, arguments: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
        """Return a function's result, and the names of the arrays that it wrote to.

        An exception of the function becomes an UnusableError. What is none of its own passes:
        MemoryError, and KeyboardInterrupt and SystemExit, which are no subclasses of Exception.
        """
        is_forward = role == "forward"
        binding = self.forward_binding if is_forward else self.backward_binding
        function = self.forward if is_forward else self.backward
        if self.progress is not None:
            self.progress(f"calls {role} on {case.name}")
        before = {
            name: value.copy()
            for name, value in arguments.items()
            if name in binding.quantities and name != "cache" and isinstance(value, np.ndarray)
        }
        try:
            with np.errstate(**self.error_state):
                result = function(
                    *(arguments[quantity] for quantity in binding.positional),
                    **{name: arguments[quantity] for name, quantity in binding.keywords.items()},
                )
        except MemoryError:
            raise
        except Exception as error:
            given = ", ".join(binding.quantities)
            trace = error.__traceback__
            if isinstance(error, TypeError) and trace is not None and trace.tb_next is None:
                raise TypeError(
                    f"{role}: cannot be called with ({given}): {text_of(error)}; name what its "
                    f"parameters stand for with {role}_arguments"
                ) from error
            raise UnusableError(
                "raised",
                f"{role}: called with ({given}), x of shape {case.x.shape}, it raises "
                f"{type(error).__name__}: {text_of(error)}",
            ) from error
        modified = [name for name, value in before.items() if not same_bits(value, arguments[name])]
        return result, tuple(modified)


def y_and_cache(result: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Return y, and what forward returned behind it."""
    if is_sequence_of_results(result, shape):
        first, *rest = result
        return first, tuple(rest)
    return result, ()


def gradients_in(result: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the gradients that backward returned, in order."""
    return tuple(result) if is_sequence_of_results(result, shape) else (result,)


def is_sequence_of_results(result: Any, shape: tuple[int, ...]) -> bool:
    """Whether a result holds several; a list of the shape of x is one array, row by row."""
    if isinstance(result, tuple):
        return bool(result)
    if not isinstance(result, list) or not result:
        return False
    try:
        return real_array(result).shape != shape
    except UnreadableError:
        return True
