#include "table_reporter.hpp"

#include <cstdio>
#include <iomanip>
#include <ostream>
#include <sstream>

#include "streaming_pass.hpp"

namespace normgraph::measurement {
namespace {

/// "12.3 ms": three significant digits.
std::string text_of_time(double seconds) {
    struct Unit {
        double seconds;
        const char* name;
    };
    constexpr Unit units[] = {{1.0, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
    const Unit* unit = units;
    while (unit->seconds > seconds && unit + 1 != std::end(units)) {
        ++unit;
    }
    const double value = seconds / unit->seconds;
    std::ostringstream text;
    text << std::fixed
         << std::setprecision(value < 10    ? 2
                              : value < 100 ? 1
                                            : 0)
         << value << ' ' << unit->name;
    return text.str();
}

/// The columns, headings and values alike.
template <typename... Values>
void print_columns(std::ostream& stream, std::string_view op, std::string_view type,
                   std::string_view layout, std::string_view implementation,
                   const Values&... numbers) {
    stream << "  " << std::left << std::setw(39) << op << std::setw(5) << type << std::setw(15)
           << layout << std::setw(14) << implementation << std::right;
    constexpr int widths[] = {8, 8, 7, 7};
    const int* width = widths;
    ((stream << std::setw(*width++) << numbers), ...);
}

}  // namespace

bool TableReporter::ReportContext(const Context&) {
    GetOutputStream()
        << "normgraph " << NORMGRAPH_VERSION << ", C++ microbenchmarks\n"
        << "1 floor: the time in which this machine streams the same tensors once (forward: read "
           "one, write\none; backward: read two, write one), measured in turns with the call; "
        << widest_streaming_pass().name
        << " loads, the\nfaster of normal and non-temporal stores. Medians. GB/s counts each of "
           "these tensors once.\nLargest cache: "
        << largest_cache_bytes() / 1024
        << " KiB; cold: the tensors are not in it, warm: they were used just before.\n";
    return true;
}

void TableReporter::ReportRuns(const std::vector<Run>& runs) {
    for (const Run& run : runs) {
        if (run.run_type == Run::RT_Iteration) {
            const Case& which = cases_.at(run.run_name.function_name);
            print_row(which, run);
            summary_.add(which, run.counters.at("floors").value);
        }
    }
    GetOutputStream().flush();
}

void TableReporter::Finalize() {
    summary_.print(GetOutputStream());
}

void TableReporter::print_heading(const NamedShape& shape) {
    std::ostream& stream = GetOutputStream();
    stream << '\n'
           << shape.name << "  " << text_of(shape.shape) << "  " << shape.network << ", "
           << shape.layer << "; " << (shape.cold ? "cold" : "warm") << '\n';
    print_columns(stream, "op", "type", "layout", "implementation", "threads", "time", "GB/s",
                  "floors");
    stream << '\n';
}

void TableReporter::print_row(const Case& which, const Run& run) {
    if (which.shape.name != shape_printed_) {
        print_heading(which.shape);
        shape_printed_ = which.shape.name;
    }
    std::ostream& stream = GetOutputStream();
    stream << std::fixed << std::setprecision(2);
    print_columns(stream, name_of(which.op), name_of(which.type), name_of(which.layout),
                  which.implementation->name, which.num_threads,
                  text_of_time(run.real_accumulated_time / static_cast<double>(run.iterations)),
                  run.counters.at("GB/s").value, run.counters.at("floors").value);
    if (const double faults = run.counters.at("page_faults").value; faults > 0) {
        stream << "\n      (with " << std::setprecision(0) << faults << " page faults)";
    }
    stream << '\n';
}

}  // namespace normgraph::measurement
