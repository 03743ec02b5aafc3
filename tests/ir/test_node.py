"""Nodes, inputs and outputs, whatever the op."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest

import normgraph as ng


def training(name: str | None = None) -> ng.op.BatchNormTraining:
    x = ng.Parameter("f32", [None, 64], name="x")
    gamma, beta = (ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta"))
    return ng.op.BatchNormTraining(x, gamma, beta, name=name)


def test_parameter() -> None:
    parameter = ng.Parameter("bf16", [None, 64], name="x")
    assert parameter.type_name == parameter.description() == "Parameter"
    assert repr(parameter) == "Parameter 'x' -> (bf16{?,64})"
    assert parameter.inputs == []
    assert [output.name for output in parameter.outputs] == ["output"]
    assert parameter.attributes == {
        "element_type": ng.element.bf16,
        "shape": ng.PartialShape([None, 64]),
    }


def test_a_new_type_of_a_parameter_is_a_declaration() -> None:
    parameter = ng.Parameter("f32", [2], name="x")
    parameter.element_type = "f64"
    parameter.partial_shape = None
    assert parameter.element_type == ng.element.f64
    assert parameter.partial_shape == ng.PartialShape(None)
    assert repr(parameter) == "Parameter 'x' -> (f32{2})"
    parameter.validate_and_infer_types()
    assert repr(parameter) == "Parameter 'x' -> (f64?)"
    with pytest.raises(TypeError, match=r"^element_type: "):
        parameter.element_type = float  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"^partial_shape\[0\]: "):
        parameter.partial_shape = [-1]
    assert parameter.element_type == ng.element.f64


def test_generated_names_are_unique_and_tell_the_op() -> None:
    names = [training().friendly_name for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.removeprefix("BatchNormTraining_").isdecimal() for name in names)


def test_a_name_can_be_set_and_reset() -> None:
    node: Any = training()
    generated = node.friendly_name
    node.friendly_name = "bn"
    assert node.friendly_name == "bn"
    with pytest.raises(ValueError, match=r"^name: "):
        node.friendly_name = ""
    with pytest.raises(TypeError, match=r"^name: "):
        node.friendly_name = 3
    assert node.friendly_name == "bn"
    node.friendly_name = None
    assert node.friendly_name == generated


def test_ports() -> None:
    node = training("bn")
    x = node.input("input")
    assert (x.name, x.index, x.element_type, x.partial_shape) == (
        "input",
        0,
        ng.element.f32,
        ng.PartialShape([None, 64]),
    )
    assert x.node is node
    assert repr(x) == "<Input bn.input: f32{?,64}>"
    assert {x, node.input(0)} == {node.input("input")}
    assert x != node.input(1)
    mean = node.output("mean")
    assert (mean.name, mean.index, mean.element_type, mean.partial_shape) == (
        "mean",
        1,
        ng.element.f32,
        ng.PartialShape([64]),
    )
    assert mean.node is node
    assert repr(mean) == "<Output bn.mean: f32{64}>"


def test_outputs_are_equal_if_they_are_the_same() -> None:
    node, other = training(), training()
    assert node.output(1) == node.output("mean") == ng.Output(node, 1)
    assert hash(node.output(1)) == hash(node.output("mean"))
    assert node.output(1) != node.output(2)
    assert node.output(1) != other.output(1)
    assert len({*node.outputs, *node.outputs}) == 3


@pytest.mark.parametrize("port", ["input", "output"])
def test_wrong_ports(port: str) -> None:
    get: Any = getattr(training("bn"), port)
    with pytest.raises(ValueError, match=rf"'bn' has no {port} named 'delta', it has \w+, \w+ and"):
        get("delta")
    with pytest.raises(IndexError, match=rf"'bn' has 3 {port}s, got index 3$"):
        get(3)
    for index in (-1, 2**70, -(2**70)):
        with pytest.raises(IndexError):
            get(index)
    for wrong in (True, 1.0, None, b"mean"):
        with pytest.raises(TypeError, match=rf"^key: expected the name or the index of an {port}"):
            get(wrong)
    with pytest.raises(IndexError, match=r"has 1 output, got index 1$"):
        ng.Output(ng.Parameter("f32", [2]), 1)


def test_nodes_are_made_by_their_own_classes() -> None:
    for abstract in (ng.Node, ng.Input):
        with pytest.raises(TypeError):
            abstract()


def test_a_validation_failure_pickles() -> None:
    with pytest.raises(ng.NodeValidationFailure) as raised:
        training().epsilon = -1
    twin = pickle.loads(pickle.dumps(raised.value))
    assert type(twin) is ng.NodeValidationFailure
    assert (twin.labels, str(twin)) == (("C1",), str(raised.value))
    assert ng.NodeValidationFailure("made by hand").labels == ()


def test_outputs_are_keys_whether_or_not_their_node_is_held() -> None:
    x = ng.Parameter("f32", [2, 3], name="x")
    negative = ng.op.Negate(ng.op.Relu(x))
    values = {port.source: index for index, port in enumerate(negative.inputs)}
    gc.collect()
    others = [ng.op.Negate(x) for _ in range(100)]  # takes the places of objects that have gone
    assert values[negative.input(0).source] == 0
    assert hash(negative.input(0).source) == hash(negative.input(0).source)
    assert len({node.output(0) for node in others}) == 100
