"""The ops as nodes: names, attributes, and that a failed validation leaves no half-updated node."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import normgraph as ng

from .signatures import BACKPROP, EVERY_MASKED, EVERY_OP, MASKED, TRAINING, Inputs, Signature


@EVERY_OP
def test_names(signature: Signature) -> None:
    node = Inputs(signature).node()
    assert node.type_name == node.description() == signature.op.__name__
    assert tuple(port.name for port in node.inputs) == signature.inputs
    assert tuple(port.name for port in node.outputs) == signature.outputs
    for index, name in enumerate(signature.inputs):
        assert node.input(name).index == index
        assert node.input(name).source == node.input(index).source
        assert node.input(name).source.node.friendly_name == name
    for index, name in enumerate(signature.outputs):
        assert node.output(name) == node.output(index)


@EVERY_OP
def test_defaults(signature: Signature) -> None:
    assert Inputs(signature).node().attributes == {"epsilon": 1e-5, "channel_axis": 1}


def test_one_line_print_has_every_input() -> None:
    inputs = Inputs(BACKPROP, ("bf16", "f32"))
    assert repr(inputs.node()) == (
        "BatchNormTrainingBackprop(input, gamma, beta, mean, variance, normalized_delta)"
        " -> (bf16{?,64,?,?}, f32{64}, f32{64})"
    )


def test_one_line_print_names_the_output_of_a_node_with_several() -> None:
    training = Inputs(TRAINING).node(name="forward")
    gamma, beta = (ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta"))
    node = ng.op.BatchNormInference(
        training.output("normalized"), gamma, beta, training.output(1), training.output(2)
    )
    assert repr(node) == (
        "BatchNormInference(forward.normalized, gamma, beta, forward.mean, forward.variance)"
        " -> (f32{?,64,?,?})"
    )


@EVERY_OP
def test_clone_with_new_inputs_keeps_the_attributes(signature: Signature) -> None:
    node = Inputs(signature).node(epsilon=0.5, channel_axis=-1)
    others = Inputs(signature, ("f64", "f64"), ([64, 64, 64], [64])).node()
    sources = [port.source for port in others.inputs]
    clone: Any = node.clone_with_new_inputs(sources)
    assert type(clone) is signature.op
    assert clone.attributes == node.attributes
    assert [port.source for port in clone.inputs] == sources
    assert clone.output(0).partial_shape == [64, 64, 64]
    assert clone.friendly_name != node.friendly_name
    assert node.clone_with_new_inputs(sources, name="twin").friendly_name == "twin"


@EVERY_OP
def test_clone_validates(signature: Signature) -> None:
    node = Inputs(signature).node(name="bn")
    wrong = [ng.Parameter("i32", [2, 64])] * len(signature.inputs)
    with pytest.raises(ng.NodeValidationFailure) as raised:
        node.clone_with_new_inputs(wrong, name="twin")
    of_mask = ("C11", "C12") if "mask" in signature.inputs else ()
    of_sums = ("C14",) if signature.sums else ()
    assert raised.value.labels == ("C2", "C4", "C8", *of_mask, *of_sums)
    assert "'twin'" in str(raised.value)
    with pytest.raises(ValueError, match=rf"'bn' takes {len(signature.inputs)} inputs, got 2"):
        node.clone_with_new_inputs(wrong[:2])
    with pytest.raises(TypeError, match=r"^inputs\[1\]: expected a Node or an Output, got 3"):
        node.clone_with_new_inputs([wrong[0], 3])


@EVERY_OP
def test_a_failed_validation_leaves_the_node_as_it_was(signature: Signature) -> None:
    node = Inputs(signature).node(name="bn")
    before = repr(node)
    x = node.input("input").source.node
    x.partial_shape = [None, 32]
    x.element_type = "i8"
    x.validate_and_infer_types()
    with pytest.raises(ng.NodeValidationFailure) as raised:
        node.validate_and_infer_types()
    assert set(raised.value.labels) >= {"C2", "C9"}
    assert "input has 32 (axis 1 of {?,32})" in str(raised.value)
    assert repr(node) == before
    x.partial_shape = [8, 64]
    x.element_type = "f32"
    x.validate_and_infer_types()
    for name in signature.data[1:]:
        node.input(name).source.node.partial_shape = None
        node.input(name).source.node.validate_and_infer_types()
    node.validate_and_infer_types()
    assert node.output(0).partial_shape == [8, 64]


@EVERY_OP
def test_an_op_is_abstract_above_its_class(signature: Signature) -> None:
    assert issubclass(signature.op, ng.op.BatchNormNode)
    with pytest.raises(TypeError):
        ng.op.BatchNormNode()
    with pytest.raises(TypeError):
        type("Derived", (signature.op,), {})


@EVERY_OP
def test_the_docstring_lists_the_labels_of_the_constraints(signature: Signature) -> None:
    expected = [f"C{number}" for number in range(1, 18)]
    if signature not in MASKED:
        expected = expected[:-2]
    if not signature.sums:
        expected = [label for label in expected if label not in ("C14", "C15")]
    if not hasattr(signature.op, "upper_bound"):
        expected.remove("C13")
    if len(signature.data) == 1:
        expected = [label for label in expected if label not in ("C3", "C7")]
    if "mask" not in signature.inputs:
        expected = [label for label in expected if label not in ("C11", "C12")]
    lines = (signature.op.__doc__ or "").splitlines()
    assert [line.split()[0] for line in lines if line.startswith("    C")] == expected


# ---- the input that may be left out -------------------------------------------------------------

WHERE = ("boolean", [None, 1, None, None])


@EVERY_MASKED
def test_where_is_an_input_behind_the_others(signature: Signature) -> None:
    node = Inputs(signature, where=WHERE).node(name="bn")
    assert tuple(port.name for port in node.inputs) == (*signature.inputs, "where")
    assert node.input("where").source.node.friendly_name == "where"
    assert repr(node).startswith(f"{signature.name}({', '.join(signature.inputs)}, where) -> ")
    plain = Inputs(signature).node()
    assert repr(node).partition(" -> ")[2] == repr(plain).partition(" -> ")[2]
    with pytest.raises(ValueError, match=r"has no input named 'where', it has "):
        plain.input("where")


@EVERY_MASKED
def test_copies_have_where(signature: Signature) -> None:
    node = Inputs(signature, where=WHERE).node(name="bn")
    for twin in (copy.copy(node), copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert repr(twin) == repr(node)
        assert twin.attributes == node.attributes
    sources = [port.source for port in node.inputs]
    other = ng.Parameter("boolean", [2, 1, 3, 4], name="other")
    clone = node.clone_with_new_inputs([*sources[:-1], other], name="twin")
    assert clone.input("where").source == other.output(0)
    assert clone.attributes == node.attributes
    # How many inputs there are says whether the node has it, and a clone has as many.
    with pytest.raises(
        ValueError, match=rf"'bn' takes {len(sources)} inputs, got {len(sources) - 1}"
    ):
        node.clone_with_new_inputs(sources[:-1])
    plain = Inputs(signature).node(name="plain")
    with pytest.raises(ValueError, match=rf"'plain' takes .*, got {len(sources)}"):
        plain.clone_with_new_inputs(sources)


@EVERY_MASKED
def test_where_may_be_none_and_is_a_node(signature: Signature) -> None:
    inputs = Inputs(signature)
    parameters = [ng.Parameter(*pair) for pair in inputs.pairs.values()]
    assert len(signature.op(*parameters, where=None).inputs) == len(signature.inputs)
    pairs = list(inputs.pairs.values())
    assert signature.op.infer(*pairs, where=None) == signature.op.infer(*pairs)
    with pytest.raises(TypeError, match=r"^where: expected a Node or an Output, got "):
        signature.op(*parameters, where=True)
    with pytest.raises(TypeError, match=r"^where: expected a tuple \(element type, shape\), got"):
        signature.op.infer(*pairs, where="boolean")


@EVERY_OP
def test_where_is_unknown_to_ops_that_do_not_reduce(signature: Signature) -> None:
    if signature in MASKED:
        return
    parameters = [ng.Parameter("f32", None) for _ in signature.inputs]
    with pytest.raises(TypeError, match=r"got an argument named 'where'$"):
        signature.op(*parameters, where=ng.Parameter("boolean", None))
