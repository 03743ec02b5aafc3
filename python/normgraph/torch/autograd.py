"""Derivatives of the operators, of every order.

Each forward pass is a function of torch's autograd, and so is each backward pass, whose own
derivatives are formulas in torch's operations: these are differentiable as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from . import operators

_channel_axis = 1
_training = torch.ops.normgraph.batch_norm_training.default
_training_relu = torch.ops.normgraph.batch_norm_training_relu.default
_training_add_relu = torch.ops.normgraph.batch_norm_training_add_relu.default
_training_backprop = torch.ops.normgraph.batch_norm_training_backprop.default
_training_relu_backprop = torch.ops.normgraph.batch_norm_training_relu_backprop.default
_training_add_relu_backprop = torch.ops.normgraph.batch_norm_training_add_relu_backprop.default
_inference = torch.ops.normgraph.batch_norm_inference.default
_inference_backprop = torch.ops.normgraph.batch_norm_inference_backprop.default

Gradients = tuple[torch.Tensor | None, ...]


def _outputs(wanted: tuple[bool, ...]) -> int:
    """The operators' argument `outputs`: a bit for each."""
    return sum(1 << index for index, is_wanted in enumerate(wanted) if is_wanted)


_all = {count: (1 << count) - 1 for count in (3, 4)}


def _selected(gradients: tuple[torch.Tensor, ...], wanted: tuple[bool, ...]) -> Gradients:
    return tuple(
        gradient if is_wanted else None
        for gradient, is_wanted in zip(gradients, wanted, strict=True)
    )


class BatchNormTraining(torch.autograd.Function):
    """(input, gamma, beta, epsilon) -> normalized, mean, variance; the latter have no gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        epsilon: float,
    ) -> Any:
        return _training(input, gamma, beta, epsilon, _channel_axis, _all[3])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, _, ctx.epsilon = inputs
        _, mean, variance = output
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input, gamma, mean, variance)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor | None, *_: None) -> Gradients:
        if delta is None:
            return None, None, None, None
        input, gamma, mean, variance = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        gradients = _gradients_of_training(input, gamma, mean, variance, delta, ctx.epsilon, wanted)
        return (*gradients, None)


def _gradients_of_training(
    input: torch.Tensor,
    gamma: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    delta: torch.Tensor,
    epsilon: float,
    wanted: tuple[bool, ...],
) -> Gradients:
    if torch.is_grad_enabled():
        gradients = apply(
            BatchNormTrainingBackprop, input, gamma, mean, variance, delta, epsilon, 0.0
        )
    else:
        gradients = _training_backprop(
            input, gamma, None, mean, variance, delta, epsilon, _channel_axis, _outputs(wanted)
        )
    return _selected(gradients, wanted)


class BatchNormTrainingBackprop(torch.autograd.Function):
    """(input, gamma, mean, variance, delta, epsilon, added) -> the three gradients of training.

    mean and variance are the statistics of input, so that its gradient holds theirs; what has been
    `added` of epsilon to the variance is not added again.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        delta: torch.Tensor,
        epsilon: float,
        added: float,
    ) -> Any:
        return _training_backprop(
            input, gamma, None, mean, variance, delta, epsilon - added, _channel_axis, _all[3]
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, _, _, delta, ctx.epsilon, _ = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input, gamma, delta)

    @staticmethod
    def backward(
        ctx: Any,
        input_cotangent: torch.Tensor | None,
        gamma_cotangent: torch.Tensor | None,
        beta_cotangent: torch.Tensor | None,
    ) -> Gradients:
        input, gamma, delta = ctx.saved_tensors
        cotangents = (input_cotangent, gamma_cotangent, beta_cotangent)
        gradients = _second_gradients(input, gamma, delta, ctx.epsilon, cotangents)
        input_gradient, gamma_gradient, delta_gradient = gradients
        return input_gradient, gamma_gradient, None, None, delta_gradient, None, None


