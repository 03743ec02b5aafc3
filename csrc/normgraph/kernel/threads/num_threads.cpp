#include "normgraph/kernel/threads/num_threads.hpp"

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>

#include "normgraph/kernel/environment.hpp"
#include "normgraph/kernel/threads/processors.hpp"

namespace normgraph::kernel {
namespace {

constexpr std::int64_t undecided = 0;
constinit std::atomic<std::int64_t> chosen_count{undecided};

}  // namespace

std::int64_t get_num_threads() {
    std::int64_t count = chosen_count.load(std::memory_order_relaxed);
    if (count == undecided) {
        const std::int64_t decided = default_num_threads();
        // Leaves alone what set_num_threads has stored meanwhile.
        if (chosen_count.compare_exchange_strong(count, decided, std::memory_order_relaxed)) {
            count = decided;
        }
    }
    return count;
}

void set_num_threads(std::int64_t count) {
    if (count < 1) {
        throw std::invalid_argument("num_threads: expected an integer >= 1, got " +
                                    std::to_string(count));
    }
    chosen_count.store(count, std::memory_order_relaxed);
}

std::int64_t default_num_threads() {
    const std::optional<std::int64_t> count =
        integer_from_environment("NORMGRAPH_NUM_THREADS", 1, "a positive integer");
    return count ? *count : available_processors();
}

}  // namespace normgraph::kernel
