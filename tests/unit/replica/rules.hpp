#pragma once
#include "actors/pure/replica/rows.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::test {

/// Three replicas, and what the tests of the rules share.
struct replica_rules : ::testing::Test {
  void boot(std::size_t n = 3) {
    for (std::size_t i = 0; i < n; ++i)
      w.boot(i);
    leader = w.await_leader();
  }
  request_frame in_session(std::string key, std::string command,
                           std::string argument, std::uint64_t number,
                           std::uint64_t floor = 0) {
    auto r = w.command(std::move(key), std::move(command), std::move(argument));
    r.identity = session_request{session, number, floor};
    return r;
  }
  reply_status status(const request_frame& r) {
    return w.ask(leader, r).status;
  }
  void cut_off(std::size_t n) {
    for (std::size_t i = 0; i < w.nodes.size(); ++i)
      if (i != n)
        w.cut(n, i);
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  world w{7};
  std::size_t leader = 0;
  std::uint64_t session = 0;
};

/// With a short log and a small cache, so that a state is needed.
struct replica_damage : replica_rules {
  replica_damage() {
    w.base.state_commit_interval = 200ms;
    w.base.log_kept_entries = 30;
    w.base.snapshot_chunk_bytes = 500;
    w.base.cache_bytes = 300;
  }
  void fill(int from, int to) {
    for (int i = from; i < to; ++i)
      ASSERT_EQ(status(w.command("k" + std::to_string(i % 20), "append",
                                 std::to_string(i))),
                reply_status::ok);
  }
  static bytes actor_row(const std::string& key) {
    return replica::actor_row(key);
  }
  std::size_t other(std::size_t n = 1) const { return (leader + n) % 3; }
  state_phase phase(std::size_t n) const {
    return w.nodes[n].core->status().state;
  }
  bool all_whole() const {
    for (const auto& nd : w.nodes)
      if (nd.up && nd.core->status().state != state_phase::whole)
        return false;
    return true;
  }
  /// As `status`, wherever the leader is now.
  reply_status at_leader(request_frame r) {
    leader = w.await_leader();
    return status(r);
  }
};

} // namespace banyan::test
