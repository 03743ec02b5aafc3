"""The op classes: nodes that check their inputs and infer what they put out."""

from ._core.op import (
    BatchNormInference,
    BatchNormNode,
    BatchNormTraining,
    BatchNormTrainingBackprop,
)

__all__ = [
    "BatchNormInference",
    "BatchNormNode",
    "BatchNormTraining",
    "BatchNormTrainingBackprop",
]
