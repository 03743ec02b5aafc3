#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "normgraph/kernel/strided/axes.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/strided/extents.hpp"

namespace normgraph::kernel {
namespace {

using Lengths = std::vector<std::int64_t>;

StridedAxes<3> axes_of(const Lengths& shape, const std::array<Lengths, 3>& strides) {
    StridedAxes<3> axes;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        axes.append(shape[axis], {strides[0][axis], strides[1][axis], strides[2][axis]});
    }
    return axes;
}

TEST(Extents, AreSeenFromTheChannelAxis) {
    const Lengths shape{2, 3, 5, 7};
    const Extents extents = extents_of(shape, 2);
    EXPECT_EQ(extents.outer, 6);
    EXPECT_EQ(extents.channels, 5);
    EXPECT_EQ(extents.inner, 7);
    EXPECT_EQ(extents.elements_per_channel(), 42);
}

TEST(StridedAxes, AreMergedWhereAllTensorsStepThroughThemAsOne) {
    const Lengths shape{2, 5, 7};
    const Lengths contiguous{420, 28, 4};
    const StridedAxes<3> merged = axes_of(shape, {contiguous, contiguous, {0, 0, 0}});
    ASSERT_EQ(merged.axes().size(), 2U);
    EXPECT_EQ(merged.axes()[0].length, 2);
    EXPECT_EQ(merged.axes()[1].length, 35);
    EXPECT_EQ(merged.axes()[1].strides[0], 4);

    const Lengths sliced{840, 56, 4};
    for (std::size_t tensor = 0; tensor < 3; ++tensor) {
        std::array<Lengths, 3> strides{contiguous, contiguous, contiguous};
        strides[tensor] = sliced;
        const StridedAxes<3> apart = axes_of(shape, strides);
        EXPECT_EQ(apart.axes().size(), 3U) << "tensor " << tensor << " is sliced";
    }
}

TEST(StridedAxes, OfOneElementAreOneAxis) {
    const TensorAxes axes(Lengths{1, 1}, Lengths{12, 4});
    ASSERT_EQ(axes.axes().size(), 1U);
    EXPECT_EQ(axes.axes()[0].length, 1);
    EXPECT_EQ(axes.element_count(), 1);
    EXPECT_TRUE(axes.is_uniform());
}

TEST(StridedAxes, WithoutElementsHaveNoPlaceToWalkTo) {
    const std::int64_t large = std::int64_t{1} << 62;
    const TensorAxes axes(Lengths{3, large, 8, 0}, Lengths{8, 8, 8, 8});
    EXPECT_EQ(axes.element_count(), 0);
    EXPECT_EQ(TensorCursor(axes).offset(), 0);

    const Lengths strides{280, 28, 4};
    const StridedAxes<3> of_several = axes_of({2, 0, 7}, {strides, strides, strides});
    ASSERT_EQ(of_several.axes().size(), 1U);
    EXPECT_EQ(of_several.axes()[0].length, 0);
}

TEST(StridedAxes, TellWhichRunsAreAlike) {
    const TensorAxes axes(Lengths{3, 4, 5}, Lengths{1000, 50, 4});
    EXPECT_EQ(axes.offset_of(0), 0);
    EXPECT_EQ(axes.offset_of(27), 1000 + 50 + 2 * 4);
    EXPECT_EQ(axes.run_length(7, 60), 3);
    EXPECT_EQ(axes.run_length(7, 2), 2);
    const auto runs = axes.runs_at(5, 55);
    EXPECT_EQ(runs.count, 3);
    EXPECT_EQ(runs.distance, 50);
    EXPECT_EQ(runs.length, 5);
}

TEST(StridedCursor, VisitsElementsInLogicalOrder) {
    const StridedAxes<3> axes = axes_of({2, 4, 5}, {{{240, 20, 4}, {-480, 120, -24}, {0, 0, 0}}});
    StridedCursor<3> cursor(axes);
    for (std::int64_t n = 0; n < 2; ++n) {
        for (std::int64_t row = 0; row < 4; ++row) {
            for (std::int64_t column = 0; column < 5; ++column) {
                ASSERT_EQ(cursor.offset(0), n * 240 + row * 20 + column * 4);
                ASSERT_EQ(cursor.offset(1), n * -480 + row * 120 + column * -24);
                ASSERT_EQ(cursor.offset(2), 0);
                const StridedCursor<3> sought(axes, (n * 4 + row) * 5 + column);
                ASSERT_EQ(sought.offset(1), cursor.offset(1));
                ASSERT_EQ(sought.run(), cursor.run());
                cursor.advance();
            }
        }
    }
}

/// Elements 0, 1, … in the given strides, gathered, and scattered into other memory.
template <typename Element>
void expect_gathered_and_scattered(const Lengths& shape, const Lengths& element_strides) {
    Lengths strides = element_strides;
    for (std::int64_t& stride : strides) {
        stride *= static_cast<std::int64_t>(sizeof(Element));
    }
    const TensorAxes axes(shape, strides);
    constexpr std::size_t middle = 2000;
    std::vector<Element> tensor(2 * middle), copy(2 * middle);
    const auto count = static_cast<std::size_t>(axes.element_count());
    std::vector<Element> expected(count), gathered(count);
    std::iota(expected.begin(), expected.end(), Element{0});
    TensorCursor place(axes);
    for (const Element& element : expected) {
        std::memcpy(reinterpret_cast<std::byte*>(&tensor[middle]) + place.offset(), &element,
                    sizeof(element));
        place.advance();
    }
    TensorCursor source(axes), target(axes);
    for (std::int64_t first : {std::int64_t{0}, axes.element_count() / 3}) {
        const std::int64_t last = first == 0 ? axes.element_count() / 3 : axes.element_count();
        auto* const part = reinterpret_cast<std::byte*>(gathered.data() + first);
        gather(source, reinterpret_cast<const std::byte*>(&tensor[middle]), sizeof(Element),
               last - first, part);
        scatter(target, reinterpret_cast<std::byte*>(&copy[middle]), sizeof(Element), last - first,
                part);
    }
    EXPECT_EQ(gathered, expected);
    EXPECT_EQ(copy, tensor);
}

TEST(Gather, TakesEveryStrideAndSize) {
    for (const std::int64_t length : {1, 7, 8, 9, 33}) {
        for (const std::int64_t stride : {1, -1, 2, -2, 3}) {
            const Lengths shape{3, length};
            const Lengths strides{150, stride};
            expect_gathered_and_scattered<std::uint8_t>(shape, strides);
            expect_gathered_and_scattered<std::uint16_t>(shape, strides);
            expect_gathered_and_scattered<std::uint32_t>(shape, strides);
            expect_gathered_and_scattered<std::uint64_t>(shape, strides);
        }
    }
}

}  // namespace
}  // namespace normgraph::kernel
