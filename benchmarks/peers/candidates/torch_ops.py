"""PyTorch: its ops called directly, and its automatic differentiation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ..case_data import EPSILON, Array, CaseData
from ..cases import FORWARD, Case
from .candidate import Call, Candidate, LeftOut

#: The momentum of running statistics, of which there are none.
MOMENTUM = 0.1


def tensor(array: Array) -> Any:
    """A tensor with the array's memory; torch takes bfloat16 as the bits it is."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def data_tensor(array: Array, data: CaseData) -> Any:
    """(N, C, …) with the strides that the array has in memory."""
    return tensor(array).movedim(data.channel_axis, 1)


def numpy_array(value: Any) -> Array:
    """A tensor's elements in float, which holds every bfloat16."""
    array: Array = value.detach().float().numpy()
    return array


class _Torch(Candidate):
    def __init__(self, num_threads: int) -> None:
        super().__init__(num_threads)
        torch.set_num_threads(num_threads)

    def version(self) -> str:
        return str(torch.__version__)

    def outputs(self, case: Case, result: Any) -> Sequence[Array]:
        first, *others = (v.to_dense() for v in result[: 1 if case.op == FORWARD else 3])
        in_memory_order = first.movedim(1, -1) if case.channels_last else first
        return tuple(numpy_array(value) for value in (in_memory_order, *others))


class TorchOps(_Torch):
    """aten::native_batch_norm and aten::native_batch_norm_backward, at the statistics given."""

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        gamma, beta = tensor(data.gamma), tensor(data.beta)
        inputs = [self._in_its_layout(x, data) for x in data.inputs]
        if case.op == FORWARD:
            op = torch.ops.aten.native_batch_norm.default
            return [
                partial(op, x, gamma, beta, None, None, True, MOMENTUM, EPSILON) for x in inputs
            ]
        deltas = [self._in_its_layout(delta, data) for delta in data.deltas]
        statistics = self._statistics(data)
        op = torch.ops.aten.native_batch_norm_backward.default
        wanted = [True, True, True]
        return [
            partial(op, delta, x, gamma, None, None, *statistics, True, EPSILON, wanted)
            for x, delta in zip(inputs, deltas, strict=True)
        ]

    def _in_its_layout(self, array: Array, data: CaseData) -> Any:
        return data_tensor(array, data)

    def _statistics(self, data: CaseData) -> tuple[Any, Any]:
        """The values that the forward pass hands to the backward pass."""
        return tensor(data.mean), 1 / torch.sqrt(tensor(data.variance) + EPSILON)


class TorchMkldnn(TorchOps):
    """Torch's ops on tensors of its layout for oneDNN, which is never channels last.

    It shows the oneDNN that torch was built with, newer than the package that OneDnnPrimitives
    takes.
    """

    def version(self) -> str:
        found = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
        return f"oneDNN {found[1]}" if found else super().version()

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        if case.channels_last:
            raise LeftOut("to_mkldnn() makes every tensor channels first")
        return super().calls(case, data)

    def _in_its_layout(self, array: Array, data: CaseData) -> Any:
        return data_tensor(array, data).to_mkldnn()

    def _statistics(self, data: CaseData) -> tuple[Any, Any]:
        return tensor(data.mean).to_mkldnn(), tensor(data.variance).to_mkldnn()


class TorchAutograd(_Torch):
    """The backward pass through torch.nn.functional.batch_norm; forward has run before."""

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        if case.op == FORWARD:
            raise LeftOut("its forward pass is torch's op")
        return [
            self._backward(data, x, delta)
            for x, delta in zip(data.inputs, data.deltas, strict=True)
        ]

    def _backward(self, data: CaseData, x: Array, delta: Array) -> Call:
        leaves = [data_tensor(x, data), tensor(data.gamma), tensor(data.beta)]
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        input, gamma, beta = leaves
        normalized = torch.nn.functional.batch_norm(
            input, None, None, gamma, beta, training=True, eps=EPSILON
        )
        return partial(
            torch.autograd.grad, normalized, leaves, data_tensor(delta, data), retain_graph=True
        )
