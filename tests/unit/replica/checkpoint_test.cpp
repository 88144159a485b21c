// DESIGN section 7, "Damage": states compared at checkpoints. Each rule by
// name; and small rules of failovers that stood open.
#include "rules.hpp"

namespace banyan::test {
namespace {

struct replica_checkpoints : replica_damage {
  replica_checkpoints() { w.base.checkpoint_patience = 2s; }
  void grow() {
    boot();
    fill(0, 60);
    w.run_for(1s);
  }
  change_done compare() {
    leader = w.await_leader();
    const auto before = w.nodes[leader].changes.size();
    replica_effects out;
    w.nodes[leader].core->checkpoint(++numbers, w.now, out);
    w.carry(leader, out);
    w.touch(leader);
    if (!w.run_until([&] { return w.nodes[leader].changes.size() > before; },
                     20s))
      return {};
    return w.nodes[leader].changes.back();
  }
  const checkpoint_judged& judged() const {
    return w.nodes[leader].judged.back();
  }
  std::uint64_t numbers = 0;
};

TEST_F(replica_checkpoints, replicas_with_the_same_rows_agree) {
  grow();
  EXPECT_TRUE(compare().done);
  EXPECT_EQ(judged().compared, 3u);
  EXPECT_EQ(judged().agreeing, 3u);
  EXPECT_TRUE(judged().odd.empty());
  for (const auto& nd : w.nodes)
    EXPECT_EQ(nd.core->status().checkpoint, judged().index);
}

TEST_F(replica_checkpoints, every_so_many_entries_have_one) {
  w.base.checkpoint_entries = 20;
  grow();
  fill(60, 160);
  w.run_for(1s);
  EXPECT_GE(w.nodes[leader].judged.size(), 4u);
  EXPECT_TRUE(all_whole());
  w.check_states_equal();
}

TEST_F(replica_checkpoints, states_stand_at_the_entry_itself) {
  grow();
  // Entries behind it come at once, and must wait for the commit at it.
  w.options.disk_low = w.options.disk_high = 5ms;
  w.options.disk_high += duration{1};
  replica_effects out;
  w.nodes[leader].core->checkpoint(1, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  fill(60, 80);
  ASSERT_TRUE(w.run_until([&] { return !w.nodes[leader].judged.empty(); }));
  EXPECT_EQ(judged().agreeing, 3u);
}

TEST_F(replica_checkpoints, the_odd_one_against_a_majority_is_rebuilt) {
  grow();
  const auto wrong = other();
  w.falsify(wrong, actor_row("k3"), true);
  EXPECT_TRUE(compare().done);
  ASSERT_EQ(judged().odd.size(), 1u);
  EXPECT_EQ(judged().odd[0], w.nodes[wrong].self);
  ASSERT_TRUE(w.run_until([&] { return w.nodes[wrong].times_whole > 1; }));
  EXPECT_TRUE(w.nodes[wrong].phases[1].quarantined);
  EXPECT_FALSE(w.nodes[wrong].core->status().quarantined);
  w.check_states_equal();
  EXPECT_TRUE(compare().done);
  EXPECT_EQ(judged().agreeing, 3u);
}

TEST_F(replica_checkpoints, a_state_found_wrong_stays_so_over_a_restart) {
  grow();
  const auto wrong = other();
  w.falsify(wrong, actor_row("k3"), true);
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::snapshot_chunk;
  };
  EXPECT_TRUE(compare().done);
  ASSERT_TRUE(w.run_until([&] { return phase(wrong) == state_phase::lost; }));
  w.run_for(100ms);
  w.crash(wrong);
  w.boot(wrong);
  EXPECT_EQ(phase(wrong), state_phase::lost);
  w.drop = nullptr;
  ASSERT_TRUE(w.run_until([&] { return phase(wrong) == state_phase::whole; }));
  w.check_states_equal();
}

TEST_F(replica_checkpoints, a_state_found_wrong_on_a_full_disk_stays_so) {
  grow();
  const auto wrong = other();
  auto& nd = w.nodes[wrong];
  const auto marked = [&] {
    return nd.rows.count(replica::given_up_row()) != 0;
  };
  w.falsify(wrong, actor_row("k3"), true);
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::snapshot_chunk;
  };
  EXPECT_TRUE(compare().done);
  ASSERT_TRUE(w.run_until([&] { return phase(wrong) == state_phase::lost; }));
  for (int refused = 0; refused < 3; ++refused) {
    ASSERT_FALSE(marked());
    nd.commit_fails = store::store_errc::full;
    ASSERT_TRUE(w.run_until([&] { return !nd.commit_fails; }, 3s));
  }
  ASSERT_TRUE(w.run_until(marked, 3s));
  w.run_for(3s);
  const auto given = nd.mends;
  w.run_for(5s);
  EXPECT_EQ(nd.mends, given); // stored once
  w.crash(wrong);
  w.boot(wrong);
  EXPECT_EQ(phase(wrong), state_phase::lost);
  w.drop = nullptr;
  ASSERT_TRUE(w.run_until([&] { return phase(wrong) == state_phase::whole; }));
  EXPECT_FALSE(marked());
  w.check_states_equal();
}

TEST_F(replica_checkpoints, a_wrong_leader_hands_over_and_is_rebuilt) {
  grow();
  const auto wrong = leader;
  w.falsify(wrong, actor_row("k3"), true);
  EXPECT_TRUE(compare().done);
  ASSERT_TRUE(w.run_until(
      [&] { return w.leader() != SIZE_MAX && w.leader() != wrong; }, 3s));
  EXPECT_EQ(w.words("k3"), "3,23,43,");
  ASSERT_TRUE(w.run_until([&] { return w.nodes[wrong].times_whole > 1; }));
  w.check_states_equal();
}

TEST_F(replica_checkpoints, without_an_agreeing_majority_it_is_a_conflict) {
  grow();
  const auto away = other();
  const auto wrong = other(2);
  w.crash(away);
  w.falsify(wrong, actor_row("k3"), true);
  EXPECT_FALSE(compare().done);
  EXPECT_TRUE(judged().conflict);
  EXPECT_TRUE(judged().odd.empty());
  w.run_for(100ms);
  EXPECT_TRUE(all_whole()); // nobody rebuilds
  EXPECT_EQ(status(w.command("k4", "append", "x")), reply_status::conflict);
  auto query = w.command("k4", "get", "");
  query.kind = request_kind::query;
  EXPECT_EQ(status(query), reply_status::conflict);
  query.max_staleness = 10s;
  EXPECT_EQ(w.ask(wrong, query).status, reply_status::conflict);
  EXPECT_TRUE(w.nodes[wrong].core->status().conflict);
  // The third one settles it at the next comparison.
  w.boot(away);
  ASSERT_TRUE(w.run_until(
      [&] { return w.nodes[wrong].times_whole > 1 && all_whole(); }, 40s));
  EXPECT_EQ(at_leader(w.command("k4", "append", "x")), reply_status::ok);
  EXPECT_EQ(w.words("k3"), "3,23,43,");
  w.check_states_equal();
}

TEST_F(replica_checkpoints, nothing_is_quarantined_below_a_majority) {
  grow();
  w.falsify(other(), actor_row("k3"), true);
  w.falsify(other(2), actor_row("k4"), true);
  EXPECT_FALSE(compare().done);
  EXPECT_TRUE(judged().conflict);
  w.run_for(25s); // it is compared again and again, and nobody rebuilds
  EXPECT_TRUE(all_whole());
  for (const auto& nd : w.nodes)
    EXPECT_EQ(nd.times_whole, 1u);
  EXPECT_EQ(status(w.command("k5", "append", "x")), reply_status::conflict);
}

TEST_F(replica_checkpoints, a_majority_needs_states_that_are_there) {
  grow();
  // One is being rebuilt, the other two differ: nobody may be called odd.
  const auto lost = other();
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::snapshot_chunk;
  };
  w.crash(lost);
  w.lose_state(lost);
  w.boot(lost);
  w.run_for(1s);
  w.falsify(other(2), actor_row("k3"), true);
  EXPECT_FALSE(compare().done);
  EXPECT_TRUE(judged().conflict);
  EXPECT_EQ(w.nodes[other(2)].times_whole, 1u);
}

