"""Every bit of every output is the one the documented arithmetic gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import normgraph as ng

from . import canonical_order
from .comparison import assert_same_bits
from .layouts import channels_last, dense, in_memory_order, misaligned, padded, sliced
from .real_types import TYPE_PAIRS, Array
from .sample_lists import DIFFICULT_SAMPLES, SHAPE_SAMPLES, for_each_sample
from .samples import BackpropArguments, InferenceArguments, Sample, TrainingArguments

# Channels first: (samples, C, length) and (samples, rows, C, length). Rows shorter and longer than
# 16 and 32 lanes, several samples in a block, several blocks of samples (two, three, five of them),
# samples cut into pieces of their rows and of a row, one long row of single elements; with 16-bit
# data chains that end with a row, between rows and with a block.
CHANNELS_FIRST_SHAPES = (
    (3, 2, 5),
    (2, 2, 16),
    (2, 2, 17),
    (70, 2, 49),
    (64, 1, 16),
    (65, 1, 32),
    (200, 1, 31),
    (33, 1, 33),
    (3, 1, 1023),
    (2, 1, 1024),
    (2, 1, 1025),
    (2, 1, 2049),
    (3, 1, 6000),
    (1, 2, 2048 * 5 + 77),
    (2, 70, 1, 33),
    (2, 3, 1, 2100),
    (1024 * 5 + 5, 1),
    (2048 * 3 + 5, 1),
    (70, 33, 1, 1),
)

# Channels last: C, elements per channel. 32 to 2 lanes and 1, blocks of 64 steps each.
CHANNELS_LAST_SHAPES = (
    *((n, 2) for n in (3, 8, 512, 513, 1024 * 3 + 5)),
    *((n, 3) for n in (5, 512 + 9, 1025)),
    *((n, 4) for n in (5, 256, 512 * 5 + 3)),
    *((n, 7) for n in (5, 257, 513)),
    *((n, 8) for n in (5, 128, 256 * 2 + 1)),
    *((n, 15) for n in (1, 129, 257)),
    *((n, 16) for n in (1, 64, 65, 128 * 3 + 7)),
    (65, 17),
    (64 * 3 + 1, 33),
)


def check_training(arguments: TrainingArguments, sample: Sample, what: str) -> None:
    expected = canonical_order.training(
        *arguments,
        **sample.options,
        statistics_type=sample.statistics,
        channels_last=canonical_order.is_channels_last(arguments.input, sample.channel_axis),
    )
    result = ng.batch_norm_training(*arguments, **sample.training_options)
    for name, bits in zip(result._fields, expected, strict=True):
        assert_same_bits(getattr(result, name), bits, f"{what}: training {name}")


def check_inference(arguments: InferenceArguments, sample: Sample, what: str) -> None:
    expected = canonical_order.inference(*arguments, **sample.options)
    result = ng.batch_norm_inference(*arguments, **sample.options)
    assert_same_bits(result, expected, f"{what}: inference")


def check_backprop(arguments: BackpropArguments, sample: Sample, what: str) -> None:
    """With the batch's statistics, and with the same ones frozen."""
    last = canonical_order.is_channels_last(arguments.input, sample.channel_axis)
    for function, order in (
        (ng.batch_norm_training_backprop, canonical_order.training_backprop),
        (ng.batch_norm_inference_backprop, canonical_order.inference_backprop),
    ):
        expected = order(*arguments, **sample.options, channels_last=last)
        result = function(*arguments, **sample.options)
        for name, bits in zip(result._fields, expected, strict=True):
            assert_same_bits(getattr(result, name), bits, f"{what}: {function.__name__} {name}")


def check_all(sample: Sample, what: str) -> None:
    check_training(sample.training(), sample, what)
    check_inference(sample.inference(), sample, what)
    check_backprop(sample.backprop(), sample, what)


def check_order(arguments: BackpropArguments, sample: Sample, what: str) -> None:
    """Check, for cancelling arguments, the backward sums, and the forward's over the deltas."""
    check_backprop(arguments, sample, f"{what}, cancelling")
    forward = TrainingArguments(arguments.normalized_delta, None, arguments.beta)
    check_training(forward, sample, f"{what}, cancelling")


def test_version_is_that_of_the_order_stated_here() -> None:
    """Whoever changes the order changes it there and here, and the version with it."""
    assert ng.config()["summation_order_version"] == canonical_order.VERSION


@for_each_sample(SHAPE_SAMPLES + DIFFICULT_SAMPLES)
def test_every_type_and_difficulty(sample: Sample) -> None:
    check_all(sample, str(sample))


BLOCK_TYPES = pytest.mark.parametrize(
    ("data_type", "channel_type"), [("bf16", "f32"), ("f32", "f32"), ("f64", "f64")]
)


