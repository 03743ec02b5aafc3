"""The API page and the C++ reference show all that is public."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import normgraph as ng
from tests.docs.pages import DOCS, REPOSITORY

sys.path.insert(0, str(DOCS))
import cpp_reference


def test_the_api_page_has_every_public_name() -> None:
    page = (DOCS / "api.md").read_text("utf-8")
    shown = set(re.findall(r"^\.\. auto\w+:: (?:normgraph\.)?(\w+)$", page, re.M))
    modules = {name for name in ng.__all__ if isinstance(getattr(ng, name), ModuleType)}
    expected = set(ng.__all__) - modules - {"__version__"}
    assert expected - shown == set()
    for module in modules:
        assert f"normgraph.{module}." in page, module


def test_the_api_page_has_every_op() -> None:
    page = (DOCS / "api.md").read_text("utf-8")
    shown = set(re.findall(r"^\.\. autoclass:: normgraph\.op\.(\w+)$", page, re.M))
    ops = {name for name, value in vars(ng.op).items() if isinstance(value, type)}
    assert {name for name in ops if not name.startswith("_")} - shown == set()


def test_the_cpp_reference_has_every_namespace_of_the_public_headers() -> None:
    page = (DOCS / "cpp_reference.md").read_text("utf-8")
    shown = set(re.findall(r"^\.\. doxygennamespace:: (\S+)$", page, re.M))
    headers = cpp_reference.public_headers()
    assert len(headers) > 50
    declared = set()
    for header in headers:
        text = (REPOSITORY / "csrc" / header).read_text("utf-8")
        declared |= set(re.findall(r"^namespace (\S+) \{$", text, re.M))
    # What is nested in a namespace that is shown, in braces of its own, is shown with it.
    assert {name for name in declared if "::" in name or name == "normgraph"} == shown


def test_internal_headers_are_not_shown() -> None:
    headers = cpp_reference.public_headers()
    assert "normgraph/ir/node.hpp" in headers
    assert not [name for name in headers if "/simd/" in name or name.endswith("/lowering.hpp")]
