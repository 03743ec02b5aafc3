"""The sums inside batch normalization whose order shows: Σδ of a backward pass, and the mean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from normgraph.check.accuracy import F32, Format
from normgraph.definition import Float64Array

from .calls import CallError, Subject
from .cases import DIFFICULTIES, FORMATS, Case, Layout
from .summation import SummationOrder, order_of
from .threads import ThreadControl

#: Beside the samples' axis an image has 7 × 7 elements, a sequence 49.
INNER = {2: (), 3: (49,), 4: (7, 7)}
SUMMANDS = 49 * 16


def order_in(
    subject: Subject, layout: Layout, data: Format, control: ThreadControl
) -> tuple[str, SummationOrder] | None:
    """Return the output that is a plain sum, and its order; None if the function returns none."""
    output = "beta_delta" if subject.role.endswith("backward") else "mean"
    try:
        if output not in subject.results(case_of(subject, layout, data, np.ones(SUMMANDS))):
            return None
        total = Total(subject, layout, data, output)
        scale = 1 / SUMMANDS if output == "mean" else 1.0
        return output, order_of(total, SUMMANDS, data, control, scale)
    except CallError:
        return None


class Total:
    """The sum of one channel, as a function of its summands."""

    def __init__(self, subject: Subject, layout: Layout, data: Format, output: str) -> None:
        self.subject, self.layout, self.data, self.output = subject, layout, data, output

    def __call__(self, summands: Float64Array) -> float:
        case = case_of(self.subject, self.layout, self.data, summands)
        values, _ = self.subject.results(case)[self.output]
        # A mean over another number of elements is scaled like that of SUMMANDS.
        scale = len(summands) / SUMMANDS if self.output == "mean" else 1.0
        return float(values.ravel()[0]) * scale


def case_of(subject: Subject, layout: Layout, data: Format, summands: Float64Array) -> Case:
    """Return a case of two channels: the summands, as delta or as x, and zeros."""
    rank = len(layout.shape)
    inner = INNER.get(rank, (7,) * (rank - 2))
    lengths = [len(summands) // math.prod(inner), *inner]
    lengths.insert(layout.channel_axis, 2)
    vector = FORMATS["f32"] if data.significand_bits < F32.significand_bits else data
    easy = next(one for one in DIFFICULTIES if one.name == "easy")
    case = Case(
        subject.role, data, vector, Layout(layout.name, tuple(lengths), layout.channel_axis),
        replace(easy, epsilon=subject.epsilon), "none", {},
    )  # fmt: skip
    summed = case.array(np.stack([summands, np.zeros_like(summands)], axis=1))
    zeros, ones = np.zeros(2), np.ones(2)
    inputs = {"gamma": ones, "beta": zeros}
    if subject.role == "training":
        return replace(case, inputs={**inputs, "x": summed})
    statistics = {"mean": zeros, "variance": ones}
    x = np.zeros_like(summed)
    return replace(case, inputs={**inputs, **statistics, "x": x, "delta": summed})
