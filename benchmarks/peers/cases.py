"""The cases: every op, shape, element type, layout and number of threads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import measurement
from .measurement import NamedShape

FORWARD, BACKWARD = "batch_norm_training", "batch_norm_training_backprop"
OPS = {"forward": FORWARD, "backward": BACKWARD}
ELEMENT_TYPES = ("f32", "bf16")


@dataclass(frozen=True)
class Case:
    """One line of the results."""

    op: str
    shape: NamedShape
    element_type: str
    layout: str
    num_threads: int

    @property
    def name(self) -> str:
        """Return "forward/resnet50_conv1/f32/channels_first/1", which --only is matched with."""
        short = next(name for name, stem in OPS.items() if stem == self.op)
        parts = (short, self.shape.name, self.element_type, self.layout, str(self.num_threads))
        return "/".join(parts)

    @property
    def channels_last(self) -> bool:
        return self.layout == "channels_last"

    @property
    def class_name(self) -> str:
        """The class whose geometric mean this case is part of."""
        module = measurement.load()
        return module.class_of(
            self.op, self.shape, self.element_type, self.layout, module.largest_cache_bytes()
        )


@dataclass(frozen=True)
class Selection:
    """A selection of the cases."""

    short: bool = False
    only: str = ""
    element_types: Sequence[str] = ELEMENT_TYPES
    thread_counts: Sequence[int] = (1, 2)

    def cases(self) -> Iterator[Case]:
        """The selected cases; those of one number of threads follow each other."""
        module = measurement.load()
        for num_threads in self.thread_counts:
            for shape in measurement.shapes():
                if self.short and not shape.in_short_run:
                    continue
                for op in OPS.values():
                    for element_type in self.element_types:
                        for layout in module.layouts_of(shape):
                            case = Case(op, shape, element_type, layout, num_threads)
                            if re.search(self.only, case.name):
                                yield case
