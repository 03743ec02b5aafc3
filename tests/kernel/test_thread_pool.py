"""The kernels' own threads: how many there are, and that they disturb nothing else.

What concerns a whole process (forks, its end, its environment) is tried in a new one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests.programs import assert_succeeds

from .comparison import assert_same_bits
from .samples import Sample

# 4 MiB and 32 channels: enough work for as many threads as the tests ask for.
SETTING = """\
import os, signal, sys, threading, time
import numpy as np
import normgraph as ng

input = np.random.default_rng(90).standard_normal((8, 32, 64 * 64), np.float32)

def compute(num_threads=None):
    result = ng.batch_norm_training(input, None, None, num_threads=num_threads)
    return b"".join(array.tobytes() for array in result)

def compute_in_child():
    '''Whether a forked child computes the same bits; a hanging one is ended by its alarm.'''
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if compute(3) == expected else 1)
    return os.waitpid(child, 0)[1] == 0

def thread_count():
    return len(os.listdir("/proc/self/task"))

expected = compute(1)
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="Linux only")  # noqa: PTH112


@pytest.fixture
def number_restored() -> Iterator[None]:
    before = ng.get_num_threads()
    yield
    ng.set_num_threads(before)


def run_all(sample: Sample, **options: Any) -> tuple[Any, ...]:
    """Every output of the kernels."""
    return (
        *ng.batch_norm_training(*sample.training(), **options),
        ng.batch_norm_inference(*sample.inference(), **options),
        *ng.batch_norm_training_backprop(*sample.backprop(), **options),
        *ng.batch_norm_inference_backprop(*sample.backprop(), **options),
        *ng.batch_norm_training_relu(*sample.training(), **options),
    )


SAMPLES = [
    Sample((6, 5, 40, 41), "f32", "f32", seed=91),
    Sample((2, 1, 300, 301), "f32", "f32", seed=92),
    Sample((3000, 70), "bf16", "f32", seed=93),
    Sample((4, 33, 70), "f64", "f64", seed=94),
    Sample((2, 3, 4, 4), "f32", "f32", seed=95),
]


@pytest.mark.parametrize("num_threads", [2, 3, 7])
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(
    sample: Sample, num_threads: int, number_restored: None
) -> None:
    expected = run_all(sample, num_threads=1)
    for actual, bits in zip(run_all(sample, num_threads=num_threads), expected, strict=True):
        assert_same_bits(actual, bits, f"{sample}, num_threads={num_threads}")
    ng.set_num_threads(num_threads)
    for actual, bits in zip(run_all(sample), expected, strict=True):
        assert_same_bits(actual, bits, f"{sample}, set_num_threads({num_threads})")


def test_number_can_be_set(number_restored: None) -> None:
    ng.set_num_threads(5)
    assert ng.get_num_threads() == 5
    ng.set_num_threads(np.int64(2))
    assert ng.get_num_threads() == 2
    assert ng.config()["num_threads"] == 2


def test_number_of_one_call_does_not_stay(number_restored: None) -> None:
    ng.set_num_threads(2)
    input = np.ones((2, 3), np.float32)
    ng.batch_norm_training(input, None, None, num_threads=3)
    assert ng.get_num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, -(2**40), 2**70])
def test_number_out_of_range_is_a_value_error(count: int, number_restored: None) -> None:
    ng.set_num_threads(2)
    with pytest.raises(ValueError, match=rf"^num_threads: expected .*, got {count}"):
        ng.set_num_threads(count)
    input, vector = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    for call in (
        lambda: ng.batch_norm_training(input, None, None, num_threads=count),
        lambda: ng.batch_norm_inference(input, None, None, vector, vector, num_threads=count),
        lambda: ng.batch_norm_training_backprop(
            input, None, None, vector, vector, input, num_threads=count
        ),
    ):
        with pytest.raises(ValueError, match=rf"^num_threads: expected .*, got {count}"):
            call()
    assert ng.get_num_threads() == 2


@pytest.mark.parametrize("count", ["2", 2.0, [2], None])
def test_number_must_be_an_integer(count: Any) -> None:
    with pytest.raises(TypeError, match=r"^num_threads: expected an integer"):
        ng.set_num_threads(count)
    if count is not None:
        with pytest.raises(TypeError, match=r"^num_threads: expected an integer"):
            ng.batch_norm_training(np.ones((2, 3), np.float32), None, None, num_threads=count)


