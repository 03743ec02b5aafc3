"""Writing a Function for another program, as far as the other program's format does not matter.

GraphWriter walks the nodes and knows which value each output has become. It writes ops of the
family as their stages and defines primitive ops by simpler statements: what normgraph computes in
double, such as a sum, is converted to f64 and back. Each format has a subclass, which says how
names and statements are spelled.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

from .. import _core
from .._core import Constant, Function, Node, Output, Parameter
from .errors import NotExpressibleError
from .names import UniqueNames, chosen_name

#: Lengths; None for those that are not known, which a format may refuse.
Shape: TypeAlias = tuple[Any, ...]


class Value(NamedTuple):
    """A value of what is written, with normgraph's name of its element type."""

    name: str
    element: str
    shape: Shape


class End(NamedTuple):
    """An end of a ReLU's linear part."""

    number: float
    is_upper: bool


LOWER_END = End(0.0, False)


def upper_end(node: Node, value: Value) -> End | None:
    """The upper bound of a ReLU as a number of its values' type, None if there is none."""
    bound = node.attributes.get("upper_bound")
    if bound is None:
        return None
    return End(rounded_once(bound, value.element), True)


def rounded_once(number: float, element: str) -> float:
    """A number as an element type has it; numpy goes to bf16 by way of f32."""
    # As keys, 0 and -0 are the same.
    return number if number == 0 else rounded_number(number, element)


@functools.cache
def rounded_number(number: float, element: str) -> float:
    """A number other than 0 as an element type has it."""
    rounded = _core.op.Convert(_core.op.Convert(Constant(number), element), "f64")
    (result,) = _core.compile(Function([rounded], []))()
    return float(result)


def value_of(output: Output, name: str = "") -> Value:
    """The value that an output becomes."""
    lengths = output.partial_shape
    shape = tuple(length.length if length.is_static else None for length in lengths)
    return Value(name, output.element_type.name, shape)


