#pragma once

#include <memory>
#include <utility>

#include "normgraph/ir/parameter.hpp"

namespace normgraph::pass {

/// A parameter of type f32, which is a vector of three unless a shape is given.
inline std::shared_ptr<Parameter> parameter(const char* name, PartialShape shape = {3}) {
    return std::make_shared<Parameter>(element::f32, std::move(shape), name);
}

}  // namespace normgraph::pass
