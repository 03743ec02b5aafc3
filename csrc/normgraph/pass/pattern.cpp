#include "normgraph/pass/pattern.hpp"

#include <algorithm>

#include "normgraph/ir/text.hpp"

namespace normgraph::pass {

struct Pattern::Data {
    std::vector<Pattern> alternatives;  ///< if there are any, one of them and nothing of `kind`
    Kind kind;                          ///< empty: any value
    std::optional<std::vector<Pattern>> inputs;
    std::string output;  ///< empty: the first
    std::string name;    ///< empty: none
    std::vector<Condition> conditions;
    bool has_single_user = false;
    bool is_optional = false;
    std::size_t depth = 1;
};

namespace {

/// Patterns are gone through, and freed, by functions that call themselves.
constexpr std::size_t most_nested = 100;

/// Alternatives that contain each other's parts take time that doubles with each: this ends them.
constexpr std::size_t most_comparisons = 100'000;

std::size_t depth_of_nested(std::size_t deepest) {
    if (deepest >= most_nested) {
        throw std::invalid_argument("pattern: expected one nested at most " +
                                    std::to_string(most_nested) + " deep, got a deeper one");
    }
    return deepest + 1;
}

}  // namespace

/// One attempt to match.
class Matcher {
public:
    explicit Matcher(const Users* users) : users_(users) {}

    /// Leaves no names behind if it does not match.
    bool matches(const Pattern& pattern, const Output& value) {
        if (++comparisons_ > most_comparisons) {
            throw std::invalid_argument(
                "pattern: expected one that compares at most " + std::to_string(most_comparisons) +
                " values, got alternatives within alternatives, or patterns that stand in several "
                "places, that compare more");
        }
        const auto before = static_cast<std::ptrdiff_t>(match_.named_.size());
        const Pattern::Data& data = *pattern.data_;
        const bool found =
            has_form(data, value) && is_read_as(data, value) && takes_name(data.name, value) &&
            std::ranges::all_of(data.conditions,
                                [&](const auto& condition) { return condition(value); });
        if (!found) {
            match_.named_.erase(match_.named_.begin() + before, match_.named_.end());
        }
        return found;
    }

    Match take() { return std::move(match_); }

private:
    bool has_form(const Pattern::Data& data, const Output& value) {
        if (!data.alternatives.empty()) {
            return std::ranges::any_of(data.alternatives, [&](const Pattern& alternative) {
                return matches(alternative, value);
            });
        }
        if (!data.kind) {
            return true;
        }
        const bool is_output =
            data.output.empty() ? value.index() == 0 : value.name() == data.output;
        return is_output && data.kind(*value.node()) &&
               (!data.inputs || inputs_match(*data.inputs, value.node()->input_values()));
    }

    bool inputs_match(const std::vector<Pattern>& patterns, const std::vector<Output>& inputs) {
        if (inputs.size() > patterns.size()) {
            return false;
        }
        for (std::size_t index = 0; index < patterns.size(); ++index) {
            const bool matched = index < inputs.size() ? matches(patterns[index], inputs[index])
                                                       : patterns[index].data_->is_optional;
            if (!matched) {
                return false;
            }
        }
        return true;
    }

    bool is_read_as(const Pattern::Data& data, const Output& value) const {
        if (!data.has_single_user) {
            return true;
        }
        if (users_ == nullptr) {
            throw std::invalid_argument(
                "users: expected those of the function, since the pattern says that a value has a "
                "single user, got none");
        }
        return users_->count(value) == 1;
    }

    bool takes_name(const std::string& name, const Output& value) {
        if (name.empty()) {
            return true;
        }
        const auto found = std::ranges::find(match_.named_, name, &Match::Named::name);
        if (found != match_.named_.end()) {
            return found->original == value;
        }
        match_.named_.push_back({name, value, value});
        return true;
    }

    const Users* users_;
    std::size_t comparisons_ = 0;
    Match match_;
};

const Match::Named& Match::find(std::string_view name) const {
    const auto found = std::ranges::find(named_, name, &Named::name);
    if (found == named_.end()) {
        throw std::invalid_argument(
            "the match has no value named '" + std::string(name) + "'" +
            (named_.empty() ? "" : ", it has " + join_as_sentence(names(), "and")));
    }
    return *found;
}

bool Match::contains(std::string_view name) const {
    return std::ranges::find(named_, name, &Named::name) != named_.end();
}

std::vector<std::string> Match::names() const {
    std::vector<std::string> all;
    for (const Named& each : named_) {
        all.push_back(each.name);
    }
    return all;
}

Match Match::with_values(const std::function<Output(const Output& original)>& value_of) const {
    Match other = *this;
    for (Named& each : other.named_) {
        each.value = value_of(each.original);
    }
    return other;
}

Pattern::Pattern(Data data) : data_{std::make_shared<const Data>(std::move(data))} {}

template <typename Change>
Pattern Pattern::changed(const Change& change) const {
    Data data = *data_;
    change(data);
    return Pattern(std::move(data));
}

Pattern Pattern::any(std::string name) {
    Data data;
    data.name = std::move(name);
    return Pattern(std::move(data));
}

Pattern Pattern::of_kind(Kind kind, std::optional<std::vector<Pattern>> inputs) {
    Data data;
    data.kind = std::move(kind);
    if (inputs) {
        std::size_t deepest = 0;
        for (const Pattern& input : *inputs) {
            deepest = std::max(deepest, input.data_->depth);
        }
        data.depth = depth_of_nested(deepest);
        data.inputs = std::move(inputs);
    }
    return Pattern(std::move(data));
}

Pattern operator|(const Pattern& first, const Pattern& second) {
    Pattern::Data data;
    data.alternatives = {first, second};
    data.depth = depth_of_nested(std::max(first.data_->depth, second.data_->depth));
    return Pattern(std::move(data));
}

Pattern Pattern::named(std::string name) const {
    if (name.empty()) {
        throw std::invalid_argument("name: expected one that is not empty, got ''");
    }
    return changed([&](Data& data) { data.name = std::move(name); });
}

Pattern Pattern::output(std::string name) const {
    if (!data_->kind) {
        throw std::invalid_argument("output: expected a pattern of an op, got " +
                                    std::string(data_->alternatives.empty()
                                                    ? "one of any value"
                                                    : "alternatives: say it in each of them"));
    }
    return changed([&](Data& data) { data.output = std::move(name); });
}

Pattern Pattern::where(Condition condition) const {
    return changed([&](Data& data) { data.conditions.push_back(std::move(condition)); });
}

Pattern Pattern::with_single_user() const {
    return changed([](Data& data) { data.has_single_user = true; });
}

Pattern Pattern::optional() const {
    return changed([](Data& data) { data.is_optional = true; });
}

std::optional<Match> Pattern::match(const Output& value, const Users* users) const {
    Matcher matcher(users);
    return matcher.matches(*this, value) ? std::optional(matcher.take()) : std::nullopt;
}

}  // namespace normgraph::pass
