"""The arrays that every candidate of a case is called with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import normgraph as ng

from . import measurement
from .cases import BACKWARD, Case
from .measurement import TensorSet

Array = npt.NDArray[Any]

EPSILON = 1e-5

#: Random values that fill all tensors by repetition; odd, so that they line up with no axis.
PATTERN_LENGTH = 2**16 + 1
SEED = 20240101


@dataclass(frozen=True)
class CaseData:
    """Arrays as they lie in memory: (N, C, …) for channels first, (N, …, C) for channels last.

    `inputs` and `deltas` have one array per set; a call takes those of one set.
    """

    sets: Sequence[TensorSet]
    inputs: Sequence[Array]
    deltas: Sequence[Array]
    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    channel_axis: int


def dtype_of(element_type: str) -> np.dtype[Any]:
    """The dtype of f32 or bf16; the latter needs ml_dtypes."""
    if element_type == "f32":
        return np.dtype(np.float32)
    import ml_dtypes

    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


def memory_shape(case: Case) -> tuple[int, ...]:
    """The lengths of the axes from the slowest to the fastest."""
    batch, channels, *spatial = case.shape.shape
    return (batch, *spatial, channels) if case.channels_last else (batch, channels, *spatial)


def random_pattern(dtype: np.dtype[Any]) -> bytes:
    """Standard normal values as bytes."""
    generator = np.random.default_rng(SEED)
    return generator.standard_normal(PATTERN_LENGTH).astype(dtype).tobytes()


def make_case_data(case: Case) -> CaseData:
    """Enough sets that a cold one has left the caches when its turn comes again."""
    dtype = dtype_of(case.element_type)
    shape = memory_shape(case)
    size = math.prod(shape) * dtype.itemsize
    module = measurement.load()
    sets = module.make_tensor_sets(
        case.shape.cold, module.tensor_count_of(case.op), size, random_pattern(dtype)
    )

    def tensors(index: int) -> list[Array]:
        return [a_set.tensor(index)[:size].view(dtype).reshape(shape) for a_set in sets]

    inputs = tensors(0)
    channel_axis = len(shape) - 1 if case.channels_last else 1
    generator = np.random.default_rng(SEED + 1)
    gamma, beta = generator.uniform(0.5, 1.5, (2, case.shape.shape[1])).astype(np.float32)
    forward = ng.batch_norm_training(
        inputs[0], gamma, beta, EPSILON, channel_axis, outputs=["mean", "variance"]
    )
    return CaseData(
        sets=sets,
        inputs=inputs,
        deltas=tensors(1) if case.op == BACKWARD else [],
        gamma=gamma,
        beta=beta,
        mean=forward.mean,
        variance=forward.variance,
        channel_axis=channel_axis,
    )
