#pragma once
#include "datadriven.hpp"
#include "network.hpp"

namespace banyan::raft_test {

/// A few cores moved by hand: every message and every write waits until a
/// command lets it go. What a command causes is its output.
///
///     group voters=(1,2,3) [learners=(4)] [spares=1] [append_entries=1]
///     expire N            to N's deadline, and tick N alone
///     wait MS             only the clock moves
///     tick N
///     sync N [writes=K]   completes N's (first K) writes
///     deliver [A->B | N] [kind]   delivers what waits (at all, between, to N)
///     drop    [A->B | N] [kind]
///     repeat  [A->B | N] [kind]     delivers, and it will come again
///     run                 delivers and completes all until quiet, in silence
///     live MS             time passes for all, without delays
///     elect N             N leads with all durable, in silence
///     propose N TEXT…     one flush for all
///     read N CONTEXT      confirm N      transfer N to=M
///     change N v4 r3 l5   lost N leader=L rank=R [why=…]   wake N
///     seen N node=L incarnation=I rank=R
///     restart N [writes=K]  a crash: the first K writes under way survive
///     snapshot N to=M [fail]   install N from=M   trim N INDEX
///     kill N              its node is gone
///     image N              keeps its disk as it is now
///     restore N            restarts it from that
///     reborn N as=M       its node lost the disk: an empty replica, id M
///     status [N]   log N   waiting
class script {
public:
  std::string run(const directive& d);

private:
  struct machine {
    replica_ref id;
    std::unique_ptr<seeded_random> random;
    std::unique_ptr<raft::core> core;
    disk stored;
    disk image; ///< as `stored` was once
    std::deque<raft::persist> writing;
    incarnation life{1};
  };

  void make_group(const directive& d);
  void start(machine& m);
  void flush(machine& m);
  void show(machine& m, raft::effect& e);
  void sync(machine& m, std::size_t writes);
  bool take(const directive& d, std::vector<raft::message>& out);
  void deliver_all();
  void run_quiet();
  void live(duration span);
  void line(const std::string& text);
  machine& at(const std::string& number);
  void status(const machine& m);

  raft::options options_;
  std::map<unsigned, machine> machines_;
  std::vector<raft::message> waiting_;
  time_point start_{std::chrono::hours{1}};
  time_point now_;
  bool quiet_ = false; ///< shows nothing
  bool brief_ = false; ///< shows no messages, writes and commits
  std::string out_;
};

} // namespace banyan::raft_test
