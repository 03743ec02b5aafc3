"""The canonical order of summation: its constants, its lanes, its blocks, its tree."""

from ..mutant import CPP_TESTS, Group, Mutant

ORDER_TESTS = "tests/kernel/test_canonical_order.py"

ORDER = Group(
    "csrc/normgraph/kernel/summation_order.hpp",
    ORDER_TESTS,
    (
        Mutant(
            "order-version",
            "that the version is that of the stated order",
            "summation_order_version = 2",
            "summation_order_version = 3",
        ),
        Mutant(
            "steps-per-block",
            "64 steps per block",
            "steps_per_block = 64",
            "steps_per_block = 128",
        ),
        Mutant(
            "steps-per-chain",
            "16 steps per chain",
            "steps_per_chain = 16",
            "steps_per_chain = 8",
        ),
        Mutant(
            "chains-of-no-type",
            "that 16-bit data has chains of float",
            "return size_of(type) == 2;",
            "return size_of(type) == 3;",
        ),
        Mutant(
            "lanes-along-the-row",
            "32 lanes of 16-bit data along a row",
            "has_chains(type) ? 32 : 16",
            "has_chains(type) ? 16 : 16",
        ),
        Mutant(
            "samples-of-a-block-not-doubled",
            "that a block has as many samples as fit",
            "std::max<std::int64_t>(1, most_samples)",
            "std::int64_t{1}",
        ),
        Mutant(
            "rows-of-samples-as-one",
            "that steps begin anew at every row",
            "order.rows_are_axes = is_first && length > 1;",
            "order.rows_are_axes = is_first && length > 1 && rows > 1;",
        ),
        Mutant(
            "steps-per-row-rounded-down",
            "that an incomplete step of a row counts",
            "steps_per_row = divide_up(sample_length, order.lanes)",
            "steps_per_row = std::max<std::int64_t>(1, sample_length / order.lanes)",
        ),
        Mutant(
            "pieces-of-one-row",
            "that a piece has as many whole rows as fit",
            "std::max<std::int64_t>(1, steps_per_block / steps_per_row)",
            "1",
        ),
        Mutant(
            "lanes-beside-few-channels-rounded-down",
            "that enough accumulators are made",
            "divide_up(lanes_per_step(type), channels)",
            "std::max<std::int64_t>(1, lanes_per_step(type) / channels)",
        ),
        Mutant(
            "lanes-beside-few-channels-halved",
            "that the lanes are the next power of two above, not below",
            "std::bit_ceil(static_cast<std::uint64_t>(wanted))",
            "std::bit_floor(static_cast<std::uint64_t>(wanted))",
        ),
        Mutant(
            "samples-of-the-channels",
            "that samples are of the next axis where the channels are the first",
            "return {shape[1], 1, product(shape.subspan(2))};",
            "return {1, 1, product(shape.subspan(1))};",
        ),
    ),
)

BLOCK_COUNT = Group(
    "csrc/normgraph/kernel/summation_order.hpp",
    CPP_TESTS,
    (
        Mutant(
            "blocks-of-empty-channels",
            "that an empty channel has no blocks",
            "std::int64_t leaf_count = 0;",
            "std::int64_t leaf_count = 1;",
        ),
        Mutant(
            "rest-of-a-sample-left-out",
            "that the rest of a long row is a block",
            "order.blocks_along_leaf = divide_up(order.leaf_length, order.block_length);",
            "order.blocks_along_leaf = order.leaf_length / order.block_length;",
        ),
        Mutant(
            "blocks-beyond-their-leaf",
            "that a piece ends with its sample",
            "std::min(first + block_length, whole.end)",
            "first + block_length",
        ),
    ),
)

REFERENCE = Group(
    "csrc/normgraph/kernel/reference/summation.hpp",
    ORDER_TESTS,
    (
        Mutant(
            "fold-of-neighbours",
            "that the upper half is folded onto the lower",
            "lanes[lane] = combined(lanes[lane], lanes[lane + half]);",
            "lanes[lane] = combined(lanes[2 * lane], lanes[2 * lane + 1]);",
        ),
        Mutant(
            "fold-misses-a-half",
            "that the last two lanes are added",
            "half > 0; half /= 2",
            "half > 1; half /= 2",
        ),
        Mutant(
            "nodes-combined-in-sequence",
            "the tree of nodes",
            "(digits & 1) != 0; digits >>= 1",
            "digits != 0; digits = 0",
        ),
        Mutant(
            "first-subtree-left-out",
            "that all subtrees are combined",
            "index = subtrees_.size() - 1; index-- > 0;",
            "index = subtrees_.size() - 1; index-- > 1;",
        ),
        Mutant(
            "pieces-are-leaves",
            "that the pieces of a sample have a tree of their own",
            "piece < order.blocks_per_leaf; ++piece",
            "piece < 1; ++piece",
        ),
        Mutant(
            "chains-that-do-not-end",
            "that a chain ends after its steps",
            "if (++steps_ % steps_per_chain == 0)",
            "if (++steps_ % (1 << 20) == 0)",
        ),
        Mutant(
            "chains-that-go-on-with-the-row",
            "that chains are counted over the rows of a block",
            "lanes.end_step();",
            "for (auto n = first + order.lanes < block.end ? 1 : steps_per_chain; n > 0; --n)"
            " { lanes.end_step(); }",
        ),
        Mutant(
            "products-not-fused",
            "that products are not rounded before they are added",
            "fused_multiply_add(term.value, term.factor, products_)",
            "term.value * term.factor + products_",
        ),
    ),
)

FUSED = Group(
    "csrc/normgraph/kernel/fused_multiply_add.hpp",
    CPP_TESTS,
    (
        Mutant(
            "fused-float-rounded-twice",
            "that a product of floats is not rounded before it is added",
            "(float a, float b, float c) {\n    return std::fma(a, b, c);",
            "(float a, float b, float c) {\n    return a * b + c;",
        ),
        Mutant(
            "fused-float-by-way-of-double",
            "that a sum of floats is rounded once, not to double first",
            "(float a, float b, float c) {\n    return std::fma(a, b, c);",
            "(float a, float b, float c) {\n"
            "    return static_cast<float>(static_cast<double>(a) * b + c);",
        ),
        Mutant(
            "fused-double-rounded-twice",
            "that a product of doubles is not rounded before it is added",
            "(double a, double b, double c) {\n    return std::fma(a, b, c);",
            "(double a, double b, double c) {\n    return a * b + c;",
        ),
    ),
)

FUSED_BY_LANES = Group(
    "csrc/normgraph/kernel/simd/instruction_sets/sse2.hpp",
    CPP_TESTS,
    (
        Mutant(
            "fused-lanes-rounded-twice",
            "that vectors without a fused operation have the bits of those with one",
            "kernel::fused_multiply_add(first[lane], second[lane], third[lane])",
            "first[lane] * second[lane] + third[lane]",
        ),
        Mutant(
            "fused-lanes-but-the-last",
            "that every lane of an emulated operation is computed",
            "for (std::size_t lane = 0; lane < lanes; ++lane) {\n            third[lane] = kernel",
            "for (std::size_t lane = 0; lane + 1 < lanes; ++lane) {\n"
            "            third[lane] = kernel",
        ),
    ),
)

GROUPS = (ORDER, BLOCK_COUNT, REFERENCE, FUSED, FUSED_BY_LANES)
