#include "normgraph/ir/tensor_type.hpp"

#include <ostream>

namespace normgraph {

std::string TensorType::to_string() const {
    return std::string(element_type.name()) + partial_shape.to_string();
}

std::ostream& operator<<(std::ostream& stream, const TensorType& type) {
    return stream << type.to_string();
}

}  // namespace normgraph
