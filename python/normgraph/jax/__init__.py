"""Batch normalization for JAX on CPUs, in normgraph's kernels: jit, grad, vmap and shard_map.

`batch_norm_training(x, gamma, beta)` and `batch_norm_inference(x, gamma, beta, mean, variance)`,
each with ReLU, and with a residual that is added before it, take and return JAX's arrays.
`keep_freed_memory()` spares a jitted step the page faults of its large arrays.
"""

from .._core import keep_freed_memory
from .functional import (
    BatchNormTrainingResult,
    batch_norm_inference,
    batch_norm_inference_add_relu,
    batch_norm_inference_relu,
    batch_norm_training,
    batch_norm_training_add_relu,
    batch_norm_training_relu,
)

__all__ = [
    "BatchNormTrainingResult",
    "batch_norm_inference",
    "batch_norm_inference_add_relu",
    "batch_norm_inference_relu",
    "batch_norm_training",
    "batch_norm_training_add_relu",
    "batch_norm_training_relu",
    "keep_freed_memory",
]
