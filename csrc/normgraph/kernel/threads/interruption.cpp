#include "normgraph/kernel/threads/interruption.hpp"

#include <utility>

namespace normgraph::kernel {
namespace {

constinit thread_local Interruption* current_interruption = nullptr;
constinit thread_local bool owns_current = false;
constinit thread_local bool is_asked = false;

}  // namespace

Interruption::Interruption(FunctionReference<Answer()> question)
    : question_(question), callers_(current_interruption) {
    // A kernel called by a question would ask again, and be in the midst of itself without end.
    current_interruption = is_asked ? nullptr : this;
    owns_current = !is_asked;
}

// Only the thread's outermost one can be current: those inside of a question are not.
Interruption::~Interruption() {
    current_interruption = callers_;
    owns_current = callers_ != nullptr;
}

Interruption* Interruption::current() noexcept {
    return current_interruption;
}

bool Interruption::is_being_asked() noexcept {
    return is_asked;
}

void Interruption::ask() {
    if (is_answered_for_good_) {
        return;
    }
    Interruption* const asking = std::exchange(current_interruption, nullptr);
    is_asked = true;
    const Answer answer = question_();
    is_asked = false;
    current_interruption = asking;
    owns_current = true;
    if (answer == Answer::stop) {
        is_requested_.store(true, std::memory_order_relaxed);
    }
    is_answered_for_good_ = answer == Answer::never_ask_again;
    next_question_ = std::chrono::steady_clock::now() + period;
}

void Interruption::poll() {
    // To read the clock takes as long as some small blocks do.
    constexpr std::uint32_t polls_per_look = 16;
    if (++polls_ % polls_per_look != 0) {
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (next_question_ == std::chrono::steady_clock::time_point{}) {
        next_question_ = now + period;
    } else if (now >= next_question_) {
        ask();
    }
}

Interruption::Helper::Helper(Interruption* interruption) noexcept : callers_(current_interruption) {
    current_interruption = interruption;
}

Interruption::Helper::~Helper() {
    current_interruption = callers_;
}

void stop_if_interrupted() {
    Interruption* const interruption = current_interruption;
    if (interruption == nullptr) {
        return;
    }
    if (owns_current) {
        interruption->poll();
    }
    if (interruption->is_requested()) {
        throw Interrupted();
    }
}

}  // namespace normgraph::kernel
