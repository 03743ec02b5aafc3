"""The op classes: nodes that check their inputs and infer what they put out."""

from ._core.op import (
    BatchNormInference,
    BatchNormInferenceBackprop,
    BatchNormNode,
    BatchNormTraining,
    BatchNormTrainingBackprop,
)

__all__ = [
    "BatchNormInference",
    "BatchNormInferenceBackprop",
    "BatchNormNode",
    "BatchNormTraining",
    "BatchNormTrainingBackprop",
]
