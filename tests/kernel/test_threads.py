"""Python threads: the interpreter lock is free while a kernel runs, and callers may be many."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .comparison import assert_same_bits
from .samples import Sample


@pytest.fixture
def no_forced_switches() -> Iterator[None]:
    """A thread keeps the interpreter lock until it gives it up by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    yield
    sys.setswitchinterval(before)


NEEDS_LOCK = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no interpreter lock"
)


@NEEDS_LOCK
@pytest.mark.parametrize("function", ["training", "inference", "backprop", "frozen", "relu"])
def test_other_threads_run_during_a_kernel(function: str, no_forced_switches: None) -> None:
    """A busy machine may not start the other thread within one kernel, but will within some."""
    rounds = (progress_during(function, length=2**20, calls=10) for _ in range(200))
    assert any(progress > 0 for progress in rounds)


@NEEDS_LOCK
@pytest.mark.parametrize("function", ["training", "inference", "backprop", "frozen", "relu"])
def test_the_lock_is_kept_by_a_kernel_of_few_elements(
    function: str, no_forced_switches: None
) -> None:
    """Handing it over and back would cost more than the kernel.

    A lock that is free for so short a time is seldom caught; so the calls are many.
    """
    assert progress_during(function, length=16, calls=20000) == 0


def progress_during(function: str, length: int, calls: int = 1) -> int:
    """How far another thread counts during calls on 4 rows of this length.

    The counter cannot move between its two readings unless a call lets go of the lock.
    """
    input = np.broadcast_to(np.ones((1, 2, 1), np.float32), (2, 2, length))
    vector = np.ones(2, np.float32)
    functions: dict[str, Callable[[], Any]] = {
        "training": lambda: ng.batch_norm_training(input, None, None),
        "inference": lambda: ng.batch_norm_inference(input, None, None, vector, vector),
        "backprop": lambda: ng.batch_norm_training_backprop(
            input, None, None, vector, vector, input
        ),
        "relu": lambda: ng.batch_norm_training_relu(input, None, None),
        "frozen": lambda: ng.batch_norm_inference_backprop(
            input, None, None, vector, vector, input
        ),
    }
    counter, finished = 0, False

    def count() -> None:
        nonlocal counter
        while not finished:
            counter += 1
            time.sleep(0)  # gives up the lock

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counter
        len("a call that keeps the lock")
        idle = counter - before
        before = counter
        for _ in range(calls):
            functions[function]()
        progress = counter - before
    finally:
        finished = True
        thread.join()
    assert idle == 0
    return progress


def test_many_callers_get_the_same_bits() -> None:
    samples = [
        Sample((5, 3, 60), "f32", "f32", seed=80),
        Sample((40, 20), "bf16", "f32", seed=81),
        Sample((3, 2, 7, 11), "f64", "f64", seed=82),
    ]
    problems = [(sample, sample.training(), sample.backprop()) for sample in samples]

    def run(problem: Any) -> tuple[Any, ...]:
        sample, forward, backward = problem
        return (
            *ng.batch_norm_training(*forward),
            *ng.batch_norm_training_backprop(*backward),
            *ng.batch_norm_training_backprop(*sample.cancelling()),
            *ng.batch_norm_inference_backprop(*backward),
            ng.batch_norm_inference(*sample.inference()),
        )

    expected = [run(problem) for problem in problems]
    repeats = 60
    with ThreadPoolExecutor(max_workers=16) as pool:
        results = list(pool.map(run, problems * repeats))
    for index, result in enumerate(results):
        sample = samples[index % len(samples)]
        for actual, bits in zip(result, expected[index % len(samples)], strict=True):
            assert_same_bits(actual, bits, str(sample))


def test_callers_may_share_inputs_and_write_their_own_outputs() -> None:
    sample = Sample((16, 8, 200), seed=83)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    outs = [np.empty(sample.shape, np.float32) for _ in range(16)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda out: ng.batch_norm_training_backprop(*arguments, out=out), outs))
    for out in outs:
        assert_same_bits(out, expected.input_delta, str(sample))


def test_repeated_calls_give_the_same_bits() -> None:
    sample = Sample((9, 5, 301), seed=84)
    arguments = sample.cancelling()
    expected = ng.batch_norm_training_backprop(*arguments)
    for _ in range(20):
        result = ng.batch_norm_training_backprop(*arguments)
        for name in result._fields:
            assert_same_bits(getattr(result, name), getattr(expected, name), str(sample))
