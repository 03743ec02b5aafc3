"""What the kernels made of micro-kernels could get wrong; the reference shows each."""

from __future__ import annotations

from ..mutant import CPP_TESTS, Group, Mutant

SIMD = "csrc/normgraph/kernel/simd/"

TERMS = Group(
    SIMD + "terms_and_formulas.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-moments-without-shift",
            "the shift in the sums of the moments",
            "const Double shifted = sources[0] - shift;",
            "const Double shifted = sources[0] - (shift - shift);",
        ),
        Mutant(
            "vector-moments-not-squared",
            "the square in the second sum of the moments",
            "return {shifted, shifted * shifted};",
            "return {shifted, shifted};",
        ),
        Mutant(
            "vector-deltas-without-mean",
            "the mean in the second sum of the backward pass",
            "sources[1] * (sources[0] - mean)",
            "sources[1] * (sources[0] - (mean - mean))",
        ),
        Mutant(
            "vector-deltas-without-input",
            "the input in the second sum of the backward pass",
            "{sources[1], sources[1] * (sources[0] - mean)}",
            "{sources[1], sources[1] * (sources[1] - mean)}",
        ),
        Mutant(
            "vector-input-delta-sources-swapped",
            "which source is the input",
            "(sources[0], sources[1]);",
            "(sources[1], sources[0]);",
        ),
        Mutant(
            "vector-frozen-delta-without-scale",
            "the scale with frozen statistics",
            "return k[0] * sources[0];",
            "return sources[0];",
        ),
    ),
)

ROWS = Group(
    SIMD + "row_kernels.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-row-remainder-left-out",
            "the elements that fill no vector, in the sums",
            "if (position < length) { add_remainder(position, length - position, totals); }",
            "",
        ),
        Mutant(
            "vector-row-absent-lanes-counted",
            "that lanes without an element add nothing",
            "terms[sum] = Isa::keep(terms[sum], lowest_bits(count) >> before);",
            "",
        ),
        Mutant(
            "vector-row-result-remainder-left-out",
            "the elements that fill no vector, in the result",
            "if (position < end) { apply_remainder(position, end - position, coefficients); }",
            "",
        ),
    ),
)

COLUMNS = Group(
    SIMD + "column_kernels.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-column-absent-columns-counted",
            "that an incomplete row of columns leaves the others alone",
            "if constexpr (is_partial)",
            "if constexpr (is_partial && row_count > 4)",
        ),
        Mutant(
            "vector-column-last-rows-left-out",
            "the rows that are left after several at a time",
            "take.template operator()<1, false>();",
            "",
        ),
    ),
)

BLOCKS = Group(
    SIMD + "block_sums.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-blocks-added-in-sequence",
            "the tree of blocks",
            "(digits & 1) != 0; digits >>= 1",
            "digits != 0; digits = 0",
        ),
        Mutant(
            "vector-first-subtree-lost",
            "that the total begins with the smallest subtree",
            "is_first ? copy(level_at(level), sums) : add(level_at(level), sums);",
            "copy(level_at(level), sums);",
        ),
    ),
)

PLAN = Group(
    SIMD + "plan.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-last-group-left-out",
            "the channels of the last, smaller group",
            "return (channels + channels_per_group - 1) / channels_per_group;",
            "return std::max<std::int64_t>(1, channels / channels_per_group);",
        ),
        Mutant(
            "vector-last-part-left-out",
            "the blocks of the last, smaller part",
            "(blocks + blocks_per_part - 1) / blocks_per_part",
            "std::max<std::int64_t>(1, blocks / blocks_per_part)",
        ),
    ),
)

TRAVERSAL = Group(
    SIMD + "traversal.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-tile-after-the-first-run-left-out",
            "the later runs of a tile that is copied",
            "done += run; } const bool rows_are_channels",
            "done += tile.count; } const bool rows_are_channels",
        ),
        Mutant(
            "vector-lanes-not-folded",
            "that the lanes of columns are folded",
            "fold(block_sums + values, columns_per_channel_, count);",
            "",
        ),
        Mutant(
            "vector-incomplete-row-of-columns-left-out",
            "the last, incomplete row of columns",
            "if (rest > 0)",
            "if (rest > columns_per_channel_)",
        ),
        Mutant(
            "vector-result-not-written-back",
            "that a buffered result is copied to where it belongs",
            "if (is_buffered) { write_back(tile, buffers.target); }",
            "",
        ),
    ),
)

GROUPS = (TERMS, ROWS, COLUMNS, BLOCKS, PLAN, TRAVERSAL)
