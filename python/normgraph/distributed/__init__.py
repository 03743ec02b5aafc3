"""Batch normalization over several processes, each of which holds a shard of the batch.

The functions have the names and the arguments of normgraph's, and a communicator: mpi4py's, or an
object with `all_gather(bytes) -> list[bytes]`.
"""

from .functions import (
    batch_norm_backprop_sums,
    batch_norm_statistics,
    batch_norm_training,
    batch_norm_training_add_relu,
    batch_norm_training_add_relu_backprop,
    batch_norm_training_backprop,
    batch_norm_training_relu,
    batch_norm_training_relu_backprop,
)

__all__ = [
    "batch_norm_backprop_sums",
    "batch_norm_statistics",
    "batch_norm_training",
    "batch_norm_training_add_relu",
    "batch_norm_training_add_relu_backprop",
    "batch_norm_training_backprop",
    "batch_norm_training_relu",
    "batch_norm_training_relu_backprop",
]
