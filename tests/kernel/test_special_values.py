"""NaN, infinity, signed zero, denormals, singular variances, single elements, empty batches."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng

from . import canonical_order, definition
from .comparison import assert_same_bits
from .layouts import channels_last
from .real_types import REAL_TYPES, TYPE_PAIRS, Array
from .samples import Sample

NON_FINITE = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("value", NON_FINITE, ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_non_finite_data_stay_in_their_channel(
    data_type: str, channel_type: str, last: bool, value: float
) -> None:
    sample = Sample((5, 4, 6), data_type, channel_type, seed=40)
    arguments = sample.backprop()
    training = ng.batch_norm_training(arguments.input, arguments.gamma, arguments.beta)
    backprop = ng.batch_norm_training_backprop(*arguments)
    if last:
        arguments = arguments._replace(input=channels_last(arguments.input))
        training = ng.batch_norm_training(*arguments[:3])
        backprop = ng.batch_norm_training_backprop(*arguments)
    others = [0, 1, 3]
    for position in ((0, 2, 0), (4, 2, 5), (2, 2, 3)):  # the first element is the sums' shift
        what = f"{sample}, {value} at {position}"
        input = arguments.input.copy(order="K")
        input[position] = value
        delta = arguments.normalized_delta.copy()
        delta[position] = value
        spoiled = ng.batch_norm_training(input, arguments.gamma, arguments.beta)
        assert np.isnan(spoiled.variance[2]), what
        assert not np.isfinite(spoiled.mean[2]), what
        assert np.all(np.isnan(spoiled.normalized[:, 2])), what
        for field in spoiled._fields:
            spoiled_rows = np.moveaxis(np.atleast_2d(getattr(spoiled, field)), 1, 0)
            rows = np.moveaxis(np.atleast_2d(getattr(training, field)), 1, 0)
            assert_same_bits(spoiled_rows[others], rows[others], f"{what}: {field}")
        for changed in ({"input": input}, {"normalized_delta": delta}):
            result = ng.batch_norm_training_backprop(*arguments._replace(**changed))
            assert not np.isfinite(result.gamma_delta[2]), what
            for field in result._fields:
                result_rows = np.moveaxis(np.atleast_2d(getattr(result, field)), 1, 0)
                rows = np.moveaxis(np.atleast_2d(getattr(backprop, field)), 1, 0)
                assert_same_bits(result_rows[others], rows[others], f"{what}: {field}")


@pytest.mark.parametrize("value", NON_FINITE, ids=str)
@pytest.mark.parametrize("name", ["gamma", "mean", "variance"])
def test_non_finite_vector_elements_stay_in_their_channel(name: str, value: float) -> None:
    sample = Sample((5, 4, 6), seed=41)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    vector = getattr(arguments, name).copy()
    vector[2] = value
    result = ng.batch_norm_training_backprop(*arguments._replace(**{name: vector}))
    others = [0, 1, 3]
    for field in result._fields:
        rows = np.moveaxis(np.atleast_2d(getattr(result, field)), 1, 0)
        expected_rows = np.moveaxis(np.atleast_2d(getattr(expected, field)), 1, 0)
        assert_same_bits(rows[others], expected_rows[others], f"{sample}, {name} {value}: {field}")
    assert not np.array_equal(result.input_delta[:, 2], expected.input_delta[:, 2])


@pytest.mark.parametrize("data_type", REAL_TYPES)
@pytest.mark.parametrize("shape", [(3, 4, 50), (150, 4), (1, 2, 9000)], ids=str)
def test_special_values_have_the_bits_of_the_canonical_order(
    data_type: str, shape: tuple[int, ...]
) -> None:
    """A mixture of everything in data, deltas and vectors; any NaN equals any NaN."""
    sample = Sample(shape, data_type, data_type, seed=42)
    random = np.random.default_rng(42)
    real_type = REAL_TYPES[data_type]
    smallest = float(real_type.smallest)
    palette = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, smallest, -smallest, 1.0, -2.0])
    arguments = sample.backprop()
    spoiled = {}
    for name in ("input", "gamma", "mean", "variance", "normalized_delta"):
        array = getattr(arguments, name).copy()
        chosen = random.random(array.shape) < (0.002 if array.ndim > 1 else 0.5)
        array[chosen] = random.choice(palette, int(chosen.sum())).astype(array.dtype)
        spoiled[name] = array
    for used in (("input",), ("normalized_delta",), ("gamma", "mean", "variance"), tuple(spoiled)):
        mixed = arguments._replace(**{name: spoiled[name] for name in used})
        last = canonical_order.is_channels_last(mixed.input, 1)
        for function, order in (
            (ng.batch_norm_training_backprop, canonical_order.training_backprop),
            (ng.batch_norm_inference_backprop, canonical_order.inference_backprop),
        ):
            result = function(*mixed)
            expected = order(*mixed, **sample.options, channels_last=last)
            for field, bits in zip(result._fields, expected, strict=True):
                assert_same_bits(getattr(result, field), bits, f"{sample}, {used}: {field}")
        forward = ng.batch_norm_training(*mixed[:3], **sample.training_options)
        expected = canonical_order.training(
            *mixed[:3], **sample.options, statistics_type=sample.statistics, channels_last=last
        )
        for field, bits in zip(forward._fields, expected, strict=True):
            assert_same_bits(getattr(forward, field), bits, f"{sample}, {used}: {field}")


@pytest.mark.parametrize("data_type", REAL_TYPES)
def test_an_infinite_element_is_an_infinite_mean(data_type: str) -> None:
    for position in (0, 3):
        input = np.ones((6, 1), REAL_TYPES[data_type].dtype)
        input[position] = np.inf
        result = ng.batch_norm_training(input, None, None)
        assert np.isposinf(result.mean[0]), f"infinity at {position}"
        assert np.isnan(result.variance[0])


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_sums_of_minus_zero_are_plus_zero(data_type: str, channel_type: str) -> None:
    """Accumulators start at +0, so −0 deltas leave +0."""
    sample = Sample((5, 3, 7), data_type, channel_type, seed=43)
    arguments = sample.backprop()
    delta = np.full(sample.shape, -0.0, sample.data.dtype)
    result = ng.batch_norm_training_backprop(*arguments._replace(normalized_delta=delta))
    zeros = np.zeros(3, sample.vector.dtype)
    assert_same_bits(result.beta_delta, zeros, f"{sample}: beta_delta")
    expected = canonical_order.training_backprop(
        *arguments._replace(normalized_delta=delta), **sample.options, channels_last=False
    )
    for field, bits in zip(result._fields, expected, strict=True):
        assert_same_bits(getattr(result, field), bits, f"{sample}: {field}")


def test_minus_zero_survives_normalization() -> None:
    minus_zero = np.full((2, 1), -0.0, np.float32)
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    result = ng.batch_norm_inference(minus_zero, one, -zero, zero, one)
    assert np.all(np.signbit(result))


@pytest.mark.parametrize("data_type", REAL_TYPES)
def test_denormals_are_preserved(data_type: str) -> None:
    """Multiples of the smallest number go through an identity, and into sums, unharmed."""
    real_type = REAL_TYPES[data_type]
    smallest = np.float64(real_type.smallest)
    exact = np.arange(1, 13).reshape(6, 2) * smallest
    values = exact.astype(real_type.dtype)
    assert np.array_equal(values.astype(np.float64), exact)
    one, zero = np.ones(2, real_type.dtype), np.zeros(2, real_type.dtype)
    normalized = ng.batch_norm_inference(values, one, zero, zero, one, epsilon=0.0)
    assert_same_bits(normalized, values, "inference")
    input = np.tile(np.array([[1.0], [-1.0]]), (3, 2)).astype(real_type.dtype)
    result = ng.batch_norm_training_backprop(input, one, zero, zero, one, values, epsilon=0.0)
    assert_same_bits(
        result.beta_delta, (np.array([36, 42]) * smallest).astype(real_type.dtype), "beta_delta"
    )
    alternating = (np.array([1 - 3 + 5 - 7 + 9 - 11, 2 - 4 + 6 - 8 + 10 - 12])) * smallest
    assert_same_bits(result.gamma_delta, alternating.astype(real_type.dtype), "gamma_delta")
    repeated = np.tile(values[:1], (4, 1))
    mean = ng.batch_norm_training(repeated, one, zero, statistics_type=data_type).mean
    assert_same_bits(mean, values[0], "mean")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("variance", [0.0, -0.0, -1.0, -1e-5], ids=str)
@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_singular_variance_follows_ieee(
    data_type: str, channel_type: str, variance: float, epsilon: float
) -> None:
    """√0 divides to infinity, √ of a negative is NaN; no error, and the bits are the formulas'."""
    sample = Sample((5, 3, 7), data_type, channel_type, seed=44)
    arguments = sample.backprop()
    singular = arguments.variance.copy()
    singular[1] = variance
    arguments = arguments._replace(variance=singular)
    options: dict[str, Any] = {"epsilon": epsilon, "channel_axis": 1}
    result = ng.batch_norm_training_backprop(*arguments, **options)
    expected = canonical_order.training_backprop(*arguments, **options, channels_last=False)
    for field, bits in zip(result._fields, expected, strict=True):
        assert_same_bits(getattr(result, field), bits, f"{sample}, {variance}, {epsilon}: {field}")
    inferred = ng.batch_norm_inference(*arguments[:5], **options)
    assert_same_bits(
        inferred, canonical_order.inference(*arguments[:5], **options), f"{sample}, {variance}"
    )
    if float(singular[1]) + epsilon < 0:
        assert np.isnan(result.gamma_delta[1])
        assert np.all(np.isnan(inferred[:, 1]))


