#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "normgraph/op/signature.hpp"
#include "normgraph/op/tensor_type.hpp"

namespace normgraph::op {

/// Throws std::invalid_argument, which lists the names, unless there is one type per name.
void check_one_type_per_input(std::string_view type_name,
                              std::span<const std::string_view> input_names,
                              const std::vector<TensorType>& inputs);
/// There may be one more for an optional input.
void check_one_type_per_input(std::string_view type_name, SignatureView signature,
                              const std::vector<TensorType>& inputs);

}  // namespace normgraph::op
