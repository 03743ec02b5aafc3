#include "normgraph/kernel/threads/executor.hpp"

namespace normgraph::kernel {
namespace {

constinit thread_local const ScopedExecutor* current_executor = nullptr;

}  // namespace

ScopedExecutor::ScopedExecutor(Run run) noexcept : run_(run), outer_(current_executor) {
    current_executor = this;
}

ScopedExecutor::~ScopedExecutor() {
    current_executor = outer_;
}

const ScopedExecutor* ScopedExecutor::current() noexcept {
    return current_executor;
}

}  // namespace normgraph::kernel
