"""The list of mutants."""

from .arrays import GROUPS as ARRAYS
from .batch_parts import GROUPS as BATCH_PARTS
from .binding import GROUPS as BINDING
from .constraints import GROUPS as CONSTRAINTS
from .element_types import GROUPS as ELEMENT_TYPES
from .executables import GROUPS as EXECUTABLES
from .formulas import GROUPS as FORMULAS
from .graph import GROUPS as GRAPH
from .graphs_that_run import GROUPS as GRAPHS_THAT_RUN
from .inference import GROUPS as INFERENCE
from .layouts import GROUPS as LAYOUTS
from .masked_batches import GROUPS as MASKED_BATCHES
from .memory_pool import GROUPS as MEMORY_POOL
from .python_conformance import GROUPS as PYTHON_CONFORMANCE
from .python_distributed import GROUPS as PYTHON_DISTRIBUTED
from .python_formats import GROUPS as PYTHON_FORMATS
from .python_jax import GROUPS as PYTHON_JAX
from .python_torch import GROUPS as PYTHON_TORCH
from .python_verification import GROUPS as PYTHON_VERIFICATION
from .relu import GROUPS as RELU
from .rewriting import GROUPS as REWRITING
from .running_statistics import GROUPS as RUNNING_STATISTICS
from .stages import GROUPS as STAGES
from .summation import GROUPS as SUMMATION
from .torch import GROUPS as TORCH
from .vector_kernels import GROUPS as VECTOR_KERNELS

GROUPS = (
    *FORMULAS,
    *SUMMATION,
    *BATCH_PARTS,
    *ELEMENT_TYPES,
    *LAYOUTS,
    *CONSTRAINTS,
    *INFERENCE,
    *GRAPH,
    *ARRAYS,
    *BINDING,
    *RUNNING_STATISTICS,
    *VECTOR_KERNELS,
    *RELU,
    *GRAPHS_THAT_RUN,
    *REWRITING,
    *EXECUTABLES,
    *MEMORY_POOL,
    *MASKED_BATCHES,
    *STAGES,
    *TORCH,
    *PYTHON_DISTRIBUTED,
    *PYTHON_JAX,
    *PYTHON_TORCH,
    *PYTHON_VERIFICATION,
    *PYTHON_CONFORMANCE,
    *PYTHON_FORMATS,
)

__all__ = ["GROUPS"]
