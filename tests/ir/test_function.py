"""Functions: their nodes, their text, and validation of a whole graph."""

from __future__ import annotations

from typing import Any

import pytest

import normgraph as ng

from .graphs import two_layers


def test_nodes_are_the_parameters_then_every_node_after_its_inputs() -> None:
    function = two_layers()
    names = [node.friendly_name for node in function.nodes]
    assert names == ["x", "gamma", "beta", "first", "second"]
    assert [parameter.friendly_name for parameter in function.parameters] == ["x", "gamma"]
    assert [result.name for result in function.results] == ["normalized", "mean", "mean"]


def test_text() -> None:
    function = two_layers()
    assert repr(function) == "<Function 'layers': 5 nodes>"
    assert str(function).splitlines() == [
        "Function 'layers'",
        "  x = Parameter() -> (f32{?,64})",
        "  gamma = Parameter() -> (f32{?})",
        "  beta = Constant() -> (f32{64})",
        "  first = BatchNormTraining(x, gamma, beta) [epsilon=0.5, channel_axis=1]"
        " -> (f32{?,64}, f32{64}, f32{64})",
        "  second = BatchNormTraining(first.normalized, gamma, beta)"
        " [epsilon=1e-05, channel_axis=-1] -> (f32{?,64}, f32{64}, f32{64})",
        "  return second.normalized, first.mean, second.mean",
    ]


def test_text_tells_nodes_of_one_name_apart() -> None:
    nodes = [ng.Parameter("f32", [length], name=name) for length, name in enumerate("xxyx")]
    assert str(ng.Function(nodes, nodes, name="f")).splitlines() == [
        "Function 'f'",
        "  x = Parameter() -> (f32{0})",
        "  x#2 = Parameter() -> (f32{1})",
        "  y = Parameter() -> (f32{2})",
        "  x#3 = Parameter() -> (f32{3})",
        "  return x, x#2, y, x#3",
    ]


def test_text_tells_apart_what_is_named_like_a_repetition() -> None:
    nodes = [ng.Parameter("f32", [], name=name) for name in ("x#2", "x", "x", "x#2")]
    last = str(ng.Function(nodes, nodes)).splitlines()[-1]
    assert last == "  return x#2, x, x#3, x#2#2"


def test_results_are_outputs_or_nodes_with_one() -> None:
    x = ng.Parameter("f32", [2])
    assert ng.Function([x], [x]).results == ng.Function([x.output(0)], [x]).results
    node = two_layers().nodes[-1]
    with pytest.raises(
        ValueError, match=r"^results\[0\]: BatchNormTraining 'second' has 3 outputs"
    ):
        ng.Function([node], [])


def test_an_unlisted_parameter_is_named() -> None:
    function = two_layers()
    x, gamma = function.parameters
    with pytest.raises(ValueError, match=r"depend on, but 'gamma' is not listed$"):
        ng.Function(function.results, [x])
    with pytest.raises(ValueError, match=r"depend on, but 'x' and 'gamma' are not listed$"):
        ng.Function(function.results, [])
    assert ng.Function(function.results, [gamma, x]).parameters == [gamma, x]


def test_a_listed_parameter_need_not_be_used() -> None:
    function = two_layers()
    unused = ng.Parameter("f32", None, name="unused")
    nodes = ng.Function(function.results, [unused, *function.parameters]).nodes
    assert nodes[0] is unused


def test_a_parameter_is_listed_once() -> None:
    x, y = (ng.Parameter("f32", [2], name=name) for name in "xy")
    with pytest.raises(ValueError, match=r"expected each once, got 'x' at positions 0 and 2$"):
        ng.Function([x], [x, y, x])


@pytest.mark.parametrize(
    ("results", "parameters", "error", "message"),
    [
        ([], [], ValueError, r"results of a Function: expected at least one"),
        (None, [], TypeError, r"^results: expected a sequence of nodes and outputs, got None"),
        ("x", [], TypeError, r"^results: expected a sequence"),
        ([1], [], TypeError, r"^results\[0\]: expected a Node or an Output, got 1"),
        (["x"], [], TypeError, r"^results\[0\]: expected a Node or an Output, got 'x'"),
        ([ng.Constant(1.0)], None, TypeError, r"^parameters: expected a sequence of parameters"),
        ([ng.Constant(1.0)], [1], TypeError, r"^parameters\[0\]: expected a Parameter, got 1"),
        ([ng.Constant(1.0)], [ng.Constant(1.0)], TypeError, r"^parameters\[0\]: expected a Para"),
    ],
)
def test_wrong_arguments(results: Any, parameters: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ng.Function(results, parameters)


def test_names() -> None:
    function: Any = two_layers()
    function.friendly_name = None
    assert function.friendly_name.startswith("Function_")
    function.friendly_name = "f"
    assert str(function).startswith("Function 'f'\n")


def test_new_parameter_types_reach_every_node() -> None:
    function = two_layers()
    function.parameters[0].partial_shape = [8, None]
    function.validate_nodes_and_infer_types()
    assert [str(result.partial_shape) for result in function.results] == ["{8,64}", "{64}", "{64}"]


def test_validation_of_a_function_is_all_or_nothing() -> None:
    function = two_layers()
    x, gamma = function.parameters
    before = str(function)
    # first becomes invalid only by gamma; x alone, which comes before it, would be valid.
    x.partial_shape = [8, None]
    gamma.partial_shape = [32]
    with pytest.raises(
        ng.NodeValidationFailure, match=r"BatchNormTraining 'first' is not valid"
    ) as raised:
        function.validate_nodes_and_infer_types()
    assert raised.value.labels == ("C9",)
    assert str(function) == before
    gamma.partial_shape = [64]
    function.validate_nodes_and_infer_types()
    assert function.results[0].partial_shape == [8, 64]
