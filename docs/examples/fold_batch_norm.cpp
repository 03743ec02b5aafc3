#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "normgraph/ir/constant.hpp"
#include "normgraph/op/batch_norm_inference.hpp"
#include "normgraph/op/expressions.hpp"
#include "normgraph/op/matrix_multiply.hpp"
#include "normgraph/pass/replace_matches.hpp"
#include "normgraph/pass/rewrite.hpp"
#include "run.hpp"

using namespace normgraph;
using namespace normgraph::op;  // formulas of nodes: left + right
using normgraph::pass::Match;
using normgraph::pass::Pattern;

// ---- y = x * scale + shift ----

/// Whether data and vectors are of one type.
bool has_one_type(const Output& value) {
    return value.element_type().is_real() &&
           value.node()->input("gamma").element_type() == value.element_type();
}

/// A BatchNormInference of what `input` matches.
Pattern norm_of(const Pattern& input) {
    return Pattern::op<BatchNormInference>({input, Pattern::any("gamma"), Pattern::any("beta"),
                                            Pattern::any("mean"), Pattern::any("variance")})
        .named("norm")
        .where(has_one_type);
}

/// gamma / sqrt(variance + epsilon) and beta - mean * scale: in f64, each rounded once.
std::pair<Output, Output> scale_and_shift(const Match& match) {
    const auto& norm = match.node<BatchNormInference>("norm");
    const auto wide = [&](const char* name) { return convert(match[name], element::f64); };
    const element::Type type = match.original("norm").element_type();
    const Output variance = wide("variance");
    const Output deviation = square_root(variance + constant_like(norm.epsilon(), variance));
    const Output scale = convert(wide("gamma") / deviation, type);
    return {scale, convert(wide("beta") - wide("mean") * convert(scale, element::f64), type)};
}

std::optional<Output> as_multiply_add(const Match& match) {
    const auto [scale, shift] = scale_and_shift(match);
    const Output& x = match["input"];
    const Axes channels{match.node<BatchNormInference>("norm").channel_axis()};
    return x * broadcast(scale, x, channels) + broadcast(shift, x, channels);
}

// ---- constants ----

std::shared_ptr<Constant> constant(PartialShape shape, std::span<const float> values,
                                   std::string name) {
    const auto bytes = std::as_bytes(values);
    return std::make_shared<Constant>(element::f32, std::move(shape),
                                      std::vector<std::byte>(bytes.begin(), bytes.end()),
                                      std::move(name));
}

/// The function with f32 constants in place of f32 values that depend on constants alone.
Function fold_constants(const Function& function) {
    std::unordered_set<const Node*> constants;  // nodes of the new function
    const auto is_constant = [&](const Output& value) {
        return constants.contains(value.node().get());
    };
    const auto folded =
        [&](Node& /*original*/, Node& node,
            const pass::NewValues& /*values*/) -> std::optional<std::vector<Output>> {
        const auto& inputs = node.input_values();
        const bool is_leaf = dynamic_cast<const Constant*>(&node) != nullptr;
        if (!is_leaf && (inputs.empty() || !std::ranges::all_of(inputs, is_constant))) {
            return std::nullopt;
        }
        if (is_leaf || node.output_names().size() != 1 ||
            node.output_type(0).element_type != element::f32) {
            constants.insert(&node);
            return std::nullopt;
        }
        const Tensor value = run(Function({node.output(0)}, {}), {}).front();
        const auto made =
            constant(node.output_type(0).partial_shape, value.values, node.friendly_name());
        constants.insert(made.get());
        return std::vector<Output>{made};
    };
    return pass::rewrite(function, folded);
}

// ---- into the weights ----

std::optional<Output> into_weights(const Match& match) {
    const auto& norm = match.node<BatchNormInference>("norm");
    if (norm.channel_axis() != 1 && norm.channel_axis() != -1) {
        return std::nullopt;  // the channels are the rows of the product
    }
    const auto [scale, shift] = scale_and_shift(match);
    const auto& product = match.node<MatrixMultiply>("product");
    const Output& right = match["right"];
    const Axes columns{product.transpose_right() ? 0 : 1};
    const Output scaled =
        std::make_shared<MatrixMultiply>(match["left"], right * broadcast(scale, right, columns),
                                         product.transpose_left(), product.transpose_right());
    return scaled + broadcast(shift, scaled, {1});
}

// ---- both, on a layer ----

int main() {
    const PartialShape any_rows{Dimension::dynamic(), 2};
    const auto x = std::make_shared<Parameter>(element::f32, any_rows, "x");
    const std::vector<float> weights{0.5F, -1.25F, 3.1F, 0.7F, 1.9F, -2.2F};
    const std::vector<float> gamma{1.5F, 0.3F, -2.0F}, beta{0.1F, -4.0F, 2.0F};
    const std::vector<float> mean{0.2F, 5.0F, -1.0F}, variance{0.9F, 0.01F, 30.0F};
    const Output product =
        std::make_shared<MatrixMultiply>(x, constant({2, 3}, weights, "weights"));
    const Output norm = std::make_shared<BatchNormInference>(
        product, constant({3}, gamma, "gamma"), constant({3}, beta, "beta"),
        constant({3}, mean, "mean"), constant({3}, variance, "variance"), 1e-5);
    const Function layer({norm}, {x}, "layer");

    const Pattern any_product =
        Pattern::op<MatrixMultiply>({Pattern::any("left"), Pattern::any("right")})
            .named("product")
            .with_single_user();
    const Function multiply_add = fold_constants(
        pass::replace_matches(layer, norm_of(Pattern::any("input")), as_multiply_add));
    const Function in_weights =
        fold_constants(pass::replace_matches(layer, norm_of(any_product), into_weights));

    const Tensor rows{{4, 2}, {1.1F, 2.3F, -0.4F, 5.5F, 7.0F, -3.3F, 0.0F, 0.25F}};
    const Tensor expected = run(layer, {rows}).front();
    const auto is_within = [&](const Function& function, double units) {
        const Tensor actual = run(function, {rows}).front();
        for (std::size_t index = 0; index < expected.values.size(); ++index) {
            const std::size_t row = index / 3, channel = index % 3;
            double magnitude = 0;  // of the terms of the product
            for (std::size_t inner = 0; inner < 2; ++inner) {
                magnitude +=
                    std::abs(double{rows.values[2 * row + inner]} * weights[3 * inner + channel]);
            }
            const double scale = std::abs(gamma[channel]) / std::sqrt(variance[channel] + 1e-5);
            magnitude = scale * (magnitude + std::abs(mean[channel])) + std::abs(beta[channel]);
            if (std::abs(double{actual.values[index]} - expected.values[index]) >
                units * 0x1p-24 * magnitude) {
                return false;
            }
        }
        return true;
    };
    for (const auto& [function, units] :
         {std::pair(multiply_add, 10.0), std::pair(in_weights, 12.0)}) {
        for (const auto& node : function.nodes()) {
            std::cout << node->description() << ' ';
        }
        std::cout << (is_within(function, units) ? "within" : "beyond") << " the bound\n";
    }
}
