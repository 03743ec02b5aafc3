#include "normgraph/kernel/threads/processors.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace normgraph::kernel {
namespace {

using Limit = std::optional<std::int64_t>;

/// A directory with the files of control groups, in place of the system's.
class ProcessorsInQuota : public testing::Test {
protected:
    void SetUp() override {
        const testing::TestInfo* const test = testing::UnitTest::GetInstance()->current_test_info();
        root_ = std::filesystem::path(testing::TempDir()) /
                (std::string("normgraph_processors_") + test->name());
        std::filesystem::remove_all(root_);
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& file, const std::string& text) const {
        std::filesystem::create_directories((root_ / file).parent_path());
        std::ofstream(root_ / file) << text;
    }
    /// The memberships that the kernel lists: "hierarchy:controllers:path", a line for each.
    void write_memberships(const std::string& text) const { write("proc/self/cgroup", text); }
    void write_quota(const std::string& group, const std::string& quota,
                     const std::string& period) const {
        write(group + "/cpu.cfs_quota_us", quota);
        write(group + "/cpu.cfs_period_us", period);
    }
    Limit limit() const { return processors_in_quota(root_); }

private:
    std::filesystem::path root_;
};

TEST_F(ProcessorsInQuota, NoFilesAreNoLimit) {
    EXPECT_EQ(limit(), std::nullopt);
    write_memberships("0::/\n");
    EXPECT_EQ(limit(), std::nullopt);
}

TEST_F(ProcessorsInQuota, Version2IsRoundedUp) {
    write_memberships("0::/\n");
    const auto limit_for = [&](const std::string& text) {
        write("sys/fs/cgroup/cpu.max", text);
        return limit();
    };
    EXPECT_EQ(limit_for("200000 100000\n"), 2);
    EXPECT_EQ(limit_for("200001 100000\n"), 3);
    EXPECT_EQ(limit_for("1000 100000\n"), 1);
    EXPECT_EQ(limit_for("640000 10000\n"), 64);
    EXPECT_EQ(limit_for("max 100000\n"), std::nullopt);
}

TEST_F(ProcessorsInQuota, Version2CountsParents) {
    write_memberships("0::/user.slice/session.scope\n");
    write("sys/fs/cgroup/cpu.max", "max 100000\n");
    write("sys/fs/cgroup/user.slice/session.scope/cpu.max", "800000 100000\n");
    EXPECT_EQ(limit(), 8);
    write("sys/fs/cgroup/user.slice/cpu.max", "300000 100000\n");
    EXPECT_EQ(limit(), 3);
    write("sys/fs/cgroup/user.slice/session.scope/cpu.max", "150000 100000\n");
    EXPECT_EQ(limit(), 2);
}

TEST_F(ProcessorsInQuota, OtherGroupsDoNotCount) {
    write_memberships("0::/mine\n");
    write("sys/fs/cgroup/mine/cpu.max", "400000 100000\n");
    write("sys/fs/cgroup/mine/below/cpu.max", "100000 100000\n");
    write("sys/fs/cgroup/other/cpu.max", "100000 100000\n");
    EXPECT_EQ(limit(), 4);
}

TEST_F(ProcessorsInQuota, GroupOutsideOfTheMountHasTheMountsLimit) {
    write("sys/fs/cgroup/cpu.max", "200000 100000\n");
    write_memberships("0::/container/named/by/the/host\n");
    EXPECT_EQ(limit(), 2);
    write("sys/fs/cpu.max", "100000 100000\n");
    write_memberships("0::/../sibling\n");
    EXPECT_EQ(limit(), 2);
}

TEST_F(ProcessorsInQuota, Version1IsRoundedUp) {
    write_memberships("12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n");
    write_quota("sys/fs/cgroup/cpu/docker/abc", "250000\n", "100000\n");
    EXPECT_EQ(limit(), 3);
    write_quota("sys/fs/cgroup/cpu/docker", "100000\n", "50000\n");
    EXPECT_EQ(limit(), 2);
}

TEST_F(ProcessorsInQuota, Version1IsFoundUnderItsOtherName) {
    write_memberships("4:cpuacct,cpu:/\n");
    write_quota("sys/fs/cgroup/cpu,cpuacct", "500000\n", "100000\n");
    EXPECT_EQ(limit(), 5);
}

TEST_F(ProcessorsInQuota, Version1OfOtherControllersDoesNotCount) {
    write_memberships("4:cpuset,cpuacct:/\n");
    write_quota("sys/fs/cgroup/cpu", "100000\n", "100000\n");
    EXPECT_EQ(limit(), std::nullopt);
}

TEST_F(ProcessorsInQuota, Version1WithoutQuotaIsNoLimit) {
    write_memberships("4:cpu,cpuacct:/\n");
    write_quota("sys/fs/cgroup/cpu", "-1\n", "100000\n");
    EXPECT_EQ(limit(), std::nullopt);
}

TEST_F(ProcessorsInQuota, BothVersionsAtOnceGiveTheLesser) {
    write_memberships("4:cpu:/\n0::/group\n");
    write_quota("sys/fs/cgroup/cpu", "300000\n", "100000\n");
    write("sys/fs/cgroup/unified/group/cpu.max", "700000 100000\n");
    EXPECT_EQ(limit(), 3);
    write_quota("sys/fs/cgroup/cpu", "900000\n", "100000\n");
    EXPECT_EQ(limit(), 7);
}

TEST_F(ProcessorsInQuota, WhatIsNotUnderstoodIsNoLimit) {
    for (const std::string text : {"", "\n", "lots\n", "100000\n", "100000 0\n", "-5 100000\n"}) {
        write_memberships("0::/\n");
        write("sys/fs/cgroup/cpu.max", text);
        EXPECT_EQ(limit(), std::nullopt) << text;
    }
    write("sys/fs/cgroup/cpu.max", "100000 100000\n");
    for (const std::string text : {"", "\n", "nonsense\n", "0:\n"}) {
        write_memberships(text);
        EXPECT_EQ(limit(), std::nullopt) << text;
    }
}

TEST(AvailableProcessors, AreAtLeastOneAndNoMoreThanTheMachineHas) {
    EXPECT_GE(available_processors(), 1);
    if (std::thread::hardware_concurrency() > 0) {
        EXPECT_LE(available_processors(), std::thread::hardware_concurrency());
    }
}

#if defined(__linux__)
TEST(AvailableProcessors, FollowTheAffinityMask) {
    const Limit before = processors_in_affinity_mask();
    // In a thread of its own, so that the mask ends with the test.
    std::thread([&] {
        cpu_set_t mask;
        ASSERT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
        EXPECT_EQ(before, CPU_COUNT(&mask));
        int processor = 0;
        while (!CPU_ISSET(processor, &mask)) {
            ++processor;
        }
        CPU_ZERO(&mask);
        CPU_SET(processor, &mask);
        ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
        EXPECT_EQ(processors_in_affinity_mask(), 1);
        EXPECT_EQ(available_processors(), 1);
    }).join();
    EXPECT_EQ(processors_in_affinity_mask(), before);
}
#endif

}  // namespace
}  // namespace normgraph::kernel
