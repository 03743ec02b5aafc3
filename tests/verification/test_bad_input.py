"""Input that cannot be verified is an error: it names the argument, what was expected and came."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.verification import UnusableError

from . import right
from .right import Array
from .test_backward import example, mistakes_in

X = example(12, 5)


def verify(example: Any = X, **arguments: Any) -> ng.Verification:
    return ng.verify(right.forward, right.staged, example, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"example": np.ones(3)}, "example: x: expected rank 2 or higher, got shape (3,)"),
        (
            {"example": np.ones((0, 3))},
            "example: x: expected at least one element, got shape (0, 3)",
        ),
        ({"example": np.full((3, 2), np.nan)}, "example: x: expected finite numbers, got NaN"),
        ({"example": (X, np.ones(5))}, "example: expected x or (x, gamma, beta), got 2 values"),
        (
            {"example": (X, np.ones(4), np.zeros(5))},
            "example: gamma: expected shape (5,) or (1, 5), as axis 1 of x is the channel axis",
        ),
        ({"example": (X, np.ones(5), np.zeros(4))}, "example: beta: expected shape (5,)"),
        ({"channel_axis": 2}, "channel_axis: expected an axis of x, from -2 to 1, got 2"),
        ({"epsilon": -1.0}, "epsilon: expected a finite number >= 0, got -1.0"),
        ({"epsilon": np.inf}, "epsilon: expected a finite number >= 0, got inf"),
        (
            {"example": np.ones((4, 2)), "epsilon": 0.0},
            "example: x: expected variance + epsilon > 0 in each channel, got 0 in channel 0",
        ),
        (
            {"example": example(1, 4), "unbiased": True},
            "example: x: expected two elements in each channel for unbiased, got 1",
        ),
        (
            {"statistics": (np.ones(4), np.ones(5))},
            "statistics: mean: expected shape (5,), got (4,)",
        ),
        (
            {"forward_arguments": ["x", "delta"]},
            "forward_arguments: expected different ones of x, gamma, beta, epsilon, channel_axis, "
            "bn_param, params, mean, variance, inv, running_mean, running_variance, momentum, "
            "training, got x, delta",
        ),
        ({"backward_arguments": ["delta", "delta"]}, "got delta, delta"),
        ({"backward_arguments": [["delta"]]}, "backward_arguments: expected different ones of"),
        ({"seed": -1}, "seed: expected an integer >= 0, got -1"),
        ({"epsilon": 10**400}, "epsilon: expected a finite number >= 0, got inf"),
        (
            {"statistics": (np.ones(5), np.full(5, -1.0))},
            "statistics: variance: expected numbers >= 0, got -1",
        ),
    ],
)
def test_bad_value_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        verify(**arguments)


def test_what_is_no_array_is_named() -> None:
    with pytest.raises(TypeError, match="example: x: expected an array of real numbers, got str"):
        verify("data")
    with pytest.raises(TypeError, match="example: gamma: expected an array of real numbers"):
        verify((X, "gamma", np.ones(5)))
    with pytest.raises(TypeError, match="example: x: expected an array of real numbers"):
        verify(X + 1j)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": "1e-5"}, "epsilon: expected a real number, got '1e-5' of type str"),
        ({"epsilon": None}, "epsilon: expected a real number, got None of type NoneType"),
        ({"epsilon": 1j}, "epsilon: expected a real number, got 1j of type complex"),
        ({"epsilon": True}, "epsilon: expected a real number, got True of type bool"),
        ({"epsilon": np.ones(1)}, "epsilon: expected a real number, got array([1.]) of type"),
        ({"channel_axis": 1.0}, "channel_axis: expected an integer, got 1.0 of type float"),
        ({"channel_axis": True}, "channel_axis: expected an integer, got True of type bool"),
        ({"channel_axis": None}, "channel_axis: expected an integer, got None of type NoneType"),
        ({"seed": 1.5}, "seed: expected an integer, got 1.5 of type float"),
        ({"seed": "0"}, "seed: expected an integer, got '0' of type str"),
        ({"unbiased": {}}, "unbiased: expected True or False, got {} of type dict"),
        ({"unbiased": 1}, "unbiased: expected True or False, got 1 of type int"),
        ({"running_unbiased": 0}, "running_unbiased: expected True or False, got 0 of type int"),
        (
            {"statistics": np.ones(3)},
            "statistics: expected a pair (mean, variance) or None, got array([1., 1., 1.]) of type",
        ),
        ({"statistics": np.ones(2)}, "statistics: expected a pair (mean, variance) or None"),
        ({"statistics": (np.ones(5),)}, "statistics: expected a pair (mean, variance) or None"),
        ({"statistics": 3}, "statistics: expected a pair (mean, variance) or None, got 3 of type"),
        (
            {"statistics": (np.ones(5), "variance")},
            "statistics: variance: expected an array of real numbers, got str",
        ),
        ({"forward_arguments": "x"}, "forward_arguments: expected a sequence of words, got 'x'"),
        ({"backward_arguments": 3}, "backward_arguments: expected a sequence of words, got 3 of"),
    ],
)
def test_argument_of_the_wrong_type_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match="^" + re.escape(message)):
        verify(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"epsilon": np.float32(1e-5)},
        {"epsilon": np.array(1e-5)},
        {"channel_axis": np.int64(1)},
        {"seed": np.uint8(3)},
        {"unbiased": np.False_},
        {"backward_arguments": iter(["delta", "cache"])},
    ],
)
def test_equivalents_of_other_types_are_understood(arguments: dict[str, Any]) -> None:
    assert verify(**arguments)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.ma.masked_greater(X, 1.0), "MaskedArray, whose mask would be ignored"),
        (np.ma.array(X), "MaskedArray, whose mask would be ignored"),
        (X + 1j, "ndarray of complex128"),
        (X.astype(object), "ndarray of object"),
        ([[1.0], [1.0, 2.0]], "list"),
    ],
    ids=["masked", "mask of nothing", "complex", "objects", "ragged"],
)
def test_an_example_that_is_no_array_of_real_numbers_is_named(value: Any, what: str) -> None:
    with pytest.raises(TypeError, match=f"^example: x: expected an array of real.*, got {what}$"):
        verify(value)
    with pytest.raises(TypeError, match=f"^example: beta: expected an array of real.* {what}$"):
        verify((X, np.ones(5), value))
    with pytest.raises(TypeError, match=f"^statistics: mean: expected an array of real.* {what}$"):
        verify(statistics=(value, np.ones(5)))


@pytest.mark.parametrize("role", ["forward", "backward"])
def test_what_is_no_function_is_named(role: str) -> None:
    functions: dict[str, Any] = {"forward": right.forward, "backward": right.staged, role: 3}
    with pytest.raises(TypeError, match=f"^{role}: expected a function, got int$"):
        ng.verify(**functions, example=X)


def test_a_missing_backward_is_named() -> None:
    with pytest.raises(
        TypeError, match=r"^backward: expected a function, got None; it can be left"
    ):
        ng.verify(right.forward, None, X)
    with pytest.raises(TypeError, match=r"^example: x: expected an array .*, got NoneType"):
        ng.verify(right.forward, right.staged)
    with pytest.raises(TypeError, match=r"^backward: .*, got ndarray; the example is the third"):
        ng.verify(right.forward, X)  # type: ignore[arg-type]


class Layer:
    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        y, self.cache = right.forward(x, gamma, beta, 1e-5)
        return y

    def backward(self, dout: Array) -> Any:
        return right.staged(dout, self.cache)


def test_a_layer_brings_both_methods_and_its_class_is_refused() -> None:
    assert ng.verify(Layer(), example=X)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^forward: .* got the class Layer; make a layer = Layer"):
        ng.verify(Layer, example=X)


def test_two_parameters_in_the_other_order_are_told() -> None:
    """The names are not known, and the number says (delta, cache)."""

    def backward(a: Any, b: Array) -> Any:
        return right.closed_form(b, a)

    verification = ng.verify(right.forward, backward, X)
    assert mistakes_in(verification) == {("backward", "raised")}
    advice = "if its parameters are (cache, delta), say backward_arguments=['cache', 'delta']"
    assert verification.findings[0].words.endswith(advice)

    def known(residuals: Any, b: Array) -> Any:
        return right.closed_form(b, residuals)

    assert ng.verify(right.forward, known, X)


def test_neither_torch_nor_jax_is_imported() -> None:
    code = (
        "import sys, numpy as np, normgraph as ng\n"
        "from tests.verification import right\n"
        "assert ng.verify(right.forward, right.staged, np.eye(5))\n"
        "assert not {'torch', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


# ---- how the functions are called ----------------------------------------------------------------


def gradients(x: Array, gamma: Array, mean: Array, inv: Array, delta: Array) -> Any:
    xhat = (x - mean) * inv
    return right.closed_form(delta, (xhat, gamma, None, inv))


def y_of(x: Array, gamma: Array, beta: Array) -> Array:
    y: Array = right.forward(x, gamma, beta, 1e-5)[0]
    return y


def test_parameters_are_known_by_their_names_in_any_order() -> None:
    def backward(dy: Array, *, gamma: Array, var: Array, x: Array, mu: Array, eps: float) -> Any:
        return gradients(x, gamma, mu, 1 / np.sqrt(var + eps), dy)

    assert ng.verify(y_of, backward, X)


def test_parameters_are_known_by_their_number() -> None:
    def six(a: Array, b: Array, c: Array, d: Array, e: Array, f: Array) -> Any:
        return gradients(a, b, d, 1 / np.sqrt(e + 1e-5), f)

    def seven(a: Array, b: Array, c: Array, d: Array, e: Array, f: Array, g: float) -> Any:
        return gradients(a, b, d, 1 / np.sqrt(e + g), f)

    def four(p: Array, q: Array, r: Array, s: float) -> Any:
        return right.forward(p, q, r, s)

    def two(p: Array, q: Any) -> Any:
        return right.staged(p, q)

    assert ng.verify(y_of, six, X)
    assert ng.verify(y_of, seven, X)
    assert ng.verify(four, two, X)


def test_parameters_are_known_by_what_the_caller_says() -> None:
    def backward(a: Array, b: Array, c: Array, d: Array, e: Array) -> Any:
        return gradients(b, e, c, 1 / np.sqrt(d + 1e-5), a)

    named = ("delta", "x", "mean", "variance", "gamma")
    assert ng.verify(y_of, backward, X, backward_arguments=named)
    with pytest.raises(TypeError, match=r"^backward: expected parameters .*got \(a, b, c, d, e\)"):
        ng.verify(y_of, backward, X)


def test_inv_and_x_hat_can_be_given() -> None:
    def backward(dout: Array, xhat: Array, gamma: Array, ivar: Array) -> Any:
        return right.closed_form(dout, (xhat, gamma, None, ivar))

    assert ng.verify(y_of, backward, X)


def test_the_settings_of_the_course_can_be_given() -> None:
    def forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
        assert bn_param["mode"] == "train"
        return right.forward(x, gamma, beta, bn_param.get("eps", 1e-5))

    assert ng.verify(forward, right.staged, X, epsilon=1e-3)


def test_channels_can_be_rows() -> None:
    """Arrays (D, N), as in a well-known course."""

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        inv = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=1, keepdims=True)) * inv
        return gamma * xhat + beta, (xhat.T, gamma[:, 0], None, inv[:, 0])

    def backward(dout: Array, cache: Any) -> Any:
        dx, *sums = right.closed_form(dout.T, cache)
        return (dx.T, *(vector[:, np.newaxis] for vector in sums))

    vectors = (np.full((3, 1), 1.2), np.zeros((3, 1)))
    assert ng.verify(forward, backward, (example(3, 8), *vectors), channel_axis=0)


def test_given_epsilon_reaches_an_optional_parameter() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5, axis: int = 0) -> Any:
        return right.forward(x, gamma, beta, eps)

    assert ng.verify(forward, right.staged, X, epsilon=0.2)


def test_a_cache_of_several_values_is_a_tuple() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        y, cache = right.forward(x, gamma, beta, eps)
        return (y, *cache)

    assert ng.verify(forward, right.staged, X)


def test_functions_that_do_not_fit_together_are_named() -> None:
    with pytest.raises(
        TypeError, match=r"^backward: it takes a cache, but forward returns y alone"
    ):
        ng.verify(y_of, right.staged, X)
    with pytest.raises(TypeError, match=r"^backward: cannot be called with \(delta\): .*missing"):
        ng.verify(right.forward, right.staged, X, backward_arguments=["delta"])
    with pytest.raises(TypeError, match=r"^forward: its parameters cannot be read; name them with"):
        ng.verify(max, right.staged, X)


def test_a_type_error_inside_backward_is_its_mistake() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        return dout + None  # type: ignore[operator]

    found = mistakes_in(ng.verify(right.forward, backward, X))
    assert found == {("backward", "raised")}


def test_a_forward_that_fails_on_the_example_is_named() -> None:
    def raising(x: Array, gamma: Array, beta: Array) -> Any:
        raise KeyError("mode")

    def summing(x: Array, gamma: Array, beta: Array) -> Any:
        return x.sum(), None

    message = r"^forward: called with \(x, gamma, beta\), x of shape \(12, 5\), it raises KeyError"
    with pytest.raises(UnusableError, match=message):
        ng.verify(raising, right.staged, X)
    message = r"^forward: expected an array of the shape of x, \(12, 5\), .*got an array of shape"
    with pytest.raises(UnusableError, match=message):
        ng.verify(summing, right.staged, X)


def test_arguments_by_keyword_alone_or_with_defaults_are_read() -> None:
    def forward(*, x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        inv = 1 / np.sqrt(x.var(axis=0) + eps)
        x_hat = (x - x.mean(axis=0)) * inv
        return gamma * x_hat + beta, (x_hat, gamma, inv)

    def backward(dout: Any = None, cache: Any = None) -> Any:
        x_hat, gamma, inv = cache
        dbeta, dgamma = dout.sum(axis=0), (dout * x_hat).sum(axis=0)
        return gamma * inv * (dout - dbeta / len(dout) - x_hat * dgamma / len(dout)), dgamma, dbeta

    example = np.random.default_rng(3).normal(size=(16, 5))
    assert ng.verify(forward, backward, example)
    broken = ng.verify(forward, lambda dout=None, cache=None: backward(dout, cache)[::2], example)
    assert not broken
