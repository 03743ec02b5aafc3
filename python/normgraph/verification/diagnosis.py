"""Diagnosis of a wrong output: the mistakes of the dictionary that explain it exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .cases import Case, Model, Terms
from .differences import relative
from .hypotheses import (
    Factor,
    Hypothesis,
    factors,
    forward_hypotheses,
    input_delta_hypotheses,
    name_ratio,
    sum_hypotheses,
)
from .report import Finding
from .values import to_float64

#: The terms of input_delta in words, in the order of the fit.
TERMS = {"delta": "the term gamma·inv·δ", "mean": "the mean path", "variance": "the variance path"}

#: How far a ratio may be from the product of factors that explains it, relative, if rounding alone
#: allows less: far less than mistakes differ by, so that no chance product of three is taken.
RATIO_PRECISION = 1e-8

FLOAT32_ROUNDOFF = 2.0**-24


def error_of(
    case: Case, values: Float64Array, expected: Float64Array, magnitude: Float64Array
) -> float:
    """Return the largest difference, in units of each channel's magnitude; NaN counts as infinite.

    All in the shape of x, or (C,); magnitude: (C,).
    """
    size = case.spread(magnitude) if values.ndim == case.x.ndim else magnitude
    error = relative(values - expected, np.broadcast_to(size, values.shape))
    return error if np.isfinite(error) else float("inf")


def agrees(case: Case, values: Float64Array, hypothesis: Float64Array, tolerance: float) -> bool:
    """Whether values equal a hypothesis, relative to the hypothesis's largest of each channel."""
    if values.shape != hypothesis.shape or not np.isfinite(hypothesis).all():
        return False
    if values.shape == case.x.shape:
        magnitude = np.abs(case.rows(hypothesis)).max(axis=0)
    else:
        magnitude = np.full(len(case.gamma), np.abs(hypothesis).max())
        if values.shape != case.gamma.shape:
            return bool(np.abs(values - hypothesis).max() <= tolerance * magnitude[0])
    return error_of(case, values, hypothesis, magnitude) <= tolerance


# ---- forward -------------------------------------------------------------------------------------


def identify_forward(
    terms: Terms, y: Float64Array, forward: Callable[[Case], Float64Array], tolerance: float
) -> tuple[Model | None, Finding]:
    """Say what a forward pass computes that is not the model's.

    Returns the model that it is, None if it is none, and the mistake.
    """
    case = terms.case

    def finding(mistake: str, words: str, **evidence: float) -> Finding:
        return Finding("normalized", mistake, f"in the forward pass {words}", evidence)

    # A constant channel has no normalized values without epsilon.
    with np.errstate(divide="ignore", invalid="ignore"):
        for hypothesis in forward_hypotheses(terms):
            if agrees(case, y, hypothesis.values, tolerance):
                return hypothesis.model, finding(hypothesis.mistake, hypothesis.words)
    for unbiased in (False, True):
        model = model_of_other_epsilon(terms, y, unbiased)
        if model and agrees(case, y, case.array(Terms(case, model).normalized), tolerance):
            words = (
                f"epsilon is {model.epsilon:.6g}, not the {terms.model.epsilon:g} given "
                f"(epsilon={model.epsilon:.6g} verifies it so)"
            )
            return model, finding("other_epsilon", words, epsilon=model.epsilon)
    model = model_of_constant_statistics(terms, y, forward, tolerance)
    if model:
        words = (
            "constants stand where the statistics of the batch belong: an element of y does not "
            "depend on the others of its channel (statistics=(mean, variance) verifies it so)"
        )
        return model, finding("constant_statistics", words)
    error = error_of(case, y, terms.expected("normalized"), terms.magnitude("normalized"))
    words = "y is not batch normalization, and none of the known mistakes explains it"
    return None, finding("unknown", words, error=error)


def model_of_other_epsilon(terms: Terms, y: Float64Array, unbiased: bool) -> Model | None:
    """Find the epsilon under which y would be right; None if each channel has another one."""
    model = replace(terms.model, unbiased=unbiased)
    other = Terms(terms.case, model)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_hat = (terms.case.rows(y) - terms.case.beta) / terms.case.gamma
        slope = (x_hat * other.centered).sum(axis=0) / (other.centered**2).sum(axis=0)
        epsilons = 1 / slope**2 - other.variance
    epsilon = float(f"{np.median(epsilons):.6g}")
    if not np.isfinite(epsilon) or epsilon <= 0:
        return None
    return replace(model, epsilon=epsilon)


