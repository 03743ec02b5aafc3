"""Graphs as text and as pictures.

`formats.json` keeps a Function to the bit; `draw` shows it; `formats.stablehlo` and `formats.onnx`
write it for other programs.
"""

from . import json, onnx, stablehlo
from .drawing import Drawing, GraphvizError, draw
from .errors import FormatError, NotExpressibleError

__all__ = [
    "Drawing",
    "FormatError",
    "GraphvizError",
    "NotExpressibleError",
    "draw",
    "json",
    "onnx",
    "stablehlo",
]
