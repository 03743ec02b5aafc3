"""Masked batches: which positions count, and what becomes of the others."""

from ..mutant import Group, Mutant

TESTS = "tests/kernel/test_masked_batches.py"

REFERENCE = Group(
    "csrc/normgraph/kernel/reference/block_moments.hpp",
    TESTS,
    (
        Mutant(
            "masked-block-of-nothing",
            "that a block of nothing changes nothing",
            "if (left.count == 0 || right.count == 0)",
            "if (left.count == 0)",
        ),
        Mutant(
            "masked-terms-of-all",
            "that what does not count adds nothing",
            "value ? *value - shift : 0",
            "value ? *value - shift : shift",
        ),
    ),
)

DELTAS = Group(
    "csrc/normgraph/kernel/reference/block_deltas.hpp",
    TESTS,
    (
        Mutant(
            "masked-gradient-left-out",
            "that gradients of what does not count are terms",
            "counting_.next() || delta != 0",
            "counting_.next()",
        ),
    ),
)

COPIES = Group(
    "csrc/normgraph/kernel/simd/staging/counted_copies.cpp",
    TESTS,
    (
        Mutant(
            "masked-copy-of-another-channel",
            "the channel of a shift",
            "(first + line.channel) * size",
            "(0 * first + line.channel) * size",
        ),
        Mutant(
            "masked-bits-not-read",
            "that ReLU's mask makes gradients 0",
            "(!is_masked || bits[element])",
            "(!is_masked || bits[0])",
        ),
        Mutant(
            "masked-zeros-are-positive",
            "that -0 is a gradient of 0",
            "static_cast<Word>(word << 1) == 0",
            "word == 0",
        ),
    ),
)

APPLY = Group(
    "csrc/normgraph/kernel/simd/phases/apply_by_positions.cpp",
    TESTS,
    (
        Mutant(
            "masked-delta-overwritten",
            "that products are made before the target is written",
            "        apply_uncounted(tile, staged, products);\n",
            "",
        ),
        Mutant(
            "masked-selection-left-out",
            "ReLU's mask where positions do not count",
            "apply_tile(geometry_, application.select, tile, gradient, {});",
            "",
        ),
        Mutant(
            "masked-runs-never-end",
            "that a run ends where positions differ",
            "counted_in(grain_at(run.end)) == counted",
            "true",
        ),
    ),
)

POSITIONS = Group(
    "csrc/normgraph/runtime/position_mask.cpp",
    TESTS,
    (
        Mutant(
            "lengths-of-any-size",
            "the range of lengths",
            "length < 0 || length > shape[1]",
            "length < 0",
        ),
        Mutant(
            "where-of-bytes",
            "that what is stored for true need not be 1",
            "== std::byte{0} ? std::byte{0} : std::byte{1}",
            "== std::byte{1} ? std::byte{1} : std::byte{0}",
        ),
        Mutant(
            "where-broadcasts-from-the-left",
            "that shapes broadcast from their ends",
            "const std::size_t skipped = shape.size() - own_shape.size();",
            "const std::size_t skipped = 0;",
        ),
    ),
)

NODES = Group(
    "csrc/normgraph/kernel/part_nodes.cpp",
    TESTS,
    (
        Mutant(
            "masked-parts-count-all",
            "the elements of a leaf that count",
            "samples.positions == nullptr",
            "true",
        ),
        Mutant(
            "empty-nodes-merge",
            "that a node of no elements changes nothing",
            "} else if (of_right > 0) {",
            "} else {",
        ),
    ),
)

IN_GRAPHS = "tests/pass/test_masked.py tests/runtime/test_masked.py"