@pytest.mark.parametrize(
    ("epsilon", "gamma", "size", "delta"),
    [
        pytest.param(1e-100, 1e-38, 1e-38, (1, -2, 0, 3), id="larger than any float"),
        pytest.param(1e92, 1e38, 1e38, (1e38, -1e38, 0, 0), id="smaller than any float"),
    ],
)
def test_inverse_deviation_beyond_float(
    epsilon: float, gamma: float, size: float, delta: tuple[float, ...]
) -> None:
    """1/√(variance + epsilon) is 1e50 and 1e-46; the products that it goes into are floats.

    Where δ is 0, all that differs from the constant shift is the term of gamma_delta.
    """
    input = np.array([[1], [-1], [0.5], [0.25]], np.float32) * np.float32(size)
    vectors = (
        np.full(1, gamma, np.float32),
        None,
        np.zeros(1, np.float32),
        np.zeros(1, np.float32),
    )
    arguments = (input, *vectors, np.array(delta, np.float32).reshape(4, 1))
    result = ng.batch_norm_training_backprop(*arguments, epsilon=epsilon)
    expected = canonical_order.training_backprop(
        *arguments, epsilon=epsilon, channel_axis=1, channels_last=False
    )
    for field, bits in zip(result._fields, expected, strict=True):
        assert_same_bits(getattr(result, field), bits, field)
    assert np.all(np.isfinite(result.input_delta))
    bounded = definition.training_backprop(*arguments, epsilon=epsilon, channel_axis=1)
    bounded["input_delta"].check(result.input_delta, "input_delta")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1, 1)], ids=str)
