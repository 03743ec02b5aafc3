"""Strided views: the layout class, merged axes, the walk through the elements."""

from ..mutant import CPP_TESTS, Group, Mutant

LAYOUT_CLASS = Group(
    "csrc/normgraph/kernel/layout.cpp",
    CPP_TESTS,
    (
        Mutant(
            "class-of-one-channel",
            "that one channel is channels first",
            "if (problem.shape[channel_axis] <= 1 || channel_stride == 0)",
            "if (channel_stride == 0)",
        ),
        Mutant(
            "class-of-expanded-channels",
            "that a channel stride of zero is channels first",
            "if (problem.shape[channel_axis] <= 1 || channel_stride == 0)",
            "if (problem.shape[channel_axis] <= 1)",
        ),
        Mutant(
            "class-counts-axes-of-length-1",
            "that axes of length 1 do not count",
            "axis != channel_axis && problem.shape[axis] != 1 && strides[axis] != 0",
            "axis != channel_axis && strides[axis] != 0",
        ),
        Mutant(
            "class-counts-zero-strides",
            "that zero strides do not count",
            "axis != channel_axis && problem.shape[axis] != 1 && strides[axis] != 0",
            "axis != channel_axis && problem.shape[axis] != 1",
        ),
        Mutant(
            "class-of-equal-strides",
            "that the channel stride is smaller, not equal",
            "std::abs(strides[axis]) <= channel_stride",
            "std::abs(strides[axis]) < channel_stride",
        ),
        Mutant(
            "class-of-negative-strides",
            "the magnitude of the other strides",
            "std::abs(strides[axis]) <= channel_stride",
            "strides[axis] <= channel_stride",
        ),
        Mutant(
            "class-of-a-negative-channel-stride",
            "the magnitude of the channel stride",
            "channel_stride = std::abs(strides[channel_axis])",
            "channel_stride = strides[channel_axis]",
        ),
    ),
)

MERGED_AXES = Group(
    "csrc/normgraph/kernel/strided/axes.hpp",
    CPP_TESTS,
    (
        Mutant(
            "axes-never-merged",
            "that axes are merged",
            "else if (are_one(last, axis))",
            "else if (axis_count_ > 64 && are_one(last, axis))",
        ),
        Mutant(
            "axes-merged-for-the-first-tensor",
            "that axes are merged where all tensors step through them as one",
            "tensor < tensors; ++tensor) { if",
            "tensor < 1; ++tensor) { if",
        ),
        Mutant(
            "axes-merged-for-the-first-two-tensors",
            "that axes are merged where all tensors step through them as one",
            "tensor < tensors; ++tensor) { if",
            "tensor < 2; ++tensor) { if",
        ),
        Mutant(
            "axes-merged-with-outer-strides",
            "that merged axes have the inner one's strides",
            "{last.length * axis.length, axis.strides}",
            "{last.length * axis.length, last.strides}",
        ),
        Mutant(
            "axis-of-one-element-stays",
            "that the axis of one element is replaced",
            "if (last.length == 1)",
            "if (last.length == 1 && axis_count_ == 64)",
        ),
        Mutant(
            "no-elements-of-many",
            "that an axis of length 0 leaves no other",
            "if (element_count_ == 0)",
            "if (false)",
        ),
    ),
)

WALK = Group(
    "csrc/normgraph/kernel/strided/cursor.hpp",
    CPP_TESTS,
    (
        Mutant(
            "walk-keeps-its-place-in-the-run",
            "that a run begins anew at its end",
            "++indices_[axis]; move(axis, 1); } place_in_run_ = indices_[axes.size() - 1];",
            "++indices_[axis]; move(axis, 1); }",
        ),
        Mutant(
            "walk-does-not-step-outward",
            "the step along the next axis",
            "move(axis, 1);",
            "",
        ),
        Mutant(
            "walk-keeps-its-place-in-an-axis",
            "that an axis is rewound at its end",
            "move(axis, -indices_[axis]);",
            "",
        ),
        Mutant(
            "walk-keeps-its-index",
            "that an axis starts again at index 0",
            "indices_[axis--] = 0;",
            "--axis;",
        ),
    ),
)

LARGE_INDICES = Group(
    "csrc/normgraph/kernel/strided/extents.hpp",
    "tests/kernel/test_large_index.py",
    (
        Mutant(
            "count-of-32-bits",
            "that elements are counted in 64 bits",
            "elements_per_channel() const { return outer * inner; }",
            "elements_per_channel() const { return static_cast<std::int32_t>(outer * inner); }",
        ),
    ),
)

GROUPS = (LAYOUT_CLASS, MERGED_AXES, WALK, LARGE_INDICES)
