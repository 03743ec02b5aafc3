"""Masked batches: where= and lengths= of the functions of JAX's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.interop
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import normgraph.jax as ngj  # noqa: E402

from .samples import (  # noqa: E402
    ACTIVATIONS,
    DTYPE_PAIRS,
    LAYOUTS,
    arguments,
    assert_same,
    axis_of,
    enable_x64,
    function,
    layer,
    on_arrays,
    with_type,
)

SEQUENCES = (7, 6, 4)  # samples, steps, channels
LENGTHS = np.array([6, 0, 1, 5, 3, 6, 2], np.int32)


def positions(layout: str) -> tuple[int, ...]:
    shape, axis = LAYOUTS[layout]
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def mask(layout: str, kind: str) -> dict[str, Any]:
    """An array where= or lengths=, of which a part counts."""
    generator = np.random.default_rng(5)
    shape = positions(layout)
    if kind == "where":
        where = generator.random(shape) < 0.6
        where.flat[0] = True
        return {"where": where}
    lengths = generator.integers(0, shape[1] + 1, shape[0]).astype(np.int32)
    lengths[0] = shape[1]
    return {"lengths": lengths}


MASKS = [
    (layout, kind)
    for layout in LAYOUTS
    for kind in ("where", "lengths")
    if kind == "where" or len(positions(layout)) > 1
]


def sequences(dtype: Any = np.float64) -> tuple[Any, Any, Any, Any]:
    """x, gamma, beta, delta, and what counts of them is LENGTHS."""
    generator = np.random.default_rng(11)
    x, delta = generator.normal(1, 2, (2, *SEQUENCES))
    gamma, beta = generator.normal(1, 0.3, (2, SEQUENCES[-1]))
    return tuple(jnp.asarray(array, dtype) for array in (x, gamma, beta, delta))


def by_definition(x: Any, gamma: Any, beta: Any, epsilon: float = 1e-5) -> Any:
    """Of sequences: the statistics of what counts alone, picked out; independent of normgraph."""
    counts = np.arange(SEQUENCES[1]) < LENGTHS[:, None]
    picked = x[counts]
    mean, variance = picked.mean(0), picked.var(0)
    return (x - mean) / jnp.sqrt(variance + epsilon) * gamma + beta, mean, variance


def with_lengths(**options: Any) -> Any:
    def call(x: Any, gamma: Any, beta: Any) -> Any:
        return ngj.batch_norm_training(
            x, gamma, beta, channel_axis=-1, lengths=jnp.asarray(LENGTHS), **options
        )

    return call


def scalar(call: Any, delta: Any) -> Any:
    """A sum of all that a layer puts out, in which no gradient vanishes."""

    def loss(*arrays: Any) -> Any:
        y, mean, variance = call(*arrays)
        return (y * delta + y**2).sum() + (mean**3).sum() + (variance**3).sum()

    return loss


# ---- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [lambda call: call, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(("layout", "kind"), MASKS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_bits_of_the_functions_on_arrays(
    activation: str, dtypes: tuple[str, str], layout: str, kind: str, transform: Any
) -> None:
    given, axis, given_mask = layer(*dtypes, layout), axis_of(layout), mask(layout, kind)
    inputs = arguments("training", activation, given)
    on_numpy = on_arrays("training", activation, channel_axis=axis)
    expected = on_numpy(*inputs, **given_mask)
    exact = on_numpy(*inputs, **given_mask, statistics_type="f64")
    expected_gradients = on_arrays("training", activation, "_backprop", channel_axis=axis)(
        *inputs[:3], *exact[1:], given.delta, **given_mask
    )
    with with_type(dtypes[0]):
        call = function("training", activation, channel_axis=axis)

        def results_and_gradients(given_mask: Any, delta: Any, *arrays: Any) -> Any:
            results, pull_back = jax.vjp(lambda *values: call(*values, **given_mask), *arrays)
            zeros = map(jnp.zeros_like, results[1:])
            return results, pull_back(type(results)(delta, *zeros))

        arrays = [jnp.asarray(array) for array in (given.delta, *inputs)]
        results, gradients = transform(results_and_gradients)(given_mask, *arrays)
    for found, wanted in zip(
        (*results, *gradients), (*expected[:3], *expected_gradients), strict=True
    ):
        assert_same(found, wanted)


@pytest.mark.parametrize(("layout", "kind"), MASKS)
def test_a_mask_that_is_true_everywhere_has_the_bits_of_none(layout: str, kind: str) -> None:
    given, axis = layer(layout=layout), axis_of(layout)
    shape = positions(layout)
    whole = {"where": np.ones(shape, bool)}
    if kind == "lengths":
        whole = {"lengths": np.full(shape[0], shape[1])}
    inputs = arguments("training", "", given)
    masked = ngj.batch_norm_training(*inputs, channel_axis=axis, **whole)
    for found, expected in zip(
        masked, ngj.batch_norm_training(*inputs, channel_axis=axis), strict=True
    ):
        assert_same(found, expected)


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 1), (6,), (7, 1), (1, 6), (1, 1), ()], ids=str)
def test_where_broadcasts(shape: tuple[int, ...]) -> None:
    x, gamma, beta, delta = sequences(np.float32)
    where = np.random.default_rng(0).random(shape) < 0.7
    where = np.asarray(where | (where.size == 1))
    full = np.broadcast_to(where[..., 0] if where.ndim == 3 else where, SEQUENCES[:2])

    def results(where: Any) -> Any:
        def call(*arrays: Any) -> Any:
            return ngj.batch_norm_training(*arrays, channel_axis=-1, where=where)

        def bent(*arrays: Any) -> Any:
            return sum((each**2).sum() for each in jax.grad(scalar(call, delta), (0, 1))(*arrays))

        return jax.tree.leaves((call(x, gamma, beta), jax.grad(bent, (0, 1))(x, gamma, beta)))

    found = results(where)
    for one, other in zip(found, results(full), strict=True):
        assert_same(one, other)
    unmasked = ngj.batch_norm_training(x, gamma, beta, channel_axis=-1)
    assert full.all() or not np.array_equal(found[1], unmasked.mean)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "int64"])
def test_lengths_of_every_integer_type(dtype: str) -> None:
    x, gamma, beta, _ = sequences(np.float32)
    expected = with_lengths()(x, gamma, beta)
    with enable_x64():
        lengths = jnp.asarray(LENGTHS, dtype)
        assert lengths.dtype == dtype
        found = jax.jit(ngj.batch_norm_training, static_argnames="channel_axis")(
            x, gamma, beta, channel_axis=-1, lengths=lengths
        )
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


# ---- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("forward_mode", [False, True])
def test_derivatives_of_two_orders_are_those_of_the_definition(forward_mode: bool) -> None:
    with enable_x64():
        x, gamma, beta, delta = sequences()
        loss = scalar(with_lengths(forward_mode=forward_mode), delta)
        reference = scalar(by_definition, delta)
        arrays = (x, gamma, beta)

        def bent(loss: Any) -> Any:
            def value(*arrays: Any) -> Any:
                gradients = jax.grad(loss, (0, 1, 2))(*arrays)
                return sum((gradient**3).sum() for gradient in gradients)

            return value

        for call, other in ((loss, reference), (bent(loss), bent(reference))):
            found = jax.grad(call, (0, 1, 2))(*arrays)
            expected = jax.grad(other, (0, 1, 2))(*arrays)
            for one, true in zip(found, expected, strict=True):
                scale = np.abs(true).max()
                np.testing.assert_allclose(one, true, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_finite_differences(activation: str) -> None:
    with enable_x64():
        x, gamma, beta, delta = sequences()
        lengths = jnp.asarray(LENGTHS)
        residual = [delta * 0.5] if activation == "add_relu" else []
        call = function("training", activation, channel_axis=-1, lengths=lengths)
        check_grads(lambda *arrays: tuple(call(*arrays)), (x, gamma, beta, *residual), 2, ["rev"])


def test_forward_mode() -> None:
    with enable_x64():
        x, gamma, beta, delta = sequences()
        loss = scalar(with_lengths(forward_mode=True), delta)
        check_grads(loss, (x, gamma, beta), 2, ["fwd", "rev"])
        hessian = jax.hessian(loss, (1, 2))(x, gamma, beta)
        expected = jax.hessian(scalar(by_definition, delta), (1, 2))(x, gamma, beta)
        for row, true_row in zip(hessian, expected, strict=True):
            for block, true in zip(row, true_row, strict=True):
                np.testing.assert_allclose(block, true, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("forward_mode", [False, True])
@pytest.mark.parametrize("padding", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("order", [1, 2])
def test_whatever_is_in_the_padding_adds_nothing(
    order: int, padding: float, forward_mode: bool
) -> None:
    with enable_x64():
        x, gamma, beta, delta = sequences()
        counts = (np.arange(SEQUENCES[1]) < LENGTHS[:, None])[..., None]

        def gradients(x: Any, order: int = order) -> Any:
            def loss(x: Any, gamma: Any, beta: Any) -> Any:
                y, mean, variance = with_lengths(forward_mode=forward_mode)(x, gamma, beta)
                y = jnp.where(counts, y, 0)
                return (y * delta + y**2).sum() + (mean**3).sum() + (variance**3).sum()

            def bent(*arrays: Any) -> Any:
                found = jax.grad(loss, (0, 1, 2))(*arrays)
                return sum((gradient**3).sum() for gradient in found)

            return jax.grad(loss if order == 1 else bent, (0, 1, 2))(x, gamma, beta)

        clean = gradients(jnp.where(counts, x, 0))
        for found, expected in zip(gradients(jnp.where(counts, x, padding)), clean, strict=True):
            assert np.isfinite(found).all()
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        assert all(np.abs(array).max() > 1e-3 for array in clean)


@pytest.mark.parametrize("order", [1, 2])
def test_what_a_gradient_reads_is_not_lost(order: int) -> None:
    """Padding that is read, though it does not count, is a term of gamma's gradient."""
    with enable_x64():
        x, gamma, beta, delta = sequences()

        def gradient(x: Any, factor: Any) -> Any:
            def loss(gamma: Any) -> Any:
                return (with_lengths()(x, gamma, beta).output * delta * factor).sum()

            return jax.grad(loss)(gamma)

        def find(x: Any) -> Any:
            if order == 1:
                return gradient(x, 1.0)
            return jnp.diagonal(jax.jacrev(gradient, 1)(x, jnp.ones(4)))

        is_nan = [np.isnan(find(values)) for values in (x, x.at[1, 3, 2].set(jnp.nan))]
        assert [found.tolist() for found in is_nan] == [[False] * 4, [False, False, True, False]]


