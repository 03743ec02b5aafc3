"""The kernels of this project, called as in the README."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import normgraph as ng

from ..case_data import EPSILON, Array, CaseData
from ..cases import FORWARD, Case
from .candidate import Call, Candidate


class NormgraphKernels(Candidate):
    """`ng.batch_norm_training` and `ng.batch_norm_training_backprop`, with new outputs."""

    def version(self) -> str:
        return f"{ng.__version__}, {ng.config()['implementation']}"

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        if case.op == FORWARD:
            forward = partial(ng.batch_norm_training, num_threads=self.num_threads)
            given = (data.gamma, data.beta, EPSILON, data.channel_axis)
            return [partial(forward, x, *given) for x in data.inputs]
        backward = partial(ng.batch_norm_training_backprop, num_threads=self.num_threads)
        statistics = (data.gamma, data.beta, data.mean, data.variance)
        return [
            partial(backward, x, *statistics, delta, EPSILON, data.channel_axis)
            for x, delta in zip(data.inputs, data.deltas, strict=True)
        ]

    def outputs(self, case: Case, result: Any) -> Sequence[Array]:
        return (result.normalized,) if case.op == FORWARD else tuple(result)
