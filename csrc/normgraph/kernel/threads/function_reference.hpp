#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace normgraph::kernel {

/// A callable passed by reference, as a parameter: two pointers, no allocation. It must not outlive
/// the callable, so it is no type for members or results.
template <class Signature>
class FunctionReference;

template <class Result, class... Arguments>
class FunctionReference<Result(Arguments...)> {
public:
    template <class Callable>
        requires(!std::same_as<std::remove_cvref_t<Callable>, FunctionReference> &&
                 std::is_object_v<std::remove_reference_t<Callable>> &&
                 std::is_invocable_r_v<Result, Callable&, Arguments...>)
    // NOLINTNEXTLINE(google-explicit-constructor): a lambda is handed over
    FunctionReference(Callable&& callable) noexcept
        : callable_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
          call_([](void* object, Arguments... arguments) -> Result {
              return (*static_cast<std::remove_reference_t<Callable>*>(object))(
                  std::forward<Arguments>(arguments)...);
          }) {}

    Result operator()(Arguments... arguments) const {
        return call_(callable_, std::forward<Arguments>(arguments)...);
    }

private:
    void* callable_;
    Result (*call_)(void*, Arguments...);
};

}  // namespace normgraph::kernel
