"""Checks of the op nodes: what they infer, and what an invalid one says."""

from __future__ import annotations

from collections.abc import Iterator

import normgraph as ng
from normgraph.check.outcome import Check, MismatchError, require_equal


def checks() -> Iterator[Check]:
    """Yield one check per op, and one of the message of an invalid node."""
    yield Check("BatchNormTraining infers", training)
    yield Check("BatchNormInference infers", inference)
    yield Check("BatchNormTrainingBackprop infers", training_backprop)
    yield Check("BatchNormInferenceBackprop infers", inference_backprop)
    yield Check("BatchNormTrainingRelu infers", training_relu)
    yield Check("BatchNormTrainingReluBackprop infers", training_relu_backprop)
    yield Check("BatchNormTrainingAddRelu infers", training_add_relu)
    yield Check("BatchNormTrainingAddReluBackprop infers", training_add_relu_backprop)
    yield Check("BatchNormInferenceRelu infers", inference_relu)
    yield Check("BatchNormInferenceAddRelu infers", inference_add_relu)
    yield Check("an invalid node lists every violation", invalid_node)


def training() -> str:
    """Infer the number of channels from beta alone."""
    node = ng.op.BatchNormTraining(
        ng.Parameter("f32", [None, None, 7, (1, 8)], name="x"),
        ng.Parameter("f32", [None], name="gamma"),
        ng.Parameter("f32", [64], name="beta"),
    )
    return require_outputs(node, normalized="f32{?,64,7,1..8}", mean="f32{64}", variance="f32{64}")


def inference() -> str:
    """Infer from 16-bit data with f32 channel vectors, channels last."""
    x = ng.Parameter("bf16", [None, None, 3])
    gamma, beta, mean, variance = (ng.Parameter("f32", [None]) for _ in range(4))
    node = ng.op.BatchNormInference(x, gamma, beta, mean, variance, channel_axis=-1)
    return require_outputs(node, normalized="bf16{?,?,3}")


def training_backprop() -> str:
    """Refine input and normalized_delta by each other; intervals intersect."""
    x = ng.Parameter("f64", [None, 16, (4, None), 9])
    delta = ng.Parameter("f64", [32, None, (1, 8), None])
    gamma, beta, mean, variance = (ng.Parameter("f64", [None]) for _ in range(4))
    node = ng.op.BatchNormTrainingBackprop(x, gamma, beta, mean, variance, delta)
    return require_outputs(
        node, input_delta="f64{32,16,4..8,9}", gamma_delta="f64{16}", beta_delta="f64{16}"
    )


def inference_backprop() -> str:
    """Infer everything from normalized_delta and one channel vector."""
    unknown = ng.Parameter("dynamic", None)
    beta, delta = ng.Parameter("f32", [None]), ng.Parameter("f16", [8, 24, None])
    node = ng.op.BatchNormInferenceBackprop(unknown, unknown, beta, unknown, unknown, delta)
    return require_outputs(
        node, input_delta="f16{8,24,?}", gamma_delta="f32{24}", beta_delta="f32{24}"
    )


def training_relu() -> str:
    """Infer the mask of a partly known shape."""
    node = ng.op.BatchNormTrainingRelu(
        ng.Parameter("bf16", [None, None, 7, (1, 8)]),
        ng.Parameter("f32", [None]),
        ng.Parameter("f32", [64]),
    )
    return require_outputs(
        node, activated="bf16{?,64,7,1..8}", mean="f32{64}", mask="u8{?,64,1..7}"
    )


def training_relu_backprop() -> str:
    """Infer the data from activated_delta, and check the mask against it."""
    unknown = ng.Parameter("dynamic", None)
    gamma, mask = ng.Parameter("f32", [None]), ng.Parameter("u8", [None, 24, 2])
    delta = ng.Parameter("f16", [8, 24, 9])
    node = ng.op.BatchNormTrainingReluBackprop(
        unknown, gamma, unknown, unknown, unknown, mask, delta
    )
    return require_outputs(
        node, input_delta="f16{8,24,9}", gamma_delta="f32{24}", beta_delta="f32{24}"
    )


def training_add_relu() -> str:
    """Infer the data from the residual."""
    unknown, gamma = ng.Parameter("dynamic", None), ng.Parameter("f32", [None])
    residual = ng.Parameter("f16", [8, 24, 9])
    node = ng.op.BatchNormTrainingAddRelu(unknown, gamma, unknown, residual)
    return require_outputs(node, activated="f16{8,24,9}", mean="f32{24}", mask="u8{8,24,2}")


def inference_relu() -> str:
    """Infer the number of channels from a statistic."""
    unknown, variance = ng.Parameter("f32", [None]), ng.Parameter("f32", [24])
    x = ng.Parameter("bf16", [8, None, (1, 9)])
    node = ng.op.BatchNormInferenceRelu(x, unknown, unknown, unknown, variance, upper_bound=6.0)
    return require_outputs(node, activated="bf16{8,24,1..9}")


def inference_add_relu() -> str:
    """Infer the data from the residual."""
    unknown, residual = ng.Parameter("dynamic", None), ng.Parameter("f64", [8, 24, 9])
    node = ng.op.BatchNormInferenceAddRelu(unknown, unknown, unknown, unknown, unknown, residual)
    return require_outputs(node, activated="f64{8,24,9}")


def training_add_relu_backprop() -> str:
    """Infer the gradient of the residual from the input."""
    x, unknown = ng.Parameter("bf16", [8, 24, 9]), ng.Parameter("dynamic", None)
    gamma = ng.Parameter("f32", [None])
    node = ng.op.BatchNormTrainingAddReluBackprop(
        x, gamma, unknown, unknown, unknown, unknown, unknown
    )
    return require_outputs(node, gamma_delta="f32{24}", residual_delta="bf16{8,24,9}")


def require_outputs(node: ng.Node, **expected: str) -> str:
    """Raise MismatchError unless the outputs have the given types and shapes; return these."""
    for name, text in expected.items():
        output = node.output(name)
        require_equal(name, f"{output.element_type}{output.partial_shape}", text)
    return ", ".join(f"{name} {text}" for name, text in expected.items())


def invalid_node() -> str:
    """Construct a node with three faults of different kinds."""
    try:
        ng.op.BatchNormTraining(
            ng.Parameter("f32", [8, 64]),
            ng.Parameter("f64", [64]),
            ng.Parameter("f32", [32]),
            epsilon=-1.0,
        )
    except ng.NodeValidationFailure as failure:
        absent = [label for label in ("[C1]", "[C4]", "[C9]") if label not in str(failure)]
        if absent:
            raise MismatchError(f"no {' '.join(absent)} in the message: {failure}") from failure
        return "C1, C4 and C9 in one message"
    raise MismatchError("an invalid BatchNormTraining was accepted")
