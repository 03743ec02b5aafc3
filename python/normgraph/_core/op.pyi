# Written by `python -m tests.op_stubs`.
from collections.abc import Sequence
from typing import ClassVar, final

from . import Node, PartialShape, _ShapeLike, _TypeLike, _Value
from .element import Type

__all__ = [
    "Add",
    "BatchNormBackpropSums",
    "BatchNormInference",
    "BatchNormInferenceAddRelu",
    "BatchNormInferenceBackprop",
    "BatchNormInferenceRelu",
    "BatchNormStatistics",
    "BatchNormTraining",
    "BatchNormTrainingAddRelu",
    "BatchNormTrainingAddReluBackprop",
    "BatchNormTrainingApply",
    "BatchNormTrainingBackprop",
    "BatchNormTrainingBackpropApply",
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
    "SelectWhere",
    "SquareRoot",
    "Subtract",
    "Sum",
]

class BatchNormNode(Node):
    @property
    def channel_axis(self) -> int: ...

@final
class Add(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        left: _Value,
        right: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        left: tuple[_TypeLike, _ShapeLike],
        right: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormBackpropSums(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        mean: _Value,
        normalized_delta: _Value,
        channel_axis: int = 1,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        normalized_delta: tuple[_TypeLike, _ShapeLike],
        channel_axis: int = 1,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormInference(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormInferenceAddRelu(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        residual: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        upper_bound: float | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        residual: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        upper_bound: float | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormInferenceBackprop(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        normalized_delta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        normalized_delta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormInferenceRelu(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        upper_bound: float | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        upper_bound: float | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormStatistics(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        channel_axis: int = 1,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        channel_axis: int = 1,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTraining(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        statistics_type: _TypeLike | None = None,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def statistics_type(self) -> Type | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        statistics_type: _TypeLike | None = None,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingAddRelu(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        residual: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        statistics_type: _TypeLike | None = None,
        upper_bound: float | None = None,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def statistics_type(self) -> Type | None: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        residual: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        statistics_type: _TypeLike | None = None,
        upper_bound: float | None = None,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingAddReluBackprop(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        mask: _Value,
        activated_delta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        mask: tuple[_TypeLike, _ShapeLike],
        activated_delta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingApply(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingBackprop(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        normalized_delta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        normalized_delta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingBackpropApply(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        mean: _Value,
        variance: _Value,
        normalized_delta: _Value,
        beta_delta: _Value,
        gmul_delta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        count: int | None = None,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def count(self) -> int | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        normalized_delta: tuple[_TypeLike, _ShapeLike],
        beta_delta: tuple[_TypeLike, _ShapeLike],
        gmul_delta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        count: int | None = None,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingRelu(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        statistics_type: _TypeLike | None = None,
        upper_bound: float | None = None,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def statistics_type(self) -> Type | None: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        statistics_type: _TypeLike | None = None,
        upper_bound: float | None = None,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingReluBackprop(BatchNormNode):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        mean: _Value,
        variance: _Value,
        mask: _Value,
        activated_delta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
        where: _Value | None = None,
    ) -> None: ...
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        mean: tuple[_TypeLike, _ShapeLike],
        variance: tuple[_TypeLike, _ShapeLike],
        mask: tuple[_TypeLike, _ShapeLike],
        activated_delta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        where: tuple[_TypeLike, _ShapeLike] | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Broadcast(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        like: _Value,
        axes: Sequence[int] = (),
        name: str | None = None,
    ) -> None: ...
    @property
    def axes(self) -> tuple[int, ...]: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        like: tuple[_TypeLike, _ShapeLike],
        axes: Sequence[int] = (),
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Convert(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        element_type: _TypeLike,
        name: str | None = None,
    ) -> None: ...
    @property
    def element_type(self) -> Type: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        element_type: _TypeLike,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Divide(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        left: _Value,
        right: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        left: tuple[_TypeLike, _ShapeLike],
        right: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class MatrixMultiply(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        left: _Value,
        right: _Value,
        transpose_left: bool = False,
        transpose_right: bool = False,
        name: str | None = None,
    ) -> None: ...
    @property
    def transpose_left(self) -> bool: ...
    @property
    def transpose_right(self) -> bool: ...
    @staticmethod
    def infer(
        left: tuple[_TypeLike, _ShapeLike],
        right: tuple[_TypeLike, _ShapeLike],
        transpose_left: bool = False,
        transpose_right: bool = False,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Mean(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        kept_axes: Sequence[int] = (),
        name: str | None = None,
    ) -> None: ...
    @property
    def kept_axes(self) -> tuple[int, ...]: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        kept_axes: Sequence[int] = (),
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class MeanBackprop(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        delta: _Value,
        like: _Value,
        axes: Sequence[int] = (),
        name: str | None = None,
    ) -> None: ...
    @property
    def axes(self) -> tuple[int, ...]: ...
    @staticmethod
    def infer(
        delta: tuple[_TypeLike, _ShapeLike],
        like: tuple[_TypeLike, _ShapeLike],
        axes: Sequence[int] = (),
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Multiply(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        left: _Value,
        right: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        left: tuple[_TypeLike, _ShapeLike],
        right: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Negate(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Relu(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        upper_bound: float | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        upper_bound: float | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class ReluBackprop(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        delta: _Value,
        upper_bound: float | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        delta: tuple[_TypeLike, _ShapeLike],
        upper_bound: float | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class ReluMask(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        input: _Value,
        channel_axis: int = 1,
        upper_bound: float | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def channel_axis(self) -> int: ...
    @property
    def upper_bound(self) -> float | None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        channel_axis: int = 1,
        upper_bound: float | None = None,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class ReluMaskSelect(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        activated_delta: _Value,
        mask: _Value,
        channel_axis: int = 1,
        name: str | None = None,
    ) -> None: ...
    @property
    def channel_axis(self) -> int: ...
    @staticmethod
    def infer(
        activated_delta: tuple[_TypeLike, _ShapeLike],
        mask: tuple[_TypeLike, _ShapeLike],
        channel_axis: int = 1,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class SelectWhere(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        where: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        where: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class SquareRoot(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Subtract(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        left: _Value,
        right: _Value,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        left: tuple[_TypeLike, _ShapeLike],
        right: tuple[_TypeLike, _ShapeLike],
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class Sum(Node):
    input_names: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
        value: _Value,
        kept_axes: Sequence[int] = (),
        name: str | None = None,
    ) -> None: ...
    @property
    def kept_axes(self) -> tuple[int, ...]: ...
    @staticmethod
    def infer(
        value: tuple[_TypeLike, _ShapeLike],
        kept_axes: Sequence[int] = (),
    ) -> tuple[tuple[Type, PartialShape], ...]: ...
