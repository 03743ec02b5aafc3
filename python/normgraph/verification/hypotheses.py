"""The dictionary of mistakes: each as the wrong values that it leads to, in float64.

Two kinds. A *hypothesis* is a whole output under one mistake. A *factor* is what one term of a
gradient is multiplied by under a mistake; several of them can meet in one term.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations, product

import numpy as np

from normgraph.definition import Float64Array

from .cases import Case, Model, Terms

#: Up to this rank, sums over every set of axes are hypotheses.
EVERY_AXIS_SET = 6


@dataclass(frozen=True)
class Hypothesis:
    """An output as a mistake makes it; model: the forward pass it is, if it is one."""

    mistake: str
    words: str
    values: Float64Array
    model: Model | None = None


@dataclass(frozen=True)
class Factor:
    """A factor that a mistake multiplies a term by: a number, or one for each channel.

    Of factors of one kind at most one is in a term.
    """

    kind: str
    mistake: str
    words: str
    value: Float64Array


def axes_text(axes: tuple[int, ...]) -> str:
    """`axis 1`, `axes 0 and 2`."""
    return f"ax{'i' if len(axes) == 1 else 'e'}s " + " and ".join(map(str, axes))


def axis_sets(rank: int) -> Iterator[tuple[int, ...]]:
    """Yield every set of axes, the empty one too.

    There are 2**rank. Of arrays of a rank above EVERY_AXIS_SET only those are taken that people
    write: the first and the last axes, up to two axes, and all but these.
    """
    if rank <= EVERY_AXIS_SET:
        yield from chain.from_iterable(
            combinations(range(rank), count) for count in range(rank + 1)
        )
        return
    axes = range(rank)
    few = [chosen for count in range(3) for chosen in combinations(axes, count)]
    ends = [tuple(part) for i in axes for part in (axes[:i], axes[i:])]
    all_but = [tuple(axis for axis in axes if axis not in chosen) for chosen in few]
    yield from dict.fromkeys([*few, *ends, *all_but])


def right_axes(case: Case) -> tuple[int, ...]:
    """All axes but the channel axis."""
    return tuple(axis for axis in range(case.x.ndim) if axis != case.axis)


# ---- forward -------------------------------------------------------------------------------------


def forward_hypotheses(terms: Terms) -> Iterator[Hypothesis]:
    """Yield what forward may have returned in place of the normalized array."""
    case, model = terms.case, terms.model

    def of_model(mistake: str, words: str, other: Model) -> Hypothesis:
        values = case.array(Terms(case, other).normalized)
        return Hypothesis(mistake, words, values, other)

    unbiased = replace(model, unbiased=not model.unbiased)
    if model.statistics is None and terms.n > 1:
        yield of_model(*variance_words(model), unbiased)
    without = replace(model, epsilon=0.0)
    yield of_model("epsilon_missing", "epsilon is left out of 1/√(variance+ε)", without)
    outside = terms.centered / (np.sqrt(terms.variance) + model.epsilon)
    for mistake, words, x_hat in (
        (
            "epsilon_outside_root",
            "divided by √variance + ε; the definition divides by √(variance+ε)",
            outside,
        ),
        ("not_centered", "the mean is not subtracted", terms.x * terms.inv),
        (
            "variance_not_rooted",
            "divided by variance+ε; the definition divides by its root",
            terms.x_hat * terms.inv,
        ),
    ):
        yield Hypothesis(mistake, words, case.array(case.gamma * x_hat + case.beta))
    yield Hypothesis("gamma_missing", "gamma is missing", case.array(terms.x_hat + case.beta))
    yield Hypothesis("beta_missing", "beta is not added", case.array(case.gamma * terms.x_hat))
    yield from forward_over_wrong_axes(terms)
    for words, wrong in wrong_layouts(case):
        columns = Terms(replace(case, x=wrong.columns(case.x), axis=1), model).normalized
        yield Hypothesis("wrong_layout", f"x is read by {words}", wrong.array(columns))


def variance_words(model: Model) -> tuple[str, str]:
    """Return the mistake of taking the other variance than the model's, and its words."""
    if model.unbiased:
        return "biased_variance", "the variance is divided by n; n − 1 was asked for (unbiased)"
    return (
        "unbiased_variance",
        "the variance is divided by n − 1; batch normalization divides by n (unbiased=True "
        "verifies the unbiased one)",
    )


