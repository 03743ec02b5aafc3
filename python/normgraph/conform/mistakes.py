"""The mistake in a wrong output: of the formula, by `verify`'s dictionary; or of the arithmetic.

Mistakes of the formula show on a probe, in the widest type that the function takes. Mistakes of the
arithmetic change nothing on easy data. They are recognised by the mean and the variance that the
function must have used, which the line y = slope·x + offset of each channel tells.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from normgraph.check.accuracy import BF16, F16, F32, F64, Format
from normgraph.definition import Float64Array
from normgraph.verification.cases import Case as Probe
from normgraph.verification.cases import Model, Terms, probe, probe_shape
from normgraph.verification.diagnosis import agrees, diagnose, error_of, identify_forward
from normgraph.verification.hypotheses import Hypothesis, forward_hypotheses
from normgraph.verification.report import MISTAKES as MISTAKES_OF_VERIFY
from normgraph.verification.report import Finding

from . import relu
from .calls import CallError, Subject
from .cases import BEYOND_6, DIFFICULTIES, FORMATS, ZERO_CHANNEL, Case, Layout
from .exact import largest, quantized
from .judgement import Attempt, attempt
from .relu import activated

#: Mistakes of forward passes and of arithmetic, beside those of `verify`.
OWN_MISTAKES = {
    "inverse_as_variance": "an inverse deviation stands where the variance belongs: 1/√(inv+ε)",
    "deviation_as_variance": "a deviation stands where the variance belongs: 1/√(√variance+ε)",
    "own_statistics": "the batch's own statistics stand where those that are given belong",
    **relu.MISTAKES,
    "unshifted_variance": "the variance is E[x²] − E[x]², which cancels where the mean is large",
    "statistics_16_bits": "the statistics are rounded to 16 bits",
    "chain_too_long": "a sum in 16 bits is longer than its type can hold",
    "overflow": "squares or sums overflow the type that they are made in",
    "not_finite": "NaN or infinity where the exact value is finite",
    "not_finite_spreads": "a NaN or an infinity reaches other channels, or is lost",
    "padding_counts": "positions that do not count enter the statistics or sums",
    "type": "an output is of a narrower type than the data, or of none of the types",
}
MISTAKES = MISTAKES_OF_VERIFY | OWN_MISTAKES

#: Mistakes that show in one way on one kind of data, and in others on others.
OF_ARITHMETIC = ("unshifted_variance", "statistics_16_bits", "chain_too_long")

#: Of each wrong output the mistake, and what it is in words.
Findings = dict[str, tuple[str, str]]


def probe_case(subject: Subject, layout: Layout, data: Format) -> Case:
    """Return the case on which mistakes of the formula show, in the layout's rank."""
    axis, rank = layout.channel_axis, len(layout.shape)
    shape = probe_shape(rank, axis, 4)
    epsilon = 0.01 if subject.takes_epsilon else subject.epsilon
    drawn = probe(shape, axis, Model(epsilon), (4,), np.random.default_rng(20))
    easy = next(one for one in DIFFICULTIES if one.name == "easy")
    vector = FORMATS["f32"] if data.significand_bits < F32.significand_bits else data
    case = Case(
        subject.role, data, vector, Layout(f"{layout.name}", shape, axis),
        replace(easy, name="probe", epsilon=epsilon), subject.activation, {},
    )  # fmt: skip
    inputs = {"x": drawn.x, "gamma": drawn.gamma, "beta": drawn.beta}
    if subject.role != "training":
        rows = drawn.rows(drawn.x)
        inputs |= {"mean": rows.mean(axis=0), "variance": rows.var(axis=0)}
    if subject.role in ("inference", "inference_backward"):
        # Of another batch, so that a function that takes its own shows.
        inputs["mean"] = inputs["mean"] * 1.25
        inputs["variance"] = inputs["variance"] * 2.0
    if case.is_backward:
        inputs["delta"] = drawn.delta
    if subject.activation == "relu6":
        inputs["gamma"] = inputs["gamma"] * BEYOND_6
    if subject.activation == "add_relu":
        inputs["residual"] = np.random.default_rng(21).normal(size=shape)
    rounded = {name: quantized(values, case.format_of(name)) for name, values in inputs.items()}
    return replace(case, inputs=rounded)


