"""Comparison of another program's results for a function with normgraph's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array
from ..runtime.running_error import Extended, Value, evaluate

RANKS = {2: (6, 3), 3: (4, 3, 5), 4: (2, 3, 4, 2)}


def check_agreement(results: Sequence[Array], function: ng.Function, arguments: list[Array]) -> int:
    """Assert that each element is as near to normgraph's as the two bounds of error let it be.

    Those of the other program's are of the primitive ops, in f64 for the family: of a result in
    32 bits or less hardly more than its last rounding. Those of normgraph's kernels are of the
    stages in the type that these sum in. Returns how many elements differ at all.
    """
    ours = ng.compile(function)(*arguments)
    theirs = evaluate(ng.decompose(function, "f64"), arguments)
    own = evaluate(ng.decompose(function, summed_in(function)), arguments)
    errors = [a.error + b.error for a, b in zip(theirs, own, strict=True)]
    count = 0
    for index, (actual, expected, error) in enumerate(zip(results, ours, errors, strict=True)):
        what = f"result {index} of\n{function}"
        if expected.dtype == np.uint8:
            assert_same_bits(actual, expected, what)
        else:
            assert actual.dtype == expected.dtype, what
            check_within(actual, expected, error, what)
            count += int(np.sum(actual != expected))
    return count


def summed_in(function: ng.Function) -> str | None:
    """The type of the channel vectors (None), but for statistics of 16-bit data, which are f64."""
    is_short = any(
        node.type_name == "BatchNormStatistics"
        and node.input("input").source.element_type.size == 2
        for node in function.nodes
    )
    return "f32" if is_short else None


def check_within(actual: Array, expected: Array, allowed: Array, what: str) -> None:
    assert actual.shape == expected.shape, what
    difference = np.abs(in_extended(actual) - in_extended(expected))
    excess = difference - allowed
    assert not actual.size or excess.max() <= 0, (
        f"{what}: off by {difference.max()} where {allowed.min()} to {allowed.max()} is allowed"
    )


def in_extended(array: Array) -> Array:
    wide: Array = array.astype(np.float64).astype(Extended)
    return wide


def bounds_in_own_type(
    function: ng.Function, arguments: list[Array], in_type: str, factor: float
) -> list[Array]:
    """`factor` times the bounds of the stages computed in another type."""
    values: list[Value] = evaluate(ng.decompose(function, in_type), arguments)
    return [factor * value.error for value in values]


def make_dynamic(function: ng.Function) -> None:
    for parameter in function.parameters:
        parameter.partial_shape = [None] * len(parameter.partial_shape)
    function.validate_nodes_and_infer_types()


def channel_axes(rank: int) -> tuple[int, ...]:
    """Channels first and channels last, and none of them twice."""
    return (1,) if rank == 2 else (1, -1)


def special(element_type: str) -> Array:
    """NaN, infinities, both zeros, and numbers around them."""
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0]
    return np.array(values, REAL_TYPES[element_type].dtype)


def normals(element_type: str, *shape: int, seed: int = 3) -> Array:
    random = np.random.default_rng([seed, *shape])
    return random.standard_normal(shape).astype(REAL_TYPES[element_type].dtype)


class Primitive:
    """A primitive op with its attributes, on arguments of these shapes."""

    def __init__(
        self, op: str, *shapes: tuple[int, ...], positive: bool = False, **attributes: Any
    ):
        self.op, self.shapes, self.attributes = op, shapes, attributes
        self.positive = positive

    def __str__(self) -> str:
        numbers = [str(value) for value in self.attributes.values()]
        return "-".join([self.op, *map(str, self.shapes), *numbers])

    def function(self, element_type: str) -> ng.Function:
        parameters = [ng.Parameter(element_type, shape) for shape in self.shapes]
        node = getattr(ng.op, self.op)(*parameters, **self.attributes)
        return ng.Function(node.outputs, parameters)

    def arguments(self, element_type: str) -> list[Array]:
        arrays = [
            normals(element_type, *shape, seed=seed) for seed, shape in enumerate(self.shapes)
        ]
        if self.positive:
            one = REAL_TYPES[element_type].dtype.type(0.5)
            arrays[-1] = np.abs(arrays[-1]) + one
        return arrays


DATA = (2, 3, 4, 5)
PRIMITIVES = (
    *(Primitive(op, (3, 4), (3, 4)) for op in ("Add", "Subtract", "Multiply", "ReluBackprop")),
    Primitive("Add", (), ()),
    Primitive("Add", (0, 3), (0, 3)),
    Primitive("Divide", (3, 4), (3, 4), positive=True),
    *(Primitive(op, (7,)) for op in ("Negate", "Relu")),
    Primitive("SquareRoot", (7,), positive=True),
    *(
        Primitive(op, shape, kept_axes=axes)
        for op in ("Sum", "Mean")
        for shape, axes in (
            ((), []),
            ((5,), []),
            ((5,), [0]),
            ((6, 3), [1]),
            ((6, 3), [0]),
            (DATA, [1]),
            (DATA, [-1]),
            (DATA, [0, 2]),
            (DATA, []),
            (DATA, [0, 1, 2, 3]),
        )
    ),
    Primitive("Sum", (0, 3), kept_axes=[1]),
    *(
        Primitive(op, shape, like, axes=axes)
        for op in ("Broadcast", "MeanBackprop")
        for shape, like, axes in (
            ((), (), []),
            ((), (2, 3), []),
            ((3,), (3,), [0]),
            ((3,), DATA, [1]),
            ((5,), DATA, [-1]),
            ((2, 4), DATA, [0, 2]),
            ((3,), (0, 3), [1]),
        )
    ),
    *(
        Primitive("MatrixMultiply", left, right, transpose_left=a, transpose_right=b)
        for left, right, a, b in (
            ((2, 3), (3, 4), False, False),
            ((3, 2), (3, 4), True, False),
            ((2, 3), (4, 3), False, True),
            ((3, 2), (4, 3), True, True),
            ((2, 0), (0, 4), False, False),
        )
    ),
)


def network(element_type: str = "f32", rows: int | None = 5) -> tuple[ng.Function, list[Array]]:
    """Two layers with a ReLU in between, and arguments."""
    shapes: Mapping[str, tuple[int, ...]] = {
        "x": (5, 4),
        "weights": (4, 6),
        "gamma": (6,),
        "beta": (6,),
        "more_weights": (3, 6),
    }
    parameters = {
        name: ng.Parameter(element_type, (rows, 4) if name == "x" else shape, name=name)
        for name, shape in shapes.items()
    }
    hidden = ng.op.MatrixMultiply(parameters["x"], parameters["weights"], name="hidden")
    norm = ng.op.BatchNormTraining(
        hidden, parameters["gamma"], parameters["beta"], epsilon=1e-3, name="norm"
    )
    active = ng.op.Relu(norm.output("normalized"), name="active")
    y = ng.op.MatrixMultiply(active, parameters["more_weights"], transpose_right=True, name="y")
    function = ng.Function(
        [y, norm.output("mean"), norm.output("variance")], list(parameters.values()), name="network"
    )
    arguments = [
        normals(element_type, *shape, seed=seed) for seed, shape in enumerate(shapes.values())
    ]
    return function, arguments
