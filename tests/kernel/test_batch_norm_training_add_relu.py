"""BatchNormTrainingAddRelu against the documented arithmetic and numpy's packbits, to the bit."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .comparison import assert_outputs_select, assert_same_bits
from .layouts import arrangements, channels_last
from .real_types import REAL_TYPES, TYPE_PAIRS, Array
from .sample_lists import SHAPE_SAMPLES, for_each_sample
from .samples import Sample
from .test_batch_norm_training_relu import NAMES, SHAPES


def arguments_of(sample: Sample) -> tuple[Array, Any, Any, Array]:
    """The residual is as large as what it is added to."""
    input, gamma, beta = sample.training()
    dtype = sample.backprop().normalized_delta.dtype
    random = np.random.default_rng(sample.seed + 1)
    return input, gamma, beta, random.standard_normal(sample.shape).astype(dtype)


def assert_as_defined(
    arguments: tuple[Any, ...], options: dict[str, Any], what: str, **more: Any
) -> Any:
    result = ng.batch_norm_training_add_relu(*arguments, **options, **more)
    assert result._fields == NAMES
    expected = relu.added_forward(*arguments, **options)
    for name, actual, bits in zip(NAMES, result, expected, strict=True):
        assert_same_bits(actual, bits, f"{what}: {name}")
    return result


@pytest.mark.parametrize("upper_bound", [None, 0.7])
@for_each_sample(SHAPE_SAMPLES)
def test_every_type_and_shape(sample: Sample, upper_bound: float | None) -> None:
    options = {**sample.options, "upper_bound": upper_bound}
    assert_as_defined(arguments_of(sample), options, f"{sample}, {upper_bound}")


@pytest.mark.parametrize(("shape", "channel_axis"), SHAPES, ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_masks_of_every_form(
    shape: tuple[int, ...], channel_axis: int, data_type: str, channel_type: str
) -> None:
    sample = Sample(shape, data_type, channel_type, channel_axis, seed=131)
    assert_as_defined(arguments_of(sample), sample.options, str(sample))


@pytest.mark.parametrize("data_type", ["f32", "f64"])
def test_of_wide_data_it_is_the_composition(data_type: str) -> None:
    """A sum of what has been rounded to f32 or f64 is the same."""
    sample = Sample((4, 3, 5), data_type, data_type, seed=132)
    *arguments, residual = arguments_of(sample)
    plain = ng.batch_norm_training(*arguments)
    result = ng.batch_norm_training_add_relu(*arguments, residual, upper_bound=0.7)
    activated = relu.relu(plain.normalized + residual, 0.7)
    assert_same_bits(result.activated, activated, data_type)
    assert_same_bits(result.mean, plain.mean, data_type)


def test_of_short_data_the_sum_is_rounded_once() -> None:
    """1 + 2^-8 is a tie in bf16, and the residual decides on its side."""
    residual = np.array([0.0, 2**-12, -(2**-12)], REAL_TYPES["bf16"].dtype).reshape(1, 3, 1)
    beta = np.full(3, 1 + 2**-8, np.float32)
    input = np.zeros((1, 3, 1), residual.dtype)
    result = ng.batch_norm_training_add_relu(input, None, beta, residual)
    assert result.activated.ravel().tolist() == [1, 1 + 2**-7, 1]


@pytest.mark.parametrize("shape", [(5, 3, 7), (2, 9, 3, 5), (40, 33, 50)], ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), [("bf16", "f32"), ("f32", "f32")])
def test_the_strides_of_each_tensor_do_not_matter(
    shape: tuple[int, ...], data_type: str, channel_type: str
) -> None:
    """What the reference makes of the same input, beside a residual in C order."""
    sample = Sample(shape, data_type, channel_type, seed=133)
    input, gamma, beta, residual = arguments_of(sample)

    def check(input: Array, residuals: dict[str, Array], what: str, **options: Any) -> None:
        arguments = (input, gamma, beta)
        call = ng.batch_norm_training_add_relu
        expected = call(*arguments, residual, implementation="reference")
        for name, view in residuals.items():
            result = call(*arguments, view, **options)
            for output, actual, bits in zip(NAMES, result, expected, strict=True):
                assert_same_bits(actual, bits, f"{sample}, {what}, residual {name}: {output}")

    check(input, dict(arrangements(residual)), "input in C order")
    both = {"in C order": residual, "channels last": channels_last(residual)}
    for name, view in arrangements(input):
        check(view, both, f"input {name}")
    for name, view in arrangements(np.zeros_like(input)):
        if view.flags.writeable:
            check(input, both, f"out {name}", out=(view, None, None, None))


@pytest.mark.parametrize("num_threads", [1, 2, 7])
@pytest.mark.parametrize(
    ("shape", "last"),
    [((40, 33, 50), False), ((40, 33, 50), True), ((3000, 70), True), ((60000, 1), False)],
)
@pytest.mark.parametrize("data_type", ["bf16", "f32"])
def test_threads_and_implementations(
    shape: tuple[int, ...], last: bool, data_type: str, num_threads: int
) -> None:
    sample = Sample(shape, data_type, "f32", seed=134)
    arguments = list(arguments_of(sample))
    if last:
        arguments[0], arguments[3] = channels_last(arguments[0]), channels_last(arguments[3])
    expected = ng.batch_norm_training_add_relu(*arguments, implementation="reference")
    for implementation in ng.implementations():
        result = ng.batch_norm_training_add_relu(
            *arguments, num_threads=num_threads, implementation=implementation
        )
        for name, actual, bits in zip(NAMES, result, expected, strict=True):
            assert_same_bits(actual, bits, f"{sample}, {implementation}: {name}")


@pytest.mark.parametrize("which", [0, 3], ids=["input", "residual"])
@pytest.mark.parametrize("shape", [(4, 3, 5), (8, 64, 40, 40)], ids=str)
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_activated_may_be_exactly_a_tensor(
    data_type: str, channel_type: str, shape: tuple[int, ...], which: int
) -> None:
    sample = Sample(shape, data_type, channel_type, seed=135)
    arguments = list(arguments_of(sample))
    expected = ng.batch_norm_training_add_relu(*arguments)
    out = arguments[which] = arguments[which].copy()
    result = ng.batch_norm_training_add_relu(*arguments, out=out)
    assert result.activated is out
    for name, actual, bits in zip(NAMES, result, expected, strict=True):
        assert_same_bits(actual, bits, f"{sample}: {name}")


@pytest.mark.parametrize("name", REAL_TYPES)
def test_special_values(name: str) -> None:
    """Infinities of both signs are NaN, which passes; a residual alone may be anything."""
    dtype = REAL_TYPES[name].dtype
    beta = np.array([1, np.inf, np.inf, -np.inf, 0.5, -0.0, 2]).astype(dtype)
    residual = np.array([np.nan, -np.inf, 1, 1, -0.5, -0.0, 3]).astype(dtype).reshape(1, 7, 1)
    input = np.zeros((1, 7, 1), dtype)
    result = ng.batch_norm_training_add_relu(input, None, beta, residual, upper_bound=4.0)
    expected = np.array([np.nan, np.nan, 4, 0, 0, 0, 4]).astype(dtype)
    assert_same_bits(result.activated.ravel(), expected, name)
    assert result.mask.ravel().tolist() == [1, 1, 0, 0, 0, 0, 0]


def test_outputs_selects() -> None:
    arguments = arguments_of(Sample((4, 3, 5), seed=136))
    assert_outputs_select(functools.partial(ng.batch_norm_training_add_relu, *arguments), NAMES)


def test_a_residual_that_does_not_fit_is_refused() -> None:
    input, gamma, beta, residual = arguments_of(Sample((4, 3, 5), seed=137))
    call = ng.batch_norm_training_add_relu
    with pytest.raises(ng.NodeValidationFailure, match=r"\[C7\] the shape of residual: "):
        call(input, gamma, beta, residual[:1])
    with pytest.raises(ng.NodeValidationFailure, match=r"\[C3\] the element type of residual: "):
        call(input, gamma, beta, residual.astype(np.float64))
    with pytest.raises(TypeError, match=r"^residual: expected an array"):
        call(input, gamma, beta, None)
    memory = np.zeros(100, np.float32)
    with pytest.raises(ValueError, match=r"^out\[0\] \(activated\): .*overlaps residual"):
        call(input, gamma, beta, memory[:60].reshape(4, 3, 5), out=memory[1:61].reshape(4, 3, 5))
