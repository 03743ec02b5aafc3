"""The candidates: normgraph and other libraries, a module per library."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from .candidate import Call, Candidate, LeftOut

#: Name: module and class. In the order of tables and plots; normgraph, which all others are
#: compared with, comes first. A library is imported only when it is wanted.
CANDIDATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "normgraph": ("normgraph_kernels", "NormgraphKernels"),
        "torch": ("torch_ops", "TorchOps"),
        "torch autograd": ("torch_ops", "TorchAutograd"),
        "torch mkldnn": ("torch_ops", "TorchMkldnn"),
        "oneDNN": ("onednn_primitives", "OneDnnPrimitives"),
        "JAX": ("jax_jitted", "JaxJitted"),
        "numpy": ("numpy_formula", "NumpyFormula"),
    }
)


def create(name: str, num_threads: int) -> Candidate:
    """The candidate; LeftOut where its library is not installed."""
    module, class_name = CANDIDATES[name]
    try:
        candidate: type[Candidate] = getattr(
            importlib.import_module(f".{module}", __name__), class_name
        )
    except ModuleNotFoundError as error:
        raise LeftOut(f"{error.name} is not installed") from error
    return candidate(num_threads)


__all__ = ["CANDIDATES", "Call", "Candidate", "LeftOut", "create"]
