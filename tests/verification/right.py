"""Right forward and backward functions, as people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    """The walk-through's forward pass: arrays (N, D), all its intermediate values in the cache."""
    mu = x.mean(axis=0)
    xmu = x - mu
    var = (xmu**2).mean(axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1 / sqrtvar
    xhat = xmu * ivar
    return gamma * xhat + beta, (xhat, gamma, xmu, ivar, sqrtvar, var, eps)


def staged(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """The walk-through's twelve steps."""
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    n, d = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1 / sqrtvar**2 * divar
    dvar = 0.5 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1 / n * np.ones((n, d)) * dvar
    dx1 = dxmu1 + 2 * xmu * dsq
    dmu = -np.sum(dx1, axis=0)
    return dx1 + 1 / n * np.ones((n, d)) * dmu, dgamma, dbeta


def closed_form(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """One expression."""
    xhat, gamma, _, ivar, *_ = cache
    n = len(dout)
    dbeta, dgamma = dout.sum(axis=0), (dout * xhat).sum(axis=0)
    return gamma * ivar / n * (n * dout - dbeta - xhat * dgamma), dgamma, dbeta


def unbiased_forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    """A right pair with the variance divided by n - 1."""
    inv = 1 / np.sqrt(x.var(axis=0, ddof=1) + eps)
    xhat = (x - x.mean(axis=0)) * inv
    return gamma * xhat + beta, (xhat, gamma, None, inv)


def unbiased_closed_form(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """The derivation's final form, which is right for this variance."""
    xhat, gamma, _, inv = cache
    n = len(dout)
    dbeta, dgamma = dout.sum(axis=0), (dout * xhat).sum(axis=0)
    bracket = n * dout - n / (n - 1) * xhat * dgamma - dbeta
    return gamma * inv / n * bracket, dgamma, dbeta


class Layer:
    """The vectorized page's class: channels last, any rank, no beta, moving statistics."""

    def __init__(self, channels: int) -> None:
        self.mean, self.var = np.full(channels, 0.3), np.full(channels, 1.7)
        self.is_training = True

    def forward(self, x: Array, gamma: Array) -> Array:
        axes = tuple(range(x.ndim - 1))
        mean, var = (x.mean(axes), x.var(axes)) if self.is_training else (self.mean, self.var)
        self.axes, self.gamma = axes, gamma
        self.rstd = 1 / np.sqrt(var + 1e-8)
        self.normed = (x - mean) * self.rstd
        return self.normed * gamma

    def backward(self, grad: Array) -> tuple[Array, Array]:
        n = np.prod(grad.shape[:-1])
        g_gamma = np.multiply(grad, self.normed).sum(self.axes)
        x_ = grad - self.normed * g_gamma * 1.0 / n
        x_ = self.rstd * self.gamma * x_
        return x_ - x_.mean(self.axes), g_gamma

    def backward_with_frozen_statistics(self, grad: Array) -> tuple[Array, Array]:
        return self.rstd * self.gamma * grad, (grad * self.normed).sum(self.axes)


def images_forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    """Channels first, (N, C, H, W), by moving the channel axis to the end."""
    n, c, h, w = x.shape
    y, cache = forward(x.transpose(0, 2, 3, 1).reshape(-1, c), gamma, beta, eps)
    return y.reshape(n, h, w, c).transpose(0, 3, 1, 2), cache


def images_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    n, c, h, w = dout.shape
    dx, dgamma, dbeta = staged(dout.transpose(0, 2, 3, 1).reshape(-1, c), cache)
    return dx.reshape(n, h, w, c).transpose(0, 3, 1, 2), dgamma, dbeta


def broadcast_forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Any]:
    """Channels first, with keepdims and vectors of shape (1, C, 1, 1)."""
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    inv = 1 / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + eps)
    return gamma * (x - mean) * inv + beta, ((x - mean) * inv, inv, gamma)


def broadcast_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    xhat, inv, gamma = cache
    axes = (0, 2, 3)
    dbeta = dout.sum(axis=axes, keepdims=True)
    dgamma = (dout * xhat).sum(axis=axes, keepdims=True)
    n = dout.size / dbeta.size
    return gamma * inv * (dout - dbeta / n - xhat * dgamma / n), dgamma, dbeta
