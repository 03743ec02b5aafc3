#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <tuple>

#include "cases.hpp"

namespace normgraph::measurement {

/// Geometric means of the floors, one per class, op, implementation and number of threads.
class ClassSummary {
public:
    void add(const Case& which, double floors);
    /// A table, sorted by class; nothing if nothing was added.
    void print(std::ostream& stream) const;

private:
    struct Sum {
        double of_logarithms = 0;
        int count = 0;
    };
    using Key = std::tuple<std::string, Op, std::string, std::int64_t>;
    std::map<Key, Sum> sums_;
};

}  // namespace normgraph::measurement
