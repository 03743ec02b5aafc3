"""Lengths of axes as a model computes them, some of which are not known before it runs.

A model makes the shapes of Reshape and Expand of the shapes of other values. Such integers are
products of numbers and of lengths that are not known, each of which has a symbol.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..._core import Dimension, element
from ..attributes import HUGE, MOST_AXES
from ..graph_reader import WIDER, Refusal, View, check_lengths


class Product(NamedTuple):
    """A number, times lengths that are not known, by the ascending numbers of their symbols."""

    number: int
    symbols: tuple[int, ...] = ()

    @property
    def is_known(self) -> bool:
        return not self.symbols

    @property
    def dimension(self) -> Dimension:
        """The length that this is. Raises Refusal for what no length can be."""
        check_lengths([self.number])
        return Dimension(None if self.symbols else self.number)

    def times(self, other: Product) -> Product:
        """Raises Refusal for a product that no length can be."""
        if 0 in (self.number, other.number):
            return Product(0)
        number = self.number * other.number
        symbols = tuple(sorted((*self.symbols, *other.symbols)))
        if abs(number) >= HUGE or len(symbols) > MOST_AXES:
            raise Refusal("expected lengths whose product is less than 2^63")
        return Product(number, symbols)

    def over(self, other: Product) -> Product | None:
        """The exact quotient, None if there is none."""
        left = list(self.symbols)
        for symbol in other.symbols:
            if symbol not in left:
                return None
            left.remove(symbol)
        if other.number == 0 or self.number % other.number:
            return None
        return Product(self.number // other.number, tuple(left))


def product_of(factors: Iterable[Product]) -> Product:
    """Raises Refusal for a product that no length can be."""
    result = Product(1)
    for factor in factors:
        result = result.times(factor)
    return result


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
