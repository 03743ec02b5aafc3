"""Batch normalization for models of torch, in normgraph's kernels."""

from . import functional

__all__ = ["functional"]
