"""Batches in parts: statistics and sums that are added, and the whole that they make."""

from __future__ import annotations

import functools
import itertools
import operator
import pickle
import random
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..programs import UNDER_SANITIZER
from .layouts import STYLES, channels_last, in_memory_order
from .real_types import REAL_TYPES, Array

TYPES = tuple(REAL_TYPES)

#: Shapes with an axis of samples in front, and lengths of parts that begin where a block does: the
#: channels are on axis 1, in memory too or at the end of it.
CUTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((160, 3, 6, 6), (64, 32, 64)),
    ((192, 5, 49), (96, 96)),
    ((100, 3, 7, 7), (32, 64, 4)),
    # Samples of 13 and of 49 pieces, in groups of channels.
    ((5, 2, 13, 1024), (1, 3, 1)),
    ((3, 2, 49, 1000), (1, 2)),
    ((6200, 40), (2048, 4096, 56)),
    ((256, 2, 33), (32,) * 8),
)
LAYOUTS: tuple[Callable[[Array], Array], ...] = (np.ascontiguousarray, channels_last)


def _random(shape: Sequence[int], type_name: str, seed: int = 1, offset: float = 3.0) -> Array:
    values = np.random.default_rng(seed).normal(offset, 1.5, shape)
    return values.astype(REAL_TYPES[type_name].dtype)


