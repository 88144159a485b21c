#pragma once
#include "actors/pure/router_core.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace banyan::sim {

/// How old the answer to a stale read may be.
inline constexpr duration age_max = std::chrono::seconds{2};

/// What a client asks for.
struct operation {
  enum class kind : std::uint8_t {
    add,     ///< counter, keys c…
    get,     ///< counter
    deposit, ///< ledger, keys a…
    withdraw,
    transfer,
    balance,
    put, ///< kv, keys k…
    extend,
    swap,
    erase,
    look,
    append, ///< list, keys l…
    read,
    forward, ///< list: from keys o… to keys i…
  };
  kind what = kind::add;
  std::string key;
  std::string id; ///< its Idempotency-Key; empty: none
  std::int64_t number = 0;
  std::string text;
  std::optional<std::string> expected; ///< of swap
  std::string to;
  bool stale = false;

  [[nodiscard]] bool query() const;
  [[nodiscard]] std::string app() const;
};

/// What it got; which of the fields says the kind.
struct answer {
  std::int64_t number = 0;
  bool yes = false;
  std::optional<std::string> text;
  std::vector<std::int64_t> list;
};

call_request request_for(const operation& o, duration deadline);
/// Nothing when `result` isn't of the kind that `o` promises.
std::optional<answer> read_answer(const operation& o, const_bytes result);

/// What an answer without a value says of the effect.
enum class effect : std::uint8_t {
  took, ///< once, and this is the answer (a rejection is one)
  none, ///< it never ran and never will under this request
  unclear,
  wrong ///< no such answer is right
};
effect effect_of(reply_status s, bool query);

} // namespace banyan::sim
