"""Masks of bits, which a model of ONNX makes of a dozen operators.

There is no operator that packs bits. What to_model writes for ReluMask and ReluMaskSelect is found
again by comparison: the statements that it would write for the same values are laid beside those of
the model, from the last one backwards. Equal statements are the op, whatever they compute; what
differs in one number is not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ... import _core
from ..._core import Function, NodeValidationFailure, Output, Parameter, element
from ..attributes import in_little_endian
from ..errors import FormatError, NotExpressibleError
from ..graph_reader import Builder, Refusal, View, unwidened, view_of
from .protobuf import element_type_of, import_onnx, type_number
from .tensors import data_of, shape_of
from .writer import Statement, Writer

__all__ = ["Masks"]

#: Values of more axes have no masks that are read: each axis could be that of the channels.
MOST_AXES_OF_DATA = 8

#: The most operators between the last one and the comparison with 0.
LONGEST_WAY = 10


class Pattern(NamedTuple):
    """What to_model writes for an op: statements by what they make, constants, the last one."""

    makers: dict[str, Statement]
    constants: dict[str, tuple[str, tuple[int, ...], bytes]]
    parameters: tuple[str, ...]
    last: str


class Found(NamedTuple):
    """An op, and the nodes of the model that it stands for."""

    view: View
    nodes: list[Any]


@functools.lru_cache(maxsize=256)
def pattern_of_mask(
    type_: element.Type, shape: tuple[int | None, ...], axis: int, bound: float | None
) -> Pattern | None:
    value = Parameter(type_, list(shape), name="value")
    return pattern_of(lambda: _core.op.ReluMask(value, axis, bound), [value], "Cast")


@functools.lru_cache(maxsize=256)
def pattern_of_selection(
    type_: element.Type, shape: tuple[int | None, ...], axis: int
) -> Pattern | None:
    delta = Parameter(type_, list(shape), name="delta")
    rank = 2 if axis == len(shape) - 1 else 3
    mask = Parameter("u8", [None] * rank, name="mask")
    return pattern_of(lambda: _core.op.ReluMaskSelect(delta, mask, axis), [delta, mask], "Where")


def pattern_of(make: Callable[[], Any], parameters: list[Parameter], last: str) -> Pattern | None:
    """The statements up to the last one of this name; None for values that have no such op."""
    try:
        graph = Writer("native", None).graph_of(Function([make()], parameters))
    except (NodeValidationFailure, NotExpressibleError):
        return None
    makers = {name: item for item in graph.statements for name in item.outputs}
    constants = {name: (kind, shape, data) for name, kind, shape, data in graph.initializers}
    names = tuple(value.name for value in graph.inputs)
    end = next(item for item in reversed(graph.statements) if item.op == last)
    return Pattern(makers, constants, names, end.outputs[0])


class Masks:
    """Finds the masks of one model."""

    def __init__(
        self, builder: Builder, nodes: list[Any], initializers: dict[str, Any], values: Any
    ) -> None:
        self.builder = builder
        self.makers = {name: node for node in nodes for name in node.output if name}
        self.initializers = initializers
        self.values = values

    def find(self, node: Any) -> Found | None:
        """The op whose last operator this is, if it is that of one."""
        if node.op_type == "Cast" and self.op_of(node, 0) == "ReduceSum":
            return self.mask(node)
        if node.op_type == "Where" and self.op_of(node, 0) == "Cast":
            return self.selection(node)
        return None

    def op_of(self, node: Any, index: int) -> str | None:
        """The operator that makes an input."""
        maker = self.makers.get(node.input[index]) if len(node.input) > index else None
        return None if maker is None else str(maker.op_type)

    def mask(self, node: Any) -> Found | None:
        equal, bound = self.comparison(node)
        if equal is None or not equal.input:
            return None
        data = self.data(equal.input[0])
        for axis in axes_to_try(data):
            assert data is not None
            pattern = pattern_of_mask(data.element_type, lengths_of(data), axis, bound)
            matched = self.match(pattern, node)
            if matched is not None:
                made = self.builder.construct(
                    "ReluMask", data, channel_axis=axis, upper_bound=bound
                )
                return Found(view_of(made.output(0)), matched[1])
        return None

    def selection(self, node: Any) -> Found | None:
        if len(node.input) != 3:
            return None
        delta = self.data(node.input[1])
        for axis in axes_to_try(delta):
            assert delta is not None
            pattern = pattern_of_selection(delta.element_type, lengths_of(delta), axis)
            matched = self.match(pattern, node)
            mask = None if matched is None else self.values.get(matched[0]["mask"])
            if matched is not None and isinstance(mask, View):
                made = self.builder.construct(
                    "ReluMaskSelect", delta, self.builder.whole(mask), channel_axis=axis
                )
                wide = self.builder.convert(view_of(made.output(0)), self.wide(node))
                return Found(wide, matched[1])
        return None

    def wide(self, node: Any) -> element.Type:
        """The type in which a Where selects."""
        view: View = self.values[node.input[1]]
        return view.type

    def comparison(self, node: Any) -> tuple[Any, float | None]:
        """The comparison with 0 of which a mask is made, and the bound that is beside it."""
        bound = None
        for _ in range(LONGEST_WAY):
            if node is None or not node.input:
                return None, None
            if node.op_type == "Equal":
                return node, bound
            if node.op_type == "Or":
                bound = self.bound(self.makers.get(node.input[-1]))
            node = self.makers.get(node.input[0])
        return None, None

    def bound(self, node: Any) -> float | None:
        """The number with which a value is compared."""
        tensor = self.initializers.get(node.input[-1]) if node is not None and node.input else None
        if tensor is None or element_type_of(tensor.data_type) not in (element.f32, element.f64):
            return None
        try:
            number = float(import_onnx().numpy_helper.to_array(tensor).reshape(-1)[0])
        except (ValueError, IndexError, TypeError):
            return None
        return number if number > 0 else None

    def data(self, name: str) -> Output | None:
        """A value with all its axes, in the type that it has been widened from."""
        view = self.values.get(name)
        if not isinstance(view, View) or view.axes != tuple(range(view.rank)):
            return None
        narrow = unwidened(view.output)
        return narrow if narrow.element_type.size == 2 else view.output

    # ---- comparison ------------------------------------------------------------------------------

    def match(self, pattern: Pattern | None, node: Any) -> tuple[dict[str, str], list[Any]] | None:
        """What the model calls the parameters, and the nodes that are the pattern's."""
        if pattern is None:
            return None
        names = {pattern.last: node.output[0]}
        pending, nodes = [pattern.last], []
        seen: set[str] = set()
        while pending:
            wanted = pending.pop()
            actual = names[wanted]
            if wanted in seen or wanted in pattern.parameters:
                continue
            seen.add(wanted)
            if wanted in pattern.constants:
                if not self.is_constant(actual, *pattern.constants[wanted]):
                    return None
                continue
            statement, maker = pattern.makers[wanted], self.makers.get(actual)
            if maker is None or not is_same(statement, maker):
                return None
            nodes.append(maker)
            for name, other in zip(statement.inputs, maker.input, strict=True):
                if names.setdefault(name, other) != other:
                    return None
                pending.append(name)
        return names, nodes

    def is_constant(self, name: str, kind: str, shape: tuple[int, ...], data: bytes) -> bool:
        tensor = self.initializers.get(name)
        if tensor is None or tensor.data_type != type_number(kind):
            return False
        try:
            found = data_of(tensor, None)
            size = element.Type(kind).size
            return shape_of(tensor) == shape and in_little_endian(found, size) == data
        except (FormatError, Refusal):
            return False


def is_same(statement: Statement, node: Any) -> bool:
    """Whether a node has the operator, the attributes, and as many inputs."""
    if node.op_type != statement.op or node.domain or len(node.input) != len(statement.inputs):
        return False
    value_of = import_onnx().helper.get_attribute_value
    found = {item.name: value_of(item) for item in node.attribute}
    wanted = dict(statement.attributes)
    if statement.op == "Cast":
        wanted["to"] = type_number(wanted["to"])
    return found == wanted


def axes_to_try(data: Output | None) -> Iterator[int]:
    """Axes that may be that of the channels, the likely ones first."""
    rank = 0 if data is None else len(data.partial_shape)
    if 2 <= rank <= MOST_AXES_OF_DATA:
        yield from sorted(range(rank), key=lambda axis: (axis != 1, axis != rank - 1, axis))


def lengths_of(output: Output) -> tuple[int | None, ...]:
    return tuple(length.length if length.is_static else None for length in output.partial_shape)
