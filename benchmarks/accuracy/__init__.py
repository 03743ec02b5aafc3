"""Errors of normgraph, PyTorch and JAX against exact results: `python -m benchmarks.accuracy`."""
