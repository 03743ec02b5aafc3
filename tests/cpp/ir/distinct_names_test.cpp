#include "normgraph/ir/distinct_names.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace normgraph {
namespace {

TEST(DistinctNames, NumbersWhatIsTaken) {
    DistinctNames names;
    EXPECT_EQ(names.take("x"), "x");
    EXPECT_EQ(names.take("x#3"), "x#3");
    EXPECT_EQ(names.take("x"), "x#2");
    EXPECT_EQ(names.take("x"), "x#4");
    EXPECT_EQ(names.take("x#2"), "x#2#2");
    EXPECT_EQ(names.take(""), "");
    EXPECT_EQ(names.take(""), "#2");
}

/// Counting from 2 each time gives the same names.
TEST(DistinctNames, AreThoseOfTheSimpleRule) {
    std::mt19937_64 random(1);
    for (int repetition = 0; repetition < 100; ++repetition) {
        DistinctNames names;
        std::set<std::string> taken;
        for (int index = 0; index < 60; ++index) {
            std::string name(1, static_cast<char>('a' + random() % 2));
            for (std::uint64_t depth = random() % 3; depth > 0; --depth) {
                name += "#" + std::to_string(2 + random() % 8);
            }
            std::string expected = name;
            for (int number = 2; !taken.insert(expected).second; ++number) {
                expected = name + "#" + std::to_string(number);
            }
            ASSERT_EQ(names.take(name), expected) << "repetition " << repetition;
        }
    }
}

/// To count from 2 each time would take minutes.
TEST(DistinctNames, OfVeryMany) {
    DistinctNames names;
    names.take("x");
    std::string last;
    for (int index = 0; index < 200'000; ++index) {
        last = names.take("x");
    }
    EXPECT_EQ(last, "x#200001");
}

}  // namespace
}  // namespace normgraph
