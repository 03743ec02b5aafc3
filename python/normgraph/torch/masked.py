"""Batch normalization of masked batches: operators of torch, and their derivatives.

A mask is a pair (where, lengths), of which at least one is None: `where` says of each position
whether it counts, `lengths` how many positions of each sample do. Only what counts enters mean and
variance; everything is normalized.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from normgraph import _core

from . import autograd as _autograd
from . import operators

Mask = tuple[torch.Tensor | None, torch.Tensor | None]

_channel_axis = 1
_namespace = "normgraph"
_library = torch.library.Library(_namespace, "FRAGMENT")  # unregisters its part when it ends

_integer_types = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def checked(input: torch.Tensor, where: torch.Tensor | None, lengths: torch.Tensor | None) -> Mask:
    """The mask of an input (N, C, …) in the form that the operators take.

    Raises TypeError and ValueError, which name the argument. What the numbers are is not looked at
    here, so that it can be traced.
    """
    if input.dim() < 2:
        raise ValueError(f"input: expected at least 2 dimensions, got {input.dim()}")
    if where is None:
        return None, _checked_lengths(input, lengths)
    if lengths is not None:
        raise ValueError("lengths: expected None beside where, got both")
    return _checked_where(input, where), None


def _checked_where(input: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """where, without an axis of channels."""
    _check_tensor("where", where)
    if where.dtype is not torch.bool:
        raise ValueError(
            f"where: expected a boolean tensor, got one of {where.dtype}: compare it, where != 0"
        )
    shape, positions = tuple(where.shape), (input.shape[0], *input.shape[2:])
    if len(shape) == input.dim() and shape[_channel_axis] == 1:
        where = where.select(_channel_axis, 0)
    fits = where.dim() <= len(positions) and all(
        length in (1, expected)
        for length, expected in zip(reversed(where.shape), reversed(positions), strict=False)
    )
    if not fits:
        raise ValueError(
            f"where: expected a shape that broadcasts to {positions}, which is input's without the "
            f"channel axis, or to the same with a channel axis of length 1, got {shape}"
        )
    return where


def _checked_lengths(input: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    _check_tensor("lengths", lengths)
    assert lengths is not None
    if lengths.dtype not in _integer_types:
        raise ValueError(f"lengths: expected a vector of integers, got a tensor of {lengths.dtype}")
    if input.dim() < 3:
        raise ValueError("lengths: expected None, since input has no axis behind the channels")
    if lengths.shape != (input.shape[0],):
        raise ValueError(
            f"lengths: expected one for each of {input.shape[0]} samples, got shape "
            f"{tuple(lengths.shape)}"
        )
    return lengths


def _check_tensor(name: str, value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")
    if not value.is_cpu or value.layout is not torch.strided:
        raise ValueError(
            f"{name}: expected a strided tensor of the CPU, got {value.layout} on {value.device}"
        )


def refusal(input: torch.Tensor, mask: Mask, *vectors: torch.Tensor | None) -> Exception:
    """The error where the operators do not take an input: torch has no function that would."""
    name = "where" if mask[1] is None else "lengths"
    if input.numel() < 2 * input.shape[_channel_axis]:
        return ValueError(_too_few(name, input.numel() // max(input.shape[_channel_axis], 1)))
    given = ", ".join(
        f"{vector.dtype} {tuple(vector.shape)} on {vector.device}"
        for vector in (input, *vectors)
        if vector is not None
    )
    return NotImplementedError(
        f"{name}: expected a mask beside plain tensors of the CPU, of floats, with weight, bias "
        "and running statistics that fit the input, and neither derivatives forward nor "
        f"torch.jit.trace, got {given}"
    )


def _too_few(name: str, count: int) -> str:
    return f"{name}: expected more than one position that counts in training, got {count}"


def count(input: torch.Tensor, mask: Mask, channel_axis: int = _channel_axis) -> torch.Tensor:
    """How many positions count, as a scalar of int64."""
    where, lengths = mask
    positions = list(input.shape)
    del positions[channel_axis]
    if where is not None:
        repetitions = math.prod(positions) // max(where.numel(), 1)
        return torch.count_nonzero(where) * repetitions
    assert lengths is not None
    return lengths.sum(dtype=torch.int64) * math.prod(positions[2:])


def _counts(input: torch.Tensor, mask: Mask) -> torch.Tensor:
    """Whether each position counts, of a shape that broadcasts to input's."""
    where, lengths = mask
    positions = (input.shape[0], *input.shape[2:])
    if where is None:
        assert lengths is not None
        steps = torch.arange(positions[1], device=lengths.device)
        where = steps < lengths[:, None]
        where = where.reshape(*positions[:2], *[1] * (len(positions) - 2))
    return where.broadcast_to(positions).unsqueeze(_channel_axis)


