"""Masked batches: `where=` and `lengths=`, which say the positions that enter the statistics."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import definition
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import REAL_TYPES, Array
from .samples import Sample

EVERY_TYPE = pytest.mark.parametrize("data_type", REAL_TYPES)
EPSILON = 1e-5

#: Rows and columns, with short rows, pieces, few and many channels.
SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    ((5, 3, 40, 4), 1),
    ((70, 3, 5, 7), 1),
    ((9, 40, 37), 1),
    ((3, 2, 1500), 1),
    ((9, 37, 40), -1),
    ((6, 300, 3), -1),
    ((200, 5), 1),
    ((4, 1, 33), 1),
    ((3, 7, 2, 5), 2),
    ((6, 12, 11), 0),
)
EVERY_SHAPE = pytest.mark.parametrize(("shape", "channel_axis"), SHAPES)


def position_shape(input: Array, channel_axis: int) -> tuple[int, ...]:
    axis = channel_axis % input.ndim
    return input.shape[:axis] + input.shape[axis + 1 :]


def masks(shape: tuple[int, ...], seed: int) -> Mapping[str, Array]:
    """Boolean arrays of this shape: scattered, in runs, all but nothing."""
    random = np.random.default_rng(seed)
    scattered = random.random(shape) < 0.6
    runs = np.zeros(shape, bool)
    for sample in range(shape[0]):
        runs[sample].reshape(-1)[: random.integers(0, runs[sample].size + 1)] = True
    runs[0] = True
    one = np.zeros(shape, bool)
    one[(-1,) * len(shape)] = True
    blocks = np.ones(shape, bool)
    blocks[shape[0] // 2 :] = False
    return {"scattered": scattered, "runs": runs, "one": one, "blocks": blocks}


def spread(where: Array, input: Array, channel_axis: int) -> Array:
    """As an array of the input's shape."""
    result: Array = np.broadcast_to(np.expand_dims(where, channel_axis % input.ndim), input.shape)
    return result


def counted(array: Array, where: Array, channel_axis: int) -> Array:
    """(n, C): the elements that count."""
    result: Array = np.moveaxis(array, channel_axis, -1)[where]
    return result


def forward(input: Array, **options: Any) -> Any:
    return ng.batch_norm_training(input, None, None, epsilon=EPSILON, **options)


@EVERY_TYPE
@EVERY_SHAPE
def test_forward_is_within_the_bounds_of_the_definition_over_what_counts(
    data_type: str, shape: tuple[int, ...], channel_axis: int
) -> None:
    arguments = Sample(shape, data_type, data_type, seed=50, channel_axis=channel_axis).training()
    input, gamma, beta = arguments
    for name, where in masks(position_shape(input, channel_axis), seed=51).items():
        what = f"{data_type} {shape} {name}"
        actual: Any = ng.batch_norm_training(
            *arguments, EPSILON, channel_axis, statistics_type="f64", where=where
        )
        expected = definition.training(
            counted(input, where, channel_axis),
            gamma,
            beta,
            epsilon=EPSILON,
            channel_axis=-1,
            statistics_type=REAL_TYPES["f64"],
        )
        expected["mean"].check(actual.mean, f"{what}: mean")
        expected["variance"].check(actual.variance, f"{what}: variance")
        expected["normalized"].check(
            counted(actual.normalized, where, channel_axis), f"{what}: normalized"
        )
        definition.inference(
            input,
            gamma,
            beta,
            actual.mean,
            actual.variance,
            epsilon=EPSILON,
            channel_axis=channel_axis,
        ).check(actual.normalized, f"{what}: normalized, of all positions")


