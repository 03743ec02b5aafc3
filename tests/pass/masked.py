"""A function for each op that may have a mask, and what the functions on arrays give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import normgraph as ng

from ..kernel.real_types import Array
from ..kernel.samples import Sample
from ..op.signatures import MASKED, STAGES, SUMS
from .family import SIGNATURES, arguments_of, attributes_of

OPS = tuple(signature.name for signature in MASKED)
STAGE_OPS = tuple(signature.name for signature in STAGES)
FORWARD = ("BatchNormTraining", "BatchNormTrainingRelu", "BatchNormTrainingAddRelu")
#: The ops in which nothing bends.
SMOOTH_OPS = tuple(op for op in OPS if "Relu" not in op)
LAYOUTS = (((5, 3, 7), 1), ((4, 6, 3), -1), ((9, 4), 1), ((3, 5, 2, 4), 0))


class MaskedCase(NamedTuple):
    """An op as a function of parameters named like its inputs, `where` among them."""

    op: str
    sample: Sample
    arguments: dict[str, Array]  #: where is the last
    function: ng.Function

    @property
    def where(self) -> Array:
        """As the op takes it: with a channel axis of length 1."""
        return self.arguments["where"]

    @property
    def counts(self) -> Array:
        """For each element."""
        return np.broadcast_to(self.where, self.sample.shape)

    @property
    def delta(self) -> str | None:
        """The input that is the gradient of a result, if there is one."""
        return next((name for name in self.arguments if name.endswith("ed_delta")), None)

    def run(self, function: ng.Function | None = None, backend: str = "cpu") -> list[Array]:
        compiled = ng.compile(function or self.function, backend=backend)
        return list(compiled(*self.arguments.values()))

    def by_functions(self) -> list[Array]:
        """The same by the functions on arrays."""
        given = {name: array for name, array in self.arguments.items() if name != "where"}
        options: dict[str, Any] = {
            **attributes_of(self.op, self.sample),
            "where": self.where,
            "implementation": "reference",
        }
        if self.op in FORWARD:
            options["statistics_type"] = self.sample.statistics.name
        if self.op not in STAGE_OPS:
            return list(SIGNATURES[self.op].function(*given.values(), **options))
        return _by_functions_of_parts(self.op, given, options)


def _by_functions_of_parts(
    op: str, given: dict[str, Array], options: dict[str, Any]
) -> list[Array]:
    if op == "BatchNormStatistics":
        input = given["input"]
        whole: Any = ng.batch_norm_training(input, None, None, statistics_type="f64", **options)
        return [whole.mean, whole.variance]
    sums = sums_of(given, options["channel_axis"], options["where"])
    if op == "BatchNormBackpropSums":
        return [sums.beta_delta, sums.gmul_delta]
    own = {name: array for name, array in given.items() if name not in SUMS}
    return list(ng.batch_norm_training_backprop(**own, **options, beta=None, sums=sums))


def sums_of(arguments: dict[str, Array], channel_axis: int, where: Array) -> Any:
    mean = arguments["mean"]
    return ng.batch_norm_backprop_sums(
        arguments["input"],
        mean,
        arguments.get("variance", np.ones_like(mean)),
        arguments["normalized_delta"],
        channel_axis=channel_axis,
        where=where,
    )


def mask_of(sample: Sample, density: float = 0.6) -> Array:
    """Scattered, with a first sample that counts as a whole."""
    axis = sample.channel_axis % len(sample.shape)
    shape = [1 if index == axis else length for index, length in enumerate(sample.shape)]
    where = np.random.default_rng([sample.seed, 91]).random(shape) < density
    where[0] |= axis != 0
    if axis == 0:
        where[:, 0] = True
    return where


def make_masked_case(
    op: str,
    sample: Sample,
    where: Array | None = None,
    padding: float | None = None,
    is_dynamic: bool = False,
) -> MaskedCase:
    """`padding`: what lies where a position does not count, and no gradient arrives there."""
    where = mask_of(sample) if where is None else where
    counts = np.broadcast_to(where, sample.shape)
    arguments = arguments_of(op, sample)
    if padding is not None:
        arguments["input"] = np.where(
            counts, arguments["input"], np.asarray(padding, arguments["input"].dtype)
        )
        for name in arguments:
            if name.endswith("ed_delta"):
                zero = np.zeros((), arguments[name].dtype)
                arguments[name] = np.where(counts, arguments[name], zero)
    if op == "BatchNormTrainingBackpropApply":
        sums = sums_of(arguments, sample.channel_axis, where)
        arguments |= {"beta_delta": sums.beta_delta, "gmul_delta": sums.gmul_delta}
    arguments = {name: np.asarray(array) for name, array in arguments.items()}
    arguments["where"] = where
    parameters = {
        name: ng.Parameter(array.dtype, _shape(array, is_dynamic), name=name)
        for name, array in arguments.items()
    }
    attributes = attributes_of(op, sample)
    if op in FORWARD:
        attributes["statistics_type"] = sample.statistics.name
    *inputs, last = parameters.values()
    node = getattr(ng.op, op)(*inputs, **attributes, where=last)
    return MaskedCase(op, sample, arguments, ng.Function(node.outputs, list(parameters.values())))


def _shape(array: Array, is_dynamic: bool) -> Any:
    if not is_dynamic:
        return array.shape
    return [None] if array.ndim == 1 else None