def of_verify(case: Case) -> Terms:
    """Return a case's arrays and terms as `verify` has them."""
    inputs = case.inputs
    delta = inputs.get("delta", np.zeros_like(inputs["x"]))
    arrays = Probe(
        case.name, inputs["x"], inputs["gamma"], inputs["beta"], delta, case.channel_axis,
        (case.channels,),
    )  # fmt: skip
    given = None
    if case.role in ("inference", "inference_backward"):
        given = (inputs["mean"], inputs["variance"])
    return Terms(arrays, Model(case.epsilon, statistics=given))


def rounding(case: Case, terms: Terms) -> float:
    """Bound the relative error of a right result: of its arithmetic, and of its 16 bits."""
    arithmetic = terms.rounding(2.0**-53 if case.data is F64 else 2.0**-24)
    return arithmetic + 4 * 2.0**-case.data.significand_bits


def formula_findings(subject: Subject, tried: Attempt) -> Findings:
    """Name the mistakes that show on the probe."""
    case, terms = tried.case, of_verify(tried.case)
    tolerance = rounding(case, terms)
    if case.is_backward:
        return backward_findings(tried, terms, tolerance)
    name = "normalized"
    if name not in tried.wrong or name not in tried.values:
        return {}
    y = tried.values[name]
    if case.data.significand_bits < F32.significand_bits:
        # Additions in 16 bits look like a slightly different epsilon.
        expected, magnitude = tried.expected[name].high, terms.magnitude(name)
        if error_of(terms.case, y, expected, magnitude) <= 16 * 2.0**-case.data.significand_bits:
            return {}
    with np.errstate(all="ignore"):
        for hypothesis in own_hypotheses(case, terms):
            if agrees(terms.case, y, hypothesis.values, tolerance):
                return {name: (hypothesis.mistake, hypothesis.words)}
    if not np.isfinite(y).all():
        return {}

    def forward(moved: Probe) -> Float64Array:
        inputs = {**case.inputs, "x": quantized(moved.x, case.data)}
        result, _ = subject.results(replace(case, inputs=inputs))[name]
        return result.reshape(y.shape)

    try:
        if case.activation == "none":
            _, finding = identify_forward(terms, y, forward, tolerance)
        else:
            finding = identify_behind_relu(case, terms, y, forward, tolerance)
    except CallError:
        return {}
    # The statistics that inference is given are constants, rightly.
    is_given = case.role == "inference" and finding.mistake == "constant_statistics"
    if finding.mistake == "unknown" or is_given:
        return {}
    return {name: (finding.mistake, finding.words)}


def own_hypotheses(case: Case, terms: Terms) -> Iterator[Hypothesis]:
    """Yield what a forward pass may be under the mistakes that `verify` does not know."""
    with_residual = case.inputs.get("residual", 0.0)

    def after_relu(normalized: Float64Array) -> Float64Array:
        return activated(case, normalized + with_residual)

    gamma, beta = terms.case.gamma, terms.case.beta
    for mistake, instead in (
        ("inverse_as_variance", terms.inv),
        ("deviation_as_variance", np.sqrt(terms.variance)),
    ):
        normalized = gamma * terms.centered / np.sqrt(instead + case.epsilon) + beta
        values = after_relu(terms.case.array(normalized))
        yield Hypothesis(mistake, OWN_MISTAKES[mistake], values)
    if case.role == "inference":
        own = Terms(terms.case, replace(terms.model, statistics=None))
        values = after_relu(terms.case.array(own.normalized))
        yield Hypothesis("own_statistics", OWN_MISTAKES["own_statistics"], values)
    if case.activation == "none":
        return
    plain = terms.case.array(terms.normalized)
    without = {"relu_missing": plain + with_residual}
    if case.activation == "relu6":
        without["upper_bound_missing"] = np.maximum(plain, 0.0)
    if case.activation == "add_relu":
        without["residual_missing"] = np.maximum(plain, 0.0)
        without["residual_after_relu"] = np.maximum(plain, 0.0) + with_residual
    for mistake, values in without.items():
        yield Hypothesis(mistake, OWN_MISTAKES[mistake], values)
    for hypothesis in forward_hypotheses(terms):
        yield replace(hypothesis, values=after_relu(hypothesis.values))


