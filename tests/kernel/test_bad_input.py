"""Bad input is refused, the message names it, and nothing is written."""

from __future__ import annotations

import array
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import relu
from .real_types import Array
from .samples import Sample

SAMPLE = Sample((4, 3, 5), seed=70)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "batch_norm_training": SAMPLE.training()._asdict(),
    "batch_norm_inference": SAMPLE.inference()._asdict(),
    "batch_norm_training_backprop": SAMPLE.backprop()._asdict(),
    "batch_norm_inference_backprop": SAMPLE.backprop()._asdict(),
    "batch_norm_training_relu": SAMPLE.training()._asdict(),
    "batch_norm_training_relu_backprop": relu.backward_arguments(
        SAMPLE.backprop(), np.zeros((4, 3, 1), np.uint8)
    ),
    "batch_norm_training_add_relu": {
        **SAMPLE.training()._asdict(),
        "residual": SAMPLE.backprop().normalized_delta,
    },
    "batch_norm_training_add_relu_backprop": relu.backward_arguments(
        SAMPLE.backprop(), np.zeros((4, 3, 1), np.uint8)
    ),
    "batch_norm_inference_relu": SAMPLE.inference()._asdict(),
    "batch_norm_inference_add_relu": {
        **SAMPLE.inference()._asdict(),
        "residual": SAMPLE.backprop().normalized_delta,
    },
}
OPERATIONS = {
    "batch_norm_training": ng.op.BatchNormTraining,
    "batch_norm_inference": ng.op.BatchNormInference,
    "batch_norm_training_backprop": ng.op.BatchNormTrainingBackprop,
    "batch_norm_inference_backprop": ng.op.BatchNormInferenceBackprop,
    "batch_norm_training_relu": ng.op.BatchNormTrainingRelu,
    "batch_norm_training_relu_backprop": ng.op.BatchNormTrainingReluBackprop,
    "batch_norm_training_add_relu": ng.op.BatchNormTrainingAddRelu,
    "batch_norm_training_add_relu_backprop": ng.op.BatchNormTrainingAddReluBackprop,
    "batch_norm_inference_relu": ng.op.BatchNormInferenceRelu,
    "batch_norm_inference_add_relu": ng.op.BatchNormInferenceAddRelu,
}
EVERY_FUNCTION = pytest.mark.parametrize("function", ARGUMENTS)
EVERY_ARGUMENT = pytest.mark.parametrize(
    ("function", "argument"),
    [(function, argument) for function, arguments in ARGUMENTS.items() for argument in arguments],
)


def call_refused(
    function: str, error: type[Exception] | tuple[type[Exception], ...], **changes: Any
) -> str:
    """The message of the error; asserts that no output was written."""
    out: list[Array] = [np.full(SAMPLE.shape, 7, np.float32)]
    if not function.startswith("batch_norm_inference") or function.endswith("backprop"):
        out += [np.full(3, 7, np.float32), np.full(3, 7, np.float32)]
    if function in ("batch_norm_training_relu", "batch_norm_training_add_relu"):
        out += [np.full((4, 3, 1), 7, np.uint8)]
    if function == "batch_norm_training_add_relu_backprop":
        out += [np.full(SAMPLE.shape, 7, np.float32)]
    arguments = {**ARGUMENTS[function], "out": tuple(out), **changes}
    with pytest.raises(error) as raised:
        getattr(ng, function)(**arguments)
    assert all(np.all(output == 7) for output in out), "an output was written"
    return str(raised.value)


# ---- what is no array ---------------------------------------------------------------------------

NO_ARRAYS: dict[str, Any] = {
    "list of numbers": [1.0, 2.0, 3.0],
    "nested list": [[1.0, 2.0], [3.0, 4.0]],
    "list of strings": ["1", "2", "3"],
    "tuple": (1.0, 2.0, 3.0),
    "number": 1.0,
    "text": "gamma",
    "dict": {"values": [1.0]},
    "set": {1.0},
    "function": len,
    "class": np.ndarray,
    "generator": (value for value in (1.0, 2.0, 3.0)),
    "object": object(),
}


@EVERY_ARGUMENT
def test_what_is_no_array_is_a_type_error(function: str, argument: str) -> None:
    for kind, value in NO_ARRAYS.items():
        message = call_refused(function, TypeError, **{argument: value})
        assert message.startswith(f"{argument}: expected an array"), f"{kind}: {message}"
        assert type(value).__name__ in message, f"{kind}: {message}"


