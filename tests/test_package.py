"""What the package holds, and what `import normgraph` leaves for later."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

import normgraph as ng

from .programs import assert_succeeds

SOURCE = Path(__file__).parents[1] / "python/normgraph/__init__.py"


def names_for_type_checkers() -> Mapping[str, str]:
    """Of each name that type checkers alone see imported the module, as written."""
    block = next(
        statement
        for statement in ast.parse(SOURCE.read_text()).body
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
    )
    return {
        alias.name: statement.module or alias.name
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_what_type_checkers_see_is_what_there_is() -> None:
    assert names_for_type_checkers() == ng._MODULES_OF_NAMES


def test_every_name_is_there_before_any_other_is_asked_for() -> None:
    """None is there by the import of another alone."""
    assert_succeeds(
        """
import sys
import normgraph
for name in normgraph.__all__:
    for module in [module for module in sys.modules if module.startswith("normgraph")]:
        if not module.startswith("normgraph._core"):
            del sys.modules[module]
    import normgraph
    assert name in dir(normgraph), name
    assert getattr(normgraph, name) is getattr(normgraph, name), name
from normgraph import *
assert callable(conformance) and callable(draw) and formats.json.dumps
"""
    )


def test_what_is_not_asked_for_is_not_imported() -> None:
    loaded = assert_succeeds(
        """
import sys
import normgraph
print(*sorted(module for module in sys.modules if module.startswith("normgraph.")))
"""
    ).split()
    assert [module for module in loaded if not module.startswith("normgraph._core")] == [
        "normgraph.configuration",
        "normgraph.op",
        "normgraph.running_statistics",
    ]


def test_a_package_of_another_name_leaves_the_function_alone() -> None:
    """Where it is imported before the function is asked for."""
    assert_succeeds(
        """
import normgraph.conform.cases, normgraph.verification, normgraph.tracing
assert callable(normgraph.conformance) and callable(normgraph.trace)
"""
    )


#: Finds nothing, and takes long for it where modules of the package are looked for.
SLOW_IMPORTS = """
import sys, threading, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name in ("normgraph.formats", "normgraph.verification", "normgraph.conform"):
            time.sleep(0.3)
sys.meta_path.insert(0, Slow())
import normgraph
"""


def test_threads_ask_for_names_at_once() -> None:
    assert_succeeds(
        SLOW_IMPORTS
        + """
names = "verify conformance draw trace summation_order formats Trace Drawing".split()
barrier, found = threading.Barrier(len(names)), {}
def ask(name):
    barrier.wait()
    found[name] = getattr(normgraph, name)
threads = [threading.Thread(target=ask, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert set(found) == set(names), found
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_leaves_no_name_half_imported() -> None:
    assert_succeeds(
        SLOW_IMPORTS
        + """
import os, signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork while there are threads
thread = threading.Thread(target=lambda: normgraph.verify)
thread.start()
time.sleep(0.1)
child = os.fork()
if child == 0:
    signal.alarm(30)
    normgraph.verify, normgraph.conformance
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
"""
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'normgraph' has no attribute 'batch_norm'"):
        ng.batch_norm  # type: ignore[attr-defined]  # noqa: B018