# ---- operators ----------------------------------------------------------------------------------


def _argument_names(schema: str) -> list[str]:
    arguments = schema.partition("(")[2].partition(")")[0].split(", ")
    return [argument.split()[-1] for argument in arguments]


def _masked_schema(schema: str) -> str:
    arguments, _, results = schema.partition(") -> ")
    return f"masked_{arguments}, Tensor? where, Tensor? lengths) -> {results}"


def _fake(operator: operators.Operator, names: list[str], *values: Any) -> Any:
    return operators.new_results(operator, dict(zip(names, values, strict=True)))


def _run(operator: operators.Operator, names: list[str], *values: Any) -> Any:
    arguments = dict(zip(names, values, strict=True))
    results = operators.compute(operator, arguments)
    if not operator.name.endswith("_backprop"):
        where, lengths = arguments["where"], arguments["lengths"]
        counted = int(count(arguments["input"], (where, lengths), arguments["channel_axis"]))
        if counted < 2 and not (where is None and lengths is None):
            # As torch refuses a batch of one value for each channel.
            raise ValueError(_too_few("lengths" if where is None else "where", counted))
    return results


def _refuse_vmap(*_: Any) -> Any:
    raise NotImplementedError(
        "vmap: expected a batch norm without a mask (where, lengths), which has no rule for vmap: "
        "call it for each in a loop"
    )


def _register(name: str, fake: Any, kernel: Any) -> Any:
    torch.library.register_fake(f"{_namespace}::{name}", fake, lib=_library)
    torch.library.register_vmap(f"{_namespace}::{name}", _refuse_vmap, lib=_library)
    _library.impl(name, kernel, "CPU")
    return getattr(torch.ops.normgraph, name).default


def _register_masked(operator: operators.Operator) -> Any:
    """The operator with a mask: the arguments where and lengths at the end.

    where has no axis of channels.
    """
    schema = _masked_schema(operator.schema)
    _library.define(schema, tags=operators.TAGS)
    facts = (operator, _argument_names(schema))
    return _register(
        f"masked_{operator.name}",
        functools.partial(_fake, *facts),
        functools.partial(_run, *facts),
    )


def _update(
    running_mean: torch.Tensor,
    running_variance: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    count: torch.Tensor,
) -> None:
    operators.update_running_statistics(
        running_mean, running_variance, mean, variance, momentum, int(count)
    )


def _register_update() -> Any:
    """(running_mean, running_variance, mean, variance, momentum, count): in place.

    Beside update_running_statistics, whose count is a number that tracing knows.
    """
    name = "masked_update_running_statistics"
    _library.define(
        f"{name}(Tensor(a!) running_mean, Tensor(b!) running_variance, Tensor mean, "
        "Tensor variance, float momentum, Tensor count) -> ()",
        tags=(torch.Tag.pt2_compliant_tag,),
    )
    return _register(name, lambda *_: None, _update)


_masked_operators = {
    operator.name: _register_masked(operator)
    for operator in (operators.Operator(*facts) for facts in _core.torch_operators())
    if operator.name.startswith("batch_norm_training")
}
_training = _masked_operators["batch_norm_training"]
_training_relu = _masked_operators["batch_norm_training_relu"]
_training_add_relu = _masked_operators["batch_norm_training_add_relu"]
_training_backprop = _masked_operators["batch_norm_training_backprop"]
_training_relu_backprop = _masked_operators["batch_norm_training_relu_backprop"]
_training_add_relu_backprop = _masked_operators["batch_norm_training_add_relu_backprop"]
#: Moves running statistics towards those of what counts.
update_running_statistics = _register_update()


# ---- derivatives --------------------------------------------------------------------------------


