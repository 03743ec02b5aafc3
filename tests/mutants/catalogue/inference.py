"""What the ops infer for their outputs, and what their clones and their signatures keep."""

from ..mutant import CPP_TESTS, Group, Mutant

OP = "csrc/normgraph/op/"
INFERENCE_TESTS = "tests/op/test_inference.py"
NODE_TESTS = "tests/op/test_nodes.py tests/op/test_inference.py"
SIGNATURE_TESTS = "tests/op/test_signatures.py"

REFINEMENT = Group(
    OP + "batch_norm_constraints.cpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "data-do-not-learn-the-vectors-type",
            "that an unknown data type follows from the vectors'",
            "data.is_dynamic() && possible.size() == 1 ? possible.front() : data",
            "data",
        ),
        Mutant(
            "data-beside-f32-are-f32",
            "that f32 vectors leave the data's type unknown",
            "data.is_dynamic() && possible.size() == 1 ? possible.front() : data",
            "data.is_dynamic() && possible.size() < 4 ? possible.back() : data",
        ),
        Mutant(
            "vectors-do-not-learn-the-datas-type",
            "that an unknown vector type follows from the data's",
            "affine.is_dynamic() && !data.is_sixteen_bit_real() ? data : affine",
            "affine",
        ),
        Mutant(
            "vectors-beside-16-bits-have-16-bits",
            "that 16-bit data leave the vectors' type unknown",
            "affine.is_dynamic() && !data.is_sixteen_bit_real() ? data : affine",
            "affine.is_dynamic() ? data : affine",
        ),
        Mutant(
            "shape-of-input-alone",
            "that normalized_delta refines the shape",
            "merged = PartialShape::merge(merged, tensor.type->partial_shape).value();",
            "if (&tensor == &data.front()) { merged = tensor.type->partial_shape; }",
        ),
        Mutant(
            "shape-of-the-last-alone",
            "that input refines the shape",
            "merged = PartialShape::merge(merged, tensor.type->partial_shape).value();",
            "merged = tensor.type->partial_shape;",
        ),
        Mutant(
            "shape-without-channels",
            "that what is known of C refines the channel axis",
            "merged.with_dimension(resolve_axis(channel_axis, merged.size()).value(), channels)",
            "merged",
        ),
        Mutant(
            "vectors-without-channels",
            "that the channel outputs have length C",
            "infer_affine_type(parts), PartialShape{channels}}",
            "infer_affine_type(parts), PartialShape::dynamic(1)}",
        ),
    ),
)

FAMILY = Group(
    OP + "batch_norm_node.hpp",
    NODE_TESTS,
    (
        Mutant(
            "constructor-without-epsilon",
            "that epsilon is kept",
            "epsilon_{epsilon}",
            "epsilon_{1e-5 + 0 * epsilon}",
        ),
        Mutant(
            "constructor-without-channel-axis",
            "that channel_axis is kept",
            "channel_axis_{channel_axis}",
            "channel_axis_{1 + 0 * channel_axis}",
        ),
        Mutant(
            "attribute-epsilon",
            "that epsilon is among the attributes",
            'Attribute<double>{"epsilon", "finite',
            'Attribute<double>{"eps", "finite',
        ),
        Mutant(
            "statistics-of-gammas-type-alone",
            "that statistics have the type that is asked for",
            "return statistics_type_; }",
            "return std::nullopt; }",
        ),
        Mutant(
            "attribute-channel-axis",
            "that channel_axis is among the attributes",
            'Attribute<std::int64_t>{"channel_axis",',
            'Attribute<std::int64_t>{"axis",',
        ),
        Mutant(
            "training-clone-without-channel-axis",
            "that a clone keeps channel_axis",
            "{epsilon_, channel_axis()}",
            "{epsilon_, default_channel_axis}",
        ),
        Mutant(
            "classes-without-default-epsilon",
            "the default of epsilon",
            'Attribute<double>{"epsilon", "finite number >= 0", default_epsilon}',
            'Attribute<double>{"epsilon", "finite number >= 0"}',
        ),
        Mutant(
            "constructor-without-name",
            "that the friendly name is kept",
            "with_where({inputs...}, where), epsilon, channel_axis, std::move(friendly_name)",
            "with_where({inputs...}, where), epsilon, channel_axis, std::string()",
        ),
        Mutant(
            "constructor-does-not-validate",
            "that a new node is valid and has inferred its outputs",
            "epsilon, channel_axis, std::move(friendly_name)} { this->validate_and_infer_types();",
            "epsilon, channel_axis, std::move(friendly_name)} {",
        ),
        Mutant(
            "constructor-with-statistics-does-not-validate",
            "that a new node with statistics is valid and has inferred its outputs",
            "statistics_type, std::move(friendly_name)} { this->validate_and_infer_types();",
            "statistics_type, std::move(friendly_name)} {",
        ),
    ),
)

