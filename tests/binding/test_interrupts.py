"""Interrupts meant for the program, not for the call, pass through: Ctrl-C above all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .programs import run_program

PASSING = (KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit)
TRANSLATED = (ValueError, RuntimeError, AttributeError, LookupError)


class Raises:
    """An argument whose method of this name raises, in whatever way it is asked."""

    def __new__(cls, method: str, error: type[BaseException]) -> Any:
        def raise_it(*_arguments: object, **_options: object) -> Any:
            raise error("meant for the program")

        members: dict[str, Any] = {method: raise_it}
        if method.startswith("__dlpack"):
            members = {"__dlpack__": None, "__dlpack_device__": lambda _self: (1, 0), **members}
        return type("Raising", (), members)()


class RaisingAttribute:
    """Raises where it is asked for its `__dlpack__`."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name in ("__dlpack__", "dtype"):
            raise self._error("meant for the program")
        raise AttributeError(name)


class RaisingSequence(list[object]):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__([1, 2])
        self._error = error

    def __iter__(self) -> Any:
        raise self._error("meant for the program")


def train(x: object) -> object:
    return ng.batch_norm_training(x, None, None)  # type: ignore[arg-type]


def ones() -> Any:
    return np.ones((2, 3), np.float32)


X = ng.Parameter("f32", [2, 3], name="x")
EXECUTABLE = ng.compile(ng.Function([ng.op.Negate(X)], [X]))

#: Each takes an error and has it raised in the midst of a call.
PLACES: dict[str, Callable[[Any], object]] = {
    "dlpack": lambda error: train(Raises("__dlpack__", error)),
    "dlpack device": lambda error: train(Raises("__dlpack_device__", error)),
    "dlpack attribute": lambda error: train(RaisingAttribute(error)),
    "executable": lambda error: EXECUTABLE(Raises("__dlpack__", error)),
    "out": lambda error: ng.batch_norm_training(
        ones(), None, None, out=Raises("__dlpack__", error)
    ),
    "statistics": lambda error: ng.update_running_statistics(
        (Raises("__dlpack__", error), np.ones(3)), (np.ones(3), np.ones(3)), n=2, momentum=0.5
    ),
    "pair": lambda error: ng.update_running_statistics(
        RaisingSequence(error),  # type: ignore[arg-type]
        (np.ones(3), np.ones(3)),
        n=2,
        momentum=0.5,
    ),
    "channel_axis": lambda error: ng.batch_norm_training(
        ones(), None, None, channel_axis=Raises("__index__", error)
    ),
    "outputs": lambda error: ng.batch_norm_training(
        ones(), None, None, outputs=RaisingSequence(error)
    ),
    "constant": lambda error: ng.Constant(Raises("__array__", error)),
    "shape": lambda error: ng.Parameter("f32", RaisingSequence(error)),
    "dimension": lambda error: ng.Dimension(Raises("__index__", error)),
    "key": lambda error: X.output(Raises("__index__", error)),
    "results": lambda error: ng.Function(RaisingSequence(error), []),
    "axes": lambda error: ng.op.Sum(X, RaisingSequence(error)),
    "repr": lambda error: ng.batch_norm_training(
        ones(), None, None, channel_axis=Raises("__repr__", error)
    ),
}


@pytest.mark.parametrize("error", PASSING)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_meant_for_the_program_passes(place: str, error: type[BaseException]) -> None:
    with pytest.raises(error) as raised:
        PLACES[place](error)
    assert raised.type is error
    assert str(raised.value) == "meant for the program"


@pytest.mark.parametrize("error", TRANSLATED)
@pytest.mark.parametrize("place", PLACES)
def test_an_exception_becomes_an_error_of_the_argument(place: str, error: type[Exception]) -> None:
    with pytest.raises((ValueError, TypeError, error)) as raised:
        PLACES[place](error)
    is_of_the_argument = place in (
        "outputs",
        "pair",
        "shape",
        "results",
        "axes",
        "dlpack attribute",
    )
    if not is_of_the_argument:
        assert "expected" in str(raised.value)


#: Hours of work on one element, seen again and again.
ENDLESS = """
one = np.ones((), np.float32)
rows = np.broadcast_to(one, (2**42, 1))
channels_first = np.broadcast_to(one, (2, 1, 2**42))
vector = np.ones(1, np.float32)

def ring(delay=0.1):
    signal.setitimer(signal.ITIMER_REAL, delay)

def interrupt(*arguments):
    raise KeyboardInterrupt("rung")

signal.signal(signal.SIGALRM, interrupt)

def check(call):
    ring()
    error = outcome(call)
    assert isinstance(error, KeyboardInterrupt) and str(error) == "rung", repr(error)
    # All is as before.
    small = np.arange(12, dtype=np.float32).reshape(4, 3)
    for implementation in ng.implementations():
        ng.batch_norm_training(small, None, None, implementation=implementation)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("implementation", ng.implementations())
def test_kernels_answer_ctrl_c(implementation: str, threads: int) -> None:
    """The calls would take hours; the program is ended after two minutes."""
    run_program(
        ENDLESS
        + f"""
