"""What a fused forward pass calls where the original one calls a batch norm and a ReLU.

A batch norm is begun where it is called, and finished where its ReLU is applied, when a residual
may have come in between. Whether the two can be one is asked at every call: a module that was
replaced, or has got a hook, is called as the original forward pass calls it. So a fused forward
pass is right whatever happens to the modules after the conversion.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Hardtanh, Module, ReLU, ReLU6, Sequential

from .modules import BatchNorm1d, BatchNorm2d, BatchNorm3d

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_NORMS = {
    torch.nn.BatchNorm1d: BatchNorm1d,
    torch.nn.BatchNorm2d: BatchNorm2d,
    torch.nn.BatchNorm3d: BatchNorm3d,
}
_OURS = frozenset(BATCH_NORMS.values())
_has_hooks_of_all_modules = torch.nn.modules.module._has_any_global_hook

# A batch norm and the input that it waits with; or None, and the output of what else was called.
_Begun = tuple[Any, Tensor]


def has_hooks(module: Any) -> bool:
    """Whether others see a call of the module, or have put their own in its place."""
    return bool(
        _has_hooks_of_all_modules()
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )


def is_batch_norm(module: Any) -> bool:
    """Whether the module is a layer of ours that can take on an activation."""
    return module.__class__ in _OURS and module.activation is None and not has_hooks(module)


def is_sequential(module: Any) -> bool:
    """Whether a call of the module is one of its children after the other."""
    return runs_in_sequence(type(module))


def runs_in_sequence(kind: Any) -> bool:
    """Whether the class is Sequential, or one of its subclasses that are called as it is."""
    return (
        issubclass(kind, Sequential)
        and kind.forward in _SEQUENTIAL_FORWARDS
        and kind.__iter__ is Sequential.__iter__
        and kind.__call__ is Module.__call__
    )


def kind_of_activation(module: Any) -> str | float | None:
    """The activation that the module computes, as our layers call it; None if they have no such."""
    kind = module.__class__
    if kind is ReLU:
        return "relu"
    if kind is ReLU6:
        return "relu6"
    if kind is Hardtanh and module.min_val == 0.0 and 0.0 < module.max_val < math.inf:
        return float(module.max_val)
    return None


def activation_of(module: Any, dtype: torch.dtype | None = None) -> str | float | None:
    """The activation that a batch norm can take over from the module; None where it has none.

    dtype : the type of the batch norm's input, where it is known: a bound beyond its normal
        numbers, which may become 0 or infinite in it, is left to torch
    """
    kind = kind_of_activation(module)
    if kind is None or has_hooks(module):
        return None
    if isinstance(kind, float) and dtype is not None and dtype.is_floating_point:
        numbers = torch.finfo(dtype)
        return kind if numbers.tiny <= kind <= numbers.max else None
    return kind


def passes_on(module: Any) -> bool:
    """Whether a call of the module may return its input, and else a tensor that nobody has."""
    return type(module) in _PASSING and not has_hooks(module)


def returns_new(module: Any) -> bool:
    """Whether a call of the module returns a tensor whose memory nobody else has."""
    if has_hooks(module):
        return False
    if not is_sequential(module):
        return getattr(type(module), "forward", None) in _NEW_FORWARDS
    return any_returns_new(list(module._modules.values()))


def any_returns_new(modules: list[Any]) -> bool:
    """Whether what the modules return, called one after the other, is such a tensor."""
    for module in reversed(modules):
        if returns_new(module):
            return True
        if not passes_on(module):
            return False
    return False


def begin(module: Any, input: Tensor) -> _Begun:
    """Call the module but for a batch norm that it ends in, which waits."""
    if is_batch_norm(module):
        return module, input
    if is_sequential(module) and not has_hooks(module) and module._compiled_call_impl is None:
        return _begin_sequential(module, input)
    return None, module(input)


def finish(begun: _Begun, activation: Module) -> Tensor:
    """Compute activation(batch norm)."""
    batch_norm, value = begun
    if batch_norm is not None:
        kind = activation_of(activation, value.dtype)
        if kind is not None:
            return batch_norm(value, None, kind)
        value = batch_norm(value)
    return activation(value)


def finish_with_residual(
    begun: _Begun, activation: Module, add: Callable[[Any, Any], Any], residual: Any
) -> Tensor:
    """Compute activation(add(batch norm, residual)); `add` is operator.add, iadd or the like."""
    batch_norm, value = begun
    if batch_norm is not None:
        kind = activation_of(activation, value.dtype)
        if (
            kind is not None
            and isinstance(residual, Tensor)
            and residual.dtype is value.dtype
            and residual.shape == value.shape
        ):
            return batch_norm(value, residual, kind)
        value = batch_norm(value)
    return activation(add(value, residual))


def _begin_sequential(sequential: Any, input: Tensor) -> _Begun:
    batch_norm = None
    for module in sequential._modules.values():
        if batch_norm is not None:
            activation = activation_of(module, input.dtype)
            if activation is not None:
                input = batch_norm(input, None, activation)
                batch_norm = None
                continue
            input = batch_norm(input)
            batch_norm = None
        if is_batch_norm(module):
            batch_norm = module
        else:
            input = module(input)
    return batch_norm, input


def sequential_forward(self: Sequential, input: Tensor) -> Tensor:
    """Run the forward pass of a Sequential, with each ReLU in the batch norm before it."""
    batch_norm, input = _begin_sequential(self, input)
    return input if batch_norm is None else batch_norm(input)


_SEQUENTIAL_FORWARDS = frozenset({Sequential.forward, sequential_forward})
_NEW_FORWARDS = frozenset(
    kind.forward
    for kind in (
        torch.nn.Linear,
        torch.nn.Conv1d,
        torch.nn.Conv2d,
        torch.nn.Conv3d,
        torch.nn.ConvTranspose1d,
        torch.nn.ConvTranspose2d,
        torch.nn.ConvTranspose3d,
        torch.nn.BatchNorm2d,
        BatchNorm2d,
    )
)
_PASSING = frozenset(
    {
        torch.nn.Identity,
        torch.nn.Dropout,
        torch.nn.Dropout1d,
        torch.nn.Dropout2d,
        torch.nn.Dropout3d,
        ReLU,
        ReLU6,
        Hardtanh,
    }
)
