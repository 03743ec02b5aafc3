"""The update of running statistics, found out by calling forward with others before the call.

An update is linear in what was there before: new = kept * old + taken * statistic. Two calls that
differ in `old` alone show `kept`; the rest of `new`, divided by each statistic of the batch that
people take, shows which it is, as the ratio is `taken` in every channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .calls import Functions, UnusableError
from .cases import Terms
from .jax_functions import Run as JaxRun
from .kept import RUNNING_MEAN, plain
from .recognition import is_tensor
from .report import Finding
from .results import mapping_of, readable
from .torch_functions import Run as TorchRun
from .values import to_float64, unit_roundoff

#: How far the ratios of the channels may be apart, relative, where rounding allows less.
PRECISION = 1e-9

#: What rounding is allowed at most: the unbiased variance of the probe is 7/6 of the biased one.
COARSEST = 0.02

#: The starting values: the first, one with another mean, one with another variance.
FIRST, OTHER_MEAN, OTHER_VARIANCE = range(3)


class UnknownUpdateError(Exception):
    """An update that is not judged; the message says why."""


@dataclass(frozen=True)
class Update:
    """new = kept * old + taken * statistic. statistic: a key of `statistics_of`."""

    name: str
    is_mean: bool
    kept: float
    taken: float
    statistic: str

    @property
    def expected(self) -> tuple[str, ...]:
        """The statistics that this one is the running average of."""
        return ("mean",) if self.is_mean else ("biased variance", "unbiased variance")


def check(
    functions: Functions, terms: Terms, is_identified: bool, unbiased: bool | None
) -> tuple[list[Finding], list[str]]:
    """Return the mistakes in the updates of running statistics, and notes on what is not judged.

    is_identified: whether terms are those of what forward computes. unbiased: whether the running
    variance should take the unbiased one, None if either will do.
    """
    names = list(functions.kept.running_places())
    if not names:
        return [], []
    listed = ", ".join(names)
    if terms.model.statistics is not None:
        return [], [f"{listed}: not checked, as forward normalizes with given statistics"]
    if not is_identified:
        return [], [f"{listed}: not checked, as it is not known what forward computes"]
    try:
        seen = [observe(functions, terms, start, names) for start in starts(terms)]
    except UnusableError:
        return [], [f"{listed}: not checked, as forward fails where others stand there"]
    updates: list[Update] = []
    still, said = [], []
    for name in names:
        try:
            update = update_of(name, seen, terms, functions)
        except UnknownUpdateError as error:
            said.append(f"{name}: {error}")
            continue
        if update is None:
            still.append(name)
        else:
            updates.append(update)
    mistakes: dict[str, tuple[str, list[str]]] = {}
    if still:
        words = "not updated by forward: with each batch it should move towards the batch's"
        if still[0] in functions.kept.given:
            words = "neither written to by forward nor returned behind y: so it is not updated"
        mistakes["running_not_updated"] = (words, still)
    for update in updates:
        for mistake, words in mistakes_in(update, functions, unbiased):
            mistakes.setdefault(mistake, (words, []))[1].append(update.name)
    attached = [name for name in names if seen[FIRST].attached.get(name)]
    if attached:
        words = "part of autograd's graph after forward, and keeps all batches alive: detach it"
        mistakes["running_not_detached"] = (words, attached)
    findings = [
        Finding("forward", mistake, f"{' and '.join(where)}: {words}", evidence(updates, where))
        for mistake, (words, where) in mistakes.items()
    ]
    return findings, [*said, *notes_on(updates, functions, unbiased)]


def evidence(updates: list[Update], names: list[str]) -> dict[str, float]:
    """Return the weights in the updates of these running statistics."""
    return {
        f"{update.name} {what}": value
        for update in updates
        if update.name in names
        for what, value in (("kept", update.kept), ("taken", update.taken))
    }


def starts(terms: Terms) -> list[tuple[Float64Array, Float64Array]]:
    """Return running statistics to begin with, of the size of the batch's."""
    channels = len(terms.case.gamma)
    variance = np.where(terms.variance > 0, terms.variance, 1.0)
    deviation = np.sqrt(variance)
    means = [
        terms.mean + deviation * np.linspace(*ends, channels) for ends in ((0.5, 1.5), (-0.4, -0.9))
    ]
    variances = [variance * np.linspace(*ends, channels) for ends in ((0.5, 0.8), (1.6, 2.5))]
    return [(means[0], variances[0]), (means[1], variances[0]), (means[0], variances[1])]


