"""Functions by what their nodes mean, in extended precision, and how far off each value may be.

An oracle for whatever runs graphs: numpy alone, in long double, node by node. With each value goes
a bound of the error that its computation in the node's own type may have: what comes in with the
arguments, plus one rounding per operation, plus, for a sum in double, one rounding for each
addition that a term goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng

from ..kernel.definition import summation_depth
from ..kernel.real_types import REAL_TYPES, Array
from ..kernel.relu import packed

Extended = np.longdouble


class Value(NamedTuple):
    """Long double elements, and bounds of their errors. Of a mask: bools, and which are open."""

    value: Array
    error: Array

    def rounded(self, type_name: str) -> Value:
        """After one rounding to this type."""
        real_type = REAL_TYPES[type_name]
        unit = Extended(float(real_type.unit_roundoff))
        smallest = Extended(float(real_type.smallest))
        is_zero = (self.value == 0) & (self.error == 0)  # which no type rounds
        error = self.error + unit * (np.abs(self.value) + self.error) + smallest
        return Value(self.value, np.where(is_zero, 0, error))


def exactly(array: Array) -> Value:
    value = array.astype(np.float64).astype(Extended)
    return Value(value, np.zeros_like(value))


def evaluate(function: ng.Function, arguments: list[Array]) -> list[Value]:
    """One value per result; `arguments` are in the order of the parameters."""
    values: dict[ng.Output, Value | Array] = {}
    given = dict(zip(function.parameters, arguments, strict=True))
    for node in function.nodes:
        inputs = [values[port.source] for port in node.inputs]
        output = node.output(0)
        if node in given:
            array = given[node]
            values[output] = array if array.dtype == np.uint8 else exactly(array)
        elif isinstance(node, ng.Constant):
            values[output] = exactly(node.array())
        else:
            values[output] = OPERATIONS[node.type_name](node, *inputs)
    return [values[result] for result in function.results]


def check(actual: Array, expected: Value, what: str) -> None:
    """Asserts that every element is within its bound."""
    difference = np.abs(actual.astype(np.float64).astype(Extended) - expected.value)
    excess = difference - expected.error
    assert actual.shape == expected.value.shape, f"{what}: shape {actual.shape}"
    if actual.size and excess.max() > 0:
        worst = np.unravel_index(np.argmax(excess), excess.shape)
        raise AssertionError(
            f"{what}: at {worst} got {float(actual[worst])!r}, expected "
            f"{expected.value[worst]!r}; off by {difference[worst]}, "
            f"{expected.error[worst]} is allowed"
        )


def type_of(node: ng.Node) -> str:
    return str(node.output(0).element_type)


# ---- element-wise --------------------------------------------------------------------------------


def _rounding(operation: Callable[..., Value]) -> Callable[..., Value]:
    """The operation, and one rounding to the type of the node."""

    def rounding_operation(node: ng.Node, *inputs: Value) -> Value:
        return operation(node, *inputs).rounded(type_of(node))

    return rounding_operation


def _add(node: ng.Node, left: Value, right: Value) -> Value:
    return Value(left.value + right.value, left.error + right.error)


def _subtract(node: ng.Node, left: Value, right: Value) -> Value:
    return Value(left.value - right.value, left.error + right.error)


def _multiply(node: ng.Node, left: Value, right: Value) -> Value:
    error = np.abs(left.value) * right.error + np.abs(right.value) * left.error
    return Value(left.value * right.value, error + left.error * right.error)


def _divide(node: ng.Node, left: Value, right: Value) -> Value:
    quotient = left.value / right.value
    divisor = np.abs(right.value) - right.error
    assert np.all(divisor > 0), "the divisor may be 0"
    return Value(quotient, (left.error + np.abs(quotient) * right.error) / divisor)


def _square_root(node: ng.Node, value: Value) -> Value:
    root = np.sqrt(value.value)
    lowest = np.sqrt(np.maximum(value.value - value.error, 0))
    return Value(root, root - lowest)


def _negate(node: ng.Node, value: Value) -> Value:
    return Value(-value.value, value.error)


def _bound(node: ng.Node, index: int = 0) -> float:
    """The upper bound of a ReLU, rounded to the type of its data."""
    bound = node.attributes.get("upper_bound")
    if bound is None:
        return float("inf")
    return float(np.array(bound).astype(node.input(index).element_type.dtype))


def _relu(node: ng.Node, value: Value) -> Value:
    return Value(np.clip(value.value, 0, _bound(node)), value.error)


def _relu_backprop(node: ng.Node, value: Value, delta: Value) -> Value:
    bound = _bound(node)
    is_open = np.abs(value.value) < value.error
    if np.isfinite(bound):
        is_open |= np.abs(value.value - bound) < value.error
    return _select((value.value > 0) & (value.value < bound), is_open, delta)


def _select(passes: Array, is_open: Array, delta: Value) -> Value:
    either = np.abs(delta.value) + delta.error
    error = np.where(is_open, either, np.where(passes, delta.error, 0))
    return Value(np.where(passes, delta.value, 0), error)


def _convert(node: ng.Node, value: Value) -> Value:
    exact_types = {"f16": ("f32", "f64"), "bf16": ("f32", "f64"), "f32": ("f64",)}
    source = str(node.input(0).element_type)
    is_exact = type_of(node) in exact_types.get(source, ())
    return value if is_exact else value.rounded(type_of(node))


# ---- reductions ----------------------------------------------------------------------------------


def _reduced_axes(rank: int, kept: tuple[int, ...]) -> tuple[int, ...]:
    kept_from_front = {axis % rank for axis in kept}
    return tuple(axis for axis in range(rank) if axis not in kept_from_front)


def _sum_in_double(node: ng.Node, value: Value) -> tuple[Value, int]:
    axes = _reduced_axes(value.value.ndim, node.attributes["kept_axes"])
    count = int(np.prod([value.value.shape[axis] for axis in axes], dtype=np.int64))
    terms = np.abs(value.value) + value.error
    roundings = summation_depth(count) * Extended(2.0**-53) * terms.sum(axis=axes)
    total = Value(np.asarray(value.value.sum(axis=axes)), value.error.sum(axis=axes) + roundings)
    return total, count


def _sum(node: ng.Node, value: Value) -> Value:
    return _sum_in_double(node, value)[0].rounded(type_of(node))


def _mean(node: ng.Node, value: Value) -> Value:
    total, count = _sum_in_double(node, value)
    mean = Value(total.value / count, total.error / count)
    return mean.rounded("f64").rounded(type_of(node))


def _spread(node: ng.Node, array: Array, like: Value | Array) -> Array:
    shape = like.value.shape if isinstance(like, Value) else like.shape
    lengths = [1] * len(shape)
    for axis, length in zip(node.attributes["axes"], array.shape, strict=True):
        lengths[axis] = length
    return np.broadcast_to(array.reshape(lengths), shape)


def _broadcast(node: ng.Node, value: Value, like: Value) -> Value:
    return Value(_spread(node, value.value, like), _spread(node, value.error, like))


def _mean_backprop(node: ng.Node, delta: Value, like: Value) -> Value:
    spread = _broadcast(node, delta, like)
    count = max(spread.value.size // max(delta.value.size, 1), 1)
    return Value(spread.value / count, spread.error / count).rounded("f64").rounded(type_of(node))


def _matrix_multiply(node: ng.Node, left: Value, right: Value) -> Value:
    def transposed(value: Value, flag: str) -> Value:
        return Value(value.value.T, value.error.T) if node.attributes[flag] else value

    left, right = transposed(left, "transpose_left"), transposed(right, "transpose_right")
    magnitudes = np.abs(left.value) @ np.abs(right.value)
    error = np.abs(left.value) @ right.error + left.error @ (np.abs(right.value) + right.error)
    error = error + (left.value.shape[1] + 1) * Extended(2.0**-53) * (magnitudes + error)
    return Value(left.value @ right.value, error).rounded(type_of(node))


# ---- masks ---------------------------------------------------------------------------------------


def _relu_mask(node: ng.Node, value: Value) -> Value:
    bound = _bound(node)
    is_open = np.abs(value.value) <= value.error
    if np.isfinite(bound):
        is_open |= np.abs(value.value - bound) <= value.error
    return Value((value.value != 0) & (value.value < bound), is_open)


def _unpacked(mask: Array, shape: tuple[int, ...], channel_axis: int) -> Array:
    """The inverse of `packed`."""
    places = np.arange(int(np.prod(shape))).reshape(shape)
    bits = np.zeros(shape, bool)
    for index in np.ndindex(shape):
        single = packed(places == places[index], channel_axis)
        bits[index] = bool(np.any(single & mask))
    return bits


def _relu_mask_select(node: ng.Node, delta: Value, mask: Value | Array) -> Value:
    if isinstance(mask, Value):
        return _select(mask.value, mask.error, delta)
    bits = _unpacked(mask, delta.value.shape, node.attributes["channel_axis"])
    return _select(bits, np.zeros_like(bits), delta)


def _select_where(node: ng.Node, value: Value, where: Value) -> Value:
    is_set = np.broadcast_to(where.value != 0, value.value.shape)
    return _select(is_set, np.zeros_like(is_set), value)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "Add": _rounding(_add),
    "Subtract": _rounding(_subtract),
    "Multiply": _rounding(_multiply),
    "Divide": _rounding(_divide),
    "SquareRoot": _rounding(_square_root),
    "Negate": _negate,
    "Relu": _relu,
    "ReluBackprop": _relu_backprop,
    "Convert": _convert,
    "Sum": _sum,
    "Mean": _mean,
    "Broadcast": _broadcast,
    "MeanBackprop": _mean_backprop,
    "MatrixMultiply": _matrix_multiply,
    "ReluMask": _relu_mask,
    "ReluMaskSelect": _relu_mask_select,
    "SelectWhere": _select_where,
}
