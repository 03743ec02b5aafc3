"""`python -m normgraph draw`: from a JSON file to a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

import normgraph as ng
from tests.cli import command
from tests.ir.graphs import two_layers


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("decompose", [False, True])
def test_it_draws_what_draw_draws(gradients: bool, decompose: bool, tmp_path: Path) -> None:
    function = two_layers()
    ng.formats.json.dump(function, tmp_path / "layers.json")
    options = [*["--gradients"] * gradients, *["--decompose"] * decompose]
    result = command.run("draw", "layers.json", "layers.dot", *options, directory=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    text = (tmp_path / "layers.dot").read_text("utf-8")
    shown = ng.gradients(function) if gradients else function
    # All but the first lines, where names that were generated stand, and a digest of the text.
    assert text.splitlines()[2:] == ng.draw(shown, decompose).dot.splitlines()[2:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json", "x.dot"], "missing.json: "),
        (["broken.json", "x.dot"], "broken.json: line 1, column 2: this is no JSON"),
        (["layers.json", "x.jpg"], "path: expected a name that ends in one of .dot, .pdf, "),
        (["layers.json", "folder/x.dot"], "folder"),
        (["layers.json", "x.svg"], "the program 'dot' is not on the PATH: install Graphviz"),
        (["mask.json", "x.dot", "--gradients"], "'mask' has no derivative"),
    ],
)
def test_what_fails_is_named(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ng.formats.json.dump(two_layers(), tmp_path / "layers.json")
    mask = ng.op.ReluMask(ng.Parameter("f32", [2, 3]), name="mask")
    parameters = [value.source.node for value in mask.inputs]
    ng.formats.json.dump(
        ng.Function([mask], parameters),  # type: ignore[arg-type]
        tmp_path / "mask.json",
    )
    (tmp_path / "broken.json").write_text("{")
    result = command.run("draw", *arguments, directory=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("normgraph draw: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("x.*"))
