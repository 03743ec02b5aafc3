"""What each op takes, for formats that read: the names of its inputs, and its attributes.

The constructors check values; this table only tells a reader what to look for. A test compares it
with the ops.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: What an attribute is in Python and, in JSON, how it is written.
Kind = Literal["number", "integer", "flag", "axes", "element type", "shape", "bytes"]


@dataclass(frozen=True)
class Signature:
    """The inputs of an op by name and the kinds of its attributes, both in the op's order."""

    inputs: tuple[str, ...]
    attributes: dict[str, Kind] = field(default_factory=dict)


FAMILY: dict[str, Kind] = {"epsilon": "number", "channel_axis": "integer"}
STATISTICS = ("mean", "variance")
FORWARD = ("input", "gamma", "beta")
UNARY = Signature(("value",))
BINARY = Signature(("left", "right"))

SIGNATURES: dict[str, Signature] = {
    "Parameter": Signature((), {"element_type": "element type", "shape": "shape"}),
    "Constant": Signature((), {"element_type": "element type", "shape": "shape", "data": "bytes"}),
    "BatchNormTraining": Signature(FORWARD, FAMILY),
    "BatchNormInference": Signature((*FORWARD, *STATISTICS), FAMILY),
    "BatchNormTrainingBackprop": Signature((*FORWARD, *STATISTICS, "normalized_delta"), FAMILY),
    "BatchNormInferenceBackprop": Signature((*FORWARD, *STATISTICS, "normalized_delta"), FAMILY),
    "BatchNormTrainingRelu": Signature(FORWARD, FAMILY),
    "BatchNormTrainingReluBackprop": Signature(
        (*FORWARD, *STATISTICS, "mask", "activated_delta"), FAMILY
    ),
    "Add": BINARY,
    "Subtract": BINARY,
    "Multiply": BINARY,
    "Divide": BINARY,
    "Negate": UNARY,
    "SquareRoot": UNARY,
    "Relu": UNARY,
    "ReluBackprop": Signature(("value", "delta")),
    "Sum": Signature(("value",), {"kept_axes": "axes"}),
    "Mean": Signature(("value",), {"kept_axes": "axes"}),
    "Broadcast": Signature(("value", "like"), {"axes": "axes"}),
    "MeanBackprop": Signature(("delta", "like"), {"axes": "axes"}),
    "Convert": Signature(("value",), {"element_type": "element type"}),
    "MatrixMultiply": Signature(
        ("left", "right"), {"transpose_left": "flag", "transpose_right": "flag"}
    ),
    "ReluMask": Signature(("input",), {"channel_axis": "integer"}),
    "ReluMaskSelect": Signature(("activated_delta", "mask"), {"channel_axis": "integer"}),
}
