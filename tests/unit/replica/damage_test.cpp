// DESIGN section 7, "Damage": states that are pending or lost, rows that are
// damaged. Each rule by name.
#include "rules.hpp"

namespace banyan::test {
namespace {

// ---- pending ----------------------------------------------------------------

TEST_F(replica_damage, a_pending_state_votes_and_appends_and_nothing_else) {
  boot();
  fill(0, 60);
  const auto pending = other();
  const auto third = other(2);
  w.crash(pending);
  w.options.verify_low = 5s;
  w.options.verify_high = 5s + duration{1};
  w.boot(pending);
  w.run_for(500ms);
  EXPECT_EQ(phase(pending), state_phase::pending);
  EXPECT_EQ(w.nodes[pending].core->status().role, role_changed::role::follower);
  // Its log counts: with the third one away nothing commits without it.
  w.crash(third);
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  // It answers nothing, not even stale queries.
  auto query = w.command("a", "get", "");
  query.kind = request_kind::query;
  query.max_staleness = 10s;
  EXPECT_EQ(w.ask(pending, query).status, reply_status::not_leader);
  EXPECT_EQ(w.ask(pending, w.command("a", "get", "")).status,
            reply_status::not_leader);
  // Its vote counts, too; and it never stands itself.
  w.options.verify_low = w.options.verify_high = {};
  w.boot(third);
  ASSERT_TRUE(w.run_until([&] {
    return w.nodes[third].core->status().committed
           == w.nodes[leader].core->status().committed;
  }));
  w.crash(leader);
  w.evidence(leader);
  EXPECT_EQ(w.await_leader(), third);
  EXPECT_EQ(phase(pending), state_phase::pending);
  ASSERT_TRUE(
      w.run_until([&] { return phase(pending) == state_phase::whole; }));
  w.boot(leader);
  w.check_states_equal();
}

/// One loop turn brings both the leader's entries in place of this replica's
/// own and its verified state: what raft truncated meanwhile is no news to it.
TEST_F(replica_damage, a_state_comes_in_the_turn_of_a_truncation) {
  boot();
  fill(0, 60);
  const auto old = leader;
  cut_off(old);
  w.call(old, w.command("a", "append", "never"));
  const auto last = w.nodes[old].core->status().last;
  ASSERT_TRUE(w.run_until([&] { // on its disk, and nowhere else
    return w.nodes[old].log.base.index.value() + w.nodes[old].log.entries.size()
           > last.value();
  }));
  w.crash(old);
  w.heal();
  w.evidence(old);
  leader = w.await_leader();
  fill(60, 65);
  w.options.verify_low = 500s;
  w.options.verify_high = 500s + duration{1};
  w.boot(old);
  const auto& core = w.nodes[old].core;
  ASSERT_EQ(phase(old), state_phase::pending);
  const auto before = core->status().last_term;
  ASSERT_TRUE(
      w.run_until([&] { return core->status().last_term != before; }, 10s));
  replica_effects out;
  core->on_state_recovered(w.recovered(old), w.now, out);
  w.carry(old, out);
  w.touch(old);
  EXPECT_EQ(phase(old), state_phase::whole);
  w.run_for(2s);
  w.check_states_equal();
}

TEST_F(replica_damage, nobody_hands_over_to_a_pending_replica) {
  boot();
  fill(0, 60);
  const auto pending = other();
  w.crash(pending);
  w.options.verify_low = 5s;
  w.options.verify_high = 5s + duration{1};
  w.boot(pending);
  w.run_for(1s);
  replica_effects out;
  w.nodes[leader].core->transfer_leadership(1, std::nullopt, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == other(2); }, 2s));
  EXPECT_TRUE(w.nodes[leader].changes.at(0).done);
}

TEST_F(replica_damage,
       a_group_whose_majority_is_pending_elects_among_the_rest) {
  boot();
  fill(0, 60);
  w.run_for(1s);
  for (std::size_t n = 0; n < 3; ++n)
    w.crash(n);
  w.options.verify_low = 8s;
  w.options.verify_high = 8s + duration{1};
  w.boot(0);
  w.boot(1);
  w.options.verify_low = w.options.verify_high = {};
  w.boot(2);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == 2; }, 5s));
  EXPECT_EQ(w.ask(2, w.command("k0", "append", "x")).status, reply_status::ok);
  w.run_for(10s);
  w.check_states_equal();
}

