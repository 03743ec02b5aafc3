"""The op classes: nodes that check their inputs and infer what they put out."""

from . import _core

Add = _core.op.Add
BatchNormInference = _core.op.BatchNormInference
BatchNormInferenceBackprop = _core.op.BatchNormInferenceBackprop
BatchNormNode = _core.op.BatchNormNode
BatchNormTraining = _core.op.BatchNormTraining
BatchNormTrainingBackprop = _core.op.BatchNormTrainingBackprop
BatchNormTrainingRelu = _core.op.BatchNormTrainingRelu
BatchNormTrainingReluBackprop = _core.op.BatchNormTrainingReluBackprop
Broadcast = _core.op.Broadcast
Convert = _core.op.Convert
Divide = _core.op.Divide
MatrixMultiply = _core.op.MatrixMultiply
Mean = _core.op.Mean
MeanBackprop = _core.op.MeanBackprop
Multiply = _core.op.Multiply
Negate = _core.op.Negate
Relu = _core.op.Relu
ReluBackprop = _core.op.ReluBackprop
ReluMask = _core.op.ReluMask
ReluMaskSelect = _core.op.ReluMaskSelect
SquareRoot = _core.op.SquareRoot
Subtract = _core.op.Subtract
Sum = _core.op.Sum

__all__ = [
    "Add",
    "BatchNormInference",
    "BatchNormInferenceBackprop",
    "BatchNormNode",
    "BatchNormTraining",
    "BatchNormTrainingBackprop",
    "BatchNormTrainingRelu",
    "BatchNormTrainingReluBackprop",
    "Broadcast",
    "Convert",
    "Divide",
    "MatrixMultiply",
    "Mean",
    "MeanBackprop",
    "Multiply",
    "Negate",
    "Relu",
    "ReluBackprop",
    "ReluMask",
    "ReluMaskSelect",
    "SquareRoot",
    "Subtract",
    "Sum",
]