@EVERY_TYPE
@pytest.mark.parametrize("last", [False, True])
def test_one_outlier_that_counts_first_does_not_cost_the_variance(
    data_type: str, last: bool
) -> None:
    random = np.random.default_rng(49)
    input = random.normal(size=(32, 3, 33)).astype(REAL_TYPES[data_type].dtype)
    where = random.random((32, 33)) < 0.8
    where[:, :4] = [False, False, True, True]
    input[0, :, 2] = 3000
    if last:
        input = channels_last(input)
    found: Any = forward(input, where=where, statistics_type="f64")
    expected = counted(input, where, 1).astype(np.float64).var(axis=0)
    np.testing.assert_allclose(found.variance, expected, rtol=1e-6)


@EVERY_TYPE
@EVERY_SHAPE
def test_backward_beside_padding_without_gradient_is_that_of_what_counts(
    data_type: str, shape: tuple[int, ...], channel_axis: int
) -> None:
    sample = Sample(shape, data_type, data_type, seed=52, channel_axis=channel_axis)
    input, gamma, beta, mean, variance, delta = sample.backprop()
    for name, where in masks(position_shape(input, channel_axis), seed=53).items():
        what = f"{data_type} {shape} {name}"
        everywhere = spread(where, input, channel_axis)
        padded = np.where(everywhere, delta, np.zeros((), delta.dtype))
        actual: Any = ng.batch_norm_training_backprop(
            input, gamma, beta, mean, variance, padded, EPSILON, channel_axis, where=where
        )
        expected = definition.training_backprop(
            counted(input, where, channel_axis),
            gamma,
            beta,
            mean,
            variance,
            counted(delta, where, channel_axis),
            epsilon=EPSILON,
            channel_axis=-1,
        )
        expected["gamma_delta"].check(actual.gamma_delta, f"{what}: gamma_delta")
        expected["beta_delta"].check(actual.beta_delta, f"{what}: beta_delta")
        expected["input_delta"].check(
            counted(actual.input_delta, where, channel_axis), f"{what}: input_delta"
        )
        assert not np.any(actual.input_delta[~everywhere].astype(np.float64)), what


def exact_gradients(
    input: Array, gamma: Array, mean: Array, variance: Array, delta: Array, where: Array
) -> tuple[Array, Array, Array]:
    """The gradients by the chain rule, of arrays (positions, C) in longdouble."""
    x, d = input.astype(np.longdouble), delta.astype(np.longdouble)
    inverse = 1 / np.sqrt(variance.astype(np.longdouble) + EPSILON)
    x_hat = (x - mean) * inverse
    beta_delta, gamma_delta = d.sum(axis=0), (d * x_hat).sum(axis=0)
    of_statistics = (beta_delta + x_hat * gamma_delta) / where.sum()
    return (
        gamma * inverse * (d - np.where(where[:, None], of_statistics, 0)),
        gamma_delta,
        beta_delta,
    )


@EVERY_SHAPE
def test_backward_with_gradients_everywhere_is_the_exact_derivative(
    shape: tuple[int, ...], channel_axis: int
) -> None:
    sample = Sample(shape, "f64", "f64", seed=54, channel_axis=channel_axis)
    input, gamma, beta, _, _, delta = sample.backprop()
    for name, where in masks(position_shape(input, channel_axis), seed=55).items():
        _, mean, variance = ng.batch_norm_training(
            input, gamma, beta, EPSILON, channel_axis, where=where
        )
        actual: Any = ng.batch_norm_training_backprop(
            input, gamma, beta, mean, variance, delta, EPSILON, channel_axis, where=where
        )

        def rows(array: Array) -> Array:
            return np.moveaxis(array, channel_axis, -1).reshape(-1, len(gamma))

        expected = exact_gradients(
            rows(input), gamma, mean, variance, rows(delta), where.reshape(-1)
        )
        found = (rows(actual.input_delta), actual.gamma_delta, actual.beta_delta)
        for value, exact in zip(found, expected, strict=True):
            scale = float(np.max(np.abs(exact))) + 1
            np.testing.assert_allclose(
                value, exact.astype(float), rtol=1e-9, atol=1e-11 * scale, err_msg=name
            )


