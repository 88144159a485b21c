#pragma once
#include "actors/host/turn.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// How a handler may be called.
struct handler_info {
  std::string name;
  bool query = false;
  bool reply_only = false; ///< takes answers to sends; nobody may call it
};

/// What a loaded module says of itself.
struct module_info {
  std::string app;
  std::uint32_t state_version = 0;
  std::vector<handler_info> handlers;
  /// Null when there is no handler of that name.
  [[nodiscard]] const handler_info* find(std::string_view name) const noexcept;
};

enum class host_errc : std::uint8_t {
  not_found = 1, ///< No such file or catalog entry.
  not_a_module,  ///< Not loadable, or without `banyan_module`.
  table_version, ///< Made for another table version than this peer's.
  name_mismatch, ///< The module holds no app of the name asked for.
  refused,       ///< The app refused its configuration.
  hung,          ///< A turn ran longer than `turn_time_max`.
  died,          ///< The host is gone (a process, or a simulated one).
};
const char* to_string(host_errc e) noexcept;

/// The host runs nothing any more. Orders without a result will never get one;
/// `restart()` makes a new, empty host, and they have to be submitted again.
struct host_failed {
  host_errc why = host_errc::died;
  std::string message;     ///< for people: cause and next step
  turn_suspects died_of{}; ///< the turn that it was in, if that is known
};

/// Called on the loop thread, never from inside a call of `host`. Set once,
/// before `start()`; they must live until `stop()` returned.
struct host_handlers {
  std::function<void(const module_info&)> on_ready;
  std::function<void(std::vector<turn_result>)> on_results;
  std::function<void(const host_failed&)> on_failed;
  /// A line that the code wrote to standard output or error; may be empty.
  std::function<void(std::string_view)> on_line{};
  /// A turn (which, if known) runs for longer than `turn_time_slow`; said once
  /// for each; may be empty.
  std::function<void(const std::optional<turn_key>&, duration)> on_slow{};
};

/// What to run and how.
struct host_options {
  std::string app;          ///< of the mesh; empty: of none, a trial
  banyan::incarnation life; ///< of the node, for `trail`
  std::string module;       ///< the app's name in the module, e.g. `ledger`
  std::string file; ///< path of the shared object; empty: from the catalog
  /// The hash of the file, when the spec names it so; all zero: the spec has
  /// none for this node's target. Nothing: `module` names it.
  std::optional<digest> code;
  bytes config;      ///< the spec's [config] as a msgpack map; empty: none
  std::string trail; ///< file of its `turn_trail`; empty: none
  /// The spec's secrets, a msgpack map {name: blob}, each time that a host
  /// begins: whoever asks wipes it. May be empty: there are none.
  std::function<bytes()> secrets{};
  bool own_process = true; ///< the spec's `isolation`; false: a thread
  duration turn_time_max = std::chrono::seconds{10}; ///< ends the host
  duration turn_time_slow = std::chrono::seconds{1}; ///< is said
  /// Bytes of data that its process may have; 0: no limit.
  std::uint64_t memory_max = std::uint64_t{1} << 30;
};

/// Where the code of one app runs on one node: asynchronous, batched, bytes in
/// and effects or a failure out. A thread of this process, a process of its own
/// or a simulated one; slow, hung and dead are cases that its owner handles.
///
/// All calls on the loop thread; none of them blocks. Each order gets exactly
/// one result with its key, in any order between actors, unless the host fails
/// or is restarted or stopped first: then it gets none. A result is never
/// delivered after `on_failed`, `restart()` or `stop()`. What a handler throws
/// is a result (`failed`), not a failure of the host.
class host {
public:
  host() = default;
  host(const host&) = delete;
  host& operator=(const host&) = delete;
  virtual ~host() = default;

  /// Loads the module; `on_ready` or `on_failed` follows. Once.
  virtual void start() = 0;
  /// Runs the orders, one after another. Allowed before `on_ready`: they wait.
  /// On a failed or stopped host they are dropped without a result.
  virtual void submit(std::vector<turn_order> orders) = 0;
  /// Drops all that is outstanding and starts over; `on_ready` or `on_failed`
  /// follows. For a failed host, or one whose owner has lost patience.
  virtual void restart() = 0;
  /// No handler is called after this. Idempotent; the destructor does it too.
  virtual void stop() = 0;

  /// When `on_time` has to be called next; `never` if not at all.
  [[nodiscard]] virtual time_point deadline() const = 0;
  /// Looks whether a turn hangs; `on_failed` follows if so.
  virtual void on_time(time_point now) = 0;

  /// Orders without a result, for shedding load.
  [[nodiscard]] virtual std::size_t outstanding() const = 0;
};

} // namespace banyan
