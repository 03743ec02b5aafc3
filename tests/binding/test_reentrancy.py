"""Python code that runs in the midst of a call, and calls kernels itself, disturbs nothing.

Such code are profilers, finalizers, callbacks of the garbage collector and handlers of signals.
Wherever a call enters the interpreter, they may come in between.
"""

from __future__ import annotations

import pytest

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
        return [outcome(call) for _ in range(200)][-1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
""",
}

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
    for way in ("profiler", "garbage"):
        run_program(
            INTRUDER
            + WAYS[way]
            + """
assert not isinstance(with_intruder(lambda: ng.batch_norm_training(x, None, None)), BaseException)
assert intrusions > 0
""".replace("lambda: ", "lambda x=np.ones((4, 3), np.float32): "),
            timeout=60,
        )
