"""Python threads share nodes, functions, executables and statistics, and see what one alone sees.

With an interpreter lock they take turns; without one they run at the same time.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import normgraph as ng
import normgraph.formats
from tests.programs import assert_succeeds

THREADS = 6
REPETITIONS = 25


@pytest.fixture(autouse=True)
def often_switched() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


x = ng.Parameter("f32", [None, 3, None], name="x")
gamma = ng.Parameter("f32", [3], name="gamma")
layer = ng.op.BatchNormTraining(x, gamma, gamma, name="layer")
function = ng.Function([ng.op.Relu(layer.output("normalized"))], [x, gamma])
executable = ng.compile(function)
pattern = ng.Pattern.op(ng.op.Relu, [ng.Pattern.op(ng.op.BatchNormTraining)])
rows = np.random.default_rng(5).standard_normal((4, 3, 70)).astype(np.float32)
scale = np.array([1.0, -2.0, 3.0], np.float32)
statistics = ng.batch_norm_statistics(rows, first_sample=0)
text = ng.formats.json.dumps(function)


def of_many_shapes() -> list[bytes]:
    """More shapes than an executable, or a thread, remembers."""
    lengths = range(1, 40)
    return [executable(np.ones((2, 3, n), np.float32), scale)[0].tobytes() for n in lengths]


def refused() -> str:
    with pytest.raises(ng.NodeValidationFailure) as failure:
        ng.op.BatchNormTraining(x, ng.Parameter("f32", [7]), gamma)
    return str(failure.value).partition(" is not valid")[2]


def of_the_pool() -> list[bytes]:
    """Outputs whose memory is kept, while other threads give all of it back."""
    image = np.ones((2, 3, 65536), np.float32)
    ng.release_memory()
    return [
        np.asarray(array).tobytes()[:64] for array in ng.batch_norm_training(image, scale, None)
    ]


#: Each returns what can be compared.
WORK: dict[str, Callable[[], Any]] = {
    "construct": lambda: str(
        ng.op.Relu(ng.op.Negate(layer.output(0), name="negated"), name="relu")
    ),
    "read": lambda: [(o.name, str(o.partial_shape), o.index) for o in layer.outputs],
    "inputs": lambda: [i.source.node.friendly_name for i in layer.inputs],
    "print": lambda: str(function),
    "same node": lambda: function.results[0].node is function.results[0].node,
    "same function": lambda: executable.function is executable.function,
    "attributes": lambda: sorted(layer.attributes.items()),
    "merge": lambda: str(ng.PartialShape([None, (1, 4)]).merge([3, 4])),
    "refused": refused,
    "deepcopy": lambda: str(copy.deepcopy(function)),
    "gradients": lambda: str(ng.gradients(function).results[0].partial_shape),
    "decompose": lambda: len(ng.decompose(function).nodes),
    "json": lambda: str(ng.formats.json.loads(text)),
    "match": lambda: pattern.match(function.results[0].node) is not None,
    "rewrite": lambda: len(ng.fuse_relu(function).nodes),
    "compile": lambda: ng.compile(function)(rows, scale)[0].tobytes(),
    "execute": lambda: executable(rows, scale)[0].tobytes(),
    "many shapes": of_many_shapes,
    "kernel": lambda: [a.tobytes() for a in ng.batch_norm_training(rows, scale, None)],
    "pool": of_the_pool,
    "add statistics": lambda: bytes(statistics + ng.batch_norm_statistics(rows, first_sample=4)),
    "read statistics": lambda: (statistics.mean.tobytes(), bytes(statistics)),
    "config": lambda: sorted(ng.config()["implementations"]),
}


def test_every_thread_sees_what_one_alone_sees() -> None:
    expected = {name: work() for name, work in WORK.items()}
    start = threading.Barrier(THREADS)

    def repeat(thread: int) -> None:
        order = list(WORK)
        np.random.default_rng(thread).shuffle(order)
        start.wait()
        for repetition in range(REPETITIONS):
            for name in order:
                assert WORK[name]() == expected[name], f"{name}, {repetition} of thread {thread}"

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(repeat, range(THREADS)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_children_of_forks_read_graphs_that_threads_were_reading() -> None:
    """A child has none of those threads, and would wait forever for a lock that one of them had."""
    assert_succeeds("""
import os, signal, sys, threading
import normgraph as ng

parameter = ng.Parameter("f32", [2])
function = ng.Function([ng.op.Negate(parameter)], [parameter])
sys.setswitchinterval(1e-5)
finished = False

def read():
    while not finished:
        function.results[0].node

threads = [threading.Thread(target=read) for _ in range(7)]
for thread in threads:
    thread.start()
try:
    for number in range(150):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if function.results[0].node.type_name == "Negate" else 1)
        assert os.waitpid(child, 0)[1] == 0, f"child {number}"
finally:
    finished = True
    for thread in threads:
        thread.join()
""")
