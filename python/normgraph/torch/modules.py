"""torch.nn's batch normalization layers, run by normgraph's kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.compiler import is_dynamo_compiling
from torch.utils._python_dispatch import _disable_current_modes

from .functional import batch_norm, batch_norm_add_relu, batch_norm_relu

if TYPE_CHECKING:
    from torch import Tensor

_graph_task_id = torch._C._current_graph_task_id

_UPPER_BOUNDS: dict[str | float, float | None] = {"relu": None, "relu6": 6.0}


def _upper_bound(activation: str | float) -> float | None:
    """The largest value that the activation lets through; None where there is no such bound."""
    if isinstance(activation, str):
        if activation in _UPPER_BOUNDS:
            return _UPPER_BOUNDS[activation]
    elif isinstance(activation, (int, float)) and activation > 0:
        return float(activation)
    raise ValueError(
        "activation: expected None, 'relu', 'relu6' or a positive upper bound of a ReLU, "
        f"got {activation!r}"
    )


def _copy(tensor: Tensor | None) -> Tensor | None:
    """A copy of which a mode does not know that compares the calls with those before."""
    with _disable_current_modes():
        return None if tensor is None else tensor.clone()


class _BatchNorm:
    """What the three layers add to torch's: a forward pass of our own, and an activation in it.

    It stands before torch's class in the order of bases. An object of torch's class becomes one of
    ours, and back, when `__class__` is set: no attribute of an instance is needed.
    """

    activation: str | float | None = None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        activation: str | float | None = None,
        **options: Any,
    ) -> None:
        if activation is not None:
            _upper_bound(activation)
        super().__init__(  # type: ignore[call-arg]
            num_features, eps, momentum, affine, track_running_stats, device, dtype, **options
        )
        if activation is not None:
            self.activation = activation

    def forward(
        self: Any,
        input: Tensor,
        residual: Tensor | None = None,
        activation: str | float | None = None,
        *,
        where: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Normalize `input`, add `residual`, apply the activation.

        Parameters
        ----------
        input : tensor of the rank that torch's layer takes, with num_features channels in axis 1
        residual : tensor of input's shape, added before the activation
        activation : the activation of this call, in place of the layer's own
        where : bool tensor, true where a position counts, which broadcasts to input's shape
            without the channel axis, or with one of length 1. Where the layer normalizes with the
            statistics of the batch, only what counts enters them; else a mask changes nothing.
        lengths : tensor (N) of integers, in place of where, for an input (N, C, T, …): the first
            so many positions of axis T count

        Raises ValueError for an input of another rank, a residual without an activation, an
        activation that is neither "relu", "relu6" nor a positive number, and a mask that does not
        fit.
        """
        self._check_input_dim(input)
        if activation is None:
            activation = self.activation
        if activation is not None:
            try:
                bound = _UPPER_BOUNDS[activation]
            except (KeyError, TypeError):
                bound = _upper_bound(activation)
        elif residual is not None:
            raise ValueError("residual: expected a layer with an activation, got none")
        try:
            # A look-up in these dictionaries takes a tenth of what Module.__getattr__ takes.
            parameters, buffers = self._parameters, self._buffers
            weight, bias = parameters["weight"], parameters["bias"]
            mean, variance = buffers["running_mean"], buffers["running_var"]
            batches = buffers["num_batches_tracked"]
        except KeyError:  # Parametrized, for instance: the name is a property.
            weight, bias = self.weight, self.bias
            mean, variance = self.running_mean, self.running_var
            batches = self.num_batches_tracked
        momentum = self.momentum
        training = self.training
        if not training:
            training = mean is None and variance is None
        elif not self.track_running_stats:
            mean = variance = None
        elif not is_dynamo_compiling() and _graph_task_id() != -1:
            # While autograd runs a graph, a forward pass is the recomputation of a checkpoint, and
            # these statistics have been counted. Copies are updated: a checkpoint asks for as many
            # saved tensors as there were.
            mean, variance = _copy(mean), _copy(variance)
        elif batches is not None:
            batches.add_(1)
            if momentum is None:
                momentum = 1.0 / float(batches)
        if momentum is None:
            momentum = 0.0

        if where is not None or lengths is not None:
            options = (mean, variance, weight, bias, training, momentum, self.eps)
            if activation is None:
                return batch_norm(input, *options, where=where, lengths=lengths)
            if residual is None:
                return batch_norm_relu(input, *options, bound, where=where, lengths=lengths)
            return batch_norm_add_relu(
                input, residual, *options, bound, where=where, lengths=lengths
            )
        if activation is None:
            return batch_norm(input, mean, variance, weight, bias, training, momentum, self.eps)
        if residual is None:
            return batch_norm_relu(
                input, mean, variance, weight, bias, training, momentum, self.eps, bound
            )
        return batch_norm_add_relu(
            input, residual, mean, variance, weight, bias, training, momentum, self.eps, bound
        )

    def extra_repr(self) -> str:
        text: str = super().extra_repr()  # type: ignore[misc]
        return text if self.activation is None else f"{text}, activation={self.activation}"


class BatchNorm1d(_BatchNorm, torch.nn.BatchNorm1d):
    """torch.nn.BatchNorm1d, with an activation if wanted.

    Takes tensors (N, C) or (N, C, L). It differs from torch's layer in one respect: what a
    checkpoint recomputes does not update the running statistics a second time.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype : torch's
    activation : None, "relu", "relu6", or a number, the upper bound of a ReLU that has one

    Raises ValueError for another activation.
    """


class BatchNorm2d(_BatchNorm, torch.nn.BatchNorm2d):
    """torch.nn.BatchNorm2d, with an activation if wanted.

    Takes tensors (N, C, H, W). It differs from torch's layer in one respect: what a checkpoint
    recomputes does not update the running statistics a second time.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype : torch's
    activation : None, "relu", "relu6", or a number, the upper bound of a ReLU that has one

    Raises ValueError for another activation.
    """


class BatchNorm3d(_BatchNorm, torch.nn.BatchNorm3d):
    """torch.nn.BatchNorm3d, with an activation if wanted.

    Takes tensors (N, C, D, H, W). It differs from torch's layer in one respect: what a checkpoint
    recomputes does not update the running statistics a second time.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype : torch's
    activation : None, "relu", "relu6", or a number, the upper bound of a ReLU that has one

    Raises ValueError for another activation.
    """
