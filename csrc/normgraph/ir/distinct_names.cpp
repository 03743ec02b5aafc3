#include "normgraph/ir/distinct_names.hpp"

namespace normgraph {

std::string DistinctNames::take(const std::string& name) {
    if (taken_.insert(name).second) {
        return name;
    }
    std::size_t& number = last_number_of_.try_emplace(name, 1).first->second;
    std::string numbered;
    do {
        ++number;
        numbered = name + "#" + std::to_string(number);
    } while (!taken_.insert(numbered).second);
    return numbered;
}

}  // namespace normgraph
