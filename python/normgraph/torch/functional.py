"""Batch normalization as functions, with the signature and meaning of torch's own.

`weight` and `bias` are what the rest of normgraph calls gamma and beta. Data may be float16,
bfloat16, float32 or float64, in any strides, channels on axis 1; weight and bias have their type,
or are float32 beside 16-bit data, as under autocast. Results and gradients have the bits of
normgraph's kernels at every number of threads. Whatever these do not take (another device or
layout, a subclass of Tensor with functions of its own, types that do not fit, derivatives
forward, torch.jit.trace) goes to torch's functions, whose errors it then has.
"""

from __future__ import annotations

import torch
import torch.nn.functional as torch_functional
from torch.autograd import forward_ad

from . import autograd as _autograd
from . import masked as _masked

_operators = torch.ops.normgraph
_training = _operators.batch_norm_training.default
_training_relu = _operators.batch_norm_training_relu.default
_training_add_relu = _operators.batch_norm_training_add_relu.default
_inference = _operators.batch_norm_inference.default
_inference_relu = _operators.batch_norm_inference_relu.default
_inference_add_relu = _operators.batch_norm_inference_add_relu.default
_update_running_statistics = _operators.update_running_statistics.default

_channel_axis = 1
_fewest_fused = 65536  # elements; measured: from there on the fused form takes less time
# All outputs of the operators, and all but the mask, which only a backward pass reads.
_statistics_too = 0b0111

# Of torch.jit.trace, whose graphs know no functions of Python, and are read by others.
_tracing_state = torch._C._get_tracing_state

_float_types = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
# Of data, and of a vector beside it; an absent vector has the data's.
_fitting_types = frozenset(
    {(data, data) for data in _float_types}
    | {(data, torch.float32) for data in (torch.bfloat16, torch.float16)}
)


def batch_norm(
    input: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    where: torch.Tensor | None = None,
    lengths: torch.Tensor | None = None,
) -> torch.Tensor:
    """torch.nn.functional.batch_norm, in normgraph's kernels.

    Parameters
    ----------
    input : tensor (N, C, …)
    running_mean, running_var : tensors (C), or None. In training they are moved towards the
        batch's, by `momentum`; else they are what is normalized with.
    weight, bias : tensors (C), or None, which stand for 1 and 0
    training : whether to normalize with the statistics of the batch
    momentum : the weight of the batch in the running statistics
    eps : what is added to the variance, >= 0
    where : bool tensor, true where a position counts, which broadcasts to input's shape without the
        channel axis, or with one of length 1. In training, statistics are those of what counts, and
        everything is normalized; else a mask changes nothing.
    lengths : tensor (N) of integers, in place of where, for an input (N, C, T, …): the first so
        many positions of axis T count

    Returns
    -------
    tensor with input's shape, type and order in memory. Raises what torch's function raises; where
    vectors do not fit the channels, a ValueError or RuntimeError with the text of
    normgraph.NodeValidationFailure. With a mask, raises TypeError or ValueError where it does not
    fit, ValueError where fewer than two positions count in training, NotImplementedError for what
    the kernels do not take, and under vmap.
    """
    running = (running_mean, running_var)
    if where is not None or lengths is not None:
        mask = _masked.checked(input, where, lengths)
        if training:
            return _of_what_counts(input, mask, weight, bias, running, momentum, eps)
    if not _is_taken(input, weight, bias, running, training):
        return torch_functional.batch_norm(input, *running, weight, bias, training, momentum, eps)
    if not training:
        return _normalized(input, running, weight, bias, eps)
    if weight is not None and _autograd.has_node_of_torch():
        # It takes less time than the operator even where no gradient is wanted.
        return _autograd.node_of_torch(input, weight, bias, *running, True, momentum, eps)[0]
    if _needs_gradient(input, weight, bias):
        output, mean, variance = _autograd.apply(
            _autograd.BatchNormTraining, input, weight, bias, eps
        )
    else:
        output, mean, variance = _training(input, weight, bias, eps, _channel_axis, _statistics_too)
    _update(running, mean, variance, momentum, input)
    return output


