"""The ops of a training step's stages, one after the other, as graphs that run."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import normgraph as ng

from .real_types import Array


class Options:
    """What both a graph and its run are told."""

    def __init__(
        self,
        backend: str = "cpu",
        num_threads: int | None = None,
        **attributes: Any,
    ) -> None:
        self.backend = backend
        self.num_threads = num_threads
        self.attributes = attributes

    @property
    def channel_axis(self) -> dict[str, Any]:
        """The attributes of the ops that have no epsilon."""
        return {name: self.attributes[name] for name in self.attributes if name == "channel_axis"}


def run(op: str, options: Options, *arrays: Array, **attributes: Any) -> tuple[Array, ...]:
    """The outputs of one op of a graph."""
    types = tuple((array.dtype, array.ndim) for array in arrays)
    compiled = executable(op, options.backend, types, tuple(attributes.items()))
    return compiled(*arrays, num_threads=options.num_threads)


@functools.cache
def executable(
    op: str, backend: str, types: tuple[tuple[Any, int], ...], attributes: tuple[Any, ...]
) -> ng.Executable:
    parameters = [ng.Parameter(type_, [None] * rank) for type_, rank in types]
    node = getattr(ng.op, op)(*parameters, **dict(attributes))
    return ng.compile(ng.Function(node.outputs, parameters), backend)


def statistics(input: Array, options: Options) -> tuple[Array, ...]:
    return run("BatchNormStatistics", options, input, **options.channel_axis)


def training_apply(options: Options, *arrays: Array) -> Array:
    return run("BatchNormTrainingApply", options, *arrays, **options.attributes)[0]


def backprop_sums(input: Array, mean: Array, delta: Array, options: Options) -> tuple[Array, ...]:
    return run("BatchNormBackpropSums", options, input, mean, delta, **options.channel_axis)


def backprop_apply(options: Options, *arrays: Array, count: int | None = None) -> tuple[Array, ...]:
    attributes = options.attributes | ({} if count is None else {"count": count})
    return run("BatchNormTrainingBackpropApply", options, *arrays, **attributes)


def rounded(values: Array, like: Array) -> Array:
    """Doubles as kernels store them: in 16 bits by way of f32."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32) if like.itemsize == 2 else values
        return narrow.astype(like.dtype)
