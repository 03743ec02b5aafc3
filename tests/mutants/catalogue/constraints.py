"""The constraints C1 to C13, each check, premise and direction; the ops share them."""

from ..mutant import Group, Mutant

PATH = "csrc/normgraph/op/batch_norm_constraints.cpp"
TESTS = "tests/op/test_constraints.py -k "

C1 = Group(
    PATH,
    TESTS + "c1",
    (
        Mutant(
            "c1-of-the-constructor",
            "C1",
            "report.holds(check_epsilon(epsilon)); // C1",
            "",
        ),
        Mutant(
            "c1-infinite-epsilon",
            "that epsilon is finite",
            "std::isfinite(epsilon) && epsilon >= 0",
            "epsilon >= 0",
        ),
        Mutant(
            "c1-negative-epsilon",
            "that epsilon is not negative",
            "std::isfinite(epsilon) && epsilon >= 0",
            "std::isfinite(epsilon)",
        ),
        Mutant(
            "c1-epsilon-of-zero",
            "that epsilon may be 0",
            "std::isfinite(epsilon) && epsilon >= 0",
            "std::isfinite(epsilon) && epsilon > 0",
        ),
    ),
)

C1_OF_THE_SETTER = Group(
    "csrc/normgraph/op/batch_norm_node.cpp",
    TESTS + "c1",
    (
        Mutant(
            "c1-of-the-setter",
            "C1",
            "std::optional<Violation> violation = check_epsilon(epsilon)",
            "std::optional<Violation> violation = check_epsilon(0.0 * epsilon_)",
        ),
        Mutant(
            "c1-setter-sets-first",
            "that a refused epsilon is not kept",
            "void EpsilonNode::set_epsilon(double epsilon) {",
            "void EpsilonNode::set_epsilon(double epsilon) { epsilon_ = epsilon;",
        ),
    ),
)

C2 = Group(
    PATH,
    TESTS + "c2",
    (
        Mutant(
            "c2",
            "C2",
            "report.holds(check_data_type_is_real(inputs.data))",
            "true",
        ),
        Mutant(
            "types-known-from-input-alone",
            "that normalized_delta, too, tells the type of the data",
            "return tensor.type->element_type.is_static(); });",
            'return tensor.name != "normalized_delta" && '
            "tensor.type->element_type.is_static(); });",
        ),
    ),
)

C3 = Group(
    PATH,
    TESTS + "c3",
    (
        Mutant(
            "c3",
            "C3",
            "report.holds(check_data_types_agree(inputs.data))",
            "true",
        ),
    ),
)

C4 = Group(
    PATH,
    TESTS + "c4",
    (
        Mutant(
            "c4-beside-data",
            "C4, that vectors have the data's type",
            "return !fits(type, data); });",
            "return !type.is_real(); });",
        ),
        Mutant(
            "c4-alone",
            "C4, that vectors beside unknown data are real",
            "[](element::Type type) { return !type.is_real(); }",
            "[](element::Type) { return false; }",
        ),
        Mutant(
            "c4-among-vectors",
            "C4, that gamma and beta share one type",
            "report.holds(check_vector_types_agree(inputs.affine)) &&",
            "",
        ),
        Mutant(
            "c4-among-statistics",
            "C4, that mean and variance share one type",
            "report.holds(check_vector_types_agree(inputs.statistics))) {",
            "true) {",
        ),
        Mutant(
            "c4-among-all-vectors",
            "C4, that some type of data goes with all vectors",
            "report.holds(check_vector_types_fit(inputs));",
            "",
        ),
        Mutant(
            "c4-no-f64-statistics",
            "that statistics may be of a wider type",
            "return vector == data || (vector.is_real() && vector.size() > data.size());",
            "return fits_as_affine(vector, data);",
        ),
        Mutant(
            "c4-narrower-statistics",
            "that statistics are of no narrower type",
            "(vector.is_real() && vector.size() > data.size())",
            "vector.is_real()",
        ),
        Mutant(
            "c4-f64-gamma-beside-f32",
            "that gamma and beta of f32 data are f32",
            "find_wrong_types(inputs.affine, data, fits_as_affine)",
            "find_wrong_types(inputs.affine, data, fits_as_statistics)",
        ),
        Mutant(
            "c4-statistics-type-unchecked",
            "that statistics_type goes with the data",
            "if (statistics_type) { parts",
            "if (false) { parts",
        ),
        Mutant(
            "c4-no-f32-beside-16-bits",
            "that f32 vectors may come with 16-bit data",
            "(vector == element::f32 && data.is_sixteen_bit_real())",
            "false",
        ),
        Mutant(
            "c4-f32-beside-everything",
            "that f32 vectors come with 16-bit data alone",
            "(vector == element::f32 && data.is_sixteen_bit_real())",
            "vector == element::f32",
        ),
        Mutant(
            "c4-everything-beside-16-bits",
            "that the other type beside 16-bit data is f32",
            "(vector == element::f32 && data.is_sixteen_bit_real())",
            "(vector == element::f64 && data.is_sixteen_bit_real())",
        ),
        Mutant(
            "c4-without-premise-c2",
            "that C4 says nothing of data that violate C2",
            "check_vector_types(inputs, is_real && agree, report)",
            "check_vector_types(inputs, agree, report)",
        ),
        Mutant(
            "c4-without-premise-c3",
            "that C4 says nothing of data that violate C3",
            "check_vector_types(inputs, is_real && agree, report)",
            "check_vector_types(inputs, is_real, report)",
        ),
        Mutant(
            "c4-twice",
            "that vectors of wrong types are not reported as differing, too",
            "if (check_vector_types(inputs, is_real && agree, report) &&",
            "check_vector_types(inputs, is_real && agree, report); if (",
        ),
    ),
)