@EVERY_ARGUMENT
def test_none_is_a_type_error_but_for_gamma_and_beta(function: str, argument: str) -> None:
    if argument in ("gamma", "beta"):
        getattr(ng, function)(**{**ARGUMENTS[function], argument: None})
        return
    message = call_refused(function, TypeError, **{argument: None})
    assert message.startswith(f"{argument}: expected an array"), message
    assert "None" in message


# ---- element types ------------------------------------------------------------------------------


def shape_of(function: str, argument: str) -> tuple[int, ...]:
    shape: tuple[int, ...] = ARGUMENTS[function][argument].shape
    return shape


def types_of(argument: str) -> str:
    return "u8" if argument == "mask" else "f16, bf16, f32 or f64"


UNKNOWN_TYPES: dict[str, Callable[[tuple[int, ...]], Array]] = {
    "complex64": lambda shape: np.zeros(shape, np.complex64),
    "complex128": lambda shape: np.zeros(shape, np.complex128),
    "object": lambda shape: np.full(shape, 1.0, object),
    "<U3": lambda shape: np.full(shape, "1.0"),
    "S3": lambda shape: np.full(shape, b"1.0"),
    "datetime64": lambda shape: np.zeros(shape, "datetime64[s]"),
    "timedelta64": lambda shape: np.zeros(shape, "timedelta64[s]"),
    "V4": lambda shape: np.zeros(shape, "V4"),
    "V2": lambda shape: np.zeros(shape, "V2"),
    "f4": lambda shape: np.zeros(shape, [("value", "f4")]),
}


@EVERY_ARGUMENT
def test_types_without_a_name_are_type_errors(function: str, argument: str) -> None:
    for kind, array_of in UNKNOWN_TYPES.items():
        bad = array_of(shape_of(function, argument))
        message = call_refused(function, TypeError, **{argument: bad})
        expected = f"{argument}: expected an array of {types_of(argument)}"
        assert message.startswith(expected), f"{kind}: {message}"
        assert repr(bad.dtype) in message, f"{kind}: {message}"


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is double here")
@EVERY_ARGUMENT
def test_long_double_is_a_type_error(function: str, argument: str) -> None:
    bad = np.zeros(shape_of(function, argument), np.longdouble)
    message = call_refused(function, TypeError, **{argument: bad})
    assert message.startswith(f"{argument}: expected an array of {types_of(argument)}"), message


