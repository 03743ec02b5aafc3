"""The operators of torch: arguments, layouts, outputs, threads and memory."""

from ..mutant import Group, Mutant

TORCH = "csrc/binding/torch/"
TESTS = "tests/interop/torch/"

LAYOUTS = Group(
    TORCH + "operators.cpp",
    TESTS + "test_operators.py -k 'tracing_knows or packed_alike'",
    (
        Mutant(
            "torch-channels-beside-others",
            "that channels lie innermost only where no axis has as small a stride",
            "input.strides[other] <= stride",
            "input.strides[other] < stride",
        ),
        Mutant(
            "torch-statistics-rounded",
            "that statistics are of f64",
            "taken.attributes.statistics_type = element::f64;",
            "",
        ),
        Mutant(
            "torch-outputs-all-made",
            "that what is not wanted is not made",
            "if ((taken.wanted >> index & 1) != 0)",
            "if (index < 9)",
        ),
    ),
)

VALUES = Group(
    TORCH + "operators.cpp",
    TESTS + "test_functional.py",
    (
        Mutant(
            "torch-channels-last-inputs",
            "that inputs whose channels lie innermost are seen so",
            "taken.inputs.move_to_end(index, *taken.moved_axis);",
            "",
        ),
        Mutant(
            "torch-relu-without-bound",
            "that ReLU has its upper bound",
            "taken.attributes.upper_bound = arguments.optional_number();",
            "arguments.optional_number();",
        ),
        Mutant(
            "torch-saved-deviation-without-epsilon",
            "that epsilon is in the deviation that is saved",
            "1.0 / std::sqrt(values[channel] + epsilon)",
            "1.0 / std::sqrt(values[channel] + 0.0 * epsilon)",
        ),
        Mutant(
            "torch-saved-deviation-of-one-channel",
            "that each channel has its saved deviation",
            "next += given.array().strides[0];",
            "",
        ),
        Mutant(
            "torch-running-variance-of-more-elements",
            "how many elements the running variance's correction counts",
            "momentum, elements_per_channel(taken)",
            "momentum, 1 + elements_per_channel(taken)",
        ),
    ),
)

DERIVATIVES = Group(
    TORCH + "operators.cpp",
    TESTS + "test_autograd.py -k 'derivatives or negated or traced'",
    (
        Mutant(
            "torch-backward-pass-without-graph",
            "that a backward pass has derivatives of its own",
            "if (stable_functions().grad_mode_is_enabled()) {",
            "if (stable_functions().grad_mode_is_enabled() && interface_version == 0) {",
        ),
    ),
)

MASKS = Group(
    TORCH + "operators.cpp",
    TESTS + "test_operators.py -k 'order_of_memory or no_forward_pass or packed_alike'",
    (
        Mutant(
            "torch-mask-packed-by-channels",
            "that a mask says how it is packed",
            "bytes.back() = std::byte{shape.size() == MaskLayout::rank_of_innermost_channels};",
            "bytes.back() = std::byte{0};",
        ),
        Mutant(
            "torch-mask-by-the-order-of-the-data",
            "that a mask is read as it is packed",
            "const bool is_moved = unpack_mask(mask, *layout, taken) && axis + 1 < rank;",
            "unpack_mask(mask, *layout, taken);"
            " const bool is_moved = innermost_channel_axis(input, channel_axis).has_value();",
        ),
        Mutant(
            "torch-mask-of-any-packing",
            "that a mask's packing is one of the two",
            "if (packing > 1 || (packing == 0 && is_last_))",
            "if (packing == 0 && is_last_)",
        ),
        Mutant(
            "torch-mask-of-any-size",
            "that a mask has as many bytes as the data's shape needs",
            "mask.shape[0] != length",
            "mask.shape[0] < length",
        ),
        Mutant(
            "torch-mask-for-one-packing",
            "that a mask has room for either packing",
            "(is_last_ ? by_positions : std::max(by_positions, kernel::product(shape(false)))) + 1",
            "by_positions + 1",
        ),
    ),
)

OPERATORS = Group(
    TORCH + "operators.cpp",
    TESTS + "test_operators.py -k 'threads or errors'",
    (
        Mutant(
            "torch-threads-of-our-own",
            "that kernels run on torch's threads",
            "const ScopedExecutor executor(run);",
            "static_cast<void>(run);",
        ),
        Mutant(
            "torch-evaluation-as-training",
            "that torch's operator is refused outside of training",
            "if (!is_training)",
            "if (!is_training && momentum > 9.0)",
        ),
    ),
)

TENSORS = Group(
    TORCH + "tensor.cpp",
    TESTS + "test_operators.py -k 'tracing_knows or pool'",
    (
        Mutant(
            "torch-outputs-with-gaps",
            "that outputs fill their memory",
            "if (layout.strides[axis] != expected)",
            "if (layout.strides[axis] < 0)",
        ),
        Mutant(
            "torch-outputs-never-given-back",
            "that the last tensor gives its memory back",
            "const std::unique_ptr<Block> ending(static_cast<Block*>(context));",
            "static_cast<void>(context);",
        ),
        Mutant(
            "torch-outputs-without-the-pool",
            "that large outputs come from the pool",
            "if (size >= smallest_pooled)",
            "if (size >= 1024 * smallest_pooled)",
        ),
    ),
)

GROUPS = (LAYOUTS, VALUES, DERIVATIVES, MASKS, OPERATORS, TENSORS)