@dataclass(frozen=True)
class Observation:
    """Running statistics before and after a call.

    before: those that could be set. leaves: the vectors among what forward returned behind y.
    attached: whether each is part of autograd's graph.
    """

    before: dict[str, Float64Array]
    after: dict[str, Float64Array]
    leaves: list[Float64Array]
    attached: dict[str, bool]
    unit: float


def observe(
    functions: Functions, terms: Terms, start: tuple[Float64Array, Float64Array], names: list[str]
) -> Observation:
    """Set running statistics, call forward, and read them."""
    kept, channels = functions.kept, len(terms.case.gamma)
    before: dict[str, Float64Array] = {}
    for name, place in kept.running_places().items():
        value = start[0] if is_mean(name) else start[1]
        if place.container is kept.settings or place.container is kept.given:
            before[name] = value
            continue
        kept.save(place)
        if place.write(value):
            array = place.array()
            if array is not None and array.size == channels:
                before[name] = to_float64(array).reshape(-1)
    forwarded, _ = functions.call_forward(replace(terms.case, running=start))
    after, attached, unit = {}, {}, 0.0
    for name, place in kept.running_places().items():
        array = place.array()
        if name in names and array is not None and array.size == channels:
            after[name] = to_float64(array).reshape(-1)
            unit = max(unit, unit_roundoff(array))
            value = place.value()
            attached[name] = is_tensor(value) and value.grad_fn is not None
    leaves = [
        to_float64(leaf).reshape(-1) for leaf in leaves_of(forwarded.cache) if leaf.size == channels
    ]
    return Observation(before, after, leaves, attached, max(unit, forwarded.unit))


def is_mean(name: str) -> bool:
    """Whether a running statistic is the mean, by its name."""
    return plain(name) in RUNNING_MEAN


def leaves_of(value: Any) -> Iterator[npt.NDArray[Any]]:
    """Yield the arrays in what forward returned behind y, in order."""
    if isinstance(value, (TorchRun, JaxRun)):
        value = value.rest
    fields = mapping_of(value)
    if fields is not None:
        value = list(fields.values())
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves_of(item)
    elif value is not None:
        array = readable(value.detach() if is_tensor(value) else value)
        if array is not None:
            yield array


def update_of(
    name: str, seen: list[Observation], terms: Terms, functions: Functions
) -> Update | None:
    """Return the update of a running statistic, None if it is not updated.

    Raises UnknownUpdateError if it is none that is known.
    """
    of_mean = is_mean(name)
    pair = (seen[FIRST], seen[OTHER_MEAN if of_mean else OTHER_VARIANCE])
    if not all(name in one.before and name in one.after for one in pair):
        raise UnknownUpdateError(
            "not checked, as it cannot be set, or has another number of channels"
        )
    before = [one.before[name] for one in pair]
    candidates = [[one.after[name] for one in pair]]
    if all(np.array_equal(*values) for values in zip(before, candidates[0], strict=True)):
        candidates = []
        if name in functions.kept.given:  # a function without state returns them
            leaves = zip(*(one.leaves for one in pair), strict=False)
            candidates = [[*values] for values in leaves if not np.array_equal(*values)]
    if not candidates:
        return None
    precision = min(max(PRECISION, 16 * terms.rounding(seen[FIRST].unit)), COARSEST)
    for after in candidates:
        update = fitted(name, of_mean, before, after, terms, precision)
        if update is not None:
            return update
    raise UnknownUpdateError(
        "its update is no average of itself and a statistic of the batch, and is not checked"
    )


def fitted(
    name: str,
    of_mean: bool,
    before: list[Float64Array],
    after: list[Float64Array],
    terms: Terms,
    precision: float,
) -> Update | None:
    """Return the update that explains all channels; None if there is none."""
    with np.errstate(all="ignore"):
        kept = constant((after[0] - after[1]) / (before[0] - before[1]), precision)
        if kept is None:
            return None
        rest = after[0] - kept * before[0]
        found = []
        for statistic, values in statistics_of(terms).items():
            taken = constant(rest / values, precision)
            if taken is not None:
                found.append(Update(name, of_mean, kept, taken, statistic))
    # One channel alone is explained by all of them: then the weights tell.
    found.sort(key=lambda one: (abs(one.kept + one.taken - 1) > precision,
                                one.statistic not in one.expected))  # fmt: skip
    return found[0] if found else None


