from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from . import element as element
from . import op as op

__version__: str

class _SupportsDLPack(Protocol):
    def __dlpack__(self) -> Any: ...
    def __dlpack_device__(self) -> tuple[Any, Any]: ...

# numpy arrays, torch CPU tensors, memoryviews …
_Array: TypeAlias = npt.NDArray[Any] | Buffer | _SupportsDLPack
_DimensionLike: TypeAlias = Dimension | int | tuple[int, int | None] | None
_ShapeLike: TypeAlias = PartialShape | Sequence[_DimensionLike] | None
_TypeLike: TypeAlias = element.Type | str | np.dtype[Any] | type[np.generic]
_Value: TypeAlias = Node | Output

class NodeValidationFailure(ValueError):
    labels: tuple[str, ...]

@final
class Dimension:
    def __init__(self, value: _DimensionLike = None) -> None: ...
    @property
    def min_length(self) -> int: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def length(self) -> int: ...
    @property
    def is_static(self) -> bool: ...
    @property
    def is_dynamic(self) -> bool: ...
    def merge(self, other: _DimensionLike) -> Dimension: ...
    def compatible(self, other: _DimensionLike) -> bool: ...
    def to_python(self) -> int | tuple[int, int | None] | None: ...
    def __index__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class PartialShape:
    def __init__(self, dimensions: _ShapeLike) -> None: ...
    @property
    def rank(self) -> Dimension: ...
    @property
    def is_static(self) -> bool: ...
    @property
    def is_dynamic(self) -> bool: ...
    def merge(self, other: _ShapeLike) -> PartialShape: ...
    def compatible(self, other: _ShapeLike) -> bool: ...
    def to_python(self) -> tuple[int | tuple[int, int | None] | None, ...] | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, axis: int) -> Dimension: ...
    def __iter__(self) -> Iterator[Dimension]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

class Node:
    @property
    def type_name(self) -> str: ...
    @property
    def friendly_name(self) -> str: ...
    @friendly_name.setter
    def friendly_name(self, name: str | None) -> None: ...
    @property
    def attributes(self) -> dict[str, Any]: ...
    @property
    def inputs(self) -> list[Input]: ...
    @property
    def outputs(self) -> list[Output]: ...
    def input(self, key: int | str) -> Input: ...
    def output(self, key: int | str) -> Output: ...
    def description(self) -> str: ...
    def validate_and_infer_types(self) -> None: ...
    def clone_with_new_inputs(self, inputs: Sequence[_Value], name: str | None = None) -> Node: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Node: ...

@final
class Output:
    def __init__(self, node: Node, index: int) -> None: ...
    @property
    def node(self) -> Node: ...
    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def element_type(self) -> element.Type: ...
    @property
    def partial_shape(self) -> PartialShape: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Input:
    @property
    def node(self) -> Node: ...
    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> Output: ...
    @property
    def element_type(self) -> element.Type: ...
    @property
    def partial_shape(self) -> PartialShape: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Parameter(Node):
    def __init__(
        self, element_type: _TypeLike, shape: _ShapeLike, name: str | None = None
    ) -> None: ...
    @property
    def element_type(self) -> element.Type: ...
    @element_type.setter
    def element_type(self, element_type: _TypeLike) -> None: ...
    @property
    def partial_shape(self) -> PartialShape: ...
    @partial_shape.setter
    def partial_shape(self, shape: _ShapeLike) -> None: ...

