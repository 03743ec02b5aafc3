"""A Function as text of StableHLO, the dialect of MLIR that XLA compiles.

The text is a module with one function, `main`, whose arguments are the parameters and whose results
are the results, in their order. Every primitive op is written as its definition: what normgraph
computes in double, such as a sum, is converted to f64 and back. The ops of the family are their
stages in f64, or, on request, the ops that StableHLO has for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from os import PathLike
from typing import ClassVar, Literal, TypeAlias, get_args

from ... import _core
from ..._core import Constant, Function, Node, Output
from ..arguments import check_choice, check_is_function, path_of
from ..attributes import in_little_endian
from ..graph_writer import (
    End,
    GraphWriter,
    Value,
    axes_of,
    check_outputs,
    check_sizes,
    check_types_are_known,
    float_of_32_bits,
    upper_end,
    value_of,
)
from ..names import chosen_name, elements_of

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
    the data, an epsilon that f32 has not, and positions that do not count.

    Values are called as the nodes are, with a number where a name is taken; a name that MLIR cannot
    spell becomes a number.

    For an empty batch, which BatchNormTraining and its forms with a ReLU refuse, the program's
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
        check_outputs(
            group,
            lambda output: (
                f"expected a static shape, got {output.partial_shape}"
                if output.partial_shape.is_dynamic
                else None
            ),
            "Set the partial_shape of the parameters, then call "
            "validate_nodes_and_infer_types() of the function.",
        )


def type_of(value: Value) -> str:
    """MLIR's type of a value."""
    lengths = "".join(f"{length}x" for length in value.shape)
    return f"tensor<{lengths}{TYPE_NAMES[value.element]}>"


def types_of(values: Sequence[Value]) -> str:
    """The types of values as a statement lists them."""
    return ", ".join(map(type_of, values))


def names_of(values: Sequence[Value]) -> str:
    """The names of values as a statement lists them."""
    return ", ".join(value.name for value in values)