@EVERY_ARGUMENT
def test_other_types_of_ml_dtypes_are_type_errors(function: str, argument: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bad = np.zeros(shape_of(function, argument), ml_dtypes.float8_e4m3fn)
    message = call_refused(function, TypeError, **{argument: bad})
    assert message.startswith(f"{argument}: expected an array of {types_of(argument)}"), message
    assert "float8_e4m3fn" in message, message


@EVERY_ARGUMENT
@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8"])
def test_foreign_byte_order_is_refused(function: str, argument: str, dtype: str) -> None:
    foreign = np.dtype(dtype) if not np.dtype(dtype).isnative else np.dtype(dtype.replace(">", "<"))
    bad = np.zeros(shape_of(function, argument), foreign)
    message = call_refused(function, ValueError, **{argument: bad})
    assert message.startswith(f"{argument}: expected native byte order"), message
    assert foreign.str in message, message


@EVERY_ARGUMENT
def test_foreign_byte_order_in_a_buffer_is_refused(function: str, argument: str) -> None:
    shape = shape_of(function, argument)
    bad = memoryview(np.zeros(shape, np.dtype(np.float32).newbyteorder()))
    message = call_refused(function, (TypeError, ValueError), **{argument: bad})
    assert message.startswith(f"{argument}: expected"), message


@EVERY_ARGUMENT
def test_masked_arrays_are_type_errors(function: str, argument: str) -> None:
    bad = np.ma.masked_array(ARGUMENTS[function][argument], mask=False)
    message = call_refused(function, TypeError, **{argument: bad})
    assert message.startswith(f"{argument}: expected"), message
    assert "mask" in message


# ---- constraints --------------------------------------------------------------------------------


def lines(message: str) -> list[str]:
    """The lines of a validation failure, one for each violated constraint."""
    return [line for line in message.splitlines() if re.match(r"\s*\[C\d+\]", line)]


def labels(message: str) -> list[str]:
    return [found.group() for line in lines(message) if (found := re.search(r"C\d+", line))]


def type_of(value: Array) -> tuple[str, list[int]]:
    name = {"float32": "f32", "float64": "f64", "float16": "f16", "bool": "boolean"}
    dtype = value.dtype.name
    return name.get(dtype, dtype.replace("uint", "u").replace("int", "i")), list(value.shape)


def assert_same_as_infer(function: str, message: str, **changes: Any) -> None:
    """The op says the same of the same types and shapes."""
    arguments = {**ARGUMENTS[function], **changes}
    options = {
        name: arguments.pop(name) for name in ("epsilon", "channel_axis") if name in arguments
    }
    with pytest.raises(ng.NodeValidationFailure) as failure:
        OPERATIONS[function].infer(*map(type_of, arguments.values()), **options)
    # For arrays, and for arrays alone, the message says how to convert them.
    message, *advice = message.split("\n  converted arrays fit: ")
    assert lines(str(failure.value)) == lines(message)
    assert message == str(failure.value)
    assert not advice or ".astype('" in advice[0]


FLOATS = np.float32
VIOLATIONS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    # name: (arguments, labels, what the message says)
    "integer input": ({"input": np.zeros((4, 3, 5), np.int32)}, ["C2"], ["input", "i32"]),
    "boolean input": ({"input": np.zeros((4, 3, 5), bool)}, ["C2"], ["input", "boolean"]),
    "byte input": ({"input": np.zeros((4, 3, 5), np.uint8)}, ["C2"], ["input", "u8"]),
    "integer gamma": ({"gamma": np.zeros(3, np.int64)}, ["C4"], ["gamma", "i64"]),
    "boolean beta": ({"beta": np.zeros(3, bool)}, ["C4"], ["beta", "boolean"]),
    "f64 beta": ({"beta": np.zeros(3)}, ["C4"], ["beta", "f64", "f32"]),
    "f16 gamma": ({"gamma": np.zeros(3, np.float16)}, ["C4"], ["gamma", "f16", "f32"]),
    "input of rank 1": ({"input": np.zeros(3, FLOATS)}, ["C5"], ["input", "1", "2"]),
    "input of rank 0": ({"input": np.array(1, FLOATS)}, ["C5"], ["input", "0", "2"]),
    "scalar input": ({"input": np.float32(1)}, ["C5"], ["input", "0", "2"]),
    "axis beyond the rank": ({"channel_axis": 3}, ["C6"], ["channel_axis", "3"]),
    "axis before the first": ({"channel_axis": -4}, ["C6"], ["channel_axis", "-4"]),
    "large axis": ({"channel_axis": 2**62}, ["C6"], ["channel_axis", str(2**62)]),
    "scalar gamma": ({"gamma": np.float32(1)}, ["C8"], ["gamma", "0"]),
    "0-d beta": ({"beta": np.array(1, FLOATS)}, ["C8"], ["beta", "0"]),
    "column": ({"gamma": np.zeros((3, 1), FLOATS)}, ["C8"], ["gamma", "2", "{3,1}"]),
    "gamma of length 1": ({"gamma": np.zeros(1, FLOATS)}, ["C9"], ["gamma", "1", "3"]),
    "gamma of length 4": ({"gamma": np.zeros(4, FLOATS)}, ["C9"], ["gamma", "4", "3"]),
    "empty gamma": ({"gamma": np.zeros(0, FLOATS)}, ["C9"], ["gamma", "0", "3"]),
    "other axis": ({"channel_axis": 0}, ["C9"], ["input", "4", "axis 0", "3"]),
    "several": (
        {"gamma": np.zeros(3), "beta": np.zeros((3, 1), FLOATS), "channel_axis": 5},
        ["C4", "C6", "C8"],
        ["gamma", "f64", "channel_axis", "5", "beta", "{3,1}"],
    ),
    "input alone of f64": ({"input": np.zeros((4, 3, 5))}, ["C4"], ["f64", "f32"]),
}
BACKPROP_VIOLATIONS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "f64 delta": (
        {"normalized_delta": np.zeros((4, 3, 5))},
        ["C3"],
        ["normalized_delta", "f64", "f32"],
    ),
    "integer delta": (
        {"normalized_delta": np.zeros((4, 3, 5), np.int8)},
        ["C3"],
        ["normalized_delta", "i8", "f32"],
    ),
    "delta of other shape": (
        {"normalized_delta": np.zeros((4, 3, 6), FLOATS)},
        ["C7"],
        ["normalized_delta", "{4,3,6}", "{4,3,5}"],
    ),
    "delta that would broadcast": (
        {"normalized_delta": np.zeros((1, 3, 5), FLOATS)},
        ["C7"],
        ["normalized_delta", "{1,3,5}", "{4,3,5}"],
    ),
    "delta of other rank": (
        {"normalized_delta": np.zeros((4, 3), FLOATS)},
        ["C7"],
        ["normalized_delta", "{4,3}", "{4,3,5}"],
    ),
    "delta transposed": (
        {"normalized_delta": np.zeros((5, 3, 4), FLOATS)},
        ["C7"],
        ["normalized_delta", "{5,3,4}"],
    ),
    "f64 mean": ({"mean": np.zeros(3)}, ["C4"], ["mean", "f64", "f32"]),
    "short variance": ({"variance": np.zeros(2, FLOATS)}, ["C9"], ["variance", "2", "3"]),
    "mean as a matrix": ({"mean": np.zeros((1, 3), FLOATS)}, ["C8"], ["mean", "{1,3}"]),
}