class _Function(torch.autograd.Function):
    @staticmethod
    def vmap(*_: Any) -> Any:
        return _refuse_vmap()


class MaskedTraining(_Function):
    """(input, gamma, beta, where, lengths, epsilon) -> normalized, mean, variance.

    Mean and variance have no gradient.
    """

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        where: torch.Tensor | None,
        lengths: torch.Tensor | None,
        epsilon: float,
    ) -> Any:
        return _training(input, gamma, beta, epsilon, _channel_axis, 0b111, where, lengths)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, _, where, lengths, ctx.epsilon = inputs
        _, mean, variance = output
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input, gamma, mean, variance, where, lengths)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor | None, *_: None) -> _autograd.Gradients:
        if delta is None:
            return (None,) * 6
        wanted = ctx.needs_input_grad[:3]
        input, gamma, mean, variance, where, lengths = ctx.saved_tensors
        gradients = _gradients_of_training(
            input, gamma, mean, variance, where, lengths, delta, ctx.epsilon, wanted
        )
        return (*gradients, None, None, None)


def _gradients_of_training(
    input: torch.Tensor,
    gamma: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    where: torch.Tensor | None,
    lengths: torch.Tensor | None,
    delta: torch.Tensor,
    epsilon: float,
    wanted: tuple[bool, ...],
) -> _autograd.Gradients:
    if torch.is_grad_enabled():
        gradients = MaskedTrainingBackprop.apply(
            input, gamma, mean, variance, where, lengths, delta, epsilon
        )
    else:
        gradients = _training_backprop(
            input,
            gamma,
            None,
            mean,
            variance,
            delta,
            epsilon,
            _channel_axis,
            _autograd._outputs(wanted),
            where,
            lengths,
        )
    return _autograd._selected(gradients, wanted)


class MaskedTrainingBackprop(_Function):
    """(input, gamma, mean, variance, where, lengths, delta, epsilon) -> the gradients of training.

    mean and variance are the statistics of input, so that its gradient holds theirs.
    """

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        where: torch.Tensor | None,
        lengths: torch.Tensor | None,
        delta: torch.Tensor,
        epsilon: float,
    ) -> Any:
        return _training_backprop(
            input,
            gamma,
            None,
            mean,
            variance,
            delta,
            epsilon,
            _channel_axis,
            0b111,
            where,
            lengths,
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, _, _, where, lengths, delta, ctx.epsilon = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input, gamma, where, lengths, delta)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> _autograd.Gradients:
        input, gamma, where, lengths, delta = ctx.saved_tensors
        input_gradient, gamma_gradient, delta_gradient = _second_gradients(
            input, gamma, (where, lengths), delta, ctx.epsilon, cotangents
        )
        return input_gradient, gamma_gradient, None, None, None, None, delta_gradient, None


