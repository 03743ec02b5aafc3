"""The statistics of a data set: every element counts once, however the batches were cut."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import reestimation

from .real_types import Array


def _data(count: int = 211, seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(5, 2, (count, 4, 3, 5)).astype(np.float32)


def _batches(x: Array, *lengths: int) -> Iterator[Array]:
    ends = list(itertools.accumulate(lengths))
    return iter([x[end - length : end] for length, end in zip(lengths, ends, strict=True)])


@pytest.mark.parametrize("lengths", [(211,), (100, 111), (1, 0, 64, 32, 114), (7,) * 30 + (1,)])
@pytest.mark.parametrize("unbiased", [True, False])
def test_statistics_are_those_of_all_elements(lengths: tuple[int, ...], unbiased: bool) -> None:
    x = _data()
    result = ng.reestimate_statistics(_batches(x, *lengths), unbiased=unbiased)
    values = x.astype(np.float64)
    assert result.mean.dtype == result.variance.dtype == np.float64
    np.testing.assert_allclose(result.mean, values.mean(axis=(0, 2, 3)), rtol=1e-14)
    variance = values.var(axis=(0, 2, 3), ddof=int(unbiased))
    np.testing.assert_allclose(result.variance, variance, rtol=1e-13)


@pytest.mark.parametrize("channel_axis", [0, 1, 2, 3, -1, -2, -4])
def test_any_axis_may_be_that_of_the_channels(channel_axis: int) -> None:
    x = np.moveaxis(_data(8), 1, channel_axis)
    result = ng.reestimate_statistics([x, x], channel_axis)
    values = np.moveaxis(x.astype(np.float64), channel_axis, 0).reshape(4, -1)
    np.testing.assert_allclose(result.mean, values.mean(axis=1), rtol=1e-14)


def test_no_more_than_one_batch_is_asked_for_at_a_time() -> None:
    held: list[weakref.ref[Array]] = []

    def batches() -> Iterator[Array]:
        for seed in range(3):
            assert all(batch() is None for batch in held)
            batch = _data(10, seed)
            held.append(weakref.ref(batch))
            yield batch
            del batch

    ng.reestimate_statistics(batches())
    assert len(held) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ng.reestimate_statistics([]), ValueError, "batches: expected at least one elem"),
        (
            lambda: ng.reestimate_statistics([_data(0), _data(0)]),
            ValueError,
            "batches: expected at least one element per channel, got none",
        ),
        (
            lambda: ng.reestimate_statistics([_data(), _data()[:, :3]]),
            ValueError,
            "batches: expected arrays of one number of channels, 4, got one of 3, number 1 from 0",
        ),
        (lambda: ng.reestimate_statistics([np.zeros((1, 3))]), ValueError, "n: expected"),
        (lambda: ng.reestimate_statistics([3]), TypeError, "input: expected an array"),
        (
            lambda: ng.reestimate_statistics(3),
            TypeError,
            "batches: expected an iterable of arrays, got one of type int",
        ),
        (
            lambda: ng.reestimate_statistics([_data()], 1.0),
            TypeError,
            "channel_axis: expected an integer, got 1.0 of type float",
        ),
        (
            lambda: ng.reestimate_statistics([_data()], True),
            TypeError,
            "channel_axis: expected an integer, got True of type bool",
        ),
        (lambda: ng.reestimate_statistics([np.zeros(3)]), ng.NodeValidationFailure, "C5"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


class _Stream:
    """As torch's loader of a stream: it has a length, which is not known."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __len__(self) -> int:
        raise self._error

    def __iter__(self) -> Iterator[Array]:
        return iter([_data(10), _data(20)])


@pytest.mark.parametrize("error", [TypeError("no len()"), NotImplementedError()])
def test_a_length_that_is_not_known(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    ng.reestimate_statistics(_Stream(error))
    ng.reestimate_statistics(_Stream(error), progress=True)
    assert " of " not in capsys.readouterr().err


def test_a_program_without_a_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reestimation.sys, "stderr", None)
    ng.reestimate_statistics([_data(10)])


def test_progress_is_shown_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(reestimation.time, "monotonic", lambda: float(next(ticks)))
    ng.reestimate_statistics([_data(10), _data(20)], progress=True)
    shown = capsys.readouterr().err
    assert "\r\033[K1 of 2 batches, 150 elements per channel, " in shown
    assert "2 of 2 batches, 450 elements per channel, 0 s left" in shown
    assert shown.endswith("\r\033[K")
    ng.reestimate_statistics(iter([_data(10)]), progress=True)
    assert "\r\033[K1 batches, 150 elements per channel\r" in capsys.readouterr().err
    ng.reestimate_statistics([_data(10)])
    assert capsys.readouterr().err == ""