@final
class Constant(Node):
    def __init__(
        self,
        value: npt.ArrayLike,
        element_type: _TypeLike | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def element_type(self) -> element.Type: ...
    @staticmethod
    def from_bytes(
        element_type: _TypeLike, shape: _ShapeLike, data: Buffer, name: str | None = None
    ) -> Constant: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def array(self) -> npt.NDArray[Any]: ...

@final
class Executable:
    @property
    def function(self) -> Function: ...
    @property
    def backend(self) -> str: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...
    @property
    def peak_bytes(self) -> int | None: ...
    def __call__(
        self,
        *arrays: _Array,
        out: _Array | tuple[_Array | None, ...] | None = None,
        num_threads: int | None = None,
        **arrays_by_name: _Array,
    ) -> tuple[npt.NDArray[Any], ...]: ...

@final
class Function:
    def __init__(
        self,
        results: Sequence[_Value],
        parameters: Sequence[Parameter],
        name: str | None = None,
    ) -> None: ...
    @property
    def results(self) -> list[Output]: ...
    @property
    def parameters(self) -> list[Parameter]: ...
    @property
    def nodes(self) -> list[Node]: ...
    @property
    def friendly_name(self) -> str: ...
    @friendly_name.setter
    def friendly_name(self, name: str | None) -> None: ...
    def validate_nodes_and_infer_types(self) -> None: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Function: ...

@final
class BatchStatistics:
    __array_ufunc__: None
    @property
    def count(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def first_sample(self) -> int | None: ...
    @property
    def element_type(self) -> element.Type: ...
    @property
    def layout(self) -> str: ...
    @property
    def mean(self) -> npt.NDArray[np.float64]: ...
    @property
    def variance(self) -> npt.NDArray[np.float64]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: Buffer) -> BatchStatistics: ...
    def __bytes__(self) -> bytes: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __add__(self, other: BatchStatistics, /) -> BatchStatistics: ...
    def __radd__(self, other: int, /) -> BatchStatistics: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class BackpropSums:
    __array_ufunc__: None
    @property
    def count(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def first_sample(self) -> int | None: ...
    @property
    def element_type(self) -> element.Type: ...
    @property
    def layout(self) -> str: ...
    @property
    def beta_delta(self) -> npt.NDArray[np.float64]: ...
    @property
    def gmul_delta(self) -> npt.NDArray[np.float64]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: Buffer) -> BackpropSums: ...
    def __bytes__(self) -> bytes: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __add__(self, other: BackpropSums, /) -> BackpropSums: ...
    def __radd__(self, other: int, /) -> BackpropSums: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def batch_norm_statistics(
    input: _Array,
    channel_axis: int = 1,
    first_sample: int | None = None,
    about: BatchStatistics | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchStatistics: ...
def batch_norm_backprop_sums(
    input: _Array,
    mean: _Array,
    variance: _Array,
    normalized_delta: _Array,
    channel_axis: int = 1,
    mask: _Array | None = None,
    first_sample: int | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BackpropSums: ...
def update_running_statistics(
    running: tuple[_Array, _Array],
    batch: tuple[_Array, _Array],
    n: int,
    momentum: float,
    unbiased: bool,
    out: tuple[_Array | None, _Array | None] | None,
) -> tuple[Any, Any]: ...
def compile(function: Function, backend: str = "cpu") -> Executable: ...
def decompose(function: Function, compute_type: _TypeLike | None = "f64") -> Function: ...
def gradients(function: Function, wrt: Sequence[Parameter] | None = None) -> Function: ...
def fuse_relu(function: Function) -> Function: ...
def widen_statistics(function: Function) -> Function: ...
def get_num_threads() -> int: ...
def set_num_threads(num_threads: int) -> None: ...
def implementations() -> list[str]: ...
def memory() -> dict[str, Any]: ...
def release_memory() -> None: ...
def keep_freed_memory() -> bool: ...
def torch_operators() -> list[tuple[str, str, tuple[tuple[str, str], ...]]]: ...
def torch_running_statistics() -> str: ...
def register_torch_kernels(path: str) -> None: ...
def jax_targets() -> dict[str, Any]: ...
def jax_signatures() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]: ...
def jax_results(
    op_class: str,
    inputs: tuple[tuple[Any, tuple[int, ...]] | None, ...],
    epsilon: float,
    channel_axis: int,
    upper_bound: float | None,
) -> list[tuple[str, tuple[int, ...]]]: ...
def jax_nodes_size(sums: bool, input: tuple[Any, tuple[int, ...]], channel_axis: int) -> int: ...
def config() -> dict[str, Any]: ...

# From here on written by `python -m tests.op_stubs`.
# Fields are None where outputs= did not select them, and the objects given as out= otherwise.
class BatchNormInferenceBackpropResult(NamedTuple):
    input_delta: Any
    gamma_delta: Any
    beta_delta: Any

class BatchNormTrainingResult(NamedTuple):
    normalized: Any
    mean: Any
    variance: Any

class BatchNormTrainingAddReluResult(NamedTuple):
    activated: Any
    mean: Any
    variance: Any
    mask: Any

class BatchNormTrainingAddReluBackpropResult(NamedTuple):
    input_delta: Any
    gamma_delta: Any
    beta_delta: Any
    residual_delta: Any

class BatchNormTrainingBackpropResult(NamedTuple):
    input_delta: Any
    gamma_delta: Any
    beta_delta: Any

class BatchNormTrainingReluResult(NamedTuple):
    activated: Any
    mean: Any
    variance: Any
    mask: Any

class BatchNormTrainingReluBackpropResult(NamedTuple):
    input_delta: Any
    gamma_delta: Any
    beta_delta: Any

def batch_norm_inference(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: Any = None,
    num_threads: int | None = None,
    implementation: str | None = None,
) -> Any: ...
def batch_norm_inference_add_relu(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    residual: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    upper_bound: float | None = None,
    out: Any = None,
    num_threads: int | None = None,
    implementation: str | None = None,
) -> Any: ...
def batch_norm_inference_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    normalized_delta: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
) -> BatchNormInferenceBackpropResult: ...
def batch_norm_inference_relu(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    upper_bound: float | None = None,
    out: Any = None,
    num_threads: int | None = None,
    implementation: str | None = None,
) -> Any: ...
def batch_norm_training(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    statistics_type: _TypeLike | None = None,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    statistics: BatchStatistics | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingResult: ...
def batch_norm_training_add_relu(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    residual: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    statistics_type: _TypeLike | None = None,
    upper_bound: float | None = None,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    statistics: BatchStatistics | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingAddReluResult: ...
def batch_norm_training_add_relu_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    mask: _Array,
    activated_delta: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    sums: BackpropSums | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingAddReluBackpropResult: ...
def batch_norm_training_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    normalized_delta: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    sums: BackpropSums | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingBackpropResult: ...
def batch_norm_training_relu(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    statistics_type: _TypeLike | None = None,
    upper_bound: float | None = None,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    statistics: BatchStatistics | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingReluResult: ...
def batch_norm_training_relu_backprop(
    input: _Array,
    gamma: _Array | None,
    beta: _Array | None,
    mean: _Array,
    variance: _Array,
    mask: _Array,
    activated_delta: _Array,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    out: _Array | tuple[_Array | None, _Array | None, _Array | None] | None = None,
    outputs: Iterable[str] | None = None,
    num_threads: int | None = None,
    implementation: str | None = None,
    sums: BackpropSums | None = None,
    where: _Array | None = None,
    lengths: _Array | None = None,
) -> BatchNormTrainingReluBackpropResult: ...
