#include "normgraph/runtime/kernel_steps.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include "normgraph/indices/axis.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"
#include "normgraph/runtime/position_mask.hpp"

namespace normgraph::runtime {
namespace {

kernel::ConstTensor source(const Array& array) {
    return {array.address, array.strides};
}

kernel::Tensor target(const Array& array) {
    return {array.address, array.strides};
}

/// The lengths or the strides of a matrix, or of its transpose.
std::array<std::int64_t, 2> of_matrix(std::span<const std::int64_t> numbers, bool is_transposed) {
    return is_transposed ? std::array{numbers[1], numbers[0]} : std::array{numbers[0], numbers[1]};
}

}  // namespace

SumStep::SumStep(std::size_t value, std::size_t result, Lengths kept_axes, bool is_mean)
    : value_(value), result_(result), kept_axes_(std::move(kept_axes)), is_mean_(is_mean) {}

void SumStep::run(const Bindings& bindings, std::int64_t num_threads,
                  const kernel::Implementation& implementation) const {
    const Array& value = bindings[value_];
    implementation.run(kernel::SumArguments{.shape = value.shape,
                                            .kept_axes = kept_axes_,
                                            .type = kernel_type(value.element_type),
                                            .value = source(value),
                                            .result = target(bindings[result_]),
                                            .is_mean = is_mean_},
                       num_threads);
}

MatrixMultiplyStep::MatrixMultiplyStep(std::size_t left, std::size_t right, std::size_t result,
                                       bool transpose_left, bool transpose_right)
    : left_(left),
      right_(right),
      result_(result),
      transpose_left_(transpose_left),
      transpose_right_(transpose_right) {}

void MatrixMultiplyStep::run(const Bindings& bindings, std::int64_t num_threads,
                             const kernel::Implementation& implementation) const {
    const Array& left = bindings[left_];
    const Array& right = bindings[right_];
    const Array& result = bindings[result_];
    const auto left_strides = of_matrix(left.strides, transpose_left_);
    const auto right_strides = of_matrix(right.strides, transpose_right_);
    implementation.run(
        kernel::MatrixMultiplyArguments{.rows = result.shape[0],
                                        .columns = result.shape[1],
                                        .depth = of_matrix(left.shape, transpose_left_)[1],
                                        .type = kernel_type(left.element_type),
                                        .left = {left.address, left_strides},
                                        .right = {right.address, right_strides},
                                        .result = target(result)},
        num_threads);
}

ReluMaskStep::ReluMaskStep(std::size_t activated, std::size_t mask, std::int64_t channel_axis,
                           std::optional<double> upper_bound)
    : activated_(activated), mask_(mask), channel_axis_(channel_axis), upper_bound_(upper_bound) {}

void ReluMaskStep::run(const Bindings& bindings, std::int64_t num_threads,
                       const kernel::Implementation& implementation) const {
    const Array& activated = bindings[activated_];
    implementation.run(
        kernel::ReluMaskArguments{.shape = activated.shape,
                                  .channel_axis = channel_axis_,
                                  .type = kernel_type(activated.element_type),
                                  .activated = source(activated),
                                  .mask = {bindings[mask_].address},
                                  .upper_bound = upper_bound_.value_or(kernel::no_upper_bound)},
        num_threads);
}

ReluMaskSelectStep::ReluMaskSelectStep(std::size_t delta, std::size_t mask, std::size_t result,
                                       std::int64_t channel_axis)
    : delta_(delta), mask_(mask), result_(result), channel_axis_(channel_axis) {}

void ReluMaskSelectStep::run(const Bindings& bindings, std::int64_t num_threads,
                             const kernel::Implementation& implementation) const {
    const Array& delta = bindings[delta_];
    implementation.run(kernel::ReluMaskSelectArguments{.shape = delta.shape,
                                                       .channel_axis = channel_axis_,
                                                       .type = kernel_type(delta.element_type),
                                                       .delta = source(delta),
                                                       .mask = {bindings[mask_].address},
                                                       .result = target(bindings[result_])},
                       num_threads);
}

BatchNormStep::BatchNormStep(const KernelCall& call, std::vector<std::size_t> inputs,
                             std::optional<WherePositionsCount> where,
                             std::vector<std::optional<std::size_t>> results,
                             const op::BatchNormAttributes& attributes)
    : call_(call),
      inputs_(std::move(inputs)),
      where_(std::move(where)),
      results_(std::move(results)),
      attributes_(attributes) {}

void BatchNormStep::check(const Bindings& bindings) const {
    if (where_ && where_->is_given && call_.needs_elements() &&
        !has_true_element(bindings[where_->view])) {
        refuse_positions();
    }
}

void BatchNormStep::refuse_positions() const {
    throw std::invalid_argument(where_->node +
                                ": where: expected at least one position that counts, got none");
}

void BatchNormStep::run(const Bindings& bindings, std::int64_t num_threads,
                        const kernel::Implementation& implementation) const {
    std::vector<OptionalArray> inputs, results;
    for (const std::size_t input : inputs_) {
        inputs.emplace_back(bindings[input]);
    }
    for (const std::optional<std::size_t>& result : results_) {
        results.push_back(result ? OptionalArray(bindings[*result]) : std::nullopt);
    }
    std::optional<kernel::CountedPositions> positions;
    if (where_) {
        const Array& input = bindings[inputs_[0]];
        const auto rank = static_cast<std::int64_t>(input.shape.size());
        positions = positions_where(bindings[where_->view], input,
                                    axis_from_front(attributes_.channel_axis, rank));
        if (positions->count() == 0 && call_.needs_elements()) {
            refuse_positions();
        }
    }
    call_.run(inputs, results, attributes_, {.positions = positions ? &*positions : nullptr},
              num_threads, implementation);
}

std::vector<std::size_t> BatchNormStep::reads() const {
    std::vector<std::size_t> read = inputs_;
    if (where_) {
        read.push_back(where_->view);
    }
    return read;
}

std::vector<std::size_t> BatchNormStep::writes() const {
    std::vector<std::size_t> written;
    for (const std::optional<std::size_t>& result : results_) {
        if (result) {
            written.push_back(*result);
        }
    }
    return written;
}

std::vector<Step::Overwrite> BatchNormStep::possible_overwrites() const {
    std::vector<Overwrite> overwrites;
    if (results_[0] && op::is_data(call_.outputs[0].role)) {
        for (const std::size_t input : inputs_) {
            overwrites.push_back({*results_[0], input});
        }
    }
    return overwrites;
}

}  // namespace normgraph::runtime
