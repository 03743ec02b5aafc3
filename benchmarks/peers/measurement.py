"""The Python module of the C++ benchmarks: shapes, classes, tensors in turns, the floor.

It is built with them and stands beside them in the build tree; `NORMGRAPH_MEASUREMENT` names
another file. What its functions do is said in `benchmarks/*.hpp`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

BENCHMARKS = Path(__file__).parents[1]
BUILD = BENCHMARKS.parent / "build" / "release" / "benchmarks"


class NamedShape(Protocol):
    """One line of shapes.csv."""

    name: str
    network: str
    layer: str
    shape: list[int]
    cold: bool
    in_short_run: bool


class TensorSet(Protocol):
    """Tensors of equal size that one call works on."""

    def tensor(self, index: int) -> npt.NDArray[np.uint8]: ...


class Measurement(Protocol):
    """The functions of the module."""

    def read_shape_list(self, file: str) -> list[NamedShape]: ...
    def layouts_of(self, shape: NamedShape) -> list[str]: ...
    def class_of(
        self, op: str, shape: NamedShape, element_type: str, layout: str, largest_cache: int
    ) -> str: ...
    def tensor_count_of(self, op: str) -> int: ...
    def largest_cache_bytes(self) -> int: ...
    def make_tensor_sets(
        self, cold: bool, tensor_count: int, tensor_bytes: int, pattern: bytes
    ) -> Sequence[TensorSet]: ...
    def streaming_pass_name(self) -> str: ...
    def stream(
        self,
        tensors: TensorSet,
        tensor_count: int,
        num_threads: int,
        non_temporal: bool,
        calls: int,
    ) -> None: ...


def module_file() -> Path | None:
    """The built module, if there is one."""
    named = os.environ.get("NORMGRAPH_MEASUREMENT")
    if named:
        return Path(named)
    return next(iter(sorted(BUILD.glob("normgraph_measurement*.so"))), None)


@cache
def load() -> Measurement:
    """Import the module; ModuleNotFoundError says how to build it."""
    file = module_file()
    specification = file and importlib.util.spec_from_file_location("normgraph_measurement", file)
    if not specification or not specification.loader:
        raise ModuleNotFoundError(
            f"no module normgraph_measurement in {BUILD}; `make bench-peers` builds it"
        )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return cast(Measurement, module)


def shapes() -> list[NamedShape]:
    """Every shape of shapes.csv."""
    return load().read_shape_list(str(BENCHMARKS / "shapes.csv"))
