#pragma once
/// What a call from outside gives back, for <banyan/client.hpp> and
/// <banyan/testing.hpp>.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace banyan {

/// Why there is no value. The HTTP API has the same words.
enum class call_errc : std::uint8_t {
  rejected = 1,     ///< The app said no: `call_error::code` is its own.
  invalid_argument, ///< Refused before it ran; the message has the path.
  not_found,        ///< No such app, command or query.
  conflict,         ///< This idempotency key was used with another body.
  expired,          ///< Asked again too late: whether it ran is not known.
  too_large,        ///< Argument, answer or effects are over a limit.
  overloaded,       ///< Not run: too much is under way; try later.
  app_failed,       ///< The handler threw, or its host died under it.
  poisoned,         ///< Three hosts died of it: it isn't run again.
  no_quorum,        ///< Not run: no majority of the group's voters answers.
  parked,           ///< Not run: the app failed everywhere and rests.
  stopped,          ///< Not run: an operator stopped the app.
  deadline,         ///< Time ran out before it ran: it never will.
  unknown,          ///< Time ran out after it was sent: it may have run.
  disk_full,        ///< Not run: the group's disks are full.
  unauthorized,
  forbidden,
  unreachable,    ///< Not sent: no peer could be reached.
  invalid_answer, ///< It ran, but its answer isn't of the type asked for.
};
/// `rejected`, `invalid_argument`, ...: as the HTTP API spells it.
inline const char* to_string(call_errc e) noexcept {
  constexpr const char* words[] = {"",
                                   "rejected",
                                   "invalid_argument",
                                   "not_found",
                                   "conflict",
                                   "expired",
                                   "too_large",
                                   "overloaded",
                                   "app_failed",
                                   "poisoned",
                                   "no_quorum",
                                   "parked",
                                   "stopped",
                                   "deadline",
                                   "unknown",
                                   "disk_full",
                                   "unauthorized",
                                   "forbidden",
                                   "unreachable",
                                   "invalid_answer"};
  const auto n = static_cast<std::size_t>(e);
  return n < sizeof words / sizeof *words ? words[n] : "";
}

struct call_error {
  call_errc error = call_errc::unknown;
  std::string code;    ///< the app's own when `rejected`, else to_string(error)
  std::string message; ///< for people
  /// With `overloaded`: there may be room after this.
  std::optional<std::chrono::milliseconds> retry_after{};
};

/// A value of `T`, or why there is none.
template <class T>
class [[nodiscard]] call_result {
public:
  call_result(T v) // NOLINT(google-explicit-constructor): a value is a result
      : v_{std::in_place_index<0>, std::move(v)} {}
  call_result(call_error e) // NOLINT(google-explicit-constructor): so is a no
      : v_{std::in_place_index<1>, std::move(e)} {}

  [[nodiscard]] bool ok() const noexcept { return v_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  /// Throws std::bad_variant_access when there is none.
  [[nodiscard]] T& value() & { return std::get<0>(v_); }
  [[nodiscard]] const T& value() const& { return std::get<0>(v_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const call_error& error() const { return std::get<1>(v_); }

private:
  std::variant<T, call_error> v_;
};

/// Success without a value, or why not.
template <>
class [[nodiscard]] call_result<void> {
public:
  call_result() = default;
  call_result(call_error e) // NOLINT(google-explicit-constructor)
      : e_{std::move(e)} {}
  [[nodiscard]] bool ok() const noexcept { return !e_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const call_error& error() const { return e_.value(); }

private:
  std::optional<call_error> e_;
};

struct call_options {
  std::chrono::milliseconds deadline{5000};
  /// Queries only: any voter may answer with state that was current no longer
  /// ago than this. None: linearizable.
  std::optional<std::chrono::milliseconds> max_staleness{};
  /// Commands only: the same key is the same call, whoever makes it and
  /// whenever (for at least 10 minutes). Without one, a call that is repeated
  /// by whoever carries it still takes effect once.
  std::string idempotency_key{};
};

namespace detail {

/// A call as it leaves the typed surface: plain bytes.
struct call_order {
  std::string app;
  std::string key;
  std::string command;
  std::vector<std::uint8_t> argument; ///< msgpack
  bool query = false;
  call_options options;
};
using call_outcome = call_result<std::vector<std::uint8_t>>;
using call_done = std::function<void(call_outcome)>;

} // namespace detail
} // namespace banyan
