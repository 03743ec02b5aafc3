"""Python code that runs in the midst of a call, and calls kernels itself, disturbs nothing.

Such code are profilers, finalizers, callbacks of the garbage collector and handlers of signals.
Wherever a call enters the interpreter, they may come in between.
"""

from __future__ import annotations

import pytest

from tests.programs import WITHOUT_INTERPRETER_LOCK

from .programs import run_program

#: `intrude` calls kernels with more signatures than a thread remembers; `with_intruder(call)` calls
#: with an intruder at every chance.
INTRUDER = """
intrusions = 0
is_inside = False

def intrude(*arguments):
    global intrusions, is_inside
    if is_inside:
        return
    is_inside = True
    intrusions += 1
    for channels in range(5, 105):
        ng.batch_norm_training(np.ones((2, channels), np.float32), None, None)
        ng.update_running_statistics((np.ones(channels), np.ones(channels)),
            (np.ones(channels), np.ones(channels)), n=2, momentum=0.5)
    is_inside = False
"""

WAYS = {
    "profiler": """
def with_intruder(call):
    sys.setprofile(intrude)
    try:
        return outcome(call)
    finally:
        sys.setprofile(None)
""",
    "garbage": """
def with_intruder(call):
    gc.callbacks.append(intrude)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        return outcome(call)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(intrude)
""",
    "signals": """
signal.signal(signal.SIGALRM, intrude)

def with_intruder(call):
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        results = [outcome(call) for _ in range(200)]
        while not intrusions:
            results.append(outcome(call))
        return results[-1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
""",
}

# Without an interpreter lock, nothing is collected within a C function.
if WITHOUT_INTERPRETER_LOCK:
    del WAYS["garbage"]

#: Inputs and outputs in one buffer: whether they overlap is asked of numpy's Python functions.
BUFFER = """
buffer = np.random.default_rng(3).standard_normal((4, 1024)).astype(np.float32)
x, out = buffer[:, :512], buffer[:, 512:]
expected = ng.batch_norm_training(x.copy(), None, None)
"""

every_way = pytest.mark.parametrize("way", WAYS)


@every_way
def test_results_are_those_of_a_call_that_nothing_disturbs(way: str) -> None:
    run_program(
        INTRUDER
        + WAYS[way]
        + BUFFER
        + """
result = with_intruder(lambda: ng.batch_norm_training(x, None, None, out=(out, None, None)))
assert intrusions > 0
assert not isinstance(result, BaseException), result
for name in result._fields:
    assert getattr(result, name).tobytes() == getattr(expected, name).tobytes(), name
"""
    )


@every_way
@pytest.mark.parametrize("length", [5, 60, 104])
def test_outputs_are_checked_by_the_shapes_of_their_own_call(way: str, length: int) -> None:
    run_program(
        INTRUDER
        + WAYS[way]
        + BUFFER
        + f"""
wrong = np.full({length}, 7, np.float32)
error = with_intruder(lambda: ng.batch_norm_training(x, None, None, out=(out, wrong, None)))
assert intrusions > 0
assert isinstance(error, ValueError), error
assert "out[1] (mean): expected an array of f32{{512}}, got f32{{{length}}}" in str(error), error
assert (wrong == 7).all()
"""
    )


@every_way
def test_an_executable_is_not_disturbed(way: str) -> None:
    run_program(
        INTRUDER
        + WAYS[way]
        + """
executable = ng.compile(graph())
buffer = np.random.default_rng(4).standard_normal((4, 3, 256)).astype(np.float32)
x, out, gamma = buffer[..., :128], buffer[..., 128:], np.ones(3, np.float32)
expected = executable(x.copy(), gamma)

def call():
    for length in range(1, 40):  # more shapes than an executable remembers
        executable(np.ones((2, 3, length), np.float32), gamma)
    return executable(x, gamma, out=(out, None, None))

result = with_intruder(call)
assert intrusions > 0
assert not isinstance(result, BaseException), result
assert [array.tobytes() for array in result] == [array.tobytes() for array in expected]
"""
    )


