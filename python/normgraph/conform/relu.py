"""The mistakes of functions that end with a ReLU, or are the gradient of one.

A gradient behind a ReLU is that of the plain form, given the part of delta that passes. So the
dictionary of `verify` applies to it, and a mistake in the mask is the right form at another mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array
from normgraph.verification.cases import Terms
from normgraph.verification.diagnosis import agrees

from .cases import Case
from .expected import Channels
from .judgement import Attempt

MISTAKES = {
    "relu_missing": "the ReLU is missing",
    "upper_bound_missing": "the ReLU has no upper bound",
    "residual_missing": "the residual is not added",
    "residual_after_relu": "the residual is added after the ReLU instead of before it",
    "mask_missing": "the ReLU's mask is not applied to the gradient",
    "mask_not_in_sums": "the ReLU's mask is not applied in the sums",
    "mask_in_sums_alone": "the ReLU's mask is applied in the sums alone",
    "mask_inverted": "the gradient passes where the ReLU's output is 0, and nowhere else",
    "mask_of_input": "the ReLU's mask is taken from the sign of x instead of the normalized value",
    "mask_of_x_hat": "the ReLU's mask is taken from the sign of x̂, before gamma and beta",
    "zero_passes": "the gradient passes where the ReLU's input is exactly 0",
}

Mask = npt.NDArray[np.bool_]

#: The outputs of a gradient that the mask goes into by sums.
SUMS = ("gamma_delta", "beta_delta")


def activated(case: Case, linear: Float64Array) -> Float64Array:
    """Apply the ReLU of a case, if it has one, to values of x's shape."""
    if case.activation == "none":
        return linear
    return np.asarray(np.clip(linear, 0.0, case.upper_bound))


def is_within(case: Case, y: Float64Array) -> Mask:
    """(n, C): where an output tells what the ReLU was given; everywhere without a ReLU."""
    rows = np.moveaxis(y, case.channel_axis, -1).reshape(-1, case.channels)
    if case.activation == "none":
        return np.ones(rows.shape, bool)
    upper_bound = np.inf if case.upper_bound is None else case.upper_bound
    return np.asarray((rows > 0) & (rows < upper_bound))


def mask(case: Case) -> Mask:
    """Return which elements pass the ReLU, in the shape of x; all without one."""
    if case.activation == "none":
        return np.ones(case.inputs["x"].shape, bool)
    return np.asarray(case.array(Channels(case, given=True).passes))


def with_mask(terms: Terms, passes: Mask) -> Terms:
    """Return the terms of a gradient of which these elements pass."""
    case = terms.case
    return Terms(replace(case, delta=np.where(passes, case.delta, 0.0)), terms.model)


def wrong_masks(case: Case, terms: Terms) -> Iterator[tuple[str, Mask]]:
    """Yield the masks that stand where the right one belongs, by the mistake."""
    array = terms.case.array
    plain = array(terms.normalized)
    linear = plain + case.inputs.get("residual", 0.0)
    yield "mask_missing", np.ones(linear.shape, bool)
    yield "mask_inverted", ~mask(case)
    yield "mask_of_input", case.inputs["x"] > 0
    yield "mask_of_x_hat", array(terms.x_hat) > 0
    if case.upper_bound is not None:
        yield "upper_bound_missing", linear > 0
    if "residual" in case.inputs:
        yield "residual_missing", plain > 0


def mask_findings(tried: Attempt, terms: Terms, tolerance: float) -> dict[str, str]:
    """Return the mistakes in the mask of a gradient, by the wrong outputs that they explain."""
    case = tried.case
    found: dict[str, str] = {}
    right = with_mask(terms, mask(case))
    for mistake, passes in wrong_masks(case, terms):
        other = with_mask(terms, passes)
        for output in tried.wrong:
            if output in found or output not in tried.values:
                continue
            values = tried.values[output]
            candidates = {mistake: expected(other, output)}
            if mistake == "mask_missing" and output == "input_delta":
                candidates["mask_not_in_sums"] = joined(right, other)
                candidates["mask_in_sums_alone"] = joined(other, right)
            for name, candidate in candidates.items():
                if agrees(terms.case, values, candidate, tolerance):
                    found[output] = name
    return consistent(tried, found)


def consistent(tried: Attempt, found: dict[str, str]) -> dict[str, str]:
    """Name a mistake alike in all outputs: sums alone do not tell what the elements do."""
    of_elements = found.get("input_delta")
    is_told = "input_delta" in tried.scores
    if is_told and of_elements in (None, "mask_not_in_sums"):
        found = {
            output: "mask_not_in_sums" if output in SUMS and mistake == "mask_missing" else mistake
            for output, mistake in found.items()
        }
    if "residual_missing" in found.values() and found.get("residual_delta") == "mask_missing":
        # All of delta reaches a residual that is added behind the ReLU.
        found = dict.fromkeys(found, "residual_after_relu")
    return found


def expected(terms: Terms, output: str) -> Float64Array:
    """Return an output of a gradient; that of a residual is what passes."""
    return terms.case.delta if output == "residual_delta" else terms.expected(output)


def joined(elements: Terms, sums: Terms) -> Float64Array:
    """Return the input_delta that has its term of delta and its sums at different masks."""
    paths = sums.input_delta - sums.delta_term
    return elements.case.array(elements.delta_term + paths)
