"""Every kind of array goes in: numpy's, DLPack's, the buffer protocol's."""

from __future__ import annotations

import array
import ctypes
import gc
import sys
import weakref
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .real_types import TYPE_PAIRS, Array
from .samples import Sample

SAMPLE = Sample((4, 3, 5), seed=60)


class DlpackArray:
    """An array that has nothing but DLPack, in its present form or its older one."""

    def __init__(self, values: Array, *, knows_versions: bool = True) -> None:
        self._values = values
        self._knows_versions = knows_versions

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._values.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> object:
        if options and not self._knows_versions:
            raise TypeError("unexpected keyword arguments")
        return self._values.__dlpack__(**options)


def assert_backprop_unchanged(arguments: Any, what: str) -> None:
    expected = ng.batch_norm_training_backprop(*SAMPLE.backprop())
    result = ng.batch_norm_training_backprop(*arguments)
    for name in result._fields:
        assert isinstance(getattr(result, name), np.ndarray)
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{what}: {name}")


@pytest.mark.parametrize("knows_versions", [False, True])
def test_dlpack(knows_versions: bool) -> None:
    arguments = SAMPLE.backprop()
    wrapped = [DlpackArray(a, knows_versions=knows_versions) for a in arguments if a is not None]
    assert_backprop_unchanged(wrapped, "DLPack")


def test_dlpack_of_strided_views() -> None:
    arguments = SAMPLE.backprop()
    wide = np.repeat(arguments.input, 2, axis=2)
    transposed = np.ascontiguousarray(arguments.normalized_delta.T).T
    assert_backprop_unchanged(
        arguments._replace(
            input=DlpackArray(wide[..., ::2]), normalized_delta=DlpackArray(transposed)
        ),
        "DLPack views",
    )


def test_dlpack_memory_is_given_back() -> None:
    """numpy's capsule keeps a reference to the array until it is released."""
    values = SAMPLE.training().input
    before = sys.getrefcount(values)
    for outcome in ("result", "error"):
        if outcome == "result":
            ng.batch_norm_training(DlpackArray(values), None, None)
        else:
            with pytest.raises(ng.NodeValidationFailure):
                ng.batch_norm_training(DlpackArray(values), np.ones(4, np.float32), None)
        gc.collect()
        assert sys.getrefcount(values) == before, outcome


def test_numpy_arrays_are_given_back() -> None:
    values = SAMPLE.training().input.copy()
    reference = weakref.ref(values)
    result = ng.batch_norm_training(values, None, None)
    del values
    gc.collect()
    assert reference() is None
    assert result.normalized is not None


def test_memoryview_array_and_ctypes() -> None:
    """The buffer protocol in three of its shapes."""
    input, gamma, beta, mean, variance, delta = SAMPLE.backprop()
    assert gamma is not None
    assert beta is not None
    assert_backprop_unchanged(
        (
            memoryview(input),
            array.array("f", gamma.tolist()),
            memoryview(array.array("f", beta.tolist())),
            (ctypes.c_float * 3)(*mean.tolist()),
            memoryview(variance.tobytes()).cast("f"),
            memoryview(delta),
        ),
        "buffers",
    )


def test_buffer_of_bytes_with_a_shape() -> None:
    input = SAMPLE.training().input
    view = memoryview(input.tobytes()).cast("B").cast("f", SAMPLE.shape)
    result = ng.batch_norm_training(view, None, None)
    expected = ng.batch_norm_training(input, None, None)
    assert_same_bits(result.normalized, expected.normalized, str(SAMPLE))


def test_strided_memoryview() -> None:
    arguments = SAMPLE.backprop()
    view = memoryview(np.repeat(arguments.mean, 2))[::2]
    assert_backprop_unchanged(arguments._replace(mean=view), "strided memoryview")


@pytest.mark.parametrize("code", ["e", "f", "d"])
def test_buffer_formats(code: str) -> None:
    data_type = {"e": "f16", "f": "f32", "d": "f64"}[code]
    sample = Sample((4, 3, 5), data_type, data_type, seed=61)
    arguments = sample.training()
    result = ng.batch_norm_training(*map(memoryview, arguments))
    expected = ng.batch_norm_training(*arguments)
    for name in result._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_result_types(data_type: str, channel_type: str) -> None:
    """Element-wise outputs have the input's type, channel outputs the vectors'."""
    sample = Sample((4, 3, 5), data_type, channel_type, seed=62)
    for result in (
        ng.batch_norm_training(*sample.training(), statistics_type=channel_type),
        ng.batch_norm_training_backprop(*sample.backprop()),
        ng.batch_norm_inference_backprop(*sample.backprop()),
    ):
        assert [array.dtype for array in result] == [sample.data.dtype] + [sample.vector.dtype] * 2
        assert [array.shape for array in result] == [sample.shape, (3,), (3,)]
        assert all(type(array) is np.ndarray and array.flags.writeable for array in result)


def test_subclasses_of_ndarray_give_plain_arrays() -> None:
    class Labelled(np.ndarray):  # type: ignore[type-arg]
        pass

    input = SAMPLE.training().input
    result = ng.batch_norm_training(input.view(Labelled), None, None)
    assert type(result.normalized) is np.ndarray
    expected = ng.batch_norm_training(input, None, None)
    assert_same_bits(result.normalized, expected.normalized, str(SAMPLE))


