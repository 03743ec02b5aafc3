#include "binding/documentation.hpp"

#include <algorithm>
#include <cstddef>

#include "binding/attributes.hpp"
#include "binding/batch_part.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/op/constraints.hpp"

namespace normgraph::binding {
namespace {

using op::Port;
using op::Role;

constexpr std::size_t line_width = 100;

/// The words of a text on lines of at most `line_width`; all but the first are indented.
std::string wrapped(const std::string& text, std::size_t indentation) {
    std::string result;
    std::size_t column = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        const std::string word = text.substr(begin, end - begin);
        if (column > 0 && column + 1 + word.size() > line_width) {
            result += "\n" + std::string(indentation, ' ');
            column = indentation;
        } else if (column > 0) {
            result += ' ';
            ++column;
        }
        result += word;
        column += word.size();
        begin = end + 1;
    }
    return result + "\n";
}

std::string entry(const std::string& names, const std::string& sentence) {
    return wrapped(names + " : " + sentence, 4);
}

std::string section(const std::string& title, const std::string& entries) {
    return entries.empty() ? ""
                           : "\n" + title + "\n" + std::string(title.size(), '-') + "\n" + entries;
}

/// An entry for each run of ports that have one sentence; none for those without.
std::string entries(std::span<const Port> ports) {
    std::string result;
    for (std::size_t begin = 0, end = 0; begin < ports.size(); begin = end) {
        while (end < ports.size() && ports[end].sentence == ports[begin].sentence) {
            ++end;
        }
        if (!ports[begin].sentence.empty()) {
            result += entry(joined_names(ports.subspan(begin, end - begin)),
                            std::string(ports[begin].sentence));
        }
    }
    return result;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
        text.replace(at, what.size(), by);
    }
    return text;
}

/// The names of the data inputs but the first.
std::vector<std::string_view> other_data(std::span<const Port> inputs) {
    std::vector<std::string_view> names;
    for (const Port& port : inputs.subspan(1)) {
        if (op::is_data(port.role)) {
            names.push_back(port.name);
        }
    }
    return names;
}

std::string constraint_lines(const OpText& text) {
    const std::span<const Port> inputs = text.signature.inputs;
    const auto others = other_data(inputs);
    std::string lines;
    for (const std::string_view label : text.constraint_labels) {
        const auto* const constraint =
            std::ranges::find(op::constraints, label, &op::Constraint::label);
        std::string sentence =
            replaced(std::string(constraint->sentence), "{input}", inputs.front().name);
        if (!others.empty()) {
            sentence = replaced(std::move(sentence), "{delta}", others.front());
        }
        lines += "    " + std::string(label) + std::string(5 - label.size(), ' ') + sentence + "\n";
    }
    return lines;
}

std::string parameter_entries(const runtime::KernelCall& call) {
    std::string result;
    for (const Port& port : call.inputs) {
        std::string sentence = "array, " + std::string(port.sentence);
        if (op::is_optional(port)) {
            sentence += std::string("; None stands for ") + (port.role == Role::gamma ? "1" : "0");
        }
        result += entry(std::string(port.name), sentence);
    }
    return result;
}

std::string out_sentence(const runtime::KernelCall& call) {
    const std::string first(call.outputs.front().name);
    std::string sentence = "array for " + first;
    sentence += call.outputs.size() == 1
                    ? ", or tuple of one array, to write to"
                    : ", or tuple (" + joined_names(call.outputs) + ") of arrays to write to";
    sentence += "; None allocates. The first may be exactly the array given as input";
    for (const std::string_view name : other_data(call.inputs)) {
        sentence += " or as " + std::string(name);
    }
    sentence += '.';
    if (op::has(call.outputs, Role::mask)) {
        sentence += " mask must be C-contiguous.";
    }
    return sentence + " DLPack's form before 1.0 is taken as read-only.";
}

/// The functions on arrays have another default than the node.
const std::string statistics_type_sentence =
    "element type of mean and variance: input's, or any wider one; None means that of an array "
    "given as out, else f32 where input is f16 or bf16, and input's";

