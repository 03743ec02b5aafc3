"""A Function of a program of StableHLO.

An operation is read by the rule of its name. What normgraph has no value for, such as a condition,
is no fault yet: it may be part of an op. Its fault is told when something reads it as a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, TypeAlias

import numpy as np

from ..._core import Dimension, Function, Parameter
from .. import conditions
from ..arguments import path_of, refuse
from ..attributes import ELEMENT_TYPES
from ..conditions import Condition, condition_of
from ..errors import NotImportableError
from ..graph_reader import Builder, Comparison, Refusal, Refusals, View, view_of
from ..names import printable
from ..products import Product
from .lengths import ASSERTION, Lengths
from .patterns import (
    Mask,
    MatrixProduct,
    Reduction,
    Share,
    Threshold,
    bound_of,
    channel_axis,
    is_product,
    is_zero,
    made_by,
    mask_in_condition,
    mask_of,
    product_of,
    root_of,
    rounded_product,
    rounded_reduction,
    share_of,
    sum_of,
    threshold,
)
from .program import Elements, Length, Operation, Program, Value, read_program
from .scalars import Number, folded, number_of_constant

#: A constant whose elements are equal is copied up to this many elements; beyond, it is a scalar
#: that is repeated, so that a short text cannot ask for any amount of memory.
MOST_COPIED = 2**16


def load(path: str | PathLike[str]) -> Function:
    """Read a function from a file of StableHLO. See loads; raises OSError as open does."""
    return loads(path_of(path).read_bytes())


def loads(data: str | bytes) -> Function:
    """A function of a program of StableHLO: text in either of MLIR's forms, or a portable artifact.

    The package jaxlib parses and verifies it. The function is that of main, with the functions that
    it calls in place of the calls; if there is no main, that of the only function. Its parameters
    are called as the arguments are. What dumps writes gives the same function again, apart from
    what the text does not say: what other programs call by other names, such as
    maximum(x, 0) for Relu, gives the op of normgraph.

    Lengths that are not known, and bounds of them, become those of the parameters; what jax.export
    makes of symbolic shapes is read, without its assertions. What adds in the elements' own type in
    StableHLO, such as reduce, adds in double here. A boolean that is given selects from a value and
    0, as SelectWhere does.

    Raises TypeError for what is neither str nor bytes, ImportError without jaxlib, FormatError with
    what its parser says of a malformed text, and NotImportableError, which lists each of them with
    its place, for operations, attributes and types that normgraph has not.
    """
    if isinstance(data, str):
        data = data.encode(errors="surrogatepass")
    elif not isinstance(data, bytes):
        refuse("data", "a string or bytes", data)
    refusals = Refusals()
    program = read_program(data, refusals.add)
    return Reader(refusals).function_of(program)


class Partial(Refusal):
    """An operation is no value of normgraph; it may be part of an op."""


class Unfounded(Exception):
    """An operation reads what has been refused; that is all that is wrong with it."""


class Reader:
    """Makes nodes of operations, and collects what is refused."""

    def __init__(self, refusals: Refusals) -> None:
        self.refusals = refusals
        self.builder = Builder()
        self.views: dict[Value, View] = {}
        #: Booleans that are negated or repeated, also as 0 and 1 in integers: no values either.
        self.conditions: dict[Value, Condition] = {}
        self.lengths = Lengths(self.builder)
        #: Place and reason of what is no value, None once that has been told.
        self.faults: dict[Value, tuple[str, str] | None] = {}
        self.told: set[tuple[str, str]] = set()
        #: What the results of the operation are called.
        self.wish = ""

    def function_of(self, program: Program) -> Function:
        """The function. Raises NotImportableError."""
        for index, argument in enumerate(program.arguments):
            with self.refusals.at(f"argument {index} of main"):
                self.faults[argument.value] = None
                self.add_parameter(argument.value, argument.name)
        for operation in program.operations:
            self.read(operation)
        results = []
        for index, value in enumerate(program.results):
            with self.refusals.at(f"result {index} of main"):
                try:
                    results.append(self.builder.whole(self.view(value)))
                except Unfounded:
                    continue
        self.refusals.check()
        parameters = [self.views[argument.value] for argument in program.arguments]
        try:
            return self.builder.function(results, parameters, program.name)
        except Refusal as refusal:
            raise NotImportableError([f"main: {refusal}"]) from None

    def add_parameter(self, value: Value, name: str | None) -> None:
        check_type(value)
        output = Parameter(value.element, list(value.shape), name).output(0)
        self.builder.know(output)
        self.views[value] = view_of(output)

    # ---- operations ------------------------------------------------------------------------------

    def read(self, operation: Operation) -> None:
        """Make views of an operation's results, or keep why there are none."""
        self.wish = operation.wish or ""
        fault = None
        try:
            check_is_known(operation)
            if len(operation.results) == 1:
                operation.results[0].number = folded(operation)
            if not self.hands_on_a_fault(operation):
                RULES[operation.name](self, operation)
            return
        except Partial as refusal:
            fault = operation.place, f"{operation.name}: {refusal}"
        except Refusal as refusal:
            self.tell((operation.place, f"{operation.name}: {refusal}"))
        except Unfounded:
            pass
        self.faults |= dict.fromkeys(operation.results, fault)

    def hands_on_a_fault(self, operation: Operation) -> bool:
        """Whether it gives another shape to what is no value; both may be parts of an op."""
        if operation.name not in SHAPING or operation.results[0].number is not None:
            return False
        value = root_of(operation.operands[0])
        if value.number is not None or value in self.views or value in self.conditions:
            return False
        if value in self.lengths.products:
            self.lengths.products[operation.results[0]] = self.lengths.products[value]
        self.faults[operation.results[0]] = self.faults[value]
        return True

    def tell(self, fault: tuple[str, str]) -> None:
        if fault not in self.told:
            self.told.add(fault)
            self.refusals.add(*fault)

    # ---- views -----------------------------------------------------------------------------------

    def view(self, value: Value) -> View:
        """A value as one of normgraph. Raises Unfounded after its fault has been told."""
        value = root_of(value)
        if value not in self.views and value.number is not None:
            scalar = self.scalar(value.number, value.element)
            self.views[value] = View(scalar.output, (), dimensions(value))
        if value not in self.views and self.lengths.is_unknown(value):
            self.count(value)
        if value in self.views:
            return self.views[value]
        fault = self.faults[value]
        if fault is not None:
            self.tell(fault)
        raise Unfounded

    def views_of(self, values: Sequence[Value]) -> list[View]:
        """All of them, or Unfounded after all faults have been told."""
        found = []
        for value in values:
            try:
                found.append(self.view(value))
            except Unfounded:
                continue
        if len(found) < len(values):
            raise Unfounded
        return found

    def give(self, value: Value, view: View) -> None:
        """Make a value a view, if it has the value's type."""
        fits = len(view.lengths) == value.rank and all(
            not isinstance(known, int) or length.is_dynamic or length.length == known
            for length, known in zip(view.lengths, value.shape, strict=True)
        )
        if not fits or view.type.name != value.element:
            raise Refusal(
                f"expected {view.type}{view.shape}, as normgraph infers, got {value.type.text}"
            )
        if len(view.axes) == value.rank:
            self.builder.call(view, self.wish)
        self.views[value] = view

    def alias(self, value: Value, other: Value) -> None:
        """Make a value another name of one."""
        root = root_of(other)
        value.same = root
        value.number = root.number if value.number is None else value.number
        root.uses += value.uses - 1

    def scalar(self, number: Number, element: str, name: str | None = None) -> View:
        data = np.asarray(number, ELEMENT_TYPES[element].dtype).tobytes()
        return self.builder.constant(ELEMENT_TYPES[element], [], data, name)

    # ---- booleans --------------------------------------------------------------------------------

    def condition(self, value: Value) -> Condition | None:
        """A boolean that is given, negated or repeated; None for all else."""
        value = root_of(value)
        if value in self.conditions:
            return self.conditions[value]
        return condition_of(self.views[value]) if value in self.views else None

    def give_condition(self, value: Value, condition: Condition) -> None:
        """Make a value a condition. Raises Partial: it is no value of normgraph, unless it is."""
        if not condition.is_negated and not condition.is_repeated and value.element == "boolean":
            self.give(value, condition.where)
            return
        self.conditions[value] = condition
        raise Partial(
            "expected it only as what selects: normgraph has no op that negates, repeats or counts "
            "booleans"
        )

    def negate_condition(self, operation: Operation) -> None:
        (value,), (result,) = operation.operands, operation.results
        condition = self.condition(value) if value.element == "boolean" else None
        if result.number is None and condition is not None:
            self.give_condition(result, condition.negated)
        else:
            self.part(operation)

    def broadcast_condition(self, operation: Operation, condition: Condition) -> None:
        (result,) = operation.results
        places = operation.attributes["broadcast_dimensions"]
        lengths = [Dimension(1)] * result.rank
        for axis, length in zip(places, condition.where.lengths, strict=True):
            lengths[axis] = length
        axes = tuple(places[axis] for axis in condition.where.axes)
        where = View(condition.where.output, axes, tuple(lengths))
        self.give_condition(result, condition._replace(where=where, lengths=dimensions(result)))

    # ---- lengths ---------------------------------------------------------------------------------

    def give_length(self, value: Value, length: Product) -> None:
        """Make a value a length. Raises Partial for one that is not known: it is no value."""
        if length.is_known:
            value.number = np.asarray(length.number, ELEMENT_TYPES[value.element].dtype)
            return
        self.lengths.products[value] = length
        raise Partial(
            "expected a length that is not known only where a value is repeated to it, and as a "
            "number in f32 or f64"
        )

    def count(self, value: Value) -> None:
        """Make a length a number that is computed, if it is one in a real type."""
        type_, length = ELEMENT_TYPES[value.element], self.lengths.of(value)
        if not type_.is_real or length is None:
            return
        number = self.lengths.as_value(length, type_)
        if number is not None:
            self.views[value] = View(number.output, (), dimensions(value))

    def dimension_size(self, operation: Operation) -> None:
        (value,), (result,) = operation.operands, operation.results
        view = self.views.get(root_of(value))
        length = (
            None if view is None else self.lengths.along(view, operation.attributes["dimension"])
        )
        if length is None:
            raise Partial("expected the length of an axis that a value has by itself")
        self.give_length(result, length)

    def compare(self, operation: Operation) -> None:
        if self.lengths.is_surely(operation):
            operation.results[0].number = np.asarray(True)
        self.part(operation)

    def assertion(self, operation: Operation) -> None:
        """What a program with symbolic shapes asks of its arguments."""
        if len(operation.operands) == 0 or len(operation.results) > 0:
            raise Refusal("expected a condition, and no results")
        self.lengths.assert_that(operation.operands[0])

    def quotient(self, operation: Operation) -> None:
        """A quotient; of a sum and the number of its elements, which is not known, the mean."""
        total, count = operation.operands
        if not self.lengths.is_unknown(count):
            self.element_wise("Divide", operation)
            return
        length = self.lengths.of(count)
        mean = None if length is None else self.lengths.mean_of(self.view(total), length)
        if mean is None:
            self.element_wise("Divide", operation)
        else:
            self.give(operation.results[0], mean)

    # ---- element by element ----------------------------------------------------------------------

    def element_wise(self, op: str, operation: Operation) -> None:
        (result,) = operation.results
        length = self.lengths.computed(op, operation.operands)
        if length is not None:
            self.give_length(result, length)
        elif ELEMENT_TYPES[result.element].is_real:
            views = self.views_of(operation.operands)
            self.give(result, self.builder.element_wise(op, *views))
        elif result.number is None:
            raise Partial(f"expected a real type, got {result.element}")

    def constant(self, operation: Operation) -> None:
        (result,) = operation.results
        elements = operation.attributes["value"]
        if not isinstance(elements, Elements):
            raise Refusal(f"value: expected dense elements, got {printable(elements)}")
        result.number = number_of_constant(elements, result.element)
        lengths = [length for length in result.shape if isinstance(length, int)]
        count = math.prod(lengths)
        if elements.is_splat and count > MOST_COPIED:
            scalar = self.scalar(result.number, result.element, operation.wish)
            self.give(result, View(scalar.output, (), dimensions(result)))
            return
        bits = elements.bits.repeat(count) if elements.is_splat else elements.bits
        type_ = ELEMENT_TYPES[result.element]
        self.give(result, self.builder.constant(type_, lengths, bits.tobytes(), operation.wish))

    def square(self, operation: Operation) -> None:
        view = self.view(operation.operands[0])
        self.give(operation.results[0], self.builder.element_wise("Multiply", view, view))

    def reciprocal_root(self, operation: Operation) -> None:
        """1 / √value."""
        root = self.builder.element_wise("SquareRoot", self.view(operation.operands[0]))
        one = self.builder.scalar(1.0, root.type)._replace(lengths=root.lengths)
        self.give(operation.results[0], self.builder.element_wise("Divide", one, root))

    def convert(self, operation: Operation) -> None:
        """A conversion, or an op that computes in f64 and is rounded by it."""
        (value,), (result,) = operation.operands, operation.results
        if value.element == result.element:
            self.alias(result, value)
            return
        if self.lengths.is_unknown(value) and result.element in LENGTH_TYPES:
            self.give_length(result, self.lengths.products[root_of(value)])
            return
        condition = self.condition(value)
        if not ELEMENT_TYPES[result.element].is_real:
            if condition is not None and result.number is None:
                self.give_condition(result, condition)
            raise Partial(f"expected a real type, got {result.element}")
        if condition is not None:
            numbers = conditions.as_numbers(self.builder, condition, ELEMENT_TYPES[result.element])
            self.give(result, numbers)
            return
        is_wide = value.element == "f64"
        reduction = rounded_reduction(value, result.element) if is_wide else None
        product = rounded_product(value, result.element) if is_wide else None
        if reduction is not None:
            self.reduce_to(result, reduction)
        elif product is not None:
            self.multiply_to(result, product)
        else:
            self.give(result, self.converted(self.view(value), result.element))

    def converted(self, view: View, element: str) -> View:
        if view.type.name == element:
            return view
        node = self.builder.construct("Convert", view.output, element_type=ELEMENT_TYPES[element])
        return view._replace(output=node.output(0))

    # ---- shapes ----------------------------------------------------------------------------------

    def broadcast(self, operation: Operation) -> None:
        """A value in a longer shape.

        It is repeated at once beside what has that shape, unless only axes of length 1 come, or it
        is part of a mask.
        """
        value, (result,) = operation.operands[0], operation.results
        places = operation.attributes["broadcast_dimensions"]
        if places == tuple(range(result.rank)) and value.shape == result.shape:
            self.alias(result, value)
            return
        condition = self.condition(value)
        if condition is not None:
            self.broadcast_condition(operation, condition)
            return
        view = self.view(value)
        stretched = self.stretched_axes(operation, view)
        share = None if stretched else self.share_for(value)
        view = self.builder.without_ones(view, stretched)
        view = View(view.output, tuple(places[axis] for axis in view.axes), dimensions(result))
        new = [length for axis, length in enumerate(result.shape) if axis not in view.axes]
        is_longer = any(length != 1 for length in new) and ELEMENT_TYPES[result.element].is_real
        like = self.like_of(result)
        if like is not None and is_longer and is_ascending(view.axes):
            view = self.repeated(view, like, share, new)
        self.give(result, view)

    def like_of(self, value: Value) -> Any:
        """Something that has a value's shape, if that is static."""
        return self.builder.by_shape.get(value.shape)  # type: ignore[arg-type]

    def repeated(self, view: View, like: Any, share: Share | None, new: Sequence[Length]) -> View:
        """A view beside a value of its shape; what is divided by how often is a mean's gradient."""
        axes = tuple(view.axes)
        if share is not None and is_product(share.divisor, new):
            delta = self.builder.whole(self.view(share.value))
            return view_of(self.builder.construct("MeanBackprop", delta, like, axes=axes).output(0))
        return view_of(self.builder.construct("Broadcast", view.output, like, axes=axes).output(0))

    def stretched_axes(self, operation: Operation, view: View) -> list[int]:
        """The axes of length 1 that the value has and the result has not."""
        value, (result,) = operation.operands[0], operation.results
        places = operation.attributes["broadcast_dimensions"]
        certain = operation.attributes.get("known_nonexpanding_dimensions", ())
        stretched = []
        for axis in view.axes:
            old, new = value.shape[axis], result.shape[places[axis]]
            if axis in certain or (isinstance(old, int) and (old == new or old != 1)):
                continue
            if old != 1 and self.has_length(operation, view, axis):
                continue
            if old != 1:
                raise Refusal(
                    f"expected to know whether axis {axis} is repeated, got {value.type.text} and "
                    f"{result.type.text}"
                )
            stretched.append(axis)
        return stretched

    def has_length(self, operation: Operation, view: View, axis: int) -> bool:
        """Whether a length that is not known is that which the program repeats this axis to."""
        if len(operation.operands) < 2:
            return False
        wanted = self.lengths.vector(operation.operands[1])
        place = operation.attributes["broadcast_dimensions"][axis]
        own = self.lengths.along(view, axis)
        return own is not None and place < len(wanted) and wanted[place] == own

    def share_for(self, value: Value) -> Share | None:
        """What a repeated value divides by a number, if nothing else reads it."""
        value = root_of(value)
        found = share_of(value) if value.uses == 1 else None
        return found if found is not None and len(self.view(value).axes) == value.rank else None

    def reshape(self, operation: Operation) -> None:
        (value,), (result,) = operation.operands, operation.results
        if value.shape == result.shape:
            self.alias(result, value)
            return
        lengths = [length for length in result.shape if isinstance(length, int)]
        if len(lengths) < result.rank:
            raise Partial(f"expected a shape that is known, got {result.type.text}")
        condition = self.condition(value)
        if condition is not None and condition.is_repeated:
            raise Partial(f"expected a boolean that is not repeated, got {value.type.text}")
        if condition is not None:
            where = self.builder.reshaped(condition.where, lengths)
            self.give_condition(result, condition._replace(where=where, lengths=where.lengths))
            return
        try:
            view = self.builder.reshaped(self.view(value), lengths)
        except Refusal as refusal:
            raise Partial(str(refusal)) from None
        self.give(result, view)

    def transpose(self, operation: Operation) -> None:
        order = operation.attributes["permutation"]
        condition = self.condition(operation.operands[0])
        if condition is not None:
            turned = conditions.transposed(self.builder, condition, order)
            self.give_condition(operation.results[0], turned)
            return
        view = self.view(operation.operands[0])
        self.give(operation.results[0], self.builder.transposed(view, order))

    # ---- sums and products -----------------------------------------------------------------------

    def reduce(self, operation: Operation) -> None:
        mask = mask_of(operation) if len(operation.results) == 1 else None
        if mask is not None:
            self.mask_to(operation.results[0], mask)
            return
        found = sum_of(operation)
        if found is None:
            raise Refusal(
                "expected one value that is added up from 0, got "
                f"{len(operation.results)} with {operation.body or 'a body of its own'}"
            )
        self.reduce_to(operation.results[0], found)

    def reduce_to(self, result: Value, found: Reduction) -> None:
        """A sum or a mean, in the type of its value."""
        op = "Mean" if found.is_mean else "Sum"
        view = self.view(found.value)
        self.give(result, self.builder.reduced(op, view, found.axes, keeps=False))

    def dot_general(self, operation: Operation) -> None:
        found = product_of(operation)
        if not isinstance(found, MatrixProduct):
            raise Refusal(f"dot_dimension_numbers: {found}")
        self.multiply_to(operation.results[0], found)

    def multiply_to(self, result: Value, found: MatrixProduct) -> None:
        """A product of matrices, whose elements may have another type than the result's."""
        views = [
            self.converted(view, result.element)
            for view in self.views_of([found.left, found.right])
        ]
        flags = found.transpose_left, found.transpose_right
        turned = [
            self.builder.transposed(view, (1, 0)) if flag else view
            for view, flag in zip(views, flags, strict=True)
        ]
        self.give(result, self.builder.product(*turned))

    # ---- ReLUs and masks -------------------------------------------------------------------------

    def select(self, operation: Operation) -> None:
        condition, yes, no = operation.operands
        (result,) = operation.results
        if condition.number is not None:
            self.alias(result, yes if condition.number else no)
            return
        mask = mask_in_condition(condition)
        if mask is not None and is_zero(no):
            self.masked_to(result, yes, mask)
            return
        chosen = self.condition(condition)
        if chosen is not None:
            self.select_where(result, chosen, yes, no)
            return
        found = threshold(condition)
        if found is None or found.direction not in ("LE", "GE") or yes.number is None:
            raise Refusal(f"expected {SELECTIONS}, got {condition_text(condition, found)}")
        value, other = self.views_of([found.value, no])
        comparison = Comparison(value, found.direction == "GE", found.number)
        number = float(yes.number)
        if number == 0 and not is_zero(yes):
            raise Refusal("expected 0 where a value is beyond an end, got -0")
        self.give(result, self.builder.selected(comparison, number, other))

    def select_where(self, result: Value, chosen: Condition, yes: Value, no: Value) -> None:
        """What a boolean selects, 0 elsewhere."""
        is_kept = is_zero(no)
        if not is_kept and not is_zero(yes):
            raise Refusal("expected 0 as one of the two values that a boolean selects from")
        value = self.view(yes if is_kept else no)
        self.give(result, conditions.selected(self.builder, chosen, value, is_kept))

    def maximum(self, operation: Operation) -> None:
        """ReLU as others write it; an upper bound may have been put first."""
        first, second = operation.operands
        value, zero = (second, first) if is_zero(first) else (first, second)
        if not is_zero(zero):
            raise Refusal("expected the maximum of a value and 0")
        below = made_by(value, "minimum")
        bound = bound_of(below) if below is not None else None
        if bound is not None:
            self.relu_to(operation.results[0], self.view(bound.value), bound.number)
        else:
            self.relu_to(operation.results[0], self.view(value))

    def minimum(self, operation: Operation) -> None:
        """The upper bound of a ReLU as others write it."""
        views = self.views_of(operation.operands)
        bound = bound_of(operation)
        if bound is not None:
            view = views[operation.operands.index(bound.operand)]
            node = view.output.node
            if node.type_name == "Relu" and node.attributes.get("upper_bound") is None:
                value = view._replace(output=node.input(0).source)
                self.relu_to(operation.results[0], value, bound.number)
                return
        raise Partial("expected the minimum of a ReLU and a positive number")

    def clamp(self, operation: Operation) -> None:
        low, value, high = operation.operands
        if not is_zero(low) or high.number is None or not high.number > 0:
            raise Refusal("expected 0 as min and a positive number as max")
        self.relu_to(operation.results[0], self.view(value), float(high.number))

    def relu_to(self, result: Value, view: View, upper_bound: float | None = None) -> None:
        self.give(result, self.builder.element_wise("Relu", view, upper_bound=upper_bound))

    def mask_to(self, result: Value, mask: Mask) -> None:
        axis = axis_of(mask, mask.value)
        value = self.builder.whole(self.view(mask.value))
        node = self.builder.construct(
            "ReluMask", value, channel_axis=axis, upper_bound=mask.upper_bound
        )
        self.give(result, view_of(node.output(0)))

    def masked_to(self, result: Value, delta: Value, mask: Mask) -> None:
        axis = axis_of(mask, delta)
        outputs = [self.builder.whole(view) for view in self.views_of([delta, mask.value])]
        node = self.builder.construct("ReluMaskSelect", *outputs, channel_axis=axis)
        self.give(result, view_of(node.output(0)))

    def part(self, operation: Operation) -> None:
        """An operation that is understood as part of an op, or where its elements are known."""
        if operation.results[0].number is None:
            raise Partial("expected it only as part of a ReLU or a mask")

    # ---- the family ------------------------------------------------------------------------------

    def batch_norm(self, op: str, operation: Operation, operands: Sequence[Value]) -> None:
        views = self.views_of(operands)
        outputs = [self.builder.whole(view) for view in views]
        node = self.builder.construct(
            op,
            *outputs,
            epsilon=operation.attributes["epsilon"],
            channel_axis=operation.attributes["feature_index"],
        )
        for result, output in zip(operation.results, node.outputs, strict=True):
            self.give(result, view_of(output))

    def batch_norm_training(self, operation: Operation) -> None:
        self.batch_norm("BatchNormTraining", operation, operation.operands)

    def batch_norm_inference(self, operation: Operation) -> None:
        self.batch_norm("BatchNormInference", operation, operation.operands)

    def batch_norm_grad(self, operation: Operation) -> None:
        """The op of normgraph has an input beta, which it does not read: gamma stands in for it."""
        value, gamma, mean, variance, delta = operation.operands
        operands = [value, gamma, gamma, mean, variance, delta]
        self.batch_norm("BatchNormTrainingBackprop", operation, operands)


