"""Runs of the microbenchmarks that are kept, and two commits beside each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.history import comparison, microbenchmarks, records, trend
from benchmarks.history.microbenchmarks import Measurement

PROGRAM = Path(os.environ.get("NORMGRAPH_BENCHMARKS", microbenchmarks.PROGRAM))
NEEDS_PROGRAM = pytest.mark.skipif(not PROGRAM.is_file(), reason="the benchmarks are not built")
ONE_CASE = (
    "--benchmark_filter=training_backprop/small_square/f32/channels_first",
    "--threads=1",
    "--seconds=0.01",
)
NAME = "batch_norm_training/small/f32/channels_first/avx2/1"


def record(commit: str, floors: float, machine: str = "a machine") -> records.Record:
    rows = {
        NAME: Measurement(1e-6, floors),
        NAME.replace("small", "large"): Measurement(1e-3, 4 * floors),
    }
    return records.Record("2026-01-01T00:00:00+00:00", commit, False, machine, rows)


def test_times_in_seconds() -> None:
    text = """warning {"benchmarks": [
        {"name": "a/b/c/iterations:3/manual_time", "real_time": 2.5, "time_unit": "us", "floors": 3}
    ]}""".removeprefix("warning ")
    assert microbenchmarks.measurements("a line\n" + text) == {
        "a/b/c": Measurement(pytest.approx(2.5e-6), 3)
    }


def test_a_run_that_measures_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least one benchmark"):
        microbenchmarks.measurements("")


def test_a_program_that_is_not_built_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make bench builds them"):
        microbenchmarks.run([], tmp_path / "normgraph_benchmarks")


@NEEDS_PROGRAM
def test_a_run_of_the_program() -> None:
    (found,) = microbenchmarks.run(ONE_CASE, PROGRAM).items()
    name, row = found
    assert name.startswith("batch_norm_training_backprop/small_square/f32/channels_first/")
    assert name.count("/") == 5
    assert 0 < row.seconds < 1
    assert row.floors > 0


def test_records_come_back_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "history.jsonl"
    kept = [record("a" * 40, 2.0), record("b" * 40, 1.5)]
    for each in kept:
        records.append(each, file)
    assert list(records.read(file)) == kept


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"measurements": {"a": [1]}}', "3"])
def test_a_line_that_is_no_record_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    records.append(record("a" * 40, 2.0), file)
    with file.open("a") as lines:
        lines.write(line + "\n")
    with pytest.raises(ValueError, match="line 2: expected a record"):
        list(records.read(file))


def test_the_trend_is_that_of_the_last_machine(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="left out: the picture, without matplotlib")
    runs = [record("a" * 40, 2.0), record("c" * 40, 9.0, "another"), record("b" * 40, 1.5)]
    assert [run.commit[0] for run in trend.of_machine(runs)] == ["a", "b"]
    (mean,) = trend.means(runs[-1]).items()
    assert mean == (("batch_norm_training", "f32", "1"), pytest.approx(3.0))
    trend.write(runs, tmp_path / "history.svg")
    drawn = (tmp_path / "history.svg").read_text()
    assert "aaaaaaa" in drawn
    assert "bbbbbbb" in drawn
    assert "ccccccc" not in drawn


def test_ratios_are_those_of_the_first_by_the_second() -> None:
    pairs = [
        (
            {NAME: Measurement(seconds * 2, 1), "only": Measurement(1, 1)},
            {NAME: Measurement(seconds, 1)},
        )
        for seconds in (1e-6, 5e-6, 2e-6)
    ]
    (row,) = comparison.rows_of(pairs)
    assert row.seconds == (4e-6, 2e-6)
    assert row.speed_up.value == pytest.approx(2.0)
    assert row.speed_up.low == pytest.approx(2.0)
    table = list(comparison.lines([row], ("old", "new")))
    assert table[1].split()[1:6] == ["4.0", "µs", "2.0", "µs", "2.00"]
    assert table[-1] == "geometric mean of 1 cases: 2.000 times as fast"


@NEEDS_PROGRAM
def test_each_round_begins_with_the_other_program() -> None:
    pairs = list(comparison.rounds([PROGRAM, PROGRAM], ONE_CASE, 2))
    assert [len(pair) for pair in pairs] == [2, 2]
    (row,) = comparison.rows_of(pairs)
    assert row.speed_up.low > 0


@pytest.mark.skipif(not records.git("rev-parse", "HEAD"), reason="no repository of git")
def test_the_files_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "FOLDER", tmp_path)
    assert (comparison.tree_of("HEAD") / "CMakeLists.txt").is_file()
    assert comparison.tree_of(comparison.WORKING_TREE) == microbenchmarks.PROJECT
    with pytest.raises(ValueError, match="commit: expected one of this repository, got 'nothing'"):
        comparison.tree_of("nothing")


@pytest.mark.parametrize("arguments", [(), ("compare",), ("compare", "nothing")])
def test_errors_of_the_command(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.history", *arguments],
        cwd=microbenchmarks.PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 3
