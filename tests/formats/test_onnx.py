"""Models of ONNX, without the package onnx; tests/interop has them checked and run."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from hypothesis import given, settings

import normgraph as ng
from normgraph.formats import NotExpressibleError
from normgraph.formats.onnx import Family, Graph, Writer, save, to_model

from .functions import functions
from .layers import constant_layers, layer


def graph_of(
    function: ng.Function, family: Family = "native", momentum: float | None = None
) -> Graph:
    return Writer(family, momentum).graph_of(function)


def operators(graph: Graph) -> list[str]:
    return [statement.op for statement in graph.statements if statement.op != "Identity"]


def normalization(graph: Graph) -> dict[str, Any]:
    """The attributes of the only BatchNormalization."""
    (found,) = [item for item in graph.statements if item.op == "BatchNormalization"]
    return dict(found.attributes)


def test_inference_is_one_operator() -> None:
    graph = graph_of(layer("BatchNormInference", epsilon=0.25))
    assert operators(graph) == ["BatchNormalization"]
    assert normalization(graph) == {"epsilon": 0.25}
    assert [value.name for value in graph.inputs] == ["x", "gamma", "beta", "mean", "var"]
    assert [value.name for value in graph.outputs] == ["norm"]


def test_training_gives_the_statistics_of_the_batch() -> None:
    graph = graph_of(layer())
    assert operators(graph) == ["Expand", "Expand", "BatchNormalization"]
    assert normalization(graph) == {"epsilon": 1e-5, "training_mode": 1, "momentum": 0.0}
    names = [value.name for value in graph.outputs]
    assert names == ["norm.normalized", "norm.mean", "norm.variance"]


def test_channels_are_moved_to_axis_1() -> None:
    graph = graph_of(layer(shape=(4, None, 3), channel_axis=-1))
    assert operators(graph).count("Transpose") == 2
    orders = [dict(item.attributes).get("perm") for item in graph.statements]
    assert [order for order in orders if order] == [(0, 2, 1), (0, 2, 1)]


def test_sixteen_bits_are_cast_around() -> None:
    graph = graph_of(layer("BatchNormInference", element_type="bf16"))
    assert operators(graph) == ["Cast", "BatchNormalization", "Cast"]
    x = ng.Parameter("f16", [2], name="x")
    graph = graph_of(ng.Function([ng.op.Add(x, x)], [x]))
    assert operators(graph) == ["Cast", "Cast", "Add", "Cast"]


def test_statistics_of_f64_are_computed_in_f64() -> None:
    graph = graph_of(layer(statistics_type="f64"))
    assert operators(graph)[0] == "Cast"
    assert [value.element for value in graph.outputs] == ["f32", "f64", "f64"]
    graph = graph_of(layer(element_type="bf16", vectors="bf16", statistics_type="f32"))
    assert [value.element for value in graph.outputs] == ["bf16", "f32", "f32"]


def test_running_statistics_are_inputs_and_outputs() -> None:
    function = layer()
    graph = graph_of(ng.Function(function.results[:1], function.parameters), momentum=0.25)
    assert normalization(graph)["momentum"] == 0.75
    names = [value.name for value in graph.inputs[3:]]
    assert names == ["norm.running_mean", "norm.running_variance"]
    names = [value.name for value in graph.outputs]
    assert names == ["norm.normalized", "norm.new_running_mean", "norm.new_running_variance"]
    # Readers of the batch's statistics still get those.
    assert operators(graph_of(function, momentum=0.25)).count("BatchNormalization") == 2


def test_gradients_are_stages_in_double() -> None:
    graph = graph_of(ng.gradients(layer("BatchNormInference")))
    assert "BatchNormalization" not in operators(graph)
    assert "ReduceSum" in operators(graph)


@pytest.mark.parametrize("epsilon", [1e300, 1e-60])
def test_an_epsilon_that_f32_has_not_leaves_no_place_for_running_statistics(
    epsilon: float,
) -> None:
    function = layer(epsilon=epsilon)
    with pytest.raises(NotExpressibleError, match="BatchNormTraining 'norm': running statistics"):
        graph_of(function, momentum=0.1)


def test_lengths_that_are_not_known_are_counted_at_run_time() -> None:
    x = ng.Parameter("f32", [None, 3], name="x")
    function = ng.Function([ng.op.Mean(x, [1])], [x])
    graph = graph_of(function)
    assert graph.inputs[0].shape == (None, 3)
    assert "ReduceProd" in operators(graph)
    x.partial_shape = [4, 3]
    function.validate_nodes_and_infer_types()
    assert "ReduceProd" not in operators(graph_of(function))


def test_what_is_not_known_is_refused() -> None:
    x = ng.Parameter("f32", None, name="x")
    with pytest.raises(NotExpressibleError) as caught:
        graph_of(ng.Function([ng.op.Relu(x, name="y")], [x]))
    assert str(caught.value).splitlines() == [
        "Parameter 'x': expected a known rank, got ?",
        "Relu 'y': expected a known rank, got ?",
    ]
    x = ng.Parameter("dynamic", [2], name="x")
    with pytest.raises(NotExpressibleError, match="'x': expected a known element type of output"):
        graph_of(ng.Function([x], [x]))


def test_masks_are_made_where_they_are_read() -> None:
    assert "Pad" not in operators(graph_of(layer("BatchNormTrainingRelu")))
    function = layer("BatchNormTrainingRelu")
    mask = function.results[0].node.output("mask")
    graph = graph_of(ng.Function([mask], function.parameters))
    assert "Pad" in operators(graph)
    (result,) = graph.outputs
    assert (result.element, result.shape) == ("u8", (4, 3, 1))


@pytest.mark.parametrize("momentum", [-0.1, 1.5, math.nan])
def test_a_momentum_out_of_range_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum: expected a number from 0 to 1, or None"):
        to_model(layer(), momentum=momentum)


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "normgraph\[onnx\]"'):
        save(layer(), tmp_path / "layer.onnx")
    assert not (tmp_path / "layer.onnx").exists()


@pytest.mark.parametrize("family", ["native", "stages"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["fc/weight:0", "σ"], ["fc/weight:0", "σ"]),
        # These are taken by what a model shows.
        (["x", "norm.normalized"], ["x_1", "norm.normalized_1"]),
    ],
)
def test_constants_keep_any_name(family: Family, names: list[str], expected: list[str]) -> None:
    graph = graph_of(constant_layers(*names), family)
    found = [item.name for item in graph.initializers if item.data == b"\0\0\x80?" * 3]
    assert found == expected
    read = {name for statement in graph.statements for name in statement.inputs}
    assert set(expected) <= read


def test_constants_without_a_name_are_called_constants() -> None:
    graph = graph_of(constant_layers(None))
    names = [item.name for item in graph.initializers]
    assert all(name.startswith("constant") for name in names)


def test_running_statistics_come_before_constants() -> None:
    graph = graph_of(
        constant_layers("norm.running_mean", "norm.new_running_variance"), momentum=0.5
    )
    names = [value.name for value in [*graph.inputs, *graph.outputs]]
    assert {"norm.running_mean", "norm.new_running_variance"} <= set(names)


ODD_NAMES = {
    "a\nb": r"a\nb",
    "a\r\n\tb": r"a\r\n\tb",
    "\0": r"\x00",
    "\u2028": r"\u2028",
    "\ufeffx": r"\ufeffx",
    "\U0001d6ff": "\U0001d6ff",
    "a\\nb": r"a\nb",
    " ": " ",
    "'\"<>&%$": "'\"<>&%$",
    "\x7f\x80": r"\x7f\x80",
}


@pytest.mark.parametrize(("name", "written"), ODD_NAMES.items())
def test_odd_names_are_written_in_one_line(name: str, written: str) -> None:
    x = ng.Parameter("f32", [4, 3], name=name)
    vector = ng.Constant([1.0] * 3, "f32", name=f"{name}2")
    norm = ng.op.BatchNormTraining(x, vector, vector, name=f"{name}3")
    graph = graph_of(ng.Function(norm.outputs, [x], name=f"{name}4"), momentum=0.5)
    assert graph.name == f"{written}4"
    assert [value.name for value in graph.inputs] == [
        written,
        f"{written}3.running_mean",
        f"{written}3.running_variance",
    ]
    assert graph.outputs[0].name == f"{written}3.normalized"
    assert f"{written}2" in [item.name for item in graph.initializers]


def test_names_that_are_written_alike_get_numbers() -> None:
    parameters = [ng.Parameter("f32", [2], name=name) for name in ("a\nb", "a\\nb", "a\nb")]
    graph = graph_of(ng.Function(parameters, parameters))  # type: ignore[arg-type]
    assert [value.name for value in graph.inputs] == [r"a\nb", r"a\nb_1", r"a\nb_2"]


@settings(max_examples=100)
@given(function=functions())
def test_values_are_made_before_they_are_read(function: ng.Function) -> None:
    try:
        graph = graph_of(function)
    except NotExpressibleError:
        return
    known = {item.name for item in [*graph.inputs, *graph.initializers]}
    for statement in graph.statements:
        assert set(statement.inputs) <= known
        known.update(statement.outputs)
    assert len(graph.inputs) == len(function.parameters)
    assert len(graph.outputs) == len(function.results)


# ---- masked batches ------------------------------------------------------------------------------


def masked_layer() -> ng.Function:
    x = ng.Parameter("f32", [4, 3, None], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    where = ng.Parameter("boolean", [None, 1, None], name="where")
    norm = ng.op.BatchNormTraining(x, gamma, beta, name="norm", where=where)
    return ng.Function(norm.outputs, [x, gamma, beta, where])


def test_batch_normalization_has_no_mask() -> None:
    graph = graph_of(masked_layer())
    assert [(value.name, value.element) for value in graph.inputs][3] == ("where", "boolean")
    used = operators(graph)
    assert "Where" in used
    assert "BatchNormalization" not in used
    assert used == operators(graph_of(masked_layer(), "stages"))
    with pytest.raises(NotExpressibleError, match=r"BatchNormTraining 'norm': running statistics"):
        graph_of(masked_layer(), momentum=0.1)
