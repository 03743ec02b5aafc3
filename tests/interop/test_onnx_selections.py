"""Models that select by booleans become functions that select the same, as others write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotImportableError
from normgraph.formats.onnx import load, loads, to_model
from normgraph.formats.onnx.statement import NEWEST_OPSET

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array
from .agreement import special
from .ort import run, run_reference
from .selections import booleans, values

pytestmark = pytest.mark.interop
onnx = pytest.importorskip("onnx")

helper, TensorProto = onnx.helper, onnx.TensorProto
NEWEST = min(onnx.defs.onnx_opset_version(), NEWEST_OPSET)
TYPES = {np.dtype(np.bool_): "BOOL", np.dtype(np.float32): "FLOAT", np.dtype(np.int64): "INT64"}


def node(op: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(op, inputs.split(), [output], **attributes)


def model_of(
    *nodes: Any,
    inputs: dict[str, Array],
    constants: dict[str, Any] | None = None,
    opset: int = 17,
    is_dynamic: bool = False,
) -> Any:
    """A model that puts out y, in FLOAT; `zero` is a constant of every one."""
    arrays = {"zero": np.float32(0), **(constants or {})}
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [
            helper.make_tensor_value_info(
                name,
                getattr(TensorProto, TYPES[array.dtype]),
                [None] * array.ndim if is_dynamic else array.shape,
            )
            for name, array in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset < 20 else 10)
    return onnx.shape_inference.infer_shapes(model)


def check(model: Any, arguments: list[Array], ops: set[str] | None = None) -> ng.Function:
    """Equal to ONNX' own evaluator; -0 is where it is in the value."""
    function = loads(model)
    (actual,) = ng.compile(function)(*arguments)
    (expected,) = run_reference(model, arguments)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    if ops is not None:
        found = {item.type_name for item in function.nodes} - {"Parameter", "Constant"}
        assert found == ops, function
    return function


#: Shapes of a condition and a value, and the ops that the function has.
SHAPES: list[tuple[tuple[int, ...], tuple[int, ...], set[str]]] = [
    ((4, 3), (4, 3), {"SelectWhere"}),
    ((4, 1), (4, 3), {"SelectWhere"}),
    ((1, 1), (4, 3), {"SelectWhere"}),
    ((), (), {"SelectWhere"}),
    ((2, 1, 5), (2, 3, 5), {"SelectWhere"}),
    ((3,), (4, 3), {"Convert", "Broadcast", "ReluBackprop"}),
    ((), (4, 3), {"Convert", "Broadcast", "ReluBackprop"}),
    ((2, 4, 3), (4, 3), {"Convert", "Broadcast", "ReluBackprop"}),
    ((4, 3), (1, 3), {"Convert", "Sum", "Broadcast", "ReluBackprop"}),
    ((4, 1), (1, 3), {"Convert", "Sum", "Broadcast", "ReluBackprop"}),
]


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize(("of_condition", "of_value", "ops"), SHAPES)
def test_shapes(
    of_condition: tuple[int, ...], of_value: tuple[int, ...], ops: set[str], is_kept: bool
) -> None:
    arguments = [booleans(*of_condition), values(*of_value)]
    model = model_of(
        node("Where", "c x zero" if is_kept else "c zero x"),
        inputs=dict(zip("cx", arguments, strict=True)),
    )
    function = check(model, arguments, ops if is_kept else None)
    (expected,) = run(model, arguments)
    (again,) = run(to_model(function), arguments)
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("opset", range(9, NEWEST + 1))
def test_every_opset(opset: int) -> None:
    arguments = [booleans(4, 1), values(4, 3)]
    inputs = dict(zip("cx", arguments, strict=True))
    for is_dynamic in (False, True):
        model = model_of(
            node("Where", "c x zero"), inputs=inputs, opset=opset, is_dynamic=is_dynamic
        )
        check(model, arguments, {"SelectWhere"})


