"""What the compiled part gives normgraph.jax, without JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import _core

SHAPES = [((5, 3), 1), ((3000, 3), 1), ((70, 3, 9, 9), 1), ((33, 5, 6, 4), 3), ((4, 300), 0)]
SHAPES += [((0, 3, 4), 1), ((1, 2, 5000), 1)]


def test_every_op_of_the_family_is_a_target() -> None:
    targets, signatures = _core.jax_targets(), _core.jax_signatures()
    assert set(signatures) < set(targets)
    assert {name for name in ng.op.__all__ if name.startswith("BatchNorm")} - {
        "BatchNormNode"
    } == set(signatures)
    for name, (inputs, outputs) in signatures.items():
        op = getattr(ng.op, name)
        assert (inputs, outputs) == (tuple(op.input_names), tuple(op.output_names))


@pytest.mark.parametrize("element_type", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_the_nodes_of_a_shard_have_as_many_bytes_as_is_said(
    shape: tuple[int, ...], axis: int, element_type: str
) -> None:
    x = np.random.default_rng(0).normal(0, 1, shape).astype(element_type)
    part = ng.batch_norm_statistics(x, axis)
    described = (element_type, shape)
    assert _core.jax_nodes_size(False, described, axis) == len(bytes(part))
    vector = np.ones(shape[axis], element_type)
    sums = ng.batch_norm_backprop_sums(x, vector, vector, x, axis)
    assert _core.jax_nodes_size(True, described, axis) == len(bytes(sums))


def test_results_have_the_types_and_shapes_of_the_functions_on_arrays() -> None:
    x, vector = np.ones((6, 5, 4), np.float16), np.ones(5, np.float32)
    described: list[Any] = [(array.dtype, array.shape) for array in (x, vector, vector)]
    results = _core.jax_results("BatchNormTrainingRelu", tuple(described), 1e-5, 1, 6.0)
    expected = ng.batch_norm_training_relu(x, vector, vector)
    for index, (dtype, shape) in enumerate(results):
        if index in (1, 2):  # statistics: the bits of doubles
            assert (dtype, shape) == ("uint32", (5, 2))
        else:
            assert (dtype, shape) == (expected[index].dtype.name, expected[index].shape)


def test_results_are_refused_as_the_functions_on_arrays_refuse() -> None:
    inputs = (("float32", (6, 5)), ("float32", (4,)), None)
    with pytest.raises(ng.NodeValidationFailure, match="C9"):
        _core.jax_results("BatchNormTraining", inputs, 1e-5, 1, None)
    with pytest.raises(ValueError, match="at least one element per channel"):
        _core.jax_results("BatchNormTraining", (("float32", (0, 5)), None, None), 1e-5, 1, None)
    with pytest.raises(ValueError, match="op_class: expected that of an op of the family, got X"):
        _core.jax_results("X", (), 1e-5, 1, None)
