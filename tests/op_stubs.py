"""The type stubs of the op classes, from what the classes say of themselves.

`python -m tests.op_stubs` writes them anew, for example after an op has been added.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import normgraph as ng

STUBS = Path(__file__).parents[1] / "python" / "normgraph" / "_core" / "op.pyi"

HEADER = """\
# Written by `python -m tests.op_stubs`.
from collections.abc import Sequence
from typing import ClassVar, final

from . import Node, PartialShape, _ShapeLike, _TypeLike, _Value
from .element import Type

__all__ = [
{names}]

class BatchNormNode(Node):
    @property
    def epsilon(self) -> float: ...
    @epsilon.setter
    def epsilon(self, epsilon: float) -> None: ...
    @property
    def channel_axis(self) -> int: ...
"""

#: Kind of an attribute: what is taken for it, and what it is as a property.
ANNOTATIONS = {
    "number": ("float", "float"),
    "integer": ("int", "int"),
    "flag": ("bool", "bool"),
    "axes": ("Sequence[int]", "tuple[int, ...]"),
    "element type": ("_TypeLike", "Type"),
}

CLASS = """
@final
class {name}({base}):
    input_names: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    def __init__(
        self,
{constructor}    ) -> None: ...
{properties}    @staticmethod
    def infer(
{infer}    ) -> tuple[tuple[Type, PartialShape], ...]: ...
"""


def argument(parameter: inspect.Parameter, annotation: str) -> str:
    is_required = parameter.default is inspect.Parameter.empty
    default = "" if is_required else f" = {parameter.default!r}".replace("1e-05", "1e-5")
    return f"        {parameter.name}: {annotation}{default},\n"


def arguments(call: Any, input_annotation: str, kinds: dict[str, str]) -> str:
    """A line for each parameter of a call."""
    lines = ""
    for name, parameter in inspect.signature(call).parameters.items():
        annotation = "str | None" if name == "name" else input_annotation
        if name in kinds:
            annotation = ANNOTATIONS[kinds[name]][0]
        lines += argument(parameter, annotation)
    return lines


def stub_of(name: str) -> str:
    op: Any = getattr(ng.op, name)
    is_of_family = issubclass(op, ng.op.BatchNormNode)
    properties = (
        ""
        if is_of_family
        else "".join(
            f"    @property\n    def {attribute}(self) -> {ANNOTATIONS[kind][1]}: ...\n"
            for attribute, kind in op.attribute_kinds.items()
        )
    )
    return CLASS.format(
        name=name,
        base="BatchNormNode" if is_of_family else "Node",
        constructor=arguments(op, "_Value", op.attribute_kinds),
        properties=properties,
        infer=arguments(op.infer, "tuple[_TypeLike, _ShapeLike]", op.attribute_kinds),
    )


def stubs() -> str:
    names = sorted(set(ng.op.__all__) - {"BatchNormNode"})
    header = HEADER.format(names="".join(f'    "{name}",\n' for name in names))
    return header + "".join(map(stub_of, names))


if __name__ == "__main__":
    STUBS.write_text(stubs(), encoding="utf-8")
