"""outputs= selects, out= receives, and memory is shared only where that is safe."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .layouts import arrangements
from .real_types import TYPE_PAIRS, Array
from .samples import Sample

SAMPLE = Sample((4, 3, 5), seed=50)
TRAINING_OUTPUTS = ("normalized", "mean", "variance")
BACKPROP_OUTPUTS = ("input_delta", "gamma_delta", "beta_delta")
Call = Callable[..., Any]


def training(**options: Any) -> Any:
    return ng.batch_norm_training(*SAMPLE.training(), **options)


def backprop(**options: Any) -> Any:
    return ng.batch_norm_training_backprop(*SAMPLE.backprop(), **options)


def inference_backprop(**options: Any) -> Any:
    return ng.batch_norm_inference_backprop(*SAMPLE.backprop(), **options)


FUNCTIONS = [
    pytest.param(training, TRAINING_OUTPUTS, id="batch_norm_training"),
    pytest.param(backprop, BACKPROP_OUTPUTS, id="batch_norm_training_backprop"),
    pytest.param(inference_backprop, BACKPROP_OUTPUTS, id="batch_norm_inference_backprop"),
]


def empty_out() -> tuple[Array, Array, Array]:
    """An output filled with 7, 8 and 9, which it still holds if nothing was written."""
    shapes = (SAMPLE.shape, (3,), (3,))
    first, second, third = (
        np.full(shape, value, np.float32) for shape, value in zip(shapes, (7, 8, 9), strict=True)
    )
    return first, second, third


# ---- outputs= -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
@pytest.mark.parametrize("as_type", [tuple, list, set, iter, dict.fromkeys])
def test_outputs_selects(function: Call, names: Sequence[str], as_type: Call) -> None:
    everything = function()
    assert everything._fields == names
    for size in (1, 2, 3):
        for selected in itertools.permutations(names, size):
            result = function(outputs=as_type(selected))
            for name in names:
                value = getattr(result, name)
                if name in selected:
                    assert_same_bits(value, getattr(everything, name), f"{selected}: {name}")
                else:
                    assert value is None, f"{selected}: {name}"


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        (("mean_delta",), ValueError),
        (("beta_delta", "normalized", "x"), ValueError),
        (("",), ValueError),
        ((0,), (TypeError, ValueError)),
        ((None,), (TypeError, ValueError)),
        ((b"mean",), (TypeError, ValueError)),
        ("mean", TypeError),
        (1, TypeError),
        ((), ValueError),
    ],
    ids=repr,
)
def test_outputs_must_be_names_of_outputs(
    function: Call, names: Sequence[str], outputs: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^outputs: expected") as raised:
        function(outputs=outputs)
    assert all(name in str(raised.value) for name in names)


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
def test_outputs_must_differ(function: Call, names: Sequence[str]) -> None:
    with pytest.raises(ValueError, match=f"^outputs: .*'{names[1]}'"):
        function(outputs=[names[1], names[0], names[1]])


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
def test_an_error_of_the_outputs_iterable_is_passed_on(
    function: Call, names: Sequence[str]
) -> None:
    def broken() -> Any:
        yield names[0]
        raise RuntimeError("broken iterable")

    with pytest.raises(RuntimeError, match="broken iterable"):
        function(outputs=broken())


def test_what_is_not_selected_is_not_allocated() -> None:
    """numpy reports its allocations to tracemalloc."""
    input = np.zeros((64, 4, 4096), np.float32)
    vector = np.ones(4, np.float32)
    calls: list[Callable[[], object]] = [
        lambda: ng.batch_norm_training(input, None, None, outputs=["mean"]),
        lambda: ng.batch_norm_training_backprop(
            input, None, None, vector, vector, input, outputs=["gamma_delta", "beta_delta"]
        ),
        lambda: ng.batch_norm_inference_backprop(
            input, None, None, vector, vector, input, outputs=["gamma_delta", "beta_delta"]
        ),
    ]
    for call in calls:
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < input.nbytes / 100
    tracemalloc.start()
    ng.batch_norm_training(input, None, None)
    assert tracemalloc.get_traced_memory()[1] >= input.nbytes  # the measurement sees arrays
    tracemalloc.stop()


# ---- out= ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=3)), ids=str)
def test_out_receives_the_outputs(
    function: Call, names: Sequence[str], given: tuple[bool, bool, bool]
) -> None:
    expected = function()
    out = tuple(array if wanted else None for array, wanted in zip(empty_out(), given, strict=True))
    result = function(out=out)
    for name, array in zip(names, out, strict=True):
        assert array is None or getattr(result, name) is array
        assert_same_bits(getattr(result, name), getattr(expected, name), name)


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
def test_out_as_a_single_array_is_the_first_output(function: Call, names: Sequence[str]) -> None:
    out = empty_out()[0]
    result = function(out=out)
    assert result[0] is out
    assert_same_bits(out, function()[0], names[0])


def test_out_of_inference_is_an_array_or_a_tuple_of_one() -> None:
    arguments = SAMPLE.inference()
    expected = ng.batch_norm_inference(*arguments)
    for wrap in (lambda array: array, lambda array: (array,)):
        out = empty_out()[0]
        assert ng.batch_norm_inference(*arguments, out=wrap(out)) is out
        assert_same_bits(out, expected, "normalized")
    assert_same_bits(ng.batch_norm_inference(*arguments, out=(None,)), expected, "normalized")


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
def test_out_and_outputs_together(function: Call, names: Sequence[str]) -> None:
    expected = function()
    out = empty_out()
    result = function(out=(None, out[1], None), outputs=names[1:])
    assert result[0] is None
    assert result[1] is out[1]
    assert_same_bits(out[1], expected[1], names[1])
    assert_same_bits(result[2], expected[2], names[2])
    untouched = empty_out()
    with pytest.raises(ValueError, match=rf"^out\[0\] \({names[0]}\): .*outputs="):
        function(out=untouched, outputs=names[1:])
    assert_untouched(untouched)


def assert_untouched(out: Sequence[Array | None]) -> None:
    for array, filled in zip(out, empty_out(), strict=True):
        assert array is None or np.all(np.asarray(array) == filled.ravel()[0])


def refused_entries() -> dict[str, tuple[int, Callable[[], object], str]]:
    """Name: (index of the entry, the entry, what the message says of it)."""
    shape = SAMPLE.shape
    read_only = np.full(shape, 7, np.float32)
    read_only.flags.writeable = False
    return {
        "wrong shape": (0, lambda: np.full((4, 3, 6), 7, np.float32), "{4,3,6}"),
        "wrong rank": (0, lambda: np.full((4, 15), 7, np.float32), "{4,15}"),
        "would broadcast": (0, lambda: np.full((1, 3, 5), 7, np.float32), "{1,3,5}"),
        "same size": (0, lambda: np.full((5, 3, 4), 7, np.float32), "{5,3,4}"),
        "wider type": (0, lambda: np.full(shape, 7, np.float64), "f64"),
        "narrower type": (0, lambda: np.full(shape, 7, np.float16), "f16"),
        "integer type": (0, lambda: np.full(shape, 7, np.int32), "i32"),
        "foreign byte order": (0, lambda: np.full(shape, 7, ">f4"), "byte order"),
        "read-only": (0, lambda: read_only, "read-only"),
        "broadcast": (
            0,
            lambda: np.lib.stride_tricks.as_strided(np.full(60, 7, np.float32), shape, (0, 20, 4)),
            "strides",
        ),
        "overlapping windows": (
            0,
            lambda: np.lib.stride_tricks.as_strided(np.full(60, 7, np.float32), shape, (12, 8, 4)),
            "strides",
        ),
        "list": (0, lambda: [[1.0]], "list"),
        "number": (0, lambda: 1.0, "float"),
        "text": (0, lambda: "out", "str"),
        "bytes": (1, lambda: b"\0" * 12, "out"),
        "long vector": (1, lambda: np.full(4, 8, np.float32), "{4}"),
        "short vector": (2, lambda: np.full(1, 9, np.float32), "{1}"),
        "column": (2, lambda: np.full((3, 1), 9, np.float32), "{3,1}"),
        "vector of f16": (1, lambda: np.full(3, 8, np.float16), "f16"),
        "expanded vector": (
            2,
            lambda: np.lib.stride_tricks.as_strided(np.full(3, 9, np.float32), (3,), (0,)),
            "strides",
        ),
    }


@pytest.mark.parametrize("case", refused_entries())
@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
def test_refused_out_is_named_and_nothing_is_written(
    function: Call, names: Sequence[str], case: str
) -> None:
    index, make_entry, came = refused_entries()[case]
    out: list[Any] = list(empty_out())
    out[index] = make_entry()
    with pytest.raises(
        (TypeError, ValueError), match=rf"^out\[{index}\] \({names[index]}\): expected"
    ) as error:
        function(out=tuple(out))
    assert came in str(error.value), str(error.value)
    others = [None if position == index else array for position, array in enumerate(out)]
    assert_untouched(others)
    if isinstance(out[index], np.ndarray):
        assert np.all(out[index] == empty_out()[index].ravel()[0])


@pytest.mark.parametrize(("function", "names"), FUNCTIONS)
@pytest.mark.parametrize("out", [(), (None,), (None, None), (None,) * 4, [None] * 3], ids=repr)
def test_out_has_one_entry_per_output(function: Call, names: Sequence[str], out: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^out: expected .*3"):
        function(out=out)


@pytest.mark.parametrize("out", [(), (None, None), [None]], ids=repr)
def test_out_of_inference_has_one_entry(out: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^out: expected"):
        ng.batch_norm_inference(*SAMPLE.inference(), out=out)


# ---- shared memory ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function", [ng.batch_norm_training_backprop, ng.batch_norm_inference_backprop]
)
@pytest.mark.parametrize("target", ["input", "normalized_delta"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_input_delta_may_be_exactly_an_input(
    data_type: str, channel_type: str, target: str, function: Call
) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=51)
    arguments = sample.backprop()
    for name, view in arrangements(getattr(arguments, target)):
        if target == "input":
            expected = function(*arguments._replace(input=view.copy("K")))
        else:
            expected = function(*arguments)
        alias = view[...]  # another object, the same memory
        result = function(*arguments._replace(**{target: view}), out=(alias, None, None))
        assert result.input_delta is alias
        for field in result._fields:
            assert_same_bits(
                getattr(result, field), getattr(expected, field), f"{sample}, {name}: {field}"
            )


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_normalized_may_be_exactly_the_input(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5), data_type, channel_type, seed=52)
    input, *vectors = sample.training()
    expected = ng.batch_norm_training(input, *vectors)
    aliased = input.copy()
    result = ng.batch_norm_training(aliased, *vectors, out=(aliased, None, None))
    assert result.normalized is aliased
    for field in result._fields:
        assert_same_bits(getattr(result, field), getattr(expected, field), f"{sample}: {field}")
    input, *vectors = sample.inference()
    inferred = ng.batch_norm_inference(input, *vectors)
    aliased = input.copy()
    assert ng.batch_norm_inference(aliased, *vectors, out=aliased) is aliased
    assert_same_bits(aliased, inferred, f"{sample}: inference")


def test_input_and_delta_and_input_delta_may_be_one_array() -> None:
    input, gamma, beta, mean, variance, _ = SAMPLE.backprop()
    expected = ng.batch_norm_training_backprop(input, gamma, beta, mean, variance, input)
    one = input.copy()
    ng.batch_norm_training_backprop(one, gamma, beta, mean, variance, one, out=one)
    assert_same_bits(one, expected.input_delta, "input_delta")


def test_inputs_may_share_memory() -> None:
    input, _, _, mean, variance, _ = SAMPLE.backprop()
    expected = ng.batch_norm_training_backprop(
        input, mean.copy(), mean.copy(), mean, variance, input.copy()
    )
    result = ng.batch_norm_training_backprop(input, mean, mean, mean, variance, input)
    for field in result._fields:
        assert_same_bits(getattr(result, field), getattr(expected, field), field)


class Buffer:
    """One block of floats that arguments and outputs are cut from."""

    def __init__(self) -> None:
        self.floats = np.random.default_rng(53).standard_normal(1000).astype(np.float32)
        self.floats[200:206] = np.abs(self.floats[200:206]) + 1  # where variances come from
        self.before = self.floats.tobytes()

    def tensor(self, start: int, step: int = 1) -> Array:
        return self.floats[start : start + 60 * step : step].reshape(SAMPLE.shape)

    def vector(self, start: int) -> Array:
        return self.floats[start : start + 3]

    def backprop(self, out: tuple[Array | None, Array | None, Array | None]) -> Any:
        """Arguments: input 0:60, delta 100:160, gamma 180, beta 190, mean 197, variance 200."""
        return ng.batch_norm_training_backprop(
            self.tensor(0),
            self.vector(180),
            self.vector(190),
            self.vector(197),
            self.vector(200),
            self.tensor(100),
            out=out,
        )


# Overlapping outputs: (entries of out, index of the one refused, the argument it overlaps).
OVERLAPS: dict[str, tuple[Callable[[Buffer], tuple[Any, Any, Any]], int, str]] = {
    "input shifted by one": (lambda b: (b.tensor(1), None, None), 0, "input"),
    "input shifted by one byte": (
        lambda b: (
            np.ndarray(SAMPLE.shape, np.float32, buffer=b.floats.view(np.uint8), offset=1),
            None,
            None,
        ),
        0,
        "input",
    ),
    "last element of input": (lambda b: (b.tensor(59), None, None), 0, "input"),
    "input backwards": (lambda b: (b.tensor(0)[::-1, ::-1, ::-1], None, None), 0, "input"),
    "input transposed": (
        lambda b: (b.floats[:60].reshape(5, 3, 4).transpose(2, 1, 0), None, None),
        0,
        "input",
    ),
    "every second element": (lambda b: (b.tensor(0, 2), None, None), 0, "input"),
    "delta shifted by one": (lambda b: (b.tensor(99), None, None), 0, "normalized_delta"),
    "gamma inside input_delta": (lambda b: (b.tensor(165), None, None), 0, "gamma"),
    "gamma_delta in gamma": (lambda b: (None, b.vector(180), None), 1, "gamma"),
    "gamma_delta in beta": (lambda b: (None, b.vector(191), None), 1, "beta"),
    "gamma_delta in mean": (lambda b: (None, b.vector(195), None), 1, "mean"),
    "beta_delta in variance": (lambda b: (None, None, b.vector(202)), 2, "variance"),
    "beta_delta in input": (lambda b: (None, None, b.vector(30)), 2, "input"),
    "beta_delta in delta": (lambda b: (None, None, b.vector(158)), 2, "normalized_delta"),
    "beta_delta backwards in gamma": (lambda b: (None, None, b.vector(180)[::-1]), 2, "gamma"),
    "the same vector twice": (
        lambda b: (None, b.vector(300), b.vector(300)),
        2,
        "out[1] (gamma_delta)",
    ),
    "vectors that overlap": (
        lambda b: (None, b.vector(300), b.vector(302)),
        2,
        "out[1] (gamma_delta)",
    ),
    "vector in input_delta": (
        lambda b: (b.tensor(300), b.vector(310), None),
        1,
        "out[0] (input_delta)",
    ),
    "vector in the input that input_delta is": (
        lambda b: (b.tensor(0), b.vector(10), None),
        1,
        "input",
    ),
    "input_delta on input and delta": (
        lambda b: (b.tensor(50), None, None),
        0,
        "input",
    ),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_overlap_is_refused_and_nothing_is_written(case: str) -> None:
    make_out, index, overlapped = OVERLAPS[case]
    buffer = Buffer()
    with pytest.raises(ValueError, match=rf"^out\[{index}\] \({BACKPROP_OUTPUTS[index]}\):") as e:
        buffer.backprop(make_out(buffer))
    assert str(e.value).endswith(f"overlaps {overlapped}"), str(e.value)
    assert buffer.floats.tobytes() == buffer.before


def test_alias_of_one_input_that_overlaps_the_other_is_refused() -> None:
    buffer = Buffer()
    vectors = [buffer.vector(start) for start in (180, 190, 197, 200)]
    for input, delta in ((0, 59), (59, 0)):
        with pytest.raises(ValueError, match=r"^out\[0\] \(input_delta\):"):
            ng.batch_norm_training_backprop(
                buffer.tensor(input), *vectors, buffer.tensor(delta), out=buffer.tensor(0)
            )
    assert buffer.floats.tobytes() == buffer.before


def test_overlap_in_the_forward_functions_is_refused() -> None:
    buffer = Buffer()
    input, gamma = buffer.tensor(0), buffer.vector(180)
    for out, index in (
        ((buffer.tensor(7), None, None), 0),
        ((None, buffer.vector(180), None), 1),
        ((None, None, buffer.vector(3)), 2),
        ((None, buffer.vector(300), buffer.vector(301)), 2),
    ):
        with pytest.raises(ValueError, match=rf"^out\[{index}\] \({TRAINING_OUTPUTS[index]}\):"):
            ng.batch_norm_training(input, gamma, None, out=out)
    with pytest.raises(ValueError, match=r"^out\[0\] \(normalized\): .*input"):
        ng.batch_norm_inference(
            input, gamma, None, buffer.vector(190), buffer.vector(200), out=buffer.tensor(7)
        )
    assert buffer.floats.tobytes() == buffer.before


def test_interleaved_views_of_one_buffer_are_disjoint() -> None:
    sample = Sample((6, 3, 8), seed=54)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    for axis in range(3):
        both = np.repeat(np.zeros(sample.shape, np.float32), 2, axis)
        before = (slice(None),) * axis
        even, odd = (*before, slice(0, None, 2)), (*before, slice(1, None, 2))
        both[even] = arguments.input
        result = ng.batch_norm_training_backprop(
            *arguments._replace(input=both[even]), out=(both[odd], None, None)
        )
        assert np.array_equal(both[even], arguments.input)
        assert_same_bits(result.input_delta, expected.input_delta, f"{sample}, axis {axis}")
    vectors = np.zeros(12, np.float32)
    result = ng.batch_norm_training_backprop(*arguments, out=(None, vectors[1:7:2], vectors[0:6:2]))
    assert_same_bits(result.gamma_delta, expected.gamma_delta, "gamma_delta")
    assert_same_bits(result.beta_delta, expected.beta_delta, "beta_delta")


@pytest.mark.parametrize("writable", [False, True])
def test_inputs_are_never_written(writable: bool) -> None:
    for sample in (SAMPLE, Sample((5, 3, 4), "bf16", "f32", seed=55)):
        for arguments, function in (
            (sample.training(), ng.batch_norm_training),
            (sample.inference(), ng.batch_norm_inference),
            (sample.backprop(), ng.batch_norm_training_backprop),
            (sample.backprop(), ng.batch_norm_inference_backprop),
            (sample.training(), ng.batch_norm_training_relu),
        ):
            arrays = [array for array in arguments if array is not None]
            before = [array.tobytes() for array in arrays]
            for array in arrays:
                array.flags.writeable = writable
            function(*arguments)
            assert [array.tobytes() for array in arrays] == before, f"{sample}, {function}"
