"""Arguments as users give them: an error names the argument, what was expected and what came."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .._core import Function, Node, Parameter


def refuse(name: str, expected: str, value: object) -> NoReturn:
    """Raise the TypeError that says what was expected of this argument."""
    kind = type(value).__name__
    is_plain = isinstance(value, (bool, int, float, complex, str, bytes))
    raise TypeError(
        f"{name}: expected {expected}, got {f'{value!r} of type {kind}' if is_plain else kind}"
    )


def check_is_function(value: object) -> None:
    """Raise TypeError for what is no Function."""
    if not isinstance(value, Function):
        raise TypeError(f"function: expected a Function, got {type(value).__name__}")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise TypeError for what is no string, ValueError for none of the choices."""
    expected = " or ".join(f'"{choice}"' for choice in choices)
    if not isinstance(value, str):
        refuse(name, expected, value)
    if value not in choices:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def weight_of(name: str, value: object) -> float | None:
    """A number from 0 to 1, or None, as Python's own."""
    expected = "a number from 0 to 1, or None"
    if value is None:
        return None
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        refuse(name, expected, value)
    number: Any = value  # the type Real has no comparisons with numbers
    if not 0 <= number <= 1:
        raise ValueError(f"{name}: expected {expected}, got {number}")
    return float(number)


def path_of(value: object) -> Path:
    """The argument `path`. Raises ValueError for what no file can be called."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(text, str):
        refuse("path", "a string or an os.PathLike that gives one", value)
    try:
        is_name = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        is_name = False
    if not is_name:
        raise ValueError(f"path: expected a name that a file can have, got {text!r}")
    return Path(text)


def items_of(name: str, value: object, expected: str) -> list[Any]:
    """The items of a collection, which a string, a mapping and a node are not."""
    no_collections = (str, bytes, Mapping, Node)
    is_collection = isinstance(value, Iterable) and not isinstance(value, no_collections)
    # numpy has arrays without axes, which look like collections until one asks them.
    if not is_collection or getattr(value, "ndim", 1) == 0:
        refuse(name, expected, value)
    return list(value)  # type: ignore[call-overload,no-any-return]


def parameters_of(name: str, value: object) -> list[Parameter]:
    """A list of nothing but parameters."""
    items = items_of(name, value, "parameters")
    for index, item in enumerate(items):
        if not isinstance(item, Parameter):
            refuse(f"{name}[{index}]", "a Parameter", item)
    return items
