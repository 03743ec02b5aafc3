#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "normgraph/op/op_node.hpp"

/// The upper bound that a ReLU may have.
namespace normgraph::op {

inline constexpr Attribute<std::optional<double>> upper_bound_attribute{
    "upper_bound",
    "what ReLU makes of all that is larger, rounded to the element type: 6 is that of ReLU6; None "
    "means that there is none"};

/// The base class of primitive ops with a bound and without other attributes.
class BoundedNode : public Node {
public:
    static constexpr std::tuple attributes{upper_bound_attribute};

    std::optional<double> upper_bound() const noexcept { return upper_bound_; }

protected:
    BoundedNode(std::vector<Output> inputs, std::optional<double> upper_bound,
                std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)}, upper_bound_{upper_bound} {}

    std::tuple<std::optional<double>> attribute_values() const { return {upper_bound_}; }

private:
    std::optional<double> upper_bound_;
};

/// What is wrong with a bound of data of this type, as the text of a violation; nullopt if nothing
/// is. Rounded to the type, it has to be finite and > 0; to no type, where that is not a real one.
std::optional<std::string> fault_of_upper_bound(std::optional<double> upper_bound,
                                                element::Type data);

}  // namespace normgraph::op
