"""Tests of normgraph.jax; they need JAX."""
