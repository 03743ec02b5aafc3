"""Checks of normgraph.jax within shard_map, on four devices that are the processor.

A process of its own: how many devices JAX has is settled when it begins. It prints a line of JSON,
what became of each check: "" or the traceback.
"""

from __future__ import annotations

import functools
import json
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import normgraph as ng
import normgraph.jax as ngj

from .samples import assert_same

SHARDS = 4
WHOLE, SPLIT = PartitionSpec(), PartitionSpec("data")
DTYPES = ("float32", "bfloat16", "float16", "float64")


def mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), ("data",))


def on_shards(call: Any, in_specs: Any, out_specs: Any, **options: Any) -> Any:
    return jax.jit(
        jax.shard_map(call, mesh=mesh(), in_specs=in_specs, out_specs=out_specs, **options)
    )


def arrays(dtype: str = "float32", samples: int = 32, seed: int = 0) -> list[Any]:
    """input, gamma, beta, residual and delta, of so many samples on each shard."""
    generator = np.random.default_rng(seed)
    shape = (SHARDS * samples, 5, 7, 6)
    offset = np.arange(5).reshape(1, 5, 1, 1)
    values = [generator.normal(0, 1, shape) + offset, *generator.normal(1, 0.2, (2, 5))]
    values += [generator.normal(0, 1, shape), generator.normal(0, 1, shape)]
    return [value.astype(jnp.dtype(dtype)) for value in values]


def results_and_gradients(call: Any) -> Any:
    """As a function of input, gamma, beta, residual, delta, on one device or on a shard."""

    def both(x: Any, gamma: Any, beta: Any, residual: Any, delta: Any) -> Any:
        results, pull_back = jax.vjp(call, x, gamma, beta, residual)
        zeros = jax.tree.map(jnp.zeros_like, results[1:])
        return results, pull_back(type(results)(delta, *zeros))

    return both


SPECS = (SPLIT, WHOLE, WHOLE, SPLIT, SPLIT)
OUT_SPECS = (
    ngj.BatchNormTrainingResult(SPLIT, WHOLE, WHOLE),
    (SPLIT, WHOLE, WHOLE, SPLIT),
)


def layer_call(activation: str, **options: Any) -> Callable[..., Any]:
    def call(x: Any, gamma: Any, beta: Any, residual: Any) -> Any:
        if activation == "add_relu":
            return ngj.batch_norm_training_add_relu(x, gamma, beta, residual, **options)
        if activation:
            return ngj.batch_norm_training_relu(x, gamma, beta, **options)
        return ngj.batch_norm_training(x, gamma, beta, **options)

    return call


def check_bits_of_the_whole_batch() -> None:
    for dtype in DTYPES:
        given = arrays(dtype)
        expected = jax.jit(results_and_gradients(layer_call("")))(*given)
        sharded = results_and_gradients(layer_call("", axis_name="data"))
        found = on_shards(sharded, SPECS, OUT_SPECS)(*given)
        for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert_same(left, right, dtype)


def check_values_of_the_functions_on_arrays() -> None:
    given = arrays()
    expected = ng.batch_norm_training(*given[:3])
    found, _ = on_shards(results_and_gradients(layer_call("", axis_name="data")), SPECS, OUT_SPECS)(
        *given
    )
    for left, right in zip(found, expected, strict=True):
        assert_same(left, right)


def check_activations() -> None:
    for activation in ("relu", "add_relu"):
        for options in ({}, {"upper_bound": 0.75}):
            given = arrays()
            expected = jax.jit(results_and_gradients(layer_call(activation, **options)))(*given)
            call = layer_call(activation, axis_name="data", **options)
            found = on_shards(results_and_gradients(call), SPECS, OUT_SPECS)(*given)
            for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                assert_same(left, right, f"{activation} {options}")


def check_other_shards_differ_in_the_last_places() -> None:
    given = arrays(samples=5)
    expected = jax.jit(results_and_gradients(layer_call("")))(*given)
    for exchange in ("all_gather", "psum"):
        sharded = results_and_gradients(layer_call("", axis_name="data", exchange=exchange))
        found = on_shards(sharded, SPECS, OUT_SPECS)(*given)
        for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            size = float(np.abs(right).max()) or 1.0
            np.testing.assert_allclose(left, right, rtol=0, atol=4e-6 * size)


