"""The ops as data, and what each infers for inputs of given types."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

import normgraph as ng

DELTAS = ("normalized_delta", "activated_delta")
SUMS = ("beta_delta", "gmul_delta")


class Signature(NamedTuple):
    op: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.op.__name__)

    @property
    def stem(self) -> str:
        """The stem of BatchNormTraining is batch_norm_training."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()

    @property
    def function(self) -> Any:
        """The op as a function on arrays, which the stages are not."""
        return getattr(ng, self.stem)

    @property
    def data(self) -> list[str]:
        """The inputs of the shape (•, C, …)."""
        return [name for name in self.inputs if name in ("input", "residual", *DELTAS)]

    @property
    def vectors(self) -> list[str]:
        """The inputs of the shape (C), but for the sums, which are f64."""
        return [name for name in self.inputs if name not in (*self.data, *SUMS, "mask")]

    @property
    def sums(self) -> list[str]:
        return [name for name in self.inputs if name in SUMS]

    @property
    def delta(self) -> str:
        """The input that is the gradient of the forward op's output."""
        return next(name for name in self.inputs if name in DELTAS)

    @property
    def is_backprop(self) -> bool:
        return any(name in DELTAS for name in self.inputs)

    @property
    def channel_outputs(self) -> list[str]:
        """The outputs of the shape (C)."""
        return [name for name in self.outputs[1:] if name not in ("mask", "residual_delta")]


TRAINING = Signature(
    ng.op.BatchNormTraining, ("input", "gamma", "beta"), ("normalized", "mean", "variance")
)
INFERENCE = Signature(
    ng.op.BatchNormInference, ("input", "gamma", "beta", "mean", "variance"), ("normalized",)
)
BACKPROP = Signature(
    ng.op.BatchNormTrainingBackprop,
    ("input", "gamma", "beta", "mean", "variance", "normalized_delta"),
    ("input_delta", "gamma_delta", "beta_delta"),
)
INFERENCE_BACKPROP = Signature(ng.op.BatchNormInferenceBackprop, BACKPROP.inputs, BACKPROP.outputs)
RELU = Signature(
    ng.op.BatchNormTrainingRelu, TRAINING.inputs, ("activated", "mean", "variance", "mask")
)
RELU_BACKPROP = Signature(
    ng.op.BatchNormTrainingReluBackprop,
    ("input", "gamma", "beta", "mean", "variance", "mask", "activated_delta"),
    BACKPROP.outputs,
)
ADD_RELU = Signature(ng.op.BatchNormTrainingAddRelu, (*TRAINING.inputs, "residual"), RELU.outputs)
ADD_RELU_BACKPROP = Signature(
    ng.op.BatchNormTrainingAddReluBackprop,
    RELU_BACKPROP.inputs,
    (*BACKPROP.outputs, "residual_delta"),
)
INFERENCE_RELU = Signature(ng.op.BatchNormInferenceRelu, INFERENCE.inputs, ("activated",))
INFERENCE_ADD_RELU = Signature(
    ng.op.BatchNormInferenceAddRelu, (*INFERENCE.inputs, "residual"), ("activated",)
)
ALL = (
    TRAINING,
    INFERENCE,
    BACKPROP,
    INFERENCE_BACKPROP,
    RELU,
    RELU_BACKPROP,
    ADD_RELU,
    ADD_RELU_BACKPROP,
    INFERENCE_RELU,
    INFERENCE_ADD_RELU,
)

#: The stages of BatchNormTraining and its gradients, which are no functions on arrays.
STATISTICS = Signature(ng.op.BatchNormStatistics, ("input",), TRAINING.outputs[1:])
TRAINING_APPLY = Signature(ng.op.BatchNormTrainingApply, INFERENCE.inputs, INFERENCE.outputs)
BACKPROP_SUMS = Signature(ng.op.BatchNormBackpropSums, ("input", "mean", "normalized_delta"), SUMS)
BACKPROP_APPLY = Signature(
    ng.op.BatchNormTrainingBackpropApply,
    ("input", "gamma", "mean", "variance", "normalized_delta", *SUMS),
    BACKPROP.outputs,
)
#: Those of them that have what the others have: a result for each element, and an epsilon.
APPLICATIONS = (TRAINING_APPLY, BACKPROP_APPLY)
REDUCTIONS = (STATISTICS, BACKPROP_SUMS)
STAGES = (*REDUCTIONS, *APPLICATIONS)

