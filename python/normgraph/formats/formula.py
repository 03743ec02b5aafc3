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
        """The formula of a node: Op(a, b) if its op has no sign."""
        if node.type_name in ("Add", "Multiply"):
            return self.sum(node) if node.type_name == "Add" else self.product(node)
        if node.type_name not in FORMS:
            inputs = (self.of_input(node, index).text for index in range(len(node.inputs)))
            return Formula(f"{node.type_name}({', '.join(inputs)})")
        bound = node.attributes.get("upper_bound")
        forms = FORMS if bound is None else BOUNDED_FORMS
        form = forms[node.type_name]
        parts = (self.of_input(node, i).within(least) for i, least in enumerate(form.inputs))
        return Formula(form.text.format(*parts, bound=number_text(bound)), form.strength)

    def of_input(self, node: Node, index: int) -> Formula:
        """The name of what the node reads there, or its formula."""
        source = node.inputs[index].source
        name = self.name_of(source)
        return self.of_node(looked_through(source).node) if name is None else Formula(name)

    def sum(self, node: Node) -> Formula:
        """Add: a + b, or 2 · a."""
        left, right = self.of_input(node, 0), self.of_input(node, 1)
        if left == right:
            return self.product(node)
        return Formula(f"{left.text} + {right.text}", SUM)

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


class Form(NamedTuple):
    """The formula of an op: its inputs are put in these places, within these strengths."""

    text: str
    strength: int
    inputs: tuple[int, ...]


FORMS = {
    "Subtract": Form("{} − {}", SUM, (SUM, PRODUCT)),
    "Divide": Form("{} / {}", PRODUCT, (PRODUCT, ATOM)),
    "Negate": Form("−{}", SUM, (PRODUCT,)),
    "SquareRoot": Form("√{}", ATOM, (ATOM,)),
    "Sum": Form("Σ {}", PRODUCT, (PRODUCT,)),
    "Mean": Form("Σ {} / n", PRODUCT, (PRODUCT,)),
    "MeanBackprop": Form("{} / n", PRODUCT, (PRODUCT,)),
    "Relu": Form("max({}, 0)", ATOM, (SUM,)),
    "ReluBackprop": Form("{1} where {0} > 0", SUM, (SUM, SUM)),
    "ReluMask": Form("{} ≠ 0", SUM, (SUM,)),
    "ReluMaskSelect": Form("{} where {}", SUM, (SUM, SUM)),
    "SelectWhere": Form("{} where {}", SUM, (SUM, SUM)),
}

#: The same for ReLUs with an upper bound.
BOUNDED_FORMS = {
    "Relu": Form("min(max({}, 0), {bound})", ATOM, (SUM,)),
    "ReluBackprop": Form("{1} where 0 < {0} < {bound}", SUM, (SUM, SUM)),
    "ReluMask": Form("0 < {} < {bound}", SUM, (SUM,)),
}

#: They change the shape or the element type of a value, and not what it is.
TRANSPARENT = ("Broadcast", "Convert")


def number_text(number: float | None) -> str:
    """A number as formulas show it."""
    return "" if number is None else f"{number:.6g}"


def looked_through(output: Output) -> Output:
    """The value itself, before Broadcast and Convert."""
    while output.node.type_name in TRANSPARENT:
        output = output.node.inputs[0].source
    return output
