"""Constants: what they are made from, and that they keep every bit."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng

from .test_element_type import DTYPES

# Quiet and signalling NaN with payloads, both zeros, a denormal, infinity.
SPECIAL_F32 = np.array(
    [0x7FC12345, 0x7F812345, 0xFFC00001, 0x80000000, 0, 1, 0x7F800000], np.uint32
)
SPECIAL_BF16 = np.array([0x7FC1, 0x7F81, 0x8000, 1], np.uint16)


def same_bits(left: Any, right: Any) -> bool:
    return bool(left.dtype == right.dtype and left.tobytes() == right.tobytes())


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_keeps_its_elements(name: str) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(DTYPES[name])
    constant = ng.Constant(values, name="c")
    shown = " ".join(np.array2string(values, separator=", ").split())
    assert repr(constant) == f"Constant 'c' -> ({name}{{2,3}}) {shown}"
    assert constant.shape == (2, 3)
    assert constant.element_type == ng.element.Type(name)
    assert same_bits(constant.array(), values)
    assert constant.attributes == {
        "element_type": ng.element.Type(name),
        "shape": ng.PartialShape([2, 3]),
        "data": values.tobytes(),
    }


@pytest.mark.parametrize(
    "values",
    [SPECIAL_F32.view(np.float32), SPECIAL_BF16.view(ml_dtypes.bfloat16)],
    ids=["f32", "bf16"],
)
def test_bits_are_kept_by_every_copy(values: Any) -> None:
    constant = ng.Constant(values)
    parameterless = ng.Function([constant], [])
    for twin in (
        constant,
        copy.copy(constant),
        copy.deepcopy(constant),
        pickle.loads(pickle.dumps(constant)),
        constant.clone_with_new_inputs([]),
        copy.deepcopy(parameterless).nodes[0],
        pickle.loads(pickle.dumps(parameterless)).nodes[0],
        ng.Constant.from_bytes(**constant.attributes),
    ):
        assert isinstance(twin, ng.Constant)
        assert same_bits(twin.array(), values)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a.T,
        lambda a: a[:, 1:2],
        lambda a: a[1:1],
        lambda a: np.broadcast_to(a[0], (4, 3)),
        lambda a: a.astype(">f4"),
        lambda a: a.astype("<f4"),
        lambda a: np.array(5, np.float32),
        lambda a: np.ascontiguousarray(a).data,
    ],
)
def test_any_strides_and_byte_order(view: Any) -> None:
    values = view(np.arange(6, dtype=np.float32).reshape(2, 3))
    constant = ng.Constant(values)
    assert constant.element_type == ng.element.f32
    assert constant.shape == np.asarray(values).shape
    np.testing.assert_array_equal(constant.array(), np.asarray(values))


def test_a_constant_is_a_copy_and_its_array_is_read_only() -> None:
    values = np.zeros(3, np.float32)
    constant = ng.Constant(values)
    values[0] = 1
    array = constant.array()
    del constant
    assert array.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


@pytest.mark.parametrize(
    ("value", "name"),
    [(1.5, "f64"), (3, "i64"), (True, "boolean"), ([[1, 2]], "i64"), (np.float32(1), "f32")],
)
def test_plain_values_have_numpys_type(value: Any, name: str) -> None:
    constant = ng.Constant(value)
    assert constant.element_type == ng.element.Type(name)
    assert constant.array().tolist() == value


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (0.1, "f32", np.float32(0.1)),
        (0.1, "bf16", ml_dtypes.bfloat16(0.1)),
        (3, "f16", 3.0),
        (True, "f32", 1.0),
        (255, "u8", 255),
        (-128, "i8", -128),
        (True, "i32", 1),
        ([], "u8", []),
    ],
)
def test_an_element_type_converts(value: Any, name: str, expected: Any) -> None:
    constant = ng.Constant(np.array(value, np.int64) if value == [] else value, name)
    assert constant.element_type == ng.element.Type(name)
    assert constant.array().tolist() == expected


@pytest.mark.parametrize(
    ("value", "name"), [(256, "u8"), (-1, "u64"), (-129, "i8"), ([0, 2**63 - 1], "u32")]
)
def test_integers_fit_or_are_refused(value: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^value: expected integers that fit {name}, got -?\d+$"):
        ng.Constant(value, name)


@pytest.mark.parametrize(
    ("value", "name"), [(1.0, "i32"), (1.0, "boolean"), (1, "boolean"), (0.5, "u8")]
)
def test_a_kind_that_cannot_hold_the_values_is_refused(value: Any, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^value: expected elements that {name} can store, got"):
        ng.Constant(value, name)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1",
        b"1",
        1j,
        [1, None],
        [[1], [1, 2]],
        ["a"],
        object(),
        {1: 2},
        2**70,
        np.datetime64(1, "s"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^value: expected an array, a number or nested lists"):
        ng.Constant(value)


def test_a_masked_array_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^value: expected an array without a mask"):
        ng.Constant(np.ma.masked_array([1.0, 2.0], [True, False]))


def test_an_element_type_is_static() -> None:
    with pytest.raises(ValueError, match=r"^element_type: expected a static type, got dynamic"):
        ng.Constant(1.0, "dynamic")


@pytest.mark.parametrize(
    ("element_type", "shape", "data", "message"),
    [
        ("f32", [2], b"1234", r"expected 8 bytes for f32\{2\}, got 4"),
        ("f32", [0], b"1234", r"expected 0 bytes for f32\{0\}, got 4"),
        ("f32", [2, None], b"", r"expected a static shape, got \{2,\?\}"),
        ("f32", None, b"", r"expected a static shape, got \?"),
        ("f32", [2**40, 2**40], b"", r"expected one that memory can hold"),
        ("dynamic", [1], b"", r"expected a static type, got dynamic"),
        ("boolean", [2], b"\1\2", r"expected booleans of 0 or 1"),
    ],
)
def test_wrong_bytes(element_type: str, shape: Any, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ng.Constant.from_bytes(element_type, shape, data)


def test_bytes_of_any_buffer() -> None:
    buffers: list[Any] = [
        b"123",
        bytearray(b"123"),
        memoryview(b"1-2-3")[::2],
        memoryview(b"321")[::-1],
    ]
    for data in buffers:
        assert ng.Constant.from_bytes("u8", [3], data).attributes["data"] == b"123"
    no_buffers: list[Any] = ["123", [1, 2, 3], None, 3]
    for wrong in no_buffers:
        with pytest.raises(TypeError, match=r"^data: expected bytes or another buffer, got"):
            ng.Constant.from_bytes("u8", [3], wrong)


def test_bf16_elements_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    constant = ng.Constant.from_bytes("bf16", [1], b"\x80\x3f")
    assert constant.array().tolist() == [1.0]
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="pip install ml_dtypes"):
        constant.array()


def test_the_repr_of_many_values_is_one_line() -> None:
    constant = ng.Constant(np.arange(10000.0).reshape(100, 100), name="weights")
    assert repr(constant).startswith(
        "Constant 'weights' -> (f64{100,100}) [[0.000e+00, 1.000e+00, ...,"
    )
    assert "\n" not in repr(constant)
    assert len(repr(constant)) < 300
    assert repr(ng.Constant(0.5, name="half")) == "Constant 'half' -> (f64{}) 0.5"
