"""`python -m normgraph verify FILE.py`: the report and the exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from normgraph import cli
from tests.cli import command

FORWARD = """\
import numpy as np

def batchnorm_forward(x, gamma, beta, eps):
    inv = 1 / np.sqrt(x.var(axis=0) + eps)
    xhat = (x - x.mean(axis=0)) * inv
    return gamma * xhat + beta, (xhat, gamma, inv)
"""

BACKWARD = """
def batchnorm_backward(dout, cache):
    xhat, gamma, inv = cache
    n = len(dout)
    dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
    return gamma * inv / n * (n * dout - dbeta - FACTOR * xhat * dgamma), dgamma, dbeta
"""

RIGHT = FORWARD + BACKWARD.replace("FACTOR", "1")
WRONG = FORWARD + BACKWARD.replace("FACTOR", "n / (n - 1)")


def write(directory: Path, text: str) -> str:
    """Write the file that is verified, and return its name."""
    (directory / "exercise.py").write_text(text, encoding="utf-8")
    return "exercise.py"


def complaints(errors: str) -> list[str]:
    """Return the lines on stderr but for the progress of long work, as it is on a busy machine."""
    return [line for line in errors.splitlines() if not line.startswith("normgraph verify: calls ")]


def test_a_right_function_passes(tmp_path: Path) -> None:
    result = command.run("verify", write(tmp_path, RIGHT), directory=tmp_path)
    assert (result.returncode, complaints(result.stderr)) == (0, [])
    *measured, verdict = result.stdout.splitlines()
    assert verdict == "passed"
    outputs = [line.split()[1] for line in measured if line.startswith("ok ")]
    assert outputs == ["normalized", "input_delta", "gamma_delta", "beta_delta"]
    assert max(map(len, measured)) <= 100


def test_a_mistake_is_printed(tmp_path: Path) -> None:
    result = command.run("verify", write(tmp_path, WRONG), directory=tmp_path)
    assert (result.returncode, complaints(result.stderr)) == (1, [])
    assert "the variance path: divided by n − 1 = 6; the right number is n = 7" in result.stdout
    assert "[n_minus_1]" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 mistake found"


def test_verify_needs_nothing_of_the_demo(tmp_path: Path) -> None:
    result = command.run_without("rich", "verify", write(tmp_path, RIGHT), directory=tmp_path)
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("x = 1\n", [], "expected one function named forward, got none; name it with --forward"),
        (
            RIGHT.replace("batchnorm_forward", "my_forward")
            + "\ndef other_forward(x):\n    return x\n",
            [],
            "expected one function named forward, got my_forward and other_forward",
        ),
        (RIGHT, ["--backward", "nothing"], "--backward: expected a function of the file"),
        ("def forward(x:\n", [], "line 1: "),
        ("import numpy\n\nraise KeyError('x')\n", [], "line 3: raises KeyError: 'x'"),
        ("import sys\nsys.exit(0)\n", [], "line 2: raises SystemExit: 0"),
        (RIGHT + "\nexample = 'x'\n", [], "example: x: expected an array of real numbers, got str"),
        (RIGHT, ["--channel-axis", "2"], "channel_axis: expected an axis of x"),
        (RIGHT, ["--epsilon", "-1"], "epsilon: expected a finite number >= 0, got -1.0"),
        (RIGHT, ["--backward-arguments", "delta"], "cannot be called with (delta)"),
        (RIGHT, ["--forward-arguments", "x,y"], "forward_arguments: expected different ones of"),
    ],
)
def test_what_cannot_be_used_is_named(
    text: str,
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["verify", write(tmp_path, text), *options]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("normgraph verify: exercise.py: ")
    assert message in output.err


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = command.run("verify", "nowhere.py", directory=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("normgraph verify: nowhere.py: cannot be read: ")


@pytest.mark.parametrize("option", [["--shape", "3,0"], ["--shape", "3,x"], ["--seed", "-1"]])
def test_wrong_usage_is_named(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        cli.main(["verify", "exercise.py", *option])
    assert exit_status.value.code == 2
    assert f"argument {option[0]}: expected an integer from" in capsys.readouterr().err


LAYER = """
class Layer:
    def forward(self, x, gamma):
        axes = tuple(range(x.ndim - 1))
        self.gamma, self.rstd = gamma, 1 / np.sqrt(x.var(axes) + 1e-8)
        self.normed = (x - x.mean(axes)) * self.rstd
        return self.normed * gamma

    def backward(self, grad):
        axes = tuple(range(grad.ndim - 1))
        x_ = self.rstd * self.gamma * (grad - self.normed * (grad * self.normed).mean(axes))
        return x_ - x_.mean(axes)

