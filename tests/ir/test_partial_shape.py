"""Partial shapes: their merge, their text, and what they are made from."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import normgraph as ng

from .test_dimension import dimensions

PLAIN: dict[str, Any] = {
    "?": None,
    "{}": (),
    "{64}": (64,),
    "{?,64,1..8}": (None, 64, (1, 8)),
    "{0,2..}": (0, (2, None)),
}

shapes = st.builds(ng.PartialShape, st.none() | st.lists(dimensions, max_size=3))


def merge(left: ng.PartialShape, right: ng.PartialShape) -> ng.PartialShape | None:
    if not left.compatible(right):
        with pytest.raises(ValueError, match=r"^nothing is described by both"):
            left.merge(right)
        return None
    return left.merge(right)


@pytest.mark.parametrize("text", PLAIN)
def test_text_and_plain_value(text: str) -> None:
    plain = PLAIN[text]
    shape = ng.PartialShape(plain)
    assert str(shape) == f"{shape}" == text
    assert shape.to_python() == plain
    assert repr(shape) == f"PartialShape({plain!r})"
    for twin in (
        ng.PartialShape(shape),
        ng.PartialShape(shape.to_python()),
        copy.deepcopy(shape),
        pickle.loads(pickle.dumps(shape)),
    ):
        assert twin == shape
        assert hash(twin) == hash(shape)
    assert shape == plain
    assert hash(shape) == hash(plain)


def test_a_shape_equals_a_list_of_plain_values() -> None:
    assert ng.PartialShape([None, 64, (1, 8)]) == [None, 64, (1, 8)]
    assert ng.PartialShape([None, 64]) != [None, 32]
    assert ng.PartialShape([None, 64]) != [None, 64, 1]
    assert ng.PartialShape(None) != [None]
    assert ng.PartialShape([]) != ng.PartialShape(None)
    assert ng.PartialShape([2]) != "{2}"


def test_access() -> None:
    shape = ng.PartialShape([None, 64, (1, 8)])
    assert len(shape) == 3
    assert shape.rank == 3
    assert shape[1] == shape[-2] == 64
    assert list(shape) == [None, 64, (1, 8)]
    assert isinstance(shape[0], ng.Dimension)
    for axis in (3, -4):
        with pytest.raises(IndexError, match=rf"expected -3 to 2 .* got {axis}$"):
            shape[axis]


def test_a_dynamic_rank_has_no_axes() -> None:
    shape = ng.PartialShape(None)
    assert shape.rank == ng.Dimension(None)
    for use in (len, list, lambda value: value[0]):
        with pytest.raises(ValueError, match="rank of the shape is dynamic"):
            use(shape)


@pytest.mark.parametrize(
    ("value", "is_static"),
    [(None, False), ([], True), ([2, 3], True), ([2, None], False), ([(1, 8)], False)],
)
def test_is_static(value: Any, is_static: bool) -> None:
    shape = ng.PartialShape(value)
    assert shape.is_static == is_static
    assert shape.is_dynamic != is_static


@pytest.mark.parametrize(
    "value",
    [4, 1.0, "64", b"64", {2}, {2: 3}, object(), np.array(3), ng.Dimension(3)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_sequence_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^shape: expected a shape such as \[None, 64\], or None"):
        ng.PartialShape(value)
    with pytest.raises(TypeError, match=r"^shape: expected a shape"):
        ng.Parameter("f32", value)


def test_a_wrong_axis_is_named() -> None:
    with pytest.raises(ValueError, match=r"^shape\[2\]: .* got -7$"):
        ng.Parameter("f32", [2, None, -7])
    with pytest.raises(ValueError, match=r"^shape\[0\]: .* got low 5, high 2$"):
        ng.Parameter("f32", [(5, 2)])


def test_sequences_of_any_kind() -> None:
    expected = ng.PartialShape([3, 4])
    values: list[Any] = [(3, 4), np.array([3, 4]), range(3, 5), [ng.Dimension(3), np.int8(4)]]
    for value in [*values, expected]:
        assert ng.PartialShape(value) == expected
        assert ng.Parameter("f32", value).partial_shape == expected


@given(shapes, shapes)
def test_merge_is_commutative(left: ng.PartialShape, right: ng.PartialShape) -> None:
    assert merge(left, right) == merge(right, left)


@given(shapes, shapes, shapes)
def test_merge_is_associative(a: ng.PartialShape, b: ng.PartialShape, c: ng.PartialShape) -> None:
    ab, bc = merge(a, b), merge(b, c)
    left = None if ab is None else merge(ab, c)
    right = None if bc is None else merge(a, bc)
    assert (left is None) == (right is None)
    assert left is None or left == right


@given(shapes)
def test_merge_is_idempotent_and_knows_its_neutral_element(shape: ng.PartialShape) -> None:
    assert merge(shape, shape) == shape
    assert merge(shape, ng.PartialShape(None)) == shape


def test_merge_goes_axis_by_axis() -> None:
    assert ng.PartialShape([None, (1, 8)]).merge([2, (4, None)]) == [2, (4, 8)]
    assert not ng.PartialShape([None]).compatible([None, None])
    assert not ng.PartialShape([2, 3]).compatible([2, 4])
