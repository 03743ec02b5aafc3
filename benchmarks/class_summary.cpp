#include "class_summary.hpp"

#include <cmath>
#include <iomanip>
#include <ostream>

#include "case_class.hpp"
#include "tensor_sets.hpp"

namespace normgraph::measurement {

void ClassSummary::add(const Case& which, double floors) {
    Sum& sum =
        sums_[{class_of(which.op, which.shape, which.type, which.layout, largest_cache_bytes()),
               which.op, std::string(which.implementation->name), which.num_threads}];
    sum.of_logarithms += std::log(floors);
    ++sum.count;
}

void ClassSummary::print(std::ostream& stream) const {
    if (sums_.empty()) {
        return;
    }
    const auto print_columns = [&stream](const auto& name, const auto& op,
                                         const auto& implementation, const auto& threads,
                                         const auto& cases, const auto& floors) {
        stream << "  " << std::left << std::setw(33) << name << std::setw(39) << op << std::setw(15)
               << implementation << std::right << std::setw(7) << threads << std::setw(6) << cases
               << std::setw(8) << floors << '\n';
    };
    stream << "\nGeometric means of the floors of a class\n" << std::fixed << std::setprecision(2);
    print_columns("class", "op", "implementation", "threads", "cases", "floors");
    for (const auto& [key, sum] : sums_) {
        const auto& [name, op, implementation, num_threads] = key;
        print_columns(name, name_of(op), implementation, num_threads, sum.count,
                      std::exp(sum.of_logarithms / sum.count));
    }
}

}  // namespace normgraph::measurement
