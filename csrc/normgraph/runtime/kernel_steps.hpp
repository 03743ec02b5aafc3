#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "normgraph/runtime/kernel_call.hpp"
#include "normgraph/runtime/plan.hpp"

/// Steps of one kernel each, for all but the element-wise operations. Numbers are those of views.
namespace normgraph::runtime {

class SumStep final : public Step {
public:
    /// kept_axes ascend and are not negative.
    SumStep(std::size_t value, std::size_t result, Lengths kept_axes, bool is_mean);

    void run(const Bindings& bindings, std::int64_t num_threads,
             const kernel::Implementation& implementation) const override;
    std::vector<std::size_t> reads() const override { return {value_}; }
    std::vector<std::size_t> writes() const override { return {result_}; }

private:
    std::size_t value_, result_;
    Lengths kept_axes_;
    bool is_mean_;
};

class MatrixMultiplyStep final : public Step {
public:
    MatrixMultiplyStep(std::size_t left, std::size_t right, std::size_t result, bool transpose_left,
                       bool transpose_right);

    void run(const Bindings& bindings, std::int64_t num_threads,
             const kernel::Implementation& implementation) const override;
    std::vector<std::size_t> reads() const override { return {left_, right_}; }
    std::vector<std::size_t> writes() const override { return {result_}; }

private:
    std::size_t left_, right_, result_;
    bool transpose_left_, transpose_right_;
};

class ReluMaskStep final : public Step {
public:
    /// channel_axis is not negative.
    ReluMaskStep(std::size_t activated, std::size_t mask, std::int64_t channel_axis,
                 std::optional<double> upper_bound);

    void run(const Bindings& bindings, std::int64_t num_threads,
             const kernel::Implementation& implementation) const override;
    std::vector<std::size_t> reads() const override { return {activated_}; }
    std::vector<std::size_t> writes() const override { return {mask_}; }

private:
    std::size_t activated_, mask_;
    std::int64_t channel_axis_;
    std::optional<double> upper_bound_;
};

class ReluMaskSelectStep final : public Step {
public:
    /// channel_axis is not negative.
    ReluMaskSelectStep(std::size_t delta, std::size_t mask, std::size_t result,
                       std::int64_t channel_axis);

    void run(const Bindings& bindings, std::int64_t num_threads,
             const kernel::Implementation& implementation) const override;
    std::vector<std::size_t> reads() const override { return {delta_, mask_}; }
    std::vector<std::size_t> writes() const override { return {result_}; }
    std::vector<Overwrite> possible_overwrites() const override { return {{result_, delta_}}; }

private:
    std::size_t delta_, mask_, result_;
    std::int64_t channel_axis_;
};

/// Which positions of a batch count.
struct WherePositionsCount {
    std::size_t view;
    std::string node;  ///< as errors name it
    bool is_given;     ///< as an argument or a constant, which no step computes
};

/// An op of the batch-norm family.
class BatchNormStep final : public Step {
public:
    /// An absent result is not computed. Without `where` all positions count.
    BatchNormStep(const KernelCall& call, std::vector<std::size_t> inputs,
                  std::optional<WherePositionsCount> where,
                  std::vector<std::optional<std::size_t>> results,
                  const op::BatchNormAttributes& attributes);

    /// It and `run` throw std::invalid_argument where no position counts of a batch that has to
    /// have statistics; this one if that is known before any step runs.
    void check(const Bindings& bindings) const override;
    void run(const Bindings& bindings, std::int64_t num_threads,
             const kernel::Implementation& implementation) const override;
    std::vector<std::size_t> reads() const override;
    std::vector<std::size_t> writes() const override;
    /// The output that is a tensor, the first one, may take the place of a tensor. What its type is
    /// only the plan knows: all inputs are named.
    std::vector<Overwrite> possible_overwrites() const override;

private:
    [[noreturn]] void refuse_positions() const;

    const KernelCall& call_;
    std::vector<std::size_t> inputs_;
    std::optional<WherePositionsCount> where_;
    std::vector<std::optional<std::size_t>> results_;
    op::BatchNormAttributes attributes_;
};

}  // namespace normgraph::runtime
