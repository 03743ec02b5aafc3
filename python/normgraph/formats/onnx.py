"""A Function as a model of ONNX, which onnxruntime and others run.

Every primitive op is written as its definition: 16-bit numbers are cast to f32 and back, which is
what normgraph computes them in and what most runtimes have kernels for; sums, means and products of
matrices are computed in f64. BatchNormTraining and BatchNormInference are BatchNormalization, in
its two modes; other ops of the family are their stages in f64.

What is here writes statements of its own; only to_model needs the package onnx.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from .. import _core
from .._core import Constant, Function, Node, Output, Parameter
from .arguments import check_choice, check_is_function, path_of, weight_of
from .attributes import in_little_endian
from .errors import NotExpressibleError
from .names import UniqueNames, chosen_name, in_one_line, output_name
from .stages import (
    check_sizes,
    check_types_are_known,
    described,
    float_of_32_bits,
    read_outputs,
    stages_of,
)

if TYPE_CHECKING:
    import onnx

__all__ = ["NotExpressibleError", "save", "to_model"]

Family: TypeAlias = Literal["native", "stages"]

#: The oldest set of operators that has all that is written, for all types; and its file format.
OPSET, IR_VERSION = 17, 8

#: ONNX' names of element types.
TYPE_NAMES = {
    "boolean": "BOOL",
    "f16": "FLOAT16",
    "bf16": "BFLOAT16",
    "f32": "FLOAT",
    "f64": "DOUBLE",
    **{f"i{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
}

#: Bytes of constants: protobuf takes less than 2 GiB, of which 16 MiB remain for all else.
MOST_BYTES = 2**31 - 2**24

#: The ops that have statistics of a batch.
TRAINING = ("BatchNormTraining", "BatchNormTrainingRelu")

#: What a model reads and returns for each of them when it keeps running statistics.
STATISTICS = ("running_mean", "running_variance", "new_running_mean", "new_running_variance")

Shape: TypeAlias = tuple[int | None, ...]


def save(
    function: Function,
    path: str | PathLike[str],
    family: Family = "native",
    momentum: float | None = None,
) -> None:
    """Write a function to a file as a model of ONNX. See to_model; raises OSError as open does."""
    target = path_of(path)
    target.write_bytes(to_model(function, family, momentum).SerializeToString())


def to_model(
    function: Function, family: Family = "native", momentum: float | None = None
) -> onnx.ModelProto:
    """A function as a model of ONNX.

    Parameters
    ----------
    function : what is written; the model's inputs and outputs are its parameters and results, in
        their order, named like them where names are unique. Lengths that are not known become
        symbols ("x_0").
    family : "native": BatchNormTraining, BatchNormInference and BatchNormTrainingRelu are
        BatchNormalization, with epsilon rounded to f32, in f32 for data in 16 bits; Transpose moves
        the channels where they have to be. What it cannot say is written as stages: an epsilon that
        f32 has not. "stages": everything is stages, in f64.
    momentum : None: the statistics are the batch's own. A number from 0 to 1: each
        BatchNormTraining has its running statistics as two more inputs of the model, named
        "norm.running_mean" and "norm.running_variance" for a node "norm", and what they become as
        two more outputs, "norm.new_running_mean" and so on. As everywhere in normgraph it is the
        weight of the new value. ONNX' attribute, which is written, is that of the old one, and the
        variance that it keeps is the biased one, as in
        update_running_statistics(..., unbiased=False).

    Constants keep their names. A name that is taken gets a number; line ends and the like are
    escaped.

    For an empty batch, which BatchNormTraining and BatchNormTrainingRelu refuse, the model's
    statistics are NaN, as those of decompose(function) are.

    Raises TypeError and ValueError for arguments of another type or out of range, ImportError
    without the package onnx, and NotExpressibleError, which names them, for an element type or a
    rank that is not known, for 2^63 elements or more, for constants that no one file can hold
    (2 GiB), and for running statistics of an op that is written as stages.
    """
    check_is_function(function)
    check_choice("family", family, get_args(Family))
    graph = Writer(family, weight_of("momentum", momentum)).graph_of(function)
    check_fits_a_file(graph)
    return model_of(graph)


def check_is_expressible(function: Function) -> None:
    """Raise NotExpressibleError that lists element types and ranks that are not known."""
    nodes = function.nodes
    check_types_are_known(nodes)
    found = [
        f"{described(node)}: expected a known rank, got {output.partial_shape}"
        for node in nodes
        for output in node.outputs
        if output.partial_shape.rank.is_dynamic
    ]
    if found:
        raise NotExpressibleError("\n".join(found))
    check_sizes(function)


def check_fits_a_file(graph: Graph) -> None:
    """Raise NotExpressibleError for constants that are more than one file of protobuf can hold."""
    total = sum(len(item.data) for item in graph.initializers)
    if total > MOST_BYTES:
        largest = max(graph.initializers, key=lambda item: len(item.data))
        raise NotExpressibleError(
            f"constants: expected at most {MOST_BYTES} bytes in one model, got {total}: "
            f"'{largest.name}' has {len(largest.data)}"
        )


# ---- statements ----------------------------------------------------------------------------------


class Value(NamedTuple):
    """A value of the model; lengths that are not known are None."""

    name: str
    element: str
    shape: Shape


class Statement(NamedTuple):
    """A node of the model."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class Initializer(NamedTuple):
    """A constant of the model; bytes are in little-endian order."""

    name: str
    element: str
    shape: tuple[int, ...]
    data: bytes


