"""The ReLU: what passes, where its bits lie, who writes them, and the ops that have it."""

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"
OP = "csrc/normgraph/op/"
RUNTIME = "csrc/normgraph/runtime/"
FORWARD_TESTS = "tests/kernel/test_batch_norm_training_relu.py"
BACKWARD_TESTS = "tests/kernel/test_batch_norm_training_relu_backprop.py"
BOTH_TESTS = FORWARD_TESTS + " " + BACKWARD_TESTS
NODE_TESTS = "tests/op/test_nodes.py tests/op/test_inference.py"
SHAPE_TESTS = "tests/op/test_relu_mask.py tests/op/test_constraints.py"

RELU = Group(
    KERNEL + "reference/relu.hpp",
    BOTH_TESTS,
    (
        Mutant(
            "relu-keeps-minus-zero",
            "that -0 becomes +0",
            "value <= 0 ? 0 : value",
            "value < 0 ? 0 : value",
        ),
        Mutant(
            "relu-of-nan-is-zero",
            "that a NaN stays",
            "value <= 0 ? 0 : value",
            "value > 0 ? value : 0",
        ),
        Mutant(
            "relu-nan-does-not-pass",
            "that the bit of a NaN is 1",
            "positive != 0 && !is_bounded",
            "positive > 0 && !is_bounded",
        ),
        Mutant(
            "relu-beyond-the-bound-stays",
            "that what has reached the bound becomes the bound",
            "is_bounded ? bound : positive",
            "positive",
        ),
        Mutant(
            "relu-beyond-the-bound-passes",
            "that what has reached the bound has no bit",
            "positive != 0 && !is_bounded",
            "positive != 0",
        ),
        Mutant(
            "relu-at-the-bound-passes",
            "that the bound itself has no bit",
            "positive >= bound",
            "positive > bound",
        ),
        Mutant(
            "relu-bit-of-what-is-not-stored",
            "that the activated element is stored",
            "store<Data>(channel.activation + place.offset(1), is_bounded ? bound : positive);",
            "",
        ),
        Mutant(
            "relu-bits-are-only-added",
            "that a byte's first bit clears the others",
            "at.bit == 0 ? bit : mask[at.byte] | bit",
            "mask[at.byte] | bit",
        ),
        Mutant(
            "relu-bits-most-significant-first",
            "the order of the bits in a byte",
            "<< at.bit);",
            "<< (7 - at.bit));",
        ),
        Mutant(
            "relu-reads-another-bit",
            "which bit is read",
            "(mask[at.byte] >> at.bit)",
            "(mask[at.byte] >> (at.bit ^ 1))",
        ),
        Mutant(
            "relu-lets-all-pass",
            "the mask of the backward pass",
            "mask_ == nullptr || read_bit(mask_, bits_.next()) ?",
            "true ?",
        ),
        Mutant(
            "relu-multiplies-what-is-blocked",
            "that a blocked infinity does not count",
            "? load<Data>(address) : 0;",
            "? load<Data>(address) : 0 * load<Data>(address);",
        ),
        Mutant(
            "relu-walks-one-row",
            "the step to the next row of bits",
            "++outer_;",
            "",
        ),
    ),
)

ADDED = Group(
    KERNEL + "reference/relu.hpp",
    "tests/kernel/test_batch_norm_training_add_relu.py",
    (
        Mutant(
            "residual-left-out",
            "that the residual is added",
            "sum += load<Data>(channel.residual + place.offset(2));",
            "",
        ),
        Mutant(
            "residual-added-to-what-is-rounded",
            "that the sum is rounded once",
            "auto sum = coefficients(load<Data>(channel.input + place.offset(0)));",
            "auto sum = rounded<Data>(coefficients(load<Data>(channel.input + place.offset(0))));",
        ),
        Mutant(
            "residual-as-the-input-lies",
            "that the residual has strides of its own",
            "channel.residual + place.offset(2)",
            "channel.residual + place.offset(0)",
        ),
    ),
)

ADDED_ELEMENTS = Group(
    KERNEL + "simd/staging/traversal.cpp",
    "tests/kernel/test_batch_norm_training_add_relu.py",
    (
        Mutant(
            "residual-taken-for-copied",
            "that a source that apply alone reads is copied in apply",
            "for (const std::size_t source : reduced_.all()) { if (group_copy_bytes",
            "for (const std::size_t source : applied_.all()) { if (group_copy_bytes",
        ),
    ),
)

