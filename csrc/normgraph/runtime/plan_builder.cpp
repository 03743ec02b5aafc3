#include "normgraph/runtime/plan_builder.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "normgraph/runtime/kernel_arguments.hpp"
#include "normgraph/runtime/memory_plan.hpp"

namespace normgraph::runtime {
namespace {

/// More would take more L1 cache than there is.
constexpr std::size_t most_instructions = 64;
constexpr std::size_t most_sources = 24;

Lengths lengths_of(const PartialShape& shape) {
    Lengths lengths;
    for (const Dimension& dimension : shape.dimensions()) {
        lengths.push_back(dimension.length());
    }
    return lengths;
}

Lengths all_axes(std::size_t rank) {
    Lengths axes(rank);
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
    return axes;
}

}  // namespace

std::size_t PlanBuilder::add_buffer(Buffer buffer) {
    plan_.buffers.push_back(std::move(buffer));
    return whole_view(plan_.buffers.size() - 1);
}

std::size_t PlanBuilder::whole_view(std::size_t buffer) {
    const Lengths& shape = plan_.buffers[buffer].shape;
    return add_view({buffer, shape, all_axes(shape.size())});
}

std::size_t PlanBuilder::add_argument(const TensorType& type) {
    return add_buffer({Buffer::Home::argument, type.element_type, lengths_of(type.partial_shape),
                       argument_count_++});
}

std::size_t PlanBuilder::add_constant(const TensorType& type, const std::byte* data) {
    return add_buffer(
        {Buffer::Home::constant, type.element_type, lengths_of(type.partial_shape), 0, data});
}

std::size_t PlanBuilder::add_number(double value, const Lengths& shape, element::Type type) {
    plan_.numbers.push_back(std::make_unique<double>());
    auto* const data = reinterpret_cast<std::byte*>(plan_.numbers.back().get());
    kernel::store_rounded_once(kernel_type(type), data, value);
    const std::size_t scalar = add_buffer({Buffer::Home::constant, type, {}, 0, data});
    return add_view({view(scalar).buffer, shape, Lengths(shape.size(), View::repeated)});
}

std::size_t PlanBuilder::add_value(const TensorType& type) {
    return add_buffer({Buffer::Home::nowhere, type.element_type, lengths_of(type.partial_shape)});
}

std::size_t PlanBuilder::add_view(View view) {
    const auto [known, is_new] =
        views_.try_emplace({view.buffer, view.shape, view.axes}, plan_.views.size());
    if (is_new) {
        plan_.views.push_back(std::move(view));
    }
    return known->second;
}

element::Type PlanBuilder::element_type(std::size_t view) const {
    return plan_.buffers[plan_.views[view].buffer].element_type;
}

bool PlanBuilder::is_open(const ElementWiseStep& step) const {
    const auto found = open_of_shape_.find(step.shape());
    return found != open_of_shape_.end() && found->second->get() == &step;
}

void PlanBuilder::close(const ElementWiseStep& step) {
    const auto found = open_of_shape_.find(step.shape());
    plan_.steps.push_back(std::move(*found->second));
    open_.erase(found->second);
    open_of_shape_.erase(found);
}

void PlanBuilder::close_all() {
    for (std::unique_ptr<ElementWiseStep>& step : open_) {
        plan_.steps.push_back(std::move(step));
    }
    open_.clear();
    open_of_shape_.clear();
}

/// The open step of this shape goes on. An operand that an open step of another shape makes, and
/// that is repeated here, must be there as a whole before.
ElementWiseStep& PlanBuilder::begin_element_wise(const Lengths& shape,
                                                 const std::vector<std::size_t>& operands) {
    for (const std::size_t operand : operands) {
        const auto made = made_.find(view(operand).buffer);
        if (made != made_.end() && made->second.step->shape() != shape &&
            is_open(*made->second.step)) {
            close(*made->second.step);
        }
    }
    if (const auto open = open_of_shape_.find(shape); open != open_of_shape_.end()) {
        ElementWiseStep& step = **open->second;
        if (step.instruction_count() < most_instructions && step.reads().size() < most_sources) {
            return step;
        }
        close(step);
    }
    open_.push_back(std::make_unique<ElementWiseStep>(shape));
    open_of_shape_.emplace(shape, std::prev(open_.end()));
    element_wise_steps_.push_back(open_.back().get());
    return *open_.back();
}

ProgramValue PlanBuilder::operand(ElementWiseStep& step, std::size_t index) const {
    const auto made = made_.find(view(index).buffer);
    if (made != made_.end() && made->second.step == &step) {
        return made->second.value;
    }
    return step.source(index, storage_type(element_type(index)));
}

void PlanBuilder::end_element_wise(ElementWiseStep& step, ProgramValue value, std::size_t result) {
    made_.emplace(view(result).buffer, Made{&step, value});
    if (backend_ == Backend::reference) {
        close(step);
    }
}

void PlanBuilder::add_step(std::unique_ptr<Step> step) {
    close_all();
    plan_.steps.push_back(std::move(step));
}

void PlanBuilder::copy(std::size_t from, std::size_t to) {
    auto step = std::make_unique<ElementWiseStep>(view(to).shape);
    step->store(step->source(from, storage_type(element_type(from))), to);
    element_wise_steps_.push_back(step.get());
    add_step(std::move(step));
}

std::size_t PlanBuilder::in_order(std::size_t index) {
    const std::size_t buffer = view(index).buffer;
    if (view(index).is_whole(plan_.buffers[buffer])) {
        in_order_.insert(buffer);
        return index;
    }
    const std::size_t copied =
        add_buffer({Buffer::Home::nowhere, element_type(index), view(index).shape});
    copy(index, copied);
    return copied;
}

void PlanBuilder::strides_matter_of(std::size_t view) {
    strides_matter_.insert(plan_.views[view].buffer);
}

/// A value is made in the result's own memory, if it is that of one result and nobody's bits depend
/// on the strides that the caller has chosen for it. Else it is copied.
void PlanBuilder::place_results(const std::vector<std::size_t>& results,
                                const std::vector<TensorType>& types) {
    close_all();
    for (std::size_t index = 0; index < results.size(); ++index) {
        const View& result = view(results[index]);
        Buffer& buffer = plan_.buffers[result.buffer];
        if (buffer.home == Buffer::Home::nowhere && result.is_whole(buffer) &&
            !strides_matter_.contains(result.buffer)) {
            buffer.home = Buffer::Home::result;
            buffer.index = index;
        } else {
            copy(results[index], add_buffer({Buffer::Home::result, types[index].element_type,
                                             lengths_of(types[index].partial_shape), index}));
        }
    }
}

/// By buffer: the last step that reads it.
std::vector<std::optional<std::size_t>> PlanBuilder::last_reads() const {
    std::vector<std::optional<std::size_t>> last(plan_.buffers.size());
    for (std::size_t step = 0; step < plan_.steps.size(); ++step) {
        for (const std::size_t read : plan_.steps[step]->reads()) {
            last[view(read).buffer] = step;
        }
    }
    return last;
}

/// What another step reads, or the caller, is stored.
void PlanBuilder::place_values() {
    const std::vector<std::optional<std::size_t>> last = last_reads();
    for (std::size_t index = 0; index < plan_.buffers.size(); ++index) {
        Buffer& buffer = plan_.buffers[index];
        if (buffer.home == Buffer::Home::nowhere && last[index]) {
            buffer.home = Buffer::Home::arena;
        }
        const auto made = made_.find(index);
        if (made != made_.end() && buffer.home != Buffer::Home::nowhere) {
            made->second.step->store(made->second.value, whole_view(index));
        }
    }
    for (ElementWiseStep* const step : element_wise_steps_) {
        step->finish();
    }
}

void PlanBuilder::place_in_arena() {
    const std::vector<std::optional<std::size_t>> last = last_reads();
    std::vector<Lifetime> memories;
    std::vector<std::optional<std::size_t>> memory_of(plan_.buffers.size());
    for (std::size_t index = 0; index < plan_.steps.size(); ++index) {
        const Step& step = *plan_.steps[index];
        std::vector<Step::Overwrite> overwrites = step.possible_overwrites();
        std::ranges::stable_sort(overwrites, {}, &Step::Overwrite::written);
        std::vector<std::size_t> taken;
        // Memory of which this step is the last reader, and which it reads as it lies.
        const auto may_take = [&](const View& written, const View& read) {
            const Buffer& from = plan_.buffers[read.buffer];
            const Buffer& to = plan_.buffers[written.buffer];
            return from.home == Buffer::Home::arena && last[read.buffer] == index &&
                   read.is_whole(from) && from.shape == to.shape &&
                   from.element_type.size() == to.element_type.size() &&
                   std::ranges::find(taken, read.buffer) == taken.end();
        };
        for (const std::size_t write : step.writes()) {
            const View& written = view(write);
            if (plan_.buffers[written.buffer].home != Buffer::Home::arena) {
                continue;
            }
            for (auto overwrite =
                     std::ranges::lower_bound(overwrites, write, {}, &Step::Overwrite::written);
                 overwrite != overwrites.end() && overwrite->written == write; ++overwrite) {
                const View& read = view(overwrite->read);
                if (may_take(written, read)) {
                    memory_of[written.buffer] = memory_of[read.buffer];
                    taken.push_back(read.buffer);
                    break;
                }
            }
            std::optional<std::size_t>& memory = memory_of[written.buffer];
            if (!memory) {
                memory = memories.size();
                memories.push_back(
                    {index, index,
                     static_cast<std::size_t>(plan_.buffers[written.buffer].byte_count())});
            }
            memories[*memory].last_step =
                std::max(memories[*memory].last_step, last[written.buffer].value_or(index));
        }
    }
    const MemoryPlan placed = plan_memory(memories);
    for (std::size_t index = 0; index < plan_.buffers.size(); ++index) {
        if (memory_of[index]) {
            plan_.buffers[index].index = placed.offsets[*memory_of[index]];
        }
    }
    plan_.arena_bytes = placed.bytes;
}

Plan PlanBuilder::finish(const std::vector<std::size_t>& results,
                         std::vector<TensorType> argument_types,
                         std::vector<TensorType> result_types) {
    place_results(results, result_types);
    place_values();
    place_in_arena();
    for (const std::size_t index : in_order_) {
        const Buffer& buffer = plan_.buffers[index];
        if (buffer.home == Buffer::Home::argument) {
            plan_.arguments_in_order.push_back(buffer.index);
        } else if (buffer.home == Buffer::Home::result) {
            plan_.results_in_order.push_back(buffer.index);
        }
    }
    plan_.argument_types = std::move(argument_types);
    plan_.result_types = std::move(result_types);
    return std::move(plan_);
}

}  // namespace normgraph::runtime
