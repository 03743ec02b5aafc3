"""Large examples are sampled: the same ones each time, and the report tells it."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.verification.cases import LARGEST, sampled_lengths
from normgraph.verification.examples import checked_example
from normgraph.verification.hypotheses import EVERY_AXIS_SET, axis_sets

from . import right
from .right import Array
from .test_backward import mistakes_in


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, channel_axis: int) -> Any:
    """A forward pass for any rank and channel axis."""
    axes = tuple(axis for axis in range(x.ndim) if axis != channel_axis)
    shape = [-1 if axis == channel_axis else 1 for axis in range(x.ndim)]
    inv = 1 / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    xhat = (x - x.mean(axes, keepdims=True)) * inv
    return gamma.reshape(shape) * xhat + beta.reshape(shape), (xhat, gamma.reshape(shape), inv)


def backward(dout: Array, cache: Any) -> Any:
    xhat, gamma, inv = cache
    axes = tuple(axis for axis in range(dout.ndim) if inv.shape[axis] == 1)
    n = dout.size // inv.size
    dbeta, dgamma = dout.sum(axes, keepdims=True), (dout * xhat).sum(axes, keepdims=True)
    return gamma * inv * (dout - dbeta / n - xhat * dgamma / n), dgamma.ravel(), dbeta.ravel()


def n_minus_1(dout: Array, cache: Any) -> Any:
    xhat, gamma, inv = cache
    _, dgamma, dbeta = backward(dout, cache)
    n = dout.size // inv.size
    sums = dbeta.reshape(inv.shape) + xhat * dgamma.reshape(inv.shape)
    return gamma * inv * (dout - sums / (n - 1)), dgamma, dbeta


def unknown(dout: Array, cache: Any) -> Any:
    _, dgamma, dbeta = backward(dout, cache)
    return dout**3, np.cos(dgamma), dbeta


def large(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape)


SHAPES = [(32, 64, 56, 56), (200_000, 3), (2,) * 12, (3,) * 12, (1,) * 8 + (4, 5, 2, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_large_examples_take_seconds(shape: tuple[int, ...]) -> None:
    """A right function, and one for which the whole dictionary is searched.

    Each takes 1 to 4 s of an idle processor; the limit leaves room for slower ones.
    """
    x = large(*shape)
    for function, mistakes in (
        (backward, set()),
        (unknown, {("input_delta", "unknown"), ("gamma_delta", "unknown")}),
    ):
        started = time.process_time()
        verification = ng.verify(forward, function, x)
        seconds = time.process_time() - started
        assert mistakes_in(verification) == mistakes, str(verification)
        assert seconds < 30
        is_sampled = any("a random sample of it" in note for note in verification.notes)
        assert is_sampled == (x.size > LARGEST)


def test_a_mistake_is_named_on_a_large_example() -> None:
    found = mistakes_in(ng.verify(forward, n_minus_1, large(400, 200)))
    assert found == {("input_delta", "n_minus_1")}


#: Prints the peak of a process's memory in KiB, before and after.
MEMORY = """\
import resource
import normgraph as ng
from tests.verification.test_sampling import backward, forward, large
x = large(32, 64, 56, 56)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert ng.verify(forward, backward, x)
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss")
def test_large_examples_take_little_memory() -> None:
    """A byte for each of 6.4 million elements, and some ten arrays of a sample, of 512 KiB each."""
    process = subprocess.run(
        [sys.executable, "-c", MEMORY], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, timeout=300, check=True,
    )  # fmt: skip
    before, after = map(int, process.stdout.split())
    assert after - before < 50_000


def test_a_sample_is_the_same_each_time() -> None:
    x = large(400, 200)
    first, second, other = (ng.verify(forward, backward, x, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first.measurements != other.measurements
    assert first.notes == (
        "example (400, 200) has 80000 elements: a random sample of it, (200, 200), is verified in "
        "its place",
    )


def test_a_mistake_on_the_data_of_the_example_is_found_in_its_sample() -> None:
    """Backward clips where x̂ is above 3, which the probe has not."""

    def clipping(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = backward(dout, cache)
        return np.where(cache[0] > 3, 0.0, dx), dgamma, dbeta

    found = mistakes_in(ng.verify(forward, clipping, large(30_000, 4)))
    assert {output for output, _ in found} == {"input_delta"}


def test_vectors_and_statistics_go_with_the_channels_of_the_sample() -> None:
    x = large(2, 100_000)
    gamma, beta = np.linspace(0.5, 2, 100_000), np.linspace(-1, 1, 100_000)
    verification = ng.verify(forward, backward, (x, gamma, beta))
    assert verification.passed, str(verification)

    given = checked_example((x, gamma, beta), (beta, gamma), 1, 0)
    indices = (np.array([0, 1]), np.array([3, 50_000, 99_999]))
    case, model = given.case(indices), given.model(1e-5, False, indices)
    assert (case.x == x[:, indices[1]]).all()
    assert (case.gamma == gamma[indices[1]]).all()
    assert model.statistics is not None
    for sampled, vector in ((case.beta, beta), (model.statistics[0], beta)):
        assert (sampled == vector[indices[1]]).all()
    assert (model.statistics[1] == gamma[indices[1]]).all()


def test_functions_of_one_shape_are_tried_on_all_of_it() -> None:
    x = large(300, 300)

    def of_one_shape(x: Array, gamma: Array, beta: Array, eps: float) -> Any:
        if x.shape != (300, 300):
            raise ValueError("made for (300, 300)")
        return right.forward(x, gamma, beta, eps)

    verification = ng.verify(of_one_shape, right.closed_form, x)
    assert verification.passed, str(verification)
    assert "the functions take no sample of it, (150, 300)" in verification.notes[0]

    def averaging(dout: Array, cache: Any) -> Any:
        dx, dgamma, dbeta = right.closed_form(dout, cache)
        return dx, dgamma, dbeta / len(dout)

    assert mistakes_in(ng.verify(of_one_shape, averaging, x)) == {("beta_delta", "averaged")}


@pytest.mark.parametrize("shape", [*SHAPES, (1, 10**6), (10**6, 1), (2,) * 30, (7, 5)], ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_samples_are_small_and_keep_the_channels(shape: tuple[int, ...], axis: int) -> None:
    lengths = sampled_lengths(shape, axis)
    assert math.prod(lengths) <= LARGEST
    assert all(1 <= part <= whole for part, whole in zip(lengths, shape, strict=True))
    if math.prod(shape) <= LARGEST:
        assert lengths == shape
    else:
        assert math.prod(lengths) > LARGEST / 4
    if shape[axis] <= 256:
        assert lengths[axis] == shape[axis]


def test_sets_of_axes_are_few_at_high_ranks() -> None:
    for rank in range(1, EVERY_AXIS_SET + 1):
        assert len(set(axis_sets(rank))) == 2**rank
    for rank in (7, 12, 32):
        sets = list(axis_sets(rank))
        assert len(sets) == len(set(sets)) < 2 * rank**2
        assert {(), (0,), tuple(range(rank)), tuple(range(1, rank)), (0, 1, 2)} <= set(sets)
