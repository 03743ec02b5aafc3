"""normgraph.distributed: shards have the results and the gradients of the batch."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np
import pytest

import normgraph as ng
import normgraph.distributed as ngd

from ..kernel.comparison import assert_outputs_select, assert_same_bits
from ..kernel.real_types import TYPE_PAIRS
from . import cases
from .cases import FORMS, Batch
from .threads import Communicator, run

ALIGNED: tuple[tuple[int, ...], ...] = ((9,), (64, 20), (32, 0, 32, 64, 3))
UNEVEN: tuple[tuple[int, ...], ...] = ((5, 2), (0, 6), (6, 0), (1, 7, 4), (0, 5, 3), (40, 33, 7))


def steps_of(batch: Batch) -> list[Any]:
    answers = run(len(batch.lengths), lambda c: batch.step(c, c.rank))
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("types", TYPE_PAIRS, ids="_".join)
@pytest.mark.parametrize("channel_axis", [1, -1, 0])
def test_aligned_shards_have_the_bits_of_the_batch(
    channel_axis: int, types: tuple[str, str], form: str
) -> None:
    for lengths in ALIGNED:
        batch = Batch(lengths, *types, channel_axis=channel_axis, form=form)
        batch.check_bits(steps_of(batch))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("data_type", ["f32", "f64"])
@pytest.mark.parametrize("lengths", UNEVEN, ids=str)
def test_other_shards_differ_by_a_rounding(
    lengths: tuple[int, ...], data_type: str, form: str
) -> None:
    for channel_axis in (1, -1, 0):
        batch = Batch(lengths, data_type, data_type, channel_axis=channel_axis, form=form)
        if data_type == "f32":
            batch.check_within_one_unit(steps_of(batch))
            continue
        # Doubles are sums of doubles, which are rounded in another order.
        whole = batch.whole_step()
        for answer in steps_of(batch):
            for name in ("mean", "variance", "gamma_delta", "beta_delta"):
                assert np.allclose(answer[name], whole[name], rtol=1e-13, atol=1e-12)


def test_a_matrix_whose_blocks_are_long() -> None:
    batch = Batch((256, 512, 100), channels=4, image=())
    batch.check_bits(steps_of(batch))


def test_images_of_several_sizes() -> None:
    shards = [np.random.default_rng(seed).normal(size=(2, 3, 4 + seed)) for seed in range(3)]
    answers = run(3, lambda c: ngd.batch_norm_training(shards[c.rank], None, None, c))
    flat = np.concatenate([shard.swapaxes(1, 2).reshape(-1, 3) for shard in shards])
    whole = ng.batch_norm_training(flat, None, None)
    for shard, answer in zip(shards, answers, strict=True):
        expected = (shard - whole.mean[:, None]) / np.sqrt(whole.variance + 1e-5)[:, None]
        assert np.allclose(answer.normalized, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("data_type", "forward"), [("f32", 1), ("bf16", 1), ("f64", 2)])
def test_one_collective_each_way(data_type: str, forward: int) -> None:
    batch = Batch((3, 2), data_type, data_type)

    def collectives(communicator: Communicator) -> tuple[int, int]:
        shard = batch.shard(communicator.rank)
        x, vectors = shard["input"], (shard["gamma"], shard["beta"])
        result = ngd.batch_norm_training(x, *vectors, communicator)
        count = len(communicator.sent)
        statistics = result.mean, result.variance
        ngd.batch_norm_training_backprop(x, *vectors, *statistics, shard["delta"], communicator)
        return count, len(communicator.sent) - count

    assert run(2, collectives) == [(forward, 1)] * 2


def test_the_stages_alone() -> None:
    batch = Batch((32, 7), "f64", "f64", form="_relu")
    whole = batch.whole_step()

    def stages(communicator: Communicator) -> tuple[Any, Any]:
        shard = batch.shard(communicator.rank)
        x, vectors = shard["input"], (shard["gamma"], shard["beta"])
        total = ngd.batch_norm_statistics(x, communicator)
        local = ng.batch_norm_training_relu(*[x, *vectors], upper_bound=2.0, statistics=total)
        sums = ngd.batch_norm_backprop_sums(
            x, local.mean, local.variance, shard["delta"], communicator, mask=local.mask
        )
        return total, sums

    for total, sums in run(2, stages):
        assert total.count == 39 * 36
        assert_same_bits(total.mean, whole["mean"], "mean")
        assert_same_bits(total.variance, whole["variance"], "variance")
        assert_same_bits(sums.beta_delta, whole["beta_delta"], "beta_delta")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channel_axis", [1, -1, 0])
def test_out_and_outputs(channel_axis: int, form: str) -> None:
    batch = Batch((3, 0, 2), channel_axis=channel_axis, form=form)

    def case(communicator: Communicator) -> None:
        shard = batch.shard(communicator.rank)
        vectors = shard["gamma"], shard["beta"]
        axis = np.int64(channel_axis)
        residual = [shard["residual"]] if form == "_add_relu" else []

        def forward(**options: Any) -> Any:
            function = getattr(ngd, f"batch_norm_training{form}")
            arrays = [shard["input"], *vectors, *residual]
            return function(*arrays, communicator, channel_axis=axis, **options)

        plain = forward()

        def backward(**options: Any) -> Any:
            function = getattr(ngd, f"batch_norm_training{form}_backprop")
            arrays = [shard["input"], *vectors, plain.mean, plain.variance, *plain[3:]]
            return function(*arrays, shard["delta"], communicator, channel_axis=axis, **options)

        for function in (forward, backward):
            expected = function()
            assert_outputs_select(function, expected._fields)
            out = type(expected)(*map(np.empty_like, expected))
            for given in (out, (None, *out[1:]), out[0]):
                found = function(out=given)
                for name, right in expected._asdict().items():
                    assert_same_bits(getattr(found, name), right, name)
            assert found[0] is out[0]
        wide = forward(out=(None, np.empty(4), None, *plain[3:]), outputs=plain._fields)
        assert wide.variance.dtype == np.float64
        in_place = shard["input"].copy()
        shard["input"] = in_place
        assert_same_bits(forward(out=in_place)[0], plain[0], "in place")

    assert run(3, case) == [None] * 3


def test_any_arrays() -> None:
    batch = Batch((3, 2))
    whole = batch.whole_step()

    def case(communicator: Communicator) -> Any:
        shard = batch.shard(communicator.rank)
        views = [memoryview(np.ascontiguousarray(shard[n])) for n in ("input", "gamma", "beta")]
        return ngd.batch_norm_training(*views, communicator, outputs=["mean", "normalized"])

    for answer in run(2, case):
        assert np.allclose(answer.mean, whole["mean"], rtol=1e-6)


def test_the_signatures_are_those_of_normgraph_with_a_communicator() -> None:
    for name in ngd.__all__:
        expected = list(inspect.signature(getattr(ng, name)).parameters.values())
        found = inspect.signature(getattr(ngd, name)).parameters
        # What the ranks find together is no argument.
        exchanged = {"statistics", "sums", "first_sample", "about"}
        assert [p for p in found if p != "communicator"] == [
            p.name for p in expected if p.name not in exchanged
        ]
        for parameter in expected:
            if parameter.name not in exchanged:
                assert found[parameter.name].default == parameter.default
        required = [p.name for p in found.values() if p.default is p.empty]
        assert required[-1] == "communicator"


# ---- errors -------------------------------------------------------------------------------------

X = np.arange(12, dtype=np.float32).reshape(4, 3)
ONES = np.ones(3, np.float32)


class _NoMemory:
    """An array that cannot be had."""

    def __dlpack__(self, **_: Any) -> Any:
        raise MemoryError("there is none left")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


FORWARD: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "no array": ([[1.0], None, None], {}, "TypeError: input: expected an array"),
    "raises": ([_NoMemory(), None, None], {}, "MemoryError: there is none left"),
    "dimensions": ([ONES, None, None], {}, "NodeValidationFailure: "),
    "type": ([X.astype(np.int8), None, None], {}, "the element type of input"),
    "gamma": ([X, ONES[:2], ONES[:2]], {}, "the number of channels differs"),
    "vectors": ([X, ONES.astype(np.int8), ONES], {}, "the element type of gamma: expected f32"),
    "epsilon": ([X, None, None], {"epsilon": -1.0}, "epsilon: expected a finite number"),
    "axis": ([X, None, None], {"channel_axis": 2}, "NodeValidationFailure: "),
    "threads": ([X, None, None], {"num_threads": 0}, "ValueError: num_threads"),
    "implementation": ([X, None, None], {"implementation": "q"}, "ValueError: implementation"),
    "statistics_type": ([X, None, None], {"statistics_type": "i8"}, "statistics_type"),
    "outputs": ([X, None, None], {"outputs": ["q"]}, "ValueError: outputs: expected names"),
    "no outputs": ([X, None, None], {"outputs": 5}, "TypeError: outputs: expected a tuple"),
    "an iterator": ([X, None, None], {"outputs": iter(["mean"])}, "TypeError: outputs: expected a"),
    "out of other length": ([X, None, None], {"out": X[:3].copy()}, "ValueError: out[0] (norm"),
    "out of other type": ([X, None, None], {"out": X.astype(float)}, "ValueError: out[0] (norm"),
    "a list": ([X, None, None], {"out": [X]}, "TypeError: out[0] (normalized): expected a numpy"),
    "too few": ([X, None, None], {"out": (None, None)}, "ValueError: out: expected a tuple of 3"),
    "mean": ([X, None, None], {"out": (None, ONES[:2], None)}, "ValueError: out[1] (mean): "),
    "not selected": (
        [X, None, None],
        {"out": X.copy(), "outputs": ["mean"]},
        "ValueError: out[0] (normalized): expected None",
    ),
}


def assert_all_know(answers: list[Any], culprit: int, text: str, stage: str) -> None:
    for rank, (found, is_right_again) in enumerate(answers):
        assert text in found
        if rank != culprit:
            assert found.startswith(f"RuntimeError: batch_norm_training{stage} failed on rank ")
            assert f"failed on rank {culprit}: " in found
        else:
            assert "RuntimeError" not in found
        assert is_right_again


@pytest.mark.parametrize("culprit", [0, 1, 2])
@pytest.mark.parametrize("name", FORWARD)
def test_an_error_of_one_rank_reaches_all(name: str, culprit: int) -> None:
    *wrong, text = FORWARD[name]
    right_out = (np.full_like(X, 7.0), ONES.copy(), ONES.copy())
    calls: list[Any] = [([X, ONES, ONES], {"out": right_out})] * 3
    calls[culprit] = wrong
    answers = run(3, lambda c: cases.error_of(c, c.rank, "batch_norm_training", calls))
    assert_all_know(answers, culprit, text, ": the forward pass")
    assert np.all(right_out[0] == 7.0)
    assert np.all(right_out[1] == 1.0)


def test_nothing_is_written_where_an_argument_is_wrong() -> None:
    mean = np.full(3, 7.0, np.float32)
    read_only = X.copy()
    read_only.flags.writeable = False
    for data in (read_only, X[:3].copy()):
        calls = [([X, None, None], {"out": (data, mean, None)})]
        run(1, lambda c, calls=calls: cases.error_of(c, c.rank, "batch_norm_training", calls))
        assert np.all(mean == 7.0)
    mean.flags.writeable = False
    calls = [([X, None, None], {"out": (None, mean, None)}), ([X, None, None], {})]
    answers = run(2, lambda c: cases.error_of(c, c.rank, "batch_norm_training", calls))
    assert_all_know(answers, 0, "out[1] (mean): expected a writable", ": the forward pass")


MASK = np.full((4, 1), 7, np.uint8)


@pytest.mark.parametrize(
    ("name", "arrays", "options", "text"),
    [
        ("_relu", [X, None, None], {"upper_bound": -1.0}, "upper_bound: expected a finite number"),
        ("_relu", [X, None, None], {"out": (None, None, None, MASK[:3])}, "out[3] (mask): expec"),
        ("_relu", [X, None, None], {"out": (None, None, None, MASK[::-1])}, "C-contiguous"),
        ("_relu", [X, None, None], {"out": (*[None] * 3, MASK.astype(int))}, "out[3] (mask): expe"),
        ("_add_relu", [X, None, None, X[:2]], {}, "the shape of residual"),
        ("_add_relu", [X, None, None, None], {}, "TypeError: residual"),
    ],
)
def test_an_error_of_a_fused_form_reaches_all(
    name: str, arrays: list[Any], options: dict[str, Any], text: str
) -> None:
    calls: list[Any] = [([X, None, None, X][: len(arrays)], {"channel_axis": -1})] * 2
    calls[1] = arrays, {"channel_axis": -1, **options}
    function = f"batch_norm_training{name}"
    answers = run(2, lambda c: cases.error_of(c, c.rank, function, calls))
    assert_all_know(answers, 1, text, f"{name}: the forward pass")


@pytest.mark.parametrize("culprit", [0, 1])
@pytest.mark.parametrize(
    ("form", "arrays", "options", "text"),
    [
        ("", [X, None, None, ONES, ONES, X[:3]], {}, "the shape of normalized_delta"),
        ("", [X, None, None, ONES, ONES[:2], X], {}, "the number of channels differs"),
        ("", [X, ONES[:2], None, ONES, ONES, X], {}, "the number of channels differs"),
        ("", [X, None, None, ONES, ONES, X], {"epsilon": -1}, "epsilon: expected a finite"),
        ("", [X, None, None, ONES, ONES, X], {"out": X.copy()[:3]}, "out[0] (input_delta): exp"),
        ("_relu", [X, None, None, ONES, ONES, MASK[:3], X], {}, "the shape of mask"),
        ("_relu", [X, None, None, ONES, ONES, None, X], {}, "TypeError: mask"),
        (
            "_add_relu",
            [X, None, None, ONES, ONES, MASK, X],
            {"out": (None, None, None, X[:3])},
            "out[3] (residual_delta): expected",
        ),
    ],
)
def test_an_error_of_a_backward_pass_reaches_all(
    form: str, arrays: list[Any], options: dict[str, Any], text: str, culprit: int
) -> None:
    right = [X, None, None, ONES, ONES, *([MASK] if form else []), X]
    calls: list[Any] = [(right, {"channel_axis": -1})] * 2
    calls[culprit] = arrays, {"channel_axis": -1, **options}
    name = f"batch_norm_training{form}_backprop"
    answers = run(2, lambda c: cases.error_of(c, c.rank, name, calls))
    assert_all_know(answers, culprit, text, f"{form}_backprop: the backward pass")


def test_all_errors_are_told() -> None:
    calls: list[Any] = [([ONES, None, None], {}), ([X, None, None], {}), ([X, ONES[:2], ONES], {})]
    answers = run(3, lambda c: cases.error_of(c, c.rank, "batch_norm_training", calls))
    assert "failed on rank 0: NodeValidationFailure: " in answers[1][0]
    assert "; rank 2: NodeValidationFailure: " in answers[1][0]


@pytest.mark.parametrize(
    ("inputs", "kinds"),
    [
        ([X, np.ones((4, 2), np.float32)], ["3 channels of f32", "2 channels of f32"]),
        ([X, X.astype(np.float64)], ["3 channels of f32", "3 channels of f64"]),
        ([X[:0], X.astype(np.float16)], ["3 channels of f32", "3 channels of f16"]),
    ],
)
def test_ranks_that_do_not_fit(inputs: list[Any], kinds: list[str]) -> None:
    calls: list[Any] = [([x, None, None], {}) for x in inputs]
    for text, is_right_again in run(
        2, lambda c: cases.error_of(c, c.rank, "batch_norm_training", calls)
    ):
        assert text == (
            "RuntimeError: batch_norm_training: input: expected as many channels and the same type "
            f"on all ranks, got {kinds[0]} on rank 0, {kinds[1]} on rank 1"
        )
        assert is_right_again


def test_ranks_with_different_means() -> None:
    calls: list[Any] = [([X, None, None, ONES + rank, ONES, X], {}) for rank in range(2)]
    for text, is_right_again in run(
        2, lambda c: cases.error_of(c, c.rank, "batch_norm_training_backprop", calls)
    ):
        assert text.startswith(
            "RuntimeError: batch_norm_training_backprop: the parts of the ranks do not fit each "
            "other: expected parts that were summed about the same means"
        )
        assert is_right_again


def test_ranks_in_different_passes() -> None:
    for text in run(3, lambda c: cases.different_passes(c, c.rank)):
        assert text.endswith(
            "expected all ranks to be in the same pass, got the backward pass on rank 0, the "
            "forward pass on rank 1, the forward pass on rank 2"
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_that_is_empty_on_all_ranks(dtype: Any) -> None:
    empty, ones = X[:0].astype(dtype), ONES.astype(dtype)
    calls: list[Any] = [([empty, None, None], {})] * 2
    for text, is_right_again in run(
        2, lambda c: cases.error_of(c, c.rank, "batch_norm_training", calls)
    ):
        assert text == (
            "ValueError: input: expected at least one element per channel on all ranks together, "
            "got none"
        )
        assert is_right_again
    for result in run(
        2,
        lambda c: ngd.batch_norm_training_backprop(empty, None, None, ones, ones, empty, c),
    ):
        assert result.input_delta.shape == (0, 3)
        assert np.all(result.gamma_delta == 0)
    assert [s.count for s in run(2, lambda c: ngd.batch_norm_statistics(empty, c))] == [0, 0]


# ---- communicators ------------------------------------------------------------------------------


class _Returns:
    """A communicator whose all_gather returns what it is told."""

    def __init__(self, received: Any) -> None:
        self._received = received

    def all_gather(self, message: bytes) -> Any:
        return self._received


@pytest.mark.parametrize("communicator", [None, 3, "world", [b""], object()])
def test_what_is_no_communicator(communicator: Any) -> None:
    with pytest.raises(TypeError, match=r"^communicator: expected an mpi4py\.MPI\.Comm, or an obj"):
        ngd.batch_norm_training(X, None, None, communicator)
    with pytest.raises(TypeError, match=r"^communicator: expected"):
        ngd.batch_norm_training_backprop(X, None, None, ONES, ONES, X, communicator)


@pytest.mark.parametrize("received", [None, b"bytes", [1, 2], [None], ["text"]])
def test_an_all_gather_that_returns_something_else(received: Any) -> None:
    with pytest.raises(TypeError, match=r"^communicator: expected its all_gather to return a list"):
        ngd.batch_norm_training(X, None, None, _Returns(received))


def test_an_all_gather_that_leaves_out_this_rank() -> None:
    for received in ([], [b"other"]):
        with pytest.raises(RuntimeError, match=r"got . without what this rank has sent"):
            ngd.batch_norm_training(X, None, None, _Returns(received))


def test_what_the_communicator_raises_is_passed_on() -> None:
    class Broken:
        def all_gather(self, message: bytes) -> list[bytes]:
            raise ConnectionError("the other rank has gone")

    with pytest.raises(ConnectionError, match="the other rank has gone"):
        ngd.batch_norm_training(X, None, None, Broken())


def test_200_steps_with_other_lengths() -> None:
    digests = run(3, lambda c: cases.digests_of_many_steps(c, c.rank, 200))
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests[0])) == 200


def test_the_order_of_the_ranks_is_that_of_the_batch() -> None:
    """Shards in another order are another batch, whose last digits may differ, but no more."""
    batch = Batch((32, 64, 7), "f64", "f64", offset=100.0)
    whole, found = batch.whole_step(), set()
    for order in itertools.permutations(range(3)):
        placed = run(3, lambda c, order=order: batch.step(c, order[c.rank]))[0]
        if order == (0, 1, 2):
            assert_same_bits(placed["gamma_delta"], whole["gamma_delta"], "gamma_delta")
        assert np.allclose(placed["gamma_delta"], whole["gamma_delta"], rtol=0, atol=1e-9)
        found.add(placed["gamma_delta"].tobytes() + placed["variance"].tobytes())
    assert len(found) > 1
