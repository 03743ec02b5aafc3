#include "normgraph/runtime/executable.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "normgraph/ir/text.hpp"
#include "normgraph/pass/decompose.hpp"
#include "normgraph/pass/fuse_relu.hpp"
#include "normgraph/pass/merge_equal_nodes.hpp"
#include "normgraph/pass/widen_statistics.hpp"
#include "normgraph/runtime/cache_lock.hpp"
#include "normgraph/runtime/lowering.hpp"
#include "normgraph/runtime/memory_pool.hpp"

namespace normgraph::runtime {
namespace {

/// The same graph with nodes of its own.
Function copy_of(const Function& function) {
    std::unordered_map<const Node*, std::shared_ptr<Node>> copies;
    const auto copied = [&](const std::vector<Output>& outputs) {
        std::vector<Output> result;
        for (const Output& output : outputs) {
            result.emplace_back(copies.at(output.node().get()), output.index());
        }
        return result;
    };
    for (const std::shared_ptr<Node>& node : function.nodes()) {
        copies.emplace(node.get(), node->clone_with_new_inputs(copied(node->input_values()),
                                                               node->friendly_name()));
    }
    std::vector<std::shared_ptr<Parameter>> parameters;
    for (const std::shared_ptr<Parameter>& parameter : function.parameters()) {
        parameters.push_back(std::static_pointer_cast<Parameter>(copies.at(parameter.get())));
    }
    return {copied(function.results()), std::move(parameters), function.friendly_name()};
}

/// The function that is run. Ops that no kernel computes are made of others. Statistics of 16-bit
/// data are wide for all backends, which have the same bits; else the reference runs a graph as it
/// stands.
Function prepared(const Function& function, Backend backend) {
    const Function with_kernels = pass::decompose_if(
        function, element::f64, [](const Node& node) { return !has_kernel(node); });
    const Function wide = pass::widen_statistics(with_kernels);
    return backend == Backend::reference ? wide : pass::fuse_relu(pass::merge_equal_nodes(wide));
}

bool describes(const TensorType& declared, const TensorType& type) {
    return (declared.element_type.is_dynamic() || declared.element_type == type.element_type) &&
           declared.partial_shape.compatible(type.partial_shape);
}

bool is_of(const TensorType& type, const Array& array) {
    return type.element_type == array.element_type &&
           std::ranges::equal(type.partial_shape.dimensions(), array.shape, {},
                              [](const Dimension& dimension) { return dimension.length(); });
}

/// Memory for the intermediate values of one call.
class Arena {
public:
    /// Throws std::bad_alloc.
    explicit Arena(std::size_t size) {
        if (size <= small_.size()) {
            address_ = small_.data();
            return;
        }
        if (size >= smallest_pooled) {
            pooled_ = process_memory_pool().take(size);
        }
        if (!pooled_) {
            ordinary_.reset(static_cast<std::byte*>(::operator new(size, cache_line)));
        }
        address_ = pooled_ ? pooled_.get() : ordinary_.get();
    }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Not null; at a cache line.
    std::byte* address() const { return address_; }

private:
    static constexpr std::align_val_t cache_line{64};
    /// From here on the C library may map memory anew for each call, while a block of the pool,
    /// even if it is larger, is the call's for a short time only.
    static constexpr std::size_t smallest_pooled = 65536;

    struct Delete {
        void operator()(std::byte* memory) const noexcept { ::operator delete(memory, cache_line); }
    };

    std::byte* address_ = nullptr;
    MemoryPool::Block pooled_;
    std::unique_ptr<std::byte, Delete> ordinary_;
    /// To allocate would take a small call longer than to compute.
    alignas(static_cast<std::size_t>(cache_line)) std::array<std::byte, 1024> small_;
};

}  // namespace

Executable::Executable(const Function& function, Backend backend)
    : function_(prepared(copy_of(function), backend)), backend_(backend) {
    check_nodes_have_kernels(function_);
    for (const std::shared_ptr<Parameter>& parameter : function_.parameters()) {
        names_.push_back(parameter->friendly_name());
    }
}

void Executable::check_arguments(std::span<const Array> arguments) const {
    if (arguments.size() != names_.size()) {
        throw std::invalid_argument("expected " + format_count(names_.size(), "argument") +
                                    ", got " + std::to_string(arguments.size()));
    }
    std::vector<std::string> violations;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        const TensorType declared = function_.parameters()[index]->output_type(0);
        const TensorType type = arguments[index].tensor_type();
        if (!describes(declared, type)) {
            violations.push_back(names_[index] + ": expected " + declared.to_string() + ", got " +
                                 type.to_string());
        }
    }
    if (!violations.empty()) {
        throw std::invalid_argument(join(violations, "\n"));
    }
}

std::shared_ptr<const Plan> Executable::remembered(std::span<const Array> arguments) const {
    const CacheLock lock;
    const auto found = std::ranges::find_if(plans_, [&](const std::shared_ptr<const Plan>& plan) {
        return std::ranges::equal(plan->argument_types, arguments, is_of);
    });
    if (found == plans_.end()) {
        return nullptr;
    }
    std::rotate(plans_.begin(), found, found + 1);
    return plans_.front();
}

void Executable::remember(std::shared_ptr<const Plan> plan) const {
    std::shared_ptr<const Plan> forgotten;  // ends after the lock
    const CacheLock lock;
    if (plans_.size() == most_plans) {
        forgotten = std::move(plans_.back());
        plans_.pop_back();
    }
    plans_.insert(plans_.begin(), std::move(plan));
}

std::shared_ptr<const Plan> Executable::plan_for(std::span<const Array> arguments) const {
    if (std::shared_ptr<const Plan> plan = remembered(arguments)) {
        return plan;
    }
    check_arguments(arguments);
    std::vector<TensorType> types;
    for (const Array& argument : arguments) {
        types.push_back(argument.tensor_type());
    }
    auto plan = std::make_shared<const Plan>(make_plan(function_, backend_, types));
    remember(plan);
    return plan;
}

void Executable::run(const Plan& plan, std::span<const Array> arguments,
                     std::span<const Array> results, std::int64_t num_threads) const {
    const kernel::Implementation& implementation = backend_ == Backend::reference
                                                       ? kernel::implementation("reference")
                                                       : kernel::chosen_implementation();
    release_expired_memory();
    const Arena arena(plan.arena_bytes);
    plan.run(arguments, results, arena.address(), num_threads, implementation);
    peak_bytes_ = static_cast<std::int64_t>(plan.arena_bytes);
}

std::optional<std::size_t> Executable::peak_bytes() const {
    const std::int64_t bytes = peak_bytes_;
    return bytes == never_run ? std::nullopt : std::optional(static_cast<std::size_t>(bytes));
}

}  // namespace normgraph::runtime
