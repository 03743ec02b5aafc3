"""The element type of mean and variance: what it is by default, and what narrow ones cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .canonical_order import arithmetic_type
from .comparison import assert_same_bits
from .definition import training, training_backprop
from .real_types import REAL_TYPES, Array
from .samples import Sample

WIDER = {"f16": ("f32", "f64"), "bf16": ("f32", "f64"), "f32": ("f64",)}
#: What kernel functions put out unless they are told otherwise.
DEFAULTS = {"f16": "f32", "bf16": "f32", "f32": "f32", "f64": "f64"}
FUNCTIONS = (ng.batch_norm_training, ng.batch_norm_training_relu)


def far_data(data_type: str, mean: float, deviation: float) -> Array:
    random = np.random.default_rng(5)
    values = mean + deviation * random.standard_normal((256, 3))
    return np.asarray(values.astype(REAL_TYPES[data_type].dtype))


def vectors_of(data_type: str) -> tuple[Array, Array]:
    dtype = REAL_TYPES[data_type].dtype
    return np.ones(3, dtype), np.zeros(3, dtype)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("data_type", DEFAULTS)
def test_statistics_are_f32_of_16_bit_data_and_else_of_the_datas_type(
    function: Any, data_type: str
) -> None:
    input = far_data(data_type, 1, 1)
    for vectors in ((None, None), vectors_of(data_type)):
        result = function(input, *vectors)
        expected = REAL_TYPES[DEFAULTS[data_type]].dtype
        assert (result.mean.dtype, result.variance.dtype) == (expected, expected)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("data_type", DEFAULTS)
def test_statistics_type_is_as_asked_for_and_moves_no_other_bit(
    function: Any, data_type: str
) -> None:
    input = far_data(data_type, 1, 1)
    vectors = vectors_of(data_type)
    plain = function(input, *vectors)
    for asked in (data_type, *WIDER.get(data_type, ())):
        result = function(input, *vectors, statistics_type=asked)
        assert result.mean.dtype == result.variance.dtype == REAL_TYPES[asked].dtype
        assert_same_bits(result[0], plain[0], asked)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("data_type", WIDER)
def test_an_array_given_as_out_decides(function: Any, data_type: str) -> None:
    input, vectors = far_data(data_type, 1, 1), vectors_of(data_type)
    for asked in (data_type, *WIDER[data_type]):
        for index in (1, 2):
            given = np.empty(3, REAL_TYPES[asked].dtype)
            out: list[Array | None] = [None] * len(function(input, *vectors))
            out[index] = given
            result = function(input, *vectors, out=tuple(out))
            assert result[index] is given
            assert result[3 - index].dtype == given.dtype
            expected = function(input, *vectors, statistics_type=asked)
            assert_same_bits(result.mean, expected.mean, asked)
            assert_same_bits(result.variance, expected.variance, asked)


def test_out_arrays_that_differ_are_refused_and_not_written() -> None:
    input, vectors = far_data("bf16", 1, 1), vectors_of("bf16")
    mean, variance = np.full(3, 7, np.float32), np.full(3, 7, vectors[0].dtype)
    with pytest.raises(ValueError, match=r"^out\[2\] \(variance\): expected .*f32.*got .*bf16"):
        ng.batch_norm_training(input, *vectors, out=(None, mean, variance))
    assert np.all(mean == 7)
    with pytest.raises(ValueError, match=r"^out\[1\] \(mean\): expected .*bf16.*got .*f32"):
        ng.batch_norm_training(input, *vectors, statistics_type="bf16", out=(None, mean, variance))
    assert np.all(variance == 7)


def test_an_out_array_of_no_such_type_does_not_decide() -> None:
    input, vectors = far_data("bf16", 1, 1), vectors_of("bf16")
    for wrong in (np.float16, np.int32):
        with pytest.raises(ValueError, match=r"^out\[1\] \(mean\): expected an array of f32"):
            ng.batch_norm_training(input, *vectors, out=(None, np.empty(3, wrong), None))


def test_advice_keeps_the_digits_of_wide_statistics() -> None:
    input = far_data("f32", 1, 1)
    wide, narrow = np.ones(3), np.ones(3, np.float32)
    with pytest.raises(ng.NodeValidationFailure, match=r"fit: variance.astype\('float64'\)$"):
        ng.batch_norm_inference(input, None, None, wide, narrow)
    with pytest.raises(ng.NodeValidationFailure, match=r"fit: gamma.astype\('float32'\)$"):
        ng.batch_norm_inference(input, wide, None, wide, wide)


@pytest.mark.parametrize("asked", ["bf16", "i32", "boolean"])
def test_a_type_that_does_not_fit_is_refused(asked: str) -> None:
    expected = rf"\[C4\] statistics_type: expected f16, as input has, or f32 or f64, got {asked}$"
    with pytest.raises(ng.NodeValidationFailure, match=expected):
        ng.batch_norm_training(far_data("f16", 1, 1), *vectors_of("f16"), statistics_type=asked)


@pytest.mark.parametrize("asked", [3, 1.5, [], b"f32"], ids=repr)
def test_what_is_no_type_is_refused(asked: Any) -> None:
    with pytest.raises(TypeError, match=r"^statistics_type: expected an element type"):
        ng.batch_norm_training(far_data("f16", 1, 1), None, None, statistics_type=asked)


@pytest.mark.parametrize(
    ("data_type", "mean", "deviation"),
    [("bf16", 10, 1), ("bf16", 100, 1), ("f16", 100, 1), ("f16", 0, 300), ("f16", 1000, 1000)],
)
def test_wide_statistics_keep_the_gradient(data_type: str, mean: float, deviation: float) -> None:
    """Beside the gradient of the definition, at the definition's own statistics."""
    input = far_data(data_type, mean, deviation)
    gamma, beta = vectors_of(data_type)
    delta = ((input.astype(np.float64) - mean) / deviation).astype(input.dtype)
    forward = ng.batch_norm_training(input, gamma, beta)
    found = ng.batch_norm_training_backprop(
        input, gamma, beta, forward.mean, forward.variance, delta
    )
    options: dict[str, Any] = {"epsilon": 1e-5, "channel_axis": 1}
    exact = training(input, gamma, beta, **options, statistics_type=REAL_TYPES["f64"])
    statistics = (exact[name].value.astype(np.float64) for name in ("mean", "variance"))
    expected = training_backprop(input, gamma, beta, *statistics, delta, **options)
    gamma_delta = expected["gamma_delta"].value.astype(np.float64)
    assert np.allclose(found.gamma_delta.astype(np.float64), gamma_delta, rtol=0.005, atol=0)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("data_type", "limit"), [("f16", 7e4), ("f32", 1e39), ("f64", 1e309)])