def assert_violation(
    function: str, changes: dict[str, Any], wanted: list[str], says: list[str]
) -> None:
    message = call_refused(function, ng.NodeValidationFailure, **changes)
    assert labels(message) == wanted, message
    for text in says:
        assert any(text in line for line in lines(message)), f"{text!r} is not in: {message}"
    assert_same_as_infer(function, message, **changes)


@EVERY_FUNCTION
@pytest.mark.parametrize("case", VIOLATIONS)
def test_violated_constraint_has_the_text_of_the_op(function: str, case: str) -> None:
    changes, wanted, says = VIOLATIONS[case]
    for name in ("normalized_delta", "activated_delta", "residual"):
        if name in ARGUMENTS[function] and "input" in changes:
            changes = {**changes, name: changes["input"]}
    assert_violation(function, changes, wanted, says)


@pytest.mark.parametrize("function", [name for name in ARGUMENTS if name.endswith("backprop")])
@pytest.mark.parametrize("case", BACKPROP_VIOLATIONS)
def test_violated_constraint_of_backprop(function: str, case: str) -> None:
    changes, wanted, says = BACKPROP_VIOLATIONS[case]
    if "activated_delta" in ARGUMENTS[function]:
        changes = {
            name.replace("normalized_delta", "activated_delta"): value
            for name, value in changes.items()
        }
        says = [text.replace("normalized_delta", "activated_delta") for text in says]
    assert_violation(function, changes, wanted, says)


MASK_VIOLATIONS: dict[str, tuple[Array, list[str], list[str]]] = {
    "bool mask": (np.zeros((4, 3, 1), bool), ["C11"], ["mask", "u8", "boolean"]),
    "f32 mask": (np.zeros((4, 3, 1), FLOATS), ["C11"], ["mask", "u8", "f32"]),
    "mask without packing": (np.zeros((4, 3, 5), np.uint8), ["C12"], ["{4,3,1}", "{4,3,5}"]),
    "mask of other rank": (np.zeros((12, 1), np.uint8), ["C12"], ["{4,3,1}", "{12,1}"]),
    "mask of bools": (np.zeros((4, 3, 5), bool), ["C11", "C12"], ["boolean", "{4,3,5}"]),
}


@pytest.mark.parametrize("case", MASK_VIOLATIONS)
def test_violated_constraint_of_the_mask(case: str) -> None:
    mask, wanted, says = MASK_VIOLATIONS[case]
    assert_violation("batch_norm_training_relu_backprop", {"mask": mask}, wanted, says)


@EVERY_FUNCTION
def test_no_channels_violate_c10(function: str) -> None:
    changes: dict[str, Any] = {
        name: np.zeros((4, 0, array.shape[2]) if array.ndim == 3 else 0, array.dtype)
        for name, array in ARGUMENTS[function].items()
    }
    message = call_refused(function, ng.NodeValidationFailure, **changes)
    assert labels(message) == ["C10"], message
    assert_same_as_infer(function, message, **changes)


