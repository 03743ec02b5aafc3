"""Graphs as text and back: `formats.json`, which keeps a Function to the bit."""

from . import json
from .errors import FormatError

__all__ = ["FormatError", "json"]