def test_memory_mapped_arrays(tmp_path: Any) -> None:
    input = SAMPLE.training().input
    np.save(tmp_path / "input.npy", input)
    mapped = np.load(tmp_path / "input.npy", mmap_mode="r")
    result = ng.batch_norm_training(mapped, None, None)
    expected = ng.batch_norm_training(input, None, None)
    assert_same_bits(result.normalized, expected.normalized, str(SAMPLE))


def test_out_may_be_any_writable_array() -> None:
    arguments = SAMPLE.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    input_delta = memoryview(bytearray(240)).cast("f", SAMPLE.shape)
    gamma_delta = array.array("f", [0.0] * 3)
    beta_delta = np.zeros(3, np.float32)
    out = (input_delta, gamma_delta, DlpackArray(beta_delta))
    result = ng.batch_norm_training_backprop(*arguments, out=out)
    for name, given in zip(result._fields, out, strict=True):
        assert getattr(result, name) is given
    assert_same_bits(np.asarray(input_delta), expected.input_delta, "input_delta")
    assert_same_bits(np.asarray(gamma_delta), expected.gamma_delta, "gamma_delta")
    assert_same_bits(beta_delta, expected.beta_delta, "beta_delta")


def test_aliasing_is_seen_across_kinds_of_arrays() -> None:
    """A memoryview of the input's memory is the input; a window of it is an overlap."""
    arguments = SAMPLE.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    memory = array.array("f", arguments.input.ravel().tolist() + [0.0] * 5)
    input = np.frombuffer(memory, np.float32)[:60].reshape(SAMPLE.shape)
    window = memoryview(memory)[5:].cast("B").cast("f", SAMPLE.shape)
    with pytest.raises(ValueError, match=r"^out\[0\] \(input_delta\): .*overlaps input"):
        ng.batch_norm_training_backprop(*arguments._replace(input=input), out=window)
    same = memoryview(memory)[:60].cast("B").cast("f", SAMPLE.shape)
    ng.batch_norm_training_backprop(*arguments._replace(input=input), out=same)
    assert_same_bits(np.asarray(same), expected.input_delta, "input_delta")


def test_arguments_by_name_and_defaults() -> None:
    arguments = SAMPLE.backprop()
    expected = ng.batch_norm_training_backprop(*arguments, 1e-5, 1, None, None)
    result = ng.batch_norm_training_backprop(**arguments._asdict())
    for name in result._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), name)
    training = SAMPLE.training()
    expected_training = ng.batch_norm_training(*training, 1e-5, 1, None, None)
    assert_same_bits(
        ng.batch_norm_training(**training._asdict()).normalized,
        expected_training.normalized,
        "training",
    )
    inference = SAMPLE.inference()
    assert_same_bits(
        ng.batch_norm_inference(**inference._asdict()),
        ng.batch_norm_inference(*inference, 1e-5, 1, None),
        "inference",
    )


@pytest.mark.parametrize(
    "epsilon", [1, np.float32(1), np.float64(1), np.int64(1), np.float16(1), True.__int__()]
)
def test_epsilon_is_any_real_number(epsilon: Any) -> None:
    arguments = SAMPLE.training()
    result = ng.batch_norm_training(*arguments, epsilon=epsilon)
    expected = ng.batch_norm_training(*arguments, epsilon=1.0)
    assert_same_bits(result.normalized, expected.normalized, repr(epsilon))


@pytest.mark.parametrize("axis", [2, -1, np.int64(2), np.int8(-1), np.uint8(2)], ids=repr)
def test_channel_axis_is_any_integer(axis: Any) -> None:
    sample = Sample((4, 3, 5), channel_axis=2, seed=63)
    arguments = sample.training()
    result = ng.batch_norm_training(*arguments, channel_axis=axis)
    expected = ng.batch_norm_training(*arguments, channel_axis=2)
    assert_same_bits(result.normalized, expected.normalized, repr(axis))


def test_results_are_named_tuples() -> None:
    training = ng.batch_norm_training(*SAMPLE.training())
    normalized, mean, variance = training
    assert (training.normalized, training.mean, training.variance) == (normalized, mean, variance)
    assert isinstance(training, ng.BatchNormTrainingResult)
    assert isinstance(training, tuple)
    backprop = ng.batch_norm_training_backprop(*SAMPLE.backprop())
    assert isinstance(backprop, ng.BatchNormTrainingBackpropResult)
    assert backprop._fields == ("input_delta", "gamma_delta", "beta_delta")


def test_high_rank() -> None:
    """numpy's limit of 64 axes (32 before numpy 2)."""
    rank = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32
    shape = [1] * rank
    shape[1], shape[rank // 2], shape[-1] = 3, 4, 5
    arguments = SAMPLE.backprop()
    flat = arguments._replace(
        input=np.ascontiguousarray(arguments.input.transpose(1, 0, 2)).reshape(1, 3, 4, 5),
        normalized_delta=arguments.normalized_delta.transpose(1, 0, 2).reshape(1, 3, 4, 5).copy(),
    )
    expected = ng.batch_norm_training_backprop(*flat)
    result = ng.batch_norm_training_backprop(
        *flat._replace(
            input=flat.input.reshape(shape), normalized_delta=flat.normalized_delta.reshape(shape)
        )
    )
    assert_same_bits(result.input_delta.reshape(1, 3, 4, 5), expected.input_delta, "input_delta")
    assert_same_bits(result.gamma_delta, expected.gamma_delta, "gamma_delta")
