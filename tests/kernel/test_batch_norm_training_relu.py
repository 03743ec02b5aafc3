"""BatchNormTrainingRelu against BatchNormTraining and numpy's packbits, to the bit."""

from __future__ import annotations

import functools
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .comparison import assert_outputs_select, assert_same_bits
from .layouts import arrangements, channels_last, misaligned
from .real_types import REAL_TYPES, TYPE_PAIRS, Array
from .sample_lists import SAMPLES, for_each_sample
from .samples import Sample, TrainingArguments

NAMES = ("activated", "mean", "variance", "mask")

# (shape, channel axis): more and fewer than 8 bits in a row, whole bytes, axes of length 1 behind
# the channels (which are not the last axis then), one channel, ranks 2 to 5.
SHAPES = (
    ((5, 3, 7), 1),
    ((5, 3, 8), 1),
    ((2, 5, 3, 3), 1),
    ((3, 9, 1, 1), 1),
    ((7, 9), 1),
    ((6, 16), -1),
    ((3, 4, 5, 17), -1),
    ((4, 6, 5), 0),
    ((9, 1), 1),
    ((2, 3, 2, 5, 2), -3),
    ((2, 1, 65), 1),
)


def assert_composed(
    arguments: TrainingArguments,
    options: dict[str, Any],
    what: str,
    implementation: str | None = None,
) -> Any:
    result = ng.batch_norm_training_relu(*arguments, **options, implementation=implementation)
    assert result._fields == NAMES
    for name, actual, bits in zip(NAMES, result, relu.forward(*arguments, **options), strict=True):
        assert_same_bits(actual, bits, f"{what}: {name}")
    return result


@for_each_sample(SAMPLES)
def test_is_training_and_a_relu(sample: Sample) -> None:
    assert_composed(sample.training(), sample.options, str(sample))


@pytest.mark.parametrize("upper_bound", [6.0, 0.7])
@for_each_sample(SAMPLES)
def test_is_training_and_a_bounded_relu(sample: Sample, upper_bound: float) -> None:
    options = {**sample.options, "upper_bound": upper_bound}
    assert_composed(sample.training(), options, f"{sample}, {upper_bound}")


