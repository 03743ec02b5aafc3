"""Random graphs that mix all ops: both backends give the same bits, for gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array

LENGTHS = {"data": (3, 4, 5), "vector": (4,), "scalar": (), "matrix": (4, 4)}
ALL = tuple(LENGTHS)
UNARY = (ng.op.Negate, ng.op.Relu, ng.op.SquareRoot)
BINARY = (ng.op.Add, ng.op.Subtract, ng.op.Multiply, ng.op.Divide, ng.op.ReluBackprop)


class Graph:
    """Values of a few shapes, to which random nodes are added that read random ones of them."""

    def __init__(self, element_type: str, draw: Callable[[Any], Any], is_dynamic: bool) -> None:
        self._draw = draw
        self._type = element_type
        self.parameters = [
            ng.Parameter(element_type, [None] * len(shape) if is_dynamic else shape, name=kind)
            for kind, shape in LENGTHS.items()
        ]
        self.values: dict[str, list[ng.Output]] = {
            kind: [parameter.output(0)]
            for kind, parameter in zip(LENGTHS, self.parameters, strict=True)
        }
        self._data = self.parameters[0].output(0)

    def add(self) -> None:
        """One node, or a few that belong together."""
        self._pick([self._elementwise, self._reduce, self._repeat, self._other, self._norm])()

    def results(self) -> list[ng.Output]:
        values = [value for kind in ALL for value in self.values[kind]]
        return self._draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))

    def _pick(self, choices: Any) -> Any:
        return self._draw(st.sampled_from(list(choices)))

    def _value(self, kind: str) -> ng.Output:
        return self._pick(self.values[kind])

    def _keep(self, kind: str, node: ng.Node) -> None:
        self.values[kind].append(node.output(0))

    def _elementwise(self) -> None:
        kind, op = self._pick(ALL), self._pick(UNARY + BINARY)
        count = 1 if op in UNARY else 2
        self._keep(kind, op(*(self._value(kind) for _ in range(count))))

    def _reduce(self) -> None:
        op = self._pick((ng.op.Sum, ng.op.Mean))
        source, kept, kind = self._pick(
            [
                ("data", [1], "vector"),
                ("data", [], "scalar"),
                ("data", [-2], "vector"),
                ("matrix", [0], "vector"),
                ("matrix", [1], "vector"),
                ("vector", [], "scalar"),
            ]
        )
        self._keep(kind, op(self._value(source), kept))

    def _repeat(self) -> None:
        op = self._pick((ng.op.Broadcast, ng.op.MeanBackprop))
        source, axes, kind = self._pick(
            [
                ("vector", [1], "data"),
                ("scalar", [], "data"),
                ("vector", [0], "matrix"),
                ("vector", [1], "matrix"),
                ("scalar", [], "vector"),
            ]
        )
        self._keep(kind, op(self._value(source), self._value(kind), axes))

    def _other(self) -> None:
        if self._pick((False, True)):
            flags = [self._pick((False, True)) for _ in range(2)]
            self._keep(
                "matrix", ng.op.MatrixMultiply(self._value("matrix"), self._value("matrix"), *flags)
            )
            return
        kind = self._pick(ALL)
        wide = ng.op.Convert(self._value(kind), self._pick(list(REAL_TYPES)))
        self._keep(kind, ng.op.Convert(wide, self._type))

    def _norm(self) -> None:
        data, delta = self._value("data"), self._value("data")
        gamma, beta, mean, variance = (self._value("vector") for _ in range(4))
        which = self._pick(range(4))
        if which == 0:
            norm = ng.op.BatchNormTraining(data, gamma, beta, epsilon=0.5)
            self._keep("data", ng.op.Relu(norm.output(0)))
            self.values["vector"] += norm.outputs[1:]
        elif which == 1:
            self._keep("data", ng.op.BatchNormInference(data, gamma, beta, mean, variance))
        elif which == 2:
            node = ng.op.BatchNormTrainingRelu(data, gamma, beta, epsilon=0.5)
            backprop = ng.op.BatchNormTrainingReluBackprop(
                data, gamma, beta, *node.outputs[1:], delta, epsilon=0.5
            )
            self.values["data"] += [node.output(0), backprop.output(0)]
            self.values["vector"] += backprop.outputs[1:]
        else:
            op = self._pick((ng.op.BatchNormTrainingBackprop, ng.op.BatchNormInferenceBackprop))
            node = op(data, gamma, beta, mean, variance, delta)
            self._keep("data", node)
            self.values["vector"] += node.outputs[1:]


def random_arrays(function: ng.Function, element_type: str, seed: int) -> list[Array]:
    """For parameters that are named after a kind of value, or after a result's gradient."""
    random = np.random.default_rng(seed)
    dtype = REAL_TYPES[element_type].dtype
    return [
        random.standard_normal(LENGTHS[parameter.friendly_name]).astype(dtype)
        for parameter in function.parameters
    ]


def check_backends(function: ng.Function, arguments: list[Array]) -> tuple[Array, ...]:
    fast = ng.compile(function)
    values = fast(*arguments)
    plain = ng.compile(function, backend="reference")(*arguments)
    shared = fast(*arguments, num_threads=3)
    for index, (left, right, other) in enumerate(zip(values, plain, shared, strict=True)):
        assert_same_bits(left, right, f"result {index} of\n{function}")
        assert_same_bits(left, other, f"result {index}, on 3 threads, of\n{function}")
    return values


@pytest.mark.parametrize("element_type", list(REAL_TYPES))
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), size=st.integers(1, 14), is_dynamic=st.booleans())
def test_both_backends_give_the_same_bits(
    element_type: str, data: st.DataObject, size: int, is_dynamic: bool
) -> None:
    graph = Graph(element_type, data.draw, is_dynamic)
    for _ in range(size):
        graph.add()
    function = ng.Function(graph.results(), graph.parameters)
    arguments = random_arrays(function, element_type, size)
    with np.errstate(all="ignore"):
        results = check_backends(function, arguments)
        deltas = [np.ones_like(result) for result in results]
        check_backends(ng.gradients(function), [*arguments, *deltas])
