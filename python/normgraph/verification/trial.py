"""One case tried on the user's functions: what they return, measured and diagnosed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .calls import VARIABLES, Functions, UnusableError
from .cases import Case, Model, Terms
from .diagnosis import FLOAT32_ROUNDOFF, diagnose, error_of, identify_forward
from .differences import error_of_gradient
from .report import Finding, Measurement
from .values import same_bits, to_float64, unit_roundoff

#: Up to this many elements, finite differences are taken in each of them.
EVERY_ELEMENT = 1000


@dataclass
class Trial:
    """A case, and all that came of it.

    terms: the case under the model that forward computes, or was meant to if is_identified is
    false. failure: why backward returned nothing, if so. unit: the roundoff of forward's output.
    said: what is to be said of backward's result. returned: a dict of other names, in words.
    """

    functions: Functions
    terms: Terms
    is_identified: bool = True
    findings: list[Finding] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    outputs: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    failure: UnusableError | None = None
    unit: float = 2.0**-53
    said: str = ""
    returned: str = ""

    @property
    def case(self) -> Case:
        """The arrays that the functions are called with."""
        return self.terms.case

    def measure(self, output: str, against: str, errors: tuple[float, float]) -> None:
        """Add a measurement; errors: (error, tolerance)."""
        self.measurements.append(Measurement(output, against, self.case.name, *errors))

    def wrong(self, output: str) -> float:
        """Return the largest error of an output that is not within its tolerance, else 0."""
        errors = [m.error for m in self.measurements if m.output == output and not m.holds]
        return max(errors, default=0.0)

    def tolerance(self, output: str) -> float:
        """Return what rounding explains in an output."""
        unit = unit_roundoff(self.outputs[output])
        return self.terms.rounding(max(unit, self.unit))


def run(
    functions: Functions, case: Case, model: Model, seed: tuple[int, int], every_element: bool
) -> Trial:
    """Try one case.

    every_element: whether to take finite differences in each element, if that is feasible; else
    they are taken in random directions, with this seed. Raises UnusableError if forward cannot be
    called with this case, and keeps it as `failure` if it is backward.
    """
    case = functions.reduced(case)
    trial = Trial(functions, Terms(case, model))
    try_forward(trial)
    try_backward(trial)
    is_feasible = every_element and case.x.size <= EVERY_ELEMENT
    generator = None if is_feasible else np.random.default_rng(seed)
    for output, values in trial.outputs.items():
        measure_output(trial, output, values, generator)
    return trial


def values_of_forward(functions: Functions, case: Case) -> Float64Array:
    """Return y alone."""
    return functions.call_forward(case)[0].y


def try_forward(trial: Trial) -> None:
    """Call forward, compare it with its model, and find out which other model it is if it is."""
    functions, case, terms = trial.functions, trial.case, trial.terms
    forwarded, modified = functions.call_forward(case)
    trial.unit = forwarded.unit
    trial.findings += modified_arguments("forward", modified)
    if not same_bits(forwarded.y, values_of_forward(functions, case)):
        trial.findings.append(not_repeatable("forward"))
    trial.terms = terms = replace(terms, smallest=forwarded.smallest)
    tolerance = terms.rounding(forwarded.unit)
    expected, magnitude = terms.expected("normalized"), terms.magnitude("normalized")
    error = error_of(case, forwarded.y, expected, magnitude)
    trial.measure("normalized", "the definition", (error, tolerance))
    if trial.measurements[-1].holds:
        return
    if np.isfinite(forwarded.y).all():
        model, finding = identify_forward(
            terms, forwarded.y, lambda case: values_of_forward(functions, case), tolerance
        )
        if finding.mistake == "unknown" and error <= terms.rounding(FLOAT32_ROUNDOFF):
            model, finding = terms.model, low_precision("normalized", error)
    else:
        words = "in the forward pass y is NaN or infinity where it should be finite"
        model, finding = None, Finding("normalized", "not_finite", words, {})
    trial.findings.append(finding)
    trial.is_identified = model is not None
    if model is not None:
        trial.terms = replace(terms, model=model)


def try_backward(trial: Trial) -> None:
    """Call backward twice after forward."""
    functions = trial.functions
    forwarded, _ = functions.call_forward(trial.case)
    try:
        first = functions.call_backward(trial.terms, forwarded)
    except UnusableError as error:
        trial.failure = error
        return
    trial.findings += modified_arguments("backward", first.modified)
    trial.outputs, trial.said, trial.returned = first.outputs, first.said, first.returned
    try:
        second = functions.call_backward(trial.terms, forwarded).outputs
    except UnusableError as error:
        trial.findings.append(not_repeatable("backward", str(error)))
        return
    if first.outputs.keys() != second.keys() or not all(
        same_bits(values, second[output]) for output, values in first.outputs.items()
    ):
        trial.findings.append(not_repeatable("backward"))


def measure_output(
    trial: Trial, output: str, values: npt.NDArray[Any], generator: np.random.Generator | None
) -> None:
    """Compare a gradient with finite differences of forward, and with the definition."""
    terms, case = trial.terms, trial.case
    expected, own = terms.expected(output), trial.tolerance(output)
    if values.shape != expected.shape or not np.isfinite(values).all():
        trial.measure(output, "the definition", (float("inf"), own))
        return
    variable = getattr(case, VARIABLES[output])
    gradient = to_float64(values).reshape(variable.shape)
    if trial.functions.can_move(VARIABLES[output], len(case.gamma)):
        error, tolerance = error_of_gradient(
            lambda case: values_of_forward(trial.functions, case),
            terms, output, gradient, trial.unit, generator,
        )  # fmt: skip
        # Where x_hat is subnormal, differences in gamma may say nothing at all.
        if tolerance != np.inf:
            trial.measure(output, "finite differences", (error, tolerance + own))
    if trial.is_identified:
        error = error_of(case, gradient, expected.reshape(variable.shape), terms.magnitude(output))
        trial.measure(output, "the definition", (error, own))


def explain(trials: list[Trial], output: str) -> Iterator[Finding]:
    """Yield what is wrong with an output, by the first of the trials that a mistake explains."""
    wrong = [trial for trial in trials if output in trial.outputs and trial.wrong(output)]
    for trial in wrong:
        found = diagnose(trial.terms, output, trial.outputs[output], trial.tolerance(output))
        if found:
            yield from found
            return
    if wrong:
        yield unexplained(wrong[0], output)


def unexplained(trial: Trial, output: str) -> Finding:
    """Say how wrong an output is that no mistake of the dictionary explains."""
    error = trial.wrong(output)
    evidence = {"error": error}
    terms = trial.terms
    if error <= terms.rounding(FLOAT32_ROUNDOFF):
        return low_precision(output, error)
    values = trial.outputs[output].astype(np.float64)
    expected = terms.expected(output)
    if error_of(trial.case, values, expected, terms.magnitude(output)) <= trial.tolerance(output):
        words = "it is the gradient of batch normalization, but not of this forward pass"
    else:
        words = "it is not the gradient of forward, and none of the known mistakes explains it"
    return Finding(output, "unknown", words, evidence)


def modified_arguments(role: str, names: tuple[str, ...]) -> list[Finding]:
    """Say which arguments a function wrote to."""
    return [
        Finding(role, "modifies_input", f"it writes to {name}, which belongs to the caller", {})
        for name in names
    ]


def not_repeatable(role: str, reason: str = "") -> Finding:
    """Say that a second call gives another result; reason: why it gives none."""
    words = (
        "a second call with the same arguments gives another result: it writes to the cache, or "
        "depends on chance"
    )
    if reason:
        words += f" ({reason})"
    return Finding(role, "not_repeatable", words, {})


def low_precision(output: str, error: float) -> Finding:
    """Say that an output is right to float32's precision only."""
    words = "it is right to the precision of float32 only, though it is returned as float64"
    return Finding(output, "low_precision", words, {"error": error})
