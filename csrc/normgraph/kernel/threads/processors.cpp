#include "normgraph/kernel/threads/processors.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace normgraph::kernel {
namespace {

using Limit = std::optional<std::int64_t>;

Limit least(Limit left, Limit right) {
    if (left && right) {
        return std::min(*left, *right);
    }
    return left ? left : right;
}

std::string contents(const std::filesystem::path& file) {
    const std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

Limit processors_for(std::int64_t quota, std::int64_t period) {
    if (quota <= 0 || period <= 0) {
        return std::nullopt;
    }
    return quota / period + (quota % period != 0 ? 1 : 0);
}

/// Version 2: "150000 100000", or "max 100000" for no limit.
Limit quota_of_cpu_max(const std::filesystem::path& group) {
    std::istringstream text(contents(group / "cpu.max"));
    std::int64_t quota = 0;
    std::int64_t period = 0;
    return text >> quota >> period ? processors_for(quota, period) : std::nullopt;
}

/// Version 1: a quota of −1 for no limit.
Limit quota_of_cfs(const std::filesystem::path& group) {
    std::istringstream quota_text(contents(group / "cpu.cfs_quota_us"));
    std::istringstream period_text(contents(group / "cpu.cfs_period_us"));
    std::int64_t quota = 0;
    std::int64_t period = 0;
    return quota_text >> quota && period_text >> period ? processors_for(quota, period)
                                                        : std::nullopt;
}

/// The least limit of a group and of every group above it, up to where the hierarchy is mounted.
/// Inside a container the mount may begin at the container's own group, below which the path that
/// the kernel names does not exist: missing groups are passed over.
Limit least_limit(const std::filesystem::path& mount, const std::filesystem::path& group,
                  Limit (*limit_of)(const std::filesystem::path&)) {
    Limit limit = limit_of(mount);
    std::filesystem::path directory = mount;
    for (const std::filesystem::path& name : group.relative_path()) {
        if (name == "..") {
            break;  // A group outside of what is mounted here.
        }
        directory /= name;
        limit = least(limit, limit_of(directory));
    }
    return limit;
}

bool lists_cpu(std::string_view controllers) {
    std::istringstream names{std::string(controllers)};
    for (std::string name; std::getline(names, name, ',');) {
        if (name == "cpu") {
            return true;
        }
    }
    return false;
}

/// A line of /proc/self/cgroup: "hierarchy:controllers:path". Version 2 has no controllers.
Limit limit_of_membership(const std::filesystem::path& mounts, const std::string& line) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
        return std::nullopt;
    }
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    const std::filesystem::path group = line.substr(second + 1);
    if (controllers.empty()) {
        return least(least_limit(mounts, group, quota_of_cpu_max),
                     least_limit(mounts / "unified", group, quota_of_cpu_max));
    }
    if (lists_cpu(controllers)) {
        return least(least_limit(mounts / "cpu", group, quota_of_cfs),
                     least_limit(mounts / "cpu,cpuacct", group, quota_of_cfs));
    }
    return std::nullopt;
}

}  // namespace

Limit processors_in_quota(const std::filesystem::path& root) {
    Limit limit;
    std::istringstream memberships(contents(root / "proc/self/cgroup"));
    for (std::string line; std::getline(memberships, line);) {
        limit = least(limit, limit_of_membership(root / "sys/fs/cgroup", line));
    }
    return limit;
}

#if defined(__linux__)

Limit processors_in_affinity_mask() {
    // The kernel refuses a mask that is shorter than its own, whose length it does not tell.
    constexpr std::size_t shortest = 1024;
    constexpr std::size_t longest = shortest * 1024;
    for (std::size_t processors = shortest; processors <= longest; processors *= 2) {
        cpu_set_t* const mask = CPU_ALLOC(processors);
        if (mask == nullptr) {
            return std::nullopt;
        }
        const std::size_t size = CPU_ALLOC_SIZE(processors);
        const bool known = sched_getaffinity(0, size, mask) == 0;
        const std::int64_t count = known ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (known) {
            return count;
        }
    }
    return std::nullopt;
}

#else

Limit processors_in_affinity_mask() {
    return std::nullopt;
}

#endif

std::int64_t available_processors() {
    const std::int64_t machine = std::thread::hardware_concurrency();
    Limit limit = machine > 0 ? Limit(machine) : std::nullopt;
    limit = least(limit, processors_in_affinity_mask());
    limit = least(limit, processors_in_quota());
    return std::max<std::int64_t>(limit.value_or(1), 1);
}

}  // namespace normgraph::kernel
