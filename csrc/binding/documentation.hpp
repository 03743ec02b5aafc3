#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// Docstrings, assembled from what ops say of themselves.
namespace normgraph::binding {

/// What documentation says of one op.
struct OpText {
    std::string_view documentation;
    std::string_view remark;  ///< what several ops share; may be empty
    op::SignatureView signature;
    std::vector<std::pair<std::string_view, std::string_view>> attributes;  ///< name and sentence
    std::vector<std::string_view> constraint_labels;
};

/// The docstring of an op's class.
std::string class_documentation(const OpText& text);

/// The docstring of an op as a function on arrays.
std::string function_documentation(const runtime::KernelCall& call);

/// "BatchNormTrainingResult": the class of a function's results; empty if it has but one output.
std::string result_class_name(const runtime::KernelCall& call);

/// "normalized, mean, variance".
std::string joined_names(std::span<const op::Port> ports);

}  // namespace normgraph::binding
