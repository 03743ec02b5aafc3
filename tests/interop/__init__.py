"""Tests of the kernel functions on the arrays of other libraries."""
