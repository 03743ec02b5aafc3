"""Whatever the functions return or raise ends in a report, or in an error that names it."""

from __future__ import annotations

import dataclasses
import warnings
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.verification import UnusableError

from . import right
from .right import Array
from .test_backward import example, mistakes_in

X = example(12, 5)
Function = Callable[..., Any]


class NoArray:
    """An array that numpy cannot read, like a torch tensor that requires its gradient."""

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise RuntimeError("cannot be read")


class Silent(Exception):
    def __str__(self) -> str:
        raise KeyError("no message either")


# ---- the cache -----------------------------------------------------------------------------------


def forward_that_caches(make: Callable[[Array, Array, Array], Any]) -> Function:
    def forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
        y, (xhat, gamma, _, inv, *_) = right.forward(x, gamma, beta, 1e-5)
        return y, make(xhat, gamma, inv)

    return forward


def test_a_cache_can_be_one_array() -> None:
    """`return y, x_hat`: the array is not compared with "no cache" element by element."""

    def sums(dout: Array, cache: Array) -> Any:
        return None, (dout * cache).sum(0), dout.sum(0)

    def averages(dout: Array, cache: Array) -> Any:
        return None, (dout * cache).mean(0), dout.sum(0)

    forward = forward_that_caches(lambda xhat, gamma, inv: xhat)
    assert ng.verify(forward, sums, X)
    assert mistakes_in(ng.verify(forward, averages, X)) == {("gamma_delta", "averaged")}


@pytest.mark.parametrize(
    "make",
    [
        lambda *arrays: list(arrays),
        lambda *arrays: dict(zip(("xhat", "gamma", "inv"), arrays, strict=True)),
        lambda *arrays: np.stack([np.broadcast_to(array, arrays[0].shape) for array in arrays]),
        namedtuple("Cache", "xhat gamma inv"),
        lambda *arrays: np.array([*arrays, None], dtype=object)[:3],
    ],
    ids=["list", "dict", "stacked", "named", "objects"],
)
def test_a_cache_can_be_any_object(make: Callable[..., Any]) -> None:
    def backward(dout: Array, cache: Any) -> Any:
        xhat, gamma, inv = cache.values() if isinstance(cache, dict) else cache
        return right.closed_form(dout, (xhat, gamma, None, inv))

    assert ng.verify(forward_that_caches(make), backward, X)


@pytest.mark.parametrize("cache", [(), [], {}, None, 0], ids=repr)
def test_an_empty_cache_is_a_cache(cache: Any) -> None:
    kept: list[Any] = []

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        y, values = right.forward(x, gamma, beta, 1e-5)
        kept[:] = [values]
        return y, cache

    def backward(dout: Array, cache: Any) -> Any:
        return right.closed_form(dout, kept[0])

    assert ng.verify(forward, backward, X)


def test_results_can_be_lists() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        return [*right.forward(x, gamma, beta, 1e-5)]

    def backward(dout: Array, cache: Any) -> Any:
        return [*right.closed_form(dout, cache)]

    def y_in_lists(x: Array, gamma: Array, beta: Array) -> Any:
        y, cache = right.forward(x, gamma, beta, 1e-5)
        return y.tolist(), cache

    def input_delta_in_lists(dout: Array, cache: Any) -> Any:
        return right.closed_form(dout, cache)[0].tolist()

    assert ng.verify(forward, backward, X)
    verification = ng.verify(y_in_lists, input_delta_in_lists, X)
    assert verification.passed, str(verification)
    assert "input_delta" in {m.output for m in verification.measurements}


# ---- orders and names ----------------------------------------------------------------------------


def backward_returning(make: Callable[[Array, Array, Array], Any]) -> Function:
    def backward(dout: Array, cache: Any) -> Any:
        return make(*right.closed_form(dout, cache))

    return backward