class GraphWriter(ABC):
    """Writes statements; `values` says which value each output of a node has become.

    A primitive op is written by the method of its name (`MeanBackprop` by `mean_backprop`), or by
    `compute` if ELEMENT_WISE has the format's name for it. `wish` is the name of the node, for a
    format in which each value can have one.
    """

    ELEMENT_WISE: ClassVar[Mapping[str, str]]

    def __init__(self, family: str) -> None:
        self.family = family
        self.values: dict[Output, Value] = {}
        self.constants: dict[tuple[str, Any], Value] = {}
        self.names = UniqueNames("_", 1)
        self.names_of_constants: dict[Node, str] = {}
        # As keys, nodes and outputs are the same only as long as their Python objects live.
        self.nodes: list[Node] = []

    # ---- names -----------------------------------------------------------------------------------

    @abstractmethod
    def new_name(self, wish: str | None = None) -> str:
        """A name that nothing else has: the one that is wished for, if it can be had."""

    def can_spell(self, name: str) -> bool:
        """Whether the format can spell this name."""
        return True

    def add_parameters(self, function: Function, unnamed: str) -> list[Value]:
        """The values of the parameters; those without a name are called `unnamed` with an index."""
        for index, parameter in enumerate(function.parameters):
            name = self.new_name(chosen_name(parameter) or unnamed.format(index))
            self.values[parameter.output(0)] = value_of(parameter.output(0), name)
        return [self.values[parameter.output(0)] for parameter in function.parameters]

    def reserve_names(self, function: Function) -> None:
        """Names of constants, before stages take them for what nobody has named."""
        self.nodes += function.nodes
        for node in function.nodes:
            name = chosen_name(node) if isinstance(node, Constant) else None
            if name is not None and self.can_spell(name):
                self.names_of_constants[node] = self.new_name(name)

    # ---- nodes -----------------------------------------------------------------------------------

    def add_nodes(self, function: Function) -> None:
        nodes = function.nodes
        self.nodes += nodes
        read = {value.source for node in nodes for value in node.inputs} | set(function.results)
        for node in nodes:
            if isinstance(node, _core.op.BatchNormNode):
                outputs = [output for output in node.outputs if output in read]
                if not (self.family == "native" and self.add_native(node, outputs)):
                    self.add_stages(node, outputs)
            elif isinstance(node, Constant):
                self.values[node.output(0)] = self.constant_of(node)
            elif not isinstance(node, Parameter):
                inputs = [self.values[value.source] for value in node.inputs]
                self.values[node.output(0)] = self.primitive(node, *inputs)

    @abstractmethod
    def add_native(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> bool:
        """Write an op of the family as the format's own, unless it has none that says the same."""

    def add_stages(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        """These outputs of an op of the family, as primitive ops that compute in f64."""
        parameters = [
            Parameter(value.element_type, value.partial_shape, name=value.name)
            for value in node.inputs
        ]
        alone = node.clone_with_new_inputs(parameters, name=node.friendly_name)
        results = [alone.output(output.index) for output in outputs]
        stages = _core.decompose(Function(results, parameters), "f64")
        for parameter, value in zip(stages.parameters, node.inputs, strict=True):
            self.values[parameter.output(0)] = self.values[value.source]
        self.add_nodes(stages)
        for output, result in zip(outputs, stages.results, strict=True):
            self.values[output] = self.values[result]

    def primitive(self, node: Node, *inputs: Value) -> Value:
        if node.type_name in self.ELEMENT_WISE:
            return self.compute(node.type_name, *inputs, wish=chosen_name(node))
        write: Callable[..., Value] = getattr(self, method_name(node.type_name))
        return write(node, *inputs)

    # ---- statements ------------------------------------------------------------------------------

    @abstractmethod
    def constant_of(self, node: Constant) -> Value:
        """A constant with all its elements."""

    @abstractmethod
    def number(self, number: float, like: Value) -> Value:
        """A number as an operand beside another, which is in f32 or f64."""

    @abstractmethod
    def cast(self, value: Value, element: str, wish: str | None = None) -> Value:
        """A value in another element type."""

    @abstractmethod
    def compute(self, op: str, *operands: Value, wish: str | None = None) -> Value:
        """An element-wise op of normgraph on operands of one type."""

    @abstractmethod
    def sum_along(self, value: Value, axes: Sequence[int]) -> Value:
        """The sum along these axes, of which there are some; they are not in the result."""

    @abstractmethod
    def product(self, left: Value, right: Value, flags: Sequence[bool]) -> Value:
        """A product of matrices; the flags say which of them are transposed."""

    def count_of(self, value: Value, axes: Sequence[int], like: Value) -> Value:
        """The number of elements along these axes, as an operand beside another in f64."""
        count = known_product(value, axes)
        assert count is not None, value
        return self.number(count, like)

    # ---- primitive ops ---------------------------------------------------------------------------

    @abstractmethod
    def broadcast(self, node: Node, value: Value, like: Value) -> Value: ...

    @abstractmethod
    def replaced(
        self, value: Value, end: End, number: float, other: Value, wish: str | None = None
    ) -> Value:
        """A number where a value lies beyond an end, or at it, else the other value there."""

    @abstractmethod
    def relu_mask(self, node: Node, value: Value) -> Value: ...

    @abstractmethod
    def relu_mask_select(self, node: Node, delta: Value, mask: Value) -> Value: ...

    @abstractmethod
    def select_where(self, node: Node, value: Value, where: Value) -> Value: ...

    def relu(self, node: Node, value: Value) -> Value:
        """Written without the format's own ReLU, which may make 0 of a NaN."""
        bound = upper_end(node, value)
        numbers = (0.0,) if bound is None else (0.0, bound.number)
        return self.between_ends(node, value, value, numbers)

    def relu_backprop(self, node: Node, value: Value, delta: Value) -> Value:
        return self.between_ends(node, value, delta, (0.0, 0.0))

    def between_ends(
        self, node: Node, value: Value, inside: Value, numbers: Sequence[float]
    ) -> Value:
        """One value where another lies between the ends of a ReLU, else the end's number.

        Written without minimum and maximum: a NaN, which lies beyond no end, stays, and −0 becomes
        +0.
        """
        ends = [LOWER_END, upper_end(node, value)]
        steps = [(end, number) for end, number in zip(ends, numbers, strict=False) if end]
        for index, (end, number) in enumerate(steps):
            wish = chosen_name(node) if index + 1 == len(steps) else None
            inside = self.replaced(value, end, number, inside, wish)
        return inside

    def convert(self, node: Node, value: Value) -> Value:
        return self.cast(value, node.outputs[0].element_type.name, chosen_name(node))

    def sum_in_double(self, node: Node, value: Value) -> tuple[Value, list[int]]:
        """The sum, and the axes that it goes along."""
        axes = other_axes(node, value)
        wide = self.cast(value, "f64")
        if axes:
            return self.sum_along(wide, axes), axes
        # A sum begins with +0, so that the sum of −0 is +0; a reduction along nothing does not.
        return self.compute("Add", wide, self.number(0.0, wide)), axes

    def sum(self, node: Node, value: Value) -> Value:
        total, _axes = self.sum_in_double(node, value)
        return self.cast(total, value.element, chosen_name(node))

    def mean(self, node: Node, value: Value) -> Value:
        """Written without the format's own mean, which may be undefined for no elements."""
        total, axes = self.sum_in_double(node, value)
        # The name is that of the result in its own type.
        wish = chosen_name(node) if value.element == "f64" else None
        count = self.count_of(value, axes, total)
        quotient = self.compute("Divide", total, count, wish=wish)
        return self.cast(quotient, value.element, chosen_name(node))

    def mean_backprop(self, node: Node, delta: Value, like: Value) -> Value:
        wide = self.cast(delta, "f64")
        count = self.count_of(like, other_axes(node, like), wide)
        share = self.compute("Divide", wide, count)
        return self.broadcast(node, self.cast(share, delta.element), like)

    def matrix_multiply(self, node: Node, left: Value, right: Value) -> Value:
        """A product in f64, rounded once."""
        flags = [node.attributes["transpose_left"], node.attributes["transpose_right"]]
        product = self.product(self.cast(left, "f64"), self.cast(right, "f64"), flags)
        return self.cast(product, left.element, chosen_name(node))


def method_name(type_name: str) -> str:
    """The method that writes a primitive op: `mean_backprop` for `MeanBackprop`."""
    return re.sub(r"\B(?=[A-Z])", "_", type_name).lower()


def axes_of(node: Node, like: Value) -> tuple[int, ...]:
    """The axes of a reduction or a broadcast, counted from the first."""
    axes = node.attributes["kept_axes" if "kept_axes" in node.attributes else "axes"]
    return tuple(axis % len(like.shape) for axis in axes)


def other_axes(node: Node, like: Value) -> list[int]:
    """The axes that axes_of() leaves."""
    axes = axes_of(node, like)
    return [axis for axis in range(len(like.shape)) if axis not in axes]


def known_product(value: Value, axes: Iterable[int]) -> int | None:
    """The number of elements along these axes, None where a length is not known."""
    known = [value.shape[axis] for axis in axes]
    return None if None in known else math.prod(known)


# ---- what cannot be written ----------------------------------------------------------------------


def described(node: Node) -> str:
    """A node as a message names it."""
    return f"{node.type_name} '{node.friendly_name}'"


def check_outputs(
    nodes: Iterable[Node], fault_of: Callable[[Output], str | None], advice: str = ""
) -> None:
    """Raise NotExpressibleError that lists the faults of outputs, and then gives advice."""
    found = [
        f"{described(node)}: {fault}"
        for node in nodes
        for output in node.outputs
        if (fault := fault_of(output))
    ]
    if found:
        raise NotExpressibleError("\n".join([*found, advice] if advice else found))


def check_types_are_known(nodes: Iterable[Node]) -> None:
    """Raise NotExpressibleError that lists each output without an element type."""
    check_outputs(
        nodes,
        lambda output: (
            f"expected a known element type of {output.name}, got dynamic"
            if output.element_type.is_dynamic
            else None
        ),
    )


def check_sizes(function: Function) -> None:
    """Raise NotExpressibleError that lists what no tensor can be; lengths of 0 do not count.

    So products of known lengths are integers of 64 bits in what is written.
    """
    for group in (function.parameters, function.nodes):
        check_outputs(
            group,
            lambda output: (
                f"expected fewer than 2^63 elements, got {output.partial_shape}"
                if math.prod(known_lengths(output)) >= 2**63
                else None
            ),
        )


def known_lengths(output: Output) -> list[int]:
    """The lengths that are known, and not 0; none if the rank is not known."""
    shape = output.partial_shape
    if shape.rank.is_dynamic:
        return []
    return [length.length for length in shape if length.is_static and length.length]


def float_of_32_bits(value: float) -> float | None:
    """The nearest float32, None if it is infinite, or 0 for what is not."""
    try:
        nearest: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return None if nearest == 0 and value != 0 else nearest