TEST_F(replica_damage, entries_committed_while_pending_are_applied_afterwards) {
  boot();
  fill(0, 60);
  const auto pending = other();
  w.crash(pending);
  w.options.verify_low = 2s;
  w.options.verify_high = 2s + duration{1};
  w.boot(pending);
  fill(60, 100);
  ASSERT_TRUE(
      w.run_until([&] { return phase(pending) == state_phase::whole; }));
  w.check_states_equal();
  EXPECT_EQ(w.nodes[pending].phases.size(), 3u); // whole, pending, whole
}

// ---- lost -------------------------------------------------------------------

TEST_F(replica_damage, a_lost_state_is_rebuilt_under_the_same_id_and_log) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto lost = other();
  w.crash(lost);
  w.lose_state(lost);
  const auto base = w.nodes[lost].log.base.index;
  ASSERT_GT(base.value(), 0u);
  w.boot(lost);
  EXPECT_EQ(phase(lost), state_phase::lost);
  ASSERT_TRUE(w.run_until([&] { return phase(lost) == state_phase::whole; }));
  EXPECT_TRUE(w.nodes[leader].lost.empty());
  w.check_states_equal();
  // It is a voter as before, and can lead.
  w.run_for(200ms);
  replica_effects out;
  w.nodes[leader].core->transfer_leadership(1, w.nodes[lost].self, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == lost; }, 3s));
}

TEST_F(replica_damage, a_replica_without_a_state_counts_in_commits_and_votes) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::snapshot_chunk;
  };
  const auto lost = other();
  const auto third = other(2);
  w.crash(lost);
  w.lose_state(lost);
  w.boot(lost);
  w.run_for(1s);
  w.crash(third);
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  EXPECT_EQ(phase(lost), state_phase::lost);
  w.boot(third);
  w.run_for(1s);
  w.crash(leader);
  w.evidence(leader);
  EXPECT_EQ(w.await_leader(), third);
  EXPECT_EQ(w.ask(third, w.command("a", "append", "y")).status,
            reply_status::ok);
  w.drop = nullptr;
  ASSERT_TRUE(w.run_until([&] { return phase(lost) == state_phase::whole; }));
  w.boot(leader);
  w.check_states_equal();
}

TEST_F(replica_damage,
       the_longest_log_without_a_state_is_helped_by_a_follower) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  // Committed on two of three, then the one of the two with a state is away:
  // nobody can be elected but the other, once it has a state again.
  const auto lost = other();
  const auto behind = other(2);
  cut_off(behind);
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.crash(leader);
  w.crash(lost);
  w.lose_state(lost);
  w.heal();
  w.boot(lost);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == lost; }, 10s));
  EXPECT_EQ(w.words("a"), "x,");
  w.boot(leader);
  w.check_states_equal();
}

TEST_F(replica_damage,
       a_follower_commits_what_a_lost_one_knows_to_be_committed) {
  // The fellow's state is older than where the lost one's log begins; its log
  // isn't. It only has to be told how far that is committed.
  w.base.log_kept_entries = 2;
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto lost = other();
  const auto behind = other(2);
  w.drop = [&](std::size_t, std::size_t to, const group_frame& f) {
    return to == behind && f.kind != group_frame_kind::raft;
  };
  fill(100, 120);
  w.run_for(1s);
  cut_off(behind);
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.crash(leader);
  w.crash(lost);
  w.lose_state(lost);
  // An older state than its log: what was not yet stored in a crash.
  w.crash(behind);
  w.heal();
  w.drop = nullptr;
  w.boot(behind);
  w.boot(lost);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == lost; }, 10s));
  EXPECT_EQ(w.words("a"), "x,");
}

TEST_F(replica_damage, a_log_that_was_never_cut_needs_no_snapshot) {
  w.base.log_kept_entries = 100'000;
  boot();
  fill(0, 100);
  w.run_for(1s);
  for (std::size_t n = 0; n < 3; ++n) {
    w.crash(n);
    w.lose_state(n);
  }
  boot();
  EXPECT_EQ(w.words("k19"), "19,39,59,79,99,");
  w.check_states_equal();
}

TEST_F(replica_damage, a_state_older_than_the_log_is_a_lost_one) {
  boot();
  fill(0, 40);
  w.run_for(1s);
  const auto old = other();
  const auto rows = w.nodes[old].rows;
  const auto meta = w.nodes[old].meta;
  const auto digest = w.nodes[old].digest;
  fill(40, 200);
  w.run_for(1s);
  w.crash(old);
  w.nodes[old].rows = rows;
  w.nodes[old].meta = meta;
  w.nodes[old].digest = digest;
  w.boot(old);
  EXPECT_EQ(phase(old), state_phase::lost);
  ASSERT_TRUE(w.run_until([&] { return phase(old) == state_phase::whole; }));
  w.check_states_equal();
}

