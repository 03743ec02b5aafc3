"""What the package holds, and what `import normgraph` leaves for later."""

from __future__ import annotations

import ast
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
    of_names = {**ng._MODULES_OF_NAMES, "formats": "formats"}
    assert of_names == names_for_type_checkers()


def test_every_name_is_there_in_a_program_of_its_own() -> None:
    """In any order: none is there by the import of another alone."""
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


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'normgraph' has no attribute 'batch_norm'"):
        ng.batch_norm  # type: ignore[attr-defined]  # noqa: B018
