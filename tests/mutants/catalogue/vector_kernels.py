"""Mistakes that the kernels made of micro-kernels could have; the reference shows each."""

from __future__ import annotations

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"
SIMD = KERNEL + "simd/"
SHORT_ROWS_TESTS = "tests/kernel/test_short_rows.py"
MANY_TILES_TESTS = "tests/kernel/test_layouts_of_many_tiles.py"

TERMS = Group(
    SIMD + "micro_kernels/terms_and_formulas.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-moments-without-shift",
            "the shift in the sums of the moments",
            "const Vector difference = sources[0] - shift;",
            "const Vector difference = sources[0] - (shift - shift);",
        ),
        Mutant(
            "vector-moments-not-squared",
            "the square in the second sum of the moments",
            "return {difference, difference};",
            "return {difference, shift};",
        ),
        Mutant(
            "vector-deltas-without-mean",
            "the mean in the second sum of the backward pass",
            "{sources[1], sources[0] - mean}",
            "{sources[1], sources[0] - (mean - mean)}",
        ),
        Mutant(
            "vector-deltas-without-input",
            "the input in the second sum of the backward pass",
            "{sources[1], sources[0] - mean}",
            "{sources[1], sources[1] - mean}",
        ),
        Mutant(
            "vector-input-delta-sources-swapped",
            "which source is the input",
            "k[3]}(sources[0], sources[1]);",
            "k[3]}(sources[1], sources[0]);",
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
    SIMD + "micro_kernels/row_kernels.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-row-remainder-left-out",
            "the elements that fill no vector, in the sums",
            "add_remainder(end, length - end, sums);",
            "",
        ),
        Mutant(
            "vector-row-absent-lanes-counted",
            "that lanes without an element add nothing",
            "zero_mask<Isa, Data>(Terms::of(shift_, sources), lowest_bits(count) >> before)",
            "Terms::of(shift_, sources)",
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
    SIMD + "micro_kernels/column_kernels.hpp",
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

ENDS = Group(
    SIMD + "micro_kernels/column_kernels.hpp",
    "tests/kernel/test_end_of_memory.py",
    (
        Mutant(
            "vector-column-end-of-the-last-row",
            "that the last of several rows ends where memory may",
            "std::max(at(source, row, column), at(source, last_row, column))",
            "(static_cast<void>(last_row), at(source, row, column))",
        ),
        Mutant(
            "vector-column-end-of-the-first-row",
            "that rows may follow each other backwards in memory",
            "std::max(at(source, row, column), at(source, last_row, column))",
            "(static_cast<void>(row), at(source, last_row, column))",
        ),
    ),
)

BLOCKS = Group(
    SIMD + "phases/node_tree.hpp",
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
            "is_first ? copy(level_at(level), node) : combine(level, node, elements);",
            "copy(level_at(level), node);",
        ),
    ),
)

PLAN = Group(
    SIMD + "tiling/plan.hpp",
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

TILES = Group(
    SIMD + "tiling/tiles.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-channels-after-the-first-tile-left-out",
            "the later channels of a row",
            "tile.next = {last, begin.row, block_.first};",
            "tile.next = {channels_.begin, begin.row + 1, block_.first};",
        ),
        Mutant(
            "vector-tiles-beyond-a-run",
            "that a tile ends where its run does",
            "demands_.run - begin.index % demands_.run,",
            "block_.end - begin.index,",
        ),
    ),
)

REDUCE = Group(
    SIMD + "phases/reduce.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-lanes-not-folded",
            "that the lanes of columns are folded",
            "fold_lanes(totals_ + sum * values_, channel_count_, geometry_.columns_per_channel());",
            "",
        ),
    ),
)

COLUMN_EXTENTS = Group(
    SIMD + "phases/columns.hpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-incomplete-row-of-columns-left-out",
            "the last, incomplete row of columns",
            "if (rest > 0)",
            "if (rest > elements_per_row)",
        ),
    ),
)

