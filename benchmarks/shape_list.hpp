#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace normgraph::measurement {

/// One line of shapes.csv.
struct NamedShape {
    std::string name;     ///< as in the benchmark's name
    std::string network;  ///< where the shape comes from
    std::string layer;
    std::vector<std::int64_t> shape;  ///< (N, C, spatial…)
    bool cold;                        ///< measured on data that is not in the caches
    bool in_short_run;
};

std::int64_t element_count(const NamedShape& shape);

/// Reads shapes.csv. Throws std::runtime_error that names the file and the line if it is not as
/// benchmarks/README.md describes.
std::vector<NamedShape> read_shape_list(const std::filesystem::path& file);

/// "(32,64,56,56)"
std::string text_of(const std::vector<std::int64_t>& shape);

}  // namespace normgraph::measurement
