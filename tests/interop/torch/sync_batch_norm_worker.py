"""Processes of a gloo group that run the cases of test_sync_batch_norm.py.

They are started once, since torch takes seconds to import, and get one case after the other.
"""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import pickle
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.utils.checkpoint

from normgraph.torch.sync_batch_norm import SyncBatchNorm

#: How long one case may take before its processes are taken to hang.
_LIMIT_IN_SECONDS = 120.0


class Ranks:
    """A gloo group of processes on this machine."""

    def __init__(self, size: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        context = multiprocessing.get_context("spawn")
        meeting_point = Path(self._folder.name, "meeting_point").as_uri()
        pipes = [context.Pipe() for _ in range(size)]
        self._connections = [ours for ours, _ in pipes]
        self._processes = [
            context.Process(target=_serve, args=(theirs, rank, size, meeting_point), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process, (_, theirs) in zip(self._processes, pipes, strict=True):
            process.start()
            theirs.close()

    def run(self, case: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Return what `case(rank, *arguments)` returns on each rank; arguments are plain values."""
        for connection in self._connections:
            connection.send_bytes(pickle.dumps((case, arguments)))
        end = time.monotonic() + _LIMIT_IN_SECONDS
        answers = []
        for rank, connection in enumerate(self._connections):
            if not connection.poll(max(0.0, end - time.monotonic())):
                self.stop()
                raise AssertionError(f"{case.__name__}: rank {rank} hangs")
            try:
                answers.append(pickle.loads(connection.recv_bytes()))
            except EOFError:
                self.stop()
                raise AssertionError(f"{case.__name__}: rank {rank} has died") from None
        for rank, (is_right, answer) in enumerate(answers):
            assert is_right, f"{case.__name__}: rank {rank}:\n{answer}"
        return [answer for _, answer in answers]

    @property
    def are_alive(self) -> bool:
        return all(process.is_alive() for process in self._processes)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self._folder.cleanup()


def _serve(connection: Connection, rank: int, size: int, meeting_point: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=meeting_point,
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=_LIMIT_IN_SECONDS / 2),
    )
    while True:
        try:
            case, arguments = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer = True, case(rank, *arguments)
        except Exception:
            answer = False, traceback.format_exc()
        connection.send_bytes(pickle.dumps(answer))


def collectives(group: Any = None) -> int:
    """How many collectives this process has taken part in, as the group itself counts them."""
    return int((group or torch.distributed.group.WORLD)._get_sequence_number_for_group())


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """A list that holds, at the end of the block, how many collectives there were."""
    before = collectives()
    count: list[int] = []
    yield count
    count.append(collectives() - before)


# ---- cases: functions of a rank -----------------------------------------------------------------


def layer_of(
    state: dict[str, Any], options: dict[str, Any], dtype: torch.dtype, group: Any = None
) -> Any:
    """A layer in training with this state, whose parameters have `dtype`."""
    channels = len(state["running_mean"])
    layer = SyncBatchNorm(channels, process_group=group, dtype=dtype, **options)
    missing, _ = layer.load_state_dict(state, strict=False)
    assert not missing
    return layer


def step(
    rank: int,
    shards: list[torch.Tensor],
    deltas: list[torch.Tensor],
    state: dict[str, Any],
    options: dict[str, Any],
    residuals: list[torch.Tensor] | None = None,
    requires_grad: tuple[bool, bool] = (True, True),
) -> dict[str, Any]:
    """One step of training of one layer."""
    layer = layer_of(state, options, state["weight"].dtype)
    input = shards[rank].requires_grad_(requires_grad[0])
    for parameter in layer.parameters():
        parameter.requires_grad_(requires_grad[1])
    residual = None if residuals is None else residuals[rank].requires_grad_()
    _step(layer, input, deltas[rank], residual)  # agrees on lengths
    layer.load_state_dict(state, strict=False)
    for tensor in (input, residual, *layer.parameters()):
        if tensor is not None:
            tensor.grad = None
    with counted() as forward:
        output = layer(input) if residual is None else layer(input, residual)
    with counted() as backward:
        if output.requires_grad:
            output.backward(deltas[rank])
    return {
        "output": output.detach(),
        "input": input.grad,
        "residual": None if residual is None else residual.grad,
        "weight": None if layer.weight is None else layer.weight.grad,
        "bias": None if layer.bias is None else layer.bias.grad,
        "state": layer.state_dict(),
        "collectives": (forward[0], backward[0]),
    }


def _step(layer: Any, input: Any, delta: Any, residual: Any = None) -> torch.Tensor:
    output: torch.Tensor = layer(input) if residual is None else layer(input, residual)
    if output.requires_grad:
        output.backward(delta)
    return output


def text_of_error(function: Callable[[], Any]) -> str:
    """The class and the text of what it raises."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def forward_of(
    rank: int, inputs: list[torch.Tensor], features: list[int], dtype: torch.dtype
) -> tuple[str, dict[str, Any], bool]:
    """The error of a forward pass, the state after it, and whether the next one is right."""
    layer = SyncBatchNorm(features[rank], dtype=dtype)
    text = text_of_error(lambda: layer(inputs[rank]))
    return text, layer.state_dict(), _goes_on(rank)


def _goes_on(rank: int) -> bool:
    """Whether the next pass is right: rank 0 has the only samples below the mean."""
    output = SyncBatchNorm(1)(torch.full((4, 1), float(rank > 0)))
    return bool(torch.all(output > 0 if rank > 0 else output < 0))


def modified_input(rank: int, culprit: int) -> tuple[str, bool]:
    """A backward pass where one rank has modified what was saved."""
    input = torch.ones(4, 3) * torch.arange(4.0)[:, None]
    layer = SyncBatchNorm(3)
    data = input.clone().requires_grad_()
    between = data * 1.0
    output = layer(between)
    if rank == culprit:
        between.mul_(2.0)
    text = text_of_error(lambda: output.sum().backward())
    return text, _goes_on(rank)


def different_passes(rank: int) -> str:
    """Rank 0 goes backward where the others go forward."""
    layer = SyncBatchNorm(3)
    input = torch.arange(12.0).reshape(4, 3).requires_grad_()
    output = layer(input)
    return text_of_error(lambda: output.sum().backward() if rank == 0 else layer(input))


def some_without_gradient(rank: int) -> str:
    layer = SyncBatchNorm(3)
    input = torch.arange(12.0).reshape(4, 3).requires_grad_(rank != 1)
    output = layer(input)
    return text_of_error(output.sum().backward)


def second_order(rank: int) -> tuple[torch.Tensor, str]:
    layer = SyncBatchNorm(3)
    input = torch.randn(4, 3, generator=torch.Generator().manual_seed(rank)).requires_grad_()
    output = layer(input)
    (gradient,) = torch.autograd.grad(output.pow(3).sum(), input, create_graph=True)
    return gradient.detach(), text_of_error(gradient.pow(2).sum().backward)


def two_groups(rank: int, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """One layer over all ranks, one over pairs of neighbours; the last rank may be alone."""
    size = torch.distributed.get_world_size()
    groups = [
        torch.distributed.new_group(list(range(first, min(first + 2, size))))
        for first in range(0, size, 2)
    ]
    channels = inputs[rank].shape[1]
    everyone = SyncBatchNorm(channels, affine=False)
    pair = SyncBatchNorm(channels, affine=False, process_group=groups[rank // 2])
    input = inputs[rank].requires_grad_()
    outputs = everyone(input), pair(input)
    (outputs[0].pow(2).sum() + outputs[1].pow(3).sum()).backward()
    return outputs[0].detach(), outputs[1].detach()


def foreign_group(rank: int) -> str:
    group = torch.distributed.new_group([0, 1])
    layer = SyncBatchNorm(3, process_group=group)
    return text_of_error(lambda: layer(torch.randn(4, 3)))


def group_of_one(rank: int, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, int]:
    groups = [torch.distributed.new_group([one]) for one in range(len(inputs))]
    with counted() as count:
        output = SyncBatchNorm(inputs[rank].shape[1], process_group=groups[rank])(inputs[rank])
    return output.detach(), count[0]


def checkpointed(
    rank: int, inputs: list[torch.Tensor], use_reentrant: bool
) -> tuple[dict[str, Any], torch.Tensor]:
    layer = SyncBatchNorm(inputs[rank].shape[1], momentum=None)
    network = torch.nn.Sequential(layer, torch.nn.Tanh())
    input = inputs[rank].requires_grad_()
    output = torch.utils.checkpoint.checkpoint(network, input, use_reentrant=use_reentrant)
    output.pow(2).sum().backward()
    return layer.state_dict(), input.grad


def running_statistics(
    rank: int, batches: list[list[torch.Tensor]], options: dict[str, Any]
) -> dict[str, Any]:
    layer = SyncBatchNorm(batches[0][rank].shape[1], **options)
    for batch in batches:
        layer(batch[rank])
    return layer.state_dict()


def evaluated(rank: int, input: torch.Tensor, state: dict[str, Any]) -> tuple[torch.Tensor, int]:
    """Eval mode on rank 0 alone, which no exchange would let end."""
    layer = layer_of(state, {}, input.dtype).eval()
    with counted() as count:
        output = layer(input) if rank == 0 else input
    return output.detach(), count[0]


def long_messages(rank: int, channels: int) -> list[int]:
    """The collectives of three steps of a layer that sends more than a short one."""
    layer = SyncBatchNorm(channels)
    input = torch.randn(3, channels, requires_grad=True)
    counts = []
    for _ in range(3):
        with counted() as count:
            layer(input).sum().backward()
        counts.append(count[0])
    return counts


def many_steps(rank: int, count: int) -> torch.Tensor:
    """Two layers whose shards are of another length each time, and sometimes empty."""
    generator = torch.Generator().manual_seed(rank)
    network = torch.nn.Sequential(SyncBatchNorm(3), SyncBatchNorm(3, activation="relu"))
    for index in range(count):
        length = (index * (rank + 3) + rank) % 5 if rank else 2
        input = torch.randn(length, 3, 2, 2, generator=generator, requires_grad=True)
        network(input).sum().backward()
    return network[0].running_mean


def data_parallel(
    rank: int, inputs: list[torch.Tensor], deltas: list[torch.Tensor]
) -> list[torch.Tensor]:
    """The gradients of a network in DistributedDataParallel."""
    network = network_of_two_layers()
    SyncBatchNorm.convert(network)
    parallel = torch.nn.parallel.DistributedDataParallel(network)
    parallel(inputs[rank]).backward(deltas[rank])
    return [parameter.grad for parameter in network.parameters()]


def network_of_two_layers() -> torch.nn.Module:
    torch.manual_seed(5)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 5, 3, padding=1),
        torch.nn.BatchNorm2d(5),
    )


def copies(rank: int) -> tuple[bool, torch.Tensor, torch.Tensor]:
    """A deep copy of a layer belongs to the same group."""
    group = torch.distributed.new_group(list(range(torch.distributed.get_world_size())))
    layer = SyncBatchNorm(3, process_group=group)
    duplicate = copy.deepcopy(layer)
    input = torch.arange(12.0).reshape(4, 3) * (rank + 1)
    is_separate = duplicate.weight is not layer.weight and duplicate.process_group is group
    return is_separate, layer(input).detach(), duplicate(input).detach()


def compiled(rank: int, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A network that torch.compile takes apart at the exchange."""
    layer = SyncBatchNorm(inputs[rank].shape[1])
    network = torch.nn.Sequential(layer, torch.nn.Tanh())
    run = torch.compile(network, backend="eager")
    return run(inputs[rank]).detach(), network(inputs[rank]).detach()