ADDED_CALL = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_batch_norm_training_add_relu_backprop.py",
    (
        Mutant(
            "residual-delta-of-every-element",
            "the part of the gradient that the mask lets pass",
            ".mask = arrays.mask(), .result = delta}",
            ".mask = {nullptr}, .result = delta}",
        ),
    ),
)

BOUND = Group(
    KERNEL + "relu_bound.hpp",
    FORWARD_TESTS,
    (
        Mutant(
            "bound-of-the-stored-number",
            "that numbers are stored as the bound from half way on",
            "return is_rounded_up ? middle : std::nextafter(middle, bound);",
            "return bound;",
        ),
        Mutant(
            "bound-at-every-tie",
            "that ties go to the even neighbour",
            "return is_rounded_up ? middle : std::nextafter(middle, bound);",
            "return middle;",
        ),
        Mutant(
            "bound-not-rounded",
            "that the bound is rounded to the type of the data",
            "return to_float(rounded_once<Data>(upper_bound));",
            "return static_cast<float>(upper_bound);",
        ),
    ),
)

LAYOUT = Group(
    KERNEL + "relu_mask.hpp",
    BOTH_TESTS,
    (
        Mutant(
            "mask-never-along-channels",
            "that the bits of a last channel axis are packed along it",
            "along_channels(static_cast<std::size_t>(channel_axis) + 1 == shape.size())",
            "along_channels(static_cast<std::size_t>(channel_axis) == shape.size())",
        ),
        Mutant(
            "mask-along-channels-of-one-element",
            "that axes of length 1 behind the channel axis count",
            "along_channels(static_cast<std::size_t>(channel_axis) + 1 == shape.size())",
            "along_channels(inner == 1)",
        ),
        Mutant(
            "mask-rows-of-one-channel",
            "the channels between two rows of bits",
            "channels * channel_stride)",
            "channel_stride)",
        ),
        Mutant(
            "mask-position-along-inner",
            "that channels are counted along the channels",
            "along_channels ? channel : inner_index",
            "inner_index",
        ),
    ),
)

MASK_BYTES = Group(
    "csrc/normgraph/indices/counts.hpp",
    BOTH_TESTS,
    (
        Mutant(
            "mask-without-last-byte",
            "that a byte may have fewer bits",
            "return divide_up(bits, bits_per_byte);",
            "return bits / bits_per_byte;",
        ),
    ),
)

SHARING = Group(
    KERNEL + "reference/share.hpp",
    CPP_TESTS,
    (
        Mutant(
            "mask-bytes-with-two-writers",
            "that channels that share a byte have one thread",
            "ReluMaskLayout(arguments.problem).channels_per_byte()",
            "1",
        ),
        Mutant(
            "last-group-of-channels-is-whole",
            "that the last group may be smaller",
            "std::min(end * group, channels)",
            "end * group",
        ),
        Mutant(
            "last-group-of-channels-left-out",
            "that the last group may be smaller, and is there",
            "divide_up(channels, group)",
            "channels / group",
        ),
    ),
)

KERNEL_OPTION = Group(
    KERNEL + "reference/batch_norm_training.cpp",
    FORWARD_TESTS,
    (
        Mutant(
            "relu-left-out",
            "the ReLU of the forward pass",
            "if (arguments.applies_relu)",
            "if (false)",
        ),
    ),
)

