// Each rule of DESIGN sections 6 to 8 that a replica keeps, by name: who is
// in the group, restarts, hostile frames.
#include "rules.hpp"

namespace banyan::test {
namespace {

// ---- replicas ---------------------------------------------------------------

struct replica_changes : replica_rules {
  replica_changes() {
    world_options o;
    o.nodes = 4;
    w.~world();
    new (&w) world{11, o};
    w.base.log_kept_entries = 20;
    w.base.snapshot_chunk_bytes = 200;
    w.base.state_commit_interval = 2ms; // so that snapshots have a tail
  }
  void fill(int from, int to) {
    for (int i = from; i < to; ++i)
      ASSERT_EQ(status(w.command("k" + std::to_string(i % 37), "append",
                                 std::to_string(i))),
                reply_status::ok);
  }
};

TEST_F(replica_changes, a_lost_voter_is_replaced_through_a_snapshot) {
  boot();
  session = w.open_session(leader);
  const auto kept = w.ask(leader, in_session("s", "append", "x", 1));
  ASSERT_EQ(status(w.command("t", "after", "600000 late")), reply_status::ok);
  ASSERT_EQ(status(w.command("o", "send", "other/b x")), reply_status::ok);
  fill(0, 300);
  w.run_for(3s); // the log is cut behind the state commits
  const auto gone = (leader + 1) % 3;
  w.crash(gone);
  w.boot(3);
  replica_effects none;
  w.nodes[leader].core->change_voters(9, {w.nodes[3].self},
                                      {w.nodes[gone].self}, w.now, none);
  w.touch(leader);
  fill(300, 400); // writes go on while rows are copied
  ASSERT_TRUE(
      w.run_until([&] { return !w.nodes[leader].changes.empty(); }, 30s));
  EXPECT_TRUE(w.nodes[leader].changes[0].done)
      << w.nodes[leader].changes[0].why;
  const auto c = w.nodes[leader].core->status().configuration;
  EXPECT_TRUE(c.voters.contains(w.nodes[3].self));
  EXPECT_FALSE(c.contains(w.nodes[gone].self));
  EXPECT_FALSE(c.joint());
  EXPECT_EQ(w.mismatches, 0u); // it was whole the first time
  w.check_states_equal();
  // All kinds of rows came along: it can lead and answer a retry.
  w.nodes[leader].core->transfer_leadership(10, w.nodes[3].self, w.now, none);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == 3; }, 10s));
  leader = 3;
  EXPECT_EQ(w.ask(3, in_session("s", "append", "x", 1)).index, kept.index);
}

TEST_F(replica_changes, a_removed_replica_retires_once_the_rest_is_durable) {
  boot();
  fill(0, 10);
  w.boot(3);
  const auto out = (leader + 1) % 3;
  replica_effects none;
  w.nodes[leader].core->change_voters(9, {w.nodes[3].self}, {w.nodes[out].self},
                                      w.now, none);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return w.nodes[out].retired; }, 30s));
  EXPECT_FALSE(
      w.nodes[leader].core->status().configuration.contains(w.nodes[out].self));
}

TEST_F(replica_changes, a_node_without_the_replica_says_so) {
  boot();
  const auto other = (leader + 1) % 3;
  w.crash(other);
  w.nodes[other].self.replica = replica_id{w.random.array<16>()};
  w.nodes[other].has_log = false;
  w.nodes[other].log = {};
  w.nodes[other].meta.reset();
  w.nodes[other].rows.clear();
  w.boot(other);
  w.run_for(2s);
  ASSERT_FALSE(w.nodes[leader].lost.empty());
  EXPECT_EQ(w.nodes[leader].lost[0].who.node, w.nodes[other].self.node);
}

