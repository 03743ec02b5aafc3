"""The program normgraph_benchmarks: what it prints, and what it says to bad input."""

import json
import os
import re
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

import normgraph

ROOT = Path(__file__).parents[2]
PROGRAM = Path(
    os.environ.get(
        "NORMGRAPH_BENCHMARKS", ROOT / "build" / "release" / "benchmarks" / "normgraph_benchmarks"
    )
)
OPS = [
    "batch_norm_training",
    "batch_norm_inference",
    "batch_norm_training_backprop",
    "batch_norm_inference_backprop",
    "batch_norm_training_relu",
    "batch_norm_training_relu_backprop",
    "batch_norm_training_add_relu",
    "batch_norm_training_add_relu_backprop",
    "batch_norm_inference_relu",
    "batch_norm_inference_add_relu",
]

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="not built; `make test` builds it")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "--seconds=0", *arguments], capture_output=True, text=True, timeout=120
    )


def measured(*arguments: str) -> list[dict[str, Any]]:
    result = run("--benchmark_format=json", *arguments)
    assert result.returncode == 0, result.stderr
    benchmarks: list[dict[str, Any]] = json.loads(result.stdout)["benchmarks"]
    return benchmarks


def test_the_table_has_one_line_per_case() -> None:
    result = run("--benchmark_filter=/small_tiny/", "--implementations=all", "--threads=1,2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    (heading,) = [line for line in lines if line.startswith("small_tiny")]
    assert "(2,3,4,4)" in heading
    assert "warm" in heading
    (columns,) = [line.split() for line in lines if line.split()[:2] == ["op", "type"]]
    assert columns == [
        "op",
        "type",
        "layout",
        "implementation",
        "threads",
        "time",
        "GB/s",
        "floors",
    ]
    row = re.compile(
        r"^  (\w+) +(\w+) +(\w+) +(\w+) +(\d+) +[\d.]+ (?:s|ms|us|ns) +[\d.]+ +[\d.]+$", re.M
    )
    assert row.findall(result.stdout) == [
        (op, element_type, layout, implementation, num_threads)
        for op in OPS
        for element_type in ("f32", "bf16")
        for layout in ("channels_first", "channels_last")
        for implementation in normgraph.implementations()
        for num_threads in ("1", "2")
    ]
    assert all(len(line) <= 110 for line in lines)


@pytest.mark.parametrize("shape", ["small_square", "mlp_small_batch"])
def test_every_result_carries_its_floor(shape: str) -> None:
    results = measured(f"--benchmark_filter=/{shape}/")
    assert results
    for result in results:
        assert result["label"] == "warm"
        seconds = result["real_time"] * 1e-6
        # Google Benchmark passes the time through one more division: a few roundings of 2**-53.
        assert result["floors"] == pytest.approx(seconds / result["floor_seconds"], rel=1e-12)
        assert result["floors"] > 1


def test_the_table_ends_with_the_geometric_mean_of_each_class() -> None:
    choice = ["--types=f32", "--implementations=reference", "--threads=1"]
    result = run("--benchmark_filter=training/small", *choice)
    assert result.returncode == 0, result.stderr
    table, summary = result.stdout.split("\nGeometric means of the floors of a class\n")
    floors = [
        float(line.split()[-1])
        for line in table.splitlines()
        if line.startswith("  batch_norm_training ")
    ]
    heading, row = summary.splitlines()
    assert heading.split() == ["class", "op", "implementation", "threads", "cases", "floors"]
    assert row.split()[:-1] == ["f32", "warm", "batch_norm_training", "reference", "1", "4"]
    # Each number is printed with two digits behind the point.
    mean = statistics.geometric_mean(floors)
    assert float(row.split()[-1]) == pytest.approx(mean, abs=0.005 * (1 + mean / min(floors)))


def test_the_longest_name_of_an_op_has_room_in_both_tables() -> None:
    op = max(OPS, key=len)
    choice = ["--types=f32", "--implementations=reference", "--threads=1"]
    lines = run(f"--benchmark_filter={op}/small_tiny/", *choice).stdout.splitlines()
    # A busy machine may take pages away meanwhile, and a line says so.
    *_, cold, empty, _, _, mean = (line for line in lines if "page faults)" not in line)
    assert cold.split()[:5] == [op, "f32", "channels_last", "reference", "1"]
    assert empty == ""
    assert mean.split()[:-1] == ["f32", "warm", op, "reference", "1", "2"]


@pytest.mark.parametrize("shape", ["mlp_small_batch", "pooled"])
def test_a_matrix_and_images_of_one_pixel_have_one_layout(shape: str) -> None:
    listed = run("--benchmark_list_tests", f"--benchmark_filter=/{shape}/").stdout.split()
    assert {name.split("/")[3] for name in listed} == {"channels_last"}


def test_implementations_are_chosen_by_name() -> None:
    names = normgraph.implementations()
    for choice, expected in {
        "all": names,
        "best": [normgraph.config()["implementation"]],
        ",".join(reversed(names)): names,
    }.items():
        options = ("--short", "--benchmark_list_tests", f"--implementations={choice}")
        listed = run(*options).stdout.split()
        assert {name.split("/")[4] for name in listed} == set(expected)
    listed = run("--short", "--benchmark_list_tests").stdout.split()
    assert {name.split("/")[4] for name in listed} == {normgraph.config()["implementation"]}


def test_threads_are_one_and_as_many_as_there_are() -> None:
    environment = {**os.environ, "NORMGRAPH_NUM_THREADS": "3"}
    listed = subprocess.run(
        [PROGRAM, "--benchmark_list_tests"], capture_output=True, text=True, env=environment
    ).stdout.split()
    assert {name.split("/")[5] for name in listed} == {"1", "3"}


def test_types_are_chosen_by_name() -> None:
    names = [
        str(result["run_name"])
        for result in measured("--types=f16,f64", "--benchmark_filter=/small_tiny/")
    ]
    assert {name.split("/")[2] for name in names} == {"f16", "f64"}


def test_the_short_run_leaves_out_the_other_shapes() -> None:
    listed = run("--short", "--benchmark_list_tests").stdout
    assert "/small_tiny/" in listed
    assert "/resnet50_conv1/" not in listed
    assert "/resnet50_conv1/" in run("--benchmark_list_tests").stdout


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--shorter", "--shorter: no such option"),
        ("--types=f31", "--types=f31: expected f16, bf16, f32 or f64, got 'f31'"),
        ("--types=", "--types=: expected"),
        (
            "--implementations=sse3",
            "--implementations=sse3: expected the name of an implementation that runs here",
        ),
        ("--threads=", "--threads=: expected numbers of threads such as 1,2, got ''"),
        ("--threads=1,0", "--threads=1,0: expected numbers of threads such as 1,2, got '0'"),
        ("--seconds=soon", "--seconds=soon: expected a number of seconds, got 'soon'"),
        ("--seconds=-1", "--seconds=-1: expected a number of seconds, got '-1'"),
        ("--shapes=nowhere.csv", "nowhere.csv: expected a file"),
    ],
)
def test_a_wrong_argument_is_named(argument: str, message: str) -> None:
    result = run(argument)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,net,layer,2x3", "expected the 6 fields"),
        ("a,net,layer,2x3y,cold,full", "got the length '3y'"),
        ("a,net,layer,2x0,cold,full", "got the length '0'"),
        ("a,net,layer,7,cold,full", "expected a shape of rank 2 or more, got '7'"),
        ("a,net,layer,2x3,hot,full", "expected cold or warm, got 'hot'"),
        ("a,net,layer,2x3,cold,all", "expected short or full, got 'all'"),
    ],
)
def test_a_wrong_line_of_the_list_is_named(tmp_path: Path, row: str, message: str) -> None:
    shapes = tmp_path / "shapes.csv"
    shapes.write_text(f"name,network,layer,shape,state,selection\n{row}\n", encoding="utf-8")
    result = run(f"--shapes={shapes}")
    assert result.returncode == 2
    assert f"{shapes}, line 2: " in result.stderr
    assert message in result.stderr


def test_a_filter_that_matches_nothing_is_an_error() -> None:
    assert run("--benchmark_filter=no_such_shape").returncode != 0
