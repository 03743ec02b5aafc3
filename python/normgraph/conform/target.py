"""What the command `conform` tries: `MODULE:FUNCTION`, `FILE.py:FUNCTION` or `MODEL.onnx`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from normgraph.verification import file
from normgraph.verification.values import text_of


class TargetError(Exception):
    """There is no such function; the message says why."""


def load(target: str) -> tuple[Callable[..., Any] | Path, ModuleType | None]:
    """Return the function, and its module; a model's path, and None.

    Raises TargetError where there is none.
    """
    if target.endswith(".onnx"):
        return Path(target), None
    place, colon, name = target.rpartition(":")
    if not (colon and place and name):
        raise TargetError(
            f"expected MODULE:FUNCTION, FILE.py:FUNCTION or MODEL.onnx, got {target!r}"
        )
    module = module_of(place)
    return function_in(module, name), module


def module_of(place: str) -> ModuleType:
    """Import a module, or run a file."""
    if place.endswith(".py"):
        try:
            return file.load(Path(place))
        except file.FileError as error:
            raise TargetError(f"{place}: {error}") from error
    # As `python -m` does.
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        raise TargetError(f"{place}: there is no module {error.name!r}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{place}: raises {type(error).__name__} when it is imported: {text_of(error)}"
        ) from error


def function_in(module: ModuleType, name: str) -> Callable[..., Any]:
    """Return what a dotted name stands for."""
    try:
        return file.function_named(module, name, module.__name__)
    except file.FileError as error:
        raise TargetError(str(error)) from error.__cause__
