"""The documentation: its examples run, and what it says of the source is still true."""
