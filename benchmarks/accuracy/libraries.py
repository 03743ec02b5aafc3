"""The two ops as each library computes them, on numpy arrays (N, C, …) and at f32 vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import torch

import normgraph as ng
from benchmarks.peers.candidates import jax_jitted
from benchmarks.peers.candidates.torch_ops import tensor
from tests.kernel.real_types import Array

from .inputs import EPSILON, Arrays

Outputs = Mapping[str, Array]
FORWARD = ("normalized", "mean", "variance")
BACKWARD = ("input_delta", "gamma_delta", "beta_delta")


class Library(ABC):
    """A library that is measured."""

    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def forward(self, arrays: Arrays) -> Outputs: ...

    @abstractmethod
    def backward(self, arrays: Arrays, mean: Array, variance: Array) -> Outputs:
        """At the statistics given."""


class Normgraph(Library):
    """The kernels of this project."""

    def version(self) -> str:
        return str(ng.__version__)

    def forward(self, arrays: Arrays) -> Outputs:
        return ng.batch_norm_training(arrays.input, arrays.gamma, arrays.beta, EPSILON)._asdict()

    def backward(self, arrays: Arrays, mean: Array, variance: Array) -> Outputs:
        return ng.batch_norm_training_backprop(
            *(arrays.input, arrays.gamma, arrays.beta, mean, variance),
            arrays.normalized_delta,
            EPSILON,
        )._asdict()


class Torch(Library):
    """aten::native_batch_norm and its backward.

    Its own statistic is the inverse deviation in f32, one rounding more. The variance is read from
    the running variance, which is unbiased.
    """

    def version(self) -> str:
        return str(torch.__version__)

    def forward(self, arrays: Arrays) -> Outputs:
        channels = len(arrays.gamma)
        running_mean, running_variance = torch.zeros(channels), torch.ones(channels)
        normalized, mean, _ = torch.ops.aten.native_batch_norm(
            *(tensor(arrays.input), tensor(arrays.gamma), tensor(arrays.beta)),
            *(running_mean, running_variance),
            True,  # training
            1.0,  # the running variance becomes the batch's
            EPSILON,
        )
        count = arrays.input.size // channels
        unbiased = running_variance.double().numpy()
        return {
            "normalized": normalized.double().numpy(),
            "mean": mean.numpy(),
            "variance": unbiased * ((count - 1) / count),
        }

    def backward(self, arrays: Arrays, mean: Array, variance: Array) -> Outputs:
        inverse = (1 / np.sqrt(variance.astype(np.float64) + EPSILON)).astype(np.float32)
        results = torch.ops.aten.native_batch_norm_backward(
            *(tensor(arrays.normalized_delta), tensor(arrays.input), tensor(arrays.gamma)),
            *(None, None, tensor(mean), tensor(inverse)),
            True,  # training
            EPSILON,
            [True, True, True],
        )
        values = (result.double().numpy() for result in results)
        return dict(zip(BACKWARD, values, strict=True))


class Jax(Library):
    """The definition and the closed form in f32, compiled."""

    def version(self) -> str:
        return str(jax.__version__)

    def forward(self, arrays: Arrays) -> Outputs:
        results = self._run(jax_jitted.forward, arrays.input, arrays.gamma, arrays.beta)
        return dict(zip(FORWARD, results, strict=True))

    def backward(self, arrays: Arrays, mean: Array, variance: Array) -> Outputs:
        given = (arrays.input, arrays.gamma, mean, variance, arrays.normalized_delta)
        return dict(zip(BACKWARD, self._run(jax_jitted.backward, *given), strict=True))

    def _run(self, function: Any, *arrays: Array) -> list[Array]:
        compiled = jax.jit(function, static_argnames="channel_axis")
        return [np.asarray(result) for result in compiled(*arrays, channel_axis=1)]


LIBRARIES: Mapping[str, Library] = {"normgraph": Normgraph(), "torch": Torch(), "JAX": Jax()}