def model_of_constant_statistics(
    terms: Terms, y: Float64Array, forward: Callable[[Case], Float64Array], tolerance: float
) -> Model | None:
    """Move one element of each channel: with constant statistics no other element of y moves."""
    case = terms.case
    moved = terms.x.copy()
    moved[0] += 1 / terms.inv
    rows = case.rows(y)
    change = case.rows(forward(replace(case, x=case.array(moved)))) - rows
    size = np.abs(change[0])
    if (size == 0).any() or (np.abs(change[1:]) > tolerance * size).any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        inv = change[0] * terms.inv / case.gamma
        mean = terms.x[0] - (rows[0] - case.beta) / case.gamma / inv
    if not (np.isfinite(mean).all() and (inv > 0).all()):
        return None
    return replace(terms.model, statistics=(mean, 1 / inv**2 - terms.model.epsilon))


# ---- backward ------------------------------------------------------------------------------------


def diagnose(
    terms: Terms, output: str, values: npt.NDArray[Any], tolerance: float
) -> list[Finding]:
    """Name the mistakes in an output; an empty list if none explains it.

    values: as backward returned them. tolerance: relative, what rounding explains.
    """
    case = terms.case
    expected = terms.expected(output)
    numbers = to_float64(values)
    if not np.isfinite(numbers).all():
        words = "NaN or infinity where the gradient is finite"
        return [Finding(output, "not_finite", words, {})]
    if output == "input_delta":
        if numbers.shape != expected.shape:
            return [wrong_shape(output, numbers, expected)]
        findings = matching(case, output, numbers, input_delta_hypotheses(terms), tolerance)
        return findings or diagnose_terms(terms, numbers, tolerance)
    if numbers.size == expected.size:
        flat = numbers.reshape(-1)
        findings = diagnose_sum(terms, output, flat, tolerance)
        if numbers.shape == expected.shape:
            return findings
        error = error_of(case, flat, expected.reshape(-1), terms.magnitude(output))
        return [wrong_shape(output, numbers, expected), *(findings if error > tolerance else [])]
    squeezed = numbers.squeeze() if numbers.shape != case.x.shape else numbers
    found = matching(case, output, squeezed, sum_hypotheses(terms, output), tolerance)
    return found or [wrong_shape(output, numbers, expected)]


def wrong_shape(output: str, values: Float64Array, expected: Float64Array) -> Finding:
    """Say which shape came."""
    words = f"shape {values.shape}, expected {expected.shape}, that of what it is the gradient of"
    return Finding(output, "shape", words, {})


def matching(
    case: Case, output: str, values: Float64Array, hypotheses: Any, tolerance: float
) -> list[Finding]:
    """Return the first hypothesis that the values equal, as a list of none or one."""
    hypothesis: Hypothesis
    for hypothesis in hypotheses:
        if agrees(case, values, hypothesis.values, tolerance):
            return [Finding(output, hypothesis.mistake, hypothesis.words, {})]
    return []


def diagnose_sum(
    terms: Terms, output: str, values: Float64Array, tolerance: float
) -> list[Finding]:
    """Name the mistakes in gamma_delta or beta_delta of shape (C,)."""
    expected = terms.gamma_delta if output == "gamma_delta" else terms.beta_delta
    words = {"gamma_delta": "Σ(δ·x̂)", "beta_delta": "Σδ"}[output]
    found = matching(terms.case, output, values, sum_hypotheses(terms, output), tolerance)
    if found or (expected == 0).any():
        return found
    if not values.any():
        return [Finding(output, "missing_output", f"it is zero; it should be {words}", {})]
    ratio = values / expected
    precision = max(tolerance, RATIO_PRECISION)
    named = name_ratio(ratio, factors(terms, output, "sum"), precision, 0.0)
    evidence = {"times": middle(ratio, precision)}
    return [Finding(output, factor.mistake, factor.words, evidence) for factor in named or ()]


