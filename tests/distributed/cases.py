"""Batches that are cut into shards, and what the ranks do with them, over any communicator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import normgraph as ng
import normgraph.distributed as ngd

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import REAL_TYPES, Array

FORMS = ("", "_relu", "_add_relu")


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch of which rank r holds lengths[r] samples."""

    lengths: tuple[int, ...]
    data_type: str = "f32"
    vector_type: str = "f32"
    channels: int = 4
    image: tuple[int, ...] = (6, 6)
    channel_axis: int = 1
    form: str = ""
    offset: float = 0.5
    seed: int = 1

    @property
    def sample_axis(self) -> int:
        return 1 if self.channel_axis == 0 else 0

    def _data(self, generator: np.random.Generator, offset: float) -> Array:
        shape = [sum(self.lengths), *self.image]
        shape.insert(self.channel_axis % (len(shape) + 1), self.channels)
        values = generator.normal(offset, 1.5, shape)
        return values.astype(REAL_TYPES[self.data_type].dtype)

    def arrays(self) -> dict[str, Array]:
        generator = np.random.default_rng(self.seed)
        dtype = REAL_TYPES[self.vector_type].dtype
        return {
            "input": self._data(generator, self.offset),
            "gamma": generator.normal(1.0, 0.3, self.channels).astype(dtype),
            "beta": generator.normal(0.0, 0.3, self.channels).astype(dtype),
            "residual": self._data(generator, 0.0),
            "delta": self._data(generator, 0.2),
        }

    def shard(self, rank: int) -> dict[str, Array]:
        """What a rank holds of the arrays; of the vectors, all."""
        begin = sum(self.lengths[:rank])
        part = slice(begin, begin + self.lengths[rank])
        index = (slice(None),) * self.sample_axis + (part,)
        arrays = self.arrays()
        for name in ("input", "residual", "delta"):
            arrays[name] = arrays[name][index]
        return arrays

    def whole_step(self) -> dict[str, Array]:
        return _step(ng, self.arrays(), [], self)

    def step(self, communicator: Any, rank: int) -> dict[str, Array]:
        return _step(ngd, self.shard(rank), [communicator], self)

    def check_bits(self, answers: Sequence[dict[str, Array]]) -> None:
        """The ranks together have the bits of the whole batch."""
        whole = self.whole_step()
        for name, expected in whole.items():
            if name == "mask" and self.channel_axis == 0:
                continue  # the bits of several samples share a byte
            if name in _OF_DATA or name == "mask":
                found = np.concatenate([answer[name] for answer in answers], self.sample_axis)
                assert_same_bits(found, expected, f"{self}: {name}")
            else:
                for rank, answer in enumerate(answers):
                    assert_same_bits(answer[name], expected, f"{self}: {name} on rank {rank}")

    def check_within_one_unit(self, answers: Sequence[dict[str, Array]]) -> None:
        """Units in the last place are those of the largest term, where terms cancel."""
        whole, arrays = self.whole_step(), self.arrays()
        scale = np.abs(arrays["gamma"]) / np.sqrt(whole["variance"] + 1e-5)
        count = arrays["input"].size / self.channels
        terms = {
            "normalized": self._along(np.abs(arrays["beta"])),
            "activated": self._along(np.abs(arrays["beta"])) + np.abs(arrays["residual"]),
            "input_delta": self._along(scale) * np.abs(arrays["delta"]),
            # Sums of terms of either sign, of which each part is rounded to double alone.
            "gamma_delta": np.sqrt(count),
            "beta_delta": np.sqrt(count),
        }
        for name, expected in whole.items():
            if name == "mask":
                continue
            magnitude = np.maximum(np.abs(expected), terms.get(name, 0.0)).astype(expected.dtype)
            unit = np.spacing(magnitude)
            if name in _OF_DATA:
                found = np.concatenate([answer[name] for answer in answers], self.sample_axis)
                assert np.all(np.abs(found - expected) <= unit), f"{self}: {name}"
            else:
                for rank, answer in enumerate(answers):
                    assert_same_bits(answer[name], answers[0][name], f"{self}: {name}, {rank}")
                    assert np.all(np.abs(answer[name] - expected) <= unit), f"{self}: {name}"

    def _along(self, vector: Array) -> Array:
        rank = len(self.image) + 2
        return vector.reshape(np.roll([-1] + [1] * (rank - 1), self.channel_axis % rank))