def test_backward_is_the_derivative_of_forward_by_differences() -> None:
    random = np.random.default_rng(56)
    shape, axis = (3, 4, 2), -1
    input, weights = random.normal(size=shape), random.normal(size=shape)
    gamma, beta = random.normal(size=2), random.normal(size=2)
    where = random.random(shape[:2]) < 0.6

    def loss(value: Array) -> float:
        normalized = ng.batch_norm_training(
            value, gamma, beta, EPSILON, axis, outputs=("normalized",), where=where
        ).normalized
        return float((normalized * weights).sum())

    _, mean, variance = ng.batch_norm_training(input, gamma, beta, EPSILON, axis, where=where)
    found = ng.batch_norm_training_backprop(
        input, gamma, beta, mean, variance, weights, EPSILON, axis, where=where
    ).input_delta
    for index in np.ndindex(shape):
        step = np.zeros(shape)
        step[index] = 1e-6
        difference = (loss(input + step) - loss(input - step)) / 2e-6
        assert found[index] == pytest.approx(difference, rel=1e-6, abs=1e-8)


@EVERY_TYPE
@EVERY_SHAPE
def test_same_bits_by_any_implementation_and_number_of_threads_and_arrangement(
    data_type: str, shape: tuple[int, ...], channel_axis: int
) -> None:
    sample = Sample(shape, data_type, data_type, seed=57, channel_axis=channel_axis)
    input, gamma, beta, _, _, delta = sample.backprop()
    for where in masks(position_shape(input, channel_axis), seed=58).values():
        for x, d in ((input, delta), (channels_last(input, channel_axis), delta)):
            options: dict[str, Any] = {"channel_axis": channel_axis, "where": where}
            reference = {**options, "implementation": "reference", "num_threads": 1}
            first: Any = ng.batch_norm_training(x, gamma, beta, EPSILON, **reference)
            back: Any = ng.batch_norm_training_backprop(
                x, gamma, beta, first.mean, first.variance, d, EPSILON, **reference
            )
            for implementation, threads in itertools.product(ng.implementations(), (1, 3)):
                what = f"{implementation}, {threads} threads"
                chosen = {**options, "implementation": implementation, "num_threads": threads}
                again: Any = ng.batch_norm_training(x, gamma, beta, EPSILON, **chosen)
                for name, expected in first._asdict().items():
                    assert_same_bits(getattr(again, name), expected, f"{what}: {name}")
                again = ng.batch_norm_training_backprop(
                    x, gamma, beta, first.mean, first.variance, d, EPSILON, **chosen
                )
                for name, expected in back._asdict().items():
                    assert_same_bits(getattr(again, name), expected, f"{what}: {name}")


@EVERY_TYPE
@pytest.mark.parametrize("mask", ["scattered", "one", "blocks"])
@pytest.mark.parametrize("shape", [(5, 3, 20, 4), (2, 1, 2048), (40, 3, 100)])
def test_any_arrangement_in_memory_agrees_with_the_reference(
    data_type: str, mask: str, shape: tuple[int, ...]
) -> None:
    sample = Sample(shape, data_type, data_type, seed=59)
    input, gamma, beta, _, _, delta = sample.backprop()
    where = masks(position_shape(input, 1), seed=60)[mask]
    for (name, x), (_, d) in zip(arrangements(input), arrangements(delta), strict=True):
        first: Any = forward(x, where=where, implementation="reference")
        actual: Any = forward(x, where=where)
        for output in first._fields:
            assert_same_bits(getattr(actual, output), getattr(first, output), f"{name}: {output}")
        arguments = (x, gamma, beta, first.mean, first.variance, d)
        expected: Any = ng.batch_norm_training_backprop(
            *arguments, where=where, implementation="reference"
        )
        found: Any = ng.batch_norm_training_backprop(*arguments, where=where)
        for output in expected._fields:
            assert_same_bits(getattr(found, output), getattr(expected, output), f"{name}: {output}")


