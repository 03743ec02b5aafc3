"""The C++ package: programs that are built outside of the tree against what is installed."""
