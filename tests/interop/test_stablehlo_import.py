"""StableHLO that is read: what has been written comes back, JAX's programs compute as in XLA."""

from __future__ import annotations

import dataclasses
import importlib
import io
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normgraph as ng
from normgraph.formats import FormatError, NotImportableError, stablehlo
from normgraph.formats.graph_writer import rounded_once

from ..formats.functions import constants
from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array
from ..kernel.samples import STANDARD, Sample
from ..runtime.running_error import evaluate
from ..runtime.test_random_graphs import Graph, random_arrays
from .agreement import PRIMITIVES, RANKS, Primitive, channel_axes, check_agreement, check_within
from .agreement import network as network_of
from .stablehlo_worker import ADD, outcomes
from .xla import parsed, run

pytestmark = pytest.mark.interop

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
export = pytest.importorskip("jax.export")
dialect = pytest.importorskip("jaxlib.mlir.dialects.stablehlo")
mlir = pytest.importorskip("jax._src.interpreters.mlir")

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")

LAYOUTS = [(shape, axis) for rank, shape in RANKS.items() for axis in channel_axes(rank)]
NATIVE = ("BatchNormTraining", "BatchNormInference", "BatchNormTrainingBackprop")


# ---- what makes two functions equal ----------------------------------------------------------


#: A number for each expression that has been seen.
NUMBERS: dict[Any, int] = {}


def structure(function: ng.Function) -> tuple[Any, ...]:
    """A function as numbers that are equal for equal expressions, in whatever order nodes stand.

    Left out is what a text does not say: which value a Broadcast takes its shape from, whether one
    node is read twice or two equal ones once, and the input beta of a gradient, which is not read.
    """
    keys: dict[ng.Output, Any] = {}
    places: dict[ng.Node, int] = {
        parameter: index for index, parameter in enumerate(function.parameters)
    }
    for node in function.nodes:
        inputs = [keys[port.source] for port in node.inputs if port.name not in ("like", "beta")]
        attributes = dict(node.attributes)
        for name in set(attributes) & {"kept_axes", "axes", "channel_axis"}:
            rank = len((node.output(0) if name == "axes" else node.input(0).source).partial_shape)
            attributes[name] = (np.array(attributes[name]) % max(rank, 1)).tolist()
        key = (
            node.type_name,
            places.get(node),
            tuple(inputs),
            repr(sorted(attributes.items())),
            repr([(str(output.element_type), output.partial_shape) for output in node.outputs]),
        )
        for output in node.outputs:
            keys[output] = NUMBERS.setdefault((*key, output.index), len(NUMBERS))
    return (
        [keys[result] for result in function.results],
        [(p.friendly_name, str(p.element_type), p.partial_shape) for p in function.parameters],
    )


def check_same(actual: ng.Function, expected: ng.Function) -> None:
    assert structure(actual) == structure(expected), f"{actual}\n\nexpected\n\n{expected}"


def named(function: ng.Function) -> ng.Function:
    for index, parameter in enumerate(function.parameters):
        parameter.friendly_name = f"p{index}"
    return function


# ---- what has been written -------------------------------------------------------------------


def reduces_nothing(primitive: Primitive) -> bool:
    """Whether it is written as a sum with 0, and so read."""
    shape, axes = primitive.shapes[0], primitive.attributes.get("kept_axes")
    return axes is not None and len(axes) == len(shape)


def repeats_nothing(primitive: Primitive) -> bool:
    """Whether it is a value that is its own broadcast, of which nothing is left."""
    return "axes" in primitive.attributes and primitive.shapes[0] == primitive.shapes[1]


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("primitive", PRIMITIVES, ids=str)
def test_primitive_ops_come_back(primitive: Primitive, element_type: str) -> None:
    function = named(primitive.function(element_type))
    again = stablehlo.loads(stablehlo.dumps(function))
    if not (reduces_nothing(primitive) or repeats_nothing(primitive)):
        check_same(again, function)
    arguments = primitive.arguments(element_type)
    for actual, expected in zip(
        ng.compile(again)(*arguments), ng.compile(function)(*arguments), strict=True
    ):
        assert_same_bits(actual, expected, str(again))
    check_agreement(run(stablehlo.dumps(again), arguments), again, arguments)


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("bound", [None, 6.0, 0.3])
def test_relus_and_masks_come_back(element_type: str, bound: float | None) -> None:
    for shape, axis in (*LAYOUTS, ((9, 1), 0), ((1, 3, 1), 1), ((3, 17), 0), ((2, 3, 8), 2)):
        x, delta = (ng.Parameter(element_type, shape, name) for name in ("x", "delta"))
        mask = ng.op.ReluMask(x, axis, bound)
        results = [
            ng.op.Relu(x, bound),
            ng.op.ReluBackprop(x, delta, bound),
            mask,
            ng.op.ReluMaskSelect(delta, mask, axis),
        ]
        function = ng.Function(results, [x, delta], name="relus")
        again = stablehlo.loads(stablehlo.dumps(function))
        if bound == 0.3:
            # A text has the bound as the type of the values rounds it.
            bounds = [n.attributes.get("upper_bound") for n in again.nodes]
            assert set(bounds) == {None, rounded_once(bound, element_type)}
            assert stablehlo.dumps(again) == stablehlo.dumps(function)
        else:
            check_same(again, function)


