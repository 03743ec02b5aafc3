"""Every formula of the published derivations, as printed and, where that is wrong, corrected.

`printed` is the page's formula in the page's own form, fed with right values of what it refers to;
`truth` is the same derivative by finite differences. A `listing` runs a page's formulas one after
the other, each with what the one before gave. Where a page leaves epsilon out, its v is read as
variance + epsilon, so that this is counted once and not in every line.

Sources:

nGraph        nGraph documentation, "BatchNormTrainingBackprop"
derivation    "Backpropagation Derivation for Batch Normalization"
vectorized    T. H. Trieu, "Vectorizing gradient of batch normalization"
walk-through  F. Kratzert, "Understanding the backward pass through Batch Normalization Layer"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from .channel import (
    WITH_GMUL,
    WITH_XHAT,
    Channel,
    Value,
    finite_differences,
    forward,
    gradient,
    loss,
    sample_channel,
)

Formula = Callable[[SimpleNamespace], Value]

BIASED = sample_channel()
UNBIASED = sample_channel(unbiased=True)


@dataclass(frozen=True)
class Published:
    """One formula of one page. `number` is its row in docs/published_errors.md; 0: it is right."""

    source: str
    quantity: str
    printed: Formula
    truth: Callable[[], Value]
    corrected: Formula | None = None
    number: int = 0
    channel: Channel = BIASED


def sum_of(values: Value) -> float:
    return float(np.sum(values))


# ---- nGraph: the backward pass of normed = centered·gmul + beta, gmul = gamma·invsqrt ------------


def ngraph_values() -> SimpleNamespace:
    """The right value of every adjoint that the page's lines refer to; `d` is normed's."""
    s = forward(WITH_GMUL, BIASED)
    s.d = s.normalized_delta
    s.gmul_delta = gradient(WITH_GMUL, BIASED, "gmul")
    s.invsqrt_delta = gradient(WITH_GMUL, BIASED, "invsqrt")
    s.variance_delta = gradient(WITH_GMUL, BIASED, "variance")
    s.square_delta = gradient(WITH_GMUL, BIASED, "square")
    s.centered_delta = gradient(WITH_GMUL, BIASED, "centered")
    s.mean_delta = gradient(WITH_GMUL, BIASED, "mean")
    return s


def ngraph_listing(s: SimpleNamespace, gmul_delta: Value, mean_sign: float) -> Value:
    """input_delta by the page's lines; what is wrong in them is given."""
    invsqrt_delta = s.gamma * gmul_delta
    variance_delta = -invsqrt_delta * s.invsqrt / (2 * (s.variance + s.epsilon))
    square_delta = variance_delta / s.n
    centered_delta = s.d * s.gmul + 2 * s.centered * square_delta
    mean_delta = mean_sign * sum_of(centered_delta)
    return centered_delta + mean_delta / s.n


def ngraph_truth(name: str, hold: tuple[str, ...] = ()) -> Callable[[], Value]:
    return lambda: gradient(WITH_GMUL, BIASED, name, hold)


