"""Reading a model of ONNX as a Function.

The package onnx parses the bytes. What is left is one walk over the nodes, in the model's order,
each of which reads only values that are there already: so there are no cycles and nothing is
recursive. What no result needs is not read. What normgraph has no op for is kept, and what depends
on it is passed over, until all of it is raised as one error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..._core import Constant, Function, Output, Parameter, element
from ..arguments import path_of, refuse
from ..errors import FormatError
from ..graph_reader import Refusal, Refusals, View, check_lengths
from ..names import printable
from .masks import Found, Masks
from .operators import OPERATORS
from .protobuf import decode_error, element_type_of, import_onnx
from .statement import (
    NEWEST_OPSET,
    OLDEST_OPSET,
    Operand,
    Operator,
    Scope,
    Statement,
    attributes_of,
    described,
    is_foreign,
)
from .tensors import data_of, known_type, shape_of, text_of

__all__ = ["load", "loads"]

if TYPE_CHECKING:
    import onnx


def load(path: str | PathLike[str] | BinaryIO) -> Function:
    """Read a function from a model of ONNX in a file, or in what is open to read bytes.

    See loads. Data that the model has in other files are read from a path's folder, and from no
    file outside it. Raises OSError as open does.
    """
    if hasattr(path, "read"):
        return function_of(parsed(path.read()), None)
    source = path_of(path)
    return function_of(parsed(source.read_bytes()), source.parent)


def loads(model: bytes | onnx.ModelProto) -> Function:
    """The function that a model of ONNX says, from its bytes or as the package onnx has it.

    Parameters and results have the names, and the order, of the model's inputs and outputs;
    initializers are constants of their name, whether or not they are inputs with a default as well;
    nodes have the names of the model's. Lengths that are symbols, or that are not there, are not
    known. A length that is not known is taken to be that of what it meets, not 1.

    Opsets 6 to 28 of ONNX' own operators are read. What computes in a wider type and is cast to
    that of its data, as Sum or an operator on 16 bits that to_model has written, becomes one op.
    Where selects from a value and 0 by a boolean that is given, or its negation. An epsilon becomes
    the decimal of at most six digits that rounds to the model's f32.

    Raises FormatError for what is no model, ImportError without the package onnx, and
    NotImportableError, which lists all of them by node and attribute, for what normgraph has no op
    for: training of BatchNormalization before opset 14, other operators and element types,
    reshaping and transposing where axes of length 1 are not all that changes. No size that a model
    claims is believed before the data are there.
    """
    if isinstance(model, (bytes, bytearray, memoryview)):
        return function_of(parsed(bytes(model)), None)
    if not isinstance(model, import_onnx().ModelProto):
        refuse("model", "bytes or an onnx.ModelProto", model)
    return function_of(model, None)


def parsed(data: object) -> Any:
    """The model in these bytes. Raises FormatError."""
    if not isinstance(data, bytes):
        refuse("path", "a file that is open to read bytes", data)
    model = import_onnx().ModelProto()
    try:
        model.ParseFromString(data)
    except decode_error() as error:
        raise FormatError(f"model: expected a model of ONNX, got other bytes ({error})") from None
    return model


def function_of(model: Any, folder: Path | None) -> Function:
    try:
        return Reader(model, folder).function()
    except UnicodeDecodeError:
        raise FormatError("model: expected names in UTF-8, got other bytes") from None


def opset_of(model: Any) -> int:
    """The version of ONNX' own operators. Raises FormatError."""
    found = [item.version for item in model.opset_import if not is_foreign(item)]
    if not found and model.opset_import:
        # All nodes are of other domains, which is said of each of them.
        return NEWEST_OPSET
    if len(found) != 1:
        raise FormatError(f"opset_import: expected one version of ONNX' operators, got {found}")
    return int(found[0])


def needed_names(graph: Any) -> set[str]:
    """The names of values on which the outputs depend."""
    makers = {name: node for node in graph.node for name in node.output if name}
    wanted = [value.name for value in graph.output]
    seen = set(wanted)
    while wanted:
        node = makers.get(wanted.pop())
        new = [name for name in node.input if name not in seen] if node is not None else []
        seen.update(new)
        wanted += new
    return seen - {""}


