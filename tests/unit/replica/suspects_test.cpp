// Records that stand against a request, and those that are struck out since the
// node that died knows better (DESIGN section 8, "Poison").
#include "actors/pure/replica/entry_codec.hpp"
#include "rules.hpp"

namespace banyan::test {
namespace {

struct replica_suspects : replica_rules {
  /// A request that runs, or would, with a record against it: it was
  /// outstanding at `gone` as that died.
  void outstanding_at_a_death() {
    boot();
    session = w.open_session(leader);
    gone = (leader + 1) % 3;
    w.hold_turns = true;
    auto r = in_session("a", "append", "x", 1);
    r.outstanding = outstanding_at{w.nodes[gone].self.node, incarnation{3}};
    const auto before = last();
    call = w.call(leader, r);
    w.run_for(20ms);
    ASSERT_EQ(last(), before.next());
    ASSERT_EQ(w.nodes[leader].held.size(), 1U);
  }
  /// It comes back with what its trail says: (2 to 5) died in these requests.
  void comes_back(std::vector<bytes> requests) {
    w.crash(gone);
    w.nodes[gone].left =
        left_turns{incarnation{2}, incarnation{6}, std::move(requests)};
    w.boot(gone);
    w.run_for(3s);
  }
  /// Nobody knows what of: another record.
  void host_dies() {
    w.kill_host(leader);
    w.run_for(20ms);
  }
  log_index last() const { return w.nodes[leader].core->status().last; }
  bool waits() const { return !w.answered(call).has_value(); }
  static bytes request_of(std::uint64_t session) {
    replica::by_session by;
    by.session = session;
    by.number = 1;
    return replica::request_key(by, "a");
  }
  std::size_t gone = 0;
  std::uint64_t call = 0;
};

TEST_F(replica_suspects, a_record_is_struck_out_when_another_request_ran) {
  outstanding_at_a_death();
  const auto before = last();
  comes_back({to_bytes("another")});
  EXPECT_EQ(last(), before.next()); // one entry, once
  host_dies();
  host_dies();
  EXPECT_TRUE(waits()); // two records stand
  host_dies();
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::poisoned);
}

TEST_F(replica_suspects, a_record_stands_when_its_request_ran) {
  outstanding_at_a_death();
  const auto before = last();
  comes_back({to_bytes("another"), request_of(session)});
  EXPECT_EQ(last(), before);
  host_dies();
  EXPECT_TRUE(waits());
  host_dies();
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::poisoned);
}

TEST_F(replica_suspects, a_record_stands_when_nobody_can_tell) {
  outstanding_at_a_death();
  const auto before = last();
  w.crash(gone);
  w.boot(gone);
  w.run_for(3s);
  EXPECT_EQ(last(), before);
}

// Records of other nodes, and of another process of that node, are not its own.
TEST_F(replica_suspects, a_node_strikes_out_what_it_knows_of_alone) {
  outstanding_at_a_death();
  host_dies(); // the leader's
  const auto before = last();
  w.crash(gone);
  w.nodes[gone].left = left_turns{incarnation{4}, incarnation{6}, {}};
  w.boot(gone);
  w.run_for(3s);
  EXPECT_EQ(last(), before);
}

TEST_F(replica_suspects, a_leader_that_comes_back_makes_no_such_record) {
  for (auto& n : w.nodes)
    n.left = left_turns{incarnation{2}, incarnation{6}, {}};
  boot();
  session = w.open_session(leader);
  auto r = in_session("a", "append", "x", 1);
  r.outstanding = outstanding_at{w.nodes[leader].self.node, incarnation{3}};
  const auto before = last();
  EXPECT_EQ(status(r), reply_status::ok);
  EXPECT_EQ(last(), before.next()); // its turn, no record
}

// Leadership moves away from a host that died: not without the record.
TEST_F(replica_suspects, a_leader_that_hands_over_leaves_its_records) {
  boot();
  session = w.open_session(leader);
  w.hold_turns = true;
  const auto r = in_session("a", "append", "x", 1);
  w.call(leader, r);
  w.run_for(1ms);
  w.kill_host(leader);
  replica_effects out;
  w.nodes[leader].core->transfer_leadership(0, std::nullopt, w.now, out);
  w.carry(leader, out);
  const auto before = leader;
  ASSERT_TRUE(w.run_until(
      [&] { return w.leader() != before && w.leader() != SIZE_MAX; }));
  leader = w.leader();
  call = w.call(leader, r);
  w.run_for(20ms);
  host_dies();
  EXPECT_TRUE(waits());
  host_dies();
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::poisoned);
}

TEST_F(replica_suspects, a_follower_that_says_so_in_rubbish_changes_nothing) {
  outstanding_at_a_death();
  const auto before = last();
  for (const auto& payload :
       {bytes{}, bytes{0x93}, bytes{0x93, 1, 2, 0xdd, 0xff, 0xff, 0xff, 0xff},
        bytes{0x93, 0, 9, 0x91, 0xc4, 1, 'x'}}) {
    group_frame f;
    f.group = w.base.group;
    f.lineage = w.base.lineage;
    f.from = w.nodes[gone].self.replica;
    f.to = w.nodes[leader].self.replica;
    f.kind = group_frame_kind::cleared;
    f.payload = payload;
    replica_effects out;
    bytes encoded;
    encode(f, encoded);
    w.nodes[leader].core->on_group_frame(w.nodes[gone].self.node, encoded,
                                         w.now, out);
    w.carry(leader, out);
    w.run_for(20ms);
  }
  EXPECT_EQ(last(), before);
}

} // namespace
} // namespace banyan::test