def identify_behind_relu(
    case: Case,
    terms: Terms,
    y: Float64Array,
    forward: Callable[[Probe], Float64Array],
    tolerance: float,
) -> Finding:
    """Say what a forward pass computes before its ReLU: with another epsilon, or constants."""
    with np.errstate(all="ignore"):
        _, variance = used_statistics(case, terms, y)
    epsilon = float(f"{np.median(variance - terms.variance) + case.epsilon:.6g}")
    if np.isfinite(epsilon) and epsilon > 0:
        other = Terms(terms.case, replace(terms.model, epsilon=epsilon))
        normalized = terms.case.array(other.normalized) + case.inputs.get("residual", 0.0)
        if agrees(terms.case, y, activated(case, normalized), tolerance):
            words = f"epsilon is {epsilon:.6g}, not the {case.epsilon:g} given"
            return Finding("normalized", "other_epsilon", words, {"epsilon": epsilon})
    moved = terms.x.copy()
    moved[0] += 1 / terms.inv
    change = terms.case.rows(forward(replace(terms.case, x=terms.case.array(moved))) - y)[1:]
    if relu.is_within(case, y)[1:].any() and (np.abs(change) <= tolerance * np.abs(y).max()).all():
        mistake = "constant_statistics"
        return Finding("normalized", mistake, MISTAKES[mistake], {})
    return Finding("normalized", "unknown", MISTAKES["unknown"], {})


def backward_findings(tried: Attempt, terms: Terms, tolerance: float) -> Findings:
    """Name the mistakes in gradients: of a ReLU's mask, or by the dictionary of `verify`."""
    found: Findings = {}
    if tried.case.activation != "none":
        masks = relu.mask_findings(tried, terms, tolerance)
        found = {name: (mistake, MISTAKES[mistake]) for name, mistake in masks.items()}
        terms = relu.with_mask(terms, relu.mask(tried.case))
    for name in tried.wrong:
        # What reaches a residual has no terms, but for the mask.
        if name not in tried.values or name in found or name == "residual_delta":
            continue
        findings = diagnose(terms, name, tried.values[name], tolerance)
        if findings:
            mistakes = "; ".join(finding.words for finding in findings)
            found[name] = (findings[0].mistake, mistakes)
    return found


# ---- arithmetic ----------------------------------------------------------------------------------


def arithmetic_finding(tried: Attempt, name: str) -> tuple[str, str] | None:
    """Name what is wrong with the arithmetic of an output of a case; None if that is unknown."""
    case = tried.case
    values, expected = tried.values[name], tried.expected[name]
    is_lost = ~np.isfinite(values) & np.isfinite(expected.high)
    is_kept = np.isfinite(values) & ~np.isfinite(expected.high)
    mistake = None
    if case.difficulty.name in ("nan", "infinity") and (is_lost.any() or is_kept.any()):
        mistake = "not_finite_spreads"
    elif case.difficulty.name.startswith("where"):
        mistake = "padding_counts"
    elif case.difficulty.name == "relu_zero" and is_wrong_in(tried, name, ZERO_CHANNEL):
        mistake = "zero_passes"
    elif case.role == "training":
        mistake = statistics_mistake(case, tried.values)
    elif case.is_backward and is_short_of_bits(tried, name):
        mistake = "chain_too_long"
    if mistake is None and is_beyond(case):
        mistake = "overflow"
    if mistake is None and is_lost.any():
        # A variance below -epsilon, unless it is the numbers that are beyond a narrow type.
        is_shifted = case.difficulty.name == "shift" and case.role == "training"
        is_shifted &= bool(np.abs(case.inputs["x"]).max(initial=0.0) < largest(F16))
        mistake = "unshifted_variance" if is_shifted else "not_finite"
    return None if mistake is None else (mistake, MISTAKES[mistake])


def is_wrong_in(tried: Attempt, name: str, channel: int) -> bool:
    """Whether an output of shape (C,) is wrong in one channel alone."""
    values, expected = tried.values[name], tried.expected[name]
    is_wrong = np.abs(values - expected.high) > expected.tolerance
    return values.ndim == 1 and np.flatnonzero(is_wrong).tolist() == [channel]


def is_beyond(case: Case) -> bool:
    """Whether the squares of a case's numbers are beyond a type that they may be made in."""
    numbers = np.abs(case.inputs["x"][np.isfinite(case.inputs["x"])])
    narrow = min(largest(case.data), largest(F32)) if case.data is not F64 else largest(F64)
    return bool((numbers.max(initial=0.0) / math.sqrt(narrow)) > 1)


