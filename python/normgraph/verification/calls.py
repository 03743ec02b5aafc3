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

from .cases import Case, Terms, running_start
from .jax_functions import RulesDifferError
from .kept import RUNNING_MEAN, RUNNING_VARIANCE, VECTORS, Kept, plain
from .recognition import signature_of
from .results import gradients_in, keys_expected, named, y_and_cache
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
    "x": ("x", "input", "inputs", "data", "inp"),
    "gamma": ("gamma", "weight", "scale"),
    "beta": ("beta", "bias", "shift", "offset"),
    "mean": ("mean", "mu", "batch_mean", "sample_mean"),
    "variance": ("variance", "var", "batch_var", "sample_var"),
    "inv": ("inv", "invstd", "inv_std", "rstd", "ivar"),
    "x_hat": ("x_hat", "xhat"),
    "delta": (
        "delta", "normalized_delta", "dout", "dy", "dz", "grad", "grad_out", "grad_output",
        "upstream", "g", "gy", "ct", "cotangent", "y_bar",
    ),
    "cache": ("cache", "ctx", "saved", "res", "residuals", "residual"),
    "epsilon": ("epsilon", "eps"),
    "channel_axis": ("channel_axis",),
    "bn_param": ("bn_param",),
}  # fmt: skip
QUANTITY_OF = {name: quantity for quantity, names in PARAMETER_NAMES.items() for name in names}

#: The same of what belongs to a layer: its parameters in a dict, and its running statistics.
LAYERS_PARAMETER_NAMES = {
    "params": ("params", "parameters"),
    "running_mean": ("running_mean", "moving_mean"),
    "running_variance": ("running_variance", "running_var", "moving_variance", "moving_var"),
    "momentum": ("momentum",),
    "training": ("training", "train", "is_training"),
}
QUANTITY_OF_LAYER = {
    name: quantity for quantity, names in LAYERS_PARAMETER_NAMES.items() for name in names
}

#: What says that a forward with running statistics is that of training.
OF_TRAINING = ("training", "momentum", "bn_param")

QUANTITIES = {
    "forward": (
        "x", "gamma", "beta", "epsilon", "channel_axis", "bn_param", "params", "mean", "variance",
        "inv", "running_mean", "running_variance", "momentum", "training",
    ),
    "backward": (*PARAMETER_NAMES, *LAYERS_PARAMETER_NAMES),
}  # fmt: skip

#: What a parameter with a default value is not given: the user's own value is what is meant.
LEFT_TO_DEFAULTS = ("momentum", "params", "running_mean", "running_variance")

#: What an optional parameter of forward is given only where the statistics are given.
GIVEN_STATISTICS = ("mean", "variance", "inv", "running_mean", "running_variance")

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


#: The arguments that are running statistics, which forward is free to write to.
RUNNING = ("running_mean", "running_variance")

#: The momentum that a function is given which has none of its own: that of the framework's layers,
#: or of the course whose settings `bn_param` are.
MOMENTUM = {"numpy": 0.9, "torch": 0.1, "jax": 0.9}


class Settings(dict[str, Any]):
    """The settings `bn_param` of the course whose exercise the walk-through solves.

    running: the running mean and variance, which are there for a function that takes them from the
    settings without asking whether they are.
    """

    running: tuple[Float64Array, Float64Array]

    def __missing__(self, name: str) -> Any:
        for value, names in zip(self.running, (RUNNING_MEAN, RUNNING_VARIANCE), strict=True):
            if plain(name) in names:
                return value.copy()
        if name == "momentum":
            return MOMENTUM["numpy"]
        raise KeyError(name)


class UnusableError(ValueError):
    """A function raises, or returns what is no array that it has to be; the message says why.

    mistake: the key of `MISTAKES` that this is.
    """

    def __init__(self, mistake: str, message: str) -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True)
