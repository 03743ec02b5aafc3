"""Tensors of ONNX as constants: from raw bytes, from typed fields, from files beside the model.

No size that a tensor claims is believed before its data are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attributes import HUGE, MOST_AXES, in_little_endian, number_of_bytes
from ..errors import FormatError
from ..graph_reader import Refusal
from ..names import printable
from .protobuf import TYPE_NAMES, element_type_of, import_onnx, type_name

if TYPE_CHECKING:
    from ..._core import element

#: The field that holds elements of a type one by one; those of 16 bits as their bits.
FIELDS = {
    **dict.fromkeys(("boolean", "f16", "bf16", "i8", "i16", "i32", "u8", "u16"), "int32_data"),
    **dict.fromkeys(("u32", "u64"), "uint64_data"),
    "i64": "int64_data",
    "f32": "float_data",
    "f64": "double_data",
}


def known_type(number: int) -> element.Type:
    """The element type of normgraph. Raises Refusal for one that it has not."""
    found = element_type_of(number)
    if found is None:
        known = ", ".join(TYPE_NAMES.values())
        raise Refusal(f"element type: expected one of {known}, got {type_name(number)}")
    return found


def shape_of(tensor: Any) -> tuple[int, ...]:
    """The lengths. Raises FormatError, and Refusal for too many axes."""
    shape = tuple(tensor.dims)
    if len(shape) > MOST_AXES:
        raise Refusal(f"expected at most {MOST_AXES} axes, got {len(shape)}")
    if any(length < 0 for length in shape):
        raise FormatError(f"{place_of(tensor)}: expected lengths >= 0, got {list(shape)}")
    return shape


def place_of(tensor: Any) -> str:
    """A tensor as a message names it."""
    return f"tensor '{printable(text_of(tensor.name))}'"


def text_of(name: str | bytes) -> str:
    """A text of a model, which is bytes where it is not in UTF-8."""
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")


def data_of(tensor: Any, folder: Path | None) -> bytes:
    """The elements as bytes in this machine's order.

    `folder` is where files with external data may lie, None if there are none. Raises FormatError
    and Refusal.
    """
    type_, shape = known_type(tensor.data_type), shape_of(tensor)
    if tensor.HasField("segment"):
        raise Refusal("segment: expected a tensor in one piece, got a part of one")
    if tensor.data_location == import_onnx().TensorProto.EXTERNAL:
        data = external_data(tensor, type_, shape, folder)
        return checked(tensor, type_, in_little_endian(data, type_.size))
    filled = [name for name in ("raw_data", *sorted(set(FIELDS.values()))) if getattr(tensor, name)]
    if len(filled) > 1:
        raise FormatError(f"{place_of(tensor)}: expected data in one field, got {filled}")
    if filled == ["raw_data"]:
        check_size(tensor, type_, shape, len(tensor.raw_data))
        return checked(tensor, type_, in_little_endian(tensor.raw_data, type_.size))
    field = getattr(tensor, FIELDS[type_.name])
    check_size(tensor, type_, shape, len(field) * type_.size)
    return from_field(tensor, type_, field)


def check_size(tensor: Any, type_: element.Type, shape: Sequence[int], found: int) -> None:
    """Raise FormatError where the elements are not as many as the shape has."""
    expected = number_of_bytes(type_, list(shape))
    if found != expected:
        size = f"{expected} bytes" if expected < HUGE else "more bytes than there can be"
        raise FormatError(
            f"{place_of(tensor)}: expected {size} of data for {list(shape)} in {type_}, got {found}"
        )


def from_field(tensor: Any, type_: element.Type, field: Any) -> bytes:
    """Elements that are given one by one. Raises FormatError for those out of range."""
    name = type_.name
    if name in ("f32", "f64"):
        return np.array(field, np.float32 if name == "f32" else np.float64).tobytes()
    wide = np.array(field, np.uint64 if FIELDS[name] == "uint64_data" else np.int64)
    narrow = np.dtype(f"u{type_.size}" if name in ("f16", "bf16", "boolean") else type_.dtype)
    limits = np.iinfo(narrow)
    highest = 1 if name == "boolean" else limits.max
    if wide.size and (int(wide.min()) < limits.min or int(wide.max()) > highest):
        raise FormatError(
            f"{place_of(tensor)}: expected elements from {limits.min} to {highest} in "
            f"{FIELDS[name]}, as {type_} has, got {wide.min()} to {wide.max()}"
        )
    return wide.astype(narrow).tobytes()


def checked(tensor: Any, type_: element.Type, data: bytes) -> bytes:
    """The same bytes. Raises FormatError for a boolean that is neither 0 nor 1."""
    if type_.name == "boolean" and data.translate(None, b"\0\1"):
        raise FormatError(f"{place_of(tensor)}: expected booleans 0 and 1, got other bytes")
    return data


# ---- external data -------------------------------------------------------------------------------


def external_data(
    tensor: Any, type_: element.Type, shape: Sequence[int], folder: Path | None
) -> bytes:
    """Bytes of a file that lies beside the model or in a folder there.

    Raises FormatError, Refusal for a file elsewhere, OSError as open does.
    """
    if folder is None:
        raise Refusal(
            "external data: expected all data in the model, which is not read from a path, got "
            "data in another file"
        )
    entries = {text_of(entry.key): text_of(entry.value) for entry in tensor.external_data}
    path = beside(folder, entries.get("location", ""))
    expected = number_of_bytes(type_, list(shape))
    offset = number_in(tensor, entries, "offset", 0)
    check_size(tensor, type_, shape, number_in(tensor, entries, "length", expected))
    if not path.is_file():
        raise Refusal(f"external data: expected a file '{printable(path.name)}' beside the model")
    if offset + expected > path.stat().st_size:
        raise FormatError(
            f"{place_of(tensor)}: expected {expected} bytes from byte {offset} of "
            f"'{path.name}', which has {path.stat().st_size}"
        )
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(expected)
    check_size(tensor, type_, shape, len(data))
    return data


def beside(folder: Path, location: str) -> Path:
    """The path of a file in a folder. Raises Refusal for one that leads out of it."""
    root = folder.resolve()
    try:
        path = (root / location).resolve()
    except (OSError, ValueError, RuntimeError):
        path = root.parent
    if not location or not path.is_relative_to(root) or path == root:
        raise Refusal(
            f"external data: expected a file beside the model, got '{printable(location)}'"
        )
    return path


def number_in(tensor: Any, entries: dict[str, str], name: str, otherwise: int) -> int:
    """A number of external data, which are given as texts. Raises FormatError."""
    text = entries.get(name)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > len(str(HUGE)):
        raise FormatError(
            f"{place_of(tensor)}: expected a number of bytes, got {name} {text!r:.40}"
        )
    return int(text)
