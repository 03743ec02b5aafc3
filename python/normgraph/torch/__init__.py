"""Batch normalization for models of torch, in normgraph's kernels.

`convert(model)` swaps the batch norms of a model, and takes on the ReLUs that follow them;
`report(model)` says what became of each, `revert(model)` undoes it. `BatchNorm1d`, `2d` and `3d`
are torch's layers with an activation if wanted, `SyncBatchNorm` shares the statistics of several
processes, and `functional` has the functions. `keep_freed_memory()` spares a training step the page
faults of torch's own tensors.
"""

from .._core import keep_freed_memory
from . import functional
from .conversion import convert, revert
from .modules import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .report import Report, report
from .sync_batch_norm import SyncBatchNorm

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Report",
    "SyncBatchNorm",
    "convert",
    "functional",
    "keep_freed_memory",
    "report",
    "revert",
]
