#pragma once

#include <string>

namespace normgraph {

/// The message of the error of one type that an action throws.
template <typename Error, typename Action>
std::string message_of(const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

}  // namespace normgraph
