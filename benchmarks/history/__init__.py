"""The microbenchmarks over time: runs that are kept, and two commits beside each other."""
