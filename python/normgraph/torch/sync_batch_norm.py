"""Batch normalization with the statistics of a batch that lies on several processes, on CPUs.

Each rank reduces its shard to the nodes of the canonical order of summation, gathers the nodes of
all ranks, and adds them in the order of the ranks. So nothing depends on how the transport sums.
"""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

import normgraph
from normgraph.distributed.exchange import Exchange, Gathered, Padding, Stage

from . import functional, modules

# ---- the ranks ----------------------------------------------------------------------------------

#: What the ranks of a group have agreed on for each layer. A new group begins anew, as its other
#: ranks may not have been there before.
_paddings: weakref.WeakKeyDictionary[Any, weakref.WeakKeyDictionary[Any, Padding]] = (
    weakref.WeakKeyDictionary()
)


class _ProcessGroup:
    """What carries the messages of one layer to the other ranks of a process group."""

    def __init__(self, layer: torch.nn.Module, group: Any) -> None:
        self._layer = layer
        self._group = group
        self.ranks: list[int] = torch.distributed.get_process_group_ranks(group)
        self.is_first = self.ranks[0] == torch.distributed.get_rank()

    def all_gather(self, message: bytes) -> Sequence[bytes | memoryview]:
        paddings = _paddings.setdefault(self._group, weakref.WeakKeyDictionary())
        padding = paddings.setdefault(self._layer, Padding())
        return padding.all_gather(message, self._all_gather_equal)

    def _all_gather_equal(self, data: bytes) -> list[memoryview]:
        sent = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        received = list(torch.empty((len(self.ranks), len(data)), dtype=torch.uint8))
        torch.distributed.all_gather(received, sent, self._group)
        return [memoryview(row.numpy()) for row in received]


# ---- the layer as a function --------------------------------------------------------------------


class _Activation(NamedTuple):
    """What follows the normalization: nothing, ReLU, or ReLU of the sum with a residual."""

    has_relu: bool
    upper_bound: float | None
    has_residual: bool

    @classmethod
    def of(cls, activation: str | float | None, residual: torch.Tensor | None) -> _Activation:
        if activation is None:
            if residual is not None:
                raise ValueError("residual: expected a layer with an activation, got none")
            return _NO_ACTIVATION
        return cls(True, modules._upper_bound(activation), residual is not None)

    @property
    def options(self) -> dict[str, Any]:
        return {"upper_bound": self.upper_bound} if self.has_relu else {}

    @property
    def forward(self) -> Callable[..., Any]:
        if self.has_residual:
            return normgraph.batch_norm_training_add_relu
        if self.has_relu:
            return normgraph.batch_norm_training_relu
        return normgraph.batch_norm_training

    @property
    def backward(self) -> Callable[..., Any]:
        if self.has_residual:
            return normgraph.batch_norm_training_add_relu_backprop
        if self.has_relu:
            return normgraph.batch_norm_training_relu_backprop
        return normgraph.batch_norm_training_backprop


_NO_ACTIVATION = _Activation(has_relu=False, upper_bound=None, has_residual=False)


def _detached(*tensors: torch.Tensor | None) -> list[Any]:
    """Tensors that lend their memory, which those that require gradients do not."""
    return [None if tensor is None else tensor.detach() for tensor in tensors]


def _fits(residual: torch.Tensor, input: torch.Tensor) -> bool:
    """Whether the kernels add the residual: none that is broadcast, or of another type."""
    return bool(residual.shape == input.shape and residual.dtype is input.dtype)


def _check_tensor(name: str, tensor: Any) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(
            f"{name}: expected a torch.Tensor, got {tensor!r} of type {type(tensor).__name__}"
        )
    if not tensor.is_cpu:
        raise ValueError(
            f"{name}: expected a tensor on the CPU, got one on {tensor.device}; "
            "torch.nn.SyncBatchNorm takes others"
        )


def _statistics_type(data_type: torch.dtype) -> torch.dtype:
    return torch.float32 if data_type.itemsize == 2 else data_type


