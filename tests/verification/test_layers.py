"""Layers that keep gamma, beta and their gradients: what can be reached is checked, the rest told.

Each layer's gamma starts as ones, with which a backward that leaves gamma out is right.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import right
from .right import Array
from .test_backward import example, mistakes_in

X = example(12, 5)
Sums = tuple[Array, Array]

NOT_REACHED = "forward takes no gamma, and none was found that it keeps"


def right_sums(dout: Array, xhat: Array) -> Sums:
    return (dout * xhat).sum(0), dout.sum(0)


class Layer:
    """gamma and beta are attributes; backward returns input_delta, and leaves the rest behind."""

    def __init__(
        self,
        has_gamma: bool = True,
        sums: Callable[[Array, Array], Sums] = right_sums,
        shape: tuple[int, ...] = (5,),
    ) -> None:
        self.gamma, self.beta = np.ones(shape), np.zeros(shape)
        self.has_gamma, self.sums = has_gamma, sums

    def forward(self, x: Array) -> Array:
        mean, variance = x.mean(0), x.var(0)
        self.inv = 1 / np.sqrt(variance + 1e-5)
        self.xhat = (x - mean) * self.inv
        y: Array = self.gamma * self.xhat + self.beta
        return y

    def input_delta(self, dout: Array) -> Array:
        cache = (self.xhat, self.gamma if self.has_gamma else 1.0, None, self.inv)
        return right.closed_form(dout, cache)[0]

    def backward(self, dout: Array) -> Any:
        self.dgamma, self.dbeta = self.sums(dout, self.xhat)
        return self.input_delta(dout)


def check(layer: Any, x: Array = X, **arguments: Any) -> ng.Verification:
    return ng.verify(layer.forward, layer.backward, x, **arguments)


def test_a_layer_is_checked_with_another_gamma_than_its_own() -> None:
    layer = Layer()
    verification = check(layer)
    assert verification.passed, str(verification)
    compared = {(m.output, m.against) for m in verification.measurements}
    assert {("gamma_delta", "finite differences"), ("beta_delta", "the definition")} <= compared
    assert not any(NOT_REACHED in note for note in verification.notes)
    assert mistakes_in(check(Layer(has_gamma=False))) == {("input_delta", "gamma_missing")}


def test_a_layers_parameters_are_put_back() -> None:
    layer = Layer()
    gamma, beta = layer.gamma, layer.beta
    layer.dgamma = kept = np.full(5, 7.0)
    check(layer)
    assert layer.gamma is gamma
    assert layer.beta is beta
    assert layer.dgamma is kept
    assert (gamma == 1).all()
    assert (beta == 0).all()
    assert (kept == 7).all()
    with pytest.raises(ValueError, match=r"^forward: called with"):
        check(SimpleNamespace(forward=lambda x: layer.forward(x)[:, :, 0], backward=layer.backward))
    assert (layer.gamma == 1).all()


def test_kept_gradients_are_checked() -> None:
    def averaged(dout: Array, xhat: Array) -> Sums:
        return (dout * xhat).mean(0), dout.mean(0)

    assert mistakes_in(check(Layer(sums=averaged))) == {
        ("gamma_delta", "averaged"),
        ("beta_delta", "averaged"),
    }

    def without_x_hat(dout: Array, xhat: Array) -> Sums:
        return dout.sum(0), dout.sum(0)

    found = mistakes_in(check(Layer(sums=without_x_hat)))
    assert found == {("gamma_delta", "sum_without_x_hat")}


def test_kept_gradients_of_a_given_gamma_are_checked() -> None:
    """forward takes gamma and beta, backward returns input_delta alone."""

    class Given(Layer):
        def forward(self, x: Array, gamma: Array, beta: Array) -> Array:  # type: ignore[override]
            self.gamma, self.beta = gamma, beta
            return super().forward(x)

    def negative(dout: Array, xhat: Array) -> Sums:
        return -(dout * xhat).sum(0), dout.sum(0)

    assert check(Given())
    assert mistakes_in(check(Given(sums=negative))) == {("gamma_delta", "sign")}


SPELLINGS = {
    "dgamma": lambda layer, dgamma: setattr(layer, "dgamma", dgamma),
    "d_gamma": lambda layer, dgamma: setattr(layer, "d_gamma", dgamma),
    "grad_gamma": lambda layer, dgamma: setattr(layer, "grad_gamma", dgamma),
    "gamma_grad": lambda layer, dgamma: setattr(layer, "_gamma_grad", dgamma),
    "gamma_delta": lambda layer, dgamma: setattr(layer, "gamma_delta", dgamma),
    "dweight": lambda layer, dgamma: setattr(layer, "dweight", dgamma),
    "grads of dgamma": lambda layer, dgamma: setattr(layer, "grads", {"dgamma": dgamma}),
    "grads of gamma": lambda layer, dgamma: setattr(layer, "grads", {"gamma": dgamma}),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_kept_gradients_are_found_by_many_names(name: str) -> None:
    class Spelled(Layer):
        def backward(self, dout: Array) -> Any:
            SPELLINGS[name](self, factor * (dout * self.xhat).sum(0))
            return self.input_delta(dout)

    factor = 1.0
    verification = check(Spelled())
    assert verification.passed, str(verification)
    assert "gamma_delta" in {m.output for m in verification.measurements}
    factor = 2.0
    assert mistakes_in(check(Spelled())) == {("gamma_delta", "factor_2")}


def test_gradients_that_are_added_up_start_at_zero() -> None:
    class Adding(Layer):
        def backward(self, dout: Array) -> Any:
            for name, value in zip(("dgamma", "dbeta"), right_sums(dout, self.xhat), strict=True):
                setattr(self, name, getattr(self, name, np.zeros(5)) + value)
            return self.input_delta(dout)

    class AddingInPlace(Adding):
        def __init__(self) -> None:
            super().__init__()
            self.dgamma, self.dbeta = np.full(5, 3.0), np.zeros(5)

        def backward(self, dout: Array) -> Any:
            self.dgamma += (dout * self.xhat).sum(0)
            self.dbeta += dout.sum(0)
            return self.input_delta(dout)

    for layer in (Adding(), AddingInPlace()):
        verification = check(layer)
        assert verification.passed, str(verification)
        assert {"gamma_delta", "beta_delta"} <= {m.output for m in verification.measurements}


class Parameter:
    def __init__(self, data: Array) -> None:
        self.data, self.grad = data, np.zeros_like(data)


def layers_that_keep(has_gamma: bool) -> dict[str, Any]:
    """Layers that keep gamma in other ways, with and without it in backward."""

    def with_functions(get: Callable[[], Any]) -> Any:
        cache: list[Any] = []

        def forward(x: Array) -> Array:
            y, values = right.forward(x, get(), np.zeros(5), 1e-5)
            cache[:] = [values]
            return y

        def backward(dout: Array) -> Array:
            xhat, gamma, _, inv, *_ = cache[0]
            return right.closed_form(dout, (xhat, gamma if has_gamma else 1.0, None, inv))[0]

        return SimpleNamespace(forward=forward, backward=backward)

    class Lazy(Layer):
        def __init__(self) -> None:
            super().__init__(has_gamma)
            self.gamma = None  # type: ignore[assignment]

        def forward(self, x: Array) -> Array:
            if self.gamma is None:
                self.gamma = np.ones(x.shape[1])
            return super().forward(x)

    class OfClass(Layer):
        gamma = np.ones(5)

        def __init__(self) -> None:
            super().__init__(has_gamma)
            del self.gamma

    class OfSlots:
        __slots__ = ("beta", "gamma", "layer")

        def __init__(self) -> None:
            self.gamma, self.beta, self.layer = np.ones(5), np.zeros(5), Layer(has_gamma)

        def forward(self, x: Array) -> Array:
            self.layer.gamma, self.layer.beta = self.gamma, self.beta
            return self.layer.forward(x)

        def backward(self, dout: Array) -> Any:
            return self.layer.backward(dout)

    class OfProperty(Layer):
        @property
        def others(self) -> Any:
            raise KeyboardInterrupt  # which nobody asked for

        @property
        def gamma(self) -> Any:
            return self._kept.copy()

        @gamma.setter
        def gamma(self, value: Any) -> None:
            self._kept = value

    integers = Layer(has_gamma)
    integers.gamma = np.ones(5, dtype=int)  # type: ignore[assignment]
    frozen = Layer(has_gamma)
    frozen.gamma.flags.writeable = False
    scalar = Layer(has_gamma)
    scalar.gamma, scalar.beta = 1.0, 0.0  # type: ignore[assignment]
    narrow = Layer(has_gamma)
    narrow.gamma = np.ones(5, dtype=np.float32)  # type: ignore[assignment]
    inner = Layer(has_gamma)
    gamma = np.ones(5)
    params = {"gamma": np.ones(5)}
    parameter = Parameter(np.ones(5))
    return {
        "row": Layer(has_gamma, shape=(1, 5)),
        "lazy": Lazy(),
        "class": OfClass(),
        "slots": OfSlots(),
        "property": OfProperty(has_gamma),
        "integers": integers,
        "read-only array": frozen,
        "scalar": scalar,
        "float32": narrow,
        "lambda": SimpleNamespace(
            forward=lambda x: inner.forward(x), backward=lambda dout: inner.backward(dout)
        ),
        "closure": with_functions(lambda: gamma),
        "dict": with_functions(lambda: params["gamma"]),
        "parameter": with_functions(lambda: parameter.data),
    }


KEPT = sorted(set(layers_that_keep(True)) - {"closure", "dict", "parameter"})


@pytest.mark.parametrize("name", KEPT)
def test_gamma_is_reached_wherever_it_is_kept(name: str) -> None:
    verification = check(layers_that_keep(True)[name])
    assert verification.passed, str(verification)
    assert not any(NOT_REACHED in note for note in verification.notes)
    found = mistakes_in(check(layers_that_keep(False)[name]))
    assert found & {("input_delta", "gamma_missing"), ("input_delta", "scaled")}, found


@pytest.mark.parametrize("name", ["closure", "dict", "parameter"])
def test_a_gamma_that_is_out_of_reach_is_told(name: str) -> None:
    """It is behind two functions."""
    for has_gamma in (True, False):
        verification = check(layers_that_keep(has_gamma)[name])
        assert verification.passed, str(verification)
        assert any(NOT_REACHED in note for note in verification.notes)
        assert NOT_REACHED in str(verification)


def test_a_gamma_in_a_closure_is_reached() -> None:
    gamma, gradients = np.ones(5), {}
    cache: list[Any] = []

    def forward(x: Array) -> Array:
        y, values = right.forward(x, gamma, np.zeros(5), 1e-5)
        cache[:] = [values]
        return y

    def backward(dout: Array) -> Array:
        result, gradients["dgamma"], _ = right.closed_form(dout, cache[0])
        return result

    def without_gamma(dout: Array) -> Array:
        xhat, _, _, inv, *_ = cache[0]
        return right.closed_form(dout, (xhat, 1.0, None, inv))[0]

    verification = ng.verify(forward, backward, X)
    assert verification.passed, str(verification)
    assert "gamma_delta" in {m.output for m in verification.measurements}
    assert mistakes_in(ng.verify(forward, without_gamma, X)) == {("input_delta", "gamma_missing")}
    assert (gamma == 1).all()


def test_gradients_of_parameter_objects_are_checked() -> None:
    class OfParameters(Layer):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.weight, self.bias = Parameter(np.ones(5)), Parameter(np.zeros(5))
            del self.gamma, self.beta
            self.factor = factor

        def forward(self, x: Array) -> Array:
            y, (self.xhat, _, _, self.inv, *_) = right.forward(
                x, self.weight.data, self.bias.data, 1e-5
            )
            return y

        def backward(self, dout: Array) -> Any:
            self.weight.grad += self.factor * (dout * self.xhat).sum(0)
            self.bias.grad += dout.sum(0)
            return right.closed_form(dout, (self.xhat, self.weight.data, None, self.inv))[0]

    verification = check(OfParameters(1.0))
    assert verification.passed, str(verification)
    assert {"gamma_delta", "beta_delta"} <= {m.output for m in verification.measurements}
    assert mistakes_in(check(OfParameters(-1.0))) == {("gamma_delta", "sign")}


def test_a_vague_name_is_gamma_only_if_y_says_so() -> None:
    class Scaled(Layer):
        scale = 2.0  # of nothing in forward
        weight = 0.5  # what the loss is multiplied by

        def forward(self, x: Array) -> Array:
            assert self.weight > 0
            return super().forward(x)

    assert check(Scaled())

    class Weighted(Layer):
        def __init__(self) -> None:
            super().__init__()
            del self.gamma
            self.scale = np.full(5, 1e-5)

        def forward(self, x: Array) -> Array:
            y, (self.xhat, _, _, self.inv, *_) = right.forward(
                x, np.ones(5), self.beta, float(self.scale[0])
            )
            return y

        def backward(self, dout: Array) -> Any:
            return right.closed_form(dout, (self.xhat, 1.0, None, self.inv))[0]

    layer = Weighted()
    verification = check(layer)
    assert verification.passed, str(verification)
    assert any(NOT_REACHED in note for note in verification.notes)
    assert (layer.scale == 1e-5).all()


def test_a_gamma_that_y_does_not_depend_on_is_told() -> None:
    class Ignoring(Layer):
        def forward(self, x: Array) -> Array:
            y, (self.xhat, _, _, self.inv, *_) = right.forward(x, np.ones(5), self.beta, 1e-5)
            return y

        def input_delta(self, dout: Array) -> Array:
            return right.closed_form(dout, (self.xhat, 1.0, None, self.inv))[0]

    verification = check(Ignoring())
    assert "the gamma that forward keeps does not change y" in verification.notes


def test_a_gamma_that_cannot_be_set_is_told() -> None:
    class Fixed(Layer):
        gamma = property(lambda self: np.full(5, 1.5), lambda self, value: None)

    verification = check(Fixed())
    assert verification.passed, str(verification)
    assert any("cannot be set" in note for note in verification.notes)
    assert mistakes_in(check(Fixed(has_gamma=False))) & {
        ("input_delta", "gamma_missing"), ("input_delta", "scaled"),
    }  # fmt: skip


def test_gradients_of_what_forward_does_not_take_are_checked_by_the_definition() -> None:
    """Function of x alone; backward returns three gradients."""

    def forward(x: Array) -> Any:
        return right.forward(x, np.ones(5), np.zeros(5), 1e-5)

    def averaging(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = right.closed_form(dout, cache)
        return dx, dgamma / len(dout), dbeta

    verification = ng.verify(forward, right.staged, X)
    assert verification.passed, str(verification)
    assert mistakes_in(ng.verify(forward, averaging, X)) == {("gamma_delta", "averaged")}


def test_gradients_in_a_dict_are_read() -> None:
    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = right.closed_form(dout, cache)
        return {"dx": dx, "dgamma": dgamma, "dbeta": factor * dbeta}

    factor = 1.0
    verification = ng.verify(right.forward, backward, X)
    assert verification.passed, str(verification)
    assert verification.notes == ()
    factor = -1.0
    assert mistakes_in(ng.verify(right.forward, backward, X)) == {("beta_delta", "sign")}


# ---- running statistics --------------------------------------------------------------------------


class Running(Layer):
    """A layer with running statistics; `update` returns what they are after a batch."""

    momentum, sign = 0.9, 1.0

    def __init__(self) -> None:
        super().__init__()
        self.running_mean, self.running_var = np.zeros(5), np.ones(5)

    def averaged(self, old: Any, new: Any) -> Any:
        return self.momentum * old + (1 - self.momentum) * new

    def forward(self, x: Array) -> Array:
        self.running_mean = self.averaged(self.running_mean, x.mean(0))
        self.running_var = self.averaged(self.running_var, self.sign * x.var(0))
        return super().forward(x)


def test_running_statistics_are_told_and_a_negative_variance_is_found() -> None:
    verification = check(Running())
    assert verification.passed, str(verification)
    (note,) = verification.notes
    assert note.startswith("running_mean, running_var: they average the batches' biased variance")
    negative = Running()
    negative.sign = -1.0
    assert mistakes_in(check(negative)) == {("forward", "running_sign")}
    negative.averaged = lambda old, new: -np.sqrt(np.abs(old)) - new  # type: ignore[method-assign]
    assert mistakes_in(check(negative)) == {("forward", "running_variance")}


def test_running_statistics_are_put_back() -> None:
    layer = Running()
    mean, var = layer.running_mean, layer.running_var
    check(layer)
    assert layer.running_mean is mean
    assert layer.running_var is var
    assert (mean == 0).all()
    assert (var == 1).all()


def test_a_running_variance_in_the_settings_of_the_course_is_looked_at() -> None:
    def forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
        old = bn_param.get("running_var", np.zeros(5))
        bn_param["running_var"] = sign * (0.9 * old + 0.1 * x.var(0))
        return right.forward(x, gamma, beta, bn_param["eps"])

    sign = 1.0
    verification = ng.verify(forward, right.staged, X)
    assert verification.passed
    assert any(note.startswith("running_var: ") for note in verification.notes)
    sign = -1.0
    found = mistakes_in(ng.verify(forward, right.staged, X))
    assert found == {("forward", "running_sign")}


def test_settings_that_must_be_there_are() -> None:
    def forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
        keep, old = bn_param["momentum"], bn_param["running_mean"]
        bn_param["running_mean"] = keep * old + (1 - keep) * x.mean(0)
        assert bn_param["mode"] == "train"
        with pytest.raises(KeyError):
            bn_param["layernorm"]
        return right.forward(x, gamma, beta, bn_param["eps"])

    assert ng.verify(forward, right.staged, X)


def test_momentum_in_the_settings_is_that_of_the_course() -> None:
    def forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
        take = bn_param.get("momentum", 0.9)
        for name, new in (("running_mean", x.mean(0)), ("running_var", x.var(0))):
            bn_param[name] = (1 - take) * bn_param.get(name, np.zeros(x.shape[1])) + take * new
        return right.forward(x, gamma, beta, bn_param["eps"])

    verification = ng.verify(forward, right.staged, X)
    assert mistakes_in(verification) == {("forward", "running_momentum")}
    assert verification.findings[0].words.startswith("running_mean and running_var: ")


def test_settings_are_those_of_a_test_where_the_statistics_are_given() -> None:
    def forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
        assert bn_param["mode"] == "test"
        inv = 1 / np.sqrt(bn_param["running_var"] + bn_param["eps"])
        xhat = (x - bn_param["running_mean"]) * inv
        return gamma * xhat + beta, (xhat, gamma * inv)

    def backward(dout: Array, cache: Any) -> Any:
        return dout * cache[1], (dout * cache[0]).sum(0), dout.sum(0)

    statistics = (np.linspace(-1, 1, 5), np.linspace(0.5, 2, 5))
    assert ng.verify(forward, backward, X, statistics=statistics)


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_running_statistics_of_any_type_and_number_are_judged(dtype: Any, channels: int) -> None:
    class Typed(Running):
        def __init__(self) -> None:
            super().__init__()
            self.gamma, self.beta = np.ones(channels), np.zeros(channels)
            self.running_mean, self.running_var = (
                np.zeros(channels, dtype),
                np.ones(channels, dtype),
            )

        def averaged(self, old: Any, new: Any) -> Any:
            return super().averaged(old, new).astype(dtype)

    layer = Typed()
    verification = check(layer, example(9, channels))
    assert verification.passed, str(verification)
    layer.momentum = 0.1
    found = mistakes_in(check(layer, example(9, channels)))
    assert found == {("forward", "running_momentum")}


def test_an_update_that_is_no_average_is_noted() -> None:
    class Logarithmic(Running):
        def averaged(self, old: Any, new: Any) -> Any:
            return np.log(np.exp(old) + np.exp(new))

    verification = check(Logarithmic())
    assert verification.passed
    assert any("running_mean: its update is no average" in note for note in verification.notes)


def test_running_statistics_are_not_judged_where_the_statistics_are_given() -> None:
    class Fixed(Running):
        def forward(self, x: Array) -> Array:
            self.inv = 1 / np.sqrt(self.running_var + 1e-5)
            self.xhat = (x - self.running_mean) * self.inv
            y: Array = self.gamma * self.xhat + self.beta
            return y

        def backward(self, dout: Array) -> Any:
            return self.gamma * self.inv * dout

    layer = Fixed()
    verification = check(layer, statistics=(np.zeros(5), np.ones(5)))
    assert verification.passed, str(verification)
    assert any("not checked, as forward normalizes with given" in n for n in verification.notes)
