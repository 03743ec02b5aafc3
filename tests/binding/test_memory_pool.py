"""New outputs of 1 MiB or more have their memory from a pool, and give it back when they end."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.programs import assert_succeeds

from .programs import SETTING

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the pool is Linux's; elsewhere it is off"
)

#: Inputs whose outputs have 4 MiB, which is two huge pages, and a half of that.
BEGINNING = (
    SETTING
    + """
MIB = 2**20
x = np.random.default_rng(0).standard_normal((8, 4, 32768), np.float32)
half = x[:4]
vector = np.ones(4, np.float32)

def normalized(input=x):
    return ng.batch_norm_inference(input, None, None, vector, vector)

def address(array):
    return array.__array_interface__["data"][0]

def megabytes(*names):
    return tuple(ng.memory()[name] / MIB for name in names or ("in_use", "free", "peak_in_use"))

expected = normalized().tobytes()
"""
)


def run_program(program: str, **environment: str) -> str:
    return assert_succeeds(BEGINNING + program, 300, **environment)


def test_memory_tells_what_is_in_use_and_free() -> None:
    run_program("""
assert ng.memory() == {"in_use": 0, "free": 4 * MIB, "peak_in_use": 4 * MIB, "limit": None}
first, second = normalized(), normalized(half)
assert megabytes() == (6, 0, 6)
del first
assert megabytes() == (2, 4, 6)
del second
assert megabytes() == (0, 6, 6)
ng.release_memory()
assert megabytes() == (0, 0, 6)
ng.release_memory()
""")


def test_a_process_begins_with_nothing() -> None:
    assert_succeeds(
        SETTING
        + """
assert ng.memory() == {"in_use": 0, "free": 0, "peak_in_use": 0, "limit": None}
ng.release_memory()
ng.batch_norm_training(np.ones((4, 3, 5), np.float32), None, None)
assert ng.memory()["peak_in_use"] == 0, "small arrays are numpy's"
"""
    )


def test_every_output_of_1_mib_begins_at_a_huge_page() -> None:
    run_program("""
results = [normalized(), *ng.batch_norm_training(x, None, None),
    *ng.batch_norm_training_backprop(x, None, None, vector, vector, x),
    *ng.batch_norm_training_relu(np.ones((32, 8, 32768), np.float32), None, None)]
