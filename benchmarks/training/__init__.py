"""Training steps of whole networks, as they are and converted: `python -m benchmarks.training`.

`docs/training_speed.md` says what is measured and how.
"""
