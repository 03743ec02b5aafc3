"""The functions of a Python file, for the command line."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .recognition import framework_in_code, has_own_gradient, is_layer
from .values import text_of

#: The name that the file sees as its own: what it does as `__main__` is left out.
MODULE_NAME = "normgraph_verified_file"


class FileError(Exception):
    """The file cannot be used; the message says why."""


def load(path: Path) -> types.ModuleType:
    """Run a Python file as a module, which may import its neighbours.

    Raises FileError if it cannot be read or raises.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}") from error
    module = types.ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    sys.modules[MODULE_NAME] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise FileError(f"line {error.lineno}: {error.msg}") from error
    except MemoryError as error:
        raise FileError("memory runs out while it is run") from error
    except (Exception, SystemExit) as error:
        raise FileError(
            f"line {last_line(error, path)}: raises {type(error).__name__}: {text_of(error)}"
        ) from error
    return module


def last_line(error: BaseException, path: Path) -> int:
    """Return the line of the file that the error comes from."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def functions(
    module: types.ModuleType, forward_name: str | None, backward_name: str | None
) -> tuple[Any, Any]:
    """Return forward and backward of a file; backward is None if forward brings its gradient.

    forward_name, backward_name: dotted names. Without them, forward and backward are the functions
    whose names have these words in them; else what brings its gradient, such as a torch module or a
    `jax.custom_vjp`; else the functions with fwd and bwd in their names; else a layer with both
    methods. Raises FileError where there is none, or more than one.
    """
    words = ("forward", "backward")
    if forward_name is None and not functions_with("forward", module):
        alone = [name for name, value in vars(module).items() if is_alone(value)]
        if len(alone) == 1 and backward_name is None:
            return getattr(module, alone[0]), None
        if alone:
            came = " and ".join(alone)
            raise FileError(f"expected one function to verify, got {came}; name it with --forward")
        if functions_with("fwd", module):
            words = ("fwd", "bwd")
        layers = [value for value in vars(module).values() if is_layer(value)]
        if len(layers) == 1 and backward_name is None and words[0] == "forward":
            return layers[0].forward, layers[0].backward
    forward = function(module, forward_name, "forward", words[0])
    brings_gradient = is_alone(forward) or framework_in_code(forward) is not None
    if backward_name is None and brings_gradient and not functions_with(words[1], module):
        return forward, None
    return forward, function(module, backward_name, "backward", words[1])


def is_alone(value: Any) -> bool:
    """Whether an object of a file brings its gradient, so that no backward function is needed."""
    if isinstance(value, type):
        return value.__module__ == MODULE_NAME and has_own_gradient(value)
    return has_own_gradient(value) and not isinstance(value, types.BuiltinFunctionType)


def functions_with(word: str, module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions of a file that have a word in their names."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and word in name.lower()
    }


def function_named(module: types.ModuleType, name: str, place: str) -> Callable[..., Any]:
    """Return what a dotted name stands for. Raises FileError, which names the place, without it."""
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part, None)
        except Exception as error:  # of a property
            raise FileError(f"{name!r} raises {type(error).__name__}: {text_of(error)}") from error
    if not callable(value):
        raise FileError(f"expected a function of {place}, got {name!r}")
    return value  # type: ignore[no-any-return]


def function(
    module: types.ModuleType, name: str | None, role: str, word: str | None = None
) -> Callable[..., Any]:
    """Return what a dotted name stands for; without one, the function that is for this role.

    role: "forward" or "backward": the function of this name, or the only one whose name has it, or
    `word`, as a part. Raises FileError where there is none.
    """
    if name is not None:
        try:
            return function_named(module, name, "the file")
        except FileError as error:
            raise FileError(f"--{role}: {error}") from error.__cause__
    found = functions_with(word or role, module)
    if role in found:
        return found[role]
    if len(found) == 1:
        return next(iter(found.values()))
    came = f"got {' and '.join(found)}" if found else "got none"
    raise FileError(f"expected one function named {word or role}, {came}; name it with --{role}")