@pytest.mark.parametrize(("shape", "axis"), LAYOUTS)
@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("op", NATIVE)
def test_the_family_comes_back(
    op: str, element_type: str, shape: tuple[int, ...], axis: int
) -> None:
    exact = dataclasses.replace(STANDARD, epsilon=2.0**-17)
    case = family.make_case(op, Sample(shape, element_type, element_type, axis, exact))
    again = stablehlo.loads(stablehlo.dumps(case.function, family="native"))
    check_same(again, case.function)
    for actual, expected in zip(case.run(again), case.run(case.function), strict=True):
        assert_same_bits(actual, expected, op)


@pytest.mark.parametrize("element_type", ["f32", "bf16", "f64"])
@pytest.mark.parametrize("op", [*family.OPS, *family.STAGE_OPS])
def test_stages_come_back(op: str, element_type: str) -> None:
    """Text of text is the same text, and XLA computes what normgraph does."""
    case = family.make_case(op, Sample((4, 3, 5), element_type, element_type))
    text = stablehlo.dumps(case.function)
    again = stablehlo.loads(text)
    check_same(stablehlo.loads(stablehlo.dumps(again)), again)
    stages = ng.decompose(ng.widen_statistics(case.function), "f64")
    check_same(again, stages)
    arguments = list(case.arguments.values())
    for actual, expected in zip(
        ng.compile(again)(*arguments), ng.compile(stages)(*arguments), strict=True
    ):
        assert_same_bits(actual, expected, str(again))
    check_agreement(run(stablehlo.dumps(again), arguments), again, arguments)


def test_a_network_comes_back_with_its_names() -> None:
    function, arguments = network_of()
    again = stablehlo.loads(stablehlo.dumps(function, family="native"))
    assert again.friendly_name == "network"
    names = [node.friendly_name for node in again.nodes]
    assert names == [node.friendly_name for node in function.nodes]
    results = run(stablehlo.dumps(again), arguments)
    check_agreement(results, again, arguments)


@pytest.mark.parametrize("element_type", ["f32", "f64"])
@settings(max_examples=25)
@given(data=st.data(), size=st.integers(1, 14))
def test_random_graphs_compute_the_same(element_type: str, data: st.DataObject, size: int) -> None:
    graph = Graph(element_type, data.draw, False)
    for _ in range(size):
        graph.add()
    function = ng.decompose(ng.Function(graph.results(), graph.parameters), "f64")
    again = stablehlo.loads(stablehlo.dumps(function))
    arguments = random_arrays(function, element_type, size)
    for actual, expected in zip(
        ng.compile(again)(*arguments), ng.compile(function)(*arguments), strict=True
    ):
        assert_same_bits(actual, expected, f"{again}\n\nof\n\n{function}")


@settings(max_examples=60)
@given(constant=constants())
def test_constants_to_the_bit(constant: ng.Constant) -> None:
    """NaN with their payloads among them; bf16 has no buffers in Python."""
    again = stablehlo.loads(stablehlo.dumps(ng.Function([constant], [])))
    (node,) = again.nodes
    assert isinstance(node, ng.Constant)
    assert (node.element_type, node.shape) == (constant.element_type, constant.shape)
    assert node.attributes["data"] == constant.attributes["data"]


@pytest.mark.parametrize("element_type", ["f16", "bf16", "f32", "f64", "i32", "boolean"])
@pytest.mark.parametrize("count", [3, 100, 101, 257])
def test_constants_that_are_printed_as_numbers_or_as_bytes(element_type: str, count: int) -> None:
    bits = np.random.default_rng(count).integers(0, 2, count)
    values: Any = bits if element_type == "i32" else bits - 0.2987
    if element_type == "boolean":
        values = bits == 1
    constant = ng.Constant(values, element_type)
    (node,) = stablehlo.loads(stablehlo.dumps(ng.Function([constant], []))).nodes
    assert node.attributes["data"] == constant.attributes["data"]


