#pragma once

#include <cstdint>

/// How many threads a kernel uses unless its caller says otherwise.
namespace normgraph::kernel {

/// What `set_num_threads` has set last; before that the default of `default_num_threads`, decided
/// at the first call. Throws std::invalid_argument as `default_num_threads` does.
std::int64_t get_num_threads();

/// Counts for calls that begin after it; safe while others run. Throws std::invalid_argument if
/// `count` < 1.
void set_num_threads(std::int64_t count);

/// The environment variable NORMGRAPH_NUM_THREADS if set and not empty, else the number of
/// available processors. Throws std::invalid_argument, naming the variable and its value, if that
/// is no positive integer.
std::int64_t default_num_threads();

}  // namespace normgraph::kernel
