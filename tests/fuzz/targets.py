"""What is fuzzed: functions of bytes, which return, or raise what is a fault of normgraph."""

from __future__ import annotations

import ctypes
import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np

import normgraph as ng
from tests.kernel.comparison import bits

from . import values
from .choices import Choices

#: What bad input may raise.
ERRORS = (TypeError, ValueError, OverflowError, MemoryError)

Target = Callable[[bytes], None]


# ---- arguments of the functions on arrays -------------------------------------------------------

FUNCTIONS = [
    getattr(ng, name)
    for name in ng.__all__
    if name.startswith("batch_norm_") and name not in ("batch_norm_statistics",)
]
VECTORS = ("gamma", "beta", "mean", "variance")


@functools.cache
def names_of_parameters(index: int) -> tuple[str, ...]:
    """Those of a function, in order."""
    return tuple(inspect.signature(FUNCTIONS[index]).parameters)


def array_arguments(data: bytes) -> None:
    """Arrays of any shape, strides and type, `out=` that overlaps, options of any kind."""
    choices = Choices(data)
    index = choices.integer(0, len(FUNCTIONS) - 1)
    shape = values.shape(choices)
    axis = choices.integer(0, max(len(shape) - 1, 0))
    dtype = choices.one_of(values.REAL)
    channels = shape[axis : axis + 1]
    arguments = {
        name: argument(choices, name, shape, channels, dtype)
        for name in names_of_parameters(index)
        if is_there(choices, name)
    }
    arguments["channel_axis"] = axis if not choices.chance(8) else values.anything(choices)
    if "out" in arguments and choices.chance(64):
        arguments["out"] = overlapping(choices, arguments)
    try:
        result = FUNCTIONS[index](**arguments)
    except ERRORS:
        return
    first = result[0] if isinstance(result, tuple) else result
    if isinstance(first, np.ndarray) and first.shape not in (
        np.shape(arguments["input"]),
        channels,
    ):
        raise AssertionError(f"{FUNCTIONS[index].__name__}: a result of shape {first.shape}")


def is_there(choices: Choices, name: str) -> bool:
    """Options are seldom given, arrays nearly always."""
    is_array = name in (*VECTORS, "input", "residual", "mask") or name.endswith("_delta")
    return not choices.chance(6) if is_array else choices.chance(24)


def argument(
    choices: Choices, name: str, shape: tuple[int, ...], channels: tuple[int, ...], dtype: str
) -> Any:
    """A value for the parameter of this name, mostly one that it may have."""
    if choices.chance(6):
        return values.anything(choices)
    if name in VECTORS:
        is_left_out = name in ("gamma", "beta") and choices.chance(24)
        return None if is_left_out else values.array(choices, channels, dtype)
    if name == "where":
        return values.array(choices, shape[:1] + shape[2:], "?")
    if name == "lengths":
        return values.array(choices, shape[:1], "i8")
    if name == "mask":
        return values.array(choices, shape, "u1")
    if name == "epsilon":
        return values.number(choices)
    if name == "implementation":
        return choices.one_of(("reference", *ng.implementations(), "none"))
    if name == "num_threads":
        return choices.one_of((1, 2, 3, 0, -1, 2**70))
    if name == "outputs":
        return choices.one_of((("mean",), "all", (), ("normalized", "mean"), ("mask",), 3))
    if name == "out":
        return tuple(
            values.array(choices, choices.one_of((shape, channels)), dtype)
            for _ in range(choices.integer(0, 4))
        )
    if name in ("statistics", "sums", "statistics_type", "upper_bound"):
        return values.anything(choices)
    return values.array(choices, shape, dtype)


def overlapping(choices: Choices, arguments: dict[str, Any]) -> Any:
    """Outputs that lie in the memory of inputs, or in each other's."""
    arrays = [value for value in arguments.values() if isinstance(value, np.ndarray)]
    if not arrays:
        return ()
    chosen = [choices.one_of(arrays) for _ in range(choices.integer(1, 3))]
    return tuple(each[::-1] if each.ndim and choices.chance(64) else each for each in chosen)


# ---- DLPack -------------------------------------------------------------------------------------


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_NAMES = (b"dltensor", b"used_dltensor", b"dltensor_versioned", b"other")


