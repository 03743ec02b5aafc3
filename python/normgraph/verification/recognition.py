"""What a function is made of: numpy, torch or JAX, found out without importing any of them.

A user who gives something of torch or JAX has imported it, so that it is in `sys.modules`.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

#: The frameworks, by the packages that their objects come from.
PACKAGES = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "flax": "jax"}

#: What is not looked into for the use of a framework.
FOREIGN = ("numpy", "scipy", "builtins")

#: How far helper functions that a function calls are followed.
DEPTH = 4


def framework_of_type(value: Any) -> str | None:
    """Return "torch" or "jax" if an object is of a class of it, None otherwise."""
    for base in getattr(type(value), "__mro__", ()):
        package = str(getattr(base, "__module__", "")).partition(".")[0]
        if package in PACKAGES:
            return PACKAGES[package]
    return None


def class_of(path: str) -> type | None:
    """Return the class `torch.…` of this dotted name, None if torch is not imported."""
    package, *parts = path.split(".")
    value: Any = sys.modules.get(package)
    for part in parts:
        value = getattr(value, part, None)
    return value if isinstance(value, type) else None


def is_instance(value: Any, path: str) -> bool:
    """Whether an object is of the class of this dotted name."""
    wanted = class_of(path)
    return wanted is not None and isinstance(value, wanted)


def is_subclass(value: Any, path: str) -> bool:
    """Whether an object is a class derived from that of this dotted name."""
    wanted = class_of(path)
    return wanted is not None and isinstance(value, type) and issubclass(value, wanted)


def is_tensor(value: Any) -> bool:
    """Whether an object is a torch tensor."""
    return is_instance(value, "torch.Tensor")


def is_module(value: Any) -> bool:
    """Whether an object is a torch module."""
    return is_instance(value, "torch.nn.Module")


def detached(value: Any) -> Any:
    """Return a torch tensor without the graph of its gradient, and anything else as it is."""
    return value.detach() if is_tensor(value) else value


def autograd_function_of(function: Any) -> type | None:
    """Return the `torch.autograd.Function` that a function is, or is the `apply` of."""
    owner = getattr(function, "__self__", None)
    if getattr(function, "__name__", "") == "apply" and isinstance(owner, type):
        function = owner
    return function if is_subclass(function, "torch.autograd.Function") else None


def has_own_gradient(function: Any) -> bool:
    """Whether an object is known to bring its gradient: no backward function is needed."""
    return (
        autograd_function_of(function) is not None
        or is_module(function)
        or (framework_of_type(function) == "jax" and callable(function))
    )


def signature_of(function: Any) -> inspect.Signature:
    """Return the signature that a function is called with.

    That of a torch module is its forward's; that of a `torch.autograd.Function` is its forward's,
    without the context.
    """
    autograd_function = autograd_function_of(function)
    if autograd_function is None:
        return inspect.signature(function.forward if is_module(function) else function)
    signature = inspect.signature(autograd_function.forward)  # type: ignore[attr-defined]
    parameters = list(signature.parameters.values())
    of_torch: Any = class_of("torch.autograd.Function")
    if autograd_function.setup_context is of_torch.setup_context:  # type: ignore[attr-defined]
        parameters = parameters[1:]
    return signature.replace(parameters=parameters)


def takes_context(function: Any) -> bool:
    """Whether a function is the static forward or backward of a `torch.autograd.Function`."""
    if autograd_function_of(function) is not None or class_of("torch.Tensor") is None:
        return False
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0] == "ctx"


def framework_in_annotations(function: Any) -> str | None:
    """Return the framework that a function's annotations name, None if they name none."""
    try:
        signature = signature_of(function)
    except Exception:
        return None
    for annotation in (
        signature.return_annotation,
        *(parameter.annotation for parameter in signature.parameters.values()),
    ):
        text = annotation if isinstance(annotation, str) else str(annotation)
        for word, framework in (("torch", "torch"), ("Tensor", "torch"), ("jax", "jax")):
            if word in text and framework in sys.modules:
                return framework
    return None


def framework_in_code(function: Any) -> str | None:
    """Return the framework that a function's code, or that of helpers it calls, makes use of."""
    for value in used_by(function, DEPTH, set()):
        name = value.__name__ if isinstance(value, types.ModuleType) else None
        package = PACKAGES.get(name.partition(".")[0]) if name else framework_of_type(value)
        if package is None and isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
            package = PACKAGES.get(str(value.__module__).partition(".")[0])
        if package is not None:
            return package
    return None


def used_by(function: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    """Yield what the names in a function's code stand for, and in that of functions it calls."""
    function = inner(function)
    if not isinstance(function, types.FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for name in names_in_code(function.__code__):
        try:
            value = cells[name].cell_contents if name in cells else function.__globals__[name]
        except (KeyError, ValueError):  # an attribute's name, a local import, no value yet
            value = sys.modules.get(name) if name in PACKAGES else None
        if value is None or hasattr(builtins, name):
            continue
        yield value
        candidates = [value]
        if isinstance(value, types.ModuleType):
            candidates = [vars(value).get(other) for other in names_in_code(function.__code__)]
        for candidate in candidates if depth > 0 else ():
            package = str(getattr(candidate, "__module__", "")).partition(".")[0]
            if package not in FOREIGN and package not in PACKAGES:
                yield from used_by(candidate, depth - 1, seen)


def names_in_code(code: types.CodeType) -> dict[str, None]:
    """Return the names in a function's code, and in that of the functions inside it."""
    names = dict.fromkeys((*code.co_names, *code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= names_in_code(constant)
    return names


def inner(function: Any) -> Any:
    """Return the Python function that a callable runs: of a method, a partial or a wrapper."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, (types.FunctionType, types.BuiltinFunctionType, type)):
            return function
        else:
            of_class = [vars(base).get("__call__") for base in type(function).__mro__]
            methods = [method for method in of_class if isinstance(method, types.FunctionType)]
            return methods[0] if methods else function


def is_layer(value: Any) -> bool:
    """Whether an object has the methods forward and backward, as layers written with numpy do."""
    methods: list[Callable[..., Any] | None] = [
        getattr(value, name, None) for name in ("forward", "backward")
    ]
    return not isinstance(value, type) and all(callable(method) for method in methods)
