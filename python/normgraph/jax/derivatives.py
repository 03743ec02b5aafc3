"""Derivatives of the kernels, of every order, by JAX's custom_vjp.

The backward pass of a layer is a kernel, and the derivatives of that are JAX's of its definition.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from . import definition, kernels, masks


class Layer(NamedTuple):
    """What a layer is, besides its arrays."""

    epsilon: float
    channel_axis: int  #: from the front
    activation: str = ""  #: of the ops' classes: "", "Relu" or "AddRelu"
    upper_bound: float | None = None
    donate: bool = False  #: whether the input's memory may become the output's

    @property
    def attributes(self) -> kernels.Attributes:
        return kernels.Attributes(self.epsilon, self.channel_axis, self.upper_bound)

    @property
    def output_name(self) -> str:
        return "activated" if self.activation else "normalized"

    @property
    def delta_name(self) -> str:
        return f"{self.output_name}_delta"

    def batch(self, mask: masks.Mask, input: jax.Array) -> definition.Batch:
        return definition.Batch(masks.counts(mask, input.shape, self.channel_axis))


@jax.tree_util.register_static
class _Wanted(tuple[str, ...]):
    """Names of the gradients that someone asked for: no array, and known while JAX traces."""


Array: TypeAlias = "jax.Array | None"
Gradients: TypeAlias = "dict[str, jax.Array]"

_gradient_of = {
    "input": "input_delta",
    "gamma": "gamma_delta",
    "beta": "beta_delta",
    "residual": "residual_delta",
}


def _perturbed(**primals: Any) -> tuple[dict[str, Array], frozenset[str]]:
    """The values of what a forward rule is given, and which of them are differentiated."""
    values = {name: None if given is None else given.value for name, given in primals.items()}
    differentiated = (name for name, given in primals.items() if given is not None)
    return values, frozenset(name for name in differentiated if primals[name].perturbed)


def _gradient(cotangent: Any) -> Array:
    """What arrives at an output; None where that is zero by construction."""
    return None if cotangent is None or isinstance(cotangent, SymbolicZero) else cotangent


# ---- training -----------------------------------------------------------------------------------

# A forward rule calls the function whose rule it is, not the kernel: where it is differentiated
# itself, for a derivative of the second order, that has a rule.


class _Results(NamedTuple):
    """What a layer in training puts out, and what its backward pass takes besides its inputs."""

    output: jax.Array
    mean: jax.Array
    variance: jax.Array
    saved: dict[str, jax.Array]  #: mean and variance, not rounded, and the ReLU's bits


def training(
    layer: Layer,
    input: jax.Array,
    gamma: Array,
    beta: Array,
    residual: Array,
    mask: masks.Mask,
) -> tuple[jax.Array, ...]:
    """(output, mean, variance), the statistics rounded as the functions on arrays do."""
    return tuple(_training(layer, False, input, gamma, beta, residual, mask)[:3])


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _training(
    layer: Layer,
    has_bits: bool,
    input: jax.Array,
    gamma: Array,
    beta: Array,
    residual: Array,
    mask: masks.Mask,
) -> _Results:
    arrays = {"input": input, "gamma": gamma, "beta": beta, **mask}
    if layer.activation == "AddRelu":
        arrays["residual"] = residual
    saved = [*_statistics, "mask"] if has_bits else [*_statistics]
    results = kernels.run(
        f"BatchNormTraining{layer.activation}",
        arrays,
        layer.attributes,
        [layer.output_name, *saved],
        donated="input" if layer.donate else None,
    )
    mean, variance = (kernels.rounded(results[name], input.dtype) for name in _statistics)
    return _Results(
        results[layer.output_name], mean, variance, {name: results[name] for name in saved}
    )


_statistics = ("mean", "variance")


def _training_forward(
    layer: Layer, has_bits: bool, input: Any, gamma: Any, beta: Any, residual: Any, mask: Any
) -> Any:
    arrays, perturbed = _perturbed(input=input, gamma=gamma, beta=beta, residual=residual)
    kept = layer._replace(donate=False)
    mask = {name: given.value for name, given in mask.items()}
    results = _training(kept, bool(layer.activation), *arrays.values(), mask)
    wanted = _Wanted(_gradient_of[name] for name in _gradient_of if name in perturbed)
    saved = {**_without(arrays, "residual"), **results.saved, **mask}
    if not has_bits:
        results = results._replace(saved=_without(results.saved, "mask"))
    return results, (saved, wanted)


def _without(arrays: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if name not in names}


def _training_backward(
    layer: Layer, _has_bits: bool, residuals: Any, cotangents: _Results
) -> tuple[Array, ...]:
    saved, wanted = residuals
    delta, mean_delta, variance_delta = map(_gradient, cotangents[:3])
    gradients: Gradients = {}
    if delta is not None and wanted:
        gradients = training_backprop(layer, wanted, saved, delta)
    if "input_delta" in wanted:
        for index, arriving in enumerate((mean_delta, variance_delta)):
            if arriving is not None:
                added = _gradient_of_statistic(layer, index, saved, arriving)
                gradients = _with_sum(gradients, "input_delta", added)
    return (*(gradients.get(name) for name in _gradient_of.values()), None)


def _gradient_of_statistic(
    layer: Layer, index: int, saved: dict[str, Any], arriving: jax.Array
) -> jax.Array:
    """The gradient of input for that of its mean (0) or variance (1)."""
    batch = layer.batch(masks.of(saved), saved["input"])

    def statistic(x: jax.Array) -> jax.Array:
        return definition.statistics(x, layer.channel_axis, batch)[index]

    (gradient,) = jax.vjp(statistic, saved["input"])[1](arriving)
    return gradient


def _with_sum(gradients: Gradients, name: str, added: jax.Array) -> Gradients:
    total = gradients[name] + added if name in gradients else added
    return {**gradients, name: total}


_training.defvjp(_training_forward, _training_backward, symbolic_zeros=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def training_backprop(
    layer: Layer, wanted: tuple[str, ...], saved: dict[str, Array], delta: jax.Array
) -> Gradients:
    """The gradients of these names; `saved` has the layer's arrays, statistics, bits and mask."""
    return kernels.run(
        f"BatchNormTraining{layer.activation}Backprop",
        {**saved, layer.delta_name: delta},
        layer.attributes._replace(upper_bound=None),
        wanted,
        donated=layer.delta_name if layer.donate else None,
    )


