"""The layer with Flax's fields beside Flax's own."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.interop
jax = pytest.importorskip("jax")
linen = pytest.importorskip("flax.linen")

import jax.numpy as jnp  # noqa: E402

import normgraph as ng  # noqa: E402
from normgraph.jax.linen import BatchNorm  # noqa: E402

SHAPE = (6, 5, 4, 3)


def data(dtype: str = "float32", shape: tuple[int, ...] = SHAPE) -> Any:
    values = np.random.default_rng(7).normal(1.0, 2.0, shape)
    return jnp.asarray(values, jnp.dtype(dtype))


def initialized(layer: Any, x: Any) -> Any:
    """The layer's variables, of which scale and bias are not the neutral ones."""
    variables = layer.init(jax.random.key(0), x, use_running_average=False)
    generator = np.random.default_rng(3)
    return jax.tree.map(
        lambda leaf: leaf + jnp.asarray(generator.uniform(0.1, 0.9, leaf.shape), leaf.dtype),
        variables,
    )


FIELDS: list[dict[str, Any]] = [
    {},
    {"axis": 1},
    {"use_bias": False},
    {"use_scale": False, "use_bias": False},
    {"momentum": 0.5, "epsilon": 0.1},
    {"dtype": jnp.bfloat16},
    {"dtype": jnp.float32},
    {"use_fast_variance": False},
    {"force_float32_reductions": False},
]


