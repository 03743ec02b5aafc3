"""The operators of ONNX that are read, but BatchNormalization, and what normgraph makes of them.

An operator whose versions differ in nothing that matters here has one reader. What ONNX calls
multidirectional broadcasting is Builder's: axes of length 1 are repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..._core import element
from .. import conditions
from ..attributes import MOST_AXES
from ..conditions import Condition
from ..graph_reader import (
    Comparison,
    Refusal,
    View,
    axes_of,
    axis_of,
    refused_shape,
    static,
    view_of,
)
from ..products import Product, product_of
from .lengths import Lengths, Share
from .normalization import BATCH_NORMALIZATION
from .statement import Attribute, Operand, Operator, Statement
from .tensors import data_of, known_type, shape_of

__all__ = ["OPERATORS"]

# ---- element by element --------------------------------------------------------------------------


def element_wise(op: str, inputs: int) -> Operator:
    """An operator that normgraph has by another name."""

    def read(statement: Statement) -> Operand:
        views = [statement.view(index) for index in range(inputs)]
        return statement.builder.element_wise(op, *views)

    return Operator(read, (inputs, inputs))


def read_product(statement: Statement) -> Operand:
    """A product of tensors, or of lengths."""
    operands = [statement.operand(index) for index in range(2)]
    if not any(isinstance(operand, Lengths) for operand in operands):
        return statement.builder.element_wise("Multiply", statement.view(0), statement.view(1))
    left, right = statement.integers(0), statement.integers(1)
    if len(left.items) != len(right.items):
        raise Refusal(
            f"expected as many lengths on both sides, got {len(left.items)} and {len(right.items)}"
        )
    products = [a.times(b) for a, b in zip(left.items, right.items, strict=True)]
    return left._replace(items=tuple(products), is_scalar=left.is_scalar and right.is_scalar)


def read_quotient(statement: Statement) -> Operand:
    """A quotient of tensors; of a sum and the number of its elements, the mean."""
    count = statement.operand(1)
    if isinstance(count, Lengths) and count.known is None:
        return mean_of(statement, statement.view(0), count)
    return statement.builder.element_wise("Divide", statement.view(0), statement.view(1))


def mean_of(statement: Statement, total: View, count: Lengths) -> Operand:
    """A sum over the number of its elements, which is not known yet.

    What is no sum is the beginning of the gradient of a mean. Raises Refusal.
    """
    node = total.output.node
    if node.type_name == "Sum" and total.type == element.f64:
        value = node.input(0).source
        kept = node.attributes["kept_axes"]
        rank = len(value.partial_shape)
        whole = View(value, tuple(range(rank)), tuple(value.partial_shape))
        gone = [statement.scope.length(whole, axis) for axis in range(rank) if axis not in kept]
        if count.items == (product_of(gone),):
            output = statement.builder.reduction("Mean", value, kept)
            return total._replace(output=output)
    if total.type != element.f64 or not count.is_scalar:
        raise Refusal("expected a value in DOUBLE over a number of elements that is not known")
    return Share(total, count.items[0])


def read_reciprocal(statement: Statement) -> Operand:
    value = statement.view(0)
    one = statement.builder.scalar(1.0, real_type(value))
    return statement.builder.element_wise("Divide", one, value)


def read_power(statement: Statement) -> Operand:
    exponent = statement.number(1)
    if exponent != 2:
        raise Refusal(f"exponent: expected 2, got {exponent}")
    value = statement.view(0)
    return statement.builder.element_wise("Multiply", value, value)


def real_type(value: View) -> element.Type:
    """The element type. Raises Refusal for one that is not real."""
    if not value.type.is_real:
        raise Refusal(f"expected a real element type, got {value.type}")
    return value.type


def read_sum_of_many(statement: Statement) -> View:
    result = statement.view(0)
    for index in range(1, len(statement.operands)):
        result = statement.builder.element_wise("Add", result, statement.view(index))
    return result


def read_mean_of_many(statement: Statement) -> Operand:
    total = read_sum_of_many(statement)
    count = statement.builder.scalar(len(statement.operands), real_type(total))
    return statement.builder.element_wise("Divide", total, count)


def read_clip(statement: Statement) -> Operand:
    """A ReLU, with an upper bound or without."""
    value = statement.view(0)
    if statement.scope.opset < 11:
        low, high = (statement.attributes.get(name) for name in ("min", "max"))
    else:
        low, high = (statement.number(index) if statement.has(index) else None for index in (1, 2))
    has_high = high is not None and high != math.inf
    if low is None and not has_high:
        return value
    if low != 0:
        raise Refusal(f"min: expected 0, as a ReLU has, got {low}")
    if not has_high:
        return statement.builder.element_wise("Relu", value)
    return statement.builder.element_wise("Relu", value, upper_bound=high)


def read_identity(statement: Statement) -> Operand:
    return statement.operand(0)


def read_dropout(statement: Statement) -> Operand:
    """Nothing is dropped but in training."""
    if statement.scope.opset < 7 and not statement.attributes.get("is_test", 0):
        raise Refusal("attribute 'is_test': expected 1, got 0: normgraph draws no random numbers")
    if statement.has(2) and statement.number(2) != 0:
        raise Refusal("training_mode: expected false, got true: normgraph draws no random numbers")
    return statement.operand(0)


def read_cast(statement: Statement) -> Operand:
    if "to" not in statement.attributes:
        raise Refusal("attribute 'to': expected an element type, got none")
    type_ = known_type(statement.attributes["to"])
    operand = statement.operand(0)
    if isinstance(operand, Lengths) and type_ in (element.i64, element.f32, element.f64):
        return operand._replace(type=type_)
    if isinstance(operand, Share):
        return operand.cast(type_)
    if isinstance(operand, Condition) and type_ == element.boolean:
        return operand
    if isinstance(operand, Condition) and type_.is_real:
        return conditions.as_numbers(statement.builder, operand, type_)
    value = statement.view(0)
    if value.type != type_ and not type_.is_real:
        raise Refusal(f"attribute 'to': expected a real element type, got {type_}")
    return statement.builder.convert(value, type_)


def read_cast_like(statement: Statement) -> Operand:
    type_ = statement.view(1).type
    value = statement.view(0)
    return value if value.type == type_ else statement.builder.convert(value, type_)


# ---- what selects --------------------------------------------------------------------------------


def comparison(is_upper: bool) -> Callable[[Statement], Operand]:
    """The reader of GreaterOrEqual or LessOrEqual, of a value beside a number."""

    def read(statement: Statement) -> Operand:
        return Comparison(statement.view(0), is_upper, statement.number(1))

    return read


def read_not(statement: Statement) -> Operand:
    condition = statement.condition(0)
    if condition is None:
        raise Refusal("normgraph has it of booleans that are given alone")
    return condition.negated


def read_where(statement: Statement) -> Operand:
    comparison = statement.operand(0)
    if isinstance(comparison, Comparison):
        return statement.builder.selected(comparison, statement.number(1), statement.view(2))
    condition = statement.condition(0)
    if condition is None:
        raise Refusal("condition: expected a boolean, or a comparison of a value with a number")
    yes, no = statement.view(1), statement.view(2)
    is_kept = statement.scope.is_zero(no)
    if not is_kept and not statement.scope.is_zero(yes):
        raise Refusal("expected 0 as one of the two values that a boolean selects from")
    value, zeros = (yes, no) if is_kept else (no, yes)
    if value.type != zeros.type:
        raise Refusal(f"expected one element type, got {value.type} and {zeros.type}")
    builder = statement.builder
    value = builder.with_rank(value, max(value.rank, zeros.rank))
    value = builder.repeated(value, builder.with_rank(zeros, value.rank).lengths)
    return conditions.selected(builder, condition, value, is_kept)


# ---- reductions ----------------------------------------------------------------------------------


def reduction(read_value: Callable[[Statement, View], Operand], axes_are_input: int) -> Operator:
    """A reduction: its axes are an input from some opset on, before an attribute."""

    def read(statement: Statement) -> Operand:
        return read_value(statement, statement.view(0))

    attributes = {
        "axes": Attribute("INTS", before=axes_are_input),
        "keepdims": Attribute("INT"),
        "noop_with_empty_axes": Attribute("INT", since=axes_are_input),
    }
    return Operator(read, (1, 2), attributes)


def reduced_axes(statement: Statement, rank: int) -> Sequence[int]:
    """The axes that are given, else all of them, or none if the statement says so."""
    attributes = statement.attributes
    axes: Sequence[int] | None = attributes.get("axes")
    if axes is None and statement.has(1):
        axes = statement.known_integers(1)
    if axes:
        return axes
    return () if attributes.get("noop_with_empty_axes", 0) else range(rank)


def reduced(op: str, statement: Statement, value: View) -> View:
    keeps = statement.attributes.get("keepdims", 1) != 0
    return statement.builder.reduced(op, value, reduced_axes(statement, value.rank), keeps)


def sum_of_squares(statement: Statement, value: View) -> View:
    return reduced("Sum", statement, statement.builder.element_wise("Multiply", value, value))


def length_of_vector(statement: Statement, value: View) -> View:
    return statement.builder.element_wise("SquareRoot", sum_of_squares(statement, value))


def read_product_of_lengths(statement: Statement) -> Operand:
    """ReduceProd, of lengths alone."""
    lengths = statement.integers(0)
    if lengths.is_scalar or not statement.attributes.get("keepdims", 1):
        return Lengths((product_of(lengths.items),), True, lengths.type)
    return Lengths((product_of(lengths.items),), False, lengths.type)


def read_global_average(statement: Statement) -> Operand:
    value = statement.view(0)
    if value.rank < 3:
        raise Refusal(f"X: expected at least 3 axes, got {value.shape}")
    return statement.builder.reduced("Mean", value, range(2, value.rank), keeps=True)


# ---- matrices ------------------------------------------------------------------------------------


def read_matrix_product(statement: Statement) -> Operand:
    """A product of matrices; a vector is a row before one, and a column behind one."""
    builder = statement.builder
    left, right = statement.view(0), statement.view(1)
    new = []
    if right.rank == 1:
        right, new = builder.unsqueezed(right, [1]), [1]
    if left.rank == 1:
        left, new = builder.unsqueezed(left, [0]), [0, *new]
    product = builder.product(left, right)
    return builder.squeezed(product, new) if new else product


def read_gemm(statement: Statement) -> Operand:
    builder, attributes = statement.builder, statement.attributes
    factors = []
    for index, name in enumerate(("transA", "transB")):
        value = statement.view(index)
        if value.rank != 2:
            raise Refusal(f"input {index}: expected a matrix, got {value.shape}")
        factors.append(builder.transposed(value, (1, 0)) if attributes.get(name, 0) else value)
    product = scaled(statement, builder.product(*factors), attributes.get("alpha", 1.0))
    if not statement.has(2):
        return product
    addend = statement.view(2)
    total = builder.element_wise(
        "Add", product, scaled(statement, addend, attributes.get("beta", 1.0))
    )
    is_longer = any(
        static(length) == 1 != own
        for length, own in zip(product.lengths, total.lengths, strict=False)
    )
    if total.rank != 2 or is_longer:
        raise Refusal(f"C: expected a shape that repeats to {product.shape}, got {addend.shape}")
    return total


def scaled(statement: Statement, value: View, factor: float) -> View:
    if factor == 1:
        return value
    builder = statement.builder
    return builder.element_wise("Multiply", value, builder.scalar(factor, real_type(value)))


# ---- shapes --------------------------------------------------------------------------------------


def read_transpose(statement: Statement) -> Operand:
    value = statement.view(0)
    order = statement.attributes.get("perm", range(value.rank)[::-1])
    return statement.builder.transposed(value, order)


def read_reshape(statement: Statement) -> Operand:
    value, wanted = statement.view(0), statement.integers(1)
    lengths = list(wanted.items)
    if not statement.attributes.get("allowzero", 0):
        for axis, length in enumerate(lengths):
            if length == Product(0):
                lengths[axis] = statement.scope.length(value, axis_of(axis, value.rank))
    return reshaped(statement, value, lengths)


def read_flatten(statement: Statement) -> Operand:
    value = statement.view(0)
    axis = statement.attributes.get("axis", 1)
    axis = axis if axis == value.rank else axis_of(axis, value.rank)
    lengths = statement.scope.lengths(value)
    sides = [product_of(lengths[:axis]), product_of(lengths[axis:])]
    return reshaped(statement, value, sides)


def reshaped(statement: Statement, value: View, wanted: Sequence[Product]) -> View:
    """A shape of which one length may be -1, which stands for what is left. Raises Refusal."""
    own = statement.scope.lengths(value)
    lengths = list(wanted)
    left = [axis for axis, length in enumerate(lengths) if length == Product(-1)]
    if len(left) > 1 or any(length.number < -1 for length in lengths):
        raise Refusal(f"shape: expected lengths, one of which may be -1, got {texts(wanted)}")
    for axis in left:
        others = product_of(length for place, length in enumerate(lengths) if place != axis)
        length = product_of(own).over(others)
        if length is None:
            raise refused_shape(value, texts(wanted))
        lengths[axis] = length
    one = Product(1)
    if [length for length in own if length != one] == [
        length for length in lengths if length != one
    ]:
        places = [axis for axis, length in enumerate(lengths) if length == one]
        return statement.builder.with_ones_at(value, places)
    known = Lengths(tuple(lengths), False).known
    if known is None:
        raise refused_shape(value, texts(wanted))
    return statement.builder.reshaped(value, known)


def texts(lengths: Sequence[Product]) -> str:
    """Lengths as a message shows them."""
    return f"[{', '.join('?' if item.symbols else str(item.number) for item in lengths)}]"


def axes_given(statement: Statement) -> Sequence[int] | None:
    """Axes that are an attribute before opset 13, and then an input."""
    axes: Sequence[int] | None = statement.attributes.get("axes")
    return statement.known_integers(1) if axes is None and statement.has(1) else axes


def read_squeeze(statement: Statement) -> Operand:
    axes = axes_given(statement)
    operand = statement.operand(0)
    if isinstance(operand, Lengths):
        if operand.is_scalar or len(operand.items) != 1:
            raise Refusal(f"expected one length, got {texts(operand.items)}")
        return operand._replace(is_scalar=True)
    value = statement.view(0)
    if axes is None:
        axes = [axis for axis, length in enumerate(value.lengths) if static(length) == 1]
    return statement.builder.squeezed(value, axes)


def read_unsqueeze(statement: Statement) -> Operand:
    axes = axes_given(statement)
    if axes is None:
        raise Refusal("axes: expected some, got none")
    operand = statement.operand(0)
    if isinstance(operand, Lengths) and operand.is_scalar and len(axes) == 1:
        return operand._replace(is_scalar=False)
    if isinstance(operand, Share):
        return operand._replace(value=statement.builder.unsqueezed(operand.value, axes))
    if isinstance(operand, Condition):
        return conditions.unsqueezed(statement.builder, operand, axes)
    return statement.builder.unsqueezed(statement.view(0), axes)


def read_expand(statement: Statement) -> Operand:
    operand = statement.operand(0)
    if isinstance(operand, Share):
        return expanded_share(statement, operand)
    condition = statement.condition(0)
    if condition is not None:
        return expanded_condition(statement, condition)
    return expanded(statement, statement.view(0), statement.integers(1).items)


def expanded_condition(statement: Statement, condition: Condition) -> Operand:
    """A boolean repeated to lengths, of which those may be 1 along which it has more."""
    builder = statement.builder
    lengths = expanded_lengths(statement.integers(1).items, condition.rank)
    repeated = conditions.repeated(builder, condition, [length.dimension for length in lengths])
    is_as_given = not (repeated.is_negated or repeated.is_repeated)
    return repeated.where if is_as_given else repeated


def expanded_share(statement: Statement, share: Share) -> View:
    """The gradient of a mean, of whose lengths some are not known. Raises Refusal."""
    wanted = statement.integers(1).items
    delta = statement.builder.convert(share.value, share.rounded_to)
    like = statement.scope.by_lengths.get(wanted)
    if delta.rank <= len(wanted):
        delta = statement.builder.with_rank(delta, len(wanted))
    if like is None or delta.rank != len(wanted) or list(delta.axes) != sorted(delta.axes):
        raise Refusal("expected the number of elements of a value that it is repeated along")
    gone = [length for axis, length in enumerate(wanted) if axis not in delta.axes]
    if product_of(gone) != share.terms:
        raise Refusal("expected the quotient by as many elements as it is repeated to")
    node = statement.builder.construct("MeanBackprop", delta.output, like, axes=delta.axes)
    return statement.builder.convert(view_of(node.output(0)), share.read_as)


def expanded(statement: Statement, value: View, wanted: Sequence[Product]) -> View:
    """A value repeated to these lengths, of which those may be 1 along which it has more."""
    builder, scope = statement.builder, statement.scope
    lengths = expanded_lengths(wanted, value.rank)
    repeated = builder.repeated(value, [length.dimension for length in lengths])
    like = scope.by_lengths.get(tuple(lengths))
    is_like = like is not None and list(repeated.axes) == sorted(repeated.axes)
    if like is not None and is_like and repeated.shape == like.partial_shape:
        return builder.along(repeated, like)
    return builder.settled(repeated)


def expanded_lengths(wanted: Sequence[Product], rank: int) -> list[Product]:
    """As many as a value of this rank has when it is repeated to them. Raises Refusal."""
    if any(length.number < 0 for length in wanted):
        raise Refusal(f"shape: expected lengths, got {texts(wanted)}")
    rank = max(rank, len(wanted))
    if rank > MOST_AXES:
        raise Refusal(f"shape: expected at most {MOST_AXES} axes, got {rank}")
    return [Product(1)] * (rank - len(wanted)) + list(wanted)


def read_constant_of_shape(statement: Statement) -> Operand:
    tensor = statement.attributes.get("value")
    if tensor is None:
        value = statement.builder.scalar(0.0, element.f32)
    else:
        type_, data = known_type(tensor.data_type), data_of(tensor, statement.scope.folder)
        if shape_of(tensor) not in ((1,), ()):
            raise Refusal(f"attribute 'value': expected one number, got {shape_of(tensor)}")
        value = statement.builder.constant(type_, [], data)
    return expanded(statement, value, statement.integers(0).items)


def read_shape(statement: Statement) -> Operand:
    value = statement.view(0)
    lengths = statement.scope.lengths(value)
    start = statement.attributes.get("start", 0)
    end = statement.attributes.get("end", value.rank)
    return Lengths(lengths[slice(start, end)], False)


def read_gather(statement: Statement) -> Operand:
    """Of lengths alone."""
    lengths, places = statement.integers(0), statement.integers(1)
    numbers = axes_in_range(statement.known_integers(1), len(lengths.items))
    if lengths.is_scalar or statement.attributes.get("axis", 0) not in (0, -1):
        raise Refusal("expected a vector of lengths, along axis 0")
    items = tuple(lengths.items[number] for number in numbers)
    return lengths._replace(items=items, is_scalar=places.is_scalar)


def axes_in_range(numbers: Sequence[int], count: int) -> list[int]:
    return [axis_of(number, count) for number in numbers]


def read_concat(statement: Statement) -> Operand:
    """Of lengths alone."""
    items: list[Product] = []
    for index in range(len(statement.operands)):
        part = statement.integers(index)
        if part.is_scalar or statement.attributes.get("axis") not in (0, -1):
            raise Refusal("expected vectors of lengths, along axis 0")
        items += part.items
        if len(items) > MOST_AXES:
            raise Refusal(f"expected at most {MOST_AXES} lengths, got more")
    return Lengths(tuple(items), False)


def read_slice(statement: Statement) -> Operand:
    """Of lengths alone."""
    lengths = statement.integers(0)
    starts, ends, axes, steps = slice_of(statement)
    is_vector = all(len(numbers) == 1 for numbers in (starts, ends, axes, steps))
    if not is_vector or axes_of(axes, 1) != [0] or lengths.is_scalar or 0 in steps:
        raise Refusal("expected a slice of a vector of lengths, along axis 0")
    return lengths._replace(items=lengths.items[slice(starts[0], ends[0], steps[0])])


def slice_of(statement: Statement) -> list[Sequence[int]]:
    """Starts, ends, axes and steps, which are attributes before opset 10, and then inputs."""
    if statement.scope.opset < 10:
        attributes = statement.attributes
        starts, ends = (attributes.get(name, ()) for name in ("starts", "ends"))
        return [starts, ends, attributes.get("axes", (0,)), (1,)]
    given = range(1, 5)
    otherwise: Sequence[Sequence[int]] = ((), (), (0,), (1,))
    return [
        statement.known_integers(index) if statement.has(index) else default
        for index, default in zip(given, otherwise, strict=True)
    ]


def read_constant(statement: Statement) -> Operand:
    given = list(statement.attributes.items())
    if len(given) != 1:
        names = ", ".join(f"'{name}'" for name, _ in given) or "none"
        raise Refusal(f"expected one attribute with a value, got {names}")
    ((name, value),) = given
    builder = statement.builder
    if name == "value":
        type_ = known_type(value.data_type)
        return builder.constant(type_, shape_of(value), data_of(value, statement.scope.folder))
    dtype = np.float32 if "float" in name else np.int64
    array = np.array(value, dtype)
    return builder.constant(element.Type(dtype), array.shape, array.tobytes())


#: All that is read, by name.
OPERATORS: dict[str, Operator] = {
    "Add": element_wise("Add", 2),
    "BatchNormalization": BATCH_NORMALIZATION,
    "Cast": Operator(
        read_cast,
        (1, 1),
        {
            "to": Attribute("INT"),
            # Both are about types of 8 bits.
            "saturate": Attribute("INT", since=19),
            "round_mode": Attribute("STRING", since=24),
        },
    ),
    "CastLike": Operator(
        read_cast_like,
        (2, 2),
        {"saturate": Attribute("INT", since=19), "round_mode": Attribute("STRING", since=24)},
        since=15,
    ),
    "Clip": Operator(
        read_clip,
        (1, 3),
        {"min": Attribute("FLOAT", before=11), "max": Attribute("FLOAT", before=11)},
    ),
    "Concat": Operator(read_concat, (1, None), {"axis": Attribute("INT")}),
    "Constant": Operator(
        read_constant,
        (0, 0),
        {
            "value": Attribute("TENSOR"),
            **{
                f"value_{name}": Attribute(name.upper(), since=12)
                for name in ("float", "floats", "int", "ints")
            },
        },
    ),
    "ConstantOfShape": Operator(
        read_constant_of_shape, (1, 1), {"value": Attribute("TENSOR")}, since=9
    ),
    "Div": Operator(read_quotient, (2, 2)),
    "Dropout": Operator(
        read_dropout,
        (1, 3),
        {
            "is_test": Attribute("INT", before=7),
            "ratio": Attribute("FLOAT", before=12),
            "seed": Attribute("INT", since=12),
        },
    ),
    "Expand": Operator(read_expand, (2, 2), since=8),
    "Flatten": Operator(read_flatten, (1, 1), {"axis": Attribute("INT")}),
    "Gather": Operator(read_gather, (2, 2), {"axis": Attribute("INT")}),
    "Gemm": Operator(
        read_gemm,
        (2, 3),
        {
            "alpha": Attribute("FLOAT"),
            "broadcast": Attribute("INT", before=7),
            "beta": Attribute("FLOAT"),
            "transA": Attribute("INT"),
            "transB": Attribute("INT"),
        },
    ),
    "GlobalAveragePool": Operator(read_global_average, (1, 1)),
    "GreaterOrEqual": Operator(comparison(is_upper=True), (2, 2), since=12),
    "Identity": Operator(read_identity, (1, 1)),
    "LessOrEqual": Operator(comparison(is_upper=False), (2, 2), since=12),
    "MatMul": Operator(read_matrix_product, (2, 2)),
    "Mean": Operator(read_mean_of_many, (1, None)),
    "Mul": Operator(read_product, (2, 2)),
    "Neg": element_wise("Negate", 1),
    "Not": Operator(read_not, (1, 1)),
    "Pow": Operator(read_power, (2, 2)),
    "Reciprocal": Operator(read_reciprocal, (1, 1)),
    "ReduceL2": reduction(length_of_vector, axes_are_input=18),
    "ReduceMean": reduction(
        lambda statement, value: reduced("Mean", statement, value), axes_are_input=18
    ),
    "ReduceProd": Operator(read_product_of_lengths, (1, 1), {"keepdims": Attribute("INT")}),
    "ReduceSum": reduction(
        lambda statement, value: reduced("Sum", statement, value), axes_are_input=13
    ),
    "ReduceSumSquare": reduction(sum_of_squares, axes_are_input=18),
    "Relu": element_wise("Relu", 1),
    "Reshape": Operator(read_reshape, (2, 2), {"allowzero": Attribute("INT", since=14)}),
    "Shape": Operator(
        read_shape,
        (1, 1),
        {"start": Attribute("INT", since=15), "end": Attribute("INT", since=15)},
    ),
    "Slice": Operator(
        read_slice,
        (1, 5),
        {name: Attribute("INTS", before=10) for name in ("axes", "ends", "starts")},
    ),
    "Sqrt": element_wise("SquareRoot", 1),
    "Squeeze": Operator(read_squeeze, (1, 2), {"axes": Attribute("INTS", before=13)}),
    "Sub": element_wise("Subtract", 2),
    "Sum": Operator(read_sum_of_many, (1, None)),
    "Transpose": Operator(read_transpose, (1, 1), {"perm": Attribute("INTS")}),
    "Unsqueeze": Operator(read_unsqueeze, (1, 2), {"axes": Attribute("INTS", before=13)}),
    "Where": Operator(read_where, (3, 3), since=9),
}
