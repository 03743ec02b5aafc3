"""Graphs as text and as pictures.

`formats.json` keeps a Function to the bit; `draw` shows it.
"""

from . import json
from .drawing import Drawing, GraphvizError, draw
from .errors import FormatError

__all__ = ["Drawing", "FormatError", "GraphvizError", "draw", "json"]
