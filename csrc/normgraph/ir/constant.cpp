#include "normgraph/ir/constant.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include "normgraph/ir/rounded_number.hpp"
#include "normgraph/ir/text.hpp"

namespace normgraph {

namespace {

void check_type(const TensorType& type) {
    if (type.element_type.is_dynamic()) {
        throw std::invalid_argument(
            "the element type of a Constant: expected a static type, got dynamic");
    }
    if (type.partial_shape.is_dynamic()) {
        throw std::invalid_argument("the shape of a Constant: expected a static shape, got " +
                                    type.partial_shape.to_string());
    }
}

/// Throws std::invalid_argument if no memory could hold so many bytes.
std::size_t count_bytes(const TensorType& type) {
    const std::vector<Dimension>& lengths = type.partial_shape.dimensions();
    if (std::ranges::find(lengths, Dimension(0)) != lengths.end()) {
        return 0;
    }
    std::size_t bytes = type.element_type.size();
    for (const Dimension& length : lengths) {
        const auto factor = static_cast<std::size_t>(length.length());
        if (factor > std::numeric_limits<std::size_t>::max() / bytes) {
            throw std::invalid_argument(
                "the shape of a Constant: expected one that memory can "
                "hold, got " +
                type.to_string());
        }
        bytes *= factor;
    }
    return bytes;
}

void check_data(const TensorType& type, const std::vector<std::byte>& data) {
    const std::size_t expected = count_bytes(type);
    if (data.size() != expected) {
        throw std::invalid_argument("the data of a Constant: expected " + std::to_string(expected) +
                                    " bytes for " + type.to_string() + ", got " +
                                    std::to_string(data.size()));
    }
    if (type.element_type == element::boolean &&
        std::ranges::any_of(data, [](std::byte value) { return value > std::byte{1}; })) {
        throw std::invalid_argument(
            "the data of a Constant: expected booleans of 0 or 1, got a larger byte");
    }
}

}  // namespace

Constant::Constant(element::Type element_type, PartialShape shape, std::vector<std::byte> data,
                   std::string friendly_name)
    : Node{{}, std::move(friendly_name)}, type_{element_type, std::move(shape)} {
    check_type(type_);
    check_data(type_, data);
    data_ = std::make_shared<const std::vector<std::byte>>(std::move(data));
    validate_and_infer_types();
}

Constant::Constant(const Constant& other, std::string friendly_name)
    : Node{{}, std::move(friendly_name)}, type_{other.type_}, data_{other.data_} {
    validate_and_infer_types();
}

std::shared_ptr<Constant> Constant::scalar(double number, element::Type element_type,
                                           std::string friendly_name) {
    if (!element_type.is_real()) {
        throw std::invalid_argument(
            "the element type of a number: expected f16, bf16, f32 or f64, got " +
            std::string(element_type.name()));
    }
    std::optional<std::vector<std::byte>> data = rounded_number(number, element_type);
    if (!data) {
        throw std::invalid_argument("a number of a Constant: expected one that " +
                                    std::string(element_type.name()) + " can hold, got " +
                                    format_number(number));
    }
    return std::make_shared<Constant>(element_type, PartialShape{}, *std::move(data),
                                      std::move(friendly_name));
}

void Constant::visit_attributes(AttributeVisitor& visitor) const {
    visitor.on_attribute("element_type", type_.element_type);
    visitor.on_attribute("shape", type_.partial_shape);
    visitor.on_attribute("data", data());
}

std::vector<TensorType> Constant::infer_types(const std::vector<TensorType>& /*inputs*/) const {
    return {type_};
}

std::shared_ptr<Node> Constant::make_clone(const std::vector<Output>& /*inputs*/,
                                           const std::string& friendly_name) const {
    return std::shared_ptr<Node>(new Constant(*this, friendly_name));
}

}  // namespace normgraph