def forward_over_wrong_axes(terms: Terms) -> Iterator[Hypothesis]:
    """Yield normalization with statistics that are taken over other axes."""
    case = terms.case
    right = right_axes(case)
    for axes in axis_sets(case.x.ndim):
        count = math.prod(case.x.shape[axis] for axis in axes)
        if axes == right or count < 2:
            continue
        mean = case.x.mean(axis=axes, keepdims=True)
        variance = case.x.var(axis=axes, keepdims=True)
        x_hat = (case.x - mean) / np.sqrt(variance + terms.model.epsilon)
        words = f"the statistics are taken over {axes_text(axes)}; it should be {axes_text(right)}"
        yield Hypothesis(
            "wrong_axis", words, x_hat * case.spread(case.gamma) + case.spread(case.beta)
        )


# ---- layouts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WrongLayout:
    """A way to make columns of channels by reshaping where axes have to be moved."""

    case: Case
    channels_first: bool

    def columns(self, array: Float64Array) -> Float64Array:
        """(…) -> (n, C), with elements of other channels in a column."""
        channels = len(self.case.gamma)
        return array.reshape(channels, -1).T if self.channels_first else array.reshape(-1, channels)

    def array(self, rows: Float64Array) -> Float64Array:
        """(n, C) -> the shape of x: the inverse of `columns`."""
        return (rows.T if self.channels_first else rows).reshape(self.case.x.shape)


def wrong_layouts(case: Case) -> Iterator[tuple[str, WrongLayout]]:
    """Yield the layouts that differ from the right one, with what was written."""
    if case.axis != case.x.ndim - 1:
        yield "reshape(-1, C) without moving the channel axis to the end", WrongLayout(case, False)
    if case.axis != 0:
        yield "reshape(C, -1) without moving the channel axis to the front", WrongLayout(case, True)


# ---- input_delta ---------------------------------------------------------------------------------


def input_delta_hypotheses(terms: Terms) -> Iterator[Hypothesis]:
    """Yield what input_delta may be, under mistakes that no factor of a term expresses."""
    case, delta, x_hat = terms.case, terms.delta, terms.x_hat
    scale = case.gamma * terms.inv

    def assembled(mean: Float64Array, projection: Float64Array) -> Float64Array:
        return case.array(scale * (delta - mean - projection))

    mean = terms.beta_delta / terms.n
    x = terms.x * terms.inv
    with_x = (delta * x).sum(axis=0)
    for words, value in (
        ("x stands for x̂, and is not centered", x * with_x),
        ("x stands for x̂ outside the sum, and is not centered", x * terms.gamma_delta),
        ("x stands for x̂ in the sum, and is not centered", x_hat * with_x),
    ):  # fmt: skip
        yield Hypothesis(
            "not_centered", f"variance path: {words}", assembled(mean, value / terms.divisor)
        )
    yield from input_delta_over_wrong_axes(terms)
    for words, layout in wrong_layouts(case):
        yield from input_delta_by_wrong_layout(terms, words, layout)


def input_delta_over_wrong_axes(terms: Terms) -> Iterator[Hypothesis]:
    """Yield input_delta with sums over other axes in the mean path, the variance path or both."""
    case = terms.case
    right = right_axes(case)
    scale, x_hat = case.spread(case.gamma * terms.inv), case.array(terms.x_hat)
    good = (case.spread(terms.beta_delta / terms.n), case.spread(terms.gamma_delta / terms.divisor))
    for axes, keepdims in product(axis_sets(case.x.ndim), (True, False)):
        if axes == right:
            continue
        sums = [
            broadcast(part.sum(axis=axes, keepdims=keepdims), case.x.shape)
            for part in (case.delta, case.delta * x_hat)
        ]
        if sums[0] is None or sums[1] is None:
            continue
        count = math.prod(case.x.shape[axis] for axis in axes)
        for divisor in {count, terms.n}:
            bad = (sums[0] / divisor, sums[1] / divisor)
            for where, mean, projection in (
                ("mean path and variance path", bad[0], bad[1]),
                ("mean path", bad[0], good[1]),
                ("variance path", good[0], bad[1]),
            ):
                if axes:
                    words = f"summed over {axes_text(axes)}; it should be {axes_text(right)}"
                else:
                    words = "the sum over the batch is missing"
                yield Hypothesis(
                    "wrong_axis" if axes else "not_summed",
                    f"{where}: {words}",
                    scale * (case.delta - mean - x_hat * projection),
                )


