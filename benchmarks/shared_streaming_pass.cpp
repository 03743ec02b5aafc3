#include "shared_streaming_pass.hpp"

#include <algorithm>

#include "normgraph/kernel/threads/parallel_for.hpp"

namespace normgraph::measurement {
namespace {

/// In the time that waking a thread takes, one thread moves about as much.
constexpr std::size_t bytes_per_thread = std::size_t{256} << 10;

/// More parts than threads, so that one that is late leaves its work to the others.
constexpr std::size_t parts_per_thread = 4;

constexpr std::size_t page = 4096;

}  // namespace

void stream(StreamingPass::Function pass, const TensorSet& set, std::size_t tensor_count,
            std::int64_t num_threads) {
    const std::size_t size = set.padded_bytes();
    const auto stream_part = [&](std::size_t begin, std::size_t part_size) {
        if (tensor_count == 4) {
            pass(set.tensor(0) + begin, nullptr, set.tensor(2) + begin, part_size);
            pass(set.tensor(1) + begin, nullptr, set.tensor(3) + begin, part_size);
            return;
        }
        const std::byte* const second = tensor_count == 3 ? set.tensor(1) + begin : nullptr;
        pass(set.tensor(0) + begin, second, set.tensor(tensor_count - 1) + begin, part_size);
    };
    const std::size_t threads =
        std::min(static_cast<std::size_t>(num_threads), 1 + size / bytes_per_thread);
    if (threads == 1) {
        stream_part(0, size);
        return;
    }
    const std::size_t parts = threads * parts_per_thread;
    const std::size_t part_size = (size / parts / page + 1) * page;
    kernel::parallel_for(static_cast<std::int64_t>(parts), static_cast<std::int64_t>(threads),
                         [&](std::int64_t part) {
                             const std::size_t begin =
                                 std::min(static_cast<std::size_t>(part) * part_size, size);
                             stream_part(begin, std::min(part_size, size - begin));
                         });
}

}  // namespace normgraph::measurement
