"""Reading a graph of another program, as far as the other program's format does not matter.

normgraph has no op that reshapes, transposes or repeats by itself. A reader keeps book of that: a
View says where the axes of a normgraph value stand in a value of the other program's graph, which
may have them in another order and has axes of its own, along which the value is repeated. Builder
makes nodes of such views; a Broadcast is written where two of them meet.

What normgraph has no op for is a Refusal. A reader collects them, statement by statement, and
raises all of them as one NotImportableError.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._core import (
    Constant,
    Dimension,
    Function,
    Node,
    NodeValidationFailure,
    Output,
    Parameter,
    PartialShape,
    element,
)
from .attributes import HUGE, MOST_AXES, number_of_bytes
from .errors import NotImportableError
from .graph_writer import rounded_once
from .names import chosen_name

#: Bytes of all constants that are made only for their shape, or from others of the graph, beyond as
#: many as the graph's own constants have.
MOST_NEW_BYTES = 2**26

#: The longest that an axis can be.
LONGEST = HUGE - 2

#: The element types of which each is exact in those that follow it.
WIDER = {"f16": ("f32", "f64"), "bf16": ("f32", "f64"), "f32": ("f64",), "f64": ()}

#: What computes 16-bit numbers in f32 and rounds once.
ELEMENT_WISE = (
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "Negate",
    "SquareRoot",
    "Relu",
    "ReluBackprop",
    "Broadcast",
    "SelectWhere",
)

#: Inputs that have another type than those that are computed with.
OTHER_INPUTS = ("like", "where")

REDUCTIONS = ("Sum", "Mean")

#: What computes everything in double and rounds once.
IN_DOUBLE = (*REDUCTIONS, "MatrixMultiply")


class Refusal(Exception):
    """The reason why a statement has no form in normgraph."""


class Refusals:
    """The reasons that have been found, each behind its place."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, place: str, reason: str) -> None:
        self.lines.append(f"{place}: {reason}")

    def take_back(self, index: int) -> None:
        """Forget a line: what follows has shown that it is a part of something that is known."""
        self.lines[index] = ""

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Keeps a Refusal that is raised inside."""
        try:
            yield
        except Refusal as refusal:
            self.add(place, str(refusal))

    def check(self) -> None:
        """Raise NotImportableError if there are any."""
        lines = [line for line in self.lines if line]
        if lines:
            raise NotImportableError(lines)


class View(NamedTuple):
    """A value of the graph that is read, as one of normgraph whose axes stand in it.

    Axis i of `output` is axis `axes[i]`. Along all others, whose lengths are 1 or known by what
    made them, the value is repeated.
    """

    output: Output
    axes: tuple[int, ...]
    lengths: tuple[Dimension, ...]

    @property
    def rank(self) -> int:
        return len(self.lengths)

    @property
    def type(self) -> element.Type:
        return self.output.element_type

    @property
    def shape(self) -> PartialShape:
        return PartialShape(self.lengths)

    @property
    def constant(self) -> Constant | None:
        """The constant that this is, if it is one."""
        node = self.output.node
        return node if isinstance(node, Constant) else None


class Comparison(NamedTuple):
    """Where a value lies at or beyond a number: what selects, and is no value of normgraph."""

    value: View
    is_upper: bool
    number: float


def view_of(output: Output) -> View:
    """A value as it is. Raises Refusal where its rank is not known."""
    shape = output.partial_shape
    if shape.rank.is_dynamic:
        raise Refusal("expected a known rank, got a value of any rank")
    return View(output, tuple(range(len(shape))), tuple(shape))


def static(length: Dimension) -> int | None:
    """The length, None if it is not known."""
    return length.length if length.is_static else None


def axis_of(number: int, rank: int) -> int:
    """An axis counted from the first. Raises Refusal for one out of range."""
    if not -rank <= number < rank:
        raise Refusal(f"expected an axis from {-rank} to {rank - 1}, got {number}")
    return number % rank


def axes_of(numbers: Iterable[int], rank: int) -> list[int]:
    """Different axes, counted from the first. Raises Refusal."""
    axes = [axis_of(number, rank) for number in numbers]
    if len(set(axes)) != len(axes):
        raise Refusal(f"expected different axes, got {axes}")
    return axes


def unwidened(output: Output) -> Output:
    """What a Convert to a wider type has widened, else the value itself."""
    node = output.node
    if node.type_name != "Convert":
        return output
    source = node.input(0).source
    return source if output.element_type.name in WIDER.get(source.element_type.name, ()) else output


class Builder:
    """Makes the nodes of a function."""

    def __init__(self) -> None:
        #: What may still be made that the graph has not, in bytes of constants.
        self.bytes_left = MOST_NEW_BYTES
        # As keys, outputs are the same only as long as their Python objects live.
        self.by_shape: dict[tuple[int, ...], Output] = {}
        self.origins: dict[Output, tuple[tuple[Output, int], ...]] = {}
        self.made: dict[Any, Node] = {}

    # ---- nodes -----------------------------------------------------------------------------------

    def construct(self, op: str, *inputs: Output, **attributes: Any) -> Node:
        """A node of this op: the same one for the same inputs. Raises Refusal."""
        key = (op, inputs, tuple(attributes.items()))
        if key not in self.made:
            constructor: Any = getattr(_core.op, op)
            try:
                node: Node = constructor(*inputs, **attributes)
            except NodeValidationFailure as failure:
                # Without the first line, which names a node that there is not.
                lines = str(failure).splitlines()[1:]
                raise Refusal(" ".join(line.strip() for line in lines)) from None
            self.made[key] = node
            for output in node.outputs:
                self.know(output)
            self.keep_origins(node)
        return self.made[key]

    def call(self, view: View, name: str) -> None:
        """Give the node that has made a view this name, unless it has one."""
        node = view.output.node
        is_source = isinstance(node, (Constant, Parameter))
        if name and not is_source and chosen_name(node) is None:
            node.friendly_name = name

    def parameter(self, name: str, type_: element.Type, shape: Sequence[int | None]) -> View:
        """A new parameter. Raises Refusal."""
        check_lengths(length for length in shape if length is not None)
        check_number_of_axes(len(shape))
        node = Parameter(type_, list(shape), name=name)
        self.know(node.output(0))
        return view_of(node.output(0))

    def constant(
        self, type_: element.Type, shape: Sequence[int], data: bytes, name: str | None = None
    ) -> View:
        """A constant of the graph, of bytes in this machine's order. Raises Refusal."""
        view = self.new_constant(type_, shape, data, name)
        # Each may be reshaped or transposed once.
        self.bytes_left += len(data)
        return view

    def new_constant(
        self, type_: element.Type, shape: Sequence[int], data: bytes, name: str | None
    ) -> View:
        check_number_of_axes(len(shape))
        check_lengths(shape)
        expected = number_of_bytes(type_, list(shape))
        if expected != len(data):
            size = f"{expected} bytes" if expected < HUGE else "more bytes than there can be"
            tensor = f"{type_}{PartialShape(list(shape))}"
            raise Refusal(f"expected {size}, as {tensor} has, got {len(data)}")
        node = Constant.from_bytes(type_, list(shape), data, name=name)
        self.know(node.output(0))
        return view_of(node.output(0))

    def copied(self, constant: Constant, shape: Sequence[int], data: bytes) -> View:
        """A constant of the same name in another shape or order. Raises Refusal."""
        self.take_bytes(len(data))
        return self.new_constant(constant.element_type, shape, data, chosen_name(constant))

    def scalar(self, number: float, type_: element.Type) -> View:
        """A number, rounded to a real type."""
        rounded = np.float64(rounded_once(number, type_.name))
        if type_.name == "bf16":
            data = (
                (np.float32(rounded).view(np.uint32) >> np.uint32(16)).astype(np.uint16).tobytes()
            )
        else:
            data = rounded.astype(type_.dtype).tobytes()
        key = ("number", type_, data)
        if key not in self.made:
            self.made[key] = Constant.from_bytes(type_, [], data)
        return view_of(self.made[key].output(0))

    def know(self, output: Output) -> None:
        """Remember a value of this shape, along which others can be repeated."""
        if output.partial_shape.is_static:
            lengths = tuple(length.length for length in output.partial_shape)
            self.by_shape.setdefault(lengths, output)

    def keep_origins(self, node: Node) -> None:
        """Remember where the lengths of a node's first output are from."""
        inputs = {value.name: value.source for value in node.inputs}
        if node.type_name in REDUCTIONS:
            whole = self.origins_of(inputs["value"])
            found = tuple(whole[axis] for axis in node.attributes["kept_axes"])
        elif node.type_name == "MatrixMultiply":
            rows = int(node.attributes["transpose_left"])
            columns = 1 - int(node.attributes["transpose_right"])
            left, right = self.origins_of(inputs["left"]), self.origins_of(inputs["right"])
            found = left[rows], right[columns]
        else:
            # The same tuple, so that long shapes of many values take no more memory than one.
            found = self.origins_of(inputs.get("like", next(iter(inputs.values()))))
        self.origins[node.output(0)] = found

    def origins_of(self, output: Output) -> tuple[tuple[Output, int], ...]:
        """For each axis, the first value that has had its length, and the axis there."""
        if output not in self.origins:
            rank = len(output.partial_shape)
            self.origins[output] = tuple((output, axis) for axis in range(rank))
        return self.origins[output]

    # ---- views -----------------------------------------------------------------------------------

    def transposed(self, view: View, order: Sequence[int]) -> View:
        """The axes in another order: axis i of the result is axis `order[i]`. Raises Refusal."""
        order = axes_of(order, view.rank)
        if len(order) != view.rank:
            raise Refusal(f"expected an order of {view.rank} axes, got {order}")
        places = tuple(order.index(axis) for axis in view.axes)
        return View(view.output, places, tuple(view.lengths[axis] for axis in order))

    def unsqueezed(self, view: View, axes: Iterable[int]) -> View:
        """New axes of length 1, at these places of the result. Raises Refusal."""
        numbers = list(axes)
        rank = view.rank + len(numbers)
        check_number_of_axes(rank)
        new = axes_of(numbers, rank)
        old = [axis for axis in range(rank) if axis not in new]
        lengths = [Dimension(1)] * rank
        for axis, length in zip(old, view.lengths, strict=True):
            lengths[axis] = length
        return View(view.output, tuple(old[axis] for axis in view.axes), tuple(lengths))

    def squeezed(self, view: View, axes: Iterable[int]) -> View:
        """Without these axes, whose length is 1. Raises Refusal."""
        gone = axes_of(axes, view.rank)
        for axis in gone:
            if static(view.lengths[axis]) != 1:
                raise Refusal(f"axis {axis} of {view.shape}: expected length 1 to remove")
        view = self.without_ones(view, gone)
        left = [axis for axis in range(view.rank) if axis not in gone]
        places = tuple(left.index(axis) for axis in view.axes)
        return View(view.output, places, tuple(view.lengths[axis] for axis in left))

    def reshaped(self, view: View, lengths: Sequence[int]) -> View:
        """Another shape that differs in axes of length 1 only, of a constant any.

        Raises Refusal.
        """
        check_number_of_axes(len(lengths))
        check_lengths(lengths)
        kept = [static(length) for length in view.lengths if static(length) != 1]
        if kept == [length for length in lengths if length != 1]:
            return self.with_ones_at(
                view, [axis for axis, length in enumerate(lengths) if length == 1]
            )
        constant = self.folded(view)
        if constant is None or math.prod(constant.shape) != math.prod(lengths):
            raise refused_shape(view, PartialShape(list(lengths)))
        return self.copied(constant, lengths, constant.attributes["data"])

    def with_ones_at(self, view: View, axes: Sequence[int]) -> View:
        """The same value with axes of length 1 at these places of the result, and no others."""
        ones = [axis for axis, length in enumerate(view.lengths) if static(length) == 1]
        return view if ones == list(axes) else self.unsqueezed(self.squeezed(view, ones), axes)

    def without_ones(self, view: View, axes: Iterable[int]) -> View:
        """The same value, with these axes, of length 1, no more in the output.

        A sum of one element takes them away; that of −0 is +0.
        """
        gone = [place for place, axis in enumerate(view.axes) if axis in set(axes)]
        if not gone:
            return view
        kept = [place for place in range(len(view.axes)) if place not in gone]
        left = tuple(view.axes[place] for place in kept)
        constant = view.constant
        if constant is not None:
            shape = [constant.shape[place] for place in kept]
            small = self.copied(constant, shape, constant.attributes["data"])
            return view._replace(output=small.output, axes=left)
        if not view.type.is_real:
            raise Refusal(
                "expected a real element type, or a constant, to lose axes of length 1, got "
                f"{view.type}"
            )
        return view._replace(output=self.reduction("Sum", view.output, kept), axes=left)

    def settled(self, view: View) -> View:
        """A repeated view as a Broadcast, if there is a value of its shape."""
        is_repeated = any(
            axis not in view.axes and static(length) != 1
            for axis, length in enumerate(view.lengths)
        )
        if not is_repeated or view.shape.is_dynamic or list(view.axes) != sorted(view.axes):
            return view
        like = self.by_shape.get(tuple(self.known_lengths(view.lengths)))
        return view if like is None else self.along(view, like)

    def along(self, view: View, like: Output) -> View:
        """A view repeated along a value of its own shape, in whose order its axes are."""
        if view.axes == tuple(range(view.rank)):
            return view
        delta = self.divided(view.output, repetitions(view))
        op, value = ("Broadcast", view.output) if delta is None else ("MeanBackprop", delta)
        return view_of(self.construct(op, value, like, axes=view.axes).output(0))

    def divided(self, output: Output, count: int | None) -> Output | None:
        """What has been divided in double by this number, None if nothing has been."""
        if count is None:
            # The quotient by what is not known either may be any.
            return None
        quotient = output.node
        if quotient.type_name == "Convert":
            quotient = quotient.input(0).source.node
        if quotient.type_name != "Divide" or quotient.output(0).element_type != element.f64:
            return None
        delta = quotient.input("left").source
        delta = delta if output.element_type == element.f64 else unwidened(delta)
        is_count = scalar_of(quotient.input("right").source) == count
        return delta if is_count and delta.element_type == output.element_type else None

    def repeated(self, view: View, lengths: Sequence[Dimension]) -> View:
        """A value whose axes of length 1 become as long as the shape says. Raises Refusal."""
        view = self.with_rank(view, len(lengths))
        common = [
            common_length(axis, [own, other])
            for axis, (own, other) in enumerate(zip(view.lengths, lengths, strict=True))
        ]
        grown = [
            axis for axis in range(view.rank) if static(view.lengths[axis]) == 1 != common[axis]
        ]
        return self.without_ones(view, grown)._replace(lengths=tuple(common))

    def with_rank(self, view: View, rank: int) -> View:
        """Axes of length 1 before the first one. Raises Refusal for a rank that is too small."""
        if view.rank > rank:
            raise Refusal(f"expected at most {rank} axes, got {view.shape}")
        return view if view.rank == rank else self.unsqueezed(view, range(rank - view.rank))

    def whole(self, view: View) -> Output:
        """A view as a value of normgraph that has all its axes in their order. Raises Refusal."""
        if view.axes == tuple(range(view.rank)):
            return view.output
        constant = self.folded(view)
        if constant is not None:
            return constant.output(0)
        if list(view.axes) != sorted(view.axes):
            raise Refusal(
                f"expected axes in the order that they have in '{view.output.node.friendly_name}', "
                f"got {list(view.axes)}: normgraph has no op that transposes"
            )
        return self.along(view, self.like(view.lengths)).output

    def folded(self, view: View) -> Constant | None:
        """A constant with all the axes in their order; None if this is none. Raises Refusal."""
        constant = view.constant
        if constant is None or view.axes == tuple(range(view.rank)):
            return constant
        lengths = self.known_lengths(view.lengths)
        size = constant.element_type.size
        self.check_bytes(number_of_bytes(constant.element_type, lengths))
        elements = np.frombuffer(constant.attributes["data"], f"V{size}").reshape(constant.shape)
        order = sorted(range(len(view.axes)), key=view.axes.__getitem__)
        shape = [lengths[axis] if axis in view.axes else 1 for axis in range(view.rank)]
        moved = elements.transpose(order).reshape(shape)
        return self.copied(constant, lengths, np.broadcast_to(moved, lengths).tobytes()).constant

    def known_lengths(self, lengths: Sequence[Dimension]) -> list[int]:
        known = [length.length for length in lengths if length.is_static]
        if len(known) != len(lengths):
            raise Refusal(
                f"expected another value of the shape {PartialShape(list(lengths))} to repeat this "
                "one along, or lengths that are known"
            )
        return known

    def check_bytes(self, count: int) -> None:
        """Raise Refusal where constants that are made anew would become too large."""
        if count > self.bytes_left:
            size = str(count) if count < HUGE else "more than there can be"
            raise Refusal(
                f"expected at most {self.bytes_left} bytes more in constants that the graph "
                f"itself has not, got {size}"
            )

    def take_bytes(self, count: int) -> None:
        self.check_bytes(count)
        self.bytes_left -= count

    def like(self, lengths: Sequence[Dimension]) -> Output:
        """Some value of this shape. Raises Refusal where there is none."""
        known = self.known_lengths(lengths)
        if tuple(known) not in self.by_shape:
            self.take_bytes(number_of_bytes(element.u8, known))
            self.new_constant(element.u8, known, bytes(math.prod(known)), None)
        return self.by_shape[tuple(known)]

    # ---- what is computed ------------------------------------------------------------------------

    def aligned(self, *views: View) -> tuple[list[Output], View]:
        """Values of one shape for views whose axes of length 1 are repeated as numpy does.

        Also gives the view that a result of this shape has, with an output that has no meaning. A
        length that is not known is taken to be that of the others. Raises Refusal.
        """
        rank = max(view.rank for view in views)
        views = tuple(self.with_rank(view, rank) for view in views)
        lengths = tuple(
            common_length(axis, [view.lengths[axis] for view in views]) for axis in range(rank)
        )
        views = tuple(
            self.without_ones(
                view,
                [axis for axis in view.axes if static(view.lengths[axis]) == 1 != lengths[axis]],
            )
            for view in views
        )
        axes, like = self.target(views, lengths)
        outputs = [self.placed(view, axes, like) for view in views]
        return outputs, View(outputs[0], axes, lengths)

    def target(
        self, views: Sequence[View], lengths: Sequence[Dimension]
    ) -> tuple[tuple[int, ...], Output]:
        """The axes, in the order of a result, that the views have together; a value of them."""
        together = {axis for view in views for axis in view.axes}
        # A constant can be transposed, all else cannot.
        for view in sorted(views, key=lambda view: view.constant is not None):
            if set(view.axes) == together:
                return view.axes, view.output
        axes = tuple(sorted(together))
        return axes, self.like([lengths[axis] for axis in axes])

    def placed(self, view: View, axes: tuple[int, ...], like: Output) -> Output:
        """A view repeated along a value whose axes these are."""
        if view.axes == axes:
            return view.output
        places = [axes.index(axis) for axis in view.axes]
        output = view.output
        if places != sorted(places):
            lengths = tuple(output.partial_shape)
            order = sorted(range(len(places)), key=places.__getitem__)
            ranks = tuple(order.index(place) for place in range(len(places)))
            moved = View(output, ranks, tuple(lengths[place] for place in order))
            output = self.whole(moved)
            places.sort()
        if len(places) == len(axes):
            return output
        return self.construct("Broadcast", output, like, axes=tuple(places)).output(0)

    def element_wise(self, op: str, *views: View, **attributes: Any) -> View:
        """An element-wise op on views, which are repeated to one shape. Raises Refusal."""
        outputs, result = self.aligned(*views)
        output = self.in_double(op, outputs)
        if output is None:
            output = self.construct(op, *outputs, **attributes).output(0)
        return result._replace(output=output)

    def in_double(self, op: str, outputs: Sequence[Output]) -> Output | None:
        """A sum or mean for an element-wise op in f64 that is a part of its definition."""
        if len(outputs) != 2 or outputs[0].element_type != element.f64:
            return None
        number = scalar_of(outputs[1])
        if op == "Divide" and number is not None:
            return self.mean(outputs[0], number)
        if op == "Add" and number == 0 and math.copysign(1, number) == 1:
            # The sum along no axis, which makes +0 of -0.
            return self.reduction("Sum", outputs[0], range(len(outputs[0].partial_shape)))
        return None

    def mean(self, total: Output, count: float) -> Output | None:
        """The mean, for a sum in f64 over the number of its elements."""
        node = total.node
        if node.type_name != "Sum":
            return None
        value, kept = node.input(0).source, node.attributes["kept_axes"]
        gone = [length for axis, length in enumerate(value.partial_shape) if axis not in kept]
        if any(length.is_dynamic for length in gone):
            return None
        terms = math.prod(length.length for length in gone)
        return self.reduction("Mean", value, kept) if terms == count else None

    def convert(self, view: View, type_: element.Type) -> View:
        """A view in another real type. Raises Refusal.

        What computes in a wider type and is rounded once, as the ops themselves do, becomes the op
        in its own type.
        """
        if view.type == type_:
            return view
        output = self.narrowed(view.output, type_)
        if output is None:
            output = self.construct("Convert", view.output, element_type=type_).output(0)
        return view._replace(output=output)

    def narrowed(self, output: Output, type_: element.Type) -> Output | None:
        """The value in a narrower type if it is one that has been widened, or computed so."""
        narrow = unwidened(output)
        if narrow is not output:
            return narrow if narrow.element_type == type_ else None
        node, wide = output.node, output.element_type.name
        is_rounded_once = (
            node.type_name in ELEMENT_WISE and type_.size == 2 and wide == "f32"
        ) or (node.type_name in IN_DOUBLE and wide == "f64" and type_.is_real)
        if not is_rounded_once:
            return None
        others = {value.name: value.source for value in node.inputs if value.name in OTHER_INPUTS}
        sources = [
            unwidened(value.source) for value in node.inputs if value.name not in OTHER_INPUTS
        ]
        if any(source.element_type != type_ for source in sources):
            return None
        if "like" in others:
            view = view_of(others["like"])._replace(axes=node.attributes["axes"])
            return self.along(view._replace(output=sources[0]), others["like"]).output
        inputs = (*sources, *others.values())
        return self.construct(node.type_name, *inputs, **node.attributes).output(0)

    def reduction(self, op: str, output: Output, kept: Iterable[int]) -> Output:
        return self.construct(op, output, kept_axes=tuple(kept)).output(0)

    def reduced(self, op: str, view: View, axes: Iterable[int], keeps: bool) -> View:
        """Sum or Mean along axes, which stay with length 1 or do not. Raises Refusal."""
        gone = axes_of(axes, view.rank)
        if any(axis not in view.axes and static(view.lengths[axis]) != 1 for axis in gone):
            view = view_of(self.whole(view))
        kept = [place for place, axis in enumerate(view.axes) if axis not in gone]
        output = view.output
        if len(kept) < len(view.axes):
            output = self.reduction(op, output, kept)
        lengths = tuple(
            Dimension(1) if axis in gone else length for axis, length in enumerate(view.lengths)
        )
        result = View(output, tuple(view.axes[place] for place in kept), lengths)
        return result if keeps else self.squeezed(result, gone)

    def product(self, left: View, right: View) -> View:
        """The product of two matrices, either of which may be transposed. Raises Refusal."""
        flags = []
        outputs = []
        for view in (left, right):
            if view.rank != 2:
                raise Refusal(f"expected two matrices, got {left.shape} and {right.shape}")
            is_transposed = view.axes == (1, 0)
            outputs.append(view.output if is_transposed else self.whole(view))
            flags.append(is_transposed)
        node = self.construct(
            "MatrixMultiply", *outputs, transpose_left=flags[0], transpose_right=flags[1]
        )
        return view_of(node.output(0))

    # ---- ReLU ------------------------------------------------------------------------------------

    def selected(self, condition: Comparison, number: float, other: View) -> View:
        """A number where a value lies at or beyond another, else the other value there.

        These are steps of a ReLU or of its gradient: 0 at or below 0, the bound or 0 at or above
        the bound. Raises Refusal for all else.
        """
        outputs, result = self.aligned(condition.value, other)
        value, inside = outputs
        if not condition.is_upper:
            output = self.lower_end(condition, number, value, inside)
        else:
            output = self.upper_end(condition, number, value, inside)
        return result._replace(output=output)

    def lower_end(
        self, condition: Comparison, number: float, value: Output, inside: Output
    ) -> Output:
        if condition.number != 0 or number != 0:
            raise Refusal(
                "expected a ReLU, 0 where a value is at most 0, "
                f"got {number} where it is at most {condition.number}"
            )
        if value == inside:
            return self.construct("Relu", value).output(0)
        return self.construct("ReluBackprop", value, inside).output(0)

    def upper_end(
        self, condition: Comparison, number: float, value: Output, inside: Output
    ) -> Output:
        bound = condition.number
        lower = unwidened(inside).node
        inputs = [item.source for item in lower.inputs]
        is_step = (
            lower.type_name in ("Relu", "ReluBackprop")
            and lower.attributes.get("upper_bound") is None
            and unwidened(inputs[0]) == unwidened(value)
            and number == (bound if lower.type_name == "Relu" else 0)
            and rounded_once(bound, lower.output(0).element_type.name) == bound
        )
        if not is_step:
            raise Refusal(
                "expected a ReLU's bound, where 0 has been put in place of what is at most 0, "
                f"got {number} where a value is at least {bound}"
            )
        bounded = self.construct(lower.type_name, *inputs, upper_bound=bound).output(0)
        if bounded.element_type == inside.element_type:
            return bounded
        return self.construct("Convert", bounded, element_type=inside.element_type).output(0)

    # ---- the function ----------------------------------------------------------------------------

    def function(
        self, results: Sequence[Output], parameters: Sequence[View], name: str | None
    ) -> Function:
        """The function with these results."""
        nodes: list[Any] = [view.output.node for view in parameters]
        return Function(list(results), nodes, name=name or None)


