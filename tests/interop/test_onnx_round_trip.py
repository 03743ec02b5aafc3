"""What is written as a model of ONNX and read again is the same function, or the same model."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normgraph as ng
from normgraph.formats import NotImportableError
from normgraph.formats.onnx import loads, to_model

from ..formats.layers import constant_layers
from ..formats.structure import assert_same_structure
from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, TYPE_PAIRS
from ..kernel.samples import Sample
from ..runtime.test_random_graphs import Graph, random_arrays
from .agreement import PRIMITIVES, Primitive, make_dynamic, network
from .ort import run

pytestmark = pytest.mark.interop
onnx = pytest.importorskip("onnx")

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")
masked: Any = importlib.import_module("tests.pass.masked")

DATA = pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
IS_DYNAMIC = pytest.mark.parametrize("is_dynamic", [False, True])
AXES = pytest.mark.parametrize("axis", [1, -1])


def case_of(op: str, data_type: str, channel_type: str, axis: int, is_dynamic: bool) -> ng.Function:
    function = family.make_case(op, Sample((4, 3, 5), data_type, channel_type, axis)).function
    if is_dynamic:
        make_dynamic(function)
    return function  # type: ignore[no-any-return]


def divides_by_one(primitive: Primitive) -> bool:
    """A MeanBackprop that repeats nothing, which is written as a quotient by 1."""
    return primitive.op == "MeanBackprop" and primitive.shapes[0] == primitive.shapes[1]


@IS_DYNAMIC
@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize(
    "primitive", [item for item in PRIMITIVES if not divides_by_one(item)], ids=str
)
def test_primitive_ops(primitive: Primitive, element_type: str, is_dynamic: bool) -> None:
    function = primitive.function(element_type)
    if is_dynamic:
        make_dynamic(function)
    assert_same_structure(loads(to_model(function)), function)


@pytest.mark.parametrize("bound", [None, 6.0, 0.9])
@pytest.mark.parametrize("element_type", REAL_TYPES)
def test_relus_and_their_gradients(element_type: str, bound: float | None) -> None:
    x, delta = (ng.Parameter(element_type, [None, 3]) for _ in range(2))
    results = [ng.op.Relu(x, bound), ng.op.ReluBackprop(x, delta, bound)]
    rounded = ng.Function(results, [x, delta])
    found = loads(to_model(rounded))
    arrays = [np.linspace(-1, 7, 12).reshape(4, 3).astype(REAL_TYPES[element_type].dtype)] * 2
    for actual, expected in zip(
        ng.compile(found)(*arrays), ng.compile(rounded)(*arrays), strict=True
    ):
        assert_same_bits(actual, expected, str(rounded))
    assert [node.type_name for node in found.nodes[2:]] == ["Relu", "ReluBackprop"]


@IS_DYNAMIC
@pytest.mark.parametrize("bound", [None, 6.0])
@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 9), 1), ((2, 3, 8), 1), ((1, 2, 17), 0), ((3, 4, 16), 2)]
)
def test_masks_of_bits(
    shape: tuple[int, ...], axis: int, element_type: str, bound: float | None, is_dynamic: bool
) -> None:
    x, delta = (ng.Parameter(element_type, shape) for _ in range(2))
    mask = ng.op.ReluMask(x, axis, bound)
    function = ng.Function([mask, ng.op.ReluMaskSelect(delta, mask, axis)], [x, delta])
    if is_dynamic:
        make_dynamic(function)
    assert_same_structure(loads(to_model(function)), function)


def test_what_is_nearly_a_mask_is_refused() -> None:
    x = ng.Parameter("f32", (3, 9))
    model = to_model(ng.Function([ng.op.ReluMask(x, 1)], [x]))
    (powers,) = (item for item in model.graph.initializer if list(item.dims) == [8])
    powers.raw_data = np.array([1, 2, 4, 8, 16, 32, 64, 127], np.int64).tobytes()
    with pytest.raises(NotImportableError, match=r"Equal .*: normgraph has no such operator"):
        loads(model)


@pytest.mark.parametrize("fault", ["attribute", "value"])
def test_a_mask_of_two_values_or_of_another_shape_is_refused(fault: str) -> None:
    x, z = (ng.Parameter("f32", (3, 9), name=name) for name in "xz")
    model = to_model(ng.Function([ng.op.ReluMask(x, 1, 6.0)], [x, z]))
    nodes = {node.op_type: node for node in model.graph.node}
    if fault == "attribute":
        (keepdims,) = nodes["ReduceSum"].attribute
        keepdims.i = 1
        model.graph.output[0].type.tensor_type.ClearField("shape")
    else:
        nodes["GreaterOrEqual"].input[0] = "z"
    with pytest.raises(NotImportableError, match=r"Equal .*: normgraph has no such operator"):
        loads(model)


@pytest.mark.parametrize(("element_type", "length"), [("INT8", 9), ("FLOAT", 0), ("FLOAT", 2**62)])
def test_masks_of_what_can_have_none_are_refused(element_type: str, length: int) -> None:
    delta, mask = ng.Parameter("f32", (3, 9)), ng.Parameter("u8", (3, None))
    model = to_model(ng.Function([ng.op.ReluMaskSelect(delta, mask, 1)], [delta, mask]))
    tensor = model.graph.input[0].type.tensor_type
    tensor.elem_type = getattr(onnx.TensorProto, element_type)
    tensor.shape.dim[1].dim_value = length
    with pytest.raises(NotImportableError, match=r"Mod .*: normgraph has no such operator"):
        loads(model)


def test_parts_of_a_mask_that_something_else_reads_are_refused() -> None:
    x = ng.Parameter("f32", (3, 9))
    model = to_model(ng.Function([ng.op.ReluMask(x, 1)], [x]))
    (part,) = (node for node in model.graph.node if node.op_type == "Not")
    cast = onnx.helper.make_node("Cast", [part.output[0]], ["more"], to=onnx.TensorProto.FLOAT)
    model.graph.node.append(cast)
    result = onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [3, 9])
    model.graph.output.append(result)
    with pytest.raises(NotImportableError, match=r"^Equal .*: normgraph has no such operator$"):
        loads(model)


@IS_DYNAMIC
@AXES
@DATA
@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormInference"])
def test_native_ops(
    op: str, data_type: str, channel_type: str, axis: int, is_dynamic: bool
) -> None:
    """Statistics of 16-bit data are widened where they are written."""
    function = case_of(op, data_type, channel_type, axis, is_dynamic)
    assert_same_structure(loads(to_model(function)), ng.widen_statistics(function))


@pytest.mark.parametrize("is_read_wide", [False, True])
def test_data_that_are_widened_around_an_op(is_read_wide: bool) -> None:
    """The op is one on 16 bits only if nothing reads what it makes in f32."""
    model = to_model(case_of("BatchNormInference", "bf16", "f32", 1, is_dynamic=False))
    (norm,) = (node for node in model.graph.node if node.op_type == "BatchNormalization")
    if is_read_wide:
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(norm.output[0], onnx.TensorProto.FLOAT, [4, 3, 5])
        )
    function = loads(model)
    (node,) = (node for node in function.nodes if node.type_name == "BatchNormInference")
    expected = ng.element.f32 if is_read_wide else ng.element.bf16
    assert node.output(0).element_type == expected
    assert function.results[0].element_type == ng.element.bf16


def test_statistics_of_their_own_type() -> None:
    function = family.make_case(
        "BatchNormTraining", Sample((4, 3), "f32", "f32", statistics_type="f64")
    ).function
    assert_same_structure(loads(to_model(function)), function)


@IS_DYNAMIC
@AXES
@DATA
@pytest.mark.parametrize("op", family.OPS)
def test_stages(op: str, data_type: str, channel_type: str, axis: int, is_dynamic: bool) -> None:
    """What BatchNormalization cannot say comes back as the stages that are written."""
    function = case_of(op, data_type, channel_type, axis, is_dynamic)
    found = loads(to_model(function, family="stages"))
    assert_same_structure(found, ng.decompose(function, "f64"))


@IS_DYNAMIC
@pytest.mark.parametrize("element_type", ["f32", "f64"])
def test_networks_and_their_gradients(element_type: str, is_dynamic: bool) -> None:
    function, _ = network(element_type, None if is_dynamic else 5)
    found = loads(to_model(function))
    assert_same_structure(found, function)
    assert found.friendly_name == "network"
    assert [node.friendly_name for node in found.parameters] == [
        node.friendly_name for node in function.parameters
    ]
    assert [str(result) for result in found.results[1:]] == [
        str(result) for result in function.results[1:]
    ]
    step = ng.gradients(function)
    assert_same_structure(loads(to_model(step, family="stages")), ng.decompose(step, "f64"))


def test_running_statistics_become_sums() -> None:
    function, arguments = network(rows=5)
    model = to_model(function, momentum=0.25)
    ones = [np.ones(6, np.float32)] * 2
    results = ng.compile(loads(model))(*arguments, *ones)
    for actual, expected in zip(results, run(model, [*arguments, *ones]), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [None, 0.25])
@pytest.mark.parametrize("form", ["native", "stages"])
def test_constants_keep_names_and_bits(form: Any, momentum: float | None) -> None:
    if form == "stages" and momentum is not None:
        pytest.skip("running statistics are those of BatchNormalization")
    function = constant_layers("bn.weight", "second.weight")
    found = loads(to_model(function, form, momentum))
    named = {node.friendly_name: node for node in found.nodes if isinstance(node, ng.Constant)}
    assert {"bn.weight", "second.weight"} <= set(named)
    assert named["bn.weight"].array().tolist() == [1.0] * 3


@pytest.mark.parametrize("element_type", ["f32", "bf16"])
@IS_DYNAMIC
@settings(max_examples=40)
@given(data=st.data(), size=st.integers(1, 14))
def test_random_graphs_have_the_same_bits(
    element_type: str, is_dynamic: bool, data: st.DataObject, size: int
) -> None:
    """The family as its stages in f64."""
    graph = Graph(element_type, data.draw, is_dynamic)
    for _ in range(size):
        graph.add()
    function = ng.decompose(ng.Function(graph.results(), graph.parameters), "f64")
    arguments = random_arrays(function, element_type, size)
    with np.errstate(all="ignore"):
        expected = ng.compile(function)(*arguments)
        found = ng.compile(loads(to_model(function)))(*arguments)
    for actual, result in zip(found, expected, strict=True):
        assert_same_bits(actual, result, str(function))


@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormInference"])
def test_what_is_read_is_written_as_the_same_model(op: str) -> None:
    """From the second time on, names and all."""
    function = case_of(op, "bf16", "f32", -1, is_dynamic=True)
    once = to_model(loads(to_model(function)))
    assert to_model(loads(once)) == once


@IS_DYNAMIC
def test_what_is_read_runs_in_onnxruntime(is_dynamic: bool) -> None:
    function, arguments = network(rows=None if is_dynamic else 5)
    results = run(to_model(loads(to_model(function))), arguments)
    for actual, expected in zip(results, run(to_model(function), arguments), strict=True):
        assert_same_bits(actual, expected, str(function))


@IS_DYNAMIC
@DATA
@pytest.mark.parametrize(("shape", "axis"), masked.LAYOUTS)
@pytest.mark.parametrize("op", masked.OPS)
def test_masked_batches(
    op: str,
    shape: tuple[int, ...],
    axis: int,
    data_type: str,
    channel_type: str,
    is_dynamic: bool,
) -> None:
    """They are written as stages in f64, SelectWhere among them."""
    case = masked.make_masked_case(op, Sample(shape, data_type, channel_type, axis))
    if is_dynamic:
        make_dynamic(case.function)
    stages = ng.decompose(ng.widen_statistics(case.function), "f64")
    found = loads(to_model(case.function))
    assert_same_structure(found, stages)
    for actual, expected in zip(case.run(found), case.run(stages), strict=True):
        assert_same_bits(actual, expected, op)
