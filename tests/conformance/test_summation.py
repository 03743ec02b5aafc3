"""The order of summation: of sums written out, of numpy, and of the kernels, as the docs say it."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng
from normgraph.conform import summation
from normgraph.conform.tree import NoTreeError, Tree, build

from . import sums
from .sums import Array

#: (function, count, kind, words)
KNOWN: dict[str, tuple[Callable[[Array], Any], int, str, str]] = {
    "sequential": (sums.sequential, 50, "sequential", "sequential"),
    "backwards": (sums.backwards, 50, "reversed", "in reverse"),
    "pairwise": (sums.pairwise, 50, "pairwise", "pairwise"),
    "aligned": (sums.aligned, 50, "pairwise", "pairwise"),
    "8 lanes, then pairwise": (
        lambda x: sums.lanes(x, 8, sums.pairwise), 50, "lanes",
        "8 lanes (sequential), then pairwise",
    ),
    "8 lanes, then by halves": (
        lambda x: sums.lanes(x, 8, sums.by_halves), 50, "lanes",
        "8 lanes (sequential), then the upper half onto the lower",
    ),
    "4 lanes, then in order": (
        lambda x: sums.lanes(x, 4, sums.sequential), 50, "lanes",
        "4 lanes (sequential), then sequential",
    ),
    "blocks of 128, in order": (
        lambda x: sums.blocks(x, 128, sums.sequential, sums.sequential), 600, "blocks",
        "blocks of 128 (sequential), sequential",
    ),
    "blocks of 32 of lanes, pairwise": (
        lambda x: sums.blocks(
            x, 32, lambda b: sums.lanes(b, 4, sums.pairwise), sums.aligned
        ), 200, "blocks", "blocks of 32 (4 lanes (sequential), then pairwise), pairwise",
    ),
    "rows of lanes": (
        lambda x: sums.rows_of_lanes(x, 49, 16), 196, "lanes",
        "16 lanes anew every 49 summands (sequential), then the upper half onto the lower",
    ),
    "halves of one array": (sums.by_halves, 64, "halves", "the upper half onto the lower"),
    "a permutation": (
        lambda x: sums.sequential(x[np.random.default_rng(1).permutation(len(x))]), 50, "tree",
        "in a tree of 49 levels that has no name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_order_is_found(name: str) -> None:
    function, count, kind, words = KNOWN[name]
    order = ng.summation_order(function, count)
    assert (order.kind, order.words) == (kind, words)
    assert (order.accumulator, order.last_accumulator) == ("f32", "f32")
    assert str(order) == f"{words}, in f32 ({count} summands)"


@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16", "f16"])
def test_the_type_of_the_accumulator_is_found(dtype: str) -> None:
    own = ng.summation_order(sums.sequential, 40, dtype)
    assert (own.kind, own.accumulator) == ("sequential", dtype)
    in_double = ng.summation_order(lambda x: sums.sequential(x.astype(np.float64)), 40, dtype)
    # Nothing that f16 holds is lost in a double.
    assert in_double.kind == ("exact" if dtype == "f16" else "sequential")
    assert in_double.accumulator == (None if dtype == "f16" else "f64")


def test_an_accumulator_of_another_type_has_no_name() -> None:
    order = ng.summation_order(sums.of_16_bits, 40)
    assert (order.kind, order.accumulator) == ("sequential", None)
    assert str(order) == "sequential (40 summands)"


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_more_summands_than_the_type_counts_are_no_obstacle(dtype: str) -> None:
    count = 700 if dtype == "bf16" else 2200
    order = ng.summation_order(sums.sequential, count, dtype)
    assert (order.kind, order.count, order.accumulator) == ("sequential", count, dtype)


def test_powers_of_two_which_a_type_counts_hide_no_order() -> None:
    # bf16 has 1024 and all partial sums of equal summands, but not 1022.
    order = ng.summation_order(sums.neighbours, 1024, "bf16")
    assert (order.kind, order.accumulator) == ("pairwise", "bf16")


def test_chains_in_one_type_and_their_sums_in_another_are_told_apart() -> None:
    order = ng.summation_order(sums.chains_then_double, 64)
    assert order.words == "blocks of 16 (sequential), sequential"
    assert (order.accumulator, order.last_accumulator) == ("f32", "f64")
    assert str(order).endswith(", in f32 and then in f64 (64 summands)")


def test_a_result_in_16_bits_hides_no_order() -> None:
    def rounded(x: Array) -> Any:
        return sums.sequential(x.astype(np.float32)).astype(x.dtype)

    order = ng.summation_order(rounded, 1022, "bf16")
    assert (order.kind, order.accumulator) == ("sequential", "f32")


def test_several_summands_at_once_are_found() -> None:
    order = ng.summation_order(sums.four_at_once, 24)
    nested: Any = order.tree
    sizes = []
    while isinstance(nested, tuple):
        sizes.append(len(nested))
        nested = next((child for child in nested if isinstance(child, tuple)), None)
    assert sizes == [5] * 5 + [4]


def test_exact_sums_are_told() -> None:
    order = ng.summation_order(lambda x: x.dtype.type(math.fsum(x)), 30)
    assert (order.kind, order.tree) == ("exact", None)
    assert "of more than 80 bits, or exact" in str(order)


def test_a_compensation_does_not_show() -> None:
    """As the docs say: the order alone does."""
    assert ng.summation_order(sums.kahan, 40).kind == "sequential"


def test_chance_is_told() -> None:
    generator = np.random.default_rng(3)
    order = ng.summation_order(lambda x: sums.sequential(generator.permutation(x)), 60)
    assert order.kind == "not deterministic"


def test_a_chance_that_leaves_the_order_is_told() -> None:
    factors = itertools.cycle([1.0, 1.0 + 2.0**-20])
    order = ng.summation_order(lambda x: sums.pairwise(x) * next(factors), 60)
    assert order.kind == "not deterministic"


def test_what_is_no_sum_is_told() -> None:
    assert ng.summation_order(np.max, 20).kind == "no sum"
    assert ng.summation_order(lambda x: 2 * x.sum(), 20).kind == "no sum"


@pytest.mark.parametrize("count", [128 * 2**k for k in range(4)])
def test_numpy_sums_blocks_of_128_in_8_lanes(count: int) -> None:
    order = ng.summation_order(np.sum, count)
    in_block = "8 lanes (sequential), then pairwise"
    combined = "added" if count == 256 else "pairwise"
    expected = in_block if count == 128 else f"blocks of 128 ({in_block}), {combined}"
    assert order.words == expected


# ---- the kernels ---------------------------------------------------------------------------------

DTYPES: dict[str, Any] = {"f64": np.float64, "f32": np.float32, "bf16": ml_dtypes.bfloat16}


def beta_delta(shape: tuple[int, ...], axis: int, implementation: str | None) -> Any:
    """The sum of a kernel, of its first channel."""

    def function(summands: Array) -> Any:
        delta = np.zeros(shape, summands.dtype)
        channel = np.moveaxis(delta, axis, 0)[0]
        channel[...] = summands.reshape(channel.shape)
        vector = np.zeros(shape[axis], np.float64 if summands.dtype == np.float64 else np.float32)
        return ng.batch_norm_training_backprop(
            *(np.zeros_like(delta), None, None, vector, vector + 1, delta),
            channel_axis=axis, implementation=implementation,
        ).beta_delta[0]  # fmt: skip

    return function


FOLD = "then the upper half onto the lower"

#: (type, shape, channel axis, words): what docs/numerics.md says of each.
ORDERS = [
    # channels last: lanes*C is 16 at least (32 for 16 bits), a block has 64 steps
    ("f64", (600, 8), 1, "blocks of 128 (2 lanes (sequential), then added), pairwise"),
    ("f32", (2000, 5), 1, f"blocks of 256 (4 lanes (sequential), {FOLD}), pairwise"),
    ("f32", (9, 7, 5, 16), 3, "blocks of 35 (sequential), pairwise"),
    # channels first: 16 lanes, which begin anew at every row
    ("f32", (8, 2, 7, 7), 1, f"16 lanes anew every 49 summands (sequential), {FOLD}"),
    ("f32", (4, 2, 30, 30), 1, f"blocks of 900 (16 lanes (sequential), {FOLD}), pairwise"),
    # A sample longer than a block is cut into pieces of 64 steps, with a tree of their own.
    ("f32", (1, 2, 2500), 1, f"blocks of 1024 (16 lanes (sequential), {FOLD}), sequential"),
    # 16 bits: chains of 16 steps in float
    (
        "bf16", (2000, 5), 1,
        f"blocks of 512 (8 lanes (blocks of 16 (sequential), sequential), {FOLD}), pairwise",
    ),
    ("bf16", (8, 2, 7, 7), 1, f"32 lanes anew every 49 summands (sequential), {FOLD}"),
]  # fmt: skip


def of_implementations() -> list[Any]:
    """Every order of the vector kernels; of the scalar reference those of few summands."""
    found = [(*order, None) for order in ORDERS]
    return found + [(*order, "reference") for order in ORDERS if math.prod(order[1]) <= 5040]


@pytest.mark.parametrize(
    ("dtype", "shape", "axis", "words", "implementation"), of_implementations()
)
def test_the_kernels_add_as_the_docs_say(
    dtype: str, shape: tuple[int, ...], axis: int, words: str, implementation: str | None
) -> None:
    count = math.prod(shape) // shape[axis]

    def function(summands: Array) -> Any:
        return beta_delta(shape, axis, implementation)(summands.astype(DTYPES[dtype]))

    order = ng.summation_order(function, count, dtype)
    assert order.words == words
    # Chains of 16-bit data are float, everything else is double.
    first, last = ("f32", "f64") if dtype == "bf16" else ("f64", "f64")
    assert (order.accumulator, order.last_accumulator) == (first, last)


def test_conformance_finds_the_order_of_beta_delta() -> None:
    result = ng.conformance(ng.batch_norm_training_backprop, dtypes=["f32"])
    (order,) = result.order.values()
    assert order.words == f"blocks of 512 (8 lanes (sequential), {FOLD}), added"
    assert "beta_delta, f32 nc, is summed: blocks of 512" in " ".join(str(result).split())


def test_conformance_finds_the_order_of_a_mean() -> None:
    def forward(x: Array, gamma: Array, beta: Array) -> dict[str, Array]:
        mean, var = x.mean(axis=0), x.var(axis=0)
        return {"y": gamma * (x - mean) / np.sqrt(var + 1e-5) + beta, "mean": mean}

    result = ng.conformance(forward, dtypes=["f32"])
    assert [str(order) for order in result.order.values()] == ["sequential, in f32 (784 summands)"]
    without = ng.conformance(lambda x, gamma, beta: forward(x, gamma, beta)["y"], dtypes=["f32"])
    assert without.order == {}
    assert "the order of summation does not show: it returns no mean" in without.notes


# ---- trees ---------------------------------------------------------------------------------------


def test_measurements_of_no_tree_are_refused() -> None:
    with pytest.raises(NoTreeError, match="3 summands meet where there are 4"):
        build((0, 1, 2, 3), lambda one, other: 3)


def test_a_long_chain_is_no_recursion() -> None:
    tree = build(tuple(range(3000)), lambda one, other: other + 1)
    assert (tree.size, tree.depth) == (3000, 2999)
    assert Tree.leaf(4).nested() == 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "function: expected a function, got 3"),
        ((np.sum, 1), ValueError, "count: expected an integer from 2 to 20000, got 1"),
        ((np.sum, 2.5), TypeError, "count: expected an integer, got 2.5"),
        ((np.sum, 9, "i8"), ValueError, "dtype: expected one of f64, f32, bf16, f16, got 'i8'"),
        ((np.cumsum, 9), ValueError, r"function: expected a number, got an array of \(9,\)"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ng.summation_order(*arguments)
    with pytest.raises(ValueError, match="framework: expected one of numpy, torch, jax, got 'tf'"):
        ng.summation_order(np.sum, framework="tf")


def test_every_magnitude_is_of_its_type() -> None:
    for name, (large, small) in summation.MAGNITUDES.items():
        dtype = {**DTYPES, "f16": np.float16}[name]
        assert float(dtype(large)) == large
        assert float(dtype(small)) == small


# ---- what strangers write ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f64", "f16"])
@pytest.mark.parametrize("count", [299, 300, 301, 302])
def test_sums_of_any_length_have_a_name(count: int, dtype: str) -> None:
    assert ng.summation_order(np.sum, count, dtype).kind == "blocks"


def test_an_order_that_changes_now_and_then_is_not_deterministic() -> None:
    calls = itertools.count()

    def changing(x: Array) -> Any:
        # The first calls are equal, in which all is looked at together.
        return sums.sequential(x[::-1] if next(calls) % 7 == 6 else x)

    order = ng.summation_order(changing, 40)
    assert order.kind == "not deterministic"


@pytest.mark.parametrize(
    ("returned", "kind"),
    [(None, "NoneType"), ("3", "str"), (1j, "complex"), ({"sum": 1.0}, "dict")],
)
def test_a_result_that_is_no_number_is_told(returned: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"function: expected a number, got {kind}"):
        ng.summation_order(lambda x: returned, 8)


def test_async_functions_and_classes_are_refused() -> None:
    async def later(x: Array) -> Any:
        return x.sum()

    with pytest.raises(TypeError, match="function: expected one that returns its result"):
        ng.summation_order(later)
    with pytest.raises(TypeError, match="got the class int"):
        ng.summation_order(int)


def test_a_mean_is_no_sum_and_what_it_makes_is_told() -> None:
    assert "zeros elsewhere it makes 1.42109e-14" in str(ng.summation_order(np.mean, 64))


# ---- threads -------------------------------------------------------------------------------------


class Threaded:
    """As many chains as threads, one behind the other."""

    def __init__(self) -> None:
        self.threads = 8

    @contextlib.contextmanager
    def limited(self, count: int) -> Any:
        before, self.threads = self.threads, count
        yield
        self.threads = before

    def __call__(self, x: Array) -> Any:
        length = -(-len(x) // self.threads)
        chains = [np.add.accumulate(x[i : i + length])[-1] for i in range(0, len(x), length)]
        return sums.sequential(np.array(chains, x.dtype))


def test_threads_that_are_set_split_a_sum() -> None:
    threaded = Threaded()
    order = ng.summation_order(threaded, 64, threads=threaded.limited)
    assert (order.kind, order.depends_on_threads) == ("sequential", True)
    assert (threaded.threads, order.threads_unknown) == (8, "")
    fixed = ng.summation_order(np.sum, 64, threads=threaded.limited)
    assert fixed.depends_on_threads is False


@pytest.mark.parametrize(
    ("function", "dtype", "words"),
    [
        (lambda x: x.reshape(8, 8).sum(), "f32", "it raises with 200704 summands (ValueError"),
        (np.sum, "f16", "its sums cannot count 200704 summands"),
        (lambda x: (time.sleep(0.5 * (len(x) > 64)), x.sum())[1], "f32", "takes too long"),
    ],
)
def test_threads_that_were_not_looked_at_are_told(function: Any, dtype: str, words: str) -> None:
    order = ng.summation_order(function, 64, dtype, threads=lambda count: None)
    assert order.depends_on_threads is None
    assert words in order.threads_unknown


def test_the_threads_of_numpy_are_those_of_threadpoolctl() -> None:
    order = ng.summation_order(np.sum, 64)
    if importlib.util.find_spec("threadpoolctl") is None:
        assert order.depends_on_threads is None
        assert "threadpoolctl" in order.threads_unknown
    else:
        assert order.depends_on_threads is False


def test_the_report_says_that_threads_were_not_looked_at() -> None:
    def slow(delta: Array, x: Array, gamma: Array) -> Any:
        if len(delta) > 10_000:
            raise ValueError("too long")
        return {"dbeta": delta.sum(axis=0)}

    result = ng.conformance(slow, dtypes=["f32"], threads=lambda count: None)
    text = " ".join(str(result).split())
    assert "whether threads change that was not looked at: it raises with 200704" in text
