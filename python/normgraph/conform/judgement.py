"""Outputs held against what is expected of a case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from normgraph.check.accuracy import Format
from normgraph.definition import Float64Array

from .calls import CallError, Subject
from .cases import FORMATS, Case
from .exact import largest
from .expected import Expected, expected_outputs

FORMAT_OF_NUMPY = {
    "float16": FORMATS["f16"],
    "bfloat16": FORMATS["bf16"],
    "float32": FORMATS["f32"],
    "float64": FORMATS["f64"],
}


@dataclass(frozen=True)
class Score:
    """One output of one case.

    ulps: the largest error, in ulps of the largest term of the element or, for a sum, of the sum of
    its |terms|; infinite where a number is no number. verdict: "accurate" (within the bound), "ok"
    (within the tolerance), "WRONG". share: the largest error, in units of the tolerance.
    """

    ulps: float
    share: float
    verdict: str


@dataclass(frozen=True)
class CaseResult:
    """What came of one case.

    verdict: the worst of the outputs', "raised", or "left out". mistake: a key of
    `conformance.MISTAKES`, empty if all is right. words: what is wrong, or why it is left out.
    """

    case: str
    verdict: str
    scores: Mapping[str, Score] = field(default_factory=dict)
    mistake: str = ""
    words: str = ""

    @property
    def ulps(self) -> float:
        """The largest error of any output, 0 without one."""
        return max((score.ulps for score in self.scores.values()), default=0.0)

    @property
    def conforms(self) -> bool:
        return self.verdict in ("accurate", "ok", "left out")


VERDICTS = ("accurate", "ok", "WRONG")


@dataclass
class Attempt:
    """A case, what the function returned for it, and what it should have returned."""

    case: Case
    values: dict[str, Float64Array] = field(default_factory=dict)
    expected: Mapping[str, Expected] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    mistake: str = ""
    words: str = ""

    @property
    def wrong(self) -> list[str]:
        """The outputs that are wrong."""
        return [name for name, score in self.scores.items() if score.verdict == "WRONG"]

    def result(self) -> CaseResult:
        """Return what is reported."""
        verdicts = [score.verdict for score in self.scores.values()]
        verdict = max(verdicts, key=VERDICTS.index) if verdicts else "raised"
        if self.mistake:
            verdict = "raised" if self.mistake == "raised" else "WRONG"
        return CaseResult(self.case.name, verdict, self.scores, self.mistake, self.words)


def attempt(subject: Subject, case: Case) -> Attempt:
    """Call the function with a case and score its outputs."""
    tried = Attempt(case, expected=expected_outputs(case, subject.has_given_statistics))
    try:
        results = subject.results(case)
    except CallError as error:
        tried.mistake, tried.words = error.mistake, str(error)
        return tried
    for name, (values, type_name) in results.items():
        expected = tried.expected.get(name)
        if expected is None:
            continue
        problem = unfit(name, values, type_name, expected)
        if problem is not None:
            tried.mistake, tried.words = problem
            tried.scores[name] = Score(math.inf, math.inf, "WRONG")
            continue
        tried.values[name] = values.reshape(expected.high.shape)
        tried.scores[name] = score(tried.values[name], expected)
    return tried


def unfit(
    name: str, values: Float64Array, type_name: str, expected: Expected
) -> tuple[str, str] | None:
    """Tell what is wrong with an output's shape or type; (mistake, words)."""
    shape = expected.high.shape
    is_vector = len(shape) == 1
    if values.shape != shape and not (is_vector and is_kept_vector(values, shape[0])):
        return "shape", f"{name} has the shape {values.shape}; expected {shape}"
    came = FORMAT_OF_NUMPY.get(type_name)
    if type_name == np.dtype(np.longdouble).name:
        came = FORMATS["f64"]
    # A wider type holds all that the expected one does.
    if came is None or not holds(came, expected.format):
        return "type", f"{name} is of {type_name}; expected {expected.format.name} or wider"
    return None


def is_kept_vector(values: Float64Array, channels: int) -> bool:
    """Whether this is a vector with axes of length 1 beside the channels', as sums may keep."""
    return values.size == channels and sum(length != 1 for length in values.shape) <= 1


def holds(wide: Format, narrow: Format) -> bool:
    """Whether a type holds all numbers of another; neither 16-bit type holds the other's."""
    if {wide.name, narrow.name} == {"f16", "bf16"}:
        return False
    return wide.significand_bits >= narrow.significand_bits


def score(values: Float64Array, expected: Expected) -> Score:
    """Compare an output, element by element."""
    if not values.size:
        return Score(0.0, 0.0, "accurate")
    with np.errstate(all="ignore"):
        error = np.abs((values - expected.high) - expected.low)
        # Any NaN or infinity is right where the definition has none that is finite.
        is_spoiled = np.isnan(expected.high)
        error = np.where(is_spoiled, np.where(np.isfinite(values), np.inf, 0.0), error)
        # What is beyond the type is infinite.
        overflows = np.abs(expected.high) + expected.bound > largest(expected.format)
        is_right = overflows & np.isinf(values) & (np.sign(values) == np.sign(expected.high))
        error = np.where(is_right, 0.0, np.where(np.isnan(error), np.inf, error))
        share = np.where(error == 0, 0.0, error / expected.tolerance)
        ulps = error / expected.format.ulp(expected.magnitude)
        is_accurate = bool((error <= expected.bound).all())
    worst = float(share.max())
    verdict = "accurate" if is_accurate else "ok" if worst <= 1 else "WRONG"
    return Score(float(ulps.max()), worst, verdict)