TEST_F(replica_damage,
       no_snapshot_that_differs_from_its_digest_is_switched_in) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto wrong = leader;
  const auto lost = other();
  w.falsify(wrong, actor_row("k3"), false); // its digest doesn't know
  w.crash(lost);
  w.lose_state(lost);
  w.boot(lost);
  // The sender has its rows looked at, gives them up and hands over; both are
  // rebuilt from the third.
  ASSERT_TRUE(w.run_until([&] { return w.mismatches > 0; }));
  ASSERT_TRUE(w.run_until(
      [&] { return w.nodes[wrong].times_whole > 1 && all_whole(); }, 20s));
  EXPECT_NE(w.await_leader(), wrong);
  EXPECT_EQ(w.words("k3"), "3,23,43,63,83,");
  w.check_states_equal();
}

TEST_F(replica_damage, rows_that_are_switched_in_are_not_those_given_up) {
  boot();
  fill(0, 40);
  const auto far = other();
  cut_off(far);
  fill(40, 140);
  w.run_for(1s);
  w.heal();
  ASSERT_TRUE(w.run_until([&] { return w.nodes[far].finishes == 1; }));
  // What it has until then is found wrong in the last moment.
  replica_effects out;
  w.nodes[far].core->on_state_inconsistent(w.now, out);
  w.carry(far, out);
  w.touch(far);
  EXPECT_EQ(phase(far), state_phase::lost);
  ASSERT_TRUE(w.run_until([&] { return phase(far) == state_phase::whole; }));
  w.check_states_equal();
  EXPECT_EQ(w.nodes[far].finishes, 1u);
  const auto before = w.nodes[far].phases.size();
  w.crash(far);
  w.boot(far);
  ASSERT_TRUE(w.run_until([&] { return phase(far) == state_phase::whole; }));
  for (auto i = before; i < w.nodes[far].phases.size(); ++i)
    EXPECT_NE(w.nodes[far].phases[i].now, state_phase::lost)
        << w.nodes[far].phases[i].why;
  EXPECT_EQ(w.nodes[far].finishes, 1u) << "it was rebuilt once more";
}

// LMDB names no row when a page of its tree is bad: nothing can be written
// there, and no restart makes that better.
TEST_F(replica_damage,
       a_page_that_no_commit_can_be_written_to_costs_the_state) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto hit = other();
  w.nodes[hit].commit_fails = store::store_errc::damaged;
  fill(100, 120);
  ASSERT_TRUE(w.run_until([&] {
    return !w.nodes[hit].commit_fails && phase(hit) == state_phase::lost;
  }));
  ASSERT_TRUE(w.run_until([&] { return phase(hit) == state_phase::whole; }));
  w.check_states_equal();
}

TEST_F(replica_damage, nor_can_a_row_be_put_back_there) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto hit = other();
  w.rot(hit, actor_row("k3"));
  w.nodes[hit].commit_fails = store::store_errc::damaged;
  w.scrub(hit);
  ASSERT_TRUE(w.run_until([&] { return phase(hit) == state_phase::lost; }));
  EXPECT_EQ(w.nodes[hit].damaged.size(), 1u);
  EXPECT_EQ(w.nodes[hit].mended.size(), 0u);
  ASSERT_TRUE(w.run_until([&] { return phase(hit) == state_phase::whole; }));
  // It is mended with the whole.
  EXPECT_EQ(w.nodes[hit].mended, std::vector<bytes>{actor_row("k3")});
  EXPECT_EQ(w.nodes[hit].core->status().rows_mended, 1u);
  w.check_states_equal();
}

// ---- rows -------------------------------------------------------------------

TEST_F(replica_damage, a_damaged_row_is_fetched_by_key_and_put_back) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  w.rot(leader, actor_row("k3"));
  const auto before = leader;
  EXPECT_EQ(w.words("k3"), "3,23,43,63,83,");
  EXPECT_EQ(w.await_leader(), before); // no need to hand over
  w.run_for(1s);
  const auto s = w.nodes[leader].core->status();
  EXPECT_EQ(s.rows_damaged, 0u);
  EXPECT_EQ(s.rows_mended, 1u);
  EXPECT_TRUE(w.nodes[leader].rotten.empty());
  w.check_states_equal();
}

