"""Settings that every test shares."""

from hypothesis import settings

# Examples are drawn the same way in every run, and nothing is stored between runs.
settings.register_profile(
    "normgraph", derandomize=True, database=None, deadline=None, print_blob=True
)
settings.load_profile("normgraph")