@pytest.mark.parametrize("is_evaluation", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_beside_flax(fields: dict[str, Any], dtype: str, is_evaluation: bool) -> None:
    x = data(dtype)
    ours, theirs = BatchNorm(**fields), linen.BatchNorm(**fields)
    variables = initialized(ours, x)
    assert jax.tree.structure(variables) == jax.tree.structure(initialized(theirs, x))
    outputs, states, gradients = [], [], []
    for layer in (ours, theirs):

        def loss(parameters: Any, x: Any, layer: Any = layer) -> Any:
            output, state = layer.apply(
                {**variables, "params": parameters},
                x,
                use_running_average=is_evaluation,
                mutable=["batch_stats"],
            )
            return (output.astype(jnp.float32) ** 3).mean(), (output, state)

        parameters = variables.get("params", {})
        found, (output, state) = jax.grad(loss, (0, 1), has_aux=True)(parameters, x)
        outputs.append(output)
        states.append(state)
        gradients.append(found)
    assert outputs[0].dtype == outputs[1].dtype
    small = "bfloat16" in (dtype, outputs[0].dtype.name) or dtype == "float16"
    # The rounding of 16-bit results, and of Flax's formulas in float32.
    bound = {"rtol": 2**-7, "atol": 2e-2} if small else {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(*(np.asarray(o, np.float64) for o in outputs), **bound)
    for pair in (states, gradients):
        ours_flat, theirs_flat = (jax.tree.leaves(side) for side in pair)
        assert len(ours_flat) == len(theirs_flat) > 0
        for left, right in zip(ours_flat, theirs_flat, strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_allclose(
                np.asarray(left, np.float64), np.asarray(right, np.float64), **bound
            )


@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("is_evaluation", [False, True])
def test_bits_and_activation(activation: str, is_evaluation: bool) -> None:
    x = data()
    layer = BatchNorm(activation=activation)
    variables = initialized(layer, x)
    output, state = layer.apply(
        variables, x, use_running_average=is_evaluation, mutable=["batch_stats"]
    )
    scale, bias = (np.asarray(variables["params"][name]) for name in ("scale", "bias"))
    options = {"channel_axis": -1, "upper_bound": 6.0 if activation == "relu6" else None}
    old = variables["batch_stats"]
    if is_evaluation:
        given = (np.asarray(old[name]) for name in ("mean", "var"))
        expected = ng.batch_norm_inference_relu(np.asarray(x), scale, bias, *given, **options)
        assert jax.tree.all(jax.tree.map(jnp.array_equal, state["batch_stats"], old))
    else:
        result = ng.batch_norm_training_relu(np.asarray(x), scale, bias, **options)
        expected = result.activated
        for name, batch in (("mean", result.mean), ("var", result.variance)):
            moved = 0.99 * np.asarray(old[name]) + 0.01 * batch
            np.testing.assert_allclose(state["batch_stats"][name], moved, rtol=1e-6)
    assert np.array_equal(np.asarray(output), expected)


@pytest.mark.parametrize("mask_shape", [(6, 5, 4, 1), (5, 4, 1), (6, 1, 1, 1), (1, 5, 1, 1)])
@pytest.mark.parametrize("is_evaluation", [False, True])
def test_masks_beside_flax(mask_shape: tuple[int, ...], is_evaluation: bool) -> None:
    x = data()
    mask = np.random.default_rng(8).random(mask_shape) < 0.7
    assert 0 < mask.sum() < mask.size
    variables = initialized(BatchNorm(), x)
    found = []
    for layer in (BatchNorm(), linen.BatchNorm()):

        def loss(parameters: Any, x: Any, layer: Any = layer) -> Any:
            output, state = layer.apply(
                {**variables, "params": parameters},
                x,
                use_running_average=is_evaluation,
                mask=jnp.asarray(mask),
                mutable=["batch_stats"],
            )
            return (output**3).mean(), (output, state)

        found.append(jax.grad(loss, (0, 1), has_aux=True)(variables["params"], x))
    for left, right in zip(*(jax.tree.leaves(side) for side in found), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)
    if not is_evaluation:
        unmasked = BatchNorm().apply(variables, x, False, mutable=["batch_stats"])[0]
        assert not np.allclose(found[0][1][0], unmasked, atol=1e-3)


@pytest.mark.parametrize(
    "mask",
    [
        np.ones(SHAPE, bool),
        np.ones((6, 5, 4, 1), np.float32),
        np.ones((6, 5, 3, 1), bool),
        np.ones((1, 6, 5, 4, 1), bool),
    ],
    ids=lambda mask: f"{mask.dtype}{mask.shape}",
)
def test_masks_that_tell_no_positions(mask: Any) -> None:
    with pytest.raises(
        ValueError, match=r"mask: expected booleans that broadcast to \(6, 5, 4, 3\)"
    ):
        BatchNorm(use_running_average=False).init(jax.random.key(0), data(), mask=mask)


def test_initialization_leaves_the_state_alone() -> None:
    variables = BatchNorm().init(jax.random.key(0), data(), use_running_average=False)
    assert np.array_equal(variables["batch_stats"]["mean"], np.zeros(3))
    assert np.array_equal(variables["batch_stats"]["var"], np.ones(3))


def test_large_means_keep_their_variance() -> None:
    """Flax's E[x²] − E[x]² in float32 has no digit of the variance left."""
    x = data() / 2 + 4096.0
    exact = np.asarray(x, np.float64).var(axis=(0, 1, 2))
    variances = []
    for layer in (BatchNorm(momentum=0.0), linen.BatchNorm(momentum=0.0)):
        variables = layer.init(jax.random.key(0), x, use_running_average=False)
        _, state = layer.apply(variables, x, use_running_average=False, mutable=["batch_stats"])
        variances.append(np.abs(np.asarray(state["batch_stats"]["var"]) / exact - 1).max())
    assert variances[0] < 1e-6
    assert variances[1] > 1e-2


def test_in_a_network_under_jit() -> None:
    class Network(linen.Module):
        @linen.compact
        def __call__(self, x: Any, is_training: bool) -> Any:
            x = linen.Dense(8)(x)
            x = BatchNorm(use_running_average=not is_training, activation="relu")(x)
            return linen.Dense(1)(x)

    network, x = Network(), data(shape=(16, 4))
    variables = network.init(jax.random.key(1), x, True)

    @functools.partial(jax.jit, static_argnums=1)
    def apply(variables: Any, is_training: bool) -> Any:
        return network.apply(variables, x, is_training, mutable=["batch_stats"])

    output, state = apply(variables, True)
    assert output.shape == (16, 1)
    assert not np.array_equal(
        state["batch_stats"]["BatchNorm_0"]["mean"],
        variables["batch_stats"]["BatchNorm_0"]["mean"],
    )
    evaluated, _ = apply({**variables, **state}, False)
    assert not np.array_equal(output, evaluated)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"axis": (1, 2)}, ValueError, "axis: expected one axis"),
        ({"axis_index_groups": [[0]]}, ValueError, "axis_index_groups: expected None"),
        (
            {"activation": "gelu"},
            ValueError,
            "activation: expected None, relu or relu6, got 'gelu'",
        ),
    ],
)
def test_what_it_has_not(fields: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        BatchNorm(**fields).init(jax.random.key(0), data(), use_running_average=False)