TEST_F(replica_damage, its_actor_serves_nothing_until_it_is_mended) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  w.rot(leader, actor_row("k3"));
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::row_given;
  };
  const auto command = w.call(leader, w.command("k3", "append", "x"));
  auto get = w.command("k3", "get", "");
  get.kind = request_kind::query;
  const auto query = w.call(leader, get);
  w.run_for(2s);
  EXPECT_FALSE(w.answered(command));
  EXPECT_FALSE(w.answered(query));
  EXPECT_EQ(status(w.command("k4", "append", "y")), reply_status::ok);
  w.drop = nullptr;
  ASSERT_TRUE(w.run_until([&] { return w.answered(command).has_value(); }));
  EXPECT_EQ(w.answered(command)->status, reply_status::ok);
  EXPECT_EQ(w.words("k3"), "3,23,43,63,83,x,");
  w.check_states_equal();
}

TEST_F(replica_damage, after_row_patience_the_row_is_called_hopeless_here) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  w.rot(leader, actor_row("k3"));
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::row_given;
  };
  w.call(leader, w.command("k3", "append", "x"));
  w.run_for(w.base.row_patience - 500ms);
  ASSERT_EQ(w.nodes[leader].damaged.size(), 1u);
  EXPECT_FALSE(w.nodes[leader].damaged[0].hopeless);
  w.run_for(1s);
  ASSERT_EQ(w.nodes[leader].damaged.size(), 2u);
  EXPECT_TRUE(w.nodes[leader].damaged[1].hopeless);
}

TEST_F(replica_damage, a_write_under_way_mends_the_row_it_writes) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  ASSERT_EQ(status(w.command("k3", "append", "x")), reply_status::ok);
  w.rot(leader, actor_row("k3"));
  w.scrub(leader);
  w.run_for(1s);
  EXPECT_EQ(w.nodes[leader].core->status().rows_damaged, 0u);
  EXPECT_EQ(w.words("k3"), "3,23,43,63,83,x,");
  w.check_states_equal();
}

TEST_F(replica_damage, only_an_answer_as_new_as_the_row_counts) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  // One voter has an older row, and knows nothing of its newer version; the
  // leader, which has that, is not heard.
  const auto hit = other();
  const auto behind = other(2);
  std::size_t answers = 0;
  w.drop = [&](std::size_t from, std::size_t to, const group_frame& f) {
    if (from == behind && to == hit)
      answers += f.kind == group_frame_kind::row_given ? 1 : 0;
    return (to == behind && f.kind == group_frame_kind::raft)
           || (from == leader && to == hit
               && f.kind == group_frame_kind::row_given);
  };
  ASSERT_EQ(status(w.command("k3", "append", "x")), reply_status::ok);
  w.run_for(1s);
  const auto index = w.nodes[hit].rows.at(actor_row("k3")).index;
  ASSERT_LT(w.nodes[behind].meta->index, index);
  const auto phases = w.nodes[hit].phases.size();
  w.rot(hit, actor_row("k3"));
  w.scrub(hit);
  w.run_for(2s);
  EXPECT_GT(answers, 0u);
  EXPECT_EQ(w.nodes[hit].core->status().rows_damaged, 1u);
  EXPECT_EQ(w.nodes[hit].core->status().rows_mended, 0u);
  w.drop = nullptr;
  ASSERT_TRUE(w.run_until(
      [&] { return w.nodes[hit].core->status().rows_mended == 1; }));
  EXPECT_EQ(w.nodes[hit].rows.at(actor_row("k3")).index, index);
  EXPECT_EQ(w.nodes[hit].phases.size(), phases) << "its state was given up";
  EXPECT_EQ(w.words("k3"), "3,23,43,63,83,x,");
  w.check_states_equal();
}

// The store reads a group's rows anew for each order that overwrites damage:
// a thousand bad rows must not be a thousand readings.
TEST_F(replica_damage, many_rows_are_put_back_together) {
  boot();
  for (int i = 0; i < 300; ++i)
    ASSERT_EQ(status(w.command("k" + std::to_string(i), "append", "x")),
              reply_status::ok);
  w.run_for(1s);
  const auto hit = other();
  for (int i = 0; i < 300; ++i)
    w.rot(hit, actor_row("k" + std::to_string(i)));
  w.scrub(hit);
  ASSERT_TRUE(w.run_until(
      [&] { return w.nodes[hit].core->status().rows_damaged == 0; }));
  EXPECT_EQ(w.nodes[hit].core->status().rows_mended, 300u);
  EXPECT_LE(w.nodes[hit].mends, 10u);
  EXPECT_TRUE(w.nodes[hit].rotten.empty());
  w.check_states_equal();
}

