from typing import Any, final

import numpy as np

@final
class Type:
    def __init__(self, value: Type | str | np.dtype[Any] | type[np.generic]) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def is_real(self) -> bool: ...
    @property
    def is_dynamic(self) -> bool: ...
    @property
    def is_static(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

bf16: Type
boolean: Type
dynamic: Type
f16: Type
f32: Type
f64: Type
i8: Type
i16: Type
i32: Type
i64: Type
u8: Type
u16: Type
u32: Type
u64: Type
