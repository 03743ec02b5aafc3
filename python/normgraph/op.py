"""The op classes: nodes that check their inputs and infer what they put out."""

from ._core.op import (
    BatchNormInference,
    BatchNormInferenceBackprop,
    BatchNormNode,
    BatchNormTraining,
    BatchNormTrainingBackprop,
    BatchNormTrainingRelu,
    BatchNormTrainingReluBackprop,
)

__all__ = [
    "BatchNormInference",
    "BatchNormInferenceBackprop",
    "BatchNormNode",
    "BatchNormTraining",
    "BatchNormTrainingBackprop",
    "BatchNormTrainingRelu",
    "BatchNormTrainingReluBackprop",
]
