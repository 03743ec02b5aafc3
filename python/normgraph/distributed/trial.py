"""What a call would find wrong with its arguments, found before the ranks exchange anything.

An error that one rank alone met after the exchange would leave the others waiting in the next one.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

#: Inputs and outputs of the shape (., C, ...).
_DATA = {
    *("input", "residual", "normalized_delta", "activated_delta"),
    *("normalized", "activated", "input_delta", "residual_delta"),
}


def check(
    function: Callable[..., Any],
    arrays: dict[str, Any],
    options: dict[str, Any],
    vectors: tuple[str, str],
    **reduction: Any,
) -> None:
    """Raise what `function(**arrays, **options)` would raise, and write nothing.

    What it does not see is memory that arrays given as out share with others.

    Parameters
    ----------
    function : a training function of the package, or its backward pass
    arrays, options : its arguments without a default and with one, by their names
    vectors : the names of its outputs that have a number per channel
    reduction : statistics= or sums=, of a batch of which the arrays may be a part
    """
    # The kernels read no data where these outputs alone are asked for.
    names = function(**arrays, **{**options, "out": None, "outputs": vectors}, **reduction)._fields
    if options["out"] is not None or options["outputs"] is not None:
        _check_outputs(function, arrays, options, names, reduction)


def _check_outputs(
    function: Callable[..., Any],
    arrays: dict[str, Any],
    options: dict[str, Any],
    names: tuple[str, ...],
    reduction: dict[str, Any],
) -> None:
    """Have the function check `out` and `outputs` on none of the samples."""
    out, outputs = options["out"], options["outputs"]
    if outputs is not None and not isinstance(outputs, Collection):
        raise TypeError(f"outputs: expected a tuple of names, got {type(outputs).__name__}")
    shape = tuple(_viewed(arrays["input"]).shape)
    channel_axis = operator.index(options["channel_axis"]) % len(shape)
    entries = out if isinstance(out, tuple) else (out,)
    tried = list(entries)  # of whatever length: the function says which it takes
    for index, (name, entry) in enumerate(zip(names, entries, strict=False)):
        if entry is not None:
            _check_output(f"out[{index}] ({name})", name, entry, shape, channel_axis)
            tried[index] = _scratch(_without_samples(name, entry, channel_axis))
    function(
        **{
            name: array if array is None else _without_samples(name, array, channel_axis)
            for name, array in arrays.items()
        },
        **{
            **options,
            "out": tuple(tried) if isinstance(out, tuple) else tried[0],
            "where": None,
            "lengths": None,
        },
        **reduction,
    )


def _check_output(
    title: str, name: str, entry: Any, shape: tuple[int, ...], channel_axis: int
) -> None:
    """What the number of samples decides, and that it is an array of numpy's."""
    if not isinstance(entry, np.ndarray):
        raise TypeError(f"{title}: expected a numpy array, got {type(entry).__name__}")
    if name not in _DATA and name != "mask":
        return
    expected = _mask_shape(shape, channel_axis) if name == "mask" else shape
    if entry.shape != expected:
        raise ValueError(f"{title}: expected an array of shape {expected}, got {entry.shape}")
    if name == "mask" and not entry.flags.c_contiguous:
        raise ValueError(f"{title}: expected a C-contiguous array, got one of other strides")


def _mask_shape(shape: tuple[int, ...], channel_axis: int) -> tuple[int, ...]:
    """The shape of the bits of a ReLU, of which eight are a byte."""
    outer = math.prod(shape[:channel_axis])
    if channel_axis == len(shape) - 1:
        return outer, -(-shape[channel_axis] // 8)
    return outer, shape[channel_axis], -(-math.prod(shape[channel_axis + 1 :]) // 8)


def _viewed(array: Any) -> Any:
    """The array as one that has a shape and can be cut: numpy's, torch's, JAX's as they are."""
    if isinstance(array, memoryview):
        return np.asarray(array)
    return array if hasattr(array, "shape") else np.from_dlpack(array)


def _without_samples(name: str, array: Any, channel_axis: int) -> Any:
    """A view of none of the samples; vectors, which have none, are whole."""
    if name in _DATA:
        return _viewed(array)[(slice(None),) * (channel_axis == 0) + (slice(0, 0),)]
    if name == "mask":
        return _viewed(array)[(..., slice(0, 0)) if channel_axis == 0 else (slice(0, 0),)]
    return array


def _scratch(array: Any) -> Any:
    """Memory in the place of an array that is not to be written yet."""
    scratch = np.empty_like(array)
    scratch.flags.writeable = array.flags.writeable
    return scratch