def test_before_opset_9_there_is_none() -> None:
    inputs = {"c": booleans(4, 3), "x": values(4, 3)}
    with pytest.raises(NotImportableError, match="Where of 'y': expected opset 9 or later, got 8"):
        loads(model_of(node("Where", "c x zero"), inputs=inputs, opset=8))


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("of_where", [(2, 5), (2, 1), (1, 5), (1, 1), (None, None)])
def test_what_is_written_comes_back(of_where: tuple[Any, Any], element_type: str) -> None:
    x, where = ng.Parameter(element_type, (2, 5)), ng.Parameter("boolean", of_where)
    function = ng.Function([ng.op.SelectWhere(x, where)], [x, where])
    again = loads(to_model(function))
    assert [item.type_name for item in again.nodes[2:]] == ["SelectWhere"]
    assert again.nodes[2].output(0).element_type.name == element_type
    mask = booleans(*(length or 1 for length in of_where))
    arguments = [special(element_type).reshape(2, 5), mask]
    for actual, expected in zip(
        ng.compile(again)(*arguments), ng.compile(function)(*arguments), strict=True
    ):
        assert_same_bits(actual, expected, str(again))


ZEROS = {
    "a tensor": [("zeros", np.zeros((4, 3), np.float32))],
    "a row": [("zeros", np.zeros(3, np.float32))],
    "a longer one": [("zeros", np.zeros((2, 4, 3), np.float32))],
}


@pytest.mark.parametrize("form", ZEROS)
def test_zeros_of_other_shapes(form: str) -> None:
    arguments = [booleans(4, 1), values(4, 3)]
    model = model_of(
        node("Where", "c x zeros"),
        inputs=dict(zip("cx", arguments, strict=True)),
        constants=dict(ZEROS[form]),
    )
    ops = {"SelectWhere"} if form != "a longer one" else {"SelectWhere", "Broadcast"}
    check(model, arguments, ops)


def test_zeros_that_the_model_makes() -> None:
    arguments = [booleans(4, 1), values(4, 3)]
    inputs = dict(zip("cx", arguments, strict=True))
    nodes = [
        node("Shape", "x", "shape"),
        node("ConstantOfShape", "shape", "zeros"),
        node("Where", "c x zeros"),
    ]
    check(model_of(*nodes, inputs=inputs), arguments, {"SelectWhere"})
    check(model_of(*nodes, inputs=inputs, is_dynamic=True), arguments, {"SelectWhere"})
    cast = [node("Cast", "zero64", "z", to=TensorProto.FLOAT), node("Where", "c x z")]
    model = model_of(*cast, inputs=inputs, constants={"zero64": np.float64(0)})
    check(model, arguments, {"SelectWhere"})


@pytest.mark.parametrize("is_kept", [True, False])
def test_booleans_that_are_negated_and_repeated(is_kept: bool) -> None:
    """Unsqueeze before and behind Not; Expand to the value's shape; as numbers too."""
    arguments = [booleans(4, 3), values(4, 3, 5)]
    inputs = dict(zip("cx", arguments, strict=True))
    order = "c x zero" if is_kept else "c zero x"
    ways = [
        [node("Unsqueeze", "c last", "u"), node("Not", "u", "n")],
        [node("Not", "c", "u"), node("Unsqueeze", "u last", "n")],
        [node("Not", "c", "m"), node("Not", "m", "u"), node("Unsqueeze", "u last", "n")],
        [
            node("Unsqueeze", "c last", "u"),
            node("Shape", "x", "shape"),
            node("Expand", "u shape", "e"),
            node("Not", "e", "n"),
        ],
    ]
    for way in ways:
        for last in (
            [node("Where", order.replace("c", "n"))],
            [node("Cast", "n", "f", to=TensorProto.FLOAT), node("Add", "f f")],
        ):
            model = model_of(*way, *last, inputs=inputs, constants={"last": np.array([2])})
            check(model, arguments)


@pytest.mark.parametrize("of_condition", [(4, 3), (3,), (1, 3), (), (2, 4, 3)])
def test_constant_booleans(of_condition: tuple[int, ...]) -> None:
    """Those that are negated or of a smaller rank are other constants."""
    ops = {"SelectWhere"} if len(of_condition) < 3 else None
    x = values(4, 3)
    constants = {"c": booleans(*of_condition)}
    for order in ("c x zero", "c zero x"):
        model = model_of(node("Where", order), inputs={"x": x}, constants=constants)
        check(model, [x], ops)


def test_transposed() -> None:
    """A constant boolean is transposed with the value; one that is given cannot be."""
    x, condition = values(4, 3), booleans(3, 4)
    nodes = [
        node("Transpose", "x", "t"),
        node("Where", "c t zero", "s"),
        node("Transpose", "s"),
    ]
    check(model_of(*nodes, inputs={"x": x}, constants={"c": condition}), [x], {"SelectWhere"})
    nodes = [node("Transpose", "c", "t"), node("Where", "t x zero")]
    with pytest.raises(NotImportableError, match="normgraph has no op that transposes"):
        loads(model_of(*nodes, inputs={"c": condition, "x": x}))