def batch_norm_relu(
    input: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    upper_bound: float | None = None,
    *,
    where: torch.Tensor | None = None,
    lengths: torch.Tensor | None = None,
) -> torch.Tensor:
    """relu(batch_norm(…)) in one pass; what is kept for the backward pass of ReLU is a bit each.

    With an upper bound, 6.0 say, ReLU is min(max(x, 0), upper_bound). The other parameters are
    batch_norm's.
    """
    running = (running_mean, running_var)
    if where is not None or lengths is not None:
        mask = _masked.checked(input, where, lengths)
        if training:
            return _relu_of_what_counts(
                input, None, mask, weight, bias, running, momentum, eps, upper_bound
            )
    needs_gradient = _needs_gradient(input, weight, bias)
    # A function of Python takes longer than the second pass over few elements. The bits are equal.
    is_fused = not needs_gradient or (
        training
        and not torch._C._are_functorch_transforms_active()
        and (input.numel() >= _fewest_fused or weight is None or not _autograd.has_node_of_torch())
    )
    if not (is_fused and _is_taken(input, weight, bias, running, training)):
        plain = batch_norm(input, *running, weight, bias, training, momentum, eps)
        return _relu(plain, upper_bound)
    if not training:
        return _inference_relu(input, weight, bias, *running, eps, _channel_axis, upper_bound)
    if needs_gradient:
        output, mean, variance, _ = _autograd.apply(
            _autograd.BatchNormTrainingRelu, input, weight, bias, eps, upper_bound
        )
    else:
        output, mean, variance, _ = _training_relu(
            input, weight, bias, eps, _channel_axis, upper_bound, _statistics_too
        )
    _update(running, mean, variance, momentum, input)
    return output


def batch_norm_add_relu(
    input: torch.Tensor,
    residual: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    upper_bound: float | None = None,
    *,
    where: torch.Tensor | None = None,
    lengths: torch.Tensor | None = None,
) -> torch.Tensor:
    """relu(batch_norm(input, …) + residual) in one pass, as at the end of a residual block.

    residual is a tensor of input's shape and type; one that is broadcast, or of another type, is
    added by torch. The other parameters are batch_norm_relu's.
    """
    running = (running_mean, running_var)
    is_fitting = (
        residual.dtype is input.dtype
        and residual.shape == input.shape
        and residual.is_cpu
        and residual.layout is torch.strided
        and _is_plain(residual)
    )
    if where is not None or lengths is not None:
        mask = _masked.checked(input, where, lengths)
        if training and not is_fitting:
            plain = _of_what_counts(input, mask, weight, bias, running, momentum, eps)
            return _relu(plain + residual, upper_bound)
        if training:
            return _relu_of_what_counts(
                input, residual, mask, weight, bias, running, momentum, eps, upper_bound
            )
    needs_gradient = _needs_gradient(input, weight, bias, residual)
    is_taken = is_fitting and _is_taken(input, weight, bias, running, training)
    is_fused = not needs_gradient or (training and not torch._C._are_functorch_transforms_active())
    if not (is_taken and is_fused):
        plain = batch_norm(input, *running, weight, bias, training, momentum, eps)
        return _relu(plain + residual, upper_bound)
    if not training:
        return _inference_add_relu(
            input, weight, bias, *running, residual, eps, _channel_axis, upper_bound
        )
    if needs_gradient:
        output, mean, variance, _ = _autograd.apply(
            _autograd.BatchNormTrainingAddRelu, input, residual, weight, bias, eps, upper_bound
        )
    else:
        output, mean, variance, _ = _training_add_relu(
            input, weight, bias, residual, eps, _channel_axis, upper_bound, _statistics_too
        )
    _update(running, mean, variance, momentum, input)
    return output


_Running = tuple[torch.Tensor | None, torch.Tensor | None]


def _of_what_counts(
    input: torch.Tensor,
    mask: _masked.Mask,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running: _Running,
    momentum: float,
    eps: float,
) -> torch.Tensor:
    """batch_norm in training, of a masked batch."""
    if not _is_taken(input, weight, bias, running, True):
        raise _masked.refusal(input, mask, weight, bias, *running)
    output, mean, variance = _masked.MaskedTraining.apply(input, weight, bias, *mask, eps)
    _update_to_what_counts(running, mean, variance, momentum, input, mask)
    return output


