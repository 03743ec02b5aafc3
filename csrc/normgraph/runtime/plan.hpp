#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "normgraph/ir/tensor_type.hpp"
#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/runtime/array.hpp"

/// How a function runs on arguments of certain shapes: everything that can be decided before their
/// addresses are known.
namespace normgraph::runtime {

using Lengths = std::vector<std::int64_t>;

/// Memory of a value. What a plan allots itself lies in C order without gaps.
struct Buffer {
    enum class Home : std::uint8_t {
        argument,  ///< in the caller's strides
        result,    ///< in the caller's strides
        constant,
        arena,    ///< memory for intermediate values, one piece per call
        nowhere,  ///< never stored: it lives within one step
    };
    Home home;
    element::Type element_type;
    Lengths shape;
    std::size_t index = 0;  ///< of the argument or the result; the offset in the arena
    const std::byte* constant = nullptr;

    /// Of elements; a plan has refused shapes for which this does not fit.
    std::int64_t byte_count() const;
};

/// A buffer as a step sees it. Axis i is the buffer's axis axes[i], or repeats it if that is
/// `repeated`.
struct View {
    static constexpr std::int64_t repeated = -1;

    std::size_t buffer;
    Lengths shape;
    Lengths axes;

    /// Whether it is the buffer as it lies.
    bool is_whole(const Buffer& of) const;
};

/// The arrays of one call: views with addresses and strides.
class Bindings {
public:
    Bindings(const std::vector<Buffer>& buffers, const std::vector<View>& views,
             std::span<const Array> arguments, std::span<const Array> results, std::byte* arena);

    const Array& operator[](std::size_t view) const { return arrays_[view]; }

private:
    Lengths strides_;
    std::vector<Array> arrays_;
};

/// One kernel call.
class Step {
public:
    Step() = default;
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    virtual ~Step() = default;

    /// Throws std::invalid_argument for what arrays of the right types may hold and must not.
    /// Before any step runs: it looks at arguments and constants alone.
    virtual void check(const Bindings& /*bindings*/) const {}

    virtual void run(const Bindings& bindings, std::int64_t num_threads,
                     const kernel::Implementation& implementation) const = 0;

    /// The views that it reads and writes.
    virtual std::vector<std::size_t> reads() const = 0;
    virtual std::vector<std::size_t> writes() const = 0;

    /// A view that may be written into the memory of one that is read, if both are whole and lie in
    /// C order.
    struct Overwrite {
        std::size_t written, read;
    };
    virtual std::vector<Overwrite> possible_overwrites() const { return {}; }
};

/// Immutable: any number of calls may run it at once.
struct Plan {
    std::vector<TensorType> argument_types;  ///< static; what it is a plan for
    std::vector<TensorType> result_types;    ///< static
    std::vector<Buffer> buffers;
    std::vector<View> views;
    std::vector<std::unique_ptr<Step>> steps;
    std::size_t arena_bytes = 0;
    /// Of masks, which have no strides: those that must lie in C order.
    std::vector<std::size_t> arguments_in_order, results_in_order;
    /// What constants of its own lie in, of any real type.
    std::vector<std::unique_ptr<double>> numbers;

    /// `arena` has arena_bytes, and is not null.
    void run(std::span<const Array> arguments, std::span<const Array> results, std::byte* arena,
             std::int64_t num_threads, const kernel::Implementation& implementation) const;
};

}  // namespace normgraph::runtime
