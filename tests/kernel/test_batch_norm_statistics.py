"""BatchNormStatistics: the statistics that BatchNormTraining has, as doubles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import definition, stages
from .comparison import assert_same_bits
from .layouts import arrangements
from .real_types import REAL_TYPES
from .sample_lists import SAMPLES, for_each_sample
from .samples import Sample

EVERY_TYPE = pytest.mark.parametrize("data_type", REAL_TYPES)


@for_each_sample(SAMPLES)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_is_that_of_training_and_within_the_bound_of_the_definition(
    sample: Sample, backend: str
) -> None:
    input = sample.training().input
    options = stages.Options(backend, channel_axis=sample.channel_axis)
    mean, variance = stages.statistics(input, options)
    whole: Any = ng.batch_norm_training(
        input, None, None, channel_axis=sample.channel_axis, statistics_type="f64"
    )
    assert_same_bits(mean, whole.mean, f"{sample}: mean")
    assert_same_bits(variance, whole.variance, f"{sample}: variance")
    expected = definition.training(
        input,
        None,
        None,
        epsilon=1e-5,
        channel_axis=sample.channel_axis,
        statistics_type=REAL_TYPES["f64"],
    )
    expected["mean"].check(mean, f"{sample}: mean")
    expected["variance"].check(variance, f"{sample}: variance")


@EVERY_TYPE
def test_any_arrangement_in_memory_and_number_of_threads(data_type: str) -> None:
    sample = Sample((5, 3, 40, 4), data_type, data_type, seed=41)
    for name, input in arrangements(sample.training().input):
        whole: Any = ng.batch_norm_training(input, None, None, statistics_type="f64")
        for num_threads in (1, 2, 5):
            mean, variance = stages.statistics(input, stages.Options(num_threads=num_threads))
            assert_same_bits(mean, whole.mean, f"{sample}, {name}: mean")
            assert_same_bits(variance, whole.variance, f"{sample}, {name}: variance")


@EVERY_TYPE
def test_are_those_of_the_object_of_the_same_name(data_type: str) -> None:
    input = Sample((70, 3, 5, 7), data_type, data_type, seed=42).training().input
    total = ng.batch_norm_statistics(input)
    if data_type == "f64":
        total = ng.batch_norm_statistics(input, about=total)
    mean, variance = stages.statistics(input, stages.Options())
    assert_same_bits(mean, total.mean, "mean")
    assert_same_bits(variance, total.variance, "variance")


def test_one_output_alone() -> None:
    input = ng.Parameter("f32", [None, 3], name="input")
    node = ng.op.BatchNormStatistics(input)
    array = Sample((7, 3)).training().input
    both = ng.compile(ng.Function(node.outputs, [input]))(array)
    for index in (0, 1):
        (alone,) = ng.compile(ng.Function([node.output(index)], [input]))(array)
        assert_same_bits(alone, both[index], f"output {index}")


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="an empty batch has no statistics"):
        stages.statistics(np.zeros((0, 3), np.float32), stages.Options())