NGRAPH = [
    Published(
        "nGraph", "beta_delta", number=1,
        printed=lambda s: s.d,
        corrected=lambda s: sum_of(s.d),
        truth=ngraph_truth("beta"),
    ),
    Published(
        "nGraph", "gmul_delta", number=2,
        printed=lambda s: sum_of(s.d),
        corrected=lambda s: sum_of(s.d * s.centered),
        truth=ngraph_truth("gmul"),
    ),
    Published(
        "nGraph", "centered_delta, first part",
        printed=lambda s: s.d * s.gmul,
        truth=ngraph_truth("centered", hold=("square",)),
    ),
    Published(
        "nGraph", "gamma_delta",
        printed=lambda s: s.gmul_delta * s.invsqrt,
        truth=ngraph_truth("gamma"),
    ),
    Published(
        "nGraph", "invsqrt_delta",
        printed=lambda s: s.gamma * s.gmul_delta,
        truth=ngraph_truth("invsqrt"),
    ),
    Published(
        "nGraph", "variance_delta",
        printed=lambda s: -s.invsqrt_delta * s.invsqrt / (2 * (s.variance + s.epsilon)),
        truth=ngraph_truth("variance"),
    ),
    Published(
        "nGraph", "square_delta",
        printed=lambda s: np.full(s.n, s.variance_delta / s.n),
        truth=ngraph_truth("square"),
    ),
    Published(
        "nGraph", "centered_delta, second part",
        printed=lambda s: 2 * s.centered * s.square_delta,
        truth=lambda: (
            gradient(WITH_GMUL, BIASED, "centered")
            - gradient(WITH_GMUL, BIASED, "centered", hold=("square",))
        ),
    ),
    Published(
        "nGraph", "input_delta, first part",
        printed=lambda s: s.centered_delta,
        truth=ngraph_truth("input", hold=("mean",)),
    ),
    Published(
        "nGraph", "mean_delta", number=3,
        printed=lambda s: sum_of(s.centered_delta),
        corrected=lambda s: -sum_of(s.centered_delta),
        truth=ngraph_truth("mean"),
    ),
    Published(
        "nGraph", "input_delta, second part",
        printed=lambda s: np.full(s.n, s.mean_delta / s.n),
        truth=lambda: (
            gradient(WITH_GMUL, BIASED, "input")
            - gradient(WITH_GMUL, BIASED, "input", hold=("mean",))
        ),
    ),
    Published(
        "nGraph", "input_delta, whole listing", number=4,
        printed=lambda s: ngraph_listing(s, sum_of(s.d), +1),
        corrected=lambda s: ngraph_listing(s, sum_of(s.d * s.centered), -1),
        truth=ngraph_truth("input"),
    ),
]  # fmt: skip


# ---- derivation: three paths, with its forward pass's variance over N ----------------------------


def derivation_values(channel: Channel) -> SimpleNamespace:
    """`s2` is the page's σ² + ε, `root` its square root, `d` its ∂L/∂y."""
    s = forward(WITH_XHAT, channel)
    s.d = s.normalized_delta
    s.s2 = s.variance + s.epsilon
    s.root = s.sqrtvar
    s.variance_delta = gradient(WITH_XHAT, channel, "variance")
    s.mean_delta = gradient(WITH_XHAT, channel, "mean", hold=("variance",))
    # ∂σ²/∂μ is 0 at the batch's own mean whatever its factor, so it is looked at beside it.
    s.other_mean = s.mean + 0.5 * s.sqrtvar
    return s


def variance_about(mean: float, x: Value) -> float:
    return sum_of((x - mean) ** 2) / len(x)


def through_variance(x: Value) -> float:
    """The loss where only the variance follows a change of the input."""
    variance = forward(WITH_XHAT, BIASED, input=x).variance
    return loss(WITH_XHAT, BIASED, variance=variance)


def derivation_sum_of_paths(s: SimpleNamespace, normalized_path: Value) -> Value:
    """The line before the final one: ∂L/∂x̂·∂x̂/∂x + ∂L/∂σ²·∂σ²/∂x + ∂L/∂μ·∂μ/∂x."""
    return normalized_path + s.variance_delta * 2 * s.centered / s.n + s.mean_delta / s.n


def closed_form(s: SimpleNamespace, factor: float) -> Value:
    """The final line, with `factor` before the term of x̂."""
    bracket = s.n * s.d - factor * s.xhat * sum_of(s.d * s.xhat) - sum_of(s.d)
    return s.gamma / (s.n * s.root) * bracket


