"""A batch of no elements: fused ops refuse it, and stages give NaN, as the pages say.

tests/interop has onnxruntime and XLA run what is written.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import onnx, stablehlo
from tests.kernel.samples import Sample

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")

REPOSITORY = Path(__file__).parents[2]
TRAINING = (
    "BatchNormTraining",
    "BatchNormTrainingRelu",
    "BatchNormTrainingAddRelu",
    "BatchNormStatistics",
)


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0)])
@pytest.mark.parametrize("op", [*family.OPS, *family.STAGE_OPS])
def test_stages_give_nan_where_the_op_refuses(op: str, shape: tuple[int, ...]) -> None:
    case = family.make_case(op, Sample(shape, "f32", "f32"))
    arguments = list(case.arguments.values())
    with np.errstate(all="ignore"):
        results = ng.compile(ng.decompose(case.function))(*arguments)
    if op not in TRAINING:
        for actual, expected in zip(ng.compile(case.function)(*arguments), results, strict=True):
            assert actual.tobytes() == expected.tobytes()
        return
    with pytest.raises(ValueError, match="an empty batch has no statistics"):
        ng.compile(case.function)(*arguments)
    *first, mean, variance = results[: 2 if op == "BatchNormStatistics" else 3]
    assert all(result.size == 0 for result in first)
    for statistic in (mean, variance):
        assert np.isnan(statistic).all()
    assert ng.trace(ng.decompose(case.function), arguments)["mean"].size == 3


def test_gradients_of_stages_are_nan_as_well() -> None:
    x = ng.Parameter("f32", [0, 3], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    function = ng.Function([norm.output(0)], [x, gamma, beta])
    rows, ones = np.zeros((0, 3), np.float32), np.ones(3, np.float32)
    for first in (ng.gradients(function), ng.gradients(ng.decompose(function))):
        gradients = ng.compile(ng.decompose(first))(rows, ones, ones, rows)
        assert gradients[0].size == 0
        assert np.isnan(gradients[1]).all()
        assert (gradients[2] == 0).all()


@pytest.mark.parametrize("page", ["docs/graphs.md", "docs/formats.md", "docs/executables.md"])
def test_the_pages_say_so(page: str) -> None:
    text = re.sub(r"\s+", " ", (REPOSITORY / page).read_text("utf-8"))
    assert re.search(r"empty batch[^.]*\b(NaN|refuse)", text)


@pytest.mark.parametrize("call", [onnx.to_model, stablehlo.dumps, ng.trace])
def test_the_docstrings_say_so(call: Any) -> None:
    assert re.search(r"empty\s+batch.*NaN", call.__doc__, flags=re.DOTALL)
