"""A function for each op of the family, with arguments to run it on and what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng

from ..kernel import definition
from ..kernel.arguments import arguments_of as inputs_of
from ..kernel.definition import Bounded
from ..kernel.real_types import REAL_TYPES, Array
from ..kernel.samples import Sample
from ..op.signatures import ALL, REDUCTIONS, STAGES

SIGNATURES = {signature.name: signature for signature in (*ALL, *STAGES)}
F64 = REAL_TYPES["f64"]
#: The ops that are functions on arrays, and those that are not.
OPS = tuple(signature.name for signature in ALL)
STAGE_OPS = tuple(signature.name for signature in STAGES)
WITHOUT_EPSILON = tuple(signature.name for signature in REDUCTIONS)


class Case(NamedTuple):
    """An op as a function of parameters named like its inputs."""

    op: str
    sample: Sample
    arguments: Mapping[str, Array]
    function: ng.Function

    @property
    def attributes(self) -> dict[str, Any]:
        return attributes_of(self.op, self.sample)

    def fused(self) -> list[Array]:
        """The results of the op's own kernel."""
        if self.op in STAGE_OPS:
            return self.run(self.function)
        options = self.attributes
        if "mean" in SIGNATURES[self.op].outputs:
            options |= {"statistics_type": self.sample.statistics.name}
        result = SIGNATURES[self.op].function(*self.arguments.values(), **options)
        return [result] if isinstance(result, np.ndarray) else list(result)

    def run(self, function: ng.Function, backend: str = "cpu") -> list[Array]:
        """The results of a function of the same parameters."""
        return list(ng.compile(function, backend=backend)(*self.arguments.values()))


def attributes_of(op: str, sample: Sample) -> dict[str, Any]:
    epsilon = {} if op in WITHOUT_EPSILON else {"epsilon": sample.epsilon}
    return {**epsilon, "channel_axis": sample.channel_axis}


def make_case(op: str, sample: Sample, is_dynamic: bool = False) -> Case:
    arguments = arguments_of(op, sample)
    parameters = {
        name: ng.Parameter(array.dtype, _shape(array, is_dynamic), name=name)
        for name, array in arguments.items()
    }
    attributes = attributes_of(op, sample)
    if sample.statistics_type and "mean" in SIGNATURES[op].outputs and op in OPS:
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
    if op in ("BatchNormInference", "BatchNormTrainingApply"):
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
    if case.op in STAGE_OPS:
        return expected_of_stage(case.op, arguments, attributes)
    if case.op == "BatchNormTrainingBackprop":
        return list(definition.training_backprop(**arguments, **attributes).values())
    assert case.op == "BatchNormInferenceBackprop"
    return list(definition.inference_backprop(**arguments, **attributes).values())


def expected_of_stage(
    op: str, arguments: dict[str, Array], attributes: dict[str, Any]
) -> list[Bounded]:
    """The same of a stage: its outputs are f64, or those of the whole op."""
    if op == "BatchNormStatistics":
        whole = definition.training(
            **arguments, gamma=None, beta=None, epsilon=1e-5, **attributes, statistics_type=F64
        )
        return [whole["mean"], whole["variance"]]
    if op == "BatchNormTrainingApply":
        return [definition.inference(**arguments, **attributes)]
    if op == "BatchNormBackpropSums":
        one = np.ones(len(arguments["mean"]))
        # With an inverse deviation of 1 the gradient of gamma is the sum of products.
        whole = definition.training_backprop(
            **arguments, gamma=one, beta=None, variance=0 * one, epsilon=1.0, **attributes
        )
        return [whole["beta_delta"], whole["gamma_delta"]]
    sums = ("beta_delta", "gmul_delta")
    given = {name: array for name, array in arguments.items() if name not in sums}
    return list(definition.training_backprop(**given, beta=None, **attributes).values())
