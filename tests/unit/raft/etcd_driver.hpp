#pragma once
#include "datadriven.hpp"
#include "etcd_reader.hpp"
#include "network.hpp"

#include <deque>
#include <map>
#include <memory>

namespace banyan::raft_test {

/// Plays the directives of etcd's interaction files on our cores: the same
/// inputs in the same order, a Ready as a flush with its write. What differs by
/// design is put on like for like, so that the rest can be compared:
/// - without `prevote` the pre-votes of a campaign are granted unseen;
/// - without `checkquorum` a leader's patience with its quorum has no end;
/// - a leader beats at once when its commit moves, as etcd's appends tell it;
/// - a timer fires where the text says so;
/// - a configuration change that comes before its leader's own-term commit is
///   asked again at each Ready until it is taken.
class etcd_driver {
public:
  /// Runs `d` and repeats the facts in `d.expected`, each line followed by one
  /// that begins with `ours` when our core holds something else.
  std::string run(const directive& d);

private:
  struct machine {
    replica_ref id;
    std::unique_ptr<seeded_random> random;
    std::unique_ptr<raft::core> core;
    hard_state hard; ///< as ordered last
    std::deque<raft::persist> writing;
    disk stored;
    log_index told; ///< the commit that its followers have heard of
    std::deque<std::vector<raft::change>> changes; ///< not taken yet
    unsigned ticks_left = 0; ///< until its timer is said to fire; 0: not
  };
  struct snapshot {
    log_base base;
    raft::configuration configuration;
  };
  struct in_flight {
    replica_ref from, to;
    std::optional<raft::message> message; ///< none: a whole snapshot
    snapshot state;
  };

  void add_nodes(const directive& d);
  void campaign(machine& m);
  void propose_change(machine& m, const directive& d);
  bool flush(machine& m);
  bool ready(machine& m);
  bool deliver(machine& m);
  void drop_for(const directive& d);
  void stabilize(const std::vector<unsigned>& nodes);
  void send_snapshot(machine& from, const replica_ref& to);
  void sync(machine& m, std::size_t writes);
  [[nodiscard]] std::string compare(const std::string& expected) const;
  [[nodiscard]] replica_facts facts_of(const machine& m) const;
  machine& at(const std::string& number);

  std::map<unsigned, machine> machines_;
  std::vector<in_flight> wire_;
  std::map<log_index, log_entry> committed_; ///< checked: the same for all
  std::string complaint_;
  time_point now_{std::chrono::hours{1}};
  bool pre_vote_ = false;
  bool async_ = false;
};

} // namespace banyan::raft_test
