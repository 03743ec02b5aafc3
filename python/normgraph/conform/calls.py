"""Calls of the function that is tried: what its parameters stand for, and what it returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from normgraph.check.outcome import UnavailableError
from normgraph.definition import Float64Array
from normgraph.verification.calls import QUANTITY_OF, Binding, bind
from normgraph.verification.kept import gradients_by_name
from normgraph.verification.values import UnreadableError, described, text_of

from .cases import ROLES, Case, cases
from .frameworks import arithmetic, of_framework, values_of
from .vectors import relu_mask

#: Parameters that functions have beside those that `verify` knows.
MORE_NAMES = {
    "running_mean": "mean",
    "running_var": "variance",
    "running_variance": "variance",
    "activated_delta": "delta",
    "residual": "residual",
    "where": "where",
    "mask": "relu_mask",
    "upper_bound": "upper_bound",
}
MORE_QUANTITIES = ("residual", "where", "relu_mask", "upper_bound")
QUANTITIES = (*dict.fromkeys(QUANTITY_OF.values()), *MORE_QUANTITIES)

#: What parameters stand for whose names are not known, by their number.
BY_NUMBER = {
    "inference": {
        5: ("x", "gamma", "beta", "mean", "variance"),
        6: ("x", "gamma", "beta", "mean", "variance", "epsilon"),
    },
}

OUTPUTS = {
    "training": ("normalized", "mean", "variance"),
    "inference": ("normalized",),
    "backward": ("input_delta", "gamma_delta", "beta_delta", "residual_delta"),
}
OUTPUTS["inference_backward"] = OUTPUTS["backward"]

#: Names that outputs have in named tuples and dicts, beside their own.
OUTPUT_NAMES = {
    "activated": "normalized", "y": "normalized", "output": "normalized", "out": "normalized",
    "var": "variance", "batch_mean": "mean", "batch_var": "variance", "save_mean": "mean",
}  # fmt: skip


class CallError(Exception):
    """The function raised, or returned what cannot be judged; mistake: a key of MISTAKES."""

    def __init__(self, mistake: str, message: str) -> None:
        super().__init__(message)
        self.mistake = mistake


def known_quantity(parameter: str) -> str | None:
    """Return what a parameter's name stands for, None if it is not known."""
    name = parameter.lower()
    return MORE_NAMES.get(name) or QUANTITY_OF.get(name)


def bind_arguments(
    function: Callable[..., Any], role: str | None, arguments: Sequence[str] | None
) -> Binding:
    """Find out what to give a function; role: None if that is not known.

    Raises TypeError if it is not callable or its parameters are not recognised, and ValueError if
    `arguments` holds what no function is given.
    """
    if not callable(function):
        raise TypeError(f"function: expected a function, got {described(function)}")
    if arguments is not None:
        if isinstance(arguments, str) or not isinstance(arguments, Sequence):
            raise TypeError(f"arguments: expected a sequence of words, got {described(arguments)}")
        words = tuple(arguments)
        if not words:
            raise ValueError(f"arguments: expected some of {', '.join(QUANTITIES)}, got none")
        if any(word not in QUANTITIES for word in words) or len(set(words)) != len(words):
            raise ValueError(
                f"arguments: expected different ones of {', '.join(QUANTITIES)}, "
                f"got {', '.join(map(str, words))}"
            )
        return Binding(words, {})
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise TypeError(
            "function: its parameters cannot be read; name them with arguments="
        ) from error
    positional: list[str] = []
    keywords: dict[str, str] = {}
    required, unknown = [], []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        quantity = known_quantity(parameter.name)
        is_required = parameter.default is parameter.empty
        if is_required and parameter.kind is not parameter.KEYWORD_ONLY:
            required.append(parameter.name)
        if quantity in (*positional, *keywords.values()):
            quantity = None
        if quantity is None:
            unknown += [parameter.name] if is_required else []
        elif is_required and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(quantity)
        elif parameter.kind is not parameter.POSITIONAL_ONLY:
            keywords[parameter.name] = quantity
    # What is given by keyword alone may have a default, as in f(x=None, gamma=None).
    has_data = bool({"x", "delta"} & {*keywords.values()})
    if not unknown and (required or has_data):
        return Binding(tuple(positional), keywords)
    return bind_by_number(function, role, required, keywords)