TEST_F(replica_checkpoints, too_few_answers_say_nothing) {
  grow();
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::checkpoint_report;
  };
  EXPECT_FALSE(compare().done);
  EXPECT_TRUE(w.nodes[leader].judged.empty());
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
}

TEST_F(replica_checkpoints, a_late_report_is_judged_as_well) {
  grow();
  const auto late = other();
  w.falsify(late, actor_row("k3"), true);
  w.drop = [&](std::size_t from, std::size_t, const group_frame& f) {
    return from == late && f.kind == group_frame_kind::checkpoint_report;
  };
  EXPECT_TRUE(compare().done); // two of three agree
  w.run_for(1s);
  EXPECT_EQ(w.nodes[late].times_whole, 1u);
  w.drop = nullptr;
  ASSERT_TRUE(w.run_until([&] { return w.nodes[late].times_whole > 1; }));
  w.check_states_equal();
}

TEST_F(replica_checkpoints, rows_that_do_not_add_up_make_a_state_lost) {
  grow();
  const auto wrong = leader;
  w.falsify(wrong, actor_row("k3"), false);
  w.scrub(wrong);
  ASSERT_TRUE(w.run_until([&] { return w.nodes[wrong].times_whole > 1; }));
  EXPECT_NE(w.await_leader(), wrong);
  EXPECT_EQ(w.words("k3"), "3,23,43,");
  w.check_states_equal();
}

// ---- failovers --------------------------------------------------------------

TEST_F(replica_checkpoints,
       a_failovers_report_ends_when_nobody_waits_any_more) {
  boot();
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  for (std::size_t n = 1; n < 3; ++n) {
    auto hangs = w.command("a", "hang", "");
    hangs.deadline_left = 500ms;
    const auto who = (dead + n) % 3;
    ASSERT_TRUE(w.run_until(
        [&] {
          return w.nodes[who].core->status().role == role_changed::role::leader
                 || w.leader() != SIZE_MAX;
        },
        5s));
    if (w.nodes[who].core->status().role == role_changed::role::leader)
      w.call(who, hangs);
  }
  leader = w.await_leader();
  w.run_for(2s);
  ASSERT_EQ(w.nodes[leader].failovers.size(), 1u);
  EXPECT_FALSE(w.nodes[leader].failovers[0].first_reply);
}

} // namespace
} // namespace banyan::test