@BLOCK_TYPES
@pytest.mark.parametrize("shape", CHANNELS_FIRST_SHAPES, ids=str)
def test_blocks_of_channels_first(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    channel_axis = max(1, len(shape) - 2)
    sample = Sample(shape, data_type, channel_type, channel_axis, seed=21)
    arguments = sample.cancelling()
    assert not canonical_order.is_channels_last(arguments.input, channel_axis)
    check_order(arguments, sample, str(sample))


@BLOCK_TYPES
@pytest.mark.parametrize("shape", CHANNELS_LAST_SHAPES, ids=str)
def test_blocks_of_channels_last(shape: tuple[int, int], data_type: str, channel_type: str) -> None:
    sample = Sample(shape, data_type, channel_type, seed=22)
    arguments = sample.cancelling()
    assert canonical_order.is_channels_last(arguments.input, 1) or shape[0] == 1
    check_order(arguments, sample, str(sample))


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS[1:])
def test_cancelling_samples_show_another_order(data_type: str, channel_type: str) -> None:
    """Reversed, added one by one, or summed as the other class: the stored result is another.

    Not so for vectors of f16, the first pair: what is left of the sums is below f16's range.
    """
    sample = Sample((40, 1, 50), data_type, channel_type, seed=25)
    arguments = sample.cancelling()
    delta = arguments.normalized_delta
    one = canonical_order.CanonicalChannel(arguments.input, 1, 0, channels_last=False)
    value, factor = delta.ravel().astype(one.term_type), one.differences(np.float64(0))
    in_another_order = canonical_order.CanonicalChannel(
        np.ascontiguousarray(arguments.input).reshape(2000, 1), 1, 0, channels_last=False
    )
    products = value.astype(np.float64) * factor.astype(np.float64)
    for what in (1,) if data_type == "f16" else (0, 1):
        expected = one.sums(value, factor)[what]
        others = (
            one.sums(value[::-1], factor[::-1])[what],
            in_another_order.sums(value, factor)[what],
            np.cumsum(products if what else value.astype(np.float64))[-1],
        )
        stored = canonical_order.stored(expected, sample.vector)
        assert all(stored != canonical_order.stored(other, sample.vector) for other in others)


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_channels_last_memory_of_any_rank(data_type: str, channel_type: str) -> None:
    for shape in ((5, 3, 7), (3, 4, 5, 6), (2, 9, 3, 4, 2), (2, 3, 2, 2, 3, 2)):
        sample = Sample(shape, data_type, channel_type, seed=23)
        forward, backward = sample.training(), sample.backprop()
        input = channels_last(forward.input)
        assert canonical_order.is_channels_last(input, 1)
        check_training(forward._replace(input=input), sample, f"{sample}, channels last")
        check_backprop(
            backward._replace(
                input=channels_last(backward.input),
                normalized_delta=channels_last(backward.normalized_delta),
            ),
            sample,
            f"{sample}, channels last",
        )
        cancelling = sample.cancelling()
        last = cancelling._replace(
            input=channels_last(cancelling.input),
            normalized_delta=channels_last(cancelling.normalized_delta),
        )
        check_order(last, sample, f"{sample}, channels last")


@pytest.mark.parametrize("samples", [1, 2, 3, 7])
@pytest.mark.parametrize("blocks", range(1, 10))
def test_trees_of_blocks(samples: int, blocks: int) -> None:
    """Blocks whose sums are 1 or 2**-53: another association rounds apart."""
    random = np.random.default_rng(blocks)
    delta = np.zeros((samples, 1, 1024 * blocks))
    delta[:, 0, ::1024] = random.choice([1.0, 2.0**-53, 3 * 2.0**-53, -1.0], (samples, blocks))
    input = random.standard_normal(delta.shape)
    one = np.ones(1)
    sample = Sample(delta.shape, "f64", "f64")
    check_backprop(BackpropArguments(input, one, one, one, one, delta), sample, f"{blocks} blocks")


def test_lanes_are_kept_across_the_rows_of_a_block() -> None:
    """1, then 2**-53 twice: added to 1 in one lane they vanish, added to each other they do not."""
    delta = np.zeros((4, 1, 16))
    delta[0, 0, 3], delta[1, 0, 3], delta[2, 0, 3] = 1.0, 2.0**-53, 2.0**-53
    one = np.ones(1)
    result = ng.batch_norm_training_backprop(delta, None, None, one, one, delta)
    assert result.beta_delta[0] == 1.0
    delta[2, 0, 3], delta[1, 0, 4] = 0.0, 2.0**-53
    delta[1, 0, 3], delta[1, 0, 12] = 0.0, 2.0**-53
    result = ng.batch_norm_training_backprop(delta, None, None, one, one, delta)
    assert result.beta_delta[0] == 1.0 + 2.0**-52  # lanes 4 and 12 meet before lane 3 comes


@st.composite
def problems(draw: st.DrawFn) -> tuple[Sample, tuple[int, ...], str]:
    rank = draw(st.integers(2, 5))
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=rank, max_size=rank)))
    channel_axis = draw(st.integers(-rank, rank - 1))
    data_type, channel_type = draw(st.sampled_from(TYPE_PAIRS))
    sample = Sample(shape, data_type, channel_type, channel_axis, seed=draw(st.integers(0, 2**16)))
    order = tuple(draw(st.permutations(range(rank))))
    return sample, order, draw(st.sampled_from(["dense", "sliced", "padded", "misaligned"]))


@given(problems())
def test_any_shape_axis_and_memory_order(problem: tuple[Sample, tuple[int, ...], str]) -> None:
    sample, order, style_name = problem
    style = {"dense": dense, "sliced": sliced, "padded": padded, "misaligned": misaligned}[
        style_name
    ]

    def arranged(values: Array) -> Array:
        return in_memory_order(values, order, style)

    def arranged_backprop(arguments: BackpropArguments) -> BackpropArguments:
        return arguments._replace(
            input=arranged(arguments.input),
            normalized_delta=arranged(arguments.normalized_delta),
        )

    what = f"{sample}, memory order {order}, {style_name}"
    forward = sample.training()
    check_training(forward._replace(input=arranged(forward.input)), sample, what)
    check_backprop(arranged_backprop(sample.backprop()), sample, what)
    check_order(arranged_backprop(sample.cancelling()), sample, what)