layer = Layer()
"""


def test_methods_epsilon_axis_and_shape_can_be_given(tmp_path: Path) -> None:
    name = write(tmp_path, RIGHT + LAYER)
    options = ["--forward", "layer.forward", "--backward", "layer.backward"]
    options += ["--epsilon", "1e-8", "--channel-axis", "-1", "--shape", "3,4,2,6"]
    result = command.run("verify", name, *options, directory=tmp_path)
    assert (result.returncode, complaints(result.stderr)) == (0, [])
    assert "not returned by backward, so not checked: gamma_delta" in result.stdout


def test_the_example_of_the_file_is_used(tmp_path: Path) -> None:
    text = RIGHT + "\nexample = (np.ones((9, 2)) + np.eye(9, 2), np.ones(2), np.zeros(2))\n"
    result = command.run("verify", write(tmp_path, text), directory=tmp_path)
    assert result.returncode == 0
    assert "example (9, 2)" in result.stdout


def test_arguments_can_be_named_and_neighbours_imported(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text(WRONG, encoding="utf-8")
    text = (
        "from neighbour import batchnorm_backward as inner, batchnorm_forward\n"
        "def backward(a, b):\n    return inner(b, a)\n"
        "if __name__ == '__main__':\n    raise SystemExit\n"
    )
    name = write(tmp_path, text)
    options = ["--backward-arguments", "cache,delta", "--backward", "backward"]
    result = command.run("verify", name, *options, directory=tmp_path)
    assert (result.returncode, complaints(result.stderr)) == (1, [])
    assert "[n_minus_1]" in result.stdout


def test_the_variance_can_be_the_unbiased_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / write(tmp_path, WRONG.replace("var(axis=0)", "var(axis=0, ddof=1)"))
    assert cli.main(["verify", str(path), "--unbiased"]) == 0
    assert cli.main(["verify", str(path)]) == 1
    assert "[unbiased_variance]" in capsys.readouterr().out


def test_a_layer_alone_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "import numpy as np\n" + LAYER
    path = tmp_path / write(tmp_path, text)
    assert cli.main(["verify", str(path), "--channel-axis=-1", "--epsilon=1e-8"]) == 0
    assert capsys.readouterr().out.endswith("passed\n")


def test_rules_by_the_names_of_jax_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = WRONG.replace("batchnorm_forward", "bn_fwd").replace("batchnorm_backward", "bn_bwd")
    text = text.replace("(dout, cache)", "(res, g)").replace("= cache", "= res")
    path = tmp_path / write(tmp_path, text.replace("dout", "g"))
    assert cli.main(["verify", str(path)]) == 1
    assert "[n_minus_1]" in capsys.readouterr().out


RUNNING = """
class Layer:
    gamma, beta, momentum = np.ones(5), np.zeros(5), 0.1

    def __init__(self):
        self.running_mean, self.running_var = np.zeros(5), np.ones(5)

    def forward(self, x):
        self.running_mean += self.momentum * (x.mean(0) - self.running_mean)
        self.running_var += self.momentum * (x.var(0) - self.running_var)
        y, self.cache = batchnorm_forward(x, self.gamma, self.beta, 1e-5)
        return y

    def backward(self, dout):
        dx, self.dgamma, self.dbeta = batchnorm_backward(dout, self.cache)
        return dx