def element_wise(op: str) -> Callable[[Reader, Operation], None]:
    """The rule of an op that StableHLO and normgraph both have, for real types."""
    return lambda reader, operation: reader.element_wise(op, operation)


Rule: TypeAlias = Callable[[Reader, Operation], None]

RULES: dict[str, Rule] = {
    "chlo.square": Reader.square,
    "stablehlo.add": element_wise("Add"),
    "stablehlo.batch_norm_grad": Reader.batch_norm_grad,
    "stablehlo.batch_norm_inference": Reader.batch_norm_inference,
    "stablehlo.batch_norm_training": Reader.batch_norm_training,
    "stablehlo.broadcast_in_dim": Reader.broadcast,
    "stablehlo.clamp": Reader.clamp,
    "stablehlo.constant": Reader.constant,
    "stablehlo.convert": Reader.convert,
    "stablehlo.compare": Reader.compare,
    "stablehlo.custom_call": Reader.assertion,
    "stablehlo.divide": Reader.quotient,
    "stablehlo.dot_general": Reader.dot_general,
    "stablehlo.dynamic_broadcast_in_dim": Reader.broadcast,
    "stablehlo.get_dimension_size": Reader.dimension_size,
    "stablehlo.maximum": Reader.maximum,
    "stablehlo.minimum": Reader.minimum,
    "stablehlo.multiply": element_wise("Multiply"),
    "stablehlo.negate": element_wise("Negate"),
    "stablehlo.not": Reader.negate_condition,
    "stablehlo.reduce": Reader.reduce,
    "stablehlo.reshape": Reader.reshape,
    "stablehlo.rsqrt": Reader.reciprocal_root,
    "stablehlo.select": Reader.select,
    "stablehlo.sqrt": element_wise("SquareRoot"),
    "stablehlo.subtract": element_wise("Subtract"),
    "stablehlo.transpose": Reader.transpose,
    **{
        f"stablehlo.{name}": Reader.part
        for name in (
            "and",
            "concatenate",
            "iota",
            "or",
            "pad",
            "shift_left",
            "shift_right_logical",
            "slice",
        )
    },
}

