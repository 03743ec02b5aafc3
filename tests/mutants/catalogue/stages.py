"""The ops of a training step's stages."""

from ..mutant import Group, Mutant

OP = "csrc/normgraph/op/"
APPLY_TESTS = "tests/kernel/test_batch_norm_training_apply.py"
BACKPROP_APPLY_TESTS = "tests/kernel/test_batch_norm_training_backprop_apply.py"
SUMS_TESTS = "tests/kernel/test_batch_norm_backprop_sums.py"

CONSTRAINTS = Group(
    OP + "batch_norm_constraints.cpp",
    "tests/op/test_constraints.py",
    (
        Mutant(
            "c14-any-type",
            "C14, that sums are f64",
            "with_known_type(sums, [](element::Type type) { return type != element::f64; });",
            "with_known_type(sums, [](element::Type type) { return !type.is_real(); });",
        ),
        Mutant(
            "c15-of-one-axis",
            "that all axes count but that of the channels",
            "fewest = is_beyond ? fewest : fewest * length;",
            "fewest = is_beyond ? fewest : length;",
        ),
        Mutant(
            "c15-counts-channels",
            "that channels do not count as elements",
            "axis == channels ? 1 : data[axis].min_length()",
            "data[axis].min_length()",
        ),
        Mutant(
            "c15-beyond-64-bits",
            "that a product beyond 64 bits is more than any count",
            "is_beyond = is_beyond || fewest > count / length;",
            "is_beyond = fewest > count / length;",
        ),
        Mutant(
            "c15-negative-count",
            "that a count is not negative",
            "(*count >= 0 && !has_more_elements(",
            "(!has_more_elements(",
        ),
        Mutant(
            "sums-of-gammas-type",
            "that sums are put out in f64",
            "outputs.push_back({element::f64, PartialShape{channels}});",
            "outputs.push_back({infer_affine_type(parts), PartialShape{channels}});",
        ),
    ),
)

STATISTICS = Group(
    OP + "batch_norm_statistics.hpp",
    "tests/kernel/test_batch_norm_statistics.py",
    (
        Mutant(
            "statistics-rounded",
            "that statistics are put out in f64",
            "return {default_epsilon, channel_axis, element::f64};",
            "return {default_epsilon, channel_axis};",
        ),
    ),
)

STAGES = Group(
    OP + "batch_norm_stages.cpp",
    "tests/pass/test_differentiate.py tests/pass/test_decompose.py",
    (
        Mutant(
            "given-sums-not-used",
            "that sums that are given take the place of the node's own",
            "given ? *given : sums(delta, centered)",
            "sums(delta, centered)",
        ),
        Mutant(
            "mean-delta-of-the-part",
            "that the gradient of the mean is that of the whole batch",
            "given ? -(beta_delta * gmul) : -sum_per_channel(input_delta)",
            "-sum_per_channel(input_delta)",
        ),
        Mutant(
            "count-not-used",
            "that shares are those of the whole batch's elements",
            "if (!count) {",
            "if (true) {",
        ),
    ),
)

CALL = Group(
    "csrc/normgraph/runtime/kernel_call.cpp",
    " ".join((APPLY_TESTS, BACKPROP_APPLY_TESTS, SUMS_TESTS)),
    (
        Mutant(
            "apply-as-inference",
            "that an infinite variance makes a channel of BatchNormTrainingApply NaN",
            "op::has(Op::signature.inputs, Role::mean) && !differentiates_statistics<Op>()",
            "op::has(Op::signature.inputs, Role::mean)",
        ),
        Mutant(
            "apply-with-its-own-sums",
            "that BatchNormTrainingBackpropApply takes the sums that it is given",
            "if (!has_input(op::Role::sum_of_deltas)) {",
            "if (true) {",
        ),
        Mutant(
            "apply-with-its-own-count",
            "that count is that of the whole batch",
            "static_cast<double>(count.value_or(own_count))",
            "static_cast<double>(own_count)",
        ),
        Mutant(
            "sums-at-another-deviation",
            "that the sum of products is not scaled",
            "problem.epsilon = 1.0;",
            "problem.epsilon = 2.0;",
        ),
        Mutant(
            "sums-rounded",
            "that sums are not rounded",
            "problem.affine_type = kernel::ElementType::f64;",
            "",
        ),
    ),
)

STEP = Group(
    "csrc/normgraph/runtime/kernel_steps.cpp",
    SUMS_TESTS,
    (
        Mutant(
            "sums-over-the-mean",
            "that a vector of sums does not take the place of the mean",
            "results_[0] && op::is_data(call_.outputs[0].role)",
            "results_[0]",
        ),
    ),
)

BACKWARD = Group(
    "csrc/normgraph/kernel/simd/batch_norm_backprop.cpp",
    BACKPROP_APPLY_TESTS,
    (
        Mutant(
            "sums-of-an-empty-batch",
            "that sums of an empty batch are 0",
            "beta_delta[channel] = count_ == 0.0 ? 0.0 : group.value(0, index + channel);",
            "beta_delta[channel] = group.value(0, index + channel);",
        ),
    ),
)

GROUPS = (CONSTRAINTS, STATISTICS, STAGES, CALL, STEP, BACKWARD)