# ---- forms of the text -----------------------------------------------------------------------


def function_of(body: str, arguments: str = "%x: tensor<2x3xf32>", result: str = "2x3xf32") -> str:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    return f"func.func @main({arguments}) -> tensor<{result}> {{\n{lines}\n}}\n"


def test_forms_of_one_program(tmp_path: Any) -> None:
    module = parsed(ADD)
    bytecode = io.BytesIO()
    module.operation.write_bytecode(bytecode)
    forms = {
        "pretty": ADD,
        "bytes": ADD.encode(),
        "generic": module.operation.get_asm(print_generic_op_form=True),
        "debug": module.operation.get_asm(enable_debug_info=True),
        "bytecode": bytecode.getvalue(),
        "current": dialect.serialize_portable_artifact(module, dialect.get_current_version()),
        "oldest": dialect.serialize_portable_artifact(module, dialect.get_minimum_version()),
    }
    for form, data in forms.items():
        function = stablehlo.loads(data)
        assert function.friendly_name == "named", form
        assert [node.type_name for node in function.nodes] == ["Parameter", "Parameter", "Add"]
    path = tmp_path / "add.mlir"
    path.write_text(ADD)
    function = stablehlo.load(path)
    names = [node.friendly_name for node in function.nodes]
    assert names == ["x", "in name", "sum"]
    (result,) = ng.compile(function)(*2 * [np.ones((2, 3), np.float32)])
    assert (result == 2).all()


def test_order_of_operands() -> None:
    x, y = (np.array(numbers, np.float32) for numbers in ([6.0, 9.0], [2.0, 4.5]))
    for op, expected in (("subtract", x - y), ("divide", x / y)):
        body = f"%0 = stablehlo.{op} %x, %y : tensor<2xf32>\nreturn %0 : tensor<2xf32>"
        text = function_of(body, "%x: tensor<2xf32>, %y: tensor<2xf32>", "2xf32")
        (actual,) = ng.compile(stablehlo.loads(text))(x, y)
        assert (actual == expected).all()


@pytest.mark.parametrize(
    ("type_", "shape"),
    [
        ("tensor<?x3xf32>", [None, 3]),
        ("tensor<?x3xf32, #stablehlo.bounds<8, ?>>", [(0, 8), 3]),
        ("tensor<?x?xf32>", [None, None]),
    ],
)
def test_lengths_that_are_not_known(type_: str, shape: list[Any]) -> None:
    body = f"%0 = stablehlo.negate %x : {type_}\nreturn %0 : {type_}"
    text = f"func.func @main(%x: {type_}) -> {type_} {{\n{body}\n}}"
    function = stablehlo.loads(text)
    assert function.parameters[0].partial_shape == ng.PartialShape(shape)
    (result,) = ng.compile(function)(np.ones((2, 3), np.float32))
    assert (result == -1).all()


def test_batch_norm_of_any_batch() -> None:
    body = """%n, %m, %v = "stablehlo.batch_norm_training"(%x, %g, %b) <{
        epsilon = 0.5 : f32, feature_index = 1 : i64}> : (tensor<?x3xf32>, tensor<3xf32>,
        tensor<3xf32>) -> (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>)
return %n : tensor<?x3xf32>"""
    arguments = "%x: tensor<?x3xf32>, %g: tensor<3xf32>, %b: tensor<3xf32>"
    function = stablehlo.loads(function_of(body, arguments, "?x3xf32"))
    (norm,) = (node for node in function.nodes if node.type_name == "BatchNormTraining")
    assert norm.attributes["epsilon"] == 0.5
    assert norm.attributes["channel_axis"] == 1
    assert [port.source.node.friendly_name for port in norm.inputs] == ["x", "g", "b"]


def test_a_repeated_value_of_a_length_that_is_not_known() -> None:
    body = """%n = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x3xf32>) -> tensor<i32>
%n1 = stablehlo.reshape %n : (tensor<i32>) -> tensor<1xi32>
%three = stablehlo.constant dense<3> : tensor<1xi32>
%shape = stablehlo.concatenate %n1, %three, dim = 0 :
    (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
%r = stablehlo.dynamic_broadcast_in_dim %v, %shape, dims = [1] :
    (tensor<3xf32>, tensor<2xi32>) -> tensor<?x3xf32>
%0 = stablehlo.multiply %x, %r : tensor<?x3xf32>
return %0 : tensor<?x3xf32>"""
    text = function_of(body, "%x: tensor<?x3xf32>, %v: tensor<3xf32>", "?x3xf32")
    x, v = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2, 4], np.float32)
    (result,) = ng.compile(stablehlo.loads(text))(x, v)
    assert (result == x * v).all()


