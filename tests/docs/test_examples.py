"""Every example of the documentation runs, and prints what the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from .pages import PAGES, name_of

#: Fenced blocks: examples, which are run; Python that needs what may not be installed; commands
#: and shown output; Sphinx directives.
LANGUAGES = {"pycon", "python", "console", "text", "{toctree}", "{include}", "{literalinclude}"}
LANGUAGES |= {"{eval-rst}", "{py:module}"}

FENCED_BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def examples_of(page: Path) -> list[doctest.Example]:
    """All examples of a page in one list: later ones use the names of earlier ones."""
    text = page.read_text(encoding="utf-8")
    examples = []
    for block in FENCED_BLOCK.finditer(text):
        if block[1] == "pycon":
            first_line = text.count("\n", 0, block.start(2))
            for example in doctest.DocTestParser().get_examples(block[2], str(page)):
                example.lineno += first_line
                examples.append(example)
    return examples


def with_examples() -> list[Any]:
    """The pages that have some; those of torch and JAX need them."""
    return [
        pytest.param(page, marks=pytest.mark.interop) if needs_a_framework(page) else page
        for page in PAGES
        if examples_of(page)
    ]


def needs_a_framework(page: Path) -> bool:
    imports = re.compile(r"\bimport (torch|jax)\b")
    return any(imports.search(example.source) for example in examples_of(page))


@pytest.mark.parametrize("page", with_examples(), ids=name_of)
def test_examples_print_what_the_page_says(page: Path) -> None:
    examples = examples_of(page)
    test = doctest.DocTest(examples, {}, name_of(page), str(page), 0, None)
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.attempted == len(examples)
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {block[1] for block in FENCED_BLOCK.finditer(text)} <= LANGUAGES
    assert text.count("```") == 2 * len(FENCED_BLOCK.findall(text))
    if page.parent.name == "ops" or page.stem == "tutorial":
        assert page.stem == "index" or examples_of(page)
