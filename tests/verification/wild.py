"""Batch normalization as it is found in assignments, blogs and repositories, written anew.

Each is given whether to be right: if not, it has a mistake that has been made in public.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from .right import Array
from .test_backward import example

Arguments = dict[str, Any]
Mistakes = set[tuple[str, str]]
Case = Callable[[bool], Arguments]

ROWS = example(12, 5)
IMAGES = example(2, 4, 3, 3)


def forward_of_rows(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
    inv = 1 / np.sqrt(x.var(axis=0) + eps)
    xhat = (x - x.mean(axis=0)) * inv
    return gamma * xhat + beta, (xhat, gamma, inv)


def gradients_of_rows(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    xhat, gamma, inv = cache
    dbeta, dgamma = dout.sum(axis=0), (dout * xhat).sum(axis=0)
    return gamma * inv * (dout - (dbeta + xhat * dgamma) / len(dout)), dgamma, dbeta


def rows(backward: Any, forward: Any = forward_of_rows, x: Array = ROWS) -> Arguments:
    return {"forward": forward, "backward": backward, "example": x}


# ---- backward functions --------------------------------------------------------------------------


def course_with_settings(right: bool) -> Arguments:
    """Mean and variance as nodes of a graph; the gradient of the mean is not shared out."""

    def batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
        eps, momentum = bn_param["eps"], bn_param.get("momentum", 0.9)
        running_mean = bn_param.get("running_mean", np.zeros(x.shape[1]))
        running_var = bn_param.get("running_var", np.zeros(x.shape[1]))
        mu, var = x.mean(axis=0), x.var(axis=0)
        bn_param["running_mean"] = momentum * running_mean + (1 - momentum) * mu
        bn_param["running_var"] = momentum * running_var + (1 - momentum) * var
        xhat = (x - mu) / np.sqrt(var + eps)
        return gamma * xhat + beta, (x, mu, var, eps, gamma, xhat)

    def batchnorm_backward(dout: Array, cache: Any) -> Any:
        x, mu, var, eps, gamma, xhat = cache
        n = len(x)
        dxhat = dout * gamma
        dvar = (dxhat * (x - mu) * -0.5 * (var + eps) ** -1.5).sum(axis=0)
        dmu = (-dxhat / np.sqrt(var + eps)).sum(axis=0)
        dx = dxhat / np.sqrt(var + eps) + dvar * 2 * (x - mu) / n + (dmu / n if right else dmu)
        return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)

    return rows(batchnorm_backward, batchnorm_forward)


def one_line_formula(right: bool) -> Arguments:
    """The closed form, with the sum for beta where that for gamma belongs."""

    def backward(dout: Array, cache: Any) -> Any:
        xhat, gamma, inv = cache
        n = len(dout)
        dgamma, dbeta = (xhat * dout).sum(0), dout.sum(0)
        bracket = n * dout - dbeta - xhat * (dgamma if right else dbeta)
        return gamma * inv / n * bracket, dgamma, dbeta

    return rows(backward)


def zero_anyway(right: bool) -> Arguments:
    """The path through the mean is dropped, since the deviations sum to zero."""

    def backward(dout: Array, cache: Any) -> Any:
        _, gamma, inv = cache
        dx, dgamma, dbeta = gradients_of_rows(dout, cache)
        return (dx if right else dx + gamma * inv * dout.mean(0)), dgamma, dbeta

    return rows(backward)


def gradients_first(right: bool) -> Arguments:
    """(dgamma, dbeta, dx); the gradients of the parameters are averaged over the batch."""

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(dout, cache)
        n = 1 if right else len(dout)
        return dgamma / n, dbeta / n, dx

    return rows(backward)


def dict_of_gradients(right: bool) -> Arguments:
    """A dict, as layers of a small framework return; gamma is left out of the chain."""

    def forward(x: Array, params: dict[str, Array]) -> Any:
        y, cache = forward_of_rows(x, params["gamma"], params["beta"], 1e-5)
        return {"y": y, "cache": cache}

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(dout, cache)
        return {"d_x": dx if right else dx / cache[1], "grad_weight": dgamma, "grad_bias": dbeta}

    return rows(backward, forward)


def named_tuple_of_gradients(right: bool) -> Arguments:
    """A named tuple in an order of its own; the inverse deviation is left out of gamma's."""
    gradients = namedtuple("gradients", "grad_gamma grad_beta grad_input")

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(dout, cache)
        return gradients(dgamma if right else dgamma / cache[2], dbeta, dx)

    return rows(backward)