def diagnose_terms(terms: Terms, values: Float64Array, tolerance: float) -> list[Finding]:
    """Name the mistakes in the terms of input_delta, by what they are multiplied with.

    In each channel input_delta is fitted by least squares as a combination of delta, 1 and x_hat.
    The coefficients, divided by what they are for a batch's statistics, tell which term is off.
    """
    ratios = fitted_ratios(terms, values, tolerance)
    if ratios is None:
        return []
    # All coefficients carry the rounding of the largest term.
    margin = tolerance * max(1.0, *(float(np.abs(ratio).max()) for ratio in ratios.values()))
    evidence = {f"{term} term times": middle(ratio, margin) for term, ratio in ratios.items()}
    precision = max(tolerance, RATIO_PRECISION)
    zero = {term for term, ratio in ratios.items() if (np.abs(ratio) <= margin).all()}
    expected_zero = {"mean", "variance"} if terms.model.statistics is not None else set()
    found: dict[str, tuple[str, list[str]]] = {}

    def add(mistake: str, words: str, term: str) -> None:
        found.setdefault(mistake, (words, []))[1].append(TERMS[term])

    for term, ratio in ratios.items():
        if term in expected_zero:
            if term not in zero:
                words = "the statistics are given in this forward pass and have no gradient"
                add("batch_statistics", words, term)
        elif term in zero:
            add("missing", "missing", term)
        else:
            named = name_ratio(ratio, factors(terms, "input_delta", term), precision, margin)
            for factor in named if named is not None else (unnamed(ratio, margin),):
                add(factor.mistake, factor.words, term)
    return [
        finding_in_terms(mistake, words, where, evidence)
        for mistake, (words, where) in separate_missing(found, expected_zero).items()
    ]


def middle(ratio: Float64Array, margin: float) -> float:
    """Return the median of a ratio, 0 where it differs from 0 by rounding alone."""
    value = float(np.median(ratio))
    return value if abs(value) > margin else 0.0


def separate_missing(
    found: dict[str, tuple[str, list[str]]], expected_zero: set[str]
) -> dict[str, tuple[str, list[str]]]:
    """Give the missing terms their own mistakes: no path at all is that of frozen statistics."""
    if "missing" not in found:
        return found
    _, where = found.pop("missing")
    if where == [TERMS["mean"], TERMS["variance"]]:
        words = (
            "both are missing: gamma·inv·δ is right for frozen statistics, but these are the "
            "batch's, and depend on x"
        )
        return {"frozen_statistics": (words, where)} | found
    names = {TERMS["delta"]: "delta_term", TERMS["mean"]: "mean_path"}
    missing = {f"missing_{names.get(term, 'variance_path')}": ("missing", [term]) for term in where}
    return missing | found


def unnamed(ratio: Float64Array, margin: float) -> Factor:
    """Say what a term is multiplied with where no mistake explains it."""
    shown = np.where(np.abs(ratio[:8]) > margin, ratio[:8], 0.0)
    values = " ".join(f"{value:.4g}" for value in shown) + (" …" if len(ratio) > 8 else "")
    words = f"it is not what it should be but, channel by channel, that times {values}"
    return Factor("", "scaled", words, ratio)


def finding_in_terms(
    mistake: str, words: str, where: list[str], evidence: dict[str, float]
) -> Finding:
    """Put together where a mistake is, and what it is."""
    place = "all of it" if len(where) == len(TERMS) else " and ".join(where)
    return Finding("input_delta", mistake, f"{place}: {words}", evidence)


def fitted_ratios(
    terms: Terms, values: Float64Array, tolerance: float
) -> dict[str, Float64Array] | None:
    """Return what each term of input_delta is multiplied with, in each channel.

    None if input_delta is no combination of delta, 1 and x_hat, or a term is zero anyway.
    """
    rows = terms.case.rows(values)
    scale = terms.case.gamma * terms.inv
    right = (scale, terms.mean_coefficient, terms.variance_coefficient)
    if terms.n < 5 or any((coefficient == 0).any() for coefficient in right):
        return None
    fitted = np.empty((3, len(scale)))
    for channel, column in enumerate(rows.T):
        basis = np.stack(
            [terms.delta[:, channel], np.ones(terms.n), terms.x_hat[:, channel]], axis=1
        )
        fitted[:, channel] = np.linalg.lstsq(basis, column, rcond=None)[0]
        residual = np.abs(basis @ fitted[:, channel] - column).max()
        if residual > tolerance * np.abs(column).max():
            return None
    return {
        term: coefficients / expected
        for term, coefficients, expected in zip(TERMS, fitted, right, strict=True)
    }
