"""Results of executables, beside numpy and exact sums; both backends, to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng

from ..kernel import relu
from ..kernel.comparison import assert_same_bits
from .graphs import BACKENDS, Array, normals, parameters, results_of

DTYPES: dict[str, Any] = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "f32": np.float32,
    "f64": np.float64,
}
INTEGERS: dict[str, Any] = {
    **{f"i{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"u{8 * size}": np.dtype(f"u{size}") for size in (1, 2, 4, 8)},
    "boolean": np.dtype(bool),
}
EVERY_TYPE = pytest.mark.parametrize("element_type", DTYPES)
EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)

#: Values at which ReLUs, signs and roundings go wrong.
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 1e-40, -1e-40, 65504.0, 3.0, 0.1]

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "Divide": np.divide,
    "ReluBackprop": lambda value, delta: np.where(value <= 0, np.zeros_like(delta), delta),
}
UNARY: dict[str, Callable[[Array], Array]] = {
    "Negate": np.negative,
    "SquareRoot": np.sqrt,
    "Relu": lambda value: np.where(value <= 0, np.zeros_like(value), value),
}


def pairs(element_type: str) -> tuple[Array, Array]:
    """Each special value with each, and random ones."""
    left, right = np.meshgrid(SPECIAL, SPECIAL)
    dtype = DTYPES[element_type]
    with np.errstate(all="ignore"):
        return (
            np.concatenate([left.ravel().astype(dtype), normals(1000, 1, dtype)]),
            np.concatenate([right.ravel().astype(dtype), normals(1000, 2, dtype)]),
        )


@EVERY_BACKEND
@EVERY_TYPE
@pytest.mark.parametrize("op", BINARY)
def test_binary_ops_are_numpys(op: str, element_type: str, backend: str) -> None:
    arrays = pairs(element_type)
    inputs = parameters("first second", [None], element_type)
    (result,) = results_of([getattr(ng.op, op)(*inputs)], inputs, *arrays, backend=backend)
    with np.errstate(all="ignore"):
        assert_same_bits(result, BINARY[op](*arrays), f"{op}, {element_type}, {backend}")


@EVERY_BACKEND
@EVERY_TYPE
@pytest.mark.parametrize("op", UNARY)
def test_unary_ops_are_numpys(op: str, element_type: str, backend: str) -> None:
    value, _ = pairs(element_type)
    inputs = parameters("value", [None], element_type)
    (result,) = results_of([getattr(ng.op, op)(*inputs)], inputs, value, backend=backend)
    with np.errstate(all="ignore"):
        assert_same_bits(result, UNARY[op](value), f"{op}, {element_type}, {backend}")


@EVERY_BACKEND
@EVERY_TYPE
@pytest.mark.parametrize("source", [*DTYPES, *INTEGERS])
def test_conversions_are_numpys(source: str, element_type: str, backend: str) -> None:
    """numpy rounds once wherever it converts by way of float, which holds these values exactly."""
    if source in DTYPES:
        value = normals(1000, 3).astype(DTYPES[source])
        if source == "f64" and element_type in ("f16", "bf16"):
            value = value.astype(np.float32).astype(np.float64)
    else:
        numbers = np.random.default_rng(4).integers(0, 2 if source == "boolean" else 128, 1000)
        value = numbers.astype(INTEGERS[source])
    parameter = ng.Parameter(source, [None], name="value")
    (result,) = results_of(
        [ng.op.Convert(parameter, element_type)], [parameter], value, backend=backend
    )
    assert_same_bits(result, value.astype(DTYPES[element_type]), f"{source} to {element_type}")


@EVERY_BACKEND
@pytest.mark.parametrize("source", ["i64", "u64"])
def test_conversions_of_large_integers_are_rounded_once(source: str, backend: str) -> None:
    value = np.array([2**62 + 2**54, 2**62 + 2**54 + 1, 2**53 + 1, 2**24 + 1], INTEGERS[source])
    parameter = ng.Parameter(source, [None], name="value")
    results = [ng.op.Convert(parameter, to) for to in ("bf16", "f32", "f64")]
    bf16, f32, f64 = results_of(results, [parameter], value, backend=backend)
    assert bf16.astype(float).tolist() == [2.0**62, 2.0**62 + 2.0**55, 2.0**53, 2.0**24]
    assert f32.tolist() == [2.0**62 + 2.0**54, 2.0**62 + 2.0**54, 2.0**53, 2.0**24]
    assert f64.tolist() == [2.0**62 + 2.0**54, 2.0**62 + 2.0**54, 2.0**53, 2.0**24 + 1]


def test_conversions_from_double_are_rounded_once() -> None:
    value = np.array([1 + 2**-8 + 2**-40, 1 + 2**-8 - 2**-40, 1 + 2**-11 + 2**-40, 1e300])
    parameter = ng.Parameter("f64", [None], name="value")
    results = [ng.op.Convert(parameter, to) for to in ("bf16", "f16")]
    for backend in BACKENDS:
        bf16, f16 = results_of(results, [parameter], value, backend=backend)
        assert bf16.astype(float).tolist() == [1 + 2**-7, 1, 1, np.inf]
        assert f16.astype(float).tolist() == [1 + 2**-8, 1 + 2**-8, 1 + 2**-10, np.inf]


SHAPES_AND_KEPT_AXES = [
    ((7,), ()),
    ((5000,), ()),
    ((3, 2500), (0,)),
    ((2500, 9), (1,)),
    ((2500, 9), (-1,)),
    ((20, 33, 7, 7), (1,)),
    ((20, 33, 7), (0, 2)),
    ((4, 3, 2), (0, 1, 2)),
    ((), ()),
    ((0, 4), (1,)),
    ((4, 0), (1,)),
]


@EVERY_TYPE
@pytest.mark.parametrize(("shape", "kept_axes"), SHAPES_AND_KEPT_AXES)
def test_sums_and_means_are_within_their_bound(
    shape: tuple[int, ...], kept_axes: tuple[int, ...], element_type: str
) -> None:
    """Off by less than 184 / 2**53 of the sum of magnitudes, and half a unit of the type."""
    value = normals(shape, 5, DTYPES[element_type])
    inputs = parameters("value", None, element_type)
    nodes = [ng.op.Sum(inputs[0], kept_axes), ng.op.Mean(inputs[0], kept_axes)]
    total, mean = results_of(nodes, inputs, value)
    kept = [axis % max(len(shape), 1) for axis in kept_axes]
    assert total.shape == mean.shape == tuple(shape[axis] for axis in kept)
    order = kept + [axis for axis in range(len(shape)) if axis not in kept]
    count = math.prod(shape[axis] for axis in order[len(kept) :])
    rows = value.astype(float).transpose(order).reshape(*total.shape, count)
    ulp = 2.0 ** -{"f16": 11, "bf16": 8, "f32": 24, "f64": 53}[element_type]
    for index in np.ndindex(*total.shape):
        exact, magnitude = math.fsum(rows[index]), math.fsum(abs(rows[index]))
        bound = 184 * 2.0**-53 * magnitude
        assert abs(float(total[index]) - exact) <= bound + ulp * (abs(exact) + bound), index
        if count == 0:
            assert np.isnan(mean[index])
        else:
            error = abs(float(mean[index]) - exact / count)
            # A mean of f16 may be denormal: its unit is then 2**-24.
            assert error <= (bound + 2.0**-52 * abs(exact)) / count + max(
                ulp * (abs(exact) + bound) / count, 2.0**-25 if element_type == "f16" else 0
            ), index
    for backend, threads in (("reference", 1), ("cpu", 3)):
        others = results_of(nodes, inputs, value, backend=backend, num_threads=threads)
        assert_same_bits(others[0], total, f"sum, {backend}")
        assert_same_bits(others[1], mean, f"mean, {backend}")


def canonical_sum(values: Array) -> float:
    """PrimitiveSum in Python: lanes, folds, and the tree of blocks."""

    def block_sum(block: Array) -> float:
        lanes = [0.0] * 8
        for index, value in enumerate(block.tolist()):
            lanes[index % 8] += value
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[lane] + lanes[lane + half] for lane in range(half)]
        return lanes[0]

    def tree(sums: list[float]) -> float:
        if len(sums) == 1:
            return sums[0]
        left = 1 << ((len(sums) - 1).bit_length() - 1)
        return tree(sums[:left]) + tree(sums[left:])

    blocks = [values[begin : begin + 1024] for begin in range(0, len(values), 1024)]
    return tree([block_sum(block) for block in blocks])


@EVERY_BACKEND
@pytest.mark.parametrize("length", [1, 8, 9, 1024, 1025, 7 * 1024 + 5])
def test_the_order_of_summation_is_the_stated_one(length: int, backend: str) -> None:
    value = normals(length, 6, np.float64) * 10.0 ** np.arange(length) ** 0.1
    inputs = parameters("value", [None], "f64")
    (total,) = results_of([ng.op.Sum(inputs[0], [])], inputs, value, backend=backend)
    assert float(total) == canonical_sum(value)
    rows = np.stack([value] * 16, axis=1)  # the same as sums of columns
    inputs = parameters("value", [None, None], "f64")
    (totals,) = results_of([ng.op.Sum(inputs[0], [1])], inputs, rows, backend=backend)
    assert totals.tolist() == [float(total)] * 16


@EVERY_BACKEND
@EVERY_TYPE
def test_broadcasts_are_numpys(element_type: str, backend: str) -> None:
    value = normals((3, 4), 7, DTYPES[element_type])
    like = normals((5, 3, 2, 4), 8)
    inputs = [
        ng.Parameter(element_type, [None, None], name="value"),
        ng.Parameter("f32", None, name="like"),
    ]
    repeated = ng.op.Broadcast(*inputs, [1, -1])
    results = [
        repeated,
        ng.op.Add(repeated, repeated),
        ng.op.Broadcast(repeated, repeated, [0, 1, 2, 3]),
    ]
    result, doubled, again = results_of(results, inputs, value, like, backend=backend)
    expected = np.broadcast_to(value[:, None, :], (5, 3, 2, 4))
    assert_same_bits(result, expected, "Broadcast")
    assert_same_bits(doubled, expected + expected, "Add")
    assert_same_bits(again, expected, "Broadcast of a Broadcast")


@EVERY_BACKEND
@EVERY_TYPE
def test_the_adjoint_of_a_mean_divides_in_double(element_type: str, backend: str) -> None:
    dtype = DTYPES[element_type]
    delta, like = normals(7, 9, dtype), np.zeros((3, 7, 11), dtype)
    delta[0] = -0.0
    inputs = parameters("delta like", None, element_type)
    (result,) = results_of([ng.op.MeanBackprop(*inputs, [1])], inputs, delta, like, backend=backend)
    quotients = delta.astype(np.float64) / 33
    with np.errstate(all="ignore"):
        # Through float32, which could round twice; these values have no tie there.
        expected = quotients.astype(np.float32 if dtype != np.float64 else dtype).astype(dtype)
    assert_same_bits(result, np.broadcast_to(expected[None, :, None], like.shape), element_type)


@EVERY_TYPE
@pytest.mark.parametrize("transpose_left", [False, True])
@pytest.mark.parametrize("transpose_right", [False, True])
def test_products_of_matrices(
    transpose_left: bool, transpose_right: bool, element_type: str
) -> None:
    """Products of integers are exact; for others both backends agree, and with numpy nearly."""
    numbers = np.random.default_rng(10).integers(-3, 4, (5, 37)).astype(DTYPES[element_type])
    others = np.random.default_rng(11).integers(-3, 4, (37, 19)).astype(DTYPES[element_type])
    random = normals((5, 37), 12, DTYPES[element_type]), normals((37, 19), 13, DTYPES[element_type])
    inputs = parameters("left right", None, element_type)
    product = ng.op.MatrixMultiply(
        *inputs, transpose_left=transpose_left, transpose_right=transpose_right
    )
    for left, right in ((numbers, others), random):
        arrays = (left.T if transpose_left else left, right.T if transpose_right else right)
        (cpu,) = results_of([product], inputs, *arrays)
        (reference,) = results_of([product], inputs, *arrays, backend="reference")
        (copied,) = results_of([product], inputs, *map(np.ascontiguousarray, arrays))
        assert_same_bits(cpu, reference, "reference")
        assert_same_bits(cpu, copied, "strides")
        exact = left.astype(float) @ right.astype(float)
        if left is numbers:
            assert_same_bits(cpu, exact.astype(DTYPES[element_type]), "exact")
        ulp = 2.0 ** -{"f16": 11, "bf16": 8, "f32": 24, "f64": 53}[element_type]
        magnitude = abs(left.astype(float)) @ abs(right.astype(float))
        assert np.all(
            abs(cpu.astype(float) - exact) <= ulp * abs(exact) + 80 * 2.0**-53 * magnitude
        )


MASKED = [((3, 5, 7, 9), 1), ((3, 5, 7, 9), -1), ((6, 13), 1), ((2, 3, 0), 1), ((4, 16), -1)]


@EVERY_BACKEND
@EVERY_TYPE
@pytest.mark.parametrize("upper_bound", [0.7, 1.0, 65000.0])
def test_relus_with_an_upper_bound(upper_bound: float, element_type: str, backend: str) -> None:
    """The bound is rounded to the type; what has reached it lets no gradient pass."""
    dtype = DTYPES[element_type]
    bound = np.array(upper_bound).astype(dtype)
    near = [np.nextafter(bound, np.zeros((), dtype)), bound, min(2 * float(bound), 65504.0)]
    special = [np.nan, np.inf, -np.inf, 0, -0.0, -1, 0.5, 1, *near]
    value = np.concatenate([np.array(special).astype(dtype), normals((90,), 19, dtype)])
    delta = normals(value.shape, 20, dtype)
    delta[:3] = [1, np.nan, np.inf]
    inputs = parameters("value delta", None, element_type)
    activated = ng.op.Relu(inputs[0], upper_bound)
    nodes = [
        activated,
        ng.op.ReluBackprop(inputs[0], inputs[1], upper_bound),
        ng.op.ReluBackprop(activated, inputs[1], upper_bound),
    ]
    results = results_of(nodes, inputs, value, delta, backend=backend)
    expected = relu.relu(value, upper_bound)
    passing = relu.passing(expected, upper_bound)
    assert 10 < passing.sum() < 90
    assert_same_bits(results[0], expected, "activated")
    for gradient in results[1:]:
        assert_same_bits(gradient, np.where(passing, delta, np.zeros_like(delta)), "gradient")


@EVERY_BACKEND
@EVERY_TYPE
@pytest.mark.parametrize("upper_bound", [None, 0.7])
@pytest.mark.parametrize(("shape", "channel_axis"), MASKED)
def test_relu_masks_pack_bits(
    shape: tuple[int, ...],
    channel_axis: int,
    upper_bound: float | None,
    element_type: str,
    backend: str,
) -> None:
    value = relu.relu(normals(shape, 14).astype(DTYPES[element_type]), upper_bound)
    delta = normals(shape, 15, DTYPES[element_type])
    inputs = parameters("value delta", None, element_type)
    mask = ng.op.ReluMask(inputs[0], channel_axis, upper_bound)
    chosen = ng.op.ReluMaskSelect(inputs[1], mask, channel_axis)
    packed, selected = results_of([mask, chosen], inputs, value, delta, backend=backend)
    axis = channel_axis % len(shape)
    outer = math.prod(shape[:axis])
    is_last = axis == len(shape) - 1
    inner_shape = (
        (outer, shape[axis]) if is_last else (outer, shape[axis], math.prod(shape[axis + 1 :]))
    )
    bits = relu.passing(value, upper_bound)
    expected = np.packbits(bits.reshape(inner_shape), axis=-1, bitorder="little")
    np.testing.assert_array_equal(packed, expected)
    assert_same_bits(selected, np.where(bits, delta, np.zeros_like(delta)), "selected")


#: Shapes of a value and of what is broadcast to it.
SELECTED = [((4, 3, 50), shape) for shape in ((4, 3, 50), (4, 1, 50), (1, 3, 1), (1, 1, 1))]
SELECTED += [((), ()), ((7,), (1,)), ((0, 3), (1, 3)), ((0, 3), (0, 1)), ((1, 5), (1, 5))]


@EVERY_BACKEND
@EVERY_TYPE
@pytest.mark.parametrize(("shape", "of_where"), SELECTED)
def test_selections_make_0_of_whatever_is_left_out(
    shape: tuple[int, ...], of_where: tuple[int, ...], element_type: str, backend: str
) -> None:
    value = np.array(normals(shape, 16, DTYPES[element_type]))
    value.reshape(-1)[: len(SPECIAL)] = np.array(SPECIAL)[: value.size].astype(value.dtype)
    where = np.random.default_rng(17).random(of_where) < 0.5
    parameters = [ng.Parameter(element_type, shape), ng.Parameter("boolean", of_where)]
    function = ng.Function([ng.op.SelectWhere(*parameters)], parameters)
    run = ng.compile(function, backend=backend)
    for mask in (where, ~where):
        expected = np.where(mask, value, np.zeros((), value.dtype))
        assert_same_bits(run(value, mask)[0], expected, f"{shape} {of_where}")
        fortran = np.array(mask, order="F")
        assert_same_bits(run(value.T.copy().T, fortran)[0], expected, "other strides")


def test_a_selection_is_the_gradient_of_a_selection() -> None:
    x = ng.Parameter("f32", [4], name="x")
    where = ng.Parameter("boolean", [4], name="where")
    function = ng.Function([ng.op.SelectWhere(x, where)], [x, where])
    gradients = ng.gradients(function, [x])
    values = np.array([1, np.nan, np.inf, -0.0], np.float32)
    mask = np.array([True, False, False, True])
    delta = np.array([2, 3, np.nan, -0.0], np.float32)
    (found,) = ng.compile(gradients)(values, mask, delta)
    assert_same_bits(found, np.array([2, 0, 0, -0.0], np.float32), "gradient")
    with pytest.raises(ValueError, match=r"'where' has no derivative.*got boolean"):
        ng.gradients(function)


def test_a_wider_value_does_not_overwrite_what_is_still_read() -> None:
    """Within one pass over the data, a conversion to f64 follows a sum in f32."""
    x, y = (ng.Parameter("f32", [None], name=name) for name in "xy")
    for narrow in ("f32", "f16", "bf16"):
        start = ng.op.Convert(ng.op.Add(x, y), narrow)
        wide = ng.op.Convert(ng.op.Negate(start), "f64")
        function = ng.Function([ng.op.Add(wide, wide)], [x, y])
        numbers = np.arange(3000, dtype=np.float32) % 64
        (result,) = ng.compile(function)(numbers, numbers)
        assert np.array_equal(result, -4.0 * numbers)
