// Defines an op by what it is made of; runs it, differentiates it, and writes a pass that drops it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "normgraph/op/expressions.hpp"
#include "normgraph/op/op_node.hpp"
#include "normgraph/pass/differentiate.hpp"
#include "normgraph/pass/replace_matches.hpp"
#include "normgraph/runtime/executable.hpp"

namespace {

using namespace normgraph;

/// The attributes of Affine, and their names.
class AffineAttributes : public Node {
public:
    static constexpr std::tuple attributes{
        op::Attribute<double>{"factor", "what x is multiplied by"},
        op::Attribute<double>{"offset", "what is added"}};

protected:
    AffineAttributes(std::vector<Output> inputs, double factor, double offset,
                     std::string friendly_name)
        : Node{std::move(inputs), std::move(friendly_name)}, factor_{factor}, offset_{offset} {}

    std::tuple<double, double> attribute_values() const { return {factor_, offset_}; }

private:
    double factor_;
    double offset_;
};

/// factor · x + offset
class Affine final : public op::OpNode<Affine, AffineAttributes> {
public:
    static constexpr std::string_view class_name = "Affine";
    static constexpr op::Signature<1, 1> signature{{{{"x"}}}, {{{"result"}}}};

    Affine(const Output& x, double factor, double offset, std::string friendly_name = {})
        : OpNode{{x}, factor, offset, std::move(friendly_name)} {
        validate_and_infer_types();
    }

    static std::vector<TensorType> infer(const std::vector<TensorType>& inputs, double /*factor*/,
                                         double /*offset*/) {
        return inputs;
    }

    /// What it is made of, computed in another type if one is asked for.
    std::optional<std::vector<Output>> decompose(element::Type compute_type) override {
        using namespace op;
        const auto [factor, offset] = attribute_values();
        const Output& given = input_values()[0];
        const Output x = compute_type.is_static() ? convert(given, compute_type) : given;
        const Output result = x * constant_like(factor, x) + constant_like(offset, x);
        return std::vector{convert(result, given.element_type())};
    }
};

void run_and_print(const char* title, const Function& function,
                   std::vector<std::array<float, 3>> arguments) {
    const std::array<std::int64_t, 1> shape{3};
    const std::array<std::int64_t, 1> strides{sizeof(float)};
    const auto view = [&](std::array<float, 3>& values) {
        return runtime::Array{element::f32, shape, strides,
                              reinterpret_cast<std::byte*>(values.data()), true};
    };
    std::vector<runtime::Array> inputs;
    for (std::array<float, 3>& argument : arguments) {
        inputs.push_back(view(argument));
    }
    std::array<float, 3> result{};
    const std::vector<runtime::Array> outputs{view(result)};
    const runtime::Executable executable(function, runtime::Backend::cpu);
    executable.run(*executable.plan_for(inputs), inputs, outputs);
    std::cout << title;
    for (const float value : result) {
        std::cout << ' ' << value;
    }
    std::cout << "\n";
}

}  // namespace

int main() {
    const auto x = std::make_shared<Parameter>(element::f32, PartialShape{3}, "x");
    const Function function({std::make_shared<Affine>(x, 3.0, -2.0)}, {x});
    run_and_print("result:", function, {{1, 2, -1}});
    run_and_print("gradient:", pass::differentiate(function, {x}), {{1, 2, -1}, {1, 2, 3}});

    const auto pattern = pass::Pattern::op<Affine>({pass::Pattern::any("x")});
    const Function without = pass::replace_matches(
        function, pattern, [](const pass::Match& match) { return std::optional(match["x"]); });
    run_and_print("without it:", without, {{1, 2, -1}});
}
