"""Tests of the op nodes: constraints and inference."""
