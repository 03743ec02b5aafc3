"""Where memory runs out there is a MemoryError that says so, and nothing else happens."""

from __future__ import annotations

import sys

import pytest

from tests.programs import UNDER_SANITIZER, WITHOUT_INTERPRETER_LOCK

from .programs import run_program

pytestmark = pytest.mark.skipif(UNDER_SANITIZER, reason="a sanitizer's allocator never fails")

WORK = """
rows = np.arange(12, dtype=np.float32).reshape(4, 3)
images = np.ones((2, 3, 65536), np.float32)
vector = np.ones(3, np.float32)
function = graph()
executable = ng.compile(function)
executable(np.ones((2, 3, 4), np.float32), vector)
text = ng.formats.json.dumps(function)
import copy

WORK = {
    "parameter": lambda: ng.Parameter("f32", [None, 64, (1, 8)], name="x"),
    "dimension": lambda: ng.Dimension((1, 5)).merge(3),
    "shape": lambda: list(ng.PartialShape([1, None, (2, 3)])),
    "constant": lambda: ng.Constant([[1.0, 2.0], [3.0, 4.0]], "f32").array(),
    "op": lambda: ng.op.BatchNormTraining(function.parameters[0],
        function.parameters[1], function.parameters[1]),
    "refusal": lambda: outcome_of_refusal(),
    "outputs": lambda: [output.partial_shape for node in function.nodes for output in node.outputs],
    "attributes": lambda: [node.attributes for node in function.nodes],
    "text": lambda: (str(function), repr(function), [repr(node) for node in function.nodes]),
    "deepcopy": lambda: copy.deepcopy(function),
    "json": lambda: ng.formats.json.loads(ng.formats.json.dumps(function)),
    "gradients": lambda: ng.gradients(function),
    "decompose": lambda: ng.decompose(function),
    "compile": lambda: ng.compile(function),
    "executable": lambda: executable(np.ones((2, 3, 4), np.float32), vector),
    "training": lambda: ng.batch_norm_training(rows, vector, vector),
    "training with outputs of the pool": lambda: ng.batch_norm_training(images, None, None),
    "training with out": lambda: ng.batch_norm_training(rows, None, None, outputs=("mean",),
        out=(None, np.empty(3, np.float32), None)),
    "backprop": lambda: ng.batch_norm_training_backprop(rows, vector, None, vector, vector, rows),
    "statistics": lambda: ng.update_running_statistics((vector, vector), (vector, vector), n=4,
        momentum=0.5),
}

def outcome_of_refusal():
    try:
        ng.batch_norm_training(rows, np.ones(5), np.ones((2, 2)))
    except ng.NodeValidationFailure as failure:
        return str(failure), failure.labels
    raise AssertionError("not refused")
"""


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="allocations fail on demand in CPython alone"
)
@pytest.mark.skipif(
    WITHOUT_INTERPRETER_LOCK,
    reason="CPython frees a list's array twice there (PyList_New of 3.13)",
)
def test_every_failing_allocation_of_python_is_a_memory_error() -> None:
    """The n-th allocation fails, for each n until the work gets through."""
    pytest.importorskip("_testcapi", reason="this Python is installed without its own tests")
    run_program(
        WORK
        + """
import _testcapi

for name, work in WORK.items():
    work()
    failures = 0
    for count in range(2000):
        _testcapi.set_nomemory(count, count + 1)
        try:
            work()
            ended = True
        except MemoryError:
            ended = False
            failures += 1
        except BaseException as error:
            _testcapi.remove_mem_hooks()
            raise SystemExit(f"{name}, allocation {count}: {type(error).__name__}: {error}")
        finally:
            _testcapi.remove_mem_hooks()
        if ended and count > 20 + failures:
            break
    assert failures > 0, name
assert ng.memory()["in_use"] == 0
""",
        timeout=600,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
@pytest.mark.parametrize(
    "grow",
    [
        "kept.append(ng.Parameter('f32', [None, 64, (1, 8)], name='x' * 1000))",
        "kept.append(ng.PartialShape([1] * 100))",
        "kept.append(ng.Dimension(1))",
        "kept.append(node.outputs)",
        "kept.append(copy.deepcopy(function))",
        "kept.append(ng.formats.json.loads(text))",
        "kept.append(ng.formats.json.dumps(function))",
        "kept.append(ng.gradients(function))",
        "kept.append(ng.compile(function))",
        "kept.append(str(function))",
        "kept.append(ng.batch_norm_training(rows, None, None))",
        "kept.append(ng.Constant(rows))",
        "kept.append(ng.op.Negate(function.parameters[0]))",
    ],
)
def test_a_process_at_its_limit_gets_a_memory_error(grow: str) -> None:
    run_program(
        f"""
import copy, resource
import normgraph.formats
function = graph()
node = function.results[0].node
text = ng.formats.json.dumps(function)
rows = np.ones((40, 300), np.float32)
kept = []
for _ in range(2):
    {grow}
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 10_000_000, resource.RLIM_INFINITY))
try:
    while True:
        {grow}
except MemoryError as error:
    caught = error
kept.clear()
assert "memory" in str(caught).lower() or "allocate" in str(caught).lower() or not caught.args
{grow}
""",
        timeout=300,
    )


def test_a_large_output_says_what_could_not_be_allocated() -> None:
    run_program(
        """
x = np.broadcast_to(np.float32(1), (2**40, 3))
error = outcome(lambda: ng.batch_norm_inference(x, *[np.ones(3, np.float32)] * 4))
assert isinstance(error, MemoryError) and "allocate" in str(error), repr(error)
"""
    )