def bind_by_number(
    function: Callable[..., Any], role: str | None, required: list[str], keywords: Mapping[str, str]
) -> Binding:
    """Take parameters whose names are not known by their number."""
    found = BY_NUMBER.get(role or "", {}).get(len(required))
    if found is not None:
        return Binding(found, {name: what for name, what in keywords.items() if what not in found})
    try:
        if role in (None, "training"):
            return bind("forward", function, None)
        if role != "inference":
            return bind("backward", function, None)
    except TypeError:
        pass
    raise TypeError(
        f"function: expected parameters that stand for some of {', '.join(QUANTITIES)}, got "
        f"{inspect.signature(function)}; name what they stand for with arguments="
    )


def role_of(binding: Binding) -> str:
    """Tell the kind of a function by what it is given."""
    if "delta" in binding.quantities:
        return "backward"
    if "mean" in binding.quantities or "variance" in binding.quantities:
        return "inference"
    return "training"


def check_vectors(binding: Binding, role: str) -> None:
    """Raise TypeError for a forward function that is not given gamma and beta."""
    is_forward = role in ("training", "inference")
    if is_forward and not {"gamma", "beta", "params", "delta"} & {*binding.quantities}:
        raise TypeError(
            f"function: expected one that is given gamma and beta, got one of "
            f"({', '.join(binding.quantities)}); let a function put them into a layer"
        )


@dataclass(frozen=True)
class Subject:
    """The function that is tried, and how it is called.

    forward: the forward function whose cache a backward function is given. epsilon, channel_axis:
    what a function works with that is not given them. outputs: what it returns, None to tell by
    the results.
    """

    function: Callable[..., Any]
    role: str
    binding: Binding
    framework: str
    epsilon: float
    channel_axis: int
    activation: str = "none"
    outputs: tuple[str, ...] | None = None
    forward: Subject | None = None

    def reason_to_leave_out(self, case: Case) -> str | None:
        """Tell why a case is none for this function, None if it is one."""
        takes = self.binding.quantities
        if case.activation != self.activation:
            return "of another activation"
        if case.where is not None and "where" not in takes:
            return "it takes no mask of positions"
        if not self.takes_epsilon and case.epsilon != self.epsilon:
            return f"epsilon is {case.epsilon:g} there"
        if "channel_axis" not in takes:
            rank = len(case.layout.shape)
            axis = self.channel_axis % rank if -rank <= self.channel_axis < rank else None
            if axis != case.channel_axis:
                return f"the channels are on axis {case.channel_axis} there"
        fits = getattr(self.function, "reason_to_leave_out", None)
        return None if fits is None else str(fits(case) or "") or None

    @property
    def takes_epsilon(self) -> bool:
        """Whether it is given epsilon; else all cases have its own."""
        return bool({"epsilon", "bn_param"} & {*self.binding.quantities})

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases of its role."""
        return cases(self.role) if self.takes_epsilon else cases(self.role, self.epsilon)

    @property
    def has_given_statistics(self) -> bool:
        """Whether it is given statistics; a backward function may have the batch's own."""
        given = {"mean", "variance", "inv", "x_hat"} & {*self.binding.quantities}
        return bool(given) or self.role in ("inference", "inference_backward")

    def arguments(self, case: Case) -> dict[str, Any]:
        """Return everything that the function can be given, in arrays of its framework."""
        needed = {*self.binding.quantities}
        found: dict[str, Any] = {
            name: of_framework(values, case.format_of(name), self.framework)
            for name, values in case.inputs.items()
            if name in needed
        }
        if case.role == "training" and needed & {"mean", "variance"}:
            # Running statistics, which a forward pass in training may update but does not use.
            for name, value in (("mean", 0.0), ("variance", 1.0)):
                vector = np.full(case.channels, value)
                found[name] = of_framework(vector, case.vector, self.framework)
        for name, values in derived(case).items() if needed & {"inv", "x_hat"} else ():
            found[name] = of_framework(
                values, case.data if name == "x_hat" else case.vector, self.framework
            )
        if "where" in needed:
            masks = case.where
            found["where"] = None if masks is None else of_framework(masks, None, self.framework)
        if "relu_mask" in needed and case.activation != "none":
            found["relu_mask"] = of_framework(relu_mask(case), None, self.framework)
        found["upper_bound"] = case.upper_bound
        found["epsilon"] = case.epsilon
        found["channel_axis"] = case.channel_axis
        found["bn_param"] = {"mode": "train", "eps": case.epsilon}
        return found

    def call(self, case: Case) -> Any:
        """Return what the function returns, unread; raise CallError if it raises."""
        with arithmetic(self.framework, case.data):
            try:
                arguments = self.arguments(case)
            except UnavailableError as error:
                raise CallError("raised", f"not called: {error}") from error
            if "cache" in self.binding.quantities:
                arguments["cache"] = self.cache(case)
            missing = [name for name in self.binding.positional if name not in arguments]
            if missing:
                raise TypeError(
                    f"function: a {self.role} function is not given {', '.join(missing)}; say with "
                    f"role= which of {', '.join(ROLES)} it is"
                )
            words = {name: arguments.get(what) for name, what in self.binding.keywords.items()}
            # What is left out has the function's own default.
            words = {name: value for name, value in words.items() if value is not None}
            try:
                with np.errstate(all="ignore"):
                    return self.function(*(arguments[q] for q in self.binding.positional), **words)
            except MemoryError:
                raise
            except Exception as error:
                raise CallError("raised", f"{type(error).__name__}: {text_of(error)}") from error

    def cache(self, case: Case) -> Any:
        """Return what forward returned behind y; that alone if it is one object."""
        if self.forward is None:
            raise TypeError("function: it takes a cache, so give its forward function: forward=")
        result = self.forward.call(case)
        if not isinstance(result, (tuple, list)) or len(result) < 2:
            raise TypeError("forward: expected a cache behind y, which function takes; got y alone")
        return result[1] if len(result) == 2 else tuple(result[1:])

    def results(self, case: Case) -> dict[str, tuple[Float64Array, str]]:
        """Return the outputs by name, each with its type; raise CallError for what is no array."""
        result = self.call(case)
        found = {}
        for name, value in named_outputs(result, self.role, self.outputs).items():
            if value is None:
                continue
            try:
                found[name] = values_of(value)
            except UnreadableError as error:
                if name not in ("normalized", "input_delta") and self.outputs is None:
                    continue
                message = f"{name}: expected an array of real numbers, got {error}"
                raise CallError("missing_output", message) from error
        if not found:
            raise CallError("missing_output", f"it returns nothing, {described(result)}")
        return found