# ---- transformations ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["where", "lengths"])
@pytest.mark.parametrize("is_mapped", [True, False])
def test_vmap_has_the_bits_of_separate_calls(kind: str, is_mapped: bool) -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(3, *SEQUENCES)).astype(np.float32)
    _, gamma, beta, delta = sequences(np.float32)
    masks = {"where": generator.random((3, *SEQUENCES[:2])) < 0.6}
    if kind == "lengths":
        masks = {"lengths": generator.integers(1, SEQUENCES[1] + 1, (3, SEQUENCES[0]))}
    masks = {name: array if is_mapped else array[0] for name, array in masks.items()}

    def gradients(x: Any, mask: Any) -> Any:
        def loss(x: Any, gamma: Any) -> Any:
            y = ngj.batch_norm_training_relu(x, gamma, beta, channel_axis=-1, **mask).output
            return (y * delta).sum()

        return jax.value_and_grad(loss, (0, 1))(x, gamma)

    found = jax.vmap(gradients, (0, 0 if is_mapped else None))(x, masks)
    for index in range(3):
        own = {name: array[index] if is_mapped else array for name, array in masks.items()}
        expected = jax.tree.leaves(gradients(x[index], own))
        for one, other in zip(jax.tree.leaves(found)[1:], expected[1:], strict=True):
            assert_same(one[index], other)