class _Normalize(torch.autograd.Function):
    """(input, weight, bias, residual) -> output, mean, variance, with the statistics of all."""

    @staticmethod
    def forward(
        ctx: Any,
        input: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        residual: torch.Tensor | None,
        statistics: Gathered,
        activation: _Activation,
        epsilon: float,
        exchange: Exchange,
    ) -> Any:
        arrays = [input, weight, bias] if residual is None else [input, weight, bias, residual]
        output = torch.empty_like(input)
        mean, variance = (
            input.new_empty(input.shape[1], dtype=_statistics_type(input.dtype)) for _ in range(2)
        )
        out = (output, mean, variance, None)[: 4 if activation.has_relu else 3]
        result = activation.forward(
            *_detached(*arrays),
            epsilon=epsilon,
            out=out,
            statistics=statistics.total,
            num_threads=torch.get_num_threads(),
            **activation.options,
        )
        mask = torch.from_numpy(result.mask) if activation.has_relu else None
        ctx.save_for_backward(input, weight, mean, variance, mask)
        ctx.mark_non_differentiable(mean, variance)
        ctx.bias_type = None if bias is None else bias.dtype
        ctx.unrecorded = statistics.unrecorded
        ctx.activation, ctx.epsilon, ctx.exchange = activation, epsilon, exchange
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor, *_: torch.Tensor) -> tuple[Any, ...]:
        saved: list[torch.Tensor | None] = []
        with torch.no_grad():
            gradients = _gradients(ctx, saved, delta)
        if torch.is_grad_enabled():
            gradients = _without_derivative(gradients, [delta, *saved[:2]])
        return (*gradients, None, None, None, None)


