"""A Function as text of StableHLO, the dialect of MLIR that XLA compiles.

The text is a module with one function, `main`, whose arguments are the parameters and whose results
are the results, in their order. Every primitive op is written as its definition: what normgraph
computes in double, such as a sum, is converted to f64 and back. The ops of the family are their
stages in f64, or, on request, the ops that StableHLO has for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Literal, NamedTuple, TypeAlias, TypeGuard, get_args

from .. import _core
from .._core import Constant, Function, Node, Output, Parameter
from .arguments import check_choice, check_is_function, path_of
from .attributes import in_little_endian
from .errors import NotExpressibleError
from .names import UniqueNames, chosen_name, elements_of
from .stages import (
    check_sizes,
    check_types_are_known,
    described,
    float_of_32_bits,
    read_outputs,
    stages_of,
)

__all__ = ["NotExpressibleError", "dump", "dumps"]

Family: TypeAlias = Literal["stages", "native"]

#: MLIR's names of element types.
TYPE_NAMES = {
    "boolean": "i1",
    "bf16": "bf16",
    **{f"f{bits}": f"f{bits}" for bits in (16, 32, 64)},
    **{f"i{bits}": f"i{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"ui{bits}" for bits in (8, 16, 32, 64)},
}


def dump(function: Function, path: str | PathLike[str], family: Family = "stages") -> None:
    """Write a function to a file as StableHLO. See dumps; raises OSError as open does."""
    target = path_of(path)
    target.write_bytes(dumps(function, family).encode())


def dumps(function: Function, family: Family = "stages") -> str:
    """A function as text of StableHLO.

    family says how ops of the batch-normalization family are written. "stages": as the primitive
    ops that they are made of, in f64, which keeps the errors that normgraph's own kernels have.
    "native": as batch_norm_training, batch_norm_inference and batch_norm_grad, in whatever
    precision a compiler gives them and with epsilon rounded to f32. What these cannot say is
    written as stages all the same: other ops of the family, channel vectors of another type than
    the data, and an epsilon that f32 has not.

    Values are called as the nodes are, with a number where a name is taken; a name that MLIR cannot
    spell becomes a number.

    For an empty batch, which BatchNormTraining and BatchNormTrainingRelu refuse, the program's
    statistics are NaN, as those of decompose(function) are.

    Raises NotExpressibleError, which names them, for parameters whose element type or shape is not
    static, since StableHLO's programs are compiled for one shape, and for 2^63 elements or more.
    """
    check_is_function(function)
    check_choice("family", family, get_args(Family))
    check_is_static(function)
    check_sizes(function)
    return Writer(family).module_of(function)


def check_is_static(function: Function) -> None:
    """Raise NotExpressibleError that lists what is not known before anything runs."""
    check_types_are_known(function.nodes)
    for group in (function.parameters, function.nodes):
        dynamic = [
            f"{described(output.node)}: expected a static shape, got {output.partial_shape}"
            for node in group
            for output in node.outputs
            if output.partial_shape.is_dynamic
        ]
        if dynamic:
            advice = (
                "Set the partial_shape of the parameters, then call "
                "validate_nodes_and_infer_types() of the function."
            )
            raise NotExpressibleError("\n".join([*dynamic, advice]))


class Value(NamedTuple):
    """A value of the text: its name and its type."""

    name: str
    element: str
    shape: tuple[int, ...]

    @property
    def type(self) -> str:
        return f"tensor<{''.join(f'{length}x' for length in self.shape)}{self.element}>"


def type_of(output: Output) -> tuple[str, tuple[int, ...]]:
    """MLIR's name of the element type, and the lengths."""
    lengths = tuple(dimension.length for dimension in output.partial_shape)
    return TYPE_NAMES[output.element_type.name], lengths


def symbol(name: str) -> str:
    """A name as MLIR quotes it: bytes that are not plain are written in hexadecimal."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$.]*", name):
        return f"@{name}"
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}"
        for byte in name.encode()
    )
    return f'@"{"".join(plain)}"'


def is_spelled(name: str | None) -> TypeGuard[str]:
    """Whether MLIR can spell a value's name, which has no quotes."""
    return name is not None and bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$.-]*", name))


