// Every implementation that runs here against the reference, to the bit.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/relu_mask.hpp"
#include "strided_tensor.hpp"
#include "type_names.hpp"

namespace normgraph::kernel {
namespace {

constexpr double epsilon = 1e-5;
constexpr double upper_bound = 0.7001;

struct Types {
    ElementType data, affine;
    ElementType statistics = affine;

    friend bool operator==(const Types&, const Types&) = default;
};
constexpr std::array all_types{
    Types{ElementType::f32, ElementType::f32},  Types{ElementType::f64, ElementType::f64},
    Types{ElementType::bf16, ElementType::f32}, Types{ElementType::bf16, ElementType::bf16},
    Types{ElementType::f16, ElementType::f32},  Types{ElementType::f16, ElementType::f16}};
/// How work is shared depends on the size of an element alone.
constexpr std::array one_for_each_data_type{
    Types{ElementType::f32, ElementType::f32}, Types{ElementType::f64, ElementType::f64},
    Types{ElementType::bf16, ElementType::f32}, Types{ElementType::f16, ElementType::f32}};
/// Statistics of a type of their own.
constexpr std::array types_with_other_statistics{
    Types{ElementType::f32, ElementType::f32, ElementType::f64},
    Types{ElementType::bf16, ElementType::bf16, ElementType::f32},
    Types{ElementType::bf16, ElementType::f32, ElementType::bf16},
    Types{ElementType::f16, ElementType::f16, ElementType::f32},
    Types{ElementType::f16, ElementType::f32, ElementType::f64},
    Types{ElementType::bf16, ElementType::bf16, ElementType::f64}};

/// One problem: where its tensors lie and what they hold.
struct Sample {
    Shape shape;
    std::int64_t channel_axis = 1;
    Types types{ElementType::f32, ElementType::f32};
    Placement input{}, delta{}, output{};
    Values values = Values::normal;
    std::uint64_t seed = 1;

    std::string text() const {
        std::string result = "shape";
        for (const std::int64_t length : shape) {
            result += " " + std::to_string(length);
        }
        result += ", channel axis " + std::to_string(channel_axis) + ", " + name_of(types.data) +
                  " with gamma of " + name_of(types.affine) + " and mean of " +
                  name_of(types.statistics) + ", values " +
                  std::to_string(static_cast<int>(values)) + ", seed " + std::to_string(seed);
        for (const Placement* placement : {&input, &delta, &output}) {
            result += "; axes";
            for (const std::size_t axis : placement->outermost_first) {
                result += " " + std::to_string(axis);
            }
            result += " steps";
            for (const std::int64_t step : placement->steps) {
                result += " " + std::to_string(step);
            }
            result += " offset " + std::to_string(placement->offset);
        }
        return result;
    }
};

/// The arrays of a sample, inputs filled, and what an implementation makes of them.
class Arrays {
public:
    explicit Arrays(const Sample& sample)
        : sample_(sample),
          channels_{sample.shape[static_cast<std::size_t>(sample.channel_axis)]},
          input_(sample.shape, sample.types.data, sample.input),
          delta_(sample.shape, sample.types.data, sample.delta),
          output_(sample.shape, sample.types.data, sample.output),
          gamma_(vector_of(sample.types.affine)),
          beta_(vector_of(sample.types.affine)),
          mean_(vector_of(sample.types.statistics)),
          variance_(vector_of(sample.types.statistics)),
          first_(vector_of(sample.types.affine)),
          second_(vector_of(sample.types.affine)),
          batch_mean_(vector_of(sample.types.statistics)),
          batch_variance_(vector_of(sample.types.statistics)) {
        std::mt19937_64 random(sample.seed);
        input_.fill(sample.values, random);
        delta_.fill(sample.values, random);
        mask_.resize(static_cast<std::size_t>(ReluMaskLayout(problem()).byte_count()));
        std::ranges::generate(mask_, [&] { return static_cast<std::byte>(random()); });
        for (StridedTensor* values : {&gamma_, &beta_, &mean_}) {
            values->fill(sample.values == Values::special ? Values::special : Values::normal,
                         random);
        }
        for (std::int64_t channel = 0; channel < channels_[0]; ++channel) {
            const double value = std::exp2(static_cast<double>(random() % 9) - 4);
            store_from_double(sample.types.statistics,
                              variance_.address() + channel * variance_.strides()[0], value);
        }
    }

