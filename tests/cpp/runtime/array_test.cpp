#include "normgraph/runtime/array.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

namespace normgraph::runtime {
namespace {

using Lengths = std::vector<std::int64_t>;
using Offsets = std::pair<std::int64_t, std::int64_t>;

/// Memory for the arrays of a test; nobody reads it.
std::array<std::byte, 1024> memory_of_arrays;

/// An array of f32, `offset` bytes behind the middle of the memory.
struct Sample {
    Lengths shape, strides;
    std::int64_t offset = 0;
    element::Type element_type = element::f32;

    Array array() const {
        return {element_type, shape, strides,
                memory_of_arrays.data() + memory_of_arrays.size() / 2 + offset, true};
    }
};

bool identical(const Sample& left, const Sample& right) {
    return are_identical_views(left.array(), right.array());
}

/// Both ways, which must agree.
bool overlap(const Sample& left, const Sample& right) {
    const bool result = ranges_overlap(left.array(), right.array());
    EXPECT_EQ(ranges_overlap(right.array(), left.array()), result);
    return result;
}

bool overlaps_itself(const Lengths& shape, const Lengths& strides) {
    return may_overlap_itself(Sample{shape, strides}.array());
}

/// The offsets of the range's ends from the element with all indices zero.
Offsets range_of(const Sample& sample) {
    const Array array = sample.array();
    const ByteRange range = array.byte_range();
    return {range.begin - array.address, range.end - array.address};
}

TEST(Array, ExtendsFromItsFirstByteToItsLast) {
    EXPECT_EQ(range_of({{2, 3}, {12, 4}}), Offsets(0, 24));
    EXPECT_EQ(range_of({{2, 3}, {-12, -4}}), Offsets(-20, 4));
    EXPECT_EQ(range_of({{2, 3}, {-20, 8}}), Offsets(-20, 20));
    EXPECT_EQ(range_of({{}, {}, 0, element::f64}), Offsets(0, 8));
}

TEST(Array, WithoutElementsHasNoBytes) {
    const Sample empty{{3, 0}, {-40, 4}};
    EXPECT_TRUE(empty.array().is_empty());
    EXPECT_EQ(range_of(empty), Offsets(0, 0));
    EXPECT_FALSE((Sample{{}, {}}).array().is_empty());
}

TEST(IdenticalViews, HaveTheSameElementsInTheSamePlaces) {
    const Sample view{{2, 3}, {12, 4}};
    EXPECT_TRUE(identical(view, view));
    EXPECT_FALSE(identical(view, {{2, 3}, {12, 4}, 4}));
    EXPECT_FALSE(identical(view, {{2, 3}, {12, 4}, 0, element::i32}));
    EXPECT_FALSE(identical(view, {{2, 2}, {12, 4}}));
    EXPECT_FALSE(identical(view, {{2, 3, 1}, {12, 4, 4}}));
    EXPECT_FALSE(identical(view, {{2, 3}, {12, -4}}));
    EXPECT_FALSE(identical(view, {{2, 3}, {24, 4}}));
}

TEST(IdenticalViews, MayDifferInTheStridesOfAxesOfLengthOne) {
    EXPECT_TRUE(identical({{2, 1, 3}, {12, 12, 4}}, {{2, 1, 3}, {12, 999, 4}}));
}

TEST(Ranges, OverlapWhereTheyShareAByte) {
    const Sample view{{2, 3}, {12, 4}};
    EXPECT_TRUE(overlap(view, view));
    EXPECT_TRUE(overlap(view, {{3}, {4}, 20}));
    EXPECT_TRUE(overlap(view, {{1}, {4}, 23}));
    EXPECT_FALSE(overlap(view, {{1}, {4}, 24}));
    EXPECT_TRUE(overlap(view, {{3}, {-4}, 28}));
    EXPECT_FALSE(overlap(view, {{3}, {-4}, 32}));
    EXPECT_TRUE(overlap(view, {{2}, {8}, -8}));
    EXPECT_FALSE(overlap(view, {{2}, {4}, -8}));
}

TEST(SelfOverlap, IsThatOfZeroAndOfShortStrides) {
    EXPECT_TRUE(overlaps_itself({2, 3}, {0, 4}));
    EXPECT_TRUE(overlaps_itself({2, 3}, {8, 4}));
    EXPECT_TRUE(overlaps_itself({3, 2}, {4, 8}));
    EXPECT_TRUE(overlaps_itself({2}, {2}));
    EXPECT_TRUE(overlaps_itself({2}, {-2}));
    EXPECT_TRUE(overlaps_itself({2, 3}, {-8, 4}));
}

TEST(SelfOverlap, IsNotThatOfOrdinaryViews) {
    EXPECT_FALSE(overlaps_itself({2, 3}, {12, 4}));
    EXPECT_FALSE(overlaps_itself({3, 2}, {4, 12}));
    EXPECT_FALSE(overlaps_itself({2, 3}, {-12, 4}));
    EXPECT_FALSE(overlaps_itself({2, 3}, {12, -4}));
    EXPECT_FALSE(overlaps_itself({3, 2}, {-4, -12}));
    EXPECT_FALSE(overlaps_itself({2, 3, 4}, {240, 64, 8}));
    EXPECT_FALSE(overlaps_itself({2, 1, 3}, {12, 0, 4}));
    EXPECT_FALSE(overlaps_itself({2, 0}, {0, 0}));
    EXPECT_FALSE(overlaps_itself({}, {}));
}

TEST(CheckOutput, SaysWhatWasExpectedAndWhatCame) {
    const TensorType expected{element::f32, {2, 3}};
    const Sample view{{2, 3}, {12, 4}};
    EXPECT_NO_THROW(check_output(view.array(), expected));
    const Sample longer{{2, 4}, {16, 4}};
    EXPECT_THROW(check_output(longer.array(), expected), std::invalid_argument);
    const Sample integers{{2, 3}, {12, 4}, 0, element::i32};
    EXPECT_THROW(check_output(integers.array(), expected), std::invalid_argument);
    const Sample expanded{{2, 3}, {0, 4}};
    EXPECT_THROW(check_output(expanded.array(), expected), std::invalid_argument);
    Array read_only = view.array();
    read_only.is_writable = false;
    EXPECT_THROW(check_output(read_only, expected), std::invalid_argument);
}

}  // namespace
}  // namespace normgraph::runtime