_OF_DATA = ("normalized", "activated", "input_delta", "residual_delta")


def _step(module: Any, arrays: dict[str, Array], end: list[Any], batch: Batch) -> dict[str, Array]:
    """Forward and backward, by functions of `module`, whose inputs end with `end`."""
    options: dict[str, Any] = {"channel_axis": batch.channel_axis}
    bound = {"upper_bound": 2.0} if batch.form else {}
    vectors = [arrays[name] for name in ("gamma", "beta")]
    residual = [arrays["residual"]] if batch.form == "_add_relu" else []
    forward = getattr(module, f"batch_norm_training{batch.form}")(
        arrays["input"], *vectors, *residual, *end, **options, **bound
    )
    mask = [forward.mask] if batch.form else []
    backward = getattr(module, f"batch_norm_training{batch.form}_backprop")(
        arrays["input"],
        *vectors,
        forward.mean,
        forward.variance,
        *mask,
        arrays["delta"],
        *end,
        **options,
    )
    return {**forward._asdict(), **backward._asdict()}


# ---- cases: functions of a communicator and a rank ----------------------------------------------


def step(communicator: Any, rank: int, batch: Batch) -> dict[str, Array]:
    return batch.step(communicator, rank)


def steps(communicator: Any, rank: int, batches: Sequence[Batch]) -> list[dict[str, Array]]:
    return [batch.step(communicator, rank) for batch in batches]


def digests_of_many_steps(communicator: Any, rank: int, count: int) -> list[bytes]:
    """The means of `count` steps whose shards are of another length each time, or empty."""
    generator = np.random.default_rng(rank)
    found = []
    for index in range(count):
        length = (index * (rank + 3) + rank) % 5 if rank else 2
        dtype = np.float64 if index % 7 == 0 else np.float32
        x = generator.normal(size=(length, 3, 2)).astype(dtype)
        forward = ngd.batch_norm_training(x, None, None, communicator)
        statistics = forward.mean, forward.variance
        ngd.batch_norm_training_backprop(x, None, None, *statistics, x, communicator)
        found.append(forward.mean.tobytes())
    return found


def text_of_error(function: Callable[[], Any]) -> str:
    """The class and the text of what it raises."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def goes_on(communicator: Any, rank: int) -> bool:
    """Whether the next call is right: rank 0 has the only samples below the mean."""
    x = np.full((4, 1), float(rank > 0))
    normalized = ngd.batch_norm_training(x, None, None, communicator).normalized
    return bool(np.all(normalized > 0 if rank > 0 else normalized < 0))


def error_of(
    communicator: Any, rank: int, name: str, calls: Sequence[tuple[list[Any], dict[str, Any]]]
) -> tuple[str, bool]:
    """The error of a call, of which each rank has its own, and whether the next one is right."""
    arrays, options = calls[rank]
    text = text_of_error(lambda: getattr(ngd, name)(*arrays, communicator, **options))
    return text, goes_on(communicator, rank)


def different_passes(communicator: Any, rank: int) -> str:
    """Rank 0 goes backward where the others go forward."""
    x, ones = np.arange(12.0).reshape(4, 3), np.ones(3)
    if rank == 0:
        return text_of_error(
            lambda: ngd.batch_norm_training_backprop(x, None, None, ones, ones, x, communicator)
        )
    return text_of_error(lambda: ngd.batch_norm_training(x, None, None, communicator))
