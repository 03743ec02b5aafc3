"""What measures normgraph beside the C++ microbenchmarks; run from the root of the repository."""
