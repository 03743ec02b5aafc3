#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace normgraph::kernel::simd {

/// Adds the sums of blocks, of many channels at once, in the tree of the canonical order: like a
/// binary counter, whose digit k is a finished subtree of 2^k blocks.
///
/// The blocks may also be parts, each an aligned run of 2^j blocks (the last one may be shorter):
/// these are nodes of the same tree.
class BlockSums {
public:
    static constexpr std::int64_t levels_for(std::int64_t blocks) {
        std::int64_t levels = 1;
        while ((std::int64_t{1} << levels) <= blocks) {
            ++levels;
        }
        return levels;
    }

    /// `storage`: levels_for(blocks) · length doubles.
    BlockSums(double* storage, std::int64_t length) : storage_(storage), length_(length) {}

    /// Adds the next block; `sums` is overwritten.
    void append(double* sums) {
        std::int64_t level = 0;
        for (std::uint64_t digits = count_; (digits & 1) != 0; digits >>= 1) {
            add(level_at(level++), sums);
        }
        copy(sums, level_at(level));
        ++count_;
    }

    /// Zeros if there was no block.
    void total(double* sums) const {
        std::memset(sums, 0, static_cast<std::size_t>(length_) * sizeof(double));
        bool is_first = true;
        std::int64_t level = 0;
        for (std::uint64_t digits = count_; digits != 0; digits >>= 1, ++level) {
            if ((digits & 1) == 0) {
                continue;
            }
            is_first ? copy(level_at(level), sums) : add(level_at(level), sums);
            is_first = false;
        }
    }

private:
    double* level_at(std::int64_t level) const { return storage_ + level * length_; }

    void add(const double* subtree, double* sums) const {
        for (std::int64_t index = 0; index < length_; ++index) {
            sums[index] = subtree[index] + sums[index];
        }
    }
    void copy(const double* from, double* to) const {
        std::memcpy(to, from, static_cast<std::size_t>(length_) * sizeof(double));
    }

    double* storage_;
    std::int64_t length_;
    std::uint64_t count_ = 0;
};

}  // namespace normgraph::kernel::simd
