"""What the compiled part gives normgraph.jax, without JAX."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import _core

SHAPES = [((5, 3), 1), ((3000, 3), 1), ((70, 3, 9, 9), 1), ((33, 5, 6, 4), 3), ((4, 300), 0)]
SHAPES += [((0, 3, 4), 1), ((1, 2, 5000), 1)]


def test_every_op_of_the_family_is_a_target() -> None:
    targets, signatures = _core.jax_targets(), _core.jax_signatures()
    assert set(signatures) < set(targets)
    assert {name for name in ng.op.__all__ if name.startswith("BatchNorm")} - {
        "BatchNormNode"
    } == set(signatures)
    for name, (inputs, outputs) in signatures.items():
        op = getattr(ng.op, name)
        assert (inputs, outputs) == (tuple(op.input_names), tuple(op.output_names))


@pytest.mark.parametrize("element_type", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_the_nodes_of_a_shard_have_as_many_bytes_as_is_said(
    shape: tuple[int, ...], axis: int, element_type: str
) -> None:
    x = np.random.default_rng(0).normal(0, 1, shape).astype(element_type)
    part = ng.batch_norm_statistics(x, axis)
    described = (element_type, shape)
    assert _core.jax_nodes_size(False, described, axis) == len(bytes(part))
    vector = np.ones(shape[axis], element_type)
    sums = ng.batch_norm_backprop_sums(x, vector, vector, x, axis)
    assert _core.jax_nodes_size(True, described, axis) == len(bytes(sums))


def test_results_have_the_types_and_shapes_of_the_functions_on_arrays() -> None:
    x, vector = np.ones((6, 5, 4), np.float16), np.ones(5, np.float32)
    described: list[Any] = [(array.dtype, array.shape) for array in (x, vector, vector)]
    results = _core.jax_results("BatchNormTrainingRelu", tuple(described), 1e-5, 1, 6.0)
    expected = ng.batch_norm_training_relu(x, vector, vector)
    for index, (dtype, shape) in enumerate(results):
        if index in (1, 2):  # statistics: the bits of doubles
            assert (dtype, shape) == ("uint32", (5, 2))
        else:
            assert (dtype, shape) == (expected[index].dtype.name, expected[index].shape)


def test_results_are_refused_as_the_functions_on_arrays_refuse() -> None:
    inputs = (("float32", (6, 5)), ("float32", (4,)), None)
    with pytest.raises(ng.NodeValidationFailure, match="C9"):
        _core.jax_results("BatchNormTraining", inputs, 1e-5, 1, None)
    with pytest.raises(ValueError, match="at least one element per channel"):
        _core.jax_results("BatchNormTraining", (("float32", (0, 5)), None, None), 1e-5, 1, None)
    with pytest.raises(ValueError, match="op_class: expected that of an op of the family, got X"):
        _core.jax_results("X", (), 1e-5, 1, None)


# ---- XLA's part of a call, in the layout of its FFI ---------------------------------------------


class Version(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extensions", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
    )


class Metadata(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("version", Version),
        ("traits", ctypes.c_uint32),
        ("state_type", ctypes.c_int64),
    )


class MetadataExtension(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("metadata", ctypes.POINTER(Metadata)),
    )


class ErrorArguments(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extensions", ctypes.c_void_p),
        ("message", ctypes.c_char_p),
        ("code", ctypes.c_int),
    )


CreateError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(ErrorArguments))


class Api(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extensions", ctypes.c_void_p),
        ("version", Version),
        ("internal", ctypes.c_void_p),
        ("create_error", CreateError),
    )


class Frame(ctypes.Structure):
    """A call frame of XLA, of which the operands are left empty."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extensions", ctypes.c_void_p),
        ("api", ctypes.POINTER(Api)),
        ("context", ctypes.c_void_p),
        ("stage", ctypes.c_int),
        ("arguments", ctypes.c_size_t * 5),
        ("results", ctypes.c_size_t * 5),
        ("attributes", ctypes.c_size_t * 6),
        ("future", ctypes.c_void_p),
    )


def handler(name: str) -> Any:
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    capsule = _core.jax_targets()[name]
    prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Frame))
    return prototype(address(capsule, b"xla._CUSTOM_CALL_TARGET"))


@pytest.mark.parametrize("name", sorted(_core.jax_targets()))
def test_a_handler_says_which_version_of_the_interface_it_speaks(name: str) -> None:
    metadata = Metadata(struct_size=ctypes.sizeof(Metadata), traits=7, state_type=42)
    question = MetadataExtension(
        ctypes.sizeof(MetadataExtension), 1, None, ctypes.pointer(metadata)
    )
    frame = Frame(struct_size=ctypes.sizeof(Frame), extensions=ctypes.addressof(question))
    assert handler(name)(ctypes.byref(frame)) is None
    assert (metadata.version.major, metadata.version.minor) == (0, 1)
    assert (metadata.traits, metadata.state_type) == (0, 42)  # the latter is not declared


@pytest.mark.parametrize("name", sorted(_core.jax_targets()))
@pytest.mark.parametrize(
    ("major", "sizes", "message"),
    [
        (0, (64, 40, 40, 48), "expected a call frame of at least"),
        (0, (None, 8, 40, 48), "expected arguments of at least 40 bytes, got one of 8"),
        (0, (None, 40, 8, 48), "expected results of at least 40 bytes, got one of 8"),
        (0, (None, 40, 40, 8), "expected attributes of at least 48 bytes, got one of 8"),
        (1, (None, 40, 40, 48), "expected major version 0, got 1"),
        (0, (None, 40, 40, 48), "expected"),
    ],
)
def test_a_frame_of_another_layout_is_refused(
    name: str, major: int, sizes: tuple[int | None, int, int, int], message: str
) -> None:
    messages: list[str] = []

    def create_error(arguments: Any) -> int:
        messages.append(arguments.contents.message.decode())
        return 1234

    version = Version(ctypes.sizeof(Version), None, major, 3)
    api = Api(ctypes.sizeof(Api), None, version, None, CreateError(create_error))
    size, arguments, results, attributes = sizes
    frame = Frame(struct_size=size or ctypes.sizeof(Frame), api=ctypes.pointer(api), stage=3)
    frame.arguments[0], frame.results[0], frame.attributes[0] = arguments, results, attributes
    assert handler(name)(ctypes.byref(frame)) == 1234
    assert len(messages) == 1
    assert message in messages[0]
