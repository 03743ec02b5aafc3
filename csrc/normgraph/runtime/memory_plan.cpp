#include "normgraph/runtime/memory_plan.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <numeric>

namespace normgraph::runtime {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t most_bytes = std::numeric_limits<std::int64_t>::max() / 2;

std::size_t rounded(std::size_t bytes) {
    if (bytes > most_bytes) {
        throw std::bad_alloc();
    }
    return (bytes + cache_line - 1) / cache_line * cache_line;
}

/// From begin to before end.
struct Range {
    std::size_t begin, end;
};

/// A union of ranges: they ascend, and neither overlap nor touch.
class Ranges {
public:
    void add(Range range) {
        const auto first = std::ranges::lower_bound(ranges_, range.begin, {}, &Range::end);
        auto last = first;
        for (; last != ranges_.end() && last->begin <= range.end; ++last) {
            range = {std::min(range.begin, last->begin), std::max(range.end, last->end)};
        }
        if (first == last) {
            ranges_.insert(first, range);
        } else {
            *first = range;
            ranges_.erase(first + 1, last);
        }
    }

    std::span<const Range> all() const { return ranges_; }

private:
    std::vector<Range> ranges_;
};

/// Which memory is in use at which moment.
///
/// A segment tree over the moments: a period consists of the O(log n) largest nodes that lie in
/// it. Ranges that are in use together are mostly adjacent, so that their unions are short.
class MemoryInUse {
public:
    struct Period {
        std::size_t first, last;  ///< both included
    };

    explicit MemoryInUse(std::size_t moments) : moments_(moments), nodes_(2 * moments) {}

    /// The lowest place from which on so many bytes are free all the time.
    std::size_t lowest_place(Period period, std::size_t bytes) {
        unions_.clear();
        visit(period, [&](const Node& node, bool is_whole) {
            unions_.push_back((is_whole ? node.at_some_moment : node.at_each_moment).all());
        });
        std::size_t place = 0;
        for (bool has_moved = true; has_moved;) {
            has_moved = false;
            for (std::span<const Range>& ranges : unions_) {
                // What lies below the place is gone through once.
                for (; !ranges.empty() && ranges.front().begin < place + bytes;
                     ranges = ranges.subspan(1)) {
                    has_moved = has_moved || ranges.front().end > place;
                    place = std::max(place, ranges.front().end);
                }
            }
        }
        return place;
    }

    void add(Period period, Range range) {
        visit(period, [&](Node& node, bool is_whole) {
            node.at_some_moment.add(range);
            if (is_whole) {
                node.at_each_moment.add(range);
            }
        });
    }

private:
    struct Node {
        Ranges at_each_moment;  ///< added for periods that consist of this node and others
        Ranges at_some_moment;  ///< those, and what has been added for a part of its moments
    };

    /// Calls visitor(node, whether it lies in the period) for all that have moments in common with
    /// the period, but for those below nodes that lie in it.
    template <typename Visitor>
    void visit(Period period, const Visitor& visitor) {
        visit_below(0, {0, moments_ - 1}, period, visitor);
    }

    /// The left child of a node is the next one; the right child follows all that are below that.
    template <typename Visitor>
    void visit_below(std::size_t index, Period moments, Period period, const Visitor& visitor) {
        const bool is_whole = period.first <= moments.first && moments.last <= period.last;
        visitor(nodes_[index], is_whole);
        if (is_whole) {
            return;
        }
        const std::size_t middle = moments.first + (moments.last - moments.first) / 2;
        if (period.first <= middle) {
            visit_below(index + 1, {moments.first, middle}, period, visitor);
        }
        if (period.last > middle) {
            visit_below(index + 2 * (middle - moments.first + 1), {middle + 1, moments.last},
                        period, visitor);
        }
    }

    std::size_t moments_;
    std::vector<Node> nodes_;
    std::vector<std::span<const Range>> unions_;
};

/// The steps at which a lifetime begins: two that have a step in common have one of these.
class Beginnings {
public:
    explicit Beginnings(std::span<const Lifetime> lifetimes) {
        for (const Lifetime& lifetime : lifetimes) {
            steps_.push_back(lifetime.first_step);
        }
        std::ranges::sort(steps_);
        steps_.erase(std::unique(steps_.begin(), steps_.end()), steps_.end());
    }

    std::size_t count() const { return steps_.size(); }

    /// The numbers of those within the lifetime.
    MemoryInUse::Period within(const Lifetime& lifetime) const {
        const auto first = std::ranges::lower_bound(steps_, lifetime.first_step);
        const auto end = std::ranges::upper_bound(steps_, lifetime.last_step);
        return {static_cast<std::size_t>(first - steps_.begin()),
                static_cast<std::size_t>(end - steps_.begin()) - 1};
    }

private:
    std::vector<std::size_t> steps_;
};

}  // namespace

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes) {
    std::vector<std::size_t> largest_first(lifetimes.size());
    std::iota(largest_first.begin(), largest_first.end(), std::size_t{0});
    std::ranges::stable_sort(largest_first, std::ranges::greater{},
                             [&](std::size_t index) { return lifetimes[index].bytes; });
    MemoryPlan plan;
    plan.offsets.resize(lifetimes.size());
    const Beginnings beginnings(lifetimes);
    MemoryInUse in_use(beginnings.count());
    for (const std::size_t index : largest_first) {
        const std::size_t bytes = rounded(lifetimes[index].bytes);
        if (bytes == 0) {
            break;  // the rest is empty, and may lie anywhere
        }
        const MemoryInUse::Period period = beginnings.within(lifetimes[index]);
        const std::size_t place = in_use.lowest_place(period, bytes);
        const std::size_t end = rounded(place + bytes);
        in_use.add(period, {place, end});
        plan.offsets[index] = place;
        plan.bytes = std::max(plan.bytes, end);
    }
    return plan;
}

}  // namespace normgraph::runtime