options = dict(num_threads={threads}, implementation={implementation!r})
for x in (rows, channels_first):
    check(lambda: ng.batch_norm_training(x, None, None, outputs=("mean",), **options))
    check(lambda: ng.batch_norm_training_backprop(x, None, None, vector, vector, x,
        outputs=("gamma_delta",), **options))
    check(lambda: ng.batch_norm_inference_backprop(x, None, None, vector, vector, x,
        outputs=("beta_delta",), **options))
"""
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_executables_answer_ctrl_c(backend: str, threads: int) -> None:
    run_program(
        ENDLESS
        + f"""
x = ng.Parameter("f32", [None, 1], name="x")
transposed = ng.Parameter("f32", [1, None], name="transposed")
for result, parameters, arrays in (
    (ng.op.Sum(x), [x], (rows,)),
    (ng.op.Mean(x, [1]), [x], (rows,)),
    (ng.op.MatrixMultiply(transposed, x), [transposed, x], (rows.T, rows)),
):
    executable = ng.compile(ng.Function([result], parameters), backend={backend!r})
    check(lambda: executable(*arrays, num_threads={threads}))
"""
    )


def test_element_wise_work_is_given_up() -> None:
    """A handler runs after the call at the latest: here it must leave outputs untouched."""
    run_program(
        ENDLESS
        + """
x = np.broadcast_to(np.float16(1), (2**26, 1))
out = np.full((2**26, 1), 7, np.float16)
vectors = [np.ones(1, np.float16)] * 4
ring()
error = outcome(lambda: ng.batch_norm_inference(
    x, *vectors, out=out, implementation="reference", num_threads=1))
assert isinstance(error, KeyboardInterrupt), repr(error)
assert out[0] != 7 and out[-1] == 7
"""
    )


def test_a_handler_that_raises_nothing_may_call_kernels() -> None:
    """In the midst of a kernel, on its own thread; the kernel goes on undisturbed."""
    run_program(
        """
x = np.random.default_rng(1).standard_normal((16, 64, 4096), np.float32)
expected = [a.tobytes() for a in ng.batch_norm_training(x, None, None, num_threads=1,
    implementation="reference")]
views = x[:, :, ::-1]
view_expected = [a.tobytes() for a in ng.batch_norm_training(views, None, None, num_threads=1)]
calls = 0

def handle(*arguments):
    global calls
    calls += 1
    for channels in (3, 70):
        ng.batch_norm_training(np.ones((300, channels, 7), np.float32)[::-1, :, ::-1], None, None)
    # Not before this one has ended: under a sanitizer it takes longer than the next one waits.
    signal.setitimer(signal.ITIMER_REAL, 0.01)

signal.signal(signal.SIGALRM, handle)
for _ in range(3):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    for threads in (1, 2):
        for implementation in ng.implementations():
            result = ng.batch_norm_training(
                x, None, None, implementation=implementation, num_threads=threads)
            assert [a.tobytes() for a in result] == expected
            result = ng.batch_norm_training(
                views, None, None, implementation=implementation, num_threads=threads)
            assert [a.tobytes() for a in result] == view_expected
    signal.setitimer(signal.ITIMER_REAL, 0)
assert calls > 0
""",
        timeout=300,
    )


def test_a_child_forked_by_a_handler_is_not_left_waiting() -> None:
    run_program(
        ENDLESS
        + """
children = []

def fork(*arguments):
    children.append(os.fork())
    if children[-1]:
        raise KeyboardInterrupt("rung")
    signal.alarm(60)

signal.signal(signal.SIGALRM, fork)
ring()
error = outcome(
    lambda: ng.batch_norm_training(channels_first, None, None, outputs=("mean",), num_threads=2))
if children[-1] == 0:
    os._exit(0 if isinstance(error, RuntimeError) and "forked" in str(error) else 1)
assert isinstance(error, KeyboardInterrupt)
assert os.waitpid(children[-1], 0)[1] == 0
"""
    )


def test_other_threads_are_not_asked() -> None:
    """Only the main thread runs handlers; work of another one ends as it would."""
    run_program(
        """
x = np.random.default_rng(2).standard_normal((64, 64, 4096), np.float32)
expected = ng.batch_norm_training(x, None, None).mean.tobytes()
signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
rung, results = [], []
thread = threading.Thread(target=lambda: results.append(
    ng.batch_norm_training(x, None, None, implementation="reference").mean.tobytes()))
signal.setitimer(signal.ITIMER_REAL, 0.05)
thread.start()
thread.join()
assert results == [expected] and rung
"""
    )