@pytest.mark.parametrize("upper_bound", [None, 0.7], ids=["relu", "bounded"])
@pytest.mark.parametrize(("shape", "channel_axis"), SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_masks_of_every_form(
    shape: tuple[int, ...],
    channel_axis: int,
    data_type: str,
    channel_type: str,
    upper_bound: float | None,
) -> None:
    sample = Sample(shape, data_type, channel_type, channel_axis, seed=111)
    options = {**sample.options, "upper_bound": upper_bound}
    result = assert_composed(sample.training(), options, str(sample))
    axis = channel_axis % len(shape)
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    last = axis + 1 == len(shape)
    channels = shape[axis]
    expected = (outer, -(-channels // 8)) if last else (outer, channels, -(-inner // 8))
    assert result.mask.shape == expected
    assert result.mask.dtype == np.uint8
    assert result.mask.flags.c_contiguous


@pytest.mark.parametrize("shape", [(5, 3, 7), (2, 9, 3, 5)], ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS[2:])
def test_the_mask_does_not_depend_on_strides(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    """Nor does its form: channels last in memory is packed behind the logical channel axis."""
    sample = Sample(shape, data_type, channel_type, seed=112)
    arguments = sample.training()
    for name, view in arrangements(arguments.input):
        for upper_bound in (None, 0.7):
            options = {**sample.options, "upper_bound": upper_bound}
            what = f"{sample}, {name}, {upper_bound}"
            assert_composed(arguments._replace(input=view), options, what)


@pytest.mark.parametrize("inner", [1, 2, 5, 8, 9, 23, 49, 64, 65, 200, 1000])
@pytest.mark.parametrize("channels", [2, 3, 5, 7, 8, 9, 15, 16, 20, 31, 64, 65, 72, 130])
@pytest.mark.parametrize(("data_type", "channel_type"), [("bf16", "f32"), ("f64", "f64")])
def test_masks_of_channels_last_in_memory(
    channels: int, inner: int, data_type: str, channel_type: str
) -> None:
    """The mask lies across them: words of 64 channels and 8 to 64 elements, and parts of words."""
    sample = Sample((3, channels, inner), data_type, channel_type, seed=114)
    plain = sample.training()
    arguments = plain._replace(input=channels_last(plain.input))
    best = ng.implementations()[0]
    assert_composed(arguments, sample.options, str(sample), implementation=best)

    # Other bits than those that the forward pass has left in buffers.
    bits = np.random.default_rng(115).random(plain.input.shape) < 0.5
    gradient = sample.backprop()
    gradient = gradient._replace(
        input=channels_last(gradient.input),
        normalized_delta=channels_last(gradient.normalized_delta),
    )
    named = relu.backward_arguments(gradient, relu.packed(bits, 1))
    actual = ng.batch_norm_training_relu_backprop(
        *named.values(), **sample.options, implementation=best
    )
    expected = relu.backward(gradient, bits, **sample.options)
    for name, one, other in zip(actual._fields, actual, expected, strict=True):
        assert_same_bits(one, other, f"{sample}: {name}")


@pytest.mark.parametrize("num_threads", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    ("shape", "channel_axis", "last_in_memory"),
    [
        ((3000, 70), 1, True),
        ((3000, 9), 1, True),
        ((700, 5, 33), 2, True),
        ((700, 33, 5), 1, True),
        ((40, 33, 50), 1, False),
        ((60000, 1), 1, False),
    ],
)
@pytest.mark.parametrize("data_type", ["bf16", "f32"])
def test_threads_share_bytes_without_losing_bits(
    shape: tuple[int, ...],
    channel_axis: int,
    last_in_memory: bool,
    data_type: str,
    num_threads: int,
) -> None:
    sample = Sample(shape, data_type, "f32", channel_axis, seed=113)
    arguments = sample.training()
    if last_in_memory:
        arguments = arguments._replace(input=channels_last(arguments.input, channel_axis))
    expected = relu.forward(*arguments, **sample.options)
    for _ in range(3):
        mask = np.full(expected[3].shape, 0xA5, np.uint8)
        result = ng.batch_norm_training_relu(
            *arguments, **sample.options, out=(None, None, None, mask), num_threads=num_threads
        )
        assert result.mask is mask
        for name, actual, bits in zip(NAMES, result, expected, strict=True):
            assert_same_bits(actual, bits, f"{sample}, {num_threads} threads: {name}")


# ---- special values ------------------------------------------------------------------------------


def through(values: Array, channel_axis: int = 1, upper_bound: float | None = None) -> Any:
    """Outputs for which normalized is beta, of one element per channel: any value at all."""
    shape = [1] * 3
    shape[channel_axis] = len(values)
    return ng.batch_norm_training_relu(
        np.zeros(shape, values.dtype),
        None,
        values,
        channel_axis=channel_axis,
        upper_bound=upper_bound,
    )


@pytest.mark.parametrize("channel_axis", [1, 2])
@pytest.mark.parametrize("name", REAL_TYPES)
def test_special_values(name: str, channel_axis: int) -> None:
    """NaN passes and stays, -0 and +0 become +0, infinities and the smallest numbers go by sign."""
    real_type = REAL_TYPES[name]
    smallest = float(real_type.smallest)
    values = [np.nan, -0.0, 0.0, np.inf, -np.inf, smallest, -smallest, 1.5, -1.5]
    expected = [np.nan, 0.0, 0.0, np.inf, 0.0, smallest, 0.0, 1.5, 0.0]
    passes = [True, False, False, True, False, True, False, True, False]
    result = through(np.array(values).astype(real_type.dtype), channel_axis)
    flat = result.activated.ravel()
    assert_same_bits(flat, np.array(expected).astype(real_type.dtype), name)
    if channel_axis == 2:
        assert result.mask.tolist() == [np.packbits(passes, bitorder="little").tolist()]
    else:
        assert result.mask.tolist() == [[[int(bit)] for bit in passes]]


@pytest.mark.parametrize("channel_axis", [1, 2])
@pytest.mark.parametrize("name", REAL_TYPES)
def test_special_values_beside_a_bound(name: str, channel_axis: int) -> None:
    """What has reached the bound becomes the bound and has no bit, and so does infinity."""
    dtype = REAL_TYPES[name].dtype
    values = np.array([np.nan, -0.0, -np.inf, np.inf, 0.5, 6, 5.5, 6.5, 1e4, -6]).astype(dtype)
    expected = np.array([np.nan, 0, 0, 6, 0.5, 6, 5.5, 6, 6, 0]).astype(dtype)
    passes = [True, False, False, False, True, False, True, False, False, False]
    result = through(values, channel_axis, 6.0)
    assert_same_bits(result.activated.ravel(), expected, name)
    if channel_axis == 2:
        assert result.mask.tolist() == [np.packbits(passes, bitorder="little").tolist()]
    else:
        assert result.mask.tolist() == [[[int(bit)] for bit in passes]]


@pytest.mark.parametrize("upper_bound", [6.0, 0.7, 1.0, 1 + 2**-7, 1 + 2**-10, 2**-14, "least"])
@pytest.mark.parametrize("data_type", ["f16", "bf16"])
def test_what_is_rounded_to_the_bound_does_not_pass(data_type: str, upper_bound: Any) -> None:
    """The bit is that of the stored number, on either side of the tie below the bound."""
    real_type = REAL_TYPES[data_type]
    if upper_bound == "least":
        upper_bound = float(real_type.smallest)
    bound = np.array(upper_bound).astype(real_type.dtype)
    below = (bound.view(np.uint16) - np.uint16(1)).view(real_type.dtype)
    middle = np.float32((float(bound) + float(below)) / 2)
    infinity = np.float32(np.inf)
    beta = np.array(
        [np.nextafter(middle, -infinity), middle, np.nextafter(middle, infinity), bound, 2 * bound],
        np.float32,
    )
    result = ng.batch_norm_training_relu(
        np.zeros((1, 5, 1), real_type.dtype), None, beta, upper_bound=upper_bound
    )
    stored = beta.astype(real_type.dtype)
    expected = np.where(stored >= bound, bound, stored)
    assert_same_bits(result.activated.ravel(), expected, data_type)
    assert stored[0] == below, "the first is just on the side of what passes"
    assert stored[2] == bound
    bits = relu.passing(expected, upper_bound)
    assert result.mask.ravel().tolist() == bits.astype(int).tolist()


@pytest.mark.parametrize("upper_bound", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_a_bound_that_is_none_is_refused_each_time(upper_bound: float) -> None:
    arguments = Sample((4, 3, 5), seed=119).training()
    ng.batch_norm_training_relu(*arguments)
    for _ in range(2):
        with pytest.raises(ng.NodeValidationFailure, match=r"\[C13\] upper_bound: "):
            ng.batch_norm_training_relu(*arguments, upper_bound=upper_bound)
    with pytest.raises(TypeError, match=r"^upper_bound: expected a real number, got '6'"):
        ng.batch_norm_training_relu(*arguments, upper_bound="6")


def test_calls_with_and_without_a_bound_are_not_taken_for_each_other() -> None:
    arguments = Sample((4, 3, 5), seed=120).training()
    with_bounds = [
        ng.batch_norm_training_relu(*arguments, upper_bound=bound) for bound in (0.5, None, 0.25)
    ]
    largest = [float(result.activated.max()) for result in with_bounds]
    assert largest[0] == 0.5
    assert largest[1] > 0.5
    assert largest[2] == 0.25


@pytest.mark.parametrize(("data_type", "channel_type"), [("f16", "f32"), ("bf16", "f32")])
def test_what_underflows_in_storage_does_not_pass(data_type: str, channel_type: str) -> None:
    """The bit is that of the stored number: positive in float, 0 once it is rounded."""
    real_type = REAL_TYPES[data_type]
    smallest = float(real_type.smallest)
    factors = (0.25, 0.5, 0.75, 1.25, -0.25)
    beta = np.array([smallest * factor for factor in factors], np.float32)
    assert np.all(beta != 0), "the values are there in float"
    input = np.zeros((1, len(factors), 1), real_type.dtype)
    result = ng.batch_norm_training_relu(input, None, beta)
    expected = np.array([0, 0, smallest, smallest, 0]).astype(real_type.dtype)
    assert_same_bits(result.activated.ravel(), expected, data_type)
    assert result.mask.ravel().tolist() == [0, 0, 1, 1, 0]


@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_non_finite_data(data_type: str, channel_type: str, value: float, last: bool) -> None:
    """A channel of NaN passes everywhere; the others are as they were."""
    sample = Sample((5, 10, 6), data_type, channel_type, seed=114)
    arguments = sample.training()
    input = channels_last(arguments.input) if last else arguments.input
    spoiled = input.copy(order="K")
    spoiled[2, 4, 3] = value
    result = assert_composed(arguments._replace(input=spoiled), sample.options, str(sample))
    assert np.all(np.isnan(result.activated[:, 4]))
    assert np.all(result.mask[:, 4] == 0b111111)
    others = [channel for channel in range(10) if channel != 4]
    clean = ng.batch_norm_training_relu(*arguments._replace(input=input))
    assert_same_bits(result.mask[:, others], clean.mask[:, others], str(sample))


# ---- outputs and out -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 3, 5), (20, 11)], ids=str)
def test_outputs_selects(shape: tuple[int, ...]) -> None:
    """activated without mask and mask without activated, too."""
    sample = Sample(shape, seed=115)
    arguments = sample.training()
    assert_outputs_select(functools.partial(ng.batch_norm_training_relu, *arguments), NAMES)


def test_statistics_alone_take_no_memory() -> None:
    input = np.zeros((64, 4, 4096), np.float32)
    tracemalloc.start()
    ng.batch_norm_training_relu(input, None, None, outputs=["mean", "variance"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < input.nbytes / 100


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_activated_may_be_exactly_the_input(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=116)
    arguments = sample.training()
    expected = ng.batch_norm_training_relu(*arguments)
    aliased = arguments.input.copy()
    result = ng.batch_norm_training_relu(*arguments._replace(input=aliased), out=aliased)
    assert result.activated is aliased
    for name in NAMES:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


def test_mask_may_be_at_any_address() -> None:
    sample = Sample((4, 3, 5), seed=117)
    expected = ng.batch_norm_training_relu(*sample.training())
    memory = np.full(expected.mask.nbytes + 2, 7, np.uint8)
    mask = memory[1:-1].reshape(expected.mask.shape)
    result = ng.batch_norm_training_relu(*sample.training(), out=(None, None, None, mask))
    assert_same_bits(result.mask, expected.mask, str(sample))
    assert memory[0] == memory[-1] == 7, "written beside the mask"
    strided = misaligned(np.zeros(sample.shape, np.float32))
    result = ng.batch_norm_training_relu(*sample.training(), out=strided)
    assert_same_bits(strided, expected.activated, str(sample))


BAD_MASKS: dict[str, tuple[Any, str]] = {
    "bool": (np.full((4, 3, 1), True), "u8{4,3,1}, got boolean{4,3,1}"),
    "signed": (np.full((4, 3, 1), 7, np.int8), "u8{4,3,1}, got i8{4,3,1}"),
    "float": (np.full((4, 3, 1), 7, np.float32), "u8{4,3,1}, got f32{4,3,1}"),
    "one bit per byte": (np.full((4, 3, 5), 7, np.uint8), "u8{4,3,1}, got u8{4,3,5}"),
    "another rank": (np.full((4, 3), 7, np.uint8), "u8{4,3,1}, got u8{4,3}"),
    "gaps": (
        np.full((4, 3, 2), 7, np.uint8)[..., ::2],
        "C order without gaps, got strides (6, 2, ",
    ),
    "Fortran order": (np.full((3, 4, 1), 7, np.uint8).transpose(1, 0, 2), "C order without gaps"),
    "backwards": (np.full((4, 3, 1), 7, np.uint8)[::-1], "C order without gaps, got strides (-3, "),
}


@pytest.mark.parametrize("case", BAD_MASKS)
def test_bad_mask_as_out_is_named_and_nothing_is_written(case: str) -> None:
    mask, says = BAD_MASKS[case]
    before = mask.copy()
    out = (np.full((4, 3, 5), 7, np.float32), np.full(3, 7, np.float32), None, mask)
    with pytest.raises(ValueError, match=r"^out\[3\] \(mask\): expected an array ") as raised:
        ng.batch_norm_training_relu(*Sample((4, 3, 5), seed=118).training(), out=out)
    assert says in str(raised.value), str(raised.value)
    assert np.array_equal(mask, before)
    assert all(np.all(array == 7) for array in out[:2] if array is not None)


def test_mask_that_overlaps_is_refused() -> None:
    memory = np.zeros(400, np.uint8)
    input = memory[:240].view(np.float32).reshape(4, 3, 5)
    mask = memory[239:251].reshape(4, 3, 1)
    with pytest.raises(ValueError, match=r"^out\[3\] \(mask\): .*overlaps input"):
        ng.batch_norm_training_relu(input, None, None, out=(None, None, None, mask))
    activated = memory[160:400].view(np.float32).reshape(4, 3, 5)
    mask = memory[388:400].reshape(4, 3, 1)
    with pytest.raises(ValueError, match=r"^out\[3\] \(mask\): .*overlaps out\[0\] \(activated\)"):
        ng.batch_norm_training_relu(
            np.zeros((4, 3, 5), np.float32), None, None, out=(activated, None, None, mask)
        )
    assert not memory.any()


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0), (0, 3, 4)], ids=str)
def test_an_empty_batch_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^input: .*empty"):
        ng.batch_norm_training_relu(np.zeros(shape, np.float32), None, None)