@EVERY_TYPE
@EVERY_SHAPE
def test_a_mask_that_is_true_everywhere_changes_no_bit(
    data_type: str, shape: tuple[int, ...], channel_axis: int
) -> None:
    sample = Sample(shape, data_type, data_type, seed=61, channel_axis=channel_axis)
    input, gamma, beta, mean, variance, delta = sample.backprop()
    options: dict[str, Any] = {"channel_axis": channel_axis}
    expected: Any = forward(input, **options)
    actual: Any = forward(input, where=np.True_, **options)
    for name in expected._fields:
        assert_same_bits(getattr(actual, name), getattr(expected, name), name)
    arguments = (input, gamma, beta, mean, variance, delta)
    expected = ng.batch_norm_training_backprop(*arguments, **options)
    actual = ng.batch_norm_training_backprop(*arguments, where=np.True_, **options)
    for name in expected._fields:
        assert_same_bits(getattr(actual, name), getattr(expected, name), name)


@EVERY_TYPE
@EVERY_SHAPE
@pytest.mark.parametrize("padding", [float("nan"), float("inf"), 1e30])
def test_what_lies_in_the_padding_changes_nothing_else(
    data_type: str, shape: tuple[int, ...], channel_axis: int, padding: float
) -> None:
    sample = Sample(shape, data_type, data_type, seed=62, channel_axis=channel_axis)
    input, gamma, beta, mean, variance, delta = sample.backprop()
    for name, where in masks(position_shape(input, channel_axis), seed=63).items():
        everywhere = spread(where, input, channel_axis)
        zeros = np.zeros((), input.dtype)
        clean, d = np.where(everywhere, input, zeros), np.where(everywhere, delta, -zeros)
        with np.errstate(over="ignore"):
            dirty = np.where(everywhere, input, np.asarray(padding).astype(input.dtype))
        options: dict[str, Any] = {"channel_axis": channel_axis, "where": where}
        expected: Any = forward(clean, **options)
        actual: Any = forward(dirty, **options)
        assert_same_bits(actual.mean, expected.mean, f"{name}: mean")
        assert_same_bits(actual.variance, expected.variance, f"{name}: variance")
        assert_same_bits(
            counted(actual.normalized, where, channel_axis),
            counted(expected.normalized, where, channel_axis),
            f"{name}: normalized",
        )
        rest = (gamma, beta, mean, variance, d)
        expected = ng.batch_norm_training_backprop(clean, *rest, **options)
        actual = ng.batch_norm_training_backprop(dirty, *rest, **options)
        for output in expected._fields:
            assert_same_bits(
                getattr(actual, output), getattr(expected, output), f"{name}: {output}"
            )


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("implementation", ng.implementations())
def test_blocks_of_which_nothing_counts_change_nothing_of_large_numbers(
    implementation: str, last: bool
) -> None:
    input = np.full((160, 3, 40), 1e200)
    where = np.zeros((160, 1), bool)
    where[40:80] = True
    if last:
        input = channels_last(input)
    found: Any = forward(input, where=where, implementation=implementation)
    np.testing.assert_array_equal(found.mean, np.full(3, 1e200))
    np.testing.assert_array_equal(found.variance, np.zeros(3))