OP_NODE = Group(
    OP + "op_node.hpp",
    NODE_TESTS,
    (
        Mutant(
            "training-clone-without-epsilon",
            "that a clone keeps epsilon",
            "return clone(std::make_index_sequence<Derived::signature.inputs.size()>());",
            "const auto node = "
            "clone(std::make_index_sequence<Derived::signature.inputs.size()>()); "
            "if constexpr (requires { node->set_epsilon(1e-5); }) { node->set_epsilon(1e-5); } "
            "return node;",
        ),
        Mutant(
            "training-clone-swaps-inputs",
            "that a clone keeps the order of the inputs",
            "inputs[index]..., values..., friendly_name",
            "inputs[Derived::signature.inputs.size() - 1 - index]..., values..., friendly_name",
        ),
        Mutant(
            "clone-without-name",
            "that a clone has the name it is given",
            "inputs[index]..., values..., friendly_name",
            "inputs[index]..., values..., std::string()",
        ),
        Mutant(
            "attributes-named-by-their-sentences",
            "the names of attributes",
            "std::get<index>(Derived::attributes).name",
            "std::get<index>(Derived::attributes).sentence",
        ),
    ),
)

VECTOR_ROLES = Group(
    OP + "signature.hpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "last-vector-is-none",
            "that sums are channel vectors",
            "role <= Role::sum_of_products",
            "role <= Role::beta_delta",
        ),
    ),
)

ROLES_OF_PORTS = Group(
    OP + "signature.hpp",
    CPP_TESTS,
    (
        Mutant(
            "last-port-is-not-found",
            "that the last port of an op counts",
            "index_of(ports, role) < ports.size()",
            "index_of(ports, role) + 1 < ports.size()",
        ),
    ),
)

PORTS_OF_TRAINING = Group(
    OP + "batch_norm_node.hpp",
    "tests/kernel/test_batch_norm_training.py",
    (
        Mutant(
            "roles-of-batch-statistics-exchanged",
            "which output is the mean and which the variance",
            'batch_mean{"mean", Role::mean, statistics_of_batch}; '
            'inline constexpr Port batch_variance{"variance", Role::variance,',
            'batch_mean{"mean", Role::variance, statistics_of_batch}; '
            'inline constexpr Port batch_variance{"variance", Role::mean,',
        ),
    ),
)

PORTS_OF_INFERENCE = Group(
    OP + "batch_norm_node.hpp",
    "tests/kernel/test_batch_norm_inference.py",
    (
        Mutant(
            "roles-of-given-statistics-exchanged",
            "which input is the mean and which the variance",
            'given_mean{"mean", Role::mean, given_statistics}; '
            'inline constexpr Port given_variance{"variance", Role::variance,',
            'given_mean{"mean", Role::variance, given_statistics}; '
            'inline constexpr Port given_variance{"variance", Role::mean,',
        ),
    ),
)

PORTS_OF_BACKPROP = Group(
    OP + "batch_norm_node.hpp",
    "tests/kernel/test_batch_norm_training_backprop.py",
    (
        Mutant(
            "mean-of-the-forward-op-is-a-variance",
            "that a backward op has the mean",
            'forward_mean{"mean", Role::mean,',
            'forward_mean{"mean", Role::variance,',
        ),
        Mutant(
            "gamma-delta-is-a-beta-delta",
            "that a backward op puts out gamma_delta",
            'gamma_delta{"gamma_delta", Role::gamma_delta,',
            'gamma_delta{"gamma_delta", Role::beta_delta,',
        ),
    ),
)

TRAINING = Group(
    OP + "batch_norm_training.hpp",
    NODE_TESTS,
    (
        Mutant(
            "training-ports-in-another-order",
            "the order of gamma and beta",
            "ports::gamma, ports::beta",
            "ports::beta, ports::gamma",
        ),
        Mutant(
            "training-output-types",
            "that the statistics have the vectors' type",
            "ports::batch_variance",
            '{"variance", Role::result, ports::vector_like_gamma}',
        ),
    ),
)