def is_short_of_bits(tried: Attempt, name: str) -> bool:
    """Whether a sum is off by what additions in its data's 16 bits explain."""
    case, score = tried.case, tried.scores[name]
    if case.data.significand_bits >= F32.significand_bits:
        return False
    return score.share <= 2.0 ** (F32.significand_bits - case.data.significand_bits)


def statistics_mistake(case: Case, outputs: Mapping[str, Float64Array]) -> str | None:
    """Name what is wrong with the statistics that a forward pass has used."""
    if "normalized" not in outputs:
        return None
    terms = of_verify(case)
    with np.errstate(all="ignore"):
        mean, variance = used_statistics(case, terms, outputs["normalized"])
        # A channel of one value, of a gamma of 0 or of a NaN tells no statistics.
        told = (terms.variance > 0) & (terms.case.gamma != 0) & np.isfinite(terms.variance)
        told &= np.isfinite(mean)
        errors = Errors(
            case, terms.n, terms.mean[told], terms.variance[told],
            np.abs(terms.x).mean(axis=0)[told], np.abs(mean - terms.mean)[told],
            np.abs(variance - terms.variance)[told],
        )  # fmt: skip
        return errors.mistake() if told.any() else None


def used_statistics(case: Case, terms: Terms, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the mean and the variance that a channel's line tells; NaN where it tells none."""
    rows = terms.case.rows(y) - terms.case.beta
    if "residual" in case.inputs:
        rows = rows - case.rows("residual")
    # What a ReLU has cut off tells nothing.
    weights = relu.is_within(case, y).astype(np.float64)
    count = weights.sum(axis=0)
    offset = (weights * rows).sum(axis=0) / count
    middle = (weights * terms.centered).sum(axis=0) / count
    centered = weights * (terms.centered - middle)
    slope = (rows * centered).sum(axis=0) / (centered**2).sum(axis=0)
    mean = terms.mean + middle - offset / slope
    return mean, (terms.case.gamma / slope) ** 2 - case.epsilon


@dataclass(frozen=True)
class Errors:
    """Statistics of channels (c,), and how far those are off that a forward pass has used.

    size: the mean |x|.
    """

    case: Case
    n: int
    mean: Float64Array
    variance: Float64Array
    size: Float64Array
    of_mean: Float64Array
    of_variance: Float64Array

    def mistake(self) -> str | None:
        """Name the mistake that explains them."""
        if self.is_unshifted():
            return "unshifted_variance"
        narrow_types = [one for one in (F16, BF16) if self.case.data in (one, F32, F64)]
        for narrow in narrow_types:
            if self.are_rounded_to(narrow):
                return "statistics_16_bits"
        for narrow in narrow_types:
            if self.are_summed_in(narrow):
                return "chain_too_long"
        return None

    def is_unshifted(self) -> bool:
        """Whether the variance is off by roundings of the mean square, and by more than others are.

        Those of a mean that is summed in the same type make a variance wrong by their square.
        """
        units = (2.0**-53, 2.0**-24) if self.case.data is F64 else (2.0**-24,)
        is_far = np.abs(self.mean) > 8 * np.sqrt(self.variance)
        if not is_far.all():
            return False
        for unit in units:
            square = (self.n + 8) * unit * self.mean**2
            others = (self.n + 8) * unit * self.variance
            others = others + 2 * ((self.n + 8) * unit * self.size) ** 2
            if (self.of_variance <= square).all() and (self.of_variance > 2 * others).any():
                return True
        return False

    @property
    def noise(self) -> Float64Array:
        """What the rounding of y leaves in a mean that is read off, in deviations."""
        noise: Float64Array = 8 * 2.0**-self.case.data.significand_bits * self.deviation
        return noise

    @property
    def deviation(self) -> Float64Array:
        deviation: Float64Array = np.sqrt(self.variance + self.case.epsilon)
        return deviation

    def are_rounded_to(self, narrow: Format) -> bool:
        """Whether one rounding of mean and variance explains all."""
        unit = 2.0**-narrow.significand_bits
        relative = self.of_variance / (self.variance + self.case.epsilon)
        of_mean = 0.75 * narrow.ulp(self.mean) + self.noise
        # A rounded mean makes the variance about it larger by the square of the rounding.
        allowed = 4 * unit + self.noise / self.deviation + (self.of_mean / self.deviation) ** 2
        return bool((self.of_mean <= of_mean).all() and (relative <= 2 * allowed).all())

    def are_summed_in(self, narrow: Format) -> bool:
        """Whether sums in that type explain the mean."""
        unit = 2.0**-narrow.significand_bits
        return bool((self.of_mean <= self.n * unit * self.size + self.noise).all())


def most_frequent(attempts: list[Attempt], data: Format) -> tuple[str, str] | None:
    """Return the mistake of most cases of a type, None if none is named."""
    names = [tried.mistake for tried in attempts if tried.case.data is data]
    named = Counter(name for name in names if name in OF_ARITHMETIC)
    if not named:
        return None
    mistake = named.most_common(1)[0][0]
    return mistake, MISTAKES[mistake]


@dataclass(frozen=True)
class Known:
    """What is known of a function's mistakes: by output from the probe, and by type."""

    of_formula: Findings
    of_types: Mapping[str, tuple[str, str]]

    def finding(self, tried: Attempt, name: str) -> tuple[str, str] | None:
        """Name the mistake in an output of a case; None if that is unknown."""
        if name in self.of_formula:
            return self.of_formula[name]
        own = arithmetic_finding(tried, name) if name in tried.values else None
        if own is not None and own[0] in ("not_finite_spreads", "padding_counts", "overflow"):
            return own
        # A wrong sum makes input_delta wrong that is made of it.
        general = self.of_types.get(tried.case.data.name) or own
        return general or next(iter(self.of_formula.values()), None)


def arithmetic_of_types(attempts: list[Attempt]) -> dict[str, tuple[str, str]]:
    """Return the mistakes of arithmetic that show on easy data already, or in long sums, by type.

    Harder data shows them in other ways.
    """
    found: dict[str, tuple[str, str]] = {}
    for difficulty in ("long", "easy"):
        for tried in attempts:
            if tried.case.difficulty.name != difficulty or tried.case.data.name in found:
                continue
            for name in tried.wrong:
                finding = arithmetic_finding(tried, name) if name in tried.values else None
                # In a short sum a chain is as wrong as a rounding of the result.
                if finding is not None and (difficulty == "easy" or finding[0] == "chain_too_long"):
                    found.setdefault(tried.case.data.name, finding)
    if is_narrow(attempts):
        found["f64"] = ("low_precision", MISTAKES["low_precision"])
    return found


def is_narrow(attempts: list[Attempt]) -> bool:
    """Whether f64 data is computed as f32: easy cases are off by float's roundings, all of them."""
    easy = [one for one in attempts if (one.case.data, one.case.difficulty.name) == (F64, "easy")]
    shares = [score.share for one in easy for score in one.scores.values()]
    wrong = [one for one in easy if one.wrong]
    return bool(easy) and len(wrong) == len(easy) and max(shares) <= 2.0 ** (53 - 24)


def differs_when_repeated(subject: Subject, tried: Attempt) -> bool:
    """Whether a second call differs from the first by more than roundings."""
    again = attempt(subject, tried.case)
    if again.mistake or again.values.keys() != tried.values.keys():
        return True
    with np.errstate(all="ignore"):
        return any(
            (np.abs(values - again.values[name]) > tried.expected[name].tolerance).any()
            or not np.array_equal(np.isfinite(values), np.isfinite(again.values[name]))
            for name, values in tried.values.items()
        )


def name_mistakes(subject: Subject, attempts: list[Attempt], on_probe: Attempt) -> None:
    """Give each wrong case its mistake: the probe's, or else that of its own numbers."""
    known = Known(formula_findings(subject, on_probe), arithmetic_of_types(attempts))
    unknown = []
    for tried in attempts:
        if tried.mistake:
            continue
        if tried.wrong and differs_when_repeated(subject, tried):
            mistake = "not_repeatable"
            tried.mistake, tried.words = mistake, f"{tried.wrong[0]}: {MISTAKES[mistake]}"
            continue
        for name in tried.wrong:
            finding = known.finding(tried, name)
            if finding is not None:
                tried.mistake, tried.words = finding[0], f"{name}: {finding[1]}"
                break
        else:
            unknown += [tried] if tried.wrong else []
    for tried in unknown:
        words = MISTAKES["unknown"]
        finding = most_frequent(attempts, tried.case.data) or ("unknown", words)
        tried.mistake, tried.words = finding[0], f"{tried.wrong[0]}: {finding[1]}"