# ---- what JAX writes -------------------------------------------------------------------------


def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
    """Channels first, with kept axes and JAX's own variance."""
    axes = (0, *range(2, x.ndim))
    mean = jnp.mean(x, axis=axes, keepdims=True)
    variance = jnp.var(x, axis=axes, keepdims=True)
    along = (None, slice(None), *[None] * (x.ndim - 2))
    y = (x - mean) * jax.lax.rsqrt(variance + 2.0**-10) * gamma[along] + beta[along]
    return y, mean, variance


def layer(x: Any, weights: Any, gamma: Any, beta: Any) -> Any:
    """A product with a transposed matrix, channels last, ReLU6."""
    hidden = x @ weights.T
    centered = hidden - hidden.mean(0)
    deviation = jnp.sqrt((centered * centered).mean(0) + 2.0**-10)
    return jax.nn.relu6(gamma * centered / deviation + beta)


def residual(x: Any, y: Any) -> Any:
    return jax.nn.relu(
        jnp.clip(x, 0.0, 4.0) - jnp.minimum(jnp.maximum(0.0, y), 2.0) + jnp.square(y)
    )


def few_bits(dtype: Any, *shape: int, seed: int) -> Array:
    """Small integers, whose sums and means are exact in every type."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


def check_jax(
    function: Any, arguments: list[Array], factor: float = 3.0, *, x64: bool = False
) -> ng.Function:
    """Compare what XLA computes with the imported function.

    The bounds are those of the nodes in their own types: once for normgraph, and twice for XLA,
    whose rsqrt has the error of a square root and a division at most.
    """
    with jax.enable_x64(x64):
        jitted = jax.jit(function, keep_unused=True)
        text = jitted.lower(*arguments).as_text()
        expected = [np.asarray(array) for array in jax.tree.leaves(jitted(*arguments))]
    again = stablehlo.loads(text)
    actual = ng.compile(again)(*arguments)
    bounds = [factor * value.error for value in evaluate(again, arguments)]
    for ours, theirs, bound in zip(actual, expected, bounds, strict=True):
        assert ours.dtype == theirs.dtype
        check_within(ours, theirs, bound, f"{text}\n{again}")
    check_agreement(run(stablehlo.dumps(again), arguments), again, arguments)
    return again


@pytest.mark.parametrize("shape", [(8, 3), (2, 3, 4, 4), (1, 3, 4), (4, 1, 2), (1, 1, 1)])
def test_jax_batch_norm(shape: tuple[int, ...]) -> None:
    x = few_bits(np.float32, *shape, seed=0)
    gamma, beta = (few_bits(np.float32, shape[1], seed=seed) for seed in (1, 2))
    check_jax(batch_norm, [x, gamma, beta])


@pytest.mark.parametrize("element_type", ["f16", "bf16", "f32"])
def test_jax_layer(element_type: str) -> None:
    dtype = REAL_TYPES[element_type].dtype
    arguments = [few_bits(dtype, *shape, seed=4) for shape in ((8, 4), (5, 4), (5,), (5,))]
    again = check_jax(layer, arguments)
    products = [node for node in again.nodes if node.type_name == "MatrixMultiply"]
    assert [node.attributes["transpose_right"] for node in products] == [True]
    assert [n.attributes.get("upper_bound") for n in again.nodes if n.type_name == "Relu"] == [6.0]


def test_jax_relus() -> None:
    values = [-3.0, -0.0, 0.0, 0.5, 2.0, 3.0, 4.0, 9.0, np.inf, -np.inf, np.nan]
    grid = np.array([(a, b) for a in values for b in values], np.float32)
    again = stablehlo.loads(jax.jit(residual).lower(*grid.T).as_text())
    (actual,) = ng.compile(again)(*np.ascontiguousarray(grid.T))
    expected = np.asarray(jax.jit(residual)(*grid.T))
    np.testing.assert_array_equal(actual, expected)
    bounds = [n.attributes.get("upper_bound") for n in again.nodes if n.type_name == "Relu"]
    assert sorted(bounds, key=str) == [2.0, 4.0, None]


def test_jax_gradients() -> None:
    """In f64, where XLA adds in its own order: n − 1 roundings per term instead of log₂ n."""

    def gradients(x: Any, gamma: Any, beta: Any, delta: Any) -> Any:
        return jax.vjp(lambda *arguments: batch_norm(*arguments)[0], x, gamma, beta)[1](delta)

    random_numbers = np.random.default_rng(7)
    shapes = ((2, 3, 4, 4), (3,), (3,), (2, 3, 4, 4))
    arguments = [random_numbers.standard_normal(shape) for shape in shapes]
    again = check_jax(gradients, arguments, 3.0 + 32, x64=True)
    own = ng.gradients  # the same gradients as normgraph makes of the forward function
    with jax.enable_x64(True):
        text = jax.jit(lambda *a: batch_norm(*a)[0]).lower(*arguments[:3]).as_text()
    expected = ng.compile(own(stablehlo.loads(text)))(*arguments)
    bounds = [36 * value.error for value in evaluate(again, arguments)]
    for actual, wanted, bound in zip(ng.compile(again)(*arguments), expected, bounds, strict=True):
        check_within(actual, wanted, bound, "gradients")


def test_jax_artifacts() -> None:
    arguments = [few_bits(np.float32, *shape, seed=4) for shape in ((8, 4), (5, 4), (5,), (5,))]
    exported = export.export(jax.jit(layer))(*arguments)
    from_text = stablehlo.loads(jax.jit(layer).lower(*arguments).as_text())
    from_artifact = stablehlo.loads(exported.mlir_module_serialized)
    assert [p.friendly_name for p in from_artifact.parameters] == ["x", "weights", "gamma", "beta"]
    check_same(named(from_artifact), named(from_text))


# ---- calls -----------------------------------------------------------------------------------


def chain_of_calls(depth: int, calls: int) -> str:
    """Functions that each call the next one so many times."""
    functions = []
    for level in range(depth):
        lines = [
            f"    %{call + 1} = call @f{level + 1}(%{call}) : (tensor<2xf32>) -> tensor<2xf32>"
            for call in range(calls)
        ]
        lines.append(f"    return %{calls} : tensor<2xf32>")
        functions.append((level, lines))
    functions.append(
        (depth, ["    %1 = stablehlo.negate %0 : tensor<2xf32>", "    return %1 : tensor<2xf32>"])
    )
    texts = []
    for level, lines in functions:
        name = "main" if level == 0 else f"f{level}"
        body = [line.replace("%0", "%a") for line in lines]
        texts.append(
            f"  func.func {'public' if level == 0 else 'private'} @{name}(%a: tensor<2xf32>) -> "
            "tensor<2xf32> {\n" + "\n".join(body) + "\n  }"
        )
    return "module {\n" + "\n".join(texts) + "\n}\n"


def test_calls_stand_for_what_they_call() -> None:
    function = stablehlo.loads(chain_of_calls(3, 3))
    assert [node.type_name for node in function.nodes] == ["Parameter", *["Negate"] * 27]


@pytest.mark.parametrize("element_type", ["f32", "f64"])
def test_a_quotient_that_is_no_mean(element_type: str) -> None:
    """Divided by another number than that of the terms, or by that of the repetitions."""
    type_ = f"3x{element_type}"
    body = f"""%w = stablehlo.convert %x : (tensor<2x{type_}>) -> tensor<2x3xf64>
