"""The functions of a Python file, for the command line."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def function(module: types.ModuleType, name: str | None, role: str) -> Callable[..., Any]:
    """Return what a dotted name stands for; without one, the function that is for this role.

    role: "forward" or "backward": the function of this name, or the only one whose name has it as a
    part. Raises FileError where there is none.
    """
    if name is not None:
        value: Any = module
        for part in name.split("."):
            try:
                value = getattr(value, part, None)
            except Exception as error:  # of a property
                raise FileError(
                    f"--{role}: {name!r} raises {type(error).__name__}: {text_of(error)}"
                ) from error
        if not callable(value):
            raise FileError(f"--{role}: expected a function of the file, got {name!r}")
        return value  # type: ignore[no-any-return]
    functions = {
        key: value for key, value in vars(module).items() if isinstance(value, types.FunctionType)
    }
    if role in functions:
        return functions[role]
    found = [key for key in functions if role in key.lower()]
    if len(found) == 1:
        return functions[found[0]]
    came = f"got {' and '.join(found)}" if found else "got none"
    raise FileError(f"expected one function named {role}, {came}; name it with --{role}")
