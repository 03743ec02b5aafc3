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
            "line.channel * size",
        ),
        Mutant(
            "masked-bits-not-read",
            "that ReLU's mask makes gradients 0",
            "(!is_masked || bits[element])",
            "true",
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

GROUPS = (REFERENCE, DELTAS, COPIES, APPLY, POSITIONS, NODES)