SHAPE = Group(
    OP + "relu_mask.cpp",
    SHAPE_TESTS,
    (
        Mutant(
            "mask-shape-of-overflowing-products",
            "that products may be larger than any length",
            "left != 0 && right > largest_length / left",
            "false",
        ),
        Mutant(
            "mask-shape-of-no-element",
            "that none times anything is none",
            "left.max_length() == 0 || right.max_length() == 0",
            "left.max_length() == 0 && right.max_length() == 0",
        ),
        Mutant(
            "mask-shape-rounded-down",
            "that a byte may have fewer bits",
            "normgraph::bytes_for(bits.min_length()),",
            "bits.min_length() / bits_per_byte,",
        ),
        Mutant(
            "mask-shape-of-an-unknown-last-axis",
            "that axis -1 is the last one of any rank",
            "channel_axis == -1",
            "channel_axis == -99",
        ),
        Mutant(
            "mask-shape-of-any-unknown-rank",
            "that a positive axis may be the last one",
            "return PartialShape::dynamic();",
            "return {Dimension::dynamic(), channels, Dimension::dynamic()};",
        ),
        Mutant(
            "mask-shape-before-the-first-axis",
            "that nothing stands before axis 0",
            "channel_axis == 0 ? Dimension(1) : Dimension::dynamic()",
            "Dimension::dynamic()",
        ),
        Mutant(
            "mask-shape-never-along-channels",
            "that the bits of a last channel axis are packed along it",
            "if (axis + 1 == data.size())",
            "if (axis == data.size())",
        ),
        Mutant(
            "mask-shape-of-all-axes",
            "that the axes behind the channel axis count",
            "elements_along(data, axis + 1, data.size())",
            "elements_along(data, axis, data.size())",
        ),
        Mutant(
            "mask-shape-unbounded",
            "the upper bound of bytes",
            "bits.has_upper_bound() ? normgraph::bytes_for(bits.max_length()) : "
            "Dimension::unbounded",
            "Dimension::unbounded",
        ),
    ),
)

FORWARD_NODE = Group(
    OP + "batch_norm_training_relu.hpp",
    NODE_TESTS,
    (
        Mutant(
            "relu-output-types",
            "which output is the mask",
            "ports::batch_variance, ports::made_mask",
            "ports::made_mask, ports::batch_variance",
        ),
    ),
)

BACKWARD_NODE = Group(
    OP + "batch_norm_training_relu_backprop.hpp",
    NODE_TESTS,
    (
        Mutant(
            "relu-backprop-stores-inputs-in-another-order",
            "that the mask is stored before the gradient",
            '{"mask", Role::mask, '
            '"u8, C-contiguous: BatchNormTrainingRelu\'s output of this name"}, '
            "ports::activated_delta",
            "ports::activated_delta, "
            '{"mask", Role::mask, '
            '"u8, C-contiguous: BatchNormTrainingRelu\'s output of this name"}',
        ),
    ),
)

BACKWARD_STATISTICS = Group(
    OP + "batch_norm_training_relu_backprop.hpp",
    BACKWARD_TESTS,
    (
        Mutant(
            "relu-backprop-of-given-statistics",
            "that the statistics are the batch's",
            "statistics = Statistics::of_batch",
            "statistics = Statistics::given",
        ),
    ),
)

FORWARD_CALL = Group(
    KERNEL + "simd/batch_norm_training.cpp",
    FORWARD_TESTS,
    (
        Mutant(
            "relu-mask-needs-activated",
            "that mask may be selected without activated",
            "arguments_.normalized.address != nullptr || arguments_.mask.address != nullptr",
            "arguments_.normalized.address != nullptr",
        ),
    ),
)

INFERENCE_TESTS = (
    "tests/kernel/test_batch_norm_inference_relu.py "
    "tests/kernel/test_batch_norm_inference_add_relu.py"
)

FORWARD_FORM = Group(
    KERNEL + "simd/phases/forward.hpp",
    INFERENCE_TESTS + " " + FORWARD_TESTS,
    (
        Mutant(
            "unmasked-relu-leaves-the-residual",
            "that a residual is added where there is no mask",
            ": kernels.unmasked_normalize_add_relu_to_bound;",
            ": kernels.unmasked_normalize_relu_to_bound;",
        ),
        Mutant(
            "relu-with-any-bound-unbounded",
            "the kernel that has a bound",
            "if (!takes_bound()) {",
            "if (writes_mask && !adds_residual) {",
        ),
        Mutant(
            "inference-relu-left-out",
            "the ReLU",
            "if (!applies_relu) {",
            "if (!applies_relu || !writes_mask) {",
        ),
        Mutant(
            "bound-as-it-is-given",
            "that numbers are stored as the bound from half way on",
            "smallest_stored_as_bound<Data>(arguments.upper_bound)",
            "rounded_bound<Data>(arguments.upper_bound)",
        ),
    ),
)

UNMASKED = Group(
    KERNEL + "simd/micro_kernels/elements.hpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "unmasked-relu-keeps-what-is-negative",
            "that ReLU is applied where no mask is written",
            "if constexpr (is_written(mask) || has_bound(mask)) {",
            "if constexpr (is_written(mask)) {",
        ),
    ),
)

