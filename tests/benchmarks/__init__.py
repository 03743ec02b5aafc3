"""Tests of the list of shapes and of the microbenchmarks."""
