"""StableHLO that selects by booleans: what is written comes back, JAX's programs select alike."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotImportableError, stablehlo

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, TYPE_PAIRS
from ..kernel.samples import Sample
from .agreement import check_agreement, special
from .selections import booleans, values
from .test_stablehlo_import import check_same, function_of, named, refusals_of
from .xla import run

pytestmark = pytest.mark.interop

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

# `pass` is a word of the language, which cannot stand in an import.
masked: Any = importlib.import_module("tests.pass.masked")


# ---- what has been written -------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), masked.LAYOUTS)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("op", masked.OPS)
def test_masked_batches_come_back(
    op: str, data_type: str, channel_type: str, shape: tuple[int, ...], axis: int
) -> None:
    case = masked.make_masked_case(op, Sample(shape, data_type, channel_type, axis))
    again = stablehlo.loads(stablehlo.dumps(case.function))
    stages = ng.decompose(ng.widen_statistics(case.function), "f64")
    check_same(again, stages)
    for actual, expected in zip(case.run(again), case.run(stages), strict=True):
        assert_same_bits(actual, expected, op)


@pytest.mark.parametrize("op", masked.OPS)
def test_masked_batches_that_came_back_run_in_xla(op: str) -> None:
    case = masked.make_masked_case(op, Sample((5, 3, 7), "f32", "f32"))
    again = stablehlo.loads(stablehlo.dumps(case.function))
    arguments = list(case.arguments.values())
    check_agreement(run(stablehlo.dumps(again), arguments), again, arguments)


@pytest.mark.parametrize("element_type", REAL_TYPES)
@pytest.mark.parametrize("of_where", [(2, 5), (2, 1), (1, 5), (1, 1)])
def test_selections_come_back(of_where: tuple[int, int], element_type: str) -> None:
    x, where = ng.Parameter(element_type, (2, 5)), ng.Parameter("boolean", of_where)
    function = named(ng.Function([ng.op.SelectWhere(x, where)], [x, where]))
    again = stablehlo.loads(stablehlo.dumps(function))
    check_same(again, function)
    arguments = [special(element_type).reshape(2, 5), booleans(*of_where)]
    for actual, expected in zip(
        ng.compile(again)(*arguments), ng.compile(function)(*arguments), strict=True
    ):
        assert_same_bits(actual, expected, str(again))


# ---- what JAX writes -------------------------------------------------------------------------

SELECTIONS: dict[str, tuple[Callable[..., Any], tuple[int, ...], set[str]]] = {
    "of one shape": (lambda c, x: jnp.where(c, x, 0), (4, 3, 5), {"SelectWhere"}),
    "an axis of length 1": (lambda c, x: jnp.where(c, x, 0), (4, 1, 5), {"SelectWhere"}),
    "zeros": (lambda c, x: jnp.where(c, x, jnp.zeros_like(x)), (4, 3, 1), {"SelectWhere"}),
    "the other way round": (
        lambda c, x: jnp.where(c, 0.0, x),
        (4, 3, 1),
        {"Broadcast", "Convert", "ReluBackprop", "Subtract", "Sum"},
    ),
    "negated twice": (lambda c, x: jnp.where(~c, 0.0, x), (4, 3, 1), {"SelectWhere"}),
    "a new axis": (
        lambda c, x: jnp.where(c[..., None], x, 0),
        (4, 3),
        {"Broadcast", "Convert", "ReluBackprop"},
    ),
    "a row": (lambda c, x: jnp.where(c, x, 0), (5,), {"Broadcast", "Convert", "ReluBackprop"}),
    "one for all": (lambda c, x: jnp.where(c, x, 0), (), {"Broadcast", "Convert", "ReluBackprop"}),
    "turned": (
        lambda c, x: jnp.where(c[None].T[:, :, None], x, 0),
        (4,),
        {"Broadcast", "Convert", "ReluBackprop"},
    ),
    "as a factor": (
        lambda c, x: x * ~c[..., None],
        (4, 3),
        {"Broadcast", "Convert", "Multiply", "Subtract"},
    ),
    "a constant": (
        lambda c, x: jnp.where(booleans(3, 5), x, 0) + c,
        (),
        {"Add", "Broadcast", "Convert", "SelectWhere"},
    ),
}


@pytest.mark.parametrize("case", SELECTIONS)
def test_selections_of_jax(case: str) -> None:
    function, of_condition, ops = SELECTIONS[case]
    arguments = [booleans(*of_condition), values(4, 3, 5)]
    text = jax.jit(function).lower(*arguments).as_text()
    again = stablehlo.loads(text)
    (actual,) = ng.compile(again)(*arguments)
    np.testing.assert_array_equal(actual, np.asarray(function(*arguments)))
    found = {node.type_name for node in again.nodes} - {"Parameter", "Constant"}
    assert found == ops, f"{again}\nof\n{text}"
    (written,) = run(stablehlo.dumps(again), arguments)
    np.testing.assert_array_equal(written, actual)


def test_masked_means_of_jax() -> None:
    """They count as integers."""

    def moments(counts: Any, x: Any) -> Any:
        where = counts[..., None]
        return jnp.mean(x, (0, 1), where=where), jnp.sum(x, (0, 1), where=where)

    counts = booleans(4, 3)
    x = np.where(counts[..., None], np.arange(60, dtype=np.float32).reshape(4, 3, 5), np.nan)
    again = stablehlo.loads(jax.jit(moments).lower(counts, x).as_text())
    for actual, expected in zip(ng.compile(again)(counts, x), moments(counts, x), strict=True):
        assert np.isfinite(actual).all()
        np.testing.assert_allclose(actual, np.asarray(expected), rtol=1e-6)


# ---- what is refused -------------------------------------------------------------------------

SIDES = "expected 0 as one of the two values that a boolean selects from"
ALONE = (
    "expected it only as what selects: normgraph has no op that negates, repeats or counts booleans"
)
REFUSED = {
    "two values": ("%0 = stablehlo.select %c, %x, %x : tensor<2x3xi1>, tensor<2x3xf32>", SIDES),
    "negative zero": (
        """%z = stablehlo.constant dense<-0.0> : tensor<2x3xf32>
        %0 = stablehlo.select %c, %x, %z : tensor<2x3xi1>, tensor<2x3xf32>""",
        SIDES,
    ),
    "negated": (
        """%n = stablehlo.not %c : tensor<2x3xi1>
        %i = stablehlo.convert %n : (tensor<2x3xi1>) -> tensor<2x3xi32>
        %a = stablehlo.add %i, %i : tensor<2x3xi32>
        %0 = stablehlo.convert %a : (tensor<2x3xi32>) -> tensor<2x3xf32>""",
        "expected a real type, got i32",
    ),
    "of two booleans": (
        """%a = stablehlo.and %c, %c : tensor<2x3xi1>
        %z = stablehlo.constant dense<0.0> : tensor<2x3xf32>
        %0 = stablehlo.select %a, %x, %z : tensor<2x3xi1>, tensor<2x3xf32>""",
        "expected 0 where a value <= 0, .*, got a condition that is stablehlo.and",
    ),
    "reshaped": (
        """%b = stablehlo.broadcast_in_dim %r, dims = [0, 1] : (tensor<2x1xi1>) -> tensor<2x3xi1>
        %s = stablehlo.reshape %b : (tensor<2x3xi1>) -> tensor<2x1x3xi1>
        %t = stablehlo.reshape %s : (tensor<2x1x3xi1>) -> tensor<2x3xi1>
        %z = stablehlo.constant dense<0.0> : tensor<2x3xf32>
        %0 = stablehlo.select %t, %x, %z : tensor<2x3xi1>, tensor<2x3xf32>""",
        "expected 0 where a value <= 0, .*, got a condition that is stablehlo.reshape",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    statements, expected = REFUSED[case]
    arguments = "%x: tensor<2x3xf32>, %c: tensor<2x3xi1>, %r: tensor<2x1xi1>"
    text = function_of(f"{statements}\nreturn %0 : tensor<2x3xf32>", arguments)
    with pytest.raises(
        NotImportableError, match=rf"^line \d+, column \d+: stablehlo\.\w+: {expected}"
    ):
        stablehlo.loads(text)


@pytest.mark.parametrize(
    "made",
    [
        "not %c : tensor<2x3xi1>",
        "broadcast_in_dim %r, dims = [0, 1] : (tensor<2x1xi1>) -> tensor<2x3xi1>",
    ],
)
def test_a_boolean_that_takes_an_op_is_no_result(made: str) -> None:
    body = f"%0 = stablehlo.{made}\nreturn %0 : tensor<2x3xi1>"
    arguments = "%c: tensor<2x3xi1>, %r: tensor<2x1xi1>"
    (refusal,) = refusals_of(function_of(body, arguments, "2x3xi1"))
    assert refusal == f"line 2, column 8: stablehlo.{made.split()[0]}: {ALONE}"