def derived(case: Case) -> dict[str, Float64Array]:
    """Return inv and x_hat at the statistics of a case, which come with their type's rounding."""
    inverse = 1 / np.sqrt(case.inputs["variance"] + case.epsilon)
    x_hat = case.array((case.rows("x") - case.inputs["mean"]) * inverse)
    return {"inv": inverse, "x_hat": x_hat}


def named_outputs(result: Any, role: str, outputs: Sequence[str] | None) -> dict[str, Any]:
    """Return what a function returned by the names of outputs.

    Of a forward function's tuple only what has a name of its own is taken beside y: the rest may be
    a cache. Raises CallError if there are fewer results than `outputs`.
    """
    names = OUTPUTS[role]
    if outputs is not None:
        values = result if isinstance(result, (tuple, list)) else (result,)
        if len(values) != len(outputs):
            raise CallError(
                "missing_output",
                f"expected {len(outputs)} outputs ({', '.join(outputs)}), got {len(values)}",
            )
        return dict(zip(outputs, values, strict=True))
    is_backward = role in ("backward", "inference_backward")
    if isinstance(result, dict):
        named: dict[str, Any]
        if is_backward:
            named = dict(gradients_by_name(result))
        else:
            named = {OUTPUT_NAMES.get(key, str(key)): value for key, value in result.items()}
        if result and not {*names} & {*named}:
            raise CallError(
                "missing_output",
                f"it returns a dict of {', '.join(str(key) for key in result)}; expected some of "
                f"{', '.join(names)}",
            )
        return named
    fields = getattr(result, "_fields", None)
    if isinstance(fields, tuple):
        of_fields = dict(zip((OUTPUT_NAMES.get(f, f) for f in fields), result, strict=True))
        if names[0] in of_fields:
            return {name: of_fields[name] for name in names if name in of_fields}
    if not isinstance(result, (tuple, list)) or is_nested_list(result):
        return {names[0]: result}
    return dict(zip(names if is_backward else names[:1], result, strict=False))


def is_nested_list(result: Any) -> bool:
    """Whether this is an array as `tolist` writes it, rather than a list of results."""
    if not isinstance(result, list):
        return False
    while isinstance(result, list) and result:
        result = result[0]
    return isinstance(result, (int, float))
