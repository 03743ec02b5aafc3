"""Measurements beside the C++ microbenchmarks; run them from the root of the repository."""
