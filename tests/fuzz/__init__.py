"""Random input of every kind: an error that names what is wrong, or a right result."""
