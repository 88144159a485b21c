#pragma once
#include "actors/host/turn.hpp"
#include "actors/pure/replica_wire.hpp"
#include "base/random.hpp"

#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace banyan {

/// To the host of a version of the app, in one batch.
struct instance_turns {
  std::uint64_t version = 0;
  std::vector<turn_order> orders; ///< the time of day isn't in them
};
/// The end of a request; exactly one for each.
struct instance_answer {
  std::uint64_t call = 0; ///< as given to `on_request`
  banyan::reply reply;
};
/// What the app wrote with `ctx.log`.
struct instance_log {
  std::vector<std::string> lines;
};
using instance_effect =
    std::variant<instance_turns, instance_answer, instance_log>;

/// The instance of a stateless app on one node: requests in, turns of the host
/// and answers out. There is no state, no log and no leader: a call runs at
/// least once, and who gets no answer asks another instance. Pure; one per app
/// and node, for all versions of it.
///
/// Ends of a call besides the app's own: `deadline` (never run), `overloaded`
/// with `retry_after` (the same: it would not have been run in time, or
/// `waiting_max` wait already), `no_such_replica` (ask another instance: this
/// one lost its host, or has been without one for `host_patience`),
/// `app_failed` (its host died of it: it is not run again anywhere),
/// `invalid_argument` (what only durable apps have).
class instance_core {
public:
  static constexpr std::size_t at_host_max = 64; ///< turns, of a version each
  static constexpr std::size_t waiting_max = 1024;
  static constexpr duration host_patience = std::chrono::seconds{1};
  static constexpr duration retry_after_min = std::chrono::milliseconds{10};
  static constexpr duration retry_after_max = std::chrono::seconds{1};

  using effects = std::vector<instance_effect>;

  /// `random` must outlive it.
  instance_core(const app_id& app, random_source& random);

  void on_request(std::uint64_t call, request_frame f, time_point now,
                  effects& out);
  void on_results(std::vector<turn_result> results, time_point now,
                  effects& out);
  void on_host_up(std::uint64_t version, time_point now, effects& out);
  /// What it had never gets a result.
  void on_host_down(std::uint64_t version, const turn_suspects& died_of,
                    time_point now, effects& out);
  /// Turns go to the host of that version from now on; 0: to none, and what
  /// waits is answered at once.
  void use(std::uint64_t version, time_point now, effects& out);
  void on_tick(time_point now, effects& out);
  /// When `on_tick` is due; `never` if nothing waits.
  [[nodiscard]] time_point deadline() const;

  /// Turns at the host of that version.
  [[nodiscard]] std::size_t outstanding(std::uint64_t version) const;
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  /// What a turn takes, as lately seen; zero before the first.
  [[nodiscard]] duration turn_time() const { return turn_time_; }

private:
  struct asked {
    std::uint64_t call = 0;
    time_point until;
    time_point since; ///< it waits without a host, or since it came
    turn_order order;
  };
  struct running {
    std::uint64_t call = 0;
    std::uint64_t version = 0;
  };

  struct host {
    bool up = false;
    std::size_t running = 0;
    time_point busy_since; ///< its turns are measured from here
  };

  [[nodiscard]] bool host_up() const;
  /// What would run before one that came now.
  [[nodiscard]] std::size_t ahead() const;
  [[nodiscard]] duration expected(std::size_t ahead) const;
  void answer(std::uint64_t call, reply_status s, std::string why,
              effects& out) const;
  void pump(time_point now, effects& out);
  void note(host& h, std::size_t ended, time_point now);

  app_id app_;
  random_source& random_;
  std::uint64_t next_ = 0;
  std::uint64_t use_ = 0;
  std::map<std::uint64_t, host> hosts_;      ///< by version
  std::deque<asked> waiting_;                ///< oldest first
  std::map<std::uint64_t, running> at_host_; ///< by turn, oldest first
  duration turn_time_{};
};

} // namespace banyan
