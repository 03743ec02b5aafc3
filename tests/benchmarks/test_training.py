"""benchmarks/training: cases, sampling, tables and plot; with torch, networks and processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.training import sampling, supervisor, tables
from benchmarks.training.cases import (
    CASES,
    COMPILED,
    CONVERTED,
    EAGER,
    KEPT,
    MEMORY,
    ORIGINAL,
    SIDES,
    Case,
    Selection,
)
from benchmarks.training.kinds import KINDS, OTHER, kind_of
from benchmarks.training.results import Results, Row
from benchmarks.training.sampling import Plan, ratio_of_medians, sample

ROOT = Path(__file__).parents[2]
MACHINE = {"processor": "a processor"}


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def row(name: str, original: list[float], converted: list[float], **values: Any) -> Row:
    return Row(case_named(name), {ORIGINAL: original, CONVERTED: converted}, **values)


# ---- cases ---------------------------------------------------------------------------------------


def test_names_are_unique_and_none_is_part_of_another() -> None:
    names = [case.name for case in CASES]
    assert [name for name in names if sum(name in other for other in names) > 1] == []


def test_goals_of_cases() -> None:
    goals = {case.name: case.goal for case in CASES}
    assert goals["mobilenet_v2/f32/channels_first/1"] == 1.4
    assert goals["mobilenet_v2/f32/channels_last/2"] == 1.15
    assert goals["resnet50/f32/channels_last/2"] == 1.10
    assert goals["mobilenet_v2/f32/channels_first/memory/1"] == 1.0
    assert goals["resnet50/f32/channels_first/compiled/1"] == 1.1


def test_selections() -> None:
    assert Selection().cases() == list(CASES)
    only = Selection(only="mobilenet_v2/f32/channels_first/1").cases()
    assert only == [case_named("mobilenet_v2/f32/channels_first/1")]
    modes = {case.mode for case in Selection(compiled=False).cases()}
    assert modes == {EAGER, KEPT, MEMORY}
    short = Selection(short=True).cases()
    assert len(short) == 6
    assert {(case.element_type, case.mode, case.threads) for case in short} == {("f32", EAGER, 1)}


# ---- sampling ------------------------------------------------------------------------------------


def recorder(seconds: float) -> tuple[list[tuple[str, int]], Callable[[str, int], float]]:
    """A list of what is run, and what runs it: each step takes so many seconds."""
    log: list[tuple[str, int]] = []

    def run(side: str, calls: int) -> float:
        log.append((side, calls))
        return seconds

    return log, run


def test_steps_alternate_and_each_round_begins_with_the_other_side() -> None:
    log, run = recorder(1.0)
    samples = sample(SIDES, run, Plan(repetitions=3, seconds=0))
    assert samples == {ORIGINAL: [1.0] * 3, CONVERTED: [1.0] * 3}
    first, *timed = [side for side, _ in log], *[side for side, _ in log[2:]]
    assert first[:2] == list(SIDES)
    assert timed == [ORIGINAL, CONVERTED, CONVERTED, ORIGINAL, ORIGINAL, CONVERTED]
    assert {calls for _, calls in log} == {1}


def test_short_steps_run_several_times_on_end() -> None:
    log, run = recorder(sampling.SHORTEST_STRETCH / 10.5)
    sample(SIDES, run, Plan(repetitions=1, seconds=0))
    assert log == [(ORIGINAL, 1), (CONVERTED, 1), (ORIGINAL, 11), (CONVERTED, 11)]


def test_pairs_go_on_for_the_time_given_and_end_early_after_the_longest() -> None:
    plan = Plan(repetitions=9, seconds=3, longest_seconds=60)
    assert not plan.is_done(9, 2.9)
    assert plan.is_done(9, 3.0)
    assert not plan.is_done(8, 59.9)
    assert plan.is_done(5, 60.0)
    assert not plan.is_done(4, 1000.0)
    assert Plan(repetitions=2, seconds=0).is_done(2, 1000.0)


def test_the_ratio_is_of_medians_and_its_interval_is_of_pairs() -> None:
    # Both steps of a pair are disturbed alike: the ratio of each pair is 2.
    original = [2.0, 4.0, 2.2, 3.0, 2.6, 8.0, 2.1]
    paired = ratio_of_medians({ORIGINAL: original, CONVERTED: [value / 2 for value in original]})
    assert (paired.value, paired.low, paired.high) == (2.0, 2.0, 2.0)
    apart = ratio_of_medians({ORIGINAL: original, CONVERTED: sorted(original)})
    assert apart.value == 1.0
    assert apart.low < 1.0 < apart.high
    # One sample that is far off changes no median.
    assert ratio_of_medians({ORIGINAL: [2.0, 2.0, 99.0], CONVERTED: [1.0, 1.0, 1.0]}).value == 2.0


# ---- kinds of ops --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::conv2d", "convolution"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", "convolution"),
        ("aten::batch_norm", "batch norm"),
        ("autograd::engine::evaluate_function: NativeBatchNormBackward0", "batch norm"),
        ("aten::miopen_batch_norm", "batch norm"),
        ("BatchNormTrainingRelu", "batch norm"),
        ("autograd::engine::evaluate_function: BatchNormTrainingAddReluBackward", "batch norm"),
        ("normgraph::batch_norm_training_relu_backprop", "batch norm"),
        ("aten::relu_", "ReLU"),
        ("autograd::engine::evaluate_function: ReluBackward0", "ReLU"),
        ("aten::hardtanh_", "ReLU"),
        ("autograd::engine::evaluate_function: HardtanhBackward0", "ReLU"),
        ("aten::relu6", "ReLU"),
        ("aten::add", "add"),
        ("aten::add_", "add"),
        ("autograd::engine::evaluate_function: AddBackward0", "add"),
        ("aten::addmm", OTHER),
        ("autograd::engine::evaluate_function: AddmmBackward0", OTHER),
        ("aten::linear", OTHER),
        ("autograd::engine::evaluate_function: torch::autograd::AccumulateGrad", OTHER),
    ],
)
def test_kind_of_an_op(name: str, kind: str) -> None:
    assert kind_of(name) == kind


# ---- results, tables, plot -----------------------------------------------------------------------


def results_of_everything() -> Results:
    results = Results(MACHINE)
    seconds = dict.fromkeys((*KINDS, OTHER), 0.2)
    for case in CASES:
        original, converted = [3.0e8] * 3, [1.0e8 if case.mode == MEMORY else 2.0e8] * 3
        if case.mode == EAGER:
            shares = dict.fromkeys(SIDES, seconds)
            faults = dict.fromkeys(SIDES, 1234.0)
            results.add(row(case.name, original, converted, shares=shares, page_faults=faults))
        else:
            results.add(row(case.name, original, converted))
    return results


def test_results_are_read_as_they_were_stored(tmp_path: Path) -> None:
    results = results_of_everything()
    results.add(Row(CASES[3], error="KeyError: 'x'"))
    results.store(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_row_replaces_that_of_the_same_case_and_cases_keep_their_order() -> None:
    results = Results(MACHINE)
    results.add(row(CASES[5].name, [1.0], [1.0]))
    results.add(row(CASES[2].name, [1.0], [1.0]))
    results.add(row(CASES[5].name, [4.0], [1.0]))
    assert [(found.case, found.ratio.value) for found in results] == [
        (CASES[2], 1.0),
        (CASES[5], 4.0),
    ]


def test_the_table_says_whether_goals_are_met() -> None:
    name = "mobilenet_v2/f32/channels_first/1"
    met = row(name, [1.5] * 5, [1.0] * 5)
    assert tables.line(met) == (
        f"{name}: torch 1.50 s, normgraph 1.00 s: 1.50 (1.50 to 1.50) times, goal 1.4, met"
    )
    missed = row(name, [1.26] * 5, [1.0] * 5, others=0.5)
    assert tables.line(missed).endswith(
        "goal 1.4, missed by 10.0 %; other processes took 0.5 processors"
    )
    assert tables.line(Row(met.case, error="it")) == f"{name}: failed: it"
    memory = row("mobilenet_v2/f32/channels_first/memory/1", [300.0 * 2**20], [200.0 * 2**20])
    results = Results(MACHINE)
    for found in (missed, memory, Row(case_named("resnet50/f32/channels_last/1"), error="it")):
        results.add(found)
    page = tables.page(results, "plot.svg")
    assert "| 1.26 s | 1.00 s | 1.26 (1.26 to 1.26) | ≥ 1.4 | missed by 10.0 % |" in page
    assert "| 300 MiB | 200 MiB | 1.50 (1.50 to 1.50) | ≥ 1 | met |" in page
    assert "| channels last | 1 | – | – | – | ≥ 1.1 | failed: it |" in page
    assert f"Other processes ran at the same time in `{name}`." in page
    assert "torch.compile" not in page


def test_summary_and_shares() -> None:
    summary = tables.summary(results_of_everything())
    assert "| MobileNetV2, f32, 1 thread | 1.50 | 1.50 |" in summary
    assert "| MobileNetV2, f32, freed memory kept, 1 thread | 1.50 | 1.50 |" in summary
    assert "| speech encoder, f32, torch.compile, 1 thread | 1.50 | – |" in summary
    shares = tables.shares_page(results_of_everything())
    assert "| torch | 1.00 s | 20 | 20 | 20 | 20 | 20 | 1234 |" in shares
    assert shares.count("| normgraph |") == sum(case.mode == EAGER for case in CASES)


def test_the_plot_has_every_network_and_is_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.training import plots

    results = results_of_everything()
    for file in (tmp_path / "first.svg", tmp_path / "second.svg"):
        assert plots.write(results, file)
    text = (tmp_path / "first.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "second.svg").read_text(encoding="utf-8")
    for part in ("ResNet-50,", "speech encoder,", "bf16 autocast", "torch.compile", "goal"):
        assert part in text, part
    assert not plots.write(Results(MACHINE), tmp_path / "third.svg")


# ---- with torch ----------------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize(
    ("name", "parameters", "batch_norms", "input_shape", "output_shape"),
    [
        # What the papers' networks have, with 1000 classes.
        ("mobilenet_v2", 3_504_872, 52, (2, 3, 64, 64), (2, 1000)),
        ("resnet50", 25_557_032, 53, (2, 3, 64, 64), (2, 1000)),
        ("speech_encoder", None, 13, (2, 64, 40), (2, 29, 20)),
        ("one_layer", 32, 1, (2, 16, 4, 4), (2, 16, 4, 4)),
    ],
)
def test_networks(
    name: str,
    parameters: int | None,
    batch_norms: int,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.training.networks import NETWORKS

    network = NETWORKS[name]
    model = network.make()
    assert input_shape[1:2] == network.input_shape[1:2]
    assert model(torch.randn(input_shape)).shape == output_shape
    assert parameters in (None, sum(parameter.numel() for parameter in model.parameters()))
    layers = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)
    assert sum(isinstance(module, layers) for module in model.modules()) == batch_norms


@pytest.mark.interop
def test_activations_of_the_speech_encoder() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.training.networks import NETWORKS

    network = NETWORKS["speech_encoder"]
    shapes = []
    model = network.make().to("meta")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    model(torch.empty(network.input_shape, device="meta"))
    assert set(shapes) == {(16, 256, 1000)}


def tiny_network() -> Any:
    from torch import nn

    from benchmarks.training.networks import Network, cross_entropy, random_classes

    def make() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)
        )

    return Network(make, (4, 3, 8, 8), random_classes, cross_entropy)


@pytest.mark.interop
@pytest.mark.parametrize("element_type", ["f32", "bf16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_both_sides_compute_the_same_from_equal_weights(element_type: str, layout: str) -> None:
    pytest.importorskip("torch")
    from benchmarks.training.steps import make_steps
    from normgraph.torch import BatchNorm2d

    case = Case("tiny", element_type, layout, EAGER, 1, goal=1)
    steps = make_steps(tiny_network(), case)
    original, converted = (steps[side]._model for side in SIDES)
    assert [type(model[1]) is BatchNorm2d for model in (original, converted)] == [False, True]
    # No weight is updated, so that the loss of every step is the first one's.
    losses = [float(steps[side]().detach()) for _ in range(2) for side in SIDES]
    assert losses == pytest.approx([losses[0]] * 4, rel=supervisor.TOLERANCE)
    one, other = (model[0].weight for model in (original, converted))
    assert one is not other
    assert one.equal(other)
    # Gradients are those of one step, not the sum of two.
    scale = one.grad.abs().max()
    assert (one.grad - other.grad).abs().max() <= 0.1 * scale > 0
    gradient = one.grad.clone()
    steps[ORIGINAL]()
    assert (one.grad - gradient).abs().max() <= 2.0**-6 * scale


@pytest.mark.interop
def test_layout_and_type_of_a_step() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.training.steps import make_steps

    case = Case("tiny", "bf16", "channels_last", EAGER, 1, goal=1)
    step = make_steps(tiny_network(), case, (ORIGINAL,))[ORIGINAL]
    seen: list[Any] = []
    for layer in step._model[:2]:
        layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    step()
    images, activation = seen
    assert activation.dtype is torch.bfloat16
    for tensor in (images, activation):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
        assert not tensor.is_contiguous()


@pytest.mark.interop
def test_shares_of_a_step_find_every_kind() -> None:
    pytest.importorskip("torch")
    from benchmarks.training.shares import seconds_by_kind
    from benchmarks.training.steps import make_steps

    case = Case("tiny", "f32", "channels_first", EAGER, 1, goal=1)
    for side, step in make_steps(tiny_network(), case).items():
        step()
        seconds = seconds_by_kind(step)
        assert list(seconds) == [*KINDS, OTHER]
        # An addition counts the batches of a layer.
        assert min(seconds.values()) > 0, (side, seconds)


@pytest.mark.interop
def test_peak_of_memory_counts_what_a_step_frees_again() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.training.memory import peak_bytes

    def step_of(mebibytes: int) -> Callable[[], object]:
        return lambda: torch.ones(mebibytes, 2**20, dtype=torch.uint8)

    large, small = peak_bytes(step_of(264)), peak_bytes(step_of(8))
    assert large - small == pytest.approx(256 * 2**20, rel=0.25)


def run_command(*arguments: str, environment: dict[str, str] | None = None) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.training", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.interop
@pytest.mark.parametrize("more", [(), ("--one-process",)])
def test_the_command_measures_stores_and_draws(tmp_path: Path, more: tuple[str, ...]) -> None:
    for module in ("torch", "matplotlib"):
        pytest.importorskip(module)
    name = "one_layer/f32/channels_first/1"
    output = ("--output", str(tmp_path))
    run = run_command("--only", name, "--repetitions", "2", "--seconds", "0", *output, *more)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{name}: torch ")
    stored = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    (stored_row,) = stored["rows"]
    assert stored_row["case"] == name
    assert [len(stored_row["samples"][side]) for side in SIDES] == [2, 2]
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    (tmp_path / "table.md").unlink()
    assert run_command("--draw", *output).returncode == 0
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == table
    files = {"results.json", "table.md", "shares.md", "summary.md", "speed_up.svg"}
    assert {file.name for file in tmp_path.iterdir()} == files


@pytest.mark.interop
def test_a_case_of_memory_has_a_process_for_each_sample() -> None:
    pytest.importorskip("torch")
    case = Case("one_layer", "f32", "channels_first", MEMORY, 1, goal=1)
    found = supervisor.row_of(case, Plan(repetitions=2, seconds=0))
    assert found.error == ""
    assert [len(found.samples[side]) for side in SIDES] == [2, 2]
    assert min(min(values) for values in found.samples.values()) > 50 * 2**20


@pytest.mark.interop
def test_a_case_that_fails_is_a_row_with_the_error() -> None:
    pytest.importorskip("torch")
    for mode in (EAGER, COMPILED, MEMORY):
        case = Case("no_such_network", "f32", "channels_first", mode, 1, goal=1)
        found = supervisor.row_of(case, Plan(repetitions=1, seconds=0))
        assert found.error == "KeyError: 'no_such_network'"
        assert found.samples == {}


def test_sides_that_compute_something_else_are_refused() -> None:
    expected = np.array([1.0, -2.0])
    supervisor._require_agreement(np.array([1.0, -2.03]), expected)
    for wrong in ([1.0, -2.1], [float("nan"), -2.0]):
        with pytest.raises(supervisor.MeasurementError, match="compute something else"):
            supervisor._require_agreement(np.array(wrong), expected)
