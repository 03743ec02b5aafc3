"""BatchNormTrainingBackpropApply behind BatchNormBackpropSums is BatchNormTrainingBackprop."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import stages
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import REAL_TYPES, Array
from .sample_lists import SAMPLES, for_each_sample
from .samples import BackpropArguments, Sample

EVERY_TYPE = pytest.mark.parametrize("data_type", REAL_TYPES)


def with_double_statistics(arrays: BackpropArguments) -> BackpropArguments:
    """The same with statistics of f64 that no narrower type has."""
    mean, variance = (array.astype(np.float64) for array in (arrays.mean, arrays.variance))
    return arrays._replace(mean=mean * (1 + 2.0**-40), variance=variance * (1 + 2.0**-41))


def assert_is_backprop(arrays: BackpropArguments, options: stages.Options, what: str) -> None:
    input, gamma, _, mean, variance, delta = arrays
    sums = stages.backprop_sums(input, mean, delta, options)
    found = stages.backprop_apply(options, input, gamma, mean, variance, delta, *sums)
    whole: Any = ng.batch_norm_training_backprop(*arrays, **options.attributes)
    for array, name in zip(found, whole._fields, strict=True):
        assert_same_bits(array, getattr(whole, name), f"{what}: {name}")


@for_each_sample(SAMPLES)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_composition_is_the_backward_pass(sample: Sample, backend: str) -> None:
    options = stages.Options(backend, **sample.options)
    assert_is_backprop(sample.backprop(), options, str(sample))
    assert_is_backprop(with_double_statistics(sample.backprop()), options, f"{sample}, f64")


@EVERY_TYPE
def test_composition_in_any_arrangement_and_number_of_threads(data_type: str) -> None:
    sample = Sample((5, 3, 40, 4), data_type, data_type, seed=61)
    arrays = with_double_statistics(sample.backprop())
    for (name, input), num_threads in zip(
        arrangements(arrays.input), itertools.cycle((1, 2, 5)), strict=False
    ):
        options = stages.Options(num_threads=num_threads)
        assert_is_backprop(arrays._replace(input=input), options, f"{sample}, {name}")


@EVERY_TYPE
def test_a_step_in_one_graph(data_type: str) -> None:
    """Statistics and sums are used unrounded between the ops of one function."""
    sample = Sample((70, 3, 5, 7), data_type, data_type, seed=62)
    input, gamma, beta, _, _, delta = sample.backprop()
    parameters = [
        ng.Parameter(array.dtype, array.shape, name=name)
        for name, array in (("x", input), ("gamma", gamma), ("delta", delta))
    ]
    x, gamma_node, delta_node = parameters
    statistics = ng.op.BatchNormStatistics(x).outputs
    sums = ng.op.BatchNormBackpropSums(x, statistics[0], delta_node).outputs
    node = ng.op.BatchNormTrainingBackpropApply(x, gamma_node, *statistics, delta_node, *sums)
    found = ng.compile(ng.Function(node.outputs, parameters))(input, gamma, delta)
    forward: Any = ng.batch_norm_training(input, gamma, beta, statistics_type="f64")
    whole: Any = ng.batch_norm_training_backprop(
        input, gamma, beta, forward.mean, forward.variance, delta
    )
    for array, name in zip(found, whole._fields, strict=True):
        assert_same_bits(array, getattr(whole, name), f"{sample}: {name}")


LAYOUTS: tuple[Callable[[Array], Array], ...] = (np.ascontiguousarray, channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "length"), [((128, 3, 7, 7), 64), ((4096, 40), 2048), ((64, 5, 49), 32)]
)
@EVERY_TYPE
def test_two_halves_whose_sums_are_added_have_the_bits_of_the_whole(
    data_type: str, shape: tuple[int, ...], length: int, layout: Callable[[Array], Array]
) -> None:
    """Halves of a power of two are the two branches of the tree, whose root is their sum.

    Beside 16-bit data the mean is one of f32: of another, each sum is corrected on its own.
    """
    sample = Sample(shape, data_type, data_type, seed=63)
    arrays = with_double_statistics(sample.backprop())
    input, gamma, beta, mean, variance, delta = arrays
    if data_type in ("f16", "bf16"):
        mean = mean.astype(np.float32).astype(np.float64)
    input, delta = layout(input), layout(delta)
    options = stages.Options()
    halves = [(array[:length], array[length:]) for array in (input, delta)]
    of_halves = [
        stages.backprop_sums(part, mean, part_delta, options)
        for part, part_delta in zip(*halves, strict=True)
    ]
    sums = [left + right for left, right in zip(*of_halves, strict=True)]
    for array, of_whole in zip(
        sums, stages.backprop_sums(input, mean, delta, options), strict=True
    ):
        assert_same_bits(array, of_whole, f"{sample}: the sums")
    whole: Any = ng.batch_norm_training_backprop(input, gamma, beta, mean, variance, delta)
    count = input.size // input.shape[1]
    found = [
        stages.backprop_apply(options, part, gamma, mean, variance, part_delta, *sums, count=count)
        for part, part_delta in zip(*halves, strict=True)
    ]
    joined = np.concatenate([part[0] for part in found])
    assert_same_bits(joined, whole.input_delta, f"{sample}: input_delta")
    for part in found:
        assert_same_bits(part[1], whole.gamma_delta, f"{sample}: gamma_delta")
        assert_same_bits(part[2], whole.beta_delta, f"{sample}: beta_delta")


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@EVERY_TYPE
def test_three_parts_with_an_exchange_have_the_bits_of_the_whole(
    data_type: str, backend: str
) -> None:
    """The sums of the whole batch, as its processes come to know them, at each of its parts."""
    sample = Sample((100, 3, 7, 7), data_type, data_type, seed=64)
    arrays = with_double_statistics(sample.backprop())
    input, gamma, beta, mean, variance, delta = arrays
    options = stages.Options(backend)
    slices = [slice(0, 32), slice(32, 96), slice(96, 100)]
    sums: Any = sum(
        ng.batch_norm_backprop_sums(input[part], mean, variance, delta[part]) for part in slices
    )
    given: Any = sums.beta_delta, sums.gmul_delta
    for array, of_whole in zip(
        given, stages.backprop_sums(input, mean, delta, options), strict=True
    ):
        assert_same_bits(array, of_whole, f"{sample}: the sums")
    whole: Any = ng.batch_norm_training_backprop(*arrays)
    for part in slices:
        found = stages.backprop_apply(
            options, input[part], gamma, mean, variance, delta[part], *given, count=sums.count
        )
        assert_same_bits(found[0], whole.input_delta[part], f"{sample}: {part}")
        assert_same_bits(found[1], whole.gamma_delta, f"{sample}: {part}")
        by_array: Any = ng.batch_norm_training_backprop(
            input[part], gamma, beta, mean, variance, delta[part], sums=sums
        )
        assert_same_bits(found[0], by_array.input_delta, f"{sample}: {part}")


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_infinite_variance_is_nan(backend: str) -> None:
    arrays = Sample((6, 3, 5), seed=65).backprop()
    variance = arrays.variance.copy()
    variance[1] = np.inf
    assert_is_backprop(
        arrays._replace(variance=variance), stages.Options(backend), "infinite variance"
    )


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_empty_part(backend: str) -> None:
    """The sums that are given are those of the batch, of however many elements it says it is."""
    options = stages.Options(backend, epsilon=0.0)
    empty, one = np.zeros((0, 3, 5), np.float32), np.ones(3, np.float32)
    sums = np.array([1.0, 2.0, 3.0])
    for count in (7, 0, None):
        found = stages.backprop_apply(
            options, empty, one, one, 4 * one, empty, sums, sums, count=count
        )
        assert found[0].shape == empty.shape
        assert_same_bits(found[1], (sums / 2).astype(np.float32), f"gamma_delta, {count}")
        assert_same_bits(found[2], sums.astype(np.float32), f"beta_delta, {count}")


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_sums_of_0_of_an_empty_batch_stay_0(backend: str) -> None:
    """Whatever the variance, as in the whole op; another sum is a number that is divided."""
    options = stages.Options(backend, epsilon=0.0)
    empty, one = np.zeros((0, 4, 5), np.float32), np.ones(4, np.float32)
    variance = np.array([0, np.inf, np.nan, 0], np.float32)
    sums = np.array([0.0, 0, 0, 2])
    expected = np.array([0, 0, 0, np.inf], np.float32)
    whole: Any = ng.batch_norm_training_backprop(empty, one, one, one, variance, empty, epsilon=0.0)
    assert_same_bits(whole.gamma_delta[:3], expected[:3], "gamma_delta of the whole op")
    for count in (0, None):
        found = stages.backprop_apply(
            options, empty, one, one, variance, empty, sums, sums, count=count
        )
        assert_same_bits(found[1], expected, f"gamma_delta, {count}")
        assert_same_bits(found[2], sums.astype(np.float32), f"beta_delta, {count}")
