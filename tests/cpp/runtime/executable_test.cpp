// What Python cannot show: nodes that no kernel computes, and calls without an interpreter.

#include "normgraph/runtime/executable.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../identity_node.hpp"
#include "normgraph/op/elementwise.hpp"

namespace normgraph::runtime {
namespace {

class Mystery final : public IdentityNode {
public:
    Mystery(const Output& value, const std::string& friendly_name)
        : IdentityNode(value, friendly_name) {
        validate_and_infer_types();
    }
    std::string_view type_name() const noexcept override { return "Mystery"; }

private:
    std::shared_ptr<Node> make_clone(const std::vector<Output>& inputs,
                                     const std::string& friendly_name) const override {
        return std::make_shared<Mystery>(inputs[0], friendly_name);
    }
};

std::shared_ptr<Parameter> parameter(const std::string& name) {
    return std::make_shared<Parameter>(element::f32, PartialShape{Dimension::dynamic()}, name);
}

TEST(Executable, NodesThatNoKernelComputesAreNamed) {
    const auto x = parameter("x");
    const Function function({std::make_shared<Mystery>(x, "sphinx")}, {x});
    for (const Backend backend : {Backend::cpu, Backend::reference}) {
        try {
            const Executable executable(function, backend);
            FAIL();
        } catch (const std::invalid_argument& error) {
            EXPECT_EQ(
                error.what(),
                std::string("no kernel computes Mystery 'sphinx', which has no decomposition"));
        }
    }
}

Array array_of(std::vector<float>& values, const std::vector<std::int64_t>& shape,
               const std::vector<std::int64_t>& strides) {
    return {element::f32, shape, strides, reinterpret_cast<std::byte*>(values.data()), true};
}

/// x · y − x by many threads, of other lengths in each.
TEST(Executable, RunsInManyThreadsAtOnce) {
    const auto x = parameter("x");
    const auto y = parameter("y");
    const auto product = std::make_shared<op::Multiply>(x, y);
    const Executable executable(Function({std::make_shared<op::Subtract>(product, x)}, {x, y}),
                                Backend::reference);
    EXPECT_EQ(executable.peak_bytes(), std::nullopt);
    std::vector<std::thread> threads;
    std::vector<int> failures(8, 0);
    for (std::size_t thread = 0; thread < failures.size(); ++thread) {
        threads.emplace_back([&, thread] {
            for (std::size_t repetition = 0; repetition < 200; ++repetition) {
                const std::size_t length = 1 + thread + repetition % 40;
                std::vector<float> left(length, static_cast<float>(thread)), right(length, 5.0F);
                std::vector<float> result(length);
                const std::vector<std::int64_t> shape{static_cast<std::int64_t>(length)};
                const std::vector<std::int64_t> strides{4};
                const std::array arguments{array_of(left, shape, strides),
                                           array_of(right, shape, strides)};
                const std::array results{array_of(result, shape, strides)};
                executable.run(*executable.plan_for(arguments), arguments, results, 2);
                for (const float value : result) {
                    failures[thread] += value == static_cast<float>(thread) * 4 ? 0 : 1;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failures, std::vector<int>(failures.size(), 0));
    EXPECT_TRUE(executable.peak_bytes().has_value());
}

TEST(Executable, RemembersPlans) {
    const auto x = parameter("x");
    const Executable executable(Function({std::make_shared<op::Negate>(x)}, {x}), Backend::cpu);
    const std::vector<std::int64_t> strides{4};
    std::vector<float> values(100);
    const auto plan_for = [&](std::int64_t length) {
        const std::vector<std::int64_t> shape{length};
        return executable.plan_for(std::array{array_of(values, shape, strides)});
    };
    const std::shared_ptr<const Plan> first = plan_for(1);
    EXPECT_EQ(plan_for(1), first);
    for (std::int64_t length = 2; length < 50; ++length) {
        plan_for(length);
        EXPECT_EQ(plan_for(1), first);  // the last used ones are kept
    }
    for (std::int64_t length = 2; length < 50; ++length) {
        plan_for(length);
    }
    EXPECT_NE(plan_for(1), first);
}

}  // namespace
}  // namespace normgraph::runtime