class Reader:
    """Reads one model."""

    def __init__(self, model: Any, folder: Path | None) -> None:
        self.graph = model.graph
        self.scope = Scope(opset_of(model), folder)
        self.builder = self.scope.builder
        self.refusals = Refusals()
        #: What each name stands for; None for what has been refused, or depends on it.
        self.values: dict[str, Operand | None] = {}
        self.initializers = {tensor.name: tensor for tensor in self.graph.initializer}
        self.parameters: list[View] = []
        self.outputs = {value.name for value in self.graph.output}
        self.needed = needed_names(self.graph)
        self.readers: dict[str, list[Any]] = {}
        #: Where nodes stand, and the places of refusals, by the first output of the node.
        self.places: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    def function(self) -> Function:
        """The whole function. Raises FormatError and NotImportableError."""
        self.check_names()
        self.check_model()
        nodes = [node for node in self.graph.node if not self.needed.isdisjoint(node.output)]
        for place, node in enumerate(nodes):
            self.places[first_output(node)] = place
            for name in set(node.input):
                self.readers.setdefault(name, []).append(node)
        for value in self.graph.input:
            if value.name not in self.initializers:
                self.add_parameter(value)
        self.masks = Masks(self.builder, nodes, self.initializers, self.values)
        for node in nodes:
            before = len(self.refusals.lines)
            self.add(node)
            if len(self.refusals.lines) > before:
                self.refused[first_output(node)] = len(self.refusals.lines) - 1
        outputs = [self.result(value) for value in self.graph.output]
        self.refusals.check()
        results = [output for output in outputs if output is not None]
        return self.builder.function(results, self.parameters, self.graph.name)

    # ---- what is given ---------------------------------------------------------------------------

    def check_names(self) -> None:
        """Raise FormatError for names that two values have, and for a graph without outputs."""
        for name in all_names(self.graph):
            if not isinstance(name, str):
                raise FormatError(
                    f"graph: expected names in UTF-8, got '{printable(text_of(name))}'"
                )
        if not self.graph.output:
            raise FormatError("graph: expected outputs, got none")
        names = [value.name for value in self.graph.input]
        check_different("inputs", names)
        check_different("initializers", [tensor.name for tensor in self.graph.initializer])
        made = [name for node in self.graph.node for name in node.output if name]
        check_different("outputs of nodes", made)
        taken = {*names, *self.initializers}
        for name in made:
            if name in taken:
                raise FormatError(
                    f"outputs of nodes: expected new names, got '{printable(name)}', which an "
                    "input or initializer has"
                )

    def check_model(self) -> None:
        """Keep what is wrong with the whole: the opset, and data in forms that are not read."""
        opset = self.scope.opset
        if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
            self.refusals.add(
                "opset_import", f"expected opset {OLDEST_OPSET} to {NEWEST_OPSET}, got {opset}"
            )
            self.refusals.check()
        for tensor in self.graph.sparse_initializer:
            self.refusals.add(
                f"initializer '{printable(tensor.values.name)}'",
                "expected a dense tensor, got a sparse one",
            )
            self.values[tensor.values.name] = None

    def add_parameter(self, value: Any) -> None:
        self.values[value.name] = None
        with self.refusals.at(f"input '{printable(value.name)}'"):
            type_, lengths = declared(value)
            if lengths is None:
                raise Refusal("expected a known rank, got a tensor of any")
            view = self.builder.parameter(value.name, type_, lengths)
            for axis, length in enumerate(value.type.tensor_type.shape.dim):
                if length.dim_param:
                    self.scope.named_lengths[view.output, axis] = length.dim_param
            self.scope.lengths(view)
            self.values[value.name] = view
            self.parameters.append(view)

    def value(self, name: str, reader: str) -> Operand | None:
        """What a name stands for, None if it has been refused. Raises FormatError."""
        if name not in self.values:
            tensor = self.initializers.get(name)
            if tensor is None:
                raise FormatError(
                    f"{reader}: expected a value that is there before it, got '{printable(name)}'"
                )
            self.values[name] = None
            with self.refusals.at(f"initializer '{printable(name)}'"):
                type_, data = known_type(tensor.data_type), data_of(tensor, self.scope.folder)
                self.values[name] = self.builder.constant(type_, shape_of(tensor), data, name)
        return self.values[name]

    # ---- nodes -----------------------------------------------------------------------------------

    def add(self, node: Any) -> None:
        """What a node makes; nothing where it, or what it reads, has been refused."""
        place = described(node)
        # Before its own names are there, so that no node reads itself.
        operands = [self.value(name, place) if name else None for name in node.input]
        self.values.update((name, None) for name in node.output if name)
        with self.refusals.at(place):
            if (found := self.masks.find(node)) is not None:
                self.take_mask(node, found)
                return
            operator = operator_of(node, self.scope.opset)
            attributes = attributes_of(node, operator, self.scope.opset)
            read = [index for index, name in enumerate(node.output) if name in self.needed]
            check_counts(node, operator, read)
            if any(name and self.values[name] is None for name in node.input):
                return
            narrow = self.narrow_type(node.output[0]) if operator.outputs > 1 else None
            made = operator.read(Statement(node, self.scope, operands, attributes, read, narrow))
            results = made if isinstance(made, list) else [made]
            for name, result in zip(node.output, results, strict=False):
                if name:
                    self.values[name] = result
            if isinstance(results[0], View):
                self.builder.call(results[0], node.name or node.output[read[0]])

    def take_mask(self, node: Any, found: Found) -> None:
        """Name an op that stands for many nodes, whose refusals count if others read them."""
        self.values[node.output[0]] = found.view
        self.builder.call(found.view, node.name or node.output[0])
        inside = {first_output(node)}
        # From the last one on, so that all that reads a part comes before it.
        for part in sorted(found.nodes, key=self.place_in_model, reverse=True)[1:]:
            readers = (reader for name in part.output for reader in self.readers.get(name, ()))
            is_read_here = all(first_output(reader) in inside for reader in readers)
            if not is_read_here or not self.outputs.isdisjoint(part.output):
                continue
            inside.add(first_output(part))
            index = self.refused.get(first_output(part))
            if index is not None:
                self.refusals.take_back(index)

    def place_in_model(self, node: Any) -> int:
        return self.places[first_output(node)]

    def narrow_type(self, name: str) -> element.Type | None:
        """The type to which all that reads a value casts it, perhaps after a Transpose."""
        types: set[int] = set()
        names = [name]
        while names:
            current = names.pop()
            readers = self.readers.get(current, [])
            if current in self.outputs or not readers:
                return None
            for node in readers:
                if node.op_type == "Transpose" and len(node.output) == 1:
                    names.append(node.output[0])
                elif node.op_type == "Cast" and not is_foreign(node):
                    types.update(item.i for item in node.attribute if item.name == "to")
                else:
                    return None
        return element_type_of(types.pop()) if len(types) == 1 else None

    # ---- results ---------------------------------------------------------------------------------

    def result(self, value: Any) -> Output | None:
        """An output of the model, None if it has been refused. Raises FormatError."""
        place = f"output '{printable(value.name)}'"
        operand = self.value(value.name, place)
        if operand is None:
            return None
        with self.refusals.at(place):
            if not isinstance(operand, View):
                raise Refusal("expected a tensor of numbers, got a condition or lengths")
            check_is_declared(value, operand)
            result = self.builder.whole(operand)
            call_result(result, value.name)
            return result
        return None


