"""Functions as models of ONNX, and models of ONNX as functions.

`to_model` and `save` write what onnxruntime and others run; `loads` and `load` read it. Only these
need the package onnx, which the extra normgraph[onnx] installs.
"""

from ..errors import FormatError, NotExpressibleError, NotImportableError
from .reader import load, loads
from .writer import Family, Graph, Writer, save, to_model

__all__ = [
    "Family",
    "FormatError",
    "Graph",
    "NotExpressibleError",
    "NotImportableError",
    "Writer",
    "load",
    "loads",
    "save",
    "to_model",
]
