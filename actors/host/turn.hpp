#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// Names an order and its result. A result whose key its receiver no longer
/// waits for (another term, replica id or number) counts for nothing.
struct turn_key {
  group_id group;
  replica_id replica;
  banyan::term term;
  std::uint64_t number = 0; ///< the replica's own; unique within the term
  friend bool operator==(const turn_key& a, const turn_key& b) {
    return a.number == b.number && a.term == b.term && a.group == b.group
           && a.replica == b.replica;
  }
  friend bool operator!=(const turn_key& a, const turn_key& b) {
    return !(a == b);
  }
};

/// What a host that is gone may have died of.
struct turn_suspects {
  /// `turn` says it all: that one, or (none) no turn at all. Otherwise any of
  /// those that were outstanding.
  bool known = false;
  std::optional<turn_key> turn;
  [[nodiscard]] bool suspects(const turn_key& k) const {
    return !known || (turn && *turn == k);
  }
};

/// Where a message comes from. A handler that takes answers runs for `reply`
/// alone, so nobody outside can forge one.
enum class turn_origin : std::uint8_t { client, send, reply, timer };

/// A row of one of the actor's tables. The key is the module's business: the
/// replica stores it under the actor and compares keys as bytes.
struct turn_row {
  bytes key;
  std::optional<shared_bytes> value; ///< none: there is no such row
};

/// The rows with from <= key < until, ascending, at most `limit` of them. An
/// empty `until` has no upper end.
struct turn_range {
  bytes from;
  bytes until;
  std::uint32_t limit = 0;
  friend bool operator==(const turn_range& a, const turn_range& b) {
    return a.limit == b.limit && a.from == b.from && a.until == b.until;
  }
};

/// What the replica found in a range. `complete`: nothing follows the last of
/// `rows` in the range; otherwise the limit (or a byte limit of the replica's,
/// but at least one row) ended it.
struct turn_range_rows {
  turn_range range;
  std::vector<turn_row> rows; ///< each has a value
  bool complete = false;
};

/// One message for one actor, with all that the handler may see. Bytes in; the
/// host keeps nothing between turns, so any voter's host can run any turn.
struct turn_order {
  turn_key key;
  /// The version of the actor that `state` and rows were read at; echoed.
  std::uint64_t version = 0;
  std::string actor;   ///< the actor's key, 1 to 255 bytes of UTF-8
  std::string command; ///< name of a command or query
  bool query = false;  ///< must not change anything: a command is refused
  turn_origin origin = turn_origin::client;
  bytes argument;                      ///< msgpack; empty: none was given
  shared_bytes state;                  ///< empty: a new actor
  std::vector<turn_row> rows;          ///< as asked for by `needs_rows`
  std::vector<turn_range_rows> ranges; ///< the same
  std::uint32_t round = 0; ///< how often `needs_rows` was answered before
  std::chrono::milliseconds now{0}; ///< wall clock, since 1970; for ctx.now()
  std::uint64_t seed = 0;           ///< for ctx.random()
  std::string caller; ///< `app/key` of the sending actor; empty for a client
  bytes
      request; ///< names it within its group, whoever runs it; empty: nameless
};

enum class turn_outcome : std::uint8_t {
  ok = 0,          ///< `answer` and effects.
  rejected,        ///< The app said no: `code`, `message`; no effects.
  invalid,         ///< `invalid_argument`: `message` has the path; no effects.
  failed,          ///< `app_failed`: threw, or broke a limit; no effects.
  unknown_command, ///< No such handler, or not in this role; no effects.
  newer_state,     ///< Another module version wrote the state: lead elsewhere.
  needs_rows,      ///< Run again with `rows_needed`, `ranges_needed` added.
};
const char* to_string(turn_outcome o) noexcept;

struct turn_send {
  std::string app; ///< empty: the sender's own app
  std::string key;
  std::string command;
  bytes argument;
  /// The sender's handler that takes the answer, with `reply_argument` of it;
  /// empty: nobody waits for it.
  std::string on_reply;
};

struct turn_timer {
  /// One timer per name and actor: setting it again replaces it. An unnamed
  /// one can't be cancelled.
  std::string name;
  std::chrono::milliseconds after{0}; ///< in log time
  std::string command;
  bytes argument;
};

/// What a turn did. Everything but `log` is void unless `outcome` is ok, and
/// leaves the replica only with the committed entry.
struct turn_result {
  turn_key key;
  std::uint64_t version = 0; ///< echo of the order's
  turn_outcome outcome = turn_outcome::failed;
  bytes answer; ///< msgpack; well formed, finite, UTF-8
  std::string code;
  std::string message;
  std::optional<bytes> state;     ///< the new state; none: unchanged
  std::vector<turn_row> rows;     ///< written (value) and erased (none) rows
  std::vector<turn_send> sends;   ///< in the order in which they were sent
  std::vector<turn_timer> timers; ///< set; named ones replace
  std::vector<std::string> cancelled; ///< names; none of them is in `timers`
  /// The actor is gone: state, all rows and all timers. Sends still leave;
  /// `state`, `rows`, `timers` and `cancelled` are then empty.
  bool removed = false;
  std::vector<std::string> log;
  std::vector<bytes> rows_needed;
  std::vector<turn_range> ranges_needed;
};

/// What one turn may take. Over them the turn is `failed` and names the limit.
struct turn_limits {
  static constexpr std::size_t argument_bytes_max = 1 << 20;
  /// All effects and the answer of one turn together: one log entry.
  static constexpr std::size_t result_bytes_max = 4 << 20;
  static constexpr std::size_t sends_max = 1000;
  static constexpr std::size_t timers_max = 1000;
  /// State and rows that a turn reads.
  static constexpr std::size_t read_bytes_max = std::size_t{96} << 20;
  static constexpr std::size_t rows_max = 10'000; ///< read, and written
  static constexpr std::size_t row_key_bytes_max = 1024;
  static constexpr std::size_t log_lines_max = 1000;
  static constexpr std::uint32_t rounds_max = 64; ///< of `needs_rows`
};

/// The argument of the `on_reply` command for an answer to `sent`: what was
/// sent, to whom, and the answer or code and message. `code` is empty exactly
/// when it was answered with a value; failures of the runtime's have its codes
/// (`app_failed`, `poisoned`, `not_found`, ...).
bytes reply_argument(const turn_send& sent, const_bytes answer,
                     std::string_view code, std::string_view message);

/// The bytes that cross the module's table (actors/banyan/module.h).
bytes encode_turn(const turn_order& order);
/// What calling a module came to, before anything of it is believed.
struct raw_turn {
  std::uint64_t number = 0; ///< of the order, where several are under way
  std::int32_t code = 0;    ///< what `run` returned
  unsigned calls = 0;       ///< of its sink
  bool too_large = false;   ///< over `result_bytes_max`; `data` is empty then
  bytes data;
};

/// What is kept of an order until its result is there.
struct turn_claim {
  turn_key key;
  std::uint64_t version = 0;
  std::string command;
  bool query = false;
  std::uint32_t round = 0;
};
turn_claim claim_of(const turn_order& order);
/// The result of an order that no code has to be run for: one over a limit.
std::optional<turn_result> refuse_turn(const turn_order& order);
/// The result of the order; whatever the module gave is bounded and checked.
turn_result judge_turn(const turn_claim& claim, const raw_turn& raw);

/// Reads what a module gave back, into all but the echo. False: malformed or
/// over a limit; `why` says what. Foreign bytes: bounded, never trusted.
bool decode_result(const_bytes in, turn_result& out, std::string& why);

} // namespace banyan
