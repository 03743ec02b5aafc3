"""Backward functions: right ones pass, and the mistake of each wrong one is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.verification import MISTAKES

from . import right
from .broken import BROKEN, Backward, Mistakes
from .right import Array


def example(*shape: int) -> Array:
    """Standard normal data."""
    return np.random.default_rng(1502).normal(size=shape)


def mistakes_in(verification: ng.Verification) -> Mistakes:
    """The findings, as (output, mistake)."""
    assert verification.passed == (not verification.findings) == bool(verification)
    assert all(finding.mistake in MISTAKES for finding in verification.findings)
    return {(finding.output, finding.mistake) for finding in verification.findings}


# ---- right ones ----------------------------------------------------------------------------------


def test_right_functions_of_rows_pass() -> None:
    for backward in (right.staged, right.closed_form):
        verification = ng.verify(right.forward, backward, example(12, 5))
        assert verification.passed, str(verification)
        gradients = ("input_delta", "gamma_delta", "beta_delta")
        assert {(m.output, m.against) for m in verification.measurements} == {
            ("normalized", "the definition"),
            *((output, "the definition") for output in gradients),
            *((output, "finite differences") for output in gradients),
        }
        # Truncation of fourth order, (2.6e-3)⁴ at the largest step, is far below that of second.
        assert all(m.tolerance < 1e-9 for m in verification.measurements)
        assert verification.notes == ()


@pytest.mark.parametrize("shape", [(9, 3), (4, 2, 3), (3, 4, 2, 5), (2, 3, 2, 2, 3)])
def test_vectorized_class_passes_on_any_rank(shape: tuple[int, ...]) -> None:
    layer = right.Layer(shape[-1])
    verification = ng.verify(
        layer.forward, layer.backward, example(*shape), epsilon=1e-8, channel_axis=-1
    )
    assert verification.passed, str(verification)
    assert {m.output for m in verification.measurements} == {
        "normalized",
        "input_delta",
        "gamma_delta",
    }


def test_frozen_statistics_pass_where_they_are_given() -> None:
    layer = right.Layer(3)
    layer.is_training = False
    verification = ng.verify(
        layer.forward,
        layer.backward_with_frozen_statistics,
        example(6, 2, 3),
        epsilon=1e-8,
        channel_axis=-1,
        statistics=(layer.mean, layer.var),
    )
    assert verification.passed, str(verification)


def test_unbiased_variance_passes_where_it_is_asked_for() -> None:
    functions = (right.unbiased_forward, right.unbiased_closed_form, example(6, 3))
    assert ng.verify(*functions, unbiased=True)
    found = mistakes_in(ng.verify(*functions))
    assert found == {("normalized", "unbiased_variance")}


def test_channels_first_images_pass() -> None:
    assert ng.verify(right.images_forward, right.images_backward, example(3, 5, 2, 4))
    vectors = np.ones((2, 1, 5, 1, 1))
    x = example(3, 5, 2, 4)
    assert ng.verify(right.broadcast_forward, right.broadcast_backward, (x, *vectors))


@pytest.mark.parametrize(("shape", "axis"), [((8, 5), 1), ((2, 3, 4, 5), 1), ((2, 3, 4, 5), -1)])
def test_the_kernels_pass(shape: tuple[int, ...], axis: int) -> None:
    verification = ng.verify(
        ng.batch_norm_training,
        ng.batch_norm_training_backprop,
        example(*shape),
        channel_axis=axis,
    )
    assert verification.passed, str(verification)
    statistics = (np.full(shape[axis], 0.2), np.full(shape[axis], 1.5))
    verification = ng.verify(
        lambda x, gamma, beta: ng.batch_norm_inference(
            x, gamma, beta, *statistics, channel_axis=axis
        ),
        ng.batch_norm_inference_backprop,
        example(*shape),
        channel_axis=axis,
        statistics=statistics,
    )
    assert verification.passed, str(verification)


@pytest.mark.parametrize("epsilon", [0.0, 1e-8, 1e-3, 1.0])
def test_any_epsilon_passes(epsilon: float) -> None:
    assert ng.verify(right.forward, right.staged, example(12, 5), epsilon=epsilon)


@pytest.mark.parametrize(
    "x",
    [
        example(1, 4),
        example(2, 4),
        np.full((6, 2), 1 / 3),
        1e3 + 0.1 * example(20, 3),
        example(20, 5) * 10.0 ** np.arange(-6, 4, 2),
    ],
    ids=["one row", "two rows", "constant", "large mean", "different scales"],
)
def test_right_functions_pass_on_any_example(x: Array) -> None:
    for backward in (right.staged, right.closed_form):
        verification = ng.verify(right.forward, backward, x)
        assert verification.passed, str(verification)


@pytest.mark.parametrize(("value", "n"), [(0.1, 6), (0.1, 7), (1 / 3, 10), (1.1, 50)])
def test_the_rounded_mean_of_a_constant_is_no_mistake(value: float, n: int) -> None:
    """Without a beta, all that y and gamma_delta consist of is what the rounding leaves."""
    x = np.full((n, 2), value)
    assert (x.mean(0) != value).any()
    layer = right.Layer(2)
    functions = (layer.forward, layer.backward, x)
    assert ng.verify(*functions, epsilon=1e-8, channel_axis=-1)


def test_a_gamma_of_zero_passes() -> None:
    x = example(12, 3)
    assert ng.verify(right.forward, right.staged, (x, np.array([0.0, 1.0, -2.0]), np.zeros(3)))


# ---- wrong ones ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BROKEN)
def test_mistake_is_named(name: str) -> None:
    backward, mistakes = BROKEN[name]
    verification = ng.verify(right.forward, backward, example(12, 5))
    assert mistakes_in(verification) == mistakes, str(verification)


@pytest.mark.parametrize("name", [name for name in BROKEN if "inv" in name or "n - 1" in name])
def test_mistake_is_named_by_any_seed_and_epsilon(name: str) -> None:
    backward, mistakes = BROKEN[name]
    for seed, epsilon in ((1, 1e-8), (2, 1e-3), (3, 0.5)):
        verification = ng.verify(
            right.forward, backward, example(30, 3), seed=seed, epsilon=epsilon
        )
        assert mistakes_in(verification) == mistakes, str(verification)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mean path missing", "the mean path: missing"),
        ("variance path missing", "the variance path: missing"),
        ("frozen statistics", "right for frozen statistics"),
        ("1/n missing in the mean path", "the mean path: not divided by n = 7"),
        ("n - 1 in both paths", "the mean path and the variance path: divided by n − 1 = 6"),
        ("the number of features for n", "divided by 4, the length of axis 1"),
        ("inv missing", "all of it: inv = 1/√(variance+ε) is missing"),
        ("inv missing in the variance path", "the variance path: inv = 1/√(variance+ε) is missing"),
        ("inv³ missing in the variance path", "the variance path: inv³ = (variance+ε)^(−3/2)"),
        ("means over the features", "summed over axis 1; it should be axis 0"),
        ("sums averaged", "averaged over the n = 7 elements"),
        ("an unknown factor", "that times 1.3 1.3 1.3 1.3"),
    ],
)
def test_words_say_where_and_what(name: str, words: str) -> None:
    verification = ng.verify(right.forward, BROKEN[name][0], example(12, 5))
    assert words in " ".join(finding.words for finding in verification.findings)
    assert words.split()[0] in str(verification)


def unbiased_backward_of_the_biased_variance(dout: Array, cache: Any) -> tuple[Array, ...]:
    xhat, gamma, _, inv = cache
    return right.closed_form(dout, (xhat, gamma, None, inv))


def test_a_missing_factor_of_the_unbiased_variance_is_named() -> None:
    verification = ng.verify(
        right.unbiased_forward,
        unbiased_backward_of_the_biased_variance,
        example(9, 3),
        unbiased=True,
    )
    assert mistakes_in(verification) == {("input_delta", "n_instead_of_n_minus_1")}


def test_divided_by_inv_is_named() -> None:
    def backward(dout: Array, cache: Any) -> tuple[Array, ...]:
        xhat, gamma, _, inv, *_ = cache
        scaled = gamma * (dout - dout.mean(0) - xhat * (dout * xhat).mean(0))
        return scaled / inv, (dout * xhat).sum(0), dout.sum(0)

    assert mistakes_in(ng.verify(right.forward, backward, example(9, 3))) == {
        ("input_delta", "inv_divided")
    }


# ---- x instead of x_hat --------------------------------------------------------------------------


def forward_that_keeps_x(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    y, (xhat, _, _, inv, *_) = right.forward(x, gamma, beta, eps)
    return y, (x, y, xhat, gamma, inv)


def uncentered_outside(dout: Array, cache: Any) -> Array:
    x, _, xhat, gamma, inv = cache
    scaled: Array = gamma * inv * (dout - dout.mean(0) - x * inv * (dout * xhat).mean(0))
    return scaled


def uncentered_inside(dout: Array, cache: Any) -> Array:
    x, _, xhat, gamma, inv = cache
    scaled: Array = gamma * inv * (dout - dout.mean(0) - xhat * (dout * x * inv).mean(0))
    return scaled


def uncentered_both(dout: Array, cache: Any) -> Array:
    x, _, _, gamma, inv = cache
    xi = x * inv
    scaled: Array = gamma * inv * (dout - dout.mean(0) - xi * (dout * xi).mean(0))
    return scaled


@pytest.mark.parametrize("backward", [uncentered_outside, uncentered_inside, uncentered_both])
def test_x_instead_of_x_hat_is_named(backward: Callable[..., Array]) -> None:
    verification = ng.verify(forward_that_keeps_x, backward, example(9, 3))
    assert mistakes_in(verification) == {("input_delta", "not_centered")}
    assert verification.notes == (
        "not returned by backward, so not checked: gamma_delta, beta_delta",
    )


@pytest.mark.parametrize("index", [0, 1], ids=["x", "y"])
def test_x_or_y_instead_of_x_hat_in_gamma_delta_is_named(index: int) -> None:
    def backward(dout: Array, cache: Any) -> tuple[Any, ...]:
        return None, (dout * cache[index]).sum(0), dout.sum(0)

    verification = ng.verify(forward_that_keeps_x, backward, example(9, 3))
    assert mistakes_in(verification) == {("gamma_delta", "not_centered")}


# ---- axes and layouts ----------------------------------------------------------------------------


def without_keepdims(dout: Array, cache: Any) -> Array:
    """Runs on square arrays, and broadcasts the mean of each row as if it were a column's."""
    xhat, gamma, _, inv, *_ = cache
    result: Array = gamma * inv * (dout - dout.mean(1) - xhat * (dout * xhat).mean(1))
    return result


