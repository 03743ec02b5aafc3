"""benchmarks/accuracy with PyTorch and JAX, on few elements."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("jax")

from benchmarks.accuracy import __main__ as command
from benchmarks.accuracy.inputs import DATA, Data, draw
from benchmarks.accuracy.libraries import LIBRARIES
from benchmarks.accuracy.measure import backward_errors, forward_errors

pytestmark = pytest.mark.interop

SHAPE = (3, 2, 4, 5)
CASES = [
    pytest.param(element_type, data, id=f"{element_type}, {data.name}")
    for element_type, all_data in DATA.items()
    for data in all_data
]


@pytest.mark.parametrize(("element_type", "data"), CASES)
def test_normgraph_keeps_its_bounds(element_type: str, data: Data) -> None:
    arrays = draw(data, element_type, SHAPE)
    for measure in (forward_errors, backward_errors):
        for output, errors in measure(arrays, data.name).items():
            assert list(errors) == list(LIBRARIES)
            # 12 u and one rounding are the largest bound that does not depend on the data.
            assert errors["normgraph"].units < 13, output


def test_easy_data_are_easy_for_all() -> None:
    """Each output of each library means the same; an error of a formula would be millions of u."""
    arrays = draw(DATA["f32"][0], "f32", SHAPE)
    for measure in (forward_errors, backward_errors):
        for output, errors in measure(arrays, "standard normal").items():
            for library, error in errors.items():
                assert error.units < 100, (output, library)


def test_table() -> None:
    errors = forward_errors(draw(DATA["f32"][0], "f32", SHAPE), "standard normal")
    lines = command.table([("data", "mean", errors["mean"])]).splitlines()
    assert lines[0].startswith(
        "| data | output | normgraph, u | torch, u | JAX, u | normgraph, rel"
    )
    assert lines[2].startswith("| data | `mean` | ")
    assert all(line.count("|") == 9 for line in lines)
