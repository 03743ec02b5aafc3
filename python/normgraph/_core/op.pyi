from typing import final

from . import Node, PartialShape, _ShapeLike, _TypeLike, _Value
from .element import Type

class BatchNormNode(Node):
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def channel_axis(self) -> int: ...

@final
class BatchNormTraining(BatchNormNode):
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormInference(BatchNormNode):
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
class BatchNormInferenceBackprop(BatchNormNode):
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
class BatchNormTrainingRelu(BatchNormNode):
    def __init__(
        self,
        input: _Value,
        gamma: _Value,
        beta: _Value,
        epsilon: float = 1e-5,
        channel_axis: int = 1,
        name: str | None = None,
    ) -> None: ...
    @staticmethod
    def infer(
        input: tuple[_TypeLike, _ShapeLike],
        gamma: tuple[_TypeLike, _ShapeLike],
        beta: tuple[_TypeLike, _ShapeLike],
        epsilon: float = 1e-5,
        channel_axis: int = 1,
    ) -> tuple[tuple[Type, PartialShape], ...]: ...

@final
class BatchNormTrainingReluBackprop(BatchNormNode):
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
    ) -> None: ...
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
    ) -> tuple[tuple[Type, PartialShape], ...]: ...
