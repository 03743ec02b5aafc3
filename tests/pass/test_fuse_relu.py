"""ReLUs become part of the batch norm before them, and no bit changes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.samples import Sample


class Layer(NamedTuple):
    parameters: list[ng.Parameter]
    norm: ng.Node
    relu: ng.Node


def make_layer(
    data_type: str = "f32", channel_axis: int = 1, upper_bound: float | None = None
) -> Layer:
    x = ng.Parameter(data_type, [None, None, None], name="x")
    vectors = [ng.Parameter("f32", [None], name=name) for name in ("gamma", "beta")]
    norm = ng.op.BatchNormTraining(x, *vectors, channel_axis=channel_axis, name="norm")
    return Layer([x, *vectors], norm, ng.op.Relu(norm.output(0), upper_bound, name="relu"))


def training_step(layer: Layer) -> ng.Function:
    """The forward results, and the gradients."""
    forward = ng.Function([layer.relu, *layer.norm.outputs[1:]], layer.parameters)
    backward = ng.gradients(forward)
    return ng.Function([*forward.results, *backward.results], backward.parameters)


def kinds(function: ng.Function) -> set[str]:
    return {node.type_name for node in function.nodes} - {"Parameter"}


@pytest.mark.parametrize("data_type", ["f32", "bf16"])
@pytest.mark.parametrize("channel_axis", [1, -1])
@pytest.mark.parametrize("upper_bound", [None, 0.7])
def test_forward_and_backward_are_fused_and_give_the_same_bits(
    data_type: str, channel_axis: int, upper_bound: float | None
) -> None:
    function = training_step(make_layer(data_type, channel_axis, upper_bound))
    fused = ng.fuse_relu(function)
    bounds = [
        node.attributes.get("upper_bound")
        for node in fused.nodes
        if node.type_name == "BatchNormTrainingRelu"
    ]
    assert bounds == [upper_bound]
    assert {"BatchNormTraining", "Relu", "ReluBackprop"} <= kinds(function)
    gone = {"BatchNormTraining", "BatchNormTrainingBackprop", "Relu", "ReluBackprop"}
    assert not gone & kinds(fused)
    assert {"BatchNormTrainingRelu", "BatchNormTrainingReluBackprop"} <= kinds(fused)
    assert fused.parameters == function.parameters
    sample = Sample((5, 6, 7), data_type, "f32", channel_axis)
    arguments = sample.training()
    delta = sample.backprop().normalized_delta
    vectors = np.random.default_rng(3).standard_normal((2, sample.channels), np.float32)
    # The reference runs functions as they are.
    values = [
        ng.compile(f, backend="reference")(*arguments, delta, *vectors) for f in (function, fused)
    ]
    for index, (plain, together) in enumerate(zip(*values, strict=True)):
        assert_same_bits(together, plain, f"result {index}")


def test_what_is_read_before_the_relu_stays() -> None:
    layer = make_layer()
    normalized = layer.norm.output(0)
    for results in ([layer.relu, normalized], [layer.relu, ng.op.Negate(normalized)]):
        function = ng.Function(results, layer.parameters)
        assert kinds(ng.fuse_relu(function)) == kinds(function)
    delta = ng.Parameter("f32", [None, None, None], name="delta")
    for values in ((normalized, delta), (delta, normalized)):
        read = ng.op.ReluBackprop(*values)
        function = ng.Function([layer.relu, read], [*layer.parameters, delta])
        is_fused = "BatchNormTrainingRelu" in kinds(ng.fuse_relu(function))
        assert is_fused == (values[0] == normalized)


def test_relus_with_different_bounds_stay() -> None:
    """What one of them has made of the values is not what the other one needs."""
    layer = make_layer(upper_bound=6.0)
    normalized, activated = layer.norm.output(0), layer.relu.output(0)
    delta = ng.Parameter("f32", [None, None, None], name="delta")
    for other in (
        ng.op.Relu(normalized),
        ng.op.Relu(normalized, 5.0),
        ng.op.ReluBackprop(normalized, delta),
        ng.op.ReluBackprop(normalized, delta, 5.0),
    ):
        function = ng.Function([activated, other], [*layer.parameters, delta])
        assert "BatchNormTrainingRelu" not in kinds(ng.fuse_relu(function))
    for same in (ng.op.Relu(normalized, 6.0), ng.op.ReluBackprop(normalized, delta, 6.0)):
        function = ng.Function([activated, same], [*layer.parameters, delta])
        assert "BatchNormTrainingRelu" in kinds(ng.fuse_relu(function))


def test_a_second_relu_stays_unless_its_bound_is_the_same() -> None:
    layer = make_layer(upper_bound=6.0)
    activated = layer.relu.output(0)
    for bound in (None, 5.0, 6.0):
        function = ng.Function([ng.op.Relu(activated, bound)], layer.parameters)
        assert ("Relu" in kinds(ng.fuse_relu(function))) == (bound != 6.0)


def test_a_gradient_with_another_bound_stays() -> None:
    layer = make_layer(upper_bound=6.0)
    activated, mean, variance = layer.relu.output(0), *layer.norm.outputs[1:]
    x, gamma, beta = layer.parameters
    delta = ng.Parameter("f32", [None, None, None], name="delta")
    for bound in (None, 5.0, 6.0):
        blocked = ng.op.ReluBackprop(activated, delta, bound)
        node = ng.op.BatchNormTrainingBackprop(x, gamma, beta, mean, variance, blocked)
        function = ng.Function([activated, *node.outputs], [*layer.parameters, delta])
        is_fused = "BatchNormTrainingReluBackprop" in kinds(ng.fuse_relu(function))
        assert is_fused == (bound == 6.0)


def test_a_backward_op_of_another_layer_stays() -> None:
    layer = make_layer()
    activated, mean, variance = layer.relu.output(0), *layer.norm.outputs[1:]
    x, gamma, beta = layer.parameters
    delta = ng.Parameter("f32", [None, None, None], name="delta")
    other = ng.Parameter("f32", [None], name="other")
    blocked = ng.op.ReluBackprop(activated, delta)
    backward = ng.op.BatchNormTrainingBackprop
    nodes = [
        backward(x, gamma, beta, mean, variance, blocked),
        backward(x, gamma, beta, mean, variance, delta),
        backward(x, other, beta, mean, variance, blocked),
        backward(x, gamma, beta, mean, other, blocked),
        backward(x, gamma, beta, other, variance, blocked),
        backward(x, gamma, beta, variance, mean, blocked),
        backward(x, gamma, beta, mean, variance, blocked, epsilon=1e-3),
        backward(x, gamma, beta, mean, variance, blocked, channel_axis=-2),
    ]
    for index, node in enumerate(nodes):
        function = ng.Function([activated, *node.outputs], [*layer.parameters, delta, other])
        is_fused = "BatchNormTrainingReluBackprop" in kinds(ng.fuse_relu(function))
        assert is_fused == (index == 0), f"node {index}"


# ---- sums before the ReLU ------------------------------------------------------------------------


class Block(NamedTuple):
    parameters: list[ng.Parameter]
    norm: ng.Node
    added: ng.Node
    relu: ng.Node


def make_block(
    data_type: str = "f32", upper_bound: float | None = None, is_left: bool = True
) -> Block:
    """A residual is a parameter, which stands before every op."""
    x, residual = (ng.Parameter(data_type, [None, None, None], name=name) for name in ("x", "r"))
    vectors = [ng.Parameter("f32", [None], name=name) for name in ("gamma", "beta")]
    if data_type == "f64":
        vectors = [ng.Parameter("f64", [None], name=name) for name in ("gamma", "beta")]
    norm = ng.op.BatchNormTraining(x, *vectors, name="norm")
    terms = [norm.output(0), residual.output(0)]
    added = ng.op.Add(*(terms if is_left else terms[::-1]))
    relu = ng.op.Relu(added, upper_bound, name="relu")
    return Block([x, *vectors, residual], norm, added, relu)


@pytest.mark.parametrize("data_type", ["f32", "f64"])
@pytest.mark.parametrize("upper_bound", [None, 0.7])
@pytest.mark.parametrize("is_left", [True, False])
def test_a_sum_is_fused_forward_and_backward_and_gives_the_same_bits(
    data_type: str, upper_bound: float | None, is_left: bool
) -> None:
    block = make_block(data_type, upper_bound, is_left)
    forward = ng.Function([block.relu, *block.norm.outputs[1:]], block.parameters)
    backward = ng.gradients(forward)
    function = ng.Function([*forward.results, *backward.results], backward.parameters)
    fused = ng.fuse_relu(function)
    gone = {"BatchNormTraining", "BatchNormTrainingBackprop", "Relu", "ReluBackprop"}
    assert gone <= kinds(function)
    assert not gone & kinds(fused)
    assert {"BatchNormTrainingAddRelu", "BatchNormTrainingAddReluBackprop"} <= kinds(fused)
    sample = Sample((5, 6, 7), data_type, data_type)
    delta = sample.backprop().normalized_delta
    residual = np.random.default_rng(4).standard_normal(delta.shape).astype(delta.dtype)
    vectors = np.random.default_rng(3).standard_normal((2, sample.channels)).astype(delta.dtype)
    arguments = [*sample.training(), residual, delta, *vectors]
    values = [ng.compile(f, backend="reference")(*arguments) for f in (function, fused)]
    for index, (plain, together) in enumerate(zip(*values, strict=True)):
        assert_same_bits(together, plain, f"result {index}")


def test_a_sum_of_short_data_stays() -> None:
    """Its normalized data would no longer be rounded before they are added."""
    block = make_block("bf16")
    function = ng.Function([block.relu], block.parameters)
    assert kinds(ng.fuse_relu(function)) == kinds(function)


def test_a_sum_that_is_read_otherwise_stays() -> None:
    block = make_block()
    for more in (block.norm.output(0), block.added, ng.op.Negate(block.added)):
        function = ng.Function([block.relu, more], block.parameters)
        assert kinds(ng.fuse_relu(function)) == kinds(function)
    x, gamma, beta, _ = block.parameters
    norm = ng.op.BatchNormTraining(x, gamma, beta).output(0)
    function = ng.Function([ng.op.Relu(ng.op.Add(norm, norm))], [x, gamma, beta])
    assert "BatchNormTraining" in kinds(ng.fuse_relu(function))


def test_a_residual_that_needs_the_statistics_stays() -> None:
    x, gamma, beta, _ = make_block().parameters
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    of_mean = ng.op.Broadcast(norm.output("mean"), x, [1])
    for terms in ((norm.output(0), of_mean), (of_mean, norm.output(0))):
        function = ng.Function([ng.op.Relu(ng.op.Add(*terms))], [x, gamma, beta])
        assert kinds(ng.fuse_relu(function)) == kinds(function)


def test_of_two_normalized_terms_the_later_one_is_fused() -> None:
    x, gamma, beta, other = make_block().parameters
    left = ng.op.BatchNormTraining(x, gamma, beta, name="left")
    right = ng.op.BatchNormTraining(other, gamma, beta, name="right")
    function = ng.Function(
        [ng.op.Relu(ng.op.Add(left.output(0), right.output(0)))], [x, gamma, beta, other]
    )
    fused = ng.fuse_relu(function)
    (node,) = [node for node in fused.nodes if node.type_name == "BatchNormTrainingAddRelu"]
    assert node.friendly_name == "right"
    assert node.input("residual").source.node.friendly_name == "left"
    data = np.random.default_rng(5).standard_normal((2, 4, 3, 5)).astype(np.float32)
    arguments = [data[0], np.ones(3, np.float32), np.zeros(3, np.float32), data[1]]
    (plain,) = ng.compile(function, backend="reference")(*arguments)
    (together,) = ng.compile(function)(*arguments)
    assert_same_bits(together, plain, "activated")


def test_a_residual_that_is_activated_itself() -> None:
    """Two blocks, the first one's output being the second one's residual."""
    _, gamma, beta, residual = make_block().parameters
    value = residual.output(0)
    for _ in range(2):
        norm = ng.op.BatchNormTraining(value, gamma, beta)
        value = ng.op.Relu(ng.op.Add(norm.output(0), value)).output(0)
    function = ng.Function([value], [gamma, beta, residual])
    fused = ng.fuse_relu(function)
    assert [node.type_name for node in fused.nodes[3:]] == ["BatchNormTrainingAddRelu"] * 2
    step = ng.gradients(function)
    data = np.random.default_rng(6).standard_normal((2, 4, 3, 5)).astype(np.float32)
    arguments = [np.ones(3, np.float32), np.zeros(3, np.float32), *data]
    values = [ng.compile(step, backend=backend)(*arguments) for backend in ("cpu", "reference")]
    for index, (actual, expected) in enumerate(zip(*values, strict=True)):
        assert_same_bits(actual, expected, f"gradient {index}")


def test_a_backward_op_that_reads_another_gradient_stays() -> None:
    """input_delta has the shape of the residual's gradient, but is not what arrives."""
    x, gamma, beta, residual = make_block().parameters
    delta = ng.Parameter("f32", [None, None, None], name="delta")
    forward = ng.op.BatchNormTrainingAddRelu(x, gamma, beta, residual)
    statistics = [forward.output(name) for name in ("mean", "variance")]
    fused = ng.op.BatchNormTrainingAddReluBackprop(
        x, gamma, beta, *statistics, forward.output("mask"), delta
    )
    for name in ("input_delta", "residual_delta"):
        node = ng.op.BatchNormTrainingBackprop(x, gamma, beta, *statistics, fused.output(name))
        function = ng.Function(node.outputs, [x, gamma, beta, residual, delta])
        is_left = "BatchNormTrainingBackprop" in kinds(ng.fuse_relu(function))
        assert is_left == (name == "input_delta")


