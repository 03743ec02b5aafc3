"""Masked batches: which positions count, as JAX's arrays that may be traced."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from normgraph import _core

#: Nothing (all positions count), or one array, `where` or `lengths`, with that name.
Mask: TypeAlias = "dict[str, jax.Array]"

NAMES = ("where", "lengths")


def checked(input: jax.Array, channel_axis: int, **given: Any) -> Mask:
    """The mask of an input, of which an op has accepted the channel axis; None is not given.

    `where` then has no axis of channels. Raises what the functions on arrays raise, but for values,
    which the kernels look at.
    """
    mask = {name: array_of(name, value) for name, value in given.items() if value is not None}
    described = {name: (array.dtype, array.shape) for name, array in mask.items()}
    _core.jax_check_mask(
        (input.dtype, input.shape), channel_axis, *(described.get(name) for name in NAMES)
    )
    where = mask.get("where")
    if where is not None and where.ndim == input.ndim:
        mask["where"] = jnp.squeeze(where, channel_axis)
    return mask


def array_of(name: str, value: Any) -> jax.Array:
    """The argument as an array. Raises TypeError for what is none."""
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        raise TypeError(f"{name}: expected an array, got {value!r} of type {type(value).__name__}")
    return jnp.asarray(value)


def of_elements(mask: Any, x: jax.Array, channel_axis: int) -> jax.Array:
    """`where` for a mask that broadcasts to x as a whole; ValueError unless it tells positions."""
    array = array_of("mask", mask)
    shape = (1,) * (x.ndim - array.ndim) + array.shape
    fits = len(shape) == x.ndim and all(
        own in (1, length) for own, length in zip(shape, x.shape, strict=True)
    )
    if array.dtype != bool or not fits or shape[channel_axis] != 1:
        raise ValueError(
            f"mask: expected booleans that broadcast to {x.shape}, of length 1 at axis "
            f"{channel_axis}, that of the channels, got {array.dtype} {array.shape}"
        )
    return array.reshape(shape)


def of(arrays: dict[str, Any]) -> Mask:
    """The mask among these arrays."""
    return {name: arrays[name] for name in NAMES if name in arrays}


def counts(mask: Mask, shape: tuple[int, ...], channel_axis: int) -> jax.Array | None:
    """Whether each position of an input of this shape counts, with a channel axis of length 1.

    None: all do.
    """
    if not mask:
        return None
    positions = [length for axis, length in enumerate(shape) if axis != channel_axis]
    if "where" in mask:
        where = mask["where"]
    else:
        steps = jnp.arange(positions[1]) < mask["lengths"][:, None]
        where = steps.reshape(*positions[:2], *[1] * (len(positions) - 2))
    return jnp.expand_dims(jnp.broadcast_to(where, positions), channel_axis)


def expect_count_of_32_bits(positions: int) -> None:
    """Raises NotImplementedError for more positions than the shards of a batch can count."""
    if positions >= 2**31:
        raise NotImplementedError(
            f"where, lengths: expected fewer than 2**31 positions beside axis_name, got {positions}"
        )