DERIVATION = [
    Published(
        "derivation", "∂L/∂γ",
        printed=lambda s: sum_of(s.d * s.xhat),
        truth=lambda: gradient(WITH_XHAT, BIASED, "gamma"),
    ),
    Published(
        "derivation", "∂L/∂β",
        printed=lambda s: sum_of(s.d),
        truth=lambda: gradient(WITH_XHAT, BIASED, "beta"),
    ),
    Published(
        "derivation", "∂L/∂x, path 1", number=5,
        printed=lambda s: s.gamma * s.d,
        corrected=lambda s: s.gamma * s.d / s.root,
        truth=lambda: gradient(WITH_XHAT, BIASED, "input", hold=("mean", "variance")),
    ),
    Published(
        "derivation", "∂L/∂σ²",
        printed=lambda s: -s.gamma / (2 * s.s2) * sum_of(s.d * s.xhat),
        truth=lambda: gradient(WITH_XHAT, BIASED, "variance"),
    ),
    Published(
        "derivation", "∂σ²/∂x", number=6,
        printed=lambda s: np.full(s.n, -2 / (s.n - 1) * sum_of(s.centered)),
        corrected=lambda s: 2 / s.n * s.centered,
        truth=lambda: finite_differences(
            lambda x: variance_about(float(np.mean(x)), x), BIASED.input
        ),
    ),
    Published(
        "derivation", "∂L/∂σ²·∂σ²/∂x", number=7,
        printed=lambda s: -s.gamma / ((s.n - 1) * s.s2) * s.xhat * sum_of(s.d * s.xhat),
        corrected=lambda s: -s.gamma / (s.n * s.root) * s.xhat * sum_of(s.d * s.xhat),
        truth=lambda: finite_differences(through_variance, BIASED.input),
    ),
    Published(
        "derivation", "∂L/∂μ",
        printed=lambda s: -s.gamma / s.root * sum_of(s.d),
        truth=lambda: gradient(WITH_XHAT, BIASED, "mean"),
    ),
    Published(
        "derivation", "∂σ²/∂μ, beside the batch's mean", number=8,
        printed=lambda s: 2 / (s.n - 1) * sum_of(s.input - s.other_mean),
        corrected=lambda s: -2 / s.n * sum_of(s.input - s.other_mean),
        truth=lambda: finite_differences(
            lambda mean: variance_about(mean, BIASED.input), derivation_values(BIASED).other_mean
        ),
    ),
    Published(
        "derivation", "∂μ/∂x",
        printed=lambda s: np.full(s.n, 1 / s.n),
        truth=lambda: finite_differences(lambda x: float(np.mean(x)), BIASED.input),
    ),
    Published(
        "derivation", "∂L/∂μ·∂μ/∂x",
        printed=lambda s: np.full(s.n, -s.gamma / (s.n * s.root) * sum_of(s.d)),
        truth=lambda: (
            gradient(WITH_XHAT, BIASED, "input", hold=("variance",))
            - gradient(WITH_XHAT, BIASED, "input", hold=("mean", "variance"))
        ),
    ),
    Published(
        "derivation", "∂L/∂x, sum of the paths", number=9,
        printed=lambda s: derivation_sum_of_paths(s, s.gamma * s.d),
        corrected=lambda s: derivation_sum_of_paths(s, s.gamma * s.d / s.root),
        truth=lambda: gradient(WITH_XHAT, BIASED, "input"),
    ),
    Published(
        "derivation", "∂L/∂x, final form", number=10,
        printed=lambda s: closed_form(s, s.n / (s.n - 1)),
        corrected=lambda s: closed_form(s, 1),
        truth=lambda: gradient(WITH_XHAT, BIASED, "input"),
    ),
    Published(
        "derivation", "∂L/∂x, final form, of an unbiased forward pass",
        channel=UNBIASED,
        printed=lambda s: closed_form(s, s.n / (s.n - 1)),
        truth=lambda: gradient(WITH_XHAT, UNBIASED, "input"),
    ),
]  # fmt: skip


# ---- vectorized: x̄ = x - m, v the variance, x* = x̄·v^(-1/2), and its numpy class ---------------


def frozen_channel() -> Channel:
    """In test mode the statistics are moving averages: others than this batch's."""
    s = forward(WITH_XHAT, BIASED)
    return replace(BIASED, input=BIASED.input + 0.4 * s.sqrtvar)


FROZEN = frozen_channel()
MOVING = {"mean": forward(WITH_XHAT, BIASED).mean, "variance": forward(WITH_XHAT, BIASED).variance}


def vectorized_values(channel: Channel) -> SimpleNamespace:
    """`v` is read as variance + epsilon; `d` is the page's δx_BN."""
    s = forward(WITH_XHAT, channel, **(MOVING if channel is FROZEN else {}))
    s.d = s.normalized_delta
    s.v = s.variance + s.epsilon
    s.xhat_delta = gradient(WITH_XHAT, channel, "xhat")
    s.square_delta = gradient(WITH_XHAT, channel, "square")
    s.variance_delta = gradient(WITH_XHAT, channel, "variance")
    s.centered_delta = gradient(WITH_XHAT, channel, "centered")
    s.mean_delta = gradient(WITH_XHAT, channel, "mean")
    return s


def vectorized_backward(s: SimpleNamespace, normed: Value, rstd: float) -> Value:
    """The page's method `backward`, the batch on axis 0, one channel."""
    gamma_delta = sum_of(s.d * normed)
    scaled = rstd * s.gamma * (s.d - normed * gamma_delta / s.n)
    return scaled - np.mean(scaled)


