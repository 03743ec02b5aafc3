"""Graphs as text and as pictures.

`formats.json` keeps a Function to the bit; `draw` shows it; `formats.stablehlo` and `formats.onnx`
write it for other programs, and read what these have written.
"""

from . import json, onnx, stablehlo
from .drawing import Drawing, GraphvizError, draw
from .errors import FormatError, NotExpressibleError, NotImportableError

__all__ = [
    "Drawing",
    "FormatError",
    "GraphvizError",
    "NotExpressibleError",
    "NotImportableError",
    "draw",
    "json",
    "onnx",
    "stablehlo",
]