STAGING = Group(
    SIMD + "staging/traversal.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-result-not-written-back",
            "that a buffered result is copied to where it belongs",
            "if (staged.is_target_buffered && target_.address != nullptr)",
            "if (false)",
        ),
        Mutant(
            "vector-copies-of-one-row",
            "the row in the place of a copy that is kept",
            "(tile.row - extent.row) * (group.end - group.begin) + tile.channels.begin"
            " - group.begin",
            "tile.channels.begin - group.begin",
        ),
        Mutant(
            "vector-copies-of-any-group",
            "the first channel in the place of a copy that is kept",
            "tile.channels.begin - group.begin;",
            "tile.channels.begin;",
        ),
        Mutant(
            "vector-output-lines-up-in-one-run",
            "that an output of several runs is buffered",
            "return target_.elements.is_one_axis() &&",
            "return",
        ),
    ),
)

DIRECT_COLUMNS = Group(
    SIMD + "staging/tensor_access.cpp",
    CPP_TESTS,
    (
        Mutant(
            "vector-columns-in-any-rows",
            "that lanes of several rows ask for rows that follow each other",
            "elements.stride() == row_bytes",
            "true",
        ),
    ),
)

COALESCED_ROWS = Group(
    SIMD + "staging/traversal.cpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "coalesced-rows-with-others-between",
            "that coalesced rows follow each other",
            "&& access.channel_stride == geometry.bytes_per_row();",
            ";",
        ),
        Mutant(
            "coalesced-rows-begin-anywhere-in-a-line",
            "that all coalesced rows begin alike in a cache line",
            "(!streams_target_ || target_.rows.stride() % cache_line == 0)",
            "true",
        ),
    ),
)

ROWS_IN_ORDER = Group(
    SIMD + "staging/traversal.cpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "rows-written-beyond-in-place",
            "that nothing is written beyond a row that is read later",
            "if (tensor.address == tensors.target.address)",
            "if (false)",
        ),
        Mutant(
            "rows-written-beyond-their-sample",
            "where whole vectors may be written up to",
            "may_write_beyond ? end : nullptr",
            "may_write_beyond ? end + cache_line : nullptr",
        ),
    ),
)

WHOLE_VECTORS = Group(
    SIMD + "micro_kernels/row_kernels.hpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "rows-with-whole-vectors-in-the-next",
            "how many rows have room for whole vectors",
            "std::min(most, room / stride + 1)",
            "most",
        ),
        Mutant(
            "odd-elements-of-an-incomplete-pair",
            "how many elements of odd number an incomplete pair has",
            "(count + 1 - static_cast<std::int64_t>(half)) / 2",
            "(count + 1) / 2",
        ),
        Mutant(
            "lanes-of-pairs-out-of-order",
            "that lanes are folded in their order",
            "return Isa::interleaved({sums_[first], sums_[first + 1]})[index % 2];",
            "return sums_[index];",
        ),
    ),
)

LINE_WRITER = Group(
    SIMD + "staging/line_writer.hpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "lines-without-the-last",
            "what does not fill a line at the end",
            "if (pending_ > 0) {",
            "if (pending_ > cache_line) {",
        ),
        Mutant(
            "lines-lose-their-beginning",
            "the beginning of a line whose end is not there yet",
            "std::memcpy(buffer_, buffer_ + end - rest, cache_line);",
            "",
        ),
        Mutant(
            "lines-of-another-piece",
            "that a piece of memory of its own begins anew",
            "if (target != target_ + pending_) {",
            "if (target_ == nullptr) {",
        ),
    ),
)

COALESCED_COLUMNS = Group(
    SIMD + "phases/apply.cpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "coalesced-rows-without-their-beginning",
            "what comes before the first whole cache line",
            "apply_columns(0, head, false);",
            "",
        ),
        Mutant(
            "coalesced-blocks-of-the-first-channels",
            "which columns' coefficients a channel block has",
            "{coefficients.values, coefficients.stride, first},",
            "{coefficients.values, coefficients.stride, 0},",
        ),
    ),
)

COALESCED_COEFFICIENTS = Group(
    SIMD + "phases/run.hpp",
    SHORT_ROWS_TESTS,
    (
        Mutant(
            "coalesced-coefficients-of-the-last-channel",
            "the place of a channel's coalesced coefficients",
            "coalesced + kind * stride_ + channel * length_, length_,",
            "coalesced + kind * stride_, length_ * group.channels,",
        ),
        Mutant(
            "coalesced-coefficients-of-the-first-kind",
            "which coefficient is repeated",
            "values[kind * group.stride + channel]",
            "values[channel]",
        ),
    ),
)

