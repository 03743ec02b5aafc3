"""The findings of a verification, and the report of them."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

#: Every mistake that has a name, with what it means.
MISTAKES = {
    "missing_delta_term": "the term gamma·inv·δ is missing",
    "missing_mean_path": "the path through the mean, −gamma·inv·Σδ/n, is missing",
    "missing_variance_path": "the path through the variance, −gamma·inv·x̂·Σ(δ·x̂)/n, is missing",
    "frozen_statistics": "only gamma·inv·δ is there, which is right for frozen statistics alone",
    "batch_statistics": "terms of a batch's statistics, which are given in this forward pass",
    "sign": "the sign is wrong",
    "not_divided_by_n": "1/n is missing",
    "divided_by_n_twice": "1/n is there twice",
    "n_minus_1": "divided by n − 1 instead of n: the factor n/(n−1) of the unbiased variance",
    "n_instead_of_n_minus_1": "divided by n instead of n − 1: the factor n/(n−1) is missing",
    "wrong_n": "divided by the length of one axis instead of n",
    "averaged": "the sum over the batch was averaged",
    "not_summed": "the sum over the batch is missing",
    "sum_without_x_hat": "Σδ stands where Σ(δ·x̂) belongs",
    "inv_missing": "the factor inv = 1/√(variance+ε) is missing",
    "inv_twice": "the factor inv = 1/√(variance+ε) is there more than once",
    "inv_divided": "divided by inv = 1/√(variance+ε) instead of multiplied",
    "gamma_missing": "the factor gamma is missing",
    "gamma_twice": "the factor gamma is there once too often",
    "beta_missing": "beta is not added",
    "factor_2": "a factor 2 is missing or too much",
    "epsilon_missing": "epsilon is left out",
    "epsilon_outside_root": "epsilon is added to the deviation instead of the variance",
    "other_epsilon": "another epsilon than the given one",
    "not_centered": "the mean is not subtracted",
    "variance_not_rooted": "divided by variance+ε instead of its root",
    "unbiased_variance": "the variance is divided by n − 1 instead of n",
    "biased_variance": "the variance is divided by n instead of n − 1",
    "constant_statistics": "constants stand where the statistics of the batch belong",
    "wrong_axis": "sums or statistics go over the wrong axes",
    "wrong_layout": "the array is reshaped where its axes have to be moved",
    "swapped": "gamma_delta stands in the place of beta_delta",
    "scaled": "a term has a factor that is none of the known ones",
    "running_variance": "a running variance is negative or not a number",
    "running_not_updated": "forward does not update a running statistic",
    "running_momentum": "momentum weighs the wrong one of the running value and the batch's",
    "running_sign": "the update of a running statistic has a wrong sign",
    "running_weights": "the weights of the running value and the batch's do not add up to 1",
    "running_biased": "a running variance takes the biased variance, divided by n",
    "running_unbiased": "a running variance takes the unbiased variance, divided by n − 1",
    "running_quantity": "a running statistic averages something else than the mean or variance",
    "running_not_detached": "a running statistic is part of autograd's graph",
    "rules_differ": "the forward rule of a custom gradient returns another y than the function",
    "shape": "an output has another shape than what it is the gradient of",
    "missing_output": "an output is not returned, or is zero",
    "raised": "the function raises an exception",
    "not_finite": "NaN or infinity where the gradient is finite",
    "modifies_input": "the function writes to an array that it was given",
    "not_repeatable": "a second call with the same arguments gives another result",
    "low_precision": "right to the precision of float32 only",
    "unknown": "wrong, and none of the known mistakes",
}

WIDTH = 100
INDENT = 9


@dataclass(frozen=True)
class Finding:
    """One mistake.

    output: what is wrong: "normalized" (what forward returns), "input_delta", "gamma_delta",
    "beta_delta", or the function, "forward" or "backward". mistake: a key of `MISTAKES`.
    words: a sentence for people. evidence: the figures that it rests on, by name.
    """

    output: str
    mistake: str
    words: str
    evidence: dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """The error of one output, beside its tolerance.

    error: the largest difference of an element, relative to the largest term that its channel's
    values are sums of. tolerance: the largest error that rounding explains. against: what the
    output was compared with. data: on which arrays.
    """

    output: str
    against: str
    data: str
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance; NaN and infinity are not."""
        return math.isfinite(self.error) and self.error <= self.tolerance

    @property
    def nearness(self) -> float:
        """The error in units of the tolerance; infinity if it is no finite number."""
        return self.error / self.tolerance if math.isfinite(self.error) else math.inf


@dataclass(frozen=True)
class Verification:
    """The result of `verify`. It is true if nothing is wrong, and prints as a report.

    findings: the mistakes, none if all is right. measurements: every comparison that was made.
    notes: what could not be checked, and why.
    """

    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no mistake was found."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [measurement_line(measurement) for measurement in worst(self.measurements)]
        for finding in self.findings:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in finding.evidence.items())
            lines += paragraph(f"{finding.output}: {finding.words}", "WRONG")
            lines += paragraph(f"[{finding.mistake}] {figures}".rstrip(), "")
        for note in self.notes:
            lines += paragraph(note, "note")
        count = len(self.findings)
        lines.append(f"{count} mistake{'s' * (count != 1)} found" if count else "passed")
        return "\n".join(lines)


def worst(measurements: tuple[Measurement, ...]) -> list[Measurement]:
    """Return the measurement of each output that is the nearest to its tolerance, or beyond."""
    found: dict[str, Measurement] = {}
    for one in measurements:
        other = found.get(one.output)
        if other is None or one.nearness > other.nearness:
            found[one.output] = one
    return list(found.values())


def measurement_line(measurement: Measurement) -> str:
    """`ok       input_delta  error 1.9e-12, allowed 3e-11, by finite differences on …`."""
    verdict = "ok" if measurement.holds else "WRONG"
    return (
        f"{verdict:<{INDENT}}{measurement.output:<11}  error {measurement.error:.1e}, allowed "
        f"{measurement.tolerance:.0e}, by {measurement.against} on {measurement.data}"
    )


def paragraph(text: str, label: str) -> list[str]:
    """Wrap a text behind a label."""
    indent = " " * INDENT
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<{INDENT}}", subsequent_indent=indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
