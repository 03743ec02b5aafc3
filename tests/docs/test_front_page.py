"""What the front page claims is what was measured, and what the commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.peers.results import Results
from normgraph import cli
from tests.published_errors.formulas import WRONG

from .pages import DOCS, REPOSITORY, tables

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
INDEX = (DOCS / "index.md").read_text(encoding="utf-8")

#: Numbers as the page writes them.
IN_WORDS = {3: "three", 4: "four", 5: "five"}


def words(text: str) -> str:
    """The text in one line."""
    return " ".join(text.split())


def test_the_index_begins_with_the_front_page_and_ends_it_at_the_mark() -> None:
    name, mark = re.findall(r"^```\{include\} (\S+)\n:end-before: (.*)$", INDEX, re.MULTILINE)[0]
    assert INDEX.startswith("```{include}")
    assert (DOCS / name).resolve() == REPOSITORY / "README.md"
    assert README.count(mark) == 1
    front, rest = README.split(mark)
    for part in ("speed.svg", "published_errors.md", "pip install normgraph", "make run", "WRONG"):
        assert part in front, part
    assert "```python" not in front
    # What a reader wants first comes first.
    titles = re.findall(r"^## (.*)$", rest, re.MULTILINE)
    assert titles[:5] == [
        "Train with torch",
        "Call the kernels from numpy",
        "Write a compiler",
        "Use it from C++",
        "Verify a backward function",
    ]


def test_the_table_of_errors_has_measured_figures() -> None:
    measured = (DOCS / "accuracy" / "tables.md").read_text(encoding="utf-8")
    found = {}
    for title in ("Forward", "Backward"):
        section = measured[measured.index(f"## {title}, f32") :]
        header, *rows = tables(section)[0]
        libraries = [name.removesuffix(", relative") for name in header[5:]]
        found |= {(row[0], row[1]): row[5:] for row in rows}
    (header, *shown), *_ = tables(README)
    assert header == ["data", "output", *libraries]
    assert len(shown) >= 5
    for data, output, *errors in shown:
        assert errors == found[data, output], (data, output)


def test_the_counts_of_calls_are_those_of_the_results() -> None:
    results = Results.load(DOCS / "benchmarks" / "peers.json")
    faster = sum(
        row.fastest_peer is not None and row.speed_up(row.fastest_peer) > 1 for row in results.rows
    )
    assert f"In {faster} of {len(results.rows)} measured kernel calls" in README
    assert faster > 0.7 * len(results.rows)  # "in most cases"


@pytest.mark.parametrize("name", ["torch", "oneDNN", "JAX"])
def test_the_calls_beside_each_library_are_those_of_the_results(name: str) -> None:
    results = Results.load(DOCS / "benchmarks" / "peers.json")
    ratios = [row.speed_up(name) for row in results.rows]
    faster = sum(ratio > 1 for ratio in ratios)
    version = results.versions[name].partition("+")[0]
    claim = f"than {name} {version} in "
    if faster == len(ratios):
        claim += "all"
    else:
        claim += f"{faster} (at worst {1 / min(ratios):.1f} times"
    assert claim in words(README)


def test_the_count_of_published_errors_is_true() -> None:
    text = words(README)
    assert f"one of the {len(WRONG)} [errors in published derivations]" in text
    sources = IN_WORDS[len({formula.source for formula in WRONG})]
    assert f"checking every formula of {sources} pages" in text


def test_the_report_is_what_verify_prints_of_the_exercise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (report,) = (text for kind, text in blocks if kind == "console")
    (example,) = (text for kind, text in blocks if "def backward" in text)
    command, *shown = report.splitlines()
    assert command == "$ python -m normgraph verify exercise.py"
    code = example[: example.index("result = ng.verify")]
    (tmp_path / "exercise.py").write_text(code, encoding="utf-8")
    assert cli.main(["verify", str(tmp_path / "exercise.py")]) == 1
    printed = capsys.readouterr().out.splitlines()
    # Errors of what is right are rounding, which may differ from machine to machine.
    wrong, on_page = (
        [line for line in lines if not line.startswith("ok ")] for lines in (printed, shown)
    )
    assert wrong == on_page
    assert [line.split()[:2] for line in printed] == [line.split()[:2] for line in shown]
