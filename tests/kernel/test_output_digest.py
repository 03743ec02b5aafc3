"""The digest of all outputs: the same for the same bits, another where one bit changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng

from . import output_digest
from .output_digest import main, report_of

ONE_LINE = "batch_norm_training f32/f32"


@pytest.fixture(autouse=True)
def few_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_digest, "TYPE_PAIRS", (("f32", "f32"),))


def flip_a_bit(monkeypatch: pytest.MonkeyPatch, **where: Any) -> None:
    """One bit of the statistics of batch_norm_training, in calls that have these options."""
    call = ng.batch_norm_training

    def flipped(*arguments: Any, **options: Any) -> Any:
        result = call(*arguments, **options)
        if where.items() <= options.items() and result.mean is not None:
            result.mean[:1].view(np.uint8)[...] ^= 1
        return result

    monkeypatch.setattr(ng, "batch_norm_training", flipped)


def test_the_same_bits_have_the_same_digest() -> None:
    first, second = report_of(1), report_of(1)
    assert first.lines == second.lines
    assert first.total == second.total
    assert not first.differences
    assert report_of(1, seed=2).total != first.total


def test_one_bit_changes_its_line_and_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    before = report_of(1)
    flip_a_bit(monkeypatch)
    after = report_of(1)
    changed = [a for a, b in zip(before.lines, after.lines, strict=True) if a != b]
    assert [line.rsplit(maxsplit=1)[0] for line in changed] == [ONE_LINE]
    assert after.total != before.total


@pytest.mark.parametrize(
    "where", [{"implementation": ng.implementations()[0]}, {"num_threads": 2}], ids=str
)
def test_a_bit_that_only_some_calls_have_is_an_error(
    where: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flip_a_bit(monkeypatch, **where)
    if where == {"implementation": "reference"}:
        pytest.skip("there is one implementation")
    assert main(["--shapes", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("# seed 1, 1 shapes")
    assert "error: batch_norm_training of" in captured.err
    assert "error: batch_norm_training_relu" not in captured.err
