"""A node of a model as readers of operators see it: inputs and attributes of the right kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..._core import Constant, Output, element
from ..attributes import MOST_AXES
from ..conditions import Condition, condition_of
from ..errors import FormatError
from ..graph_reader import Builder, Comparison, Refusal, View
from ..names import elements_of, printable
from ..products import Product
from .lengths import Lengths, Share
from .protobuf import import_onnx

#: The opsets whose operators are known.
OLDEST_OPSET, NEWEST_OPSET = 6, 28

#: How much of a name a message shows.
LONGEST_NAME = 100

#: What a value of a model can be.
Operand: TypeAlias = View | Lengths | Comparison | Condition | Share

#: The field of each kind of attribute, and how a message calls it.
KINDS = {
    "FLOAT": ("f", "a number"),
    "INT": ("i", "an integer"),
    "STRING": ("s", "a string"),
    "TENSOR": ("t", "a tensor"),
    "FLOATS": ("floats", "numbers"),
    "INTS": ("ints", "integers"),
    "STRINGS": ("strings", "strings"),
    "SPARSE_TENSOR": ("sparse_tensor", "a sparse tensor"),
}


class Attribute(NamedTuple):
    """An attribute of an operator, in the opsets that have it."""

    kind: str
    since: int = OLDEST_OPSET
    before: int = NEWEST_OPSET + 1


class Operator(NamedTuple):
    """How an operator is read: what it has, and what makes its outputs of a statement."""

    read: Callable[[Statement], Operand | Sequence[Operand]]
    inputs: tuple[int, int | None]
    attributes: Mapping[str, Attribute] = {}
    outputs: int = 1
    since: int = OLDEST_OPSET


class Scope:
    """What all statements of a model share."""

    def __init__(self, opset: int, folder: Path | None) -> None:
        self.opset = opset
        self.folder = folder
        self.builder = Builder()
        #: Symbols of lengths that are not known, and values by the lengths that they have.
        self.symbols: dict[Any, int] = {}
        self.named_lengths: dict[tuple[Output, int], str] = {}
        self.by_lengths: dict[tuple[Product, ...], Output] = {}
        self.zeros: dict[Output, bool] = {}

    def length(self, view: View, axis: int) -> Product:
        """The length of an axis, as a number or a symbol."""
        length = view.lengths[axis]
        if length.is_static:
            return Product(length.length)
        # A length along which a value is only repeated has no place: it is equal to no other.
        place: Any = object()
        if axis in view.axes:
            place = self.builder.origins_of(view.output)[view.axes.index(axis)]
            place = self.named_lengths.get(place, place)
        return Product(1, (self.symbols.setdefault(place, len(self.symbols)),))

    def lengths(self, view: View) -> tuple[Product, ...]:
        """The shape; it is remembered that this value has it."""
        found = tuple(self.length(view, axis) for axis in range(view.rank))
        if view.axes == tuple(range(view.rank)):
            self.by_lengths.setdefault(found, view.output)
        return found

    def is_zero(self, view: View) -> bool:
        """Whether all elements are +0 that the model contains, perhaps repeated and cast."""
        output = view.output
        for _ in range(2):
            if output.node.type_name in ("Broadcast", "Convert"):
                output = output.node.input(0).source
        if output not in self.zeros:
            node = output.node
            is_constant = isinstance(node, Constant)
            self.zeros[output] = is_constant and not node.attributes["data"].strip(b"\0")
        return self.zeros[output]


class Statement:
    """A node of the model with its operands; None for inputs that are left out."""

    def __init__(
        self,
        node: Any,
        scope: Scope,
        operands: Sequence[Operand | None],
        attributes: Mapping[str, Any],
        read: Sequence[int],
        narrow: element.Type | None,
    ) -> None:
        self.node = node
        self.scope = scope
        self.builder = scope.builder
        self.operands = operands
        self.attributes = attributes
        #: The outputs that something reads.
        self.read = read
        #: The type to which all that reads the first output casts it.
        self.narrow = narrow

    def has(self, index: int) -> bool:
        """Whether this input is given."""
        return index < len(self.operands) and self.operands[index] is not None

    def operand(self, index: int) -> Operand:
        """An input. Raises Refusal where it is left out."""
        found = self.operands[index] if index < len(self.operands) else None
        if found is None:
            raise Refusal(f"input {index}: expected a value, got none")
        return found

    def view(self, index: int) -> View:
        """An input as a tensor. Raises Refusal."""
        found = self.operand(index)
        if isinstance(found, View):
            return found
        if isinstance(found, Comparison):
            raise Refusal(
                f"input {index}: expected numbers, got booleans of a comparison, which normgraph "
                "has only where they select"
            )
        if isinstance(found, Condition):
            raise Refusal(
                f"input {index}: expected numbers, got a boolean that is negated or repeated, "
                "which normgraph has only where it selects"
            )
        if isinstance(found, Share) or found.known is None:
            raise Refusal(f"input {index}: expected a tensor, got lengths that are not known yet")
        if found.type.is_real and found.is_scalar:
            return self.builder.scalar(found.known[0], found.type)
        data = np.array(found.known, np.int64).tobytes()
        shape = [] if found.is_scalar else [len(found.known)]
        return self.builder.constant(element.i64, shape, data)

    def condition(self, index: int) -> Condition | None:
        """An input that is a boolean, or one that is negated or repeated; None for all else."""
        found = self.operand(index)
        if isinstance(found, View):
            return condition_of(found)
        return found if isinstance(found, Condition) else None

    def integers(self, index: int) -> Lengths:
        """An input as integers, of which some may be lengths that are not known. Raises Refusal."""
        found = self.operand(index)
        if isinstance(found, Lengths):
            return found
        constant = found.constant if isinstance(found, View) else None
        if constant is None or constant.element_type not in (element.i32, element.i64):
            raise Refusal(f"input {index}: expected integers that the model contains")
        if len(constant.shape) > 1 or constant.shape > (MOST_AXES,):
            raise Refusal(
                f"input {index}: expected at most {MOST_AXES} integers, got {list(constant.shape)}"
            )
        numbers = tuple(Product(int(number)) for number in constant.array().reshape(-1))
        return Lengths(numbers, constant.shape == ())

    def known_integers(self, index: int) -> tuple[int, ...]:
        """An input as integers. Raises Refusal where they are not known."""
        known = self.integers(index).known
        if known is None:
            raise Refusal(
                f"input {index}: expected integers that are known, got lengths that are not"
            )
        return known

    def number(self, index: int) -> float:
        """An input that is one number. Raises Refusal."""
        found = self.operand(index)
        if isinstance(found, Lengths) and found.known is not None and len(found.known) == 1:
            return float(found.known[0])
        constant = found.constant if isinstance(found, View) else None
        if constant is None or any(length != 1 for length in constant.shape):
            raise Refusal(f"input {index}: expected one number that the model contains")
        return float(elements_of(constant).reshape(-1)[0])


def described(node: Any) -> str:
    """A node as a message names it."""
    op = f"{node.domain}.{node.op_type}" if is_foreign(node) else node.op_type
    if node.name:
        return f"{printable(op, LONGEST_NAME)} '{printable(node.name, LONGEST_NAME)}'"
    first = next((name for name in node.output if name), "")
    return f"{printable(op, LONGEST_NAME)} of '{printable(first, LONGEST_NAME)}'"


def is_foreign(node: Any) -> bool:
    """Whether this is an operator of another domain than ONNX' own."""
    return node.domain not in ("", "ai.onnx")


def attributes_of(node: Any, operator: Operator, opset: int) -> dict[str, Any]:
    """The attributes by name. Raises Refusal that lists all that are not known, FormatError."""
    known = {
        name: attribute
        for name, attribute in operator.attributes.items()
        if attribute.since <= opset < attribute.before
    }
    found: dict[str, Any] = {}
    faults = []
    for attribute in node.attribute:
        if attribute.name in found:
            raise FormatError(
                f"{described(node)}: expected each attribute once, got "
                f"'{printable(attribute.name)}' twice"
            )
        found[attribute.name] = None
        if attribute.name not in known:
            names = ", ".join(known) or "none"
            faults.append(
                f"attribute '{printable(attribute.name)}': expected one of opset {opset} ({names})"
            )
            continue
        kind = known[attribute.name].kind
        field, text = KINDS[kind]
        kinds = import_onnx().AttributeProto.AttributeType
        if attribute.ref_attr_name or attribute.type != kinds.Value(kind):
            faults.append(f"attribute '{attribute.name}': expected {text}, got something else")
            continue
        found[attribute.name] = getattr(attribute, field)
    if faults:
        raise Refusal("; ".join(faults))
    return found
