"""trace(function, inputs, deltas): every value of a run, and the gradient that reaches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _core
from ._core import Constant, Function, Node, Output, Parameter, element, op
from .formats.arguments import check_is_function, items_of, refuse
from .formats.formula import TRANSPARENT
from .formats.names import UniqueNames, chosen_name, output_name, printable

__all__ = ["Trace", "trace"]

Array: TypeAlias = npt.NDArray[Any]

#: Arrays of more elements are told by their range and mean.
MOST_VALUES = 4


class Trace(Mapping[str, Array]):
    """The values of a run by their names: `x`, or `norm.mean` of a node with several outputs.

    A name that several nodes have gets a number from the second on, `centered#2`, as where a
    function is printed. Instead of a name, the Output itself, or a node with one output, will do.
    str() of a trace is its table().
    """

    def __init__(
        self, values: Mapping[Output, Array], deltas: Mapping[Output, Array] | None
    ) -> None:
        self._outputs = dict(zip(unique_names(list(values)), values, strict=True))
        self._values = values
        self._deltas = deltas

    def __getitem__(self, name: str | Output | Node) -> Array:
        return self._values[self._output(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __eq__(self, other: object) -> bool:
        return self is other  # arrays do not compare to one truth

    __hash__ = object.__hash__

    def gradient(self, name: str | Output | Node) -> Array:
        """The sum over the results of delta * d(result)/d(value), in the value's shape.

        The value of a node counts as a variable of its own here: it is what everything that reads
        it depends on. 0 where no result does. Raises KeyError for an unknown name, ValueError for a
        trace without deltas and for values that are not real numbers.
        """
        output = self._output(name)
        if self._deltas is None:
            raise ValueError("gradient: this trace was made without deltas")
        if output not in self._deltas:
            raise ValueError(
                f"gradient: '{output_name(output)}' has none: expected a real element type, got "
                f"{output.element_type}"
            )
        return self._deltas[output]

    def _output(self, name: str | Output | Node) -> Output:
        if isinstance(name, str) and name in self._outputs:
            return self._outputs[name]
        if isinstance(name, Output) and name in self._values:
            return name
        if isinstance(name, Node) and len(name.outputs) == 1 and name.output(0) in self._values:
            return name.output(0)
        asked = name if isinstance(name, str) else repr(name)
        raise KeyError(f"expected one of {', '.join(self._outputs)}, got {asked}")

    def table(self, names: Iterable[str | Output | Node] | None = None) -> str:
        """Text with a row for each of these values: name, op, type and shape, values, gradient.

        None is all but the nameless nodes that only hold, repeat or convert something. Small arrays
        are written out, larger ones told by their range and mean, NaN and infinity apart. Raises
        KeyError for an unknown name.
        """
        chosen = None
        if names is not None:
            chosen = {self._output(name) for name in items_of("names", names, "names in a list")}
        rows = [
            ("name", "op", "type", "value", *(["gradient"] if self._deltas is not None else []))
        ]
        for name, output in self._outputs.items():
            if is_shown(output.node) if chosen is None else output in chosen:
                value = self._values[output]
                row = (printable(name), output.node.type_name, array_type(value))
                rows.append((*row, summary(value), *self._gradient_cells(output)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    def __str__(self) -> str:
        return self.table()

    def _gradient_cells(self, output: Output) -> list[str]:
        if self._deltas is None:
            return []
        return [summary(self._deltas[output])] if output in self._deltas else ["-"]

    def __repr__(self) -> str:
        which = "values" if self._deltas is None else "values and gradients"
        return f"<Trace of {len(self)} {which}>"


def trace(
    function: Function,
    inputs: Sequence[Any] | Mapping[str, Any],
    deltas: Sequence[Any] | None = None,
    backend: str = "cpu",
) -> Trace:
    """Run a function, and keep every value on the way and the gradient that reaches it.

    inputs: an array for each parameter, in their order or by name, of the kinds that an Executable
    takes. Any name will do, `out` and `num_threads` too.
    deltas: an array for each result, the gradient that arrives there, in its type and shape; None
    in place of an array stands for 0. Without deltas there are no gradients.
    backend: "cpu" or "reference", as in compile.

    Values are those of the compiled function, and gradients of parameters those of gradients(), to
    the bit. Of a decomposed function, trace(decompose(function), …), the values are the stages.

    For an empty batch, which BatchNormTraining and BatchNormTrainingRelu refuse, the statistics
    among the stages are NaN.

    Raises what compile, its Executable and gradients raise: TypeError and ValueError for arrays
    that do not fit, ValueError where there is no kernel or no derivative.
    """
    check_is_function(function)
    arrays = arrays_of(function, inputs)
    arriving = None
    if deltas is not None:
        arriving = items_of("deltas", deltas, "an array, or None, for each result")
    outputs = [output for node in function.nodes for output in node.outputs]
    executable = _core.compile(Function(outputs, function.parameters), backend)
    values = dict(zip(outputs, executable(*arrays), strict=True))
    reached = None if arriving is None else gradients_of(function, values, arriving, backend)
    return Trace(values, reached)


def arrays_of(function: Function, inputs: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    """The argument inputs, in the order of the parameters, which may have any name."""
    names = [parameter.friendly_name for parameter in function.parameters]
    expected = f"an array for each of the parameters ({', '.join(names)})"
    if not isinstance(inputs, Mapping):
        arrays = items_of("inputs", inputs, expected)
        if len(arrays) != len(names):
            raise TypeError(f"inputs: expected {expected}, got {len(arrays)}")
        return arrays
    known = Counter(names)
    for name in inputs:
        if not isinstance(name, str):
            refuse("inputs", "the names of parameters", name)
        if known[name] > 1:
            raise TypeError(
                f"inputs: expected {expected}, got {name!r}, which is the name of {known[name]} "
                "parameters, by name"
            )
    wrong = [f"no {name!r}" for name in known if name not in inputs]
    wrong += [f"an array named {name!r}" for name in inputs if name not in known]
    if wrong:
        raise TypeError(f"inputs: expected {expected}, got {' and '.join(wrong)}")
    return [inputs[name] for name in names]


def gradients_of(
    function: Function, values: Mapping[Output, Array], deltas: Sequence[Any], backend: str
) -> dict[Output, Array]:
    """The gradient of each real output, through a function that lets one move every value."""
    count = len(function.results)
    if len(deltas) != count:
        raise ValueError(f"deltas: expected one for each of the {count} results, got {len(deltas)}")
    watched = Watched(function, values)
    pairs = zip(function.results, deltas, strict=True)
    reached = [(result, delta) for result, delta in pairs if delta is not None]
    if not reached or not watched.moves:
        return {output: np.zeros_like(values[output]) for output in watched.moves}
    results, arriving = zip(*reached, strict=True)
    arguments = [values[parameter.output(0)] for parameter in function.parameters]
    still = [np.full_like(values[output], -0.0) for output in watched.moves]
    moves = list(watched.moves.values())
    moved = Function([watched.outputs[result] for result in results], [*watched.parameters, *moves])
    of_moves = _core.compile(_core.gradients(moved, moves), backend)
    gradients = dict(zip(watched.moves, of_moves(*arguments, *still, *arriving), strict=True))
    # A move is rounded to its value's type, and has a layout: where a wider value, or one that is
    # repeated, goes from op to op without it, gradients() has other bits.
    inputs = [parameter for parameter in function.parameters if parameter.output(0) in gradients]
    if inputs:
        alone = _core.gradients(Function(list(results), function.parameters), inputs)
        found = _core.compile(alone, backend)(*arguments, *arriving)
        gradients |= zip((parameter.output(0) for parameter in inputs), found, strict=True)
    return gradients


class Watched:
    """A copy of a function in which each real value is value + move.

    The gradient of a move is the gradient that reaches the value, and takes one backward pass for
    all of them. Moves are −0: x + −0 is x to the bit, for x = −0 also. The copy has the types and
    shapes of the values, so that there is nothing dynamic in it.
    """

    def __init__(self, function: Function, values: Mapping[Output, Array]) -> None:
        self.outputs: dict[Output, Output] = {}
        self.parameters: list[Parameter] = []
        self.moves: dict[Output, Parameter] = {}
        for node in function.nodes:
            copy = self.copy_of(node, values)
            for output in node.outputs:
                value = values[output]
                self.outputs[output] = copy.output(output.index)
                if element.Type(value.dtype).is_real:
                    self.add_move(output, value)

    def add_move(self, output: Output, value: Array) -> None:
        # Both have the value's name, which then stands in messages.
        name = output_name(output)
        move = Parameter(element.Type(value.dtype), value.shape, name=name)
        self.moves[output] = move
        self.outputs[output] = op.Add(self.outputs[output], move, name=name).output(0)

    def copy_of(self, node: Node, values: Mapping[Output, Array]) -> Node:
        name = node.friendly_name
        if isinstance(node, Parameter):
            value = values[node.output(0)]
            parameter = Parameter(element.Type(value.dtype), value.shape, name=name)
            self.parameters.append(parameter)
            return parameter
        return node.clone_with_new_inputs(
            [self.outputs[value.source] for value in node.inputs], name=name
        )


def unique_names(outputs: Iterable[Output]) -> list[str]:
    """The name of each output, whose node has a number where the name is taken."""
    names: dict[Output, str] = {}
    unique = UniqueNames("#", 2)
    listed = list(outputs)
    for output in listed:
        if output not in names:
            names |= names_of_outputs(output.node, unique)
    return [names[output] for output in listed]


def names_of_outputs(node: Node, unique: UniqueNames) -> dict[Output, str]:
    """Names of a node's outputs, `x` or `norm.mean`, which no other node and no output has."""
    outputs = node.outputs
    name = unique.new(node.friendly_name)
    if len(outputs) == 1:
        return {outputs[0]: name}
    names = [f"{name}.{output.name}" for output in outputs]
    while not unique.taken.isdisjoint(names):
        name = unique.new(node.friendly_name)
        names = [f"{name}.{output.name}" for output in outputs]
    unique.taken.update(names)
    return dict(zip(outputs, names, strict=True))


def is_shown(node: Node) -> bool:
    """Whether the table has a row: not for what only repeats another row."""
    is_trivial = node.type_name in TRANSPARENT or isinstance(node, Constant)
    return chosen_name(node) is not None or not is_trivial


def array_type(value: Array) -> str:
    return f"{element.Type(value.dtype)}{{{','.join(map(str, value.shape))}}}"


def summary(value: Array) -> str:
    """A few values, or the range and the mean of many, and how many are not finite."""
    numbers = np.asarray(value, np.float64).reshape(-1)
    if numbers.size <= MOST_VALUES:
        return ", ".join(f"{number:.4g}" for number in numbers) or "nothing"
    finite = numbers[np.isfinite(numbers)]
    texts = []
    if finite.size:
        with np.errstate(over="ignore"):
            mean = finite.mean()
        if np.isinf(mean):
            mean = (finite / finite.size).sum()
        texts.append(f"{finite.min():.4g} to {finite.max():.4g}, mean {mean:.4g}")
    if finite.size < numbers.size:
        texts.append(f"{numbers.size - finite.size} not finite")
    return ", ".join(texts)