class Writer:
    """Writes statements; `values` says which value each output of a node has become."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.lines: list[str] = []
        self.values: dict[Output, Value] = {}
        self.constants: dict[tuple[str, str], Value] = {}
        self.names = UniqueNames("_", 1)
        self.names_of_constants: dict[Node, str] = {}
        self.count = 0
        # As keys, outputs are the same only as long as the Python objects of their nodes live.
        self.nodes: list[Node] = []

    # ---- the text --------------------------------------------------------------------------------

    def module_of(self, function: Function) -> str:
        """The text of the whole module."""
        for index, parameter in enumerate(function.parameters):
            output = parameter.output(0)
            name = self.new_name(chosen_name(parameter) or f"arg{index}")
            self.values[output] = Value(name, *type_of(output))
        parameters = [self.values[parameter.output(0)] for parameter in function.parameters]
        self.reserve_names(function)
        self.add_nodes(function)
        results = [self.values[result] for result in function.results]
        arguments = ", ".join(f"{value.name}: {value.type}" for value in parameters)
        types = ", ".join(value.type for value in results)
        names = ", ".join(value.name for value in results)
        body = "".join(f"    {line}\n" for line in [*self.lines, f"return {names} : {types}"])
        return (
            f"module {symbol(function.friendly_name)} {{\n"
            f"  func.func public @main({arguments}) -> ({types}) {{\n"
            f"{body}  }}\n"
            "}\n"
        )

    def reserve_names(self, function: Function) -> None:
        """Names of constants, before stages take them for what nobody has named."""
        # As keys, nodes are the same only as long as their Python objects live.
        self.nodes += function.nodes
        for node in self.nodes:
            name = chosen_name(node) if isinstance(node, Constant) else None
            if is_spelled(name):
                self.names_of_constants[node] = self.new_name(name)

    def new_name(self, wish: str | None = None) -> str:
        """The name of a value: the one that is wished for if MLIR spells it, else a number."""
        if is_spelled(wish):
            return f"%{self.names.new(wish)}"
        self.count += 1
        return f"%{self.count - 1}"

    def write(
        self, text: str, element: str, shape: Sequence[int], wish: str | None = None
    ) -> Value:
        """A statement that makes one value."""
        value = Value(self.new_name(wish), element, tuple(shape))
        self.lines.append(f"{value.name} = {text}")
        return value

    # ---- nodes -----------------------------------------------------------------------------------

    def add_nodes(self, function: Function) -> None:
        nodes = function.nodes
        self.nodes += nodes
        read = read_outputs(function, nodes)
        for node in nodes:
            if isinstance(node, Parameter):
                continue
            if isinstance(node, _core.op.BatchNormNode):
                self.add_family(node, [output for output in node.outputs if output in read])
            elif isinstance(node, Constant):
                self.values[node.output(0)] = self.constant_of(node)
            else:
                inputs = [self.values[value.source] for value in node.inputs]
                self.values[node.output(0)] = WRITERS[node.type_name](self, node, *inputs)

    def add_family(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        epsilon = float_of_32_bits(node.epsilon)
        types = {value.element_type for value in node.inputs}
        name = NATIVE.get(node.type_name)
        if self.family == "native" and name and epsilon is not None and len(types) == 1:
            self.add_native(node, name, epsilon)
        elif outputs:
            self.add_stages(node, outputs)

    def add_native(self, node: _core.op.BatchNormNode, name: str, epsilon: float) -> None:
        """One op, of which the inputs that StableHLO's has not are left out."""
        reads_beta = node.type_name != "BatchNormTrainingBackprop"
        inputs = [
            self.values[value.source] for value in node.inputs if value.name != "beta" or reads_beta
        ]
        results = [Value("", *type_of(output)) for output in node.outputs]
        axis = node.channel_axis % len(results[0].shape)
        attributes = f"epsilon = {decimal(epsilon)} : f32, feature_index = {axis} : i64"
        operands = ", ".join(value.name for value in inputs)
        types = ", ".join(value.type for value in inputs)
        result_types = ", ".join(value.type for value in results)
        result_types = f"({result_types})" if len(results) > 1 else result_types
        whole = self.new_name(chosen_name(node))
        several = len(results) > 1
        left = f"{whole}:{len(results)}" if several else whole
        self.lines.append(
            f'{left} = "stablehlo.{name}"({operands}) <{{{attributes}}}> : '
            f"({types}) -> {result_types}"
        )
        for index, (output, result) in enumerate(zip(node.outputs, results, strict=True)):
            place = f"{whole}#{index}" if several else whole
            self.values[output] = result._replace(name=place)

    def add_stages(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        stages = stages_of(node, outputs, "f64")
        for parameter, source in zip(stages.function.parameters, stages.sources, strict=True):
            self.values[parameter.output(0)] = self.values[source]
        self.add_nodes(stages.function)
        for output, result in zip(outputs, stages.function.results, strict=True):
            self.values[output] = self.values[result]

    # ---- statements ------------------------------------------------------------------------------

    def constant_of(self, node: Constant) -> Value:
        name = self.names_of_constants.get(node) or self.new_name(chosen_name(node))
        value = Value(name, *type_of(node.output(0)))
        self.lines.append(
            f"{name} = stablehlo.constant dense<{elements_text(node)}> : {value.type}"
        )
        return value

    def scalar(self, element: str, text: str) -> Value:
        """A scalar, written once."""
        key = (element, text)
        if key not in self.constants:
            self.constants[key] = self.write(
                f"stablehlo.constant dense<{text}> : tensor<{element}>", element, ()
            )
        return self.constants[key]

    def filled(self, text: str, like: Value) -> Value:
        """A scalar for each element."""
        return self.broadcast(self.scalar(like.element, text), like.shape, ())

    def apply(self, name: str, *operands: Value, wish: str | None = None) -> Value:
        """An element-wise op on operands of one type."""
        first = operands[0]
        names = ", ".join(value.name for value in operands)
        text = f"stablehlo.{name} {names} : {first.type}"
        return self.write(text, first.element, first.shape, wish)

    def reshaped(self, name: str, value: Value, result: Value, detail: str = "") -> Value:
        """An op of one operand whose result has another type."""
        text = f"stablehlo.{name} {value.name}{detail} : ({value.type}) -> {result.type}"
        return self.write(text, result.element, result.shape, result.name or None)

    def convert(self, value: Value, element: str, wish: str | None = None) -> Value:
        if value.element == element:
            return value
        return self.reshaped("convert", value, Value(wish or "", element, value.shape))

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        return self.reshaped("reshape", value, Value("", value.element, tuple(shape)))

    def broadcast(
        self, value: Value, shape: Sequence[int], axes: Sequence[int], wish: str | None = None
    ) -> Value:
        """A value repeated to a shape, in which its axes stand at these places."""
        detail = f", dims = [{', '.join(map(str, axes))}]"
        result = Value(wish or "", value.element, tuple(shape))
        return self.reshaped("broadcast_in_dim", value, result, detail)

    def compare(self, direction: str, value: Value) -> Value:
        """Each element beside zero."""
        zero = self.filled("0.0" if "f" in value.element else "0", value)
        kind = "FLOAT" if "f" in value.element else "UNSIGNED"
        result = Value("", "i1", value.shape)
        return self.write(
            f"stablehlo.compare {direction}, {value.name}, {zero.name}, {kind} : "
            f"({value.type}, {value.type}) -> {result.type}",
            "i1",
            value.shape,
        )

    def select(self, condition: Value, yes: Value, no: Value, wish: str | None = None) -> Value:
        operands = f"{condition.name}, {yes.name}, {no.name}"
        text = f"stablehlo.select {operands} : {condition.type}, {yes.type}"
        return self.write(text, yes.element, yes.shape, wish)

    def reduce(self, value: Value, axes: Sequence[int]) -> Value:
        """The sum along these axes, which are not in the result."""
        zero = self.scalar(value.element, "0.0" if "f" in value.element else "0")
        shape = [length for axis, length in enumerate(value.shape) if axis not in axes]
        result = Value("", value.element, tuple(shape))
        return self.write(
            f"stablehlo.reduce({value.name} init: {zero.name}) applies stablehlo.add "
            f"across dimensions = [{', '.join(map(str, axes))}] : "
            f"({value.type}, {zero.type}) -> {result.type}",
            value.element,
            shape,
        )


def axes_of(node: Node, rank: int) -> tuple[int, ...]:
    """The axes of a reduction or a broadcast, counted from the first."""
    axes = node.attributes["kept_axes" if "kept_axes" in node.attributes else "axes"]
    return tuple(axis % rank for axis in axes)


# ---- element-wise ----------------------------------------------------------------------------


def element_wise(name: str) -> Callable[..., Value]:
    def write(writer: Writer, node: Node, *inputs: Value) -> Value:
        return writer.apply(name, *inputs, wish=chosen_name(node))

    return write


def relu(writer: Writer, node: Node, value: Value) -> Value:
    return relu_backprop(writer, node, value, value)


def relu_backprop(writer: Writer, node: Node, value: Value, delta: Value) -> Value:
    """Not a maximum: a NaN, which is not <= 0, stays, and −0 becomes +0."""
    stopped = writer.compare("LE", value)
    return writer.select(stopped, writer.filled("0.0", delta), delta, chosen_name(node))


def convert(writer: Writer, node: Node, value: Value) -> Value:
    return writer.convert(value, type_of(node.output(0))[0], chosen_name(node))


# ---- sums, broadcasts, products --------------------------------------------------------------


def sum_in_double(writer: Writer, node: Node, value: Value) -> tuple[Value, int]:
    """The sum, and how many elements it is made of."""
    kept = axes_of(node, len(value.shape))
    axes = [axis for axis in range(len(value.shape)) if axis not in kept]
    wide = writer.convert(value, "f64")
    count = math.prod(value.shape[axis] for axis in axes)
    if not axes:
        # A sum begins with +0, so that the sum of −0 is +0; a reduction along nothing does not.
        return writer.apply("add", wide, writer.filled("0.0", wide)), count
    return writer.reduce(wide, axes), count


def sum_of(writer: Writer, node: Node, value: Value) -> Value:
    total, _count = sum_in_double(writer, node, value)
    return writer.convert(total, value.element, chosen_name(node))


def mean(writer: Writer, node: Node, value: Value) -> Value:
    total, count = sum_in_double(writer, node, value)
    # The name is that of the result in its own type.
    wish = chosen_name(node) if value.element == "f64" else None
    quotient = writer.apply("divide", total, writer.filled(decimal(count), total), wish=wish)
    return writer.convert(quotient, value.element, chosen_name(node))


def broadcast(writer: Writer, node: Node, value: Value, like: Value) -> Value:
    axes = axes_of(node, len(like.shape))
    return writer.broadcast(value, like.shape, axes, chosen_name(node))


def mean_backprop(writer: Writer, node: Node, delta: Value, like: Value) -> Value:
    axes = axes_of(node, len(like.shape))
    count = math.prod(length for axis, length in enumerate(like.shape) if axis not in axes)
    wide = writer.convert(delta, "f64")
    quotient = writer.apply("divide", wide, writer.filled(decimal(count), wide))
    share = writer.convert(quotient, delta.element)
    return writer.broadcast(share, like.shape, axes, chosen_name(node))


def matrix_multiply(writer: Writer, node: Node, left: Value, right: Value) -> Value:
    """A product in f64, rounded once."""
    of_left = 0 if node.attributes["transpose_left"] else 1
    of_right = 1 if node.attributes["transpose_right"] else 0
    wide = [writer.convert(value, "f64") for value in (left, right)]
    shape = (left.shape[1 - of_left], right.shape[1 - of_right])
    product = writer.write(
        f"stablehlo.dot_general {wide[0].name}, {wide[1].name}, "
        f"contracting_dims = [{of_left}] x [{of_right}] : "
        f"({wide[0].type}, {wide[1].type}) -> {Value('', 'f64', shape).type}",
        "f64",
        shape,
    )
    return writer.convert(product, left.element, chosen_name(node))


# ---- masks -----------------------------------------------------------------------------------


def rows_of(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that bits are packed in, along its last axis."""
    axis = node.attributes["channel_axis"] % len(shape)
    outer, channels = math.prod(shape[:axis]), shape[axis]
    if axis == len(shape) - 1:
        return outer, channels
    return outer, channels, math.prod(shape[axis + 1 :])


def places(writer: Writer, shape: Sequence[int]) -> Value:
    """0 to 7, which bit of its byte each element is."""
    result = Value("", "ui8", tuple(shape))
    axis = len(shape) - 1
    return writer.write(f"stablehlo.iota dim = {axis} : {result.type}", "ui8", shape)


def relu_mask(writer: Writer, node: Node, value: Value) -> Value:
    """A byte of each eight bits, the first of which is the least significant one."""
    *rows, length = rows_of(node, value.shape)
    bits = writer.reshape(writer.convert(writer.compare("NE", value), "ui8"), [*rows, length])
    count = -(-length // 8)
    zero = writer.scalar("ui8", "0")
    none = ", ".join(["0"] * len(bits.shape))
    after = ", ".join([*["0"] * len(rows), str(8 * count - length)])
    filled = Value("", "ui8", (*rows, 8 * count))
    bits = writer.write(
        f"stablehlo.pad {bits.name}, {zero.name}, low = [{none}], high = [{after}], "
        f"interior = [{none}] : ({bits.type}, {zero.type}) -> {filled.type}",
        "ui8",
        filled.shape,
    )
    bits = writer.reshape(bits, [*rows, count, 8])
    shifted = writer.apply("shift_left", bits, places(writer, bits.shape))
    return writer.reduce(shifted, [len(shifted.shape) - 1])


def relu_mask_select(writer: Writer, node: Node, delta: Value, mask: Value) -> Value:
    *rows, length = rows_of(node, delta.shape)
    count = -(-length // 8)
    bytes_shape = [*rows, count, 8]
    repeated = writer.broadcast(mask, bytes_shape, range(len(rows) + 1))
    bits = writer.apply("shift_right_logical", repeated, places(writer, bytes_shape))
    bits = writer.apply("and", bits, writer.filled("1", bits))
    bits = writer.reshape(bits, [*rows, 8 * count])
    limits = ", ".join(f"0:{limit}" for limit in (*rows, length))
    used = Value("", "ui8", (*rows, length))
    bits = writer.reshaped("slice", bits, used, f" [{limits}]")
    passes = writer.reshape(writer.compare("NE", bits), delta.shape)
    return writer.select(passes, delta, writer.filled("0.0", delta), chosen_name(node))


WRITERS: Mapping[str, Callable[..., Value]] = {
    "Add": element_wise("add"),
    "Subtract": element_wise("subtract"),
    "Multiply": element_wise("multiply"),
    "Divide": element_wise("divide"),
    "Negate": element_wise("negate"),
    "SquareRoot": element_wise("sqrt"),
    "Relu": relu,
    "ReluBackprop": relu_backprop,
    "Convert": convert,
    "Sum": sum_of,
    "Mean": mean,
    "Broadcast": broadcast,
    "MeanBackprop": mean_backprop,
    "MatrixMultiply": matrix_multiply,
    "ReluMask": relu_mask,
    "ReluMaskSelect": relu_mask_select,
}

#: The ops that StableHLO has, by ours. Its gradient reads no beta.
NATIVE = {
    "BatchNormTraining": "batch_norm_training",
    "BatchNormInference": "batch_norm_inference",
    "BatchNormTrainingBackprop": "batch_norm_grad",
}


# ---- numbers ---------------------------------------------------------------------------------


def decimal(value: float) -> str:
    """A finite number that reads back as the same: MLIR wants a point."""
    digits, _, exponent = repr(float(value)).partition("e")
    digits = digits if "." in digits else f"{digits}.0"
    return f"{digits}e{exponent}" if exponent else digits


def elements_text(node: Constant) -> str:
    """What stands in dense<…>: the bits, but a finite real scalar in decimals."""
    if math.prod(node.shape) == 0:
        return ""
    if node.element_type.name == "boolean":
        return nested(node.array().tolist())
    if node.shape == () and node.element_type.is_real:
        value = float(elements_of(node).item())
        if math.isfinite(value):
            return decimal(value)
    data = in_little_endian(node.attributes["data"], node.element_type.size)
    return f'"0x{data.hex().upper()}"'


def nested(value: object) -> str:
    """Booleans in lists as MLIR writes them."""
    if isinstance(value, list):
        return f"[{', '.join(map(nested, value))}]"
    return "true" if value else "false"
