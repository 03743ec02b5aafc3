"""A function for each op of the family, with arguments to run it on and what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng

from ..kernel import definition
from ..kernel.arguments import arguments_of as inputs_of
from ..kernel.definition import Bounded
from ..kernel.real_types import Array
from ..kernel.samples import Sample
from ..op.signatures import ALL

SIGNATURES = {signature.name: signature for signature in ALL}
OPS = tuple(SIGNATURES)


class Case(NamedTuple):
    """An op as a function of parameters named like its inputs."""

    op: str
    sample: Sample
    arguments: Mapping[str, Array]
    function: ng.Function

    @property
    def attributes(self) -> dict[str, Any]:
        return {"epsilon": self.sample.epsilon, "channel_axis": self.sample.channel_axis}

    def fused(self) -> list[Array]:
        """The results of the op's own kernel."""
        options = self.attributes
        if "mean" in SIGNATURES[self.op].outputs:
            options |= {"statistics_type": self.sample.statistics.name}
        result = SIGNATURES[self.op].function(*self.arguments.values(), **options)
        return [result] if isinstance(result, np.ndarray) else list(result)

    def run(self, function: ng.Function, backend: str = "cpu") -> list[Array]:
        """The results of a function of the same parameters."""
        return list(ng.compile(function, backend=backend)(*self.arguments.values()))


def make_case(op: str, sample: Sample, is_dynamic: bool = False) -> Case:
    arguments = arguments_of(op, sample)
    parameters = {
        name: ng.Parameter(array.dtype, _shape(array, is_dynamic), name=name)
        for name, array in arguments.items()
    }
    attributes: dict[str, Any] = {"epsilon": sample.epsilon, "channel_axis": sample.channel_axis}
    if sample.statistics_type and "mean" in SIGNATURES[op].outputs:
        attributes["statistics_type"] = sample.statistics_type
    node = getattr(ng.op, op)(*parameters.values(), **attributes)
    function = ng.Function(node.outputs, list(parameters.values()))
    return Case(op, sample, arguments, function)


def _shape(array: Array, is_dynamic: bool) -> Any:
    """A case in which neither the data's rank nor the vectors' length is known."""
    if not is_dynamic:
        return array.shape
    return [None] if array.ndim == 1 else None


def arguments_of(op: str, sample: Sample) -> dict[str, Array]:
    if op == "BatchNormInference":
        return sample.inference()._asdict()
    return inputs_of(sample, SIGNATURES[op].inputs)


def expected(case: Case) -> list[Bounded]:
    """The outputs by the definition, with the bounds that the op's own kernel keeps."""
    arguments, attributes = dict(case.arguments), case.attributes
    if case.op == "BatchNormTraining":
        statistics = case.sample.statistics
        return list(
            definition.training(**arguments, **attributes, statistics_type=statistics).values()
        )
    if case.op == "BatchNormInference":
        return [definition.inference(**arguments, **attributes)]
    if case.op == "BatchNormTrainingBackprop":
        return list(definition.training_backprop(**arguments, **attributes).values())
    assert case.op == "BatchNormInferenceBackprop"
    return list(definition.inference_backprop(**arguments, **attributes).values())
