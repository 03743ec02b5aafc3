"""The part of oneDNN's C interface (version 3) that batch normalization needs."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from ctypes import byref, c_float, c_int, c_int64, c_uint, c_void_p
from pathlib import Path

from ..case_data import Array

# Names and values of oneapi/dnnl/dnnl_types.h.
DATA_TYPES = {"bf16": 2, "f32": 3}
FORWARD_TRAINING, BACKWARD = 64, 128
USE_SCALE_AND_SHIFT = 0x2 | 0x4
ARGUMENTS = {
    "source": 1,
    "result": 17,
    "mean": 49,
    "variance": 50,
    "scale": 51,
    "shift": 52,
    "source_delta": 129,
    "result_delta": 145,
    "scale_delta": 255,
    "shift_delta": 256,
}
_CPU = 1
_IN_ORDER = 1
_MAX_DIMENSIONS = 12
_DEFAULT_ATTRIBUTES = None


class _Argument(ctypes.Structure):
    _fields_ = (("argument", c_int), ("memory", c_void_p))


class _Version(ctypes.Structure):
    _fields_ = (("major", c_int), ("minor", c_int), ("patch", c_int))


def find() -> ctypes.CDLL:
    """The library of the package onednn-cpu-gomp, or of the system; OSError if there is none."""
    packaged = Path(sys.prefix) / "lib" / "libdnnl.so.3"
    named = os.environ.get("NORMGRAPH_ONEDNN")
    return ctypes.CDLL(named or (str(packaged) if packaged.exists() else "libdnnl.so.3"))


class OneDnn:
    """One engine and one stream. What is created lives as long as the process."""

    def __init__(self) -> None:
        self._library = find()
        self._engine = self._created("dnnl_engine_create", _CPU, ctypes.c_size_t(0))
        self._stream = self._created("dnnl_stream_create", self._engine, c_uint(_IN_ORDER))
        self._execute = self._library.dnnl_primitive_execute
        self._execute.argtypes = (c_void_p, c_void_p, c_int, c_void_p)

    def version(self) -> str:
        self._library.dnnl_version.restype = ctypes.POINTER(_Version)
        version = self._library.dnnl_version().contents
        return f"{version.major}.{version.minor}.{version.patch}"

    def _created(self, function: str, *arguments: object) -> c_void_p:
        """The value that a function stores where its first argument points to."""
        created = c_void_p()
        status = getattr(self._library, function)(byref(created), *arguments)
        if status != 0:
            raise RuntimeError(f"{function} returned the status {status}")
        return created

    def descriptor(
        self, element_type: str, lengths: Sequence[int], strides: Sequence[int]
    ) -> c_void_p:
        """Describe memory; strides count elements."""
        dimensions = c_int64 * _MAX_DIMENSIONS
        return self._created(
            "dnnl_memory_desc_create_with_strides",
            c_int(len(lengths)),
            dimensions(*lengths),
            c_int(DATA_TYPES[element_type]),
            dimensions(*strides),
        )

    def memory(self, descriptor: c_void_p, array: Array) -> c_void_p:
        """The array's own memory; the caller keeps the array."""
        return self._created(
            "dnnl_memory_create", descriptor, self._engine, c_void_p(array.ctypes.data)
        )

    def forward_descriptor(self, tensor: c_void_p, epsilon: float) -> c_void_p:
        return self._created(
            "dnnl_batch_normalization_forward_primitive_desc_create",
            self._engine,
            c_int(FORWARD_TRAINING),
            *(tensor, tensor),
            c_float(epsilon),
            c_uint(USE_SCALE_AND_SHIFT),
            _DEFAULT_ATTRIBUTES,
        )

    def backward_descriptor(self, tensor: c_void_p, epsilon: float, forward: c_void_p) -> c_void_p:
        return self._created(
            "dnnl_batch_normalization_backward_primitive_desc_create",
            self._engine,
            c_int(BACKWARD),
            *(tensor, tensor, tensor),
            c_float(epsilon),
            c_uint(USE_SCALE_AND_SHIFT),
            forward,
            _DEFAULT_ATTRIBUTES,
        )

    def primitive(self, descriptor: c_void_p) -> c_void_p:
        return self._created("dnnl_primitive_create", descriptor)

    def arguments(self, memories: Mapping[str, c_void_p]) -> ctypes.Array[_Argument]:
        """An argument that a primitive is executed with."""
        arguments = [_Argument(ARGUMENTS[name], memory) for name, memory in memories.items()]
        return (_Argument * len(arguments))(*arguments)

    def execute(self, primitive: c_void_p, arguments: ctypes.Array[_Argument]) -> None:
        status = self._execute(primitive, self._stream, len(arguments), arguments)
        if status != 0 or self._library.dnnl_stream_wait(self._stream) != 0:
            raise RuntimeError("oneDNN could not execute a primitive")