def _per_channel(vector: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return vector.double().reshape(1, -1, *[1] * (like.dim() - 2))


def _second_gradients(
    input: torch.Tensor,
    gamma: torch.Tensor | None,
    delta: torch.Tensor,
    epsilon: float,
    cotangents: tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None],
) -> Gradients:
    """The gradients of Σ G·input_delta + Σ g·gamma_delta + Σ b·beta_delta, (G, g, b) = cotangents.

    With x̂ = (x − mean)·s, s = 1/√(variance + ε), and the projection P(u) = u − mean(u) −
    x̂·mean(u·x̂), which is the derivative of x̂ divided by s, input_delta is gamma·s·P(δ). P is
    symmetric, so that δ has the gradient gamma·s·P(G) + g·x̂ + b, and gamma s·ΣG·P(δ). x is in x̂,
    with D = g·δ − gamma·s·(mean(δ·x̂)·G + mean(G·x̂)·δ) as the gradient of that, and in the factor
    s, whose derivative is −s²·x̂/n: s·P(D) − gamma·s²·(ΣG·P(δ))·x̂/n. In double.
    """
    axes = [0, *range(2, input.dim())]
    x, d = input.double(), delta.double()

    def mean(value: torch.Tensor) -> torch.Tensor:
        return value.mean(axes, keepdim=True)

    centered = x - mean(x)
    s = torch.rsqrt(mean(centered * centered) + epsilon)
    normalized = centered * s

    def projection(value: torch.Tensor) -> torch.Tensor:
        return value - mean(value) - normalized * mean(value * normalized)

    scale = s if gamma is None else s * _per_channel(gamma, input)
    outer, g, b = (0.0 if value is None else value.double() for value in cotangents)
    if cotangents[1] is not None:
        g = _per_channel(cotangents[1], input)
    if cotangents[2] is not None:
        b = _per_channel(cotangents[2], input)
    outer = torch.zeros_like(x) if cotangents[0] is None else outer
    product = mean(outer * projection(d))
    gradient_of_normalized = g * d - scale * (
        mean(d * normalized) * outer + mean(outer * normalized) * d
    )
    input_gradient = s * projection(gradient_of_normalized) - scale * s * product * normalized
    delta_gradient = scale * projection(outer) + g * normalized + b
    count = input.numel() // input.shape[1]
    gamma_gradient = None if gamma is None else (count * s * product).reshape(-1).to(gamma.dtype)
    return input_gradient.to(input.dtype), gamma_gradient, delta_gradient.to(delta.dtype)


class SelectByMask(torch.autograd.Function):
    """(input, mean, variance, mask, delta) -> delta where the bit of mask is 1, else 0.

    Only the shape of input counts.
    """

    @staticmethod
    def forward(
        input: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        mask: torch.Tensor,
        delta: torch.Tensor,
    ) -> Any:
        return _training_add_relu_backprop(
            input, None, None, mean, variance, mask, delta, 1.0, _channel_axis, 1 << 3
        )[3]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:4])

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> Gradients:
        return None, None, None, None, apply(SelectByMask, *ctx.saved_tensors, cotangent)


class BatchNormTrainingRelu(torch.autograd.Function):
    """(input, gamma, beta, epsilon, upper_bound) -> activated, mean, variance."""

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        epsilon: float,
        upper_bound: float | None,
    ) -> Any:
        return _training_relu(input, gamma, beta, epsilon, _channel_axis, upper_bound, _all[4])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, _, ctx.epsilon, _ = inputs
        _save_with_mask(ctx, input, gamma, output)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor | None, *_: None) -> Gradients:
        if delta is None:
            return None, None, None, None, None
        input, gamma, mean, variance, mask = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            selected = apply(SelectByMask, input, mean, variance, mask, delta)
            gradients = _gradients_of_training(
                input, gamma, mean, variance, selected, ctx.epsilon, wanted
            )
        else:
            gradients = _selected(
                _training_relu_backprop(
                    input,
                    gamma,
                    None,
                    mean,
                    variance,
                    mask,
                    delta,
                    ctx.epsilon,
                    _channel_axis,
                    _outputs(wanted),
                ),
                wanted,
            )
        return (*gradients, None, None)


def _save_with_mask(
    ctx: Any, input: torch.Tensor, gamma: torch.Tensor | None, output: tuple[torch.Tensor, ...]
) -> None:
    _, mean, variance, mask = output
    ctx.mark_non_differentiable(mean, variance, mask)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(input, gamma, mean, variance, mask)


class BatchNormTrainingAddRelu(torch.autograd.Function):
    """(input, residual, gamma, beta, epsilon, upper_bound) -> activated, mean, variance."""

    @staticmethod
    def forward(
        input: torch.Tensor,
        residual: torch.Tensor,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        epsilon: float,
        upper_bound: float | None,
    ) -> Any:
        return _training_add_relu(
            input, gamma, beta, residual, epsilon, _channel_axis, upper_bound, _all[4]
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, _, gamma, _, ctx.epsilon, _ = inputs
        _save_with_mask(ctx, input, gamma, output)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor | None, *_: None) -> Gradients:
        if delta is None:
            return None, None, None, None, None, None
        input, gamma, mean, variance, mask = ctx.saved_tensors
        needs = ctx.needs_input_grad
        wanted = (needs[0], needs[2], needs[3])
        if torch.is_grad_enabled():
            residual_delta = apply(SelectByMask, input, mean, variance, mask, delta)
            gradients = _gradients_of_training(
                input, gamma, mean, variance, residual_delta, ctx.epsilon, wanted
            )
        else:
            *computed, residual_delta = _training_add_relu_backprop(
                input,
                gamma,
                None,
                mean,
                variance,
                mask,
                delta,
                ctx.epsilon,
                _channel_axis,
                _outputs((*wanted, needs[1])),
            )
            gradients = _selected(tuple(computed), wanted)
        input_delta, gamma_delta, beta_delta = gradients
        residual_gradient = residual_delta if needs[1] else None
        return input_delta, residual_gradient, gamma_delta, beta_delta, None, None