INFERENCE = Group(
    OP + "batch_norm_inference.hpp",
    NODE_TESTS,
    (
        Mutant(
            "inference-ports-in-another-order",
            "the order of mean and variance",
            "ports::given_mean, ports::given_variance",
            "ports::given_variance, ports::given_mean",
        ),
        Mutant(
            "inference-output-type",
            "that normalized has the data's type",
            '{"normalized", Role::result,',
            '{"normalized", Role::gamma,',
        ),
    ),
)


def backprop(stem: str, prefix: str) -> Group:
    """Mutants that each backward op has."""
    return Group(
        OP + stem + ".hpp",
        NODE_TESTS,
        (
            Mutant(
                f"{prefix}-stores-inputs-in-another-order",
                "that inputs are stored in the constructor's order",
                "ports::forward_mean, ports::forward_variance",
                "ports::forward_variance, ports::forward_mean",
            ),
            Mutant(
                f"{prefix}-output-types",
                "that the channel gradients have the vectors' type",
                "ports::gamma_delta, ports::beta_delta",
                'ports::gamma_delta, {"beta_delta", Role::result, ports::vector_like_gamma}',
            ),
        ),
    )


BACKPROP = backprop("batch_norm_training_backprop", "backprop")
FROZEN_BACKPROP = backprop("batch_norm_inference_backprop", "frozen-backprop")

STATISTICS = Group(
    OP + "batch_norm_training_backprop.hpp",
    "tests/kernel/test_batch_norm_training_backprop.py",
    (
        Mutant(
            "backprop-of-given-statistics",
            "that the statistics are the batch's",
            "statistics = Statistics::of_batch",
            "statistics = Statistics::given",
        ),
    ),
)

FROZEN_STATISTICS = Group(
    OP + "batch_norm_inference_backprop.hpp",
    "tests/kernel/test_batch_norm_inference_backprop.py",
    (
        Mutant(
            "frozen-backprop-of-the-batch",
            "that the statistics are given",
            "statistics = Statistics::given",
            "statistics = Statistics::of_batch",
        ),
    ),
)

RELU_BACKPROP = Group(
    OP + "elementwise.hpp",
    SIGNATURE_TESTS,
    (
        Mutant(
            "relu-gradient-before-its-value",
            "the order of ReLU's value and gradient",
            '{"value"}, {"delta"}',
            '{"delta"}, {"value"}',
        ),
    ),
)

REDUCTION = Group(
    OP + "reduction.hpp",
    SIGNATURE_TESTS,
    (
        Mutant(
            "mean-backprop-names-like-first",
            "the order of delta and like",
            '{"delta"}, {"like"}',
            '{"like"}, {"delta"}',
        ),
    ),
)

MATRICES = Group(
    OP + "matrix_multiply.hpp",
    f"{SIGNATURE_TESTS} tests/op/test_primitives.py",
    (
        Mutant(
            "transpositions-exchanged",
            "the order of the attributes' values",
            "{transpose_left_, transpose_right_}",
            "{transpose_right_, transpose_left_}",
        ),
        Mutant(
            "transposed-by-default",
            "that a matrix is not transposed unless asked for",
            '{"transpose_left", "whether left is transposed first"}',
            '{"transpose_left", "whether left is transposed first", true}',
        ),
    ),
)

MASKS = Group(
    OP + "relu_selection.hpp",
    "tests/op/test_primitives.py",
    (
        Mutant(
            "mask-without-default-axis",
            "the default of channel_axis",
            '{"channel_axis", channel_axis_sentence, default_channel_axis}',
            '{"channel_axis", channel_axis_sentence}',
        ),
        Mutant(
            "mask-that-is-data",
            "that a mask has the type and the shape of one",
            '{{{"mask", Role::mask}}}',
            '{{{"mask", Role::result}}}',
        ),
    ),
)

GROUPS = (
    REFINEMENT,
    FAMILY,
    OP_NODE,
    VECTOR_ROLES,
    ROLES_OF_PORTS,
    PORTS_OF_TRAINING,
    PORTS_OF_INFERENCE,
    PORTS_OF_BACKPROP,
    TRAINING,
    INFERENCE,
    BACKPROP,
    FROZEN_BACKPROP,
    STATISTICS,
    FROZEN_STATISTICS,
    RELU_BACKPROP,
    REDUCTION,
    MATRICES,
    MASKS,
)