SIXTEEN_BITS = Group(
    "csrc/normgraph/ir/element_type.hpp",
    TESTS + "c4",
    (
        Mutant(
            "c4-no-f32-beside-bf16",
            "that f32 vectors may come with bf16 data",
            "kind_ == Kind::f16 || kind_ == Kind::bf16",
            "kind_ == Kind::f16",
        ),
        Mutant(
            "c4-no-f32-beside-f16",
            "that f32 vectors may come with f16 data",
            "kind_ == Kind::f16 || kind_ == Kind::bf16",
            "kind_ == Kind::bf16",
        ),
    ),
)

C5 = Group(
    PATH,
    TESTS + "c5",
    (
        Mutant(
            "c5",
            "C5",
            "report.holds(check_rank(inputs.data)) &&",
            "",
        ),
        Mutant(
            "c5-rank-of-1",
            "that the rank is at least 2, not 1",
            "known->type->partial_shape.size() >= 2",
            "known->type->partial_shape.size() >= 1",
        ),
        Mutant(
            "rank-known-from-input-alone",
            "that normalized_delta, too, tells the rank",
            "return tensor.type->partial_shape.has_static_rank(); });",
            'return tensor.name == "input" && tensor.type->partial_shape.has_static_rank(); });',
        ),
    ),
)

C6 = Group(
    PATH,
    TESTS + "c6",
    (
        Mutant(
            "c6",
            "C6",
            "report.holds(check_channel_axis(inputs.data, channel_axis));",
            "true;",
        ),
        Mutant(
            "c6-axis-after-the-last",
            "the upper bound of channel_axis",
            "channel_axis < -signed_rank || channel_axis >= signed_rank",
            "channel_axis < -signed_rank || channel_axis > signed_rank",
        ),
        Mutant(
            "c6-axis-before-the-first",
            "the lower bound of channel_axis",
            "channel_axis < -signed_rank || channel_axis >= signed_rank",
            "channel_axis < -signed_rank - 1 || channel_axis >= signed_rank",
        ),
        Mutant(
            "c6-last-axis",
            "that the last axis is within the rank",
            "channel_axis < -signed_rank || channel_axis >= signed_rank",
            "channel_axis < -signed_rank || channel_axis >= signed_rank - 1",
        ),
        Mutant(
            "c6-first-axis-from-behind",
            "that axis −rank is within the rank",
            "channel_axis < -signed_rank || channel_axis >= signed_rank",
            "channel_axis <= -signed_rank || channel_axis >= signed_rank",
        ),
        Mutant(
            "c6-negative-axis-not-resolved",
            "that a negative axis counts from the last",
            "axis_from_front(channel_axis, signed_rank)",
            "channel_axis < 0 ? -channel_axis - 1 : channel_axis",
        ),
    ),
)