def samples_for_elements(right: bool) -> Arguments:
    """Images, where the number of samples stands for that of the elements of a channel."""

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        mean = x.mean(axis=(0, 2, 3), keepdims=True)
        inv = 1 / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
        xhat = (x - mean) * inv
        return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, gamma[:, None, None], inv)

    def backward(dout: Array, cache: Any) -> Any:
        xhat, gamma, inv = cache
        n, _, h, w = dout.shape
        count = n * h * w if right else n
        dbeta, dgamma = dout.sum(axis=(0, 2, 3)), (dout * xhat).sum(axis=(0, 2, 3))
        sums = dbeta[:, None, None] + xhat * dgamma[:, None, None]
        return gamma * inv * (dout - sums / count), dgamma, dbeta

    return rows(backward, forward, IMAGES)


def reshape_for_transpose(right: bool) -> Arguments:
    """The course's images, read as rows of channels by a reshape alone."""

    def read(x: Array) -> Array:
        return (x.transpose(0, 2, 3, 1) if right else x).reshape(-1, x.shape[1])

    def write(values: Array, like: tuple[int, ...]) -> Array:
        n, c, h, w = like
        return values.reshape(n, h, w, c).transpose(0, 3, 1, 2) if right else values.reshape(like)

    def spatial_forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        y, cache = forward_of_rows(read(x), gamma, beta, eps)
        return write(y, x.shape), (cache, x.shape)

    def spatial_backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(read(dout), cache[0])
        return write(dx, cache[1]), dgamma, dbeta

    return rows(spatial_backward, spatial_forward, IMAGES)


def cache_overwritten(right: bool) -> Arguments:
    """y is made in the memory of x̂, so that backward finds y in the cache."""

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        y, cache = forward_of_rows(x, gamma, beta, 1e-5)
        if right:
            return y, cache
        xhat, gamma, inv = cache
        kept = xhat.copy()
        xhat *= gamma
        xhat += beta
        return xhat, (kept, gamma, inv, xhat)

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(dout, cache[:3])
        return dx, (dout * cache[-1]).sum(0) if not right else dgamma, dbeta

    return rows(backward, forward)


