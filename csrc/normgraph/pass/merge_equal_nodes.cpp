#include "normgraph/pass/merge_equal_nodes.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "normgraph/pass/rewrite.hpp"

namespace normgraph::pass {
namespace {

/// All that a node's outputs follow from, as a text that is equal for equal nodes alone.
class Identity final : public AttributeVisitor {
public:
    explicit Identity(const Node& node) {
        add_bytes(node.type_name());
        add(node.input_values().size());  // there may be an optional one
        for (const Output& input : node.input_values()) {
            add(std::bit_cast<std::uintptr_t>(input.node().get()));
            add(input.index());
        }
        node.visit_attributes(*this);
    }

    const std::string& text() const { return text_; }

    // A kind of node always shows the same attributes in the same order: their names add nothing.
    // Numbers are compared by their bits, so that 0 and -0 differ.
    void on_attribute(std::string_view /*name*/, double value) override { add(value); }
    void on_attribute(std::string_view /*name*/, std::int64_t value) override { add(value); }
    void on_attribute(std::string_view /*name*/, bool value) override { add(value); }
    void on_attribute(std::string_view /*name*/, const std::vector<std::int64_t>& value) override {
        add(value.size());
        for (const std::int64_t item : value) {
            add(item);
        }
    }
    void on_attribute(std::string_view /*name*/, const std::string& value) override {
        add_bytes(value);
    }
    void on_attribute(std::string_view /*name*/, element::Type value) override {
        add(value.kind());
    }
    void on_attribute(std::string_view /*name*/, const PartialShape& value) override {
        add_bytes(value.to_string());
    }
    void on_attribute(std::string_view /*name*/, std::span<const std::byte> value) override {
        add_bytes({reinterpret_cast<const char*>(value.data()), value.size()});
    }

private:
    template <typename Value>
    void add(Value value) {
        static_assert(std::is_trivially_copyable_v<Value>);
        char bytes[sizeof value];
        std::memcpy(bytes, &value, sizeof value);
        text_.append(bytes, sizeof value);
    }
    void add_bytes(std::string_view bytes) {
        add(bytes.size());
        text_.append(bytes);
    }

    std::string text_;
};

}  // namespace

Function merge_equal_nodes(const Function& function) {
    std::unordered_map<std::string, std::vector<Output>> seen;
    return rewrite(function, [&](Node& /*original*/, Node& node, const NewValues& /*values*/) {
        // Parameters of one type are given different values.
        return dynamic_cast<const Parameter*>(&node) != nullptr
                   ? std::nullopt
                   : std::optional(
                         seen.try_emplace(Identity(node).text(), node.outputs()).first->second);
    });
}

}  // namespace normgraph::pass
