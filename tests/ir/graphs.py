"""Graphs that several tests use."""

from __future__ import annotations

import normgraph as ng


def two_layers() -> ng.Function:
    """Two batch norms in a row, of which the second shares the first one's gamma and beta."""
    x = ng.Parameter("f32", [None, 64], name="x")
    gamma = ng.Parameter("f32", [None], name="gamma")
    beta = ng.Constant([0.0] * 64, "f32", name="beta")
    first = ng.op.BatchNormTraining(x, gamma, beta, epsilon=0.5, name="first")
    second = ng.op.BatchNormTraining(first.output(0), gamma, beta, channel_axis=-1, name="second")
    results = [second.output("normalized"), first.output("mean"), second.output("mean")]
    return ng.Function(results, [x, gamma], name="layers")


def chain(depth: int) -> ng.Function:
    """`depth` batch norms, each reading the one before."""
    x = ng.Parameter("f32", [None, 4], name="x")
    gamma, beta = (ng.Parameter("f32", [4], name=name) for name in ("gamma", "beta"))
    output = x.output(0)
    for _ in range(depth):
        output = ng.op.BatchNormTraining(output, gamma, beta).output(0)
    return ng.Function([output], [x, gamma, beta])
