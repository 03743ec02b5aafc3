"""Products of lengths of axes, some of which are not known before a graph runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .._core import Dimension
from .attributes import HUGE, MOST_AXES
from .graph_reader import Refusal, check_lengths


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