TENSOR_ACCESS = Group(
    SIMD + "staging/tensor_access.cpp",
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
            "Vectors::backwards(values)",
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
            "Isa::store_bytes(target + count - width, Isa::load_bytes(source + count - width));",
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
            "coalesced-rows-with-gaps",
            "that coalesced rows follow each other in the source",
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
            "run(OfBatch(sums_of_deltas(kernels, true),",
            "run(OfBatch(sums_of_deltas(kernels, false) /* masked */,",
        ),
        Mutant(
            "vector-relu-delta-without-mask",
            "the mask in input_delta",
            "{kernels.relu_input_delta, kernels.scaled_relu_input_delta,",
            "{kernels.input_delta, kernels.scaled_input_delta,",
        ),
    ),
)

COPIED_AXES = Group(
    KERNEL + "strided/copy.cpp",
    CPP_TESTS,
    (
        Mutant(
            "runs-of-one-axis",
            "the offsets of a run's later axes",
            "run.offsets[static_cast<std::size_t>(index - run.length)] + axis.*other;",
            "run.offsets[static_cast<std::size_t>(index - run.length)];",
        ),
    ),
)

RANGES = Group(
    KERNEL + "strided/ranges.hpp",
    CPP_TESTS,
    (
        Mutant(
            "range-boxes-from-the-middle",
            "that inner axes of a box begin at their first index",
            "takes_inner_axes = takes_inner_axes && own == 0;",
            "",
        ),
        Mutant(
            "range-boxes-beyond-their-axis",
            "that a box ends where its axis does",
            "std::min(length - own, (count - done) / inner)",
            "(count - done) / inner",
        ),
        Mutant(
            "loops-that-stay",
            "that a loop goes back to its beginning",
            "source -= index * loop.source_stride;",
            "",
        ),
    ),
)

SLABS = Group(
    SIMD + "staging/slabs.cpp",
    CPP_TESTS,
    (
        Mutant(
            "slab-steps-within-blocks",
            "that blocks end where a step along the axis does",
            "rows != order.leaf_rows && rows % order.block_rows != 0",
            "false",
        ),
        Mutant(
            "slab-of-the-first-channels",
            "which channels a slab has",
            "access.address + slab.channels.begin * access.channel_stride",
            "access.address",
        ),
        Mutant(
            "slab-steps-side-by-side",
            "the distance of steps",
            "access.rows.offset_of(slab.rows_per_step)",
            "access.rows.offset_of(1)",
        ),
    ),
)

SLAB_PLAN = Group(
    SIMD + "tiling/plan.cpp",
    CPP_TESTS,
    (
        Mutant(
            "slab-parts-across-steps",
            "that parts divide a step",
            "(plan.steps == 1 || ends_with_steps)",
            "true",
        ),
    ),
)

PHASE_BY_PHASE = Group(
    SIMD + "phases/run.hpp",
    CPP_TESTS,
    (
        Mutant(
            "sums-of-the-first-group",
            "where the sums of a group belong",
            "part_nodes + group * nodes_per_group(), values.node + channels.begin",
            "part_nodes + group * nodes_per_group(), values.node",
        ),
        Mutant(
            "slab-parts-in-one-place",
            "that each part of a slab has its own data",
            "copies.of_part(index)",
            "copies.of_part(0)",
        ),
    ),
)

MEMORY_ORDER = Group(
    SIMD + "staging/memory_order.cpp",
    CPP_TESTS,
    (
        Mutant(
            "memory-order-of-the-problem",
            "where the channel axis is in the order of memory",
            "std::ranges::find(axes_, channel_axis) - axes_.begin()",
            "problem.channel_axis",
        ),
        Mutant(
            "mask-in-memory-order-onto-older-bits",
            "that a mask is cleared before its bits are set",
            "std::ranges::fill(target, std::byte{0});",
            "",
        ),
        Mutant(
            "mask-permuted-the-wrong-way",
            "that bits that are written go from the order of memory to the logical one",
            "std::swap(axis.source_stride, axis.target_stride);",
            "",
        ),
    ),
)