#: The ops that may have the input `where`, behind the others.
MASKED = (
    TRAINING,
    BACKPROP,
    RELU,
    RELU_BACKPROP,
    ADD_RELU,
    ADD_RELU_BACKPROP,
    *REDUCTIONS,
    BACKPROP_APPLY,
)

#: The inputs of the primitive ops, and the attributes of all.
UNARY = dict.fromkeys(("Negate", "SquareRoot", "Relu", "Sum", "Mean", "Convert"), ("value",))
BINARY = dict.fromkeys(
    ("Add", "Subtract", "Multiply", "Divide", "MatrixMultiply"), ("left", "right")
)
INPUTS: dict[str, tuple[str, ...]] = {
    **{signature.name: signature.inputs for signature in (*ALL, *STAGES)},
    **UNARY,
    **BINARY,
    "ReluBackprop": ("value", "delta"),
    "Broadcast": ("value", "like"),
    "MeanBackprop": ("delta", "like"),
    "ReluMask": ("input",),
    "ReluMaskSelect": ("activated_delta", "mask"),
    "SelectWhere": ("value", "where"),
}
ATTRIBUTES: dict[str, dict[str, str]] = {
    **{name: {} for name in INPUTS},
    **{
        signature.name: {"epsilon": "number", "channel_axis": "integer"}
        for signature in (*ALL, *APPLICATIONS)
    },
    **{signature.name: {"channel_axis": "integer"} for signature in REDUCTIONS},
    **{
        signature.name: {
            "epsilon": "number",
            "channel_axis": "integer",
            "statistics_type": "element type",
        }
        for signature in (TRAINING, RELU, ADD_RELU)
    },
    "Relu": {"upper_bound": "number"},
    "ReluBackprop": {"upper_bound": "number"},
    "Sum": {"kept_axes": "axes"},
    "Mean": {"kept_axes": "axes"},
    "Broadcast": {"axes": "axes"},
    "MeanBackprop": {"axes": "axes"},
    "Convert": {"element_type": "element type"},
    "MatrixMultiply": {"transpose_left": "flag", "transpose_right": "flag"},
    "ReluMask": {"channel_axis": "integer", "upper_bound": "number"},
    "ReluMaskSelect": {"channel_axis": "integer"},
}


for bounded in (RELU, ADD_RELU, INFERENCE_RELU, INFERENCE_ADD_RELU):
    ATTRIBUTES[bounded.name]["upper_bound"] = "number"
ATTRIBUTES[BACKPROP_APPLY.name]["count"] = "integer"

#: The inputs that a node need not have.
OPTIONAL_INPUTS = {signature.name: ("where",) for signature in MASKED}

#: The attributes that a node need not have.
OPTIONAL_ATTRIBUTES = ("statistics_type", "upper_bound", "count")


def parametrize(*signatures: Signature) -> pytest.MarkDecorator:
    """Run a test with each of these ops as its argument `signature`."""
    return pytest.mark.parametrize("signature", signatures, ids=lambda signature: signature.name)


EVERY_OP = parametrize(*ALL, *APPLICATIONS)
EVERY_BACKPROP = parametrize(BACKPROP, INFERENCE_BACKPROP, RELU_BACKPROP, ADD_RELU_BACKPROP)
EVERY_STATISTICS = parametrize(TRAINING, RELU, ADD_RELU)
EVERY_RELU = parametrize(RELU, ADD_RELU, INFERENCE_RELU, INFERENCE_ADD_RELU)
EVERY_REDUCTION = parametrize(*REDUCTIONS)
EVERY_MASKED = parametrize(*MASKED)
EVERY_VECTOR = pytest.mark.parametrize(
    ("signature", "vector"),
    [
        pytest.param(signature, vector, id=f"{signature.name}-{vector}")
        for signature in (*ALL, *APPLICATIONS)
        for vector in signature.vectors
    ],
)