def test_a_broadcast_that_only_square_arrays_allow_is_named() -> None:
    found = mistakes_in(ng.verify(right.forward, without_keepdims, example(5, 5)))
    assert found == {("input_delta", "wrong_axis")}
    found = mistakes_in(ng.verify(right.forward, without_keepdims, example(6, 5)))
    assert found == {("backward", "raised"), ("input_delta", "wrong_axis")}


def sums_over_the_batch_axis_alone(dout: Array, cache: Any) -> tuple[Array, ...]:
    xhat, inv, gamma = cache
    dbeta, dgamma = dout.sum(0, keepdims=True), (dout * xhat).sum(0, keepdims=True)
    return gamma * inv * (dout - dbeta / len(dout) - xhat * dgamma / len(dout)), dgamma, dbeta


def number_of_samples_for_n(dout: Array, cache: Any) -> tuple[Array, ...]:
    xhat, inv, gamma = cache
    dbeta = dout.sum((0, 2, 3), keepdims=True)
    dgamma = (dout * xhat).sum((0, 2, 3), keepdims=True)
    return gamma * inv * (dout - dbeta / len(dout) - xhat * dgamma / len(dout)), dgamma, dbeta


def test_wrong_axes_of_images_are_named() -> None:
    images = (example(2, 3, 4, 4), *np.ones((2, 1, 3, 1, 1)))
    found = mistakes_in(ng.verify(right.broadcast_forward, sums_over_the_batch_axis_alone, images))
    assert found == {
        ("input_delta", "wrong_axis"),
        ("gamma_delta", "wrong_axis"),
        ("beta_delta", "wrong_axis"),
    }
    found = mistakes_in(ng.verify(right.broadcast_forward, number_of_samples_for_n, images))
    assert found == {("input_delta", "wrong_n")}


