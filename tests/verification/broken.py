"""Wrong backward functions, each with the mistakes that `verify` has to name, and no others.

All go with `right.forward` (arrays (N, D), the walk-through's cache) unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .right import Array, closed_form

Result = tuple[Array, Array, Array]
Backward = Callable[[Array, Any], Result]
Mistakes = set[tuple[str, str]]


def input_delta_of(formula: Callable[..., Array]) -> Backward:
    """A backward function with this input_delta, and the right sums.

    The formula is given d, xhat, gamma, xmu, inv, var, eps and n.
    """

    def backward(dout: Array, cache: Any) -> Result:
        _, dgamma, dbeta = closed_form(dout, cache)
        xhat, gamma, xmu, inv, _, var, eps = cache
        return formula(dout, xhat, gamma, xmu, inv, var, eps, len(dout)), dgamma, dbeta

    return backward


def sums_of(formula: Callable[[Array, Array, Any], tuple[Array, Array]]) -> Backward:
    """A backward function with these gamma_delta and beta_delta, and the right input_delta."""

    def backward(dout: Array, cache: Any) -> Result:
        return closed_form(dout, cache)[0], *formula(dout, cache[0], cache)

    return backward


def without_epsilon(dout: Array, cache: Any) -> Result:
    _, gamma, xmu, _, _, var, _ = cache
    inv = var**-0.5
    return closed_form(dout, (xmu * inv, gamma, xmu, inv))


def epsilon_outside_the_root(dout: Array, cache: Any) -> Result:
    _, gamma, xmu, _, _, var, eps = cache
    inv = 1 / (np.sqrt(var) + eps)
    return closed_form(dout, (xmu * inv, gamma, xmu, inv))


def means_over_features(d: Array, xhat: Array, gamma: Array, inv: Array, keepdims: bool) -> Array:
    mean = d.mean(axis=1, keepdims=keepdims)
    projection = xhat * (d * xhat).mean(axis=1, keepdims=keepdims)
    return gamma * inv * (d - mean - projection)


#: name -> (input_delta by d, xhat, gamma, xmu, inv, var, eps, n; the mistakes in it)
INPUT_DELTAS: dict[str, tuple[Callable[..., Array], set[str]]] = {
    "mean path missing": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - xh * (d * xh).mean(0)),
        {"missing_mean_path"},
    ),
    "variance path missing": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0)),
        {"missing_variance_path"},
    ),
    "frozen statistics": (
        lambda d, xh, g, xm, i, v, e, n: g * i * d,
        {"frozen_statistics"},
    ),
    "delta term missing": (
        lambda d, xh, g, xm, i, v, e, n: -g * i * (d.mean(0) + xh * (d * xh).mean(0)),
        {"missing_delta_term"},
    ),
    "sign of the mean path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d + d.mean(0) - xh * (d * xh).mean(0)),
        {"sign"},
    ),
    "sign of everything": (
        lambda d, xh, g, xm, i, v, e, n: -g * i * (d - d.mean(0) - xh * (d * xh).mean(0)),
        {"sign"},
    ),
    "1/n missing in the mean path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.sum(0) - xh * (d * xh).mean(0)),
        {"not_divided_by_n"},
    ),
    "1/n missing in the variance path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) - xh * (d * xh).sum(0)),
        {"not_divided_by_n"},
    ),
    "1/n twice": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) / n - xh * (d * xh).mean(0) / n),
        {"divided_by_n_twice"},
    ),
    "n - 1 in both paths": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - (d.sum(0) + xh * (d * xh).sum(0)) / (n - 1)),
        {"n_minus_1"},
    ),
    "the number of features for n": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - (d.sum(0) + xh * (d * xh).sum(0)) / len(g)),
        {"wrong_n"},
    ),
    "inv missing": (
        lambda d, xh, g, xm, i, v, e, n: g * (d - d.mean(0) - xh * (d * xh).mean(0)),
        {"inv_missing"},
    ),
    "inv missing in the variance path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) - xm * (d * xh).mean(0)),
        {"inv_missing"},
    ),
    "inv³ missing in the variance path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0)) - g * xm * (d * xm).mean(0),
        {"inv_missing"},
    ),
    "inv twice": (
        lambda d, xh, g, xm, i, v, e, n: g * i**2 * (d - d.mean(0) - xh * (d * xh).mean(0)),
        {"inv_twice"},
    ),
    "gamma missing": (
        lambda d, xh, g, xm, i, v, e, n: i * (d - d.mean(0) - xh * (d * xh).mean(0)),
        {"gamma_missing"},
    ),
    "gamma twice in the mean path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - g * d.mean(0) - xh * (d * xh).mean(0)),
        {"gamma_twice"},
    ),
    "the 2 of the square's derivative missing": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) - xh * (d * xh).mean(0) / 2),
        {"factor_2"},
    ),
    "epsilon missing in the factor alone": (
        lambda d, xh, g, xm, i, v, e, n: g / np.sqrt(v) * (d - d.mean(0) - xh * (d * xh).mean(0)),
        {"epsilon_missing"},
    ),
    "epsilon missing in the variance path alone": (
        lambda d, xh, g, xm, i, v, e, n: (
            g * i * (d - d.mean(0)) - g * v**-1.5 * xm * (d * xm).mean(0)
        ),
        {"epsilon_missing"},
    ),
    "sum of delta for that of delta times x_hat": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) - xh * d.mean(0)),
        {"sum_without_x_hat"},
    ),
    "sum missing": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) - xh * d * xh / n),
        {"not_summed"},
    ),
    "means over the features": (
        lambda d, xh, g, xm, i, v, e, n: means_over_features(d, xh, g, i, True),
        {"wrong_axis"},
    ),
    "mean over everything": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean() - xh * (d * xh).mean(0)),
        {"wrong_axis"},
    ),
    "mean path missing, and n - 1 in the variance path": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - xh * (d * xh).sum(0) / (n - 1)),
        {"missing_mean_path", "n_minus_1"},
    ),
    "an unknown factor": (
        lambda d, xh, g, xm, i, v, e, n: g * i * (d - d.mean(0) - 1.3 * xh * (d * xh).mean(0)),
        {"scaled"},
    ),
    "nothing of the kind": (
        lambda d, xh, g, xm, i, v, e, n: g * i * d**3,
        {"unknown"},
    ),
    "NaN": (
        lambda d, xh, g, xm, i, v, e, n: np.full(d.shape, np.nan),
        {"not_finite"},
    ),
    "infinities of both signs": (
        lambda d, xh, g, xm, i, v, e, n: np.where(d > 0, np.inf, -np.inf),
        {"not_finite"},
    ),
    "transposed": (
        lambda d, xh, g, xm, i, v, e, n: (g * i * (d - d.mean(0) - xh * (d * xh).mean(0))).T,
        {"shape"},
    ),
}  # fmt: skip

#: name -> ((gamma_delta, beta_delta) by d, xhat, cache; the mistakes in gamma's and in beta's)
SUMS: dict[str, tuple[Callable[..., tuple[Array, Array]], set[str], set[str]]] = {
    "averaged": (
        lambda d, xh, cache: ((d * xh).mean(0), d.mean(0)), {"averaged"}, {"averaged"},
    ),
    "not summed": (
        lambda d, xh, cache: (d * xh, d), {"not_summed"}, {"not_summed"},
    ),
    "over the features": (
        lambda d, xh, cache: ((d * xh).sum(1), d.sum(1)), {"wrong_axis"}, {"wrong_axis"},
    ),
    "over everything": (
        lambda d, xh, cache: ((d * xh).sum(), d.sum()), {"wrong_axis"}, {"wrong_axis"},
    ),
    "swapped": (
        lambda d, xh, cache: (d.sum(0), (d * xh).sum(0)), {"sum_without_x_hat"}, {"swapped"},
    ),
    "inv missing in gamma_delta": (
        lambda d, xh, cache: ((d * cache[2]).sum(0), d.sum(0)), {"inv_missing"}, set(),
    ),
    "gamma in both": (
        lambda d, xh, cache: ((cache[1] * d * xh).sum(0), (cache[1] * d).sum(0)),
        {"gamma_twice"}, {"gamma_twice"},
    ),
    "sign": (
        lambda d, xh, cache: (-(d * xh).sum(0), -d.sum(0)), {"sign"}, {"sign"},
    ),
    "axes kept": (
        lambda d, xh, cache: ((d * xh).sum(0, keepdims=True), d.sum(0)), {"shape"}, set(),
    ),
    "zeros": (
        lambda d, xh, cache: (0 * d.sum(0), d.sum(0)), {"missing_output"}, set(),
    ),
    "epsilon missing": (
        lambda d, xh, cache: ((d * cache[2]).sum(0) / np.sqrt(cache[5]), d.sum(0)),
        {"epsilon_missing"}, set(),
    ),
}  # fmt: skip


def in_output(output: str, mistakes: set[str]) -> Mistakes:
    return {(output, mistake) for mistake in mistakes}


BROKEN: dict[str, tuple[Backward, Mistakes]] = {
    **{
        name: (input_delta_of(formula), in_output("input_delta", mistakes))
        for name, (formula, mistakes) in INPUT_DELTAS.items()
    },
    **{
        f"sums {name}": (
            sums_of(formula),
            in_output("gamma_delta", of_gamma) | in_output("beta_delta", of_beta),
        )
        for name, (formula, of_gamma, of_beta) in SUMS.items()
    },
    "epsilon missing everywhere": (
        without_epsilon,
        {("input_delta", "epsilon_missing"), ("gamma_delta", "epsilon_missing")},
    ),
    "epsilon outside the root": (
        epsilon_outside_the_root,
        {("input_delta", "epsilon_outside_root"), ("gamma_delta", "epsilon_outside_root")},
    ),
}