REFERENCE_INFERENCE = Group(
    KERNEL + "reference/batch_norm_inference.cpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "reference-inference-without-relu",
            "the ReLU",
            "if (arguments.applies_relu) {",
            "if (false) {",
        ),
        Mutant(
            "reference-inference-without-bound",
            "the bound",
            "arguments.upper_bound, nullptr",
            "no_upper_bound, nullptr",
        ),
    ),
)

SELECTION = Group(
    KERNEL + "simd/tables/make_table.hpp",
    "tests/kernel/test_batch_norm_training_add_relu_backprop.py",
    (
        Mutant(
            "selection-of-every-element",
            "that a mask selects",
            "application<Isa, Data, Unchanged, Mask::reads>()",
            "application<Isa, Data, Unchanged>()",
        ),
    ),
)

INFERENCE_CALL = Group(
    RUNTIME + "kernel_call.cpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "inference-residual-not-taken",
            "that the residual gets to the kernel",
            ".residual = arrays.tensor(Role::residual)},",
            ".residual = {}},",
        ),
    ),
)

FORWARD_ELEMENTS = Group(
    RUNTIME + "kernel_call.hpp",
    FORWARD_TESTS,
    (
        Mutant(
            "relu-of-an-empty-batch",
            "that an empty batch is refused",
            "!op::has(inputs, op::Role::mean) && !op::has(inputs, op::Role::delta)",
            "!op::has(inputs, op::Role::mean) && !op::has(inputs, op::Role::delta) && "
            "!op::has(outputs, op::Role::mask)",
        ),
    ),
)

BACKWARD_CALL = Group(
    RUNTIME + "kernel_call.cpp",
    BACKWARD_TESTS,
    (
        Mutant(
            "relu-backprop-without-mask",
            "that the mask is read",
            ".mask = arrays.mask(), .sums = arrays.sums(",
            ".mask = {}, .sums = arrays.sums(",
        ),
    ),
)

BACKWARD_ELEMENTS = Group(
    RUNTIME + "kernel_call.hpp",
    BACKWARD_TESTS,
    (
        Mutant(
            "relu-backprop-of-an-empty-batch",
            "that an empty batch has gradients",
            "!op::has(inputs, op::Role::mean) && !op::has(inputs, op::Role::delta)",
            "(!op::has(inputs, op::Role::mean) && !op::has(inputs, op::Role::delta)) || "
            "op::has(inputs, op::Role::mask)",
        ),
    ),
)

CONTIGUITY = Group(
    RUNTIME + "array.cpp",
    BOTH_TESTS,
    (
        Mutant(
            "mask-with-gaps",
            "that a mask is C-contiguous",
            "array.shape[axis] > 1 && array.strides[axis] != stride",
            "false",
        ),
        Mutant(
            "mask-of-axes-of-length-1",
            "that the strides of axes of length 1 do not count",
            "array.shape[axis] > 1 && array.strides[axis] != stride",
            "array.strides[axis] != stride",
        ),
    ),
)

BIT_MATRIX = Group(
    KERNEL + "simd/staging/bit_matrix.hpp",
    FORWARD_TESTS + " -k channels_last_in_memory",
    (
        Mutant(
            "mask-blocks-not-swapped",
            "one half of the bits that are swapped",
            "words[index] ^= swapped << size;",
            "",
        ),
        Mutant(
            "mask-bits-of-channels-behind-the-block",
            "where a channel's bits lie behind those of others",
            "word(channel) |= bits << place_of(channel);",
            "word(channel) |= bits;",
        ),
        Mutant(
            "mask-bits-of-elements-behind-the-block",
            "where an element's bits lie behind those of others",
            "(words_[index_of(element)] >> place_of(element)) & of_element_",
            "words_[index_of(element)] & of_element_",
        ),
        Mutant(
            "mask-bits-of-several-elements",
            "that a word holds several elements",
            "(elements > count_ ? word_bits - count_ : 0)",
            "0",
        ),
    ),
)

BITS_ACROSS = Group(
    KERNEL + "simd/staging/copy_bits.cpp",
    FORWARD_TESTS + " -k channels_last_in_memory",
    (
        Mutant(
            "mask-bits-not-behind-the-skipped",
            "that a span begins inside of a byte",
            "const std::int64_t skipped = element % bits_per_byte;",
            "const std::int64_t skipped = element - element;",
        ),
        Mutant(
            "mask-clears-what-others-set",
            "that bits are only set",
            "load_as<Bits>(address) | matrix.bits_of_channel(channel)",
            "matrix.bits_of_channel(channel)",
        ),
        Mutant(
            "mask-rows-in-one-piece",
            "that rows may have any number of bytes",
            "offset += size;",
            "offset += rows.bytes;",
        ),
    ),
)

