#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "baseline_table.hpp"
#include "normgraph/kernel/simd/phases/phases.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "type_names.hpp"

/// The bits of a batch do not depend on how it was cut: shards that begin with a leaf keep the
/// nodes of their leaves, and these enter the tree in order.
namespace normgraph::kernel::simd {
namespace {

using Shape = std::vector<std::int64_t>;

/// The reductions of the forward and of the backward pass.
Reduction moments_of(ElementType type) {
    const MicroKernels& kernels = baseline_table[type];
    Reduction reduction{kernels.moments, kernels.fold_rows, kernels.add_chains};
    reduction.combine = baseline_table.merge_moments;
    reduction.shifts_of_block = kernels.block_shifts;
    reduction.make_moments = kernels.make_moments;
    return reduction;
}
Reduction deltas_of(ElementType type) {
    const MicroKernels& kernels = baseline_table[type];
    return {kernels.deltas, kernels.fold_rows, kernels.add_chains};
}

/// The nodes of leaves, with the numbers of their elements.
struct Leaves {
    std::vector<std::vector<double>> nodes;
    std::vector<double> elements;

    std::vector<double> total(CombineNodes combine) const {
        const auto length = static_cast<std::int64_t>(nodes.front().size());
        const std::int64_t levels = NodeTree::levels_for(static_cast<std::int64_t>(nodes.size()));
        std::vector<double> storage(static_cast<std::size_t>(levels * length));
        NodeTree tree(storage.data(), length, combine);
        for (std::size_t index = 0; index < nodes.size(); ++index) {
            std::vector<double> node = nodes[index];
            tree.append(node.data(), elements[index]);
        }
        std::vector<double> result(nodes.front().size());
        tree.total(result.data());
        return result;
    }
};

/// A contiguous batch, whose first axis is that of the samples, as both sources of a reduction.
class Batch {
public:
    Batch(const std::byte* first, const Shape& shape, std::int64_t channel_axis, ElementType type,
          const Reduction& reduction)
        : shape_(shape),
          strides_(strides_of(shape, static_cast<std::int64_t>(size_of(type)))),
          sources_{ConstTensor{first, strides_}, ConstTensor{first, strides_}},
          reduction_(reduction),
          traversal_({shape_, channel_axis, type, type, type, 1e-5}, {sources_, {}}) {
        const bool has_one_source = reduction.shifts_of_block != nullptr;
        has_one_source ? traversal_.set_reduce_sources(std::array<std::size_t, 1>{0})
                       : traversal_.set_reduce_sources(std::array<std::size_t, 2>{0, 1});
    }

    const SummationOrder& order() const { return traversal_.geometry().order; }

    std::vector<double> node_of(const BlockRange& blocks) const {
        const Geometry& geometry = traversal_.geometry();
        const std::int64_t values = geometry.values_per_group(geometry.channels);
        const std::vector<double> shifts(static_cast<std::size_t>(values), 0.0);  // floats, too
        std::vector<double> node(static_cast<std::size_t>(sums_per_channel * values));
        Scratch scratch;
        scratch.reserve(reduce_bytes(traversal_, geometry.channels, blocks.end - blocks.begin));
        reduce(traversal_, reduction_, {0, geometry.channels}, blocks,
               reinterpret_cast<const std::byte*>(shifts.data()), {}, node.data(), scratch);
        return node;
    }

    /// The values of channels in a node, without those that only fill vectors.
    std::vector<double> of_channels(const std::vector<double>& node) const {
        std::vector<double> values;
        const std::ptrdiff_t channels = traversal_.geometry().channels;
        for (auto first = node.begin(); first != node.end(); first += std::ssize(node) / 2) {
            values.insert(values.end(), first, first + channels);
        }
        return values;
    }