def backward_of_training_in_test_mode(right: bool) -> Arguments:
    """forward takes the statistics; backward is that of a training step all the same."""

    def forward(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Any:
        inv = 1 / np.sqrt(var + eps)
        xhat = (x - mean) * inv
        return gamma * xhat + beta, (xhat, gamma, inv)

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(dout, cache)
        return (cache[1] * cache[2] * dout if right else dx), dgamma, dbeta

    return rows(backward, forward)


# ---- forward functions ---------------------------------------------------------------------------


def epsilon_beside_the_deviation(right: bool) -> Arguments:
    """np.std(x) + eps, forward and backward."""

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        deviation = np.sqrt(x.var(axis=0) + eps) if right else np.std(x, axis=0) + eps
        xhat = (x - x.mean(axis=0)) / deviation
        return gamma * xhat + beta, (xhat, gamma, 1 / deviation, x.var(axis=0), deviation)

    def backward(dout: Array, cache: Any) -> Any:
        xhat, gamma, inv, variance, deviation = cache
        dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
        slope = 1.0 if right else deviation / np.sqrt(variance)
        n = len(dout)
        return gamma * inv * (dout - dbeta / n - xhat * dgamma * slope / n), dgamma, dbeta

    return rows(backward, forward)


def sample_variance(right: bool) -> Arguments:
    """ddof=1 in forward, and the backward of the biased variance."""

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        inv = 1 / np.sqrt(x.var(axis=0, ddof=0 if right else 1) + eps)
        xhat = (x - x.mean(axis=0)) * inv
        return gamma * xhat + beta, (xhat, gamma, inv)

    return rows(gradients_of_rows, forward)


def channels_last(right: bool) -> Arguments:
    """Images with the channels last, of which nothing is said."""

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        y, cache = forward_of_rows(x.reshape(-1, x.shape[-1]), gamma, beta, 1e-5)
        return y.reshape(x.shape), cache

    def backward(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = gradients_of_rows(dout.reshape(-1, dout.shape[-1]), cache)
        return dx.reshape(dout.shape), dgamma, dbeta

    arguments = rows(backward, forward, example(3, 4, 4, 4))
    return {**arguments, "channel_axis": -1} if right else arguments


# ---- running statistics --------------------------------------------------------------------------


class Layer:
    """A layer whose running statistics are updated by a function of it, the mean and variance."""

    def __init__(self, update: Callable[[Any, Array, Array, int], None]) -> None:
        self.gamma, self.beta, self.momentum, self.update = np.ones(5), np.zeros(5), 0.9, update
        self.running_mean, self.running_var = np.zeros(5), np.ones(5)

    def forward(self, x: Array) -> Array:
        self.update(self, x.mean(axis=0), x.var(axis=0), len(x))
        y, self.cache = forward_of_rows(x, self.gamma, self.beta, 1e-5)
        return y

    def backward(self, dout: Array) -> Array:
        dx, self.dgamma, self.dbeta = gradients_of_rows(dout, self.cache)
        return dx


def averaged(layer: Any, mean: Array, var: Array, n: int) -> None:
    keep = layer.momentum
    layer.running_mean = keep * layer.running_mean + (1 - keep) * mean
    layer.running_var = keep * layer.running_var + (1 - keep) * var


def layer_with(update: Callable[[Any, Array, Array, int], None]) -> Case:
    """A layer with this wrong update, and with the right one."""

    def case(right: bool) -> Arguments:
        layer = Layer(averaged if right else update)
        return rows(layer.backward, layer.forward)

    return case


def momentum_of_the_other_library(layer: Any, mean: Array, var: Array, n: int) -> None:
    layer.running_mean = (1 - layer.momentum) * layer.running_mean + layer.momentum * mean
    layer.running_var = (1 - layer.momentum) * layer.running_var + layer.momentum * var


def minus_for_plus(layer: Any, mean: Array, var: Array, n: int) -> None:
    averaged(layer, mean, var, n)
    layer.running_mean -= 2 * (1 - layer.momentum) * mean


def no_decay(layer: Any, mean: Array, var: Array, n: int) -> None:
    layer.running_mean += (1 - layer.momentum) * mean
    layer.running_var += (1 - layer.momentum) * var


def deviation_for_variance(layer: Any, mean: Array, var: Array, n: int) -> None:
    keep, before = layer.momentum, layer.running_var
    averaged(layer, mean, var, n)
    layer.running_var = keep * before + (1 - keep) * np.sqrt(var)


def names_bound_anew(layer: Any, mean: Array, var: Array, n: int) -> None:
    running_mean, running_var, keep = layer.running_mean, layer.running_var, layer.momentum
    running_mean = keep * running_mean + (1 - keep) * mean
    running_var = keep * running_var + (1 - keep) * var


def mean_forgotten(layer: Any, mean: Array, var: Array, n: int) -> None:
    layer.running_var = layer.momentum * layer.running_var + (1 - layer.momentum) * var


def unbiased_running_variance(right: bool) -> Arguments:
    """Asked for the biased one, as the layers of TensorFlow keep it."""

    def update(layer: Any, mean: Array, var: Array, n: int) -> None:
        averaged(layer, mean, var if right else var * n / (n - 1), n)

    layer = Layer(update)
    return {**rows(layer.backward, layer.forward), "running_unbiased": False}


def biased_running_variance(right: bool) -> Arguments:
    """Asked for the unbiased one, as torch's layers keep it."""

    def update(layer: Any, mean: Array, var: Array, n: int) -> None:
        averaged(layer, mean, var * n / (n - 1) if right else var, n)

    layer = Layer(update)
    return {**rows(layer.backward, layer.forward), "running_unbiased": True}


def lost_in_the_function(right: bool) -> Arguments:
    """Running statistics are arguments, which an assignment does not change."""

    def forward(
        x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array,
        momentum: float,
    ) -> Any:  # fmt: skip
        mean, var = x.mean(axis=0), x.var(axis=0)
        if right:
            running_mean[:] = momentum * running_mean + (1 - momentum) * mean
            running_var[:] = momentum * running_var + (1 - momentum) * var
        else:
            running_mean = momentum * running_mean + (1 - momentum) * mean
            running_var = momentum * running_var + (1 - momentum) * var
        return forward_of_rows(x, gamma, beta, 1e-5)

    return rows(gradients_of_rows, forward)


def of(output: str, *mistakes: str) -> Mistakes:
    return {(output, mistake) for mistake in mistakes}


#: name -> (functions, what verify has to find in the wrong ones)
WILD: dict[str, tuple[Case, Mistakes]] = {
    "1/n missing in the mean path": (course_with_settings, of("input_delta", "not_divided_by_n")),
    "sum of delta twice": (one_line_formula, of("input_delta", "sum_without_x_hat")),
    "mean path dropped": (zero_anyway, of("input_delta", "missing_mean_path")),
    "averaged, gradients first": (
        gradients_first,
        of("gamma_delta", "averaged") | of("beta_delta", "averaged"),
    ),
    "gamma missing, in a dict": (dict_of_gradients, of("input_delta", "gamma_missing")),
    "inv missing, in a named tuple": (named_tuple_of_gradients, of("gamma_delta", "inv_missing")),
    "samples for elements": (samples_for_elements, of("input_delta", "wrong_n")),
    "reshape for transpose": (reshape_for_transpose, of("normalized", "wrong_layout")),
    "y for x_hat": (cache_overwritten, of("gamma_delta", "not_centered")),
    "training's backward in test mode": (
        backward_of_training_in_test_mode,
        of("input_delta", "batch_statistics"),
    ),
    "epsilon beside the deviation": (
        epsilon_beside_the_deviation,
        of("normalized", "epsilon_outside_root"),
    ),
    "sample variance": (
        sample_variance,
        of("normalized", "unbiased_variance") | of("input_delta", "n_instead_of_n_minus_1"),
    ),
    "channels last, not said": (channels_last, of("normalized", "wrong_axis")),
    "momentum on the wrong side": (
        layer_with(momentum_of_the_other_library),
        of("forward", "running_momentum"),
    ),
    "minus for plus": (layer_with(minus_for_plus), of("forward", "running_sign")),
    "no decay": (layer_with(no_decay), of("forward", "running_weights")),
    "deviation for variance": (
        layer_with(deviation_for_variance),
        of("forward", "running_quantity"),
    ),
    "names bound anew": (layer_with(names_bound_anew), of("forward", "running_not_updated")),
    "running mean forgotten": (layer_with(mean_forgotten), of("forward", "running_not_updated")),
    "unbiased running variance": (unbiased_running_variance, of("forward", "running_unbiased")),
    "biased running variance": (biased_running_variance, of("forward", "running_biased")),
    "lost in the function": (lost_in_the_function, of("forward", "running_not_updated")),
}
