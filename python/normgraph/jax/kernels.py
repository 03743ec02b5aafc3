"""The kernels as functions that XLA calls: targets of JAX's foreign function interface.

Their handlers are in the compiled part. They run on normgraph's own threads, and never wait for
those of XLA. None of the functions here has derivatives: normgraph.jax.derivatives has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from normgraph import _core

from . import masks

_signatures: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = _core.jax_signatures()
for _name, _capsule in _core.jax_targets().items():
    jax.ffi.register_ffi_target(f"normgraph.{_name}", _capsule, platform="cpu")


class Attributes(NamedTuple):
    """The attributes of an op; those that it has not are not looked at."""

    epsilon: float = 1e-5
    channel_axis: int = 1
    upper_bound: float | None = None
    elements: int = 0  #: per channel of the whole batch; 0: those of the input


#: What a call may take behind the op's own inputs: the mask of a batch, and how many elements of a
#: channel count in the whole of which it is a part, a scalar of int32.
_of_part = (*masks.NAMES, "count")

Inputs = Mapping[str, jax.Array | None]


def _is_bits(array: jax.Array) -> bool:
    """Whether these are doubles of which JAX knows the bits alone, pairs along the last axis."""
    return bool(array.dtype == jnp.uint32)


def _described(array: jax.Array | None) -> tuple[Any, tuple[int, ...]] | None:
    if array is None:
        return None
    return ("float64", array.shape[:-1]) if _is_bits(array) else (array.dtype, array.shape)


def results_of(
    op_class: str, inputs: Inputs, attributes: Attributes
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and type of each output; statistics and sums are the bits of doubles, pairs of uint32.

    Raises what the function on arrays raises for such inputs.
    """
    input_names, output_names = _signatures[op_class]
    types = _core.jax_results(
        op_class,
        tuple(_described(inputs[name]) for name in input_names),
        attributes.epsilon,
        attributes.channel_axis,
        attributes.upper_bound,
    )
    present = [inputs[name] for name in input_names if inputs[name] is not None]
    return {
        name: _struct(shape, dtype, present)
        for name, (dtype, shape) in zip(output_names, types, strict=True)
    }


def _struct(shape: Sequence[int], dtype: Any, inputs: Sequence[jax.Array]) -> Any:
    """The type of a result; within shard_map it varies over the devices as the inputs do."""
    axes = varying_axes(*inputs)
    options: dict[str, Any] = {}
    if axes:
        mesh = jax.typeof(inputs[0]).sharding.mesh
        options["manual_axis_type"] = jax.sharding.ManualAxisType(varying=axes)
        options["sharding"] = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype), **options)


def _double_bits(shape: Sequence[int], inputs: Sequence[jax.Array]) -> Any:
    return _struct((*shape, 2), jnp.uint32, inputs)


def varying_axes(*arrays: jax.Array | None) -> frozenset[Any]:
    """The axes of a mesh over which any of these varies, as shard_map tracks it."""
    types = (jax.typeof(array).manual_axis_type for array in arrays if array is not None)
    return frozenset().union(*(each.varying for each in types))


def alike(*arrays: jax.Array | None) -> tuple[jax.Array | None, ...]:
    """The arrays, of which each varies over all axes that any of them varies over."""
    axes = varying_axes(*arrays)

    def cast(array: jax.Array | None) -> jax.Array | None:
        missing = () if array is None else tuple(axes - varying_axes(array))
        return jax.lax.pcast(array, missing, to="varying") if missing else array

    return tuple(cast(array) for array in arrays) if axes else arrays


def _ffi_call(
    target: str,
    results: Sequence[Any],
    inputs: Sequence[jax.Array | None],
    *,
    vmap_method: str,
    aliases: dict[int, int] | None = None,
    **attributes: Any,
) -> Any:
    """The target's results; its attribute `inputs` says which of the inputs are there.

    Within shard_map a call wants inputs that all vary over the same axes.
    """
    present = sum(1 << index for index, array in enumerate(inputs) if array is not None)
    call = jax.ffi.ffi_call(
        f"normgraph.{target}", results, vmap_method=vmap_method, input_output_aliases=aliases
    )
    given = [array for array in inputs if array is not None]
    return call(*alike(*given), inputs=np.int64(present), **attributes)


