"""The files of golden cases: read as someone does who has neither numpy nor normgraph."""

from __future__ import annotations

import json
import math
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng
from normgraph.conform import vectors
from normgraph.conform.cases import ROLES, cases
from tests.cli import command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "new" / "folder"
    vectors.write(path)
    return path


@pytest.fixture(scope="module")
def manifest(folder: Path) -> list[dict[str, Any]]:
    content = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert content["form"] == vectors.FORM
    return list(content["cases"])


def numbers(folder: Path, case: dict[str, Any], name: str) -> list[float]:
    """The elements of an array by the README alone: offset, bytes, type, little-endian."""
    place = next(one for one in (*case["inputs"], *case["outputs"]) if one["name"] == name)
    data = (folder / case["file"]).read_bytes()[place["offset"] :][: place["bytes"]]
    if place["type"] == "bf16":
        halves = struct.unpack(f"<{len(data) // 2}H", data)
        return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
    letter = {"f64": "d", "f32": "f", "f16": "e", "u8": "B"}[place["type"]]
    found = list(struct.unpack(f"<{len(data) // struct.calcsize(letter)}{letter}", data))
    assert len(found) == math.prod(place["shape"])
    return found


def of(manifest: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(case for case in manifest if case["name"] == name)


def test_two_runs_write_equal_bytes(folder: Path, tmp_path: Path) -> None:
    """One here, and one by the command in a process that has numpy alone."""
    result = command.run_without("ml_dtypes", "vectors", "--out", "cases", directory=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    written = tmp_path / "cases"
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(written) for p in written.rglob("*") if p.is_file())
    assert all((folder / file).read_bytes() == (written / file).read_bytes() for file in files)
    assert result.stdout.startswith(f"{sum(len(cases(role)) for role in ROLES)} cases, ")
    size = sum((written / file).stat().st_size for file in files)
    assert f"{size / 1e6:.1f} MB" in result.stdout
    assert size < 16e6


def test_every_case_is_listed_once(manifest: list[dict[str, Any]], folder: Path) -> None:
    names = [case["name"] for case in manifest]
    assert len(set(names)) == len(names)
    assert {f"{name}.bin" for name in names} == {path.name for path in (folder / "raw").iterdir()}
    types = {case["data_type"] for case in manifest}
    assert types == {"f64", "f32", "bf16", "f16"}
    assert {case["role"] for case in manifest} == {*ROLES}


def test_a_raw_case_is_batch_normalization(manifest: list[dict[str, Any]], folder: Path) -> None:
    """With Python alone: a matrix of 31 rows and 4 channels."""
    case = of(manifest, "training-f64-nc-easy")
    x, gamma, beta = (numbers(folder, case, name) for name in ("x", "gamma", "beta"))
    y, exact, tolerance = (
        numbers(folder, case, f"normalized{part}") for part in ("", ".exact", ".tolerance")
    )
    for channel in range(4):
        column = x[channel::4]
        mean = math.fsum(column) / 31
        variance = math.fsum((value - mean) ** 2 for value in column) / 31
        assert math.isclose(numbers(folder, case, "mean")[channel], mean, rel_tol=1e-14)
        assert math.isclose(numbers(folder, case, "variance")[channel], variance, rel_tol=1e-14)
        for row, value in enumerate(column):
            at = 4 * row + channel
            computed = gamma[channel] * (value - mean) / math.sqrt(variance + case["epsilon"])
            assert abs(computed + beta[channel] - exact[at]) <= tolerance[at]
            assert y[at] == exact[at]
    assert x != sorted(x)


def test_exact_values_of_doubles_have_106_bits(
    manifest: list[dict[str, Any]], folder: Path
) -> None:
    case = of(manifest, "training-f64-nc-easy")
    x, high, low = (numbers(folder, case, name) for name in ("x", "mean.exact", "mean.exact_low"))
    for channel in range(4):
        mean = sum(map(Fraction, x[channel::4])) / 31
        # Each of the two is rounded once: what is left is 2^-53 of 2^-53.
        assert abs(Fraction(high[channel]) + Fraction(low[channel]) - mean) <= abs(mean) / 2**106


@pytest.mark.parametrize("data_type", ["f32", "bf16", "f16"])
def test_raw_files_hold_what_the_kernels_compute(
    manifest: list[dict[str, Any]], folder: Path, data_type: str
) -> None:
    case = of(manifest, f"backward-{data_type}-nhwc-relu6")
    dtype = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}[data_type]

    def array(name: str, to: Any) -> Any:
        place = next(one for one in case["inputs"] if one["name"] == name)
        return np.array(numbers(folder, case, name)).astype(to).reshape(place["shape"])

    vectors_of_case = [array(n, np.float32) for n in ("gamma", "beta", "mean", "variance")]
    result = ng.batch_norm_training_relu_backprop(
        *(array("x", dtype), *vectors_of_case, array("relu_mask", np.uint8)),
        *(array("delta", dtype), case["epsilon"], case["channel_axis"]),
    )
    for name, values in result._asdict().items():
        exact, bound = (numbers(folder, case, f"{name}.{part}") for part in ("exact", "bound"))
        error = np.abs(values.astype(np.float64).ravel() - exact)
        assert (error <= bound).all(), name
        rounded = numbers(folder, case, name)
        assert np.array(rounded, values.dtype).tolist() == np.array(exact, values.dtype).tolist()


def test_npz_files_hold_the_same(manifest: list[dict[str, Any]], folder: Path) -> None:
    for role in ROLES:
        with np.load(folder / f"{role}.npz", allow_pickle=False) as archive:
            listed = [case for case in manifest if case["role"] == role]
            keys = [
                f"{c['name']}/{a['name']}" for c in listed for a in (*c["inputs"], *c["outputs"])
            ]
            assert sorted(archive.files) == sorted(keys)
            for case in listed[:: max(1, len(listed) // 20)]:
                data = (folder / case["file"]).read_bytes()
                for place in (*case["inputs"], *case["outputs"]):
                    array = archive[f"{case['name']}/{place['name']}"]
                    assert list(array.shape) == place["shape"]
                    end = place["offset"] + place["bytes"]
                    assert array.tobytes() == data[place["offset"] : end]


def test_the_readme_names_every_kind_of_array(manifest: list[dict[str, Any]], folder: Path) -> None:
    text = (folder / "README.txt").read_text("utf-8")
    assert max(map(len, text.splitlines())) <= 100
    for case in manifest:
        for place in (*case["inputs"], *case["outputs"]):
            stem, _, part = place["name"].partition(".")
            assert stem in text or stem in ("residual_delta",), stem
            assert f"NAME.{part}" in text