@EVERY_TYPE
def test_channels_that_are_copied_in_several_pieces(data_type: str) -> None:
    """Rows that fill the buffer before all channels of a group are in it, of means far apart."""
    sample = Sample((1, 64, 8192), data_type, data_type, seed=63)
    input, gamma, beta, *_ = sample.backprop()
    input = input[..., : 8192 // input.itemsize]
    input += (10 * np.arange(64)).astype(input.dtype)[:, None]
    where = np.random.default_rng(64).random((1, input.shape[2])) < 0.5
    reference: Any = ng.batch_norm_training(
        input, gamma, beta, where=where, implementation="reference"
    )
    for implementation in ng.implementations():
        actual: Any = ng.batch_norm_training(
            input, gamma, beta, where=where, implementation=implementation, num_threads=1
        )
        for name, expected in reference._asdict().items():
            assert_same_bits(getattr(actual, name), expected, f"{implementation}: {name}")


@EVERY_TYPE
@EVERY_SHAPE
@pytest.mark.parametrize("upper_bound", [None, 0.5])
def test_relu_forms(
    data_type: str, shape: tuple[int, ...], channel_axis: int, upper_bound: float | None
) -> None:
    sample = Sample(shape, data_type, data_type, seed=64, channel_axis=channel_axis)
    input, gamma, beta, mean, variance, delta = sample.backprop()
    for name, where in masks(position_shape(input, channel_axis), seed=65).items():
        options: dict[str, Any] = {"channel_axis": channel_axis, "where": where}
        plain: Any = ng.batch_norm_training(input, gamma, beta, **options)
        fused: Any = ng.batch_norm_training_relu(
            input, gamma, beta, upper_bound=upper_bound, **options
        )
        assert_same_bits(fused.mean, plain.mean, name)
        assert_same_bits(fused.variance, plain.variance, name)
        statistics = ng.batch_norm_statistics(input, channel_axis, where=where)
        if data_type == "f64":
            statistics = ng.batch_norm_statistics(
                input, channel_axis, about=statistics, where=where
            )
        whole: Any = ng.batch_norm_training_relu(
            input, gamma, beta, upper_bound=upper_bound, statistics=statistics, **options
        )
        assert_same_bits(fused.activated, whole.activated, name)
        passes = fused.activated.astype(np.float64) > 0
        if upper_bound is not None:
            passes &= fused.activated < np.asarray(upper_bound).astype(input.dtype)
        selected = np.where(passes, delta, np.zeros((), delta.dtype))
        rest = (input, gamma, beta, mean, variance)
        expected: Any = ng.batch_norm_training_backprop(*rest, selected, **options)
        for implementation in ng.implementations():
            actual: Any = ng.batch_norm_training_relu_backprop(
                *rest, fused.mask, delta, implementation=implementation, **options
            )
            for output in expected._fields:
                assert_same_bits(
                    getattr(actual, output), getattr(expected, output), f"{name}: {output}"
                )


@EVERY_TYPE
def test_in_place(data_type: str) -> None:
    for shape, channel_axis in SHAPES:
        sample = Sample(shape, data_type, data_type, seed=66, channel_axis=channel_axis)
        input, gamma, beta, mean, variance, delta = sample.backprop()
        for where in masks(position_shape(input, channel_axis), seed=67).values():
            arguments = (input, gamma, beta, mean, variance)
            options: dict[str, Any] = {"channel_axis": channel_axis, "where": where}
            expected: Any = ng.batch_norm_training_backprop(*arguments, delta, **options)
            place = delta.copy()
            ng.batch_norm_training_backprop(*arguments, place, out=place, **options)
            assert_same_bits(place, expected.input_delta, f"{shape}: over normalized_delta")
            place = input.copy()
            ng.batch_norm_training_backprop(place, *arguments[1:], delta, out=place, **options)
            assert_same_bits(place, expected.input_delta, f"{shape}: over input")


# ---- how a mask is given ------------------------------------------------------------------------


def test_lengths_are_a_mask_of_the_axis_behind_the_samples() -> None:
    random = np.random.default_rng(68)
    lengths = np.array([0, 7, 3, 5, 1])
    where = np.arange(7) < lengths[:, None]
    for shape, axis in (((5, 7, 3), -1), ((5, 3, 7), 1), ((5, 3, 7, 2), 1), ((3, 5, 7), 0)):
        input = random.normal(size=shape)
        mask = where.reshape(where.shape + (1,) * (len(shape) - 3))
        expected: Any = forward(input, channel_axis=axis, where=mask)
        for given in (
            lengths,
            lengths.astype("u1"),
            lengths.astype("i4")[::1],
            lengths[::-1][::-1],
        ):
            actual: Any = forward(input, channel_axis=axis, lengths=given)
            for name in expected._fields:
                assert_same_bits(getattr(actual, name), getattr(expected, name), name)


def test_masks_broadcast_in_any_strides() -> None:
    input = np.random.default_rng(69).normal(size=(5, 3, 6, 4))
    where = np.random.default_rng(70).random((5, 6, 4)) < 0.5
    expected: Any = forward(input, where=where)
    stored = np.asfortranarray(where)
    holes = np.zeros((5, 12, 4), bool)
    holes[:, ::2] = where
    forms = (stored, holes[:, ::2], where[:, None], where[::-1][::-1], where.transpose(2, 0, 1))
    for form in forms[:-1]:
        assert_same_bits(forward(input, where=form).mean, expected.mean, "mean")
    transposed = forms[-1].transpose(1, 2, 0)
    assert_same_bits(forward(input, where=transposed).mean, expected.mean, "mean")
    row = where[0, 0]
    assert_same_bits(
        forward(input, where=row).mean,
        forward(input, where=np.broadcast_to(row, where.shape).copy()).mean,
        "mean",
    )
    assert_same_bits(
        forward(input, where=where[:, :1]).mean,
        forward(input, where=np.broadcast_to(where[:, :1], where.shape)).mean,
        "mean",
    )


def test_bytes_that_are_true_but_not_one() -> None:
    input = np.random.default_rng(71).normal(size=(4, 2, 6))
    stored = np.array([[0, 2, 255, 0, 1, 0]] * 4, "u1")
    assert_same_bits(
        forward(input, where=stored.view(bool)).mean, forward(input, where=stored != 0).mean, "mean"
    )


INPUT = np.random.default_rng(72).normal(size=(5, 7, 3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"where": np.ones((5, 7))},
            ValueError,
            r"where: expected a boolean array, got one of f64",
        ),
        ({"where": np.ones((5, 7), "u1")}, ValueError, r"where: expected a boolean.* u8: compare"),
        ({"where": np.ones((5, 6), bool)}, ValueError, r"where: .* \(5, 7\), .*got \(5, 6\)"),
        ({"where": np.ones((5, 7, 3), bool)}, ValueError, r"where: .*got \(5, 7, 3\)"),
        ({"where": np.ones((1, 5, 7, 1), bool)}, ValueError, r"where: .*got \(1, 5, 7, 1\)"),
        ({"where": np.ones((5, 7), "O")}, TypeError, r"where: expected an array of booleans"),
        ({"lengths": np.full(5, 2**64 - 1, "u8")}, ValueError, r"lengths: .*, got a larger one"),
        ({"where": [[True]]}, TypeError, r"where: expected an array.*list"),
        ({"where": np.zeros((5, 7), bool)}, ValueError, r"where: expected at least one position"),
        ({"lengths": np.zeros(5, int)}, ValueError, r"lengths: expected at least one position"),
        ({"lengths": np.ones(5)}, ValueError, r"lengths: expected a vector of integers.* f64"),
        ({"lengths": np.ones(4, int)}, ValueError, r"lengths: .*5 samples, got shape \(4,\)"),
        ({"lengths": np.ones((5, 1), int)}, ValueError, r"lengths: .*got shape \(5, 1\)"),
        ({"lengths": np.full(5, 8)}, ValueError, r"lengths: .*0 to 7, got 8 for sample 0"),
        ({"lengths": np.array([1, 1, -2, 1, 1])}, ValueError, r"got -2 for sample 2"),
        (
            {"lengths": np.ones(5, int), "where": np.ones((5, 7), bool)},
            ValueError,
            r"lengths: expected None beside where",
        ),
    ],
)
def test_errors_name_the_argument(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        forward(INPUT, channel_axis=-1, **options)


def test_lengths_need_an_axis_behind_the_samples() -> None:
    with pytest.raises(ValueError, match="lengths: expected None, since input has no axis behind"):
        forward(np.ones((5, 3)), lengths=np.ones(5, int))


def test_the_backward_pass_of_nothing_that_counts_has_the_gradients_that_arrive() -> None:
    mean, variance = np.zeros(3), np.full(3, 4.0)
    delta = np.random.default_rng(73).normal(size=INPUT.shape)
    found: Any = ng.batch_norm_training_backprop(
        INPUT, None, None, mean, variance, delta, 0.0, -1, where=np.zeros((5, 7), bool)
    )
    np.testing.assert_array_equal(found.input_delta, delta / 2)
    np.testing.assert_allclose(found.beta_delta, delta.sum(axis=(0, 1)), rtol=1e-12)


# ---- in parts -----------------------------------------------------------------------------------


@EVERY_TYPE
@pytest.mark.parametrize("last", [False, True])
def test_parts_of_a_masked_batch_have_the_bits_of_the_whole(data_type: str, last: bool) -> None:
    sample = Sample((160, 3, 40), data_type, data_type, seed=74)
    input, gamma, beta, _, _, delta = sample.backprop()
    if last:
        input, delta = channels_last(input), channels_last(delta)
    where = masks((160, 40), seed=75)["runs"].copy()
    where[64:96] = False
    parts = [slice(0, 64), slice(64, 96), slice(96, 160)]

    def statistics(about: Any = None) -> Any:
        return sum(
            ng.batch_norm_statistics(
                input[part], first_sample=part.start, about=about, where=where[part]
            )
            for part in parts
        )

    total = statistics()
    if data_type == "f64":
        total = statistics(total)
    assert total.count == where.sum()
    assert ng.BatchStatistics.from_bytes(bytes(total)) == total
    whole: Any = ng.batch_norm_training(input, gamma, beta, where=where, statistics_type="f64")
    assert_same_bits(total.mean, whole.mean, "mean")
    assert_same_bits(total.variance, whole.variance, "variance")
    backward: Any = ng.batch_norm_training_backprop(
        input, gamma, beta, whole.mean, whole.variance, delta, where=where
    )
    sums: Any = sum(
        ng.batch_norm_backprop_sums(
            input[part],
            whole.mean,
            whole.variance,
            delta[part],
            first_sample=part.start,
            where=where[part],
        )
        for part in parts
    )
    assert sums.count == where.sum()
    for part in parts:
        options: dict[str, Any] = {"where": where[part]}
        found: Any = ng.batch_norm_training(input[part], gamma, beta, statistics=total, **options)
        assert_same_bits(found.normalized, whole.normalized[part], "normalized")
        found = ng.batch_norm_training_backprop(
            input[part],
            gamma,
            beta,
            whole.mean,
            whole.variance,
            delta[part],
            sums=sums,
            **options,
        )
        assert_same_bits(found.input_delta, backward.input_delta[part], "input_delta")
        assert_same_bits(found.gamma_delta, backward.gamma_delta, "gamma_delta")


def test_a_part_of_which_nothing_counts_changes_nothing() -> None:
    input = np.random.default_rng(76).normal(size=(64, 3, 40)).astype("f4")
    nothing = ng.batch_norm_statistics(input * np.nan, where=np.False_)
    total = ng.batch_norm_statistics(input)
    assert nothing.count == 0
    assert np.isnan(nothing.mean).all()
    for found in (nothing + total, total + nothing, nothing + total + nothing):
        assert found.count == total.count
        assert_same_bits(found.mean, total.mean, "mean")
        assert_same_bits(found.variance, total.variance, "variance")
    sums = ng.batch_norm_backprop_sums(
        input * np.nan, total.mean, total.variance, np.zeros_like(input), lengths=np.zeros(64, int)
    )
    assert sums.count == 0
    assert not sums.gmul_delta.any()
