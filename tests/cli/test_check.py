"""`python -m normgraph check`: it passes on a good build and finds broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import cli
from tests.cli import command


def test_a_good_build_passes(tmp_path: Path) -> None:
    result = command.run("check", directory=tmp_path)
    assert result.returncode == 0, result.stdout
    assert result.stderr == ""
    *_, summary = result.stdout.splitlines()
    assert "FAILED" not in result.stdout
    assert "59 checks" in summary


def test_without_ml_dtypes_the_bf16_checks_are_skipped_with_the_reason(tmp_path: Path) -> None:
    result = command.run_without("ml_dtypes", "check", directory=tmp_path)
    assert result.returncode == 0, result.stdout
    skipped = [line for line in result.stdout.splitlines() if line.startswith("skipped")]
    assert len(skipped) == 10
    assert all("bf16" in line and "ml_dtypes" in line for line in skipped)


#: The arguments of all kernels; each takes the first few.
ARGUMENTS = ("input", "gamma", "beta", "mean", "variance", "normalized_delta")

#: A broken kernel's result, from the right one and the arguments by name.
Fault = Callable[[Any, dict[str, Any]], Any]


def a_factor_beside_the_truth(result: Any, arguments: dict[str, Any]) -> Any:
    """Three times the f32 bound, which is 6 * 2**-24 of the value."""
    return result._replace(normalized=result.normalized * result.normalized.dtype.type(1 + 1e-6))


def variance_divided_by_n_minus_1(result: Any, arguments: dict[str, Any]) -> Any:
    n = arguments["input"].size // len(result.variance)
    dtype = result.variance.dtype
    return result._replace(variance=(result.variance * (n / (n - 1))).astype(dtype))


def input_delta_of_frozen_statistics(result: Any, arguments: dict[str, Any]) -> Any:
    delta = arguments["normalized_delta"]
    scale = arguments["gamma"] / np.sqrt(arguments["variance"] + np.float32(1e-5))
    shape = [1] * delta.ndim
    shape[arguments.get("channel_axis", 1)] = -1
    return result._replace(input_delta=delta * scale.astype(delta.dtype).reshape(shape))


def last_bit_of_the_mean_by_strides(result: Any, arguments: dict[str, Any]) -> Any:
    if arguments["input"].flags.c_contiguous:
        return result
    return result._replace(mean=np.nextafter(result.mean, result.mean.dtype.type(np.inf)))


def last_bits_of_input_delta(result: Any, arguments: dict[str, Any]) -> Any:
    """Twice the f32 bound, which is 3 * 2**-24 of the value."""
    input_delta = result.input_delta
    return result._replace(input_delta=input_delta * input_delta.dtype.type(1 + 6 * 2.0**-24))


def one_bit_of_the_mask(result: Any, arguments: dict[str, Any]) -> Any:
    result.mask.flat[-1] ^= 1
    return result


def nan_in_one_element(result: Any, arguments: dict[str, Any]) -> Any:
    result.flat[0] = np.nan
    return result


@pytest.mark.parametrize(
    ("name", "fault", "failing"),
    [
        ("batch_norm_training", a_factor_beside_the_truth, "forward, f32"),
        ("batch_norm_training", variance_divided_by_n_minus_1, "forward, f64"),
        (
            "batch_norm_training_backprop",
            input_delta_of_frozen_statistics,
            "backward, bf16 with f32 vectors",
        ),
        (
            "batch_norm_training_backprop",
            input_delta_of_frozen_statistics,
            "backward against finite differences, f64",
        ),
        (
            "batch_norm_training",
            last_bit_of_the_mean_by_strides,
            "same bits in any strides, f32, channels last",
        ),
        ("batch_norm_inference", nan_in_one_element, "inference, f16"),
        ("batch_norm_inference_backprop", last_bits_of_input_delta, "frozen backward, f32"),
        ("batch_norm_training_relu", one_bit_of_the_mask, "with ReLU, f16"),
        ("batch_norm_training_relu_backprop", last_bits_of_input_delta, "with ReLU, f64"),
    ],
)
def test_a_wrong_kernel_fails(
    name: str,
    fault: Fault,
    failing: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "bf16" in failing:
        pytest.importorskip("ml_dtypes")
    right = getattr(ng, name)

    def broken(*positional: Any, **named: Any) -> Any:
        arguments = {**dict(zip(ARGUMENTS, positional, strict=False)), **named}
        return fault(right(**arguments), arguments)

    monkeypatch.setattr(ng, name, broken)
    verdicts = failed_check(capsys)
    assert verdicts[failing] == "FAILED"
    assert verdicts["BatchNormTraining infers"] == "ok"
    assert verdicts["bad input refused, batch_norm_training"] == "ok"


def test_a_kernel_that_refuses_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = ng.batch_norm_training

    def broken(*positional: Any, **named: Any) -> Any:
        try:
            return right(*positional, **named)
        except (ValueError, TypeError):
            return None

    monkeypatch.setattr(ng, "batch_norm_training", broken)
    verdicts = failed_check(capsys)
    assert [subject for subject, verdict in verdicts.items() if verdict == "FAILED"] == [
        "bad input refused, batch_norm_training",
        "overlapping output refused and not written",
    ]


def failed_check(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Run a check that must fail; return the verdict of each line by its subject."""
    assert cli.main(["check"]) == 1
    report = capsys.readouterr().out
    assert "do not rely on its results" in report
    return {
        line[9:].split("  ")[0]: line.split()[0]
        for line in report.splitlines()
        if line.startswith(("ok ", "FAILED ", "skipped "))
    }


def test_an_op_that_infers_wrongly_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_refinement(*inputs: Any, **attributes: Any) -> Any:
        return ng.op.BatchNormInference(
            *inputs, ng.Parameter("f32", [None]), ng.Parameter("f32", [None])
        )

    monkeypatch.setattr(ng.op, "BatchNormTraining", without_refinement)
    assert cli.main(["check"]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 2
    assert "BatchNormTraining infers" in failed[0]
    assert "an invalid node" in failed[1]