class Exporter:
    """An object with `__dlpack__`, whose tensor lies in memory that there is."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        released: list[None] = []
        self.released = released
        self.memory = (ctypes.c_double * values.MOST_ELEMENTS)()
        shape = values.shape(choices)
        self.shape = (ctypes.c_int64 * 70)(*shape)
        self.strides = (ctypes.c_int64 * 70)(*contiguous_strides(shape))
        if choices.chance(32) and shape:
            self.shape[0] = choices.one_of((-1, 0, -(2**40)))
        # Not a method of this object, which then went only when garbage is collected.
        self.deleter = _Deleter(lambda _: released.append(None))
        bits = choices.one_of((32, 64, 16, 8, 1, 33, 255))
        device = 1 if not choices.chance(16) else choices.one_of((2, 0, -1, 10))
        has_strides = not choices.chance(64)
        self.managed = _Managed(
            _Tensor(
                0 if choices.chance(8) else ctypes.addressof(self.memory),
                device,
                0,
                len(shape) if not choices.chance(8) else choices.one_of((-1, 2**31 - 1)),
                _DataType(
                    choices.one_of((2, 4, 0, 1, 6, 200)), bits, choices.one_of((1, 1, 1, 2, 0))
                ),
                self.shape,
                self.strides if has_strides else None,
                0,
            ),
            None,
            self.deleter,
        )
        self.has_capsule = False

    def __dlpack_device__(self) -> Any:
        kind = self.choices.integer(0, 30)
        odd: tuple[Any, ...] = (None, (1,), ("cpu", 0), (2, 0), 1)
        return odd[kind] if kind < len(odd) else (1, 0)

    def __dlpack__(self, **_: Any) -> Any:
        kind = self.choices.integer(0, 30)
        if kind == 0:
            raise self.choices.one_of((ValueError, KeyError, ZeroDivisionError, BufferError))("no")
        if kind < 4:
            return (None, 3, "capsule")[kind - 1]
        name = self.choices.one_of(_NAMES) if self.choices.chance(32) else _NAMES[0]
        self.has_capsule = name == _NAMES[0]
        return _new_capsule(ctypes.addressof(self.managed), name, None)


def contiguous_strides(shape: tuple[int, ...]) -> list[int]:
    """In elements."""
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return strides[::-1]


def dlpack_capsules(data: bytes) -> None:
    """Objects with `__dlpack__`: the owner of a tensor is told once, and only once, if at all."""
    exporter = Exporter(Choices(data))
    try:
        ng.batch_norm_training(exporter, None, None)
    except (*ERRORS, KeyError, ZeroDivisionError, BufferError):
        pass
    calls = len(exporter.released)
    if calls > 1 or (calls and not exporter.has_capsule):
        raise AssertionError(f"the deleter has been called {calls} times")


# ---- shapes and ops -----------------------------------------------------------------------------


def shapes(data: bytes) -> None:
    """Dimensions and shapes of anything, and what they do with each other."""
    choices = Choices(data)
    try:
        dimensions = [ng.Dimension(length(choices)) for _ in range(choices.integer(1, 3))]
        shape = ng.PartialShape([length(choices) for _ in range(choices.integer(0, 5))])
        other = ng.PartialShape(values.anything(choices) if choices.chance(96) else None)
    except ERRORS:
        return
    for method in ("merge", "compatible", "relaxes", "refines", "broadcast"):
        for left, right in ((dimensions[0], dimensions[-1]), (shape, other)):
            call = getattr(left, method, None)
            if call is None:
                continue
            try:
                call(right)
            except ERRORS:
                continue
    if ng.PartialShape(list(shape)) != shape:
        raise AssertionError(f"{shape} is not the shape of its dimensions")
    str(shape), repr(shape), hash(shape), str(other)


def length(choices: Choices) -> Any:
    """A dimension, or what is none."""
    kind = choices.integer(0, 5)
    if kind < 3:
        return (None, choices.integer(0, 9), (choices.integer(0, 4), choices.integer(0, 9)))[kind]
    if kind == 3:
        return choices.one_of(values.NUMBERS)
    return (choices.integer(0, 9), None) if kind == 4 else values.anything(choices)


OPS = [
    getattr(ng.op, name)
    for name in sorted(vars(ng.op))
    if isinstance(getattr(ng.op, name), type) and hasattr(getattr(ng.op, name), "input_names")
]


def op_construction(data: bytes) -> None:
    """Ops on parameters of any type and shape, with attributes of any kind; their gradients."""
    choices = Choices(data)
    op_class = choices.one_of(OPS)
    rank = choices.integer(0, 5)
    lengths = [
        length(choices) if choices.chance(32) else choices.integer(1, 4) for _ in range(rank)
    ]
    element_type = choices.one_of(values.ELEMENT_TYPES)
    try:
        inputs = [input_of(choices, name, element_type, lengths) for name in op_class.input_names]
        attributes = {
            name: values.anything(choices) if choices.chance(64) else plain_attribute(choices, name)
            for name in op_class.attribute_kinds
            if choices.chance(128) or name not in ("epsilon", "channel_axis")
        }
        node = op_class(*inputs, **attributes)
    except ERRORS:
        return
    function = ng.Function(
        node.outputs, [value for value in inputs if isinstance(value, ng.Parameter)]
    )
    str(function), repr(node), node.attributes
    for transform in (ng.decompose, ng.gradients, ng.fuse_relu, ng.compile):
        try:
            transform(function)  # type: ignore[operator]
        except ERRORS:
            continue


def input_of(choices: Choices, name: str, element_type: str, lengths: list[Any]) -> Any:
    """An input of this name, mostly one that fits."""
    if choices.chance(8):
        return values.anything(choices)
    if choices.chance(16):
        element_type = choices.one_of(values.ELEMENT_TYPES)
    if name in VECTORS or name in ("gmul_delta", "beta_delta"):
        lengths = lengths[1:2]
    return ng.Parameter(element_type, lengths)


def plain_attribute(choices: Choices, name: str) -> Any:
    """A value that the attribute of this name may have."""
    if name == "epsilon":
        return 1e-5
    if name == "channel_axis":
        return choices.integer(-3, 3)
    if name.endswith("type"):
        return choices.one_of(values.ELEMENT_TYPES)
    return [choices.integer(-2, 3) for _ in range(choices.integer(0, 3))]


# ---- the reader of JSON -------------------------------------------------------------------------


@functools.cache
def texts() -> list[bytes]:
    """Texts of functions, which are changed."""
    x, y = ng.Parameter("f32", [None, 3, (1, 9)], "x"), ng.Parameter("bf16", None)
    vectors = [ng.Parameter("f32", [3], name) for name in ("gamma", "beta")]
    norm = ng.op.BatchNormTrainingRelu(x, *vectors, upper_bound=6.0)
    constant = ng.Constant(np.array([[1.0, np.nan], [-0.0, np.inf]]), "f64", "c")
    functions = [
        ng.Function(norm.outputs, [x, *vectors], "layer"),
        ng.Function([ng.op.Sum(ng.op.Convert(y, "f64"), [0])], [y]),
        ng.Function([ng.op.Multiply(constant, constant)], []),
        ng.gradients(ng.Function([norm.output(0)], [x, *vectors])),
    ]
    return [ng.formats.json.dumps(function).encode() for function in functions]


def json_texts(data: bytes) -> None:
    """Texts that nobody has written, and changed ones: refused, or read as what they say."""
    choices = Choices(data)
    text = data if choices.chance(32) else changed(choices, choices.one_of(texts()))
    try:
        function = ng.formats.json.loads(text.decode("utf-8", errors="replace"))
    except ERRORS:
        return
    again = ng.formats.json.dumps(function)
    if ng.formats.json.dumps(ng.formats.json.loads(again)) != again:
        raise AssertionError("what is written is read as something else")


def changed(choices: Choices, text: bytes) -> bytes:
    """With a few bytes, numbers or parts put in, taken out or said twice."""
    for _ in range(choices.integer(1, 4)):
        begin = choices.integer(0, len(text))
        end = min(len(text), begin + choices.integer(0, 40))
        part = (
            choices.bytes(choices.integer(0, 6)),
            json.dumps(choices.one_of(values.NUMBERS)).encode(),
            text[begin:end] * choices.integer(0, 3),
            choices.one_of((b"null", b"[]", b"{}", b'"', b"\\ud800", b"-1", b"NaN", b'"f32"')),
        )[choices.integer(0, 3)]
        text = text[:begin] + part + text[end:]
    return text


# ---- executables --------------------------------------------------------------------------------

UNARY = (ng.op.Relu, ng.op.Negate, ng.op.SquareRoot)
BINARY = (ng.op.Add, ng.op.Multiply, ng.op.Subtract, ng.op.Divide)


def executables(data: bytes) -> None:
    """Random graphs, called with arrays of any kind: both backends do the same."""
    choices = Choices(data)
    element_type, dtype = choices.one_of((("f32", "f4"), ("f64", "f8"), ("f16", "f2")))
    shape = (choices.integer(1, 4), choices.integer(1, 3), choices.integer(1, 5))
    declared: Any = shape if choices.chance(128) else [None] * 3
    x, y = (ng.Parameter(element_type, declared) for _ in range(2))
    vectors = [ng.Parameter(element_type, [None]) for _ in range(2)]
    pool: list[Any] = [x, y]
    for _ in range(choices.integer(1, 8)):
        pool.append(random_node(choices, pool, vectors))
    function = ng.Function(pool[-choices.integer(1, 3) :], [x, y, *vectors])
    wanted = (shape, shape, shape[1:2], shape[1:2])
    arrays = [values.array(choices, each, dtype) for each in wanted]
    if choices.chance(16):
        arrays.pop()
    found = [outcome(ng.compile(function, backend), arrays) for backend in ("cpu", "reference")]
    if found[0] != found[1]:
        raise AssertionError(f"backends differ: {found[0]!r} and {found[1]!r}")


def random_node(choices: Choices, pool: list[Any], vectors: list[Any]) -> Any:
    """A node that reads what there is."""
    kind = choices.integer(0, 3)
    if kind == 0:
        return choices.one_of(UNARY)(choices.one_of(pool))
    if kind == 1:
        return choices.one_of(BINARY)(choices.one_of(pool), choices.one_of(pool))
    op_class = choices.one_of((ng.op.BatchNormTraining, ng.op.BatchNormTrainingRelu))
    return op_class(choices.one_of(pool), *vectors).output(0)


def outcome(executable: Any, arrays: list[Any]) -> Any:
    """The bits of the results, in which one NaN is like another, or the type of the error."""
    try:
        results = executable(*arrays)
    except ERRORS as error:
        return type(error)
    return [bits(result) for result in results]


TARGETS: dict[str, Target] = {
    "array_arguments": array_arguments,
    "dlpack_capsules": dlpack_capsules,
    "executables": executables,
    "json_texts": json_texts,
    "op_construction": op_construction,
    "shapes": shapes,
}
