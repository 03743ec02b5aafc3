"""What makes two functions equal that different programs have written: what they compute."""

from __future__ import annotations

from typing import Any

import normgraph as ng

IN_DOUBLE = ("Sum", "Mean", "MatrixMultiply")


class Structures:
    """Numbers for nodes, of any functions, that are equal where the nodes compute the same.

    Names do not count, nor whether two values share a node, nor a Broadcast that repeats nothing;
    of what is read for its shape alone, the shape counts. What is computed in double of widened
    values and rounded once is the op in the narrow type.
    """

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def of(self, function: ng.Function) -> tuple[Any, ...]:
        """Parameters and results of a function."""
        places = {parameter: index for index, parameter in enumerate(function.parameters)}
        # A node stands for the place where its value is made.
        ids: dict[ng.Node, tuple[int, int | None]] = {}

        def place(value: ng.Output) -> tuple[int, int | None]:
            number, index = ids[value.node]
            return number, value.index if index is None else index

        for node in function.nodes:
            if repeats_nothing(node):
                ids[node] = place(node.input(0).source)
                continue
            op, sources = narrowed(node)
            inputs = tuple(
                value.partial_shape if value.name == "like" else place(source)
                for value, source in zip(op.inputs, sources, strict=True)
            )
            outputs = tuple((value.element_type, value.partial_shape) for value in node.outputs)
            facts = (op.type_name, places.get(node), inputs, attributes_of(op), outputs)
            ids[node] = self.numbers.setdefault(facts, len(self.numbers)), None
        parameters = [ids[parameter] for parameter in function.parameters]
        return parameters, [place(result) for result in function.results]


def narrowed(node: ng.Node) -> tuple[ng.Node, list[ng.Output]]:
    """The op that a node stands for, and what it reads."""
    sources = [value.source for value in node.inputs]
    if node.type_name != "Convert" or sources[0].node.type_name not in IN_DOUBLE:
        return node, sources
    wide = sources[0].node
    nodes = [value.source.node for value in wide.inputs]
    type_ = node.output(0).element_type
    is_narrow = all(
        source.type_name == "Convert" and source.input(0).element_type == type_ for source in nodes
    )
    if wide.output(0).element_type != ng.element.f64 or not is_narrow:
        return node, sources
    return wide, [source.input(0).source for source in nodes]


def repeats_nothing(node: ng.Node) -> bool:
    """Whether this is a Broadcast along no axis."""
    if node.type_name != "Broadcast":
        return False
    shape = node.output(0).partial_shape
    return shape.rank.is_static and len(node.attributes["axes"]) == len(shape)


def attributes_of(node: ng.Node) -> tuple[tuple[str, str], ...]:
    """The attributes, with axes as they are counted from the first."""
    rank = len(node.inputs[-1].partial_shape) if node.inputs else 0
    attributes = {}
    for name, value in node.attributes.items():
        if name.endswith("axes"):
            value = tuple(axis % rank for axis in value)
        elif name == "channel_axis":
            value %= len(node.input(0).partial_shape)
        attributes[name] = repr(value)
    return tuple(sorted(attributes.items()))


def assert_same_structure(actual: ng.Function, expected: ng.Function) -> None:
    """Assert that two functions compute the same from the same parameters."""
    structures = Structures()
    assert structures.of(actual) == structures.of(expected), f"{actual}\nis not\n{expected}"
