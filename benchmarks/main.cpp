#include <benchmark/benchmark.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cases.hpp"
#include "shape_list.hpp"
#include "table_reporter.hpp"

namespace normgraph::measurement {
namespace {

constexpr std::string_view usage =
    "normgraph_benchmarks [--short] [--types=f32,bf16] [--implementations=best]\n"
    "                     [--threads=1,2] [--seconds=0.5] [--shapes=FILE]\n"
    "                     [options of Google Benchmark]\n"
    "  --short          only the shapes that shapes.csv selects for a short run\n"
    "  --types=LIST     element types of the data: f16, bf16, f32, f64 (default: f32,bf16)\n"
    "  --implementations=LIST  names; best: the one that calls use (default); all: that run here\n"
    "  --threads=LIST   threads that a call may use (default: 1, and as many as there are)\n"
    "  --seconds=S      time to measure each line for, at least (default: 0.5)\n"
    "  --shapes=FILE    the list of shapes (default: benchmarks/shapes.csv of the source tree)\n"
    "  --benchmark_filter=REGEX picks by name: op/shape/type/layout/implementation/threads\n"
    "  --benchmark_format=json, --benchmark_out=FILE: for programs; the counter `floors` is time\n"
    "  divided by the floor\n\n";

std::vector<std::int64_t> default_thread_counts() {
    const std::int64_t all = kernel::default_num_threads();
    return all == 1 ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, all};
}

struct Options {
    bool short_run = false;
    std::vector<kernel::ElementType> types{kernel::ElementType::f32, kernel::ElementType::bf16};
    std::vector<const kernel::Implementation*> implementations{&kernel::chosen_implementation()};
    std::vector<std::int64_t> thread_counts = default_thread_counts();
    double seconds = 0.5;
    std::filesystem::path shapes{NORMGRAPH_SHAPES_FILE};
};

/// "a,b" as parse("a"), parse("b").
template <typename Value>
std::vector<Value> parse_list(std::string_view list, Value (*parse)(std::string_view)) {
    std::vector<Value> values;
    bool more = true;
    while (more) {
        const std::size_t comma = list.find(',');
        values.push_back(parse(list.substr(0, comma)));
        more = comma != std::string_view::npos;
        list.remove_prefix(more ? comma + 1 : 0);
    }
    return values;
}

const kernel::Implementation* parse_implementation(std::string_view name) {
    return name == "best" ? &kernel::chosen_implementation() : &kernel::implementation(name);
}

std::vector<const kernel::Implementation*> parse_implementations(std::string_view list) {
    if (list != "all") {
        return parse_list(list, parse_implementation);
    }
    std::vector<const kernel::Implementation*> all;
    for (const kernel::Implementation& implementation : kernel::built_implementations()) {
        if (implementation.runs_here()) {
            all.push_back(&implementation);
        }
    }
    return all;
}

std::int64_t parse_thread_count(std::string_view text) {
    std::int64_t count = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{} || stop != end || count < 1) {
        throw std::invalid_argument("expected numbers of threads such as 1,2, got '" +
                                    std::string(text) + "'");
    }
    return count;
}

double parse_seconds(std::string_view text) {
    double seconds = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, seconds);
    if (error != std::errc{} || stop != end || !(seconds >= 0)) {
        throw std::invalid_argument("expected a number of seconds, got '" + std::string(text) +
                                    "'");
    }
    return seconds;
}

void apply(Options& options, std::string_view argument) {
    const std::string_view name = argument.substr(0, argument.find('='));
    const std::string_view value = argument.substr(std::min(name.size() + 1, argument.size()));
    if (argument == "--short") {
        options.short_run = true;
    } else if (name == "--types") {
        options.types = parse_list(value, element_type_named);
    } else if (name == "--implementations") {
        options.implementations = parse_implementations(value);
    } else if (name == "--threads") {
        options.thread_counts = parse_list(value, parse_thread_count);
    } else if (name == "--seconds") {
        options.seconds = parse_seconds(value);
    } else if (name == "--shapes") {
        options.shapes = value;
    } else {
        throw std::invalid_argument("no such option; --help lists them");
    }
}