    void training(const Implementation& implementation, std::int64_t threads) {
        implementation.run(BatchNormTrainingArguments{problem(), input_.source(), constant(gamma_),
                                                      constant(beta_), output_.target(),
                                                      result(batch_mean_), result(batch_variance_)},
                           threads);
    }
    void inference(const Implementation& implementation, std::int64_t threads) {
        implementation.run(BatchNormInferenceArguments{problem(), input_.source(), constant(gamma_),
                                                       constant(beta_), constant(mean_),
                                                       constant(variance_), output_.target()},
                           threads);
    }
    void training_backprop(const Implementation& implementation, std::int64_t threads) {
        implementation.run(
            BatchNormBackpropArguments{problem(), Statistics::of_batch, input_.source(),
                                       constant(gamma_), constant(mean_), constant(variance_),
                                       delta_.source(), output_.target(), result(first_),
                                       result(second_)},
            threads);
    }
    void inference_backprop(const Implementation& implementation, std::int64_t threads) {
        implementation.run(
            BatchNormBackpropArguments{problem(), Statistics::given, input_.source(),
                                       constant(gamma_), constant(mean_), constant(variance_),
                                       delta_.source(), output_.target(), result(first_),
                                       result(second_)},
            threads);
    }
    void training_relu(const Implementation& implementation, std::int64_t threads) {
        implementation.run(
            BatchNormTrainingArguments{problem(), input_.source(), constant(gamma_),
                                       constant(beta_), output_.target(), result(batch_mean_),
                                       result(batch_variance_), true, ReluMask{mask_.data()}},
            threads);
    }
    /// An upper bound that many elements reach, and that 16-bit types have not.
    void bounded_relu(const Implementation& implementation, std::int64_t threads) {
        implementation.run(BatchNormTrainingArguments{problem(), input_.source(), constant(gamma_),
                                                      constant(beta_), output_.target(),
                                                      result(batch_mean_), result(batch_variance_),
                                                      true, ReluMask{mask_.data()}, upper_bound},
                           threads);
    }
    void training_add_relu(const Implementation& implementation, std::int64_t threads) {
        BatchNormTrainingArguments arguments{problem(),
                                             input_.source(),
                                             constant(gamma_),
                                             constant(beta_),
                                             output_.target(),
                                             result(batch_mean_),
                                             result(batch_variance_),
                                             true,
                                             ReluMask{mask_.data()},
                                             upper_bound};
        arguments.residual = delta_.source();
        implementation.run(arguments, threads);
    }
    void relu_without_mask(const Implementation& implementation, std::int64_t threads) {
        implementation.run(
            BatchNormTrainingArguments{problem(), input_.source(), constant(gamma_),
                                       constant(beta_), output_.target(), result(batch_mean_),
                                       result(batch_variance_), true, ReluMask{}},
            threads);
    }
    void relu_mask_alone(const Implementation& implementation, std::int64_t threads) {
        implementation.run(
            BatchNormTrainingArguments{problem(), input_.source(), constant(gamma_),
                                       constant(beta_), Tensor{}, result(batch_mean_),
                                       result(batch_variance_), true, ReluMask{mask_.data()}},
            threads);
    }
    void inference_relu(const Implementation& implementation, std::int64_t threads) {
        run_inference_relu(implementation, threads, no_upper_bound, {});
    }
    void inference_add_relu(const Implementation& implementation, std::int64_t threads) {
        run_inference_relu(implementation, threads, upper_bound, delta_.source());
    }
    /// What whatever bits the mask holds select of the gradient.
    void residual_delta(const Implementation& implementation, std::int64_t threads) {
        run_selection(implementation, threads, output_.target());
    }
    void residual_delta_in_place(const Implementation& implementation, std::int64_t threads) {
        run_selection(implementation, threads, delta_.target());
    }
    /// Whatever bits the mask holds; those beyond the last element as well.
    void training_relu_backprop(const Implementation& implementation, std::int64_t threads) {
        implementation.run(
            BatchNormBackpropArguments{problem(), Statistics::of_batch, input_.source(),
                                       constant(gamma_), constant(mean_), constant(variance_),
                                       delta_.source(), output_.target(), result(first_),
                                       result(second_), ConstReluMask{mask_.data()}},
            threads);
    }
    /// input_delta over the input, or over the delta.
    void training_backprop_in_place(const Implementation& implementation, std::int64_t threads,
                                    bool over_delta) {
        StridedTensor& target = over_delta ? delta_ : input_;
        implementation.run(
            BatchNormBackpropArguments{problem(), Statistics::of_batch, input_.source(),
                                       constant(gamma_), constant(mean_), constant(variance_),
                                       delta_.source(), target.target(), result(first_),
                                       result(second_)},
            threads);
    }

