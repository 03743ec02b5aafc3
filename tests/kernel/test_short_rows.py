"""Rows that follow each other in memory are applied in that order: same bits, nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .layouts import misaligned
from .real_types import REAL_TYPES, Array

REFERENCE: Any = {"implementation": "reference"}
VECTOR_IMPLEMENTATIONS = [name for name in ng.implementations() if name != "reference"]
SHAPES = {
    "in the cache": (9, 40, 7, 7),
    "non-temporal stores": (24, 896, 7, 7),
    "non-temporal stores, whose rows begin anywhere": (24, 901, 7, 7),
    "too few to be joined": (7, 40, 7, 7),
    "of one dimension": (16, 70, 15),
    "of two elements": (33, 600, 2),
    "longer": (8, 300, 14, 14),
    "longer than short": (3, 700, 32, 33),
    "one for each channel": (1, 2100, 7, 149),
}


def beginning_at(values: Array, elements: int) -> Array:
    """A copy that begins so many elements behind the beginning of a cache line."""
    memory = np.zeros(values.size + 128, values.dtype)
    first = -memory.ctypes.data % 64 // values.itemsize + elements
    view: Array = memory[first : first + values.size].reshape(values.shape)
    view[...] = values
    return view


@pytest.mark.parametrize("data_type", REAL_TYPES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_bits_are_those_of_the_reference(shape: tuple[int, ...], data_type: str) -> None:
    random = np.random.default_rng(40)
    input, delta = (
        random.standard_normal(shape).astype(REAL_TYPES[data_type].dtype) for _ in range(2)
    )
    channel_type = "f8" if data_type == "f64" else "f4"
    gamma, beta, mean, variance = random.uniform(0.5, 1.5, (4, shape[1])).astype(channel_type)
    gamma[1] = np.nan  # the coefficients of one channel do not reach another
    backward = (input, gamma, beta, mean, variance, delta)
    forward = (input, gamma, beta)
    input_delta = ng.batch_norm_training_backprop(*backward, **REFERENCE).input_delta
    normalized = ng.batch_norm_training(*forward, **REFERENCE).normalized
    inference = (input, gamma, beta, mean, variance)
    inferred = ng.batch_norm_inference(*inference, **REFERENCE)
    frozen_delta = ng.batch_norm_inference_backprop(*backward, **REFERENCE).input_delta
    for (elements, num_threads), implementation in itertools.product(
        ((0, 1), (1, 3), (5, 3)), VECTOR_IMPLEMENTATIONS
    ):
        target = beginning_at(np.zeros_like(input), elements)
        what = f"output at {elements} elements from a cache line, {implementation}, {num_threads}"
        options: Any = {"implementation": implementation, "num_threads": num_threads}
        options["out"] = (target, None, None)
        ng.batch_norm_training_backprop(*backward, **options)
        assert_same_bits(target, input_delta, f"input_delta, {what}")
        ng.batch_norm_training(*forward, **options)
        assert_same_bits(target, normalized, f"normalized, {what}")
        ng.batch_norm_inference_backprop(*backward, **options)
        assert_same_bits(target, frozen_delta, f"input_delta of given statistics, {what}")
        options["out"] = target
        ng.batch_norm_inference(*inference, **options)
        assert_same_bits(target, inferred, f"inferred, {what}")
    in_place = beginning_at(input, 3)
    for implementation in VECTOR_IMPLEMENTATIONS:
        in_place[...] = input
        out = (in_place, None, None)
        ng.batch_norm_training(in_place, gamma, beta, out=out, implementation=implementation)
        assert_same_bits(in_place, normalized, f"in place, {implementation}")
        in_place[...] = input
        ng.batch_norm_inference(
            in_place, *inference[1:], out=in_place, implementation=implementation
        )
        assert_same_bits(in_place, inferred, f"inference in place, {implementation}")


@pytest.mark.parametrize("implementation", VECTOR_IMPLEMENTATIONS)
@pytest.mark.parametrize("data_type", REAL_TYPES)
def test_rows_of_every_length(data_type: str, implementation: str) -> None:
    random = np.random.default_rng(43)
    channel_type = "f8" if data_type == "f64" else "f4"
    for length in range(2, 70):
        shape = (3, 37, length)
        input, delta = (
            random.standard_normal(shape).astype(REAL_TYPES[data_type].dtype) for _ in range(2)
        )
        values = tuple(random.uniform(0.5, 1.5, (4, shape[1])).astype(channel_type))
        backward = (input, *values, delta)

        def outputs(
            values: Any = (input, *values), backward: Any = backward, **options: Any
        ) -> Any:
            return (
                ng.batch_norm_inference(*values, **options),
                ng.batch_norm_training_backprop(*backward, **options).input_delta,
                ng.batch_norm_inference_backprop(*backward, **options).input_delta,
            )

        for expected, actual in zip(
            outputs(**REFERENCE), outputs(implementation=implementation), strict=True
        ):
            assert_same_bits(actual, expected, f"rows of {length} elements")


@pytest.mark.parametrize("implementation", VECTOR_IMPLEMENTATIONS)
def test_memory_beside_the_channels_is_left_alone(implementation: str) -> None:
    random = np.random.default_rng(41)
    shape = (24, 896, 7, 7)
    input = random.standard_normal(shape).astype("f4")
    memory = np.full((24, 928, 7, 7), 7, np.float32)
    out = memory[:, 16:912]
    outs = (out, None, None)
    ng.batch_norm_training(input, None, None, out=outs, implementation=implementation)
    assert np.all(memory[:, :16] == 7)
    assert np.all(memory[:, 912:] == 7)
    statistics = (np.zeros(896, "f4"), np.ones(896, "f4"))
    options: Any = {"implementation": implementation, "num_threads": 3}
    inferred = ng.batch_norm_inference(input, None, None, *statistics, **REFERENCE)
    ng.batch_norm_inference(input, None, None, *statistics, out=out, **options)
    assert np.all(memory[:, :16] == 7)
    assert np.all(memory[:, 912:] == 7)
    assert_same_bits(out, inferred, "inferred")
    ng.batch_norm_training(input, None, None, out=outs, implementation=implementation)
    expected = ng.batch_norm_training(input, None, None, **REFERENCE).normalized
    assert_same_bits(out, expected, "normalized")


@pytest.mark.parametrize("implementation", VECTOR_IMPLEMENTATIONS)
def test_output_whose_elements_never_begin_a_cache_line(implementation: str) -> None:
    shape = SHAPES["non-temporal stores"]
    input = np.random.default_rng(42).standard_normal(shape).astype("f4")
    out = misaligned(np.zeros_like(input))
    outs = (out, None, None)
    ng.batch_norm_training(input, None, None, out=outs, implementation=implementation)
    expected = ng.batch_norm_training(input, None, None, **REFERENCE).normalized
    assert_same_bits(out, expected, "normalized")
