"""The adapter normgraph.torch, against torch itself."""
