"""The goals, and the cases that they consist of. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

#: What is measured: the time of a step, the same where the process keeps freed memory, the same
#: under torch.compile, the peak of its memory.
EAGER, KEPT, COMPILED, MEMORY = "eager", "kept", "compiled", "memory"

#: The two sides, as they stand in the results.
ORIGINAL, CONVERTED = "original", "converted"
SIDES = (ORIGINAL, CONVERTED)

#: The networks, and their input, as tables name them.
TITLES = {
    "mobilenet_v2": "MobileNetV2, 16×3×224×224",
    "resnet50": "ResNet-50, 8×3×224×224",
    "speech_encoder": "speech encoder, 16×64×2000",
    "one_layer": "one layer, 8×16×4×4",
}

CHANNELS_FIRST, CHANNELS_LAST = LAYOUTS = ("channels_first", "channels_last")


@dataclass(frozen=True)
class Case:
    """One line of the results.

    `goal` is what the original network's time or memory, divided by the converted network's, is to
    be at least.
    """

    network: str
    element_type: str
    layout: str
    mode: str
    threads: int
    goal: float = field(compare=False)

    @property
    def name(self) -> str:
        """Return "resnet50/f32/channels_last/2" or "resnet50/f32/channels_last/compiled/2"."""
        mode = () if self.mode == EAGER else (self.mode,)
        return "/".join((self.network, self.element_type, self.layout, *mode, str(self.threads)))


@dataclass(frozen=True)
class Goal:
    """What is to be reached with each of these numbers of threads, by layout."""

    network: str
    element_type: str
    mode: str
    thread_counts: Sequence[int]
    at_least: Mapping[str, float]

    def cases(self) -> Iterator[Case]:
        for layout, value in self.at_least.items():
            for threads in self.thread_counts:
                yield Case(self.network, self.element_type, layout, self.mode, threads, value)


def _both(first: float, last: float) -> Mapping[str, float]:
    return {CHANNELS_FIRST: first, CHANNELS_LAST: last}


#: In the order in which they are measured: what takes longest comes last.
GOALS = (
    Goal("one_layer", "f32", EAGER, (1,), {CHANNELS_FIRST: 1.0}),
    Goal("mobilenet_v2", "f32", EAGER, (1,), _both(1.4, 1.25)),
    Goal("mobilenet_v2", "f32", EAGER, (2,), _both(1.3, 1.15)),
    Goal("resnet50", "f32", EAGER, (1, 2), _both(1.12, 1.10)),
    Goal("speech_encoder", "f32", EAGER, (1, 2), {CHANNELS_FIRST: 1.2}),
    Goal("mobilenet_v2", "f32", KEPT, (1,), _both(1.4, 1.25)),
    Goal("mobilenet_v2", "f32", KEPT, (2,), _both(1.3, 1.15)),
    Goal("resnet50", "f32", KEPT, (1,), _both(1.12, 1.10)),
    Goal("speech_encoder", "f32", KEPT, (1,), {CHANNELS_FIRST: 1.2}),
    Goal("mobilenet_v2", "f32", MEMORY, (1,), _both(1.0, 1.0)),
    Goal("mobilenet_v2", "bf16", EAGER, (1, 2), _both(1.15, 1.15)),
    Goal("speech_encoder", "f32", COMPILED, (1, 2), {CHANNELS_FIRST: 1.1}),
    Goal("mobilenet_v2", "f32", COMPILED, (1, 2), _both(1.1, 1.1)),
    Goal("resnet50", "f32", COMPILED, (1, 2), _both(1.1, 1.1)),
)

CASES = tuple(case for goal in GOALS for case in goal.cases())


@dataclass(frozen=True)
class Selection:
    """A selection of the cases; a short run has those of f32, of one thread, not compiled."""

    only: str = ""
    short: bool = False
    compiled: bool = True

    def cases(self) -> list[Case]:
        return [case for case in CASES if self.only in case.name and self._has(case)]

    def _has(self, case: Case) -> bool:
        if self.short:
            return (case.element_type, case.mode, case.threads) == ("f32", EAGER, 1)
        return self.compiled or case.mode != COMPILED
