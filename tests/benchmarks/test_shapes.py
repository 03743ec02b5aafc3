"""The list of shapes that the C++ and the Python benchmarks share."""

import csv
from pathlib import Path

import pytest

SHAPES_FILE = Path(__file__).parents[2] / "benchmarks" / "shapes.csv"

# The shapes that results are published for.
REQUIRED = [
    (32, 64, 112, 112),
    (32, 64, 56, 56),
    (32, 256, 56, 56),
    (32, 512, 28, 28),
    (32, 1024, 14, 14),
    (32, 2048, 7, 7),
    (128, 1024),
    (4096, 256),
    (65536, 64),
    (16, 128, 1000),
    (2, 32, 16, 64, 64),
    (8, 3, 224, 224),
    (1, 16, 1024, 1024),
    (64, 129, 5, 3),
    (128, 2048, 1, 1),
    (256, 4096),
    (8, 16, 8, 8),
    (2, 3, 4, 4),
]


def rows() -> list[dict[str, str]]:
    with SHAPES_FILE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shape_of(row: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(length) for length in row["shape"].split("x"))


@pytest.mark.parametrize("shape", REQUIRED, ids=str)
def test_every_required_shape_is_listed_once(shape: tuple[int, ...]) -> None:
    assert [shape_of(row) for row in rows()].count(shape) == 1


def test_names_are_unique_and_fit_for_a_filter() -> None:
    names = [row["name"] for row in rows()]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalnum() for name in names)


def test_every_row_says_where_it_comes_from_and_how_it_is_measured() -> None:
    for row in rows():
        assert list(row) == ["name", "network", "layer", "shape", "state", "selection"]
        assert row["network"], row
        assert row["layer"], row
        assert row["state"] in ("cold", "warm"), row
        assert row["selection"] in ("short", "full"), row


def test_the_short_run_meets_both_states() -> None:
    assert {row["state"] for row in rows() if row["selection"] == "short"} == {"cold", "warm"}