def check_other_shards_have_the_bits_of_parts_in_order() -> None:
    """Of shards whose nodes, in another order, are rounded otherwise."""
    x, gamma, beta, *_ = arrays("float64", samples=5)
    x = x * np.repeat(3.0 ** np.arange(SHARDS), 5).reshape(-1, 1, 1, 1)
    parts = [x[5 * index : 5 * (index + 1)] for index in range(SHARDS)]

    def statistics_of(parts: list[Any]) -> Any:
        first: Any = sum(ng.batch_norm_statistics(part) for part in parts)
        return sum(ng.batch_norm_statistics(part, about=first) for part in parts)

    total = statistics_of(parts)
    assert total.variance.tobytes() != statistics_of(parts[::-1]).variance.tobytes()

    def normalized(x: Any, gamma: Any, beta: Any) -> Any:
        return ngj.batch_norm_training(x, gamma, beta, axis_name="data")

    found = on_shards(normalized, SPECS[:3], OUT_SPECS[0])(x, gamma, beta)
    expected = [ng.batch_norm_training(part, gamma, beta, statistics=total) for part in parts]
    assert_same(found.output, np.concatenate([part.normalized for part in expected]))
    assert_same(found.mean, expected[0].mean)
    assert_same(found.variance, expected[0].variance)


def check_psum_of_all_types() -> None:
    steps = {"float32": 1e-5, "bfloat16": 2**-6, "float16": 2**-9, "float64": 1e-13}
    for dtype in DTYPES:
        given = arrays(dtype)
        expected = jax.jit(results_and_gradients(layer_call("")))(*given)
        sharded = results_and_gradients(layer_call("", axis_name="data", exchange="psum"))
        found = on_shards(sharded, SPECS, OUT_SPECS)(*given)
        for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
            size = float(np.abs(right).max()) or 1.0
            np.testing.assert_allclose(left, right, rtol=0, atol=steps[dtype] * size)


def check_gradients_of_statistics() -> None:
    given = arrays("float64", samples=3)[:3]

    def loss(x: Any, gamma: Any, beta: Any, **options: Any) -> Any:
        output, mean, variance = ngj.batch_norm_training(x, gamma, beta, **options)
        return (output**3).sum(), (mean * jnp.arange(1.0, 6.0)).sum() + (variance**2).sum()

    def whole(x: Any, gamma: Any, beta: Any) -> Any:
        return sum(loss(x, gamma, beta))

    def sharded(x: Any, gamma: Any, beta: Any) -> Any:
        def total(x: Any, gamma: Any, beta: Any) -> Any:
            of_shard, of_all = loss(x, gamma, beta, axis_name="data")
            return jax.lax.psum(of_shard, "data") + of_all

        return jax.grad(total, (0, 1, 2))(x, gamma, beta)

    expected = jax.grad(whole, (0, 1, 2))(*given)
    found = on_shards(sharded, SPECS[:3], (SPLIT, WHOLE, WHOLE))(*given)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-11 * float(np.abs(right).max()))


def check_gradient_outside_of_shard_map() -> None:
    given = arrays()

    def loss(call: Any) -> Any:
        def of(x: Any, gamma: Any, beta: Any) -> Any:
            return (call(x, gamma, beta) * given[-1]).sum()

        return of

    def output(x: Any, gamma: Any, beta: Any, **options: Any) -> Any:
        return ngj.batch_norm_training(x, gamma, beta, **options).output

    sharded = on_shards(functools.partial(output, axis_name="data"), SPECS[:3], SPLIT)
    found = jax.grad(loss(sharded), (0, 1, 2))(*given[:3])
    expected = jax.grad(loss(jax.jit(output)), (0, 1, 2))(*given[:3])
    for left, right in zip(found, expected, strict=True):
        assert_same(left, right)


