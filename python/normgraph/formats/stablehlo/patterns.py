"""Ops of normgraph in StableHLO, where several operations stand for one.

The writer spells ReLUs, masks, and sums in double in this way. An operation in the midst of an op
is part of it only if nothing else reads it, unless the op could not be expressed without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .program import Length, Operation, Value

#: The direction of a comparison whose operands have been exchanged.
MIRRORED = {"LE": "GE", "GE": "LE", "LT": "GT", "GT": "LT", "EQ": "EQ", "NE": "NE"}

#: What each element of a mask is: 1 bit of its byte, which has 8.
BITS = 8


class Reduction(NamedTuple):
    """A sum or a mean of a value along some of its axes."""

    is_mean: bool
    value: Value
    axes: tuple[int, ...]


class MatrixProduct(NamedTuple):
    """A product of two matrices, with what is transposed first."""

    left: Value
    right: Value
    transpose_left: bool
    transpose_right: bool


class Threshold(NamedTuple):
    """A comparison of each element with a number."""

    value: Value
    direction: str
    number: float


class Share(NamedTuple):
    """A value divided by a number."""

    value: Value
    divisor: float


class Bound(NamedTuple):
    """A number that an operand of a minimum does not exceed."""

    operand: Value
    value: Value
    number: float


class Mask(NamedTuple):
    """The bits of a mask, and the shape whose last axis they are packed along."""

    value: Value
    rows: tuple[Length, ...]
    upper_bound: float | None


def root_of(value: Value) -> Value:
    """The value that a value is another name of, or itself."""
    return value if value.same is None else value.same


def made_by(value: Value, name: str, once: bool = False) -> Operation | None:
    """The operation of this name that makes a value, which nothing else may read if `once`."""
    value = root_of(value)
    operation = value.source
    if operation is None or operation.name != f"stablehlo.{name}" or (once and value.uses != 1):
        return None
    return operation


def without_reshapes(value: Value) -> Value:
    """The value with its elements in the same order before they got other shapes."""
    while (operation := made_by(value, "reshape")) is not None:
        value = operation.operands[0]
    return root_of(value)


def is_zero(value: Value) -> bool:
    """Whether all elements are +0."""
    return value.number is not None and value.number == 0 and not np.signbit(value.number)


def narrow_of_wide(value: Value, element: str) -> Value | None:
    """The value of this element type that is converted to f64 for nothing else; f64 is itself."""
    if element == "f64":
        return value
    operation = made_by(value, "convert", once=True)
    if operation is None or value.element != "f64":
        return None
    narrow = root_of(operation.operands[0])
    return narrow if narrow.element == element else None


# ---- sums and products -----------------------------------------------------------------------


def sum_of(operation: Operation) -> Reduction | None:
    """What a reduction adds up, if it adds and begins with 0."""
    if operation.body != "stablehlo.add" or len(operation.operands) != 2:
        return None
    value, start = operation.operands
    if not is_zero(start):
        return None
    return Reduction(False, root_of(value), operation.attributes["dimensions"])


def mean_of(operation: Operation) -> Reduction | None:
    """What a division takes the mean of: a sum by the number of its terms."""
    total, count = operation.operands
    reduced = made_by(total, "reduce", once=True)
    found = sum_of(reduced) if reduced is not None else None
    if found is None or count.number is None:
        return None
    lengths = [found.value.shape[axis] for axis in found.axes]
    if any(not isinstance(length, int) for length in lengths):
        return None
    return found._replace(is_mean=True) if is_product(count.number, lengths) else None


def is_product(number: float, lengths: Sequence[Length]) -> bool:
    """Whether a number is the product of lengths that are known."""
    known = [length for length in lengths if isinstance(length, int)]
    return len(known) == len(lengths) and float(number) == float(math.prod(known))


def rounded_reduction(value: Value, element: str) -> Reduction | None:
    """The sum or mean in f64 of values of this type that a value is; it is read only here."""
    found = None
    if (operation := made_by(value, "reduce", once=True)) is not None:
        found = sum_of(operation)
    elif (operation := made_by(value, "divide", once=True)) is not None:
        found = mean_of(operation)
    narrow = narrow_of_wide(found.value, element) if found is not None else None
    return None if found is None or narrow is None else found._replace(value=narrow)


def product_of(operation: Operation) -> MatrixProduct | str:
    """The product of matrices that a dot_general is, or what keeps it from being one."""
    left_batch, right_batch, left_axes, right_axes = operation.attributes["dot_dimension_numbers"]
    left, right = map(root_of, operation.operands)
    if left_batch or right_batch:
        return f"expected no batching dimensions, got {list(left_batch)}"
    if left.rank != 2 or right.rank != 2:
        return f"expected two matrices, got {left.type.text} and {right.type.text}"
    if len(left_axes) != 1:
        return f"expected one contracting dimension, got {list(left_axes)}"
    return MatrixProduct(left, right, left_axes[0] == 0, right_axes[0] == 1)


def rounded_product(value: Value, element: str) -> MatrixProduct | None:
    """The product in f64 of matrices of this type that a value is; it is read only here."""
    operation = made_by(value, "dot_general", once=True)
    found = product_of(operation) if operation is not None else None
    if not isinstance(found, MatrixProduct):
        return None
    left, right = narrow_of_wide(found.left, element), narrow_of_wide(found.right, element)
    return None if left is None or right is None else found._replace(left=left, right=right)


def share_of(value: Value) -> Share | None:
    """What a value divides by a number, in f64, and rounds; it is read only once."""
    element = value.element
    if element != "f64":
        operation = made_by(value, "convert", once=True)
        if operation is None:
            return None
        value = operation.operands[0]
    operation = made_by(value, "divide", once=True)
    if operation is None or operation.operands[1].number is None or value.element != "f64":
        return None
    narrow = narrow_of_wide(operation.operands[0], element)
    return None if narrow is None else Share(root_of(narrow), float(operation.operands[1].number))


# ---- comparisons and masks -------------------------------------------------------------------


def threshold(condition: Value) -> Threshold | None:
    """What a condition compares with a number; None for another condition."""
    operation = made_by(condition, "compare")
    if operation is None or operation.attributes.get("compare_type") == "TOTALORDER":
        return None
    left, right = operation.operands
    direction = operation.attributes["comparison_direction"]
    if right.number is None:
        left, right, direction = right, left, MIRRORED[direction]
    if right.number is None:
        return None
    return Threshold(root_of(left), direction, float(right.number))


def bound_of(operation: Operation) -> Bound | None:
    """What a minimum bounds with a positive number."""
    first, second = operation.operands
    operand, bound = (first, second) if second.number is not None else (second, first)
    if bound.number is None or not bound.number > 0:
        return None
    return Bound(operand, root_of(operand), float(bound.number))


def mask_of(operation: Operation) -> Mask | None:
    """The activation whose mask a sum of bits is."""
    found = sum_of(operation)
    if found is None or found.value.element != "u8" or found.axes != (found.value.rank - 1,):
        return None
    shifted = made_by(found.value, "shift_left")
    if shifted is None or not is_place_in_byte(shifted.operands[1]):
        return None
    padded = made_by(without_reshapes(shifted.operands[0]), "pad")
    if padded is None or not pads_the_end(padded):
        return None
    rows = padded.operands[0].shape
    converted = made_by(without_reshapes(padded.operands[0]), "convert")
    return bits_of(converted.operands[0], rows) if converted is not None else None


def is_place_in_byte(value: Value) -> bool:
    """Whether a value counts 0 to 7 along its last axis."""
    operation = made_by(value, "iota")
    return (
        operation is not None
        and value.shape[-1:] == (BITS,)
        and operation.attributes["iota_dimension"] == value.rank - 1
    )


def pads_the_end(operation: Operation) -> bool:
    """Whether zeros are put behind the last axis, up to whole bytes."""
    value, zero = operation.operands
    low, high, interior = (
        operation.attributes[name]
        for name in ("edge_padding_low", "edge_padding_high", "interior_padding")
    )
    length = operation.results[0].shape[-1]
    return (
        is_zero(zero)
        and value.rank > 0
        and not any((*low, *high[:-1], *interior))
        and isinstance(length, int)
        and 0 <= high[-1] < BITS
        and length % BITS == 0
    )


def bits_of(condition: Value, rows: tuple[Length, ...]) -> Mask | None:
    """The activation that is not 0, and below its bound, where a condition holds."""
    bound = None
    both = made_by(condition, "and")
    if both is not None:
        condition = both.operands[0]
        beyond = made_by(both.operands[1], "not")
        limit = threshold(beyond.operands[0]) if beyond is not None else None
        if limit is None or limit.direction != "GE":
            return None
        bound = limit
    found = threshold(condition)
    if found is None or found.direction != "NE" or found.number != 0:
        return None
    if bound is not None and bound.value is not found.value:
        return None
    return Mask(found.value, rows, None if bound is None else bound.number)


def mask_in_condition(condition: Value) -> Mask | None:
    """The mask whose bits a condition tests."""
    found = threshold(without_reshapes(condition))
    if found is None or found.direction != "NE" or found.number != 0:
        return None
    rows, bits = found.value.shape, found.value
    cut = made_by(bits, "slice")
    if cut is not None:
        if any(cut.attributes["start_indices"]) or set(cut.attributes["strides"]) > {1}:
            return None
        bits = cut.operands[0]
    if bits.shape[:-1] != rows[:-1]:
        return None
    masked = made_by(without_reshapes(bits), "and")
    if masked is None or masked.operands[1].number != 1:
        return None
    shifted = made_by(masked.operands[0], "shift_right_logical")
    if shifted is None or not is_place_in_byte(shifted.operands[1]):
        return None
    repeated = made_by(shifted.operands[0], "broadcast_in_dim")
    if repeated is None:
        return None
    mask = root_of(repeated.operands[0])
    dimensions = repeated.attributes["broadcast_dimensions"]
    is_right = mask.element == "u8" and dimensions == tuple(range(len(rows)))
    return Mask(mask, rows, None) if is_right and mask.rank == len(rows) else None


def channel_axis(rows: tuple[Length, ...], shape: tuple[Length, ...]) -> int | None:
    """The channel axis of a shape whose mask is packed in these rows, None if it has none."""
    rank = len(shape)
    lengths = [length for length in shape if isinstance(length, int)]
    if len(lengths) != rank:
        return None
    # The default first, where several axes have the same rows.
    for axis in sorted(range(rank), key=lambda axis: axis != 1):
        inner = () if axis == rank - 1 else (math.prod(lengths[axis + 1 :]),)
        if rows == (math.prod(lengths[:axis]), lengths[axis], *inner):
            return axis
    return None
