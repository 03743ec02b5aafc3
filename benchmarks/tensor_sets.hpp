#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace normgraph::measurement {

/// Tensors of equal size that one call works on, every page of them touched. Addresses are aligned
/// to 64 bytes, and the room behind a tensor reaches up to the next multiple of 64.
class TensorSet {
public:
    /// `tensor_count` tensors of `bytes` bytes, filled by repeating `pattern`.
    TensorSet(std::size_t tensor_count, std::size_t bytes, const std::vector<std::byte>& pattern);

    std::byte* tensor(std::size_t index) const { return memory_.get() + index * distance_; }
    /// Bytes of one tensor, rounded up to whole cache lines.
    std::size_t padded_bytes() const { return padded_bytes_; }

private:
    struct Free {
        void operator()(std::byte* memory) const;
    };
    std::size_t padded_bytes_;
    std::size_t distance_;
    std::unique_ptr<std::byte, Free> memory_;
};

/// Size of the largest cache of this machine; 32 MiB where it does not say.
std::size_t largest_cache_bytes();

/// For cold data as many sets, used in turn, as it takes that a set has left the caches when its
/// turn comes again; for warm data one.
std::vector<TensorSet> make_tensor_sets(bool cold, std::size_t tensor_count, std::size_t bytes,
                                        const std::vector<std::byte>& pattern);

}  // namespace normgraph::measurement