TEST(replica_growth, one_voter_grows_to_three) {
  world_options o;
  o.voters = 1;
  world w{3, o};
  w.boot(0);
  ASSERT_EQ(w.await_leader(), 0u);
  ASSERT_EQ(w.ask(0, w.command("a", "append", "x")).status, reply_status::ok);
  w.boot(1);
  w.boot(2);
  replica_effects none;
  w.nodes[0].core->change_voters(1, {w.nodes[1].self, w.nodes[2].self}, {},
                                 w.now, none);
  w.touch(0);
  ASSERT_TRUE(w.run_until([&] { return !w.nodes[0].changes.empty(); }, 10s));
  EXPECT_TRUE(w.nodes[0].changes[0].done);
  w.crash(0);
  w.evidence(0);
  const auto next = w.await_leader();
  EXPECT_NE(next, 0u);
  EXPECT_EQ(w.words("a"), "x,");
  EXPECT_TRUE(w.problems.empty());
}

// Three without one are two, which outlive no more than one does.
TEST_F(replica_rules, voters_shrink_to_the_next_odd_number) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto gone = (leader + 1) % 3;
  const auto learns = (leader + 2) % 3;
  replica_effects none;
  w.nodes[leader].core->shrink_voters(4, {w.nodes[gone].self},
                                      {w.nodes[learns].self}, w.now, none);
  w.touch(leader);
  ASSERT_TRUE(
      w.run_until([&] { return !w.nodes[leader].changes.empty(); }, 10s));
  EXPECT_TRUE(w.nodes[leader].changes[0].done);
  const auto c = w.nodes[leader].core->status().configuration;
  EXPECT_FALSE(c.joint());
  EXPECT_EQ(c.voters.size(), 1U);
  EXPECT_TRUE(c.voters.contains(w.nodes[leader].self));
  EXPECT_EQ(c.learners.size(), 1U);
  EXPECT_TRUE(c.learners.contains(w.nodes[learns].self));
  w.crash(gone);
  w.crash(learns);
  EXPECT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
}

TEST_F(replica_rules, another_lineage_is_dropped) {
  boot();
  group_frame f;
  f.group = w.base.group;
  f.from = w.nodes[0].self.replica;
  f.to = replica_id{w.random.array<16>()};
  bytes frame;
  encode(f, frame);
  replica_effects out;
  w.nodes[leader].core->on_group_frame(w.nodes[0].self.node, frame, w.now, out);
  EXPECT_TRUE(out.empty());
}

TEST_F(replica_rules, a_failover_is_reported_with_its_phases) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  const auto killed = w.now;
  leader = w.await_leader();
  ASSERT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
  w.run_for(10ms);
  ASSERT_EQ(w.nodes[leader].failovers.size(), 1u);
  const auto& f = w.nodes[leader].failovers[0];
  EXPECT_EQ(f.detected, killed);
  EXPECT_LE(f.detected, f.elected);
  EXPECT_LE(f.elected, f.first_commit);
  EXPECT_LT(f.first_commit - f.detected, 60ms);
}

TEST_F(replica_rules, a_restart_continues_from_log_and_state) {
  boot();
  session = w.open_session(leader);
  ASSERT_EQ(status(in_session("a", "append", "x", 1)), reply_status::ok);
  w.run_for(2s);
  ASSERT_EQ(status(in_session("a", "append", "y", 2)), reply_status::ok);
  for (std::size_t n = 0; n < 3; ++n)
    w.crash(n);
  boot();
  EXPECT_EQ(w.words("a"), "x,y,");
  EXPECT_EQ(status(in_session("a", "append", "y", 2)), reply_status::ok);
  EXPECT_EQ(w.words("a"), "x,y,");
  w.check_states_equal();
}

TEST_F(replica_rules, garbage_from_peers_is_dropped) {
  boot();
  for (int i = 0; i < 3000; ++i) {
    bytes b(w.random.below(80));
    w.random.fill(b.data(), b.size());
    replica_effects out;
    w.nodes[leader].core->on_group_frame(w.nodes[0].self.node, b, w.now, out);
    group_frame f;
    f.group = w.base.group;
    f.lineage = w.base.lineage;
    f.from = w.nodes[(leader + 1) % 3].self.replica;
    f.to = w.nodes[leader].self.replica;
    f.kind = static_cast<group_frame_kind>(1 + i % 14);
    f.payload = b;
    bytes frame;
    encode(f, frame);
    w.nodes[leader].core->on_group_frame(w.nodes[(leader + 1) % 3].self.node,
                                         frame, w.now, out);
  }
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
}

} // namespace
} // namespace banyan::test
