#include "normgraph/ir/parameter.hpp"

#include <utility>

namespace normgraph {

Parameter::Parameter(element::Type element_type, PartialShape shape, std::string friendly_name)
    : Node{{}, std::move(friendly_name)}, declared_{element_type, std::move(shape)} {
    validate_and_infer_types();
}

void Parameter::visit_attributes(AttributeVisitor& visitor) const {
    visitor.on_attribute("element_type", declared_.element_type);
    visitor.on_attribute("shape", declared_.partial_shape);
}

std::vector<TensorType> Parameter::infer_types(const std::vector<TensorType>& /*inputs*/) const {
    return {declared_};
}

std::shared_ptr<Node> Parameter::make_clone(const std::vector<Output>& /*inputs*/,
                                            const std::string& friendly_name) const {
    return std::make_shared<Parameter>(declared_.element_type, declared_.partial_shape,
                                       friendly_name);
}

}  // namespace normgraph
