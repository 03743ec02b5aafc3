"""Memory between the nodes: used again as soon as it is free, and reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from .graphs import BACKENDS, chain, normals, numpy_chain, parameters

EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)


def peak(function: ng.Function, *arrays: Any, backend: str = "cpu") -> int:
    executable = ng.compile(function, backend)
    assert executable.peak_bytes is None
    executable(*arrays)
    assert executable.peak_bytes is not None
    return executable.peak_bytes


@EVERY_BACKEND
def test_a_chain_of_element_wise_ops_takes_two_tensors_at_most(backend: str) -> None:
    x, y = normals(10000, 0), normals(10000, 1)
    assert peak(chain(20), x, y, backend=backend) <= 2 * x.nbytes + 128
    assert peak(chain(1), x, y, backend=backend) == 0


def test_what_only_a_chain_reads_is_never_stored() -> None:
    x, y = normals(10000, 0), normals(10000, 1)
    assert peak(chain(20), x, y) == 0


@EVERY_BACKEND
def test_products_in_a_row_take_two_tensors(backend: str) -> None:
    """Each is read while the next is written; the one before that is free again."""
    x, y = parameters("x y", [None, None])
    value: Any = x
    for _ in range(10):
        value = ng.op.MatrixMultiply(value, y)
    x_array, y_array = normals((64, 64), 0), normals((64, 64), 1) / 8
    function = ng.Function([value], [x, y])
    assert peak(function, x_array, y_array, backend=backend) == 2 * x_array.nbytes


@EVERY_BACKEND
def test_a_value_that_is_read_again_later_stays(backend: str) -> None:
    """first is read by the last op, across others that overwrite their operands."""
    x, y = parameters("x y", [None, None])
    first = ng.op.MatrixMultiply(x, y)
    value: Any = ng.op.Relu(first)
    for _ in range(3):
        value = ng.op.Add(ng.op.MatrixMultiply(value, y), value)
    function = ng.Function([ng.op.Subtract(value, first)], [x, y])
    arrays = [normals((8, 8), 0, np.float32), np.eye(8, dtype=np.float32)]
    (result,) = ng.compile(function, backend)(*arrays)
    assert_same_bits(result, np.maximum(arrays[0], 0) * 8 - arrays[0], backend)


@EVERY_BACKEND
def test_values_read_in_two_ways_are_not_overwritten(backend: str) -> None:
    """x - (its mean, repeated): the same step reads a value as it lies, and repeated."""
    inputs = parameters("x", [None, None])
    squares = ng.op.MatrixMultiply(inputs[0], inputs[0])
    row = ng.op.Sum(squares, [1])
    doubled = ng.op.Add(row, row)
    repeated = ng.op.Broadcast(doubled, squares, [0])
    function = ng.Function(
        [ng.op.Add(ng.op.Multiply(squares, repeated), ng.op.Broadcast(doubled, squares, [1]))],
        inputs,
    )
    x = np.random.default_rng(0).integers(-3, 4, (9, 9)).astype(np.float32)
    product = x @ x
    sums = 2 * product.sum(axis=0)
    (result,) = ng.compile(function, backend)(x)
    assert_same_bits(result, product * sums[:, None] + sums[None, :], backend)


@EVERY_BACKEND
def test_memory_is_planned_for_every_shape(backend: str) -> None:
    executable = ng.compile(chain(20), backend)
    for size in (100, 30000, 7, 0, 30000):
        x, y = normals(size, 0), normals(size, 1)
        assert_same_bits(executable(x, y)[0], numpy_chain(20, x, y), str(size))
        assert executable.peak_bytes is not None
        assert executable.peak_bytes <= 2 * x.nbytes + 128


def test_batch_norm_over_its_input() -> None:
    """A product is normalized in its own memory: the peak is one tensor and two vectors."""
    x, y = parameters("x y", [None, None])
    gamma, beta = parameters("gamma beta", [None])
    product = ng.op.MatrixMultiply(x, y)
    normalized = ng.op.BatchNormTraining(product, gamma, beta)
    function = ng.Function([ng.op.MatrixMultiply(normalized.output(0), y)], [x, y, gamma, beta])
    arrays = [normals((64, 64), 0), normals((64, 64), 1), normals(64, 2), normals(64, 3)]
    expected = ng.batch_norm_training(arrays[0] @ arrays[1], *arrays[2:]).normalized @ arrays[1]
    executable = ng.compile(function)
    np.testing.assert_allclose(executable(*arrays)[0], expected, rtol=1e-3, atol=1e-3)
    assert executable.peak_bytes == arrays[0].nbytes


@EVERY_BACKEND
def test_activation_and_mask_take_no_memory_where_only_the_other_is_a_result(
    backend: str,
) -> None:
    x = ng.Parameter("f32", [None, 8], name="x")
    gamma, beta = parameters("gamma beta", [8])
    node = ng.op.BatchNormTrainingRelu(x, gamma, beta)
    arrays = [normals((512, 8), 0), normals(8, 1), normals(8, 2)]
    expected = ng.batch_norm_training_relu(*arrays)
    for name in ("activated", "mask"):
        executable = ng.compile(ng.Function([node.output(name)], [x, gamma, beta]), backend)
        assert_same_bits(executable(*arrays)[0], getattr(expected, name), name)
        assert executable.peak_bytes == 0


@EVERY_BACKEND
def test_a_batch_norm_over_both_of_its_tensors(backend: str) -> None:
    """The input is the delta as well, and nobody reads it later."""
    x, y = parameters("x y", [None, None])
    product = ng.op.MatrixMultiply(x, y)
    vectors = [ng.Constant([1.0] * 48, "f32") for _ in range(4)]
    node = ng.op.BatchNormTrainingBackprop(product, *vectors, product)
    doubled = ng.op.Add(node.output(0), node.output(0))
    arrays = [normals((300, 16), 0), normals((16, 48), 1)]
    (result,) = ng.compile(ng.Function([doubled], [x, y]), backend)(*arrays)
    (made,) = ng.compile(ng.Function([product], [x, y]), backend)(*arrays)
    ones = np.ones(48, np.float32)
    expected = ng.batch_norm_training_backprop(made, ones, ones, ones, ones, made).input_delta
    assert_same_bits(result, expected + expected, backend)
