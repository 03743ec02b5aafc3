"""What the user's functions return, told apart: y and the cache, the gradients by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .cases import Terms
from .kept import VECTORS, gradients_by_name, plain
from .values import UnreadableError, real_array, to_float64

#: The names, without underscores, of what a forward that returns a dict or a named tuple calls y,
#: and of what it calls the cache.
Y_NAMES = ("y", "out", "output", "normalized", "yout", "result")
CACHE_NAMES = ("cache", "ctx", "saved", "res", "residuals", "context")

#: The quantities that gradients are taken in, and the output that the gradient in each name is.
DIFFERENTIATED = ("x", *VECTORS)
OUTPUT_OF = {"x": "input_delta"} | {
    name: f"{vector}_delta" for vector, names in VECTORS.items() for name in names
}

#: How near a vector has to be to a gradient, relative, to be taken for it.
LIKENESS = 1e-3


def mapping_of(result: Any) -> dict[str, Any] | None:
    """Return a dict, the fields of a named tuple or of a dataclass by name; None for others."""
    if isinstance(result, Mapping):
        return {name: result[name] for name in result if isinstance(name, str)}
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return dict(zip(result._fields, result, strict=True))
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return None


def key_of_y(result: Any) -> str | None:
    """Return the name that a dict, a named tuple or a dataclass has for y, None if it has none."""
    fields = mapping_of(result)
    if fields is None:
        return None
    keys = {plain(key): key for key in reversed(fields)}
    return next((keys[name] for name in Y_NAMES if name in keys), None)


def y_and_cache(result: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Return y, and what forward returned behind it."""
    key = key_of_y(result)
    if key is not None and not (isinstance(result, tuple) and key == result._fields[0]):  # type: ignore[attr-defined]
        fields = mapping_of(result) or {}
        caches = [name for name in fields if plain(name) in CACHE_NAMES]
        return fields[key], (fields[caches[0]] if len(caches) == 1 else result,)
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


# ---- gradients -----------------------------------------------------------------------------------


def named(result: Any, terms: Terms, names: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return the gradients that backward returned by the names of the outputs.

    A dict, a named tuple and a dataclass name them. A tuple has them in the order of `names`, which
    begins with input_delta; if another of them alone has the shape of x, that is input_delta, and
    the others are told apart by their values. Also returns what is to be said of such an order.
    """
    fields = mapping_of(result)
    if fields is not None:
        found = gradients_by_name(fields)
        if not isinstance(result, tuple) or len(found) == len(fields):
            return found, ""
    returned = gradients_in(result, terms.case.x.shape)
    inside: dict[str, Any] = {}
    for one in returned:
        if isinstance(one, Mapping):
            inside |= gradients_by_name(dict(one))
    if inside:
        rest = [one for one in returned if not isinstance(one, Mapping)]
        left = [name for name in names if name not in inside]
        return dict(zip(left, rest, strict=False)) | inside, ""
    order = order_by_shape(returned, terms, names)
    by_name = dict(zip(order or names, returned, strict=False))
    if order is None:
        return by_name, ""
    return by_name, (
        f"backward returns ({', '.join(by_name)}) in this order, recognized by shapes and values; "
        "verify expects (input_delta, gamma_delta, beta_delta) or a dict of dx, dgamma and dbeta"
    )


def order_by_shape(
    returned: Sequence[Any], terms: Terms, names: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the outputs' names in the order that they came in; None if input_delta is first."""
    arrays = [readable(one) for one in returned]
    whole = [
        i for i, one in enumerate(arrays) if one is not None and one.shape == terms.case.x.shape
    ]
    if len(whole) != 1 or arrays[0] is None or arrays[0].size != len(terms.case.gamma):
        return None
    if whole[0] == 0:
        return None
    others = [name for name in names if name != "input_delta"]
    vectors = [one for i, one in enumerate(arrays) if i != whole[0]][:2]
    if len(vectors) == 2 and is_like(vectors, terms, others[::-1]) > is_like(
        vectors, terms, others
    ):
        others.reverse()
    others.insert(whole[0], "input_delta")
    return tuple(others)


def is_like(vectors: Sequence[npt.NDArray[Any] | None], terms: Terms, names: Sequence[str]) -> int:
    """Return how many of the vectors are the gradients of these names."""
    count = 0
    for vector, name in zip(vectors, names, strict=False):
        expected = terms.expected(name).reshape(-1)
        if vector is not None and vector.size == expected.size:
            difference = np.abs(to_float64(vector).reshape(-1) - expected).max(initial=0.0)
            count += bool(difference <= LIKENESS * np.abs(expected).max(initial=0.0))
    return count


def readable(value: Any) -> npt.NDArray[Any] | None:
    """Return a value as an array of real numbers, None if it is none."""
    try:
        return None if value is None else real_array(value)
    except UnreadableError:
        return None


def by_output(gradients: Mapping[str, Any]) -> dict[str, Any]:
    """Return gradients by the names of the outputs; those of spellings of one vector are added."""
    found: dict[str, Any] = {}
    for name, value in gradients.items():
        output = OUTPUT_OF[name]
        if value is not None:
            found[output] = found[output] + value if output in found else value
    return found


def keys_expected(result: Any) -> str:
    """Say which names a dict has, and which it should have; nothing for other results."""
    fields = mapping_of(result)
    if fields is None or not isinstance(result, Mapping):
        return ""
    return f"a dict of {', '.join(fields) or 'nothing'}; the names dx, dgamma and dbeta are known"