def test_one_element_per_channel(data_type: str, channel_type: str, shape: tuple[int, ...]) -> None:
    sample = Sample(shape, data_type, channel_type, seed=45)
    input, gamma, beta = sample.training()
    result = ng.batch_norm_training(input, gamma, beta, statistics_type=channel_type)
    assert_same_bits(result.mean, input.ravel().astype(sample.vector.dtype), str(sample))
    assert_same_bits(result.variance, np.zeros(3, sample.vector.dtype), str(sample))
    assert beta is not None
    arithmetic = np.float64 if data_type == "f64" else np.float32
    expected = beta.astype(arithmetic).astype(sample.data.dtype).reshape(shape)
    assert_same_bits(result.normalized, expected, str(sample))
    backprop = ng.batch_norm_training_backprop(
        input, gamma, beta, result.mean, result.variance, input
    )
    # The one element is the mean: it cannot move the output, but for 12u of scale·δ.
    bounded = definition.training_backprop(
        input, gamma, beta, result.mean, result.variance, input, **sample.options
    )
    assert all(value == 0 for value in bounded["input_delta"].value.flat)
    bounded["input_delta"].check(backprop.input_delta, str(sample))
    assert np.all(backprop.gamma_delta == 0), str(sample)
    assert_same_bits(backprop.beta_delta, result.mean, str(sample))


@pytest.mark.parametrize("shape", [(1, 1, 17), (7, 4), (5, 19)], ids=str)
@pytest.mark.parametrize("implementation", ng.implementations())
def test_products_that_underflow_keep_their_sign(
    shape: tuple[int, ...], implementation: str
) -> None:
    """A sum of −0 stays −0 in a step that is not full: what has no element adds nothing."""
    input, delta = np.full(shape, -1e-200), np.full(shape, 1e-200)
    zero, one = np.zeros(shape[1]), np.ones(shape[1])
    last = canonical_order.is_channels_last(input, 1)
    expected = canonical_order.training_backprop(
        input, None, None, zero, one, delta, epsilon=0.0, channel_axis=1, channels_last=last
    )
    result = ng.batch_norm_training_backprop(
        input, None, None, zero, one, delta, epsilon=0.0, implementation=implementation
    )
    assert_same_bits(result.gamma_delta, expected[1], implementation)
    assert np.all(np.signbit(result.gamma_delta))


