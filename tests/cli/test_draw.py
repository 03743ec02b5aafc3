"""`python -m normgraph draw`: from a JSON file to a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import normgraph as ng
from normgraph import cli
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
    ("arguments", "status", "message"),
    [
        (["missing.json", "x.dot"], 2, "missing.json: cannot be read: No such file or directory\n"),
        (["broken.json", "x.dot"], 2, "broken.json: line 1, column 2: this is no JSON"),
        (
            ["layers.json", "x.jpg"],
            2,
            "x.jpg: path: expected a name that ends in one of .dot, .pdf",
        ),
        (["layers.json", "folder/x.dot"], 2, "folder/x.dot: cannot be written: No such file or"),
        (["layers.json", "x.svg"], 1, "x.svg: the program 'dot' is not on the PATH: install Graph"),
        (["mask.json", "x.dot", "--gradients"], 2, "mask.json: "),
    ],
)
def test_what_fails_is_named(
    arguments: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
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
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith(f"normgraph draw: {message}")
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *(
            (f'"inputs": {text}', f"nodes[0].inputs: expected an object, got {found}")
            for text, found in {
                **{text: text for text in ("1", "null", "true", "NaN", '""')},
                "[]": "an array",
            }.items()
        ),
        ('"inputs": {"a": 1, "a": 2}', 'nodes[0].inputs: expected each key once, got "a" twice'),
        ('"inputs": {}, "name": "\\ud800"', 'nodes[0]: expected each key once, got "name" twice'),
    ],
)
def test_a_bad_file_is_no_traceback(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    x = ng.Parameter("f32", [2], name="x")
    path.write_text(ng.formats.json.dumps(ng.Function([x], [x])).replace('"inputs": {}', content))
    assert cli.main(["draw", str(path), str(tmp_path / "x.dot")]) == 2
    assert capsys.readouterr() == ("", f"normgraph draw: {path}: {message}\n")


def test_names_of_half_characters_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    document = json.loads(ng.formats.json.dumps(two_layers()))
    document["nodes"][0]["name"] = "\ud800"
    path.write_text(json.dumps(document))
    assert cli.main(["draw", str(path), str(tmp_path / "x.dot")]) == 2
    message = 'nodes[0].name: expected a string of whole characters, got "\\ud800"'
    assert capsys.readouterr().err == f"normgraph draw: {path}: {message}\n"


@pytest.mark.parametrize("step", ["formats.json.load", "gradients", "draw"])
def test_a_function_too_large_for_the_memory_is_no_traceback(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_memory(*_: object, **__: object) -> None:
        raise MemoryError

    path = tmp_path / "layers.json"
    ng.formats.json.dump(two_layers(), path)
    monkeypatch.setattr(f"normgraph.{step}", without_memory)
    assert cli.main(["draw", str(path), str(tmp_path / "x.dot"), "--gradients"]) == 2
    assert capsys.readouterr().err == f"normgraph draw: {path}: memory runs out\n"


def test_files_that_cannot_be_read_are_told_as_verify_tells_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, picture = tmp_path / "missing", tmp_path / "x.dot"
    words = {"draw": [str(missing), str(picture)], "verify": [str(missing)]}
    told = {}
    for command_name, arguments in words.items():
        assert cli.main([command_name, *arguments]) == 2
        told[command_name] = capsys.readouterr().err
    assert told["draw"].removeprefix("normgraph draw: ") == told["verify"].removeprefix(
        "normgraph verify: "
    )
    assert told["draw"].startswith(f"normgraph draw: {missing}: cannot be read: ")