def _cut(array: Array, lengths: Sequence[int]) -> list[Array]:
    ends = list(itertools.accumulate(lengths))
    return [array[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _firsts(lengths: Sequence[int]) -> list[int]:
    return [0, *itertools.accumulate(lengths)][:-1]


def _in_pairs(parts: Sequence[Any]) -> Any:
    while len(parts) > 1:
        pairs = [parts[index : index + 2] for index in range(0, len(parts), 2)]
        parts = [functools.reduce(operator.add, pair) for pair in pairs]
    return parts[0]


def _right_to_left(parts: Sequence[Any]) -> Any:
    total = parts[-1]
    for part in reversed(parts[:-1]):
        total = part + total
    return total


GROUPINGS: tuple[Callable[[Sequence[Any]], Any], ...] = (sum, _right_to_left, _in_pairs)


def _statistics(parts: Sequence[Array], lengths: Sequence[int], is_placed: bool) -> Any:
    """Of parts whose place is told, or is not."""
    firsts: list[int | None] = list(_firsts(lengths)) if is_placed else [None] * len(lengths)

    def one(array: Array, first: int | None, about: Any = None) -> Any:
        return ng.batch_norm_statistics(array, first_sample=first, about=about)

    total = sum(map(one, parts, firsts))
    if parts[0].dtype != np.float64:
        return total
    return sum(one(part, first, total) for part, first in zip(parts, firsts, strict=True))


def _assert_same_bits(left: Array | None, right: Array | None) -> None:
    assert left is not None
    assert right is not None
    assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("is_placed", [True, False], ids=["placed", "anywhere"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(("shape", "lengths"), CUTS)
def test_forward_pass_of_parts_has_the_bits_of_the_whole(
    shape: tuple[int, ...],
    lengths: tuple[int, ...],
    type_name: str,
    layout: Callable[[Array], Array],
    is_placed: bool,
) -> None:
    x = layout(_random(shape, type_name))
    gamma, beta = (_random(shape[1:2], type_name, seed) for seed in (2, 3))
    whole = ng.batch_norm_training(x, gamma, beta)
    parts = _cut(x, lengths)
    total = _statistics(parts, lengths, is_placed)
    for part, of_whole in zip(parts, _cut(whole.normalized, lengths), strict=True):
        result = ng.batch_norm_training(part, gamma, beta, statistics=total)
        assert np.array_equal(result.normalized, of_whole)
        _assert_same_bits(result.mean, whole.mean)
        _assert_same_bits(result.variance, whole.variance)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(("shape", "lengths"), CUTS)
def test_backward_pass_of_parts_has_the_bits_of_the_whole(
    shape: tuple[int, ...],
    lengths: tuple[int, ...],
    type_name: str,
    layout: Callable[[Array], Array],
) -> None:
    x, delta = (layout(_random(shape, type_name, seed)) for seed in (1, 4))
    gamma, beta = (_random(shape[1:2], type_name, seed) for seed in (2, 3))
    _, mean, variance = ng.batch_norm_training(x, gamma, beta)
    whole = ng.batch_norm_training_backprop(x, gamma, beta, mean, variance, delta)
    pieces = list(zip(_cut(x, lengths), _cut(delta, lengths), strict=True))
    for place, grouping in itertools.product((True, False), GROUPINGS):
        sums = grouping(
            [
                ng.batch_norm_backprop_sums(
                    part, mean, variance, part_delta, first_sample=first if place else None
                )
                for (part, part_delta), first in zip(pieces, _firsts(lengths), strict=True)
            ]
        )
        results = [
            ng.batch_norm_training_backprop(
                part, gamma, beta, mean, variance, part_delta, sums=sums
            )
            for part, part_delta in pieces
        ]
        joined = np.concatenate([result.input_delta for result in results])
        assert np.array_equal(joined, whole.input_delta)
        for result in results:
            _assert_same_bits(result.gamma_delta, whole.gamma_delta)
            _assert_same_bits(result.beta_delta, whole.beta_delta)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("type_name", TYPES)
def test_relu_of_parts_has_the_bits_of_the_whole(
    type_name: str, layout: Callable[[Array], Array]
) -> None:
    shape, lengths = (96, 8, 5, 7), (32, 64)
    x, delta = (layout(_random(shape, type_name, seed, 0.0)) for seed in (1, 4))
    gamma, beta = (_random(shape[1:2], type_name, seed) for seed in (2, 3))
    whole = ng.batch_norm_training_relu(x, gamma, beta)
    whole_delta = ng.batch_norm_training_relu_backprop(
        x, gamma, beta, whole.mean, whole.variance, whole.mask, delta
    )
    parts, deltas = _cut(x, lengths), _cut(delta, lengths)
    total = _statistics(parts, lengths, True)
    results = [ng.batch_norm_training_relu(part, gamma, beta, statistics=total) for part in parts]
    activated = np.concatenate([result.activated for result in results])
    assert np.array_equal(activated, whole.activated)
    pieces = list(zip(parts, [result.mask for result in results], deltas, strict=True))
    sums = sum(
        ng.batch_norm_backprop_sums(part, whole.mean, whole.variance, part_delta, mask=mask)
        for part, mask, part_delta in pieces
    )
    input_deltas = [
        ng.batch_norm_training_relu_backprop(
            part, gamma, beta, whole.mean, whole.variance, mask, part_delta, sums=sums
        ).input_delta
        for part, mask, part_delta in pieces
    ]
    assert np.array_equal(np.concatenate(input_deltas), whole_delta.input_delta)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("type_name", TYPES)
def test_residual_sum_of_parts_has_the_bits_of_the_whole(
    type_name: str, layout: Callable[[Array], Array]
) -> None:
    shape, lengths = (96, 8, 5, 7), (32, 64)
    x, residual, delta = (layout(_random(shape, type_name, seed, 0.0)) for seed in (1, 4, 5))
    gamma, beta = (_random(shape[1:2], type_name, seed) for seed in (2, 3))
    options: dict[str, Any] = {"upper_bound": 2.0}
    whole = ng.batch_norm_training_add_relu(x, gamma, beta, residual, **options)
    of_whole = ng.batch_norm_training_add_relu_backprop(
        x, gamma, beta, whole.mean, whole.variance, whole.mask, delta
    )
    total = _statistics(_cut(x, lengths), lengths, True)
    pieces = list(zip(*(_cut(array, lengths) for array in (x, residual, delta)), strict=True))
    results = [
        ng.batch_norm_training_add_relu(part, gamma, beta, added, statistics=total, **options)
        for part, added, _ in pieces
    ]
    assert np.array_equal(np.concatenate([r.activated for r in results]), whole.activated)
    sums: Any = sum(
        ng.batch_norm_backprop_sums(part, whole.mean, whole.variance, part_delta, mask=result.mask)
        for (part, _, part_delta), result in zip(pieces, results, strict=True)
    )
    deltas = [
        ng.batch_norm_training_add_relu_backprop(
            part, gamma, beta, whole.mean, whole.variance, result.mask, part_delta, sums=sums
        )
        for (part, _, part_delta), result in zip(pieces, results, strict=True)
    ]
    for name in ("input_delta", "residual_delta"):
        joined = np.concatenate([getattr(result, name) for result in deltas])
        assert np.array_equal(joined, getattr(of_whole, name))
    _assert_same_bits(deltas[1].gamma_delta, of_whole.gamma_delta)


@pytest.mark.parametrize("implementation", ng.implementations())
@pytest.mark.parametrize("type_name", TYPES)
def test_implementations_threads_and_strides_have_the_same_bits(
    type_name: str, implementation: str
) -> None:
    dense = _random((70, 6, 5, 9), type_name)
    delta = _random(dense.shape, type_name, 2)
    mean = np.arange(6).astype(REAL_TYPES[type_name].dtype)
    for layout in LAYOUTS:
        x = layout(dense)
        order = (0, 1, 2, 3) if layout is np.ascontiguousarray else (0, 2, 3, 1)
        expected = ng.batch_norm_statistics(x, implementation="reference")
        expected_sums = ng.batch_norm_backprop_sums(
            x, mean, mean, delta, implementation="reference"
        )
        for style, num_threads in itertools.product(STYLES, (1, 3)):
            view = in_memory_order(x, order, style)
            options: dict[str, Any] = {
                "num_threads": num_threads,
                "implementation": implementation,
            }
            assert ng.batch_norm_statistics(view, **options) == expected
            sums = ng.batch_norm_backprop_sums(view, mean, mean, delta, **options)
            assert sums == expected_sums


@pytest.mark.parametrize("num_threads", [1, 2, 7])
def test_any_order_of_the_axes_has_the_same_bits(num_threads: int) -> None:
    dense = _random((40, 5, 11, 3), "f32")
    for implementation in ng.implementations():
        for axes in itertools.permutations(range(4)):
            x = in_memory_order(dense, axes, STYLES[0])
            for channel_axis in range(4):
                expected = ng.batch_norm_statistics(
                    x, channel_axis=channel_axis, implementation="reference"
                )
                statistics = ng.batch_norm_statistics(
                    x,
                    channel_axis=channel_axis,
                    num_threads=num_threads,
                    implementation=implementation,
                )
                assert statistics == expected


@pytest.mark.parametrize("type_name", TYPES)
def test_any_cut_is_exact_but_for_rounding(type_name: str) -> None:
    x = _random((103, 4, 3, 5), type_name)
    values = np.moveaxis(x.astype(np.float64), 1, 0).reshape(4, -1)
    for lengths in ((1, 102), (50, 53), (0, 1, 0, 2, 100), (7,) * 14 + (5,)):
        total = _statistics(_cut(x, lengths), lengths, True)
        assert total.count == 103 * 15
        np.testing.assert_allclose(total.mean, values.mean(axis=1), rtol=1e-14)
        tolerance = {"f16": 2e-6, "bf16": 2e-6}.get(type_name, 1e-13)
        np.testing.assert_allclose(total.variance, values.var(axis=1), rtol=tolerance)


def test_f32_results_of_any_cut_are_within_one_unit() -> None:
    x = _random((103, 4, 3, 5), "f32")
    whole = ng.batch_norm_training(x, None, None).normalized
    for lengths in ((1, 102), (50, 53), (7,) * 14 + (5,)):
        total = _statistics(_cut(x, lengths), lengths, True)
        result = ng.batch_norm_training(x, None, None, statistics=total).normalized
        np.testing.assert_array_max_ulp(result, whole, maxulp=1)


def test_micro_batches_have_the_gradients_of_the_batch() -> None:
    x, delta = (_random((256, 8, 6, 6), "f32", seed) for seed in (1, 2))
    gamma, beta = (_random((8,), "f32", seed) for seed in (3, 4))
    whole = ng.batch_norm_training(x, gamma, beta)
    expected = ng.batch_norm_training_backprop(x, gamma, beta, whole.mean, whole.variance, delta)
    micro_batches = [slice(first, first + 32) for first in range(0, 256, 32)]
    total = sum(ng.batch_norm_statistics(x[part]) for part in micro_batches)
    mean, variance = ng.batch_norm_training(x[:0], gamma, beta, statistics=total)[1:]
    sums = sum(
        ng.batch_norm_backprop_sums(x[part], mean, variance, delta[part]) for part in micro_batches
    )
    for part in micro_batches:
        result = ng.batch_norm_training_backprop(
            x[part], gamma, beta, mean, variance, delta[part], sums=sums
        )
        _assert_same_bits(result.input_delta, expected.input_delta[part])
        _assert_same_bits(result.gamma_delta, expected.gamma_delta)


# ---- adding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_adding_is_associative(seed: int) -> None:
    """Wherever parts begin, and whether or not that is known."""
    choose = random.Random(seed)
    lengths = [choose.choice([0, 1, 3, 32, 64, 33, 8]) for _ in range(6)]
    x = _random((sum(lengths), 3, 40), "f32", seed)
    parts = [
        ng.batch_norm_statistics(part, first_sample=first if choose.random() < 0.5 else None)
        for part, first in zip(_cut(x, lengths), _firsts(lengths), strict=True)
    ]
    values = set()
    for grouping in (
        *GROUPINGS,
        *(functools.partial(_grouped, random.Random(n)) for n in range(5)),
    ):
        total = grouping(parts)
        assert total.count == x.shape[0] * 40
        values.add((total.mean.tobytes(), total.variance.tobytes()))
    assert len(values) == 1


def _grouped(choose: random.Random, parts: Sequence[Any]) -> Any:
    remaining = list(parts)
    while len(remaining) > 1:
        index = choose.randrange(len(remaining) - 1)
        remaining[index : index + 2] = [remaining[index] + remaining[index + 1]]
    return remaining[0]


def test_an_empty_part_is_neutral() -> None:
    x = _random((10, 3, 4), "f32")
    part = ng.batch_norm_statistics(x)
    empty = ng.batch_norm_statistics(x[:0])
    assert empty.count == 0
    assert np.isnan(empty.mean).all()
    assert np.isnan(empty.variance).all()
    assert part + empty == empty + part == part
    assert (empty + empty).count == 0
    no_pixels = ng.batch_norm_statistics(np.zeros((5, 3, 0), np.float32))
    assert part + no_pixels == part


def test_a_single_element() -> None:
    one = ng.batch_norm_statistics(np.array([[2.5, -1.0]], np.float32))
    assert one.count == 1
    assert one.mean.tolist() == [2.5, -1.0]
    assert one.variance.tolist() == [0.0, 0.0]
    two = one + ng.batch_norm_statistics(np.array([[3.5, -1.0]], np.float32))
    assert two.mean.tolist() == [3.0, -1.0]
    assert two.variance.tolist() == [0.25, 0.0]


def test_counts_beyond_32_bits() -> None:
    x = _random((32, 2, 64), "f32")
    part = ng.batch_norm_statistics(x, first_sample=0)
    total = part
    for _ in range(40):
        total = total + total
    assert total.count == 32 * 64 * 2**40
    assert total.samples == 32 * 2**40
    np.testing.assert_allclose(total.mean, part.mean, rtol=1e-14)
    np.testing.assert_allclose(total.variance, part.variance, rtol=1e-13)
    for _ in range(11):
        total = total + total
    with pytest.raises(OverflowError, match=r"more than 2\^63"):
        total + total


def test_what_is_kept_grows_with_the_logarithm() -> None:
    part = _random((32, 3, 40), "f32")
    placed = ng.batch_norm_statistics(part, first_sample=0)
    anywhere = ng.batch_norm_statistics(part)
    total = placed
    for _ in range(999):
        total = total + anywhere
    assert total.samples == 32_000
    assert len(total.to_bytes()) < 12 * len(placed.to_bytes())
    ragged = ng.batch_norm_statistics(part[:7], first_sample=0)
    for _ in range(999):
        ragged = ragged + ng.batch_norm_statistics(part[:7])
    assert len(ragged.to_bytes()) < 30 * len(placed.to_bytes())


@pytest.mark.parametrize("offset", [1e4, 1e7])
def test_mean_far_from_zero(offset: float) -> None:
    x = _random((96, 2, 50), "f64", offset=offset)
    total = _statistics(_cut(x, (32, 64)), (32, 64), True)
    values = np.moveaxis(x - offset, 1, 0).reshape(2, -1)
    np.testing.assert_allclose(total.mean - offset, values.mean(axis=1), atol=4e-16 * offset)
    np.testing.assert_allclose(total.variance, values.var(axis=1), rtol=1e-12)


def test_other_types_and_layouts_are_added_too() -> None:
    x = _random((64, 4, 5, 5), "f32")
    total = ng.batch_norm_statistics(x[:32]) + ng.batch_norm_statistics(
        channels_last(x[32:]).astype(np.float64)
    )
    whole = ng.batch_norm_statistics(x)
    assert total.count == whole.count
    np.testing.assert_allclose(total.variance, whole.variance, rtol=1e-14)


def test_a_placed_empty_part_places_what_comes_before() -> None:
    x = _random((96, 3, 40), "f32")
    first, second = ng.batch_norm_statistics(x[:32]), ng.batch_norm_statistics(x[32:])
    empty = ng.batch_norm_statistics(x[:0], first_sample=64)
    assert (first + empty) + second == first + (empty + second)
    assert ((first + empty) + second).first_sample == 32


@pytest.mark.skipif(UNDER_SANITIZER, reason="a sanitizer keeps memory that has been freed")
def test_no_memory_is_lost() -> None:
    x = np.ones((2, 20_000), np.float32)
    vector = np.zeros(20_000, np.float32)
    data = ng.batch_norm_statistics(x).to_bytes()

    def calls() -> None:
        ng.batch_norm_statistics(x)
        ng.batch_norm_backprop_sums(x, vector, vector, x)
        part = ng.BatchStatistics.from_bytes(data)
        assert pickle.loads(pickle.dumps(part + part)).count == 4

    calls()
    before = _resident_bytes()
    for _ in range(100):
        calls()
    assert _resident_bytes() - before < 30_000_000  # of 300 MB that went through it


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_numpy_takes_no_part_for_an_array() -> None:
    part: Any = ng.batch_norm_statistics(_random((4, 3, 5), "f32"))
    calls: list[Callable[[], Any]] = [
        lambda: np.add(part, part),
        lambda: np.int64(0) + part,
        lambda: part * np.ones(3),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


def test_zeros_of_either_sign_are_one_center() -> None:
    x = _random((4, 3, 5), "f32")
    zeros = np.zeros(3, np.float32)
    sums = ng.batch_norm_backprop_sums(x, zeros, zeros, x)
    sums = sums + ng.batch_norm_backprop_sums(x, -zeros, zeros, x)
    ng.batch_norm_training_backprop(x, None, None, -zeros, zeros, x, sums=sums)


def test_nan_and_infinity_stay_in_their_channel() -> None:
    x = _random((64, 3, 40), "f32")
    x[40, 1, 7], x[3, 2, 3] = np.nan, np.inf
    whole = ng.batch_norm_training(x, None, None)
    parts = _cut(x, (32, 32))
    total = _statistics(parts, (32, 32), True)
    result = ng.batch_norm_training(x, None, None, statistics=total)
    assert np.array_equal(result.normalized, whole.normalized, equal_nan=True)
    assert np.isfinite(result.normalized[:, 0]).all()
    assert np.isnan(result.normalized[:, 1:]).all()


# ---- values -------------------------------------------------------------------------------------


@pytest.fixture(params=["statistics", "centered", "sums", "empty"])
def part(request: pytest.FixtureRequest) -> Any:
    x = _random((33, 3, 40), "f64")
    if request.param == "sums":
        return ng.batch_norm_backprop_sums(x, x[0, :, 0], x[0, :, 0], x, first_sample=64)
    about = ng.batch_norm_statistics(x) if request.param == "centered" else None
    return ng.batch_norm_statistics(x[: 0 if request.param == "empty" else None], about=about)


def test_bytes_are_read_back(part: Any) -> None:
    data = part.to_bytes()
    assert bytes(part) == data == bytes(memoryview(part))
    for form in (data, bytearray(data), np.frombuffer(data, np.uint8), part):
        assert type(part).from_bytes(form) == part
    assert pickle.loads(pickle.dumps(part)) == part
    assert hash(type(part).from_bytes(data)) == hash(part)
    assert np.asarray(memoryview(part)).flags.writeable is False


def test_damaged_bytes_are_refused(part: Any) -> None:
    data = part.to_bytes()
    cls = type(part)
    for damaged in (b"", data[:7], data[:-1], data + b"\0", b"X" + data[1:]):
        with pytest.raises(ValueError, match="data: expected the bytes of a part"):
            cls.from_bytes(damaged)
    choose = random.Random(1)
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(choose.choice([1, 1, 8])):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        try:
            other = cls.from_bytes(changed)
        except ValueError:
            continue
        assert other.count >= 0
        assert repr(other)


def test_bytes_of_the_other_class_are_refused() -> None:
    x = _random((4, 3, 5), "f32")
    statistics = ng.batch_norm_statistics(x)
    sums = ng.batch_norm_backprop_sums(x, x[0, :, 0], x[0, :, 0], x)
    with pytest.raises(ValueError, match="BatchStatistics, got those of BackpropSums"):
        ng.BatchStatistics.from_bytes(sums)
    with pytest.raises(ValueError, match="BackpropSums, got those of BatchStatistics"):
        ng.BackpropSums.from_bytes(statistics)
    with pytest.raises(TypeError, match="data: expected bytes"):
        ng.BatchStatistics.from_bytes(3)  # type: ignore[arg-type]


def test_attributes_and_text() -> None:
    x = channels_last(_random((33, 3, 40), "bf16"))
    part = ng.batch_norm_statistics(x, first_sample=64)
    assert (part.count, part.channels, part.samples, part.first_sample) == (1320, 3, 33, 64)
    assert (part.element_type, part.layout) == (ng.element.bf16, "channels_last")
    assert repr(part) == (
        "<BatchStatistics: 3 channels of 1320 bf16 elements, channels_last, samples 64 to 97>"
    )
    anywhere = ng.batch_norm_statistics(x)
    assert anywhere.first_sample is None
    assert "33 samples" in repr(anywhere)
    sums = ng.batch_norm_backprop_sums(x, part.mean.astype("f4"), part.variance.astype("f4"), x)
    values = x.astype(np.float64)
    np.testing.assert_allclose(sums.beta_delta, values.sum(axis=(0, 2)), rtol=1e-6)
    centered = values - part.mean.astype("f4").astype(np.float64)[:, None]
    np.testing.assert_allclose(sums.gmul_delta, (values * centered).sum(axis=(0, 2)), rtol=1e-5)


# ---- errors -------------------------------------------------------------------------------------

X = _random((4, 3, 5), "f32")
STATISTICS = ng.batch_norm_statistics(X)
VECTOR = X[0, :, 0]
SUMS = ng.batch_norm_backprop_sums(X, VECTOR, VECTOR, X)


def _apply(**options: Any) -> Any:
    return ng.batch_norm_training(X, None, None, **options)


def _apply_backwards(x: Array = X, **options: Any) -> Any:
    return ng.batch_norm_training_backprop(x, None, None, VECTOR, VECTOR, x, **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: STATISTICS + SUMS, TypeError, "unsupported operand"),
        (lambda: STATISTICS + 1, TypeError, "unsupported operand"),
        (lambda: 1 + STATISTICS, TypeError, "unsupported operand"),
        (
            lambda: STATISTICS + ng.batch_norm_statistics(X[:, :2]),
            ValueError,
            "expected a part of 3 channels to follow one of as many, got one of 2",
        ),
        (
            lambda: SUMS + ng.batch_norm_backprop_sums(X, VECTOR + 1, VECTOR, X),
            ValueError,
            "expected parts that were summed about the same means, got others",
        ),
        (
            lambda: _apply(statistics=SUMS),
            TypeError,
            "statistics: expected a normgraph.BatchStatistics or None, got .*BackpropSums",
        ),
        (
            lambda: _apply_backwards(sums=(1, 2)),
            TypeError,
            "sums: expected a normgraph.BackpropSums or None, got",
        ),
        (
            lambda: _apply(statistics=ng.batch_norm_statistics(X[:, :2])),
            ValueError,
            "statistics: expected those of 3 channels, as input has, got 2",
        ),
        (
            lambda: _apply(statistics=ng.batch_norm_statistics(X[:0])),
            ValueError,
            "statistics: expected those of at least one element per channel, got those of an empty",
        ),
        (
            lambda: ng.batch_norm_training(
                np.concatenate([X, X]), None, None, statistics=STATISTICS
            ),
            ValueError,
            "statistics: expected those of a batch of which input is a part, with at least 40 elem",
        ),
        (
            lambda: _apply_backwards(np.concatenate([X, X]), sums=SUMS),
            ValueError,
            "sums: expected those of a batch of which input is a part, with at least 40 elements "
            "per channel, got 20",
        ),
        (
            lambda: ng.batch_norm_training_backprop(
                X, None, None, VECTOR + 1, VECTOR, X, sums=SUMS
            ),
            ValueError,
            "sums: expected sums about the mean that is given here, got sums about another one",
        ),
        (
            lambda: ng.batch_norm_statistics(X, first_sample=-1),
            ValueError,
            r"first_sample: expected an integer from 0 to 2\^62 or None, got -1",
        ),
        (
            lambda: ng.batch_norm_statistics(X, first_sample=1.5),  # type: ignore[arg-type]
            TypeError,
            r"first_sample: expected an integer from 0 to 2\^62 or None, got 1.5 of type float",
        ),
        (
            lambda: ng.batch_norm_statistics(X, about=STATISTICS),
            ValueError,
            "about: expected None beside input of f32",
        ),
        (
            lambda: ng.batch_norm_statistics(X, about=3),  # type: ignore[arg-type]
            TypeError,
            "about: expected a normgraph.BatchStatistics or None, got 3 of type int",
        ),
        (
            lambda: ng.batch_norm_statistics(
                X.astype("f8"), about=ng.batch_norm_statistics(X[:, :2])
            ),
            ValueError,
            "about: expected the statistics of the whole batch, from a first pass, of 3 channels",
        ),
        (lambda: ng.batch_norm_statistics(X[0, 0]), ng.NodeValidationFailure, "C5"),
        (lambda: ng.batch_norm_statistics(X, channel_axis=3), ng.NodeValidationFailure, "C6"),
        (lambda: ng.batch_norm_statistics(X.astype(int)), ng.NodeValidationFailure, "C2"),
        (lambda: ng.batch_norm_statistics([1.0]), TypeError, "input: expected an array"),
        (
            lambda: ng.batch_norm_backprop_sums(X, VECTOR, VECTOR[:2], X),
            ng.NodeValidationFailure,
            "C9",
        ),
        (
            lambda: ng.batch_norm_backprop_sums(X, VECTOR, VECTOR, X, mask=np.zeros(8, np.uint8)),
            ng.NodeValidationFailure,
            "C12",
        ),
        (lambda: ng.BatchStatistics(), TypeError, "BatchStatistics"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_empty_batch_is_still_refused_on_its_own() -> None:
    with pytest.raises(ValueError, match="input: expected at least one element per channel"):
        ng.batch_norm_training(X[:0], None, None)
    ng.batch_norm_training(X[:0], None, None, statistics=STATISTICS)
    with pytest.raises(ValueError, match="input: expected at least one element per channel"):
        ng.batch_norm_training(X[:0], None, None)
