"""The ops' inference of their outputs, and the state that their clones keep."""

from ..mutant import Group, Mutant

OP = "csrc/normgraph/op/"
INFERENCE_TESTS = "tests/op/test_inference.py"
NODE_TESTS = "tests/op/test_nodes.py tests/op/test_inference.py"

REFINEMENT = Group(
    OP + "batch_norm_constraints.cpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "data-do-not-learn-the-vectors-type",
            "that an unknown data type follows from the vectors'",
            "data.is_dynamic() && vector != element::f32 ? vector : data",
            "data",
        ),
        Mutant(
            "data-beside-f32-are-f32",
            "that f32 vectors leave the data's type unknown",
            "data.is_dynamic() && vector != element::f32 ? vector : data",
            "data.is_dynamic() ? vector : data",
        ),
        Mutant(
            "vectors-do-not-learn-the-datas-type",
            "that an unknown vector type follows from the data's",
            "vector.is_dynamic() && !is_sixteen_bit_real(data) ? data : vector",
            "vector",
        ),
        Mutant(
            "vectors-beside-16-bits-have-16-bits",
            "that 16-bit data leave the vectors' type unknown",
            "vector.is_dynamic() && !is_sixteen_bit_real(data) ? data : vector",
            "vector.is_dynamic() ? data : vector",
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
            "PartialShape{channels}}",
            "PartialShape::dynamic(1)}",
        ),
    ),
)

ATTRIBUTES = Group(
    OP + "batch_norm_node.cpp",
    NODE_TESTS,
    (
        Mutant(
            "attribute-epsilon",
            "that epsilon is among the attributes",
            'visitor.on_attribute("epsilon", epsilon_);',
            "",
        ),
        Mutant(
            "attribute-channel-axis",
            "that channel_axis is among the attributes",
            'visitor.on_attribute("channel_axis", channel_axis_);',
            "",
        ),
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
    ),
)

TRAINING = Group(
    OP + "batch_norm_training.cpp",
    NODE_TESTS,
    (
        Mutant(
            "training-clone-without-epsilon",
            "that a clone keeps epsilon",
            "inputs[2], epsilon(), channel_axis()",
            "inputs[2], 1e-5, channel_axis()",
        ),
        Mutant(
            "training-clone-without-channel-axis",
            "that a clone keeps channel_axis",
            "inputs[2], epsilon(), channel_axis()",
            "inputs[2], epsilon(), 1",
        ),
        Mutant(
            "training-clone-swaps-inputs",
            "that a clone keeps the order of the inputs",
            "inputs[0], inputs[1], inputs[2], epsilon()",
            "inputs[0], inputs[2], inputs[1], epsilon()",
        ),
        Mutant(
            "training-output-types",
            "that the statistics have the vectors' type",
            "return {types.data, types.channel, types.channel};",
            "return {types.data, types.channel, types.data};",
        ),
    ),
)

INFERENCE = Group(
    OP + "batch_norm_inference.cpp",
    NODE_TESTS,
    (
        Mutant(
            "inference-clone-without-epsilon",
            "that a clone keeps epsilon",
            "inputs[4], epsilon(), channel_axis()",
            "inputs[4], 1e-5, channel_axis()",
        ),
        Mutant(
            "inference-clone-without-channel-axis",
            "that a clone keeps channel_axis",
            "inputs[4], epsilon(), channel_axis()",
            "inputs[4], epsilon(), 1",
        ),
        Mutant(
            "inference-clone-swaps-inputs",
            "that a clone keeps the order of the inputs",
            "inputs[2], inputs[3], inputs[4], epsilon()",
            "inputs[2], inputs[4], inputs[3], epsilon()",
        ),
        Mutant(
            "inference-output-type",
            "that normalized has the data's type",
            "return {types.data};",
            "return {types.channel};",
        ),
    ),
)


def backprop(stem: str, prefix: str) -> Group:
    """Mutants that each backward op has."""
    return Group(
        OP + stem + ".cpp",
        NODE_TESTS,
        (
            Mutant(
                f"{prefix}-clone-without-epsilon",
                "that a clone keeps epsilon",
                "inputs[5], epsilon(), channel_axis()",
                "inputs[5], 1e-5, channel_axis()",
            ),
            Mutant(
                f"{prefix}-clone-without-channel-axis",
                "that a clone keeps channel_axis",
                "inputs[5], epsilon(), channel_axis()",
                "inputs[5], epsilon(), 1",
            ),
            Mutant(
                f"{prefix}-clone-swaps-inputs",
                "that a clone keeps the order of the inputs",
                "inputs[1], inputs[2], inputs[3]",
                "inputs[1], inputs[3], inputs[2]",
            ),
            Mutant(
                f"{prefix}-stores-inputs-in-another-order",
                "that inputs are stored in the constructor's order",
                "{input, gamma, beta, mean, variance, normalized_delta}",
                "{input, gamma, beta, variance, mean, normalized_delta}",
            ),
            Mutant(
                f"{prefix}-output-types",
                "that the channel gradients have the vectors' type",
                "return {types.data, types.channel, types.channel};",
                "return {types.data, types.channel, types.data};",
            ),
        ),
    )


BACKPROP = backprop("batch_norm_training_backprop", "backprop")
FROZEN_BACKPROP = backprop("batch_norm_inference_backprop", "frozen-backprop")

GROUPS = (REFINEMENT, ATTRIBUTES, TRAINING, INFERENCE, BACKPROP, FROZEN_BACKPROP)
