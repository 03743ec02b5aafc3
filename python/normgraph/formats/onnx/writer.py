"""Writing a Function as a model of ONNX, which onnxruntime and others run.

Every primitive op is written as its definition: 16-bit numbers are cast to f32 and back, which is
what normgraph computes them in and what most runtimes have kernels for; sums, means and products of
matrices are computed in f64. BatchNormTraining and BatchNormInference are BatchNormalization, in
its two modes; other ops of the family are their stages in f64.

What is here writes statements of its own; only to_model needs the package onnx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from ... import _core
from ..._core import Constant, Function, Node, Output
from ..arguments import check_choice, check_is_function, path_of, weight_of
from ..attributes import in_little_endian
from ..errors import NotExpressibleError
from ..graph_writer import (
    End,
    GraphWriter,
    Value,
    axes_of,
    check_outputs,
    check_sizes,
    check_types_are_known,
    described,
    float_of_32_bits,
    known_product,
    other_axes,
    upper_end,
    value_of,
)
from ..names import chosen_name, in_one_line, output_name
from .protobuf import import_onnx, type_number

__all__ = ["Family", "Graph", "Writer", "save", "to_model"]

if TYPE_CHECKING:
    import onnx

Family: TypeAlias = Literal["native", "stages"]

#: The oldest set of operators that has all that is written, for all types; and its file format.
OPSET, IR_VERSION = 17, 8

#: Bytes of constants: protobuf takes less than 2 GiB, of which 16 MiB remain for all else.
MOST_BYTES = 2**31 - 2**24

#: The ops that have statistics of a batch.
TRAINING = ("BatchNormTraining", "BatchNormTrainingRelu", "BatchNormTrainingAddRelu")

#: The ops that are given statistics, and put out what they normalize.
INFERENCE = ("BatchNormInference", "BatchNormInferenceRelu", "BatchNormInferenceAddRelu")

#: The inputs and outputs that a model has for each training op when it keeps running statistics.
STATISTICS = ("running_mean", "running_variance", "new_running_mean", "new_running_variance")


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
    family : "native": BatchNormInference, BatchNormTraining and the latter with a ReLU are
        BatchNormalization, with epsilon rounded to f32, in f32 for data in 16 bits; Transpose moves
        the channels where they have to be. What it cannot say is written as stages: an epsilon that
        f32 has not, and positions that do not count. "stages": everything is stages, in f64.
    momentum : None: the statistics are the batch's own. A number from 0 to 1: each
        BatchNormTraining has its running statistics as two more inputs of the model, named
        "norm.running_mean" and "norm.running_variance" for a node "norm", and what they become as
        two more outputs, "norm.new_running_mean" and so on. As everywhere in normgraph it is the
        weight of the new value. ONNX' attribute, which is written, is that of the old one, and the
        variance that it keeps is the biased one, as in
        update_running_statistics(..., unbiased=False).

    Constants keep their names. A name that is taken gets a number; line ends and the like are
    escaped.

    For an empty batch, which BatchNormTraining and its forms with a ReLU refuse, the model's
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
    check_types_are_known(function.nodes)
    check_outputs(
        function.nodes,
        lambda output: (
            f"expected a known rank, got {output.partial_shape}"
            if output.partial_shape.rank.is_dynamic
            else None
        ),
    )
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


class Writer(GraphWriter):
    """Writes statements and initializers."""

    ELEMENT_WISE: ClassVar = {
        "Add": "Add",
        "Subtract": "Sub",
        "Multiply": "Mul",
        "Divide": "Div",
        "Negate": "Neg",
        "SquareRoot": "Sqrt",
    }

    def __init__(self, family: Family, momentum: float | None) -> None:
        super().__init__(family)
        self.momentum = momentum
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.initializers: list[Initializer] = []
        self.statements: list[Statement] = []
        self.names_of_statistics: dict[Node, tuple[str, ...]] = {}
        self.fillings = 0

    def graph_of(self, function: Function) -> Graph:
        """The whole model."""
        check_is_expressible(function)
        self.inputs = self.add_parameters(function, "input")
        # Before any node takes them: what others read of a model are the names of its results.
        names = [self.new_name(result_name(result)) for result in function.results]
        if self.momentum is None:
            function = _core.widen_statistics(function)
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
        """Names that are promised: those of running statistics as well."""
        nodes = function.nodes
        if self.momentum is not None:
            for node in nodes:
                if node.type_name in TRAINING:
                    names = (f"{node.friendly_name}.{name}" for name in STATISTICS)
                    self.names_of_statistics[node] = tuple(map(self.new_name, names))
        super().reserve_names(function)

    def new_name(self, wish: str | None = None) -> str:
        return self.names.new(in_one_line(wish) if wish else "value")

    # ---- the family ------------------------------------------------------------------------------

    def add_native(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> bool:
        if float_of_32_bits(node.attributes.get("epsilon", 0.0)) is None or is_masked(node):
            return False
        if node.type_name in TRAINING:
            self.add_training(node, outputs)
            return True
        if node.type_name in INFERENCE:
            self.values[node.output(0)] = self.normalization(node, is_training=False)[0]
            return True
        return False

    def activated(self, node: _core.op.BatchNormNode, normalized: Value, element: str) -> Value:
        """The op's first output: the sum with a residual and a ReLU, where it has them.

        The sum is made before it is rounded to the element type.
        """
        if any(value.name == "residual" for value in node.inputs):
            residual = self.cast(self.values[node.input("residual").source], normalized.element)
            normalized = self.compute("Add", normalized, residual)
        rounded = self.cast(normalized, element)
        return self.relu(node, rounded) if node.output(0).name == "activated" else rounded

    def add_stages(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        if self.momentum is not None and node.type_name in TRAINING:
            raise NotExpressibleError(
                f"{described(node)}: running statistics are those of BatchNormalization, got an op "
                "that is written as stages"
            )
        super().add_stages(node, outputs)

    def add_training(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        """BatchNormalization that trains, and a ReLU where the op has one."""
        values: list[Value] = []
        if self.momentum is None or any(output.index > 0 for output in outputs):
            values = self.normalization(node, is_training=True)
        if self.momentum is not None:
            # The statistics of this one are not the batch's.
            values[:1] = self.normalization(node, is_training=True, momentum=self.momentum)[:1]
        if any(output.name == "mask" for output in outputs):
            values.append(self.relu_mask(node, values[0]))
        for output, value in zip(node.outputs, values, strict=False):
            self.values[output] = value

    def normalization(
        self, node: _core.op.BatchNormNode, is_training: bool, momentum: float | None = None
    ) -> list[Value]:
        """The op's first output; when training, the new statistics too.

        Those are the batch's own without a momentum, and else the running ones, which become inputs
        and outputs of the model.
        """
        data, *vectors = (
            self.values[value.source] for value in node.inputs if value.name != "residual"
        )
        statistics_type = node.outputs[1].element_type.name if is_training else ""
        order = channels_second(node.channel_axis % len(data.shape), len(data.shape))
        # Statistics of f64 are those of a computation in f64.
        is_double = "f64" in (statistics_type, *(vector.element for vector in vectors))
        wide = self.cast(data, "f64") if is_double else self.widened(data)
        moved = self.transpose(wide, order)
        vectors = [self.cast(vector, moved.element) for vector in vectors]
        attributes: dict[str, Any] = {"epsilon": node.attributes["epsilon"]}
        results = [moved._replace(name=self.new_name())]
        if is_training:
            # ONNX weights the old value, which does not count with weight 0. onnxruntime writes the
            # new values over the old ones, and makes one value of two that are equal: so they are
            # equal to no other in the model.
            attributes |= {
                "training_mode": 1,
                "momentum": 0.0 if momentum is None else 1 - momentum,
            }
            vectors += (
                [self.filled(self.unlike_any_other(), vectors[0]) for _ in range(2)]
                if momentum is None
                else self.running_statistics(node, vectors[0], statistics_type)
            )
            results += [vectors[0]._replace(name=self.new_name()) for _ in range(2)]
        self.add_statement("BatchNormalization", [moved, *vectors], results, attributes)
        back = tuple(int(axis) for axis in np.argsort(order))
        normalized = self.activated(node, self.transpose(results[0], back), data.element)
        statistics = [self.cast(value, statistics_type) for value in results[1:]]
        if momentum is not None:
            self.add_new_statistics(node, statistics)
        return [normalized, *statistics]

    def unlike_any_other(self) -> float:
        """A small number, in the range of f32, that nothing else in the model has."""
        self.fillings += 1
        return self.fillings * 2.0**-100

    def filled(self, number: float, like: Value) -> Value:
        """A number for each element of a vector in f32 or f64."""
        return self.expand(self.number(number, like), like)

    def running_statistics(self, node: Node, like: Value, element: str) -> list[Value]:
        """Two more inputs of the model."""
        found = []
        for name in self.names_of_statistics[node][:2]:
            value = Value(name, element, like.shape)
            self.inputs.append(value)
            found.append(self.cast(value, like.element))
        return found

    def add_new_statistics(self, node: Node, statistics: list[Value]) -> None:
        """Two more outputs of the model."""
        for name, value in zip(self.names_of_statistics[node][2:], statistics, strict=True):
            result = value._replace(name=name)
            self.outputs.append(self.write("Identity", [value], result))

    # ---- statements ------------------------------------------------------------------------------

    def add_statement(
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
            result = result._replace(name=self.new_name())
        self.add_statement(op, inputs, [result], attributes)
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

    def number(self, number: float, like: Value) -> Value:
        """A scalar, written once."""
        key = (like.element, float(number))
        if key not in self.constants:
            data = np.array(number, "<f4" if like.element == "f32" else "<f8").tobytes()
            self.constants[key] = self.initializer(like.element, (), data)
        return self.constants[key]

    def integers(self, numbers: Sequence[int]) -> Value:
        """A vector of integers, written once."""
        key = ("i64", tuple(numbers))
        if key not in self.constants:
            data = np.array(numbers, "<i8").tobytes()
            self.constants[key] = self.initializer("i64", (len(numbers),), data)
        return self.constants[key]

    def cast(self, value: Value, element: str, wish: str | None = None) -> Value:
        if value.element == element:
            return value
        return self.write("Cast", [value], Value("", element, value.shape), to=element)

    def widened(self, value: Value) -> Value:
        """A value of 16 bits in f32, in which it is computed."""
        return self.cast(value, "f32") if is_short(value) else value

    def transpose(self, value: Value, order: tuple[int, ...]) -> Value:
        if order == tuple(range(len(order))):
            return value
        shape = tuple(value.shape[axis] for axis in order)
        return self.write("Transpose", [value], Value("", value.element, shape), perm=order)

    def shape_of(self, value: Value) -> Value:
        """The lengths: a constant if they are known."""
        if None not in value.shape:
            return self.integers(value.shape)
        return self.write("Shape", [value], Value("", "i64", (len(value.shape),)))

    def expand(self, value: Value, like: Value) -> Value:
        result = Value("", value.element, like.shape)
        return self.write("Expand", [value, self.shape_of(like)], result)

    def product_of_lengths(self, value: Value, axes: Sequence[int], keepdims: int) -> Value:
        some = Value("", "i64", (len(axes),))
        lengths = self.write("Gather", [self.shape_of(value), self.integers(axes)], some, axis=0)
        result = Value("", "i64", (1,) * keepdims)
        return self.write("ReduceProd", [lengths], result, keepdims=keepdims)

    def count_of(self, value: Value, axes: Sequence[int], like: Value) -> Value:
        if known_product(value, axes) is None:
            return self.cast(self.product_of_lengths(value, axes, keepdims=0), "f64")
        return super().count_of(value, axes, like)

    def length_along(self, value: Value, axes: Sequence[int]) -> Value:
        """The number of elements along these axes, as a vector of one integer."""
        count = known_product(value, axes)
        if count is not None:
            return self.integers([count])
        return self.product_of_lengths(value, axes, keepdims=1)

    def reshape(self, value: Value, lengths: Sequence[Value]) -> Value:
        """A value reshaped to lengths that are vectors of integers, one after the other."""
        shape = self.joined(*lengths)
        result = Value("", value.element, (None,) * len(lengths))
        return self.write("Reshape", [value, shape], result, allowzero=1)

    def joined(self, *lengths: Value) -> Value:
        """Vectors of integers one after the other."""
        return self.write("Concat", lengths, Value("", "i64", (None,)), axis=0)

    def compute(self, op: str, *operands: Value, wish: str | None = None) -> Value:
        wide = [self.widened(value) for value in operands]
        result = self.write(self.ELEMENT_WISE[op], wide, wide[0]._replace(name=""))
        return self.cast(result, operands[0].element)

    def sum_along(self, value: Value, axes: Sequence[int]) -> Value:
        shape = tuple(length for axis, length in enumerate(value.shape) if axis not in axes)
        result = Value("", value.element, shape)
        return self.write("ReduceSum", [value, self.integers(axes)], result, keepdims=0)

    def product(self, left: Value, right: Value, flags: Sequence[bool]) -> Value:
        factors = [
            self.transpose(value, (1, 0) if flag else (0, 1))
            for value, flag in zip((left, right), flags, strict=True)
        ]
        shape = (factors[0].shape[0], factors[1].shape[1])
        return self.write("MatMul", factors, Value("", "f64", shape))

    # ---- primitive ops ---------------------------------------------------------------------------

    def compare(self, op: str, value: Value, number: float) -> Value:
        """Each element of a value in f32 or f64 beside a number."""
        return self.write(
            op, [value, self.number(number, value)], Value("", "boolean", value.shape)
        )

    def replaced(
        self, value: Value, end: End, number: float, other: Value, wish: str | None = None
    ) -> Value:
        value, wide = self.widened(value), self.widened(other)
        is_beyond = self.compare(
            "GreaterOrEqual" if end.is_upper else "LessOrEqual", value, end.number
        )
        operands = [is_beyond, self.number(number, wide), wide]
        return self.cast(self.write("Where", operands, wide._replace(name="")), other.element)

    def broadcast(self, node: Node, value: Value, like: Value) -> Value:
        axes = axes_of(node, like)
        wide = self.widened(value)
        new = other_axes(node, like)
        if new and axes:
            shape = tuple(length if axis in axes else 1 for axis, length in enumerate(like.shape))
            result = Value("", wide.element, shape)
            wide = self.write("Unsqueeze", [wide, self.integers(new)], result)
        return self.cast(self.expand(wide, like), value.element)

    def select_where(self, node: Node, value: Value, where: Value) -> Value:
        wide = self.widened(value)
        operands = [where, wide, self.number(0.0, wide)]
        return self.cast(self.write("Where", operands, wide._replace(name="")), value.element)

    # ---- masks -----------------------------------------------------------------------------------

    def rows_of(self, node: Node, value: Value) -> tuple[list[Value], Value]:
        """The lengths of the rows that bits are packed in: all but the last one, and the last."""
        rank = len(value.shape)
        axis = node.attributes["channel_axis"] % rank
        before, after = range(axis), range(axis + 1, rank)
        outer, channels, inner = (
            self.length_along(value, list(axes)) for axes in (before, [axis], after)
        )
        return ([outer], channels) if axis == rank - 1 else ([outer, channels], inner)

    def whole_bytes(self, length: Value) -> tuple[Value, Value]:
        """The number of bytes that a row takes, and the number of their bits."""
        one = length._replace(name="")
        eight = self.integers([8])
        more = self.write("Add", [length, self.integers([7])], one)
        count = self.write("Div", [more, eight], one)
        return count, self.write("Mul", [count, eight], one)

    def powers(self, element: str) -> Value:
        """1 to 128, what each bit of a byte counts."""
        return self.cast(self.integers([1 << place for place in range(8)]), element)

    def relu_mask(self, node: Node, value: Value) -> Value:
        """A byte of each eight bits, as a sum of powers of two, which is exact in f32."""
        rows, length = self.rows_of(node, value)
        count, whole = self.whole_bytes(length)
        wide = self.widened(value)
        blocked = self.compare("Equal", wide, 0.0)
        bound = upper_end(node, value)
        if bound is not None:
            is_beyond = self.compare("GreaterOrEqual", wide, bound.number)
            blocked = self.write("Or", [blocked, is_beyond], blocked._replace(name=""))
        bits = self.cast(self.write("Not", [blocked], blocked._replace(name="")), "f32")
        bits = self.reshape(bits, [*rows, length])
        missing = self.write("Sub", [whole, length], length._replace(name=""))
        pads = self.joined(self.integers([0] * (2 * len(rows) + 1)), missing)
        bits = self.write("Pad", [bits, pads], bits._replace(name=""))
        bits = self.reshape(bits, [*rows, count, self.integers([8])])
        bits = self.write("Mul", [bits, self.powers("f32")], bits._replace(name=""))
        result = value_of(node.output("mask" if len(node.outputs) > 1 else 0))
        last = self.integers([len(rows) + 1])
        total = self.write("ReduceSum", [bits, last], result._replace(element="f32"), keepdims=0)
        return self.cast(total, "u8")

    def relu_mask_select(self, node: Node, delta: Value, mask: Value) -> Value:
        rows, length = self.rows_of(node, delta)
        integers = self.cast(mask, "i32")
        last = self.integers([len(rows) + 1])
        repeated = Value("", "i32", (*integers.shape, 1))
        integers = self.write("Unsqueeze", [integers, last], repeated)
        bits = self.write("Div", [integers, self.powers("i32")], repeated)
        two = self.cast(self.integers([2]), "i32")
        bits = self.write("Mod", [bits, two], repeated)
        bits = self.reshape(bits, [*rows, self.whole_bytes(length)[1]])
        ends = [self.integers([0]), length, self.integers([len(rows)])]
        bits = self.write("Slice", [bits, *ends], bits._replace(name=""))
        same = Value("", "i32", delta.shape)
        bits = self.write("Reshape", [bits, self.shape_of(delta)], same, allowzero=1)
        wide = self.widened(delta)
        operands = [self.cast(bits, "boolean"), wide, self.number(0.0, wide)]
        return self.cast(self.write("Where", operands, wide._replace(name="")), delta.element)


def is_masked(node: Node) -> bool:
    """Whether some positions may not count, which BatchNormalization cannot say."""
    return any(value.name == "where" for value in node.inputs)


def is_short(value: Value) -> bool:
    """Whether a value has 16 bits, and is computed in f32."""
    return value.element in ("f16", "bf16")


def channels_second(axis: int, rank: int) -> tuple[int, ...]:
    """The order of axes in which the channels are axis 1, the others as they were."""
    others = [other for other in range(rank) if other != axis]
    return (others[0], axis, *others[1:])


def result_name(result: Output) -> str:
    """The name of a result: the one that was given, or that of the op's output."""
    return output_name(result) if chosen_name(result.node) else result.name


# ---- the model -----------------------------------------------------------------------------------


def model_of(graph: Graph) -> onnx.ModelProto:
    """A graph in the classes of the package onnx."""
    make = import_onnx().helper

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