def test_an_infinite_variance_is_nan_in_training_and_never_0(
    data_type: str, limit: float, channels_last: bool
) -> None:
    """One channel's variance is beyond its type; the other channels have their own bits."""
    sample = Sample((6, 3, 5), data_type, data_type, -1 if channels_last else 1, seed=31)
    arguments = sample.backprop()
    variance = arguments.variance.copy()
    with np.errstate(over="ignore"):
        variance[1] = np.float64(limit)
    assert np.isinf(variance[1])
    options: dict[str, Any] = {"channel_axis": sample.channel_axis}
    plain = ng.batch_norm_training_backprop(*arguments, **options)
    spoiled = arguments._replace(variance=variance)
    for implementation in ng.implementations():
        result = ng.batch_norm_training_backprop(*spoiled, **options, implementation=implementation)
        by_channel = np.moveaxis(np.asarray(result.input_delta), sample.channel_axis, 0)
        assert np.all(np.isnan(by_channel[1]))
        assert np.isnan(result.gamma_delta[1])
        assert_same_bits(result.beta_delta, plain.beta_delta, implementation)
        others = np.moveaxis(np.asarray(plain.input_delta), sample.channel_axis, 0)
        assert_same_bits(by_channel[[0, 2]], others[[0, 2]], implementation)
        # Given ones are numbers as any other: 1/∞ is 0.
        inferred = ng.batch_norm_inference(*spoiled[:5], **options, implementation=implementation)
        beta = np.asarray(arguments.beta).astype(arithmetic_type(sample.data))[1]
        expected = np.full(by_channel[1].size, beta).astype(inferred.dtype)
        channel = np.moveaxis(inferred, sample.channel_axis, 0)[1]
        assert_same_bits(np.ascontiguousarray(channel).ravel(), expected, implementation)
        frozen = ng.batch_norm_inference_backprop(
            *spoiled, **options, implementation=implementation
        )
        assert np.all(np.moveaxis(frozen.input_delta, sample.channel_axis, 0)[1] == 0)


