"""The drawings of the documentation: `python docs/draw.py` draws them all anew.

Each is committed twice, as DOT text, which the tests compare with what the source draws, and as the
SVG image that Graphviz has made of it, which the pages show.
"""

from __future__ import annotations

from pathlib import Path

import normgraph as ng

FOLDER = Path(__file__).parent / "mathematics"


def forward() -> ng.Function:
    """BatchNormTraining with all its outputs."""
    x = ng.Parameter("f32", [None, 64, None, None], name="input")
    gamma, beta = (ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta"))
    node = ng.op.BatchNormTraining(x, gamma, beta)
    return ng.Function(node.outputs, [x, gamma, beta], name="forward")


def backward() -> ng.Function:
    """BatchNormTrainingBackprop with all its outputs."""
    data = [
        ng.Parameter("f32", [None, 64, None, None], name=name)
        for name in ("input", "normalized_delta")
    ]
    vectors = [
        ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta", "mean", "variance")
    ]
    gamma, beta, mean, variance = vectors
    node = ng.op.BatchNormTrainingBackprop(data[0], gamma, beta, mean, variance, data[1])
    return ng.Function(node.outputs, [data[0], *vectors, data[1]], name="backward")


def before_exchange() -> ng.Function:
    """What a process knows of its part of a batch."""
    x = ng.Parameter("f32", [None, 64, None, None], name="input")
    node = ng.op.BatchNormStatistics(x)
    return ng.Function(node.outputs, [x], name="before_exchange")


def after_exchange() -> ng.Function:
    """What follows once it knows the whole batch's statistics."""
    x = ng.Parameter("f32", [None, 64, None, None], name="input")
    affine = [ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta")]
    statistics = [ng.Parameter("f64", [64], name=name) for name in ("mean", "variance")]
    node = ng.op.BatchNormTrainingApply(x, *affine, *statistics)
    return ng.Function([node], [x, *affine, *statistics], name="after_exchange")


def drawings() -> dict[str, ng.Drawing]:
    """The drawings by the name of their file: ops as their stages, or as they are."""
    of_stages, of_ops = [forward(), backward()], [before_exchange(), after_exchange()]
    return {
        function.friendly_name: ng.draw(function, decompose=function in of_stages)
        for function in of_stages + of_ops
    }


def main() -> None:
    """Write every drawing."""
    for name, drawing in drawings().items():
        for ending in ("dot", "svg"):
            drawing.save(FOLDER / f"{name}.{ending}")


if __name__ == "__main__":
    main()