PERMUTED_BITS = Group(
    SIMD + "staging/permute_bits.cpp",
    CPP_TESTS,
    (
        Mutant(
            "permuted-bits-of-one-word",
            "the bits beyond the word that begins with their byte",
            "address[word_bytes] |= static_cast<std::byte>(bits >> (word_bits - shift));",
            "",
        ),
        Mutant(
            "permuted-bits-of-the-next-row",
            "that no more bits are read than there are in a row",
            "return word & (~std::uint64_t{0} >> (word_bits - count));",
            "return word;",
        ),
        Mutant(
            "permuted-bits-from-whole-bytes",
            "that bits begin anywhere in a byte",
            "word >>= shift;",
            "",
        ),
    ),
)

NODE_KERNELS = Group(
    SIMD + "micro_kernels/node_kernels.hpp",
    CPP_TESTS,
    (
        Mutant(
            "chains-end-without-totals",
            "what a block's columns add up to",
            "are_first ? Isa::broadcast(0.0) : Isa::load(total)",
            "Isa::broadcast(0.0)",
        ),
        Mutant(
            "first-chains-of-columns-add",
            "that a block's first chains set the totals of columns",
            "are_first ? add_chains<true>",
            "are_first && columns < 0 ? add_chains<true>",
        ),
        Mutant(
            "chains-go-on",
            "that a chain begins with 0",
            "Isa::store(chains + column, Isa::broadcast(0.0F));",
            "",
        ),
        Mutant(
            "vector-inverse-without-epsilon",
            "epsilon in 1/√(variance + epsilon)",
            "Isa::square_root(variance + added)",
            "Isa::square_root(variance)",
        ),
        Mutant(
            "vector-quotients-of-the-first-channels",
            "that the values of all channels are divided",
            "Isa::store(values + channel, Isa::load(values + channel) / divisors);",
            "Isa::store(values, Isa::load(values) / divisors);",
        ),
        Mutant(
            "vector-mean-without-shift",
            "the shift of a block's mean",
            "shift[part] + distance",
            "distance",
        ),
        Mutant(
            "vector-squares-about-the-shift",
            "that squares are about the mean",
            "- sum * distance",
            "",
        ),
        Mutant(
            "vector-squares-below-zero",
            "that squares are not negative",
            "return Isa::zero_mask(value, ~is_not_positive);",
            "return value;",
        ),
        Mutant(
            "vector-merge-keeps-the-left-mean",
            "the right node's mean",
            "mean + distance * to_mean",
            "mean",
        ),
        Mutant(
            "vector-merge-without-distance",
            "the distance of two means in the squares of both",
            "squares + (distance * distance) * to_squares",
            "squares",
        ),
    ),
)

WHOLE_BLOCKS = Group(
    SIMD + "micro_kernels/row_kernels.hpp",
    CPP_TESTS,
    (
        Mutant(
            "whole-block-without-last-chain",
            "the chain that a block ends",
            "result[part] = total + result[part];",
            "result[part] = total;",
        ),
        Mutant(
            "first-chains-of-rows-add",
            "that a block's first chains set the totals of rows",
            "with_chains(index, are_first ? nullptr : totals)",
            "with_chains(index, totals)",
        ),
        Mutant(
            "one-chain-adds-to-totals",
            "that a block of one chain has no totals",
            "step_ > steps_per_chain ? totals_ : nullptr",
            "totals_",
        ),
        Mutant(
            "vanished-sums-without-zero",
            "that a total begins with +0",
            "result[part] = total + result[part];",
            "result[part] = totals == nullptr ? result[part] : total + result[part];",
        ),
        Mutant(
            "whole-block-in-the-midst-of-a-chain",
            "that chains are counted from a block's first step",
            "sums.clear(); step_ = 0;",
            "sums.clear();",
        ),
        Mutant(
            "fold-without-first-half",
            "that all vectors of a step are folded",
            "halve.template operator()<1>();",
            "",
        ),
    ),
)

