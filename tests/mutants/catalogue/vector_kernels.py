"""Mistakes that the kernels made of micro-kernels could have; the reference shows each."""

from __future__ import annotations

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"
SIMD = KERNEL + "simd/"
SHORT_ROWS_TESTS = "tests/kernel/test_short_rows.py"
MANY_TILES_TESTS = "tests/kernel/test_layouts_of_many_tiles.py"

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
            "add_remainder(position, length - position, totals);",
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
            "apply_remainder(position, end - position, coefficients);",
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
            "return divide_up(channels, channels_per_group);",
            "return std::max<std::int64_t>(1, channels / channels_per_group);",
        ),
        Mutant(
            "vector-last-part-left-out",
            "the blocks of the last, smaller part",
            "divide_up(blocks, blocks_per_part)",
            "std::max<std::int64_t>(1, blocks / blocks_per_part)",
        ),
    ),
)

TRAVERSAL = Group(
    SIMD + "traversal.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-lanes-not-folded",
            "that the lanes of columns are folded",
            "fold_lanes(block_sums + values, count, columns_per_channel_);",
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
            "if (is_buffered && target_.address != nullptr) { write_back(tile, buffers); }",
            "",
        ),
        Mutant(
            "vector-channels-after-the-first-tile-left-out",
            "the later channels of a row",
            "tile.next = {last, begin.row, block.first};",
            "tile.next = {channels.begin, begin.row + 1, block.first};",
        ),
        Mutant(
            "vector-tiles-beyond-a-run",
            "that a tile ends where its run does",
            "demands.run - begin.index % demands.run,",
            "block.end - begin.index,",
        ),
        Mutant(
            "vector-copies-of-one-row",
            "the row in the place of a copy that is kept",
            "tile.row * (group.end - group.begin) + tile.channels.begin - group.begin",
            "tile.channels.begin - group.begin",
        ),
        Mutant(
            "vector-copies-of-any-group",
            "the first channel in the place of a copy that is kept",
            "tile.channels.begin - group.begin;",
            "tile.channels.begin;",
        ),
        Mutant(
            "vector-columns-in-any-rows",
            "that lanes of several rows ask for rows that follow each other",
            "elements.stride() == channels_ * size",
            "true",
        ),
        Mutant(
            "vector-output-lines-up-in-one-run",
            "that an output of several runs is buffered",
            "return target_.elements.is_one_axis() &&",
            "return",
        ),
    ),
)

JOINED_ROWS = Group(
    SIMD + "traversal.cpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "joined-rows-with-others-between",
            "that joined rows follow each other",
            "&& access.channel_stride == bytes_per_row();",
            ";",
        ),
        Mutant(
            "joined-rows-begin-anywhere-in-a-line",
            "that all joined rows begin alike in a cache line",
            "(!bypasses_cache_ || target_.rows.stride() % cache_line == 0)",
            "true",
        ),
        Mutant(
            "joined-rows-without-their-beginning",
            "what comes before the first whole cache line",
            "apply_columns(0, head, false);",
            "",
        ),
        Mutant(
            "joined-stripes-of-the-first-channels",
            "which columns' coefficients a stripe has",
            "{coefficients, stride, first},",
            "{coefficients, stride, 0},",
        ),
    ),
)

JOINED_COEFFICIENTS = Group(
    SIMD + "run.hpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "joined-coefficients-of-the-last-channel",
            "the place of a channel's joined coefficients",
            "joined + kind * stride + channel * length, length,",
            "joined + kind * stride, length * group.channels,",
        ),
        Mutant(
            "joined-coefficients-of-the-first-kind",
            "which coefficient is joined",
            "values[kind * group.stride + channel]",
            "values[channel]",
        ),
    ),
)

TENSOR_ACCESS = Group(
    SIMD + "tensor_access.cpp",
    MANY_TILES_TESTS,
    (
        Mutant(
            "copied-tile-of-one-box",
            "the later runs of a tile",
            "done += runs.count * runs.length;",
            "done += tile.count;",
        ),
        Mutant(
            "copied-back-as-it-came",
            "that copying back exchanges the strides",
            "std::swap(axis.target_stride, axis.source_stride);",
            "",
        ),
    ),
)

STRIDED_AXES = Group(
    KERNEL + "strided/axes.hpp",
    MANY_TILES_TESTS,
    (
        Mutant(
            "runs-beyond-their-axis",
            "that equal runs end where their axis does",
            "return {std::min(left, count / length), axis.strides[0], length};",
            "return {count / length, axis.strides[0], length};",
        ),
        Mutant(
            "runs-from-the-middle",
            "that a run which is begun in the middle is shorter",
            "last_length - index % last_length",
            "last_length",
        ),
    ),
)

COPIED_BOXES = Group(
    KERNEL + "strided/copy.cpp",
    MANY_TILES_TESTS,
    (
        Mutant(
            "copied-backwards-forwards",
            "the order of reversed elements",
            "Rearranged<sizeof(Element)>::backwards(values)",
            "values",
        ),
        Mutant(
            "copied-backwards-without-rest",
            "the last vector of a reversed row",
            "copy_vector(count - width);",
            "",
        ),
        Mutant(
            "copied-second-from-the-last-one",
            "that the last vector begins an element earlier",
            "source + (2 * last - 1) * size",
            "source + 2 * last * size",
        ),
        Mutant(
            "copied-bytes-without-rest",
            "the last bytes of a short row",
            "store_vector(target + count - width, load_vector(source + count - width));",
            "",
        ),
        Mutant(
            "transposed-without-last-rows",
            "the last rows of a block",
            "i + std::min(row, rows - width)",
            "i + std::min(row, rows / width * width - width)",
        ),
        Mutant(
            "transposed-without-last-columns",
            "the last columns of a block",
            "j + std::min(column, columns - width)",
            "j + std::min(column, columns / width * width - width)",
        ),
        Mutant(
            "transposed-without-small-blocks",
            "blocks smaller than a vector",
            "if (rows < width || columns < width) {",
            "if (rows < width || columns < width) { return;",
        ),
        Mutant(
            "joined-rows-with-gaps",
            "that joined rows follow each other in the source",
            "&& rows.source_stride == row.length * row.source_stride",
            "",
        ),
    ),
)

BACKPROP = Group(
    SIMD + "batch_norm_backprop.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-frozen-delta-is-the-input",
            "that input_delta is made of normalized_delta",
            "set_apply_sources(std::array<std::size_t, 1>{1});",
            "set_apply_sources(std::array<std::size_t, 1>{0});",
        ),
        Mutant(
            "vector-relu-sums-without-mask",
            "the mask in the sums of the backward pass",
            "is_masked ? kernels.relu_deltas : kernels.deltas",
            "kernels.deltas",
        ),
        Mutant(
            "vector-relu-delta-without-mask",
            "the mask in input_delta",
            "is_masked ? kernels.relu_input_delta : kernels.input_delta",
            "kernels.input_delta",
        ),
    ),
)

GROUPS = (
    TERMS,
    ROWS,
    COLUMNS,
    BLOCKS,
    BACKPROP,
    PLAN,
    TRAVERSAL,
    JOINED_ROWS,
    JOINED_COEFFICIENTS,
    TENSOR_ACCESS,
    STRIDED_AXES,
    COPIED_BOXES,
)
