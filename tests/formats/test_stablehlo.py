"""StableHLO as text; tests/interop has the real dialect read it, and XLA run it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotExpressibleError, stablehlo
from normgraph.formats.stablehlo.writer import decimal, symbol

from .layers import layer


def statements(text: str) -> list[str]:
    """The op of each statement."""
    return re.findall(r"= \"?stablehlo\.(\w+)", text)


def test_a_small_function() -> None:
    x = ng.Parameter("f16", [2, 3], name="x")
    total = ng.op.Sum(x, [1], name="total")
    function = ng.Function([total, ng.op.Broadcast(total, x, [1])], [x], name="sums")
    assert (
        stablehlo.dumps(function)
        == """\
module @sums {
  func.func public @main(%x: tensor<2x3xf16>) -> (tensor<3xf16>, tensor<2x3xf16>) {
    %0 = stablehlo.convert %x : (tensor<2x3xf16>) -> tensor<2x3xf64>
    %1 = stablehlo.constant dense<0.0> : tensor<f64>
    %2 = stablehlo.reduce(%0 init: %1) applies stablehlo.add across dimensions = [0] : \
(tensor<2x3xf64>, tensor<f64>) -> tensor<3xf64>
    %total = stablehlo.convert %2 : (tensor<3xf64>) -> tensor<3xf16>
    %3 = stablehlo.broadcast_in_dim %total, dims = [1] : (tensor<3xf16>) -> tensor<2x3xf16>
    return %total, %3 : tensor<3xf16>, tensor<2x3xf16>
  }
}
"""
    )


def test_the_family_is_written_as_stages_in_f64() -> None:
    text = stablehlo.dumps(layer())
    assert "batch_norm" not in text
    assert "%normed = stablehlo.add" in text
    assert "dense<1.0e-05> : tensor<f64>" in text
    assert text == stablehlo.dumps(layer(), family="stages")


def test_or_as_the_ops_that_there_are() -> None:
    text = stablehlo.dumps(layer(channel_axis=-2), family="native")
    assert statements(text) == ["batch_norm_training"]
    assert "feature_index = 1 : i64" in text
    assert "return %norm#0, %norm#1, %norm#2 : " in text
    for types in ({"statistics_type": "f64"}, {"element_type": "bf16", "vectors": "f32"}):
        assert "batch_norm" not in stablehlo.dumps(layer(**types), family="native")
    gradients = ng.gradients(layer(element_type="f64", vectors="f64"))
    assert "batch_norm_grad" in stablehlo.dumps(gradients, family="native")


def test_types_that_the_native_ops_cannot_say_are_written_as_stages() -> None:
    function = layer(element_type="bf16")
    assert stablehlo.dumps(function, family="native") == stablehlo.dumps(function)


def test_outputs_that_nobody_reads_are_left_out() -> None:
    x = ng.Parameter("f32", [4, 3])
    vector = ng.Parameter("f32", [3])
    norm = ng.op.BatchNormTrainingRelu(x, vector, vector)
    assert "shift" not in stablehlo.dumps(ng.Function([norm.output(0)], [x, vector]))
    assert "shift_left" in stablehlo.dumps(ng.Function([norm.output("mask")], [x, vector]))


@pytest.mark.parametrize("name", ["fc/weight:0", "σ", "a b", "1", "a\nb", "%x", "\0", "x,y"])
def test_what_mlir_does_not_spell_is_a_number(name: str) -> None:
    constant = ng.Constant([1.0] * 3, "f32", name=name)
    assert "    %0 = stablehlo.constant " in stablehlo.dumps(ng.Function([constant], []))


def test_shapes_must_be_static() -> None:
    x = ng.Parameter("f32", [None, 3], name="x")
    y = ng.Parameter("f32", None, name="y")
    function = ng.Function([ng.op.Relu(x), ng.op.Relu(y)], [x, y])
    with pytest.raises(NotExpressibleError) as caught:
        stablehlo.dumps(function)
    assert str(caught.value).splitlines() == [
        "Parameter 'x': expected a static shape, got {?,3}",
        "Parameter 'y': expected a static shape, got ?",
        "Set the partial_shape of the parameters, then call validate_nodes_and_infer_types() of "
        "the function.",
    ]
    x.partial_shape, y.partial_shape = [2, 3], []
    function.validate_nodes_and_infer_types()
    assert "tensor<2x3xf32>" in stablehlo.dumps(function)


def test_a_file_holds_the_text(tmp_path: Path) -> None:
    stablehlo.dump(layer(), tmp_path / "layer.mlir")
    assert (tmp_path / "layer.mlir").read_text(encoding="utf-8") == stablehlo.dumps(layer())


def test_numbers_and_names() -> None:
    assert [decimal(value) for value in (1e-5, -0.0, 3, 2.5e300)] == [
        "1.0e-05",
        "-0.0",
        "3.0",
        "2.5e+300",
    ]
    assert symbol("layer_1") == "@layer_1"
    assert symbol('a "γ"\\') == '@"a \\22\\CE\\B3\\22\\5C"'


def test_elements_are_written_as_bits() -> None:
    values = [
        (ng.Constant([1.0, np.nan], "f32"), 'dense<"0x0000803F0000C07F">'),
        (ng.Constant(np.inf, "f16"), 'dense<"0x007C">'),
        (ng.Constant(1.5, "bf16"), "dense<1.5>"),
        (ng.Constant([[True], [False]]), "dense<[[true], [false]]>"),
        (ng.Constant(np.zeros((0, 2), np.float32)), "dense<>"),
        (ng.Constant(7, "u8"), 'dense<"0x07">'),
    ]
    for constant, text in values:
        assert f"stablehlo.constant {text} : " in stablehlo.dumps(ng.Function([constant], []))


def test_masked_batches_are_written_as_stages() -> None:
    x = ng.Parameter("f32", [4, 3, 5], name="x")
    vectors = [ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta")]
    where = ng.Parameter("boolean", [1, 1, 5], name="where")
    norm = ng.op.BatchNormTraining(x, *vectors, where=where)
    function = ng.Function(norm.outputs, [x, *vectors, where])
    text = stablehlo.dumps(function, family="native")
    assert text == stablehlo.dumps(function)
    assert "batch_norm" not in text
    assert (
        "broadcast_in_dim %where, dims = [0, 1, 2] : (tensor<1x1x5xi1>) -> tensor<4x3x5xi1>" in text
    )
