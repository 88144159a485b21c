#pragma once
#include <banyan/detail/types.hpp>
#include <banyan/fields.hpp>

#include <string>
#include <utility>
#include <variant>

namespace banyan {

struct rejection {
  std::string code;
  std::string message;
};

/// The app says no: the caller gets `rejected` with this code (1 to 64 bytes)
/// and message, and the turn leaves no effects: no state, send or timer.
inline rejection reject(std::string code, std::string message = {}) {
  return {std::move(code), std::move(message)};
}

/// What a handler gives that may also say no: a `T` or `reject(...)`.
template <class T>
class [[nodiscard]] reply {
public:
  template <class U, std::enable_if_t<std::is_convertible_v<U&&, T>, int> = 0>
  reply(U&& v) // NOLINT(google-explicit-constructor): a value is a reply
      : v_{std::in_place_index<0>, std::forward<U>(v)} {}
  reply(rejection r) // NOLINT(google-explicit-constructor): and so is a no
      : v_{std::in_place_index<1>, std::move(r)} {}

  [[nodiscard]] bool ok() const noexcept { return v_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  /// Throws std::bad_variant_access when it's a no.
  [[nodiscard]] const T& value() const { return std::get<0>(v_); }
  [[nodiscard]] const T& operator*() const { return value(); }
  [[nodiscard]] const rejection& why() const { return std::get<1>(v_); }

private:
  std::variant<T, rejection> v_;
};

/// Nothing or a no. `return {};` is success.
template <>
class [[nodiscard]] reply<void> {
public:
  reply() = default;
  reply(rejection r) // NOLINT(google-explicit-constructor)
      : v_{std::in_place_index<1>, std::move(r)} {}
  [[nodiscard]] bool ok() const noexcept { return v_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const rejection& why() const { return std::get<1>(v_); }

private:
  std::variant<none, rejection> v_;
};

/// What came back for a `ctx.send(..., on_reply<&app::handler>)`: the argument
/// of that handler. Nobody outside the mesh can call such a handler.
template <class Sent, class Value = none>
struct answer {
  std::string to;   ///< the key of the actor that was sent to
  Sent sent{};      ///< the argument that was sent
  Value value{};    ///< the answer, when ok()
  std::string code; ///< the app's own, or `app_failed`, `not_found`, ...
  std::string message;
  [[nodiscard]] bool ok() const noexcept { return code.empty(); }
  BANYAN_FIELDS(to, sent, value, code, message);
};

} // namespace banyan
