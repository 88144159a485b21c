// DESIGN section 7: a stale query's answer is as old as the last question to a
// leader that then confirmed its quorum, whoever gives it.
#include "rules.hpp"

namespace banyan::test {

namespace {

struct replica_stale : replica_rules {
  request_frame get(duration bound) {
    auto q = w.command("a", "get", "");
    q.kind = request_kind::query;
    q.max_staleness = bound;
    return q;
  }
  /// Frames of this kind that anybody sent since `count` began.
  template <class Body>
  void count() {
    sent = 0;
    w.drop = [this](std::size_t, std::size_t, const group_frame& f) {
      if (f.kind == group_frame_kind::raft)
        if (const auto m = raft::decode_message(f.payload, {}, {}))
          sent += std::holds_alternative<Body>(m->body) ? 1 : 0;
      return false;
    };
  }
  /// The others elect one, and what it commits is nowhere here.
  void go_on_without(std::size_t old) {
    cut_off(old);
    w.evidence(old);
    const auto next = [&] {
      leader = w.leader();
      return leader != SIZE_MAX && leader != old;
    };
    ASSERT_TRUE(w.run_until(next, 30s));
    ASSERT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
  }
  std::size_t sent = 0;
};

} // namespace

TEST_F(replica_stale, a_cut_off_leader_answers_nothing_over_the_bound) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  EXPECT_EQ(to_text(w.ask(leader, get(5s)).result), "x,");
  cut_off(leader);
  w.run_for(100ms); // it can't know yet
  const auto young = w.call(leader, get(5s));
  const auto old = w.call(leader, get(50ms));
  w.run_for(10ms);
  ASSERT_TRUE(w.answered(young));
  EXPECT_EQ(w.answered(young)->status, reply_status::ok);
  EXPECT_FALSE(w.answered(old));
  w.run_for(2s);
  ASSERT_TRUE(w.answered(old));
  EXPECT_EQ(w.answered(old)->status, reply_status::not_leader);
}

TEST_F(replica_stale, nor_does_one_that_slept_through_the_cut) {
  w.base.raft.sleep_after = 200ms;
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  EXPECT_EQ(to_text(w.ask(leader, get(5s)).result), "x,");
  w.run_for(3s);
  const auto old = leader;
  go_on_without(old);
  w.run_for(5s);
  EXPECT_NE(w.ask(old, get(5s)).status, reply_status::ok);
}

TEST_F(replica_stale, nor_one_that_was_frozen_before_its_timers_run) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  auto look =
      w.command("a", std::string{look_state}, ""); // answered without the host
  look.kind = request_kind::query;
  look.max_staleness = 5s;
  EXPECT_EQ(w.ask(leader, look).status, reply_status::ok);
  const auto answers_after = [&](duration pause) {
    auto& core = *w.nodes[leader].core;
    replica_effects out;
    core.on_request(900, look, w.now + pause, out);
    core.flush(w.now + pause, out);
    return std::count_if(out.begin(), out.end(), [](const auto& e) {
      return std::holds_alternative<answer_call>(e);
    });
  };
  EXPECT_EQ(answers_after(1s), 1);
  EXPECT_EQ(answers_after(10s), 0);
}

TEST_F(replica_stale, a_leaders_young_answers_need_no_round) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  EXPECT_EQ(w.ask(leader, get(5s)).status, reply_status::ok);
  count<raft::round_question>();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(w.ask(leader, get(5s)).status, reply_status::ok);
    w.run_for(1ms);
  }
  EXPECT_EQ(sent, 0U);
}

TEST_F(replica_stale, a_query_needs_no_round_of_its_own) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto follower = (leader + 1) % 3;
  w.ask(follower, get(5s)); // asks the leader
  w.run_for(100ms);
  count<raft::confirm_question>();
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(w.ask(follower, get(5s)).status, reply_status::ok);
    w.run_for(10ms);
  }
  // Once in a second at least, so that the bound is never reached.
  EXPECT_GE(sent, 2U);
  EXPECT_LE(sent, 4U);
}

TEST_F(replica_stale, writes_under_way_dont_send_readers_to_the_leader) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto follower = (leader + 1) % 3;
  w.ask(follower, get(1s));
  w.run_for(100ms);
  std::size_t elsewhere = 0;
  for (int i = 0; i < 500; ++i) {
    w.call(leader, w.command("b", "append", "x"));
    if (w.ask(follower, get(1s)).status != reply_status::ok)
      ++elsewhere;
    w.run_for(2ms);
  }
  EXPECT_EQ(elsewhere, 0U);
}

TEST_F(replica_stale, a_follower_without_a_host_passes_it_on) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto follower = (leader + 1) % 3;
  w.ask(follower, get(5s));
  w.run_for(100ms);
  w.kill_host(follower);
  const auto call = w.call(follower, get(5s));
  ASSERT_TRUE(w.answered(call)); // at once: it may be long without one
  EXPECT_EQ(w.answered(call)->status, reply_status::not_leader);
  w.run_for(100ms);
  EXPECT_EQ(w.ask(follower, get(5s)).status, reply_status::ok);
}

/// What a leader says reaches it at once, but entries come late: those of one
/// round are not here as the next one ends.
TEST_F(replica_stale, a_follower_that_trails_within_the_bound_answers) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto follower = (leader + 1) % 3;
  w.drop = [&](std::size_t from, std::size_t to, const group_frame& f) {
    if (from != leader || to != follower || f.kind != group_frame_kind::raft)
      return false;
    const auto m = raft::decode_message(f.payload, {}, {});
    if (!m || !std::holds_alternative<raft::append>(m->body))
      return false;
    w.at(150ms, [this, from, to, f] {
      bytes frame;
      encode(f, frame);
      replica_effects out;
      w.nodes[to].core->on_group_frame(w.nodes[from].self.node, frame, w.now,
                                       out);
      w.carry(to, out);
      w.touch(to);
    });
    return true;
  };
  std::size_t here = 0;
  for (int i = 0; i < 200; ++i) { // rounds are 100 ms apart
    w.call(leader, w.command("b", "append", "x"));
    const auto r = w.ask(follower, get(400ms));
    here += i >= 100 && r.status == reply_status::ok ? 1 : 0;
    w.run_for(10ms);
  }
  EXPECT_GT(here, 90U);
}

TEST_F(replica_stale, a_copy_needs_one_round) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto follower = (leader + 1) % 3;
  count<raft::confirm_question>();
  const auto next = [&](copy_step step) {
    w.copies.clear();
    replica_effects out;
    w.nodes[follower].core->on_copy(1, step, w.now, out);
    w.carry(follower, out);
    w.touch(follower);
    EXPECT_TRUE(w.run_until([&] { return !w.copies.empty(); }));
    return w.copies.empty() ? copy_given{} : w.copies[0];
  };
  const auto all_of = [&](copy_step step) {
    for (int i = 0; i < 100; ++i) {
      const auto g = next(step);
      ASSERT_NE(g.kind, copy_given::what::failed) << g.why;
      if (g.kind != copy_given::what::wait && g.last)
        return;
      w.run_for(20ms);
    }
    FAIL() << "no end";
  };
  ASSERT_NO_FATAL_FAILURE(all_of(copy_step::rows));
  // Where it ends is asked as its entries are, once.
  ASSERT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
  EXPECT_EQ(sent, 0U);
  ASSERT_NO_FATAL_FAILURE(all_of(copy_step::entries));
  EXPECT_EQ(sent, 1U);
}

} // namespace banyan::test