class Binding:
    """The arguments of a function: quantities by position, then quantities by parameter name.

    is_guessed: whether the number of the parameters decided. is_of_training: whether forward has a
    parameter that tells training from inference, or belongs to training.
    """

    positional: tuple[str, ...]
    keywords: Mapping[str, str]
    is_guessed: bool = False
    is_of_training: bool = False

    @property
    def quantities(self) -> tuple[str, ...]:
        """All that it takes."""
        return (*self.positional, *self.keywords.values())

    @property
    def needs_statistics(self) -> bool:
        """Whether forward is given the mean and the variance that it normalizes with."""
        given = {*self.quantities}
        is_given_running = bool(given & {"running_mean", "running_variance"})
        return bool(given & {"mean", "variance", "inv"}) or (
            is_given_running and not self.is_of_training
        )

    def takes(self, vector: str) -> bool:
        """Whether gamma or beta is among the arguments, by itself or in a dict of parameters."""
        return vector in self.quantities or "params" in self.quantities


def bind(
    role: str,
    function: Callable[..., Any],
    named: Sequence[str] | None,
    with_statistics: bool = False,
) -> Binding:
    """Find out what to give a function.

    role: "forward" or "backward". named: what its positional parameters stand for, or None.
    with_statistics: whether optional parameters of forward for statistics are to be given.
    Raises TypeError if the function is not callable or its parameters are not recognised, and
    ValueError if `named` holds what this function cannot be given.
    """
    if not callable(function):
        raise TypeError(f"{role}: expected a function, got {type(function).__name__}")
    if named is not None:
        words = checked_words(role, named)
        return Binding(words, {}, is_of_training=any(word in OF_TRAINING for word in words))
    try:
        parameters = list(signature_of(function).parameters.values())
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(
            f"{role}: its parameters cannot be read; name them with {role}_arguments"
        ) from error
    return bound(role, parameters, with_statistics)


def checked_words(role: str, named: Sequence[str]) -> tuple[str, ...]:
    """Return what the caller says that a function's parameters stand for, or raise an error."""
    allowed = QUANTITIES[role]
    if isinstance(named, str) or not isinstance(named, Iterable):
        raise TypeError(f"{role}_arguments: expected a sequence of words, got {described(named)}")
    words = tuple(named)
    if any(word not in allowed for word in words) or len(set(words)) != len(words):
        raise ValueError(
            f"{role}_arguments: expected different ones of {', '.join(allowed)}, "
            f"got {', '.join(map(str, words))}"
        )
    return words


def bound(role: str, parameters: Sequence[inspect.Parameter], with_statistics: bool) -> Binding:
    """Find out what a function's parameters stand for, or raise TypeError."""
    allowed, by_number = QUANTITIES[role], BY_NUMBER[role]
    positional: list[str] = []
    keywords: dict[str, str] = {}
    required = []
    is_known = True
    quantities = [quantity_of(parameter.name) for parameter in parameters]
    is_of_training = any(quantity in OF_TRAINING for quantity in quantities)
    for parameter, quantity in zip(parameters, quantities, strict=True):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        is_required = parameter.default is parameter.empty
        by_keyword = parameter.kind is parameter.KEYWORD_ONLY
        if is_required and not by_keyword:
            required.append(parameter.name)
        elif not is_required and is_left_to_default(role, quantity, with_statistics):
            continue
        if quantity in allowed and quantity not in (*positional, *keywords.values()):
            if is_required and not by_keyword:
                positional.append(quantity)
            elif parameter.kind is not parameter.POSITIONAL_ONLY:
                keywords[parameter.name] = quantity
        elif is_required:
            is_known = False
    # All of them may be given by keyword: f(*, x, gamma), or f(x=None, gamma=None).
    has_data = bool({"x", "delta"} & {*keywords.values()})
    if is_known and (required or has_data):
        return Binding(tuple(positional), keywords, is_of_training=is_of_training)
    if len(required) in by_number:
        by_position = by_number[len(required)]
        if len(required) == 2 and positional in (["cache"], ["delta"]):
            by_position = by_position_of_two(required, positional[0])
        rest = {name: what for name, what in keywords.items() if what not in by_position}
        return Binding(by_position, rest, is_guessed=True, is_of_training=is_of_training)
    raise TypeError(
        f"{role}: expected parameters that stand for some of {', '.join(allowed)}, got "
        f"({', '.join(required)}); name what they stand for with {role}_arguments"
    )


