"""`python -m normgraph demo`: the screen, the plot, and its errors."""

from __future__ import annotations

import os
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from normgraph import cli
from tests.cli import command

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


for module in cli.DEMO_REQUIREMENTS:
    pytest.importorskip(module, reason=f"the demo needs {module}: install the extra 'demo'")

from normgraph.demo import plot, training  # noqa: E402 - only where the extra is there

SHORT = ("demo", "--epochs", "2", "--seed", "7")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompletedProcess[str], Path]:
    """A short demo, and the directory it ran in."""
    directory = tmp_path_factory.mktemp("demo")
    return command.run(*SHORT, directory=directory), directory


def test_demo_in_a_pipe(demo: tuple[CompletedProcess[str], Path]) -> None:
    result, directory = demo
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert 30 <= len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert all(character.isprintable() for line in lines for character in line)
    assert "seed 7" in result.stdout
    assert (directory / "normgraph_demo.png").read_bytes().startswith(PNG_SIGNATURE)


def test_no_heading_goes_on_in_a_line_of_its_own(
    demo: tuple[CompletedProcess[str], Path],
) -> None:
    lines = demo[0].stdout.splitlines()
    headings = [index for index, line in enumerate(lines) if re.match(r"\d  \S", line)]
    assert len(headings) == 5
    for index in headings:
        assert lines[index - 1] == ""
        assert lines[index + 1].startswith("   ")


def test_demo_shows_the_main_job(demo: tuple[CompletedProcess[str], Path]) -> None:
    screen = demo[0].stdout
    # The three ops and what they infer; one error with all violated constraints.
    assert "BatchNormTrainingBackprop" in screen
    assert "f32{32,64,1..8}" in screen
    assert all(label in screen for label in ("[C1]", "[C7]", "[C9]"))
    # Central differences of step h = 1e-5 deviations: h**2 of truncation and, from a loss that adds
    # 256 terms, 256 * 2**-53 / h = 3e-9 of rounding, each times a few units of the largest value.
    # The closed form: a few roundings of doubles, and of sums of 32 terms.
    errors = re.findall(
        r"^ +(\w+_delta) +(\S+) +(\S+e-\d\d) +(\S+e[-+]\d\d)$", screen, re.MULTILINE
    )
    assert [name for name, *_ in errors] == ["input_delta", "gamma_delta", "beta_delta"]
    for _, value, against_differences, against_closed_form in errors:
        assert float(against_differences) < 1e-8 * max(1.0, float(value))
        assert float(against_closed_form) < 64 * 2**-53 * max(1.0, float(value))
    # Two epochs with batch normalization are enough to read most digits; without, they are not.
    curves = dict(
        re.findall(r"^ +(with\w* batch norm, rate 0\.3) .* (\d+\.\d)% +\S", screen, re.MULTILINE)
    )
    assert float(curves["with batch norm, rate 0.3"]) > 85
    assert float(curves["without batch norm, rate 0.3"]) < 80


def test_equal_seeds_give_equal_screens(
    demo: tuple[CompletedProcess[str], Path], tmp_path: Path
) -> None:
    assert command.run(*SHORT, directory=tmp_path).stdout == demo[0].stdout


def test_quiet_prints_results_only(tmp_path: Path) -> None:
    result = command.run(
        "demo", "--epochs", "1", "--quiet", "--output", "curves.svg", directory=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
    accuracies, path = result.stdout.splitlines()
    assert accuracies.startswith("accuracy after epoch 1: ")
    assert path == "plot saved to curves.svg"
    assert "<svg" in (tmp_path / "curves.svg").read_text(encoding="utf-8")


def test_seeds_differ() -> None:
    first, second = (training.load(seed) for seed in (1, 2))
    assert (first.labels != second.labels).any()
    assert (
        training.weight_generator(1).normal(size=8) != training.weight_generator(2).normal(size=8)
    ).all()


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("missing/plot.png", "there is no directory 'missing'"),
        ("a_file/plot.png", "there is no directory 'a_file'"),
        ("a_directory", "got the directory 'a_directory'"),
        ("plot.gif2", "expected an ending among"),
        ("plot", "expected an ending among"),
        ("n" * 300 + ".png", "File name too long"),
    ],
)
def test_output_that_cannot_be_written(
    output: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a_file").touch()
    (tmp_path / "a_directory").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--output", output]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("normgraph demo: argument --output: ")
    assert reason in printed.err
    assert printed.out == ""


def test_output_without_permission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A locked directory would not do, since root may write to it."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(plot.PlotError, match=r"no permission to write '.*curves\.png'"):
        plot.require_savable(tmp_path / "curves.png")