@every_way
def test_running_statistics_are_not_disturbed(way: str) -> None:
    run_program(
        INTRUDER
        + WAYS[way]
        + """
buffer = np.arange(1.0, 33.0)
running, batch = (buffer[0:8:2], buffer[8:16:2]), (buffer[16:24:2], buffer[24:32:2])
out = (buffer[1:8:2], buffer[9:16:2])
expected = ng.update_running_statistics(running, batch, n=9, momentum=0.25)
result = with_intruder(
    lambda: ng.update_running_statistics(running, batch, n=9, momentum=0.25, out=out))
assert intrusions > 0
assert not isinstance(result, BaseException), result
for index in range(2):
    assert (result[index] == expected[index]).all()
"""
    )


def test_the_first_call_of_a_process_may_be_intruded_upon() -> None:
    for way in WAYS.keys() - {"signals"}:
        run_program(
            INTRUDER
            + WAYS[way]
            + """
assert not isinstance(with_intruder(lambda: ng.batch_norm_training(x, None, None)), BaseException)
assert intrusions > 0
""".replace("lambda: ", "lambda x=np.ones((4, 3), np.float32): "),
            timeout=60,
        )


def test_an_exception_of_a_handler_within_a_call_comes_out() -> None:
    """It arrives where numpy is asked whether input and output overlap."""
    run_program(
        BUFFER
        + """
def hook(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "shares_memory":
        sys.setprofile(None)
        raise TimeoutError("time is up")

def call_with_hook(call):
    sys.setprofile(hook)
    try:
        return outcome(call)
    finally:
        sys.setprofile(None)

one = np.arange(1.0, 33.0)
x3 = buffer.reshape(4, 1024)[:, :384].reshape(4, 3, 128)
calls = [
    lambda: ng.batch_norm_training(x, None, None, out=(out, None, None)),
    lambda: ng.update_running_statistics((one[0:8:2], one[8:16:2]), (one[16:24:2], one[24:32:2]),
        n=4, momentum=0.5, out=(one[1:8:2], one[9:16:2])),
]
for call in calls:
    error = call_with_hook(call)
    assert isinstance(error, TimeoutError), repr(error)
"""
    )


def test_the_values_of_a_constant_hide_no_exception() -> None:
    run_program(
        """
def hook(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "array2string":
        sys.setprofile(None)
        raise TimeoutError("time is up")

constant = ng.Constant([1.5, 2.5])
sys.setprofile(hook)
error = outcome(lambda: repr(constant))
sys.setprofile(None)
assert isinstance(error, TimeoutError), repr(error)
"""
    )


def test_calls_for_arguments_of_calls_have_an_end() -> None:
    run_program(
        """
class Recursive:
    def __dlpack_device__(self):
        return (1, 0)
    def __dlpack__(self, **options):
        return ng.batch_norm_training_backprop(self, None, None, None, None, None)

error = outcome(lambda: ng.batch_norm_training(Recursive(), None, None))
assert isinstance(error, RecursionError), repr(error)
assert ng.batch_norm_training(np.ones((4, 3), np.float32), None, None).mean.tolist() == [1] * 3
"""
    )


def test_keywords_live_as_long_as_the_call() -> None:
    run_program(
        """
keep = []

class Name(str):
    __hash__ = str.__hash__
    def __eq__(self, other):
        for thing in gc.get_referrers(self):
            if type(thing) is dict and any(key is self for key in thing):
                thing.clear()
                keep.extend(bytearray(b"A" * n) for n in range(16, 200) for _ in range(20))
        return str.__eq__(self, other)

node = ng.op.Negate(**{"value": ng.Parameter("f32", [3], name="x"), Name("name"): None})
assert node.input(0).source.node.friendly_name == "x"
"""
    )
