#pragma once
#include "base/assert.hpp"

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace banyan {

/// Wraps an error so that `result<T, E>` can tell it from a value:
/// `return failure{store_errc::full};`
template <class E>
struct failure {
  E code;
};
template <class E>
failure(E) -> failure<E>;

/// A value of `T`, or why there is none. The world's faults travel in it; our
/// own faults are asserted. Reading the wrong side aborts.
template <class T, class E>
class [[nodiscard]] result {
public:
  using value_type = T;
  using error_type = E;

  template <class U = T,
            std::enable_if_t<std::is_convertible_v<U&&, T>, int> = 0>
  result(U&& v) // NOLINT(google-explicit-constructor): a value is a result
      : v_{std::in_place_index<0>, std::forward<U>(v)} {}
  template <class F, std::enable_if_t<std::is_convertible_v<F&&, E>, int> = 0>
  result(failure<F> e) // NOLINT(google-explicit-constructor): an error too
      : v_{std::in_place_index<1>, std::move(e.code)} {}

  [[nodiscard]] bool ok() const noexcept { return v_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  [[nodiscard]] T& value() & {
    BANYAN_ASSERT(ok());
    return *std::get_if<0>(&v_);
  }
  [[nodiscard]] const T& value() const& {
    BANYAN_ASSERT(ok());
    return *std::get_if<0>(&v_);
  }
  [[nodiscard]] T&& value() && {
    BANYAN_ASSERT(ok());
    return std::move(*std::get_if<0>(&v_));
  }
  [[nodiscard]] const E& error() const {
    BANYAN_ASSERT(!ok());
    return *std::get_if<1>(&v_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

private:
  std::variant<T, E> v_;
};

/// Success without a value, or why not. `return {};` is success.
template <class E>
class [[nodiscard]] result<void, E> {
public:
  using value_type = void;
  using error_type = E;

  result() = default;
  template <class F, std::enable_if_t<std::is_convertible_v<F&&, E>, int> = 0>
  result(failure<F> e) // NOLINT(google-explicit-constructor): an error too
      : e_{std::move(e.code)} {}

  [[nodiscard]] bool ok() const noexcept { return !e_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const E& error() const {
    BANYAN_ASSERT(!ok());
    return *e_;
  }

private:
  std::optional<E> e_;
};

} // namespace banyan