def broadcast(array: Float64Array, shape: tuple[int, ...]) -> Float64Array | None:
    """Broadcast as numpy does, None where it cannot."""
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        return None


def input_delta_by_wrong_layout(
    terms: Terms, words: str, layout: WrongLayout
) -> Iterator[Hypothesis]:
    """Yield input_delta of arrays whose channels got mixed on the way in, out, or both."""
    case = terms.case
    columns: tuple[Callable[[Float64Array], Float64Array], ...] = (case.rows, layout.columns)
    arrays: tuple[Callable[[Float64Array], Float64Array], ...] = (case.array, layout.array)
    x_hat = case.array(terms.x_hat)
    what = ("delta", "x̂", "the result")
    for wrong in product((0, 1), repeat=3):
        if not any(wrong):
            continue
        delta_rows, x_hat_rows = columns[wrong[0]](case.delta), columns[wrong[1]](x_hat)
        mean = delta_rows.sum(axis=0) / terms.n
        projection = x_hat_rows * (delta_rows * x_hat_rows).sum(axis=0) / terms.divisor
        rows = case.gamma * terms.inv * (delta_rows - mean - projection)
        named = " and ".join(name for name, is_wrong in zip(what, wrong, strict=True) if is_wrong)
        yield Hypothesis("wrong_layout", f"{named}: {words}", arrays[wrong[2]](rows))


# ---- gamma_delta and beta_delta ------------------------------------------------------------------


def sum_hypotheses(terms: Terms, output: str) -> Iterator[Hypothesis]:
    """Yield what gamma_delta or beta_delta may be, in whatever shape that has."""
    case = terms.case
    right = right_axes(case)
    x_hat = case.array(terms.x_hat)
    is_gamma = output == "gamma_delta"
    summand, words = (case.delta * x_hat, "δ·x̂") if is_gamma else (case.delta, "δ")
    yield Hypothesis("not_summed", f"the sum over the batch is missing: it is {words}", summand)
    for axes, average in product(axis_sets(case.x.ndim), (False, True)):
        if axes and axes != right:
            result = summand.mean(axis=axes) if average else summand.sum(axis=axes)
            verb = "averaged" if average else "summed"
            said = f"{words} is {verb} over {axes_text(axes)}; the sum is over {axes_text(right)}"
            yield Hypothesis("wrong_axis", said, result)
    for how, layout in wrong_layouts(case):
        columns = layout.columns(case.delta)
        x_hats = {
            "delta": terms.x_hat,
            "delta and x̂": layout.columns(x_hat),
        }  # fmt: skip
        for named, other in x_hats.items() if is_gamma else [("delta", terms.x_hat)]:
            value = (columns * other if is_gamma else columns).sum(axis=0)
            yield Hypothesis("wrong_layout", f"{named}: {how}", value)
    if is_gamma:
        for words, x in (
            ("x stands for x̂: not centered, and without inv", terms.x),
            ("x·inv stands for x̂: not centered", terms.x * terms.inv),
            ("the normalized output y stands for x̂", terms.normalized),
        ):
            yield Hypothesis("not_centered", words, (terms.delta * x).sum(axis=0))
    else:
        words = "it is gamma_delta: the outputs are input_delta, gamma_delta, beta_delta, in order"
        yield Hypothesis("swapped", words, terms.gamma_delta)


# ---- factors -------------------------------------------------------------------------------------


#: Powers of inv that a term may have too much; three of them are in the variance path alone.
INV_FACTORS = (
    (-1, "inv_missing", "inv = 1/√(variance+ε) is missing"),
    (1, "inv_twice", "inv = 1/√(variance+ε) is there once too often"),
    (-2, "inv_divided", "divided by inv = 1/√(variance+ε), where it is multiplied"),
    (2, "inv_twice", "inv = 1/√(variance+ε) is there twice too often"),
    (-3, "inv_missing", "inv³ = (variance+ε)^(−3/2) is missing"),
)