def check_without_tracking_what_varies() -> None:
    given = arrays()
    call = functools.partial(layer_call("", axis_name="data"), residual=None)

    def output(x: Any, gamma: Any, beta: Any) -> Any:
        return call(x, gamma, beta)

    sharded = on_shards(output, SPECS[:3], OUT_SPECS[0], check_vma=False)
    for left, right in zip(sharded(*given[:3]), ng.batch_norm_training(*given[:3]), strict=True):
        assert_same(left, right)


def check_layers_of_each_shard_alone() -> None:
    """Without axis_name: statistics are those of the shard."""
    given = arrays()

    def output(x: Any, gamma: Any, beta: Any) -> Any:
        return ngj.batch_norm_training_relu(x, gamma, beta).output

    found = on_shards(output, SPECS[:3], SPLIT)(*given[:3])
    for index in range(SHARDS):
        part = slice(32 * index, 32 * (index + 1))
        expected = ng.batch_norm_training_relu(given[0][part], *given[1:3]).activated
        assert_same(np.asarray(found)[part], expected)


def check_channels_last() -> None:
    x, gamma, beta, *_ = arrays()
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1))

    def output(x: Any, gamma: Any, beta: Any) -> Any:
        return ngj.batch_norm_training(x, gamma, beta, channel_axis=-1, axis_name="data")

    found = on_shards(output, SPECS[:3], OUT_SPECS[0])(x, gamma, beta)
    expected = ng.batch_norm_training(x, gamma, beta, channel_axis=-1)
    for left, right in zip(found, expected, strict=True):
        assert_same(left, right)


def losses(axis_name: str | None) -> dict[str, Any]:
    """Of a batch, or of a shard of it; the sum over the shards is that of the batch."""

    def result(x: Any, gamma: Any, beta: Any) -> Any:
        return ngj.batch_norm_training(x, gamma, beta, axis_name=axis_name)

    def of_output(*arrays: Any) -> Any:
        return (result(*arrays).output ** 3).sum()

    def of_all(*arrays: Any) -> Any:
        output, mean, variance = result(*arrays)
        x = arrays[0]
        channels = (mean**3 * variance).reshape(1, -1, *[1] * (x.ndim - 2))
        return (output**3 + channels * x).sum()

    def of_variance(x: Any, gamma: Any, beta: Any) -> Any:
        variance = result(x, gamma, beta).variance
        return (variance.reshape(1, -1, *[1] * (x.ndim - 2)) ** 2 * x).sum()

    return {"output": of_output, "all": of_all, "variance": of_variance}


def gradients_of_order(order: int, loss: Any, total: Callable[[Any], Any]) -> Any:
    """The gradients of a sum of squares of gradients, and so on."""
    if order == 1:
        return jax.grad(lambda arrays: total(loss(*arrays)))
    inner = gradients_of_order(order - 1, loss, total)

    def squares(arrays: Any) -> Any:
        x, gamma, beta = inner(arrays)
        return total((x**2).sum()) + (gamma**2).sum() + (beta**2).sum()

    return jax.grad(squares)


def check_second_and_third_derivatives() -> None:
    given = arrays("float64", samples=2)[:3]
    for name, order in (("output", 2), ("variance", 2), ("all", 2), ("all", 3)):
        expected = gradients_of_order(order, losses(None)[name], lambda own: own)(given)

        def of_shard(*shard: Any, order: int = order, name: str = name) -> Any:
            total = functools.partial(jax.lax.psum, axis_name="data")
            return gradients_of_order(order, losses("data")[name], total)(shard)

        found = on_shards(of_shard, SPECS[:3], (SPLIT, WHOLE, WHOLE))(*given)
        for left, right in zip(found, expected, strict=True):
            scale = np.abs(right).max()
            assert np.abs(left - right).max() <= 1e-9 * scale, (name, order)


def check_second_derivatives_of_what_is_not_tracked() -> None:
    given = arrays("float64", samples=2)[:3]
    for name in ("output", "variance"):

        def of_shard(*shard: Any, name: str = name) -> Any:
            return gradients_of_order(2, losses("data")[name], lambda own: own)(shard)

        with pytest.raises(NotImplementedError, match="check_vma=False"):
            on_shards(of_shard, SPECS[:3], (SPLIT, WHOLE, WHOLE), check_vma=False)(*given)


