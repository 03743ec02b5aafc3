#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace normgraph {

/// Names that tell things apart: "x", then "x#2" for a second "x".
class DistinctNames {
public:
    /// The name, or, if it is taken, the name with the lowest number that is free. It is taken from
    /// now on.
    std::string take(const std::string& name);

private:
    std::unordered_set<std::string> taken_;
    std::unordered_map<std::string, std::size_t> last_number_of_;  ///< all below it are taken
};

}  // namespace normgraph