def factors(terms: Terms, output: str, term: str) -> list[Factor]:
    """Return what a term may wrongly be multiplied by.

    term: "delta", "mean" or "variance" of input_delta, "sum" of the others.
    """
    one = np.ones_like(terms.inv)
    found = [Factor("sign", "sign", "the sign is wrong", -one)]
    if term != "delta":
        found += count_factors(terms, term)
    for power, mistake, words in INV_FACTORS:
        has_inv = output != "beta_delta" or power > 0
        if has_inv and (power > -3 or term == "variance"):
            found.append(Factor("inv", mistake, words, terms.inv**power))
    gamma = terms.case.gamma
    if (gamma != 0).all() and (np.abs(gamma) != 1).any():
        found.append(Factor("gamma", "gamma_twice", "gamma is there once too often", gamma))
        if output == "input_delta":
            found.append(Factor("gamma", "gamma_missing", "gamma is missing", 1 / gamma))
    for value, words in ((2.0, "it is twice as large"), (0.5, "it is half as large")):
        found.append(Factor("two", "factor_2", f"{words} as it should be", value * one))
    if output != "beta_delta":
        found += epsilon_factors(terms)
    if term == "variance" or output == "gamma_delta":
        ratio = terms.beta_delta / terms.gamma_delta
        words = "Σδ stands where Σ(δ·x̂) belongs"
        found += [
            Factor("sum", "sum_without_x_hat", words, ratio),
            Factor("sum", "sum_without_x_hat", words, ratio * terms.inv),
        ]
    return found


def count_factors(terms: Terms, term: str) -> list[Factor]:
    """Return the factors that come of a wrong number of elements."""
    n, shape, one = terms.n, terms.case.x.shape, np.ones_like(terms.inv)
    if term == "sum":
        values = [(1 / n, "averaged", f"averaged over the n = {n} elements; it is their sum")]
    else:
        values = [
            (terms.divisor, "not_divided_by_n", f"not divided by n = {n}"),
            (1 / n, "divided_by_n_twice", f"divided by n = {n} twice"),
        ]
    if n > 1:
        if term == "variance" and terms.model.unbiased:
            words = f"divided by n = {n}; the unbiased variance needs n − 1 = {n - 1}"
            values.append(((n - 1) / n, "n_instead_of_n_minus_1", words))
        elif term != "sum":
            words = f"divided by n − 1 = {n - 1}; the right number is n = {n}"
            values.append((n / (n - 1), "n_minus_1", words))
    for axis, length in enumerate(shape):
        if length in (1, n) or length in shape[:axis]:
            continue
        if term == "sum":
            words = f"divided by {length}, the length of axis {axis}; it is a sum"
            values.append((1 / length, "wrong_n", words))
        else:
            words = f"divided by {length}, the length of axis {axis}; the right number is n = {n}"
            values.append((terms.divisor / length, "wrong_n", words))
    return [Factor("count", mistake, words, value * one) for value, mistake, words in values]


def epsilon_factors(terms: Terms) -> list[Factor]:
    """Return the factors that come of another way to add epsilon, in powers of inv."""
    epsilon = terms.model.epsilon
    if epsilon == 0 or (terms.variance <= 0).any():
        return []
    missing = 1 / np.sqrt(terms.variance) / terms.inv
    outside = 1 / (np.sqrt(terms.variance) + epsilon) / terms.inv
    return [
        Factor("epsilon", mistake, words, value**power)
        for mistake, words, value in (
            ("epsilon_missing", "epsilon is left out of 1/√(variance+ε)", missing),
            ("epsilon_outside_root", "1/(√variance + ε) stands for 1/√(variance+ε)", outside),
        )
        for power in (1, 2, 3)
    ]


def name_ratio(
    ratio: Float64Array, known: list[Factor], relative: float, absolute: float
) -> tuple[Factor, ...] | None:
    """Return the fewest factors whose product is the ratio in every channel, or None.

    The ratio may be off by `absolute`, and by `relative` of the product.
    """
    for count in range(4):
        for chosen in combinations(known, count):
            if len({factor.kind for factor in chosen}) < count:
                continue
            value = np.ones_like(ratio)
            for factor in chosen:
                value = value * factor.value
            if bool((np.abs(ratio - value) <= relative * np.abs(value) + absolute).all()):
                return chosen
    return None