def delta_reshaped(dout: Array, cache: Any) -> tuple[Array, ...]:
    n, c, h, w = dout.shape
    dx, dgamma, dbeta = right.closed_form(dout.reshape(-1, c), cache)
    return dx.reshape(n, h, w, c).transpose(0, 3, 1, 2), dgamma, dbeta


def result_reshaped(dout: Array, cache: Any) -> tuple[Array, ...]:
    c = dout.shape[1]
    dx, *sums = right.closed_form(dout.transpose(0, 2, 3, 1).reshape(-1, c), cache)
    return (dx.reshape(dout.shape), *sums)


def test_reshape_for_transpose_is_named() -> None:
    images = example(2, 3, 4, 4)
    found = mistakes_in(ng.verify(right.images_forward, delta_reshaped, images))
    assert found == {
        ("input_delta", "wrong_layout"),
        ("gamma_delta", "wrong_layout"),
        ("beta_delta", "wrong_layout"),
    }
    verification = ng.verify(right.images_forward, result_reshaped, images)
    assert mistakes_in(verification) == {("input_delta", "wrong_layout")}
    assert "the result: reshape(-1, C)" in verification.findings[0].words


# ---- what no formula is to blame for -------------------------------------------------------------


def writes_to_delta(dout: Array, cache: Any) -> tuple[Array, ...]:
    result = right.closed_form(dout.copy(), cache)
    dout *= cache[1]
    return result


