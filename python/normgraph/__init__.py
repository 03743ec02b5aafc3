"""normgraph: batch normalization as graph nodes that check themselves, and as exact CPU kernels.

Construct nodes (`Parameter`, `Constant`, `op.BatchNormTrainingBackprop`, `Function`) and read what
they infer; or call the kernels on arrays (`batch_norm_training`, `batch_norm_inference`,
`batch_norm_training_relu` and their gradients, whose names end in `_backprop`). A violated
constraint raises `NodeValidationFailure` in both, with the same text.
"""

from . import formats, op
from ._core import (
    BatchNormInferenceBackpropResult,
    BatchNormTrainingBackpropResult,
    BatchNormTrainingReluBackpropResult,
    BatchNormTrainingReluResult,
    BatchNormTrainingResult,
    Constant,
    Dimension,
    Executable,
    Function,
    Input,
    Node,
    NodeValidationFailure,
    Output,
    Parameter,
    PartialShape,
    __version__,
    batch_norm_inference,
    batch_norm_inference_backprop,
    batch_norm_training,
    batch_norm_training_backprop,
    batch_norm_training_relu,
    batch_norm_training_relu_backprop,
    compile,
    config,
    decompose,
    element,
    fuse_relu,
    get_num_threads,
    gradients,
    implementations,
    set_num_threads,
)
from .configuration import show_config
from .formats.drawing import Drawing, draw
from .running_statistics import RunningStatistics, update_running_statistics
from .tracing import Trace, trace
from .verification import Finding, Measurement, Verification, verify

__all__ = [
    "BatchNormInferenceBackpropResult",
    "BatchNormTrainingBackpropResult",
    "BatchNormTrainingReluBackpropResult",
    "BatchNormTrainingReluResult",
    "BatchNormTrainingResult",
    "Constant",
    "Dimension",
    "Drawing",
    "Executable",
    "Finding",
    "Function",
    "Input",
    "Measurement",
    "Node",
    "NodeValidationFailure",
    "Output",
    "Parameter",
    "PartialShape",
    "RunningStatistics",
    "Trace",
    "Verification",
    "__version__",
    "batch_norm_inference",
    "batch_norm_inference_backprop",
    "batch_norm_training",
    "batch_norm_training_backprop",
    "batch_norm_training_relu",
    "batch_norm_training_relu_backprop",
    "compile",
    "config",
    "decompose",
    "draw",
    "element",
    "formats",
    "fuse_relu",
    "get_num_threads",
    "gradients",
    "implementations",
    "op",
    "set_num_threads",
    "show_config",
    "trace",
    "update_running_statistics",
    "verify",
]
