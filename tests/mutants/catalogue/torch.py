"""The operators of torch: arguments, layouts, outputs, threads and memory."""

from ..mutant import Group, Mutant

TORCH = "csrc/binding/torch/"
TESTS = "tests/interop/torch/"

LAYOUTS = Group(
    TORCH + "operators.cpp",
    TESTS + "test_operators.py -k tracing_knows",
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
            "torch-backward-pass-beside-the-dispatcher",
            "that a backward pass is an operator that tracing and views know of",
            'check_status(torch.call_dispatcher(op, "", stack, interface_version), op);',
            "if (torch.grad_mode_is_enabled()) {"
            ' check_status(torch.call_dispatcher(op, "", stack, interface_version), op); }'
            " else { run_training_backprop(stack, 0, 0); }",
        ),
        Mutant(
            "torch-backward-pass-without-graph",
            "that a backward pass has derivatives of its own",
            "torch.grad_mode_is_enabled() ?",
            "torch.grad_mode_is_enabled() && interface_version == 0 ?",
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

GROUPS = (LAYOUTS, VALUES, DERIVATIVES, OPERATORS, TENSORS)