large = [array for array in results if array.nbytes >= MIB]
assert len(large) == 5, "two normalized, input_delta, activated, mask"
assert all(address(array) % (2 * MIB) == 0 for array in large)
assert megabytes("in_use") == (sum(-(-array.nbytes // (2 * MIB)) * 2 for array in large),)
for index, array in enumerate(large):
    array[...] = index
for index, array in enumerate(large):
    assert (array == index).all()
""")


@pytest.mark.parametrize("layout", ["first", "last", "reversed"])
def test_arrays_of_the_pool_are_like_others(layout: str) -> None:
    run_program(f"""
input = {{"first": x, "last": x.transpose(0, 2, 1).copy().transpose(0, 2, 1), "reversed": x[::-1]}}[
    "{layout}"]
array = normalized(input)
assert type(array) is np.ndarray and array.dtype == np.float32
assert array.flags.writeable and array.flags.aligned and not array.flags.owndata
assert array.strides == np.empty_like(input).strides
assert np.array_equal(pickle.loads(pickle.dumps(array)), array)
""")


def test_addresses_repeat() -> None:
    run_program("""
first = address(normalized())
assert {address(normalized()) for _ in range(20)} == {first}
del_later = normalized()
assert address(del_later) == first
assert address(normalized()) != first
""")


def test_ten_thousand_calls_do_not_grow_memory() -> None:
    run_program("""
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

input, vector = np.ones((1, 2, 65536)), np.ones(2)

def call_often(calls):
    kept = None
    for _ in range(calls):
        kept = ng.batch_norm_inference(input, None, None, vector, vector)
    return kept

call_often(100)
before = resident()
kept = call_often(10_000)
# AddressSanitizer keeps for a while what has been freed.
allowed = 128 * MIB if "libasan" in os.environ.get("LD_PRELOAD", "") else MIB
assert resident() - before < allowed, (before, resident())
assert megabytes() == (2, 2, 4)
""")


def test_views_keep_the_memory_alive() -> None:
    run_program("""
view = normalized()[2, 1:3, ::2]
assert megabytes("in_use") == (4,)
others = [normalized() for _ in range(3)]
assert np.array_equal(view, np.frombuffer(expected, np.float32).reshape(x.shape)[2, 1:3, ::2])
lent = memoryview(view)
del view
assert megabytes("in_use") == (16,)
del lent
assert megabytes("in_use") == (12,)
""")


def test_exports_through_dlpack_keep_the_memory_alive() -> None:
    run_program("""
tensor = np.from_dlpack(normalized())
capsule = tensor.__dlpack__()
others = [normalized() for _ in range(2)]
assert tensor.tobytes() == expected
del tensor
assert megabytes("in_use") == (12,)
del capsule
assert megabytes("in_use") == (8,)
""")


def test_an_array_may_end_in_another_thread() -> None:
    run_program("""
arrays = [normalized() for _ in range(4)]
thread = threading.Thread(target=arrays.clear)
thread.start()
thread.join()
assert megabytes("in_use", "free") == (0, 16)
""")


def test_threads_share_the_pool() -> None:
    run_program("""
failures = []

def work():
    kept = None
    for _ in range(50):
        kept, before = normalized(), kept
        if kept.tobytes() != expected or (before is not None and before.tobytes() != expected):
            failures.append(1)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
in_use, free, peak = megabytes()
assert not failures and in_use == 0 and free <= peak <= 4 * 3 * 4
""")


def test_tracemalloc_counts_the_memory() -> None:
    run_program("""
import tracemalloc
from_before = normalized()
tracemalloc.start()
array = normalized()
numpys = [tracemalloc.DomainFilter(True, 389047)]

def traced():
    snapshot = tracemalloc.take_snapshot().filter_traces(numpys)
    return sum(trace.size for trace in snapshot.traces)

assert traced() >= array.nbytes
view = array[1:]
del array
assert traced() >= x.nbytes
del view, from_before
assert traced() < x.nbytes
""")


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_forked_child_works_and_leaves_free_blocks_to_its_parent() -> None:
    run_program("""
kept = normalized()
freed = address(normalized())
child = os.fork()
if child == 0:
    signal.alarm(60)
    right = megabytes("in_use", "free") == (4, 0)
    right = right and kept.tobytes() == expected == normalized().tobytes()
    del kept
    os._exit(0 if right and normalized().tobytes() == expected else 1)
assert os.waitpid(child, 0)[1] == 0
assert megabytes() == (4, 4, 8)
assert address(normalized()) == freed and kept.tobytes() == expected
""")


def test_forked_children_work_while_threads_use_the_pool() -> None:
    run_program("""
finished = False

def keep_calling():
    while not finished:
        normalized()

threads = [threading.Thread(target=keep_calling) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    for _ in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            ng.release_memory()
            os._exit(0 if normalized().tobytes() == expected else 1)
        assert os.waitpid(child, 0)[1] == 0
finally:
    finished = True
    for thread in threads:
        thread.join()
""")


def test_what_has_been_free_for_5_seconds_goes_back_at_the_next_call() -> None:
    """A small call, which has no use for the pool itself; and an executable's."""
    calls = [
        "ng.batch_norm_training(small, None, None)",
        "ng.batch_norm_training(small, None, None, out=(small.copy(), None, None))",
        "executable(small, ones)",
    ]
    programs = [
        f"""
import time
small, ones = np.ones((4, 3, 5), np.float32), np.ones(3, np.float32)
executable = ng.compile(graph())
normalized()
time.sleep(5.1)
assert megabytes("free") == (4,), "nothing happens without a call"
{call}
assert megabytes("free") == (0,)
"""
        for call in calls
    ]
    with ThreadPoolExecutor(len(programs)) as waiting:
        list(waiting.map(run_program, programs))


def test_the_limit_is_what_the_variable_says() -> None:
    """What does not fit is numpy's, and as right."""
    run_program(
        """
assert ng.memory()["limit"] == 6_500_000
first, second, third = normalized(), normalized(), normalized(half)
assert megabytes() == (6, 0, 6)
assert second.base is not None and isinstance(second.base, np.ndarray)
assert address(second) % 64 == 0
assert first.tobytes() == second.tobytes() == expected
""",
        NORMGRAPH_POOL_BYTES="6500000",
    )


def test_a_limit_of_0_turns_the_pool_off() -> None:
    run_program(
        """
array = normalized()
assert array.tobytes() == expected and isinstance(array.base, np.ndarray)
assert ng.memory() == {"in_use": 0, "free": 0, "peak_in_use": 0, "limit": 0}
ng.release_memory()
""",
        NORMGRAPH_POOL_BYTES="0",
    )


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "1 ", "1M", "99999999999999999999"])
def test_a_variable_that_is_no_number_of_bytes_is_refused_by_name(value: str) -> None:
    message = (
        "environment variable NORMGRAPH_POOL_BYTES: expected a number of bytes, 0 or more, "
        f"got '{value}'\n"
    )
    program = """
x = np.ones((8, 4, 32768), np.float32)
vector = np.ones(4, np.float32)
for call in (
    ng.memory,
    ng.release_memory,
    lambda: ng.batch_norm_inference(x, None, None, vector, vector),
    lambda: ng.batch_norm_inference(x, None, None, vector, vector),
):
    try:
        call()
    except ValueError as error:
        print(error)
ng.batch_norm_inference(x, None, None, vector, vector, out=x)
"""
    assert assert_succeeds(SETTING + program, NORMGRAPH_POOL_BYTES=value) == 4 * message


def test_an_empty_variable_is_no_limit() -> None:
    run_program('assert ng.memory()["limit"] is None', NORMGRAPH_POOL_BYTES="")


def test_a_process_at_its_limit_gets_a_memory_error() -> None:
    run_program("""
import resource

with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
# Of which a helping thread may reserve 64 MiB for what it allocates, if it has not yet.
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * MIB, resource.RLIM_INFINITY))
kept = []
try:
    while True:
        kept.append(normalized())
except MemoryError as error:
    assert "allocate 4.00 MiB" in str(error), error
assert len(kept) > 10
kept.clear()
result = normalized()
ng.release_memory()  # which numpy may have then
assert result.tobytes() == expected
del result
# What is free but in pieces makes room for what is larger than all of them.
kept = [normalized() for _ in range(20)]
del kept[::2]
normalized(np.broadcast_to(x[:1], (60, 4, 32768)))
""")


def test_intermediate_values_of_executables_come_from_the_pool() -> None:
    run_program("""
a, b = (ng.Parameter("f32", [None, None], name=name) for name in "ab")
product = ng.op.MatrixMultiply(a, b)
run = ng.compile(ng.Function([ng.op.MatrixMultiply(product, b)], [a, b]))
rows, square = np.ones((16384, 64), np.float32), np.eye(64, dtype=np.float32)
ng.release_memory()
result = run(rows, square)[0]
assert run.peak_bytes == 4 * MIB
assert megabytes() == (4, 4, 8)
del run, product
assert megabytes() == (4, 4, 8), "not the executable's"
assert np.array_equal(result, rows)
""")


def test_executables_work_where_the_pool_is_off() -> None:
    run_program(
        """
a, b = (ng.Parameter("f32", [None, None], name=name) for name in "ab")
product = ng.op.MatrixMultiply(a, b)
run = ng.compile(ng.Function([ng.op.MatrixMultiply(product, b)], [a, b]))
rows, square = np.ones((16384, 64), np.float32), np.eye(64, dtype=np.float32)
assert np.array_equal(run(rows, square)[0], rows)
""",
        NORMGRAPH_POOL_BYTES="0",
    )


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").is_dir(), reason="the system has no huge pages"
)
def test_memory_is_on_huge_pages_where_the_system_has_them() -> None:
    run_program("""
array = normalized()
advised = 0
with open("/proc/self/smaps") as file:
    for line in file:
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            begin, end = (int(text, 16) for text in first.split("-"))
        elif first == "VmFlags:" and begin <= address(array) < end:
            advised += "hg" in line.split()
assert advised == 1
""")
