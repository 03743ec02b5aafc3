"""Each call for memory, pages or threads fails in turn: a clear error or success, nothing else."""

from __future__ import annotations

import pytest

from tests.binding.programs import SETTING
from tests.binding.test_memory_limits import WORK
from tests.programs import assert_succeeds

#: What lets calls fail, and what does so one after the other.
CONTROL = """
import ctypes, os
faults = ctypes.CDLL(os.environ["LD_PRELOAD"])
faults.failing_calls_disarm.restype = faults.failing_calls_live.restype = ctypes.c_long
faults.failing_calls_arm.argtypes = ctypes.c_long, ctypes.c_long
assert faults.failing_calls_watch(os.fsencode(ng._core.__file__)) == 1
EVER = 2**31

def attempt(work, first, last):
    '''(what work returns or its error, how many calls have come).'''
    faults.failing_calls_arm(first, last)
    try:
        result = work()
    except BaseException as error:
        result = error
    finally:
        calls = faults.failing_calls_disarm()
    return result, calls

def fails_in_turn(name, work, length):
    '''Calls n to n + length - 1 fail, for each n until the work does without them; the errors.'''
    errors = 0
    for first in range(20000):
        result, calls = attempt(work, first, first + length - 1)
        if isinstance(result, BaseException):
            if not isinstance(result, MemoryError):
                raise SystemExit(f"{name}, call {first}: {type(result).__name__}: {result}")
            errors += 1
        result = None
        if calls <= first:
            return errors
    raise SystemExit(f"{name}: no end")
"""

SIZES = """
def bytes_of(result):
    return [np.asarray(array).tobytes() for array in result if array is not None]
"""


def run(library: str, program: str, **environment: str) -> str:
    """The output of a program in which calls may fail."""
    return assert_succeeds(
        SETTING + CONTROL + SIZES + program, timeout=900, LD_PRELOAD=library, **environment
    )


@pytest.mark.parametrize("length", ["1", "EVER"], ids=["one", "all that follow"])
def test_memory_of_cpp(failing_calls: str, length: str) -> None:
    """Nothing leaks: a second time leaves as many objects as the first.

    The pool is emptied, as what it keeps depends on how long ago a block was freed. Threads make
    their scratch memory at the first task that they happen to get: a leak grows every time, so
    once without growth is enough.
    """
    printed = run(
        failing_calls,
        WORK
        + f"""
def live():
    ng.release_memory()
    gc.collect()
    return faults.failing_calls_live()

for name, work in WORK.items():
    work()
    fails_in_turn(name, work, {length})
    leaked = 1
    for _ in range(2 + ng.get_num_threads()):
        before = live()
        errors = fails_in_turn(name, work, {length})
        work()
        leaked = min(leaked, live() - before)
        if leaked <= 0:
            break
    assert leaked <= 0, f"{{name}}: {{leaked}} objects are left"
    print(name, errors)
assert ng.memory()["in_use"] == 0
""",
    )
    errors = dict(line.rsplit(" ", 1) for line in printed.splitlines())
    assert len(errors) >= 15
    assert all(int(count) > 0 for name, count in errors.items() if name in ALWAYS_ALLOCATING)


#: What cannot do without an object of C++; other work may find all it needs on the stack.
ALWAYS_ALLOCATING = ("parameter", "op", "refusal", "json", "gradients", "decompose", "compile")


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_whole_or_there_is_an_error(failing_calls: str, threads: int) -> None:
    """Of kernels that share their work: what comes back has the bits of an undisturbed call."""
    run(
        failing_calls,
        f"""
ng.set_num_threads({threads})
x = np.random.default_rng(0).normal(size=(32, 16, 24, 24)).astype(np.float32)
last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
where = np.random.default_rng(1).random((32, 24, 24)) < 0.7
statistics = ng.batch_norm_training(x, None, None)
function = graph()
executable = ng.compile(function)
vector = np.ones(3, np.float32)
WORK = {{
    "training": lambda: ng.batch_norm_training(x, None, None),
    "channels last": lambda: ng.batch_norm_training(last, None, None, channel_axis=-1),
    "view": lambda: ng.batch_norm_training(x[:, :, ::-1, ::2], None, None),
    "mask": lambda: ng.batch_norm_training(x, None, None, where=where),
    "float16": lambda: ng.batch_norm_training_relu(x.astype(np.float16), None, None),
    "backprop": lambda: ng.batch_norm_training_backprop(
        x, None, None, statistics.mean, statistics.variance, x),
    "reference": lambda: ng.batch_norm_training(x[:4], None, None, implementation="reference"),
    "executable": lambda: executable(np.ones((8, 3, 400), np.float32), vector),
}}
for name, work in WORK.items():
    expected = bytes_of(work())
    for length in (1, EVER):
        for first in range(5000):
            result, calls = attempt(work, first, first + length - 1)
            if isinstance(result, BaseException):
                assert isinstance(result, MemoryError), (name, first, result)
            else:
                assert bytes_of(result) == expected, (name, first)
            result = None
            if calls <= first:
                break
    assert bytes_of(work()) == expected, name
""",
    )


def test_threads_that_cannot_be_started(failing_calls: str) -> None:
    """The kernels then run on the threads that there are, with the same bits."""
    run(
        failing_calls,
        """
x = np.random.default_rng(0).normal(size=(64, 32, 28, 28)).astype(np.float32)
expected = bytes_of(ng.batch_norm_training(x, None, None, num_threads=1))
for first in range(12):
    if os.fork() == 0:  # each with a pool that has no threads yet
        status = 1
        try:
            result, calls = attempt(
                lambda: ng.batch_norm_training(x, None, None, num_threads=4), first, EVER)
            is_error = isinstance(result, MemoryError)
            assert is_error or bytes_of(result) == expected, result
            again = ng.batch_norm_training(x, None, None, num_threads=4)
            assert bytes_of(again) == expected
            status = 0
        finally:
            os._exit(status)
    _, status = os.wait()
    assert status == 0, first
""",
    )


def test_a_storm_of_forks_while_kernels_run(failing_calls: str) -> None:
    """Children of a process whose threads are at work use the kernels at once, and end."""
    run(
        failing_calls,
        """
x = np.random.default_rng(0).normal(size=(16, 16, 28, 28)).astype(np.float32)
expected = bytes_of(ng.batch_norm_training(x, None, None, num_threads=2))
done = threading.Event()

def go_on():
    while not done.is_set():
        ng.batch_norm_training(x, None, None, num_threads=2)

threads = [threading.Thread(target=go_on) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(60):
    if os.fork() == 0:
        signal.alarm(60)
        found = bytes_of(ng.batch_norm_training(x, None, None, num_threads=2))
        os._exit(0 if found == expected else 1)
statuses = [os.wait()[1] for _ in range(60)]
done.set()
for thread in threads:
    thread.join()
assert statuses == [0] * 60, statuses
""",
    )


def test_signals_while_kernels_run(failing_calls: str) -> None:
    """Handlers of Python run in between, a thousand times, and no bit changes."""
    run(
        failing_calls,
        """
x = np.random.default_rng(0).normal(size=(64, 32, 28, 28)).astype(np.float32)
expected = bytes_of(ng.batch_norm_training(x, None, None))
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(ng.batch_norm_training(x[:2], None, None)))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while len(seen) < 1000:
    assert bytes_of(ng.batch_norm_training(x, None, None)) == expected
signal.setitimer(signal.ITIMER_REAL, 0)
small = bytes_of(seen[0])
assert all(bytes_of(result) == small for result in seen)
""",
    )
