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
            "summation_order_version = 1",
            "summation_order_version = 2",
        ),
        Mutant(
            "steps-per-block",
            "512 steps per block",
            "steps_per_block = 512",
            "steps_per_block = 256",
        ),
        Mutant(
            "lanes-along-the-row",
            "16 lanes along a row",
            "lanes_per_step = 16",
            "lanes_per_step = 8",
        ),
        Mutant(
            "one-row-per-block",
            "that rows share a block",
            "return steps_per_block / steps_per_row();",
            "return 1;",
        ),
        Mutant(
            "steps-per-row-rounded-down",
            "that an incomplete step of a row counts",
            "divide_up(row_length, lanes)",
            "(row_length / lanes > 0 ? row_length / lanes : 1)",
        ),
        Mutant(
            "lanes-beside-few-channels-rounded-down",
            "that at least 16 accumulators are made",
            "divide_up(lanes_per_step, channels)",
            "(lanes_per_step > channels ? lanes_per_step / channels : 1)",
        ),
        Mutant(
            "lanes-beside-few-channels-halved",
            "that the lanes are the next power of two above, not below",
            "std::bit_ceil(static_cast<std::uint64_t>(wanted))",
            "std::bit_floor(static_cast<std::uint64_t>(wanted))",
        ),
        Mutant(
            "one-lane-beside-channels",
            "that few channels share the accumulators",
            "{1, outer * inner, channels_last_lanes(channels)}",
            "{1, outer * inner, 1}",
        ),
        Mutant(
            "rows-kept-in-channels-last",
            "that a channel of channels_last is one row",
            "{1, outer * inner, channels_last_lanes(channels)}",
            "{outer, inner, channels_last_lanes(channels)}",
        ),
        Mutant(
            "outer-is-never-the-row",
            "that without inner axes the outer one is the row",
            "if (inner == 1)",
            "if (inner == -1)",
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
            "if (row_count == 0 || row_length == 0)",
            "if (row_count == 0)",
        ),
        Mutant(
            "blocks-per-row-rounded-down",
            "that the rest of a long row is a block",
            "divide_up(row_length, elements_per_block())",
            "row_length / elements_per_block()",
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
            "sums_[lane] = add(sums_[lane], sums_[lane + half]);",
            "sums_[lane] = add(sums_[2 * lane], sums_[2 * lane + 1]);",
        ),
        Mutant(
            "fold-misses-a-half",
            "that the last two lanes are added",
            "half > 0; half /= 2",
            "half > 1; half /= 2",
        ),
        Mutant(
            "blocks-added-in-sequence",
            "the tree of blocks",
            "(digits & 1) != 0; digits >>= 1",
            "digits != 0; digits = 0",
        ),
        Mutant(
            "blocks-of-the-last-row-alone",
            "that all subtrees are added",
            "index = subtrees_.size() - 1; index-- > 0;",
            "index = subtrees_.size() - 1; index-- > 1;",
        ),
        Mutant(
            "rows-in-one-piece",
            "that long rows are cut into blocks",
            "order.rows_are_split() ? order.elements_per_block() : order.row_length",
            "order.row_length",
        ),
        Mutant(
            "lanes-kept-across-pieces",
            "that an element's lane is its place in the row",
            "static_cast<std::size_t>(element & (order.lanes - 1))",
            "static_cast<std::size_t>((element + row_in_block) & (order.lanes - 1))",
        ),
        Mutant(
            "all-in-one-lane",
            "the lanes",
            "static_cast<std::size_t>(element & (order.lanes - 1))",
            "static_cast<std::size_t>(0 * element)",
        ),
    ),
)

GROUPS = (ORDER, BLOCK_COUNT, REFERENCE)
