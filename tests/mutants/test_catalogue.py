"""The list of mutants is true: each finds its original, exactly once."""

from __future__ import annotations

import shlex
from collections import Counter

import pytest

from .catalogue import GROUPS
from .mutant import CPP_TESTS, Group, Mutant, OutOfDateError, mutated
from .workspace import PROJECT


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.path}-{group.mutants[0].name}")
def test_originals_are_found_once(group: Group) -> None:
    text = (PROJECT / group.path).read_text()
    for mutant in group.mutants:
        assert mutated(mutant, group.path, text) != text


def test_names_differ() -> None:
    names = Counter(mutant.name for group in GROUPS for mutant in group.mutants)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.path}-{group.mutants[0].name}")
def test_expected_tests_exist(group: Group) -> None:
    if group.first != CPP_TESTS:
        files = [word for word in shlex.split(group.first) if word.startswith("tests/")]
        assert files
        assert all((PROJECT / file).is_file() for file in files)


@pytest.mark.parametrize("text", ["a = c;", "a = b; a = b;", "aa = b;", "a_ = b;"])
def test_an_original_that_is_not_there_once_is_named(text: str) -> None:
    mutant = Mutant("some-mutant", "something", "a = b;", "")
    with pytest.raises(
        OutOfDateError, match=r"^mutant some-mutant: .* in file.cpp, found it \d times"
    ):
        mutated(mutant, "file.cpp", text)


def test_an_original_may_be_broken_into_other_lines() -> None:
    mutant = Mutant("some-mutant", "something", "return sum(a, b) / n;", "return 0;")
    text = "int f() {\n    return sum(\n        a,  b) /\n        n;\n}\n"
    assert mutated(mutant, "file.cpp", text) == "int f() {\n    return 0;\n}\n"
    assert mutated(mutant, "file.cpp", "returns; return sum(a,b)/n;").endswith("return 0;")
