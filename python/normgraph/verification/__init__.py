"""Verify anyone's backward function of batch normalization, and name the mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from . import calls, cases, trial
from .calls import Functions, UnusableError
from .cases import Case, Model
from .report import MISTAKES, Finding, Measurement, Verification
from .values import (
    UnreadableError,
    bool_of,
    described,
    float_of,
    integer_of,
    is_finite,
    real_array,
    to_float64,
)

__all__ = ["MISTAKES", "Finding", "Measurement", "UnusableError", "Verification", "verify"]


def verify(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    example: npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    *,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    unbiased: bool = False,
    statistics: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    forward_arguments: Sequence[str] | None = None,
    backward_arguments: Sequence[str] | None = None,
    seed: int = 0,
) -> Verification:
    """Check a forward and a backward function of batch normalization, and name their mistakes.

    forward is compared with the definition. backward is compared with finite differences of
    forward and with the definition, with a random delta, on the example and on a probe of the same
    rank, on which mistakes show. Both are called many times, with float64 copies.

    Parameters
    ----------
    forward : function that returns y, of the shape of x, or a tuple that begins with y; the rest of
        the tuple is the cache, without the tuple if it is one object
    backward : function that returns input_delta, or a tuple that begins with input_delta,
        gamma_delta, beta_delta; those that it leaves out, or that are None, are not checked. It is
        called after forward.
    example : x, or the tuple (x, gamma, beta). x: real, of rank 2 or higher; gamma and beta: shape
        (C,), or the rank of x with 1 for all axes but the channel axis; random if not given.
    epsilon : number that forward adds to the variance
    channel_axis : axis of x, -1 for channels last
    unbiased : whether forward's variance is divided by n - 1
    statistics : pair (mean, variance) of shape (C,), constants that forward normalizes with in the
        place of the batch's statistics; None for training
    forward_arguments : what forward's parameters stand for, in order: some of x, gamma, beta,
        epsilon, channel_axis, bn_param (a dict with mode and eps). None: by the parameters' names,
        or else by their number.
    backward_arguments : the same of backward: some of delta, cache, x, gamma, beta, mean, variance,
        inv, x_hat, epsilon, channel_axis, bn_param. mean and variance are what forward normalizes
        with, inv = 1/sqrt(variance + epsilon), x_hat = (x - mean)*inv.
    seed : of everything random; equal seeds give equal results

    Returns
    -------
    Verification, which is true if no mistake was found. A wrong backward never raises here.

    Raises TypeError for a function that is none or cannot be called with what its parameters stand
    for, and ValueError for a bad example or number, and for a forward that raises on the example or
    returns no array of x's shape.
    """
    epsilon = float_of("epsilon", epsilon)
    if not (np.isfinite(epsilon) and epsilon >= 0):
        raise ValueError(f"epsilon: expected a finite number >= 0, got {epsilon}")
    channel_axis = integer_of("channel_axis", channel_axis)
    unbiased = bool_of("unbiased", unbiased)
    seed = integer_of("seed", seed)
    if seed < 0:
        raise ValueError(f"seed: expected an integer >= 0, got {seed}")
    functions = Functions(
        forward,
        backward,
        calls.bind("forward", forward, forward_arguments),
        calls.bind("backward", backward, backward_arguments),
        epsilon,
        np.geterr(),
    )
    # Infinity and NaN in here are values that are judged, whatever the caller's handling of errors.
    with np.errstate(all="ignore"):
        case = example_case(example, channel_axis, seed)
        model = Model(epsilon, unbiased, constant_statistics(statistics, case))
        require_gradient(case, model)
        on_example = trial.run(functions, case, model, (seed, 2), every_element=False)
        on_probe = try_probes(functions, case, model, seed)
        return conclude(functions, [*on_probe, on_example])


def example_case(
    example: npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    channel_axis: int,
    seed: int,
) -> Case:
    """Return the example as a case; raise ValueError or TypeError for what is none."""
    if isinstance(example, tuple) and len(example) != 3:
        raise ValueError(f"example: expected x or (x, gamma, beta), got {len(example)} values")
    given = example if isinstance(example, tuple) else (example,)
    arrays = [
        real_values(f"example: {name}", value)
        for name, value in zip(("x", "gamma", "beta"), given, strict=False)
    ]
    x = arrays[0]
    if x.ndim < 2:
        raise ValueError(f"example: x: expected rank 2 or higher, got shape {x.shape}")
    if x.size == 0:
        raise ValueError(f"example: x: expected at least one element, got shape {x.shape}")
    if not -x.ndim <= channel_axis < x.ndim:
        raise ValueError(
            f"channel_axis: expected an axis of x, from {-x.ndim} to {x.ndim - 1}, "
            f"got {channel_axis}"
        )
    axis = channel_axis % x.ndim
    channels = x.shape[axis]
    generator = np.random.default_rng([seed, 0])
    vector_shape: tuple[int, ...] = (channels,)
    gamma = generator.uniform(0.5, 1.5, size=vector_shape)
    beta = generator.normal(size=vector_shape)
    if len(arrays) == 3:
        along = tuple(channels if i == axis else 1 for i in range(x.ndim))
        for name, array in zip(("gamma", "beta"), arrays[1:], strict=True):
            if array.shape not in (vector_shape, along) or array.shape != arrays[1].shape:
                raise ValueError(
                    f"example: {name}: expected shape {vector_shape} or {along}, as axis {axis} of "
                    f"x is the channel axis, and the same for gamma and beta, got {array.shape}"
                )
        vector_shape = arrays[1].shape
        gamma, beta = arrays[1].reshape(-1), arrays[2].reshape(-1)
    delta = 0.5 + generator.normal(size=x.shape)
    return Case(f"example {x.shape}", x, gamma, beta, delta, axis, vector_shape)


def real_values(name: str, value: npt.ArrayLike) -> Float64Array:
    """Copy to float64; raise TypeError for what is no array of real numbers, ValueError for NaN."""
    try:
        copy = to_float64(real_array(value))
    except UnreadableError as error:
        raise TypeError(f"{name}: expected an array of real numbers, got {error}") from error
    if not is_finite(copy):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return copy


def constant_statistics(
    statistics: tuple[npt.ArrayLike, npt.ArrayLike] | None, case: Case
) -> tuple[Float64Array, Float64Array] | None:
    """Return the pair as arrays of shape (C,)."""
    if statistics is None:
        return None
    is_pair = isinstance(statistics, (tuple, list)) or (
        isinstance(statistics, np.ndarray) and statistics.ndim > 1
    )
    if not is_pair or len(statistics) != 2:
        raise TypeError(
            f"statistics: expected a pair (mean, variance) or None, got {described(statistics)}"
        )
    mean, variance = (
        real_values(f"statistics: {name}", value)
        for name, value in zip(("mean", "variance"), statistics, strict=True)
    )
    if (variance < 0).any():
        raise ValueError(f"statistics: variance: expected numbers >= 0, got {variance.min():g}")
    for name, array in (("mean", mean), ("variance", variance)):
        if array.size != len(case.gamma):
            raise ValueError(
                f"statistics: {name}: expected shape {case.gamma.shape}, got {array.shape}"
            )
    return mean.reshape(-1), variance.reshape(-1)


def require_gradient(case: Case, model: Model) -> None:
    """Raise ValueError where the definition has no gradient: variance + epsilon is 0."""
    terms = cases.Terms(case, model)
    bad = np.flatnonzero(terms.variance + model.epsilon <= 0)
    if len(bad):
        raise ValueError(
            f"example: x: expected variance + epsilon > 0 in each channel, got "
            f"{terms.variance[bad[0]] + model.epsilon:g} in channel {bad[0]}"
        )
    if model.unbiased and case.n < 2:
        raise ValueError("example: x: expected two elements in each channel for unbiased, got 1")


def try_probes(functions: Functions, case: Case, model: Model, seed: int) -> list[trial.Trial]:
    """Return the trial of the first probe that works; of one of equal lengths if none does.

    Functions may be written for one number of channels, or for one shape.
    """
    rank, channels = case.x.ndim, len(case.gamma)
    shapes = [cases.probe_shape(rank, case.axis, channels), case.x.shape]
    if model.statistics is None:
        own = cases.probe_shape(rank, case.axis, cases.PROBE_CHANNELS)
        shapes = [own, *shapes, cases.equal_shape(rank)]
    for shape in shapes:
        along = tuple(shape[i] if i == case.axis else 1 for i in range(rank))
        vector_shape = (shape[case.axis],) if len(case.vector_shape) == 1 else along
        generator = np.random.default_rng([seed, 1])
        probe = cases.probe(shape, case.axis, model, vector_shape, generator)
        try:
            attempt = trial.run(functions, probe, model, (seed, 3), every_element=True)
        except UnusableError:
            continue
        if not attempt.failure:
            return [attempt]
    return []


def conclude(functions: Functions, trials: list[trial.Trial]) -> Verification:
    """Collect what the trials found; the example's is the last."""
    on_example = trials[-1]
    findings = [finding for attempt in trials for finding in attempt.findings]
    if on_example.failure:
        words = str(on_example.failure).removeprefix("backward: ")
        findings.append(Finding("backward", on_example.failure.mistake, words, {}))
    elif not on_example.outputs:
        words = f"it returns none of {', '.join(functions.outputs)}"
        findings.append(Finding("backward", "missing_output", words, {}))
    for output in functions.outputs:
        findings += trial.explain(trials, output)
    first = {(finding.output, finding.mistake): finding for finding in reversed(findings)}
    order = dict.fromkeys((finding.output, finding.mistake) for finding in findings)
    measurements = [m for attempt in trials for m in attempt.measurements]
    return Verification(
        tuple(first[key] for key in order), tuple(measurements), tuple(notes(functions, trials))
    )


def notes(functions: Functions, trials: list[trial.Trial]) -> list[str]:
    """Say what was not checked."""
    said = []
    if len(trials) == 1:
        said.append(
            "the functions could not be called with any probe: mistakes that do not show on the "
            "example were not looked for"
        )
    returned = trials[-1].outputs
    missing = [output for output in functions.outputs if returned and output not in returned]
    if missing:
        said.append(f"not returned by backward, so not checked: {', '.join(missing)}")
    return said