    using Member = StridedTensor Arrays::*;

    /// The tensors that a call has changed, if this was a copy of `filled` before it.
    std::vector<Member> changed_since(const Arrays& filled) const {
        std::vector<Member> result;
        for (const auto& [name, tensor] : tensors()) {
            if (!(this->*tensor).has_bytes_of(filled.*tensor)) {
                result.push_back(tensor);
            }
        }
        return result;
    }
    /// Makes these of its tensors, and the mask, what they still are in `filled`, of which it is a
    /// copy.
    void restore(const Arrays& filled, const std::vector<Member>& changed) {
        for (const Member tensor : changed) {
            (this->*tensor).restore(filled.*tensor);
        }
        mask_ = filled.mask_;
    }

    ElementType data_type() const { return sample_.types.data; }
    std::string text() const { return sample_.text(); }

    void add_to(Digest& digest, bool with_statistics) {
        output_.add_to(digest);
        (with_statistics ? batch_mean_ : first_).add_to(digest);
        (with_statistics ? batch_variance_ : second_).add_to(digest);
        digest.add(mask_);
    }

    std::string difference(Arrays& other) {
        for (const auto& [name, tensor] : tensors()) {
            const std::string found = (this->*tensor).difference(other.*tensor);
            if (!found.empty()) {
                return std::string(name) + ", " + found;
            }
        }
        const auto bit = std::ranges::mismatch(mask_, other.mask_).in1 - mask_.begin();
        return bit == std::ssize(mask_) ? "" : "mask, byte " + std::to_string(bit);
    }

private:
    static std::array<std::pair<const char*, Member>, 11> tensors() {
        return {{{"tensor output", &Arrays::output_},
                 {"input", &Arrays::input_},
                 {"gamma", &Arrays::gamma_},
                 {"beta", &Arrays::beta_},
                 {"given mean", &Arrays::mean_},
                 {"given variance", &Arrays::variance_},
                 {"normalized_delta", &Arrays::delta_},
                 {"first vector", &Arrays::first_},
                 {"second vector", &Arrays::second_},
                 {"mean", &Arrays::batch_mean_},
                 {"variance", &Arrays::batch_variance_}}};
    }
    void run_selection(const Implementation& implementation, std::int64_t threads, Tensor target) {
        const Problem whole = problem();
        implementation.run(
            ReluMaskSelectArguments{whole.shape, whole.channel_axis, whole.data_type,
                                    delta_.source(), ConstReluMask{mask_.data()}, target},
            threads);
    }
    void run_inference_relu(const Implementation& implementation, std::int64_t threads,
                            double bound, ConstTensor residual) {
        implementation.run(
            BatchNormInferenceArguments{problem(), input_.source(), constant(gamma_),
                                        constant(beta_), constant(mean_), constant(variance_),
                                        output_.target(), true, bound, residual},
            threads);
    }
    StridedTensor vector_of(ElementType type) const { return {channels_, type, {}}; }
    Problem problem() const {
        return {sample_.shape,        sample_.channel_axis,     sample_.types.data,
                sample_.types.affine, sample_.types.statistics, epsilon};
    }
    static ConstChannelVector constant(StridedTensor& values) {
        return {values.address(), values.strides()[0]};
    }
    static ChannelVector result(StridedTensor& values) {
        return {values.address(), values.strides()[0]};
    }

    const Sample& sample_;
    Shape channels_;
    StridedTensor input_, delta_, output_;
    StridedTensor gamma_, beta_, mean_, variance_, first_, second_, batch_mean_, batch_variance_;
    std::vector<std::byte> mask_;
};

using Threads = std::vector<std::int64_t>;

/// Whether an implementation differs from the others for data of this type. Recorded bits are
/// computed by all of them for all types.
bool has_kernels_of(const Implementation& implementation, ElementType data_type) {
    return implementation.name != "avx512_bf16" || data_type == ElementType::bf16;
}

/// Compares the same call by the reference, on one thread, and by every other implementation, on
/// each number of threads. The reference shares channels and nothing else, and takes long: it is
/// called once more, on the most threads, unless these are one. After a difference no call is
/// compared any more.
class Comparison {
public:
    explicit Comparison(const Sample& sample, Threads threads = {1})
        : threads_(std::move(threads)), filled_(sample), expected_(filled_), actual_(filled_) {}

