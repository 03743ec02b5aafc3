"""Times several works interleaved, so that whatever disturbs the machine meets all of them."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

#: Warm calls may be shorter than the clock can tell: enough of them are timed together.
SHORTEST_STRETCH = 100e-6


class Work(Protocol):
    """Something to be timed."""

    def run(self, set_index: int, calls: int) -> None:
        """Call `calls` times with the arrays of one set."""


@dataclass
class Timing:
    """The samples of one work, in seconds per call."""

    seconds: list[float] = field(default_factory=list)
    page_faults: int = 0

    @property
    def median_seconds(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Plan:
    """How long to sample; `cold` takes the sets in turn, else the first one is used again."""

    cold: bool
    set_count: int
    rounds: int
    seconds: float


def page_faults_so_far() -> int:
    """Page faults of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


class Sampler:
    """One work and its samples.

    Before each timed stretch the same work runs once untimed: so the caches, threads that still
    wait for more, and stores that are still to be written back are as this work itself leaves them.
    """

    def __init__(self, work: Work, plan: Plan) -> None:
        self.timing = Timing()
        self._work = work
        self._plan = plan
        self._position = 0
        self._calls = 1

    def _next_set(self) -> int:
        self._position = (self._position + 1) % self._plan.set_count
        return self._position

    def use_every_set(self) -> None:
        """Untimed: compiles what is compiled at the first call, allocates what is kept."""
        for _ in range(self._plan.set_count + 1):
            self._work.run(self._next_set(), 1)

    def take_sample(self) -> None:
        if self._plan.cold:
            self._work.run(self._next_set(), 1)
        else:
            self._warm_up()
        set_index = self._next_set()
        faults = page_faults_so_far()
        start = time.perf_counter()
        self._work.run(set_index, self._calls)
        self.timing.seconds.append((time.perf_counter() - start) / self._calls)
        self.timing.page_faults += page_faults_so_far() - faults

    def _warm_up(self) -> None:
        """Also finds how many calls make a stretch long enough."""
        while True:
            start = time.perf_counter()
            self._work.run(0, self._calls)
            if time.perf_counter() - start >= SHORTEST_STRETCH:
                return
            self._calls *= 2


def in_turns(round_number: int, names: Sequence[str]) -> list[str]:
    """Each round starts with another one, so that no work always follows the same other."""
    start = round_number % len(names)
    return [*names[start:], *names[:start]]


def sample(works: Mapping[str, Work], plan: Plan) -> dict[str, Timing]:
    """Times every work once in each round."""
    samplers = {name: Sampler(work, plan) for name, work in works.items()}
    for sampler in samplers.values():
        sampler.use_every_set()
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        rounds = 0
        while rounds < plan.rounds or time.perf_counter() - start < plan.seconds:
            for name in in_turns(rounds, list(samplers)):
                samplers[name].take_sample()
            rounds += 1
    finally:
        gc.enable()
    return {name: sampler.timing for name, sampler in samplers.items()}