def test_donation() -> None:
    x, gamma, beta, _ = sequences(np.float32)
    expected = with_lengths()(x, gamma, beta)
    found = jax.jit(with_lengths(donate=True), donate_argnums=0)(x + 0, gamma, beta)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [lambda call: call, jax.jit], ids=["eager", "jit"])
def test_masks_that_do_not_fit(transform: Any) -> None:
    x, *_ = sequences(np.float32)
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (
            ValueError,
            "where: expected a boolean array, got one of f32",
            {"where": np.ones((7, 6), "f4")},
        ),
        (
            ValueError,
            r"where: expected a shape that broadcasts to \(7, 6\)",
            {"where": np.ones((6, 7), bool)},
        ),
        (ValueError, r"where: .*got \(7, 6, 4\)", {"where": np.ones((7, 6, 4), bool)}),
        (
            ValueError,
            "lengths: expected a vector of integers, got one of f32",
            {"lengths": np.ones(7, "f4")},
        ),
        (ValueError, "lengths: .*one for each of 7 samples", {"lengths": np.ones(6, int)}),
        (
            ValueError,
            "lengths: expected None beside where",
            {"lengths": LENGTHS, "where": np.ones((7, 6), bool)},
        ),
        (TypeError, "where: expected an array, got True of type bool", {"where": True}),
        (TypeError, r"lengths: expected an array, got \[1, 2\]", {"lengths": [1, 2]}),
    ]
    for kind, message, mask in cases:
        with pytest.raises(kind, match=message):
            transform(
                lambda x, mask=mask: ngj.batch_norm_training(x, None, None, channel_axis=-1, **mask)
            )(x)
    with pytest.raises(ValueError, match="lengths: expected None, since input has no axis behind"):
        ngj.batch_norm_training(x[0], None, None, lengths=np.ones(6, int))


