"""Tests of the kernels, through the Python kernel functions."""
