#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

/// How many processors this process may use.
namespace normgraph::kernel {

/// The least of what the machine has, what the calling thread's affinity mask allows (Linux), and
/// what the control group's quota pays for (Linux); at least 1. Reads files: some 50 µs.
std::int64_t available_processors();

/// Processors in the calling thread's affinity mask; nothing where the system does not tell.
std::optional<std::int64_t> processors_in_affinity_mask();

/// Processor time per time that the control group of this process may use, rounded up to whole
/// processors; nothing if it has no quota. Both versions of control groups are read (`cpu.max`;
/// `cpu.cfs_quota_us` over `cpu.cfs_period_us`), where systemd and container runtimes mount them,
/// and every parent group counts. What cannot be read or understood is no limit.
///
/// `root` is the directory in which `proc/self/cgroup` and `sys/fs/cgroup` are found.
std::optional<std::int64_t> processors_in_quota(const std::filesystem::path& root = "/");

}  // namespace normgraph::kernel