ORDERS: dict[str, Callable[[Array, Array, Array], Any]] = {
    "gamma_delta, beta_delta, input_delta": lambda dx, dgamma, dbeta: (dgamma, dbeta, dx),
    "beta_delta, gamma_delta, input_delta": lambda dx, dgamma, dbeta: [dbeta, dgamma, dx],
    "gamma_delta, input_delta, beta_delta": lambda dx, dgamma, dbeta: (dgamma, dx, dbeta),
    "beta_delta, input_delta, gamma_delta": lambda dx, dgamma, dbeta: (dbeta, dx, dgamma),
    "gamma_delta, input_delta": lambda dx, dgamma, dbeta: (dgamma, dx),
}


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_of_gradients_is_recognized_and_told(order: str) -> None:
    verification = ng.verify(right.forward, backward_returning(ORDERS[order]), X)
    assert verification.passed, str(verification)
    assert verification.notes[-1].startswith(f"backward returns ({order}) in this order")
    assert {m.output for m in verification.measurements} >= set(order.split(", "))


@pytest.mark.parametrize("order", ORDERS)
def test_a_mistake_is_named_in_any_order(order: str) -> None:
    def wrong(dx: Array, dgamma: Array, dbeta: Array) -> Any:
        return ORDERS[order](dx, dgamma / 12, dbeta)

    found = mistakes_in(ng.verify(right.forward, backward_returning(wrong), X))
    assert {output for output, _ in found} == {"gamma_delta"}


def test_gradients_without_any_right_one_are_in_the_usual_order() -> None:
    def negative(dx: Array, dgamma: Array, dbeta: Array) -> Any:
        return -dgamma, -dbeta, -dx

    found = mistakes_in(ng.verify(right.forward, backward_returning(negative), X))
    outputs = ("input_delta", "gamma_delta", "beta_delta")
    assert found == {(output, "sign") for output in outputs}


@dataclasses.dataclass
class Gradients:
    grad_bias: Array
    grad_weight: Array
    grad_input: Array


NAMES: dict[str, Callable[[Array, Array, Array], Any]] = {
    "letters": lambda dx, dgamma, dbeta: {"db": dbeta, "dw": dgamma, "dx": dx},
    "parameters": lambda dx, dgamma, dbeta: {"weight": dgamma, "bias": dbeta, "input": dx},
    "words": lambda dx, dgamma, dbeta: {
        "gamma_grad": dgamma, "beta_grad": dbeta, "x_grad": dx, "loss": 3.0,
    },
    "named tuple": lambda dx, dgamma, dbeta: namedtuple("result", "dBeta dGamma dX")(
        dbeta, dgamma, dx
    ),
    "dataclass": lambda dx, dgamma, dbeta: Gradients(dbeta, dgamma, dx),
    "dict of parameters": lambda dx, dgamma, dbeta: (dx, {"gamma": dgamma, "beta": dbeta}),
    "dict of parameters first": lambda dx, dgamma, dbeta: (
        {"scale": dgamma, "shift": dbeta}, dx,
    ),
    "named tuple of other names": lambda dx, dgamma, dbeta: namedtuple("result", "a b c")(
        dx, dgamma, dbeta
    ),
}  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_gradients_are_known_by_many_names(names: str) -> None:
    verification = ng.verify(right.forward, backward_returning(NAMES[names]), X)
    assert verification.passed, str(verification)
    assert verification.notes == ()
    outputs = {m.output for m in verification.measurements}
    assert outputs == {"normalized", "input_delta", "gamma_delta", "beta_delta"}

    def halved(dx: Array, dgamma: Array, dbeta: Array) -> Any:
        return NAMES[names](dx, dgamma, dbeta / 2)

    found = mistakes_in(ng.verify(right.forward, backward_returning(halved), X))
    assert found == {("beta_delta", "factor_2")}


def test_a_dict_of_other_names_is_named() -> None:
    backward = backward_returning(lambda dx, dgamma, dbeta: {"first": dx, "second": dgamma})
    verification = ng.verify(right.forward, backward, X)
    assert mistakes_in(verification) == {("backward", "missing_output")}
    words = "it returns a dict of first, second; the names dx, dgamma and dbeta are known"
    assert verification.findings[0].words == words


