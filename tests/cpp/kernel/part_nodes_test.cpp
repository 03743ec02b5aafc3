#include "normgraph/kernel/part_nodes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

/// Parts that are appended in any grouping make one list of nodes, that of the whole.
namespace normgraph::kernel {
namespace {

constexpr std::int64_t channel_count = 2;

/// One element per sample; the values of a leaf are powers of two, so that sums tell what is in
/// them.
PartNodes part(std::int64_t first, std::int64_t count, std::int64_t per_leaf, bool is_placed,
               NodeKind kind = NodeKind::sums) {
    std::vector<double> leaves;
    for (std::int64_t begin = first; begin < first + count; begin += per_leaf) {
        const auto value = static_cast<double>(begin + 1);
        leaves.insert(leaves.end(), {value, -value, 1.0, 2.0});
    }
    const auto place = is_placed ? std::optional(first) : std::nullopt;
    return {kind, channel_count, PartSamples{place, count, per_leaf, 1}, leaves};
}

bool are_equal(const PartNodes& left, const PartNodes& right) {
    return left.is_placed() == right.is_placed() && left.boundaries() == right.boundaries() &&
           left.elements() == right.elements() && left.values() == right.values();
}

PartNodes appended(PartNodes left, const PartNodes& right) {
    left.append(right);
    return left;
}

using Boundaries = std::vector<std::int64_t>;

TEST(PartNodes, AreThoseOfTheAlignedTree) {
    EXPECT_EQ(part(0, 8, 1, true).boundaries(), (Boundaries{0, 8}));
    EXPECT_EQ(part(0, 7, 1, true).boundaries(), (Boundaries{0, 4, 6, 7}));
    EXPECT_EQ(part(3, 7, 1, true).boundaries(), (Boundaries{3, 4, 8, 10}));
    EXPECT_EQ(part(96, 64, 32, true).boundaries(), (Boundaries{96, 128, 160}));
    EXPECT_EQ(part(0, 100, 32, true).boundaries(), (Boundaries{0, 64, 96, 100}));
    EXPECT_EQ(part(0, 5, 2, false).boundaries(), (Boundaries{0, 2, 4, 5}));
}

TEST(PartNodes, HoldWhatIsInThem) {
    const PartNodes nodes = part(0, 7, 1, true);
    EXPECT_EQ(nodes.elements(), (std::vector<std::int64_t>{4, 2, 1}));
    EXPECT_EQ(nodes.values(), (std::vector<double>{10, -10, 4, 8, 11, -11, 2, 4, 7, -7, 1, 2}));
    EXPECT_EQ(nodes.total(), (std::vector<double>{28, -28, 7, 14}));
    EXPECT_EQ(nodes.sample_count(), 7);
    EXPECT_EQ(nodes.element_count(), 7);
}

TEST(PartNodes, TakeTheirPlaceFromTheirNeighbours) {
    const PartNodes expected = part(3, 10, 1, true);
    EXPECT_TRUE(are_equal(appended(part(3, 4, 1, true), part(7, 6, 1, false)), expected));
    EXPECT_TRUE(are_equal(appended(part(3, 4, 1, false), part(7, 6, 1, true)), expected));
    EXPECT_TRUE(are_equal(appended(part(3, 4, 1, true), part(7, 6, 1, true)), expected));
    EXPECT_FALSE(appended(part(3, 4, 1, false), part(7, 6, 1, false)).is_placed());
}

TEST(PartNodes, MoveWhereTheyFollow) {
    const PartNodes moved = appended(part(0, 3, 1, true), part(64, 2, 1, true));
    EXPECT_EQ(moved.boundaries().front(), 0);
    EXPECT_EQ(moved.boundaries().back(), 5);
    EXPECT_EQ(moved.element_count(), 5);
    const PartNodes behind = appended(part(0, 3, 1, false), part(1, 2, 1, true));
    EXPECT_FALSE(behind.is_placed());
    EXPECT_EQ(behind.element_count(), 5);
}

TEST(PartNodes, OfEmptyPartsAreNeutral) {
    const PartNodes nodes = part(4, 3, 1, true);
    EXPECT_TRUE(are_equal(appended(nodes, PartNodes(NodeKind::sums, channel_count, 0)), nodes));
    EXPECT_TRUE(are_equal(appended(PartNodes(NodeKind::sums, channel_count, 0), nodes), nodes));
    EXPECT_TRUE(are_equal(
        appended(PartNodes(NodeKind::sums, channel_count, 4), part(4, 3, 1, false)), nodes));
    EXPECT_EQ(PartNodes(NodeKind::sums, channel_count, 0).total(), std::vector<double>(4, 0.0));
}

TEST(PartNodes, AreTheSameInAnyGrouping) {
    std::mt19937_64 random(7);
    for (int trial = 0; trial < 300; ++trial) {
        std::vector<PartNodes> parts;
        std::int64_t first = static_cast<std::int64_t>(random() % 50);
        for (int index = 0; index < 8; ++index) {
            const auto count = static_cast<std::int64_t>(random() % 12);
            const bool is_placed = index == 0 || random() % 2 == 0;
            parts.push_back(part(first, count, 1 << random() % 3, is_placed, NodeKind::moments));
            first += count;
        }
        PartNodes expected = parts.front();
        for (std::size_t index = 1; index < parts.size(); ++index) {
            expected.append(parts[index]);
        }
        while (parts.size() > 1) {
            const std::size_t at = random() % (parts.size() - 1);
            parts[at].append(parts[at + 1]);
            parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        }
        ASSERT_TRUE(are_equal(parts.front(), expected)) << trial;
        ASSERT_LE(expected.elements().size(), 16U);
    }
}

TEST(PartNodes, RefuseWhatIsNoList) {
    const auto make = [](Boundaries boundaries, std::vector<std::int64_t> elements,
                         std::size_t values, bool is_placed = true) {
        return PartNodes(NodeKind::sums, channel_count, is_placed, std::move(boundaries),
                         std::move(elements), std::vector<double>(values));
    };
    EXPECT_NO_THROW(make({3, 5}, {7}, 4));
    EXPECT_THROW(make({}, {}, 0), std::invalid_argument);
    EXPECT_THROW(make({3, 5}, {7}, 3), std::invalid_argument);
    EXPECT_THROW(make({3, 5}, {7, 7}, 8), std::invalid_argument);
    EXPECT_THROW(make({3, 3}, {7}, 4), std::invalid_argument);
    EXPECT_THROW(make({5, 3}, {7}, 4), std::invalid_argument);
    EXPECT_THROW(make({-1, 3}, {7}, 4), std::invalid_argument);
    EXPECT_THROW(make({3, 5}, {7}, 4, false), std::invalid_argument);
    EXPECT_NO_THROW(make({3, 5}, {0}, 4));
    EXPECT_THROW(make({3, 5}, {-1}, 4), std::invalid_argument);
}

TEST(PartNodes, RefuseMoreThan64BitsCount) {
    const std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const PartNodes huge(NodeKind::sums, channel_count, true, {0, 1}, {most},
                         std::vector<double>(4));
    EXPECT_THROW(appended(huge, part(1, 1, 1, true)), std::overflow_error);
    const PartNodes last(NodeKind::sums, channel_count, true, {most - 1, most}, {1},
                         std::vector<double>(4));
    EXPECT_THROW(appended(last, part(1, 1, 1, true)), std::overflow_error);
}

}  // namespace
}  // namespace normgraph::kernel