    template <typename Call>
    void check_call(const char* op, const Call& call) {
        if (::testing::Test::HasFatalFailure()) {
            return;
        }
        const Implementation& reference = built_implementations().back();
        std::invoke(call, expected_, reference, 1);
        // What the reference leaves alone is not restored after the others, which have just been
        // seen to leave it alone: large tensors take longer to copy than a kernel takes.
        const std::vector<Arrays::Member> changed = expected_.changed_since(filled_);
        for (const Implementation& implementation : built_implementations()) {
            if (!implementation.runs_here() ||
                !has_kernels_of(implementation, filled_.data_type())) {
                continue;
            }
            for (const std::int64_t thread_count :
                 &implementation == &reference ? threads_of_reference() : threads_) {
                std::invoke(call, actual_, implementation, thread_count);
                ASSERT_EQ(actual_.difference(expected_), "")
                    << op << " of " << implementation.name << " on " << thread_count << " threads; "
                    << filled_.text();
                actual_.restore(filled_, changed);
            }
        }
        expected_.restore(filled_, changed);
    }

    void check_relu() {
        check_call("training relu", &Arrays::training_relu);
        check_call("training relu with a bound", &Arrays::bounded_relu);
        check_call("training add relu", &Arrays::training_add_relu);
        check_call("training relu, mask alone", &Arrays::relu_mask_alone);
        check_call("training relu backprop", &Arrays::training_relu_backprop);
        check_call("residual delta", &Arrays::residual_delta);
    }

    void check() {
        check_call("training", &Arrays::training);
        check_call("inference", &Arrays::inference);
        check_call("training backprop", &Arrays::training_backprop);
        check_call("inference backprop", &Arrays::inference_backprop);
        check_relu();
        check_call("training relu without mask", &Arrays::relu_without_mask);
        check_call("inference relu", &Arrays::inference_relu);
        check_call("inference add relu", &Arrays::inference_add_relu);
    }

private:
    Threads threads_of_reference() const {
        const std::int64_t most_threads = std::ranges::max(threads_);
        return most_threads > 1 ? Threads{most_threads} : Threads{};
    }

