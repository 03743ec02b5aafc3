#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/ir/element_type.hpp"
#include "normgraph/ir/partial_shape.hpp"

namespace normgraph {

/// Is shown every attribute of a node, in the order and under the name its constructor takes it.
/// A visitor reads; a node is made from attributes by its constructor, which checks them.
class AttributeVisitor {
public:
    virtual ~AttributeVisitor() = default;

    virtual void on_attribute(std::string_view name, double value) = 0;
    virtual void on_attribute(std::string_view name, std::int64_t value) = 0;
    virtual void on_attribute(std::string_view name, bool value) = 0;
    /// A list of axes.
    virtual void on_attribute(std::string_view name, const std::vector<std::int64_t>& value) = 0;
    virtual void on_attribute(std::string_view name, const std::string& value) = 0;
    virtual void on_attribute(std::string_view name, element::Type value) = 0;
    virtual void on_attribute(std::string_view name, const PartialShape& value) = 0;
    /// The elements of a constant: row-major, in this machine's byte order.
    virtual void on_attribute(std::string_view name, std::span<const std::byte> value) = 0;
};

}  // namespace normgraph
