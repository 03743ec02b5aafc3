#include "normgraph/kernel/threads/num_threads.hpp"

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "normgraph/kernel/threads/processors.hpp"

namespace normgraph::kernel {
namespace {

constexpr std::int64_t undecided = 0;
constinit std::atomic<std::int64_t> chosen{undecided};

}  // namespace

std::int64_t get_num_threads() {
    std::int64_t count = chosen.load(std::memory_order_relaxed);
    if (count == undecided) {
        const std::int64_t decided = default_num_threads();
        // Leaves alone what set_num_threads has stored meanwhile.
        if (chosen.compare_exchange_strong(count, decided, std::memory_order_relaxed)) {
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
    chosen.store(count, std::memory_order_relaxed);
}

std::int64_t default_num_threads() {
    const char* const variable = std::getenv("NORMGRAPH_NUM_THREADS");
    if (variable == nullptr || *variable == '\0') {
        return available_processors();
    }
    const std::string_view text = variable;
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count < 1) {
        throw std::invalid_argument(
            "environment variable NORMGRAPH_NUM_THREADS: expected a positive integer, got '" +
            std::string(text) + "'");
    }
    return count;
}

}  // namespace normgraph::kernel