@pytest.mark.parametrize("transform", [lambda call: call, jax.jit], ids=["eager", "jit"])
def test_values_that_only_the_kernel_sees(transform: Any) -> None:
    x, *_ = sequences(np.float32)
    call = transform(
        lambda x, mask: ngj.batch_norm_training(x, None, None, channel_axis=-1, **mask).output
    )
    for message, mask in (
        (
            "where: expected at least one position that counts, got none",
            {"where": np.zeros((7, 6), bool)},
        ),
        (
            "lengths: expected at least one position that counts, got none",
            {"lengths": np.zeros(7, int)},
        ),
        (
            "lengths: expected numbers from 0 to 6, got 7 for sample 2",
            {"lengths": np.array([6, 6, 7, 0, 0, 0, 0])},
        ),
        (
            "lengths: expected numbers from 0 to 6, got -1 for sample 0",
            {"lengths": np.array([-1, 6, 6, 0, 0, 0, 0])},
        ),
    ):
        with pytest.raises(jax.errors.JaxRuntimeError, match=message):
            jax.block_until_ready(call(x, mask))


def test_psum_takes_no_mask() -> None:
    x, *_ = sequences(np.float32)
    mesh = jax.make_mesh((1,), ("data",))
    whole = jax.P()
    with pytest.raises(ValueError, match="exchange: expected 'all_gather' beside where or lengths"):
        jax.shard_map(
            lambda x: (
                ngj.batch_norm_training(
                    x,
                    None,
                    None,
                    channel_axis=-1,
                    axis_name="data",
                    exchange="psum",
                    lengths=LENGTHS,
                ).output
            ),
            mesh=mesh,
            in_specs=whole,
            out_specs=whole,
        )(x)
