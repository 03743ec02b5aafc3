"""Arrays of numpy, torch and JAX: made of a case's doubles, and read from what a function returns.

A framework is imported when it is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.check.accuracy import Format
from normgraph.definition import Float64Array
from normgraph.verification.values import UnreadableError, real_array

FRAMEWORKS = ("numpy", "torch", "jax")


class MissingFrameworkError(ImportError):
    """A framework is not installed; the message names the extra that brings it."""


def require(framework: str) -> Any:
    """Import torch or JAX; raise MissingFrameworkError that names the extra."""
    try:
        return importlib.import_module(framework)
    except ImportError as error:
        raise MissingFrameworkError(
            f"framework {framework!r} needs {framework}, which cannot be imported here; the extra "
            f"{framework!r} brings it: python -m pip install 'normgraph[{framework}]'"
        ) from error


def framework_of(function: Callable[..., Any]) -> str:
    """Tell whose arrays a function works with, by its module and the modules that it names."""
    while isinstance(function, functools.partial):
        function = function.func
    of_its_own = [str(getattr(type(function), "__module__", ""))]
    of_its_own.append(str(getattr(function, "__module__", "") or ""))
    inner = getattr(function, "__wrapped__", function)
    inner = getattr(inner, "__func__", inner)
    if not isinstance(inner, types.FunctionType):
        # The class's own: an attribute of the object would be another.
        inner = vars(type(function)).get("__call__", inner)
    named = modules_named(inner) if isinstance(inner, types.FunctionType) else []
    for framework, modules in (("torch", ("torch",)), ("jax", ("jax", "jaxlib", "flax"))):
        for module in (*of_its_own, *named):
            if module.split(".")[0] in modules:
                return framework
    return "numpy"


def modules_named(function: types.FunctionType) -> list[str]:
    """Return the modules that a function's code refers to, directly or by functions of theirs."""
    found, seen, pending = [], set(), [function]
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        cells = dict(zip(one.__code__.co_freevars, one.__closure__ or (), strict=True))
        for name in names_in(one.__code__):
            value = one.__globals__.get(name)
            if name in cells:
                with contextlib.suppress(ValueError):
                    value = cells[name].cell_contents
            if isinstance(value, types.ModuleType):
                found.append(value.__name__)
            elif isinstance(value, types.FunctionType):
                if value.__module__ == one.__module__:
                    pending.append(value)
                else:
                    found.append(str(value.__module__))
            elif callable(value):
                found.append(str(getattr(type(value), "__module__", "")))
    return found


def names_in(code: types.CodeType) -> set[str]:
    """Return the names in a function's code and in functions that it defines."""
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= names_in(constant)
    return names


def of_framework(values: npt.NDArray[Any], to: Format | None, framework: str) -> Any:
    """Return an array of a framework; to: the type, None to keep a mask's own.

    Raises `check.outcome.UnavailableError` for bf16 in numpy without ml_dtypes.
    """
    if framework == "torch":
        torch = require("torch")
        if to is None:
            return torch.from_numpy(values.copy())
        types_of_torch = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
        return torch.from_numpy(values.copy()).to(getattr(torch, types_of_torch[to.name]))
    array = values.copy() if to is None else values.astype(to.dtype())
    return require("jax").numpy.asarray(array) if framework == "jax" else array


@contextlib.contextmanager
def arithmetic(framework: str, data: Format) -> Iterator[None]:
    """Let JAX have f64 where the data is."""
    if framework == "jax" and data.name == "f64":
        with require("jax").enable_x64(True):
            yield
    else:
        yield


def values_of(result: Any) -> tuple[Float64Array, str]:
    """Return a result's elements in double, and the name of its type.

    Raises UnreadableError for what is no array of real numbers.
    """
    if hasattr(result, "detach") and hasattr(result, "dtype"):
        tensor, name = result.detach().cpu(), str(result.dtype).removeprefix("torch.")
        if not tensor.is_floating_point():
            raise UnreadableError(f"{type(result).__name__} of {name}")
        return np.asarray(tensor.double().numpy(), np.float64), name
    array = real_array(result)
    with np.errstate(all="ignore"):
        return np.array(array, np.float64), array.dtype.name
