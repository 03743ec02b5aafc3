#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "normgraph/ir/tensor_type.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/op/batch_norm_constraints.hpp"
#include "normgraph/op/signature.hpp"
#include "normgraph/runtime/array.hpp"

/// The ops of the family called on arrays: the IR's rules checked, then the kernel run.
namespace normgraph::runtime {

/// The most arrays that a call has: they have their place on its caller's stack, since a small call
/// would spend its time on a heap.
inline constexpr std::size_t most_inputs = 7;
inline constexpr std::size_t most_outputs = 4;

/// An absent array is gamma or beta left out (1 and 0), or an output that is not wanted.
using OptionalArray = std::optional<Array>;

/// What changes the reduction over the input. In its place may stand that of a batch of which it is
/// a part: see BatchNormTrainingArguments::statistics and BatchNormBackpropArguments::sums.
struct GivenReduction {
    kernel::ConstBatchStatistics statistics{};
    kernel::ConstBackpropSums sums{};
    const kernel::CountedPositions* positions = nullptr;  ///< null: all count
};

/// One op as a function on arrays; inputs and outputs are in the op's order.
struct KernelCall {
    std::string_view name;      ///< the op's stem, batch_norm_training_backprop; empty for an op
                                ///< that is no function on arrays, see BatchNormOp
    std::string_view op_class;  ///< its class, BatchNormTrainingBackprop
    std::span<const op::Port> inputs;
    std::span<const op::Port> outputs;
    std::string_view documentation;  ///< the op's, see BatchNormOp

    /// Whether the statistics of the batch are among the outputs.
    bool has_statistics() const { return op::has(outputs, op::Role::mean); }

    /// Whether the statistics are those of the batch, and so the gradient's sums are as well.
    bool differentiates_statistics;

    /// Whether a ReLU is applied, which may have an upper bound.
    bool applies_relu;

    bool has_several_outputs() const { return outputs.size() > 1; }

    /// Whether an empty batch is refused, since it has no statistics.
    bool needs_elements() const {
        return !op::has(inputs, op::Role::mean) && !op::has(inputs, op::Role::delta);
    }

    /// The op's validation (see its `infer`).
    std::vector<TensorType> (*infer)(const std::vector<TensorType>& inputs,
                                     const op::BatchNormAttributes& attributes);
    /// Runs the implementation's kernel, on at most num_threads threads, on what `validate` and
    /// `check_output` have accepted. Throws std::invalid_argument, before it writes anything, for a
    /// mask that is not C-contiguous.
    void (*run)(std::span<const OptionalArray> inputs, std::span<const OptionalArray> outputs,
                const op::BatchNormAttributes& attributes, const GivenReduction& given,
                std::int64_t num_threads, const kernel::Implementation& implementation);
};

/// A call for each op of the family (see batch_norm_family.hpp).
std::span<const KernelCall> kernel_calls();

/// Element types and shapes of the outputs, all static. Gradients of gamma and beta whose type no
/// input knows (16-bit data, gamma and beta absent) are f32, and so are statistics of 16-bit data
/// unless the attributes name a type: rounded to 16 bits they would cost the gradient its digits,
/// and f16 has no variance from 65520 on.
///
/// Throws NodeValidationFailure with the op's labels and texts, and std::invalid_argument for an
/// empty batch where the op needs elements (unless a reduction is given), or for more elements than
/// 64-bit byte offsets reach.
///
/// Training calls the same op on the same shapes again and again, and small calls would spend most
/// of their time here: each thread remembers what it has validated last. The result is shared with
/// that memory, and stays as it is whatever is validated next.
std::shared_ptr<const std::vector<TensorType>> validate(const KernelCall& call,
                                                        std::span<const OptionalArray> inputs,
                                                        op::BatchNormAttributes attributes,
                                                        bool is_reduction_given = false);

}  // namespace normgraph::runtime
