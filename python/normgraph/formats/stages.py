"""What formats that write for other programs share: which outputs are read, and an op's stages."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from .. import _core
from .._core import Dimension, Function, Node, Output, Parameter
from .errors import NotExpressibleError


class Stages(NamedTuple):
    """An op alone, decomposed, and what its parameters stand for, in the same order."""

    function: Function
    sources: list[Output]
    outputs: list[Output]


def read_outputs(function: Function, nodes: list[Node]) -> set[Output]:
    """The outputs that a node or a result reads."""
    return {value.source for node in nodes for value in node.inputs} | set(function.results)


def stages_of(node: Node, outputs: list[Output], compute_type: str) -> Stages:
    """These outputs of an op of the family as primitive ops that compute in this type."""
    sources = [value.source for value in node.inputs]
    parameters = [
        Parameter(value.element_type, value.partial_shape, name=value.name) for value in node.inputs
    ]
    alone = node.clone_with_new_inputs(parameters, name=node.friendly_name)
    results = [alone.output(output.index) for output in outputs]
    decomposed = _core.decompose(Function(results, parameters), compute_type)
    return Stages(decomposed, sources, outputs)


def described(node: Node) -> str:
    """A node as a message names it."""
    return f"{node.type_name} '{node.friendly_name}'"


def check_types_are_known(nodes: list[Node]) -> None:
    """Raise NotExpressibleError that lists each output without an element type."""
    unknown = [
        f"{described(node)}: expected a known element type of {output.name}, got dynamic"
        for node in nodes
        for output in node.outputs
        if output.element_type.is_dynamic
    ]
    if unknown:
        raise NotExpressibleError("\n".join(unknown))


def check_sizes(function: Function) -> None:
    """Raise NotExpressibleError that lists what no tensor can be; lengths of 0 do not count.

    So products of known lengths are integers of 64 bits in what is written.
    """
    for group in (function.parameters, function.nodes):
        found = [
            f"{described(node)}: expected fewer than 2^63 elements, got {output.partial_shape}"
            for node in group
            for output in node.outputs
            if math.prod(length.length for length in known_lengths(output)) >= 2**63
        ]
        if found:
            raise NotExpressibleError("\n".join(found))


def known_lengths(output: Output) -> list[Dimension]:
    """The dimensions whose length is known, and not 0; none if the rank is not known."""
    shape = output.partial_shape
    if shape.rank.is_dynamic:
        return []
    return [length for length in shape if length.is_static and length.length]


def float_of_32_bits(value: float) -> float | None:
    """The nearest float32, None if it is infinite, or 0 for what is not."""
    try:
        nearest: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return None if nearest == 0 and value != 0 else nearest
