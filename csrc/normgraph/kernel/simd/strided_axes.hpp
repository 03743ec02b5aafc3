#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace normgraph::kernel::simd {

/// Some axes of one tensor, outermost first, as one index: neighbours that are stepped through as
/// if they were one axis are merged.
class StridedAxes {
public:
    void append(std::int64_t length, std::int64_t stride) {
        if (length == 1) {
            return;
        }
        if (count_ > 0 && strides_[count_ - 1] == stride * length) {
            lengths_[count_ - 1] *= length;
            strides_[count_ - 1] = stride;
        } else {
            lengths_[count_] = length;
            strides_[count_] = stride;
            ++count_;
        }
    }

    /// Whether index i lies at i·stride().
    bool is_one_axis() const { return count_ <= 1; }
    std::int64_t stride() const { return count_ == 0 ? 0 : strides_[count_ - 1]; }

    std::int64_t offset_of(std::int64_t index) const {
        if (count_ <= 1) {
            return index * stride();
        }
        std::int64_t offset = 0;
        for (std::size_t axis = count_; axis-- > 0;) {
            offset += index % lengths_[axis] * strides_[axis];
            index /= lengths_[axis];
        }
        return offset;
    }

    /// How many indices from this one on are `stride()` apart, `count` at most.
    std::int64_t run_length(std::int64_t index, std::int64_t count) const {
        return count_ <= 1 ? count : std::min(count, last_length() - index % last_length());
    }

    /// Runs of equal length at equal distances.
    struct Runs {
        std::int64_t count, distance, length;
    };

    /// The runs that begin at this index, as many as are alike, of `count` indices at most.
    Runs runs_at(std::int64_t index, std::int64_t count) const {
        const std::int64_t length = run_length(index, count);
        if (count_ <= 1 || length < last_length()) {
            return {1, 0, length};
        }
        const std::size_t axis = count_ - 2;
        const std::int64_t left = lengths_[axis] - index / length % lengths_[axis];
        return {std::min(left, count / length), strides_[axis], length};
    }

private:
    std::int64_t last_length() const { return lengths_[count_ - 1]; }

    // Not initialized: of 64 axes few are ever used, and small calls would spend their time here.
    std::array<std::int64_t, 64> lengths_;
    std::array<std::int64_t, 64> strides_;
    std::size_t count_ = 0;
};

}  // namespace normgraph::kernel::simd
