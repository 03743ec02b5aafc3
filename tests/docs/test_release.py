"""What a release states stands in one place, and what builds it knows all that is supported."""

from __future__ import annotations

import datetime
import re

import normgraph as ng

from .pages import DOCS, REPOSITORY

PROJECT = (REPOSITORY / "pyproject.toml").read_text("utf-8")
CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def version() -> str:
    """What pyproject.toml states."""
    (found,) = re.findall(r'^version = "([\d.]+)"$', PROJECT, re.MULTILINE)
    return str(found)


def test_the_newest_section_of_the_changelog_is_the_version_with_its_date() -> None:
    unreleased, newest, *_ = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    number, date = newest.split(" - ")
    assert number == f"[{version()}]"
    assert datetime.date.fromisoformat(date)


def test_the_migration_note_names_the_order_of_summation() -> None:
    section = CHANGELOG.split(f"## [{version()}]")[1].split("\n## ")[0]
    note = section.split("### Migration from ")[1].split("\n### ")[0]
    assert f"version {ng.config()['summation_order_version']} " in note


def test_the_version_stands_nowhere_else() -> None:
    for name in ("README.md", "CITATION.cff", "SECURITY.md", "CMakeLists.txt", "docs/conf.py"):
        assert version() not in (REPOSITORY / name).read_text("utf-8"), name
    for page in (DOCS / "index.md", DOCS / "results.md", DOCS / "tutorial.md"):
        assert f"version {version()[:3]}" not in page.read_text("utf-8"), page.name


def test_wheels_are_built_for_every_python_that_is_supported() -> None:
    (oldest,) = re.findall(r'^requires-python = ">=3\.(\d+)"$', PROJECT, re.MULTILINE)
    (builds,) = re.findall(r"^build = \[(.*)\]$", PROJECT, re.MULTILINE)
    found = re.findall(r'"cp3(\d+)(t?)-\*"', builds)
    minors = sorted({int(minor) for minor, _ in found})
    assert minors == list(range(int(oldest), minors[-1] + 1))
    assert [minor for minor, threading in found if threading] == ["13", "14"]
    (command,) = re.findall(r'"python -m pytest (.*)"', PROJECT)
    for path in command.split():
        assert (REPOSITORY / path).exists(), path


def test_the_source_distribution_leaves_out_what_building_does_not_need() -> None:
    (listed,) = re.findall(r"^sdist\.exclude = \[(.*?)^\]$", PROJECT, re.MULTILINE | re.DOTALL)
    names = re.findall(r'"(!?)/([^"]+)"', listed)
    assert names[0] == ("", "*")
    for kept, name in names[1:]:
        assert list(REPOSITORY.glob(name)), name
        assert kept or name.startswith("cmake/")
    # Whatever CMake includes when the tests are not built is there.
    for text in (REPOSITORY / "CMakeLists.txt", REPOSITORY / "cmake" / "PythonModule.cmake"):
        for included in re.findall(r"^\s*include\((cmake/\S+)\)", text.read_text("utf-8"), re.M):
            assert ("", included) not in names
            assert (REPOSITORY / included).exists()