def _training_backprop_forward(
    layer: Layer, wanted: tuple[str, ...], saved: dict[str, Array], delta: jax.Array
) -> Any:
    return training_backprop(layer, wanted, saved, delta), (saved, delta)


def _training_backprop_backward(
    layer: Layer, wanted: tuple[str, ...], residuals: Any, cotangents: Gradients
) -> Any:
    saved, delta = residuals
    batch = layer.batch(masks.of(saved), saved["input"])

    def gradients(input: jax.Array, gamma: Array, delta: jax.Array) -> Gradients:
        if layer.activation:
            passes = kernels.unpacked(saved["mask"], input.shape, layer.channel_axis)
            delta = jnp.where(passes, delta, jnp.zeros_like(delta))
        statistics = definition.statistics(input, layer.channel_axis, batch)
        found = definition.gradients(
            input, gamma, delta, *statistics, layer.epsilon, layer.channel_axis, True, batch
        )
        return _typed(wanted, (*found, delta), cotangents)

    pull_back = jax.vjp(gradients, saved["input"], saved["gamma"], delta)[1]
    input_delta, gamma_delta, delta_delta = pull_back(cotangents)
    nothing = dict.fromkeys(saved)
    return {**nothing, "input": input_delta, "gamma": gamma_delta}, delta_delta


