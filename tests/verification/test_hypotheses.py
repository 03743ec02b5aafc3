"""The dictionary of mistakes: on the probes no two of them lead to the same values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from normgraph import definition
from normgraph.verification import MISTAKES
from normgraph.verification.cases import Case, Model, Terms, probe, probe_shape
from normgraph.verification.hypotheses import (
    factors,
    forward_hypotheses,
    input_delta_hypotheses,
    name_ratio,
    sum_hypotheses,
)

from .right import Array

PROBES = pytest.mark.parametrize(
    ("rank", "axis", "epsilon", "unbiased"),
    [
        (2, 1, 1e-5, False),
        (2, 1, 1e-3, True),
        (3, 1, 1e-5, False),
        (4, 1, 1e-5, False),
        (4, 3, 1e-8, False),
        (4, 1, 1e-3, True),
    ],
)

#: Mistakes must differ by this much of the largest term, which is more than rounding allows:
#: 64 · 105 · 2⁻⁵³ · (1 + 3²) = 8e-12. The smallest is 1/inv³ of the variance path, where the probe
#: has a deviation of 5e-4, for an epsilon of 1e-8.
DISTANCE = 1e-11


def terms_of_probe(rank: int, axis: int, epsilon: float, unbiased: bool, seed: int = 0) -> Terms:
    shape = probe_shape(rank, axis, 4)
    generator = np.random.default_rng([seed, 1])
    model = Model(epsilon, unbiased)
    return Terms(probe(shape, axis, model, (4,), generator), model)


def distance(one: Array, other: Array) -> float:
    """The largest difference, relative to the larger of both."""
    if one.shape != other.shape:
        return np.inf
    return float(np.abs(one - other).max() / max(np.abs(one).max(), np.abs(other).max()))


def input_deltas(terms: Terms) -> Iterator[tuple[str, Array]]:
    """Every hypothesis, and every factor of each term and of all three."""
    yield "right", terms.expected("input_delta")
    for hypothesis in input_delta_hypotheses(terms):
        yield hypothesis.mistake, hypothesis.values
    parts = {
        "delta": terms.delta_term,
        "mean": np.broadcast_to(terms.mean_coefficient, terms.delta.shape),
        "variance": terms.x_hat * terms.variance_coefficient,
    }
    right = sum(parts.values())
    for term, part in parts.items():
        yield f"missing {term}", terms.case.array(right - part)
        for factor in factors(terms, "input_delta", term):
            wrong = terms.case.array(right + part * (factor.value - 1))
            yield f"{factor.mistake} in {term}", wrong
    yield "frozen", terms.case.array(parts["delta"])


def channel_sums(terms: Terms, output: str) -> Iterator[tuple[str, Array]]:
    right: Array = getattr(terms, output)
    yield "right", right
    for hypothesis in sum_hypotheses(terms, output):
        yield hypothesis.mistake, hypothesis.values
    for factor in factors(terms, output, "sum"):
        yield factor.mistake, right * factor.value


def require_distinct(mistakes: list[tuple[str, Array]]) -> None:
    for (one, values), (other, others) in combinations(mistakes, 2):
        if one != other:
            assert distance(values, others) > DISTANCE, (one, other)


@PROBES
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mistakes_in_input_delta_are_distinct(
    rank: int, axis: int, epsilon: float, unbiased: bool, seed: int
) -> None:
    require_distinct(list(input_deltas(terms_of_probe(rank, axis, epsilon, unbiased, seed))))


@PROBES
@pytest.mark.parametrize("output", ["gamma_delta", "beta_delta"])
def test_mistakes_in_channel_sums_are_distinct(
    rank: int, axis: int, epsilon: float, unbiased: bool, output: str
) -> None:
    require_distinct(list(channel_sums(terms_of_probe(rank, axis, epsilon, unbiased), output)))


@PROBES
def test_mistakes_in_forward_are_distinct(
    rank: int, axis: int, epsilon: float, unbiased: bool
) -> None:
    terms = terms_of_probe(rank, axis, epsilon, unbiased)
    found = [(h.mistake, h.values) for h in forward_hypotheses(terms)]
    require_distinct([("right", terms.expected("normalized")), *found])


@PROBES
def test_products_of_factors_are_named(
    rank: int, axis: int, epsilon: float, unbiased: bool
) -> None:
    terms = terms_of_probe(rank, axis, epsilon, unbiased)
    known = factors(terms, "input_delta", "variance")
    for one, other in combinations(known, 2):
        if one.kind != other.kind:
            named = name_ratio(one.value * other.value, known, 1e-8, 0.0)
            assert named is not None
            assert len(named) <= 2
    assert name_ratio(np.array([1.0, 1.0, 1.0, 1.01]), known, 1e-8, 1e-8) is None


def test_factors_of_one_kind_do_not_meet() -> None:
    """A third is a third, not "divided by the length of axis 0, and by n twice"."""
    known = factors(terms_of_probe(3, 1, 1e-5, False), "input_delta", "variance")
    assert name_ratio(np.full(4, 1 / 3), known, 1e-8, 0.0) is None


# ---- the right terms -----------------------------------------------------------------------------


@PROBES
def test_terms_are_those_of_the_definition(
    rank: int, axis: int, epsilon: float, unbiased: bool
) -> None:
    terms = terms_of_probe(rank, axis, epsilon, unbiased=False)
    case = terms.case
    rows = (case.rows(case.x), case.gamma)
    _, mean, variance = definition.training(*rows, case.beta, epsilon)
    expected = definition.training_backprop(*rows, mean, variance, case.rows(case.delta), epsilon)
    # A few roundings in another order.
    for name, values in zip(("input_delta", "gamma_delta", "beta_delta"), expected, strict=True):
        assert distance(getattr(terms, name), values) < 1e-14
    frozen = Terms(case, Model(epsilon, statistics=(mean, variance)))
    expected = definition.inference_backprop(*rows, mean, variance, case.rows(case.delta), epsilon)
    for name, values in zip(("input_delta", "gamma_delta", "beta_delta"), expected, strict=True):
        assert distance(getattr(frozen, name), values) < 1e-14


def test_a_probe_shows_epsilon_and_all_terms() -> None:
    for seed, epsilon in enumerate((1e-8, 1e-5, 1e-2)):
        terms = terms_of_probe(2, 1, epsilon, unbiased=False, seed=seed)
        ratio = terms.variance / epsilon
        assert (ratio > 1).all()
        assert (ratio < 200).all()
        size = np.abs(terms.case.gamma) * terms.inv
        # gamma·inv times the parts of delta, of which x_hat is smaller than x by sqrt(1 + 1/ratio).
        assert (np.abs(terms.mean_coefficient) > 0.499 * size).all()
        smallest = 0.499 * size / np.sqrt(1 + 1 / ratio)
        assert (np.abs(terms.variance_coefficient) > smallest).all()


def test_rows_and_arrays_are_inverse() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    case = Case("", x, np.ones(3), np.zeros(3), x, 1, (3,))
    assert case.rows(x).shape == (8, 3)
    assert (case.array(case.rows(x)) == x).all()


def test_every_mistake_has_a_test() -> None:
    folder = Path(__file__).parent
    files = [*folder.glob("*.py"), folder.parent / "interop" / "test_verify_frameworks.py"]
    text = "".join(path.read_text("utf-8") for path in files)
    untested = [name for name in MISTAKES if f'"{name}"' not in text]
    assert untested == []
