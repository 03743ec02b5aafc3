"""oneDNN's batch normalization on the arrays as they lie in memory, without a reorder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from functools import partial
from typing import Any

import numpy as np

from ..case_data import EPSILON, Array, CaseData
from ..cases import FORWARD, Case
from .candidate import Call, Candidate, LeftOut
from .onednn_library import OneDnn


class OneDnnPrimitives(Candidate):
    """A primitive is created once; it writes into outputs that are allocated beforehand.

    The number of threads is that of OpenMP, which PyTorch sets, or else the process's environment.
    """

    def __init__(self, num_threads: int) -> None:
        super().__init__(num_threads)
        try:
            self._onednn = OneDnn()
        except OSError as error:
            raise LeftOut("libdnnl.so.3 is not installed") from error

    def version(self) -> str:
        return self._onednn.version()

    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        logical = np.moveaxis(data.inputs[0], data.channel_axis, 1)
        strides = [stride // logical.itemsize for stride in logical.strides]
        tensor = self._onednn.descriptor(case.element_type, logical.shape, strides)
        channel_vector = self._onednn.descriptor("f32", [len(data.gamma)], [1])
        descriptor = self._onednn.forward_descriptor(tensor, EPSILON)
        if case.op != FORWARD:
            descriptor = self._onednn.backward_descriptor(tensor, EPSILON, descriptor)
        primitive = self._onednn.primitive(descriptor)

        def call(tensors: Mapping[str, Array], vectors: Mapping[str, Array]) -> Call:
            memories = {name: self._onednn.memory(tensor, x) for name, x in tensors.items()}
            for name, vector in vectors.items():
                memories[name] = self._onednn.memory(channel_vector, vector)
            arrays = [*tensors.values(), *vectors.values()]
            return partial(self._run, primitive, self._onednn.arguments(memories), arrays)

        return [
            call(self._tensors(case, data, index), self._vectors(case, data))
            for index in range(len(data.sets))
        ]

    def _run(self, primitive: c_void_p, arguments: Any, arrays: Sequence[Array]) -> Sequence[Array]:
        self._onednn.execute(primitive, arguments)
        return arrays

    def _tensors(self, case: Case, data: CaseData, index: int) -> dict[str, Array]:
        """The result first."""
        x = data.inputs[index]
        if case.op == FORWARD:
            return {"result": np.zeros_like(x), "source": x}
        return {
            "source_delta": np.zeros_like(x),
            "source": x,
            "result_delta": data.deltas[index],
        }

    def _vectors(self, case: Case, data: CaseData) -> dict[str, Array]:
        """The results last."""
        if case.op == FORWARD:
            results = {name: np.empty_like(data.gamma) for name in ("mean", "variance")}
            return {"scale": data.gamma, "shift": data.beta, **results}
        results = {name: np.empty_like(data.gamma) for name in ("scale_delta", "shift_delta")}
        given = {"mean": data.mean, "variance": data.variance, "scale": data.gamma}
        return {**given, **results}

    def outputs(self, case: Case, result: Any) -> Sequence[Array]:
        return (result[0],) if case.op == FORWARD else (result[0], *result[-2:])
