"""Batches in parts: the nodes of a part, what is told of it, and what the kernels take of a sum."""

from ..mutant import Group, Mutant

PARTS_TESTS = "tests/kernel/test_batch_parts.py"
KERNEL = "csrc/normgraph/kernel/"

NODES = Group(
    KERNEL + "part_nodes.cpp",
    PARTS_TESTS,
    (
        Mutant(
            "part-boundary-finer-than-one",
            "that a boundary goes only where both its neighbours are coarser",
            "return is_finer(boundaries_[boundary], boundaries_[boundary - 1]) &&",
            "return",
        ),
        Mutant(
            "part-total-from-the-right",
            "that what is left is combined from the finest boundary on",
            "is_finer(all.boundaries_[1], all.boundaries_[last]) ? 1 : last",
            "last",
        ),
        Mutant(
            "part-total-of-unplaced-leaves",
            "that a part which may begin anywhere is combined in the tree",
            "if (!is_placed_) { all.place_at(0); }",
            "",
        ),
        Mutant(
            "part-place-from-the-following",
            "that the place of what follows tells one's own",
            "place_at(begin - sample_count());",
            "",
        ),
        Mutant(
            "part-leaf-of-its-own-length",
            "that the last leaf is as long as there are samples",
            "const std::int64_t end = std::min(first + samples.per_leaf, samples.count);",
            "const std::int64_t end = first + samples.per_leaf;",
        ),
        Mutant(
            "part-merged-as-sums",
            "that moments are merged as moments",
            "if (kind_ == NodeKind::sums)",
            "if (kind_ == NodeKind::sums || count == 3)",
        ),
        Mutant(
            "part-empty-on-the-left",
            "that an empty part is neutral on the left",
            "if (elements_.empty() && !following.elements_.empty() && (following.is_placed_ || "
            "!is_placed_))",
            "if (false)",
        ),
        Mutant(
            "part-counts-unchecked",
            "that counts stay below 2^63",
            "if (left > std::numeric_limits<std::int64_t>::max() - right)",
            "if (left < 0)",
        ),
    ),
)

VALUES = Group(
    "csrc/normgraph/runtime/batch_part.cpp",
    PARTS_TESTS,
    (
        Mutant(
            "part-of-another-center",
            "that parts are about one center",
            "if (!std::ranges::equal(center_, following.center_, is_equal_center))",
            "if (center_.size() != following.center_.size())",
        ),
        Mutant(
            "part-second-pass-about-zero",
            "that the second pass is about the mean of the whole",
            "center = about->statistics().mean;",
            "center.assign(about->statistics().mean.size(), 0.0);",
        ),
        Mutant(
            "part-second-pass-of-any-type",
            "that f64 alone has a second pass",
            "if (input.element_type != element::f64)",
            "if (input.element_type == element::dynamic)",
        ),
        Mutant(
            "part-bytes-without-end",
            "that bytes end where they should",
            'if (!bytes_.empty()) { refuse_bytes("more than there were"); }',
            "",
        ),
        Mutant(
            "part-bytes-of-another-order",
            "that the order of summation is of this version",
            "order != kernel::summation_order_version",
            "order > 1000",
        ),
    ),
)

FORWARD = Group(
    KERNEL + "reference/batch_norm_training.cpp",
    PARTS_TESTS,
    (
        Mutant(
            "given-variance-of-the-part",
            "that the variance is the one that is given",
            "channel_value(given.variance, given.type, channel, 0.0)};",
            "channel_value(given.mean, given.type, channel, 0.0)};",
        ),
    ),
)

BACKWARD = Group(
    KERNEL + "reference/batch_norm_backprop.cpp",
    PARTS_TESTS,
    (
        Mutant(
            "given-sums-count-of-the-part",
            "that sums are divided by the count of the whole",
            "has_sums ? arguments.sums.count : static_cast<double>(counted)",
            "static_cast<double>(counted)",
        ),
    ),
)

ARGUMENTS = Group(
    "csrc/binding/batch_part.cpp",
    PARTS_TESTS,
    (
        Mutant(
            "sums-about-another-mean",
            "that sums are about the mean that is given",
            "if (!part_->has_statistics() && !part_->is_about(",
            "if (part_->count() < 0 && !part_->is_about(",
        ),
        Mutant(
            "sums-of-fewer-elements",
            "that a part belongs to its whole",
            "if (part_->count() < counted)",
            "if (part_->count() < 0)",
        ),
        Mutant(
            "statistics-of-other-channels",
            "that the number of channels is that of input",
            "if (part_->channels() != extents.channels)",
            "if (part_->channels() < 0)",
        ),
    ),
)

GROUPS = (NODES, VALUES, FORWARD, BACKWARD, ARGUMENTS)