def _second_gradients(
    input: torch.Tensor,
    gamma: torch.Tensor | None,
    mask: Mask,
    delta: torch.Tensor,
    epsilon: float,
    cotangents: tuple[torch.Tensor | None, ...],
) -> _autograd.Gradients:
    """The gradients of Σ G·input_delta + Σ g·gamma_delta + Σ b·beta_delta, (G, g, b) = cotangents.

    Let M(u) be the mean of u over the n positions that count, m be 1 there and else 0, and
    s = 1/√(variance + ε). The derivative of x̂ = (x − M(x))·s in a direction u is s·Q(u), with
    Q(u) = u − M(u) − x̂·M(x̂·u), whose transpose is R(δ) = δ − m·(Σδ + x̂·Σ(x̂·δ))/n. So
    input_delta = gamma·s·R(δ), and the sum is gamma·s·ΣQ(G)·δ + g·Σx̂·δ + b·Σδ. Of it, δ has the
    gradient gamma·s·Q(G) + g·x̂ + b, and gamma s·ΣQ(G)·δ. x is in x̂, with
    D = g·δ − gamma·s·(M(x̂·G)·δ + m·G·Σ(x̂·δ)/n) as the gradient of that, and in the factor s, whose
    derivative is −s²·m·x̂/n: s·R(D) − gamma·s²·(ΣQ(G)·δ)·m·x̂/n. In double.
    """
    axes = [0, *range(2, input.dim())]
    counts = _counts(input, mask)
    n = count(input, mask)

    def total(value: torch.Tensor) -> torch.Tensor:
        return value.sum(axes, keepdim=True)

    def counted(value: torch.Tensor) -> torch.Tensor:
        return torch.where(counts, value, 0.0)

    d = delta.double()
    # NaN and infinity where nothing counts and no gradient arrives have no part in it.
    has_part = counts | (d != 0) | input.isfinite()
    x = torch.where(has_part, input.double(), 0.0)
    centered = x - total(counted(x)) / n
    s = torch.rsqrt(total(counted(centered).square()) / n + epsilon)
    normalized = centered * s

    def derivative(value: torch.Tensor) -> torch.Tensor:
        value_mean = total(counted(value)) / n
        return value - value_mean - normalized * (total(counted(normalized * value)) / n)

    def transposed(value: torch.Tensor) -> torch.Tensor:
        return value - counted(total(value) + normalized * total(normalized * value)) / n

    scale = s if gamma is None else s * _autograd._per_channel(gamma, input)
    outer, g, b = (
        torch.zeros((), dtype=torch.float64) if cotangent is None else cotangent.double()
        for cotangent in cotangents
    )
    if cotangents[0] is None:
        outer = torch.zeros_like(x)
    g, b = (value if value.dim() == 0 else _autograd._per_channel(value, input) for value in (g, b))
    moved = derivative(outer)
    product = total(moved * d)
    gradient_of_normalized = g * d - scale * (
        total(counted(normalized * outer)) / n * d + counted(outer) * total(normalized * d) / n
    )
    input_gradient = (
        s * transposed(gradient_of_normalized) - scale * s * product * counted(normalized) / n
    )
    delta_gradient = scale * moved + g * normalized + b
    gamma_gradient = None if gamma is None else (s * product).reshape(-1).to(gamma.dtype)
    return input_gradient.to(input.dtype), gamma_gradient, delta_gradient.to(delta.dtype)


class MaskedTrainingRelu(_Function):
    """(input, residual, gamma, beta, where, lengths, epsilon, upper_bound) -> activated, mean, ….

    residual may be None: nothing is added then.
    """

    @staticmethod
    def forward(
        input: torch.Tensor,
        residual: torch.Tensor | None,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        where: torch.Tensor | None,
        lengths: torch.Tensor | None,
        epsilon: float,
        upper_bound: float | None,
    ) -> Any:
        options = (epsilon, _channel_axis, upper_bound, 0b1111, where, lengths)
        if residual is None:
            return _training_relu(input, gamma, beta, *options)
        return _training_add_relu(input, gamma, beta, residual, *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, residual, gamma, _, where, lengths, ctx.epsilon, _ = inputs
        ctx.has_residual = residual is not None
        _, mean, variance, bits = output
        ctx.mark_non_differentiable(mean, variance, bits)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input, gamma, mean, variance, where, lengths, bits)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor | None, *_: None) -> _autograd.Gradients:
        if delta is None:
            return (None,) * 8
        input, gamma, mean, variance, where, lengths, bits = ctx.saved_tensors
        needs_input, needs_residual, needs_gamma, needs_beta = ctx.needs_input_grad[:4]
        wanted: tuple[bool, ...] = (needs_input, needs_gamma, needs_beta)
        if torch.is_grad_enabled():
            residual_delta = _autograd.apply(
                _autograd.SelectByMask, input, mean, variance, bits, delta
            )
            gradients = _gradients_of_training(
                input, gamma, mean, variance, where, lengths, residual_delta, ctx.epsilon, wanted
            )
        else:
            backprop, outputs = _training_relu_backprop, wanted
            if ctx.has_residual:
                backprop, outputs = _training_add_relu_backprop, (*wanted, needs_residual)
            computed = backprop(
                input,
                gamma,
                None,
                mean,
                variance,
                bits,
                delta,
                ctx.epsilon,
                _channel_axis,
                _autograd._outputs(outputs),
                where,
                lengths,
            )
            gradients = _autograd._selected(computed[:3], wanted)
            residual_delta = computed[-1]
        input_delta, gamma_delta, beta_delta = gradients
        residual_gradient = residual_delta if needs_residual else None
        return input_delta, residual_gradient, gamma_delta, beta_delta, None, None, None, None