def test_a_sum_with_epsilon_beyond_double_is_nan() -> None:
    input, huge = np.array([[1.0], [2.0]]), np.array([1.7e308])
    result = ng.batch_norm_training_backprop(
        input, None, None, np.zeros(1), huge, input, epsilon=1.7e308
    )
    assert np.all(np.isnan(result.input_delta))
    assert np.isnan(result.gamma_delta[0])


def test_a_variance_beyond_double_is_nan_in_the_forward_pass() -> None:
    input = np.array([[1.0, 1e200], [2.0, -1e200], [4.0, 0.0]])
    for implementation in ng.implementations():
        result = ng.batch_norm_training(input, None, None, implementation=implementation)
        assert np.isinf(result.variance[1])
        assert np.all(np.isnan(result.normalized[:, 1]))
        assert np.all(np.isfinite(result.normalized[:, 0]))
        relu = ng.batch_norm_training_relu(input, None, None, implementation=implementation)
        assert np.all(np.isnan(relu.activated[:, 1]))


@pytest.mark.parametrize(
    ("data_type", "wider"), [(data, wider) for data in WIDER for wider in WIDER[data]]
)
def test_wide_statistics_are_used_as_given(data_type: str, wider: str) -> None:
    """They are not rounded to the type of the data, nor to that of gamma."""
    input, (gamma, beta) = far_data(data_type, 100, 1), vectors_of(data_type)
    wide = ng.batch_norm_training(input, gamma, beta, statistics_type=wider)
    narrow = (wide.mean.astype(gamma.dtype), wide.variance.astype(gamma.dtype))
    for function, extra in (
        (ng.batch_norm_inference, ()),
        (ng.batch_norm_training_backprop, (input,)),
        (ng.batch_norm_inference_backprop, (input,)),
    ):
        with_wide = function(input, gamma, beta, wide.mean, wide.variance, *extra)
        with_narrow = function(input, gamma, beta, *narrow, *extra)
        assert not np.array_equal(np.asarray(with_wide[1]), np.asarray(with_narrow[1]))


def test_f64_statistics_take_off_the_cost_of_rounding_them() -> None:
    """A mean of 10⁶ deviations: an f32 mean is off by up to 0.03 of one."""
    input = (1e6 + np.random.default_rng(6).standard_normal((4096, 2))).astype(np.float32)
    delta = (input - np.float32(1e6)).astype(np.float32)
    found = {}
    for kind in ("f32", "f64"):
        forward = ng.batch_norm_training(input, None, None, statistics_type=kind)
        found[kind] = ng.batch_norm_training_backprop(
            input, None, None, forward.mean, forward.variance, delta
        ).input_delta.astype(np.float64)
    x = input.astype(np.float64)
    x_hat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    d = delta.astype(np.float64)
    exact = (d - d.mean(0) - x_hat * (d * x_hat).mean(0)) / np.sqrt(x.var(0) + 1e-5)
    errors = {kind: float(np.abs(values - exact).max()) for kind, values in found.items()}
    assert errors["f64"] < 2e-5
    assert errors["f64"] < errors["f32"] / 4