class Inputs:
    """Types and shapes of an op's inputs: one for all data, one for all vectors, and changes.

    `delta` stands for whatever the gradient is called. Of a mask nothing is known but its type, of
    sums that they are f64. `where` is there only if it is given.
    """

    def __init__(
        self,
        signature: Signature,
        types: tuple[Any, Any] = ("f32", "f32"),
        shapes: tuple[Any, Any] = ([None, 64, None, None], [64]),
        **changes: tuple[Any, Any],
    ) -> None:
        self.signature = signature
        self.pairs = {
            name: (types[0], shapes[0]) if name in signature.data else (types[1], shapes[1])
            for name in signature.inputs
        }
        self.pairs |= dict.fromkeys(signature.sums, ("f64", None))
        if "mask" in self.pairs:
            self.pairs["mask"] = ("u8", None)
        if "delta" in changes:
            changes[signature.delta] = changes.pop("delta")
        assert set(changes) <= {*self.pairs, *OPTIONAL_INPUTS.get(signature.name, ())}
        self.optional = {"where": changes.pop("where")} if "where" in changes else {}
        self.pairs.update(changes)

    def node(self, **attributes: Any) -> Any:
        """The node, with parameters that are named like the inputs."""
        parameters = (ng.Parameter(*pair, name=name) for name, pair in self.pairs.items())
        optional = {name: ng.Parameter(*pair, name=name) for name, pair in self.optional.items()}
        return self.signature.op(*parameters, **attributes, **optional)

    def _infer(self, **attributes: Any) -> Any:
        return self.signature.op.infer(*self.pairs.values(), **attributes, **self.optional)

    def inferred(self, **attributes: Any) -> dict[str, str]:
        """Output name → 'f32{?,64}', the same from a node and from infer.

        Without the mask and a residual's gradient, which is as the first output is.
        """
        texts = self._all_inferred(**attributes)
        texts.pop("mask", None)
        first = next(iter(texts.values()))
        assert texts.pop("residual_delta", first) == first
        return texts

    def inferred_mask(self, **attributes: Any) -> str:
        """'u8{?,64,7}', the same from a node and from infer."""
        return self._all_inferred(**attributes)["mask"]

    def _all_inferred(self, **attributes: Any) -> dict[str, str]:
        node = self.node(**attributes)
        from_node = [(output.element_type, output.partial_shape) for output in node.outputs]
        assert self._infer(**attributes) == tuple(from_node)
        assert [output.name for output in node.outputs] == list(self.signature.outputs)
        return {
            name: f"{element_type}{shape}"
            for name, (element_type, shape) in zip(self.signature.outputs, from_node, strict=True)
        }

    def violations(self, **attributes: Any) -> dict[str, str]:
        """Label → text of what is violated, the same from a node and from infer."""
        with pytest.raises(ng.NodeValidationFailure) as of_node:
            self.node(name="bn", **attributes)
        with pytest.raises(ng.NodeValidationFailure) as of_infer:
            self._infer(**attributes)
        header, *lines = str(of_node.value).splitlines()
        kind = self.signature.name
        constraints = "1 constraint is" if len(lines) == 1 else f"{len(lines)} constraints are"
        assert header == f"{kind} 'bn' is not valid, {constraints} violated:"
        assert str(of_infer.value) == str(of_node.value).replace(" 'bn'", "", 1)
        texts = dict(line.strip().removeprefix("[").split("] ", maxsplit=1) for line in lines)
        assert of_node.value.labels == of_infer.value.labels == tuple(texts)
        return texts
