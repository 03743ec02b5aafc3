#include "case_class.hpp"

#include <functional>
#include <numeric>

#include "normgraph/kernel/element_type.hpp"

namespace normgraph::measurement {
namespace {

constexpr std::int64_t long_row = 1000;

std::int64_t row_length(const NamedShape& shape) {
    return std::accumulate(shape.shape.begin() + 2, shape.shape.end(), std::int64_t{1},
                           std::multiplies<>());
}

std::size_t bytes_read_twice(Op op, const NamedShape& shape, kernel::ElementType type) {
    return (tensor_count_of(op) - 1) * static_cast<std::size_t>(element_count(shape)) *
           kernel::size_of(type);
}

}  // namespace

std::string class_of(Op op, const NamedShape& shape, kernel::ElementType type,
                     kernel::LayoutClass layout, std::size_t largest_cache) {
    const std::string type_name(name_of(type));
    if (!shape.cold) {
        return type_name + " warm";
    }
    const bool is_divided = kernel::size_of(type) > 2;
    if (layout == kernel::LayoutClass::channels_first) {
        const char* const rows = row_length(shape) >= long_row ? ", long rows" : ", short rows";
        return type_name + " channels first" + (is_divided ? rows : "");
    }
    const bool is_large = bytes_read_twice(op, shape, type) > largest_cache / 2;
    const char* const source = is_large ? ", from memory" : ", from cache";
    return type_name + " channels last" + (is_divided ? source : "");
}

}  // namespace normgraph::measurement
