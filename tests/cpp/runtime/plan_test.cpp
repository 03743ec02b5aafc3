#include "normgraph/runtime/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/runtime/element_wise_step.hpp"
#include "normgraph/runtime/lowering.hpp"

namespace normgraph::runtime {
namespace {

using namespace op;  // formulas of nodes: −value, broadcast(value, like, axes)

std::shared_ptr<Parameter> parameter_of(PartialShape shape) {
    return std::make_shared<Parameter>(element::f32, std::move(shape));
}

Plan plan_of(const std::vector<Output>& results,
             const std::vector<std::shared_ptr<Parameter>>& parameters) {
    const Function function(results, parameters);
    std::vector<TensorType> types;
    for (const std::shared_ptr<Parameter>& argument : parameters) {
        types.push_back(argument->output_type(0));
    }
    return make_plan(function, Backend::cpu, types);
}

void expect_distinct_views(const Plan& plan) {
    std::set<std::tuple<std::size_t, Lengths, Lengths>> views;
    for (const View& view : plan.views) {
        EXPECT_TRUE(views.emplace(view.buffer, view.shape, view.axes).second);
    }
}

TEST(Plan, HasEachViewOnce) {
    const auto x = parameter_of({3, 4});
    const auto row = parameter_of({4});
    const auto other = parameter_of({5, 4});
    const Plan plan = plan_of({Output(x) + broadcast(row, x, {1}),
                               Output(x) - broadcast(row, x, {1}), broadcast(row, other, {1})},
                              {x, row, other});
    expect_distinct_views(plan);
    const auto repeats_row = [](const View& view) {
        return view.buffer == 1 && view.axes == Lengths{View::repeated, 0};
    };
    EXPECT_EQ(std::ranges::count_if(plan.views, repeats_row), 2);
}

/// Arguments and steps of very many shapes: to look at all that came before would take minutes.
TEST(Plan, OfVeryManyShapes) {
    constexpr std::int64_t count = 30'000;
    std::vector<std::shared_ptr<Parameter>> parameters;
    std::vector<Output> results;
    for (std::int64_t index = 0; index < count; ++index) {
        parameters.push_back(parameter_of({index % 200, index / 200}));
        results.push_back(-Output(parameters.back()));
    }
    for (Output& result : results) {
        result = square_root(result);
    }
    const Plan plan = plan_of(results, parameters);
    ASSERT_EQ(plan.steps.size(), std::size_t{count});
    // In the order in which they have been begun, and each with both operations.
    for (std::size_t index = 0; index < plan.steps.size(); ++index) {
        const std::vector<std::size_t> reads = plan.steps[index]->reads();
        const std::vector<std::size_t> writes = plan.steps[index]->writes();
        ASSERT_EQ(reads.size(), 1U);
        ASSERT_EQ(plan.buffers[plan.views[reads[0]].buffer].index, index);
        ASSERT_EQ(writes.size(), 1U);
        ASSERT_EQ(plan.buffers[plan.views[writes[0]].buffer].index, index);
    }
    expect_distinct_views(plan);
}

/// A step of very many values that are all stored.
TEST(Plan, OfAStepOfVeryManyResults) {
    constexpr std::size_t count = 60'000;
    const auto x = parameter_of({2});
    std::vector<Output> values;
    for (Output last = x; values.size() < count;) {
        last = -last;
        values.push_back(last);
    }
    // Of the last first, which makes all values; each of them is then read by another step.
    std::vector<Output> results{sum(values.back(), {})};
    for (const Output& value : values) {
        results.push_back(sum(value, {}));
    }
    const Plan plan = plan_of(results, {x});
    EXPECT_EQ(plan.steps.front()->writes().size(), count);
    EXPECT_EQ(plan.steps.size(), 1 + results.size());
    EXPECT_EQ(plan.arena_bytes, count * 64);
}

/// An element of the source may be overwritten once no later instruction and no copy reads it.
TEST(ElementWiseStep, OverwritesWhatIsNotReadLater) {
    std::mt19937_64 random(1);
    constexpr auto type = kernel::StorageType::f32;
    for (int repetition = 0; repetition < 300; ++repetition) {
        ElementWiseStep step({4});
        std::vector<ProgramValue> sources;
        for (std::size_t view = 0; view <= random() % 5; ++view) {
            sources.push_back(step.source(view, type));
        }
        std::vector<ProgramValue> values = sources;
        std::vector<std::vector<ProgramValue>> operands;
        for (std::uint64_t count = random() % 12; count > 0; --count) {
            operands.push_back(
                {values[random() % values.size()], values[random() % values.size()]});
            values.push_back(step.add(kernel::ElementWiseOperation::add, type, type,
                                      operands.back()[0], operands.back()[1]));
        }
        std::vector<ProgramValue> stored;
        for (std::size_t count = random() % 4; count > 0; --count) {
            stored.push_back(values[random() % values.size()]);
            step.store(stored.back(), 100 + stored.size());
        }
        std::set<std::pair<std::size_t, std::size_t>> expected;
        for (std::size_t store = 0; store < stored.size(); ++store) {
            for (const ProgramValue& source : sources) {
                bool is_free =
                    !stored[store].is_source && std::ranges::find(stored, source) == stored.end();
                for (std::size_t later = stored[store].index + 1; later < operands.size();
                     ++later) {
                    is_free = is_free &&
                              std::ranges::find(operands[later], source) == operands[later].end();
                }
                if (is_free) {
                    expected.emplace(101 + store, source.index);
                }
            }
        }
        std::set<std::pair<std::size_t, std::size_t>> found;
        for (const Step::Overwrite& overwrite : step.possible_overwrites()) {
            found.emplace(overwrite.written, overwrite.read);
        }
        ASSERT_EQ(found, expected) << "repetition " << repetition;
    }
}

}  // namespace
}  // namespace normgraph::runtime