layer = Layer()
"""


@pytest.mark.parametrize(
    ("option", "status"), [([], 0), (["--running-unbiased"], 1), (["--no-running-unbiased"], 0)]
)
def test_the_running_variance_can_be_asked_for(
    option: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / write(tmp_path, RIGHT + RUNNING)
    names = ["--forward", "layer.forward", "--backward", "layer.backward"]
    assert cli.main(["verify", str(path), *names, *option]) == status
    assert ("[running_biased]" in capsys.readouterr().out) == (status == 1)


# ---- no verdict is no mistake --------------------------------------------------------------------


def with_backward(line: str) -> str:
    """A file whose backward function begins with a line."""
    return RIGHT.replace(
        "    xhat, gamma, inv = cache", f"    {line}\n    xhat, gamma, inv = cache"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_backward("raise SystemExit(0)"), "a function exits, with 0"),
        (with_backward("raise SystemExit(1)"), "a function exits, with 1"),
        (with_backward("raise MemoryError"), "memory runs out"),
        (
            RIGHT.replace("return gamma", "raise OSError(5, 'x')\n    return gamma"),
            "raises OSError",
        ),
        ("raise MemoryError\n", "memory runs out while it is run"),
        (RIGHT + "\nexample = np.ma.masked_greater(np.eye(3), 0.5)\n", "whose mask would be"),
        (RIGHT + "\nexample = 1e200 * np.eye(3)\n", "expected a variance that float64 can hold"),
    ],
)
def test_what_keeps_from_a_verdict_has_status_2(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / write(tmp_path, text)
    assert cli.main(["verify", str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err


def test_an_interruption_has_its_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / write(tmp_path, with_backward("raise KeyboardInterrupt"))
    assert cli.main(["verify", str(path)]) == 130
    assert capsys.readouterr().out == ""


def test_an_error_of_its_own_has_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr("normgraph.verify", failing)
    path = tmp_path / write(tmp_path, RIGHT)
    assert cli.main(["verify", str(path)]) == 2
    assert "stopped by ZeroDivisionError: by chance" in capsys.readouterr().err


def test_a_property_that_raises_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = RIGHT + "\nclass L:\n    f = property(lambda self: 1 / 0)\nlayer = L()\n"
    path = tmp_path / write(tmp_path, text)
    assert cli.main(["verify", str(path), "--forward", "layer.f"]) == 2
    assert "--forward: 'layer.f' raises ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "status"), [(RIGHT, 0), (WRONG, 1)])
def test_the_status_is_the_verdict_whoever_reads(text: str, status: int, tmp_path: Path) -> None:
    """The reader of the pipe has left; the terminal has no Greek letters."""
    name = write(tmp_path, text)
    code = f"import os, sys\nfrom normgraph import cli\nsys.exit(cli.main(['verify', '{name}']))"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE,
            timeout=300, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (process.returncode, complaints(process.stderr.decode())) == (status, [])
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=300, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (process.returncode, complaints(process.stderr.decode())) == (status, [])
    assert process.stdout.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_report_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    name = write(tmp_path, RIGHT)
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [sys.executable, "-m", "normgraph", "verify", name], cwd=tmp_path, stdout=full,
            stderr=subprocess.PIPE, timeout=300, check=False,
        )  # fmt: skip
    assert process.returncode == 2
    assert b"the report cannot be written" in process.stderr


def test_long_work_reports_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.Progress, "QUIET_SECONDS", 0.0)
    path = tmp_path / write(tmp_path, RIGHT)
    assert cli.main(["verify", str(path)]) == 0
    output = capsys.readouterr()
    assert output.err.startswith("normgraph verify: calls forward on example (16, 5) (0 s, 1 calls")
    assert "calls backward on probe (7, 4)" in output.err
    assert output.out.endswith("passed\n")


def test_the_help_tells_the_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["verify", "--help"])
    assert "2 if there is no verdict" in " ".join(capsys.readouterr().out.split())
