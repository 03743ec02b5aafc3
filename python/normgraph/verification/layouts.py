"""A forward that is right for another layout than the one it is given: a forgotten channel axis."""

from __future__ import annotations

import numpy as np

from . import cases
from .calls import Functions, UnusableError
from .cases import Case, Model, Terms
from .diagnosis import FLOAT32_ROUNDOFF, error_of
from .examples import Example


def other_layout(
    functions: Functions, given: Example, model: Model, may_be_of_rows: bool
) -> str | None:
    """Say for which other layout forward is batch normalization; None if it is for none.

    may_be_of_rows: whether it may be for arrays (N, C), to which a wrong reshape does no harm.
    """
    if model.statistics is not None or "channel_axis" in functions.forward_binding.quantities:
        return None
    rank, shape = given.x.ndim, given.x.shape
    for axis in reversed(range(rank)):
        if axis != given.axis and is_right(functions, given, model, rank, axis, shape[axis]):
            named = -1 if axis == rank - 1 else axis
            return (
                f"forward is batch normalization of the channels of axis {axis}: "
                f"channel_axis={named} verifies it so"
            )
    channels = shape[given.axis]
    if may_be_of_rows and rank > 2 and is_right(functions, given, model, 2, 1, channels):
        return (
            "forward is batch normalization of arrays (N, C): give it an example of two axes, or "
            f"rows of channels, np.moveaxis(x, {given.axis}, -1).reshape(-1, C)"
        )
    return None


def is_right(
    functions: Functions, given: Example, model: Model, rank: int, axis: int, channels: int
) -> bool:
    """Whether forward is the definition on a probe of this rank and channel axis."""
    for count in dict.fromkeys((channels, cases.PROBE_CHANNELS)):
        shape = cases.probe_shape(rank, axis, count)
        along = tuple(count if i == axis else 1 for i in range(rank))
        vector_shape = (count,) if len(given.vector_shape) == 1 else along
        generator = np.random.default_rng([given.seed, 7])
        if agrees(functions, cases.probe(shape, axis, model, vector_shape, generator), model):
            return True
    return False


def agrees(functions: Functions, case: Case, model: Model) -> bool:
    """Whether forward is the definition here; not if it cannot be called."""
    try:
        terms = Terms(functions.reduced(case), model)
        forwarded, _ = functions.call_forward(terms.case)
    except (UnusableError, TypeError):
        return False
    error = error_of(case, forwarded.y, terms.expected("normalized"), terms.magnitude("normalized"))
    return error <= terms.rounding(max(forwarded.unit, FLOAT32_ROUNDOFF))