    void append_leaves(Leaves& leaves) const {
        for (std::int64_t leaf = 0; leaf < order().leaf_count; ++leaf) {
            const BlockRange blocks{leaf * order().blocks_per_leaf,
                                    (leaf + 1) * order().blocks_per_leaf};
            leaves.nodes.push_back(node_of(blocks));
            leaves.elements.push_back(
                static_cast<double>(traversal_.geometry().elements_in(blocks)));
        }
    }

private:
    static std::vector<std::int64_t> strides_of(const Shape& shape, std::int64_t size) {
        std::vector<std::int64_t> strides(shape.size());
        for (std::size_t axis = shape.size(); axis-- > 0;) {
            strides[axis] = size;
            size *= shape[axis];
        }
        return strides;
    }

    Shape shape_;
    std::vector<std::int64_t> strides_;
    std::array<ConstTensor, 2> sources_;
    Reduction reduction_;
    Traversal traversal_;
};

std::vector<std::byte> random_elements(std::int64_t count, ElementType type) {
    std::vector<std::byte> elements(static_cast<std::size_t>(count) * size_of(type));
    std::mt19937_64 random(5);
    with_data_type(type, [&]<typename Data>() {
        for (std::size_t offset = 0; offset < elements.size(); offset += sizeof(Data)) {
            const auto integer = static_cast<std::int64_t>(random() % 2001) - 1000;
            store<Data>(elements.data() + offset, static_cast<float>(integer) / 64.0F);
        }
    });
    return elements;
}

struct Cut {
    Shape shape;
    std::int64_t channel_axis;
    std::vector<std::int64_t> shards;  ///< their samples
};

class CutBatches : public ::testing::TestWithParam<ElementType> {
protected:
    static void expect_the_bits_of_the_whole(const Cut& cut, const Reduction& reduction) {
        std::int64_t per_sample = 1;
        for (std::size_t axis = 1; axis < cut.shape.size(); ++axis) {
            per_sample *= cut.shape[axis];
        }
        const std::vector<std::byte> elements =
            random_elements(cut.shape[0] * per_sample, GetParam());
        const Batch whole(elements.data(), cut.shape, cut.channel_axis, GetParam(), reduction);
        Leaves leaves;
        const std::byte* first = elements.data();
        for (const std::int64_t samples : cut.shards) {
            Shape shape = cut.shape;
            shape[0] = samples;
            Batch(first, shape, cut.channel_axis, GetParam(), reduction).append_leaves(leaves);
            first += samples * per_sample * static_cast<std::int64_t>(size_of(GetParam()));
        }
        ASSERT_EQ(first, elements.data() + elements.size());
        EXPECT_EQ(leaves.nodes.size(), static_cast<std::size_t>(whole.order().leaf_count));
        EXPECT_EQ(whole.of_channels(leaves.total(reduction.combine)),
                  whole.of_channels(whole.node_of({0, whole.order().block_count()})));
    }
};

TEST_P(CutBatches, HaveTheBitsOfTheWhole) {
    // Images and sequences of 33 elements or more: multiples of 32 samples; matrices: of 64 rows of
    // lanes.
    const std::vector<Cut> cuts{
        {{100, 3, 7, 7}, 1, {32, 64, 4}},  {{96, 2, 40}, 1, {64, 32}},
        {{70, 3, 60, 61}, 1, {1, 32, 37}}, {{100, 7, 7, 5}, 3, {32, 64, 4}},
        {{5000, 40}, 1, {64, 2048, 2888}}, {{9000, 3}, 1, {2048, 4096, 2856}},
        {{96, 6, 6, 33}, 3, {32, 64}},     {{1, 3, 50, 50}, 1, {1}},
    };
    for (const Cut& cut : cuts) {
        SCOPED_TRACE(::testing::PrintToString(cut.shape));
        expect_the_bits_of_the_whole(cut, moments_of(GetParam()));
        expect_the_bits_of_the_whole(cut, deltas_of(GetParam()));
    }
}

INSTANTIATE_TEST_SUITE_P(Types, CutBatches,
                         ::testing::Values(ElementType::f16, ElementType::bf16, ElementType::f32,
                                           ElementType::f64),
                         name_of_type);

}  // namespace
}  // namespace normgraph::kernel::simd
