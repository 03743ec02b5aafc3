"""Element types: names, properties, and what they are made from."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng

SIZES = {
    "dynamic": 0,
    "boolean": 1,
    "f16": 2,
    "bf16": 2,
    "f32": 4,
    "f64": 8,
    "i8": 1,
    "i16": 2,
    "i32": 4,
    "i64": 8,
    "u8": 1,
    "u16": 2,
    "u32": 4,
    "u64": 8,
}
DTYPES: dict[str, Any] = {
    "boolean": np.bool_,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "f32": np.float32,
    "f64": np.float64,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
}


@pytest.mark.parametrize("name", SIZES)
def test_properties(name: str) -> None:
    element_type = getattr(ng.element, name)
    assert element_type.name == str(element_type) == f"{element_type}" == name
    assert repr(element_type) == f"element.{name}"
    assert element_type.size == SIZES[name]
    assert element_type.is_real == (name in ("f16", "bf16", "f32", "f64"))
    assert element_type.is_dynamic == (name == "dynamic")
    assert element_type.is_static == (name != "dynamic")


@pytest.mark.parametrize("name", SIZES)
def test_equal_copies(name: str) -> None:
    element_type = getattr(ng.element, name)
    for twin in (
        ng.element.Type(name),
        ng.element.Type(element_type),
        copy.copy(element_type),
        copy.deepcopy(element_type),
        pickle.loads(pickle.dumps(element_type)),
    ):
        assert twin == element_type
        assert hash(twin) == hash(element_type)
    assert [other for other in SIZES if ng.element.Type(other) == element_type] == [name]


def test_a_type_is_not_its_name() -> None:
    assert ng.element.f32 != "f32"
    assert ng.element.f32 is not None


@pytest.mark.parametrize("name", DTYPES)
def test_numpy_dtypes_both_ways(name: str) -> None:
    expected = ng.element.Type(name)
    assert ng.element.Type(DTYPES[name]) == expected
    assert ng.element.Type(np.dtype(DTYPES[name])) == expected
    assert expected.dtype == np.dtype(DTYPES[name])


def test_dtypes_of_the_same_width_under_another_name() -> None:
    assert ng.element.Type(np.longlong) == ng.element.i64
    assert ng.element.Type(np.dtype("=f4")) == ng.element.f32


@pytest.mark.parametrize("name", ["", "F32", "float", "f32 ", "f8", "i4", "half"])
def test_unknown_names_are_refused_with_the_list_of_names(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^element type: .* bf16, f32, f64, .* got '{name}'$"):
        ng.element.Type(name)


@pytest.mark.parametrize(
    "value",
    [float, int, bool, complex, None, 4, 1.0, [], object()],
    ids=lambda value: type(value).__name__,
)
def test_what_says_no_width_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^element_type: expected an element type"):
        ng.Parameter(value, [2])


@pytest.mark.parametrize(
    "dtype", ["c8", "O", "U3", "S2", "M8[s]", "V2", "longdouble", ml_dtypes.float8_e5m2]
)
def test_dtypes_without_an_element_type_are_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"^element type: expected a dtype that"):
        ng.element.Type(np.dtype(dtype))


def test_foreign_byte_order_is_refused() -> None:
    foreign = np.dtype("f4").newbyteorder(">" if sys.byteorder == "little" else "<")
    with pytest.raises(
        ValueError, match=r"^element type: .* native byte order, got dtype\('.f4'\)"
    ):
        ng.element.Type(foreign)


def test_dynamic_has_no_dtype() -> None:
    with pytest.raises(ValueError, match="dynamic"):
        _ = ng.element.dynamic.dtype


def test_bf16_without_ml_dtypes_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="pip install ml_dtypes"):
        _ = ng.element.bf16.dtype
    assert ng.Parameter("bf16", [2]).output(0).element_type == ng.element.bf16