def all_names(graph: Any) -> Iterator[Any]:
    """Every text that is used as a name."""
    yield graph.name
    values = (graph.input, graph.output, graph.initializer)
    yield from (value.name for group in values for value in group)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)


def check_different(what: str, names: Sequence[str]) -> None:
    """Raise FormatError for a name that occurs twice, or is empty."""
    seen: set[str] = set()
    for name in names:
        if name in seen or not name:
            found = f"'{printable(name)}' twice" if name else "an empty one"
            raise FormatError(f"{what}: expected different names, got {found}")
        seen.add(name)


def declared(value: Any) -> tuple[element.Type, list[int | None] | None]:
    """The element type and the lengths of an input or output; None without a rank.

    Raises FormatError, and Refusal for what normgraph has not.
    """
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise Refusal(f"expected a tensor, got {kind or 'no type'}")
    tensor = value.type.tensor_type
    type_ = known_type(tensor.elem_type)
    if not tensor.HasField("shape"):
        return type_, None
    lengths = [
        length.dim_value if length.HasField("dim_value") else None for length in tensor.shape.dim
    ]
    if any(length is not None and length < 0 for length in lengths):
        raise FormatError(f"'{printable(value.name)}': expected lengths >= 0, got {lengths}")
    check_lengths(length for length in lengths if length is not None)
    return type_, lengths


def first_output(node: Any) -> str:
    """What tells a node from all others."""
    return next(str(name) for name in node.output if name)


def call_result(result: Output, name: str) -> None:
    """Give the node of a result the name of the model's output.

    A node "norm" of several outputs is written as "norm.mean" and so on.
    """
    node = result.node
    if isinstance(node, (Constant, Parameter)):
        return
    if len(node.outputs) == 1:
        node.friendly_name = name
    elif name.endswith(f".{result.name}") and name != f".{result.name}":
        node.friendly_name = name.removesuffix(f".{result.name}")


def check_is_declared(value: Any, view: View) -> None:
    """Raise FormatError where an output is not what the model says that it is."""
    if value.type.WhichOneof("value") is None:
        return
    type_, lengths = declared(value)
    is_shape = lengths is None or view.shape.compatible(lengths)
    if type_ != view.type or not is_shape:
        raise FormatError(
            f"output '{printable(value.name)}': expected {type_}{lengths}, as the model says, got "
            f"{view.type}{view.shape}"
        )


def operator_of(node: Any, opset: int) -> Operator:
    """How a node is read. Raises Refusal."""
    operator = None if is_foreign(node) else OPERATORS.get(node.op_type)
    if operator is None:
        raise Refusal("normgraph has no such operator")
    if opset < operator.since:
        raise Refusal(f"expected opset {operator.since} or later, got {opset}")
    return operator


def check_counts(node: Any, operator: Operator, read: Sequence[int]) -> None:
    """Raise Refusal for inputs that the operator has not, and outputs that are read."""
    least, most = operator.inputs
    count = len(node.input)
    if count < least or (most is not None and count > most):
        numbers = f"{least}" if least == most else f"{least} to {most or 'any number'}"
        raise Refusal(f"inputs: expected {numbers}, got {count}")
    if read[-1] >= operator.outputs:
        raise Refusal(f"outputs: expected at most {operator.outputs} that are read, got {read}")