def scalar_of(output: Output) -> float | None:
    """The number that a value in f64 is everywhere, if it is a constant, or one repeated."""
    node = output.node
    if node.type_name == "Broadcast":
        node = node.input(0).source.node
    if not isinstance(node, Constant) or node.shape != () or node.element_type != element.f64:
        return None
    return float(node.array().item())


def repetitions(view: View) -> int | None:
    """How many times each element is repeated, None if that is not known."""
    lengths = [static(length) for axis, length in enumerate(view.lengths) if axis not in view.axes]
    return (
        None if None in lengths else math.prod(length for length in lengths if length is not None)
    )


def check_lengths(lengths: Iterable[int]) -> None:
    """Raise Refusal for what no length of an axis can be."""
    for length in lengths:
        if not 0 <= length <= LONGEST:
            raise Refusal(f"expected lengths from 0 to {LONGEST}, got {length}")


def check_number_of_axes(rank: int) -> None:
    """Raise Refusal for more axes than an array can have."""
    if rank > MOST_AXES:
        raise Refusal(f"expected at most {MOST_AXES} axes, got {rank}")


def refused_shape(view: View, wanted: object) -> Refusal:
    """The refusal of a shape that needs more than axes of length 1."""
    return Refusal(
        "expected a shape that differs in axes of length 1 only, "
        f"got {view.shape} to become {wanted}"
    )


def common_length(axis: int, lengths: Sequence[Dimension]) -> Dimension:
    """The length that others become where 1 is repeated. Raises Refusal."""
    longer = [length for length in lengths if static(length) != 1]
    known = [length for length in longer if length.is_static]
    if any(length != known[0] for length in known):
        texts = " and ".join(str(static(length)) for length in known)
        raise Refusal(f"axis {axis}: expected equal lengths, or 1, got {texts}")
    return (known or longer or [Dimension(1)])[0]
