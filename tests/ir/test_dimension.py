"""Dimensions: intervals, their merge, their text, and what they are made from."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import normgraph as ng

LONGEST = 2**63 - 2  # 2^63 - 1 stands for "no upper bound"

PLAIN = {
    "?": None,
    "0": 0,
    "64": 64,
    str(LONGEST): LONGEST,
    "1..8": (1, 8),
    f"0..{LONGEST}": (0, LONGEST),
    "2..": (2, None),
}

lengths = st.integers(0, 9)
intervals = st.tuples(lengths, st.none() | lengths).filter(
    lambda pair: pair[1] is None or pair[0] <= pair[1]
)
dimensions = st.builds(ng.Dimension, st.none() | lengths | intervals)


def merge(left: ng.Dimension, right: ng.Dimension) -> ng.Dimension | None:
    if not left.compatible(right):
        with pytest.raises(ValueError, match=r"^nothing is described by both"):
            left.merge(right)
        return None
    return left.merge(right)


def members(dimension: ng.Dimension) -> set[int]:
    """The lengths up to 20 that it describes; every bound above is at most 9."""
    high = 20 if dimension.max_length is None else dimension.max_length
    return set(range(dimension.min_length, high + 1))


@pytest.mark.parametrize("text", PLAIN)
def test_text_and_plain_value(text: str) -> None:
    plain = PLAIN[text]
    dimension = ng.Dimension(plain)
    assert str(dimension) == f"{dimension}" == text
    assert dimension.to_python() == plain
    assert repr(dimension) == f"Dimension({plain!r})"
    for twin in (
        ng.Dimension(dimension),
        ng.Dimension(dimension.to_python()),
        copy.deepcopy(dimension),
        pickle.loads(pickle.dumps(dimension)),
    ):
        assert twin == dimension
        assert hash(twin) == hash(dimension)
    assert dimension == plain
    assert hash(dimension) == hash(plain)


def test_intervals_that_are_another_form() -> None:
    assert ng.Dimension((4, 4)) == ng.Dimension(4)
    assert ng.Dimension((0, None)) == ng.Dimension() == ng.Dimension(None)
    pair: Any = [1, 8]
    assert ng.Dimension(pair) == ng.Dimension((1, 8))


def test_bounds() -> None:
    interval = ng.Dimension((1, 8))
    assert (interval.min_length, interval.max_length) == (1, 8)
    assert ng.Dimension((2, None)).max_length is None
    assert interval.is_dynamic
    assert not interval.is_static
    assert ng.Dimension(3).is_static
    assert ng.Dimension(3).length == 3


def test_a_static_dimension_is_an_index() -> None:
    assert operator.index(ng.Dimension(3)) == 3
    assert np.zeros(list(ng.PartialShape([2, 3]))).shape == (2, 3)
    for dynamic in (ng.Dimension(None), ng.Dimension((1, 8))):
        with pytest.raises(ValueError, match="is dynamic and has no one length"):
            operator.index(dynamic)
        with pytest.raises(ValueError, match="is dynamic and has no one length"):
            _ = dynamic.length


def test_unequal() -> None:
    assert ng.Dimension(3) != ng.Dimension(4)
    assert ng.Dimension(3) != 4
    assert ng.Dimension(3) != "3"
    assert ng.Dimension(None) != ng.Dimension((1, None))
    assert len({ng.Dimension(3), 3, ng.Dimension((3, 3))}) == 1


@pytest.mark.parametrize("value", [True, 1.0, "1", b"1", {1}, object(), np.float32(1), ng.element])
def test_what_is_no_length_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^dimension: expected a length, None, \(low, high\)"):
        ng.Dimension(value)
    with pytest.raises(TypeError, match=r"^dimension: expected a length"):
        ng.Dimension((1, value))
    with pytest.raises(TypeError, match=r"^shape\[1\]: expected a length"):
        ng.PartialShape([1, value])


@pytest.mark.parametrize("value", [-1, -(2**63), 2**63 - 1, 2**63, -(2**64), 10**30])
def test_lengths_out_of_range(value: int) -> None:
    for dimension in (value, (value, None)):
        with pytest.raises(ValueError, match=rf"^dimension: .* from 0 to {LONGEST}, got {value}"):
            ng.Dimension(dimension)


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), ()])
def test_an_interval_has_two_bounds(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^dimension: expected an interval \(low, high\), got \("):
        ng.Dimension(value)


def test_an_interval_is_not_empty() -> None:
    with pytest.raises(ValueError, match=r"^dimension: .* low <= high, got low 5, high 2$"):
        ng.Dimension((5, 2))


def test_integers_of_any_kind() -> None:
    assert ng.Dimension(np.int8(3)) == ng.Dimension(np.uint64(3)) == ng.Dimension(3)


@given(dimensions, dimensions)
def test_merge_is_the_intersection(left: ng.Dimension, right: ng.Dimension) -> None:
    merged = merge(left, right)
    assert (set() if merged is None else members(merged)) == members(left) & members(right)


@given(dimensions, dimensions)
def test_merge_is_commutative(left: ng.Dimension, right: ng.Dimension) -> None:
    assert merge(left, right) == merge(right, left)


@given(dimensions, dimensions, dimensions)
def test_merge_is_associative(a: ng.Dimension, b: ng.Dimension, c: ng.Dimension) -> None:
    ab, bc = merge(a, b), merge(b, c)
    assert (ab and merge(ab, c)) == (bc and merge(a, bc))


@given(dimensions)
def test_merge_is_idempotent_and_knows_its_neutral_element(dimension: ng.Dimension) -> None:
    assert merge(dimension, dimension) == dimension
    assert merge(dimension, ng.Dimension(None)) == dimension


def test_merge_takes_plain_values() -> None:
    assert ng.Dimension((1, 8)).merge((4, None)) == (4, 8)
    assert not ng.Dimension(4).compatible(5)
    with pytest.raises(TypeError, match=r"^other: "):
        ng.Dimension(4).merge("5")  # type: ignore[arg-type]
