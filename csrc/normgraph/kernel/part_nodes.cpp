#include "normgraph/kernel/part_nodes.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "normgraph/indices/counts.hpp"
#include "normgraph/kernel/moments.hpp"

namespace normgraph::kernel {
namespace {

bool is_finer(std::int64_t boundary, std::int64_t other) {
    const std::int64_t difference = boundary ^ other;
    return (boundary & difference & -difference) != 0;
}

/// Nodes are [2][channel].
void merge_moments(double* left, const double* right, std::size_t channels,
                   const MergeFactors& factors) {
    double* const left_squares = left + channels;
    const double* const right_squares = right + channels;
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const Moments node = merged({left[channel], left_squares[channel]},
                                    {right[channel], right_squares[channel]}, factors);
        left[channel] = node.mean;
        left_squares[channel] = node.squares;
    }
}

/// Both are at least 0.
std::int64_t checked_sum(std::int64_t left, std::int64_t right) {
    if (left > std::numeric_limits<std::int64_t>::max() - right) {
        throw std::overflow_error("the parts of a batch have more than 2^63 samples or elements");
    }
    return left + right;
}

}  // namespace

PartNodes::PartNodes(NodeKind kind, std::int64_t channels, std::optional<std::int64_t> first_sample)
    : kind_(kind),
      channels_(channels),
      is_placed_(first_sample.has_value()),
      boundaries_{first_sample.value_or(0)} {}

PartNodes::PartNodes(NodeKind kind, std::int64_t channels, const PartSamples& samples,
                     const std::vector<double>& leaves)
    : PartNodes(kind, channels, std::nullopt) {
    const std::int64_t count = divide_up(samples.count, samples.per_leaf);
    for (std::int64_t leaf = 0; leaf < count; ++leaf) {
        const std::int64_t first = leaf * samples.per_leaf;
        const std::int64_t end = std::min(first + samples.per_leaf, samples.count);
        boundaries_.push_back(end);
        const std::int64_t begin = first * samples.elements;
        const std::int64_t elements = (end - first) * samples.elements;
        elements_.push_back(samples.positions == nullptr
                                ? elements
                                : samples.positions->count_between(begin, begin + elements));
    }
    values_ = leaves;
    if (samples.first) {
        place_at(*samples.first);
    }
}

PartNodes::PartNodes(NodeKind kind, std::int64_t channels, bool is_placed,
                     std::vector<std::int64_t> boundaries, std::vector<std::int64_t> elements,
                     std::vector<double> values)
    : kind_(kind),
      channels_(channels),
      is_placed_(is_placed),
      boundaries_(std::move(boundaries)),
      elements_(std::move(elements)),
      values_(std::move(values)) {
    const bool sizes_fit =
        boundaries_.size() == elements_.size() + 1 &&
        values_.size() == elements_.size() * 2 * static_cast<std::size_t>(channels_);
    const bool boundaries_rise =
        sizes_fit && boundaries_.front() >= 0 && (is_placed_ || boundaries_.front() == 0) &&
        std::ranges::adjacent_find(boundaries_, std::ranges::greater_equal()) == boundaries_.end();
    if (!boundaries_rise || has_finished_boundary() ||
        std::ranges::any_of(elements_, [](auto count) { return count < 0; })) {
        throw std::invalid_argument("expected nodes with boundaries that rise");
    }
    static_cast<void>(element_count());
}

bool PartNodes::is_finished(std::size_t boundary) const {
    return is_finer(boundaries_[boundary], boundaries_[boundary - 1]) &&
           is_finer(boundaries_[boundary], boundaries_[boundary + 1]);
}

bool PartNodes::has_finished_boundary() const {
    for (std::size_t boundary = 1; is_placed_ && boundary + 1 < boundaries_.size(); ++boundary) {
        if (is_finished(boundary)) {
            return true;
        }
    }
    return false;
}

std::int64_t PartNodes::element_count() const {
    return std::accumulate(elements_.begin(), elements_.end(), std::int64_t{0}, checked_sum);
}

void PartNodes::append(const PartNodes& following) {
    if (elements_.empty() && !following.elements_.empty() &&
        (following.is_placed_ || !is_placed_)) {
        *this = following;
        return;
    }
    const std::int64_t begin = following.boundaries_.front();
    if (!is_placed_ && following.is_placed_ && begin >= sample_count()) {
        place_at(begin - sample_count());
    }
    checked_sum(boundaries_.back(), following.sample_count());
    checked_sum(element_count(), following.element_count());
    append_nodes(following);
}

void PartNodes::append_nodes(const PartNodes& following) {
    const std::size_t node_length = 2 * static_cast<std::size_t>(channels_);
    const std::int64_t distance = boundaries_.back() - following.boundaries_.front();
    for (std::size_t node = 0; node < following.elements_.size(); ++node) {
        const auto first =
            following.values_.begin() + static_cast<std::ptrdiff_t>(node * node_length);
        values_.insert(values_.end(), first, first + static_cast<std::ptrdiff_t>(node_length));
        elements_.push_back(following.elements_[node]);
        boundaries_.push_back(following.boundaries_[node + 1] + distance);
        if (is_placed_) {
            merge_finished_nodes();
        }
    }
}

void PartNodes::place_at(std::int64_t first_sample) {
    const PartNodes leaves = *this;
    *this = PartNodes(kind_, channels_, first_sample);
    checked_sum(first_sample, leaves.sample_count());
    append_nodes(leaves);
}

void PartNodes::merge_finished_nodes() {
    while (elements_.size() > 1 && is_finished(boundaries_.size() - 2)) {
        merge_at(boundaries_.size() - 2);
    }
}

void PartNodes::merge_at(std::size_t boundary) {
    const auto place = static_cast<std::ptrdiff_t>(boundary);
    const auto count = static_cast<std::size_t>(channels_);
    double* const left = values_.data() + (boundary - 1) * 2 * count;
    const double* const right = left + 2 * count;
    const std::int64_t of_left = elements_[boundary - 1], of_right = elements_[boundary];
    if (kind_ == NodeKind::sums) {
        std::transform(left, left + 2 * count, right, left, std::plus());
    } else if (of_left == 0) {
        std::copy_n(right, 2 * count, left);
    } else if (of_right > 0) {
        merge_moments(left, right, count,
                      {static_cast<double>(of_left), static_cast<double>(of_right)});
    }
    const auto merged_values = values_.begin() + place * 2 * static_cast<std::ptrdiff_t>(count);
    values_.erase(merged_values, merged_values + 2 * static_cast<std::ptrdiff_t>(count));
    elements_[boundary - 1] += elements_[boundary];
    elements_.erase(elements_.begin() + place);
    boundaries_.erase(boundaries_.begin() + place);
}

std::vector<double> PartNodes::total() const {
    if (elements_.empty()) {
        return std::vector<double>(2 * static_cast<std::size_t>(channels_), 0.0);
    }
    PartNodes all = *this;
    if (!is_placed_) {
        all.place_at(0);
    }
    // Of what is left the finest boundary is at one of the two ends: the whole has no neighbours.
    while (all.elements_.size() > 1) {
        const std::size_t last = all.boundaries_.size() - 2;
        all.merge_at(is_finer(all.boundaries_[1], all.boundaries_[last]) ? 1 : last);
    }
    return std::move(all.values_);
}

}  // namespace normgraph::kernel
