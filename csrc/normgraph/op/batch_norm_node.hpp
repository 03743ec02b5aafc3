#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "normgraph/ir/node.hpp"

namespace normgraph::op {

/// What the ops of the family have in common: the attributes epsilon and channel_axis.
class BatchNormNode : public Node {
public:
    double epsilon() const noexcept { return epsilon_; }
    /// Throws NodeValidationFailure (C1) and keeps the old value unless epsilon is finite and >= 0.
    void set_epsilon(double epsilon);

    /// As it was given: a negative one counts from the last axis, -1 being the last.
    std::int64_t channel_axis() const noexcept { return channel_axis_; }

    void visit_attributes(AttributeVisitor& visitor) const override;

protected:
    BatchNormNode(std::vector<Output> inputs, double epsilon, std::int64_t channel_axis,
                  std::string friendly_name);

private:
    double epsilon_;
    std::int64_t channel_axis_;
};

}  // namespace normgraph::op