@pytest.mark.parametrize("zeros", [(0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (-0.0, -0.0, 0.0)], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("implementation", ng.implementations())
def test_a_shift_of_zero_is_positive(
    implementation: str, channels: int, zeros: tuple[float, ...]
) -> None:
    """The median of zeros of both signs, beside an element whose share of the mean underflows."""
    first, middle, last = zeros
    rows = [first, -5e-324, middle, last]
    input = np.repeat(np.array(rows)[:, None], channels, axis=1)
    result = ng.batch_norm_training(input, None, None, implementation=implementation)
    assert_same_bits(result.mean, np.zeros(channels), implementation)


EMPTY_SHAPES = [(0, 3), (0, 3, 4), (2, 3, 0), (2, 3, 0, 5), (0, 3, 0)]


@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
def test_training_refuses_an_empty_batch(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^input: .*empty") as error:
        ng.batch_norm_training(np.zeros(shape, np.float32), None, None)
    assert "{" + ",".join(map(str, shape)) + "}" in str(error.value)


@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_empty_batch_has_empty_and_zero_gradients(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, seed=46)
    arguments = sample.backprop()
    zeros = np.zeros(3, sample.vector.dtype)
    filled = (np.empty(shape, sample.data.dtype), np.ones_like(zeros), np.ones_like(zeros))
    for out in (None, filled):
        result = ng.batch_norm_training_backprop(*arguments, out=out)
        assert_same_bits(result.input_delta, np.empty(shape, sample.data.dtype), str(sample))
        assert_same_bits(result.gamma_delta, zeros, str(sample))
        assert_same_bits(result.beta_delta, zeros, str(sample))


@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
def test_inference_of_an_empty_batch_is_empty(shape: tuple[int, ...]) -> None:
    arguments = Sample(shape, seed=47).inference()
    result = ng.batch_norm_inference(*arguments)
    assert (result.shape, result.dtype) == (shape, np.float32)


@pytest.fixture
def upward_rounding() -> Iterator[ctypes.CDLL]:
    """The C library, while this thread rounds upward."""
    upward = {"x86_64": 0x800, "AMD64": 0x800, "aarch64": 0x400000, "arm64": 0x400000}
    name = ctypes.util.find_library("m")
    if name is None or platform.machine() not in upward:
        pytest.skip("the C library's fesetround is not at hand")
    library = ctypes.CDLL(name)
    before = library.fegetround()
    library.fesetround(upward[platform.machine()])
    yield library
    library.fesetround(before)


@pytest.mark.parametrize("implementation", ng.implementations())
@pytest.mark.parametrize("shape", [(7, 3, 11), (4, 2, 90000)], ids=str)
def test_rounding_mode_of_the_caller_is_ignored_and_kept(
    shape: tuple[int, ...], implementation: str, upward_rounding: ctypes.CDLL
) -> None:
    """Threads share the large one's channels; what they found is put together outside of tasks."""
    mode = upward_rounding.fegetround()
    sample = Sample(shape, "f64", "f64", seed=48)
    upward_rounding.fesetround(0)
    forward, backward, statistics = sample.training(), sample.backprop(), sample.inference()
    options: Any = {"implementation": implementation, "num_threads": 3}

    def outputs() -> tuple[Array, ...]:
        return (
            *ng.batch_norm_training(*forward, **options),
            *ng.batch_norm_training_backprop(*backward, **options),
            *ng.batch_norm_inference_backprop(*backward, **options),
            *ng.batch_norm_training_relu(*forward, **options),
            ng.batch_norm_inference(*statistics, **options),
            *ng.update_running_statistics(statistics[3:], backward[3:5], 77),
        )

    expected = outputs()
    upward_rounding.fesetround(mode)
    result = outputs()
    after = upward_rounding.fegetround()
    upward_rounding.fesetround(0)
    assert mode != 0
    assert after == mode
    for actual, bits in zip(result, expected, strict=True):
        assert_same_bits(actual, bits, str(sample))


@pytest.mark.parametrize("implementation", ng.implementations())
@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
def test_sums_whose_products_vanish_are_positive_zero(last: bool, implementation: str) -> None:
    shape = (2, 64, 1) if last else (2, 1, 64)
    input = np.full(shape, 2.0**-20, ml_dtypes.bfloat16)
    delta = np.full(shape, -(2.0**-133), ml_dtypes.bfloat16)
    if last:
        input, delta = input.transpose(0, 2, 1), delta.transpose(0, 2, 1)
    zero, one = np.zeros(1, "f4"), np.ones(1, "f4")
    result = ng.batch_norm_training_backprop(
        input, one, zero, zero, one, delta, implementation=implementation
    )
    # Each product, and so the sum of each chain, is -0 in float: totals begin with +0.
    assert not np.signbit(result.gamma_delta[0])
