// The primitive operations: every implementation that runs here against the reference, to the bit,
// and the reference against what it is defined by.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "strided_tensor.hpp"
#include "type_names.hpp"

namespace normgraph::kernel {
namespace {

constexpr std::array real_types{ElementType::f16, ElementType::bf16, ElementType::f32,
                                ElementType::f64};
const std::vector<std::int64_t> one_thread{1};
const std::vector<std::int64_t> many_threads{1, 2, 3, 7};

std::string text_of(const Shape& shape) {
    std::string text = "shape";
    for (const std::int64_t length : shape) {
        text += " " + std::to_string(length);
    }
    return text;
}

/// Runs `call` with the reference on one thread, then with all others; each time on a new copy of
/// `filled`, which is to hold the same result.
void check(StridedTensor& filled, const std::vector<std::int64_t>& threads, const std::string& text,
           const std::function<void(const Implementation&, std::int64_t, Tensor)>& call) {
    StridedTensor expected(filled);
    call(built_implementations().back(), 1, expected.target());
    for (const Implementation& implementation : built_implementations()) {
        for (const std::int64_t thread_count : threads) {
            if (implementation.runs_here()) {
                StridedTensor actual(filled);
                call(implementation, thread_count, actual.target());
                ASSERT_EQ(actual.difference(expected), "")
                    << implementation.name << " on " << thread_count << " threads, " << text;
            }
        }
    }
}

class Primitives : public ::testing::TestWithParam<ElementType> {
protected:
    static StridedTensor filled(const Shape& shape, ElementType type, Values values,
                                std::uint64_t seed, const Placement& placement = {}) {
        StridedTensor tensor(shape, type, placement);
        std::mt19937_64 random(seed);
        tensor.fill(values, random);
        return tensor;
    }
};

ElementWiseInstruction instruction(ElementWiseOperation operation, ElementType type,
                                   std::array<std::int32_t, 2> operands, std::int32_t slot = 0) {
    return {operation, storage_type(type), storage_type(type), operands, slot};
}

constexpr std::array recorded_operations{
    ElementWiseOperation::add,           ElementWiseOperation::subtract,
    ElementWiseOperation::multiply,      ElementWiseOperation::divide,
    ElementWiseOperation::relu_backprop, ElementWiseOperation::negate,
    ElementWiseOperation::square_root,   ElementWiseOperation::relu};
constexpr std::array all_operations = [] {
    std::array<ElementWiseOperation, recorded_operations.size() + 1> operations{};
    std::ranges::copy(recorded_operations, operations.begin());
    operations.back() = ElementWiseOperation::minimum;
    return operations;
}();

/// One operation on two tensors.
void check_operation(ElementWiseOperation operation, const Shape& shape, ElementType type,
                     StridedTensor& first, StridedTensor& second, StridedTensor& result,
                     const std::vector<std::int64_t>& threads) {
    check(result, threads,
          text_of(shape) + ", operation " + std::to_string(static_cast<int>(operation)),
          [&](const Implementation& implementation, std::int64_t thread_count, Tensor target) {
              const std::array sources{ElementWiseSource{storage_type(type), first.source()},
                                       ElementWiseSource{storage_type(type), second.source()}};
              const std::array instructions{
                  instruction(operation, type, {0, is_binary(operation) ? 1 : 0})};
              const std::array targets{ElementWiseTarget{2, target}};
              implementation.run(ElementWiseProgram{shape, sources, instructions, targets, 1},
                                 thread_count);
          });
}

TEST_P(Primitives, OperationsOnEveryLength) {
    for (const Values values : {Values::normal, Values::special, Values::denormal, Values::huge}) {
        for (std::int64_t length = 0; length <= 70; ++length) {
            const Shape shape{length};
            StridedTensor first = filled(shape, GetParam(), values, 1);
            StridedTensor second =
                filled(shape, GetParam(), values, 2,
                       {.outermost_first = {}, .steps = {}, .offset = length % 5});
            StridedTensor result = filled(shape, GetParam(), values, 3);
            for (const ElementWiseOperation operation : all_operations) {
                check_operation(operation, shape, GetParam(), first, second, result, one_thread);
            }
        }
    }
}

TEST_P(Primitives, OperationsInAnyStrides) {
    const Shape shape{5, 33, 41};
    const std::array placements{Placement{},
                                Placement{.outermost_first = {2, 0, 1}, .steps = {}},
                                Placement{.outermost_first = {}, .steps = {1, -1, 2}, .offset = 3},
                                Placement{.outermost_first = {}, .steps = {1, 0, 1}},
                                Placement{.outermost_first = {}, .steps = {0, 1, 0}},
                                Placement{.outermost_first = {}, .steps = {0, 0, 0}}};
    for (const Placement& placement : placements) {
        StridedTensor first = filled(shape, GetParam(), Values::special, 4, placement);
        StridedTensor second = filled(shape, GetParam(), Values::special, 5);
        for (const unsigned target : {0U, 1U, 2U}) {
            StridedTensor result = filled(shape, GetParam(), Values::normal, 6, placements[target]);
            for (const ElementWiseOperation operation : all_operations) {
                check_operation(operation, shape, GetParam(), first, second, result, {1, 3});
            }
        }
    }
}

/// Chunks of several steps and of one, the last ones incomplete, beside a source in C order.
TEST_P(Primitives, OperationsInFortranOrder) {
    for (const Shape& shape :
         {Shape{70, 3001}, Shape{3, 90, 700}, Shape{37, 7, 53, 11}, Shape{5, 2, 40001}}) {
        Placement placement;
        for (std::size_t axis = shape.size(); axis-- > 0;) {
            placement.outermost_first.push_back(axis);
        }
        StridedTensor first = filled(shape, GetParam(), Values::wide, 17, placement);
        StridedTensor second = filled(shape, GetParam(), Values::wide, 18, placement);
        StridedTensor logical = filled(shape, GetParam(), Values::wide, 19);
        StridedTensor result = filled(shape, GetParam(), Values::normal, 20);
        check_operation(ElementWiseOperation::add, shape, GetParam(), first, second, result,
                        many_threads);
        check_operation(ElementWiseOperation::multiply, shape, GetParam(), logical, second, result,
                        many_threads);
        check_operation(ElementWiseOperation::negate, shape, GetParam(), second, second, first,
                        many_threads);
    }
}

/// ReLU of (first · second + repeated), selected by, subtracted from; two results.
TEST_P(Primitives, ProgramsOfSeveralInstructions) {
    for (const Shape& shape : {Shape{3, 7}, Shape{8, 1000}, Shape{17, 40001}}) {
        const ElementType type = GetParam();
        StridedTensor first = filled(shape, type, Values::special, 7);
        StridedTensor second =
            filled(shape, type, Values::wide, 8, {.outermost_first = {}, .steps = {1, 2}});
        StridedTensor repeated =
            filled(shape, type, Values::normal, 9, {.outermost_first = {}, .steps = {1, 0}});
        StridedTensor number =
            filled(shape, type, Values::normal, 10, {.outermost_first = {}, .steps = {0, 0}});
        StridedTensor other = filled(shape, type, Values::normal, 11);
        StridedTensor result = filled(shape, type, Values::normal, 12);
        for (const bool first_is_result : {true, false}) {
            check(result, many_threads, text_of(shape),
                  [&](const Implementation& implementation, std::int64_t thread_count,
                      Tensor target) {
                      const StorageType stored = storage_type(type);
                      const std::array sources{ElementWiseSource{stored, first.source()},
                                               ElementWiseSource{stored, second.source()},
                                               ElementWiseSource{stored, repeated.source()},
                                               ElementWiseSource{stored, number.source()}};
                      const std::array instructions{
                          instruction(ElementWiseOperation::multiply, type, {0, 1}, 0),
                          instruction(ElementWiseOperation::add, type, {4, 2}, 0),
                          instruction(ElementWiseOperation::relu, type, {5, 5}, 1),
                          instruction(ElementWiseOperation::relu_backprop, type, {6, 5}, 0),
                          instruction(ElementWiseOperation::subtract, type, {7, 3}, 0)};
                      StridedTensor rest(other);
                      const std::array targets{
                          ElementWiseTarget{6, first_is_result ? target : rest.target()},
                          ElementWiseTarget{8, first_is_result ? rest.target() : target}};
                      implementation.run(
                          ElementWiseProgram{shape, sources, instructions, targets, 2},
                          thread_count);
                  });
        }
    }
}

TEST_P(Primitives, TargetOverASource) {
    const Shape shape{100003};
    StridedTensor addend = filled(shape, GetParam(), Values::special, 13);
    StridedTensor value = filled(shape, GetParam(), Values::special, 14);
    check(value, many_threads, "in place",
          [&](const Implementation& implementation, std::int64_t thread_count, Tensor target) {
              const StorageType stored = storage_type(GetParam());
              const std::array sources{ElementWiseSource{stored, {target.address, target.strides}},
                                       ElementWiseSource{stored, addend.source()}};
              const std::array instructions{
                  instruction(ElementWiseOperation::add, GetParam(), {0, 1}),
                  instruction(ElementWiseOperation::negate, GetParam(), {2, 2})};
              const std::array targets{ElementWiseTarget{3, target}};
              implementation.run(ElementWiseProgram{shape, sources, instructions, targets, 1},
                                 thread_count);
          });
}

TEST_P(Primitives, ConversionsFromRealTypes) {
    for (const ElementType to : real_types) {
        for (const Values values :
             {Values::wide, Values::special, Values::denormal, Values::huge}) {
            for (const std::int64_t length : {1, 15, 16, 17, 31, 70, 9001}) {
                const Shape shape{length};
                StridedTensor value = filled(shape, GetParam(), values, 15);
                StridedTensor result = filled(shape, to, Values::normal, 16);
                check(result, {1, 3},
                      text_of(shape) + " to type " + std::to_string(static_cast<int>(to)),
                      [&](const Implementation& implementation, std::int64_t thread_count,
                          Tensor target) {
                          const std::array sources{
                              ElementWiseSource{storage_type(GetParam()), value.source()}};
                          const std::array instructions{
                              ElementWiseInstruction{ElementWiseOperation::convert,
                                                     storage_type(GetParam()),
                                                     storage_type(to),
                                                     {0, 0},
                                                     0}};
                          const std::array targets{ElementWiseTarget{1, target}};
                          implementation.run(
                              ElementWiseProgram{shape, sources, instructions, targets, 1},
                              thread_count);
                      });
            }
        }
    }
}

/// NaNs of any payload, which rounding to bf16 must not carry into infinity or zero.
TEST_P(Primitives, ConversionsOfEveryNaN) {
    if (GetParam() == ElementType::f64) {
        return;
    }
    std::vector<std::uint32_t> bits;
    for (std::uint32_t payload = 1; payload != 0 && payload < 0x800000U; payload <<= 1) {
        for (const std::uint32_t sign : {0U, 0x80000000U}) {
            bits.push_back(sign | 0x7F800000U | payload);
            bits.push_back(sign | 0x7F800000U | (0x7FFFFFU ^ (payload - 1)));
        }
    }
    const Shape shape{static_cast<std::int64_t>(bits.size())};
    const Shape strides{4};
    for (const Implementation& implementation : built_implementations()) {
        if (!implementation.runs_here()) {
            continue;
        }
        StridedTensor result(shape, GetParam(), {});
        const std::array sources{ElementWiseSource{
            StorageType::f32, {reinterpret_cast<const std::byte*>(bits.data()), strides}}};
        const std::array instructions{ElementWiseInstruction{
            ElementWiseOperation::convert, StorageType::f32, storage_type(GetParam()), {0, 0}, 0}};
        const std::array targets{ElementWiseTarget{1, result.target()}};
        implementation.run(ElementWiseProgram{shape, sources, instructions, targets, 1}, 1);
        for (std::int64_t index = 0; index < shape[0]; ++index) {
            ASSERT_TRUE(std::isnan(
                load_as_double(GetParam(), result.address() + index * result.strides()[0])))
                << implementation.name << ", " << index;
        }
    }
}

struct SumCase {
    Shape shape;
    std::vector<std::int64_t> kept_axes;
    Placement placement{};
};

void check_sum(const SumCase& sample, ElementType type, StridedTensor& value,
               const std::vector<std::int64_t>& threads) {
    Shape kept;
    std::string text = text_of(sample.shape) + ", kept";
    for (const std::int64_t axis : sample.kept_axes) {
        kept.push_back(sample.shape[static_cast<std::size_t>(axis)]);
        text += " " + std::to_string(axis);
    }
    StridedTensor result(kept, type, {.outermost_first = {}, .steps = Shape(kept.size(), 2)});
    for (const bool is_mean : {false, true}) {
        check(result, threads, text,
              [&](const Implementation& implementation, std::int64_t thread_count, Tensor target) {
                  implementation.run(SumArguments{sample.shape, sample.kept_axes, type,
                                                  value.source(), target, is_mean},
                                     thread_count);
              });
    }
}

TEST_P(Primitives, SumsOfEveryLength) {
    for (std::int64_t length = 0; length <= 70; ++length) {
        for (const SumCase& sample :
             {SumCase{{3, length}, {0}}, SumCase{{length, 3}, {1}}, SumCase{{length, 37}, {1}},
              SumCase{{5, length}, {1}}, SumCase{{2, length, 5}, {1}}, SumCase{{length}, {}},
              SumCase{{2, 3, length}, {0, 2}}}) {
            StridedTensor value = filled(sample.shape, GetParam(), Values::wide, 20);
            check_sum(sample, GetParam(), value, one_thread);
        }
    }
}

TEST_P(Primitives, SumsOfBlocksInAnyStrides) {
    for (const SumCase& sample :
         {SumCase{{2, 1023}, {0}},
          SumCase{{2, 1024}, {0}},
          SumCase{{2, 1025}, {0}},
          SumCase{{7000}, {}},
          SumCase{{9, 3, 777}, {1}},
          SumCase{{5000, 19}, {1}},
          SumCase{{40, 300, 7}, {1}},
          SumCase{{30, 5, 7, 7}, {1}},
          SumCase{{1100, 600}, {1}},
          SumCase{{3, 5, 7}, {0, 1, 2}},
          SumCase{{3, 0, 7}, {0, 2}},
          SumCase{{3, 0}, {1}},
          SumCase{{90, 70}, {0}, {.outermost_first = {1, 0}, .steps = {}}},
          SumCase{{90, 2000}, {1}, {.outermost_first = {1, 0}, .steps = {}}},
          SumCase{{257, 300}, {}, {.outermost_first = {1, 0}, .steps = {}}},
          SumCase{{5, 300, 70}, {1}, {.outermost_first = {2, 1, 0}, .steps = {}}},
          SumCase{{70, 5, 300}, {2}, {.outermost_first = {2, 1, 0}, .steps = {}}},
          SumCase{{601, 3}, {0}},
          SumCase{{20, 256}, {0}},
          SumCase{{20, 257}, {0}},
          SumCase{{7, 601, 2, 3}, {1}},
          SumCase{{601, 9, 3}, {0, 1}},
          SumCase{{9, 37, 33}, {0, 2}, {.outermost_first = {2, 0, 1}, .steps = {}}},
          SumCase{{9, 37, 33}, {2}, {.outermost_first = {}, .steps = {-1, 1, 1}}},
          SumCase{{9, 37, 33}, {1}, {.outermost_first = {}, .steps = {1, 0, 1}}},
          SumCase{{9, 37, 33}, {1}, {.outermost_first = {}, .steps = {1, 1, 2}}},
          SumCase{{9, 37, 33}, {}, {.outermost_first = {}, .steps = {0, 0, 0}}}}) {
        for (const Values values : {Values::wide, Values::special}) {
            StridedTensor value = filled(sample.shape, GetParam(), values, 21, sample.placement);
            check_sum(sample, GetParam(), value, {1, 3});
        }
    }
}

/// Few sums of many elements are shared by their blocks, many sums by themselves.
TEST_P(Primitives, LargeSumsOnEveryNumberOfThreads) {
    for (const SumCase& sample :
         {SumCase{{1500007}, {}}, SumCase{{3, 400000}, {0}}, SumCase{{400000, 3}, {1}},
          SumCase{{30000, 40}, {1}}, SumCase{{900, 2100}, {1}}, SumCase{{2100, 900}, {0}}}) {
        StridedTensor value = filled(sample.shape, GetParam(), Values::wide, 22);
        check_sum(sample, GetParam(), value, many_threads);
    }
}

TEST_P(Primitives, ProductsOfMatrices) {
    struct Sizes {
        std::int64_t rows, depth, columns;
    };
    for (const Sizes& product : {Sizes{1, 1, 1},
                                 {3, 5, 7},
                                 {4, 16, 16},
                                 {5, 17, 31},
                                 {0, 3, 4},
                                 {3, 0, 4},
                                 {3, 4, 0},
                                 {129, 513, 65},
                                 {130, 40, 200},
                                 {7, 1100, 9}}) {
        const Shape left_shape{product.rows, product.depth};
        const Shape right_shape{product.depth, product.columns};
        for (const bool is_transposed : {false, true}) {
            const Placement placement{.outermost_first = is_transposed
                                                             ? std::vector<std::size_t>{1, 0}
                                                             : std::vector<std::size_t>{},
                                      .steps = {}};
            StridedTensor left = filled(left_shape, GetParam(), Values::normal, 30, placement);
            StridedTensor right = filled(right_shape, GetParam(), Values::normal, 31, placement);
            StridedTensor result =
                filled({product.rows, product.columns}, GetParam(), Values::normal, 32);
            check(
                result, {1, 3}, text_of(left_shape) + " by " + text_of(right_shape),
                [&](const Implementation& implementation, std::int64_t thread_count,
                    Tensor target) {
                    implementation.run(
                        MatrixMultiplyArguments{product.rows, product.columns, product.depth,
                                                GetParam(), left.source(), right.source(), target},
                        thread_count);
                });
        }
    }
}

TEST_P(Primitives, ReluMasks) {
    struct Masked {
        Shape shape;
        std::int64_t channel_axis;
    };
    for (const Masked& sample : {Masked{{3, 5, 7, 9}, 1},
                                 {{3, 5, 7, 9}, 3},
                                 {{40, 3001}, 1},
                                 {{6, 4, 5000}, 1},
                                 {{2, 33}, 0},
                                 {{17}, 0},
                                 {{0, 3, 4}, 1},
                                 {{3, 4, 0}, 1},
                                 {{64, 64, 100}, 1}}) {
        const Shape& shape = sample.shape;
        for (const bool is_strided : {false, true}) {
            const Placement placement{.outermost_first = {},
                                      .steps = is_strided
                                                   ? std::vector<std::int64_t>(shape.size(), -1)
                                                   : std::vector<std::int64_t>{}};
            StridedTensor activated = filled(shape, GetParam(), Values::special, 40, placement);
            StridedTensor result = filled(shape, GetParam(), Values::normal, 41, placement);
            const ReluMaskLayout layout(shape, sample.channel_axis);
            std::vector<std::byte> expected;
            for (const double bound : {0.7001, no_upper_bound}) {
                expected.clear();
                for (const Implementation& implementation : built_implementations()) {
                    for (const std::int64_t thread_count : many_threads) {
                        if (!implementation.runs_here()) {
                            continue;
                        }
                        std::vector<std::byte> mask(static_cast<std::size_t>(layout.byte_count()),
                                                    std::byte{0xA5});
                        implementation.run(ReluMaskArguments{shape,
                                                             sample.channel_axis,
                                                             GetParam(),
                                                             activated.source(),
                                                             {mask.data()},
                                                             bound},
                                           thread_count);
                        if (expected.empty()) {
                            expected = mask;
                        }
                        ASSERT_EQ(mask, expected) << implementation.name << ", " << text_of(shape);
                    }
                }
            }
            check(result, many_threads, text_of(shape),
                  [&](const Implementation& implementation, std::int64_t thread_count,
                      Tensor target) {
                      implementation.run(ReluMaskSelectArguments{shape,
                                                                 sample.channel_axis,
                                                                 GetParam(),
                                                                 activated.source(),
                                                                 {expected.data()},
                                                                 target},
                                         thread_count);
                  });
        }
    }
}

struct RecordedPrimitives {
    const char* name;
    void (*call)(const Implementation&, std::int64_t, ElementType, StridedTensor&);
    std::array<std::uint64_t, real_types.size()> digests;  ///< in the order of real_types
};

constexpr std::int64_t recorded_length = 77;

StridedTensor recorded_source(ElementType type, Values values, std::uint64_t seed) {
    StridedTensor tensor({recorded_length, recorded_length}, type,
                         {.outermost_first = {}, .steps = {}, .offset = 1});
    std::mt19937_64 random(seed);
    tensor.fill(values, random);
    return tensor;
}

/// Each operation on one block of rows.
void record_element_wise(const Implementation& implementation, std::int64_t threads,
                         ElementType type, StridedTensor& result) {
    StridedTensor first = recorded_source(type, Values::special, 50);
    StridedTensor second = recorded_source(type, Values::wide, 51);
    const Shape rows{recorded_length / std::ssize(recorded_operations), recorded_length};
    std::int64_t row = 0;
    for (const ElementWiseOperation operation : recorded_operations) {
        const std::int64_t begin = row * first.strides()[0];
        const std::array sources{
            ElementWiseSource{storage_type(type), {first.address() + begin, first.strides()}},
            ElementWiseSource{storage_type(type), {second.address() + begin, second.strides()}}};
        const std::array instructions{
            instruction(operation, type, {0, is_binary(operation) ? 1 : 0})};
        const std::array targets{
            ElementWiseTarget{2, {result.address() + begin, result.strides()}}};
        implementation.run(ElementWiseProgram{rows, sources, instructions, targets, 1}, threads);
        row += rows[0];
    }
}

/// Sums of rows, and below them means of columns.
void record_sums(const Implementation& implementation, std::int64_t threads, ElementType type,
                 StridedTensor& result) {
    StridedTensor value = recorded_source(type, Values::wide, 52);
    const Shape shape{recorded_length, recorded_length};
    for (const std::int64_t kept_axis : {0, 1}) {
        const Tensor target{result.address() + kept_axis * result.strides()[0],
                            result.strides().last(1)};
        implementation.run(SumArguments{shape, std::span(&kept_axis, 1), type, value.source(),
                                        target, kept_axis == 1},
                           threads);
    }
}

void record_product(const Implementation& implementation, std::int64_t threads, ElementType type,
                    StridedTensor& result) {
    StridedTensor left = recorded_source(type, Values::normal, 53);
    StridedTensor right = recorded_source(type, Values::wide, 54);
    implementation.run(
        MatrixMultiplyArguments{recorded_length, recorded_length, recorded_length, type,
                                left.source(), right.source(), result.target()},
        threads);
}

/// Recorded on x86-64, as in implementations_test.cpp.
constexpr std::array recorded_primitives{
    RecordedPrimitives{
        "operations",
        record_element_wise,
        {0xB041E4FBB62BB420, 0xDB3648720B01C332, 0xA9A255B7E82E4D60, 0x1357851F0E675D3E}},
    RecordedPrimitives{
        "sums",
        record_sums,
        {0xB6818A6EA53D2FB7, 0x6B45DBA6214D93AF, 0x4D1364DF3A474363, 0x8A014AB9DCA42A91}},
    RecordedPrimitives{
        "product",
        record_product,
        {0x9D849502E54F061A, 0x424B32F6D10514D2, 0x9C17A00C6CDC25F6, 0x6A2E251E124DDEDC}},
};

TEST_P(Primitives, RecordedBits) {
    const auto column =
        static_cast<std::size_t>(std::ranges::find(real_types, GetParam()) - real_types.begin());
    for (const RecordedPrimitives& recorded : recorded_primitives) {
        for (const Implementation& implementation : built_implementations()) {
            for (const std::int64_t threads : {1, 3}) {
                if (!implementation.runs_here()) {
                    continue;
                }
                StridedTensor result = recorded_source(GetParam(), Values::normal, 55);
                recorded.call(implementation, threads, GetParam(), result);
                Digest digest;
                result.add_to(digest);
                EXPECT_EQ(digest.value(), recorded.digests[column])
                    << std::hex << std::showbase << digest.value() << ": " << recorded.name
                    << " of " << implementation.name << " on " << std::dec << threads << " threads";
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Primitives, ::testing::ValuesIn(real_types), name_of_type);

TEST(ConversionsOfIntegers, AreRoundedOnce) {
    EXPECT_EQ(converted<float>(std::int64_t{(1LL << 53) + 1}), 0x1p53F);
    EXPECT_EQ(converted<float>(std::int64_t{16777217}), 16777216.0F);
    EXPECT_EQ(converted<float>(std::int64_t{16777219}), 16777220.0F);
    // 2^62 + 2^54 is half way between two bf16; one more must go up, where a double sees a tie.
    EXPECT_EQ(to_float(converted<bfloat16>(std::int64_t{(1LL << 62) + (1LL << 54)})), 0x1p62F);
    EXPECT_EQ(to_float(converted<bfloat16>(std::int64_t{(1LL << 62) + (1LL << 54) + 1})),
              0x1.02p62F);
    EXPECT_EQ(to_float(converted<bfloat16>(std::int64_t{-((1LL << 62) + (1LL << 54) + 1)})),
              -0x1.02p62F);
    EXPECT_EQ(to_float(converted<bfloat16>(std::numeric_limits<std::uint64_t>::max())), 0x1p64F);
    EXPECT_EQ(to_float(converted<float16>(std::int64_t{65519})), 65504.0F);
    EXPECT_EQ(to_float(converted<float16>(std::int64_t{65520})),
              std::numeric_limits<float>::infinity());
    EXPECT_EQ(converted<double>(std::uint8_t{255}), 255.0);
}

/// A value just above half way, which a first rounding to float would make a tie.
TEST(ConversionsOfDoubles, AreRoundedOnce) {
    EXPECT_EQ(to_float(converted<bfloat16>(1.0 + 0x1p-8 + 0x1p-40)), 1.0078125F);
    EXPECT_EQ(to_float(converted<bfloat16>(1.0 + 0x1p-8 - 0x1p-40)), 1.0F);
    EXPECT_EQ(to_float(converted<bfloat16>(-1.0 - 0x1p-8 - 0x1p-40)), -1.0078125F);
    EXPECT_EQ(to_float(converted<float16>(1.0 + 0x1p-11 + 0x1p-40)), 1.0009765625F);
    EXPECT_EQ(to_float(converted<float16>(1.0 + 0x1p-11)), 1.0F);
    EXPECT_EQ(to_float(converted<bfloat16>(1e300)), std::numeric_limits<float>::infinity());
    EXPECT_EQ(to_float(converted<bfloat16>(1e-300)), 0.0F);
    EXPECT_TRUE(std::isnan(to_float(converted<bfloat16>(std::nan("")))));
}

}  // namespace
}  // namespace normgraph::kernel
