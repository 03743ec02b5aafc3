"""Inference from partial information: types and shapes flow in both directions."""

from __future__ import annotations

import pytest

import normgraph as ng

from .signatures import EVERY_BACKPROP, EVERY_OP, Inputs, Signature

# data type, vector type → both after inference
TYPES = [
    ("f32", "f32", "f32", "f32"),
    ("f16", "f32", "f16", "f32"),
    ("bf16", "f32", "bf16", "f32"),
    ("f16", "f16", "f16", "f16"),
    ("dynamic", "f16", "f16", "f16"),
    ("dynamic", "bf16", "bf16", "bf16"),
    ("dynamic", "f64", "f64", "f64"),
    ("dynamic", "f32", "dynamic", "f32"),  # 16-bit data may come with f32 vectors
    ("f32", "dynamic", "f32", "f32"),
    ("f64", "dynamic", "f64", "f64"),
    ("f16", "dynamic", "f16", "dynamic"),  # the vectors may be f16 or f32
    ("bf16", "dynamic", "bf16", "dynamic"),
    ("dynamic", "dynamic", "dynamic", "dynamic"),
]


@EVERY_OP
@pytest.mark.parametrize(("data", "vector", "inferred_data", "inferred_vector"), TYPES)
def test_element_types_flow_both_ways(
    signature: Signature, data: str, vector: str, inferred_data: str, inferred_vector: str
) -> None:
    first, others = signature.outputs[0], signature.channel_outputs
    expected = {first: f"{inferred_data}{{?,64,?,?}}"}
    expected |= dict.fromkeys(others, f"{inferred_vector}{{64}}")
    assert Inputs(signature, (data, vector)).inferred() == expected


@EVERY_BACKPROP
@pytest.mark.parametrize("of_beta", ["f16", "bf16", "f64"])
def test_one_of_gamma_and_beta_gives_all_their_type(signature: Signature, of_beta: str) -> None:
    inputs = Inputs(signature, ("dynamic", "dynamic"), beta=(of_beta, None))
    assert inputs.inferred() == {
        "input_delta": f"{of_beta}{{?,64,?,?}}",
        "gamma_delta": f"{of_beta}{{64}}",
        "beta_delta": f"{of_beta}{{64}}",
    }


@EVERY_BACKPROP
@pytest.mark.parametrize(
    ("of_beta", "of_variance", "of_data"),
    [
        ("dynamic", "f16", "f16"),  # narrower than any other data's
        ("dynamic", "f64", "dynamic"),  # beside any data
        ("f32", "f64", "dynamic"),
        ("f32", "f32", "dynamic"),
        ("f16", "f64", "f16"),
        ("bf16", "f32", "bf16"),
        ("f64", "f64", "f64"),
    ],
)
def test_vectors_give_the_data_the_one_type_that_goes_with_them(
    signature: Signature, of_beta: str, of_variance: str, of_data: str
) -> None:
    inputs = Inputs(
        signature, ("dynamic", "dynamic"), beta=(of_beta, None), variance=(of_variance, None)
    )
    assert inputs.inferred()["input_delta"] == f"{of_data}{{?,64,?,?}}"


@EVERY_BACKPROP
def test_normalized_delta_gives_input_its_type(signature: Signature) -> None:
    inputs = Inputs(signature, ("dynamic", "dynamic"), delta=("f32", None))
    assert inputs.inferred()["gamma_delta"] == "f32{64}"
    assert inputs.inferred()["input_delta"] == "f32{?,64,?,?}"


@EVERY_OP
def test_every_vector_refines_the_channel_axis(signature: Signature) -> None:
    for vector in signature.vectors:
        inputs = Inputs(signature, shapes=([None, None, 7], [None]), **{vector: ("f32", [64])})
        first, others = signature.outputs[0], signature.channel_outputs
        expected = {first: "f32{?,64,7}"} | dict.fromkeys(others, "f32{64}")
        assert inputs.inferred() == expected


@EVERY_OP
def test_input_refines_the_channel_outputs(signature: Signature) -> None:
    inferred = Inputs(signature, shapes=([None, None, 5], None)).inferred(channel_axis=-1)
    assert inferred[signature.outputs[0]] == "f32{?,?,5}"
    assert all(inferred[name] == "f32{5}" for name in signature.channel_outputs)


@EVERY_OP
def test_nothing_known(signature: Signature) -> None:
    inferred = Inputs(signature, ("dynamic", "dynamic"), (None, None)).inferred()
    first, others = signature.outputs[0], signature.channel_outputs
    assert inferred == {first: "dynamic?"} | dict.fromkeys(others, "dynamic{?}")


@EVERY_BACKPROP
def test_intervals_intersect(signature: Signature) -> None:
    inputs = Inputs(
        signature,
        input=("f32", [(1, 8), (2, None), None]),
        delta=("f32", [(4, None), (0, 9), 3]),
        gamma=("f32", [(0, 6)]),
        beta=("f32", None),
        mean=("f32", [None]),
        variance=("f32", [(1, 5)]),
    )
    assert inputs.inferred() == {
        "input_delta": "f32{4..8,2..5,3}",
        "gamma_delta": "f32{2..5}",
        "beta_delta": "f32{2..5}",
    }


@EVERY_BACKPROP
@pytest.mark.parametrize("known", ["input", "delta"])
def test_a_dynamic_rank_takes_the_other_shape(signature: Signature, known: str) -> None:
    inputs = Inputs(signature, shapes=(None, None), **{known: ("f32", [2, 3, 4])})
    assert inputs.inferred(channel_axis=-1) == {
        "input_delta": "f32{2,3,4}",
        "gamma_delta": "f32{4}",
        "beta_delta": "f32{4}",
    }


@EVERY_OP
def test_an_empty_batch_is_valid(signature: Signature) -> None:
    inferred = Inputs(signature, shapes=([0, 64, 7, 7], [64])).inferred()
    assert inferred[signature.outputs[0]] == "f32{0,64,7,7}"


def test_a_negative_axis_is_resolved_when_the_rank_becomes_known() -> None:
    x = ng.Parameter("f32", None, name="x")
    gamma, beta = (ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta"))
    node = ng.op.BatchNormTraining(x, gamma, beta, channel_axis=-1)
    assert node.output(0).partial_shape == ng.PartialShape(None)
    x.partial_shape = [None, None, None]
    ng.Function(node.outputs, [x, gamma, beta]).validate_nodes_and_infer_types()
    assert node.output(0).partial_shape == [None, None, 64]
    assert node.channel_axis == -1


@EVERY_OP
def test_infer_takes_the_inputs_by_name_and_says_which_is_wrong(signature: Signature) -> None:
    pairs = Inputs(signature).pairs
    assert signature.op.infer(**pairs) == signature.op.infer(*pairs.values())
    for name in signature.inputs:
        for wrong in ("f32", ("f32",), ("f32", [2], 3), None, 1):
            with pytest.raises(TypeError, match=rf"^{name}: expected a tuple"):
                signature.op.infer(**{**pairs, name: wrong})
        with pytest.raises(TypeError, match=rf"^the element type of {name}: expected"):
            signature.op.infer(**{**pairs, name: (1, [64])})
        with pytest.raises(TypeError, match=rf"^the shape of {name}\[1\]: expected a length"):
            signature.op.infer(**{**pairs, name: ("f32", [64, "a"])})