FEW_CHANNELS = Group(
    KERNEL + "simd/staging/copy_bits.cpp",
    CPP_TESTS,
    (
        Mutant(
            "mask-bytes-of-other-bits",
            "that only the lowest bit of a byte counts",
            "(bytes & 0x0101010101010101U)",
            "(bytes >> 1 & 0x0101010101010101U)",
        ),
        Mutant(
            "mask-bytes-in-reverse",
            "which bit goes to which byte",
            "0x8040201008040201U",
            "0x0102040810204080U",
        ),
        Mutant(
            "mask-of-few-channels-from-the-byte",
            "that elements begin inside of a byte of few channels",
            "as_bytes(load_as<std::uint8_t>(byte) >> skipped) << channel",
            "as_bytes(load_as<std::uint8_t>(byte)) << channel",
        ),
        Mutant(
            "mask-of-few-channels-overwritten",
            "that bits of few channels are only set",
            "load_as<std::uint8_t>(byte) | bits",
            "bits",
        ),
        Mutant(
            "mask-without-last-elements",
            "the elements that fill no byte",
            "if (row < count) { function(byte, 0, row, count - row); }",
            "",
        ),
        Mutant(
            "mask-lanes-moved-once",
            "that each half of the lanes is divided again",
            "half > 0; half /= 2",
            "half > 0; half = 0",
        ),
        Mutant(
            "mask-lanes-together-in-order",
            "that the halves of the lanes are moved back in the reverse order",
            "std::size_t index = move_count_; index-- > 0;",
            "std::size_t index = 0; index < move_count_; ++index",
        ),
        Mutant(
            "mask-row-of-lanes-written-whole",
            "that the last row of lanes may have fewer elements",
            "std::min(bytes, end - done)",
            "bytes",
        ),
        Mutant(
            "mask-bytes-beyond-last-channel",
            "the channels that fill no byte",
            "std::min(bits_per_byte, bytes.channels - channel)",
            "bits_per_byte",
        ),
    ),
)

MASK_GROUPS = Group(
    KERNEL + "simd/tiling/plan.cpp",
    CPP_TESTS,
    (
        Mutant(
            "mask-bytes-of-two-groups",
            "that groups of channels begin with a byte of the mask",
            "workload.packs_channels ? bits_per_byte : 1",
            "workload.packs_channels ? 1 : 1",
        ),
    ),
)

MASK_ACCESS = Group(
    KERNEL + "simd/staging/mask_access.cpp",
    CPP_TESTS,
    (
        Mutant(
            "mask-of-lanes-of-one-row",
            "that a row of lanes has several rows of a mask of whole bytes",
            "lanes_ * layout_.outer_stride",
            "layout_.outer_stride",
        ),
        Mutant(
            "mask-set-onto-older-bits",
            "that a buffer of channels is cleared before bits are set",
            "std::memset(buffer, 0, static_cast<std::size_t>(bits.channels"
            " * bits.channel_stride));",
            "",
        ),
        Mutant(
            "mask-of-the-first-channels",
            "which of the mask's channels a tile has",
            "region.channel / bits_per_byte, layout_.outer_stride};",
            "0, layout_.outer_stride};",
        ),
    ),
)

GROUPS = (
    BIT_MATRIX,
    BITS_ACROSS,
    FEW_CHANNELS,
    MASK_GROUPS,
    MASK_ACCESS,
    RELU,
    ADDED,
    ADDED_CALL,
    ADDED_ELEMENTS,
    BOUND,
    LAYOUT,
    MASK_BYTES,
    SHARING,
    KERNEL_OPTION,
    SHAPE,
    FORWARD_NODE,
    BACKWARD_NODE,
    BACKWARD_STATISTICS,
    FORWARD_CALL,
    FORWARD_FORM,
    UNMASKED,
    REFERENCE_INFERENCE,
    SELECTION,
    INFERENCE_CALL,
    FORWARD_ELEMENTS,
    BACKWARD_CALL,
    BACKWARD_ELEMENTS,
    CONTIGUITY,
)