%c = stablehlo.constant dense<0.0> : tensor<f64>
%s = stablehlo.reduce(%w init: %c) applies stablehlo.add across dimensions = [0] :
    (tensor<2x3xf64>, tensor<f64>) -> tensor<3xf64>
%n = stablehlo.constant dense<5.0> : tensor<3xf64>
%q = stablehlo.divide %s, %n : tensor<3xf64>
%v = stablehlo.convert %q : (tensor<3xf64>) -> tensor<{type_}>
%r = stablehlo.broadcast_in_dim %v, dims = [1] : (tensor<{type_}>) -> tensor<2x{type_}>
return %r : tensor<2x{type_}>"""
    function = stablehlo.loads(function_of(body, f"%x: tensor<2x{type_}>", f"2x{type_}"))
    x = np.arange(6).reshape(2, 3).astype(REAL_TYPES[element_type].dtype)
    (result,) = ng.compile(function)(x)
    assert (result == (x.sum(0, np.float64) / 5).astype(x.dtype)).all()


def test_deep_calls_and_long_chains() -> None:
    function = stablehlo.loads(chain_of_calls(3000, 1))
    assert [node.type_name for node in function.nodes] == ["Parameter", "Negate"]
    lines = [f"%{i + 1} = stablehlo.negate %{i} : tensor<2x3xf32>" for i in range(20000)]
    body = "\n".join([*lines, "return %20000 : tensor<2x3xf32>"]).replace("%0 ", "%x ")
    assert len(stablehlo.loads(function_of(body)).nodes) == 20001


def test_calls_that_double_are_bounded() -> None:
    with pytest.raises(FormatError, match="at most 100000 operations more"):
        stablehlo.loads(chain_of_calls(60, 2))


def test_a_function_that_calls_itself() -> None:
    text = chain_of_calls(2, 1).replace("call @f2", "call @f1")
    with pytest.raises(FormatError, match=r"line \d+, column \d+: func.call: .* call itself"):
        stablehlo.loads(text)


# ---- what is refused -------------------------------------------------------------------------


def refusals_of(text: str) -> tuple[str, ...]:
    with pytest.raises(NotImportableError) as caught:
        stablehlo.loads(text)
    assert pickle.loads(pickle.dumps(caught.value)).refusals == caught.value.refusals
    return caught.value.refusals


def test_all_refusals_at_once() -> None:
    body = """%0 = stablehlo.sine %x : tensor<2x3xf32>