def _gradients(
    ctx: Any, saved: list[torch.Tensor | None], delta: torch.Tensor
) -> list[torch.Tensor | None]:
    """The gradients of input, weight, bias and residual; those of the vectors are the shard's.

    `saved` takes the tensors that were saved: a checkpoint lets them be asked for once.
    """
    needs_input, needs_weight, needs_bias, needs_residual = ctx.needs_input_grad[:4]

    def sums_of_shard() -> Any:
        # Errors of it are passed on: a tensor may have been modified since, on one rank.
        saved.extend(ctx.saved_tensors)
        input, _, mean, variance, mask = _detached(*saved)
        return normgraph.batch_norm_backprop_sums(
            input,
            mean,
            variance,
            delta.detach(),
            mask=mask,
            first_sample=ctx.exchange.first_sample,
            num_threads=torch.get_num_threads(),
        )

    if needs_input:
        _check_recorded(ctx.unrecorded)
        own, total, _ = ctx.exchange.gather(Stage.BACKWARD, sums_of_shard)
    else:
        own = total = sums_of_shard()
    input, weight, mean, variance, mask = _detached(*saved)
    # The kernels check beta, and do not read it.
    beta = None if ctx.bias_type is None else torch.empty_like(mean, dtype=ctx.bias_type)
    arrays = [input, weight, beta, mean, variance, *([] if mask is None else [mask])]

    def apply(sums: Any, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if outputs:
            names = _GRADIENTS[: 4 if ctx.activation.has_residual else 3]
            ctx.activation.backward(
                *arrays,
                delta.detach(),
                epsilon=ctx.epsilon,
                out=tuple(map(outputs.get, names)),
                outputs=tuple(outputs),
                sums=sums,
                num_threads=torch.get_num_threads(),
            )
        return outputs

    of_data, of_vectors = {}, {}
    if needs_input:
        of_data["input_delta"] = torch.empty_like(input)
    if needs_residual:
        of_data["residual_delta"] = torch.empty_like(input)
    if needs_weight:
        of_vectors["gamma_delta"] = torch.empty_like(weight)
    if needs_bias:
        of_vectors["beta_delta"] = torch.empty_like(beta)
    found = {**apply(total, of_data), **apply(own, of_vectors)}
    return [found.get(name) for name in _GRADIENTS]


_GRADIENTS = ("input_delta", "gamma_delta", "beta_delta", "residual_delta")


def _check_recorded(unrecorded: list[int]) -> None:
    if unrecorded:
        raise RuntimeError(
            "SyncBatchNorm: input: expected it to require a gradient on all ranks or on none, got "
            f"one that did not on rank {', '.join(map(str, unrecorded))}, which does not take part "
            "in this backward pass"
        )


class _NotDifferentiable(torch.autograd.Function):
    """Gradients as they are; `sources` are what they depend on."""

    @staticmethod
    def forward(ctx: Any, count: int, *gradients_and_sources: torch.Tensor) -> Any:
        return gradients_and_sources[:count]

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:
        raise NotImplementedError(
            "normgraph.torch.SyncBatchNorm: expected gradients of first order only: those of its "
            "backward pass would take sums over all ranks that are not exchanged"
        )


def _without_derivative(
    gradients: Sequence[torch.Tensor | None], sources: Sequence[torch.Tensor | None]
) -> list[torch.Tensor | None]:
    """Gradients that raise an error where they are differentiated, which no zero would tell."""
    present = [gradient for gradient in gradients if gradient is not None]
    origins = [source for source in sources if source is not None]
    linked = iter(_NotDifferentiable.apply(len(present), *present, *origins))
    return [None if gradient is None else next(linked) for gradient in gradients]


# ---- the layer ----------------------------------------------------------------------------------


class SyncBatchNorm(modules._BatchNorm, torch.nn.modules.batchnorm._BatchNorm):
    """Batch normalization over a batch of which every process holds a shard, on CPUs.

    The whole batch is the shards in the order of the ranks. Shards may differ in their number of
    samples and in the size of the images, and be empty. Those that begin where a block of samples
    does (a multiple of 32 samples for images) have the results and the gradients of the unsplit
    batch, to the bit.

    In training each forward pass gathers the statistics of all ranks in one collective (float64:
    two, since it takes a second pass), and each backward pass of an input that requires a gradient
    its sums in one. The first time that more than 4 KiB are sent there is one more. So every rank
    of the group must call the layers in the same order, as with torch's. In eval mode, without an
    initialized torch.distributed, and in a group of one process the layer is a local one.

    The gradients of weight and bias are this rank's contributions, as they are with
    torch.nn.SyncBatchNorm: DistributedDataParallel averages them with those of the other ranks.
    There are no gradients of second order; asking for them raises NotImplementedError.

    It is no subclass of torch.nn.SyncBatchNorm, which torch's DistributedDataParallel refuses on
    CPUs, but has its parameters, buffers and `state_dict()`. The recomputation of a checkpoint
    leaves the running statistics as they are.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype : as
        torch.nn.SyncBatchNorm's
    process_group : the ranks that share the batch; None means all. Its backend must take CPU
        tensors, as gloo does.
    options : activation, as normgraph.torch.BatchNorm2d takes it; and what torch's layers take
        besides, such as bias

    Shape: input (N, C, …) of float16, bfloat16, float32 or float64, in any strides; output alike.

    Raises ValueError where the whole batch has but one element per channel. What one rank finds
    wrong before it exchanges anything is raised by all, as RuntimeError with its rank and text.
    """

    process_group: Any = None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, **options
        )
        self.process_group = process_group

    def forward(
        self,
        input: torch.Tensor,
        residual: torch.Tensor | None = None,
        activation: str | float | None = None,
        *,
        where: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Normalize `input`, add `residual`, apply the activation.

        Parameters
        ----------
        input : tensor (N, C, …) with num_features channels; this rank's shard
        residual : tensor of input's shape, added before the activation
        activation : the activation of this call, in place of the layer's own
        where, lengths : a mask, as the other layers take it, where no statistics are shared

        Returns
        -------
        tensor with input's shape, type and order in memory. Raises NotImplementedError for a mask
        where statistics are shared.
        """
        group = self._group() if self.training else None
        if group is None:
            normalized: torch.Tensor = super().forward(
                input, residual, activation, where=where, lengths=lengths
            )
            return normalized
        if where is not None or lengths is not None:
            name = "lengths" if where is None else "where"
            raise NotImplementedError(
                f"{name}: expected None in a group of processes, which share the statistics of all "
                "positions"
            )
        activation = self.activation if activation is None else activation
        exchange = Exchange("SyncBatchNorm", _ProcessGroup(self, group))
        statistics = self._statistics_of_all(input, residual, activation, exchange)
        if statistics.total.count == 0:
            empty: torch.Tensor = super().forward(input, residual, activation)
            return empty
        return self._normalize_with(statistics, input, residual, activation, exchange)

    def __deepcopy__(self, memo: dict[int, Any]) -> SyncBatchNorm:
        # A group is no value: the copy belongs to the same.
        memo[id(self.process_group)] = self.process_group
        duplicate = type(self).__new__(type(self))
        memo[id(self)] = duplicate
        duplicate.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return duplicate

    @classmethod
    def convert(cls, model: torch.nn.Module, process_group: Any = None) -> torch.nn.Module:
        """Turn all batch norms of `model` into SyncBatchNorm, in place.

        torch.nn.BatchNorm1d, 2d, 3d and SyncBatchNorm, and normgraph's, keep their parameters,
        buffers, hooks and activation: they stay the same objects, of another class. Layers with
        a forward pass or parametrization of their own, and lazy ones that have not seen an input,
        are left alone, which a warning says.

        Parameters
        ----------
        model : torch.nn.Module, which may be a batch norm itself
        process_group : that of all layers; None means all ranks, and for a SyncBatchNorm its own

        Returns
        -------
        model
        """
        for name, module in model.named_modules():
            if not isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                continue
            obstacle = _obstacle(module)
            if obstacle is not None:
                warnings.warn(
                    f"SyncBatchNorm.convert: {name or 'model'}, a {type(module).__name__}, is "
                    f"left alone: {obstacle}",
                    stacklevel=2,
                )
                continue
            group = getattr(module, "process_group", None)
            module.__class__ = cls
            module.process_group = group if process_group is None else process_group
        return model

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"input: expected at least 2 dimensions, got {input.dim()}")

    def _group(self) -> Any:
        """The process group with which there is something to exchange, or None."""
        distributed = torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return None
        group = distributed.group.WORLD if self.process_group is None else self.process_group
        world_size = distributed.get_world_size(group)
        if world_size < 1:
            raise ValueError(
                "process_group: expected a group that this process belongs to, got one without "
                f"rank {distributed.get_rank()}"
            )
        return group if world_size > 1 else None

    def _statistics_of_all(
        self,
        input: torch.Tensor,
        residual: torch.Tensor | None,
        activation: str | float | None,
        exchange: Exchange,
    ) -> Gathered:
        def statistics_of_shard(about: Any = None) -> Any:
            return normgraph.batch_norm_statistics(
                input.detach(),
                first_sample=exchange.first_sample,
                about=about,
                num_threads=torch.get_num_threads(),
            )

        def checked_statistics() -> Any:
            self._check(input, residual, activation)
            return statistics_of_shard()

        # Nothing may raise before the exchange but what it passes on.
        needs_gradient = torch.is_grad_enabled() and getattr(input, "requires_grad", False)
        first = exchange.gather(Stage.STATISTICS, checked_statistics, needs_gradient)
        if first.total.count == 1:
            raise ValueError(
                "SyncBatchNorm: input: expected more than 1 value per channel when training, got "
                "1 on all ranks together"
            )
        if input.dtype != torch.float64 or first.total.count == 0:
            return first
        return exchange.gather(
            Stage.SECOND_PASS, lambda: statistics_of_shard(first.total), needs_gradient
        )

    def _normalize_with(
        self,
        statistics: Gathered,
        input: torch.Tensor,
        residual: torch.Tensor | None,
        activation: str | float | None,
        exchange: Exchange,
    ) -> torch.Tensor:
        is_fused = residual is None or _fits(residual, input)
        output, mean, variance = _Normalize.apply(
            input,
            self.weight,
            self.bias,
            residual if is_fused else None,
            statistics,
            _Activation.of(activation, residual) if is_fused else _NO_ACTIVATION,
            self.eps,
            exchange,
        )
        if self.track_running_stats and not _is_recomputation():
            self._update_running_statistics(mean, variance, statistics.total.count)
        if is_fused or activation is None:
            return output
        return functional._relu(output + residual, modules._upper_bound(activation))

    def _check(
        self,
        input: torch.Tensor,
        residual: torch.Tensor | None,
        activation: str | float | None,
    ) -> None:
        """Raise what would else be raised after the exchange, where the other ranks go on."""
        _check_tensor("input", input)
        self._check_input_dim(input)
        form = _Activation.of(activation, residual)
        arrays = [input, self.weight, self.bias]
        if residual is not None:
            _check_tensor("residual", residual)
            if _fits(residual, input):
                arrays.append(residual)
            else:
                torch.broadcast_shapes(input.shape, residual.shape)
                form = _NO_ACTIVATION
        # The kernels check the arguments of an empty part as those of any other.
        input, *others = _detached(*arrays)
        empty = [input[:0], *others[:2], *(residual[:0] for residual in others[2:])]
        two_samples = torch.zeros((2, input.shape[1]), dtype=input.dtype)
        form.forward(
            *empty,
            epsilon=self.eps,
            out=(torch.empty_like(empty[0]), *[None] * (3 if form.has_relu else 2)),
            statistics=normgraph.batch_norm_statistics(two_samples),
            **form.options,
        )
        if self.track_running_stats:
            zeros = torch.zeros(input.shape[1], dtype=_statistics_type(input.dtype))
            self._moved_running_statistics(zeros, zeros, 2, self.momentum or 0.0)

    def _update_running_statistics(
        self, mean: torch.Tensor, variance: torch.Tensor, count: int
    ) -> None:
        momentum = self._count_batch()
        running = (self.running_mean, self.running_var)
        moved = self._moved_running_statistics(mean, variance, count, momentum)
        with torch.no_grad():
            for old, new in zip(running, moved, strict=True):
                if old is not None:
                    old.copy_(new)

    def _moved_running_statistics(
        self, mean: torch.Tensor, variance: torch.Tensor, count: int, momentum: float
    ) -> Any:
        if self.running_mean is None or self.running_var is None:
            return None, None
        running = (self.running_mean, self.running_var)
        return normgraph.update_running_statistics(
            running,
            (mean, variance),
            count,
            momentum,
            out=(torch.empty_like(running[0]), torch.empty_like(running[1])),
        )

    def _count_batch(self) -> float:
        """The weight of this batch in the running statistics; it is counted."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return float(self.momentum)
        return 0.0 if self.num_batches_tracked is None else 1.0 / float(self.num_batches_tracked)


def _is_recomputation() -> bool:
    """Whether a backward pass runs: that of a checkpoint repeats a forward pass that counts."""
    return bool(torch._C._current_graph_task_id() != -1)


_known_forward_passes = {
    torch.nn.modules.batchnorm._BatchNorm.forward,
    torch.nn.SyncBatchNorm.forward,
    modules._BatchNorm.forward,
    SyncBatchNorm.forward,
}


def _obstacle(module: torch.nn.Module) -> str | None:
    """Why a layer cannot become a SyncBatchNorm; None if it can."""
    if isinstance(module, LazyModuleMixin):
        return "it is lazy, and has not seen an input"
    if parametrize.is_parametrized(module):
        return "it is parametrized"
    if "forward" in vars(module) or type(module).forward not in _known_forward_passes:
        return "its forward pass is its own"
    return None
