"""BatchNormalization, of opset 6 and later, in both modes.

Its epsilon is an f32: what is read is the decimal number of at most six digits that f32 rounds to
the same, which is what has been written (1e-05, not 9.99999974737875e-06), or else the f32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..._core import Output, element
from ..graph_reader import Refusal, View, unwidened, view_of
from .statement import Attribute, Operand, Operator, Statement

#: The names of the inputs, as messages call them.
VECTORS = ("scale", "B", "input_mean", "input_var")


def decimal(number: float) -> float:
    """The decimal number of at most six digits that rounds to the same f32, or the f32 itself."""
    short = float(f"{number:.6g}")
    return short if np.float32(short) == np.float32(number) else float(number)


def read_batch_normalization(statement: Statement) -> Sequence[Operand]:
    """The normalized values, and in training the running statistics. Raises Refusal."""
    attributes = statement.attributes
    is_training = attributes.get("training_mode", 0) != 0
    if statement.scope.opset < 7 and not attributes.get("is_test", 0):
        raise Refusal("attribute 'is_test': expected 1, got 0: training is read from opset 14 on")
    check_outputs(statement, is_training)
    x = statement.view(0)
    if attributes.get("spatial", 1) == 0 and x.rank != 2:
        raise Refusal(
            f"attribute 'spatial': expected 1 for {x.rank} axes, got 0: normgraph normalizes "
            "channels as a whole"
        )
    if set(x.axes) != set(range(x.rank)):
        x = view_of(statement.builder.whole(x))
    if x.rank < 2:
        raise Refusal(f"X: expected at least 2 axes, got {x.shape}")
    normalization = Normalization(statement, x)
    return normalization.training() if is_training else [normalization.inference()]


def check_outputs(statement: Statement, is_training: bool) -> None:
    """Raise Refusal for outputs that there are in another mode, or that no one can define."""
    opset = statement.scope.opset
    named = [index for index, name in enumerate(statement.node.output) if name]
    if opset < 14 and named != [0]:
        names = ("Y", "mean", "var", "saved_mean", "saved_var")
        found = ", ".join(names[index] for index in named if index < len(names))
        raise Refusal(
            f"outputs: expected Y alone, got {found}: which statistics the training of opsets "
            "before 14 puts out is not defined"
        )
    most = 3 if is_training else 1
    if statement.read[-1] >= most:
        mode = "training" if is_training else "inference"
        raise Refusal(f"outputs: expected at most {most} in {mode}, got {statement.read[-1] + 1}")


class Normalization:
    """One statement, with data that have all their axes."""

    def __init__(self, statement: Statement, x: View) -> None:
        self.statement = statement
        self.builder = statement.builder
        self.x = x
        self.channel_axis = x.axes.index(1)
        self.epsilon = decimal(statement.attributes.get("epsilon", np.float32(1e-5)))
        # Data that are widened before and narrowed behind are normalized in their own type.
        narrow = unwidened(x.output)
        self.is_widened = narrow is not x.output and narrow.element_type == statement.narrow
        self.data = narrow if self.is_widened else x.output

    def vectors(self, first: int) -> list[Output]:
        """Two vectors of one type: that of the data, or a wider one. Raises Refusal."""
        found = []
        for index in (first, first + 1):
            view = self.statement.view(index)
            if view.rank != 1:
                raise Refusal(f"{VECTORS[index - 1]}: expected one axis, got {view.shape}")
            found.append(self.builder.whole(view))
        narrow = [unwidened(vector) for vector in found]
        types = {vector.element_type for vector in narrow}
        is_short = self.is_widened and len(types) == 1
        if is_short and all(
            before is not after for before, after in zip(found, narrow, strict=True)
        ):
            # As wide as data and vectors allow it.
            (type_,) = types
            if type_ in (self.data.element_type, element.f32) or first == 3:
                found = narrow
        return [self.no_narrower(vector) for vector in found]

    def no_narrower(self, vector: Output) -> Output:
        """A vector of at least the data's width."""
        if vector.element_type.size >= self.data.element_type.size:
            return vector
        return self.builder.convert(view_of(vector), self.data.element_type).output

    def placed(self, output: Output) -> View:
        """A result with the axes of the data."""
        return self.x._replace(output=output)

    def inference(self) -> View:
        vectors = [*self.vectors(1), *self.vectors(3)]
        node = self.builder.construct(
            "BatchNormInference",
            self.data,
            *vectors,
            epsilon=self.epsilon,
            channel_axis=self.channel_axis,
        )
        return self.placed(node.output(0))

    def training(self) -> list[Operand]:
        """The running statistics are written as sums of what was and what is."""
        read = self.statement.read
        has_statistics = read[-1] > 0
        type_ = self.statement.view(3).type if has_statistics else self.x.type
        wide = element.f32 if has_statistics and type_.size == 2 else type_
        if wide.size < self.x.type.size:
            wide = self.x.type
        vectors = self.vectors(1)
        # Without an attribute statistics have the type of gamma.
        attributes = {} if wide == vectors[0].element_type else {"statistics_type": wide}
        node = self.builder.construct(
            "BatchNormTraining",
            self.data,
            *vectors,
            epsilon=self.epsilon,
            channel_axis=self.channel_axis,
            **attributes,
        )
        results: list[Operand] = [self.placed(node.output(0))]
        for index in (1, 2):
            # What nothing reads need not have an old value that can be read.
            is_read = index in read
            results += [self.running(index, node.output(index), type_) if is_read else results[0]]
        return results

    def running(self, index: int, new: Output, type_: element.Type) -> View:
        """The new value where momentum is 0: what was counts nothing then."""
        momentum = self.statement.attributes.get("momentum", float(np.float32(0.9)))
        builder = self.builder
        value = view_of(new)
        if momentum != 0:
            old = builder.convert(self.statement.view(2 + index), new.element_type)
            weights = [
                builder.scalar(weight, new.element_type) for weight in (momentum, 1 - momentum)
            ]
            terms = [
                builder.element_wise("Multiply", part, weight)
                for part, weight in zip((old, value), weights, strict=True)
            ]
            value = builder.element_wise("Add", *terms)
        return builder.convert(value, type_)


BATCH_NORMALIZATION = Operator(
    read_batch_normalization,
    inputs=(5, 5),
    attributes={
        "epsilon": Attribute("FLOAT"),
        "is_test": Attribute("INT", before=7),
        "momentum": Attribute("FLOAT"),
        "spatial": Attribute("INT", before=9),
        "training_mode": Attribute("INT", since=14),
    },
    outputs=5,
)