def masks(samples: int = 32) -> dict[str, Any]:
    """Of the data of arrays(); nothing counts on the third shard."""
    generator = np.random.default_rng(4)
    where = generator.random((SHARDS * samples, 7, 6)) < 0.6
    lengths = generator.integers(0, 8, SHARDS * samples)
    third = slice(2 * samples, 3 * samples)
    where[third] = False
    lengths[third] = 0
    return {"where": where, "lengths": lengths}


def masked(name: str, **options: Any) -> Any:
    """A layer with this mask, as a function of it and of the layer's arrays."""

    def call(mask: Any, x: Any, gamma: Any, beta: Any, residual: Any) -> Any:
        layer = layer_call("", **options, **{name: mask})
        return layer(x, gamma, beta, residual)

    return call


def check_masks_have_the_bits_of_the_whole_batch() -> None:
    for name, mask in masks().items():
        for dtype in DTYPES:
            given = arrays(dtype)

            def both(mask: Any, *arrays: Any, call: Any) -> Any:
                return results_and_gradients(functools.partial(call, mask))(*arrays)

            expected = jax.jit(functools.partial(both, call=masked(name)))(mask, *given)
            found = on_shards(
                functools.partial(both, call=masked(name, axis_name="data")),
                (SPLIT, *SPECS),
                OUT_SPECS,
            )(mask, *given)
            for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                assert_same(left, right, f"{name} {dtype}")


def check_second_derivatives_of_masks() -> None:
    given = arrays("float64", samples=2)[:3]
    for name, mask in masks(samples=2).items():

        def loss(mask: Any, x: Any, gamma: Any, beta: Any, name: str = name, **options: Any) -> Any:
            y, mean, variance = ngj.batch_norm_training(x, gamma, beta, **{name: mask}, **options)
            column = (1, -1, 1, 1)
            return (y**3 + mean.reshape(column) ** 2 * variance.reshape(column) * x).sum()

        whole = functools.partial(loss, mask)
        expected = gradients_of_order(2, whole, lambda own: own)(given)

        def of_shard(mask: Any, *shard: Any, loss: Any = loss) -> Any:
            total = functools.partial(jax.lax.psum, axis_name="data")
            of_mask = functools.partial(loss, mask, axis_name="data")
            return gradients_of_order(2, of_mask, total)(shard)

        found = on_shards(of_shard, (SPLIT, *SPECS[:3]), (SPLIT, WHOLE, WHOLE))(mask, *given)
        for left, right in zip(found, expected, strict=True):
            assert np.abs(left - right).max() <= 1e-9 * np.abs(right).max(), name


def check_an_error_of_one_shard_reaches_all() -> None:
    for dtype in ("float32", "float64"):
        given = arrays(dtype)[:4]
        call = on_shards(masked("lengths", axis_name="data"), (SPLIT, *SPECS[:4]), OUT_SPECS[0])
        lengths = masks()["lengths"]
        lengths[40] = 8
        for wrong, text in (
            (lengths, "shard 1: lengths: expected numbers from 0 to 7, got 8 for sample 8"),
            (lengths * 0, "expected at least one position that counts on all shards together"),
        ):
            with pytest.raises(jax.errors.JaxRuntimeError, match=text):
                jax.block_until_ready(call(wrong, *given))


def check_errors() -> None:
    x, gamma, beta, *_ = arrays()

    def call(function: Any) -> None:
        on_shards(function, SPECS[:3], SPLIT)(x, gamma, beta)

    def unknown(x: Any, gamma: Any, beta: Any) -> Any:
        return ngj.batch_norm_training(x, gamma, beta, axis_name="data", exchange="ring").output

    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        result = ngj.batch_norm_training(x, gamma, beta, axis_name="data", forward_mode=True)
        return result.output

    for function, error, text in (
        (unknown, ValueError, "exchange: expected 'all_gather' or 'psum', got 'ring'"),
        (forward, ValueError, "forward_mode: expected False"),
    ):
        with pytest.raises(error, match=text):
            call(function)


def checks() -> Iterator[tuple[str, Callable[[], None]]]:
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            yield name.removeprefix("check_"), check


def outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    assert len(jax.devices()) == SHARDS
    print(json.dumps({name: outcome(check) for name, check in checks()}))
