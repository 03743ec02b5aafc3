"""`python -m normgraph conform` and `vectors`: reports, exit statuses, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from normgraph import cli
from tests.cli import command

FUNCTIONS = """\
import numpy as np

def right(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta

def wrong(x, gamma, beta, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps) + beta

def cached(x, gamma, beta, eps):
    inv = 1 / np.sqrt(x.var(axis=0) + eps)
    x_hat = (x - x.mean(axis=0)) * inv
    return gamma * x_hat + beta, (x_hat, gamma, inv)

def backward(dout, cache):
    x_hat, gamma, inv = cache
    dbeta, dgamma = dout.sum(axis=0), (dout * x_hat).sum(axis=0)
    return gamma * inv * (dout - dbeta / len(dout) - x_hat * dgamma / len(dout)), dgamma, dbeta

def exits(x):
    raise SystemExit(0)
"""

OPTIONS = ["--dtypes", "f64", "--no-order"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_that_conforms(folder: Path) -> None:
    result = command.run("conform", "functions.py:right", *OPTIONS, directory=folder)
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["training", "f64"]
    assert lines[-1].startswith("conforms: ")
    assert max(map(len, lines)) <= 80


def test_a_mistake_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conform", "functions.py:wrong", *OPTIONS]) == 1
    printed = capsys.readouterr().out
    assert "[unbiased_variance] in training-f64-nc-easy" in printed
    assert printed.splitlines()[-1].startswith("does not conform: ")


def test_a_module_is_imported(folder: Path) -> None:
    result = command.run("conform", "functions:right", *OPTIONS, directory=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    result = command.run(
        "conform", "normgraph:batch_norm_inference", "--strict", *OPTIONS, directory=folder
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_options_reach_the_function(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["functions.py:backward", "--forward", "cached", "--skip", "no_elements,nan,infinity"]
    options = ["--role", "backward", "--arguments", "delta,cache", "--epsilon", "1e-5"]
    options += ["--outputs", "input_delta,gamma_delta,beta_delta", "--channel-axis", "1"]
    options += ["--framework", "numpy", "--activation", "none"]
    assert cli.main(["conform", *words, *options, "--dtypes", "f64"]) == 0
    printed = capsys.readouterr().out
    assert "order  beta_delta, f64 nc, is summed: " in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["functions.py"], "expected MODULE:FUNCTION, FILE.py:FUNCTION or MODEL.onnx"),
        (["nowhere.py:f"], "nowhere.py: cannot be read: "),
        (["nothing:f"], "nothing: there is no module 'nothing'"),
        (["functions.py:absent"], "expected a function of normgraph_verified_file, got 'absent'"),
        (["functions.py:np"], "expected a function of normgraph_verified_file, got 'np'"),
        (["functions.py:right", "--role", "forward"], "role: expected one of training"),
        (["functions.py:right", "--dtypes", "i4"], "dtypes: expected one of f64"),
        (["functions.py:right", "--arguments", "x,z"], "arguments: expected different ones of"),
        (["functions.py:backward"], "it takes a cache, so give its forward function"),
        (["functions.py:backward", "--forward", "front"], "expected a function of"),
        (["functions.py:exits"], "the function exits, with 0"),
        (["functions.py:right", "--framework", "tf"], "framework: expected one of"),
    ],
)
def test_what_cannot_be_used_is_named(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["conform", *words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"normgraph conform: {words[0]}: ")
    assert message in output.err


def test_missing_packages_are_named(folder: Path) -> None:
    result = command.run_without(
        "torch", "conform", "functions.py:right", "--framework", "torch", directory=folder
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "python -m pip install 'normgraph[torch]'" in result.stderr
    (folder / "model.onnx").write_bytes(b"")
    result = command.run_without("onnx", "conform", "model.onnx", directory=folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert "python -m pip install 'normgraph[onnx]'" in result.stderr


def test_vectors_name_what_is_in_the_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["vectors", "--out", "functions.py"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("normgraph vectors: argument --out: functions.py: ")
    with pytest.raises(SystemExit) as exit_status:
        cli.main(["vectors"])
    assert exit_status.value.code == 2
