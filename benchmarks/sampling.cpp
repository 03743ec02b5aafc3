#include "sampling.hpp"

#include <algorithm>
#include <chrono>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace normgraph::measurement {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

long page_faults_so_far() {
#if defined(__unix__) || defined(__APPLE__)
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
#else
    return 0;
#endif
}

/// Warm calls may be shorter than the clock can tell: enough of them are timed together.
constexpr double shortest_stretch = 100e-6;

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// The samples of one work.
class Sampler {
public:
    Sampler(const Work& work, const std::vector<TensorSet>& sets, bool cold)
        : work_(work), sets_(sets), cold_(cold) {}

    /// The caches, and stores that still wait to be written back, are as this work itself leaves
    /// them: an untimed call comes first, on the set before.
    void take_samples() {
        if (cold_) {
            work_(next_set());
            time_calls(1);
            time_calls(1);
        } else {
            warm_up();
            time_calls(calls_per_stretch_);
        }
    }

    int sample_count() const { return static_cast<int>(seconds_.size()); }
    Timing timing() const { return {median_of(seconds_), page_faults_}; }

private:
    const TensorSet& next_set() {
        position_ = (position_ + 1) % sets_.size();
        return sets_[position_];
    }

    /// Also finds how many calls make a stretch long enough.
    void warm_up() {
        const auto start = Clock::now();
        int calls = 0;
        do {
            work_(sets_.front());
            ++calls;
        } while (seconds_since(start) < shortest_stretch);
        calls_per_stretch_ = std::max(calls_per_stretch_, calls);
    }

    void time_calls(int calls) {
        const TensorSet& set = next_set();
        const long faults_before = page_faults_so_far();
        const auto start = Clock::now();
        for (int call = 0; call < calls; ++call) {
            work_(set);
        }
        seconds_.push_back(seconds_since(start) / calls);
        page_faults_ += page_faults_so_far() - faults_before;
    }

    const Work& work_;
    const std::vector<TensorSet>& sets_;
    bool cold_;
    std::size_t position_ = 0;
    int calls_per_stretch_ = 1;
    std::vector<double> seconds_;
    long page_faults_ = 0;
};

}  // namespace

std::vector<Timing> sample(const std::vector<Work>& works, const std::vector<TensorSet>& sets,
                           const SamplingPlan& plan) {
    std::vector<Sampler> samplers;
    for (const Work& work : works) {
        samplers.emplace_back(work, sets, plan.cold);
    }
    const auto start = Clock::now();
    do {
        for (Sampler& sampler : samplers) {
            sampler.take_samples();
        }
    } while (samplers.front().sample_count() < plan.at_least ||
             seconds_since(start) < plan.seconds);
    std::vector<Timing> timings;
    for (const Sampler& sampler : samplers) {
        timings.push_back(sampler.timing());
    }
    return timings;
}

}  // namespace normgraph::measurement
