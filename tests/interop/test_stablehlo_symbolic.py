"""Programs that JAX exports with symbolic shapes become functions of partial shapes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotImportableError, stablehlo

from ..kernel.real_types import Array

pytestmark = pytest.mark.interop

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
export = pytest.importorskip("jax.export")

#: Arguments by their symbolic shapes.
SHAPES = {"b, 4": (6, 4), "b, c, 4": (6, 3, 4), "b, c": (6, 3), "4": (4,), "1, 4": (1, 4)}


def argument(shape: str, seed: int, dtype: Any) -> Array:
    random = np.random.default_rng(seed)
    if dtype == np.bool_:
        return random.random(SHAPES[shape]) < 0.5
    return random.integers(-3, 4, SHAPES[shape]).astype(dtype)


def exported(
    function: Callable[..., Any], shapes: tuple[str, ...], dtypes: dict[str, Any]
) -> tuple[Any, list[Array]]:
    """What is exported, and arguments for it."""
    scope = export.SymbolicScope()
    specs = [
        jax.ShapeDtypeStruct(
            export.symbolic_shape(shape, scope=scope), dtypes.get(shape, np.float32)
        )
        for shape in shapes
    ]
    arguments = [
        argument(shape, seed, dtypes.get(shape, np.float32)) for seed, shape in enumerate(shapes)
    ]
    return export.export(jax.jit(function))(*specs), arguments


def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
    axes = tuple(range(x.ndim - 1))
    centered = x - x.mean(axes)
    return centered * jax.lax.rsqrt(jnp.var(x, axis=axes) + 2.0**-10) * gamma + beta


def layer_norm(x: Any) -> Any:
    centered = x - x.mean(-1, keepdims=True)
    return centered / jnp.sqrt((centered * centered).mean(-1, keepdims=True) + 1)


def gradients(x: Any, gamma: Any, beta: Any, delta: Any) -> Any:
    return jax.vjp(batch_norm, x, gamma, beta)[1](delta)


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "element-wise": (lambda x, v: -x * v + x, ("b, 4", "4")),
    "two of one shape": (lambda x, y: x - y, ("b, c, 4", "b, c, 4")),
    "an axis of length 1": (lambda x, y: x * y, ("b, 4", "1, 4")),
    "a new axis": (lambda x, y: x[:, None, :] * y, ("b, 4", "b, c, 4")),
    "a layer": (lambda x: jax.nn.relu6(x @ jnp.ones((4, 3)) - 1), ("b, 4",)),
    "a sum": (lambda x: x.sum((0, 1)), ("b, c, 4",)),
    "means": (lambda x: (x.mean(0), x.mean(1), x.mean(), x.mean((0, 2))), ("b, c, 4",)),
    "batch norm": (batch_norm, ("b, 4", "4", "4")),
    "batch norm of two axes": (batch_norm, ("b, c, 4", "4", "4")),
    "layer norm": (layer_norm, ("b, 4",)),
    "gradients": (gradients, ("b, 4", "4", "4", "b, 4")),
    "gradients of two axes": (gradients, ("b, c, 4", "4", "4", "b, c, 4")),
    "a length as a number": (lambda x: x * x.shape[0], ("b, c",)),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case: str) -> None:
    """As text and as an artifact, which has the names of the arguments."""
    function, shapes = FUNCTIONS[case]
    program, arguments = exported(function, shapes, {})
    expected = [np.asarray(array) for array in jax.tree.leaves(jax.jit(function)(*arguments))]
    for data in (program.mlir_module(), program.mlir_module_serialized):
        again = stablehlo.loads(data)
        for actual, wanted in zip(ng.compile(again)(*arguments), expected, strict=True):
            assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
            np.testing.assert_allclose(actual, wanted, rtol=2e-5, atol=2e-5)
    lengths = [
        [None if axis in "bc" else int(axis) for axis in shape.split(", ")] for shape in shapes
    ]
    assert [parameter.partial_shape for parameter in again.parameters] == [
        ng.PartialShape(shape) for shape in lengths
    ]


def test_names_of_arguments() -> None:
    program, _ = exported(batch_norm, ("b, 4", "4", "4"), {})
    again = stablehlo.loads(program.mlir_module_serialized)
    assert [parameter.friendly_name for parameter in again.parameters] == ["x", "gamma", "beta"]


def test_masks() -> None:
    def moments(x: Any, counts: Any) -> Any:
        where = counts[..., None]
        return jnp.where(where, x, 0).sum((0, 1)), jnp.mean(x, (0, 1), where=where)

    program, (x, counts) = exported(moments, ("b, c, 4", "b, c"), {"b, c": np.bool_})
    x[~counts] = np.nan
    again = stablehlo.loads(program.mlir_module_serialized)
    for actual, expected in zip(ng.compile(again)(x, counts), moments(x, counts), strict=True):
        np.testing.assert_allclose(actual, np.asarray(expected), rtol=1e-6)


def test_means_are_means() -> None:
    """A sum over the number of its elements is one op; over another length it is a quotient."""
    for function, op in (
        (lambda x: x.sum(0) / x.shape[0], "Mean"),
        (lambda x: x.sum(0) / x.shape[1], "Divide"),
        (lambda x: x.sum((0, 1)) / (x.shape[1] * x.shape[0]), "Mean"),
    ):
        program, (x,) = exported(function, ("b, c, 4",), {})
        again = stablehlo.loads(program.mlir_module())
        last = again.results[0].node
        assert last.type_name == op
        (actual,) = ng.compile(again)(x)
        np.testing.assert_allclose(actual, np.asarray(function(x)), rtol=1e-6)


def test_lengths_are_equal_where_it_is_asserted() -> None:
    """A sum over a length of something else is a mean only if that has to be the same."""
    program, arguments = exported(lambda x, y: y.sum(0) / x.shape[0], ("b, 4", "b, 4"), {})
    text = program.mlir_module()
    without = re.sub(r"\n *stablehlo.custom_call @shape_assertion.*", "", text)
    for data, op in ((text, "Mean"), (without, "Divide")):
        again = stablehlo.loads(data)
        assert again.results[0].node.type_name == op
        (actual,) = ng.compile(again)(*arguments)
        np.testing.assert_allclose(actual, arguments[1].mean(0), rtol=1e-6)


def test_other_calls_are_refused_by_name() -> None:
    program, _ = exported(lambda x: -x, ("b, 4",), {})
    text = program.mlir_module().replace("@shape_assertion", "@other")
    with pytest.raises(NotImportableError) as caught:
        stablehlo.loads(text)
    assert caught.value.refusals == (
        "main: stablehlo.custom_call: normgraph has no such op, got @other",
    )


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "a shape that nothing has": (
        lambda x: jnp.ones((x.shape[0], 3)),
        r"^result 0 of main: expected another value of the shape \{\?,3\} to repeat this one "
        "along, or lengths that are known$",
    ),
    "another order of elements": (
        lambda x: x.reshape(-1, 2),
        r"stablehlo.dynamic_reshape: normgraph has no such op$",
    ),
    "a variance of samples": (
        lambda x: jnp.var(x, axis=0, ddof=1),
        r"stablehlo.select: expected 0 where a value <= 0, .*",
    ),
    "a sum of lengths": (
        lambda x: x * (x.shape[0] * x.shape[0] + 1),
        r"stablehlo.add: expected a real type, got i32",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    function, expected = REFUSED[case]
    program, _ = exported(function, ("b, 4",), {})
    with pytest.raises(NotImportableError, match=expected):
        stablehlo.loads(program.mlir_module())


def function_of(body: str) -> str:
    return f"func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {{\n{body}\n}}\n"


COMPARED = """%n = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x4xf32>) -> tensor<i32>
%one = stablehlo.constant dense<NUMBER> : tensor<i32>
%p = stablehlo.compare DIRECTION, %n, %one, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
ASSERTION
%q = stablehlo.compare GE, %n, %c, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
%m = stablehlo.negate %x : tensor<?x4xf32>
%0 = stablehlo.select %q, %x, %m : tensor<i1>, tensor<?x4xf32>
return %0 : tensor<?x4xf32>"""


@pytest.mark.parametrize(
    ("number", "direction", "is_asserted", "is_read"),
    [
        (1, "GE", True, True),
        (1, "GE", False, False),
        (0, "GE", True, False),
        (1, "LE", True, False),
    ],
)
def test_what_holds_of_a_length(
    number: int, direction: str, is_asserted: bool, is_read: bool
) -> None:
    """That it is 1 at least is known only of what is asserted."""
    body = COMPARED.replace("NUMBER", str(number)).replace("DIRECTION", direction)
    call = (
        "stablehlo.custom_call @shape_assertion(%p) {has_side_effect = true} : (tensor<i1>) -> ()"
    )
    body = body.replace(
        "ASSERTION",
        f"{call if is_asserted else ''}\n%c = stablehlo.constant dense<1> : tensor<i32>",
    )
    if is_read:
        assert stablehlo.loads(function_of(body)).nodes[-1].type_name != "Negate"
    else:
        with pytest.raises(NotImportableError, match=r"stablehlo\.select: expected 0 where"):
            stablehlo.loads(function_of(body))


@pytest.mark.parametrize(
    "call",
    [
        "stablehlo.custom_call @shape_assertion() {has_side_effect = true} : () -> ()",
        "%a = stablehlo.custom_call @shape_assertion(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>",
    ],
)
def test_assertions_of_nothing(call: str) -> None:
    with pytest.raises(
        NotImportableError, match="custom_call: expected a condition, and no results"
    ):
        stablehlo.loads(function_of(f"{call}\nreturn %x : tensor<?x4xf32>"))
