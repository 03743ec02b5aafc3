"""The golden cases as files: `.npz` for numpy, JSON and raw little-endian files for all others."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph import definition
from normgraph.check.accuracy import F64, Format
from normgraph.definition import Float64Array

from .cases import ROLES, Case, cases
from .expected import Channels, expected_outputs

#: Of files of another form this number is another one.
FORM = 1

README = """\
Golden cases of batch normalization
===================================

manifest.json   all cases; what is needed to read the raw files
raw/NAME.bin    the arrays of one case, one after the other, without headers
ROLE.npz        the same arrays for numpy: numpy.load("training.npz")["NAME/x"]

Neither numpy nor normgraph is needed for manifest.json and raw/. An array is at "offset" in its
case's file, "bytes" long, row by row (the last axis is the fastest), little-endian, of "type":
f64, f32, f16 (IEEE 754 binary64, 32, 16), bf16 (the upper half of an f32), u8 (a byte; 0 and 1 for
a mask of positions). In the .npz files bf16 is stored as uint16, with the same bits.

Roles, with n the number of elements of a channel that count:

training            mean = sum(x)/n, variance = sum((x - mean)^2)/n,
                    normalized = gamma*(x - mean)/sqrt(variance + epsilon) + beta
inference           normalized, with the mean and the variance that are among the inputs
backward            with inv = 1/sqrt(variance + epsilon), x_hat = (x - mean)*inv:
                    beta_delta = sum(delta), gamma_delta = sum(delta*x_hat),
                    input_delta = gamma*inv*(delta - beta_delta/n - x_hat*gamma_delta/n)
inference_backward  the same sums, and input_delta = gamma*inv*delta

mean and variance are always used as they are given. "where" (backward, training): the positions
that count, of the shape of x with 1 for the channel axis. All elements are normalized; the sums of
the backward pass go over all elements; the last two terms of input_delta stand only at positions
that count, and what has a delta of 0 and does not count adds nothing, whatever x is there.
"activation": "relu" is max(., 0) after all, "relu6" min(max(., 0), 6), "add_relu" max(. + residual,
0). In the backward pass delta is the gradient of that; where a ReLU does not let an element pass,
0 stands in the place of its delta. "relu_mask" has a bit for each element that passes, as
normgraph's functions take it.

Expected outputs: NAME is the exact value, rounded once to the output's type; NAME.exact the same as
f64 (for f64 data NAME.exact + NAME.exact_low is the value to 106 bits). All are computed with
rational numbers and roots of 320 bits. NaN means that any NaN or infinity is right there.

An output may be off from the exact value by

NAME.bound      what sums in a wider type than the data's reach, however hard the data is
NAME.tolerance  what any order of summation in the arithmetic type explains (float for data of up
                to 32 bits, else double), the rounding of a mean far from zero included

A function that stays within the tolerance conforms; within the bound it is accurate.
"""


def write(folder: Path) -> tuple[int, int]:
    """Write all cases to a folder, which may exist; return the number of cases and of bytes.

    Equal bytes at every run. Raises OSError where it cannot be written.
    """
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    described = []
    for role in ROLES:
        with zipfile.ZipFile(folder / f"{role}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for case in cases(role):
                arrays = arrays_of(case)
                data, places = packed(arrays)
                (folder / "raw" / f"{case.name}.bin").write_bytes(data)
                described.append(description(case, places))
                for name, (values, _) in arrays.items():
                    member = zipfile.ZipInfo(f"{case.name}/{name}.npy")  # of a fixed date
                    archive.writestr(member, npy(values), zipfile.ZIP_DEFLATED)
    manifest = {"form": FORM, "cases": described}
    text = json.dumps(manifest, indent=1, allow_nan=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8", newline="\n")
    (folder / "README.txt").write_text(README, encoding="utf-8", newline="\n")
    files = (path for path in folder.rglob("*") if path.is_file())
    return len(described), sum(path.stat().st_size for path in files)


def arrays_of(case: Case) -> Mapping[str, tuple[npt.NDArray[Any], str]]:
    """Return the arrays of a case as they are stored, each with the name of its type."""
    found = {
        name: (stored(values, case.format_of(name)), case.format_of(name).name)
        for name, values in case.inputs.items()
    }
    if case.where is not None:
        found["where"] = (case.where.astype(np.uint8), "u8")
    if case.is_backward and case.activation != "none":
        found["relu_mask"] = (relu_mask(case), "u8")
    for name, output in expected_outputs(case).items():
        found[name] = (stored(output.rounded, output.format), output.format.name)
        doubles = {"exact": output.high, "bound": output.bound, "tolerance": output.tolerance}
        if case.data is F64:
            doubles["exact_low"] = output.low
        found |= {f"{name}.{part}": (values, "f64") for part, values in doubles.items()}
    return found


def relu_mask(case: Case) -> npt.NDArray[np.uint8]:
    """Return which elements pass the ReLU, eight to a byte."""
    passes = case.array(Channels(case, given=True).passes)
    return definition.packed_bits(passes, case.channel_axis)


def stored(values: Float64Array, to: Format) -> npt.NDArray[Any]:
    """Return doubles that a format holds in that format, little-endian; bf16 as its bits."""
    with np.errstate(invalid="ignore"):
        if to.name == "bf16":
            bits = values.astype("<f4").view("<u4")
            return np.asarray((bits >> np.uint32(16)).astype("<u2"))
        return values.astype({"f16": "<f2", "f32": "<f4", "f64": "<f8"}[to.name])


def packed(
    arrays: Mapping[str, tuple[npt.NDArray[Any], str]],
) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the bytes of a raw file, and where which array is in it."""
    data, places = io.BytesIO(), []
    for name, (values, type_name) in arrays.items():
        content = values.tobytes()
        places.append(
            {
                "name": name,
                "type": type_name,
                "shape": list(values.shape),
                "offset": data.tell(),
                "bytes": len(content),
            }
        )
        data.write(content)
    return data.getvalue(), places


def description(case: Case, places: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the manifest says of a case."""
    return {
        "name": case.name,
        "file": f"raw/{case.name}.bin",
        "role": case.role,
        "data": case.difficulty.words,
        "data_type": case.data.name,
        "channel_type": case.vector.name,
        "channel_axis": case.channel_axis,
        "epsilon": case.epsilon,
        "activation": case.activation,
        "inputs": [place for place in places if is_input(case, place["name"])],
        "outputs": [place for place in places if not is_input(case, place["name"])],
    }


def is_input(case: Case, name: str) -> bool:
    """Whether an array of a case is given to the function."""
    return name in case.inputs or name in ("where", "relu_mask")


def npy(values: npt.NDArray[Any]) -> bytes:
    """Return an array as the content of a .npy file."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(values), version=(1, 0))
    return content.getvalue()
