"""A jitted layer of normgraph.jax beside one in JAX's own operations: value and gradients."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import normgraph as ng
import normgraph.jax as ngj

from .layouts import Shape, medians, shape_of, values

TYPES = {"f32": "float32", "bf16": "bfloat16"}
CHANNEL_AXES = {"channels first": 1, "channels last": -1}


def by_operations(x: Any, gamma: Any, beta: Any, channel_axis: int) -> Any:
    """What Flax's layer does: statistics in float32, the variance from the mean of squares."""
    axes = tuple(axis for axis in range(x.ndim) if axis != channel_axis % x.ndim)
    column = [1] * x.ndim
    column[channel_axis] = -1
    wide = x.astype(jnp.float32)
    mean = wide.mean(axes)
    variance = jnp.maximum(0.0, jnp.square(wide).mean(axes) - jnp.square(mean))
    scale = gamma * jax.lax.rsqrt(variance + 1e-5)
    return ((wide - mean.reshape(column)) * scale.reshape(column) + beta.reshape(column)).astype(
        x.dtype
    )


def by_kernels(x: Any, gamma: Any, beta: Any, channel_axis: int) -> Any:
    """normgraph.jax's layer."""
    return ngj.batch_norm_training(x, gamma, beta, channel_axis=channel_axis).output


def step(layer: Callable[..., Any], channel_axis: int) -> Callable[..., Any]:
    """The jitted value of a layer with its gradients, for a gradient that arrives."""

    def both(x: Any, gamma: Any, beta: Any, delta: Any) -> Any:
        def call(*arrays: Any) -> Any:
            return layer(*arrays, channel_axis)

        output, pull_back = jax.vjp(call, x, gamma, beta)
        return output, pull_back(delta)

    jitted: Callable[..., Any] = jax.jit(both)
    return jitted


def columns(shape: Shape, element_type: str, channel_axis: int, repeats: int) -> str:
    """Milliseconds of both, and how many times as fast the kernels are."""
    count, channels, *spatial = shape
    lengths = shape if channel_axis == 1 else (count, *spatial, channels)
    x = jnp.asarray(values(lengths, element_type))
    arrays = (x, jnp.ones(channels), jnp.zeros(channels), x[::-1])

    def timed(layer: Callable[..., Any]) -> Callable[[], None]:
        jitted = step(layer, channel_axis)
        return lambda: jax.block_until_ready(jitted(*arrays))

    operations, kernels = medians([timed(by_operations), timed(by_kernels)], repeats)
    return f"{operations * 1e3:9.3f} {kernels * 1e3:9.3f} {operations / kernels:6.2f}"


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jax_layer", description=__doc__)
    parser.add_argument(
        "--shapes",
        type=shape_of,
        nargs="+",
        default=[(32, 64, 56, 56), (32, 256, 14, 14)],
        help="four lengths each, as 32x64x56x56",
    )
    parser.add_argument("--repeats", type=int, default=21, help="samples per line (default: 21)")
    parser.add_argument("--threads", type=int, help="of normgraph (default: all processors)")
    options = parser.parse_args()
    if options.repeats < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--repeats and --threads take numbers of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    if options.threads is not None:
        ng.set_num_threads(options.threads)
    print("median milliseconds of value and gradients, and the ratio")
    print(f"{'operations':>10} {'normgraph':>8} {'ratio':>6}")
    for shape, (name, element_type), (layout, axis) in itertools.product(
        options.shapes, TYPES.items(), CHANNEL_AXES.items()
    ):
        cells = columns(shape, element_type, axis, options.repeats)
        print(f"{cells}  {'x'.join(map(str, shape))} {name} {layout}", flush=True)


if __name__ == "__main__":
    main()
