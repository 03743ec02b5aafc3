"""benchmarks/peers: its classes, sampling, tables and plots, and one small run with numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import measurement, plots, tables
from benchmarks.peers.candidates import CANDIDATES
from benchmarks.peers.candidates.candidate import LeftOut
from benchmarks.peers.cases import BACKWARD, ELEMENT_TYPES, FORWARD, OPS, Case, Selection
from benchmarks.peers.results import CLASSES, Mean, Results, Row
from benchmarks.peers.sampling import Plan, in_turns, sample
from benchmarks.peers.worker import require_agreement

ROOT = Path(__file__).parents[2]
MIB = 2**20

needs_module = pytest.mark.skipif(
    measurement.module_file() is None, reason="not built; `make test` builds it"
)


# ---- cases and classes ---------------------------------------------------------------------------


def shape_named(name: str) -> measurement.NamedShape:
    return next(shape for shape in measurement.shapes() if shape.name == name)


@needs_module
@pytest.mark.parametrize(
    ("op", "name", "element_type", "layout", "expected"),
    [
        (FORWARD, "resnet50_conv1", "f32", "channels_first", "f32 channels first, long rows"),
        (FORWARD, "sequence_1d", "f32", "channels_first", "f32 channels first, long rows"),
        (
            FORWARD,
            "resnet50_conv3_expand",
            "f32",
            "channels_first",
            "f32 channels first, short rows",
        ),
        (FORWARD, "resnet50_conv1", "bf16", "channels_first", "bf16 channels first"),
        (FORWARD, "image_odd", "bf16", "channels_first", "bf16 channels first"),
        (FORWARD, "resnet50_conv1", "f32", "channels_last", "f32 channels last, from memory"),
        (FORWARD, "mlp_large_batch", "f32", "channels_last", "f32 channels last, from cache"),
        # 12.25 MiB, of which the backward pass reads twice as much: half of the cache is 16 MiB.
        (FORWARD, "resnet50_conv5_expand", "f32", "channels_last", "f32 channels last, from cache"),
        (
            BACKWARD,
            "resnet50_conv5_expand",
            "f32",
            "channels_last",
            "f32 channels last, from memory",
        ),
        (FORWARD, "resnet50_conv1", "bf16", "channels_last", "bf16 channels last"),
        (FORWARD, "mlp_small_batch", "f32", "channels_last", "f32 warm"),
        (BACKWARD, "small_tiny", "bf16", "channels_first", "bf16 warm"),
    ],
)
def test_class_of_a_case(op: str, name: str, element_type: str, layout: str, expected: str) -> None:
    module = measurement.load()
    assert module.class_of(op, shape_named(name), element_type, layout, 32 * MIB) == expected


@needs_module
def test_every_cold_case_is_in_one_of_the_published_classes() -> None:
    for case in Selection().cases():
        assert (case.class_name in CLASSES) == case.shape.cold, case.name


@needs_module
def test_a_selection_has_every_combination_once() -> None:
    module = measurement.load()
    cases = list(Selection().cases())
    layouts = sum(len(module.layouts_of(shape)) for shape in measurement.shapes())
    assert len(cases) == len(OPS) * len(ELEMENT_TYPES) * layouts * 2
    assert len({case.name for case in cases}) == len(cases)
    only = Selection(only="backward/pooled/.*/2$").cases()
    assert [case.name for case in only] == [
        "backward/pooled/f32/channels_last/2",
        "backward/pooled/bf16/channels_last/2",
    ]
    assert all(case.shape.in_short_run for case in Selection(short=True).cases())


@needs_module
def test_the_floor_streams_the_tensors_of_a_set() -> None:
    module = measurement.load()
    pattern = np.arange(1, 8, dtype=np.int32)
    for tensor_count in (2, 3):
        for num_threads in (1, 3):
            for non_temporal in (False, True):
                # More than the floor gives to one thread, and no multiple of a page.
                (a_set,) = module.make_tensor_sets(
                    False, tensor_count, 3 * MIB + 64, pattern.tobytes()
                )
                tensors = [a_set.tensor(index).view(np.int32) for index in range(tensor_count)]
                expected = sum(tensor.copy() for tensor in tensors[:-1])
                tensors[-1][:] = -1
                module.stream(a_set, tensor_count, num_threads, non_temporal, 1)
                assert np.array_equal(tensors[-1], expected)


@needs_module
def test_cold_sets_hold_more_than_twice_the_cache() -> None:
    module = measurement.load()
    assert len(module.make_tensor_sets(False, 2, MIB, b"abc")) == 1
    sets = module.make_tensor_sets(True, 2, MIB, b"abc")
    assert (len(sets) - 1) * 2 * MIB > 2 * module.largest_cache_bytes()


# ---- sampling ------------------------------------------------------------------------------------


class Recorder:
    """Notes who was called with which set."""

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self.name = name
        self.log = log

    def run(self, set_index: int, calls: int) -> None:
        self.log.extend([(self.name, set_index)] * calls)


def test_cold_works_take_turns_and_every_call_the_next_set() -> None:
    log: list[tuple[str, int]] = []
    works = {name: Recorder(name, log) for name in "abc"}
    timings = sample(works, Plan(cold=True, set_count=4, rounds=5, seconds=0))
    assert {name: len(timing.seconds) for name, timing in timings.items()} == dict.fromkeys(
        "abc", 5
    )
    calls = [name for name, _ in log]
    # Every set once before, and the first one again.
    assert calls[:15] == ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    # Then an untimed and a timed call; each round begins with another one.
    rounds = [calls[start : start + 6] for start in range(15, len(calls), 6)]
    assert ["".join(calls) for calls in rounds] == [
        "aabbcc",
        "bbccaa",
        "ccaabb",
        "aabbcc",
        "bbccaa",
    ]
    for name in "abc":
        sets = [index for who, index in log if who == name]
        assert sets == [(1 + position) % 4 for position in range(15)]


def test_rounds_go_on_for_the_time_given() -> None:
    works = {"a": Recorder("a", [])}
    timings = sample(works, Plan(cold=True, set_count=2, rounds=1, seconds=0.05))
    assert len(timings["a"].seconds) > 100


def test_the_median_is_of_the_seconds_per_call() -> None:
    class Sleeper:
        def run(self, set_index: int, calls: int) -> None:
            for _ in range(calls * 1000):
                pass

    plan = Plan(cold=False, set_count=1, rounds=5, seconds=0)
    timing = sample({"loop": Sleeper()}, plan)["loop"]
    assert timing.median_seconds == sorted(timing.seconds)[2]
    assert 1e-7 < timing.median_seconds < 1e-2


def test_in_turns() -> None:
    assert [in_turns(number, ["a", "b"]) for number in range(3)] == [
        ["a", "b"],
        ["b", "a"],
        ["a", "b"],
    ]


def test_a_candidate_that_computes_something_else_is_left_out() -> None:
    expected = [np.linspace(-1, 1, 5000, dtype=np.float32)]
    require_agreement([expected[0] + np.float32(0.01)], expected)
    for wrong in (-expected[0], 0 * expected[0], expected[0] + np.float32(0.02)):
        with pytest.raises(LeftOut, match="output 0 differs from normgraph's"):
            require_agreement([wrong], expected)
    with pytest.raises(LeftOut):
        require_agreement([np.full(5000, np.nan)], expected)


# ---- results, tables, plots ----------------------------------------------------------------------


def row(
    shape: str, threads: int, floor: float, seconds: Mapping[str, float], class_name: str
) -> Row:
    return Row(
        {
            "case": f"forward/{shape}/f32/channels_first/{threads}",
            "class": class_name,
            "op": FORWARD,
            "shape": shape,
            "lengths": [2, 3, 4],
            "element_type": "f32",
            "layout": "channels_first",
            "threads": threads,
            "state": "cold",
            "rounds": 5,
            "floor_seconds": floor,
            "seconds": dict(seconds),
            "page_faults": {},
            "left_out": {},
        }
    )


@pytest.fixture
def results() -> Results:
    first, second = CLASSES[:2]
    return Results(
        machine={"processor": "one"},
        versions={"normgraph": "1", "torch": "2", "numpy": "3"},
        left_out={"JAX": "not here"},
        rows=[
            row("a", 1, 1e-3, {"normgraph": 2e-3, "torch": 8e-3, "numpy": 4e-3}, first),
            row("b", 1, 1e-3, {"normgraph": 8e-3, "torch": 4e-3}, first),
            row("a", 2, 1e-6, {"normgraph": 1.5e-6, "torch": 3e-6, "numpy": 9e-6}, second),
        ],
    )


def test_means_are_geometric_and_over_the_rows_that_have_the_candidate(results: Results) -> None:
    wanted = {"class": CLASSES[0]}
    assert results.floors("normgraph", **wanted) == Mean(pytest.approx(4), 2)
    assert results.floors("numpy", **wanted) == Mean(pytest.approx(4), 1)
    assert results.floors("JAX", **wanted) is None
    assert results.speed_up("torch", **wanted) == Mean(pytest.approx((4 * 0.5) ** 0.5), 2)
    assert results.speed_up_over_fastest_peer(**wanted) == Mean(pytest.approx(1), 2)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_table_of_classes(results: Results) -> None:
    assert cells(tables.class_table(results, FORWARD)) == [
        [
            *("class", "threads", "cases", "normgraph", "torch", "numpy"),
            *("over torch", "over the fastest peer"),
        ],
        ["---", *["---:"] * 7],
        [CLASSES[0], "1", "2", "4.00", "5.66", "4.00 (1 of 2)", "1.41", "1.00"],
        [CLASSES[1], "2", "1", "1.50", "3.00", "9.00", "2.00", "2.00"],
    ]


def test_table_of_cases(results: Results) -> None:
    heading, _, *lines = cells(tables.case_table(results, FORWARD))
    assert heading[3:] == [
        *("1 thread: time", "× floor", "over the fastest peer"),
        *("2 threads: time", "× floor", "over the fastest peer"),
    ]
    assert lines == [
        [
            *("a 2×3×4", "f32", "channels first", "2.00 ms", "2.00", "2.00 (numpy)"),
            *("1.50 µs", "1.50", "2.00 (torch)"),
        ],
        ["b 2×3×4", "f32", "channels first", "8.00 ms", "8.00", "0.50 (torch)", "–", "–", "–"],
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.234, "1.23 s"), (0.01234, "12.3 ms"), (123.4e-6, "123 µs"), (5.678e-9, "5.68 ns")],
)
def test_text_of_a_time(seconds: float, text: str) -> None:
    assert tables.time(seconds) == text


def test_the_page_shows_plots_tables_machine_and_what_is_missing(results: Results) -> None:
    page = tables.page(results, {"plot.svg": "What it shows"})
    assert "![What it shows](plot.svg)" in page
    assert tables.class_table(results, FORWARD) in page
    assert tables.case_table(results, FORWARD) in page
    assert "| processor | one |" in page
    assert "| JAX, left out | not here |" in page
    assert BACKWARD not in page
    assert "Page faults" not in page


def test_stored_results_come_back(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.store(file)
    assert Results.load(file) == results


def test_plots_are_small_and_the_same_for_the_same_results(
    results: Results, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    written = plots.write(results, tmp_path)
    assert list(written) == [
        "floors_1_thread.svg",
        "floors_2_threads.svg",
        "speed_up_over_torch.svg",
    ]
    texts = {name: (tmp_path / name).read_text(encoding="utf-8") for name in written}
    for name, text in texts.items():
        assert written[name] in text
        assert len(text) < 60_000
    plots.write(results, tmp_path)
    assert texts == {name: (tmp_path / name).read_text(encoding="utf-8") for name in written}


def test_every_candidate_has_a_style_of_its_own() -> None:
    assert set(plots.STYLES) == set(CANDIDATES)
    for index in (0, 1):
        assert len({style[index] for style in plots.STYLES.values()}) == len(CANDIDATES)


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], command.PUBLISHED),
        (["--rounds=9", "--seconds=3"], command.PUBLISHED),
        (["--short"], command.TRIED),
        (["--only=pooled"], command.TRIED),
        (["--threads", "1"], command.TRIED),
        (["--candidates", "numpy"], command.TRIED),
        (["--output=elsewhere"], Path("elsewhere")),
    ],
)
def test_only_complete_results_go_to_the_documentation(arguments: list[str], folder: Path) -> None:
    assert command.output_folder(command.parser().parse_args(arguments)) == folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )


@needs_module
def test_a_small_run_with_numpy(tmp_path: Path) -> None:
    arguments = ["--only=small_tiny/f32/channels_last/1$", "--seconds=0", f"--output={tmp_path}"]
    result = run(*arguments, "--candidates", "numpy")
    assert result.returncode == 0, result.stderr
    assert "[2/2, 0 s left] backward/small_tiny/f32/channels_last/1: normgraph " in result.stdout
    values: dict[str, Any] = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
    assert list(values["versions"]) == ["normgraph", "numpy"]
    assert [(row["case"], list(row["seconds"]), row["left_out"]) for row in values["rows"]] == [
        (f"{op}/small_tiny/f32/channels_last/1", ["normgraph", "numpy"], {}) for op in OPS
    ]
    for values_of_row in values["rows"]:
        assert values_of_row["rounds"] >= 5
        assert 0 < values_of_row["floor_seconds"] < min(values_of_row["seconds"].values())
    page = (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert "| small_tiny 2×3×4×4 | f32 | channels last | " in page
    (tmp_path / "peers.md").unlink()
    assert run("--draw", f"--output={tmp_path}").returncode == 0
    assert (tmp_path / "peers.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only=("], "expected a regular expression"),
        (["--threads", "0"], "expected a positive number, got '0'"),
        (["--candidates", "cupy"], "invalid choice: 'cupy'"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_drawing_needs_results(tmp_path: Path) -> None:
    result = run("--draw", f"--output={tmp_path}")
    assert result.returncode != 0
    assert f"there is no peers.json in {tmp_path}" in result.stderr


@needs_module
def test_a_choice_that_matches_nothing_is_an_error() -> None:
    result = run("--only=no_such_shape")
    assert result.returncode != 0
    assert "no case matches --only 'no_such_shape'" in result.stderr


def test_names_of_a_case() -> None:
    class Shape:
        name = "a"

    case = Case(BACKWARD, Shape(), "f32", "channels_last", 2)  # type: ignore[arg-type]
    assert case.name == "backward/a/f32/channels_last/2"
