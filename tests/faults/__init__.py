"""Calls of the system that fail on demand."""