VECTORIZED = [
    Published(
        "vectorized", "δx*",
        printed=lambda s: s.gamma * s.d,
        truth=lambda: gradient(WITH_XHAT, BIASED, "xhat"),
    ),
    Published(
        "vectorized", "δv",
        printed=lambda s: -0.5 * s.v**-1.5 * sum_of(s.xhat_delta * s.centered),
        truth=lambda: gradient(WITH_XHAT, BIASED, "variance"),
    ),
    Published(
        "vectorized", "δx̄²",
        printed=lambda s: np.full(s.n, s.variance_delta / s.n),
        truth=lambda: gradient(WITH_XHAT, BIASED, "square"),
    ),
    Published(
        "vectorized", "δx̄ through x̄²",
        printed=lambda s: 2 * s.square_delta * s.centered,
        truth=lambda: (
            gradient(WITH_XHAT, BIASED, "centered")
            - gradient(WITH_XHAT, BIASED, "centered", hold=("square",))
        ),
    ),
    Published(
        "vectorized", "δx̄ through x*", number=11,
        printed=lambda s: s.xhat_delta / s.v**-0.5,
        corrected=lambda s: s.xhat_delta * s.v**-0.5,
        truth=lambda: gradient(WITH_XHAT, BIASED, "centered", hold=("square",)),
    ),
    Published(
        "vectorized", "δx̄",
        printed=lambda s: 2 * s.square_delta * s.centered + s.v**-0.5 * s.xhat_delta,
        truth=lambda: gradient(WITH_XHAT, BIASED, "centered"),
    ),
    Published(
        "vectorized", "δm",
        printed=lambda s: -sum_of(s.centered_delta),
        truth=lambda: gradient(WITH_XHAT, BIASED, "mean"),
    ),
    Published(
        "vectorized", "δx",
        printed=lambda s: s.centered_delta + s.mean_delta / s.n,
        truth=lambda: gradient(WITH_XHAT, BIASED, "input"),
    ),
    Published(
        "vectorized", "δx with v taken without ε", number=12,
        printed=lambda s: vectorized_backward(
            s, s.centered * s.variance**-0.5, s.variance**-0.5
        ),
        corrected=lambda s: vectorized_backward(s, s.centered * s.v**-0.5, s.v**-0.5),
        truth=lambda: gradient(WITH_XHAT, BIASED, "input"),
    ),
    Published(
        "vectorized", "δx of the class, training",
        printed=lambda s: vectorized_backward(s, s.xhat, s.invsqrt),
        truth=lambda: gradient(WITH_XHAT, BIASED, "input"),
    ),
    Published(
        "vectorized", "δγ of the class",
        printed=lambda s: sum_of(s.d * s.xhat),
        truth=lambda: gradient(WITH_XHAT, BIASED, "gamma"),
    ),
    Published(
        "vectorized", "δx of the class, frozen statistics", number=13, channel=FROZEN,
        printed=lambda s: vectorized_backward(s, s.xhat, s.invsqrt),
        corrected=lambda s: s.gamma * s.invsqrt * s.d,
        truth=lambda: gradient(WITH_XHAT, FROZEN, "input", **MOVING),
    ),
]  # fmt: skip


# ---- walk-through: the steps 9 to 0 of its listing -----------------------------------------------


def walk_through_values() -> SimpleNamespace:
    """The right value of everything the steps refer to, under the names of the listing."""
    s = forward(WITH_XHAT, BIASED)
    s.dout = s.normalized_delta
    s.dxhat = gradient(WITH_XHAT, BIASED, "xhat")
    s.divar = gradient(WITH_XHAT, BIASED, "invsqrt")
    s.dsqrtvar = gradient(WITH_XHAT, BIASED, "sqrtvar")
    s.dvar = gradient(WITH_XHAT, BIASED, "variance")
    s.dsq = gradient(WITH_XHAT, BIASED, "square")
    s.dxmu = gradient(WITH_XHAT, BIASED, "centered")
    s.dmu = gradient(WITH_XHAT, BIASED, "mean")
    return s


def walk_through_truth(name: str, hold: tuple[str, ...] = ()) -> Callable[[], Value]:
    return lambda: gradient(WITH_XHAT, BIASED, name, hold)