class Graph(NamedTuple):
    """All of a model."""

    name: str
    inputs: list[Value]
    outputs: list[Value]
    initializers: list[Initializer]
    statements: list[Statement]


def value_of(output: Output, name: str) -> Value:
    lengths = output.partial_shape
    shape = tuple(length.length if length.is_static else None for length in lengths)
    return Value(name, output.element_type.name, shape)


class Writer:
    """Writes statements; `values` says which value each output of a node has become."""

    def __init__(self, family: Family, momentum: float | None) -> None:
        self.family = family
        self.momentum = momentum
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.initializers: list[Initializer] = []
        self.statements: list[Statement] = []
        self.values: dict[Output, Value] = {}
        self.constants: dict[tuple[str, Any], Value] = {}
        self.names = UniqueNames("_", 1)
        self.names_of_constants: dict[Node, str] = {}
        self.names_of_statistics: dict[Node, tuple[str, ...]] = {}
        # As keys, outputs are the same only as long as the Python objects of their nodes live.
        self.nodes: list[Node] = []

    def graph_of(self, function: Function) -> Graph:
        """The whole model."""
        check_is_expressible(function)
        for parameter in function.parameters:
            name = self.new_name(chosen_name(parameter) or "input")
            value = value_of(parameter.output(0), name)
            self.values[parameter.output(0)] = value
            self.inputs.append(value)
        # Before any node takes them: what others read of a model are the names of its results.
        names = [self.new_name(result_name(result)) for result in function.results]
        self.reserve_names(function)
        self.add_nodes(function)
        results = [
            self.write("Identity", [self.values[result]], self.values[result]._replace(name=name))
            for result, name in zip(function.results, names, strict=True)
        ]
        self.outputs = results + self.outputs
        name = in_one_line(function.friendly_name)
        return Graph(name, self.inputs, self.outputs, self.initializers, self.statements)

    def reserve_names(self, function: Function) -> None:
        """Names that are promised, before stages take them for what nobody has named."""
        # As keys, nodes are the same only as long as their Python objects live.
        self.nodes += function.nodes
        if self.momentum is not None:
            for node in self.nodes:
                if node.type_name in TRAINING:
                    names = (f"{node.friendly_name}.{name}" for name in STATISTICS)
                    self.names_of_statistics[node] = tuple(map(self.new_name, names))
        for node in self.nodes:
            name = chosen_name(node) if isinstance(node, Constant) else None
            if name is not None:
                self.names_of_constants[node] = self.new_name(name)

    def new_name(self, wish: str | None) -> str:
        """A name that nothing else has: the one that is wished for, if it can be had."""
        return self.names.new(in_one_line(wish) if wish else "value")

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
                value = WRITERS[node.type_name](self, node, *inputs)
                self.values[node.output(0)] = value

    def add_family(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        is_native = self.family == "native" and float_of_32_bits(node.epsilon) is not None
        is_training = node.type_name in TRAINING
        if is_native and is_training:
            self.add_training(node, outputs)
        elif is_native and node.type_name == "BatchNormInference":
            self.values[node.output(0)] = self.normalization(node, is_training=False)[0]
        elif is_training and self.momentum is not None:
            raise NotExpressibleError(
                f"{described(node)}: running statistics are those of BatchNormalization, got an op "
                "that is written as stages"
            )
        elif outputs:
            self.add_stages(node, outputs)

    def add_stages(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        stages = stages_of(node, outputs, "f64")
        for parameter, source in zip(stages.function.parameters, stages.sources, strict=True):
            self.values[parameter.output(0)] = self.values[source]
        self.add_nodes(stages.function)
        for output, result in zip(outputs, stages.function.results, strict=True):
            self.values[output] = self.values[result]

    def add_training(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        """BatchNormalization that trains, and a rectifier where the op has one."""
        values: list[Value] = []
        if self.momentum is None or any(output.index > 0 for output in outputs):
            values = self.normalization(node, is_training=True)
        if self.momentum is not None:
            # The statistics of this one are not the batch's.
            values[:1] = self.normalization(node, is_training=True, momentum=self.momentum)[:1]
        if node.type_name == "BatchNormTrainingRelu":
            values[0] = relu(self, node, values[0])
        if any(output.name == "mask" for output in outputs):
            values.append(relu_mask(self, node, values[0]))
        for output, value in zip(node.outputs, values, strict=False):
            self.values[output] = value

    # ---- BatchNormalization ----------------------------------------------------------------------

    def normalization(
        self, node: _core.op.BatchNormNode, is_training: bool, momentum: float | None = None
    ) -> list[Value]:
        """The normalized input; when training, the new statistics too.

        Those are the batch's own without a momentum, and else the running ones, which become inputs
        and outputs of the model.
        """
        data, *vectors = (self.values[value.source] for value in node.inputs)
        channel_type = vectors[0].element
        wide = "f32" if is_short(data) else data.element
        order = channels_second(node.channel_axis % len(data.shape), len(data.shape))
        moved = self.transpose(self.cast(data, wide), order)
        vectors = [self.cast(vector, wide) for vector in vectors]
        attributes: dict[str, Any] = {"epsilon": node.epsilon}
        results = [moved._replace(name=self.new_name(None))]
        if is_training:
            # ONNX weights the old value, which does not count with weight 0. The two old values may
            # not be one, since onnxruntime writes the new ones over them.
            attributes |= {
                "training_mode": 1,
                "momentum": 0.0 if momentum is None else 1 - momentum,
            }
            vectors += (
                [self.filled(number, vectors[0]) for number in (0.0, 1.0)]
                if momentum is None
                else self.running_statistics(node, vectors[0], channel_type)
            )
            results += [vectors[0]._replace(name=self.new_name(None)) for _ in range(2)]
        self.add("BatchNormalization", [moved, *vectors], results, attributes)
        back = tuple(int(axis) for axis in np.argsort(order))
        normalized = self.cast(self.transpose(results[0], back), data.element)
        statistics = [self.cast(value, channel_type) for value in results[1:]]
        if momentum is not None:
            self.add_new_statistics(node, statistics)
        return [normalized, *statistics]

    def filled(self, number: float, like: Value) -> Value:
        """A number for each element of a vector in f32 or f64."""
        return self.expand(self.scalar(like.element, number), self.shape_of(like), like.shape)

    def running_statistics(self, node: Node, like: Value, channel_type: str) -> list[Value]:
        """Two more inputs of the model."""
        found = []
        for name in self.names_of_statistics[node][:2]:
            value = Value(name, channel_type, like.shape)
            self.inputs.append(value)
            found.append(self.cast(value, like.element))
        return found

    def add_new_statistics(self, node: Node, statistics: list[Value]) -> None:
        """Two more outputs of the model."""
        for name, value in zip(self.names_of_statistics[node][2:], statistics, strict=True):
            result = value._replace(name=name)
            self.outputs.append(self.write("Identity", [value], result))

    # ---- statements ------------------------------------------------------------------------------

    def add(
        self,
        op: str,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        attributes: Mapping[str, Any],
    ) -> None:
        names = tuple(value.name for value in inputs), tuple(value.name for value in outputs)
        self.statements.append(Statement(op, *names, attributes))

    def write(self, op: str, inputs: Sequence[Value], result: Value, **attributes: Any) -> Value:
        """A statement that makes one value; without a name, it gets one."""
        if not result.name:
            result = result._replace(name=self.new_name(None))
        self.add(op, inputs, [result], attributes)
        return result

    def initializer(
        self, element: str, shape: tuple[int, ...], data: bytes, name: str | None = None
    ) -> Value:
        value = Value(name or self.new_name("constant"), element, shape)
        self.initializers.append(Initializer(value.name, element, shape, data))
        return value

    def constant_of(self, node: Constant) -> Value:
        data = in_little_endian(node.attributes["data"], node.element_type.size)
        name = self.names_of_constants.get(node)
        return self.initializer(node.element_type.name, node.shape, data, name)

    def scalar(self, element: str, number: float) -> Value:
        """A number in f32 or f64, written once."""
        key = (element, number)
        if key not in self.constants:
            data = np.array(number, "<f4" if element == "f32" else "<f8").tobytes()
            self.constants[key] = self.initializer(element, (), data)
        return self.constants[key]

    def integers(self, numbers: Sequence[int]) -> Value:
        """A vector of integers, written once."""
        key = ("i64", tuple(numbers))
        if key not in self.constants:
            data = np.array(numbers, "<i8").tobytes()
            self.constants[key] = self.initializer("i64", (len(numbers),), data)
        return self.constants[key]

    def cast(self, value: Value, element: str) -> Value:
        if value.element == element:
            return value
        return self.write("Cast", [value], Value("", element, value.shape), to=element)

    def transpose(self, value: Value, order: tuple[int, ...]) -> Value:
        if order == tuple(range(len(order))):
            return value
        shape = tuple(value.shape[axis] for axis in order)
        return self.write("Transpose", [value], Value("", value.element, shape), perm=order)

    def shape_of(self, value: Value) -> Value:
        """The lengths: a constant if they are known."""
        if None not in value.shape:
            return self.integers([length or 0 for length in value.shape])
        return self.write("Shape", [value], Value("", "i64", (len(value.shape),)))

    def expand(self, value: Value, lengths: Value, shape: Shape) -> Value:
        return self.write("Expand", [value, lengths], Value("", value.element, shape))

    def product_of_lengths(self, value: Value, axes: Sequence[int], keepdims: int) -> Value:
        some = Value("", "i64", (len(axes),))
        lengths = self.write("Gather", [self.shape_of(value), self.integers(axes)], some, axis=0)
        shape = (1,) if keepdims else ()
        result = Value("", "i64", shape)
        return self.write("ReduceProd", [lengths], result, keepdims=keepdims)

    def count_of(self, value: Value, axes: Sequence[int]) -> Value:
        """How many elements lie along these axes, as a scalar in f64."""
        count = known_product(value, axes)
        if count is not None:
            return self.scalar("f64", float(count))
        return self.cast(self.product_of_lengths(value, axes, keepdims=0), "f64")

    def length_along(self, value: Value, axes: Sequence[int]) -> Value:
        """How many elements lie along these axes, as a vector of one integer."""
        count = known_product(value, axes)
        if count is not None:
            return self.integers([count])
        return self.product_of_lengths(value, axes, keepdims=1)

    def reshape(self, value: Value, lengths: Sequence[Value]) -> Value:
        """To lengths that are vectors of integers, one after the other."""
        shape = self.joined(*lengths)
        result = Value("", value.element, (None,) * len(lengths))
        return self.write("Reshape", [value, shape], result, allowzero=1)

    def joined(self, *lengths: Value) -> Value:
        """Vectors of integers one after the other."""
        return self.write("Concat", lengths, Value("", "i64", (None,)), axis=0)

    def compute(self, op: str, *operands: Value) -> Value:
        """An element-wise op, of 16 bits in f32."""
        first = operands[0]
        wide = [self.cast(value, "f32" if is_short(first) else first.element) for value in operands]
        return self.cast(self.write(op, wide, wide[0]._replace(name="")), first.element)


def known_product(value: Value, axes: Sequence[int]) -> int | None:
    """How many elements lie along these axes, None where a length is not known."""
    known = [value.shape[axis] for axis in axes]
    return None if None in known else math.prod(length or 0 for length in known)


def is_short(value: Value) -> bool:
    """Whether it has 16 bits, and is computed in f32."""
    return value.element in ("f16", "bf16")


def channels_second(axis: int, rank: int) -> tuple[int, ...]:
    """The order of axes in which the channels are axis 1, the others as they were."""
    others = [other for other in range(rank) if other != axis]
    return (others[0], axis, *others[1:])


def result_name(result: Output) -> str:
    """What a result is called: by a name that was given, or as the output of its op."""
    return output_name(result) if chosen_name(result.node) else result.name


def axes_of(node: Node, rank: int) -> tuple[int, ...]:
    """The axes of a reduction or a broadcast, counted from the first."""
    axes = node.attributes["kept_axes" if "kept_axes" in node.attributes else "axes"]
    return tuple(axis % rank for axis in axes)


# ---- primitive ops -------------------------------------------------------------------------------


def element_wise(op: str) -> Callable[..., Value]:
    def write(writer: Writer, node: Node, *inputs: Value) -> Value:
        return writer.compute(op, *inputs)

    return write


def relu(writer: Writer, node: Node, value: Value) -> Value:
    """Not Relu, which may make 0 of a NaN."""
    return relu_backprop(writer, node, value, value)


def relu_backprop(writer: Writer, node: Node, value: Value, delta: Value) -> Value:
    wide = "f32" if is_short(value) else value.element
    zero = writer.scalar(wide, 0.0)
    value, wide_delta = writer.cast(value, wide), writer.cast(delta, wide)
    stopped = writer.write("LessOrEqual", [value, zero], Value("", "boolean", value.shape))
    result = writer.write("Where", [stopped, zero, wide_delta], value._replace(name=""))
    return writer.cast(result, delta.element)


def convert(writer: Writer, node: Node, value: Value) -> Value:
    return writer.cast(value, node.outputs[0].element_type.name)


def sum_in_double(writer: Writer, node: Node, value: Value) -> tuple[Value, list[int]]:
    """The sum, and the axes that it goes along."""
    kept = axes_of(node, len(value.shape))
    axes = [axis for axis in range(len(value.shape)) if axis not in kept]
    wide = writer.cast(value, "f64")
    if not axes:
        # A sum begins with +0, so that the sum of −0 is +0.
        return writer.compute("Add", wide, writer.scalar("f64", 0.0)), axes
    shape = tuple(wide.shape[axis] for axis in kept)
    result = Value("", "f64", shape)
    return writer.write("ReduceSum", [wide, writer.integers(axes)], result, keepdims=0), axes


def sum_of(writer: Writer, node: Node, value: Value) -> Value:
    return writer.cast(sum_in_double(writer, node, value)[0], value.element)


def mean(writer: Writer, node: Node, value: Value) -> Value:
    """Not ReduceMean, which is not defined for no elements."""
    total, axes = sum_in_double(writer, node, value)
    return writer.cast(writer.compute("Div", total, writer.count_of(value, axes)), value.element)


def broadcast(writer: Writer, node: Node, value: Value, like: Value) -> Value:
    rank = len(like.shape)
    axes = axes_of(node, rank)
    wide = writer.cast(value, "f32" if is_short(value) else value.element)
    new = [axis for axis in range(rank) if axis not in axes]
    if new and axes:
        shape = tuple(like.shape[axis] if axis in axes else 1 for axis in range(rank))
        result = Value("", wide.element, shape)
        wide = writer.write("Unsqueeze", [wide, writer.integers(new)], result)
    return writer.cast(writer.expand(wide, writer.shape_of(like), like.shape), value.element)


def mean_backprop(writer: Writer, node: Node, delta: Value, like: Value) -> Value:
    axes = axes_of(node, len(like.shape))
    others = [axis for axis in range(len(like.shape)) if axis not in axes]
    wide = writer.cast(delta, "f64")
    share = writer.compute("Div", wide, writer.count_of(like, others))
    return broadcast(writer, node, writer.cast(share, delta.element), like)


def matrix_multiply(writer: Writer, node: Node, left: Value, right: Value) -> Value:
    wide = [writer.cast(value, "f64") for value in (left, right)]
    flags = ("transpose_left", "transpose_right")
    factors = [
        writer.transpose(value, (1, 0) if node.attributes[flag] else (0, 1))
        for value, flag in zip(wide, flags, strict=True)
    ]
    shape = (factors[0].shape[0], factors[1].shape[1])
    product = writer.write("MatMul", factors, Value("", "f64", shape))
    return writer.cast(product, left.element)


# ---- masks ---------------------------------------------------------------------------------------


def rows_of(writer: Writer, node: Node, value: Value) -> tuple[list[Value], Value]:
    """The lengths of the rows that bits are packed in: those before the last one, and the last."""
    rank = len(value.shape)
    axis = node.attributes["channel_axis"] % rank
    before, after = range(axis), range(axis + 1, rank)
    outer, channels, inner = (
        writer.length_along(value, list(axes)) for axes in (before, [axis], after)
    )
    return ([outer], channels) if axis == rank - 1 else ([outer, channels], inner)


def whole_bytes(writer: Writer, length: Value) -> tuple[Value, Value]:
    """How many bytes a row takes, and how many bits they have."""
    one = length._replace(name="")
    eight = writer.integers([8])
    more = writer.write("Add", [length, writer.integers([7])], one)
    count = writer.write("Div", [more, eight], one)
    return count, writer.write("Mul", [count, eight], one)


def relu_mask(writer: Writer, node: Node, value: Value) -> Value:
    """A byte of each eight bits, as a sum of powers of two, which is exact in f32."""
    rows, length = rows_of(writer, node, value)
    count, whole = whole_bytes(writer, length)
    wide = writer.cast(value, "f32" if is_short(value) else value.element)
    zero = writer.scalar(wide.element, 0.0)
    blocked = writer.write("Equal", [wide, zero], Value("", "boolean", value.shape))
    bits = writer.cast(writer.write("Not", [blocked], blocked._replace(name="")), "f32")
    bits = writer.reshape(bits, [*rows, length])
    missing = writer.write("Sub", [whole, length], length._replace(name=""))
    pads = writer.joined(writer.integers([0] * (2 * len(rows) + 1)), missing)
    bits = writer.write("Pad", [bits, pads], bits._replace(name=""))
    bits = writer.reshape(bits, [*rows, count, writer.integers([8])])
    bits = writer.write("Mul", [bits, powers(writer, "f32")], bits._replace(name=""))
    result = value_of(node.output("mask" if len(node.outputs) > 1 else 0), "")
    last = writer.integers([len(rows) + 1])
    total = writer.write("ReduceSum", [bits, last], result._replace(element="f32"), keepdims=0)
    return writer.cast(total, "u8")


def relu_mask_select(writer: Writer, node: Node, delta: Value, mask: Value) -> Value:
    rows, length = rows_of(writer, node, delta)
    integers = writer.cast(mask, "i32")
    last = writer.integers([len(rows) + 1])
    repeated = Value("", "i32", (*integers.shape, 1))
    integers = writer.write("Unsqueeze", [integers, last], repeated)
    bits = writer.write("Div", [integers, powers(writer, "i32")], repeated)
    two = writer.cast(writer.integers([2]), "i32")
    bits = writer.write("Mod", [bits, two], repeated)
    bits = writer.reshape(bits, [*rows, whole_bytes(writer, length)[1]])
    ends = [writer.integers([0]), length, writer.integers([len(rows)])]
    bits = writer.write("Slice", [bits, *ends], bits._replace(name=""))
    same = Value("", "i32", delta.shape)
    bits = writer.write("Reshape", [bits, writer.shape_of(delta)], same, allowzero=1)
    wide = writer.cast(delta, "f32" if is_short(delta) else delta.element)
    operands = [writer.cast(bits, "boolean"), wide, writer.scalar(wide.element, 0.0)]
    return writer.cast(writer.write("Where", operands, wide._replace(name="")), delta.element)


def powers(writer: Writer, element: str) -> Value:
    """1 to 128, what each bit of a byte counts."""
    return writer.cast(writer.integers([1 << place for place in range(8)]), element)


WRITERS: Mapping[str, Callable[..., Value]] = {
    "Add": element_wise("Add"),
    "Subtract": element_wise("Sub"),
    "Multiply": element_wise("Mul"),
    "Divide": element_wise("Div"),
    "Negate": element_wise("Neg"),
    "SquareRoot": element_wise("Sqrt"),
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


# ---- the model -----------------------------------------------------------------------------------


def model_of(graph: Graph) -> onnx.ModelProto:
    """A graph in the classes of the package onnx."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "a model of ONNX needs the package onnx, which is not installed: "
            'pip install "normgraph[onnx]"'
        ) from error
    make = onnx.helper

    def type_number(element: str) -> int:
        return int(getattr(onnx.TensorProto, TYPE_NAMES[element]))

    def described_value(value: Value, has_symbols: bool) -> onnx.ValueInfoProto:
        lengths = [
            f"{value.name}_{axis}" if length is None and has_symbols else length
            for axis, length in enumerate(value.shape)
        ]
        return make.make_tensor_value_info(value.name, type_number(value.element), lengths)

    nodes = []
    for statement in graph.statements:
        attributes = dict(statement.attributes)
        if statement.op == "Cast":
            attributes["to"] = type_number(attributes["to"])
        nodes.append(
            make.make_node(
                statement.op,
                statement.inputs,
                statement.outputs,
                name=statement.outputs[0],
                **attributes,
            )
        )
    initializers = [
        make.make_tensor(name, type_number(element), shape, data, raw=True)
        for name, element, shape, data in graph.initializers
    ]
    content = make.make_graph(
        nodes,
        graph.name,
        [described_value(value, True) for value in graph.inputs],
        [described_value(value, False) for value in graph.outputs],
        initializers,
    )
    return make.make_model(
        content,
        opset_imports=[make.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="normgraph",
    )