class BatchNormInference(torch.autograd.Function):
    """(input, gamma, beta, mean, variance, epsilon) -> normalized; statistics are constants."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        epsilon: float,
    ) -> Any:
        return _inference(input, gamma, beta, mean, variance, epsilon, _channel_axis)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, _, mean, variance, ctx.epsilon = inputs
        ctx.save_for_backward(input, gamma, mean, variance)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor) -> Gradients:
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            gradients = apply(BatchNormInferenceBackprop, *ctx.saved_tensors, delta, ctx.epsilon)
        else:
            input, gamma, mean, variance = ctx.saved_tensors
            gradients = _inference_backprop(
                input,
                gamma,
                None,
                mean,
                variance,
                delta,
                ctx.epsilon,
                _channel_axis,
                _outputs(wanted),
            )
        return (*_selected(gradients, wanted), None, None, None)


class BatchNormInferenceBackprop(torch.autograd.Function):
    """(input, gamma, mean, variance, delta, epsilon) -> input_delta, gamma_delta, beta_delta."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: torch.Tensor,
        gamma: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        delta: torch.Tensor,
        epsilon: float,
    ) -> Any:
        return _inference_backprop(
            input, gamma, None, mean, variance, delta, epsilon, _channel_axis, _all[3]
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        input, gamma, mean, variance, delta, ctx.epsilon = inputs
        ctx.save_for_backward(input, gamma, mean, variance, delta)

    @staticmethod
    def backward(
        ctx: Any, outer: torch.Tensor, gamma_cotangent: torch.Tensor, beta_cotangent: torch.Tensor
    ) -> Gradients:
        # Of Σ G·gamma·s·δ + Σ g·δ·(x − mean)·s + Σ b·δ, (G, g, b) being what arrives. In double.
        input, gamma, mean, variance, delta = ctx.saved_tensors
        s = torch.rsqrt(_per_channel(variance, input) + ctx.epsilon)
        scale = s if gamma is None else s * _per_channel(gamma, input)
        g, d = _per_channel(gamma_cotangent, input), delta.double()
        normalized = (input.double() - _per_channel(mean, input)) * s
        delta_gradient = (
            scale * outer.double() + g * normalized + _per_channel(beta_cotangent, input)
        )
        gamma_gradient = None
        if gamma is not None:
            axes = [0, *range(2, input.dim())]
            gamma_gradient = (s * outer.double() * d).sum(axes).to(gamma.dtype)
        return (
            (g * s * d).to(input.dtype),
            gamma_gradient,
            None,
            None,
            delta_gradient.to(delta.dtype),
            None,
        )


def _apply_of_base(function: Any) -> Callable[..., Any]:
    apply_of_base: Callable[..., Any] = super(torch.autograd.Function, function).apply
    return apply_of_base


_fast_apply: dict[Any, Callable[..., Any]] = {
    function: _apply_of_base(function)
    for function in (
        BatchNormTraining,
        BatchNormTrainingBackprop,
        SelectByMask,
        BatchNormTrainingRelu,
        BatchNormTrainingAddRelu,
        BatchNormInference,
        BatchNormInferenceBackprop,
    )
}


def is_ordinary() -> bool:
    """Whether calls are made as they are written, not traced or transformed."""
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def _differentiable_training_backprop(
    input: torch.Tensor,
    grad_output: torch.Tensor,
    weight: torch.Tensor,
    _running_mean: torch.Tensor | None,
    _running_var: torch.Tensor | None,
    save_mean: torch.Tensor,
    save_var: torch.Tensor,
    epsilon: float,
) -> Any:
    """The backward pass of node_of_torch where it is differentiated.

    save_var is 1/√(variance + ε).
    """
    variance = save_var.detach().square().reciprocal()
    return apply(
        BatchNormTrainingBackprop, input, weight, save_mean, variance, grad_output, epsilon, epsilon
    )


operators.define(
    "differentiable_training_backprop" + operators.TRAINING_BACKPROP,
    _differentiable_training_backprop,
)

#: (input, weight, bias, running_mean, running_var, True, momentum, eps) -> normalized, …: the
#: layer, running statistics included, as a node of torch's own autograd.
node_of_torch = torch.miopen_batch_norm


def has_node_of_torch() -> bool:
    """Whether that is there, and serves."""
    return operators.is_fast and is_ordinary()


def apply(function: Any, *arguments: Any) -> Any:
    """function.apply(*arguments), without its search for defaults, which takes as long as a layer.

    Under torch.compile, and under the transforms of torch.func, it is that itself.
    """
    return _fast_apply[function](*arguments) if is_ordinary() else function.apply(*arguments)