#: The types in which a program may compute with lengths.
LENGTH_TYPES = ("i32", "i64", "u32", "u64", "f32", "f64")

#: Operations that give the elements of their first operand in another shape.
SHAPING = {
    f"stablehlo.{name}"
    for name in ("broadcast_in_dim", "dynamic_broadcast_in_dim", "reshape", "transpose")
}

#: The attributes that rules know, by operation.
FAMILY_ATTRIBUTES = ("epsilon", "feature_index")
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "stablehlo.batch_norm_grad": FAMILY_ATTRIBUTES,
    "stablehlo.batch_norm_inference": FAMILY_ATTRIBUTES,
    "stablehlo.batch_norm_training": FAMILY_ATTRIBUTES,
    "stablehlo.broadcast_in_dim": ("broadcast_dimensions",),
    "stablehlo.compare": ("comparison_direction", "compare_type"),
    "stablehlo.concatenate": ("dimension",),
    "stablehlo.constant": ("value",),
    "stablehlo.custom_call": (
        "api_version",
        "call_target_name",
        "error_message",
        "has_side_effect",
    ),
    # Products are added in double, which is as precise as any of these.
    "stablehlo.dot_general": ("dot_dimension_numbers", "precision_config"),
    "stablehlo.dynamic_broadcast_in_dim": (
        "broadcast_dimensions",
        "known_expanding_dimensions",
        "known_nonexpanding_dimensions",
    ),
    "stablehlo.get_dimension_size": ("dimension",),
    "stablehlo.iota": ("iota_dimension",),
    "stablehlo.pad": ("edge_padding_low", "edge_padding_high", "interior_padding"),
    "stablehlo.reduce": ("dimensions",),
    "stablehlo.slice": ("start_indices", "limit_indices", "strides"),
    "stablehlo.transpose": ("permutation",),
}

