#pragma once

#include <string>

#include "cases.hpp"

namespace normgraph::measurement {

/// The class of a case: the cases that meet the same limits, whose results are summed up in one
/// geometric mean. Cold cases:
///
/// - "f32 channels first, long rows": at least 1000 elements of a channel lie next to each other;
/// - "f32 channels first, short rows": fewer;
/// - "f32 channels last, from memory": what the op must read twice (input; backward
///   normalized_delta too) is larger than half of the largest cache;
/// - "f32 channels last, from cache": it is not;
/// - "bf16 channels first" and "bf16 channels last": every size.
///
/// f64 is divided as f32 is, f16 as bf16. A warm case measures calls rather than memory, and is in
/// the class "f32 warm" of its type.
std::string class_of(Op op, const NamedShape& shape, kernel::ElementType type,
                     kernel::LayoutClass layout, std::size_t largest_cache);

}  // namespace normgraph::measurement