%1 = stablehlo.add %0, %x : tensor<2x3xf32>
%2 = stablehlo.sqrt %x {result_accuracy = #stablehlo.result_accuracy<ulps = 3,
    mode = #stablehlo.result_accuracy_mode<TOLERANCE>>} : tensor<2x3xf32>
%3 = stablehlo.tanh %1 : tensor<2x3xf32>
%4 = stablehlo.add %3, %c : tensor<2x3xf32>
%5 = stablehlo.compare GT, %x, %x, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1>
%6 = stablehlo.select %5, %x, %x : tensor<2x3xi1>, tensor<2x3xf32>
return %4 : tensor<2x3xf32>"""
    text = function_of(body, "%x: tensor<2x3xf32>, %z: tensor<2xcomplex<f32>>")
    text = text.replace("%c :", "%x :")
    assert refusals_of(text) == (
        "argument 1 of main: expected a tensor of boolean, f16, bf16, f32, f64, i8, i16, i32, i64, "
        "u8, u16, u32, u64, got tensor<2xcomplex<f32>>",
        "line 2, column 8: stablehlo.sine: normgraph has no such op",
        "line 4, column 8: stablehlo.sqrt: result_accuracy: not known, got TOLERANCE",
        "line 6, column 8: stablehlo.tanh: normgraph has no such op",
        "line 9, column 8: stablehlo.select: expected 0 where a value <= 0, the upper bound where "
        "a ReLU's value >= it, or 0 where a boolean or the bit of a mask is not set, got a "
        "condition that is stablehlo.compare",
    )


def test_refusals_of_a_program_of_jax() -> None:
    """As docs/formats.md shows them."""
    x = np.ones((8, 4), np.float32)
    text = jax.jit(lambda x: jnp.tanh(x) + jnp.sort(x)).lower(x).as_text()
    assert refusals_of(text) == (
        "line 3, column 10: stablehlo.tanh: normgraph has no such op",
        "line 9, column 10: stablehlo.sort: normgraph has no such op",
    )


#: Statements that make %0, and its type.
REFUSED = {
    "of an integer": ("%0 = stablehlo.add %i, %i : tensor<2x3xi32>", "2x3xi32"),
    "batching": (
        """%0 = stablehlo.dot_general %t, %t, batching_dims = [0] x [0],
        contracting_dims = [1] x [1] : (tensor<2x3x4xf32>, tensor<2x3x4xf32>)
        -> tensor<2x4x4xf32>""",
        "2x4x4xf32",
    ),
    "two contracting": (
        """%0 = stablehlo.dot_general %x, %x, contracting_dims = [0, 1] x [0, 1]
        : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<f32>""",
        "f32",
    ),
    "algorithm": (
        """%0 = stablehlo.dot_general %x, %x, contracting_dims = [1] x [1], algorithm =
        <lhs_precision_type = bf16, rhs_precision_type = bf16, accumulation_type = f32,
        lhs_component_count = 1, rhs_component_count = 1, num_primitive_operations = 1,
        allow_imprecise_accumulation = false> : (tensor<2x3xf32>, tensor<2x3xf32>)
        -> tensor<2x2xf32>""",
        "2x2xf32",
    ),
    "start of a sum": (
        """%c = stablehlo.constant dense<1.0> : tensor<f32>
        %0 = stablehlo.reduce(%x init: %c) applies stablehlo.add across dimensions = [0]
        : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>""",
        "3xf32",
    ),
    "another reduction": (
        """%c = stablehlo.constant dense<0.0> : tensor<f32>
        %0 = stablehlo.reduce(%x init: %c) applies stablehlo.maximum across dimensions = [0]
        : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>""",
        "3xf32",
    ),
    "another body": (
        """%c = stablehlo.constant dense<0.0> : tensor<f32>
        %0 = stablehlo.reduce(%x init: %c) across dimensions = [0]
        : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>
        reducer(%a: tensor<f32>, %b: tensor<f32>) {
          %s = stablehlo.add %a, %a : tensor<f32>
          stablehlo.return %s : tensor<f32>
        }""",
        "3xf32",
    ),
    "reshape": (
        "%0 = stablehlo.reshape %x : (tensor<2x3xf32>) -> tensor<3x2xf32>",
        "3x2xf32",
    ),
    "maximum of two": ("%0 = stablehlo.maximum %x, %x : tensor<2x3xf32>", "2x3xf32"),
    "minimum alone": (
        """%c = stablehlo.constant dense<6.0> : tensor<2x3xf32>
        %0 = stablehlo.minimum %x, %c : tensor<2x3xf32>""",
        "2x3xf32",
    ),
    "a condition as a result": (
        """%c = stablehlo.constant dense<0.0> : tensor<2x3xf32>
        %0 = stablehlo.compare LE, %x, %c : (tensor<2x3xf32>, tensor<2x3xf32>)
        -> tensor<2x3xi1>""",
        "2x3xi1",
    ),
    "another selection": (
        """%c = stablehlo.constant dense<0.0> : tensor<2x3xf32>
        %p = stablehlo.compare GT, %x, %c : (tensor<2x3xf32>, tensor<2x3xf32>)
        -> tensor<2x3xi1>
        %0 = stablehlo.select %p, %x, %c : tensor<2x3xi1>, tensor<2x3xf32>""",
        "2x3xf32",
    ),
    "total order": (
        """%c = stablehlo.constant dense<0.0> : tensor<2x3xf32>
        %p = stablehlo.compare LE, %x, %c, TOTALORDER : (tensor<2x3xf32>, tensor<2x3xf32>)
        -> tensor<2x3xi1>
        %0 = stablehlo.select %p, %c, %x : tensor<2x3xi1>, tensor<2x3xf32>""",
        "2x3xf32",
    ),
    "attribute": ("%0 = stablehlo.add %x, %x {else = 1 : i64} : tensor<2x3xf32>", "2x3xf32"),
    "to an integer": (
        "%0 = stablehlo.convert %x : (tensor<2x3xf32>) -> tensor<2x3xi32>",
        "2x3xi32",
    ),
    "f8": (
        "%0 = stablehlo.convert %x : (tensor<2x3xf32>) -> tensor<2x3xf8E4M3FN>",
        "2x3xf8E4M3FN",
    ),
    "resource": ("%0 = stablehlo.constant dense_resource<r> : tensor<2x3xf32>", "2x3xf32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """With line and name; each alone, so that no other one hides it."""
    statements, result = REFUSED[case]
    arguments = "%x: tensor<2x3xf32>, %i: tensor<2x3xi32>, %t: tensor<2x3x4xf32>"
    body = f"{statements}\nreturn %0 : tensor<{result}>"
    (refusal,) = refusals_of(function_of(body, arguments, result))
    assert re.match(r"line \d+, column \d+: stablehlo\.\w+: \w", refusal), refusal


def test_a_transposed_result_is_refused() -> None:
    body = """%0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
return %0 : tensor<3x2xf32>"""
    (refusal,) = refusals_of(function_of(body, result="3x2xf32"))
    assert refusal.startswith("result 0 of main: expected axes in the order")


def test_zeros_that_are_negative_make_no_relu() -> None:
    """max(−0, x) is −0 where ReLU is +0, and so is the other side of a selection."""
    body = """%c = stablehlo.constant dense<-0.0> : tensor<2x3xf32>
%0 = stablehlo.maximum %x, %c : tensor<2x3xf32>
%p = stablehlo.compare LE, %x, %c : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1>
%1 = stablehlo.select %p, %c, %x : tensor<2x3xi1>, tensor<2x3xf32>
return %0 : tensor<2x3xf32>"""
    assert len(refusals_of(function_of(body))) == 2


def test_a_mask_of_two_values_is_refused() -> None:
    x, z = (ng.Parameter("f32", [2, 3], name) for name in ("x", "z"))
    text = stablehlo.dumps(ng.Function([ng.op.ReluMask(x, 1, 6.0)], [x, z]))
    assert len(stablehlo.loads(text).results) == 1
    changed = text.replace("compare GE, %x", "compare GE, %z")
    assert changed != text
    assert refusals_of(changed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("func.func @main(", "line 1, column 16: "),
        ("module {\n  nonsense\n}", "line 2, column 3: .*nonsense"),
        (
            function_of("%0 = stablehlo.add %x, %y : tensor<2x3xf32>\nreturn %0 : tensor<2x3xf32>"),
            "line 2, column 26: use of undeclared SSA value name",
        ),
        (function_of("return"), "has 0 operands, but enclosing function"),
        ("", "expected a function main in the module, got none"),
        ("func.func private @main() -> tensor<f32>", "got a declaration"),
        (b"ML\xefR", "portable artifact"),
        (b"ML\xefR\rStableHLO_v1.0.0\x00\x01\x02\x03", "portable artifact"),
        (b"\xff\xfe", "expected a text of StableHLO in UTF-8"),
        ("\udc80", "expected a text of StableHLO in UTF-8"),
        ('module @"a\\FF" {}', "expected a text of StableHLO in UTF-8"),
        ("module {" * 300 + "}" * 300, "at most 256 brackets inside each other, got 300"),
        ("module attributes {a.b = " + "[" * 10**6, "at most 256 brackets"),
        ("a\0b", "line 1, column 1"),
    ],
)
def test_malformed(data: str | bytes, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The message is the parser's, and nothing goes to stderr."""
    with pytest.raises(FormatError, match=message):
        stablehlo.loads(data)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("value", [None, 3, ["module {}"], bytearray(b"module {}")])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(TypeError, match="data: expected a string or bytes, got"):
        stablehlo.loads(value)


# ---- sizes -----------------------------------------------------------------------------------


def test_a_large_splat_is_a_scalar() -> None:
    type_ = "tensor<1000000x1000000xf32>"
    body = f"""%c = stablehlo.constant dense<2.5> : {type_}
%0 = stablehlo.multiply %x, %c : {type_}
return %0 : {type_}"""
    function = stablehlo.loads(f"func.func @main(%x: {type_}) -> {type_} {{\n{body}\n}}")
    constants_of = [node for node in function.nodes if isinstance(node, ng.Constant)]
    assert [node.shape for node in constants_of] == [()]
    assert constants_of[0].array() == 2.5


def test_a_large_splat_alone_is_refused() -> None:
    type_ = "tensor<1000000x1000000xbf16>"
    text = f"""func.func @main() -> {type_} {{
%0 = stablehlo.constant dense<2.5> : {type_}
return %0 : {type_}
}}"""
    (refusal,) = refusals_of(text)
    assert refusal.startswith("result 0 of main: expected at most ")


def test_a_length_that_no_dimension_has_is_refused() -> None:
    type_ = f"tensor<{2**63 - 1}x0xf32>"
    text = f"func.func @main(%x: {type_}) -> {type_} {{\nreturn %x : {type_}\n}}"
    assert refusals_of(text)[0].startswith("argument 0 of main: expected a tensor")


def test_many_axes_are_refused() -> None:
    type_ = f"tensor<{'1x' * 65}f32>"
    text = f"func.func @main(%x: {type_}) -> {type_} {{\nreturn %x : {type_}\n}}"
    assert "argument 0 of main: expected a tensor" in refusals_of(text)[0]


# ---- what chance makes of texts --------------------------------------------------------------


def test_mutated_texts_give_errors_or_functions() -> None:
    """Nothing else, and the process lives on."""
    found, ends = outcomes("text", 20, 2500)
    assert not ends, ends[0]
    assert found.total() == 2500
    assert min(found[name] for name in ("function", "format error", "refused")) > 20, found


def test_mutated_artifacts_give_errors_or_functions() -> None:
    """Or a signal ends the process: jaxlib's reader of bytecode damages memory, or does not end."""
    found, ends = outcomes("artifact", 20, 200)
    for end in ends:
        assert re.match(r"artifact \d+: ended with -", end), end
        assert "Traceback" not in end, end
    assert found.total() + len(ends) >= 200
    assert min(found[name] for name in ("function", "format error")) > 4, found
    assert set(found) <= {"function", "format error", "refused"}
