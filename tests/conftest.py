"""Settings that every test shares."""

import gc

from hypothesis import settings

# Examples are drawn the same way in every run, and nothing is stored between runs.
settings.register_profile(
    "normgraph", derandomize=True, database=None, deadline=None, print_blob=True
)
settings.load_profile("normgraph")

# The tests are some millions of objects, all of which stay: to look for garbage among them, while
# they are collected and after that, takes a third of the time of their collection.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
