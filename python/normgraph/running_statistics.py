"""Running averages of the statistics: what inference is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core

if TYPE_CHECKING:
    from ._core import _Array


class RunningStatistics(NamedTuple):
    """The result of update_running_statistics()."""

    mean: Any
    variance: Any


def update_running_statistics(
    running: tuple[_Array, _Array],
    batch: tuple[_Array, _Array],
    n: int,
    momentum: float = 0.1,
    unbiased: bool = True,
    out: tuple[_Array | None, _Array | None] | None = None,
) -> RunningStatistics:
    """Move running averages of mean and variance towards the statistics of a batch.

    running = (1 - momentum) * running + momentum * batch, where the variance of the batch is first
    multiplied by n/(n - 1) if unbiased. In double, rounded once to running's element types.

    Parameters
    ----------
    running : pair (mean, variance) of arrays of shape (C,), f16, bf16, f32 or f64
    batch : pair (mean, variance) of arrays of shape (C,), any of these types: what
        batch_norm_training returned; the variance is the biased one, 1/n
    n : how many elements each channel of the batch has: the batch size times the image size
    momentum : number from 0 to 1, the weight of the new value. Keras and ONNX call the weight of
        the old value momentum.
    unbiased : whether to keep the unbiased variance, 1/(n - 1), which n = 1 has none of
    out : pair of arrays to write to, or None, in it as well, which allocates. They may be exactly
        those of running.

    Returns
    -------
    RunningStatistics(mean, variance): numpy arrays, or those given as out.

    Raises ValueError for a number out of its range, for arrays that are no vectors of one length or
    have another element type, and for an out that does not fit; TypeError for what is no array, and
    for what is no number. Nothing is written where an error is raised.
    """
    return RunningStatistics(
        *_core.update_running_statistics(running, batch, n, momentum, unbiased, out)
    )
