"""DLPack tensors that numpy never lends, made by hand: what they say of themselves is believed."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .real_types import Array
from .samples import Sample

SAMPLE = Sample((4, 3, 5), seed=90)
NAME = b"dltensor"
VERSIONED_NAME = b"dltensor_versioned"
CPU = 1
FLOATING_POINT = 2
READ_ONLY = 1
DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("type", DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER))


class ManagedVersioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


class Lender:
    """Lends the memory of a C-contiguous array as a tensor that says of itself what it is told."""

    def __init__(
        self,
        values: Array,
        *,
        major: int | None = 1,
        flags: int = 0,
        byte_offset: int = 0,
        shape: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None,
        code_bits_lanes: tuple[int, int, int] | None = None,
        device_type: int = CPU,
        has_data: bool = True,
        has_shape: bool = True,
    ) -> None:
        self._values = values
        self.times_given_back = 0
        shape = values.shape if shape is None else shape
        tensor = Tensor(
            # Their sum is the address, also of offsets that wrap.
            data=(values.ctypes.data - byte_offset) % 2**64 if has_data else None,
            device_type=device_type,
            rank=len(shape),
            type=DataType(*(code_bits_lanes or (FLOATING_POINT, 8 * values.itemsize, 1))),
            shape=(ctypes.c_int64 * len(shape))(*shape) if has_shape else None,
            strides=None if strides is None else (ctypes.c_int64 * len(strides))(*strides),
            byte_offset=byte_offset,
        )
        deleter = DELETER(self._count)
        self._managed = (
            Managed(tensor=tensor, deleter=deleter)
            if major is None
            else ManagedVersioned(major=major, flags=flags, tensor=tensor, deleter=deleter)
        )
        self._name = NAME if major is None else VERSIONED_NAME

    def _count(self, managed: int) -> None:
        self.times_given_back += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, **options: object) -> object:
        return new_capsule(ctypes.addressof(self._managed), self._name, None)


def assert_trained(lender: Any, values: Array, what: str) -> None:
    result = ng.batch_norm_training(lender, None, None)
    expected = ng.batch_norm_training(values, None, None)
    for name in result._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{what}: {name}")


EVERY_FORM = pytest.mark.parametrize("major", [None, 1], ids=["unversioned", "version 1"])


@EVERY_FORM
def test_a_tensor_without_strides_is_dense(major: int | None) -> None:
    values = SAMPLE.training().input
    assert_trained(Lender(values, major=major), values, "no strides")


@EVERY_FORM
def test_strides_count_elements(major: int | None) -> None:
    values = SAMPLE.training().input
    transposed = Lender(values, major=major, shape=(5, 3, 4), strides=(1, 5, 15))
    assert_trained(transposed, values.T, "strides")


@EVERY_FORM
def test_the_first_element_may_lie_behind_the_address(major: int | None) -> None:
    values = SAMPLE.training().input
    assert_trained(Lender(values, major=major, byte_offset=256), values, "offset")


@EVERY_FORM
def test_memory_is_given_back_once(major: int | None) -> None:
    values = SAMPLE.training().input
    lender = Lender(values, major=major)
    ng.batch_norm_training(lender, None, None)
    assert lender.times_given_back == 1
    with pytest.raises(ng.NodeValidationFailure):
        ng.batch_norm_training(lender, np.ones(4, np.float32), None)
    assert lender.times_given_back == 2


def test_read_only_memory_is_read_and_not_written() -> None:
    values = SAMPLE.training().input.copy()
    before = values.copy()
    assert_trained(Lender(values, flags=READ_ONLY), values, "read-only input")
    with pytest.raises(ValueError, match=r"^out\[0\] \(normalized\): .* read-only"):
        ng.batch_norm_training(before, None, None, out=Lender(values, flags=READ_ONLY))
    assert np.array_equal(values, before)
    ng.batch_norm_training(before, None, None, out=Lender(values))
    assert not np.array_equal(values, before)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^input: expected DLPack version 1, got version 2$"):
        ng.batch_norm_training(Lender(SAMPLE.training().input, major=2), None, None)


@pytest.mark.parametrize(
    ("code", "bits", "lanes"),
    [
        pytest.param(FLOATING_POINT, 32, 2, id="two lanes"),
        pytest.param(FLOATING_POINT, 36, 1, id="36 bits"),
        pytest.param(FLOATING_POINT, 8, 1, id="8 bits"),
        pytest.param(5, 64, 1, id="complex"),
        pytest.param(3, 64, 1, id="opaque handle"),
        pytest.param(17, 32, 1, id="unknown code"),
    ],
)
def test_a_type_without_a_name_is_a_type_error(code: int, bits: int, lanes: int) -> None:
    lender = Lender(SAMPLE.training().input, code_bits_lanes=(code, bits, lanes))
    with pytest.raises(TypeError, match=rf"^input: .* DLPack type code {code} of {bits} bits$"):
        ng.batch_norm_training(lender, None, None)
    assert lender.times_given_back == 1


@pytest.mark.parametrize("rank", [65, 1000])
def test_a_rank_beyond_the_limit_is_refused(rank: int) -> None:
    lender = Lender(SAMPLE.training().input, shape=(4, 3, 5) + (1,) * (rank - 3))
    with pytest.raises(ValueError, match=rf"^input: expected .* rank 0 to 64, got rank {rank}$"):
        ng.batch_norm_training(lender, None, None)


@pytest.mark.parametrize(
    ("code", "bits", "name"),
    [(0, 8, "i8"), (0, 64, "i64"), (1, 16, "u16"), (1, 32, "u32"), (6, 8, "boolean")],
)
def test_integers_are_told_from_reals(code: int, bits: int, name: str) -> None:
    lender = Lender(np.zeros((4, 3, 5)), code_bits_lanes=(code, bits, 1))
    with pytest.raises(ng.NodeValidationFailure, match=rf"element type of input: .* got {name}$"):
        ng.batch_norm_training(lender, None, None)


#: Changes of a (4, 3, 5) tensor of f32 that no memory stands behind, and what the error says.
UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no data": ({"has_data": False}, "expected a DLPack tensor with memory, got a null pointer"),
    "no shape": ({"has_shape": False}, "expected a DLPack tensor with a shape, got a null pointer"),
    "negative length": (
        {"shape": (4, -3, 5)},
        "expected lengths >= 0 from DLPack, got -3 for axis 1",
    ),
    "wrapping stride": ({"strides": (2**62 + 15, 5, 1)}, "within 2^63 bytes"),
    "wrapping negative stride": ({"strides": (-(2**63), 5, 1)}, "within 2^63 bytes"),
    "wrapping reach": ({"strides": (2**60, 2**60, 1)}, "within 2^63 bytes"),
    "wrapping size": ({"shape": (2**32, 3, 2**32)}, "within 2^63 bytes"),
    "other device": (
        {"device_type": 2},
        "expected an array in CPU memory, got DLPack device type 2",
    ),
    "byte offset": ({"byte_offset": 2**64 - 4}, "expected a byte offset below 2^63"),
}


def unusable(what: str, major: int | None) -> tuple[Lender, str]:
    changes, message = UNUSABLE[what]
    return Lender(SAMPLE.training().input, major=major, **changes), message


@EVERY_FORM
@pytest.mark.parametrize("what", UNUSABLE)
def test_what_no_memory_stands_behind_is_refused(what: str, major: int | None) -> None:
    lender, message = unusable(what, major)
    with pytest.raises(ValueError, match=r"^input: ") as raised:
        ng.batch_norm_training(lender, None, None)
    assert message in str(raised.value)
    assert lender.times_given_back == 1


@EVERY_FORM
@pytest.mark.parametrize("what", UNUSABLE)
def test_an_executable_refuses_it_too(what: str, major: int | None) -> None:
    lender, message = unusable(what, major)
    x = ng.Parameter("f32", None, name="x")
    executable = ng.compile(ng.Function([ng.op.Negate(x)], [x]))
    with pytest.raises(ValueError, match=r"^x: ") as raised:
        executable(lender)
    assert message in str(raised.value)
    assert lender.times_given_back == 1


@EVERY_FORM
def test_an_empty_tensor_needs_no_memory(major: int | None) -> None:
    empty = Lender(
        np.empty((0, 3, 5), np.float32), major=major, has_data=False, strides=(2**62,) * 3
    )
    x = ng.Parameter("f32", None, name="x")
    (result,) = ng.compile(ng.Function([ng.op.Negate(x)], [x]))(empty)
    assert result.shape == (0, 3, 5)
    with pytest.raises(ValueError, match="expected at least one element per channel"):
        ng.batch_norm_training(empty, None, None)


@EVERY_FORM
def test_the_stride_of_an_axis_with_one_element_does_not_count(major: int | None) -> None:
    values = SAMPLE.training().input
    lender = Lender(values, major=major, shape=(4, 1, 3, 5), strides=(15, 2**62, 5, 1))
    result = ng.batch_norm_training(lender, None, None, channel_axis=2)
    expected = ng.batch_norm_training(values, None, None)
    assert_same_bits(result.mean, expected.mean, "a stride that does not count")
