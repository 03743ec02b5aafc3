"""Batch normalization as functions of JAX's arrays: jit, grad, vmap, shard_map.

They have the names and the meaning of the functions on arrays. Results and gradients have the bits
of normgraph's kernels, under jit and without it, at every number of threads.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import jax

from . import derivatives, kernels, masks, shards


class BatchNormTrainingResult(NamedTuple):
    """What the functions of training return: the output, and the statistics of the batch."""

    output: jax.Array
    mean: jax.Array
    variance: jax.Array


def batch_norm_training(
    input: Any,
    gamma: Any,
    beta: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    *,
    where: Any = None,
    lengths: Any = None,
    axis_name: Any = None,
    exchange: str = "all_gather",
    forward_mode: bool = False,
    donate: bool = False,
) -> BatchNormTrainingResult:
    """Normalize each channel with the statistics of this batch.

    Parameters
    ----------
    input : array (., C, …), of float16, bfloat16, float32 or float64
    gamma, beta : arrays (C), of input's type, or float32 beside 16-bit data; None is 1 and 0
    epsilon : what is added to the variance, a Python number >= 0
    channel_axis : which axis of input has length C; a negative one counts from the last
    where : which positions count in the statistics, booleans that broadcast to input's shape
        without the channel axis, or with one of length 1. Everything is normalized
    lengths : integers (N), in the place of where: of sample i the positions 0 … lengths[i] - 1, of
        the axis that follows the samples', count
    axis_name : within shard_map, the axis (or axes) of the mesh over which the batch is split: the
        statistics are those of all shards, in the order of the axis. None: those of input
    exchange : how shards share their statistics: "all_gather", which has the bits of the unsplit
        batch where shards begin as blocks do, or "psum", which has no canonical order
    forward_mode : whether jvp, jacfwd and hessian may be taken. Derivatives are then JAX's of the
        definition, also those of grad, in place of the kernels of the backward pass
    donate : whether the output may be written over input, and a gradient over the one that
        arrives. XLA copies what is needed later: this pays for values that nothing else reads,
        and for the arguments that jit donates

    Returns
    -------
    BatchNormTrainingResult: output, like input, and mean and variance (biased) of the batch, (C),
    of float32, or float64 beside float64. All have gradients.

    Raises normgraph.NodeValidationFailure (a ValueError) where a constraint of BatchNormTraining is
    violated, ValueError for an empty batch and for a mask that does not fit, TypeError for what is
    no array. What is known while the function runs only, no position that counts and lengths out of
    range, raises JAX's error, which begins with the argument's name.
    """
    layer = _layer(epsilon, channel_axis, "", None, donate)
    options = _Options({"where": where, "lengths": lengths}, axis_name, exchange, forward_mode)
    return _training(layer, input, gamma, beta, None, options)


def batch_norm_training_relu(
    input: Any,
    gamma: Any,
    beta: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    upper_bound: float | None = None,
    *,
    where: Any = None,
    lengths: Any = None,
    axis_name: Any = None,
    exchange: str = "all_gather",
    forward_mode: bool = False,
    donate: bool = False,
) -> BatchNormTrainingResult:
    """batch_norm_training() and ReLU in one pass; the backward pass keeps a bit per element of it.

    With an upper bound, 6.0 say, ReLU is min(max(x, 0), upper_bound).
    """
    layer = _layer(epsilon, channel_axis, "Relu", upper_bound, donate)
    options = _Options({"where": where, "lengths": lengths}, axis_name, exchange, forward_mode)
    return _training(layer, input, gamma, beta, None, options)


def batch_norm_training_add_relu(
    input: Any,
    gamma: Any,
    beta: Any,
    residual: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    upper_bound: float | None = None,
    *,
    where: Any = None,
    lengths: Any = None,
    axis_name: Any = None,
    exchange: str = "all_gather",
    forward_mode: bool = False,
    donate: bool = False,
) -> BatchNormTrainingResult:
    """relu(batch_norm_training(…) + residual) in one pass, as at the end of a residual block.

    residual is an array of input's shape and type, which has a gradient as well.
    """
    layer = _layer(epsilon, channel_axis, "AddRelu", upper_bound, donate)
    options = _Options({"where": where, "lengths": lengths}, axis_name, exchange, forward_mode)
    return _training(layer, input, gamma, beta, residual, options)


def batch_norm_inference(
    input: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    *,
    forward_mode: bool = False,
    donate: bool = False,
) -> jax.Array:
    """Normalize each channel with statistics that are given, moving averages say.

    mean and variance are arrays (C) of one type, input's or a wider one. All arguments have
    gradients. The other parameters, and the errors, are those of batch_norm_training().
    """
    layer = _layer(epsilon, channel_axis, "", None, donate)
    return _inference(layer, input, gamma, beta, mean, variance, None, forward_mode)


def batch_norm_inference_relu(
    input: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    upper_bound: float | None = None,
    *,
    forward_mode: bool = False,
    donate: bool = False,
) -> jax.Array:
    """batch_norm_inference() and ReLU, with an upper bound if there is one, in one pass."""
    layer = _layer(epsilon, channel_axis, "Relu", upper_bound, donate)
    return _inference(layer, input, gamma, beta, mean, variance, None, forward_mode)


def batch_norm_inference_add_relu(
    input: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    residual: Any,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    upper_bound: float | None = None,
    *,
    forward_mode: bool = False,
    donate: bool = False,
) -> jax.Array:
    """relu(batch_norm_inference(…) + residual) in one pass."""
    layer = _layer(epsilon, channel_axis, "AddRelu", upper_bound, donate)
    return _inference(layer, input, gamma, beta, mean, variance, residual, forward_mode)


# ---- arguments ----------------------------------------------------------------------------------


class _Options(NamedTuple):
    mask: dict[str, Any]
    axis_name: Any
    exchange: str
    forward_mode: bool


def _layer(
    epsilon: Any, channel_axis: Any, activation: str, upper_bound: Any, donate: bool
) -> derivatives.Layer:
    """With the channel axis as it is given: errors speak of that."""
    return derivatives.Layer(
        _static_number("epsilon", epsilon),
        _static_integer("channel_axis", channel_axis),
        activation,
        None if upper_bound is None else _static_number("upper_bound", upper_bound),
        donate,
    )


def _static_number(name: str, value: Any) -> float:
    _check_static(name, value)
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name}: expected a number, got {value!r}")


def _static_integer(name: str, value: Any) -> int:
    _check_static(name, value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    return operator.index(value)


def _check_static(name: str, value: Any) -> None:
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            f"{name}: expected a Python number, got a tracer of JAX: it is a part of the compiled "
            "program, so name it among jit's static_argnames"
        )


def _array(name: str, value: Any) -> jax.Array | None:
    if value is None:
        return None
    array = masks.array_of(name, value)
    if array.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise TypeError(
            f"{name}: expected an array of float16, bfloat16, float32 or float64, "
            f"got {array.dtype.name}"
        )
    return array


def _arrays(**values: Any) -> dict[str, jax.Array | None]:
    arrays = {name: _array(name, value) for name, value in values.items()}
    for name, array in arrays.items():
        if array is None and name not in ("gamma", "beta"):
            raise TypeError(f"{name}: expected an array, got None")
    return dict(zip(arrays, kernels.alike(*arrays.values()), strict=True))


def _checked(
    op: str, layer: derivatives.Layer, arrays: dict[str, jax.Array | None]
) -> derivatives.Layer:
    """The layer with its channel axis counted from the front, if the op takes all that."""
    kernels.results_of(f"{op}{layer.activation}", arrays, layer.attributes)
    rank = arrays["input"].ndim  # type: ignore[union-attr]  # it is never absent
    return layer._replace(channel_axis=layer.channel_axis % rank)


def _training(
    layer: derivatives.Layer, input: Any, gamma: Any, beta: Any, residual: Any, options: _Options
) -> BatchNormTrainingResult:
    added = {"residual": residual} if layer.activation == "AddRelu" else {}
    arrays = _arrays(input=input, gamma=gamma, beta=beta, **added)
    layer = _checked("BatchNormTraining", layer, arrays)
    input = arrays["input"]
    mask = masks.checked(input, layer.channel_axis, **options.mask)
    tensors = (input, arrays["gamma"], arrays["beta"], arrays.get("residual"))
    arguments: Any = (*kernels.alike(*tensors, *mask.values())[: len(tensors)], mask)
    if options.axis_name is not None:
        if options.forward_mode:
            raise ValueError("forward_mode: expected False beside axis_name, got True")
        shared = shards.Batch(options.axis_name, options.exchange)
        return BatchNormTrainingResult(*shards.training(layer, shared, *arguments))
    if options.exchange != "all_gather":
        raise ValueError("axis_name: expected the name of an axis beside exchange, got None")
    function = derivatives.training_of_both_modes if options.forward_mode else derivatives.training
    return BatchNormTrainingResult(*function(layer, *arguments))


def _inference(
    layer: derivatives.Layer,
    input: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    residual: Any,
    forward_mode: bool,
) -> jax.Array:
    added = {"residual": residual} if layer.activation == "AddRelu" else {}
    arrays = _arrays(input=input, gamma=gamma, beta=beta, mean=mean, variance=variance, **added)
    layer = _checked("BatchNormInference", layer, arrays)
    function = derivatives.inference_of_both_modes if forward_mode else derivatives.inference
    names = ("input", "gamma", "beta", "mean", "variance", "residual")
    result: jax.Array = function(layer, *(arrays.get(name) for name in names))
    return result
