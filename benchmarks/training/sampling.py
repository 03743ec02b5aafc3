"""Steps of both sides, interleaved, and the ratio of their medians."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.sampling import in_turns

from .cases import CONVERTED, ORIGINAL

#: A step shorter than this is run several times for each sample.
SHORTEST_STRETCH = 20e-3
#: Pairs that a case has in any event.
FEWEST_PAIRS = 5
BOOTSTRAP_SAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Plan:
    """Pairs of steps, at least, and for how long they go on.

    After `longest_seconds` five pairs are enough.
    """

    repetitions: int = 9
    seconds: float = 3.0
    longest_seconds: float = 60.0

    def is_done(self, pairs: int, seconds: float) -> bool:
        if seconds >= self.longest_seconds:
            return pairs >= min(FEWEST_PAIRS, self.repetitions)
        return pairs >= self.repetitions and seconds >= self.seconds


def sample(
    sides: Sequence[str], run: Callable[[str, int], float], plan: Plan
) -> dict[str, list[float]]:
    """Seconds of one step, of each side as many; every round begins with the other side.

    `run` takes a side and how many steps it is to run on end, and returns the seconds of one.
    """
    calls = math.ceil(SHORTEST_STRETCH / min(run(side, 1) for side in sides))
    samples: dict[str, list[float]] = {side: [] for side in sides}
    start = time.perf_counter()
    pairs = 0
    while not plan.is_done(pairs, time.perf_counter() - start):
        for side in in_turns(pairs, sides):
            samples[side].append(run(side, calls))
        pairs += 1
    return samples


@dataclass(frozen=True)
class Ratio:
    """The quotient of two medians, and its interval of 95 %."""

    value: float
    low: float
    high: float


def ratio_of_medians(samples: Mapping[str, Sequence[float]]) -> Ratio:
    """The original network's divided by the converted one's."""
    return ratio_of_pairs(samples[ORIGINAL], samples[CONVERTED])


def ratio_of_pairs(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """The interval is that of the bootstrap: pairs are drawn again, with replacement.

    A disturbance that meets both halves of a pair stays in both of them.
    """
    above, below = np.asarray(numerators), np.asarray(denominators)
    drawn = np.random.default_rng(0).integers(len(above), size=(BOOTSTRAP_SAMPLES, len(above)))
    ratios = np.median(above[drawn], axis=1) / np.median(below[drawn], axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, (tail, 1 - tail))
    value = statistics.median(numerators) / statistics.median(denominators)
    return Ratio(value, float(low), float(high))