@dataclasses.dataclass
class Output:
    cache: Any
    output: Array


@pytest.mark.parametrize(
    "make",
    [
        lambda y, cache: {"out": y, "cache": cache},
        lambda y, cache: {"cache": cache, "y": y, "mean": 0},
        namedtuple("Result", "y cache"),
        lambda y, cache: Output(cache, y),
        lambda y, cache: namedtuple("result", "saved y")(cache, y),
    ],
    ids=["dict", "dict of more", "named tuple", "dataclass", "cache first"],
)
def test_y_and_cache_are_known_by_their_names(make: Callable[..., Any]) -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        return make(*right.forward(x, gamma, beta, eps))

    assert ng.verify(forward, right.staged, X)


def test_a_dict_without_a_cache_is_the_cache() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        y, cache = right.forward(x, gamma, beta, eps)
        return {"y": y, "xhat": cache[0], "gamma": gamma, "inv": cache[3]}

    def backward(dout: Array, ctx: Any) -> Any:
        return right.closed_form(dout, (ctx["xhat"], ctx["gamma"], None, ctx["inv"]))

    assert ng.verify(forward, backward, X)


# ---- results that are no real numbers ------------------------------------------------------------

CHANGES: dict[str, tuple[Callable[[Array], Any], str]] = {
    "complex": (lambda array: array + 0j, "ndarray of complex128"),
    "objects": (lambda array: array.astype(object), "ndarray of object"),
    "text": (lambda array: array.astype(str), "ndarray of <U32"),
    "masked": (lambda array: np.ma.masked_greater(array, 0.5), "MaskedArray, whose mask"),
    "unreadable": (lambda array: NoArray(), "NoArray (RuntimeError: cannot be read)"),
    "a function": (lambda array: lambda: array, "got function"),
    "ragged": (lambda array: [[1.0], [1.0, 2.0]], "got"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_results_that_are_no_real_numbers_are_named(name: str) -> None:
    change, what = CHANGES[name]

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        y, cache = right.forward(x, gamma, beta, eps)
        return change(y), cache

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = right.closed_form(dout, cache)
        return dx, change(dgamma), dbeta

    verification = ng.verify(right.forward, backward, X)
    assert mistakes_in(verification) == {("backward", "missing_output")}
    expected = "gamma_delta: expected an array of real numbers"
    if name == "ragged":  # of gamma_delta: two rows
        assert expected in str(verification)
    else:
        assert expected in verification.findings[0].words
        assert what in verification.findings[0].words
        with pytest.raises(UnusableError, match=r"^forward: expected an array of the"):
            ng.verify(forward, right.staged, X)


@pytest.mark.interop
def test_a_tensor_that_requires_its_gradient_is_named() -> None:
    torch = pytest.importorskip("torch")

    def backward(dout: Array, cache: Any) -> Any:
        return tuple(
            torch.from_numpy(value).requires_grad_() for value in right.closed_form(dout, cache)
        )

    verification = ng.verify(right.forward, backward, X)
    assert mistakes_in(verification) == {("backward", "missing_output")}
    assert "requires grad" in verification.findings[0].words


@pytest.mark.interop
def test_results_can_be_tensors() -> None:
    torch = pytest.importorskip("torch")

    def backward(dout: Array, cache: Any) -> Any:
        return tuple(torch.from_numpy(value) for value in right.closed_form(dout, cache))

    assert ng.verify(right.forward, backward, X)


@pytest.mark.parametrize("size", [1e308, -1e308, 1e200, np.float64("1e-320")])
def test_huge_and_tiny_gradients_are_mistakes_like_others(size: float) -> None:
    def backward(dout: Array, cache: Any) -> Any:
        return tuple(np.full_like(value, size) for value in right.closed_form(dout, cache))

    def alternating(dout: Array, cache: Any) -> Any:
        return tuple(
            np.where(np.arange(value.size).reshape(value.shape) % 2, size, -size)
            for value in right.closed_form(dout, cache)
        )

    for wrong in (backward, alternating):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = mistakes_in(ng.verify(right.forward, wrong, X))
        assert {output for output, _ in found} == {"input_delta", "gamma_delta", "beta_delta"}


def test_padding_of_a_type_is_no_difference() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        return tuple(value.astype(np.longdouble) for value in right.closed_form(dout, cache))

    for _ in range(5):
        verification = ng.verify(right.forward, backward, X)
        assert verification.passed, str(verification)


def test_a_huge_y_is_a_mistake_like_others() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        return np.full_like(x, 1e308), right.forward(x, gamma, beta, eps)[1]

    found = mistakes_in(ng.verify(forward, right.staged, X))
    assert "normalized" in {output for output, _ in found}


def test_callers_handling_of_floating_point_errors_reaches_the_functions_alone() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        assert np.geterr()["over"] == "raise"
        np.exp(np.full(3, -1e4))
        return tuple(np.full_like(value, 1e308) for value in right.closed_form(dout, cache))

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = mistakes_in(ng.verify(right.forward, backward, X))
    assert {output for output, _ in found} == {"input_delta", "gamma_delta", "beta_delta"}


# ---- calls that differ ---------------------------------------------------------------------------


def on_the_second_call(change: Callable[[tuple[Any, ...]], Any]) -> Function:
    """A backward function whose every second call returns something else."""
    calls = [0]

    def backward(dout: Array, cache: Any) -> Any:
        calls[0] += 1
        result = right.closed_form(dout, cache)
        return result if calls[0] % 2 else change(result)

    return backward


def raising(result: tuple[Any, ...]) -> Any:
    raise KeyError("cache")


@pytest.mark.parametrize(
    "change",
    [
        lambda result: result[:1],
        lambda result: (None, *result[1:]),
        lambda result: None,
        lambda result: (result[0].T, *result[1:]),
        lambda result: (result[0].astype(np.float32), *result[1:]),
        lambda result: (result[0] + 0j, *result[1:]),
        raising,
    ],
    ids=["fewer", "none", "nothing", "shape", "type", "complex", "exception"],
)
def test_an_output_that_is_gone_on_the_second_call_is_named(change: Function) -> None:
    found = mistakes_in(ng.verify(right.forward, on_the_second_call(change), X))
    assert found == {("backward", "not_repeatable")}


def test_an_exception_without_a_message_is_named() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        raise Silent

    verification = ng.verify(right.forward, backward, X)
    assert mistakes_in(verification) == {("backward", "raised")}
    assert "it raises Silent: (its message cannot be read)" in verification.findings[0].words


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
@pytest.mark.parametrize("call", [1, 2, 4])
@pytest.mark.parametrize("role", ["forward", "backward"])
def test_what_is_not_the_functions_own_passes(
    kind: type[BaseException], call: int, role: str
) -> None:
    """An interruption is no mistake of a function, on the example nor on a probe."""
    calls = [0]

    def stopping(function: Function) -> Function:
        def stopped(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == call:
                raise kind
            return function(*arguments)

        return stopped

    functions: dict[str, Any] = {"forward": right.forward, "backward": right.staged}
    functions[role] = stopping(functions[role])
    with pytest.raises(kind):
        ng.verify(
            **functions,
            example=X,
            forward_arguments=["x", "gamma", "beta", "epsilon"],
            backward_arguments=["delta", "cache"],
        )


def test_memory_that_runs_out_while_a_result_is_read_passes() -> None:
    class Large:
        def __array__(self, *_: Any, **__: Any) -> Array:
            raise MemoryError

    def backward(dout: Array, cache: Any) -> Any:
        return Large()

    with pytest.raises(MemoryError):
        ng.verify(right.forward, backward, X)