TYPES = ", ".join(name for name, type_ in ELEMENT_TYPES.items() if type_.is_static)

SELECTIONS = (
    "0 where a value <= 0, the upper bound where a ReLU's value >= it, or 0 where a boolean or the "
    "bit of a mask is not set"
)


def check_is_known(operation: Operation) -> None:
    """Refuse an operation that no rule knows, or not with these attributes and types."""
    if operation.name not in RULES:
        raise Refusal("normgraph has no such op")
    target = operation.attributes.get("call_target_name", ASSERTION)
    if target != ASSERTION:
        raise Refusal(f"normgraph has no such op, got @{printable(str(target))}")
    known = ATTRIBUTES.get(operation.name, ())
    for name, value in operation.attributes.items():
        is_default = name == "result_accuracy" and "DEFAULT" in value
        # Those with a dot belong to other dialects, and do not bear on values.
        if name not in known and "." not in name and not is_default:
            raise Refusal(f"{name}: not known, got {printable(str(value))}")
    for value in (*operation.operands, *operation.results):
        check_type(value)


def check_type(value: Value) -> None:
    """Refuse a value whose type normgraph has not."""
    if value.type.element is None or value.type.shape is None:
        raise Refusal(f"expected a tensor of {TYPES}, got {value.type.text}")


def dimensions(value: Value) -> tuple[Dimension, ...]:
    """The lengths of a value."""
    return tuple(Dimension(length) for length in value.shape)


def is_ascending(axes: Sequence[int]) -> bool:
    """Whether axes keep their order."""
    return list(axes) == sorted(axes)


def axis_of(mask: Mask, value: Value) -> int:
    """The channel axis of a value whose mask is packed in rows."""
    axis = channel_axis(mask.rows, value.shape)
    if axis is None:
        raise Refusal(
            f"expected bits of {value.type.text} in rows of a channel, got rows of "
            f"{list(mask.rows)}"
        )
    return axis


def condition_text(condition: Value, found: Threshold | None) -> str:
    """What a condition asks, for a message."""
    if found is None:
        source = root_of(condition).source
        return "a condition that is " + ("an argument" if source is None else source.name)
    if found.direction in ("GT", "LT"):
        return f"{found.direction} {found.number:g}, beside which a NaN selects the other side"
    return f"{found.direction} {found.number:g}"