@EVERY_FUNCTION
@pytest.mark.parametrize("epsilon", [np.nan, np.inf, -np.inf, -1e-5, -5e-324], ids=repr)
def test_epsilon_must_be_finite_and_not_negative(function: str, epsilon: float) -> None:
    message = call_refused(function, ng.NodeValidationFailure, epsilon=epsilon)
    assert labels(message) == ["C1"], message
    assert "epsilon" in message
    assert re.search(r"nan|inf|-1e-0?5|-4\.9|-5e-324", message), message
    assert_same_as_infer(function, message, epsilon=epsilon)


@EVERY_FUNCTION
@pytest.mark.parametrize("epsilon", ["1e-5", None, 1j, True, [1e-5], b"1", np.ones(1)], ids=repr)
def test_epsilon_must_be_a_real_number(function: str, epsilon: object) -> None:
    message = call_refused(function, TypeError, epsilon=epsilon)
    assert message.startswith("epsilon: expected"), message
    assert type(epsilon).__name__ in message or repr(epsilon) in message, message


@EVERY_FUNCTION
@pytest.mark.parametrize("axis", ["1", None, 1.0, True, [1], 1j, np.float32(1)], ids=repr)
def test_channel_axis_must_be_an_integer(function: str, axis: object) -> None:
    message = call_refused(function, TypeError, channel_axis=axis)
    assert message.startswith("channel_axis: expected"), message
    assert type(axis).__name__ in message or repr(axis) in message, message


@EVERY_FUNCTION
@pytest.mark.parametrize("axis", [2**63, -(2**63) - 1, 10**30], ids=repr)
def test_channel_axis_beyond_64_bits_is_a_value_error(function: str, axis: int) -> None:
    message = call_refused(function, ValueError, channel_axis=axis)
    assert "channel_axis" in message, message
    assert str(axis) in message, message


@EVERY_FUNCTION
def test_missing_and_unknown_arguments(function: str) -> None:
    with pytest.raises(TypeError):
        getattr(ng, function)()
    with pytest.raises(TypeError):
        getattr(ng, function)(**ARGUMENTS[function], eps=1e-5)


# ---- arrays that do not lend their memory -------------------------------------------------------


class OtherDevice:
    """An array in the memory of a GPU."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, **options: object) -> object:
        raise AssertionError("memory of another device was asked for")


class Broken:
    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, **options: object) -> object:
        raise BufferError("this array keeps its memory to itself")


class NoCapsule:
    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, **options: object) -> object:
        return "capsule"


class NoDevice:
    def __dlpack_device__(self) -> str:
        return "cpu"

    def __dlpack__(self, **options: object) -> object:
        raise AssertionError("memory of an unknown device was asked for")


@EVERY_ARGUMENT
@pytest.mark.parametrize("kind", [OtherDevice, Broken, NoCapsule, NoDevice])
def test_dlpack_that_fails_is_named(function: str, argument: str, kind: type) -> None:
    message = call_refused(function, (TypeError, ValueError), **{argument: kind()})
    assert message.startswith(f"{argument}: expected"), message
    assert "was asked for" not in message
    if kind is Broken:
        assert "keeps its memory to itself" in message


def test_dlpack_capsule_that_was_used_is_refused() -> None:
    capsule = np.zeros((4, 3, 5), np.float32).__dlpack__()

    class Once:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

        def __dlpack__(self, **options: object) -> object:
            return capsule

    ng.batch_norm_training(Once(), None, None)
    with pytest.raises((TypeError, ValueError), match=r"^input: expected"):
        ng.batch_norm_training(Once(), None, None)


def test_released_memoryview_is_refused() -> None:
    view = memoryview(array.array("f", [1.0, 2.0, 3.0]))
    view.release()
    message = call_refused("batch_norm_training", (TypeError, ValueError), gamma=view)
    assert message.startswith("gamma: expected"), message


def test_every_wrong_argument_at_once_is_still_one_error() -> None:
    """Whatever comes first is reported; nothing crashes."""
    for function, arguments in ARGUMENTS.items():
        with pytest.raises((TypeError, ValueError)):
            getattr(ng, function)(*[object()] * len(arguments), epsilon="x", channel_axis="y")