TEST_F(replica_damage, whoever_waits_reads_again_once_per_order) {
  boot();
  for (int i = 0; i < 60; ++i)
    ASSERT_EQ(status(w.command("k" + std::to_string(i), "append", "x")),
              reply_status::ok);
  w.run_for(1s);
  for (int i = 0; i < 60; ++i)
    w.rot(leader, actor_row("k" + std::to_string(i)));
  w.drop = [](std::size_t, std::size_t, const group_frame& f) {
    return f.kind == group_frame_kind::row_given;
  };
  std::vector<std::uint64_t> calls;
  for (int i = 0; i < 60; ++i)
    calls.push_back(
        w.call(leader, w.command("k" + std::to_string(i), "append", "y")));
  w.run_for(1s);
  const auto before = w.nodes[leader].rows_ordered;
  w.drop = nullptr;
  for (const auto c : calls)
    ASSERT_TRUE(w.run_until([&] { return w.answered(c).has_value(); }));
  EXPECT_LE(w.nodes[leader].rows_ordered - before, 600u);
  w.check_states_equal();
}

TEST_F(replica_damage, that_there_is_no_such_row_is_an_answer) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  // A flipped key: nobody ever wrote such a row.
  auto& nd = w.nodes[other()];
  const auto key = actor_row("k3x");
  nd.rows[key] = {key, shared_bytes{to_bytes("?")}, log_index{5}};
  w.rot(other(), key);
  w.scrub(other());
  w.run_for(2s);
  EXPECT_EQ(nd.rows.count(key), 0u);
  EXPECT_EQ(nd.core->status().rows_damaged, 0u);
  w.check_states_equal();
}

TEST_F(replica_damage, ranges_and_removals_wait_for_their_damaged_rows) {
  boot();
  for (int i = 0; i < 8; ++i)
    ASSERT_EQ(status(w.command("t", "rows", "r" + std::to_string(i) + " v")),
              reply_status::ok);
  fill(0, 60);
  w.run_for(1s);
  const auto row = replica::table_row("t", as_bytes("r5"));
  ASSERT_EQ(w.nodes[leader].rows.count(row), 1u);
  w.rot(leader, row);
  const auto r = w.ask(leader, w.command("t", "range", ""));
  EXPECT_EQ(r.status, reply_status::ok);
  EXPECT_NE(to_text(r.result).find("r5"), std::string::npos);
  fill(60, 100);
  w.run_for(1s);
  w.rot(leader, row);
  EXPECT_EQ(status(w.command("t", "remove", "")), reply_status::ok);
  w.check_states_equal();
  EXPECT_EQ(w.nodes[leader].rows.count(row), 0u);
}

TEST_F(replica_damage, a_snapshot_has_no_holes) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto lost = other();
  w.rot(leader, actor_row("k3"));
  w.rot(leader, actor_row("k7"));
  w.crash(lost);
  w.lose_state(lost);
  w.boot(lost);
  ASSERT_TRUE(
      w.run_until([&] { return phase(lost) == state_phase::whole; }, 20s));
  EXPECT_EQ(w.nodes[leader].core->status().rows_mended, 2u);
  w.check_states_equal();
}

TEST_F(replica_damage, damaged_rows_of_its_own_keep_a_replica_pending) {
  boot();
  session = w.open_session(leader);
  ASSERT_EQ(status(in_session("a", "append", "x", 1)), reply_status::ok);
  fill(0, 100);
  w.run_for(1s);
  for (std::size_t n = 0; n < 3; ++n)
    w.crash(n);
  // Each lacks another one: they mend each other, and then somebody leads.
  std::vector<bytes> own;
  for (const auto& [key, row] : w.nodes[0].rows)
    if (is_small_row(key))
      own.push_back(key);
  ASSERT_GE(own.size(), 2u);
  w.rot(0, own[0]);
  w.rot(1, own[1]);
  w.boot(0);
  w.boot(1);
  EXPECT_EQ(phase(0), state_phase::pending);
  EXPECT_EQ(phase(1), state_phase::pending);
  leader = w.await_leader();
  EXPECT_EQ(status(in_session("a", "append", "x", 1)), reply_status::ok);
  EXPECT_EQ(w.words("a"), "x,");
  w.boot(2);
  w.check_states_equal();
}

} // namespace
} // namespace banyan::test