/// `arguments` are what Google Benchmark has left over, the program's name first.
Options parse(const std::vector<std::string_view>& arguments) {
    Options options;
    for (std::size_t index = 1; index < arguments.size(); ++index) {
        try {
            apply(options, arguments[index]);
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(std::string(arguments[index]) + ": " + error.what());
        }
    }
    return options;
}

std::vector<Case> cases_of(const NamedShape& shape, const Options& options) {
    std::vector<Case> cases;
    for (const Op op : all_ops()) {
        for (const kernel::ElementType type : options.types) {
            for (const kernel::LayoutClass layout : layouts_of(shape)) {
                for (const kernel::Implementation* const implementation : options.implementations) {
                    for (const std::int64_t num_threads : options.thread_counts) {
                        cases.push_back({op, shape, type, layout, implementation, num_threads});
                    }
                }
            }
        }
    }
    return cases;
}

/// The medians are taken in `measure`, so that call and floor take turns; Google Benchmark sees one
/// iteration that lasted as long as the median.
void run(benchmark::State& state, const Case& which, double seconds) {
    for (const auto iteration : state) {
        static_cast<void>(iteration);
        const Measurement result = measure(which, seconds);
        const double call_seconds = result.call.median_seconds;
        state.SetIterationTime(call_seconds);
        state.counters["floors"] = call_seconds / result.floor.median_seconds;
        state.counters["floor_seconds"] = result.floor.median_seconds;
        state.counters["GB/s"] = result.bytes_per_floor / call_seconds * 1e-9;
        state.counters["page_faults"] = static_cast<double>(result.call.page_faults);
        state.SetLabel(which.shape.cold ? "cold" : "warm");
    }
}

std::map<std::string, Case> register_cases(const Options& options) {
    std::map<std::string, Case> registered;
    for (const NamedShape& shape : read_shape_list(options.shapes)) {
        if (options.short_run && !shape.in_short_run) {
            continue;
        }
        for (const Case& which : cases_of(shape, options)) {
            const auto [entry, is_new] = registered.emplace(which.name(), which);
            if (!is_new) {
                throw std::runtime_error("two cases have the name " + which.name());
            }
            const auto body = [which, seconds = options.seconds](benchmark::State& state) {
                run(state, which, seconds);
            };
            benchmark::RegisterBenchmark(entry->first.c_str(), body)
                ->UseManualTime()
                ->Iterations(1)
                ->Unit(benchmark::kMicrosecond);
        }
    }
    return registered;
}

bool wants_format(int count, char** arguments) {
    for (int index = 1; index < count; ++index) {
        if (std::string_view(arguments[index]).starts_with("--benchmark_format=")) {
            return true;
        }
    }
    return false;
}

int main_program(int count, char** arguments) {
    for (int index = 1; index < count; ++index) {
        if (std::string_view(arguments[index]) == "--help") {
            std::cout << usage << std::flush;  // Google Benchmark adds its own and exits
        }
    }
    const bool prints_table = !wants_format(count, arguments);
    benchmark::Initialize(&count, arguments);
    const Options options = parse({arguments, arguments + count});
    const std::map<std::string, Case> cases = register_cases(options);
    TableReporter table(cases);
    const std::size_t run_count =
        benchmark::RunSpecifiedBenchmarks(prints_table ? &table : nullptr);
    return run_count > 0 ? 0 : 1;
}

}  // namespace
}  // namespace normgraph::measurement

int main(int count, char** arguments) {
    try {
        return normgraph::measurement::main_program(count, arguments);
    } catch (const std::exception& error) {
        std::cerr << "normgraph_benchmarks: " << error.what() << '\n';
        return 2;
    }
}
