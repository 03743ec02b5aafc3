"""How functions are called, and what is said of those that cannot be."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import normgraph as ng
from normgraph.conform.frameworks import framework_of
from normgraph.conform.report import WIDTH
from tests.cli import command

from .functions import Array, backward_of, forward_of, inference_of, usual

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

RIGHT = forward_of()


def conformance(function: Any, *arguments: Any, **options: Any) -> ng.Conformance:
    given = {"order": False, "skip": ["huge"], "dtypes": ["f64"], **options}
    return ng.conformance(function, *arguments, **given)


def rows(x: Array, gamma: Array, beta: Array) -> Array:
    """Matrices alone; its own epsilon."""
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) + beta


def test_a_function_of_matrices_is_tried_on_matrices() -> None:
    result = conformance(rows)
    assert result, str(result)
    assert {one.case.split("-")[2] for one in result.results} == {"nc"}
    assert "not tried, since it raises with easy data: f64 ncl (ValueError: " in str(result)
    # It takes no epsilon, and is tried with its own.
    assert not any(one.case.endswith("no_epsilon") for one in result.results)
    assert result.left_out["epsilon is 1 there"] == 3


def test_another_epsilon_is_a_mistake_unless_it_is_told() -> None:
    def large(x: Array, gamma: Array, beta: Array) -> Array:
        return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1.0) + beta

    assert not conformance(large)
    result = conformance(large, epsilon=1.0)
    assert result, str(result)
    assert len(result.results) == 11


def test_the_last_axis_can_be_told() -> None:
    def last(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return np.asarray(RIGHT(x, gamma, beta, eps, -1))

    result = conformance(last, channel_axis=-1)
    assert result, str(result)
    assert {one.case.split("-")[2] for one in result.results} == {"nc", "nhwc"}


def test_the_role_is_told_by_the_parameters() -> None:
    assert conformance(RIGHT).role == "training"
    assert conformance(inference_of(usual)).role == "inference"
    assert conformance(backward_of()).role == "backward"
    frozen = conformance(ng.batch_norm_inference_backprop, "inference_backward")
    assert (frozen.role, frozen.passed) == ("inference_backward", True)


def test_unknown_names_are_taken_by_their_number_or_as_told() -> None:
    assert conformance(lambda a, b, c: rows(a, b, c))
    assert conformance(lambda a, b, c: rows(c, a, b), arguments=["gamma", "beta", "x"])

    def five(a: Array, b: Array, c: Array, d: Array, e: Array) -> Array:
        return b * (a - d) / np.sqrt(e + 1e-5) + c

    result = conformance(five, "inference", channel_axis=-1)
    assert result, str(result)
    assert len(result.results) > 10


def test_a_cache_comes_from_the_forward_function() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        inv = 1 / np.sqrt(x.var(axis=0) + eps)
        x_hat = (x - x.mean(axis=0)) * inv
        return gamma * x_hat + beta, (x_hat, gamma, inv)

    def backward(dout: Array, cache: Any) -> Any:
        x_hat, gamma, inv = cache
        dbeta, dgamma = dout.sum(axis=0), (dout * x_hat).sum(axis=0)
        return gamma * inv * (dout - dbeta / len(dout) - x_hat * dgamma / len(dout)), dgamma, dbeta

    def wrong(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = backward(dout, cache)
        return dx, dgamma, dbeta / len(dout)

    options: dict[str, Any] = {"forward": forward, "skip": ["no_elements", "nan", "infinity"]}
    result = conformance(backward, **options)
    assert result, str(result)
    assert conformance(wrong, **options).mistakes == ("averaged",)
    with pytest.raises(TypeError, match="it takes a cache, so give its forward function: forward="):
        conformance(backward)
    with pytest.raises(TypeError, match="forward: expected a cache behind y"):
        conformance(backward, forward=rows)


class Result(NamedTuple):
    y: Array
    mean: Array
    batch_var: Array


def test_statistics_are_judged_where_they_have_names() -> None:
    def named(x: Array, gamma: Array, beta: Array) -> Result:
        return Result(rows(x, gamma, beta), x.mean(axis=0), x.var(axis=0, ddof=1))

    def in_dict(x: Array, gamma: Array, beta: Array) -> dict[str, Array]:
        return {"y": rows(x, gamma, beta), "mean": x.mean(axis=0), "variance": x.var(axis=0)}

    result = conformance(named, skip=["count_1", "huge"])
    assert not result
    assert {name for one in result.failures for name in one.scores} == {
        "normalized", "mean", "variance",
    }  # fmt: skip
    assert all(one.scores["mean"].verdict != "WRONG" for one in result.failures)
    assert all(one.scores["variance"].verdict == "WRONG" for one in result.failures)
    assert conformance(in_dict)
    # A tuple's rest may be a cache, unless it is told what it is.
    assert conformance(lambda x, gamma, beta: tuple(named(x, gamma, beta)))
    told = conformance(
        lambda x, gamma, beta: tuple(named(x, gamma, beta)),
        outputs=["normalized", "mean", "variance"],
    )
    assert not told


# ---- what cannot be used -------------------------------------------------------------------------


def test_exceptions_are_results_of_their_cases() -> None:
    def refuses(x: Array, gamma: Array, beta: Array) -> Array:
        if len(x) == 1:
            raise ValueError("more than one sample is needed")
        return rows(x, gamma, beta)

    result = conformance(refuses)
    assert not result
    (failure,) = result.failures
    assert (failure.case, failure.verdict) == ("training-f64-nc-count_1", "raised")
    assert (failure.mistake, failure.words) == (
        "raised",
        "ValueError: more than one sample is needed",
    )
    assert "[raised] in training-f64-nc-count_1" in str(result)


def test_a_function_that_always_raises_does_not_conform() -> None:
    def broken(x: Array, gamma: Array, beta: Array) -> Array:
        raise KeyError("mean")

    result = conformance(broken)
    assert not result
    assert result.mistakes == ("raised",)


@pytest.mark.parametrize(
    ("function", "mistake", "words"),
    [
        (
            lambda x, gamma, beta: rows(x, gamma, beta)[:-1],
            "shape",
            "normalized has the shape (30, 4)",
        ),
        (lambda x, gamma, beta: rows(x, gamma, beta).astype(np.float32), "type", "is of float32"),
        (lambda x, gamma, beta: rows(x, gamma, beta).astype(int), "type", "is of int64"),
        (lambda x, gamma, beta: None, "missing_output", "it returns nothing"),
        (
            lambda x, gamma, beta: "y",
            "missing_output",
            "expected an array of real numbers, got str",
        ),
        (lambda x, gamma, beta: rows(x, gamma, beta) + 1j, "missing_output", "complex128"),
    ],
)
def test_outputs_that_are_none_are_named(function: Any, mistake: str, words: str) -> None:
    result = conformance(function)
    assert not result
    assert result.mistakes == (mistake,)
    assert words in result.failures[0].words


@pytest.mark.parametrize(("data", "other"), [("f16", "bfloat16"), ("bf16", "float16")])
def test_no_type_of_16_bits_stands_for_the_other(data: str, other: str) -> None:
    def narrowed(x: Array, gamma: Array, beta: Array) -> Array:
        return rows(*(array.astype(np.float32) for array in (x, gamma, beta))).astype(
            np.dtype(other)
        )

    result = conformance(narrowed, dtypes=[data])
    assert result.mistakes == ("type",)
    assert f"normalized is of {other}; expected {data} or wider" in result.failures[0].words


def test_a_wrong_number_of_outputs_is_named() -> None:
    result = conformance(rows, outputs=["normalized", "mean"])
    assert result.mistakes == ("missing_output",)
    assert result.failures[0].words == "expected 2 outputs (normalized, mean), got 1"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"role": "forward"}, ValueError, "role: expected one of training, inference, backward"),
        ({"framework": "tf"}, ValueError, "framework: expected one of numpy, torch, jax"),
        ({"activation": "gelu"}, ValueError, "activation: expected one of none, relu, relu6"),
        ({"epsilon": -1}, ValueError, "epsilon: expected a finite number >= 0, got -1.0"),
        ({"epsilon": "1"}, TypeError, "epsilon: expected a real number"),
        ({"channel_axis": 1.0}, TypeError, "channel_axis: expected an integer"),
        ({"dtypes": "f32"}, TypeError, "dtypes: expected a sequence of words"),
        ({"dtypes": ["i8"]}, ValueError, "dtypes: expected one of f64, f32, bf16, f16, got 'i8'"),
        ({"skip": ["hard"]}, ValueError, "skip: expected some of easy, epsilon, shift"),
        ({"skip": "nan"}, TypeError, "skip: expected a sequence of words"),
        ({"strict": 1}, TypeError, "strict: expected True or False"),
        ({"arguments": ["x", "y"]}, ValueError, "arguments: expected different ones of x, gamma"),
        ({"arguments": "x"}, TypeError, "arguments: expected a sequence of words"),
        ({"outputs": []}, ValueError, "outputs: expected different names"),
        ({"progress": 3}, TypeError, "progress: expected a function or None"),
        ({"arguments": ["x", "delta"], "role": "training"}, TypeError, "is not given delta"),
    ],
)
def test_bad_arguments_are_named(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        conformance(rows, **options)


def test_what_is_no_function_is_named() -> None:
    with pytest.raises(TypeError, match="function: expected a function, got 3"):
        conformance(3)
    with pytest.raises(TypeError, match="expected parameters that stand for some of"):
        conformance(lambda a, b, c, d, e, f, g, h: a)


def test_interruptions_pass() -> None:
    def interrupted(x: Array, gamma: Array, beta: Array) -> Array:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conformance(interrupted)


def test_strict_asks_for_more() -> None:
    assert conformance(RIGHT, dtypes=["f32"])
    strict = conformance(RIGHT, dtypes=["f32"], strict=True)
    assert not strict
    assert strict.mistakes == ()
    assert "are not accurate" in str(strict)


def test_the_report_fits_80_columns() -> None:
    result = ng.conformance(RIGHT)
    assert max(map(len, str(result).splitlines())) <= WIDTH
    lines = str(result).splitlines()
    assert lines[0].split() == ["training", "f64", "f32", "bf16", "f16"]
    assert next(line for line in lines if line.startswith("huge")).split()[1:3] == ["1e+07", "!"]


WITHOUT_BF16 = """\
import sys
sys.modules["ml_dtypes"] = None
import normgraph as ng
loaded = {"torch", "jax", "onnx", "onnxruntime"} & set(sys.modules)
result = ng.conformance(ng.batch_norm_inference, order=False)
print(loaded or "none", bool(result), *result.notes, sep="|")
result = ng.conformance(ng.batch_norm_inference, order=False, dtypes=["bf16"])
print(bool(result), *result.mistakes, sep="|")
"""


def test_numpy_alone_is_enough(tmp_path: Path) -> None:
    result = command.start([sys.executable, "-c", WITHOUT_BF16], tmp_path)
    assert result.stderr == ""
    first, second = result.stdout.splitlines()
    assert first.startswith(
        "none|True|not tried, since it raises with easy data: bf16 nc, bf16 ncl"
    )
    assert first.endswith("(not called: numpy has bf16 arrays only with the package ml_dtypes)")
    assert second == "False|raised"


def test_progress_is_told() -> None:
    said: list[str] = []
    conformance(rows, progress=said.append)
    assert said[0] == "calls the function with training-f64-nc-easy"


def test_the_framework_is_that_of_the_code() -> None:
    assert framework_of(rows) == "numpy"
    assert framework_of(ng.batch_norm_training) == "numpy"


# ---- what strangers write ------------------------------------------------------------------------


def test_arguments_by_keyword_alone_or_with_defaults_are_read() -> None:
    def by_keyword(*, x: Array, gamma: Array, beta: Array) -> Array:
        return rows(x, gamma, beta)

    def with_defaults(x: Any = None, gamma: Any = None, beta: Any = None) -> Array:
        return rows(x, gamma, beta)

    assert conformance(by_keyword)
    assert conformance(with_defaults)


def test_an_optional_argument_that_a_case_has_not_is_left_out() -> None:
    def optional(x: Array, gamma: Array, beta: Array, residual: Any = None) -> Array:
        y = rows(x, gamma, beta)
        return np.maximum(y if residual is None else y + residual, 0)

    assert conformance(optional, activation="relu")
    assert conformance(optional, activation="add_relu")


def test_nested_lists_are_arrays() -> None:
    assert conformance(lambda x, gamma, beta: rows(x, gamma, beta).tolist())


def test_a_result_in_a_wider_type_than_double_is_right() -> None:
    assert conformance(lambda x, gamma, beta: rows(x, gamma, beta).astype(np.longdouble))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda y: {"Y": y}, "it returns a dict of Y; expected some of normalized, mean, variance"),
        (lambda y: {}, "it returns nothing"),
    ],
)
def test_a_dict_without_a_known_name_is_told(returned: Any, words: str) -> None:
    result = conformance(lambda x, gamma, beta: returned(rows(x, gamma, beta)))
    assert result.mistakes == ("missing_output",)
    assert words in result.failures[0].words


def test_outputs_may_have_names_that_results_have() -> None:
    assert conformance(rows, outputs=["y"])


def test_a_function_that_is_wrong_in_another_way_each_time_is_told() -> None:
    generator = np.random.default_rng(5)

    def noisy(x: Array, gamma: Array, beta: Array) -> Array:
        return rows(x, gamma, beta) * (1 + 1e-3 * generator.normal())

    assert conformance(noisy, skip=["nan", "infinity"]).mistakes == ("not_repeatable",)


def test_what_is_not_finite_in_a_forward_pass_is_no_gradient() -> None:
    result = conformance(lambda x, gamma, beta: rows(x, gamma, beta) * np.nan)
    assert result.mistakes[0] == "not_finite"
    assert result.failures[0].words == "normalized: NaN or infinity where the exact value is finite"


class Layer:
    def __call__(self, x: Array, gamma: Array, beta: Array) -> Array:
        return rows(x, gamma, beta)

    async def later(self, x: Array, gamma: Array, beta: Array) -> Array:
        return rows(x, gamma, beta)


def test_objects_that_can_be_called_are_functions_and_classes_are_none() -> None:
    assert conformance(Layer())
    for function, words in (
        (Layer, "got the class Layer; give an object of it, or a method of one"),
        (Layer().later, "got an async function"),
        (lambda x: x, "expected one that is given gamma and beta, got one of (x)"),
    ):
        with pytest.raises(TypeError, match=re.escape(words)):
            conformance(function)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtypes": []}, ValueError, "dtypes: expected some of f64, f32, bf16, f16, got none"),
        ({"dtypes": [["f32"]]}, ValueError, "dtypes: expected one of f64"),
        ({"skip": [["nan"]]}, ValueError, "skip: expected some of easy"),
        ({"arguments": []}, ValueError, "arguments: expected some of x"),
        ({"outputs": [3]}, ValueError, "outputs: expected different names"),
        ({"outputs": ["y", "normalized"]}, ValueError, "outputs: expected different names"),
        ({"outputs": ["q"]}, ValueError, "outputs: expected some of normalized, mean, variance"),
        ({"runtime": "x"}, ValueError, "runtime: expected one of onnxruntime, onnx.reference"),
        ({"threads": 3}, TypeError, "threads: expected a function of a number, got 3"),
        ({"forward": 3}, TypeError, "forward: expected a function, got 3"),
        ({"forward": print}, TypeError, "forward: expected parameters"),
        ({"forward_arguments": ["x"]}, ValueError, "forward_arguments: expected None"),
    ],
)
def test_more_bad_arguments_are_named(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        ng.conformance(rows, **options)
