#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>

#include "normgraph/kernel/threads/function_reference.hpp"

/// Long work that its caller may give up, as an interactive program does when its user presses
/// Ctrl-C.
namespace normgraph::kernel {

/// Thrown by work that was given up. What it was to write is unspecified then.
class Interrupted : public std::exception {
public:
    const char* what() const noexcept override { return "interrupted"; }
};

/// While it lives, the work that this thread does or shares is interruptible: about every 50 ms
/// `question` is called, in this thread and with no lock held. If it answers `stop`, this thread
/// and its helpers leave the work by `Interrupted`.
///
/// The question does not throw. It may run any code, kernels included: those are not interruptible
/// themselves. After it has forked, it must answer `stop` in the child, which has none of the
/// helpers.
class Interruption {
public:
    enum class Answer { go_on, stop, never_ask_again };

    explicit Interruption(FunctionReference<Answer()> question);
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    /// How long the answer may take, besides the time from one poll to the next.
    static constexpr std::chrono::milliseconds period{50};

    /// That of the work which this thread is doing; null if there is none.
    static Interruption* current() noexcept;

    /// Whether the caller runs inside of a question, in the midst of a kernel.
    static bool is_being_asked() noexcept;

    bool is_requested() const { return is_requested_.load(std::memory_order_relaxed); }

    /// Asks the question, unless it is never to be asked again. Only in the thread that made this
    /// object.
    void ask();

    /// A thread that helps with the work of another, for its lifetime.
    class Helper {
    public:
        explicit Helper(Interruption* interruption) noexcept;
        ~Helper();
        Helper(const Helper&) = delete;
        Helper& operator=(const Helper&) = delete;

    private:
        Interruption* callers_;
    };

private:
    friend void stop_if_interrupted();
    void poll();

    FunctionReference<Answer()> question_;
    Interruption* callers_;
    std::atomic<bool> is_requested_{false};
    bool is_answered_for_good_ = false;
    std::uint32_t polls_ = 0;
    std::chrono::steady_clock::time_point next_question_{};
};

/// Kernels call this at least once in a millisecond of work; it costs a nanosecond or two. Throws
/// Interrupted if the work is to be given up.
void stop_if_interrupted();

/// Polls in a loop over single elements, at one in 4096.
inline void stop_if_interrupted(std::int64_t element) {
    if (element % 4096 == 0) {
        stop_if_interrupted();
    }
}

}  // namespace normgraph::kernel
