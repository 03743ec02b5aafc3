"""The type stubs of the op classes and of the kernel functions, from what they say of themselves.

`python -m tests.op_stubs` writes them anew, for example after an op has been added.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import normgraph as ng

CORE = Path(__file__).parents[1] / "python" / "normgraph" / "_core"

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
    optional_inputs: ClassVar[tuple[str, ...]]
    output_names: ClassVar[tuple[str, ...]]
    attribute_kinds: ClassVar[dict[str, str]]
    optional_attributes: ClassVar[tuple[str, ...]]
    def __init__(
        self,
{constructor}    ) -> None: ...
{properties}    @staticmethod
    def infer(
{infer}    ) -> tuple[tuple[Type, PartialShape], ...]: ...
"""

#: Parameters of the kernel functions beside the inputs.
OPTIONS = {
    "epsilon": "float",
    "channel_axis": "int",
    "statistics_type": "_TypeLike | None",
    "upper_bound": "float | None",
    "outputs": "Iterable[str] | None",
    "num_threads": "int | None",
    "implementation": "str | None",
    "statistics": "BatchStatistics | None",
    "sums": "BackpropSums | None",
    "where": "_Array | None",
    "lengths": "_Array | None",
}

#: The kernel functions stand below this line of the module's own stub.
FUNCTIONS_BEGIN = "# From here on written by `python -m tests.op_stubs`.\n"


def argument(parameter: inspect.Parameter, annotation: str) -> str:
    is_required = parameter.default is inspect.Parameter.empty
    default = "" if is_required else f" = {parameter.default!r}".replace("1e-05", "1e-5")
    return f"        {parameter.name}: {annotation}{default},\n"


def arguments(call: Any, op: Any, input_annotation: str) -> str:
    """A line for each parameter of a call."""
    lines = ""
    kinds = op.attribute_kinds
    for name, parameter in inspect.signature(call).parameters.items():
        annotation = "str | None" if name == "name" else input_annotation
        annotation += " | None" if name in op.optional_inputs else ""
        if name in kinds:
            annotation = ANNOTATIONS[kinds[name]][0]
            annotation += " | None" if parameter.default is None else ""
        lines += argument(parameter, annotation)
    return lines


def property_stub(attribute: str, annotation: str, is_optional: bool) -> str:
    or_none = " | None" if is_optional else ""
    lines = f"    @property\n    def {attribute}(self) -> {annotation}{or_none}: ...\n"
    if attribute == "epsilon":
        lines += "    @epsilon.setter\n    def epsilon(self, epsilon: float) -> None: ...\n"
    return lines


def stub_of(name: str) -> str:
    op: Any = getattr(ng.op, name)
    is_of_family = issubclass(op, ng.op.BatchNormNode)
    properties = "".join(
        property_stub(attribute, ANNOTATIONS[kind][1], attribute in op.optional_attributes)
        for attribute, kind in op.attribute_kinds.items()
        if not (is_of_family and hasattr(ng.op.BatchNormNode, attribute))
    )
    return CLASS.format(
        name=name,
        base="BatchNormNode" if is_of_family else "Node",
        constructor=arguments(op, op, "_Value"),
        properties=properties,
        infer=arguments(op.infer, op, "tuple[_TypeLike, _ShapeLike]"),
    )


def result_stub_of(op: Any) -> str:
    fields = "".join(f"    {name}: Any\n" for name in op.output_names)
    return f"class {op.__name__}Result(NamedTuple):\n{fields}\n"


def function_stub_of(function: Any, op: Any) -> str:
    """The stub of a function, whose inputs gamma and beta may be None."""
    has_one_output = len(op.output_names) == 1
    out = ", ".join(["_Array | None"] * len(op.output_names))
    annotations = {
        **dict.fromkeys(op.input_names, "_Array"),
        **dict.fromkeys(("gamma", "beta"), "_Array | None"),
        **OPTIONS,
        "out": "Any" if has_one_output else f"_Array | tuple[{out}] | None",
    }
    parameters = "".join(
        argument(parameter, annotations[name])[4:]
        for name, parameter in inspect.signature(function).parameters.items()
    )
    result = "Any" if has_one_output else f"{op.__name__}Result"
    return f"def {function.__name__}(\n{parameters}) -> {result}: ...\n"


def is_function_of_arrays(function: Any) -> bool:
    """Whether it is an op as a function, which the ops of the stages are not."""
    return function is not None and "out" in inspect.signature(function).parameters


def function_stubs() -> str:
    """What stands below FUNCTIONS_BEGIN."""
    functions = {
        getattr(ng, stem_of(name)): getattr(ng.op, name)
        for name in ng.op.__all__
        if is_function_of_arrays(getattr(ng, stem_of(name), None))
    }
    several = [op for op in functions.values() if len(op.output_names) > 1]
    return (
        "# Fields are None where outputs= did not select them, and the objects given as out= "
        "otherwise.\n"
        + "".join(map(result_stub_of, several))
        + "".join(map(function_stub_of, functions, functions.values()))
    )


def stem_of(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


def class_stubs() -> str:
    """The whole of op.pyi."""
    names = sorted(set(ng.op.__all__) - {"BatchNormNode"})
    header = HEADER.format(names="".join(f'    "{name}",\n' for name in names))
    return header + "".join(map(stub_of, names))


def written_stubs() -> dict[Path, str]:
    """The files with generated stubs, and what they are to hold."""
    module = CORE / "__init__.pyi"
    own, mark, _ = module.read_text(encoding="utf-8").partition(FUNCTIONS_BEGIN)
    return {CORE / "op.pyi": class_stubs(), module: own + mark + function_stubs()}


if __name__ == "__main__":
    for path, text in written_stubs().items():
        path.write_text(text, encoding="utf-8")