def test_environment_variable_sets_the_number() -> None:
    script = SETTING + "print(ng.get_num_threads(), ng.config()['num_threads'])"
    assert assert_succeeds(script, NORMGRAPH_NUM_THREADS="3") == "3 3\n"


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "3 ", os.fsdecode(b"\xff")])
def test_environment_variable_that_is_no_positive_integer_is_refused_by_name(value: str) -> None:
    script = """\
import numpy as np
import normgraph as ng
for call in (
    ng.get_num_threads,
    ng.config,
    lambda: ng.batch_norm_training(np.ones((2, 3), np.float32), None, None),
):
    try:
        call()
    except ValueError as error:
        print(error)
ng.set_num_threads(2)
print(ng.get_num_threads())
"""
    shown = value.replace(os.fsdecode(b"\xff"), r"\xff")
    message = (
        f"environment variable NORMGRAPH_NUM_THREADS: expected a positive integer, got '{shown}'\n"
    )
    assert assert_succeeds(script, NORMGRAPH_NUM_THREADS=value) == 3 * message + "2\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_default_follows_the_affinity_mask() -> None:
    script = """\
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import normgraph as ng
print(ng.get_num_threads())
"""
    assert assert_succeeds(script, NORMGRAPH_NUM_THREADS="") == "1\n"


@needs_proc
def test_threads_are_started_when_asked_for_and_kept() -> None:
    # Sanitizers start a thread of their own with the first other thread.
    script = """\
other = threading.Thread(target=int)
other.start()
other.join()
while str(other.native_id) in os.listdir("/proc/self/task"):
    time.sleep(0.01)
before = thread_count()
compute(1)
assert thread_count() == before, "one thread is the caller itself"
for num_threads, started in ((3, 2), (2, 2), (5, 4), (5, 4)):
    assert compute(num_threads) == expected
    assert thread_count() == before + started, num_threads
"""
    assert_succeeds(SETTING + script)


def test_idle_threads_use_no_processor_time() -> None:
    # process_time counts all threads: two that spin would add a second.
    script = """\
compute(3)
before = time.process_time()
time.sleep(0.5)
assert time.process_time() - before < 0.05
"""
    assert_succeeds(SETTING + script)


@needs_fork
def test_forked_child_computes() -> None:
    script = """\
assert compute(3) == expected
assert compute_in_child()
assert compute(3) == expected, "the parent keeps its threads"
"""
    assert_succeeds(SETTING + script)


@needs_fork
def test_forked_child_computes_although_other_threads_were_computing() -> None:
    script = """\
finished = False

def keep_computing():
    while not finished:
        compute(2)

threads = [threading.Thread(target=keep_computing) for _ in range(3)]
for thread in threads:
    thread.start()
try:
    for _ in range(5):
        assert compute_in_child()
finally:
    finished = True
    for thread in threads:
        thread.join()
"""
    assert_succeeds(SETTING + script)


@needs_fork
def test_processes_of_multiprocessing_compute() -> None:
    script = """\
import multiprocessing

def is_right(num_threads):
    return compute(num_threads) == expected

assert is_right(3)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(is_right, [1, 2, 3, 4]).get(timeout=120) == [True] * 4
"""
    assert_succeeds(SETTING + script)


def test_interpreter_ends_while_threads_sleep() -> None:
    assert_succeeds(SETTING + "compute(3)")


def test_interpreter_ends_while_a_daemon_computes() -> None:
    script = """\
def keep_computing():
    while True:
        compute(3)

threading.Thread(target=keep_computing, daemon=True).start()
time.sleep(0.3)
"""
    assert_succeeds(SETTING + script)


def test_functions_run_at_exit_may_compute() -> None:
    script = """\
import atexit
atexit.register(lambda: print(compute(3) == expected))
compute(2)
"""
    assert assert_succeeds(SETTING + script) == "True\n"


def test_number_may_be_set_while_kernels_run(number_restored: None) -> None:
    finished = False

    def keep_setting() -> None:
        count = 0
        while not finished:
            count = count % 4 + 1
            ng.set_num_threads(count)

    expected = [run_all(sample, num_threads=1) for sample in SAMPLES]
    setter = threading.Thread(target=keep_setting)
    setter.start()
    try:
        with ThreadPoolExecutor(max_workers=6) as callers:
            results = list(callers.map(run_all, SAMPLES * 6))
    finally:
        finished = True
        setter.join()
    for index, result in enumerate(results):
        which = index % len(SAMPLES)
        for actual, bits in zip(result, expected[which], strict=True):
            assert_same_bits(actual, bits, str(SAMPLES[which]))
