"""The published derivations of the backward pass: which formulas are wrong, and by how much."""
