"""The statistics of a whole data set, exactly, from one pass over its batches."""

from __future__ import annotations

import sys
import time
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .running_statistics import RunningStatistics, update_running_statistics
from .verification.values import integer_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._core import BatchStatistics, _Array


def reestimate_statistics(
    batches: Iterable[_Array],
    channel_axis: int = 1,
    unbiased: bool = True,
    num_threads: int | None = None,
    progress: bool | None = None,
) -> RunningStatistics:
    """Compute what running statistics only estimate: mean and variance of all batches together.

    Every element counts once, however the batches were cut; no more than one of them is held. What
    is kept of the others is a few doubles per channel.

    Parameters
    ----------
    batches : iterable of arrays (., C, ...) of any sizes, f16, bf16, f32 or f64; some may be empty
    channel_axis : which axis has length C; a negative one counts from the last
    unbiased : whether to return the unbiased variance, 1/(n - 1), which running statistics have, of
        all n elements of a channel; else the biased one, 1/n
    num_threads : how many threads may share the channels; None means get_num_threads()
    progress : whether to show on stderr how far it is; None means where that is a terminal

    Returns
    -------
    RunningStatistics(mean, variance): f64 arrays (C)

    Raises ValueError where there is no element, where unbiased there is but one, and where the
    batches differ in C; TypeError for batches that are no iterable, and for a channel_axis that is
    no integer; and what batch_norm_statistics() raises.
    """
    channel_axis = integer_of("channel_axis", channel_axis)
    kind = type(batches)
    if not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
        raise TypeError(f"batches: expected an iterable of arrays, got one of type {kind.__name__}")
    display = _Display(batches, _is_terminal(sys.stderr) if progress is None else progress)
    total: BatchStatistics | None = None
    try:
        done = 0
        for batch in batches:
            part = _core.batch_norm_statistics(batch, channel_axis, num_threads=num_threads)
            if total is None:
                # Its place is known: only finished nodes are kept.
                total = _core.batch_norm_statistics(
                    np.empty(_empty_shape(part, channel_axis)), channel_axis, first_sample=0
                )
            if part.channels != total.channels:
                raise ValueError(
                    f"batches: expected arrays of one number of channels, {total.channels}, got "
                    f"one of {part.channels}, number {done} from 0"
                )
            total = total + part
            done += 1  # noqa: SIM113  (enumerate() would hold the last batch)
            display.show(done, total.count)
            del batch  # before the next one is made
    finally:
        display.end()
    if total is None or total.count == 0:
        raise ValueError("batches: expected at least one element per channel, got none")
    # With momentum 1 nothing is left of the zeros.
    zeros = np.zeros(total.channels)
    of_all = (total.mean, total.variance)
    return update_running_statistics((zeros, zeros), of_all, total.count, 1.0, unbiased)


def _is_terminal(stream: Any) -> bool:
    """Programs without a console have no stderr."""
    return stream is not None and bool(stream.isatty())


def _length_of(batches: Iterable[Any]) -> int | None:
    """None where it is not known: loaders of streams have a `__len__` that raises what it likes."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except Exception:
        return None


def _empty_shape(part: BatchStatistics, channel_axis: int) -> list[int]:
    rank = channel_axis + 2 if channel_axis >= 0 else 1 - channel_axis
    shape = [0] * rank
    shape[channel_axis] = part.channels
    return shape


class _Display:
    """One line on stderr, written anew at most ten times a second."""

    def __init__(self, batches: Iterable[Any], is_shown: bool) -> None:
        self._is_shown = is_shown
        self._total = _length_of(batches) if is_shown else None
        self._start = self._shown = time.monotonic()
        self._has_line = False

    def show(self, done: int, elements: int) -> None:
        now = time.monotonic()
        if not self._is_shown or now - self._shown < 0.1:
            return
        self._shown = now
        self._has_line = True
        of_total, rest = "", ""
        if self._total:
            left = (now - self._start) / done * max(self._total - done, 0)
            of_total, rest = f" of {self._total}", f", {left:.0f} s left"
        text = f"{done}{of_total} batches, {elements:,} elements per channel{rest}"
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._has_line:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