    Threads threads_;
    const Arrays filled_;
    Arrays expected_, actual_;
};

void check(const Sample& sample, const Threads& threads = {1}) {
    Comparison(sample, threads).check();
}

void check_relu(const Sample& sample, const Threads& threads) {
    Comparison(sample, threads).check_relu();
}

class Implementations : public ::testing::TestWithParam<Types> {};

TEST_P(Implementations, RowsOfEveryLength) {
    for (std::int64_t length = 1; length <= 70; ++length) {
        check({.shape = {3, 2, length}, .types = GetParam(), .seed = 100});
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST_P(Implementations, RowsAndBlocksOfChannelsFirst) {
    for (const Shape& shape :
         {Shape{600, 2, 3}, Shape{130, 5, 7, 7}, Shape{257, 70, 7, 7}, Shape{41, 3, 14, 14},
          Shape{2, 3, 8191}, Shape{1, 2, 8192}, Shape{3, 2, 8193}, Shape{1, 1, 40000},
          Shape{20000, 1}, Shape{2, 1, 129, 65}, Shape{5, 33, 15}, Shape{3, 2, 2, 3, 5},
          Shape{1, 1, 1}, Shape{1, 3, 1, 1}, Shape{9, 80, 2}}) {
        check({.shape = shape, .types = GetParam(), .values = Values::wide, .seed = 101});
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST_P(Implementations, EveryNumberOfChannelsLast) {
    for (std::int64_t channels = 1; channels <= 70; ++channels) {
        for (const std::int64_t rows : {1, 2, 5, 37}) {
            check({.shape = {rows, channels},
                   .types = GetParam(),
                   .values = Values::wide,
                   .seed = 102});
            if (HasFatalFailure()) {
                return;
            }
        }
    }
}

/// The bits of a mask and the elements lie in another order each: channels share bytes or have
/// some of their own, and follow each other in memory or do not.
TEST_P(Implementations, MasksOfFewChannels) {
    for (std::int64_t channels = 1; channels <= 17; ++channels) {
        // Elements for a part of a tile, and for seven threads (of some: the reference takes long).
        const bool is_shared = channels == 2 || channels == 9;
        for (const std::int64_t rows : {std::int64_t{43}, is_shared ? 230001 / channels : 1201}) {
            for (const auto& [shape, outermost_first] :
                 {std::pair{Shape{rows, channels}, std::vector<std::size_t>{0, 1}},
                  std::pair{Shape{rows, channels}, std::vector<std::size_t>{1, 0}},
                  std::pair{Shape{rows, channels, 1}, std::vector<std::size_t>{0, 1, 2}},
                  std::pair{Shape{rows, channels, 1}, std::vector<std::size_t>{1, 0, 2}},
                  std::pair{Shape{3, channels, rows / 3}, std::vector<std::size_t>{0, 2, 1}},
                  std::pair{Shape{rows / 3, channels, 3}, std::vector<std::size_t>{0, 2, 1}}}) {
                const Placement placement{outermost_first, {}, 0};
                check_relu({.shape = shape,
                            .types = GetParam(),
                            .input = placement,
                            .delta = placement,
                            .output = placement,
                            .seed = 110},
                           {1, 2, 3, 7});
                if (HasFatalFailure()) {
                    return;
                }
            }
        }
    }
}

/// Sums go through the input in its order, and bits through the output in another one, in which
/// channels share bytes of the mask.
TEST_P(Implementations, MasksBesideOutputsOfAnotherOrder) {
    const Placement channels_last{{0, 2, 3, 1}, {}, 0};
    const Placement channels_outermost{{1, 0, 2, 3}, {}, 0};
    for (const Shape& shape : {Shape{8, 12, 30, 30}, Shape{4, 100, 17, 13}}) {
        for (const Placement& input : {Placement{}, channels_outermost}) {
            check_relu({.shape = shape,
                        .types = GetParam(),
                        .input = input,
                        .delta = input,
                        .output = channels_last,
                        .seed = 113},
                       {1, 2, 3, 7});
            if (HasFatalFailure()) {
                return;
            }
        }
    }
}

/// Groups of eight channels, of which the last one may have fewer, and several tiles of channels.
TEST_P(Implementations, MasksOfChannelsThatShareBytes) {
    for (const std::int64_t channels : {23, 64, 65, 100, 257}) {
        const Placement placement{{1, 0}, {}, 0};
        check_relu({.shape = {301, channels},
                    .types = GetParam(),
                    .input = placement,
                    .delta = placement,
                    .output = placement,
                    .seed = 111},
                   {1, 2, 3, 7});
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST_P(Implementations, RowsAndBlocksOfChannelsLast) {
    for (const Shape& shape : {Shape{511, 17}, Shape{512, 16}, Shape{513, 33}, Shape{2049, 20},
                               Shape{5, 1023}, Shape{5, 1025}, Shape{3, 4100}, Shape{8200, 3},
                               Shape{16500, 2}, Shape{4100, 7}, Shape{4097, 15}, Shape{9, 2048}}) {
        check({.shape = shape, .types = GetParam(), .values = Values::wide, .seed = 103});
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST_P(Implementations, EveryAlignment) {
    for (std::int64_t offset = 0; offset < 16; ++offset) {
        for (const Shape& shape : {Shape{3, 5, 49}, Shape{40, 33}}) {
            check({.shape = shape,
                   .types = GetParam(),
                   .input = {.outermost_first = {}, .steps = {}, .offset = offset},
                   .delta = {.outermost_first = {}, .steps = {}, .offset = (5 * offset + 3) % 16},
                   .output = {.outermost_first = {}, .steps = {}, .offset = (7 * offset + 1) % 16},
                   .seed = 104});
            if (HasFatalFailure()) {
                return;
            }
        }
    }
}

TEST_P(Implementations, ValuesThatAreSpecialHugeOrDenormal) {
    for (const Values values : {Values::special, Values::huge, Values::denormal}) {
        for (const Shape& shape :
             {Shape{4, 3, 97}, Shape{2, 6, 300}, Shape{60, 37}, Shape{200, 5}, Shape{7, 50, 7}}) {
            for (std::uint64_t seed = 0; seed < 6; ++seed) {
                check({.shape = shape, .types = GetParam(), .values = values, .seed = seed});
                if (HasFatalFailure()) {
                    return;
                }
            }
        }
    }
}

/// Large enough to bypass the cache, and for seven threads.
std::vector<Shape> large_shapes() {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(NORMGRAPH_EMULATED)
    // Large enough for seven threads: these take minutes for what others do in seconds.
    return {{2, 48, 49, 43}, {2, 3, 200, 150}, {56, 64, 6, 6}, {700, 130}, {60001, 3}};
#else
    return {{8, 64, 49, 43}, {2, 3, 500, 380}, {56, 512, 6, 6},
            {2100, 520},     {400001, 3},      {130, 8500}};
#endif
}

class LargeTensors : public Implementations {};

TEST_P(LargeTensors, OnEveryNumberOfThreads) {
    for (const Shape& shape : large_shapes()) {
        const auto offset = static_cast<std::int64_t>(GetParam().data) * 3 % 5;
        check({.shape = shape,
               .types = GetParam(),
               .output = {.outermost_first = {}, .steps = {}, .offset = offset},
               .seed = 105},
              {1, 2, 3, 7});
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST_P(Implementations, InPlace) {
    for (const Shape& shape : {Shape{3, 5, 49}, Shape{40, 33}, Shape{2, 40, 100, 150}}) {
        const Sample sample{.shape = shape, .types = GetParam(), .seed = 106};
        Comparison comparison(sample, {1, 3});
        comparison.check_call("residual delta in place", &Arrays::residual_delta_in_place);
        for (const bool over_delta : {false, true}) {
            comparison.check_call("training backprop in place",
                                  [&](Arrays& arrays, const Implementation& with, std::int64_t on) {
                                      arrays.training_backprop_in_place(with, on, over_delta);
                                  });
        }
    }
}

std::vector<std::size_t> reversed_axes(std::size_t rank) {
    std::vector<std::size_t> axes(rank);
    std::iota(axes.rbegin(), axes.rend(), std::size_t{0});
    return axes;
}

/// Tensors which all lie in memory in this order of their axes.
Sample placed(const Shape& shape, std::int64_t channel_axis, const Types& types,
              std::vector<std::size_t> outermost_first, std::uint64_t seed) {
    const Placement placement{std::move(outermost_first), {}, 0};
    return {.shape = shape,
            .channel_axis = channel_axis,
            .types = types,
            .input = placement,
            .delta = placement,
            .output = placement,
            .values = Values::wide,
            .seed = seed};
}

/// Slabs of several steps and of one, of blocks that end where a step does and of others, of rows
/// that are split, and of several channels.
TEST_P(Implementations, FortranOrder) {
    for (const auto& [shape, channel_axis] :
         {std::pair{Shape{32, 16, 3, 200}, 2}, std::pair{Shape{30, 15, 2, 130}, 2},
          std::pair{Shape{3, 2, 2, 20000}, 2}, std::pair{Shape{2, 5, 40, 6, 37}, 2},
          std::pair{Shape{3, 70, 2, 90, 4}, 1}, std::pair{Shape{40, 37, 50, 3}, 3},
          std::pair{Shape{5, 9, 170, 17}, 0}, std::pair{Shape{7, 64, 25, 11}, 1},
          std::pair{Shape{4, 3, 5, 2, 6, 3, 7, 5}, 3}}) {
        check(placed(shape, channel_axis, GetParam(), reversed_axes(shape.size()), 112), {1, 3});
        if (HasFatalFailure()) {
            return;
        }
    }
}

/// What lies side by side in memory is of many steps, each of which has three blocks or six.
TEST_P(Implementations, StepsOfBlocksThatAreNoPowerOfTwo) {
    for (const Shape& shape : {Shape{2, 32, 3, 2, 600}, Shape{1, 20, 6, 3, 1100}}) {
        check(placed(shape, 3, GetParam(), {0, 2, 3, 4, 1}, 114), {1, 3});
        if (HasFatalFailure()) {
            return;
        }
    }
}

/// Axes of up to rank 8 in any order, for all tensors alike or for some.
TEST_P(Implementations, AnyOrderOfManyAxes) {
    std::mt19937_64 random(113);
    for (int repetition = 0; repetition < 40; ++repetition) {
        const std::size_t rank = 3 + random() % 6;
        Shape shape;
        std::int64_t count = 1;
        for (std::size_t axis = 0; axis < rank; ++axis) {
            constexpr std::array<std::int64_t, 8> lengths{1, 2, 3, 4, 6, 8, 17, 32};
            const std::int64_t length = lengths[random() % lengths.size()];
            shape.push_back(count * length > 40000 ? 2 : length);
            count *= shape.back();
        }
        Placement placement{reversed_axes(rank), {}, 0};
        std::ranges::shuffle(placement.outermost_first, random);
        const bool is_output_logical = random() % 4 == 0;
        const bool is_delta_logical = random() % 4 == 0;
        check({.shape = shape,
               .channel_axis = static_cast<std::int64_t>(random() % rank),
               .types = GetParam(),
               .input = placement,
               .delta = is_delta_logical ? Placement{} : placement,
               .output = is_output_logical ? Placement{} : placement,
               .values = Values::wide,
               .seed = random()},
              {1, 3});
        if (HasFatalFailure()) {
            return;
        }
    }
}

/// Any order of the axes, slices, reversed and expanded axes, each tensor its own.
TEST_P(Implementations, AnyStrides) {
    std::mt19937_64 random(107);
    const auto placement = [&](std::size_t rank, bool may_expand) {
        Placement result;
        result.outermost_first.resize(rank);
        std::iota(result.outermost_first.begin(), result.outermost_first.end(), std::size_t{0});
        if (random() % 3 != 0) {
            std::ranges::shuffle(result.outermost_first, random);
        }
        for (std::size_t axis = 0; axis < rank; ++axis) {
            constexpr std::array<std::int64_t, 8> steps{1, 1, 1, 1, 1, 2, -1, 0};
            result.steps.push_back(steps[random() % (may_expand ? 8 : 7)]);
        }
        result.offset = static_cast<std::int64_t>(random() % 16);
        return result;
    };
    for (int repetition = 0; repetition < 250; ++repetition) {
        const std::size_t rank = 2 + random() % 4;
        Shape shape;
        for (std::size_t axis = 0; axis < rank; ++axis) {
            constexpr std::array<std::int64_t, 10> lengths{1, 2, 3, 5, 7, 8, 16, 17, 33, 40};
            shape.push_back(lengths[random() % (rank > 3 ? 6 : 10)]);
        }
        check({.shape = shape,
               .channel_axis = static_cast<std::int64_t>(random() % rank),
               .types = GetParam(),
               .input = placement(rank, true),
               .delta = placement(rank, true),
               .output = placement(rank, false),
               .values = random() % 4 == 0 ? Values::special : Values::wide,
               .seed = random()});
        if (HasFatalFailure()) {
            return;
        }
    }
}

struct RecordedOp {
    const char* name;
    void (Arrays::*call)(const Implementation&, std::int64_t);
    bool puts_out_statistics;
    std::array<std::uint64_t, all_types.size()> digests;  ///< in the order of all_types
};

/// Recorded on x86-64. That another processor or compiler gives other bits is a fault. They change
/// with the inputs below and with the order of summation.
constexpr std::array recorded_ops{
    RecordedOp{"training",
               &Arrays::training,
               true,
               {0xCA64140391817CC1, 0xBFD912D50B04F858, 0x37A3B5EBC5EB88B0, 0x54236AD31879A8AC,
                0xF67EB9A7EED2374A, 0xA87A566D359C1896}},
    RecordedOp{"inference",
               &Arrays::inference,
               false,
               {0x3109ED2388873920, 0x29B74CB9E044AADE, 0x28C610F65CDE82F7, 0x2A2B3846E7F68B6F,
                0xBF765BA10BA2DDB7, 0xD2429C4843B894D0}},
    RecordedOp{"training backprop",
               &Arrays::training_backprop,
               false,
               {0x284C8E640D0E8CD1, 0x54DDAD573976B5D5, 0x00EC1DA15D22A04D, 0x0AAF925D8A949FCC,
                0xCB0D6121692E8C67, 0x8F21F1A02FCCF8C3}},
    RecordedOp{"inference backprop",
               &Arrays::inference_backprop,
               false,
               {0xDC67D3056B26080D, 0x7EE1540814C2683D, 0xAB851A493F4211D0, 0x15F73884DF6DF851,
                0x6D3A43CA924DC8A2, 0x5214239F1F76C17F}},
    RecordedOp{"training relu",
               &Arrays::training_relu,
               true,
               {0x372CE7BEA676C7D1, 0x3A6AC56B6F4CF093, 0x0ABDD8908813C690, 0xC2C018437E0270D2,
                0xFA244F962474E3CC, 0x772A74FC2C78F6E9}},
    RecordedOp{"training relu backprop",
               &Arrays::training_relu_backprop,
               false,
               {0x1B575E0EDDFA85D5, 0xFBB335BD43032FE8, 0xEA3D5F05C074D941, 0xBF4BB82707772249,
                0x96ADC52E7C3B524B, 0x92F82A307633811C}},
    RecordedOp{"training relu with a bound",
               &Arrays::bounded_relu,
               true,
               {0x92542988A5012194, 0xFECB5CCCC428628C, 0xA01226DB5EB47E9B, 0xA5A166D74A89E087,
                0x33F18550A6B694FC, 0x3641C70A223095FB}},
    RecordedOp{"training add relu",
               &Arrays::training_add_relu,
               true,
               {0x332BCD444C32C93F, 0xC644F4DD54AEE06F, 0x7B703D78317424AF, 0xF54979C0A9C0B78D,
                0x0D62841F16F1C305, 0xE966D97ADC209122}},
    RecordedOp{"inference relu",
               &Arrays::inference_relu,
               false,
               {0xDAD72348B49739C2, 0xDC809706ED293F6F, 0x05BFA679F9DA5D3B, 0x4D375A47A1BBC0A9,
                0x2599B8BBC205A47A, 0x3FA95BB3BE5E5BA1}},
    RecordedOp{"inference add relu",
               &Arrays::inference_add_relu,
               false,
               {0xE9801C7E99A1CA49, 0xAEAE69DE8622FED7, 0xFE44BBA678981744, 0x42FA5172E16A0D8F,
                0x5BBAAF1A3B27ED71, 0xDADA7E4C52619BD3}},
    RecordedOp{"residual delta",
               &Arrays::residual_delta,
               false,
               {0xB91EFD772D47DF11, 0x5E5E1713EB08816F, 0x09ED349CDCD9460B, 0x875CBE1708557CC7,
                0xE42A93BFA42067EF, 0x06219D5C6CBD4423}},
};

/// Both layout classes; rows and columns that end in parts of vectors, of several blocks, strided.
/// Few elements, since an emulator takes long for each.
std::vector<Sample> recorded_samples(const Types& types) {
    std::vector<Sample> samples;
    for (const Shape& shape : {Shape{2, 2, 8193}, Shape{1030, 7}}) {
        samples.push_back({.shape = shape, .types = types, .values = Values::wide, .seed = 107});
    }
    const Placement mixed{.outermost_first = {2, 0, 1}, .steps = {-1, 2, 1}, .offset = 3};
    for (const Values values :
         {Values::normal, Values::wide, Values::denormal, Values::huge, Values::special}) {
        for (const Shape& shape : {Shape{3, 5, 49}, Shape{41, 37}}) {
            samples.push_back({.shape = shape, .types = types, .values = values, .seed = 108});
        }
        for (const std::int64_t channel_axis : {1, 2}) {
            samples.push_back({.shape = {6, 9, 35},
                               .channel_axis = channel_axis,
                               .types = types,
                               .input = mixed,
                               .delta = mixed,
                               .output = mixed,
                               .values = values,
                               .seed = 109});
        }
    }
    return samples;
}

TEST_P(Implementations, RecordedBits) {
    const auto column = static_cast<std::size_t>(
        std::ranges::find_if(all_types, [](const Types& types) { return types == GetParam(); }) -
        all_types.begin());
    // Filled once: to draw numbers takes longer than all kernels together.
    const std::vector<Sample> samples = recorded_samples(GetParam());
    const std::vector<Arrays> filled(samples.begin(), samples.end());
    for (const RecordedOp& op : recorded_ops) {
        for (const Implementation& implementation : built_implementations()) {
            for (const std::int64_t threads : {1, 3}) {
                if (!implementation.runs_here()) {
                    continue;
                }
                Digest digest;
                for (Arrays arrays : filled) {
                    (arrays.*op.call)(implementation, threads);
                    arrays.add_to(digest, op.puts_out_statistics);
                }
                EXPECT_EQ(digest.value(), op.digests[column])
                    << std::hex << std::showbase << digest.value() << ": " << op.name << " of "
                    << implementation.name << " on " << std::dec << threads << " threads";
            }
        }
    }
}

std::string test_name(const ::testing::TestParamInfo<Types>& types) {
    return name_of(types.param.data) + "_" + name_of(types.param.affine) + "_" +
           name_of(types.param.statistics);
}

INSTANTIATE_TEST_SUITE_P(Types, Implementations, ::testing::ValuesIn(all_types), test_name);
INSTANTIATE_TEST_SUITE_P(Types, LargeTensors, ::testing::ValuesIn(one_for_each_data_type),
                         test_name);

class OtherStatistics : public ::testing::TestWithParam<Types> {};

TEST_P(OtherStatistics, OfEveryShapeAndValue) {
    for (const Shape& shape :
         {Shape{3, 5, 49}, Shape{2, 3, 8193}, Shape{41, 37}, Shape{2049, 20}, Shape{9, 1}}) {
        for (const Values values : {Values::normal, Values::wide, Values::special, Values::huge}) {
            check({.shape = shape, .types = GetParam(), .values = values, .seed = 112}, {1, 3});
            if (HasFatalFailure()) {
                return;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, OtherStatistics, ::testing::ValuesIn(types_with_other_statistics),
                         test_name);

}  // namespace
}  // namespace normgraph::kernel
