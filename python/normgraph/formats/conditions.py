"""Booleans of a graph that is read, which select elements of a value or 0.

normgraph has booleans that are given, and SelectWhere, whose boolean is repeated along axes of
length 1. It has no op that negates, reshapes or repeats booleans by themselves. Where that is asked
for, the boolean becomes a number, 0 or 1, for which there are such ops; what ReluBackprop lets pass
where the number is above 0 is what the boolean selects, whatever is stored elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._core import Constant, Dimension, Output, element
from .graph_reader import Builder, View, common_length, static


class Condition(NamedTuple):
    """A boolean, or what is true where it is false, repeated to a shape.

    `where` has the axes of the shape; those along which it is repeated have length 1 there.
    """

    where: View
    lengths: tuple[Dimension, ...]
    is_negated: bool = False

    @property
    def rank(self) -> int:
        return len(self.lengths)

    @property
    def is_repeated(self) -> bool:
        """Whether it has other lengths than the boolean."""
        return self.lengths != self.where.lengths

    @property
    def negated(self) -> Condition:
        return self._replace(is_negated=not self.is_negated)


def condition_of(view: View) -> Condition | None:
    """A boolean as it is; None for a value of another type."""
    return Condition(view, view.lengths) if view.type == element.boolean else None


def repeated(builder: Builder, condition: Condition, lengths: Sequence[Dimension]) -> Condition:
    """The condition along axes before its first one and along those of length 1. Raises Refusal."""
    where = builder.with_rank(condition.where, len(lengths))
    own = (*[Dimension(1)] * (len(lengths) - condition.rank), *condition.lengths)
    common = tuple(
        common_length(axis, pair) for axis, pair in enumerate(zip(own, lengths, strict=True))
    )
    return condition._replace(where=where, lengths=common)


def unsqueezed(builder: Builder, condition: Condition, axes: Sequence[int]) -> Condition:
    """New axes of length 1, at these places of the result. Raises Refusal."""
    shape = View(condition.where.output, (), condition.lengths)
    return condition._replace(
        where=builder.unsqueezed(condition.where, axes),
        lengths=builder.unsqueezed(shape, axes).lengths,
    )


def transposed(builder: Builder, condition: Condition, order: Sequence[int]) -> Condition:
    """The axes in another order. Raises Refusal."""
    where = builder.transposed(condition.where, order)
    return condition._replace(where=where, lengths=tuple(condition.lengths[axis] for axis in order))


def as_numbers(builder: Builder, condition: Condition, type_: element.Type) -> View:
    """1 where the condition is true, else 0, in a real type. Raises Refusal."""
    numbers = builder.convert(condition.where, type_)
    if condition.is_negated:
        numbers = builder.element_wise("Subtract", builder.scalar(1.0, type_), numbers)
    return builder.repeated(numbers, condition.lengths)


def selected(builder: Builder, condition: Condition, value: View, is_kept: bool = True) -> View:
    """The value where the condition is true, else 0; with `is_kept` False the other way round.

    Both are repeated to one shape, as numpy does. Raises Refusal.
    """
    if not is_kept:
        condition = condition.negated
    rank = max(value.rank, condition.rank)
    value = builder.with_rank(value, rank)
    condition = repeated(builder, condition, value.lengths)
    value = builder.repeated(value, condition.lengths)
    where = fitted(builder, condition, value)
    if where is not None:
        return value._replace(
            output=builder.construct("SelectWhere", value.output, where).output(0)
        )
    return builder.element_wise("ReluBackprop", as_numbers(builder, condition, value.type), value)


def fitted(builder: Builder, condition: Condition, value: View) -> Output | None:
    """The boolean with the axes of the value's output, None where that takes an op.

    A constant may be negated and transposed.
    """
    where = condition.where
    selecting = {axis for axis in where.axes if static(where.lengths[axis]) != 1}
    if not selecting <= set(value.axes):
        return None
    if where.axes == value.axes and not condition.is_negated:
        return where.output
    constant = where.constant
    if constant is None:
        return None
    key = ("fitted", where.output, where.axes, value.axes, condition.is_negated)
    if key not in builder.made:
        builder.made[key] = moved(builder, constant, condition, value.axes)
    return builder.made[key].output(0)


def moved(
    builder: Builder, constant: Constant, condition: Condition, axes: tuple[int, ...]
) -> Constant:
    """A constant condition with these axes, in their order. Raises Refusal."""
    own = condition.where.axes
    elements = np.frombuffer(constant.attributes["data"], np.uint8).reshape(constant.shape)
    order = sorted(
        range(len(own)), key=lambda place: axes.index(own[place]) if own[place] in axes else -1
    )
    lengths = [constant.shape[own.index(axis)] if axis in own else 1 for axis in axes]
    data = (elements.transpose(order) ^ condition.is_negated).astype(np.uint8).tobytes()
    copied = builder.copied(constant, lengths, data).constant
    assert copied is not None
    return copied
