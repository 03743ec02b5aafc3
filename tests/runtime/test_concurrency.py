"""One executable, many callers; any number of threads, the same bits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from .graphs import BACKENDS, Array, normals, parameters


def network() -> ng.Function:
    """Ops of every kind, with values between them."""
    x, y = parameters("x y", [None, None])
    product = ng.op.MatrixMultiply(x, y)
    mean = ng.op.Mean(product, [1])
    centered = ng.op.Subtract(product, ng.op.Broadcast(mean, product, [1]))
    activated = ng.op.Relu(ng.op.Add(centered, product))
    mask = ng.op.ReluMask(activated)
    chosen = ng.op.ReluMaskSelect(centered, mask)
    return ng.Function([ng.op.Sum(chosen, [1]), activated, mask], [x, y])


def arguments(seed: int) -> tuple[Array, Array]:
    rows = 20 + 30 * (seed % 5)
    return normals((rows, 40), seed), normals((40, 50), seed + 100)


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_from_sixteen_threads_do_not_disturb_each_other(backend: str) -> None:
    executable = ng.compile(network(), backend)
    expected = [ng.compile(network(), "reference")(*arguments(seed)) for seed in range(16)]
    start = threading.Barrier(16)

    def call(seed: int) -> None:
        start.wait()
        for repetition in range(20):
            found = executable(*arguments(seed), num_threads=1 + repetition % 3)
            for index, (left, right) in enumerate(zip(found, expected[seed], strict=True)):
                assert_same_bits(left, right, f"thread {seed}, call {repetition}, result {index}")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(16)))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_bits_do_not_depend_on_threads(threads: int) -> None:
    """Large enough that threads share each op."""
    arrays = normals((700, 300), 0), normals((300, 900), 1)
    executable = ng.compile(network())
    expected = executable(*arrays, num_threads=1)
    for left, right in zip(executable(*arrays, num_threads=threads), expected, strict=True):
        assert_same_bits(left, right, f"{threads} threads")


def test_other_python_threads_run_during_a_call() -> None:
    x = ng.Parameter("f32", None, name="x")
    value: ng.Node = ng.op.SquareRoot(x)
    for _ in range(40):
        value = ng.op.Divide(value, x)
    executable = ng.compile(ng.Function([value], [x]))
    array = np.full(4_000_000, 2, np.float32)
    out = np.empty_like(array)
    counter, finished = 0, False

    def count() -> None:
        nonlocal counter
        while not finished:
            counter += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        progress = 0
        for _ in range(20):
            before = counter
            executable(array, out=out)
            progress = max(progress, counter - before)
            if progress > 1000:
                break
    finally:
        finished = True
        thread.join()
    assert progress > 1000
