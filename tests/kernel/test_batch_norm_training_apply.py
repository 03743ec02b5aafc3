"""BatchNormTrainingApply behind BatchNormStatistics is BatchNormTraining, to the bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests import programs

from . import stages
from .comparison import assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import REAL_TYPES, Array
from .sample_lists import SAMPLES, for_each_sample
from .samples import Sample

EVERY_TYPE = pytest.mark.parametrize("data_type", REAL_TYPES)


def fits(input: Array, kind: Any) -> bool:
    """Whether statistics may have this type: that of input, or a wider one."""
    return input.dtype == kind or input.itemsize < np.dtype(kind).itemsize


def assert_is_training(arrays: Any, options: stages.Options, what: str) -> None:
    input, gamma, beta = arrays
    mean, variance = stages.statistics(input, options)
    normalized = stages.training_apply(options, input, gamma, beta, mean, variance)
    whole: Any = ng.batch_norm_training(*arrays, **options.attributes)
    assert_same_bits(normalized, whole.normalized, f"{what}: normalized")
    for kind in (real_type.dtype for real_type in REAL_TYPES.values()):
        if not fits(input, kind):
            continue
        whole = ng.batch_norm_training(*arrays, **options.attributes, statistics_type=kind)
        assert_same_bits(stages.rounded(mean, whole.mean), whole.mean, f"{what}: mean")
        assert_same_bits(stages.rounded(variance, whole.mean), whole.variance, f"{what}: variance")


@for_each_sample(SAMPLES)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_composition_is_training(sample: Sample, backend: str) -> None:
    assert_is_training(sample.training(), stages.Options(backend, **sample.options), str(sample))


@EVERY_TYPE
def test_composition_in_any_arrangement_and_number_of_threads(data_type: str) -> None:
    sample = Sample((5, 3, 40, 4), data_type, data_type, seed=41)
    input, gamma, beta = sample.training()
    for (name, arranged), num_threads in zip(
        arrangements(input), itertools.cycle((1, 2, 5)), strict=False
    ):
        options = stages.Options(num_threads=num_threads)
        assert_is_training((arranged, gamma, beta), options, f"{sample}, {name}")


@EVERY_TYPE
def test_in_one_graph(data_type: str) -> None:
    """The statistics are used unrounded between two ops of one function."""
    sample = Sample((70, 3, 5, 7), data_type, data_type, seed=43)
    parameters = [
        ng.Parameter(array.dtype, array.shape, name=name)
        for name, array in sample.training()._asdict().items()
    ]
    statistics = ng.op.BatchNormStatistics(parameters[0])
    node = ng.op.BatchNormTrainingApply(*parameters, *statistics.outputs)
    (normalized,) = ng.compile(ng.Function([node], parameters))(*sample.training())
    whole = ng.batch_norm_training(*sample.training())
    assert_same_bits(normalized, whole.normalized, str(sample))


@pytest.mark.parametrize("implementation", ng.implementations())
def test_every_implementation(implementation: str) -> None:
    """In a process of its own, whose graphs run with this one."""
    program = """
import numpy as np, normgraph as ng
from tests.kernel import stages
from tests.kernel.comparison import assert_same_bits
from tests.kernel.real_types import REAL_TYPES
from tests.kernel.samples import Sample
for data_type in REAL_TYPES:
    for shape, axis in (((70, 5, 7, 9), 1), ((70, 7, 9, 37), -1), ((300, 37), 1)):
        sample = Sample(shape, data_type, data_type, axis, seed=44)
        input, gamma, beta, mean, variance, delta = sample.backprop()
        options = stages.Options(**sample.options)
        statistics = stages.statistics(input, options)
        whole = ng.batch_norm_training(
            input, gamma, beta, **sample.options, implementation="reference")
        normalized = stages.training_apply(options, input, gamma, beta, *statistics)
        assert_same_bits(normalized, whole.normalized, f"{sample}: normalized")
        sums = stages.backprop_sums(input, mean, delta, options)
        found = stages.backprop_apply(options, input, gamma, mean, variance, delta, *sums)
        expected = ng.batch_norm_training_backprop(
            *sample.backprop(), **sample.options, implementation="reference")
        for array, of_whole, name in zip(found, expected, expected._fields):
            assert_same_bits(array, of_whole, f"{sample}: {name}")
print(ng.config()["implementation"])
"""
    printed = programs.assert_succeeds(program, NORMGRAPH_ISA=implementation)
    assert printed.strip() == implementation


CUTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((160, 3, 6, 6), (64, 32, 64)),
    ((100, 3, 7, 7), (32, 64, 4)),
    ((6200, 40), (2048, 4096, 56)),
    ((192, 5, 49), (96, 96)),
)
LAYOUTS: tuple[Callable[[Array], Array], ...] = (np.ascontiguousarray, channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "lengths"), CUTS)
@EVERY_TYPE
def test_parts_with_an_exchange_have_the_bits_of_the_whole(
    data_type: str,
    shape: tuple[int, ...],
    lengths: tuple[int, ...],
    layout: Callable[[Array], Array],
) -> None:
    """Each process has a part; what all of them have is what the objects come to."""
    sample = Sample(shape, data_type, data_type, seed=45)
    input, gamma, beta = sample.training()
    input = layout(input)
    ends = list(itertools.accumulate(lengths))
    parts = [input[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    total: Any = sum(map(ng.batch_norm_statistics, parts))
    if data_type == "f64":
        total = sum(ng.batch_norm_statistics(part, about=total) for part in parts)
    options = stages.Options()
    statistics = stages.statistics(input, options)
    assert_same_bits(total.mean, statistics[0], f"{sample}: mean")
    assert_same_bits(total.variance, statistics[1], f"{sample}: variance")
    whole: Any = ng.batch_norm_training(input, gamma, beta)
    for part, end, length in zip(parts, ends, lengths, strict=True):
        found = stages.training_apply(options, part, gamma, beta, total.mean, total.variance)
        expected = whole.normalized[end - length : end]
        assert_same_bits(found, expected, f"{sample}: the part before {end}")


@pytest.mark.parametrize("statistics_type", ["f16", "f32", "f64"])
def test_statistics_of_any_type_are_used_as_given(statistics_type: str) -> None:
    """Where they are finite, it is BatchNormInference."""
    sample = Sample((6, 3, 5), "f16", "f16", seed=46, statistics_type=statistics_type)
    arrays = sample.inference()
    found = stages.training_apply(stages.Options(), *arrays)
    assert_same_bits(found, ng.batch_norm_inference(*arrays), str(sample))


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
@EVERY_TYPE
def test_a_variance_that_is_not_finite_makes_its_channel_nan(
    data_type: str, backend: str, value: float
) -> None:
    sample = Sample((6, 3, 5), data_type, data_type, seed=47)
    input, gamma, beta, mean, variance = sample.inference()
    options = stages.Options(backend)
    plain = stages.training_apply(options, input, gamma, beta, mean, variance)
    variance = variance.copy()
    variance[1] = value
    found = stages.training_apply(options, input, gamma, beta, mean, variance)
    assert np.all(np.isnan(found[:, 1]))
    assert_same_bits(found[:, [0, 2]], plain[:, [0, 2]], str(sample))


def test_an_empty_part_is_normalized_to_nothing() -> None:
    vectors = [np.ones(3, np.float32)] * 4
    for backend in ("cpu", "reference"):
        found = stages.training_apply(
            stages.Options(backend), np.zeros((0, 3, 5), np.float32), *vectors
        )
        assert found.shape == (0, 3, 5)
