"""Tests of the graph: types, shapes, nodes, functions."""
