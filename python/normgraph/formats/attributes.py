"""Attributes as JSON values and back, to the bit."""

from __future__ import annotations

import base64
import binascii
import math
import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .. import _core
from .._core import Dimension, PartialShape, element
from .errors import FormatError
from .strict_json import Value, quoted

#: What an attribute is in Python and, in JSON, how it is written; the core says it of its ops.
Kind = Literal["number", "integer", "flag", "axes", "element type", "shape", "bytes"]

#: Sizes beyond this cannot be in a file; they are not computed any further.
HUGE = 2**63

#: The limit of numpy's arrays. There must be a limit: every node has its own copy of a
#: shape, so that a short text could else ask for any amount of memory.
MOST_AXES = 64

ELEMENT_TYPES = {
    value.name: value for value in vars(element).values() if isinstance(value, element.Type)
}


def attributes_to_json(node: _core.Node) -> dict[str, Any]:
    """Attributes of a node by name, as values that json.dumps writes. Raises FormatError."""
    attributes = dict(node.attributes)
    for name, value in attributes.items():
        plain = value.to_python() if isinstance(value, PartialShape) else value
        if isinstance(plain, tuple) and len(plain) > MOST_AXES:
            raise FormatError(
                f"{name} of '{node.friendly_name}': expected at most {MOST_AXES} axes, got "
                f"{len(plain)}"
            )
    data = attributes.get("data")
    if data is not None:
        data = in_little_endian(data, attributes["element_type"].size)
        attributes["data"] = base64.b64encode(data).decode("ascii")
    return {name: to_json(value) for name, value in attributes.items()}


def to_json(value: object) -> Any:
    """A value that json.dumps writes."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, element.Type):
        return value.name
    if isinstance(value, PartialShape):
        return value.to_python()
    return value


def attributes_from_json(values: dict[str, Value], kinds: dict[str, Kind]) -> dict[str, Any]:
    """The constructor's arguments, from an object's members. Raises FormatError."""
    attributes = {name: READERS[kinds[name]](value) for name, value in values.items()}
    if "data" in attributes:
        attributes["data"] = elements(
            values["data"], attributes["element_type"], static_shape(values["shape"])
        )
    return attributes


def element_type(value: Value) -> element.Type:
    """An element type by the name it prints as."""
    found = ELEMENT_TYPES.get(value.string())
    if found is None:
        value.expect(f"an element type ({', '.join(ELEMENT_TYPES)})")
    return found


def shape(value: Value) -> PartialShape:
    """An array of dimensions, null for a dynamic rank."""
    if value.value is None:
        return PartialShape(None)
    return PartialShape([dimension(item) for item in axes_of(value)])


def dimension(value: Value) -> Dimension:
    """A length, null for any, [low, high] for an interval whose high may be null."""
    if value.value is None:
        return Dimension(None)
    plain: int | tuple[int, int | None]
    if isinstance(value.value, list):
        ends = value.items()
        if len(ends) != 2:
            value.fail(f"expected [low, high], got an array of length {len(ends)}")
        plain = (ends[0].integer(), None if ends[1].value is None else ends[1].integer())
    elif type(value.value) is int:
        plain = value.value
    else:
        value.expect("a length, null or [low, high]")
    try:
        return Dimension(plain)
    except ValueError as error:
        value.fail(str(error))


def axes(value: Value) -> tuple[int, ...]:
    """An array of integers."""
    return tuple(item.integer() for item in axes_of(value))


def axes_of(value: Value) -> list[Value]:
    """The elements of an array that has one for each of some axes."""
    items = value.items()
    if len(items) > MOST_AXES:
        value.fail(f"expected at most {MOST_AXES} axes, got {len(items)}")
    return items


READERS: dict[Kind, Callable[[Value], Any]] = {
    "number": Value.number,
    "integer": Value.integer,
    "flag": Value.flag,
    "axes": axes,
    "element type": element_type,
    "shape": shape,
    "bytes": Value.string,
}


def static_shape(value: Value) -> list[int]:
    """Lengths that all are known."""
    if not isinstance(value.value, list):
        value.expect("an array of lengths")
    return [item.integer() for item in axes_of(value)]


def elements(value: Value, type_: element.Type, lengths: list[int]) -> bytes:
    """The elements of a shape, in this machine's byte order, from base64."""
    if type_.is_dynamic:
        value.fail("expected elements of a known type, got dynamic")
    text = value.string()
    expected = number_of_bytes(type_, lengths)
    # Before anything is decoded: the length of base64 says how many bytes there are.
    found = len(text) // 4 * 3 - text[-2:].count("=")
    if found != expected or len(text) % 4:
        size = f"{expected} bytes" if expected < HUGE else "more bytes than a file can hold"
        value.fail(
            f"expected {size} in base64, as {type_}{PartialShape(lengths)} has, got {quoted(text)}"
        )
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value.expect("base64")
    # Padding may hide bits, which another reader could take for data.
    if base64.b64encode(data) != text.encode("ascii"):
        value.expect("base64 in its canonical form")
    return in_little_endian(data, type_.size)


def number_of_bytes(type_: element.Type, lengths: list[int]) -> int:
    """The number of bytes that the elements take; some number from HUGE on if that is more."""
    if 0 in lengths:
        return 0
    size = type_.size
    for length in lengths:
        size *= length
        if size >= HUGE:
            break
    return size


def in_little_endian(data: bytes, size: int, byteorder: str = sys.byteorder) -> bytes:
    """Elements of some size from this machine's byte order, or to it: both are the same step."""
    if byteorder == "little" or size == 1:
        return data
    swapped: bytes = np.frombuffer(data, f"u{size}").byteswap().tobytes()
    return swapped
