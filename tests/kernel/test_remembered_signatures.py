"""Valid signatures are remembered: whatever differs from the last valid call is checked anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .comparison import assert_same_bits
from .samples import Sample

SAMPLE = Sample((4, 3, 5), seed=95)


def arguments_of(function: str, sample: Sample) -> dict[str, Any]:
    if function.endswith("relu_backprop"):
        mask = relu.packed(np.ones(sample.shape, bool), 1)
        return relu.backward_arguments(sample.backprop(), mask)
    if function.endswith("backprop"):
        return sample.backprop()._asdict()
    if function == "batch_norm_inference":
        return sample.inference()._asdict()
    if function == "batch_norm_training_add_relu":
        return {**sample.training()._asdict(), "residual": sample.backprop().normalized_delta}
    return sample.training()._asdict()


FUNCTIONS = (
    "batch_norm_training",
    "batch_norm_inference",
    "batch_norm_training_backprop",
    "batch_norm_inference_backprop",
    "batch_norm_training_relu",
    "batch_norm_training_relu_backprop",
    "batch_norm_training_add_relu",
    "batch_norm_training_add_relu_backprop",
)
CALLS = {function: arguments_of(function, SAMPLE) for function in FUNCTIONS}
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "epsilon": ({"epsilon": -1.0}, "C1"),
    "channel_axis": ({"channel_axis": 0}, "C9"),
    "type": ({"gamma": np.ones(3, np.int32)}, "C4"),
    "length": ({"gamma": np.ones(4, np.float32)}, "C9"),
    "rank": ({"gamma": np.ones((3, 1), np.float32)}, "C8"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("function", CALLS)
def test_a_change_of_a_valid_call_is_checked(function: str, change: str) -> None:
    call, arguments = getattr(ng, function), CALLS[function]
    changes, label = CHANGES[change]
    call(**arguments)
    with pytest.raises(ng.NodeValidationFailure) as raised:
        call(**{**arguments, **changes})
    assert raised.value.labels == (label,)
    call(**arguments)


@pytest.mark.parametrize("function", CALLS)
def test_another_type_or_shape_gives_outputs_of_its_own(function: str) -> None:
    call = getattr(ng, function)
    for shape in ((4, 3, 5), (4, 3, 6), (4, 3, 5), (5, 4, 3), (3, 5)):
        for data_type in ("f32", "f64", "bf16", "f16"):
            sample = Sample(shape, data_type, data_type)
            result = call(**arguments_of(function, sample))
            first = result if function == "batch_norm_inference" else result[0]
            assert (first.dtype, first.shape) == (sample.data.dtype, shape)


def test_an_absent_vector_is_not_taken_for_a_given_one() -> None:
    """Given and absent ones alternate, types and lengths that look like each other's ranks."""
    input = np.arange(4, dtype=np.float32).reshape(4, 1)
    one = np.ones(1, np.float32)
    expected = ng.batch_norm_training(input, one, np.zeros_like(one)).normalized
    for gamma, beta in ((None, one * 0), (one, None), (None, None), (one, one * 0)):
        result = ng.batch_norm_training(input, gamma, beta).normalized
        assert_same_bits(result, expected, f"gamma {gamma}, beta {beta}")
        for dtype in (bool, np.int8, np.int16, np.uint8):
            with pytest.raises(ng.NodeValidationFailure):
                ng.batch_norm_training(input, np.ones((), dtype), beta)
            for length in range(9):
                with pytest.raises(ng.NodeValidationFailure):
                    ng.batch_norm_training(input, np.ones(length, dtype), None)


def test_a_refused_call_is_not_remembered() -> None:
    arguments = CALLS["batch_norm_training"]
    for _ in range(3):
        with pytest.raises(ng.NodeValidationFailure):
            ng.batch_norm_training(**arguments, epsilon=-2.0)
        with pytest.raises(ValueError, match="empty batch"):
            ng.batch_norm_training(np.zeros((0, 3), np.float32), None, None)


def test_kernels_may_be_called_while_an_output_is_borrowed() -> None:
    """`__dlpack__` of an output runs any code: here, calls that what is remembered cannot hold."""
    arguments = SAMPLE.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)

    class CallsKernels:
        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **options: Any) -> Any:
            for length in range(1, 200):
                ng.batch_norm_training(np.ones((2, length), np.float32), None, None)
            return self.array.__dlpack__(**options)

    arrays = tuple(np.empty_like(output) for output in expected)
    ng.batch_norm_training_backprop(*arguments, out=tuple(map(CallsKernels, arrays)))
    for array, output in zip(arrays, expected, strict=True):
        assert_same_bits(array, output, "out through DLPack")
