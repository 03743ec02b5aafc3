"""normgraph: batch normalization as graph nodes that check themselves, and as exact CPU kernels.

Construct nodes (`Parameter`, `Constant`, `op.BatchNormTrainingBackprop`, `Function`) and read what
they infer; or call the kernels on arrays (`batch_norm_training`, `batch_norm_inference`, both with
`_relu` or `_add_relu` at the end, and gradients, whose names end in `_backprop`). A violated
constraint raises `NodeValidationFailure` in both, with the same text.
"""

import os
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

from . import op
from ._core import (
    BackpropSums,
    BatchNormInferenceBackpropResult,
    BatchNormTrainingAddReluBackpropResult,
    BatchNormTrainingAddReluResult,
    BatchNormTrainingBackpropResult,
    BatchNormTrainingReluBackpropResult,
    BatchNormTrainingReluResult,
    BatchNormTrainingResult,
    BatchStatistics,
    Constant,
    Dimension,
    Executable,
    Function,
    Input,
    Match,
    Node,
    NodeValidationFailure,
    Output,
    Parameter,
    PartialShape,
    Pattern,
    Users,
    __version__,
    batch_norm_backprop_sums,
    batch_norm_inference,
    batch_norm_inference_add_relu,
    batch_norm_inference_backprop,
    batch_norm_inference_relu,
    batch_norm_statistics,
    batch_norm_training,
    batch_norm_training_add_relu,
    batch_norm_training_add_relu_backprop,
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
    memory,
    release_memory,
    replace_matches,
    replace_values,
    rewrite,
    set_num_threads,
    widen_statistics,
)
from .configuration import show_config
from .running_statistics import RunningStatistics, update_running_statistics

if TYPE_CHECKING:
    from . import formats
    from .conform import Conformance, SummationOrder, conformance, summation_order
    from .formats import Drawing, draw
    from .reestimation import reestimate_statistics
    from .tracing import Trace, trace
    from .verification import Finding, Measurement, Verification, verify

__all__ = [
    "BackpropSums",
    "BatchNormInferenceBackpropResult",
    "BatchNormTrainingAddReluBackpropResult",
    "BatchNormTrainingAddReluResult",
    "BatchNormTrainingBackpropResult",
    "BatchNormTrainingReluBackpropResult",
    "BatchNormTrainingReluResult",
    "BatchNormTrainingResult",
    "BatchStatistics",
    "Conformance",
    "Constant",
    "Dimension",
    "Drawing",
    "Executable",
    "Finding",
    "Function",
    "Input",
    "Match",
    "Measurement",
    "Node",
    "NodeValidationFailure",
    "Output",
    "Parameter",
    "PartialShape",
    "Pattern",
    "RunningStatistics",
    "SummationOrder",
    "Trace",
    "Users",
    "Verification",
    "__version__",
    "batch_norm_backprop_sums",
    "batch_norm_inference",
    "batch_norm_inference_add_relu",
    "batch_norm_inference_backprop",
    "batch_norm_inference_relu",
    "batch_norm_statistics",
    "batch_norm_training",
    "batch_norm_training_add_relu",
    "batch_norm_training_add_relu_backprop",
    "batch_norm_training_backprop",
    "batch_norm_training_relu",
    "batch_norm_training_relu_backprop",
    "compile",
    "config",
    "conformance",
    "decompose",
    "draw",
    "element",
    "formats",
    "fuse_relu",
    "get_num_threads",
    "gradients",
    "implementations",
    "memory",
    "op",
    "reestimate_statistics",
    "release_memory",
    "replace_matches",
    "replace_values",
    "rewrite",
    "set_num_threads",
    "show_config",
    "summation_order",
    "trace",
    "update_running_statistics",
    "verify",
    "widen_statistics",
]

#: Where the names come from that are imported when they are first asked for: a program that calls
#: kernels or constructs nodes needs none of them, and all the rest is imported in half the time.
_MODULES_OF_NAMES = {
    "Conformance": "conform",
    "Drawing": "formats",
    "Finding": "verification",
    "Measurement": "verification",
    "SummationOrder": "conform",
    "Trace": "tracing",
    "Verification": "verification",
    "conformance": "conform",
    "draw": "formats",
    "formats": "formats",
    "reestimate_statistics": "reestimation",
    "summation_order": "conform",
    "trace": "tracing",
    "verify": "verification",
}

#: Held while a name is imported. Threads that ask for names at once would else wait for each
#: other's modules; and the child of a fork, for a thread that it does not have.
_importing = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES_OF_NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module_name = _MODULES_OF_NAMES[name]
        with _importing:
            module = import_module(f".{module_name}", __name__)
            value = module if name == module_name else getattr(module, name)
            globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