std::string given_reduction_entry(const runtime::KernelCall& call) {
    const std::string name(given_reduction_name(call));
    if (call.has_statistics()) {
        return entry(name,
                     "BatchStatistics of a batch of which input is a part, which take the place of "
                     "input's own, unrounded; input may then be empty");
    }
    return name.empty()
               ? ""
               : entry(name,
                       "BackpropSums of a batch of which the arrays are a part, about this "
                       "mean, which take the place of the arrays' own");
}

/// Of the functions that reduce.
std::string position_entries(const runtime::KernelCall& call) {
    return given_reduction_name(call).empty()
               ? ""
               : entry("where",
                       "boolean array, true where a position counts, which broadcasts to input's "
                       "shape without the channel axis, or with one of length 1; None counts all. "
                       "Statistics are those of what counts; everything is normalized") +
                     entry(
                         "lengths",
                         "vector of integers, one for each sample, in place of where: of the axis "
                         "behind the samples', positions 0 ... length - 1 count");
}

std::string option_entries(const runtime::KernelCall& call) {
    std::string result;
    for_each_attribute(call, [&](const auto& attribute) {
        const bool is_statistics_type = attribute.name == statistics_type_attribute.name;
        result +=
            entry(std::string(attribute.name),
                  is_statistics_type ? statistics_type_sentence : std::string(attribute.sentence));
    });
    result += entry("out", out_sentence(call));
    if (call.outputs.size() > 1) {
        result += entry("outputs", "names of the outputs to compute; None computes all");
    }
    return result +
           entry("num_threads",
                 "how many threads may share the channels; None means get_num_threads()") +
           entry("implementation",
                 "which of implementations() computes; None means the one that config() names. The "
                 "bits do not depend on it.") +
           given_reduction_entry(call) + position_entries(call);
}

std::string returns(const runtime::KernelCall& call) {
    std::string first = call.outputs.size() == 1
                            ? "numpy array, or the array given as out"
                            : result_class_name(call) + "(" + joined_names(call.outputs) +
                                  "): numpy arrays, or those given as out";
    first +=
        ". " + std::string(call.outputs.front().name) + " has the axis order of input in memory.";
    if (op::has(call.inputs, Role::delta)) {
        first += " Of an empty batch it is empty, and the others are 0.";
    }
    return wrapped(first, 0) + "\n" + entries(call.outputs);
}

std::string closing(const runtime::KernelCall& call) {
    std::string text = "Any strides are read without a copy";
    text += op::has(call.inputs, Role::mask) ? ", but for mask." : ".";
    text +=
        " Raises NodeValidationFailure (a ValueError) where a constraint of the op is violated, "
        "ValueError for an ";
    text += call.needs_elements() ? "empty batch or an " : "";
    text +=
        "out that does not fit, TypeError for what is no array. Nothing is written where an "
        "error is raised.";
    return wrapped(text, 0);
}

}  // namespace

std::string joined_names(std::span<const Port> ports) {
    std::vector<std::string> names;
    for (const Port& port : ports) {
        names.emplace_back(port.name);
    }
    return join(names, ", ");
}

std::string result_class_name(const runtime::KernelCall& call) {
    return call.outputs.size() == 1 ? "" : std::string(call.op_class) + "Result";
}

std::string class_documentation(const OpText& text) {
    std::string result = std::string(text.documentation) + "\n";
    if (!text.remark.empty()) {
        result += "\n" + std::string(text.remark) + "\n";
    }
    std::string attributes;
    for (const auto& [name, sentence] : text.attributes) {
        attributes += entry(std::string(name), std::string(sentence));
    }
    std::string inputs = entries(text.signature.inputs);
    if (const auto& optional = text.signature.optional_input) {
        inputs += entries({&*optional, 1});
    }
    return result + section("Inputs", inputs) + section("Attributes", attributes) +
           section("Outputs", entries(text.signature.outputs)) +
           "\nEach input is a Node with exactly one output, or an Output; what is not known of its "
           "type and shape\nis inferred from the others. Raises NodeValidationFailure, which lists "
           "every violated constraint:\n\n" +
           constraint_lines(text);
}

std::string function_documentation(const runtime::KernelCall& call) {
    return std::string(call.documentation) + "\n" +
           section("Parameters", parameter_entries(call) + option_entries(call)) +
           section("Returns", returns(call)) + "\n" + closing(call);
}

}  // namespace normgraph::binding