C6_PREMISE = Group(
    PATH,
    TESTS + "'c5 or violations'",
    (
        Mutant(
            "c6-without-premise-c5",
            "that C6 is not checked where C5 is violated",
            "report.holds(check_rank(inputs.data)) &&",
            "static_cast<int>(report.holds(check_rank(inputs.data))) &",
        ),
    ),
)

C7 = Group(
    PATH,
    TESTS + "c7",
    (
        Mutant(
            "c7",
            "C7",
            "report.holds(check_data_shapes_agree(inputs.data));",
            "true;",
        ),
        Mutant(
            "c7-ranks-alone",
            "that every axis merges",
            "if (!expected.compatible(shape))",
            "if (!expected.rank().compatible(shape.rank()))",
        ),
        Mutant(
            "c9-counts-shapes-that-violate-c7",
            "that input speaks alone of C where C7 is violated",
            "shape.has_static_rank() && (shapes_agree || sources.empty())",
            "shape.has_static_rank()",
        ),
        Mutant(
            "c9-without-data-that-violate-c7",
            "that input still speaks of C where C7 is violated",
            "shape.has_static_rank() && (shapes_agree || sources.empty())",
            "shape.has_static_rank() && shapes_agree",
        ),
    ),
)

C8 = Group(
    PATH,
    TESTS + "c8",
    (
        Mutant(
            "c8",
            "C8",
            "report.holds(check_vector_ranks(inputs.vectors)); // C8",
            "",
        ),
        Mutant(
            "c8-rank-of-0",
            "that a scalar is no vector",
            "!shape.has_static_rank() || shape.size() == 1",
            "!shape.has_static_rank() || shape.size() <= 1",
        ),
        Mutant(
            "c8-rank-of-2",
            "that a matrix is no vector",
            "!shape.has_static_rank() || shape.size() == 1",
            "!shape.has_static_rank() || shape.size() >= 1",
        ),
        Mutant(
            "c8-unknown-rank",
            "that an unknown rank may be 1",
            "!shape.has_static_rank() || shape.size() == 1",
            "shape.rank() == Dimension(1)",
        ),
    ),
)

C9 = Group(
    PATH,
    TESTS + "c9",
    (
        Mutant(
            "c9",
            "C9",
            "channels_agree = report.holds(check_channels_agree(sources));",
            "channels_agree = merge_channels(sources).has_value();",
        ),
        Mutant(
            "c9-without-data",
            "that the data know C",
            "sources.push_back({tensor, resolve_axis(channel_axis, shape.size()).value(), true});",
            "",
        ),
        Mutant(
            "c9-without-vectors",
            "that the vectors know C",
            "sources.push_back({vector, 0, false});",
            "",
        ),
        Mutant(
            "c9-vectors-of-length-1-broadcast",
            "that a vector of length 1 does not broadcast",
            "vector.type->partial_shape.has_static_rank() && may_be_vector(vector)",
            "vector.type->partial_shape.has_static_rank() && may_be_vector(vector) && "
            "vector.type->partial_shape[0] != Dimension(1)",
        ),
        Mutant(
            "c9-of-vectors-that-violate-c8",
            "that vectors that violate C8 do not speak of C",
            "vector.type->partial_shape.has_static_rank() && may_be_vector(vector)",
            "vector.type->partial_shape.has_static_rank() && vector.type->partial_shape.size() > 0",
        ),
        Mutant(
            "c9-of-the-first-two",
            "that all are compared",
            "merged = merged ? Dimension::merge(*merged, source.channels()) : merged;",
            "if (&source - sources.data() < 2) { "
            "merged = merged ? Dimension::merge(*merged, source.channels()) : merged; }",
        ),
    ),
)

C9_PREMISE = Group(
    PATH,
    TESTS + "'c6 or c5'",
    (
        Mutant(
            "c9-without-premise-c6",
            "that an axis outside of the rank is not looked at",
            "if (axis_is_valid)",
            "if (axis_is_valid || !axis_is_valid)",
        ),
    ),
)