def _typed(wanted: tuple[str, ...], found: tuple[jax.Array, ...], like: Gradients) -> Gradients:
    """Those that are wanted, in the types of these."""
    by_name = dict(zip(_gradient_of.values(), found, strict=False))
    return {name: by_name[name].astype(like[name].dtype) for name in wanted}


training_backprop.defvjp(_training_backprop_forward, _training_backprop_backward)


# ---- inference ----------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def inference(
    layer: Layer,
    input: jax.Array,
    gamma: Array,
    beta: Array,
    mean: jax.Array,
    variance: jax.Array,
    residual: Array,
) -> jax.Array:
    """The output of a layer whose statistics are given."""
    arrays = {"input": input, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    if layer.activation == "AddRelu":
        arrays["residual"] = residual
    results = kernels.run(
        f"BatchNormInference{layer.activation}",
        arrays,
        layer.attributes,
        [layer.output_name],
        donated="input" if layer.donate else None,
    )
    return results[layer.output_name]


def _inference_forward(
    layer: Layer, input: Any, gamma: Any, beta: Any, mean: Any, variance: Any, residual: Any
) -> Any:
    arrays, perturbed = _perturbed(
        input=input, gamma=gamma, beta=beta, mean=mean, variance=variance, residual=residual
    )
    output = inference(layer._replace(donate=False), *arrays.values())
    activated = output if layer.activation else None
    return output, (_without(arrays, "residual"), activated, _Wanted(sorted(perturbed)))


def _inference_backward(layer: Layer, residuals: Any, cotangent: Any) -> tuple[Array, ...]:
    saved, activated, perturbed = residuals
    delta = _gradient(cotangent)
    if delta is None:
        return (None,) * 6
    if activated is not None:
        delta = _selected(layer, activated, delta)
    needed = {_gradient_of[name] for name in perturbed if name in ("input", "gamma", "beta")}
    # The gradients of the statistics are made of sums that gamma and beta have as gradients.
    needed |= {"beta_delta"} if "mean" in perturbed else set()
    needed |= {"gamma_delta"} if "variance" in perturbed else set()
    names = tuple(name for name in _gradient_of.values() if name in needed)
    found = inference_backprop(layer, names, saved, delta) if names else {}
    gradients: dict[str, Array] = {"residual": delta}
    gradients |= {name: found.get(_gradient_of[name]) for name in ("input", "gamma", "beta")}
    gradients |= _gradients_of_given_statistics(layer, saved, found)
    return tuple(gradients[name] if name in perturbed else None for name in _inputs_of_inference)


_inputs_of_inference = ("input", "gamma", "beta", "mean", "variance", "residual")


def _selected(layer: Layer, activated: jax.Array, delta: jax.Array) -> jax.Array:
    """The gradient that passes a ReLU, which has put out `activated`: not 0, nor the bound."""
    passes = activated != 0
    if layer.upper_bound is not None:
        passes &= activated != jnp.asarray(layer.upper_bound, activated.dtype)
    return jnp.where(passes, delta, jnp.zeros_like(delta))


def _gradients_of_given_statistics(
    layer: Layer, saved: dict[str, Any], found: Gradients
) -> dict[str, Array]:
    """Those of mean and variance: -gamma·s·Σδ and -gamma·s²/2·Σδ·x̂, s = 1/√(variance + ε)."""
    mean, variance, gamma = saved["mean"], saved["variance"], saved["gamma"]
    scale = jax.lax.rsqrt(variance + jnp.asarray(layer.epsilon, variance.dtype))
    factor = scale if gamma is None else scale * gamma.astype(scale.dtype)
    result: dict[str, Array] = {"mean": None, "variance": None}
    if "beta_delta" in found:
        result["mean"] = (-factor * found["beta_delta"].astype(scale.dtype)).astype(mean.dtype)
    if "gamma_delta" in found:
        result["variance"] = -factor * scale / 2 * found["gamma_delta"].astype(scale.dtype)
    return result


inference.defvjp(_inference_forward, _inference_backward, symbolic_zeros=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def inference_backprop(
    layer: Layer, wanted: tuple[str, ...], saved: dict[str, Array], delta: jax.Array
) -> Gradients:
    """The gradients of these names for the gradient of what is normalized."""
    return kernels.run(
        "BatchNormInferenceBackprop",
        {**saved, "normalized_delta": delta},
        layer.attributes._replace(upper_bound=None),
        wanted,
        donated="normalized_delta" if layer.donate and not layer.activation else None,
    )


def _inference_backprop_forward(
    layer: Layer, wanted: tuple[str, ...], saved: dict[str, Array], delta: jax.Array
) -> Any:
    return inference_backprop(layer, wanted, saved, delta), (saved, delta)


def _inference_backprop_backward(
    layer: Layer, wanted: tuple[str, ...], residuals: Any, cotangents: Gradients
) -> Any:
    saved, delta = residuals

    def gradients(arrays: dict[str, Array], delta: jax.Array) -> Gradients:
        found = definition.gradients(
            arrays["input"],
            arrays["gamma"],
            delta,
            arrays["mean"],
            arrays["variance"],
            layer.epsilon,
            layer.channel_axis,
            of_batch=False,
        )
        return _typed(wanted, found, cotangents)

    return jax.vjp(gradients, saved, delta)[1](cotangents)


inference_backprop.defvjp(_inference_backprop_forward, _inference_backprop_backward)


# ---- both modes ---------------------------------------------------------------------------------


def _by_definition(
    layer: Layer,
    input: jax.Array,
    affine: tuple[Array, Array],
    mean: Any,
    variance: Any,
    residual: Any,
) -> jax.Array:
    values = definition.normalized(
        input, *affine, mean, variance, layer.epsilon, layer.channel_axis
    )
    if residual is not None:
        values = values + residual.astype(values.dtype)
    if layer.activation:
        values = definition.relu(values, layer.upper_bound)
    return values.astype(input.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def training_of_both_modes(
    layer: Layer,
    input: jax.Array,
    gamma: Array,
    beta: Array,
    residual: Array,
    mask: masks.Mask,
) -> tuple[jax.Array, ...]:
    """training(), whose tangents and gradients are JAX's of the definition."""
    return training(layer, input, gamma, beta, residual, mask)


@training_of_both_modes.defjvp
def _training_tangents(layer: Layer, primals: Any, tangents: Any) -> Any:
    batch = layer.batch(primals[-1], primals[0])

    def function(input: jax.Array, gamma: Array, beta: Array, residual: Array) -> Any:
        mean, variance = definition.statistics(input, layer.channel_axis, batch)
        # A gradient of 0 that arrives where nothing counts adds nothing, whatever lies there.
        x = batch.with_part(input, jnp.zeros_like(input))
        return _by_definition(layer, x, (gamma, beta), mean, variance, residual), mean, variance

    results = training_of_both_modes(layer, *primals)
    return results, jax.jvp(function, primals[:-1], tangents[:-1])[1]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def inference_of_both_modes(
    layer: Layer,
    input: jax.Array,
    gamma: Array,
    beta: Array,
    mean: jax.Array,
    variance: jax.Array,
    residual: Array,
) -> jax.Array:
    """inference(), whose tangents and gradients are JAX's of the definition."""
    return inference(layer, input, gamma, beta, mean, variance, residual)


@inference_of_both_modes.defjvp
def _inference_tangents(layer: Layer, primals: Any, tangents: Any) -> Any:
    def function(
        input: jax.Array, gamma: Array, beta: Array, mean: Any, variance: Any, residual: Array
    ) -> jax.Array:
        return _by_definition(layer, input, (gamma, beta), mean, variance, residual)

    return inference_of_both_modes(layer, *primals), jax.jvp(function, primals, tangents)[1]
