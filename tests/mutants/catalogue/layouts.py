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
        Mutant(
            "axes-never-merged",
            "that axes are merged",
            "if (view.axis_count > 0 && are_one(view.axes[view.axis_count - 1], axis))",
            "if (view.axis_count > 64 && are_one(view.axes[view.axis_count - 1], axis))",
        ),
        Mutant(
            "axes-merged-for-the-first-tensor",
            "that axes are merged where all tensors step through them as one",
            "tensor < outer.strides.size(); ++tensor) { if",
            "tensor < 1; ++tensor) { if",
        ),
        Mutant(
            "axes-merged-for-the-first-two-tensors",
            "that axes are merged where all tensors step through them as one",
            "tensor < outer.strides.size(); ++tensor) { if",
            "tensor < 2; ++tensor) { if",
        ),
        Mutant(
            "axes-merged-with-outer-strides",
            "that merged axes have the inner one's strides",
            "{last.length * axis.length, axis.strides}",
            "{last.length * axis.length, last.strides}",
        ),
        Mutant(
            "no-axis-for-one-element",
            "that one element per channel is an axis",
            "if (view.axis_count == 0)",
            "if (view.axis_count == 64)",
        ),
    ),
)

WALK = Group(
    "csrc/normgraph/kernel/layout.hpp",
    CPP_TESTS,
    (
        Mutant(
            "walk-keeps-its-place-in-the-run",
            "that a run is rewound at its end",
            "rewind(view_.axis_count - 1, run_length_ - 1);",
            "",
        ),
        Mutant(
            "walk-does-not-step-outward",
            "the step along the next axis",
            "rewind(axis, -1);",
            "",
        ),
        Mutant(
            "walk-keeps-its-place-in-an-axis",
            "that an axis is rewound at its end",
            "rewind(axis, view_.axes[axis].length - 1);",
            "",
        ),
        Mutant(
            "walk-keeps-its-index",
            "that an axis starts again at index 0",
            "indices_[axis] = 0;",
            "",
        ),
    ),
)

LARGE_INDICES = Group(
    "csrc/normgraph/kernel/layout.hpp",
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

GROUPS = (LAYOUT_CLASS, WALK, LARGE_INDICES)