def symbol(name: str) -> str:
    """A name as MLIR quotes it: bytes that are not plain are written in hexadecimal."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$.]*", name):
        return f"@{name}"
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}"
        for byte in name.encode()
    )
    return f'@"{"".join(plain)}"'


class Writer(GraphWriter):
    """Writes lines of text."""

    ELEMENT_WISE: ClassVar = {
        "Add": "add",
        "Subtract": "subtract",
        "Multiply": "multiply",
        "Divide": "divide",
        "Negate": "negate",
        "SquareRoot": "sqrt",
    }

    def __init__(self, family: Family) -> None:
        super().__init__(family)
        self.lines: list[str] = []
        self.count = 0

    # ---- the text --------------------------------------------------------------------------------

    def module_of(self, function: Function) -> str:
        """The text of the whole module."""
        parameters = self.add_parameters(function, "arg{}")
        if self.family == "stages":
            function = _core.widen_statistics(function)
        self.reserve_names(function)
        self.add_nodes(function)
        results = [self.values[result] for result in function.results]
        arguments = ", ".join(f"{value.name}: {type_of(value)}" for value in parameters)
        types = types_of(results)
        lines = [*self.lines, f"return {names_of(results)} : {types}"]
        body = "".join(f"    {line}\n" for line in lines)
        return (
            f"module {symbol(function.friendly_name)} {{\n"
            f"  func.func public @main({arguments}) -> ({types}) {{\n"
            f"{body}  }}\n"
            "}\n"
        )

    def can_spell(self, name: str) -> bool:
        """Whether MLIR can spell a value's name, which has no quotes."""
        return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$.-]*", name))

    def new_name(self, wish: str | None = None) -> str:
        """The name that is wished for if MLIR spells it, else a number."""
        if wish and self.can_spell(wish):
            return f"%{self.names.new(wish)}"
        self.count += 1
        return f"%{self.count - 1}"

    # ---- statements ------------------------------------------------------------------------------

    def write(self, text: str, result: Value) -> Value:
        """A statement that makes one value, whose name is a wish."""
        value = result._replace(name=self.new_name(result.name))
        self.lines.append(f"{value.name} = {text}")
        return value

    def write_typed(self, text: str, operands: Sequence[Value], result: Value) -> Value:
        """A statement that ends with the types of its operands and of its result."""
        return self.write(f"stablehlo.{text} : ({types_of(operands)}) -> {type_of(result)}", result)

    def add_native(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> bool:
        """One op, of which the inputs that StableHLO's has not are left out."""
        name = NATIVE.get(node.type_name)
        epsilon = float_of_32_bits(node.attributes["epsilon"]) if name else None
        types = {value.element_type for value in node.inputs}
        types |= {value.element_type for value in node.outputs}
        if epsilon is None or name is None or len(types) > 1:
            return False
        reads_beta = node.type_name != "BatchNormTrainingBackprop"
        inputs = [
            self.values[value.source] for value in node.inputs if value.name != "beta" or reads_beta
        ]
        results = list(map(value_of, node.outputs))
        axis = node.channel_axis % len(results[0].shape)
        attributes = f"epsilon = {decimal(epsilon)} : f32, feature_index = {axis} : i64"
        whole = self.new_name(chosen_name(node))
        several = len(results) > 1
        left = f"{whole}:{len(results)}" if several else whole
        result_types = f"({types_of(results)})" if several else types_of(results)
        self.lines.append(
            f'{left} = "stablehlo.{name}"({names_of(inputs)}) <{{{attributes}}}> : '
            f"({types_of(inputs)}) -> {result_types}"
        )
        for index, (output, result) in enumerate(zip(node.outputs, results, strict=True)):
            place = f"{whole}#{index}" if several else whole
            self.values[output] = result._replace(name=place)
        return True

    def constant_of(self, node: Constant) -> Value:
        name = self.names_of_constants.get(node) or self.new_name(chosen_name(node))
        value = value_of(node.output(0), name)
        self.lines.append(
            f"{name} = stablehlo.constant dense<{elements_text(node)}> : {type_of(value)}"
        )
        return value

    def scalar(self, element: str, text: str) -> Value:
        """A scalar, written once."""
        key = (element, text)
        if key not in self.constants:
            value = Value("", element, ())
            self.constants[key] = self.write(
                f"stablehlo.constant dense<{text}> : {type_of(value)}", value
            )
        return self.constants[key]

    def filled(self, text: str, like: Value) -> Value:
        """A scalar for each element."""
        return self.repeat(self.scalar(like.element, text), like.shape, ())

    def number(self, number: float, like: Value) -> Value:
        return self.filled(decimal(number), like)

    def apply(self, name: str, *operands: Value, wish: str | None = None) -> Value:
        """An element-wise op of StableHLO on operands of one type."""
        first = operands[0]
        text = f"stablehlo.{name} {names_of(operands)} : {type_of(first)}"
        return self.write(text, first._replace(name=wish or ""))

    def compute(self, op: str, *operands: Value, wish: str | None = None) -> Value:
        return self.apply(self.ELEMENT_WISE[op], *operands, wish=wish)

    def cast(self, value: Value, element: str, wish: str | None = None) -> Value:
        if value.element == element:
            return value
        result = Value(wish or "", element, value.shape)
        return self.write_typed(f"convert {value.name}", [value], result)

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        result = Value("", value.element, tuple(shape))
        return self.write_typed(f"reshape {value.name}", [value], result)

    def repeat(
        self, value: Value, shape: Sequence[int], axes: Sequence[int], wish: str | None = None
    ) -> Value:
        """A value repeated to a shape, in which its axes stand at these places."""
        text = f"broadcast_in_dim {value.name}, dims = [{', '.join(map(str, axes))}]"
        return self.write_typed(text, [value], Value(wish or "", value.element, tuple(shape)))

    def compare(self, direction: str, value: Value, number: float = 0.0) -> Value:
        """Each element beside a number."""
        is_real = "f" in value.element
        operands = [value, self.filled(decimal(number) if is_real else str(int(number)), value)]
        kind = "FLOAT" if is_real else "UNSIGNED"
        text = f"compare {direction}, {names_of(operands)}, {kind}"
        return self.write_typed(text, operands, Value("", "boolean", value.shape))

    def select(self, condition: Value, yes: Value, no: Value, wish: str | None = None) -> Value:
        text = f"stablehlo.select {names_of([condition, yes, no])} : {types_of([condition, yes])}"
        return self.write(text, yes._replace(name=wish or ""))

    def sum_along(self, value: Value, axes: Sequence[int]) -> Value:
        zero = self.scalar(value.element, "0.0" if "f" in value.element else "0")
        shape = tuple(length for axis, length in enumerate(value.shape) if axis not in axes)
        text = (
            f"reduce({value.name} init: {zero.name}) applies stablehlo.add "
            f"across dimensions = [{', '.join(map(str, axes))}]"
        )
        return self.write_typed(text, [value, zero], Value("", value.element, shape))

    def product(self, left: Value, right: Value, flags: Sequence[bool]) -> Value:
        of_left, of_right = (0 if flags[0] else 1), (1 if flags[1] else 0)
        text = (
            f"dot_general {names_of([left, right])}, contracting_dims = [{of_left}] x [{of_right}]"
        )
        shape = (left.shape[1 - of_left], right.shape[1 - of_right])
        return self.write_typed(text, [left, right], Value("", "f64", shape))

    # ---- primitive ops ---------------------------------------------------------------------------

    def replaced(
        self, value: Value, end: End, number: float, other: Value, wish: str | None = None
    ) -> Value:
        is_beyond = self.compare("GE" if end.is_upper else "LE", value, end.number)
        return self.select(is_beyond, self.number(number, other), other, wish)

    def broadcast(self, node: Node, value: Value, like: Value) -> Value:
        return self.repeat(value, like.shape, axes_of(node, like), chosen_name(node))

    def places(self, shape: Sequence[int]) -> Value:
        """0 to 7, which bit of its byte each element is."""
        result = Value("", "u8", tuple(shape))
        return self.write(f"stablehlo.iota dim = {len(shape) - 1} : {type_of(result)}", result)

    def relu_mask(self, node: Node, value: Value) -> Value:
        """A byte of each eight bits, the first of which is the least significant one."""
        *rows, length = rows_of(node, value.shape)
        passes = self.compare("NE", value)
        bound = upper_end(node, value)
        if bound is not None:
            # Not below the bound: a NaN, which compares with nothing, passes.
            is_beyond = self.compare("GE", value, bound.number)
            passes = self.apply("and", passes, self.apply("not", is_beyond))
        bits = self.reshape(self.cast(passes, "u8"), [*rows, length])
        count = -(-length // 8)
        zero = self.scalar("u8", "0")
        none = ", ".join(["0"] * len(bits.shape))
        after = ", ".join([*["0"] * len(rows), str(8 * count - length)])
        text = (
            f"pad {bits.name}, {zero.name}, low = [{none}], high = [{after}], interior = [{none}]"
        )
        bits = self.write_typed(text, [bits, zero], Value("", "u8", (*rows, 8 * count)))
        bits = self.reshape(bits, [*rows, count, 8])
        shifted = self.apply("shift_left", bits, self.places(bits.shape))
        return self.sum_along(shifted, [len(shifted.shape) - 1])

    def relu_mask_select(self, node: Node, delta: Value, mask: Value) -> Value:
        *rows, length = rows_of(node, delta.shape)
        count = -(-length // 8)
        bytes_shape = [*rows, count, 8]
        repeated = self.repeat(mask, bytes_shape, range(len(rows) + 1))
        bits = self.apply("shift_right_logical", repeated, self.places(bytes_shape))
        bits = self.apply("and", bits, self.filled("1", bits))
        bits = self.reshape(bits, [*rows, 8 * count])
        limits = ", ".join(f"0:{limit}" for limit in (*rows, length))
        used = Value("", "u8", (*rows, length))
        bits = self.write_typed(f"slice {bits.name} [{limits}]", [bits], used)
        passes = self.reshape(self.compare("NE", bits), delta.shape)
        return self.select(passes, delta, self.filled("0.0", delta), chosen_name(node))

    def select_where(self, node: Node, value: Value, where: Value) -> Value:
        is_set = self.repeat(where, value.shape, range(len(value.shape)))
        return self.select(is_set, value, self.filled("0.0", value), chosen_name(node))


def rows_of(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that bits are packed in, along its last axis."""
    axis = node.attributes["channel_axis"] % len(shape)
    outer, channels = math.prod(shape[:axis]), shape[axis]
    if axis == len(shape) - 1:
        return outer, channels
    return outer, channels, math.prod(shape[axis + 1 :])


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
    """The text inside dense<…>: the bits, but a finite real scalar in decimals."""
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
