#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/part_nodes.hpp"
#include "normgraph/kernel/summation_order.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// Batches in parts: what a part contributes to the statistics of a batch, and to the sums of its
/// backward pass, as a value that may be kept, sent, and added to that of the part that follows.
namespace normgraph::runtime {

/// What is summed.
enum class PartKind : std::uint8_t {
    statistics,           ///< mean and Σ(x − mean)²
    centered_statistics,  ///< Σ(x − center) and Σ(x − center)², the second pass of f64
    backprop_sums,        ///< Σ normalized_delta and Σ normalized_delta·(input − mean)
};

/// Of a channel.
struct MeanAndVariance {
    std::vector<double> mean, variance;
};

class BatchPart {
public:
    /// `center`: one value per channel, but for plain statistics, which have none.
    BatchPart(PartKind kind, element::Type data_type, kernel::LayoutClass layout_class,
              std::vector<double> center, kernel::PartNodes nodes);

    PartKind kind() const { return kind_; }
    bool has_statistics() const { return kind_ != PartKind::backprop_sums; }
    /// Of the data that are summed.
    element::Type data_type() const { return data_type_; }
    kernel::LayoutClass layout_class() const { return layout_class_; }
    const std::vector<double>& center() const { return center_; }
    const kernel::PartNodes& nodes() const { return nodes_; }
    std::int64_t channels() const { return nodes_.channels(); }
    /// Elements of a channel.
    std::int64_t count() const { return nodes_.element_count(); }
    /// nullopt: anywhere.
    std::optional<std::int64_t> first_sample() const;

    /// The biased statistics, not rounded; NaN of an empty part. Only of what has_statistics().
    MeanAndVariance statistics() const;

    /// [2][channel]: Σ normalized_delta and Σ normalized_delta·(input − mean), not rounded. Only of
    /// the sums of a backward pass.
    std::vector<double> sums() const;

    /// This part and the one that follows. Throws std::invalid_argument, which says what differs,
    /// unless both are of one kind, as many channels, and about one center.
    BatchPart followed_by(const BatchPart& following) const;

    /// Whether the center is this vector, of as many channels, of a real type.
    bool is_about(const Array& mean) const;

    /// All of it, as little-endian numbers. Depends on nothing but what the accessors return.
    std::vector<std::byte> to_bytes() const;
    /// Throws std::invalid_argument for bytes that to_bytes() cannot have returned.
    static BatchPart from_bytes(std::span<const std::byte> bytes);
    /// How many bytes to_bytes() returns of a part that sums `input` and may begin anywhere: it
    /// depends on the type, the shape and the strides alone.
    static std::int64_t byte_count(PartKind kind, const Array& input, std::int64_t channel_axis);

private:
    PartKind kind_;
    element::Type data_type_;
    kernel::LayoutClass layout_class_;
    std::vector<double> center_;
    kernel::PartNodes nodes_;
};

/// How a part is summed: where it begins, and with what. The implementation's bits are those of any
/// other.
struct PartOptions {
    std::int64_t channel_axis;
    std::optional<std::int64_t> first_sample;
    std::int64_t num_threads;
    const kernel::Implementation* implementation;
    const kernel::CountedPositions* positions = nullptr;  ///< null: all count
};

/// The inputs of the two functions below.
std::span<const op::Port> statistics_inputs();
std::span<const op::Port> backprop_sums_inputs();

/// Throws NodeValidationFailure with the family's labels, and std::invalid_argument for more
/// elements than 64-bit byte offsets reach. With `about`, the statistics of f64 data once more:
/// about its mean.
void check_statistics_inputs(const Array& input, const PartOptions& options,
                             const BatchPart* about);
/// `inputs`: as backprop_sums_inputs() says; the mask may be absent.
void check_backprop_sums_inputs(std::span<const OptionalArray> inputs, const PartOptions& options);

/// Of what the functions above have accepted.
BatchPart batch_norm_statistics(const Array& input, const PartOptions& options,
                                const BatchPart* about);
BatchPart batch_norm_backprop_sums(std::span<const OptionalArray> inputs,
                                   const PartOptions& options);

}  // namespace normgraph::runtime