STAGES = Group(
    "csrc/normgraph/op/batch_norm_stages.cpp",
    IN_GRAPHS,
    (
        Mutant(
            "masked-stages-count-all",
            "that n is the number of positions that count",
            "named(sum_per_channel(counted(one))",
            "named(sum_per_channel(one)",
        ),
        Mutant(
            "masked-stages-sum-all",
            "that the mean is that of what counts",
            'where_ ? named(counted(all), "counted") : all',
            "all",
        ),
        Mutant(
            "masked-variance-of-all",
            "that the variance is that of what counts",
            'where_ ? named(counted(data - for_each_element(mean)), "deviation") : centered',
            "centered",
        ),
        Mutant(
            "masked-gradient-reaches-all",
            "that the gradient of the mean reaches what counts alone",
            "counted(share_of_mean(mean_delta))",
            "share_of_mean(mean_delta)",
        ),
        Mutant(
            "masked-square-reaches-all",
            "that the gradient of the variance reaches what counts alone",
            "counted((centered + centered) * square_delta)",
            "(centered + centered) * square_delta",
        ),
        Mutant(
            "masked-padding-is-reached",
            "that NaN in the padding has no part in the sums",
            'named(std::make_shared<ReluBackprop>(has_part, data), "reached")',
            "data",
        ),
        Mutant(
            "masked-zero-delta-is-not-reached",
            "that a gradient of 0 has a derivative",
            "positive + negative + (one - is_unusable) + counted(one)",
            "positive + negative + counted(one)",
        ),
        Mutant(
            "masked-delta-is-not-reached",
            "that gradients of what does not count are terms",
            "positive + negative + (one - is_unusable) + counted(one)",
            "one - is_unusable + counted(one)",
        ),
    ),
)

FUSED = Group(
    "csrc/normgraph/pass/fuse_relu.cpp",
    IN_GRAPHS,
    (
        Mutant(
            "fused-beside-another-mask",
            "that both passes count the same positions",
            "backprop.where() == other.where() &&",
            "",
        ),
        Mutant(
            "fused-forward-without-mask",
            "that the fused op has the mask",
            "node.friendly_name(), node.where());",
            "node.friendly_name());",
        ),
    ),
)

STEPS = Group(
    "csrc/normgraph/runtime/kernel_steps.cpp",
    IN_GRAPHS,
    (
        Mutant(
            "masked-step-runs-unmasked",
            "the mask",
            "{.positions = positions ? &*positions : nullptr}",
            "{}",
        ),
        Mutant(
            "masked-step-of-nothing",
            "that a batch of which nothing counts is refused before anything is written",
            "where_->is_given && call_.needs_elements() &&",
            "false &&",
        ),
    ),
)

CHECKS = Group(
    "csrc/normgraph/runtime/plan.cpp",
    IN_GRAPHS,
    (
        Mutant(
            "steps-are-not-checked",
            "that arrays are checked before anything is written",
            "step->check(bindings);",
            "static_cast<void>(step);",
        ),
    ),
)

CONSTRAINTS = Group(
    "csrc/normgraph/op/batch_norm_constraints.cpp",
    "tests/op/test_constraints.py",
    (
        Mutant(
            "c16-any-type",
            "that where is boolean",
            "element::Type::merge(element::boolean, type)",
            "element::Type::merge(type, type)",
        ),
        Mutant(
            "c17-with-channels",
            "that the axis of the channels has length 1",
            "resolve_axis(channel_axis, data.size()).value(), Dimension(1))",
            "resolve_axis(channel_axis, data.size()).value(), Dimension::dynamic())",
        ),
        Mutant(
            "c15-beside-where",
            "that how many elements count is not known",
            "&& shapes && !parts.where) {",
            "&& shapes) {",
        ),
    ),
)

BROADCASTING = Group(
    "csrc/normgraph/op/primitive_constraints.cpp",
    "tests/op/test_constraints.py",
    (
        Mutant(
            "c17-without-broadcasting",
            "that a length may be 1",
            "shape[axis].compatible(Dimension(1)) || shape[axis].compatible(whole[axis])",
            "shape[axis].compatible(whole[axis])",
        ),
    ),
)

IN_GRAPH_GROUPS = (STAGES, FUSED, STEPS, CHECKS, CONSTRAINTS, BROADCASTING)
GROUPS = (REFERENCE, DELTAS, COPIES, APPLY, POSITIONS, NODES, *IN_GRAPH_GROUPS)