def with_gamma(s: SimpleNamespace, gamma: float) -> Value:
    """The centered output for this gamma and beta = mean: `centered` again if gamma restores it."""
    return forward(WITH_XHAT, replace(BIASED, gamma=gamma, beta=s.mean)).normed - s.mean


def averaged_loss_by_beta() -> float:
    """d/d beta of the mean over the batch of a loss of each sample, normed²/2."""

    def averaged_loss(beta: float) -> float:
        return float(np.mean(forward(WITH_XHAT, replace(BIASED, beta=beta)).normed ** 2 / 2))

    return float(finite_differences(averaged_loss, BIASED.beta))


WALK_THROUGH = [
    Published(
        "walk-through", "step 9, dbeta",
        printed=lambda s: sum_of(s.dout),
        truth=walk_through_truth("beta"),
    ),
    Published(
        "walk-through", "step 8, dgamma",
        printed=lambda s: sum_of(s.dout * s.xhat),
        truth=walk_through_truth("gamma"),
    ),
    Published(
        "walk-through", "step 8, dxhat",
        printed=lambda s: s.dout * s.gamma,
        truth=walk_through_truth("xhat"),
    ),
    Published(
        "walk-through", "step 7, divar",
        printed=lambda s: sum_of(s.dxhat * s.centered),
        truth=walk_through_truth("invsqrt"),
    ),
    Published(
        "walk-through", "step 7, dxmu1",
        printed=lambda s: s.dxhat * s.invsqrt,
        truth=walk_through_truth("centered", hold=("square",)),
    ),
    Published(
        "walk-through", "step 6, dsqrtvar",
        printed=lambda s: -1 / s.sqrtvar**2 * s.divar,
        truth=walk_through_truth("sqrtvar"),
    ),
    Published(
        "walk-through", "step 5, dvar",
        printed=lambda s: 0.5 / np.sqrt(s.variance + s.epsilon) * s.dsqrtvar,
        truth=walk_through_truth("variance"),
    ),
    Published(
        "walk-through", "step 4, dsq",
        printed=lambda s: np.full(s.n, s.dvar / s.n),
        truth=walk_through_truth("square"),
    ),
    Published(
        "walk-through", "step 3, dxmu2",
        printed=lambda s: 2 * s.centered * s.dsq,
        truth=lambda: (
            gradient(WITH_XHAT, BIASED, "centered")
            - gradient(WITH_XHAT, BIASED, "centered", hold=("square",))
        ),
    ),
    Published(
        "walk-through", "step 2, dmu",
        printed=lambda s: -sum_of(s.dxmu),
        truth=walk_through_truth("mean"),
    ),
    Published(
        "walk-through", "step 1, dx2",
        printed=lambda s: np.full(s.n, s.dmu / s.n),
        truth=lambda: (
            gradient(WITH_XHAT, BIASED, "input")
            - gradient(WITH_XHAT, BIASED, "input", hold=("mean",))
        ),
    ),
    Published(
        "walk-through", "step 0, dx",
        printed=lambda s: s.dxmu + s.dmu / s.n,
        truth=walk_through_truth("input"),
    ),
    Published(
        "walk-through", "γ that restores the activation", number=14,
        printed=lambda s: with_gamma(s, np.sqrt(s.variance)),
        corrected=lambda s: with_gamma(s, np.sqrt(s.variance + s.epsilon)),
        truth=lambda: forward(WITH_XHAT, BIASED).centered,
    ),
    Published(
        "walk-through", "dbeta of a loss that averages over the batch", number=15,
        # The reason it gives for the sum is that the loss sums over the batch. Where the loss
        # averages, dbeta would be the average of what arrives; it is the sum there as well.
        printed=lambda s: float(np.mean(s.normed / s.n)),
        corrected=lambda s: sum_of(s.normed / s.n),
        truth=averaged_loss_by_beta,
    ),
]  # fmt: skip


ALL = [*NGRAPH, *DERIVATION, *VECTORIZED, *WALK_THROUGH]
WRONG = [formula for formula in ALL if formula.corrected is not None]


def values_for(formula: Published) -> SimpleNamespace:
    """The values that the formulas of this page refer to."""
    if formula.source == "nGraph":
        return ngraph_values()
    if formula.source == "derivation":
        return derivation_values(formula.channel)
    if formula.source == "vectorized":
        return vectorized_values(formula.channel)
    return walk_through_values()
