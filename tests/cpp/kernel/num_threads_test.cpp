#include "normgraph/kernel/threads/num_threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "../message_of.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"
#include "normgraph/kernel/threads/processors.hpp"

namespace normgraph::kernel {
namespace {

constexpr const char* variable = "NORMGRAPH_NUM_THREADS";

void set_variable(const char* value) {
#if defined(_WIN32)
    _putenv_s(variable, value);
#else
    setenv(variable, value, 1);
#endif
}

/// Leaves the variable, and the number that other tests use, as they were.
class NumThreads : public testing::Test {
protected:
    void SetUp() override {
        const char* const value = std::getenv(variable);
        variable_before_ = value == nullptr ? "" : value;
        set_variable("");
        count_before_ = get_num_threads();
    }
    void TearDown() override {
        set_variable(variable_before_.c_str());
        set_num_threads(count_before_);
    }

private:
    std::string variable_before_;
    std::int64_t count_before_ = 1;
};

TEST_F(NumThreads, DefaultIsWhatTheVariableSays) {
    set_variable("3");
    EXPECT_EQ(default_num_threads(), 3);
    set_variable("70000");
    EXPECT_EQ(default_num_threads(), 70000);
    set_variable("");
    EXPECT_EQ(default_num_threads(), available_processors());
}

TEST_F(NumThreads, VariableThatIsNoPositiveIntegerIsRefusedByName) {
    for (const std::string value :
         {"0", "-2", "two", "2.5", "2 ", " 2", "+2", "0x2", "99999999999999999999"}) {
        set_variable(value.c_str());
        EXPECT_EQ(message_of<std::invalid_argument>([] { default_num_threads(); }),
                  "environment variable NORMGRAPH_NUM_THREADS: expected a positive integer, got '" +
                      value + "'");
    }
}

TEST_F(NumThreads, SetCounts) {
    set_num_threads(5);
    EXPECT_EQ(get_num_threads(), 5);
    set_variable("2");
    EXPECT_EQ(get_num_threads(), 5) << "the variable is read before the first use only";
}

TEST_F(NumThreads, SetRefusesLessThanOne) {
    set_num_threads(5);
    EXPECT_EQ(message_of<std::invalid_argument>([] { set_num_threads(0); }),
              "num_threads: expected an integer >= 1, got 0");
    EXPECT_EQ(message_of<std::invalid_argument>([] { set_num_threads(-7); }),
              "num_threads: expected an integer >= 1, got -7");
    EXPECT_EQ(get_num_threads(), 5);
}

TEST_F(NumThreads, SetWhileOthersRun) {
    std::atomic<bool> stop{false};
    std::thread setter([&] {
        for (std::int64_t count = 0; !stop; ++count) {
            set_num_threads(1 + count % 4);
        }
    });
    for (int round = 0; round < 1000; ++round) {
        std::atomic<int> calls{0};
        const std::int64_t threads = get_num_threads();
        parallel_for(10, threads, [&](std::int64_t) { ++calls; });
        EXPECT_EQ(calls, 10);
        EXPECT_GE(threads, 1);
    }
    stop = true;
    setter.join();
}

}  // namespace
}  // namespace normgraph::kernel