def quantity_of(name: str) -> str:
    """Return the quantity that a parameter of this name stands for, "" if it is not known."""
    name = name.lower()
    return QUANTITY_OF.get(name) or QUANTITY_OF_LAYER.get(name, "")


def is_left_to_default(role: str, quantity: str, with_statistics: bool) -> bool:
    """Whether a parameter that has a default value is not given one."""
    if role == "forward" and quantity in GIVEN_STATISTICS:
        return not with_statistics
    return quantity in LEFT_TO_DEFAULTS


def by_position_of_two(names: Sequence[str], known: str) -> tuple[str, ...]:
    """Return the meaning of two parameters of backward, one of which is known."""
    other = "delta" if known == "cache" else "cache"
    return (known, other) if quantity_of(names[0]) == known else (other, known)


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
    """The result of a call of backward: its outputs by name, as they came, and what it wrote to.

    said: what is to be said of their order. returned: a dict whose names are not known, in words.
    """

    outputs: dict[str, npt.NDArray[Any]]
    modified: tuple[str, ...]
    said: str = ""
    returned: str = ""


@dataclass(frozen=True)
class Functions:
    """The user's two functions, and how they are called.

    error_state: numpy's error handling outside of `verify`, which the functions run under.
    kept: what they keep beside arguments and results. progress: called before each of their calls.
    framework: "numpy", "torch" or "jax", what they are written with.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    forward_binding: Binding
    backward_binding: Binding
    epsilon: float
    error_state: Mapping[str, Any]
    kept: Kept = field(default_factory=Kept)
    progress: Callable[[str], None] | None = None
    framework: str = "numpy"

    @property
    def outputs(self) -> tuple[str, ...]:
        """The gradients that backward should have: those of what forward is given, or keeps."""
        kept = {*self.kept.vectors, *self.kept.constants} - {*self.kept.scalars}
        given = {vector for vector in VECTORS if self.forward_binding.takes(vector)}
        variables = {"x", *given, *kept}
        return tuple(output for output in OUTPUTS if VARIABLES[output] in variables)

    def reduced(self, case: Case) -> Case:
        """Return the case with the gamma and beta that forward works with.

        Those that it is not given are those that it keeps, or else 1 and 0. Raises UnusableError if
        it keeps them for another number of channels.
        """
        for vector in ("gamma", "beta"):
            if self.forward_binding.takes(vector):
                continue
            value = self.kept.prepare(vector, getattr(case, vector))
            if value is None:
                message = f"forward: it keeps a {vector} for another number of channels"
                raise UnusableError("raised", f"{message} than {len(case.gamma)}")
            case = case.with_vector(vector, value)
        return case

    def can_move(self, variable: str, channels: int) -> bool:
        """Whether finite differences can be taken in x, gamma or beta."""
        is_given = variable == "x" or self.forward_binding.takes(variable)
        return is_given or self.kept.is_exact(variable, channels)

    def arguments(self, case: Case) -> dict[str, Any]:
        """Return what the functions can be given, by quantity: the case's arrays are copies."""
        is_training = case.statistics is None
        mean, variance = case.statistics or case.running or running_start(len(case.gamma))

        def vector(values: Float64Array) -> Float64Array:
            shaped: Float64Array = values.reshape(case.vector_shape).copy()
            return shaped

        makers: dict[str, Callable[[], Any]] = {
            "x": lambda: case.x.copy(),
            "gamma": lambda: vector(case.gamma),
            "beta": lambda: vector(case.beta),
            "params": lambda: {
                name: vector(getattr(case, which))
                for which, spellings in VECTORS.items()
                for name in spellings
            },
            "epsilon": lambda: self.epsilon,
            "channel_axis": lambda: case.axis,
            "bn_param": lambda: self.settings(case, mean, variance),
            "mean": lambda: vector(mean),
            "variance": lambda: vector(variance),
            "inv": lambda: vector(1 / np.sqrt(variance + self.epsilon)),
            "running_mean": lambda: vector(mean),
            "running_variance": lambda: vector(variance),
            "momentum": lambda: MOMENTUM[self.framework],
            "training": lambda: is_training,
        }
        taken = {*self.forward_binding.quantities, *self.backward_binding.quantities}
        return {name: make() for name, make in makers.items() if name in taken}

    def settings(self, case: Case, mean: Float64Array, variance: Float64Array) -> Settings:
        """Return the settings `bn_param`: with statistics, that forward takes, those of a test."""
        is_training = case.statistics is None
        settings = Settings(mode="train" if is_training else "test", eps=self.epsilon)
        settings.running = (mean, variance)
        if not is_training or case.running is not None:
            settings |= {"running_mean": mean.copy(), "running_var": variance.copy()}
        return settings

    def call_forward(self, case: Case) -> tuple[Forwarded, tuple[str, ...]]:
        """Return what forward returns, and the names of the arguments that it wrote to.

        Raises UnusableError if it raises or returns what cannot be y.
        """
        arguments = self.arguments(case)
        self.set_kept(case)
        result, modified = self.call("forward", case, arguments)
        has_settings = "bn_param" in self.forward_binding.quantities
        self.kept.settings = arguments["bn_param"] if has_settings else Settings()
        self.kept.given = {
            name: arguments[name] for name in RUNNING if name in self.forward_binding.quantities
        }
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
        by_name, said = named(result, terms, self.names_of_gradients(result, case.x.shape))
        for name, value in by_name.items():
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
        return Backwarded(ordered, modified, said, "" if ordered else keys_expected(result))

    def set_kept(self, case: Case) -> None:
        """Set the gamma and beta that the functions keep to those of the case."""
        for vector in self.kept.vectors:
            self.kept.write(vector, getattr(case, vector))

    def names_of_gradients(self, result: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Return the names of the gradients that backward returned in a tuple, in their order.

        Up to two are those of what forward is given, then of the rest; three or more are all.
        """
        count = len(gradients_in(result, shape))
        return tuple(dict.fromkeys(OUTPUTS if count > 2 else (*self.outputs, *OUTPUTS)))

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
            if name in binding.quantities
            and name not in ("cache", *RUNNING)
            and isinstance(value, np.ndarray)
        }
        try:
            with np.errstate(**self.error_state):
                result = function(
                    *(arguments[quantity] for quantity in binding.positional),
                    **{name: arguments[quantity] for name, quantity in binding.keywords.items()},
                )
        except MemoryError:
            raise
        except RulesDifferError as error:
            raise UnusableError("rules_differ", f"{role}: {error}") from error
        except Exception as error:
            given = ", ".join(binding.quantities)
            if isinstance(error, TypeError) and is_of_the_call(error):
                raise TypeError(
                    f"{role}: cannot be called with ({given}): {text_of(error)}; name what its "
                    f"parameters stand for with {role}_arguments"
                ) from error
            raise UnusableError(
                "raised",
                f"{role}: called with ({given}), x of shape {case.x.shape}, it raises "
                f"{type(error).__name__}: {text_of(error)}" + advice(role, binding),
            ) from error
        modified = [name for name, value in before.items() if not same_bits(value, arguments[name])]
        return result, tuple(modified)


def is_of_the_call(error: TypeError) -> bool:
    """Whether an error is that of a call with the wrong arguments, not one inside the function."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__package__")) == __package__


def advice(role: str, binding: Binding) -> str:
    """Say what to write if the number of the parameters was read wrongly."""
    if not binding.is_guessed or binding.positional not in (("delta", "cache"), ("cache", "delta")):
        return ""
    other = [*reversed(binding.positional)]
    return f"; if its parameters are ({', '.join(other)}), say {role}_arguments={other}"
