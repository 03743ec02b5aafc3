"""Tests of normgraph; the folders mirror the rooms of the project."""
