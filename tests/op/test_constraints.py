"""One test per constraint and op; the label is in the test's name, as it is in the message."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

import normgraph as ng

from .signatures import (
    ADD_RELU,
    BACKPROP_APPLY,
    BACKPROP_SUMS,
    EVERY_BACKPROP,
    EVERY_MASKED,
    EVERY_OP,
    EVERY_REDUCTION,
    EVERY_RELU,
    EVERY_STATISTICS,
    EVERY_VECTOR,
    INFERENCE,
    RELU_BACKPROP,
    TRAINING,
    Inputs,
    Signature,
)

REAL_TYPES = ["f16", "bf16", "f32", "f64"]
OTHER_TYPES = ["boolean", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"]
# Each with 64 channels at axis 1, or nothing known of them.
SHAPES: list[Any] = [
    None,
    [None, None],
    [32, 64],
    [None, 64, None, None],
    [0, 64, 7],
    [(1, 8), (2, None), 7, 7],
    [2, 64, 3, 4, 5],
]
EVERY_SHAPE = pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda shape: str(ng.PartialShape(shape))
)


# ---- C1: epsilon --------------------------------------------------------------------------------


@EVERY_OP
@pytest.mark.parametrize(
    ("epsilon", "text"),
    [(-1.0, "-1"), (-1e-300, "-1e-300"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")],
)
def test_c1_epsilon_is_finite_and_not_negative(
    signature: Signature, epsilon: float, text: str
) -> None:
    violations = Inputs(signature).violations(epsilon=epsilon)
    assert violations == {"C1": f"epsilon: expected a finite number >= 0, got {text}"}


@EVERY_OP
@pytest.mark.parametrize("epsilon", [0.0, -0.0, 5e-324, 1e-5, 1, 1.7976931348623157e308])
def test_c1_holds_and_epsilon_is_kept_to_the_bit(signature: Signature, epsilon: float) -> None:
    node = Inputs(signature).node(epsilon=epsilon)
    assert math.copysign(1, node.epsilon) == math.copysign(1, epsilon)
    assert node.epsilon == epsilon


@EVERY_OP
def test_c1_setter_keeps_the_old_value(signature: Signature) -> None:
    node = Inputs(signature).node(epsilon=0.25, name="bn")
    with pytest.raises(ng.NodeValidationFailure, match=r"'bn' is not valid") as raised:
        node.epsilon = -0.5
    assert raised.value.labels == ("C1",)
    assert "got -0.5" in str(raised.value)
    assert node.epsilon == 0.25
    node.epsilon = 0.5
    assert node.attributes == {"epsilon": 0.5, "channel_axis": 1}


# ---- C2: the data's element type ----------------------------------------------------------------


@EVERY_OP
@pytest.mark.parametrize("element_type", OTHER_TYPES)
def test_c2_input_has_a_real_element_type(signature: Signature, element_type: str) -> None:
    expected = f"the element type of input: expected f16, bf16, f32 or f64, got {element_type}"
    for shape in SHAPES:
        violations = Inputs(signature, (element_type, "f32"), (shape, [64])).violations()
        assert violations == {"C2": expected}, shape


@EVERY_OP
@pytest.mark.parametrize("element_type", REAL_TYPES)
def test_c2_holds_for_every_real_type(signature: Signature, element_type: str) -> None:
    inferred = Inputs(signature, (element_type, element_type)).inferred()
    assert all(text.startswith(element_type + "{") for text in inferred.values())


@EVERY_BACKPROP
def test_c2_is_known_from_normalized_delta(signature: Signature) -> None:
    inputs = Inputs(signature, ("dynamic", "dynamic"), delta=("i32", None))
    expected = f"the element type of {signature.delta}: expected f16, bf16, f32 or f64, got i32"
    assert inputs.violations() == {"C2": expected}


# ---- C3: normalized_delta's element type --------------------------------------------------------


@EVERY_BACKPROP
@pytest.mark.parametrize("of_input", REAL_TYPES)
@pytest.mark.parametrize("of_delta", [*REAL_TYPES, "i32"])
def test_c3_normalized_delta_has_the_type_of_input(
    signature: Signature, of_input: str, of_delta: str
) -> None:
    expected = (
        f"the element type of {signature.delta}: expected {of_input}, as input has, got {of_delta}"
    )
    for shape in SHAPES:
        inputs = Inputs(signature, (of_input, of_input), (shape, [64]), delta=(of_delta, None))
        if of_input == of_delta:
            assert inputs.inferred()["input_delta"].startswith(of_input), shape
        else:
            assert inputs.violations() == {"C3": expected}, shape


# ---- C4: the channel vectors' element type ------------------------------------------------------


#: The types that each group of channel vectors may have beside data.
AFFINE_TYPES = {
    "f16": ["f16", "f32"],
    "bf16": ["bf16", "f32"],
    "f32": ["f32"],
    "f64": ["f64"],
}
STATISTICS_TYPES = {
    "f16": ["f16", "f32", "f64"],
    "bf16": ["bf16", "f32", "f64"],
    "f32": ["f32", "f64"],
    "f64": ["f64"],
}
GROUPS = {"gamma": AFFINE_TYPES, "mean": STATISTICS_TYPES}


def group_of(signature: Signature, vector: str) -> list[str]:
    """The vectors that share a type with this one."""
    names = ("gamma", "beta") if vector in ("gamma", "beta") else ("mean", "variance")
    return [name for name in signature.vectors if name in names]


@EVERY_VECTOR
@EVERY_SHAPE
def test_c4_a_group_has_a_type_that_goes_with_input(
    signature: Signature, vector: str, shape: Any
) -> None:
    group = group_of(signature, vector)
    for of_input, of_vector in itertools.product(REAL_TYPES, [*REAL_TYPES, "i32", "boolean"]):
        changes = dict.fromkeys(group, (of_vector, [64]))
        inputs = Inputs(signature, (of_input, of_input), (shape, [64]), **changes)
        allowed = GROUPS[group[0]][of_input]
        if of_vector in allowed:
            assert inputs.inferred()
            continue
        or_wider = f", or {' or '.join(allowed[1:])}" if len(allowed) > 1 else ""
        expected = (
            f"the element type of {' and '.join(group)}: expected {of_input}, as input "
            f"has{or_wider}, got {of_vector}"
        )
        assert inputs.violations() == {"C4": expected}


@EVERY_VECTOR
@pytest.mark.parametrize("of_input", ["f16", "dynamic"])
def test_c4_a_group_shares_one_type(signature: Signature, vector: str, of_input: str) -> None:
    # Each of both types may stand beside f16 data, or beside unknown data.
    group = group_of(signature, vector)
    inputs = Inputs(signature, (of_input, "f16"), **{vector: ("f32", [64])})
    if len(group) == 1:
        assert inputs.inferred()
        return
    listed = ", ".join(f"{name}={'f32' if name == vector else 'f16'}" for name in group)
    expected = f"the element types of {' and '.join(group)}: expected one for both, got {listed}"
    assert inputs.violations() == {"C4": expected}


@EVERY_BACKPROP
@pytest.mark.parametrize(
    ("of_data", "of_affine", "of_statistics"),
    [
        (data, affine, statistics)
        for data in REAL_TYPES
        for affine in AFFINE_TYPES[data]
        for statistics in STATISTICS_TYPES[data]
    ],
)
def test_c4_holds_for_each_pair_of_groups(
    signature: Signature, of_data: str, of_affine: str, of_statistics: str
) -> None:
    changes = dict.fromkeys(("mean", "variance"), (of_statistics, [64]))
    inferred = Inputs(signature, (of_data, of_affine), **changes).inferred()
    assert inferred == {
        "input_delta": f"{of_data}{{?,64,?,?}}",
        "gamma_delta": f"{of_affine}{{64}}",
        "beta_delta": f"{of_affine}{{64}}",
    }


@EVERY_BACKPROP
@pytest.mark.parametrize(
    ("of_affine", "of_statistics"),
    [("f16", "bf16"), ("bf16", "f16"), ("f64", "f32"), ("f64", "bf16")],
)
def test_c4_some_type_of_data_goes_with_all_vectors(
    signature: Signature, of_affine: str, of_statistics: str
) -> None:
    changes = dict.fromkeys(("mean", "variance"), (of_statistics, [64]))
    violations = Inputs(signature, ("dynamic", of_affine), **changes).violations()
    expected = (
        "the element types of gamma, beta, mean and variance: expected ones that go with one type "
        f"of input, got gamma={of_affine}, beta={of_affine}, mean={of_statistics}, "
        f"variance={of_statistics}"
    )
    assert violations == {"C4": expected}


@EVERY_OP
@pytest.mark.parametrize("of_vectors", OTHER_TYPES)
def test_c4_vectors_are_real_beside_unknown_data(signature: Signature, of_vectors: str) -> None:
    *names, last = signature.vectors
    expected = (
        f"the element type of {', '.join(names)} and {last}: "
        f"expected f16, bf16, f32 or f64, got {of_vectors}"
    )
    assert Inputs(signature, ("dynamic", of_vectors)).violations() == {"C4": expected}


def test_c4_lists_different_wrong_types() -> None:
    inputs = Inputs(INFERENCE, ("f64", "f64"), gamma=("f32", [64]), variance=("i8", [64]))
    expected = (
        "the element type of gamma and variance: expected f64, as input has, "
        "got gamma=f32, variance=i8"
    )
    assert inputs.violations() == {"C4": expected}


def test_c4_lists_groups_that_may_have_different_types() -> None:
    inputs = Inputs(INFERENCE, gamma=("f64", [64]), variance=("i8", [64]))
    with pytest.raises(ng.NodeValidationFailure) as raised:
        inputs.node(name="bn")
    assert raised.value.labels == ("C4", "C4")
    assert str(raised.value).splitlines()[1:] == [
        "  [C4] the element type of gamma: expected f32, as input has, got f64",
        "  [C4] the element type of variance: expected f32, as input has, or f64, got i8",
    ]


@EVERY_BACKPROP
def test_c4_names_normalized_delta_where_only_that_has_a_type(signature: Signature) -> None:
    inputs = Inputs(signature, ("f64", "f32"), input=("dynamic", None))
    expected = (
        "the element type of gamma, beta, mean and variance: "
        f"expected f64, as {signature.delta} has, got f32"
    )
    assert inputs.violations() == {"C4": expected}


@EVERY_STATISTICS
@pytest.mark.parametrize("of_input", REAL_TYPES)
@pytest.mark.parametrize("statistics_type", [*REAL_TYPES, "i32", "dynamic"])
def test_c4_statistics_type_goes_with_input(
    signature: Signature, of_input: str, statistics_type: str
) -> None:
    inputs = Inputs(signature, (of_input, of_input))
    allowed = STATISTICS_TYPES[of_input]
    if statistics_type in allowed:
        inferred = inputs.inferred(statistics_type=statistics_type)
        assert inferred["mean"] == inferred["variance"] == f"{statistics_type}{{64}}"
        assert inputs.node(statistics_type=statistics_type).statistics_type == getattr(
            ng.element, statistics_type
        )
        return
    or_wider = f", or {' or '.join(allowed[1:])}" if len(allowed) > 1 else ""
    expected = (
        f"statistics_type: expected {of_input}, as input has{or_wider}, got {statistics_type}"
    )
    if statistics_type == "dynamic":
        expected = "statistics_type: expected f16, bf16, f32 or f64, got dynamic"
    assert inputs.violations(statistics_type=statistics_type) == {"C4": expected}


@EVERY_STATISTICS
def test_statistics_type_is_that_of_gamma_unless_it_is_given(signature: Signature) -> None:
    for types in (("bf16", "bf16"), ("bf16", "f32"), ("f64", "f64")):
        inputs = Inputs(signature, types)
        assert inputs.inferred()["variance"] == f"{types[1]}{{64}}"
        assert inputs.node().statistics_type is None
        assert inputs.node(statistics_type=None).attributes == {"epsilon": 1e-5, "channel_axis": 1}
    assert inputs.node(statistics_type="f64").attributes["statistics_type"] == ng.element.f64


@EVERY_BACKPROP
@pytest.mark.parametrize("of_input", ["i32", "f64"])
def test_c4_relation_to_data_needs_c2_and_c3(signature: Signature, of_input: str) -> None:
    # The vectors fit normalized_delta and not input; which of both is wrong, C4 cannot say.
    violations = Inputs(signature, input=(of_input, None)).violations()
    assert "C4" not in violations
    assert "C3" in violations


# ---- C5: the rank -------------------------------------------------------------------------------


@EVERY_OP
@pytest.mark.parametrize("channel_axis", [0, 1, -1, 5])
@pytest.mark.parametrize(
    ("shape", "rank"), [([], 0), ([None], 1), ([64], 1), ([(1, 8)], 1), ([0], 1)]
)
def test_c5_rank_of_input_is_at_least_2(
    signature: Signature, shape: Any, rank: int, channel_axis: int
) -> None:
    violations = Inputs(signature, shapes=(shape, [64])).violations(channel_axis=channel_axis)
    text = ng.PartialShape(shape)
    expected = f"the rank of input: expected at least 2, got {rank}, the shape {text}"
    assert violations == {"C5": expected}


@EVERY_BACKPROP
def test_c5_is_known_from_normalized_delta(signature: Signature) -> None:
    violations = Inputs(signature, input=("f32", None), delta=("f32", [64])).violations()
    expected = f"the rank of {signature.delta}: expected at least 2, got 1, the shape {{64}}"
    assert violations == {"C5": expected}


# ---- C6: the channel axis -----------------------------------------------------------------------


@EVERY_OP
@pytest.mark.parametrize("axis", [4, 5, -5, 2**63 - 1, -(2**63)])
def test_c6_channel_axis_lies_within_the_rank(signature: Signature, axis: int) -> None:
    violations = Inputs(signature).violations(channel_axis=axis)
    expected = (
        f"channel_axis: expected -4 to 3 for the rank of input, the shape {{?,64,?,?}}, got {axis}"
    )
    assert violations == {"C6": expected}


@EVERY_OP
@pytest.mark.parametrize("axis", range(-4, 4))
def test_c6_holds_for_every_axis_of_the_rank(signature: Signature, axis: int) -> None:
    lengths: list[int | None] = [None] * 4
    lengths[axis] = 64
    inferred = Inputs(signature, shapes=(lengths, [None])).inferred(channel_axis=axis)
    assert inferred[signature.outputs[0]] == f"f32{ng.PartialShape(lengths)}"
    assert all(inferred[name] == "f32{64}" for name in signature.channel_outputs)


@EVERY_OP
@pytest.mark.parametrize("axis", [-9, -1, 0, 9])
def test_c6_any_axis_may_lie_within_an_unknown_rank(signature: Signature, axis: int) -> None:
    inputs = Inputs(signature, shapes=(None, [64]))
    assert inputs.inferred(channel_axis=axis)[signature.outputs[0]] == "f32?"
    assert inputs.node(channel_axis=axis).channel_axis == axis


@EVERY_BACKPROP
def test_c6_is_known_from_normalized_delta(signature: Signature) -> None:
    inputs = Inputs(signature, input=("f32", None), delta=("f32", [None, None]))
    expected = (
        f"channel_axis: expected -2 to 1 for the rank of {signature.delta}, "
        "the shape {?,?}, got 2"
    )
    assert inputs.violations(channel_axis=2) == {"C6": expected}


# ---- C7: normalized_delta's shape ---------------------------------------------------------------


@EVERY_BACKPROP
@pytest.mark.parametrize(
    ("of_input", "of_delta", "difference"),
    [
        ([2, 64, 7, 7], [2, 64, 7, 8], "axis 3 has 7 and 8"),
        ([2, 64, 7, 7], [1, 64, 7, 7], "axis 0 has 2 and 1"),
        ([2, 64, 7, 7], [2, 64], "the ranks are 4 and 2"),
        ([None, 64, (1, 8)], [None, None, (9, None)], "axis 2 has 1..8 and 9.."),
        ([0, 64], [1, 64], "axis 0 has 0 and 1"),
    ],
)
def test_c7_normalized_delta_has_the_shape_of_input(
    signature: Signature, of_input: Any, of_delta: Any, difference: str
) -> None:
    violations = Inputs(signature, input=("f32", of_input), delta=("f32", of_delta)).violations()
    expected = (
        f"the shape of {signature.delta}: expected {ng.PartialShape(of_input)}, as input has, "
        f"got {ng.PartialShape(of_delta)} ({difference})"
    )
    assert violations == {"C7": expected}


@EVERY_BACKPROP
def test_c7_does_not_stop_the_checks_of_input(signature: Signature) -> None:
    inputs = Inputs(signature, input=("f32", [2, 32, 7]), delta=("f32", [2, 64]))
    assert set(inputs.violations()) == {"C7", "C9"}
    assert set(inputs.violations(channel_axis=2)) == {"C7", "C9"}
    assert set(inputs.violations(channel_axis=3)) == {"C6", "C7"}
    inputs = Inputs(signature, input=("f32", [2]), delta=("f32", [2, 64]))
    assert set(inputs.violations()) == {"C5", "C7"}


# ---- C8: the vectors' rank ----------------------------------------------------------------------


@EVERY_VECTOR
@pytest.mark.parametrize(
    ("of_vector", "rank"), [([], 0), ([64, 1], 2), ([1, 64], 2), ([None, None], 2), ([1, 64, 1], 3)]
)
def test_c8_a_vector_has_rank_1(
    signature: Signature, vector: str, of_vector: Any, rank: int
) -> None:
    text = ng.PartialShape(of_vector)
    expected = f"the rank of each channel vector: expected 1, but {vector} has rank {rank} ({text})"
    for shape in SHAPES:
        inputs = Inputs(signature, shapes=(shape, [64]), **{vector: ("f32", of_vector)})
        assert inputs.violations() == {"C8": expected}, shape


def test_c8_lists_every_such_vector_in_one_line() -> None:
    inputs = Inputs(INFERENCE, gamma=("f32", []), mean=("f32", [64, 1]), beta=("f32", None))
    expected = (
        "the rank of each channel vector: expected 1, "
        "but gamma has rank 0 ({}) and mean has rank 2 ({64,1})"
    )
    assert inputs.violations() == {"C8": expected}


# ---- C9: the number of channels -----------------------------------------------------------------


@EVERY_VECTOR
@pytest.mark.parametrize(
    ("shape", "channel_axis", "resolved"),
    [
        ([32, 64, 7, 7], 1, 1),
        ([None, 64], 1, 1),
        ([2, 7, 7, 64], -1, 3),
        ([64, None, (1, 8)], 0, 0),
        ([64, None, (1, 8)], -3, 0),
    ],
)
def test_c9_a_vector_has_as_many_elements_as_input_has_channels(
    signature: Signature, vector: str, shape: Any, channel_axis: int, resolved: int
) -> None:
    same = [name for name in signature.vectors if name != vector]
    others = (
        f"{same[0]} has 64" if len(same) == 1 else f"{', '.join(same[:-1])} and {same[-1]} have 64"
    )
    for length in (1, 32, 63, 65, 0):  # a vector of length 1 is not broadcast
        clauses = [f"{vector} has {length}", others]
        if signature.vectors[0] != vector:
            clauses.reverse()
        expected = (
            f"the number of channels differs: input has 64 (axis {resolved} of "
            f"{ng.PartialShape(shape)}), {', '.join(clauses)}"
        )
        inputs = Inputs(signature, shapes=(shape, [64]), **{vector: ("f32", [length])})
        assert inputs.violations(channel_axis=channel_axis) == {"C9": expected}


@EVERY_OP
@EVERY_SHAPE
def test_c9_vectors_agree_with_each_other(signature: Signature, shape: Any) -> None:
    other = signature.vectors[1]
    changes = {"gamma": ("f32", [5]), other: ("f32", [(6, 9)])}
    inputs = Inputs(signature, shapes=(shape, [None]), **changes)
    (text,) = inputs.violations().values()
    assert text.startswith("the number of channels differs: ")
    assert text.endswith(f"gamma has 5, {other} has 6..9")


@EVERY_BACKPROP
def test_c9_counts_what_normalized_delta_knows(signature: Signature) -> None:
    inputs = Inputs(
        signature,
        shapes=([2, None], [None]),
        delta=("f32", [None, 3]),
        mean=("f32", [4]),
    )
    expected = (
        f"the number of channels differs: {signature.delta} has 3 (axis 1 of {{?,3}}), mean has 4"
    )
    assert inputs.violations() == {"C9": expected}


def test_c9_of_three_intervals_that_meet_in_pairs_is_not_violated() -> None:
    # On a line, intervals that meet two by two have a common point.
    inputs = Inputs(
        TRAINING, shapes=([2, (1, 5)], [None]), gamma=("f32", [(5, 9)]), beta=("f32", [(2, 7)])
    )
    assert inputs.inferred()["mean"] == "f32{5}"


# ---- C10: at least one channel ------------------------------------------------------------------


@EVERY_OP
def test_c10_input_has_at_least_one_channel(signature: Signature) -> None:
    violations = Inputs(signature, shapes=([2, 0, 7], [None])).violations()
    expected = "the number of channels: expected at least 1, but input has 0 (axis 1 of {2,0,7})"
    assert violations == {"C10": expected}


@EVERY_VECTOR
def test_c10_a_vector_has_at_least_one_element(signature: Signature, vector: str) -> None:
    inputs = Inputs(signature, shapes=(None, [None]), **{vector: ("f32", [0])})
    expected = f"the number of channels: expected at least 1, but {vector} has 0"
    assert inputs.violations() == {"C10": expected}


@EVERY_OP
def test_c10_holds_as_long_as_there_may_be_a_channel(signature: Signature) -> None:
    inferred = Inputs(signature, shapes=([2, (0, 4)], [None])).inferred()
    assert inferred[signature.outputs[0]] == "f32{2,0..4}"


# ---- C11, C12: the mask -------------------------------------------------------------------------


@EVERY_SHAPE
@pytest.mark.parametrize("element_type", [*REAL_TYPES, "boolean", "i8", "u16"])
def test_c11_mask_has_the_element_type_u8(shape: Any, element_type: str) -> None:
    inputs = Inputs(RELU_BACKPROP, shapes=(shape, [64]), mask=(element_type, None))
    expected = f"the element type of mask: expected u8, got {element_type}"
    assert inputs.violations() == {"C11": expected}


@pytest.mark.parametrize("element_type", ["u8", "dynamic"])
def test_c11_holds(element_type: str) -> None:
    inputs = Inputs(RELU_BACKPROP, mask=(element_type, None))
    assert inputs.inferred()["input_delta"] == "f32{?,64,?,?}"


@pytest.mark.parametrize(
    ("shape", "channel_axis", "expected"),
    [
        ([2, 64, 7, 7], 1, "{2,64,7}"),
        ([2, 64, 1, 1], 1, "{2,64,1}"),
        ([2, 64], 1, "{2,8}"),
        ([2, 7, 7, 64], -1, "{98,8}"),
        ([64, 2, 9], 0, "{1,64,3}"),
        ([None, 64, 7, 7], 1, "{?,64,7}"),
        ([(1, 8), 64, (9, 20)], -2, "{1..8,64,2..3}"),
        ([0, 64, 7, 7], 1, "{0,64,7}"),
        ([2, 64, 0], 1, "{2,64,0}"),
    ],
)
@pytest.mark.parametrize(
    "of_mask", [[98, 64], [2, 64, 49], [2, 64, 7, 7], [2, 65, 7], [], [2, 64, 8, 1], [3, 9]]
)
def test_c12_the_shape_of_mask_is_that_of_the_packed_bits(
    shape: Any, channel_axis: int, expected: str, of_mask: Any
) -> None:
    inputs = Inputs(RELU_BACKPROP, shapes=(shape, [None]), mask=("u8", of_mask))
    text = (
        f"the shape of mask: expected {expected}, a bit for each element of "
        f"{ng.PartialShape(shape)} with channel_axis {channel_axis}, got {ng.PartialShape(of_mask)}"
    )
    assert inputs.violations(channel_axis=channel_axis) == {"C12": text}


def test_c12_counts_what_all_others_know() -> None:
    inputs = Inputs(
        RELU_BACKPROP,
        shapes=([None, None, None], [None]),
        delta=("f32", [2, None, 9]),
        variance=("f32", [64]),
        mask=("u8", [2, 64, 1]),
    )
    expected = (
        "the shape of mask: expected {2,64,2}, a bit for each element of {2,64,9} "
        "with channel_axis 1, got {2,64,1}"
    )
    assert inputs.violations() == {"C12": expected}


@pytest.mark.parametrize(
    ("channel_axis", "of_mask"), [(-1, [3, 9]), (-1, [3, 8, 1]), (-2, [3, 8]), (0, [2, 64, 5])]
)
def test_c12_of_an_unknown_rank_knows_what_the_axis_tells(channel_axis: int, of_mask: Any) -> None:
    inputs = Inputs(RELU_BACKPROP, shapes=(None, [64]), mask=("u8", of_mask))
    assert set(inputs.violations(channel_axis=channel_axis)) == {"C12"}


def test_c12_of_an_unknown_rank_holds_for_any_mask_where_the_axis_may_be_the_last() -> None:
    inputs = Inputs(RELU_BACKPROP, shapes=(None, [64]), mask=("u8", [5]))
    assert inputs.inferred()["gamma_delta"] == "f32{64}"


def test_c12_needs_c6_c7_and_c9() -> None:
    wrong = {"mask": ("u8", [1, 1, 1])}
    inputs = Inputs(RELU_BACKPROP, shapes=([2, 64, 7], [64]), **wrong)
    assert set(inputs.violations()) == {"C12"}
    assert set(inputs.violations(channel_axis=3)) == {"C6"}
    inputs = Inputs(RELU_BACKPROP, shapes=([2, 64, 7], [64]), delta=("f32", [2, 64, 8]), **wrong)
    assert set(inputs.violations()) == {"C7"}
    inputs = Inputs(RELU_BACKPROP, shapes=([2, 64, 7], [32]), **wrong)
    assert set(inputs.violations()) == {"C9"}


# ---- C3, C7: the residual ------------------------------------------------------------------------


def test_c3_and_c7_residual_is_like_input() -> None:
    inputs = Inputs(ADD_RELU, residual=("f16", [2, 64]))
    assert inputs.violations() == {
        "C3": "the element type of residual: expected f32, as input has, got f16",
        "C7": "the shape of residual: expected {?,64,?,?}, as input has, got {2,64} "
        "(the ranks are 4 and 2)",
    }


def test_c7_residual_and_input_know_each_other() -> None:
    inputs = Inputs(ADD_RELU, shapes=([None, 64, None], [None]), residual=("f32", [2, None, 5]))
    assert inputs.inferred()["activated"] == "f32{2,64,5}"
    assert inputs.inferred_mask() == "u8{2,64,1}"
    unknown = Inputs(ADD_RELU, ("dynamic", "f32"), (None, [None]), residual=("bf16", [2, 64, 5]))
    assert unknown.inferred()["activated"] == "bf16{2,64,5}"


# ---- C13: the upper bound of a ReLU -------------------------------------------------------------

#: Of each type: a bound that it has, one that is 0 in it, one that is infinite.
BOUNDS = {
    "f16": (2**-25 * 1.01, 2**-25, 65520.0),
    "bf16": (2**-134 * 1.01, 2**-134, float.fromhex("0x1.ffp127")),
    "f32": (2**-150 * 1.01, 2**-150, float.fromhex("0x1.ffffffp127")),
    "f64": (5e-324, 0.0, math.inf),
}


@EVERY_RELU
@pytest.mark.parametrize("bound", [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf])
def test_c13_upper_bound_is_finite_and_positive(signature: Signature, bound: float) -> None:
    text = f"upper_bound: expected a finite number > 0 when rounded to f32, got {bound:g}"
    assert Inputs(signature).violations(upper_bound=bound) == {"C13": text}
    inputs = Inputs(signature, ("dynamic", "dynamic"))
    text = text.replace(" when rounded to f32", "")
    assert inputs.violations(upper_bound=bound) == {"C13": text}


@EVERY_RELU
@pytest.mark.parametrize("data_type", REAL_TYPES)
def test_c13_of_the_rounded_bound(signature: Signature, data_type: str) -> None:
    least, *wrong = BOUNDS[data_type]
    inputs = Inputs(signature, (data_type, data_type))
    for bound in (least, 6.0, math.nextafter(wrong[1], 0)):
        assert inputs.node(upper_bound=bound).upper_bound == bound
    for bound in wrong:
        text = f"expected a finite number > 0 when rounded to {data_type}, got "
        assert text in inputs.violations(upper_bound=bound)["C13"]


@EVERY_RELU
def test_c13_without_a_bound(signature: Signature) -> None:
    node = Inputs(signature).node(upper_bound=None)
    assert node.upper_bound is None
    assert "upper_bound" not in node.attributes
    with_bound = Inputs(signature).node(upper_bound=6)
    assert with_bound.attributes["upper_bound"] == 6.0


# ---- C14, C15: sums that are given, and of how many elements they are ---------------------------


@pytest.mark.parametrize("of_sum", [*REAL_TYPES, "i32"])
def test_c14_sums_are_f64(of_sum: str) -> None:
    for name in BACKPROP_APPLY.sums:
        inputs = Inputs(BACKPROP_APPLY, **{name: (of_sum, [64])})
        if of_sum == "f64":
            assert inputs.inferred()["beta_delta"] == "f32{64}"
            continue
        expected = f"the element type of {name}: expected f64, got {of_sum}"
        assert inputs.violations() == {"C14": expected}
    inputs = Inputs(BACKPROP_APPLY, beta_delta=("f32", [64]), gmul_delta=("f16", [64]))
    expected = (
        "the element type of beta_delta and gmul_delta: expected f64, "
        "got beta_delta=f32, gmul_delta=f16"
    )
    assert inputs.violations() == {"C14": expected}


def test_c8_and_c9_of_sums() -> None:
    inputs = Inputs(BACKPROP_APPLY, beta_delta=("f64", [64, 1]), gmul_delta=("f64", [3]))
    violations = inputs.violations()
    assert violations["C8"].endswith("but beta_delta has rank 2 ({64,1})")
    assert violations["C9"].endswith("gamma, mean and variance have 64, gmul_delta has 3")
    known = Inputs(BACKPROP_APPLY, shapes=(None, None), gmul_delta=("f64", [5]))
    assert known.inferred()["gamma_delta"] == "f32{5}"


@pytest.mark.parametrize(
    ("shape", "channel_axis", "fewest"),
    [
        ([2, 64, 7, 7], 1, 98),
        ([2, 64, 7, 7], -3, 98),
        ([64, 5], 0, 5),
        ([None, 64, 7], 1, 0),
        ([(3, 8), 64, (2, None)], 1, 6),
        ([0, 64, 7], 1, 0),
        ([2**40, 64, 2**40, 0], 1, 0),
        (None, 1, 0),
    ],
)
def test_c15_count_is_at_least_that_of_input(shape: Any, channel_axis: int, fewest: int) -> None:
    inputs = Inputs(BACKPROP_APPLY, shapes=(shape, [64]))
    for count in (fewest, fewest + 1, 2**63 - 1):
        node = inputs.node(channel_axis=channel_axis, count=count)
        assert node.count == node.attributes["count"] == count
    for count in range(max(fewest - 2, 0), fewest):
        expected = (
            f"count: expected at least {fewest}, the least number of elements per channel of "
            f"input, the shape {ng.PartialShape(shape)} with channel_axis {channel_axis}, "
            f"got {count}"
        )
        violations = inputs.violations(channel_axis=channel_axis, count=count)
        assert violations == {"C15": expected}


@pytest.mark.parametrize("shape", [[2**40, 64, 2**40], [2**40, 64, 2**40, 2], [2**32, 64, 2**31]])
def test_c15_of_more_elements_than_64_bits_count(shape: list[int]) -> None:
    inputs = Inputs(BACKPROP_APPLY, shapes=(shape, [64]))
    expected = (
        "count: expected at least 2^63, the least number of elements per channel of input, "
        f"the shape {ng.PartialShape(shape)} with channel_axis 1, got {2**63 - 1}"
    )
    assert inputs.violations(count=2**63 - 1) == {"C15": expected}


@pytest.mark.parametrize("count", [-1, -(2**63)])
def test_c15_a_negative_count_is_reported_beside_all_else(count: int) -> None:
    expected = f"count: expected a number of elements >= 0, got {count}"
    for shape in ([2, 64, 7], [None, 64], None):
        inputs = Inputs(BACKPROP_APPLY, shapes=(shape, [64]))
        assert inputs.violations(count=count) == {"C15": expected}
    inputs = Inputs(BACKPROP_APPLY, shapes=([2, 64, 7], [32]), delta=("f32", [2, 64, 8]))
    violations = inputs.violations(count=count)
    assert set(violations) == {"C7", "C9", "C15"}
    assert violations["C15"] == expected
    assert set(inputs.violations(count=count, channel_axis=3)) == {"C6", "C7", "C15"}


def test_c15_without_a_count() -> None:
    node = Inputs(BACKPROP_APPLY).node(count=None)
    assert node.count is None
    assert "count" not in node.attributes


@pytest.mark.parametrize("count", [1.0, True, "8", [8]])
def test_count_is_an_integer(count: Any) -> None:
    expected = r"^count: expected an integer from 0 to 2\^63 - 1 or None, got"
    with pytest.raises(TypeError, match=expected):
        Inputs(BACKPROP_APPLY).node(count=count)


@pytest.mark.parametrize("count", [2**63, -(2**63) - 1])
def test_count_has_64_bits(count: int) -> None:
    expected = rf"^count: expected an integer from 0 to 2\^63 - 1 or None, got {count}"
    with pytest.raises(ValueError, match=expected):
        Inputs(BACKPROP_APPLY).node(count=count)


def test_c15_needs_c6_c7_and_c9() -> None:
    inputs = Inputs(BACKPROP_APPLY, shapes=([2, 64, 7], [64]))
    assert set(inputs.violations(count=3)) == {"C15"}
    assert set(inputs.violations(count=3, channel_axis=3)) == {"C6"}
    inputs = Inputs(BACKPROP_APPLY, shapes=([2, 64, 7], [64]), delta=("f32", [2, 64, 8]))
    assert set(inputs.violations(count=3)) == {"C7"}
    inputs = Inputs(BACKPROP_APPLY, shapes=([2, 64, 7], [32]))
    assert set(inputs.violations(count=3)) == {"C9"}


# ---- C16, C17: which positions count ------------------------------------------------------------


@EVERY_MASKED
@pytest.mark.parametrize("of_where", ["boolean", "dynamic", *REAL_TYPES, *OTHER_TYPES[1:]])
def test_c16_where_is_boolean(signature: Signature, of_where: str) -> None:
    inputs = Inputs(signature, where=(of_where, None))
    if of_where in ("boolean", "dynamic"):
        assert inputs.inferred() == Inputs(signature).inferred()
        return
    expected = f"the element type of where: expected boolean, got {of_where}"
    assert inputs.violations() == {"C16": expected}


#: Shapes of data, channel axes, and shapes of where that go with them.
FITTING: list[tuple[Any, int, Any]] = [
    ([8, 64, 7], 1, [8, 1, 7]),
    ([8, 64, 7], 1, [1, 1, 7]),
    ([8, 64, 7], -2, [8, 1, 1]),
    ([8, 64, 7], 1, [1, 1, 1]),
    ([8, 7, 64], -1, [8, 7, 1]),
    ([64, 8, 7], 0, [1, 8, 7]),
    ([8, 64], 1, [8, 1]),
    ([8, 64, 7], 1, None),
    ([8, 64, 7], 1, [None, None, None]),
    ([8, 64, 7], 1, [(0, 2), 1, (3, 9)]),
    ([None, 64, None], 1, [8, 1, 7]),
    ([(2, 9), 64, 7], 1, [(9, 12), 1, 7]),
    ([0, 64, 7], 1, [0, 1, 7]),
    ([0, 64, 7], 1, [1, 1, 1]),
    ([None, None, 7], 1, [None, 1, 7]),
    (None, 1, [5]),
    (None, -1, [8, 7, 1]),
]


@EVERY_MASKED
@pytest.mark.parametrize(("shape", "channel_axis", "of_where"), FITTING)
def test_c17_where_has_inputs_shape_without_channels(
    signature: Signature, shape: Any, channel_axis: int, of_where: Any
) -> None:
    inputs = Inputs(signature, shapes=(shape, [64]), where=("boolean", of_where))
    plain = Inputs(signature, shapes=(shape, [64]))
    attributes = {"channel_axis": channel_axis}
    # It is checked against the others, and tells them nothing.
    assert inputs.inferred(**attributes) == plain.inferred(**attributes)


@EVERY_MASKED
@pytest.mark.parametrize(
    ("shape", "channel_axis", "of_where", "expected"),
    [
        ([8, 64, 7], 1, [8, 7], "{8,1,7}"),
        ([8, 64, 7], 1, [8, 64, 7], "{8,1,7}"),
        ([8, 64, 7], 1, [8, 1, 6], "{8,1,7}"),
        ([8, 64, 7], 1, [8, 1, 7, 1], "{8,1,7}"),
        ([8, 64, 7], 1, [8, 1, 0], "{8,1,7}"),
        ([8, 64, 7], 1, [(2, 4), 1, 7], "{8,1,7}"),
        ([8, 64, 7], -2, [8, (2, None), 7], "{8,1,7}"),
        ([8, 64], 1, [], "{8,1}"),
        ([(2, 9), 64, None], 1, [10, 1, 7], "{2..9,1,?}"),
    ],
)
def test_c17_another_shape(
    signature: Signature, shape: Any, channel_axis: int, of_where: Any, expected: str
) -> None:
    inputs = Inputs(signature, shapes=(shape, [64]), where=("boolean", of_where))
    text = str(ng.PartialShape(shape))
    assert inputs.violations(channel_axis=channel_axis) == {
        "C17": f"the shape of where: expected {expected}, which is {text} with 1 at channel_axis "
        f"{channel_axis}, or 1 in the place of any length, got {ng.PartialShape(of_where)}"
    }


@EVERY_MASKED
def test_c17_knows_what_all_inputs_know(signature: Signature) -> None:
    """The gradient knows the shape that input does not."""
    if len(signature.data) == 1:
        return
    other = {signature.data[1]: ("f32", [8, 64, 7])}
    inputs = Inputs(signature, shapes=(None, [64]), where=("boolean", [8, 1, 6]), **other)
    assert set(inputs.violations()) == {"C17"}


@EVERY_MASKED
def test_c16_and_c17_are_reported_beside_all_else(signature: Signature) -> None:
    inputs = Inputs(signature, ("i32", "i32"), where=("f32", [3]))
    labels = set(inputs.violations())
    assert {"C2", "C16", "C17"} <= labels


@EVERY_MASKED
def test_c17_needs_c6_c7_and_c9(signature: Signature) -> None:
    wrong: Any = ("boolean", [3])
    inputs = Inputs(signature, shapes=([8, 64, 7], [64]), where=wrong)
    assert set(inputs.violations(channel_axis=3)) == {"C6"}
    if signature.vectors:
        inputs = Inputs(signature, shapes=([8, 64, 7], [32]), where=wrong)
        assert set(inputs.violations()) == {"C9"}
    if len(signature.data) > 1:
        other = {signature.data[1]: ("f32", [8, 64, 8])}
        inputs = Inputs(signature, shapes=([8, 64, 7], [64]), where=wrong, **other)
        assert set(inputs.violations()) == {"C7"}


def test_c15_with_where_is_that_count_is_not_negative() -> None:
    """How many elements count is not known before the arrays are."""
    where = ("boolean", [2, 1, 7])
    inputs = Inputs(BACKPROP_APPLY, shapes=([2, 64, 7], [64]), where=where)
    for count in (0, 1, 2**63 - 1):
        assert inputs.node(count=count).count == count
    assert set(inputs.violations(count=-1)) == {"C15"}


# ---- the ops without an epsilon -----------------------------------------------------------------


@EVERY_REDUCTION
@pytest.mark.parametrize("data_type", REAL_TYPES)
def test_reductions_put_out_f64(signature: Signature, data_type: str) -> None:
    first, second = signature.outputs
    inputs = Inputs(signature, (data_type, data_type))
    assert inputs.inferred() == {first: "f64{64}", second: "f64{64}"}
    assert inputs.inferred(channel_axis=-3) == {first: "f64{64}", second: "f64{64}"}
    unknown = Inputs(signature, ("dynamic", "dynamic"), (None, None))
    assert unknown.inferred() == {first: "f64{?}", second: "f64{?}"}
    assert inputs.node().attributes == {"channel_axis": 1}
    assert not hasattr(inputs.node(), "epsilon")


@EVERY_REDUCTION
def test_c2_c5_c6_and_c10_of_reductions(signature: Signature) -> None:
    assert set(Inputs(signature, ("i32", "f32")).violations()) == {"C2"}
    assert set(Inputs(signature, shapes=([64], [64])).violations()) == {"C5"}
    assert set(Inputs(signature).violations(channel_axis=4)) == {"C6"}
    assert set(Inputs(signature, shapes=([2, 0], [None])).violations()) == {"C10"}


def test_the_other_constraints_of_the_sums_of_a_backward_pass() -> None:
    inputs = Inputs(BACKPROP_SUMS, mean=("f16", [64, 1]), delta=("f64", [2, 64]))
    assert set(inputs.violations()) == {"C3", "C7", "C8"}
    assert set(Inputs(BACKPROP_SUMS, mean=("f16", [3])).violations()) == {"C4", "C9"}
    assert Inputs(BACKPROP_SUMS, ("bf16", "f64")).inferred()
    known = Inputs(BACKPROP_SUMS, shapes=(None, None), delta=("f32", [None, 5]))
    assert known.inferred()["gmul_delta"] == "f64{5}"


# ---- all at once --------------------------------------------------------------------------------


@EVERY_BACKPROP
def test_all_violations_are_listed_at_once(signature: Signature) -> None:
    inputs = Inputs(
        signature,
        input=("i32", [2, 64, 7, 7]),
        gamma=("f64", [64, 1]),
        beta=("f32", [32]),
        delta=("f32", [2, 64, 7]),
    )
    assert list(inputs.violations(epsilon=-1)) == ["C1", "C2", "C3", "C4", "C7", "C8", "C9"]


def test_all_violations_with_those_of_the_mask() -> None:
    inputs = Inputs(
        RELU_BACKPROP,
        shapes=([2, 64, 7, 7], [64]),
        input=("i32", [2, 64, 7, 7]),
        mask=("boolean", [2, 64, 7, 7]),
    )
    assert list(inputs.violations(epsilon=-1)) == ["C1", "C2", "C3", "C11", "C12"]


@EVERY_BACKPROP
def test_all_violations_of_the_other_half(signature: Signature) -> None:
    inputs = Inputs(
        signature,
        input=("f32", [64]),
        gamma=("f64", [0]),
        beta=("f32", [0]),
        mean=("f32", []),
        variance=("f32", [None]),
        delta=("f64", [2, 64]),
    )
    # C5 fails, so C6 is not checked and the data inputs do not take part in C9.
    labels = list(inputs.violations(epsilon=math.nan, channel_axis=7))
    assert labels == ["C1", "C3", "C4", "C5", "C7", "C8", "C10"]


@EVERY_OP
def test_an_invalid_node_is_a_value_error(signature: Signature) -> None:
    with pytest.raises(ValueError, match=r"BatchNorm\w+ 'BatchNorm\w+_\d+' is not valid"):
        Inputs(signature, ("i32", "f32")).node()
