"""Settings that every test shares."""

import pytest
from hypothesis import settings

# Examples are drawn the same way in every run, and nothing is stored between runs.
settings.register_profile(
    "normgraph", derandomize=True, database=None, deadline=None, print_blob=True
)
settings.load_profile("normgraph")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: at the end it would leave the other processors idle."""
    items.sort(key=lambda item: item.get_closest_marker("takes_long") is None)
