"""The package onnx, whose classes of protobuf parse and hold models, and its element types."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..attributes import ELEMENT_TYPES

if TYPE_CHECKING:
    from ..._core import element

#: ONNX' names of element types.
TYPE_NAMES = {
    "boolean": "BOOL",
    "f16": "FLOAT16",
    "bf16": "BFLOAT16",
    "f32": "FLOAT",
    "f64": "DOUBLE",
    **{f"i{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
}


def import_onnx() -> Any:
    """The package. Raises ImportError that says how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "a model of ONNX needs the package onnx, which is not installed: "
            'pip install "normgraph[onnx]"'
        ) from error
    return onnx


def decode_error() -> type[Exception]:
    """What protobuf, which comes with the package, raises for bytes that are no message."""
    error: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError
    return error


def type_number(element_type: str) -> int:
    """ONNX' number of an element type."""
    return int(getattr(import_onnx().TensorProto, TYPE_NAMES[element_type]))


def type_name(number: int) -> str:
    """ONNX' name of an element type, or what it is called where there is none."""
    known = import_onnx().TensorProto.DataType
    return str(known.Name(number)) if number in known.values() else f"number {number}"


def element_type_of(number: int) -> element.Type | None:
    """The element type that ONNX gives this number, None for those that normgraph has not."""
    name = type_name(number)
    for ours, theirs in TYPE_NAMES.items():
        if theirs == name:
            return ELEMENT_TYPES[ours]
    return None