def constant(values: Float64Array, precision: float) -> float | None:
    """Return the value that all elements have, None if they differ."""
    middle = float(np.median(values))
    if not np.isfinite(values).all():
        return None
    scale = max(abs(middle), 1e-2)
    if np.abs(values - middle).max() > precision * scale:
        return None
    return middle


def statistics_of(terms: Terms) -> Mapping[str, Float64Array]:
    """Return what people take running averages of, by its name."""
    squares = (terms.centered**2).sum(axis=0)
    biased = squares / terms.n
    found = {"mean": terms.mean, "biased variance": biased}
    if terms.n > 1:
        found["unbiased variance"] = squares / (terms.n - 1)
    found |= {
        "deviation": np.sqrt(biased),
        "variance + ε": biased + terms.model.epsilon,
        "√(variance + ε)": np.sqrt(biased + terms.model.epsilon),
        "1/√(variance + ε)": 1 / np.sqrt(biased + terms.model.epsilon),
        "mean of squares": (terms.x**2).mean(axis=0),
        "sum": terms.x.sum(axis=0),
        "sum of squared deviations": squares,
    }
    return found


def mistakes_in(
    update: Update, functions: Functions, unbiased: bool | None
) -> Iterator[tuple[str, str]]:
    """Yield the mistakes in an update, each with its words."""
    kept, taken = update.kept, update.taken
    weights = f"it keeps {kept:.4g} of itself and takes {taken:.4g} of the batch's"
    if update.statistic not in update.expected:
        right = "mean" if update.is_mean else "variance"
        yield "running_quantity", f"averages the {update.statistic} of the batches, not the {right}"
    elif update.statistic.startswith(("biased", "unbiased")) and unbiased is not None:
        is_unbiased = update.statistic.startswith("unbiased")
        if unbiased and not is_unbiased:
            yield (
                "running_biased",
                "takes the variance divided by n; torch's layers take the unbiased one, divided by "
                "n − 1 (running_unbiased=False verifies it so)",
            )
        elif is_unbiased and not unbiased:
            yield (
                "running_unbiased",
                "takes the variance divided by n − 1; the biased one was asked for, divided by n",
            )
    if kept < 0 or taken < 0:
        yield "running_sign", f"the sign is wrong: {weights}"
    elif abs(kept + taken - 1) > 1e-3:
        yield "running_weights", f"{weights}, and the weights do not add up to 1"
    elif taken > kept + 1e-3 and not is_given_momentum(functions):
        yield (
            "running_momentum",
            f"momentum is on the wrong side: {weights}, where the running value should move slowly",
        )


def is_given_momentum(functions: Functions) -> bool:
    """Whether verify has chosen the momentum, and cannot know which of the two it weighs."""
    return "momentum" in functions.forward_binding.quantities


def notes_on(updates: list[Update], functions: Functions, unbiased: bool | None) -> list[str]:
    """Say which of two conventions a right update follows, where either will do."""
    said = []
    names = ", ".join(update.name for update in updates)
    statistics = [one.statistic for one in updates if one.statistic in one.expected]
    variances = [statistic for statistic in statistics if statistic != "mean"]
    if variances and unbiased is None:
        layers = {
            "biased variance": "as the layers of TensorFlow, Keras and Flax do; torch's take the "
            "unbiased one (running_unbiased=True asks for it)",
            "unbiased variance": "as torch's layers do; those of TensorFlow, Keras and Flax take "
            "the biased one (running_unbiased=False asks for it)",
        }[variances[0]]
        said.append(f"{names}: they average the batches' {variances[0]}, {layers}")
    if updates and is_given_momentum(functions):
        weighed = "the batch's" if updates[0].taken < updates[0].kept else "the old"
        chosen = "0.1" if functions.framework == "torch" else "0.9"
        is_of_batch = abs(updates[0].taken - float(chosen)) < 1e-3
        weighed = "what the batch adds" if is_of_batch else "what is kept"
        said.append(f"{names}: momentum is the weight of {weighed}")
    return said
