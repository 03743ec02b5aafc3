"""Formulas of primitive nodes, in terms of the names they read: `Σ square / n`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .._core import Node, Output

#: Precedence of the parts of a formula.
SUM, PRODUCT, ATOM = range(3)

SUPERSCRIPTS = {2: "²", 3: "³", 4: "⁴"}


class Formula(NamedTuple):
    """A text, and what would tear it apart."""

    text: str
    strength: int = ATOM

    def within(self, strength: int) -> str:
        """The text as a part of something that holds this strongly."""
        return self.text if self.strength >= strength else f"({self.text})"


class FormulaWriter:
    """Formulas of nodes, in which what has no name is written out.

    name_of gives the text that stands for a value, None for one to be written out. Broadcast and
    Convert are looked through in what is written out.
    """

    def __init__(self, name_of: Callable[[Output], str | None]) -> None:
        self.name_of = name_of

    def of_node(self, node: Node) -> Formula:
        """The formula of a node."""
        writer = WRITERS.get(node.type_name)
        return writer(self, node) if writer else self.call(node)

    def of_input(self, node: Node, index: int) -> Formula:
        """The name of what the node reads there, or its formula."""
        source = node.inputs[index].source
        name = self.name_of(source)
        return self.of_node(looked_through(source).node) if name is None else Formula(name)

    def call(self, node: Node) -> Formula:
        """An op that has no sign: Op(a, b)."""
        inputs = (self.of_input(node, index).text for index in range(len(node.inputs)))
        return Formula(f"{node.type_name}({', '.join(inputs)})")

    def sum(self, node: Node) -> Formula:
        """Add: a + b, or 2 · a."""
        left, right = self.of_input(node, 0), self.of_input(node, 1)
        if left == right:
            return self.product(node)
        return Formula(f"{left.text} + {right.text}", SUM)

    def difference(self, node: Node) -> Formula:
        """Subtract: a − b."""
        left, right = self.of_input(node, 0), self.of_input(node, 1)
        return Formula(f"{left.text} − {right.within(PRODUCT)}", SUM)

    def product(self, node: Node) -> Formula:
        """Multiply: a · b², with the factors of factors."""
        factors = self.factors(node)
        powers = dict.fromkeys(factors, 0)
        for factor in factors:
            powers[factor] += 1
        texts = []
        for factor, power in powers.items():
            if power in SUPERSCRIPTS:
                texts.append(factor.within(ATOM) + SUPERSCRIPTS[power])
            else:
                texts += [factor.within(PRODUCT)] * power
        return Formula(" · ".join(texts), PRODUCT if len(texts) > 1 else ATOM)

    def factors(self, node: Node) -> list[Formula]:
        """The factors of Multiply, or of Add of equal values."""
        if node.type_name == "Add":
            return [Formula("2"), *self.factors_of(node, 0)]
        return [*self.factors_of(node, 0), *self.factors_of(node, 1)]

    def factors_of(self, node: Node, index: int) -> list[Formula]:
        source = node.inputs[index].source
        inner = looked_through(source).node
        is_product = inner.type_name == "Multiply" or (
            inner.type_name == "Add" and self.of_input(inner, 0) == self.of_input(inner, 1)
        )
        if is_product and self.name_of(source) is None:
            return self.factors(inner)
        return [self.of_input(node, index)]

    def quotient(self, node: Node) -> Formula:
        """Divide: a / b."""
        left, right = self.of_input(node, 0), self.of_input(node, 1)
        return Formula(f"{left.within(PRODUCT)} / {right.within(ATOM)}", PRODUCT)

    def negative(self, node: Node) -> Formula:
        """Negate: −a."""
        return Formula(f"−{self.of_input(node, 0).within(PRODUCT)}", SUM)

    def root(self, node: Node) -> Formula:
        """SquareRoot: √a."""
        return Formula(f"√{self.of_input(node, 0).within(ATOM)}")

    def total(self, node: Node) -> Formula:
        """Sum: Σ a."""
        return Formula(f"Σ {self.of_input(node, 0).within(PRODUCT)}", PRODUCT)

    def mean(self, node: Node) -> Formula:
        """Mean: Σ a / n."""
        return Formula(f"{self.total(node).text} / n", PRODUCT)

    def share(self, node: Node) -> Formula:
        """MeanBackprop: a / n."""
        return Formula(f"{self.of_input(node, 0).within(PRODUCT)} / n", PRODUCT)

    def relu(self, node: Node) -> Formula:
        """Relu: max(a, 0)."""
        return Formula(f"max({self.of_input(node, 0).text}, 0)")

    def where_positive(self, node: Node) -> Formula:
        """ReluBackprop: b where a > 0."""
        value, delta = self.of_input(node, 0), self.of_input(node, 1)
        return Formula(f"{delta.text} where {value.text} > 0", SUM)

    def mask(self, node: Node) -> Formula:
        """ReluMask: a ≠ 0."""
        return Formula(f"{self.of_input(node, 0).text} ≠ 0", SUM)

    def where_mask(self, node: Node) -> Formula:
        """ReluMaskSelect: a where mask."""
        delta, mask = self.of_input(node, 0), self.of_input(node, 1)
        return Formula(f"{delta.text} where {mask.text}", SUM)


WRITERS: dict[str, Callable[[FormulaWriter, Node], Formula]] = {
    "Add": FormulaWriter.sum,
    "Subtract": FormulaWriter.difference,
    "Multiply": FormulaWriter.product,
    "Divide": FormulaWriter.quotient,
    "Negate": FormulaWriter.negative,
    "SquareRoot": FormulaWriter.root,
    "Sum": FormulaWriter.total,
    "Mean": FormulaWriter.mean,
    "MeanBackprop": FormulaWriter.share,
    "Relu": FormulaWriter.relu,
    "ReluBackprop": FormulaWriter.where_positive,
    "ReluMask": FormulaWriter.mask,
    "ReluMaskSelect": FormulaWriter.where_mask,
}

#: They change the shape or the element type of a value, and not what it is.
TRANSPARENT = ("Broadcast", "Convert")


def looked_through(output: Output) -> Output:
    """The value itself, before Broadcast and Convert."""
    while output.node.type_name in TRANSPARENT:
        output = output.node.inputs[0].source
    return output
