"""Checks that bad input is refused by an error that names it, and that nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng
from normgraph.check.outcome import Check, MismatchError


class BadCall(NamedTuple):
    """The difference from a good call, the error it must give, and words of its message."""

    arguments: dict[str, Any]
    error: type[Exception]
    words: tuple[str, ...]


def checks() -> Iterator[Check]:
    """Yield one check per kernel function."""
    ones = np.ones(5, np.float32)
    of_training: dict[str, BadCall] = {
        "input of integers": BadCall(
            {"input": np.ones((4, 5), np.int32)}, ValueError, ("C2", "input")
        ),
        "input of one axis": BadCall({"input": ones}, ValueError, ("C5", "input")),
        "no array": BadCall({"input": None}, TypeError, ("input",)),
        "complex gamma": BadCall({"gamma": ones.astype(np.complex64)}, TypeError, ("gamma",)),
        "gamma of float64": BadCall(
            {"gamma": ones.astype(np.float64)}, ValueError, ("C4", "gamma")
        ),
        "beta of another length": BadCall({"beta": ones[:4]}, ValueError, ("C9", "beta")),
        "axis out of range": BadCall({"channel_axis": 2}, ValueError, ("C6", "channel_axis")),
        "epsilon that is no number": BadCall(
            {"epsilon": float("nan")}, ValueError, ("C1", "epsilon")
        ),
        "an empty batch": BadCall({"input": np.ones((0, 5), np.float32)}, ValueError, ("input",)),
    }
    of_backprop = {
        "delta of another shape": BadCall(
            {"normalized_delta": np.ones((3, 5), np.float32)},
            ValueError,
            ("C7", "normalized_delta"),
        ),
        "delta of another type": BadCall(
            {"normalized_delta": np.ones((4, 5))}, ValueError, ("C3", "normalized_delta")
        ),
        "variance of two axes": BadCall(
            {"variance": ones[np.newaxis]}, ValueError, ("C8", "variance")
        ),
        "mean of another length": BadCall({"mean": ones[:1]}, ValueError, ("C9", "mean")),
    }
    of_inference = {
        "missing statistics": BadCall({"mean": None}, TypeError, ("mean",)),
        "text for epsilon": BadCall({"epsilon": "small"}, TypeError, ("epsilon",)),
    }
    of_mask = {
        "mask of bools": BadCall({"mask": np.ones((4, 1), bool)}, ValueError, ("C11", "mask")),
        "mask without packing": BadCall(
            {"mask": np.ones((4, 5), np.uint8)}, ValueError, ("C12", "mask")
        ),
        "mask with gaps": BadCall(
            {"mask": np.ones((4, 2), np.uint8)[:, ::2]}, ValueError, ("mask", "strides")
        ),
        "missing mask": BadCall({"mask": None}, TypeError, ("mask",)),
        "delta of another shape": BadCall(
            {"activated_delta": np.ones((3, 5), np.float32)}, ValueError, ("C7", "activated_delta")
        ),
    }
    good = {"input": np.ones((4, 5), np.float32), "gamma": ones, "beta": ones}
    statistics = {"mean": ones, "variance": ones}
    delta = {"normalized_delta": np.ones((4, 5), np.float32)}
    mask = {"mask": np.zeros((4, 1), np.uint8)}
    functions: dict[str, tuple[dict[str, Any], dict[str, BadCall]]] = {
        "batch_norm_training": (good, of_training),
        "batch_norm_inference": (good | statistics, of_inference),
        "batch_norm_training_backprop": (good | statistics | delta, of_backprop),
        "batch_norm_inference_backprop": (good | statistics | delta, of_backprop),
        "batch_norm_inference_relu": (good | statistics, of_inference),
        "batch_norm_inference_add_relu": (
            good | statistics | {"residual": good["input"]},
            of_inference,
        ),
        "batch_norm_training_relu": (good, of_training),
        "batch_norm_training_relu_backprop": (
            good | statistics | mask | {"activated_delta": delta["normalized_delta"]},
            of_mask,
        ),
        "batch_norm_training_add_relu": (good | {"residual": good["input"]}, of_training),
        "batch_norm_training_add_relu_backprop": (
            good | statistics | mask | {"activated_delta": delta["normalized_delta"]},
            of_mask,
        ),
    }
    for name, (arguments, bad_calls) in functions.items():
        yield Check(f"bad input refused, {name}", partial(all_refused, name, arguments, bad_calls))
    yield Check("overlapping output refused and not written", overlapping_output)


def all_refused(name: str, good: dict[str, Any], bad_calls: dict[str, BadCall]) -> str:
    """Raise MismatchError unless the good call succeeds and each bad one gives its error."""
    function = getattr(ng, name)
    function(**good)
    for subject, bad in bad_calls.items():
        try:
            function(**{**good, **bad.arguments})
        except bad.error as error:
            absent = [word for word in bad.words if word not in str(error)]
            if absent:
                raise MismatchError(
                    f"{subject}: the message does not name {', '.join(absent)}: {error}"
                ) from error
        else:
            raise MismatchError(f"{subject} was accepted")
    return f"{len(bad_calls)} of {len(bad_calls)} errors name the argument"


def overlapping_output() -> str:
    """Pass an output that overlaps the input without being the same elements."""
    memory = np.arange(25, dtype=np.float32)
    x, overlapping = memory[:20].reshape(4, 5), memory[5:].reshape(4, 5)
    before = memory.tobytes()
    try:
        ng.batch_norm_training(x, None, None, out=(overlapping, None, None))
    except ValueError as error:
        if "out" not in str(error):
            raise MismatchError(f"the message does not name out: {error}") from error
    else:
        raise MismatchError("an overlapping output was accepted")
    if memory.tobytes() != before:
        raise MismatchError("the refused output was written")
    return "refused, nothing written"