CHANNEL_ARRAYS = Group(
    SIMD + "phases/group_values.hpp",
    CPP_TESTS,
    (
        Mutant(
            "channels-between-arrays",
            "that arrays of channels follow each other",
            "first += ChannelArray::most",
            "first += 2 * ChannelArray::most",
        ),
        Mutant(
            "coefficients-of-one-column",
            "the coefficients of a channel's other columns",
            "repeat(coefficients + static_cast<std::int64_t>(kind) * stride * size, "
            "channels * size, columns_per_channel);",
            "",
        ),
    ),
)

BLOCKS_TOGETHER = Group(
    SIMD + "phases/reduce.cpp",
    CPP_TESTS,
    (
        Mutant(
            "unequal-blocks-together",
            "that blocks which are taken together are equal",
            "geometry_.order.equal_blocks(first, blocks.end)",
            "blocks.end - first",
        ),
        Mutant(
            "steps-of-a-tile-from-the-first",
            "where in a chain a tile begins",
            "totals_ + lanes, step_of(tile)}",
            "totals_ + lanes, 0}",
        ),
        Mutant(
            "totals-of-a-block-of-one-chain",
            "which blocks of several tiles have totals",
            "* steps_per_row() > steps_per_chain;",
            "* steps_per_row() > 0;",
        ),
        Mutant(
            "columns-of-the-block-before",
            "that a block of columns begins with zeros",
            "if (is_folded_ && !geometry_.has_chains()) { clear(); }",
            "",
        ),
        Mutant(
            "columns-add-to-the-totals-before",
            "that each block of columns has totals of its own",
            "first_ = extent.first; has_totals_ = false;",
            "first_ = extent.first;",
        ),
        Mutant(
            "sums-of-the-block-before",
            "that a block of several tiles begins with zeros",
            "has_sums_ = false; }",
            "}",
        ),
    ),
)

MASKS_OF_ANOTHER_ORDER = Group(
    "csrc/normgraph/kernel/simd/phases/run.hpp",
    CPP_TESTS,
    (
        Mutant(
            "groups-cut-bytes-of-a-mask",
            "that groups of channels begin with a byte of apply's mask",
            "workload.packs_channels || applying_.apply_workload().packs_channels",
            "workload.packs_channels",
        ),
    ),
)

SIGNS_OF_ZERO = Group(
    "csrc/normgraph/kernel/simd/micro_kernels/elements.hpp",
    "tests/kernel/test_special_values.py",
    (
        Mutant(
            "absent-lanes-make-zeros-positive",
            "that lanes without an element keep a sum of -0",
            "std::is_same_v<Data, double>) { const Vector minus_zero",
            "false) { const Vector minus_zero",
        ),
    ),
)

SHIFTS = Group(
    "csrc/normgraph/kernel/simd/micro_kernels/shifts_of_block.hpp",
    "tests/kernel/test_special_values.py",
    (
        Mutant(
            "vector-shift-of-minus-zero",
            "that a zero is +0",
            "Isa::zero_mask(median + zero,",
            "Isa::zero_mask(median,",
        ),
    ),
)

GROUPS = (
    MASKS_OF_ANOTHER_ORDER,
    SIGNS_OF_ZERO,
    SHIFTS,
    NODE_KERNELS,
    WHOLE_BLOCKS,
    CHANNEL_ARRAYS,
    BLOCKS_TOGETHER,
    COPIED_AXES,
    RANGES,
    SLABS,
    SLAB_PLAN,
    PHASE_BY_PHASE,
    MEMORY_ORDER,
    PERMUTED_BITS,
    TERMS,
    ROWS,
    COLUMNS,
    ENDS,
    BLOCKS,
    BACKPROP,
    PLAN,
    TILES,
    REDUCE,
    COLUMN_EXTENTS,
    STAGING,
    DIRECT_COLUMNS,
    COALESCED_ROWS,
    ROWS_IN_ORDER,
    WHOLE_VECTORS,
    LINE_WRITER,
    COALESCED_COLUMNS,
    COALESCED_COEFFICIENTS,
    TENSOR_ACCESS,
    STRIDED_AXES,
    COPIED_BOXES,
)
