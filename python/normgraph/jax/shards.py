"""Training on a batch that is split over devices, within shard_map.

Each shard is reduced to the nodes of the canonical order of summation; all shards gather the nodes
of all, and add them in the order of the shards. So nothing depends on how a transport sums.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from . import definition, kernels, masks
from .derivatives import Array, Layer


class Batch(NamedTuple):
    """How the shards of a batch share what they know."""

    axis_name: Any
    exchange: str

    def size(self) -> int:
        """The number of shards."""
        return int(jax.lax.psum(1, self.axis_name))

    def whole(self, layer: Layer, arrays: dict[str, Any]) -> definition.Batch:
        """The whole batch, of which these are a shard's input and mask."""
        counts = masks.counts(masks.of(arrays), arrays["input"].shape, layer.channel_axis)
        return definition.Batch(
            counts, self.size(), partial(jax.lax.psum, axis_name=self.axis_name)
        )

    def expect_tracked(self, input: jax.Array) -> None:
        """Raises NotImplementedError where JAX does not know of which values differ by shard.

        It would then differentiate sums over the shards as sums of copies.
        """
        names = self.axis_name if isinstance(self.axis_name, tuple) else (self.axis_name,)
        if not kernels.varying_axes(input).issuperset(names):
            raise NotImplementedError(
                "normgraph.jax: expected gradients of first order only beside axis_name where "
                "shard_map does not track what varies (check_vma=False)"
            )

    def gather(self, nodes: jax.Array) -> jax.Array:
        return jax.lax.all_gather(nodes, self.axis_name)

    def on_first_shard(self, vector: jax.Array) -> jax.Array:
        """The vector on the first shard, zeros on the others: the sum of all is the vector."""
        is_first = jax.lax.axis_index(self.axis_name) == 0
        return jnp.where(is_first, vector, jnp.zeros_like(vector))


def training(
    layer: Layer,
    batch: Batch,
    input: jax.Array,
    gamma: Array,
    beta: Array,
    residual: Array,
    mask: masks.Mask,
) -> tuple[jax.Array, ...]:
    """(output, mean, variance) of this shard; the statistics are those of the whole batch."""
    if batch.exchange not in ("all_gather", "psum"):
        raise ValueError(f"exchange: expected 'all_gather' or 'psum', got {batch.exchange!r}")
    if mask:
        if batch.exchange == "psum":
            raise ValueError("exchange: expected 'all_gather' beside where or lengths, got 'psum'")
        masks.expect_count_of_32_bits(_elements(layer, batch, input))
    output, *statistics = _training(layer, batch, input, gamma, beta, mask)[0]
    if residual is not None:
        output = output + residual
    if layer.activation:
        output = definition.relu(output, layer.upper_bound)
    # In this form JAX knows that they are the same on all shards.
    mean, variance = (
        jax.lax.psum(batch.on_first_shard(vector), batch.axis_name) for vector in statistics
    )
    return output, mean, variance


# ---- what the shards exchange -------------------------------------------------------------------


def _statistics(
    layer: Layer, batch: Batch, input: jax.Array, mask: masks.Mask
) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of the whole batch, as the bits of doubles."""
    if batch.exchange == "psum":
        return _statistics_by_psum(layer, batch, input)
    axis = layer.channel_axis
    target, result = "BatchStatistics", "CombinedStatistics"
    nodes = kernels.nodes(target, [input, None], mask, axis, is_sums=False)
    gathered = batch.gather(nodes)
    if input.dtype == jnp.float64:  # takes a second pass, about the mean
        nodes = kernels.nodes(target, [input, gathered], mask, axis, is_sums=True)
        gathered = batch.gather(nodes)
    return kernels.combined(result, gathered, input.shape[axis])


def _statistics_by_psum(
    layer: Layer, batch: Batch, input: jax.Array
) -> tuple[jax.Array, jax.Array]:
    names = ("mean", "variance")
    bits = kernels.run("BatchNormStatistics", {"input": input}, layer.attributes, names)
    mean, variance = (kernels.rounded(bits[name], input.dtype) for name in names)
    mean_of_all = jax.lax.pmean(mean, batch.axis_name)
    spread = variance + jnp.square(mean - mean_of_all)
    variance_of_all = jax.lax.pmean(spread, batch.axis_name)
    return kernels.widened(mean_of_all), kernels.widened(variance_of_all)


def _sums(
    layer: Layer, batch: Batch, saved: dict[str, Any], delta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The sums of the backward pass of the whole batch, as the bits of doubles."""
    input, mean = saved["input"], saved["mean"]
    if batch.exchange == "psum":
        inputs = {"input": input, "mean": mean, "normalized_delta": delta}
        names = ("beta_delta", "gmul_delta")
        bits = kernels.run("BatchNormBackpropSums", inputs, layer.attributes, names)
        numbers = (kernels.rounded(bits[name], input.dtype) for name in names)
        first, second = (jax.lax.psum(vector, batch.axis_name) for vector in numbers)
        return kernels.widened(first), kernels.widened(second)
    arrays = [input, mean, saved["variance"], delta, None]
    mask = masks.of(saved)
    nodes = kernels.nodes("BackpropSums", arrays, mask, layer.channel_axis, is_sums=True)
    return kernels.combined("CombinedSums", batch.gather(nodes), input.shape[layer.channel_axis])