def writes_to_the_cache(dout: Array, cache: Any) -> tuple[Array, ...]:
    result = right.closed_form(dout, cache)
    cache[0][...] *= 2
    return result


def returns_nothing(dout: Array, cache: Any) -> None:
    return None


def returns_text(dout: Array, cache: Any) -> str:
    return "dx"


def divides_by_zero(dout: Array, cache: Any) -> Array:
    raise ZeroDivisionError("no gradient today")


def narrows_to_float32(dout: Array, cache: Any) -> tuple[Array, ...]:
    narrow = [
        value.astype(np.float32).astype(np.float64) for value in right.closed_form(dout, cache)
    ]
    return tuple(narrow)


@pytest.mark.parametrize(
    ("backward", "mistakes"),
    [
        (writes_to_delta, {("backward", "modifies_input")}),
        (writes_to_the_cache, {("backward", "not_repeatable")}),
        (returns_nothing, {("backward", "missing_output")}),
        (returns_text, {("backward", "missing_output")}),
        (divides_by_zero, {("backward", "raised")}),
        (
            narrows_to_float32,
            {
                ("input_delta", "low_precision"),
                ("gamma_delta", "low_precision"),
                ("beta_delta", "low_precision"),
            },
        ),
    ],
)
def test_misbehaviour_is_named(backward: Backward, mistakes: Mistakes) -> None:
    assert mistakes_in(ng.verify(right.forward, backward, example(12, 5))) == mistakes


def forward_in_float32(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Any, Any]:
    narrow = (array.astype(np.float32) for array in (x, gamma, beta))
    return right.forward(*narrow, np.float32(eps))  # type: ignore[arg-type]


def test_functions_in_float32_are_judged_by_their_precision() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        return right.closed_form(dout.astype(np.float32), cache)  # type: ignore[arg-type]

    def broken(dout: Array, cache: Any) -> Any:
        return BROKEN["n - 1 in both paths"][0](dout.astype(np.float32), cache)  # type: ignore[arg-type]

    verification = ng.verify(forward_in_float32, backward, example(12, 5))
    assert verification.passed, str(verification)
    found = mistakes_in(ng.verify(forward_in_float32, broken, example(12, 5)))
    assert found == {("input_delta", "n_minus_1")}


# ---- losses whose gradient is zero ---------------------------------------------------------------