REFUSED: dict[str, tuple[list[Any], str]] = {
    "two values": (
        [node("Where", "c x x")],
        "Where of 'y': expected 0 as one of the two values that a boolean selects from",
    ),
    "another number": (
        [node("Where", "c x one")],
        "Where of 'y': expected 0 as one of the two values that a boolean selects from",
    ),
    "negative zero": (
        [node("Where", "c x minus")],
        "Where of 'y': expected 0 as one of the two values that a boolean selects from",
    ),
    "a condition that is computed": (
        [node("Cast", "x", "b", to=TensorProto.BOOL), node("Where", "b x zero")],
        "Cast of 'b': attribute 'to': expected a real element type, got boolean",
    ),
    "and": (
        [node("And", "c c", "b"), node("Where", "b x zero")],
        "And of 'b': normgraph has no such operator",
    ),
    "negated number": (
        [node("Not", "x", "b"), node("Where", "b x zero")],
        "Not of 'b': normgraph has it of booleans that are given alone",
    ),
    "a negated boolean as a value": (
        [node("Not", "c", "b"), node("Add", "b x")],
        "Add of 'y': input 0: expected numbers, got a boolean that is negated or repeated, which "
        "normgraph has only where it selects",
    ),
    "a negated boolean as a result": (
        [node("Not", "c")],
        "output 'y': expected a tensor of numbers, got a condition or lengths",
    ),
    "an axis that is taken away": (
        [node("Squeeze", "s", "b"), node("Where", "b x zero")],
        "Squeeze of 'b': expected a real element type, or a constant, to lose axes of length 1, "
        "got boolean",
    ),
    "integers": (
        [node("Where", "c i izero")],
        "Where of 'y': [P1] the element type of value: expected f16, bf16, f32 or f64, got i64",
    ),
    "lengths that do not fit": (
        [node("Where", "w x zero")],
        "Where of 'y': axis 0: expected equal lengths, or 1, got 7 and 4",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    nodes, expected = REFUSED[case]
    inputs = {"c": booleans(4, 3), "x": values(4, 3), "i": np.zeros((4, 3), np.int64)}
    inputs |= {"w": booleans(7, 3), "s": booleans(1, 3)}
    constants = {"one": np.float32(1), "minus": np.float32(-0.0), "izero": np.int64(0)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(
                name, getattr(TensorProto, TYPES[array.dtype]), array.shape
            )
            for name, array in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)],
        [
            onnx.numpy_helper.from_array(np.asarray(value), name)
            for name, value in {"zero": np.float32(0), **constants}.items()
        ],
    )
    graph.output[0].ClearField("type")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(NotImportableError) as caught:
        loads(model)
    assert caught.value.refusals == (expected,)


def test_a_quotient_of_what_is_not_known_is_no_gradient_of_a_mean() -> None:
    """Its repetition along an axis whose length is not known is a Broadcast, as it says."""
    x, total, count = (
        ng.Parameter("f64", [None] * rank, name=name)
        for name, rank in (("x", 2), ("total", 1), ("count", 1))
    )
    quotient = ng.op.Broadcast(ng.op.Divide(total, count), x, axes=[1])
    function = ng.Function([quotient], [x, total, count])
    arguments = [np.zeros((2, 3)), np.arange(3.0), np.full(3, 7.0)]
    (actual,) = ng.compile(loads(to_model(function)))(*arguments)
    np.testing.assert_array_equal(actual, np.broadcast_to(np.arange(3.0) / 7, (2, 3)))


@pytest.mark.parametrize("is_dynamo", [False, True])
def test_masked_networks_of_torch(tmp_path: Path, is_dynamo: bool) -> None:
    torch = pytest.importorskip("torch")
    if is_dynamo:
        pytest.importorskip("onnxscript")

    class Masked(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, counts: Any) -> Any:
            kept = torch.where(counts.unsqueeze(-1), x, 0.0)
            return kept + x.masked_fill(~counts.unsqueeze(-1), 0.0)

    arguments = [values(4, 3, 5), booleans(4, 3)]
    path = tmp_path / "masked.onnx"
    tensors = tuple(map(torch.from_numpy, arguments))
    torch.onnx.export(Masked().eval(), tensors, path, dynamo=is_dynamo)
    function = load(path)
    (actual,) = ng.compile(function)(*arguments)
    np.testing.assert_array_equal(actual, Masked()(*tensors).numpy())