C10 = Group(
    PATH,
    TESTS + "c10",
    (
        Mutant(
            "c10",
            "C10",
            "report.holds(check_channels_exist(sources)); // C10",
            "",
        ),
        Mutant(
            "c10-of-data-alone",
            "that a vector, too, can be too short",
            "if (source.channels().max_length() == 0)",
            "if (source.is_data && source.channels().max_length() == 0)",
        ),
        Mutant(
            "c10-of-vectors-alone",
            "that the data, too, can be without channels",
            "if (source.channels().max_length() == 0)",
            "if (!source.is_data && source.channels().max_length() == 0)",
        ),
        Mutant(
            "c10-where-there-may-be-none",
            "that an interval from 0 holds as long as there may be a channel",
            "source.channels().max_length() == 0",
            "source.channels().min_length() == 0",
        ),
    ),
)

C10_PREMISE = Group(
    PATH,
    TESTS + "c9",
    (
        Mutant(
            "c10-without-premise-c9",
            "that C10 is not checked where C9 is violated",
            "if (channels_agree)",
            "if (channels_agree || !channels_agree)",
        ),
    ),
)

MASK = Group(
    PATH,
    TESTS + "'c11 or c12'",
    (
        Mutant(
            "c11",
            "C11",
            "report.holds(check_mask_type(parts.masks)); // C11",
            "",
        ),
        Mutant(
            "c11-any-integer",
            "that the element type is u8",
            "element::Type::merge(element::u8, type)",
            "element::Type::merge(type == element::i8 ? type : element::u8, type)",
        ),
        Mutant(
            "c12",
            "C12",
            "check_mask_shape(parts.masks, shapes->data, channel_axis, shapes->channels)",
            "std::nullopt",
        ),
        Mutant(
            "c12-without-premise-c6",
            "that C12 is not checked where C6 is violated",
            "if (!axis_is_valid || !shapes_agree || !channels_agree)",
            "if (!shapes_agree || !channels_agree)",
        ),
        Mutant(
            "c12-without-premise-c7",
            "that C12 is not checked where C7 is violated",
            "if (!axis_is_valid || !shapes_agree || !channels_agree)",
            "if (!axis_is_valid || !channels_agree)",
        ),
        Mutant(
            "c12-without-premise-c9",
            "that C12 is not checked where C9 is violated",
            "if (!axis_is_valid || !shapes_agree || !channels_agree)",
            "if (!axis_is_valid || !shapes_agree)",
        ),
        Mutant(
            "mask-is-a-channel-vector",
            "that the mask is no channel vector",
            "role == Role::mask ? inputs.masks : inputs.vectors",
            "inputs.vectors",
        ),
    ),
)

ROLE = Group(
    "csrc/normgraph/op/batch_norm_node.hpp",
    TESTS + "'c11 or c12'",
    (
        Mutant(
            "activated-delta-is-a-channel-vector",
            "that activated_delta is data",
            '{"activated_delta", Role::delta,',
            '{"activated_delta", Role::gamma_delta,',
        ),
    ),
)

LABELS = Group(
    PATH,
    "tests/op/test_signatures.py tests/op/test_nodes.py",
    (
        Mutant(
            "c3-without-a-gradient",
            "that C3 needs a gradient",
            '{"C3", has_several_data}',
            '{"C3", true}',
        ),
        Mutant(
            "c11-of-what-puts-out-a-mask",
            "that C11 and C12 speak of an input",
            "has_mask = has(signature.inputs, Role::mask)",
            "has_mask = has(signature.outputs, Role::mask)",
        ),
        Mutant(
            "c12-left-out-of-the-labels",
            "the label of C12",
            '{"C11", has_mask}, {"C12", has_mask}',
            '{"C11", has_mask}',
        ),
    ),
)

REPORT = Group(
    "csrc/normgraph/op/report.hpp",
    TESTS + "violations",
    (
        Mutant(
            "first-violation-alone",
            "that all violations are listed",
            "if (violation) { violations_.push_back(*std::move(violation)); }",
            "if (violation && violations_.empty()) { violations_.push_back(*violation); }",
        ),
    ),
)

GROUPS = (
    C1,
    C2,
    C3,
    C4,
    SIXTEEN_BITS,
    C5,
    C6,
    C6_PREMISE,
    C7,
    C8,
    C9,
    C9_PREMISE,
    C10,
    C10_PREMISE,
    MASK,
    ROLE,
    LABELS,
    REPORT,
    C1_OF_THE_SETTER,
)
