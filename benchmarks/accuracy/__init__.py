"""How far normgraph, PyTorch and JAX are off the exact results: `python -m benchmarks.accuracy`."""