def gradient_check(backward: Backward, delta_of: Callable[[Array], Array]) -> float:
    """A common check: compare with differences for one loss, relative to gamma·inv·delta."""
    x, gamma, beta = example(12, 5), np.full(5, 1.3), np.zeros(5)
    _, cache = right.forward(x, gamma, beta, 1e-5)
    delta = delta_of(cache[0])
    right_one = right.closed_form(delta, cache)[0]
    scale = np.abs(gamma * cache[3] * delta).max()
    return float(np.abs(backward(delta, cache)[0] - right_one).max() / scale)


@pytest.mark.parametrize(
    ("name", "delta_of"),
    [
        ("variance path missing", np.ones_like),
        ("inv missing", np.ones_like),
        ("gamma missing", np.ones_like),
        ("mean path missing", lambda x_hat: 2 * x_hat),
        ("inv missing", lambda x_hat: 2 * x_hat),
        ("gamma missing", lambda x_hat: 2 * x_hat),
    ],
)
def test_what_zero_gradients_hide_is_found(name: str, delta_of: Callable[[Array], Array]) -> None:
    backward, mistakes = BROKEN[name]
    # 2·x_hat is the gradient of sum(x_hat²), which is n whatever x is, but for epsilon/variance.
    assert gradient_check(backward, delta_of) < 1e-4
    assert gradient_check(backward, np.square) > 1e-2
    assert mistakes_in(ng.verify(right.forward, backward, example(12, 5))) == mistakes


def test_an_error_that_is_no_number_does_not_hold() -> None:
    assert ng.Measurement("input_delta", "the definition", "example", 1e-12, 1e-11).holds
    assert not ng.Measurement("input_delta", "the definition", "example", 1e-10, 1e-11).holds
    assert not ng.Measurement("input_delta", "the definition", "example", np.nan, 1e-11).holds


def test_the_error_of_what_is_no_number_is_infinite() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
        return np.full_like(x, np.nan), right.forward(x, gamma, beta, 1e-5)[1]

    for output, functions in (
        ("normalized", (forward, right.staged)),
        ("input_delta", (right.forward, BROKEN["NaN"][0])),
    ):
        measurements = ng.verify(*functions, example(12, 5)).measurements
        assert {m.error for m in measurements if m.output == output} == {np.inf}


# ---- determinism, inputs -------------------------------------------------------------------------


def test_equal_seeds_give_equal_reports() -> None:
    backward = BROKEN["inv missing"][0]
    first, second, other = (
        ng.verify(right.forward, backward, example(12, 5), seed=seed) for seed in (4, 4, 5)
    )
    assert (str(first), first) == (str(second), second)
    assert first.measurements != other.measurements


def test_the_example_is_not_written_to() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        result = right.forward(x.copy(), gamma.copy(), beta, eps)
        x += 1
        gamma[...] = 7
        return result

    arrays = (example(12, 5), np.ones(5), np.zeros(5))
    copies = [array.copy() for array in arrays]
    found = mistakes_in(ng.verify(forward, right.staged, arrays))
    assert found == {("forward", "modifies_input")}
    assert all((array == copy).all() for array, copy in zip(arrays, copies, strict=True))


def test_functions_of_one_shape_are_judged_on_the_example() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        if x.shape != (12, 5):
            raise ValueError("made for (12, 5)")
        return right.forward(x, gamma, beta, eps)

    verification = ng.verify(forward, right.staged, example(12, 5))
    assert (verification.passed, verification.notes) == (True, ())
    found = mistakes_in(ng.verify(forward, BROKEN["1/n twice"][0], example(12, 5)))
    assert found == {("input_delta", "divided_by_n_twice")}


def test_functions_that_know_the_data_are_judged_on_it_alone() -> None:
    x = example(12, 5)
    mean = x.mean(0)

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
        if np.abs(x.mean(0) - mean).max() > 0.1:
            raise ValueError("not my data")
        return right.forward(x, gamma, beta, eps)

    verification = ng.verify(forward, right.staged, x)
    assert verification.passed
    assert "could not be called with any probe" in verification.notes[0]
    found = mistakes_in(ng.verify(forward, BROKEN["1/n twice"][0], x))
    assert found == {("input_delta", "divided_by_n_twice")}