@pytest.mark.parametrize("data_type", ["f32", "bf16"])
@pytest.mark.parametrize("upper_bound", [None, 0.7])
@pytest.mark.parametrize("adds", [False, True])
def test_inference_is_fused_and_gives_the_same_bits(
    data_type: str, upper_bound: float | None, adds: bool
) -> None:
    x, r = (ng.Parameter(data_type, [None, 6, 7], name=name) for name in "xr")
    vectors = [ng.Parameter("f32", [6]) for _ in range(4)]
    value = ng.op.BatchNormInference(x, *vectors).output(0)
    if adds:
        value = ng.op.Add(r, value).output(0)
    function = ng.Function([ng.op.Relu(value, upper_bound)], [x, *vectors, r])
    fused = ng.fuse_relu(function)
    op = "BatchNormInferenceAddRelu" if adds else "BatchNormInferenceRelu"
    is_rounded_twice = adds and data_type == "bf16"
    assert (op in kinds(fused)) is not is_rounded_twice
    assert ("Relu" in kinds(fused)) is is_rounded_twice
    step = ng.gradients(function)
    sample = Sample((5, 6, 7), data_type, "f32")
    delta = sample.backprop().normalized_delta
    residual = np.random.default_rng(7).standard_normal(delta.shape).astype(delta.dtype)
    arguments = [*sample.inference(), residual]
    for plain, more in ((function, []), (step, [delta])):
        values = [
            ng.compile(f, backend="reference")(*arguments, *more)
            for f in (plain, ng.fuse_relu(plain))
        ]
        for index, (expected, actual) in enumerate(zip(*values, strict=True)):
            assert_same_bits(actual, expected, f"result {index}")
