"""Verify anyone's backward function of batch normalization, and name the mistake in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import calls, cases, running, trial
from .calls import Functions, UnusableError
from .cases import Model
from .examples import Example, checked_example, obstacle, with_statistics_of_its_own
from .kept import RUNNING_VARIANCE, Kept, plain
from .layouts import other_layout
from .reach import reach
from .report import MISTAKES, Finding, Measurement, Verification
from .subjects import Subject, plain_example, small_calls, subjects
from .values import bool_of, described, float_of, integer_of

#: Tolerances from here on are reported, since mistakes may hide in them: these change some percent
#: or more of the largest term on the probe.
BLUNT = 0.01

#: The mistakes that a forward may be taken to have which is right for another layout.
MAY_BE_LAYOUT = ("unknown", "wrong_axis", "wrong_layout")

__all__ = ["MISTAKES", "Finding", "Measurement", "UnusableError", "Verification", "verify"]


def verify(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    example: npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None = None,
    *,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    unbiased: bool = False,
    statistics: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    forward_arguments: Sequence[str] | None = None,
    backward_arguments: Sequence[str] | None = None,
    running_unbiased: bool | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Verification:
    """Check a forward and a backward function of batch normalization, and name their mistakes.

    forward is compared with the definition. backward is compared with finite differences of
    forward and with the definition, with a random delta, on the example and on a probe of the same
    rank, on which mistakes show. Both are called many times, with float64 copies.

    Parameters
    ----------
    forward : function that returns y, of the shape of x, or a tuple that begins with y; the rest of
        the tuple is the cache, without the tuple if it is one object. A dict, a named tuple or a
        dataclass may name y and cache. Or an object that brings its gradient: a torch module, a
        class of `torch.autograd.Function`, a function of torch tensors or JAX arrays, with
        `jax.custom_vjp` or without; or a layer with the methods forward and backward.
    backward : function that returns input_delta, or a tuple that begins with input_delta,
        gamma_delta, beta_delta, or a dict of them; those that it leaves out, or that are None, are
        not checked. It is called after forward. None: torch's autograd or `jax.vjp` makes it of
        forward.
    example : x, or the tuple (x, gamma, beta). x: real, of rank 2 or higher; gamma and beta: shape
        (C,), or the rank of x with 1 for all axes but the channel axis; random if not given.
    epsilon : number that forward adds to the variance
    channel_axis : axis of x, -1 for channels last
    unbiased : whether forward's variance is divided by n - 1
    statistics : pair (mean, variance) of shape (C,), constants that forward normalizes with in the
        place of the batch's statistics; None for training. A forward that takes mean and variance
        is given them; without them, some near the example's own.
    forward_arguments : what forward's parameters stand for, in order: some of x, gamma, beta,
        epsilon, channel_axis, bn_param (a dict with mode and eps), params (a dict of gamma and
        beta), mean, variance, inv, running_mean, running_variance, momentum, training. None: by the
        parameters' names, or else by their number.
    backward_arguments : the same of backward: some of delta, cache, x, gamma, beta, mean, variance,
        inv, x_hat, epsilon, channel_axis, bn_param, …. mean and variance are what forward
        normalizes with, inv = 1/sqrt(variance + epsilon), x_hat = (x - mean)*inv.
    running_unbiased : whether the running variance that forward keeps averages unbiased variances;
        None: it has to if forward is torch's, whose layers do so, and may otherwise
    seed : integer >= 0, of everything random; equal seeds give equal results
    progress : function of a line of text, called before each call of forward and backward; None
        for no reports

    Returns
    -------
    Verification, which is true if no mistake was found, and whose notes say what was not checked. A
    wrong backward never raises here.

    An example of more than 65536 elements is verified by a random sample of each axis.

    A gamma, a beta and gradients that the functions keep beside their arguments and results, such
    as the attributes gamma and dgamma of a layer, are set and read where they can be found, and put
    back at the end, as are running statistics. Torch modules are copied, and tried in float64;
    functions of JAX arrays run with its 64-bit types.

    Raises TypeError for a function that is none or cannot be called with what its parameters stand
    for, and for an argument of another type. Raises ValueError for a bad example or number, such as
    a variance that float64 cannot hold, and for a forward that raises on the example or returns no
    array of x's shape. KeyboardInterrupt, SystemExit and MemoryError pass through from the
    functions.
    """
    epsilon = float_of("epsilon", epsilon)
    if not (np.isfinite(epsilon) and epsilon >= 0):
        raise ValueError(f"epsilon: expected a finite number >= 0, got {epsilon}")
    channel_axis = integer_of("channel_axis", channel_axis)
    unbiased = bool_of("unbiased", unbiased)
    if running_unbiased is not None:
        running_unbiased = bool_of("running_unbiased", running_unbiased)
    seed = integer_of("seed", seed)
    if seed < 0:
        raise ValueError(f"seed: expected an integer >= 0, got {seed}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: expected a function or None, got {described(progress)}")
    arguments = (forward_arguments, backward_arguments)
    meant = subjects(forward, backward, *arguments, example, statistics is not None)
    candidates = [functions_of(subject, epsilon, progress) for subject in meant]
    # Infinity and NaN in here are values that are judged, whatever the caller's handling of errors.
    with np.errstate(all="ignore"):
        given = checked_example(plain_example(example), statistics, channel_axis, seed)
        needs_statistics = candidates[0].forward_binding.needs_statistics
        if needs_statistics and statistics is None:
            given = with_statistics_of_its_own(given)
        functions = chosen(candidates, given)
        model = Model(epsilon, unbiased, given.statistics)
        said = []
        if needs_statistics and statistics is None:
            said.append(
                "forward takes the mean and variance that it normalizes with: constants near the "
                "example's (statistics=(mean, variance) gives others; if they are the batch's own, "
                "give a forward that computes them)"
            )
        with small_calls(functions.framework):
            try:
                functions.kept.save_running_statistics()
                return try_all(functions, given, model, running_unbiased, said)
            finally:
                functions.kept.restore()


def try_all(
    functions: Functions,
    given: Example,
    model: Model,
    running_unbiased: bool | None,
    said: list[str],
) -> Verification:
    """Try the functions on the example and the probes; said: the first notes."""
    on_example, of_example = try_example(functions, given, model)
    trials = [*try_probes(functions, given, model), on_example]
    if running_unbiased is None and functions.framework == "torch":
        running_unbiased = True  # as torch's own layers have it
    first = trials[0]
    impossible = impossible_statistics(functions)
    mistakes, notes_on_running = running.check(
        functions, first.terms, first.is_identified, running_unbiased
    )
    if not any(finding.mistake == "running_sign" for finding in mistakes):
        mistakes = [*impossible, *mistakes]
    verification = conclude(functions, trials, [*said, *of_example], (mistakes, notes_on_running))
    return with_other_layout(verification, functions, given, model)


def functions_of(
    subject: Subject, epsilon: float, progress: Callable[[str], None] | None
) -> Functions:
    """Return the functions with all that their calls need."""
    return Functions(
        subject.forward,
        subject.backward,
        subject.forward_binding,
        subject.backward_binding,
        epsilon,
        np.geterr(),
        Kept.of(*subject.roots),
        progress,
        subject.framework,
    )


def chosen(candidates: Sequence[Functions], given: Example) -> Functions:
    """Return the first of the ways to call forward that works, on a sample of the example."""
    if len(candidates) > 1:
        lengths = cases.sampled_lengths(given.x.shape, given.axis)
        generator = np.random.default_rng([given.seed, 5])
        case = given.case(cases.sampled_indices(given.x.shape, lengths, generator))
        for functions in candidates:
            try:
                functions.call_forward(functions.reduced(case))
            except (TypeError, UnusableError):
                continue
            return functions
    of_framework = [one for one in candidates if one.framework != "numpy"]
    return (of_framework or candidates)[0]


def with_other_layout(
    verification: Verification, functions: Functions, given: Example, model: Model
) -> Verification:
    """Return the verification, whose finding about y says for which layout forward is right."""
    findings = list(verification.findings)
    for index, finding in enumerate(findings):
        if finding.output == "normalized" and finding.mistake in MAY_BE_LAYOUT:
            may_be_of_rows = finding.mistake != "wrong_layout"
            sentence = other_layout(functions, given, model, may_be_of_rows)
            if sentence is not None:
                is_known = finding.mistake == "wrong_axis"
                words = f"{finding.words}; {sentence}" if is_known else sentence
                findings[index] = replace(finding, mistake="wrong_axis", words=words)
    return replace(verification, findings=tuple(findings))


def try_example(
    functions: Functions, given: Example, model: Model
) -> tuple[trial.Trial, list[str]]:
    """Return the trial of the example or of a sample of it, and what to say of the sample.

    Functions that are written for one shape are tried on all of a large example. Raises ValueError
    if the definition has no gradient on it, UnusableError if forward cannot be called with it,
    which says for which layout it is right, if it is for one.
    """
    try:
        return try_sample_or_example(functions, given, model.unbiased)
    except UnusableError as error:
        sentence = other_layout(functions, given, model, may_be_of_rows=True)
        if sentence is None:
            raise
        raise UnusableError("wrong_axis", f"{error}; {sentence}") from error


def try_sample_or_example(
    functions: Functions, given: Example, unbiased: bool
) -> tuple[trial.Trial, list[str]]:
    """Return the trial of the example or of a sample of it, and what to say of the sample."""
    shape, seeds = given.x.shape, (given.seed, 2)
    lengths = cases.sampled_lengths(shape, given.axis)
    said = []
    if lengths != shape:
        generator = np.random.default_rng([given.seed, 5])
        indices = cases.sampled_indices(shape, lengths, generator)
        model = given.model(functions.epsilon, unbiased, indices)
        sample = given.case(indices)
        if obstacle(sample, model) is None:
            reach(functions, sample, model)
            try:
                attempt = trial.run(functions, sample, model, seeds, every_element=False)
            except UnusableError:
                attempt = None
            if attempt is not None and attempt.failure is None:
                size = f"example {shape} has {given.x.size} elements"
                said = [f"{size}: a random sample of it, {lengths}, is verified in its place"]
                return attempt, said
        said = [
            f"example {shape} is large, and the functions take no sample of it, {lengths}: finite "
            "differences are taken in one direction alone"
        ]
    case, model = given.case(), given.model(functions.epsilon, unbiased)
    reason = obstacle(case, model)
    if reason is not None:
        raise ValueError(f"example: {reason}")
    reach(functions, case, model)
    return trial.run(functions, case, model, seeds, every_element=False), said


def try_probes(functions: Functions, given: Example, model: Model) -> list[trial.Trial]:
    """Return the trial of the first probe that works; of one of equal lengths if none does.

    Functions may be written for one number of channels, or for one shape.
    """
    rank, axis, channels = given.x.ndim, given.axis, given.x.shape[given.axis]
    shapes = [cases.probe_shape(rank, axis, channels), given.x.shape]
    if model.statistics is None:
        own = cases.probe_shape(rank, axis, cases.PROBE_CHANNELS)
        shapes = [own, *shapes, cases.equal_shape(rank)]
    for shape in dict.fromkeys(shapes):
        if math.prod(shape) > cases.LARGEST:
            continue
        along = tuple(shape[i] if i == axis else 1 for i in range(rank))
        vector_shape = (shape[axis],) if len(given.vector_shape) == 1 else along
        generator = np.random.default_rng([given.seed, 1])
        probe = cases.probe(shape, axis, model, vector_shape, generator)
        if obstacle(probe, model) is not None:
            continue
        try:
            attempt = trial.run(functions, probe, model, (given.seed, 3), every_element=True)
        except UnusableError:
            continue
        if not attempt.failure:
            return [attempt]
    return []


def conclude(
    functions: Functions,
    trials: list[trial.Trial],
    said: Sequence[str],
    of_running: tuple[list[Finding], list[str]],
) -> Verification:
    """Collect what the trials found; the example's is the last.

    said: the first notes. of_running: the findings and notes of running statistics.
    """
    on_example = trials[-1]
    findings = [finding for attempt in trials for finding in attempt.findings]
    if on_example.failure:
        words = str(on_example.failure).removeprefix("backward: ")
        findings.append(Finding("backward", on_example.failure.mistake, words, {}))
    elif not on_example.outputs:
        words = f"it returns none of {', '.join(functions.outputs)}"
        if on_example.returned:
            words = f"it returns {on_example.returned}"
        findings.append(Finding("backward", "missing_output", words, {}))
    for output in calls.OUTPUTS:
        findings += trial.explain(trials, output)
    findings += of_running[0]
    first = {(finding.output, finding.mistake): finding for finding in reversed(findings)}
    order = dict.fromkeys((finding.output, finding.mistake) for finding in findings)
    measurements = [m for attempt in trials for m in attempt.measurements]
    return Verification(
        tuple(first[key] for key in order),
        tuple(measurements),
        (*said, *notes(functions, trials), *of_running[1]),
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
    said += dict.fromkeys(attempt.said for attempt in trials if attempt.said)
    said += notes_on_vectors(functions)
    for attempt in trials:
        said += blunt(attempt)
    return said


def notes_on_vectors(functions: Functions) -> list[str]:
    """Say of gamma and beta where they stand in the way of a check."""
    said = []
    kept = functions.kept
    for vector in ("gamma", "beta"):
        if functions.forward_binding.takes(vector):
            continue
        if vector in kept.without_effect:
            said.append(f"the {vector} that forward keeps does not change y")
        elif vector in kept.constants:
            said.append(
                f"the {vector} that forward keeps cannot be set: it is checked with these values"
            )
        elif vector in kept.scalars:
            said.append(f"{vector} is one number for all channels: its gradient is not checked")
        elif vector == "gamma" and vector not in kept.vectors:
            said.append(
                "forward takes no gamma, and none was found that it keeps: all was checked with a "
                "gamma of 1, for which a backward that leaves gamma out is right"
            )
    return said


def impossible_statistics(functions: Functions) -> list[Finding]:
    """Return a finding if a running variance is negative or NaN."""
    for name, values in functions.kept.running_statistics().items():
        if plain(name) in RUNNING_VARIANCE and not bool((values >= 0).all()):
            words = f"{name} is negative or NaN after forward, which no average of variances is"
            least = {"smallest": float(values.min())}
            return [Finding("forward", "running_variance", words, least)]
    return []


def blunt(attempt: trial.Trial) -> list[str]:
    """Say in which outputs the tolerance of a trial hides mistakes, by the type of the values."""
    least: dict[str, float] = {}
    for one in attempt.measurements:
        least[one.output] = min(one.tolerance, least.get(one.output, math.inf))
    hidden = {output: value for output, value in least.items() if value > BLUNT}
    if not hidden:
        return []
    worst = min(max(hidden.values()), 1e300)
    return [
        f"on {attempt.case.name} rounding alone explains an error of {worst:.1g} of the largest "
        f"term in {', '.join(hidden)}: a smaller one does not show there"
    ]