# ---- the layer without its activation -----------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _training(
    layer: Layer, batch: Batch, input: jax.Array, gamma: Array, beta: Array, mask: masks.Mask
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """(normalized, mean, variance), and mean and variance as the bits of doubles."""
    mean, variance = _statistics(layer, batch, input, mask)
    inputs = {"input": input, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    attributes = layer.attributes._replace(upper_bound=None)
    results = kernels.run("BatchNormTrainingApply", inputs, attributes, ["normalized"])
    statistics = (kernels.rounded(vector, input.dtype) for vector in (mean, variance))
    return (results["normalized"], *statistics), (mean, variance)


def _training_forward(
    layer: Layer, batch: Batch, input: Any, gamma: Any, beta: Any, mask: Any
) -> Any:
    values = [None if given is None else given.value for given in (input, gamma, beta)]
    mask = {name: given.value for name, given in mask.items()}
    results = _training(layer, batch, *values, mask)
    names = ("input", "gamma", "beta", "mean", "variance")
    return results, {**dict(zip(names, (*values, *results[1]), strict=True)), **mask}


def _training_backward(
    layer: Layer, batch: Batch, saved: dict[str, Any], cotangents: Any
) -> tuple[Array, ...]:
    delta, mean_delta, variance_delta = (
        None if isinstance(cotangent, SymbolicZero) else cotangent for cotangent in cotangents[0]
    )
    input = saved["input"]
    gradients: dict[str, jax.Array] = {}
    if delta is not None:
        gradients = _gradients(layer, batch, saved, delta)
    added = _gradient_of_statistics(layer, batch, saved, mean_delta, variance_delta)
    if added is not None:
        total = added + gradients["input_delta"] if gradients else added
        gradients["input_delta"] = total.astype(input.dtype)
    # The sum over the shards is the gradient of the whole batch: JAX takes it for what all share.
    vectors = (
        batch.on_first_shard(gradients[f"{name}_delta"])
        if saved[name] is not None and gradients.get(f"{name}_delta") is not None
        else None
        for name in ("gamma", "beta")
    )
    return (gradients.get("input_delta"), *vectors, None)


def _elements(layer: Layer, batch: Batch, input: jax.Array) -> int:
    """Elements of a channel in the whole batch, those that do not count included."""
    axes = definition.axes_of(input, layer.channel_axis)
    of_shard: int = math.prod(input.shape[axis] for axis in axes)
    return batch.size() * of_shard


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _gradients(
    layer: Layer, batch: Batch, saved: dict[str, Any], delta: jax.Array
) -> dict[str, jax.Array]:
    beta_delta, gmul_delta = _sums(layer, batch, saved, delta)
    inputs = {
        **saved,
        "normalized_delta": delta,
        "beta_delta": beta_delta,
        "gmul_delta": gmul_delta,
    }
    attributes = layer.attributes._replace(upper_bound=None)
    if masks.of(saved):
        whole = batch.whole(layer, saved)
        inputs["count"] = whole.element_count(saved["input"], layer.channel_axis)
    else:
        elements = _elements(layer, batch, saved["input"])
        attributes = attributes._replace(elements=elements)
    return kernels.run("BatchNormTrainingBackpropApply", inputs, attributes, _names_of_gradients)


_names_of_gradients = ("input_delta", "gamma_delta", "beta_delta")


@_gradients.defjvp
def _tangents_of_gradients(layer: Layer, batch: Batch, primals: Any, tangents: Any) -> Any:
    saved, delta = primals
    batch.expect_tracked(saved["input"])
    saved_tangents, delta_tangent = tangents
    whole = batch.whole(layer, saved)

    def by_definition(input: jax.Array, gamma: Array, delta: jax.Array) -> tuple[jax.Array, ...]:
        axis = layer.channel_axis
        mean_and_variance = definition.statistics(input, axis, whole)
        found = definition.gradients(
            input, gamma, delta, *mean_and_variance, layer.epsilon, axis, True, whole
        )
        return kernels.alike(*found)

    results = _gradients(layer, batch, saved, delta)
    _, found = jax.jvp(
        by_definition,
        (saved["input"], saved["gamma"], delta),
        (saved_tangents["input"], saved_tangents["gamma"], delta_tangent),
    )
    named = zip(_names_of_gradients, found, strict=True)
    return results, {name: tangent.astype(results[name].dtype) for name, tangent in named}


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _mean(layer: Layer, batch: Batch, saved: dict[str, Any]) -> jax.Array:
    """The mean of the whole batch, of which there are the bits, in the type of computation."""
    return kernels.rounded(saved["mean"], saved["input"].dtype)


@_mean.defjvp
def _tangent_of_mean(layer: Layer, batch: Batch, primals: Any, tangents: Any) -> Any:
    (saved,), (saved_tangents,) = primals, tangents
    batch.expect_tracked(saved["input"])
    mean = _mean(layer, batch, saved)
    whole = batch.whole(layer, saved)
    tangent, _ = definition.statistics(saved_tangents["input"], layer.channel_axis, whole)
    return mean, kernels.alike(tangent.astype(mean.dtype), mean)[0]


def _gradient_of_statistics(
    layer: Layer, batch: Batch, saved: dict[str, Any], mean_delta: Array, variance_delta: Array
) -> Array:
    """What the gradients of the batch's statistics, of all shards, are for this shard's input."""
    whole = batch.whole(layer, saved)
    x = saved["input"].astype(definition.compute_type(saved["input"].dtype))
    count = whole.element_count(x, layer.channel_axis)
    added = None
    if mean_delta is not None:
        arriving = jax.lax.psum(mean_delta, batch.axis_name) / count
        added = jnp.broadcast_to(definition.per_channel(arriving, x, layer.channel_axis), x.shape)
    if variance_delta is not None:
        arriving = jax.lax.psum(variance_delta, batch.axis_name) * 2 / count
        mean = definition.per_channel(_mean(layer, batch, saved), x, layer.channel_axis)
        centered = whole.counted(x) - mean
        term = definition.per_channel(arriving, x, layer.channel_axis) * centered
        added = term if added is None else added + term
    return None if added is None else whole.counted(added)


_training.defvjp(_training_forward, _training_backward, symbolic_zeros=True)
