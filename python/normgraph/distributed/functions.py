"""Batch normalization of a batch of which every rank holds a shard along the samples."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import _core
from . import trial
from .communicators import transport_of
from .exchange import Exchange, Stage

if TYPE_CHECKING:
    from .._core import (
        BackpropSums,
        BatchNormTrainingAddReluBackpropResult,
        BatchNormTrainingAddReluResult,
        BatchNormTrainingBackpropResult,
        BatchNormTrainingReluBackpropResult,
        BatchNormTrainingReluResult,
        BatchNormTrainingResult,
        BatchStatistics,
        _Array,
        _TypeLike,
    )

_Result = TypeVar("_Result")

# ---- the stages ---------------------------------------------------------------------------------


def batch_norm_statistics(
    input: _Array,
    communicator: Any,
    channel_axis: int = 1,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchStatistics:
    """Return the statistics of the batch whose shards the ranks hold, on every rank.

    Parameters
    ----------
    input : array, (., C, ...), of f16, bf16, f32 or f64; this rank's shard, which may be empty
    communicator : the ranks that share the batch: an mpi4py.MPI.Comm, or an object with
        `all_gather(data: bytes) -> list[bytes]`, which returns what all ranks give, of whatever
        lengths, in their order
    channel_axis, num_threads, implementation, where, lengths : as
        normgraph.batch_norm_statistics() takes them, where and lengths of this rank's shard

    Returns
    -------
    BatchStatistics, for `statistics=` of the training functions; with the second pass where the
    data is f64. Its count is that of all ranks, as normgraph.update_running_statistics() needs it.

    Raises what batch_norm_training() of this module raises, except for an empty batch.
    """
    exchange = _exchange("batch_norm_statistics", communicator)
    return _statistics(exchange, input, channel_axis, num_threads, implementation, where, lengths)


def batch_norm_backprop_sums(
    input: _Array,
    mean: _Array,
    variance: _Array,
    normalized_delta: _Array,
    communicator: Any,
    channel_axis: int = 1,
    mask: _Array | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BackpropSums:
    """Return the sums of the backward pass of the batch whose shards the ranks hold.

    Parameters
    ----------
    input, normalized_delta, mask : arrays as normgraph.batch_norm_backprop_sums() takes them; this
        rank's shard, which may be empty
    mean, variance : arrays, (C): the statistics of the whole batch, the same on all ranks
    communicator : as for batch_norm_statistics()
    channel_axis, num_threads, implementation, where, lengths : as
        normgraph.batch_norm_backprop_sums() takes them, where and lengths of this rank's shard

    Returns
    -------
    BackpropSums, the same on every rank, for `sums=` of the backward functions

    Raises what batch_norm_training_backprop() of this module raises.
    """
    exchange = _exchange("batch_norm_backprop_sums", communicator)
    arrays = {
        "input": input,
        "mean": mean,
        "variance": variance,
        "normalized_delta": normalized_delta,
        "mask": mask,
    }
    return _sums(exchange, arrays, channel_axis, num_threads, implementation, where, lengths)


# ---- forward ------------------------------------------------------------------------------------


def batch_norm_training(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    communicator: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    statistics_type: _TypeLike | None = None,
    out: Any = None,
    outputs: Collection[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingResult:
    """Normalize this rank's shard with the statistics of the batch that all ranks hold.

    The batch is the shards in the order of the ranks, one after the other along the samples, the
    first axis that is not the channel axis. Shards may differ in their number of samples and in the
    size of the images, and be empty. Those that begin where a block of samples does (a multiple of
    32 samples for images) have the bits of the unsplit batch, others differ by a rounding.

    Every rank must call it, in the same order as its other functions. It takes one collective, two
    where the data is f64, and, over MPI, one more for each that sends more than any before, or more
    than 64 KiB.

    Parameters
    ----------
    input : array, (., C, ...), of f16, bf16, f32 or f64; this rank's shard, which may be empty
    gamma, beta : arrays, (C), as normgraph.batch_norm_training() takes them
    communicator : the ranks that share the batch: an mpi4py.MPI.Comm, or an object with
        `all_gather(data: bytes) -> list[bytes]`, which returns what all ranks give, of whatever
        lengths, in their order
    epsilon, channel_axis, statistics_type, outputs, num_threads, implementation, where,
        lengths : as normgraph.batch_norm_training() takes them, the last two of this rank's shard
    out : numpy array, or tuple of numpy arrays and None, as normgraph.batch_norm_training() takes
        it

    Returns
    -------
    BatchNormTrainingResult(normalized, mean, variance): normalized is the shard's; mean and
    variance are those of the whole batch, the same on every rank

    Raises what normgraph.batch_norm_training() raises. All ranks know of it: the others raise
    RuntimeError with the ranks that have failed and the text. Only an `out` that shares memory with
    another array is found when the others go on. RuntimeError where the ranks differ in C, in the
    element type, or in what they call; ValueError for a batch that is empty on all ranks; TypeError
    for what is no communicator. Nothing is written where an error is raised.
    """
    return _forward(
        _core.batch_norm_training,
        {"input": input, "gamma": gamma, "beta": beta},
        communicator,
        epsilon=epsilon,
        channel_axis=channel_axis,
        statistics_type=statistics_type,
        out=out,
        outputs=outputs,
        num_threads=num_threads,
        implementation=implementation,
        where=where,
        lengths=lengths,
    )


def batch_norm_training_relu(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    communicator: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    statistics_type: _TypeLike | None = None,
    upper_bound: float | None = None,
    out: Any = None,
    outputs: Collection[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingReluResult:
    """Normalize this rank's shard with the statistics of all ranks, and apply ReLU.

    Parameters
    ----------
    communicator : as for batch_norm_training()
    the others : as normgraph.batch_norm_training_relu() takes them; out of numpy arrays

    Returns
    -------
    BatchNormTrainingReluResult(activated, mean, variance, mask): activated and mask are the
    shard's; mean and variance are those of the whole batch, the same on every rank

    Shards, collectives and errors are as batch_norm_training() describes them.
    """
    return _forward(
        _core.batch_norm_training_relu,
        {"input": input, "gamma": gamma, "beta": beta},
        communicator,
        epsilon=epsilon,
        channel_axis=channel_axis,
        statistics_type=statistics_type,
        upper_bound=upper_bound,
        out=out,
        outputs=outputs,
        num_threads=num_threads,
        implementation=implementation,
        where=where,
        lengths=lengths,
    )


def batch_norm_training_add_relu(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    residual: _Array,
    communicator: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    statistics_type: _TypeLike | None = None,
    upper_bound: float | None = None,
    out: Any = None,
    outputs: Collection[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingAddReluResult:
    """Normalize this rank's shard with the statistics of all ranks, add a residual, apply ReLU.

    Parameters
    ----------
    communicator : as for batch_norm_training()
    the others : as normgraph.batch_norm_training_add_relu() takes them, residual of the shard; out
        of numpy arrays

    Returns
    -------
    BatchNormTrainingAddReluResult(activated, mean, variance, mask): activated and mask are the
    shard's; mean and variance are those of the whole batch, the same on every rank

    Shards, collectives and errors are as batch_norm_training() describes them.
    """
    return _forward(
        _core.batch_norm_training_add_relu,
        {"input": input, "gamma": gamma, "beta": beta, "residual": residual},
        communicator,
        epsilon=epsilon,
        channel_axis=channel_axis,
        statistics_type=statistics_type,
        upper_bound=upper_bound,
        out=out,
        outputs=outputs,
        num_threads=num_threads,
        implementation=implementation,
        where=where,
        lengths=lengths,
    )


# ---- backward -----------------------------------------------------------------------------------


def batch_norm_training_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    normalized_delta: _Array,
    communicator: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: Any = None,
    outputs: Collection[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingBackpropResult:
    """Gradients of the output normalized of batch_norm_training(), for this rank's shard.

    They are the derivatives of the sum of the losses of all ranks. gamma_delta and beta_delta are
    those of the whole batch on every rank: they are taken once, not added over the ranks. (A loop
    that averages the gradients of its other parameters divides them by the number of ranks.)

    Every rank must call it, in the same order as its other functions. It takes one collective, and,
    over MPI, one more where it sends more than any before, or more than 64 KiB.

    Parameters
    ----------
    input, normalized_delta : arrays, (., C, ...); this rank's shard, which may be empty
    gamma, beta : arrays, (C), as normgraph.batch_norm_training_backprop() takes them
    mean, variance : arrays, (C): what batch_norm_training() has returned, the same on all ranks
    communicator : as for batch_norm_training()
    epsilon, channel_axis, outputs, num_threads, implementation, where, lengths : as
        normgraph.batch_norm_training_backprop() takes them, where and lengths of this rank's shard
    out : numpy array, or tuple of numpy arrays and None, as
        normgraph.batch_norm_training_backprop() takes it

    Returns
    -------
    BatchNormTrainingBackpropResult(input_delta, gamma_delta, beta_delta): input_delta is the
    shard's; of a batch that is empty on all ranks it is empty, and the others are 0

    Raises what normgraph.batch_norm_training_backprop() raises, and lets all ranks know, as
    batch_norm_training() does. RuntimeError where the ranks differ in mean.
    """
    return _backward(
        _core.batch_norm_training_backprop,
        {
            "input": input,
            "gamma": gamma,
            "beta": beta,
            "mean": mean,
            "variance": variance,
            "normalized_delta": normalized_delta,
        },
        communicator,
        epsilon=epsilon,
        channel_axis=channel_axis,
        out=out,
        outputs=outputs,
        num_threads=num_threads,
        implementation=implementation,
        where=where,
        lengths=lengths,
    )


def batch_norm_training_relu_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    mask: _Array,
    activated_delta: _Array,
    communicator: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: Any = None,
    outputs: Collection[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingReluBackpropResult:
    """Gradients of the output activated of batch_norm_training_relu(), for this rank's shard.

    gamma_delta and beta_delta are those of the whole batch on every rank: they are taken once, not
    added over the ranks.

    Parameters
    ----------
    communicator : as for batch_norm_training()
    the others : as normgraph.batch_norm_training_relu_backprop() takes them; input, mask and
        activated_delta of this rank's shard, mean and variance of the whole batch; out of numpy
        arrays

    Returns
    -------
    BatchNormTrainingReluBackpropResult(input_delta, gamma_delta, beta_delta): input_delta is the
    shard's

    Shards, collectives and errors are as batch_norm_training_backprop() describes them.
    """
    return _backward(
        _core.batch_norm_training_relu_backprop,
        {
            "input": input,
            "gamma": gamma,
            "beta": beta,
            "mean": mean,
            "variance": variance,
            "mask": mask,
            "activated_delta": activated_delta,
        },
        communicator,
        epsilon=epsilon,
        channel_axis=channel_axis,
        out=out,
        outputs=outputs,
        num_threads=num_threads,
        implementation=implementation,
        where=where,
        lengths=lengths,
    )


def batch_norm_training_add_relu_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    mask: _Array,
    activated_delta: _Array,
    communicator: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: Any = None,
    outputs: Collection[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingAddReluBackpropResult:
    """Gradients of the output activated of batch_norm_training_add_relu(), for this rank's shard.

    gamma_delta and beta_delta are those of the whole batch on every rank: they are taken once, not
    added over the ranks.

    Parameters
    ----------
    communicator : as for batch_norm_training()
    the others : as normgraph.batch_norm_training_add_relu_backprop() takes them; input, mask and
        activated_delta of this rank's shard, mean and variance of the whole batch; out of numpy
        arrays

    Returns
    -------
    BatchNormTrainingAddReluBackpropResult(input_delta, gamma_delta, beta_delta, residual_delta):
    input_delta and residual_delta are the shard's

    Shards, collectives and errors are as batch_norm_training_backprop() describes them.
    """
    return _backward(
        _core.batch_norm_training_add_relu_backprop,
        {
            "input": input,
            "gamma": gamma,
            "beta": beta,
            "mean": mean,
            "variance": variance,
            "mask": mask,
            "activated_delta": activated_delta,
        },
        communicator,
        epsilon=epsilon,
        channel_axis=channel_axis,
        out=out,
        outputs=outputs,
        num_threads=num_threads,
        implementation=implementation,
        where=where,
        lengths=lengths,
    )


# ---- what they share ----------------------------------------------------------------------------


def _exchange(caller: str, communicator: Any) -> Exchange:
    return Exchange(caller, transport_of(communicator), raises_own_error=True)


def _no_check(own: Any) -> None:
    """The part of a batch itself has checked all arguments."""


def _statistics(
    exchange: Exchange,
    input: Any,
    channel_axis: int,
    num_threads: int | None,
    implementation: str | None,
    where: Any,
    lengths: Any,
    check: Callable[[BatchStatistics], None] = _no_check,
) -> BatchStatistics:
    """The statistics of all ranks, none of which has found anything with `check`."""

    def statistics_of_shard(about: BatchStatistics | None = None) -> BatchStatistics:
        return _core.batch_norm_statistics(
            input,
            channel_axis=channel_axis,
            first_sample=exchange.first_sample,
            about=about,
            num_threads=num_threads,
            implementation=implementation,
            where=where,
            lengths=lengths,
        )

    def checked_statistics() -> BatchStatistics:
        own = statistics_of_shard()
        check(own)
        return own

    first: BatchStatistics = exchange.gather(Stage.STATISTICS, checked_statistics).total
    if first.element_type != _core.element.f64 or first.count == 0:
        return first
    second: BatchStatistics = exchange.gather(
        Stage.SECOND_PASS, lambda: statistics_of_shard(first)
    ).total
    return second


def _sums(
    exchange: Exchange,
    arrays: dict[str, Any],
    channel_axis: int,
    num_threads: int | None,
    implementation: str | None,
    where: Any,
    lengths: Any,
    check: Callable[[BackpropSums], None] = _no_check,
) -> BackpropSums:
    """The sums of all ranks, none of which has found anything with `check`."""

    def checked_sums() -> BackpropSums:
        own = _core.batch_norm_backprop_sums(
            **arrays,
            channel_axis=channel_axis,
            first_sample=exchange.first_sample,
            num_threads=num_threads,
            implementation=implementation,
            where=where,
            lengths=lengths,
        )
        check(own)
        return own

    total: BackpropSums = exchange.gather(Stage.BACKWARD, checked_sums).total
    return total


def _forward(
    function: Callable[..., _Result], arrays: dict[str, Any], communicator: Any, **options: Any
) -> _Result:
    def check(own: BatchStatistics) -> None:
        # An empty shard has no statistics of its own that would do for a trial.
        statistics = own
        if own.count == 0:
            statistics = _core.batch_norm_statistics(np.zeros((1, own.channels)))
        trial.check(function, arrays, options, ("mean", "variance"), statistics=statistics)

    total = _statistics(
        _exchange(function.__name__, communicator),
        arrays["input"],
        options["channel_axis"],
        options["num_threads"],
        options["implementation"],
        options["where"],
        options["lengths"],
        check,
    )
    if total.count == 0:
        raise ValueError(
            "input: expected at least one element per channel on all ranks together, got none"
        )
    return function(**arrays, **options, statistics=total)


def _backward(
    function: Callable[..., _Result], arrays: dict[str, Any], communicator: Any, **options: Any
) -> _Result:
    def check(own: BackpropSums) -> None:
        trial.check(function, arrays, options, ("gamma_delta", "beta_delta"), sums=own)

    of_sums = {name: arrays[name] for name in ("input", "mean", "variance")}
    of_sums["normalized_delta"] = arrays.get("normalized_delta", arrays.get("activated_delta"))
    total = _sums(
        _exchange(function.__name__, communicator),
        {**of_sums, "mask": arrays.get("mask")},
        options["channel_axis"],
        options["num_threads"],
        options["implementation"],
        options["where"],
        options["lengths"],
        check,
    )
    return function(**arrays, **options, sums=total)
