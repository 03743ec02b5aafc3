"""StableHLO as jaxlib's parser reads it: one list of operations, in values of Python.

The functions that are called stand in place of the calls, so that a reader sees one function. What
the parser gives belongs to a context of MLIR, which is gone when this is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..attributes import MOST_AXES, in_little_endian
from ..errors import FormatError
from ..names import printable
from .limits import BYTECODE, check_limits, unescaped

#: A known length, None, or the ends of an interval.
Length: TypeAlias = "int | tuple[int, int] | None"

#: normgraph's names of MLIR's element types.
ELEMENT_NAMES = {
    "i1": "boolean",
    "bf16": "bf16",
    **{f"f{bits}": f"f{bits}" for bits in (16, 32, 64)},
    **{f"i{bits}": f"i{bits}" for bits in (8, 16, 32, 64)},
    **{f"ui{bits}": f"u{bits}" for bits in (8, 16, 32, 64)},
}

#: A program may have this many operations more than are in its text: functions that call each
#: other twice would else double it with every line.
MOST_INLINED = 100_000

#: The largest length that a Dimension has.
LONGEST = 2**63 - 2

#: How a text that is parsed is called in locations.
SOURCE = "-"

#: A string in the text of a location.
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Tensor(NamedTuple):
    """The type of a value; element and shape are None for what normgraph has not."""

    element: str | None
    shape: tuple[Length, ...] | None
    text: str


@dataclass(eq=False)
class Value:
    """A value of the program, compared by identity."""

    type: Tensor
    #: The operation that makes it, None for an argument.
    source: Operation | None = None
    #: Its place among the results of its source.
    index: int = 0
    #: How many operands and results it is.
    uses: int = 0
    #: What all elements are, an array of numpy without axes, where that is known.
    number: Any = None
    #: The value that this one is another name of.
    same: Value | None = None

    @property
    def shape(self) -> tuple[Length, ...]:
        assert self.type.shape is not None, self.type
        return self.type.shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def element(self) -> str:
        assert self.type.element is not None, self.type
        return self.type.element


@dataclass(eq=False)
class Operation:
    """An operation with its attributes as values of Python; what has no such value is its text."""

    name: str
    #: Where it stands in what has been read.
    place: str
    operands: list[Value] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    results: list[Value] = field(default_factory=list)
    #: What its result is called.
    wish: str | None = None
    #: What a reduction is made with, such as stablehlo.add; None for no region or another one.
    body: str | None = None


class Argument(NamedTuple):
    """An argument of main, and what it is called."""

    value: Value
    name: str | None


class Elements(NamedTuple):
    """The elements of a constant. Those that all are equal are one element."""

    is_splat: bool
    #: Those of the type's name in normgraph, as unsigned integers of its size.
    bits: npt.NDArray[Any]


class Place(NamedTuple):
    """A place in a file."""

    name: str
    line: int
    column: int


class Program(NamedTuple):
    """The function main of a module, with what it calls."""

    name: str | None
    arguments: list[Argument]
    operations: list[Operation]
    results: list[Value]


class Refusal(NamedTuple):
    """What keeps a program from being read; the place comes first."""

    place: str
    text: str


def read_program(data: bytes, refuse: Callable[[str, str], None]) -> Program:
    """The program's function main, with what it calls.

    refuse is called with a place and a text for what cannot be represented; it is not fatal here.
    Raises ImportError without jaxlib, FormatError for what its parser refuses and for a module
    without a function main.
    """
    check_limits(data)
    mlir = Mlir()
    context = mlir.new_context()
    with context:
        module = mlir.parsed(context, data)
        return Flattening(mlir, data, refuse).program_of(module)


class Mlir:
    """The modules of jaxlib that know MLIR."""

    def __init__(self) -> None:
        try:
            from jaxlib.mlir import ir
            from jaxlib.mlir._mlir_libs import _jax_mlir_ext
            from jaxlib.mlir.dialects import chlo, stablehlo
        except ImportError as error:
            raise ImportError(
                "reading StableHLO needs the package jaxlib, which is not installed: "
                'pip install "normgraph[jax]"'
            ) from error
        self.ir: Any = ir
        self.stablehlo: Any = stablehlo
        self.chlo: Any = chlo
        self.extension: Any = _jax_mlir_ext
        self.names: Sequence[Any] = (
            stablehlo.ComparisonDirectionAttr,
            stablehlo.ComparisonTypeAttr,
            stablehlo.PrecisionAttr,
        )
        self.numbers: tuple[Any, ...] = (ir.IntegerAttr, ir.BoolAttr, ir.FloatAttr)

    def new_context(self) -> Any:
        """A context that knows the dialects, without threads of its own."""
        registry = self.ir.DialectRegistry()
        self.extension.register_dialects(registry)
        context = self.ir.Context()
        context.append_dialect_registry(registry)
        context.enable_multithreading(False)
        self.stablehlo.register_dialect(context)
        self.chlo.register_dialect(context)
        return context

    def parsed(self, context: Any, data: bytes) -> Any:
        """The module, verified. Raises FormatError with what the parser says."""
        messages: list[str] = []

        def keep(diagnostic: Any) -> bool:
            if diagnostic.severity == self.ir.DiagnosticSeverity.ERROR:
                messages.append(self.message_of(diagnostic))
            return True

        is_bytecode = data.startswith(BYTECODE)
        # Else the messages of a text would come with an exception, for which the process ends if
        # one of them is not UTF-8, and those of an artifact would go to stderr.
        context.emit_error_diagnostics = True
        handler = context.attach_diagnostic_handler(keep)
        try:
            if is_bytecode:
                return self.stablehlo.deserialize_portable_artifact(context, data)
            return self.ir.Module.parse(data)
        except (self.ir.MLIRError, ValueError, MemoryError) as error:
            what = "a portable artifact" if is_bytecode else "a text"
            said = "; ".join(dict.fromkeys(messages)) or str(error)
            raise FormatError(
                f"expected {what} of StableHLO; jaxlib's parser says: {said}"
            ) from None
        finally:
            handler.detach()

    def message_of(self, diagnostic: Any) -> str:
        try:
            return f"{self.place_of(diagnostic.location, '')}{diagnostic.message}"
        except RuntimeError:
            return "an error, of which it has a message that is not UTF-8"

    def place_of(self, location: Any, otherwise: str) -> str:
        """A location as the beginning of a message."""
        for _ in range(8):
            location = self.with_class(location)
            if isinstance(location, self.ir.NameLoc):
                location = location.child_loc
            elif isinstance(location, self.ir.CallSiteLoc):
                location = location.callee
            else:
                break
        file = self.file_of(location)
        if file is None or file.line == 0:
            return otherwise
        if file.name == SOURCE:
            return f"line {file.line}, column {file.column}: "
        return f"{printable(file.name)}:{file.line}:{file.column}: "

    def file_of(self, location: Any) -> Place | None:
        """The place in a file that a location is, from its text, in which all is ASCII."""
        if not isinstance(location, self.ir.FileLineColLoc):
            return None
        name = QUOTED.search(str(location))
        assert name is not None, location
        text = unescaped(name[1].encode()).decode(errors="replace")
        return Place(text, location.start_line, location.start_col)

    def name_of(self, location: Any) -> str | None:
        """The name that a location is, which stands for no other one that is long."""
        if not isinstance(location, self.ir.NameLoc):
            return None
        inner = self.with_class(location.child_loc)
        if isinstance(inner, (self.ir.NameLoc, self.ir.CallSiteLoc, self.ir.FusedLoc)):
            return None
        name = QUOTED.search(str(location))
        return unescaped(name[1].encode()).decode(errors="replace") or None if name else None

    def with_class(self, location: Any) -> Any:
        """A location as one of its class, which those of errors are not by themselves."""
        kinds = (self.ir.FileLineColLoc, self.ir.NameLoc, self.ir.CallSiteLoc, self.ir.FusedLoc)
        for kind in kinds:
            if isinstance(location, kind):
                return location
            try:
                return kind(location)
            except ValueError:
                continue
        return location

    def text_of(self, attribute: Any) -> str:
        """The text of an attribute that is a string."""
        text: bytes = attribute.value_bytes
        return text.decode(errors="replace")

    def attribute_of(self, attribute: Any) -> Any:
        """A value of Python; of what has none, its text, or no more than its kind.

        The text of what holds other attributes may be long beyond all bounds: these may be shared.
        """
        ir = self.ir
        if isinstance(attribute, ir.StringAttr):
            return self.text_of(attribute)
        if isinstance(attribute, self.numbers):
            return attribute.value
        if isinstance(attribute, ir.DenseElementsAttr):
            return attribute
        if isinstance(attribute, ir.DenseI64ArrayAttr):
            return tuple(attribute)
        for kind in self.names:
            if kind.isinstance(attribute):
                return kind(attribute).value
        if self.stablehlo.ResultAccuracyAttr.isinstance(attribute):
            return self.stablehlo.ResultAccuracyAttr(attribute).mode
        if self.stablehlo.DotDimensionNumbers.isinstance(attribute):
            numbers = self.stablehlo.DotDimensionNumbers(attribute)
            return (
                tuple(numbers.lhs_batching_dimensions),
                tuple(numbers.rhs_batching_dimensions),
                tuple(numbers.lhs_contracting_dimensions),
                tuple(numbers.rhs_contracting_dimensions),
            )
        if self.stablehlo.DotAlgorithm.isinstance(attribute):
            return str(attribute)
        return type(attribute).__name__

    def elements_of(self, attribute: Any, type_: Tensor) -> Elements | str:
        """The elements of a constant, or the text of what has none that can be had."""
        if not isinstance(attribute, self.ir.DenseElementsAttr) or type_.element is None:
            return "another kind"
        is_splat = bool(attribute.is_splat)
        if type_.element == "bf16":
            return Elements(is_splat, bits_of_text(str(attribute)))
        array = np.asarray(attribute)
        if is_splat:
            # A view of one element, whatever the shape.
            array = array.reshape(-1)[:1] if array.size <= 1 else array[(0,) * array.ndim]
        flat = np.ascontiguousarray(array).reshape(-1)
        bits = flat.view(f"u{flat.dtype.itemsize}")
        if type_.element == "boolean":
            bits = (bits != 0).astype(np.uint8)
        return Elements(is_splat, bits.copy())


def bits_of_text(text: str) -> npt.NDArray[np.uint16]:
    """The elements of bf16, for which Python has no buffers, from the text of an attribute.

    They are numbers, bits in hexadecimal, or in one string the bytes of all of them.
    """
    inside = text[text.index("<") + 1 : text.rindex(">", 0, text.rindex(": tensor"))]
    if inside.startswith('"0x'):
        data = in_little_endian(bytes.fromhex(inside[3:-1]), 2)
        return np.array(memoryview(data).cast("H"), np.uint16)
    tokens = re.findall(r"0x[0-9A-Fa-f]+|[-+0-9.eE]+", inside)
    return np.array([bits_of_bf16(token) for token in tokens], np.uint16)


def bits_of_bf16(token: str) -> int:
    """A number that is near one of bf16, which has been printed in decimals."""
    if token.startswith("0x"):
        return int(token, 16)
    wide = int(np.float32(token).view(np.uint32))
    return (wide + 0x7FFF + (wide >> 16 & 1)) >> 16


class Frame(NamedTuple):
    """A function that is being read."""

    name: str
    operations: Iterator[Any]
    values: dict[Any, Value]
    #: The results of the call, None for main.
    call: Any


class Flattening:
    """Puts functions in place of their calls, without recursion."""

    def __init__(self, mlir: Mlir, data: bytes, refuse: Callable[[str, str], None]) -> None:
        self.mlir = mlir
        self.refuse = refuse
        self.lines = [] if data.startswith(BYTECODE) else data.split(b"\n")
        self.types: dict[Any, Tensor] = {}
        self.operations: list[Operation] = []
        self.functions: dict[str, Any] = {}
        #: What functions that are called call the arguments of main.
        self.names: dict[Value, str] = {}

    def program_of(self, module: Any) -> Program:
        for operation in module.body.operations:
            name = operation.operation.name
            if name == "func.func":
                self.functions[self.mlir.text_of(operation.attributes["sym_name"])] = operation
            else:
                self.refuse(self.place_of(operation, "module"), f"{name}: expected func.func")
        main = self.main_function()
        block = main.regions[0].blocks[0]
        arguments = [
            Argument(Value(self.tensor_of(argument.type)), self.name_of_argument(argument))
            for argument in block.arguments
        ]
        results = self.flatten(main, [argument.value for argument in arguments])
        arguments = [
            argument._replace(name=argument.name or self.names.get(argument.value))
            for argument in arguments
        ]
        attributes = module.operation.attributes
        name = self.mlir.text_of(attributes["sym_name"]) if "sym_name" in attributes else None
        return Program(name, arguments, self.operations, results)

    def main_function(self) -> Any:
        """The function main, or the only one."""
        main = self.functions.get("main")
        if main is None and len(self.functions) == 1:
            (main,) = self.functions.values()
        if main is None:
            names = ", ".join(printable(name) for name in list(self.functions)[:8]) or "none"
            raise FormatError(f"expected a function main in the module, got {names}")
        if len(main.regions[0].blocks) == 0:
            raise FormatError("expected a body of the function main, got a declaration")
        return main

    # ---- functions in place of calls -------------------------------------------------------------

    def flatten(self, main: Any, arguments: list[Value]) -> list[Value]:
        """Read main and what it calls; the values that main returns."""
        frames = [self.frame_of("main", main, arguments, None)]
        allowed = MOST_INLINED + sum(
            len(block.operations)
            for function in self.functions.values()
            for block in function.regions[0].blocks
        )
        while True:
            frame = frames[-1]
            operation = next(frame.operations, None)
            if operation is None:
                raise FormatError(f"expected a return at the end of {frame.name}")
            allowed -= 1
            if allowed < 0:
                raise FormatError(
                    "expected functions that have at most "
                    f"{MOST_INLINED} operations more when they stand in place of their calls"
                )
            name = operation.operation.name
            operands = [frame.values[operand] for operand in operation.operation.operands]
            if name == "func.return":
                frames.pop()
                if not frames:
                    for value in operands:
                        value.uses += 1
                    return operands
                frames[-1].values.update(zip(frame.call, operands, strict=True))
            elif name == "func.call" and (callee := self.callee_of(operation, frames)) is not None:
                call = list(operation.operation.results)
                frames.append(self.frame_of(*callee, operands, call))
            else:
                self.add(operation, operands, frame)

    def callee_of(self, operation: Any, frames: Sequence[Frame]) -> tuple[str, Any] | None:
        """The function that is called, None for what cannot stand in place of the call."""
        name = operation.attributes["callee"].value
        function = self.functions[name]
        blocks = len(function.regions[0].blocks)
        if blocks != 1:
            got = "a declaration" if blocks == 0 else f"{blocks} blocks"
            self.refuse(
                self.place_of(operation, "main"),
                f"func.call: expected {printable(name)} to be one block, got {got}",
            )
            return None
        if any(frame.name == name for frame in frames):
            raise FormatError(
                f"{self.place_of(operation, 'main')}: func.call: expected a function that does not "
                f"call itself, got {printable(name)}"
            )
        return name, function

    def frame_of(self, name: str, function: Any, arguments: list[Value], call: Any) -> Frame:
        block = function.regions[0].blocks[0]
        values = dict(zip(block.arguments, arguments, strict=True))
        for argument, value in values.items():
            called = None if value in self.names else self.mlir.name_of(argument.location)
            if value.source is None and called is not None:
                self.names[value] = called
        return Frame(name, iter(block.operations), values, call)

    def add(self, operation: Any, operands: list[Value], frame: Frame) -> None:
        made = Operation(
            operation.operation.name,
            self.place_of(operation, frame.name),
            operands,
            wish=self.name_of_result(operation),
            body=self.body_of(operation),
        )
        results = list(operation.operation.results)
        made.results = [
            Value(self.tensor_of(result.type), made, index) for index, result in enumerate(results)
        ]
        made.attributes = {
            name: self.mlir.attribute_of(operation.attributes[name])
            for name in operation.attributes
        }
        if made.name == "stablehlo.constant":
            value = made.attributes["value"]
            made.attributes["value"] = self.mlir.elements_of(value, made.results[0].type)
        for value in operands:
            value.uses += 1
        frame.values.update(zip(results, made.results, strict=True))
        self.operations.append(made)

    def body_of(self, operation: Any) -> str | None:
        """The only operation of a region that combines two elements, if it is such a region."""
        if len(operation.regions) != 1 or len(operation.regions[0].blocks) != 1:
            return None
        block = operation.regions[0].blocks[0]
        if len(block.arguments) != 2 or len(block.operations) != 2:
            return None
        inner, end = block.operations
        arguments, operands = list(block.arguments), list(inner.operation.operands)
        is_plain = operands in (arguments, arguments[::-1])
        returns = list(end.operation.operands) == list(inner.operation.results)
        return str(inner.operation.name) if is_plain and returns else None

    # ---- types, places, names --------------------------------------------------------------------

    def tensor_of(self, type_: Any) -> Tensor:
        if type_ not in self.types:
            self.types[type_] = self.new_tensor(type_)
        return self.types[type_]

    def new_tensor(self, type_: Any) -> Tensor:
        ir = self.mlir.ir
        if not isinstance(type_, ir.RankedTensorType):
            return Tensor(None, None, type(type_).__name__)
        bounds = self.bounds_of(type_)
        if bounds is None:
            return Tensor(None, None, "a tensor with another encoding")
        element_type = type_.element_type
        is_number = isinstance(element_type, (ir.IntegerType, ir.FloatType, ir.ComplexType))
        if not is_number:
            return Tensor(None, None, "a tensor of another type")
        text = printable(str(type_))
        if type_.rank > MOST_AXES:
            return Tensor(None, None, f"{text} of more than {MOST_AXES} axes")
        element = ELEMENT_NAMES.get(str(element_type))
        shape: list[Length] = []
        for axis, bound in enumerate(bounds):
            if not type_.is_dynamic_dim(axis):
                length = int(type_.get_dim_size(axis))
                # An artifact may have negative ones, which the verifier does not look at.
                if not 0 <= length <= LONGEST:
                    return Tensor(element, None, text)
                shape.append(length)
            else:
                shape.append((0, bound) if 0 <= bound <= LONGEST else None)
        return Tensor(element, tuple(shape), text)

    def bounds_of(self, type_: Any) -> list[int] | None:
        """The largest length of each axis, negative for none; None for an unknown encoding."""
        encoding = type_.encoding
        if encoding is None:
            return [-1] * int(type_.rank)
        extensions = self.mlir.stablehlo.TypeExtensions
        if not extensions.isinstance(encoding):
            return None
        return list(extensions(encoding).bounds)

    def place_of(self, operation: Any, function: str) -> str:
        place = self.mlir.place_of(operation.location, f"{printable(function)}: ")
        return place.removesuffix(": ")

    def text_around(self, location: Any) -> tuple[bytes, bytes]:
        """What stands before and behind a location in the text's line, cut to some length."""
        file = self.mlir.file_of(location)
        if file is None or file.name != SOURCE or not 1 <= file.line <= len(self.lines):
            return b"", b""
        text, column = self.lines[file.line - 1], max(file.column, 1)
        return text[max(0, column - 201) : column - 1], text[column - 1 : column + 199]

    def name_of_argument(self, argument: Any) -> str | None:
        """The name in its location, or that in the text, which MLIR does not keep itself."""
        found = re.match(rb"%([A-Za-z_$.-][\w$.-]*)", self.text_around(argument.location)[1])
        return found[1].decode() if found else self.mlir.name_of(argument.location)

    def name_of_result(self, operation: Any) -> str | None:
        """What the text calls the result, or the results together."""
        before, _behind = self.text_around(operation.location)
        found = re.search(rb"(,?)\s*%([A-Za-z_$.-][\w$.-]*)(?::\d+)?\s*=\s*$", before)
        return found[2].decode() if found and not found[1] else None
