#include "normgraph/kernel/threads/interruption.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "meeting.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/threads/parallel_for.hpp"

namespace normgraph::kernel {
namespace {

using Answer = Interruption::Answer;

/// Polls until the work is given up; fails after so many polls that the clock must have been read.
bool is_given_up() {
    try {
        return Meeting::wait_for([] {
            stop_if_interrupted();
            return false;
        });
    } catch (const Interrupted&) {
        return true;
    }
}

TEST(Interruption, WorkThatNobodyInterruptsGoesOn) {
    EXPECT_EQ(Interruption::current(), nullptr);
    EXPECT_NO_THROW(stop_if_interrupted());
}

TEST(Interruption, IsAskedAndGivesUp) {
    int questions = 0;
    const auto question = [&] { return ++questions == 2 ? Answer::stop : Answer::go_on; };
    {
        const Interruption interruption(question);
        EXPECT_EQ(Interruption::current(), &interruption);
        EXPECT_TRUE(is_given_up());
    }
    EXPECT_EQ(questions, 2);
    EXPECT_EQ(Interruption::current(), nullptr);
}

TEST(Interruption, IsNotAskedAgainWhereTheAnswerIsForGood) {
    int questions = 0;
    const auto question = [&] {
        ++questions;
        return Answer::never_ask_again;
    };
    Interruption interruption(question);
    interruption.ask();
    interruption.ask();
    EXPECT_EQ(questions, 1);
}

TEST(Interruption, StopsTheHelpersToo) {
    const auto question = [] { return Answer::stop; };
    const Interruption interruption(question);
    for (const int threads : {1, 2, 3, 5}) {
        std::atomic<int> begun{0};
        std::atomic<int> given_up{0};
        EXPECT_THROW(parallel_for(threads, threads,
                                  [&](std::int64_t) {
                                      ++begun;
                                      if (is_given_up()) {
                                          ++given_up;
                                          throw Interrupted();
                                      }
                                  }),
                     Interrupted);
        EXPECT_EQ(begun, given_up);
    }
}

TEST(Interruption, IsAskedWhileTheCallerWaitsForItsHelpers) {
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<bool> caller_asked{false};
    const auto question = [&] {
        caller_asked = caller_asked || std::this_thread::get_id() == caller;
        return Answer::stop;
    };
    const Interruption interruption(question);
    Meeting meeting(2);
    std::atomic<bool> helper_gave_up{false};
    EXPECT_THROW(parallel_for(2, 2,
                              [&](std::int64_t) {
                                  meeting.attend();
                                  if (std::this_thread::get_id() != caller) {
                                      helper_gave_up = is_given_up();
                                  }
                              }),
                 Interrupted);
    EXPECT_TRUE(caller_asked);
    EXPECT_TRUE(helper_gave_up);
}

TEST(Interruption, KernelsInsideOfAQuestionAreNotInterruptible) {
    int questions = 0;
    const auto question = [&] {
        ++questions;
        const auto inner_question = [&] {
            ++questions;
            return Answer::stop;
        };
        EXPECT_TRUE(Interruption::is_being_asked());
        const Interruption inner(inner_question);
        EXPECT_EQ(Interruption::current(), nullptr);
        for (int poll = 0; poll < 100000; ++poll) {
            stop_if_interrupted();
        }
        return Answer::go_on;
    };
    Interruption interruption(question);
    interruption.ask();
    EXPECT_EQ(questions, 1);
    EXPECT_FALSE(Interruption::is_being_asked());
    EXPECT_EQ(Interruption::current(), &interruption);
}

TEST(Interruption, EveryImplementationPollsBeforeItWrites) {
    constexpr std::int64_t elements = 1 << 16;
    const std::array<std::int64_t, 2> shape{elements, 1};
    const std::array<std::int64_t, 2> strides{sizeof(float), sizeof(float)};
    std::vector<float> values(elements, 1.0F);
    std::vector<float> written(elements, 7.0F);
    float mean = 7.0F;
    const auto question = [] { return Answer::stop; };
    for (const Implementation& implementation : built_implementations()) {
        if (!implementation.runs_here()) {
            continue;
        }
        BatchNormTrainingArguments arguments{};
        arguments.problem = {.shape = shape,
                             .channel_axis = 1,
                             .data_type = ElementType::f32,
                             .affine_type = ElementType::f32,
                             .statistics_type = ElementType::f32,
                             .epsilon = 1e-5};
        arguments.input = {reinterpret_cast<const std::byte*>(values.data()), strides};
        arguments.normalized = {reinterpret_cast<std::byte*>(written.data()), strides};
        arguments.mean = {reinterpret_cast<std::byte*>(&mean), sizeof(float)};
        for (const int threads : {1, 3}) {
            Interruption interruption(question);
            interruption.ask();
            EXPECT_THROW(run(arguments, threads, implementation), Interrupted)
                << implementation.name;
            EXPECT_EQ(written, std::vector<float>(elements, 7.0F)) << implementation.name;
        }
    }
}

}  // namespace
}  // namespace normgraph::kernel
