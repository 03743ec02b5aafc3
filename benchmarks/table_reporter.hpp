#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

#include "cases.hpp"
#include "class_summary.hpp"

namespace normgraph::measurement {

/// Prints one block of lines per shape, each line as soon as it is measured.
class TableReporter : public benchmark::BenchmarkReporter {
public:
    /// `cases` by benchmark name; must outlive the reporter.
    explicit TableReporter(const std::map<std::string, Case>& cases) : cases_(cases) {}

    bool ReportContext(const Context& context) override;
    void ReportRuns(const std::vector<Run>& runs) override;
    /// Geometric means per class.
    void Finalize() override;

private:
    void print_heading(const NamedShape& shape);
    void print_row(const Case& which, const Run& run);

    const std::map<std::string, Case>& cases_;
    std::string shape_printed_;
    ClassSummary summary_;
};

}  // namespace normgraph::measurement