def run(
    op_class: str,
    inputs: Inputs,
    attributes: Attributes,
    outputs: Sequence[str],
    donated: str | None = None,
) -> dict[str, jax.Array]:
    """The outputs of an op of these names, which `outputs` has in the op's order.

    The memory of the input `donated` may become that of the first output. Under vmap the kernel
    runs on each problem of the batch, as it does alone.
    """
    types = results_of(op_class, inputs, attributes)
    input_names, output_names = _signatures[op_class]
    arrays = [inputs[name] for name in input_names]
    of_part = [inputs.get(name) for name in _of_part]
    aliases = None
    if donated is not None and output_names[0] in outputs:
        aliases = {[name for name in input_names if inputs[name] is not None].index(donated): 0}
    bound = attributes.upper_bound
    results = _ffi_call(
        op_class,
        [types[name] for name in outputs],
        [*arrays, *of_part],
        vmap_method="expand_dims" if aliases is None else "broadcast_all",
        aliases=aliases,
        epsilon=np.float64(attributes.epsilon),
        channel_axis=np.int64(attributes.channel_axis),
        count=np.int64(attributes.elements),
        outputs=np.int64(sum(1 << output_names.index(name) for name in outputs)),
        rank=np.int64(arrays[0].ndim),  # type: ignore[union-attr]  # the first one is never absent
        **({} if bound is None else {"upper_bound": np.float64(bound)}),
    )
    return dict(zip(outputs, results, strict=True))


def rounded(bits: jax.Array, data_type: Any) -> jax.Array:
    """Statistics, of which there are the bits of doubles, as the functions on arrays round them."""
    dtype = jnp.float64 if data_type == jnp.float64 else jnp.float32
    result = _struct(bits.shape[:-1], dtype, [bits])
    (array,) = _ffi_call("RoundDoubles", [result], [bits], vmap_method="expand_dims")
    return array


def widened(vector: jax.Array) -> jax.Array:
    """The bits of doubles that have these values, of float32 or float64."""
    result = _double_bits(vector.shape, [vector])
    (array,) = _ffi_call("WidenToDoubles", [result], [vector], vmap_method="expand_dims")
    return array


def nodes(
    target: str,
    inputs: Sequence[jax.Array | None],
    mask: masks.Mask,
    channel_axis: int,
    is_sums: bool,
) -> jax.Array:
    """What a shard contributes to the whole batch: bytes that combined() reads."""
    present = [array for array in inputs if array is not None]
    size = _core.jax_nodes_size(is_sums, (present[0].dtype, present[0].shape), channel_axis)
    (array,) = _ffi_call(
        target,
        [_struct((size,), jnp.uint8, present)],
        [*inputs, *(mask.get(name) for name in masks.NAMES)],
        vmap_method="sequential",
        channel_axis=np.int64(channel_axis),
    )
    return array


def combined(target: str, gathered: jax.Array, channels: int) -> tuple[jax.Array, jax.Array]:
    """Two vectors of the whole batch, bits of doubles, of the nodes of all shards in order."""
    result = _double_bits((channels,), [gathered])
    first, second = _ffi_call(target, [result, result], [gathered], vmap_method="sequential")
    return first, second


def unpacked(mask: jax.Array, shape: tuple[int, ...], channel_axis: int) -> jax.Array:
    """The bits of a ReLU's mask as booleans, for each element of an array of this shape."""
    behind = shape[channel_axis + 1 :]
    length = math.prod(behind) if behind else shape[channel_axis]
    bits = jnp.unpackbits(mask, axis=-1, count=length, bitorder="little")
    return bits.reshape(shape).astype(bool)
