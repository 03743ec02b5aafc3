"""BatchNormTrainingReluBackprop against BatchNormTrainingBackprop of blocked deltas, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import TYPE_PAIRS, Array
from .sample_lists import SAMPLES, for_each_sample
from .samples import BackpropArguments, Sample
from .test_batch_norm_training_relu import SHAPES

NAMES = ("input_delta", "gamma_delta", "beta_delta")


def random_bits(shape: tuple[int, ...], seed: int = 120) -> Array:
    return np.random.default_rng(seed).random(shape) < 0.6


def call(arguments: BackpropArguments, mask: Array, **options: Any) -> Any:
    *others, delta = arguments
    return ng.batch_norm_training_relu_backprop(*others, mask, delta, **options)


def assert_composed(
    arguments: BackpropArguments, bits: Array, options: dict[str, Any], what: str, **more: Any
) -> Any:
    mask = relu.packed(bits, options["channel_axis"])
    result = call(arguments, mask, **options, **more)
    expected = relu.backward(arguments, bits, **options)
    assert result._fields == NAMES
    for name in NAMES:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{what}: {name}")
    return result


@for_each_sample(SAMPLES)
def test_is_backprop_of_what_the_mask_lets_pass(sample: Sample) -> None:
    assert_composed(sample.backprop(), random_bits(sample.shape), sample.options, str(sample))


@pytest.mark.parametrize(("shape", "channel_axis"), SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_masks_of_every_form(
    shape: tuple[int, ...], channel_axis: int, data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, channel_axis, seed=121)
    assert_composed(sample.backprop(), random_bits(shape), sample.options, str(sample))


@pytest.mark.parametrize("shape", [(5, 3, 7), (2, 9, 3, 5)], ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS[2:])
def test_strides_of_input_and_delta_do_not_matter_to_the_mask(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, seed=122)
    arguments, bits = sample.backprop(), random_bits(shape)
    for name, view in arrangements(arguments.input):
        assert_composed(
            arguments._replace(input=view), bits, sample.options, f"{sample}, input {name}"
        )
    for name, view in arrangements(arguments.normalized_delta):
        assert_composed(
            arguments._replace(normalized_delta=view), bits, sample.options, f"{sample}, {name}"
        )


@pytest.mark.parametrize("num_threads", [1, 2, 7])
@pytest.mark.parametrize("shape", [(3000, 70), (40, 33, 50)], ids=str)
@pytest.mark.parametrize("data_type", ["bf16", "f32"])
def test_threads(shape: tuple[int, ...], data_type: str, num_threads: int) -> None:
    sample = Sample(shape, data_type, "f32", seed=123)
    arguments, bits = sample.backprop(), random_bits(shape)
    what = f"{sample}, {num_threads} threads"
    assert_composed(arguments, bits, sample.options, what, num_threads=num_threads)


@pytest.mark.parametrize("bit", [False, True])
def test_all_or_nothing_passes(bit: bool) -> None:
    sample = Sample((4, 3, 5), seed=124)
    arguments = sample.backprop()
    result = assert_composed(arguments, np.full(sample.shape, bit), sample.options, str(sample))
    assert np.any(result.beta_delta != 0) == bit


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_what_is_blocked_does_not_count(
    data_type: str, channel_type: str, last: bool, value: float
) -> None:
    sample = Sample((5, 10, 6), data_type, channel_type, seed=125)
    arguments, bits = sample.backprop(), random_bits(sample.shape)
    if last:
        arguments = arguments._replace(input=channels_last(arguments.input))
    expected = assert_composed(arguments, bits, sample.options, str(sample))
    spoiled = np.where(bits, arguments.normalized_delta, value).astype(sample.data.dtype)
    result = assert_composed(
        arguments._replace(normalized_delta=spoiled), bits, sample.options, str(sample)
    )
    for name in NAMES:
        assert np.all(np.isfinite(getattr(result, name).astype(np.float64)))
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


def test_blocked_minus_zero_is_plus_zero() -> None:
    """+0, not 0 times the delta, which would keep the sign: seen where nothing else is added."""
    delta = np.full((1, 2, 3), -1.0)
    zero, one = np.zeros(2), np.ones(2)
    mask = np.zeros((1, 2, 1), np.uint8)
    x = np.ones((1, 2, 3))
    result = ng.batch_norm_training_relu_backprop(x, None, None, one, one, mask, delta)
    for name in NAMES:
        assert not np.any(np.signbit(getattr(result, name))), name
        assert not np.any(getattr(result, name)), name
    expected = ng.batch_norm_training_backprop(x, None, None, one, one, np.zeros_like(delta))
    assert_same_bits(result.input_delta, expected.input_delta, "input_delta")
    assert_same_bits(result.gamma_delta, zero, "gamma_delta")


def test_bits_beyond_the_last_element_are_not_read() -> None:
    for shape, axis in (((4, 3, 5), 1), ((4, 11), 1)):
        sample = Sample(shape, channel_axis=axis, seed=126)
        arguments, bits = sample.backprop(), random_bits(shape)
        mask = relu.packed(bits, axis)
        expected = call(arguments, mask, **sample.options)
        used = 5 if shape[-1] == 5 else 3
        mask[..., -1] |= np.uint8(0xFF << used & 0xFF)
        result = call(arguments, mask, **sample.options)
        for name in NAMES:
            assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


def test_is_the_derivative_of_the_forward_pass() -> None:
    """Central differences in f64, at steps too small for an element to cross 0."""
    sample = Sample((5, 3, 4), "f64", "f64", seed=127)
    x, gamma, beta, _, _, delta = sample.backprop()
    forward = ng.batch_norm_training_relu(x, gamma, beta)
    plain = ng.batch_norm_training(x, gamma, beta).normalized
    assert np.abs(plain).min() > 1e-3, "an element is too near to 0"
    result = ng.batch_norm_training_relu_backprop(
        x, gamma, beta, forward.mean, forward.variance, forward.mask, delta
    )

    def loss(**changes: Array) -> float:
        arguments = {"input": x, "gamma": gamma, "beta": beta, **changes}
        return float((delta * ng.batch_norm_training_relu(**arguments).activated).sum())

    step = 1e-5
    for name, value in (("input", x), ("gamma", gamma), ("beta", beta)):
        assert value is not None
        for index in np.ndindex(value.shape):
            move = np.zeros_like(value)
            move[index] = step
            difference = loss(**{name: value + move}) - loss(**{name: value - move})
            # Truncation: step² times a third derivative of at most 1e2 in this data; rounding: the
            # loss of 60 terms of at most 10, over the step.
            bound = step**2 * 1e2 + 60 * 10 * 2.0**-52 / step
            error = difference / (2 * step) - getattr(result, f"{name}_delta")[index]
            assert abs(error) < bound, (name, index, error)


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0, 5), (0, 3, 4)], ids=str)
def test_empty_batch_has_empty_and_zero_gradients(shape: tuple[int, ...]) -> None:
    sample = Sample(shape, seed=128)
    mask = relu.packed(np.zeros(shape, bool), 1)
    result = call(sample.backprop(), mask)
    assert result.input_delta.shape == shape
    assert result.gamma_delta.tolist() == result.beta_delta.tolist() == [0.0] * 3


# ---- arguments -----------------------------------------------------------------------------------

SAMPLE = Sample((4, 3, 5), seed=129)
MASK = relu.packed(random_bits(SAMPLE.shape), 1)


def test_delta_may_be_exactly_the_input_delta() -> None:
    arguments = SAMPLE.backprop()
    expected = call(arguments, MASK)
    for name in ("input", "normalized_delta"):
        alias = getattr(arguments, name).copy()
        result = call(arguments._replace(**{name: alias}), MASK, out=alias)
        assert result.input_delta is alias
        for field in NAMES:
            assert_same_bits(getattr(result, field), getattr(expected, field), f"{name}: {field}")


def test_mask_may_be_read_only_or_a_buffer() -> None:
    expected = call(SAMPLE.backprop(), MASK)
    for mask in (
        memoryview(MASK.tobytes()).cast("B", MASK.shape),
        np.frombuffer(MASK.tobytes(), np.uint8).reshape(MASK.shape),
    ):
        result = call(SAMPLE.backprop(), mask)  # type: ignore[arg-type]
        assert_same_bits(result.input_delta, expected.input_delta, "input_delta")


def test_strides_of_a_mask_along_axes_of_length_1_do_not_matter() -> None:
    expected = call(SAMPLE.backprop(), MASK)
    mask = np.lib.stride_tricks.as_strided(MASK, strides=(3, 1, 5))
    result = call(SAMPLE.backprop(), mask)
    assert_same_bits(result.input_delta, expected.input_delta, "input_delta")


GAPS = np.zeros((4, 3, 2), np.uint8)
BAD_MASKS: dict[str, tuple[Any, type[Exception], str]] = {
    "none": (None, TypeError, "mask: expected an array"),
    "list": ([[[1]]], TypeError, "mask: expected an array"),
    "complex": (np.zeros((4, 3, 1), complex), TypeError, "mask: expected an array of u8, got"),
    "gaps": (GAPS[..., ::2], ValueError, "mask: expected an array in C order without gaps, got"),
    "zero strides": (
        np.broadcast_to(MASK[:1], MASK.shape),
        ValueError,
        "mask: expected an array in C order without gaps, got strides (0, 1, ",
    ),
    "Fortran order": (
        np.zeros((3, 4, 1), np.uint8).transpose(1, 0, 2),
        ValueError,
        "mask: expected an array in C order without gaps, got",
    ),
}


@pytest.mark.parametrize("case", BAD_MASKS)
def test_bad_mask_is_named_and_nothing_is_written(case: str) -> None:
    mask, error, message = BAD_MASKS[case]
    out = tuple(np.full(shape, 7, np.float32) for shape in (SAMPLE.shape, 3, 3))
    with pytest.raises(error) as raised:
        call(SAMPLE.backprop(), mask, out=out)
    assert str(raised.value).startswith(message), str(raised.value)
    assert all(np.all(array == 7) for array in out)


def test_overlap_with_the_mask_is_refused() -> None:
    memory = np.zeros(12, np.uint8)
    mask = memory.reshape(4, 3, 1)
    out = (None, memory.view(np.float32), None)
    with pytest.raises(ValueError, match=r"^out\[1\] \(gamma_delta\): .*overlaps mask"):
        call(SAMPLE.backprop(), mask, out=out)
