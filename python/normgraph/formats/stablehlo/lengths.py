"""Lengths that are not known before a program runs, where the program itself asks for them.

Programs with symbolic shapes compute with such lengths: they repeat values to them, and divide sums
by them. A length that a program asks for twice has one symbol, and so have two that it asserts to
be equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._core import Output, element
from ..graph_reader import Builder, View, view_of
from ..products import Product, product_of
from .patterns import made_by, root_of
from .program import Operation, Value

#: What an assertion about shapes calls.
ASSERTION = "shape_assertion"


class Lengths:
    """What values of a program are as products of lengths, by the program's values."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.products: dict[Value, Product] = {}
        self.symbols: dict[tuple[Output, int], int] = {}
        #: For each symbol a value with an axis of this length, and that axis.
        self.places: list[tuple[Output, int]] = []
        #: Symbols that stand for others, and those of lengths that are not 0.
        self.same: dict[int, int] = {}
        self.positive: set[int] = set()

    def along(self, view: View, axis: int) -> Product | None:
        """The length of an axis; None for one of which only its repetition is known."""
        length = view.lengths[axis]
        if length.is_static:
            return Product(length.length)
        if axis not in view.axes:
            return None
        place = self.builder.origins_of(view.output)[view.axes.index(axis)]
        if place not in self.symbols:
            self.symbols[place] = len(self.places)
            self.places.append(place)
        return Product(1, (self.united(self.symbols[place]),))

    def of(self, value: Value) -> Product | None:
        """The length, or product of them, that all elements of a value are; None for all else."""
        value = root_of(value)
        if value.number is not None:
            number = float(value.number)
            return Product(int(number)) if number.is_integer() else None
        found = self.products.get(value)
        if found is None:
            return None
        return found._replace(symbols=tuple(sorted(map(self.united, found.symbols))))

    def vector(self, value: Value) -> list[Product | None]:
        """The elements of a vector of integers, of which some may be lengths."""
        value = root_of(value)
        joined = made_by(value, "concatenate")
        parts = [value] if joined is None else joined.operands
        return [
            self.of(part)
            for part in map(root_of, parts)
            for _ in range(part.shape[0] if isinstance(part.shape[0], int) else 0)
        ]

    def is_unknown(self, value: Value) -> bool:
        """Whether a value is a length that is not known yet."""
        return root_of(value) in self.products

    def computed(self, op: str, operands: Sequence[Value]) -> Product | None:
        """What an op makes of two lengths, one of which is not known; None if that is no length.

        Raises Refusal for a product that no length can be.
        """
        if not any(map(self.is_unknown, operands)) or len(operands) != 2:
            return None
        left, right = map(self.of, operands)
        if left is None or right is None:
            return None
        if op == "Multiply":
            return left.times(right)
        return left if op == "Subtract" and right == Product(0) else None

    def is_surely(self, operation: Operation) -> bool:
        """Whether a comparison of a length with a number holds, whatever the length is."""
        if not self.is_unknown(operation.operands[0]):
            return False
        left, right = map(self.of, operation.operands)
        if left is None or right is None or not right.is_known or left.number < 0:
            return False
        least = left.number if self.is_positive(left) else 0
        direction = operation.attributes["comparison_direction"]
        return (direction == "GE" and least >= right.number) or (
            direction == "GT" and least > right.number
        )

    def assert_that(self, condition: Value) -> None:
        """Keep of an assertion that a length is not 0, or that two are equal, and nothing else."""
        compared = made_by(condition, "compare")
        if compared is None:
            return
        left, right = map(self.of, compared.operands)
        direction = compared.attributes["comparison_direction"]
        if left is None or right is None or left.number != 1 or len(left.symbols) != 1:
            return
        if direction == "GE" and right.is_known and right.number >= 1:
            self.positive.add(left.symbols[0])
        elif direction == "EQ" and right.number == 1 and len(right.symbols) == 1:
            self.unite(left.symbols[0], right.symbols[0])

    def united(self, symbol: int) -> int:
        """The one symbol of all lengths that are asserted to be equal."""
        way = []
        while symbol in self.same:
            way.append(symbol)
            symbol = self.same[symbol]
        # The next time it is found in one step.
        self.same.update(dict.fromkeys(way, symbol))
        return symbol

    def unite(self, symbol: int, other: int) -> None:
        """Let two symbols, each of which stands for itself, be one."""
        if symbol == other:
            return
        self.same[symbol] = other
        if symbol in self.positive:
            self.positive.add(other)

    def mean_of(self, total: View, count: Product) -> View | None:
        """The mean, for a sum over the number of its elements; None for all else."""
        node: Any = total.output.node
        if node.type_name != "Sum":
            return None
        value, kept = node.input(0).source, node.attributes["kept_axes"]
        whole = view_of(value)
        gone = [self.along(whole, axis) for axis in range(whole.rank) if axis not in kept]
        known = [length for length in gone if length is not None]
        if len(known) < len(gone) or product_of(known) != count:
            return None
        return total._replace(output=self.builder.reduction("Mean", value, kept))

    def as_value(self, length: Product, type_: element.Type) -> View | None:
        """A length as a scalar of a real type; None where normgraph has no way to count it.

        Raises Refusal.
        """
        result = self.builder.scalar(length.number, element.f64)
        for symbol in length.symbols:
            count = self.counted(symbol)
            if count is None:
                return None
            result = self.builder.element_wise("Multiply", result, count)
        return self.builder.convert(result, type_)

    def counted(self, symbol: int) -> View | None:
        """The length of an axis as the number of ones along it, which all other places agree on."""
        output, axis = self.places[symbol]
        whole = view_of(output)
        others = [other for other in range(whole.rank) if other != axis]
        if not all(self.is_positive(self.along(whole, other)) for other in others):
            return None
        one = self.builder.scalar(1.0, element.f64).output
        ones = self.builder.construct("Broadcast", one, output, axes=()).output(0)
        count = self.builder.reduction("Sum", ones, others)
        return view_of(self.builder.reduction("Mean", count, ()) if others else count)

    def is_positive(self, length: Product | None) -> bool:
        """Whether a length is surely not 0."""
        return length is not None and length.number > 0 and self.positive.issuperset(length.symbols)
