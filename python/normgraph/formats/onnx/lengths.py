"""Lengths of axes as a model computes them, some of which are not known before it runs.

A model makes the shapes of Reshape and Expand of the shapes of other values. Such integers are
products of numbers and of lengths that are not known, each of which has a symbol.
"""

from __future__ import annotations

from typing import NamedTuple

from ..._core import element
from ..graph_reader import WIDER, Refusal, View
from ..products import Product


class Share(NamedTuple):
    """A value in f64 over a number of elements that is not known yet.

    It is rounded to one element type, and read in the same or a wider one. Repeated so many times,
    it is the gradient of a mean.
    """

    value: View
    terms: Product
    rounded_to: element.Type = element.f64
    read_as: element.Type = element.f64

    def cast(self, type_: element.Type) -> Share:
        """The same in another type. Raises Refusal where it would be rounded twice."""
        if type_ == self.rounded_to or type_.name in WIDER[self.rounded_to.name]:
            return self._replace(read_as=type_)
        if self.rounded_to != element.f64 or not type_.is_real:
            raise Refusal(f"expected a quotient that is rounded once, got {type_} next")
        return self._replace(rounded_to=type_, read_as=type_)


class Lengths(NamedTuple):
    """A vector of such integers, or one alone; as numbers of what type they are read."""

    items: tuple[Product, ...]
    is_scalar: bool
    type: element.Type = element.i64

    @property
    def known(self) -> tuple[int, ...] | None:
        """The numbers if all of them are known."""
        if all(item.is_known for item in self.items):
            return tuple(item.number for item in self.items)
        return None
