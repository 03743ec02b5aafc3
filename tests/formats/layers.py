"""Layers that the tests of all formats for other programs write."""

from __future__ import annotations

from typing import Any

import normgraph as ng


def layer(
    op: str = "BatchNormTraining",
    shape: Any = (4, 3, 2),
    element_type: str = "f32",
    vectors: str = "f32",
    **attributes: Any,
) -> ng.Function:
    """One op of the family; its mask is no result."""
    x = ng.Parameter(element_type, shape, name="x")
    names = ["gamma", "beta", "mean", "var"][: 4 if op == "BatchNormInference" else 2]
    parameters = [ng.Parameter(vectors, [3], name=name) for name in names]
    norm = getattr(ng.op, op)(x, *parameters, name="norm", **attributes)
    return ng.Function(norm.outputs[:3], [x, *parameters], name="layer")


def constant_layers(*names: str | None) -> ng.Function:
    """Layers whose gamma is a constant of ones with this name, beta one of zeros without."""
    x = ng.Parameter("f32", [4, 3], name="x")
    output = x.output(0)
    for name in names:
        gamma, beta = ng.Constant([1.0] * 3, "f32", name=name), ng.Constant([0.0] * 3, "f32")
        output = ng.op.BatchNormTraining(output, gamma, beta, name="norm").output(0)
    return ng.Function([output], [x])
