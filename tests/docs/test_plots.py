"""The plots of the documentation are those that the code draws of the stored results."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .pages import DOCS

matplotlib = pytest.importorskip("matplotlib", reason="plots need matplotlib: install the extra")

from benchmarks import front_page  # noqa: E402 - only where matplotlib is there
from benchmarks.history import records, trend  # noqa: E402
from benchmarks.peers import plots as peers_plots  # noqa: E402
from benchmarks.peers.results import Results as PeersResults  # noqa: E402
from benchmarks.training import plots as training_plots  # noqa: E402
from benchmarks.training.results import Results as TrainingResults  # noqa: E402


def draw_front_page(folder: Path) -> None:
    front_page.write(front_page.panels_of(DOCS), folder / "speed.svg")


def draw_peers(folder: Path) -> None:
    peers_plots.write(PeersResults.load(DOCS / "benchmarks" / "peers.json"), folder)


def draw_training(folder: Path) -> None:
    results = TrainingResults.load(DOCS / "training" / "results.json")
    training_plots.write(results, folder / "speed_up.svg")


def draw_history(folder: Path) -> None:
    runs = list(records.read(DOCS / "history" / "benchmarks.jsonl"))
    trend.write(runs, folder / "benchmarks.svg")


#: What draws the plots of a folder, and the command that draws them anew.
FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "front_page": (draw_front_page, "python -m benchmarks.front_page"),
    "benchmarks": (draw_peers, "make bench-peers ARGUMENTS=--draw"),
    "history": (draw_history, "make bench-record"),
    "training": (draw_training, 'make bench-training ARGUMENTS="--draw --output docs/training"'),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("folder", FOLDERS)
def test_plots_are_those_of_the_results(folder: str, tmp_path: Path) -> None:
    draw, command = FOLDERS[folder]
    stored = {file.name: file.read_text("utf-8") for file in (DOCS / folder).glob("*.svg")}
    draw(tmp_path)
    drawn = {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()}
    assert set(drawn) == set(stored)
    for name, text in stored.items():
        version = re.search(r"<dc:title>Matplotlib v([\d.]+),", text)
        assert version, name
        # Another version may place marks and texts otherwise.
        if version[1] == matplotlib.__version__:
            assert drawn[name] == text, f"`{command}` draws it anew"


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts_of_plots_need_no_font(folder: str) -> None:
    for file in (DOCS / folder).glob("*.svg"):
        assert "<text" not in file.read_text("utf-8"), file.name


def test_the_front_page_shows_every_network_and_every_library() -> None:
    training, kernels = front_page.panels_of(DOCS).values()
    assert {mark.library for mark in training} == {"torch"}
    assert {mark.library for mark in kernels} == set(front_page.LIBRARIES)
    assert {mark.threads for mark in (*training, *kernels)} == {1, 2}
    lines = list(dict.fromkeys(mark.line for mark in training))
    assert lines[0] == "MobileNetV2, channels first"
    assert len(lines) == 5
    results = PeersResults.load(DOCS / "benchmarks" / "peers.json")
    (mark,) = (
        mark
        for mark in kernels
        if (mark.line, mark.library, mark.threads) == ("backward, bf16, channels last", "JAX", 2)
    )
    mean = results.speed_up(
        "JAX",
        op="batch_norm_training_backprop",
        element_type="bf16",
        layout="channels_last",
        threads=2,
        state="cold",
    )
    assert mean is not None
    assert mark.ratio == mean.value
