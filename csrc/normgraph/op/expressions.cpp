#include "normgraph/op/expressions.hpp"

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "normgraph/ir/constant.hpp"
#include "normgraph/op/convert.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/reduction.hpp"
#include "normgraph/op/select_where.hpp"

namespace normgraph::op {

Output operator+(const Output& left, const Output& right) {
    return std::make_shared<Add>(left, right);
}

Output operator-(const Output& left, const Output& right) {
    return std::make_shared<Subtract>(left, right);
}

Output operator*(const Output& left, const Output& right) {
    return std::make_shared<Multiply>(left, right);
}

Output operator/(const Output& left, const Output& right) {
    return std::make_shared<Divide>(left, right);
}

Output operator-(const Output& value) {
    return std::make_shared<Negate>(value);
}

Output square_root(const Output& value) {
    return std::make_shared<SquareRoot>(value);
}

Output sum(const Output& value, std::vector<std::int64_t> kept_axes) {
    return std::make_shared<Sum>(value, std::move(kept_axes));
}

Output mean(const Output& value, std::vector<std::int64_t> kept_axes) {
    return std::make_shared<Mean>(value, std::move(kept_axes));
}

Output broadcast(const Output& value, const Output& like, std::vector<std::int64_t> axes) {
    return std::make_shared<Broadcast>(value, like, std::move(axes));
}

Output mean_backprop(const Output& delta, const Output& like, std::vector<std::int64_t> axes) {
    return std::make_shared<MeanBackprop>(delta, like, std::move(axes));
}

Output select_where(const Output& value, const Output& where) {
    return std::make_shared<SelectWhere>(value, where);
}

Output convert(const Output& value, element::Type type) {
    if (value.element_type() == type) {
        return value;
    }
    return std::make_shared<Convert>(value, type);
}

Output filled(double number, element::Type type, const Output& like) {
    std::vector<std::byte> bytes(sizeof number);
    std::memcpy(bytes.data(), &number, sizeof number);
    const Output scalar = std::make_shared<Constant>(element::f64, PartialShape{}, bytes);
    return broadcast(convert(scalar, type), like, {});
}

Output constant_like(double number, const Output& like) {
    return broadcast(Constant::scalar(number, like.element_type()), like, {});
}

Output named(Output value, std::string friendly_name) {
    value.node()->set_friendly_name(std::move(friendly_name));
    return value;
}

}  // namespace normgraph::op