def _relu_of_what_counts(
    input: torch.Tensor,
    residual: torch.Tensor | None,
    mask: _masked.Mask,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running: _Running,
    momentum: float,
    eps: float,
    upper_bound: float | None,
) -> torch.Tensor:
    """batch_norm_relu, or with a residual batch_norm_add_relu, in training, of a masked batch."""
    if not _is_taken(input, weight, bias, running, True):
        raise _masked.refusal(input, mask, weight, bias, *running)
    output, mean, variance, _ = _masked.MaskedTrainingRelu.apply(
        input, residual, weight, bias, *mask, eps, upper_bound
    )
    _update_to_what_counts(running, mean, variance, momentum, input, mask)
    return output


def _needs_gradient(*tensors: torch.Tensor | None) -> bool:
    if torch._C._are_functorch_transforms_active():
        return True
    return torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in tensors
    )


def _is_taken(
    input: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running: _Running,
    training: bool,
) -> bool:
    """Whether the kernels do it, and torch would not refuse it.

    A small layer takes a tenth of its time here: common cases are told without calls.
    """
    data = input.dtype
    vector = data if weight is None else weight.dtype
    if (data, vector) not in _fitting_types or not (input.is_cpu and input.layout is torch.strided):
        return False
    if bias is not None:
        bias_type = bias.dtype
        if bias_type is not vector and not (weight is None and (data, bias_type) in _fitting_types):
            return False
        if not bias.is_cpu or not (type(bias) in _plain_classes or _is_plain(bias)):
            return False
    if weight is not None and not (
        weight.is_cpu and (type(weight) in _plain_classes or _is_plain(weight))
    ):
        return False
    if not (type(input) in _plain_classes or _is_plain(input)):
        return False
    if forward_ad._current_level >= 0 or _tracing_state() is not None:
        return False
    mean, variance = running
    shape = input.shape
    if len(shape) < 2:
        return False
    if training:
        # torch refuses a single value per channel, and has its own ways with an empty batch.
        channels = shape[1]
        if not input.numel() >= 2 * channels > 0:
            return False
        if mean is None or variance is None:
            return mean is variance
        vector_shape = (channels,)
        return bool(
            _is_statistic(mean)
            and _is_statistic(variance)
            and mean.shape == vector_shape == variance.shape
        )
    if mean is None or variance is None or not (_is_statistic(mean) and _is_statistic(variance)):
        return False
    return bool(mean.dtype is variance.dtype and mean.dtype in (data, torch.float32, torch.float64))


_plain_classes = (torch.Tensor, torch.nn.Parameter)


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether no functions of its own may want to know of torch's function.

    (torch.overrides asks for modes as well, which see what is called here.)
    """
    if type(tensor) in _plain_classes:
        return True
    own = getattr(tensor, "__torch_function__", None)
    return bool(own is torch._C._disabled_torch_function_impl)


def _is_statistic(tensor: torch.Tensor) -> bool:
    """Whether torch would take it for a running statistic of a tensor of the CPU."""
    return tensor.is_cpu and not tensor.requires_grad


def _normalized(
    input: torch.Tensor,
    running: _Running,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    if _needs_gradient(input, weight, bias):
        if _autograd.is_ordinary():
            # Training may change them before the backward pass.
            running = _copy(running)
        return _autograd.apply(_autograd.BatchNormInference, input, weight, bias, *running, eps)
    return _inference(input, weight, bias, *running, eps, _channel_axis)


def _copy(running: _Running) -> _Running:
    mean, variance = running
    assert mean is not None
    assert variance is not None
    return mean.clone(), variance.clone()


def _update(
    running: _Running,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    input: torch.Tensor,
) -> None:
    running_mean, running_variance = running
    if running_mean is not None:
        count = input.numel() // input.shape[1]
        _update_running_statistics(running_mean, running_variance, mean, variance, momentum, count)


def _update_to_what_counts(
    running: _Running,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    input: torch.Tensor,
    mask: _masked.Mask,
) -> None:
    running_mean, running_variance = running
    if running_mean is not None:
        count = _masked.count(input, mask)
        _masked.update_running_statistics(
            running_mean, running_variance, mean, variance, momentum, count
        )


def _relu(tensor: torch.Tensor, upper_bound: float | None) -> torch.Tensor:
    if upper_bound is None:
        # As relu, whose backward pass reads the result, which might be changed in place till then.
        return torch_functional.threshold(tensor, 0.0, 0.0)
    return torch_functional.hardtanh(tensor, 0.0, upper_bound)


__all__ = ["batch_norm", "batch_norm_add_relu", "batch_norm_relu"]
