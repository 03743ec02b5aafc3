"""Checks that equal values in one layout class give equal bits in any strides and alignment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import normgraph as ng
from normgraph.check.outcome import Check, MismatchError

Array = npt.NDArray[Any]

LAYOUTS = {"channels first": ((3, 18, 13, 5), 1), "channels last": ((3, 13, 5, 18), -1)}


def checks() -> Iterator[Check]:
    """Yield one check per element type and layout."""
    for name, dtype in (("f16", "float16"), ("f32", "float32"), ("f64", "float64")):
        for layout in LAYOUTS:
            yield Check(
                f"same bits in any strides, {name}, {layout}", partial(same_bits, dtype, layout)
            )


def every_second(array: Array) -> Array:
    """Return a view of every second element of a larger array."""
    larger = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    view: Array = larger[..., ::2]
    view[...] = array
    return view


def backwards(array: Array) -> Array:
    """Return a view whose strides are all negative."""
    flipped: Array = np.flip(np.ascontiguousarray(np.flip(array)))
    return flipped


def misaligned(array: Array) -> Array:
    """Return a view that begins at an odd address."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    view: Array = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def padded_rows(array: Array) -> Array:
    """Return a view with a gap between the samples."""
    larger = np.zeros((array.shape[0], 2, *array.shape[1:]), array.dtype)
    view: Array = larger[:, 0]
    view[...] = array
    return view


VIEWS: tuple[Callable[[Array], Array], ...] = (every_second, backwards, misaligned, padded_rows)


def same_bits(dtype: str, layout: str) -> str:
    """Run the kernels on each view of the same values."""
    shape, channel_axis = LAYOUTS[layout]
    generator = np.random.default_rng(30)
    x, delta = (generator.normal(size=shape).astype(dtype) for _ in range(2))
    gamma, beta = (generator.normal(size=shape[channel_axis]).astype(dtype) for _ in range(2))
    expected = all_outputs(x, gamma, beta, delta, channel_axis)
    for view in VIEWS:
        actual = all_outputs(view(x), view(gamma[np.newaxis])[0], beta, view(delta), channel_axis)
        differing = [
            name for name in expected if actual[name].tobytes() != expected[name].tobytes()
        ]
        if differing:
            raise MismatchError(
                f"{view.__name__.replace('_', ' ')}: other bits in {', '.join(differing)}"
            )
    spread: Array = np.broadcast_to(delta[:1], shape)
    of_view, of_copy = (
        all_outputs(x, gamma, beta, same, channel_axis)
        for same in (spread, np.ascontiguousarray(spread))
    )
    for name in ("input_delta", "frozen_input_delta"):
        if of_view[name].tobytes() != of_copy[name].tobytes():
            raise MismatchError(f"zero strides: other bits in {name.replace('_', ' ')}")
    return f"{len(VIEWS) + 1} ways to lay out the same values"


def all_outputs(
    x: Array, gamma: Array, beta: Array, delta: Array, channel_axis: int
) -> dict[str, Array]:
    """Return the outputs of the kernels by name."""
    forward = ng.batch_norm_training(x, gamma, beta, channel_axis=channel_axis)
    vectors = (gamma, beta, forward.mean, forward.variance)
    backward = ng.batch_norm_training_backprop(x, *vectors, delta, channel_axis=channel_axis)
    frozen = ng.batch_norm_inference_backprop(x, *vectors, delta, channel_axis=channel_axis)
    inferred = ng.batch_norm_inference(x, *vectors, channel_axis=channel_axis)
    return {
        **forward._asdict(),
        **backward._asdict(),
        **{f"frozen_{name}": array for name, array in frozen._asdict().items()},
        "inferred": inferred,
    }
