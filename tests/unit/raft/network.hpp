#pragma once
#include "base/random.hpp"
#include "store/raft/core.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace banyan::raft_test {

/// Replica `n` of node `n`, for people: both ids end in n.
replica_ref replica(unsigned n);
unsigned number_of(const replica_ref& r);

/// What survives a crash of one replica.
struct disk {
  hard_state state;
  log_base base;
  std::vector<log_entry> entries;
  log_base applied; ///< the state machine; at or behind `base`
  std::vector<std::pair<log_index, raft::configuration>> configurations;

  void write(const raft::persist& order);
  [[nodiscard]] const raft::configuration& configuration_at(log_index i) const;
  [[nodiscard]] raft::restart_state restart() const;
  /// While it is not known what the state is good for.
  [[nodiscard]] raft::restart_state log_alone() const;
};

/// Chances and times of one simulated network; everything else follows from
/// the seed.
struct weather {
  double loss = 0.05;
  double duplicate = 0.02;
  double slow = 0.1; ///< messages and writes that take up to `slow_max`
  duration fast_max = 2ms;
  duration slow_max = 60ms;
  bool restless = false; ///< evidence and crashes all the time
};

/// Cores on a virtual network with virtual disks, and checkers that stand
/// outside: one leader per term, committed entries never change, logs match,
/// no confirmed read misses what was committed before it was asked.
class network {
public:
  network(std::uint64_t seed, unsigned voters, unsigned spares,
          raft::options opts, weather w);

  /// Runs all events up to `now() + span`.
  void run(duration span);
  /// One random thing happens: a proposal, read, crash, partition…
  void disturb();
  /// Everybody up, connected, without loss.
  void heal();
  /// After `heal`: a proposal is committed everywhere within `limit`.
  void expect_convergence(duration limit);
  void check();

  [[nodiscard]] time_point now() const { return now_; }
  /// The first thing that went wrong; empty when nothing has.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

  struct totals {
    std::uint64_t messages = 0, commits = 0, reads = 0, fresh = 0, changes = 0,
                  elections = 0, crashes = 0, snapshots = 0, transfers = 0,
                  sleeps = 0, pending = 0;
  };
  totals count;

private:
  struct machine {
    replica_ref id;
    std::unique_ptr<raft::core> core; ///< none while down
    disk stored;
    std::vector<raft::persist> writing; ///< ordered, not synced
    time_point writes_done;
    unsigned life = 0;
    log_index applied;
    bool pending = false;                     ///< its state is not known yet
    std::map<std::uint64_t, log_index> reads; ///< context: least index
    std::map<time_point, log_index> asked;    ///< confirm: least index
  };
  using event = std::function<void()>;

  void at(time_point when, event e);
  void start(machine& m);
  void find_state(machine& m);
  void crash(machine& m);
  void settle(machine& m);
  void carry_out(machine& m, raft::effect& e);
  void send(const raft::message& m);
  void deliver(const raft::message& m);
  void order(machine& m, raft::persist p);
  void apply(machine& m, const raft::committed& c);
  void send_snapshot(machine& from, const replica_ref& to);
  void complain(const std::string& what);
  [[nodiscard]] std::string describe() const;
  machine* find(const replica_ref& r);
  machine& any();
  machine* any_leader();
  [[nodiscard]] bool connected(const replica_ref& a,
                               const replica_ref& b) const;
  duration delay();
  void change_something(machine& leader);
  void unrest();

  seeded_random random_;
  raft::options opts_;
  weather weather_;
  time_point now_{std::chrono::hours{1}};
  std::multimap<time_point, event> events_;
  std::vector<std::unique_ptr<machine>> machines_;
  std::set<replica_ref> cut_off_;
  std::map<term, replica_ref> leaders_;
  std::map<log_index, log_entry> committed_;
  log_index acknowledged_; ///< the last that some leader saw committed
  std::map<std::pair<std::uint64_t, std::uint64_t>, bytes> seen_;
  std::uint64_t contexts_ = 0;
  std::string complaint_;
};

} // namespace banyan::raft_test
