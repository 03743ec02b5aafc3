"""Broken functions are named rightly; right ones conform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.conform import MISTAKES
from normgraph.conform.cases import DIFFICULTIES

from . import functions
from .functions import BACKWARDS, FORWARDS, Array, forward_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def conformance(function: Any, *arguments: Any, **options: Any) -> ng.Conformance:
    return ng.conformance(function, *arguments, **{"order": False, **options})


#: float holds no sum of squares of 1e19, which is the one thing wrong with them.
WITHOUT_OVERFLOW = [one.name for one in DIFFICULTIES if one.name == "huge"]


def test_right_functions_conform() -> None:
    forward = conformance(forward_of(), skip=WITHOUT_OVERFLOW)
    assert forward, str(forward)
    assert {one.verdict for one in forward.results} == {"accurate", "ok"}
    backward = conformance(functions.backward_of())
    assert backward, str(backward)
    inference = conformance(functions.inference_of(functions.usual))
    assert inference, str(inference)


def test_sums_of_squares_beyond_float_are_named() -> None:
    result = conformance(forward_of())
    assert result.mistakes == ("overflow",)
    assert {one.case for one in result.failures} == {
        f"training-f32-{layout}-huge" for layout in ("nc", "nchw", "nhwc")
    }


@pytest.mark.parametrize("name", FORWARDS)
def test_a_broken_forward_is_named(name: str) -> None:
    function, mistake = FORWARDS[name]
    result = conformance(function, skip=WITHOUT_OVERFLOW)
    assert not result
    assert result.mistakes[0] == mistake, str(result)
    # A variance that is rounded to half precision may also be beyond it.
    assert {*result.mistakes[1:]} <= {"overflow"}
    assert f"[{mistake}]" in str(result)


@pytest.mark.parametrize("name", BACKWARDS)
def test_a_broken_backward_is_named(name: str) -> None:
    function, mistake = BACKWARDS[name]
    result = conformance(function)
    assert not result
    assert result.mistakes == (mistake,), str(result)


@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16", "f16"])
@pytest.mark.parametrize("name", ["unbiased variance", "gamma forgotten", "not centered"])
def test_a_mistake_is_named_in_each_type_alone(name: str, dtype: str) -> None:
    function, mistake = FORWARDS[name]
    result = conformance(function, dtypes=[dtype], skip=WITHOUT_OVERFLOW)
    assert result.mistakes == (mistake,), str(result)


def test_a_sum_longer_than_half_precision_counts_is_named() -> None:
    result = conformance(forward_of(statistics=functions.counted_in_half), dtypes=["f16"])
    long = [one for one in result.results if one.case.endswith("-long")]
    assert [one.mistake for one in long] == ["chain_too_long"] * 3
    assert not any(one.conforms for one in long)


def test_a_gradient_summed_in_half_precision_is_named() -> None:
    def in_half(d: Array, xh: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
        def total(terms: Array) -> Array:
            rows = np.moveaxis(terms, axes, range(len(axes))).astype(np.float16)
            found = np.zeros(rows.shape[len(axes) :], np.float16)
            for row in rows.reshape(-1, *found.shape):
                found = found + row
            return found.astype(np.float32)

        return total(d * xh), total(d)

    result = conformance(functions.backward_of(sums=in_half), dtypes=["f16"])
    assert "chain_too_long" in result.mistakes
    assert "training" not in str(result).splitlines()[0]


def test_float_in_place_of_double_is_named() -> None:
    result = conformance(functions.narrowed, dtypes=["f64"])
    assert result.mistakes[0] == "low_precision"


def test_a_nan_that_leaves_its_channel_is_named() -> None:
    result = conformance(functions.spoiled, skip=WITHOUT_OVERFLOW)
    assert result.mistakes == ("not_finite_spreads",)
    assert {one.case.rsplit("-", 1)[1] for one in result.failures} == {"nan", "infinity"}


def test_a_nan_that_is_lost_is_named() -> None:
    def careless(x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int) -> Array:
        return np.nan_to_num(forward_of()(x, gamma, beta, eps, channel_axis))

    result = conformance(careless, skip=WITHOUT_OVERFLOW)
    assert result.mistakes == ("not_finite_spreads",)
    assert {one.case.rsplit("-", 1)[1] for one in result.failures} == {"nan", "infinity"}


def test_statistics_of_the_batch_in_inference_are_named() -> None:
    result = conformance(functions.own_statistics)
    assert result.mistakes == ("own_statistics",)


def test_a_rsqrt_of_the_given_inverse_is_named_in_inference() -> None:
    broken = functions.inference_of(
        lambda x, m, v, g, b, e: g * (x - m) / np.sqrt(1 / np.sqrt(v + e) + e) + b
    )
    assert conformance(broken).mistakes == ("inverse_as_variance",)


def with_relu(formula: Any) -> Any:
    def function(
        x: Array, gamma: Array, beta: Array, residual: Array, eps: float, channel_axis: int
    ) -> Array:
        y = forward_of()(functions.working(x), gamma, beta, eps, channel_axis)
        return np.asarray(formula(y, functions.working(residual)).astype(x.dtype))

    return function


@pytest.mark.parametrize(
    ("formula", "mistake"),
    [
        (lambda y, r: np.maximum(y + r, 0), None),
        (lambda y, r: y + r, "relu_missing"),
        (lambda y, r: np.maximum(y, 0), "residual_missing"),
        (lambda y, r: np.maximum(y, 0) + r, "residual_after_relu"),
        (lambda y, r: np.maximum(np.flip(y) * y, 0), "unknown"),
    ],
)
def test_mistakes_about_a_relu_are_named(formula: Any, mistake: str | None) -> None:
    result = conformance(with_relu(formula), activation="add_relu")
    assert len(result.results) == 12
    assert result.mistakes == (() if mistake is None else (mistake,))


def test_a_missing_upper_bound_is_named() -> None:
    def relu(x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int) -> Array:
        return np.maximum(forward_of()(x, gamma, beta, eps, channel_axis), 0)

    assert conformance(relu, activation="relu")
    assert conformance(relu, activation="relu6").mistakes == ("upper_bound_missing",)


def test_padding_that_counts_is_named() -> None:
    def blind(
        x: Array, gamma: Array, beta: Array, eps: float, channel_axis: int, where: Any = None
    ) -> Array:
        return forward_of()(x, gamma, beta, eps, channel_axis)

    result = conformance(blind, skip=WITHOUT_OVERFLOW)
    assert result.mistakes == ("padding_counts",)
    assert len(result.failures) == 24


def test_every_mistake_is_described() -> None:
    named = {mistake for _, mistake in (*FORWARDS.values(), *BACKWARDS.values())}
    assert named <= set(MISTAKES)
    assert len(FORWARDS) + len(BACKWARDS) >= 20
