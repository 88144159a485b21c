// The output gate and completions of other lives, rule by rule: what only a
// rare moment would show.
#include "rules.hpp"

#include <gtest/gtest.h>

namespace banyan::test {
namespace {

struct replica_gate : replica_rules {};

TEST_F(replica_gate, a_duplicate_waits_for_the_next_leaders_own_commit) {
  boot();
  session = w.open_session(leader);
  const auto old = leader;
  const auto heir = (old + 1) % 3;
  const auto other = (old + 2) % 3;
  auto request = w.command("a", "append", "x");
  request.identity = session_request{session, 1, 0};
  // The heir gets the entry; nobody hears that it did.
  w.cut(old, other);
  w.cut(heir, old, false);
  w.call(old, request);
  w.run_for(20ms);
  w.crash(old);
  w.heal();
  w.evidence(old);
  ASSERT_TRUE(w.run_until([&] {
    return w.nodes[heir].last_role.now == role_changed::role::leader;
  }));
  cut_off(heir); // it leads, and commits nothing of its own
  const auto again = w.call(heir, request);
  w.run_for(100ms);
  EXPECT_FALSE(w.answered(again));
  w.heal();
  w.run_for(1s);
  ASSERT_TRUE(w.answered(again));
  EXPECT_EQ(w.answered(again)->status, reply_status::ok);
  EXPECT_EQ(w.words("a"), "x,");
}

TEST_F(replica_gate, a_message_goes_out_once_its_entry_is_committed) {
  boot();
  cut_off(leader);
  w.call(leader, w.command("a", "send", "other/b x"));
  w.run_for(200ms); // executed, written here, never committed
  EXPECT_TRUE(w.foreign.empty());
  w.heal();
  w.run_for(1s);
  EXPECT_FALSE(w.foreign.empty());
}

TEST_F(replica_gate, a_timer_is_due_once_its_entry_is_committed) {
  boot();
  cut_off(leader);
  const auto before = w.nodes[leader].turns_run;
  w.call(leader, w.command("a", "after", "10 t"));
  w.run_for(200ms);
  EXPECT_EQ(w.nodes[leader].turns_run, before + 1);
  w.heal();
  w.run_for(1s);
  EXPECT_EQ(w.words("a"), "t,");
}

TEST(replica_completions, of_another_life_of_the_log_count_for_nothing) {
  world_options alone;
  alone.nodes = alone.voters = 1;
  world w{7, alone};
  w.boot(0);
  w.await_leader();
  ASSERT_EQ(w.ask(0, w.command("a", "append", "w")).status, reply_status::ok);
  w.options.disk_low = 1s; // its value is known without a read from now on
  w.options.disk_high = 2s;
  const auto call = w.call(0, w.command("a", "append", "x"));
  w.run_for(20ms);
  ASSERT_FALSE(w.nodes[0].log_pending.empty());
  store::log_done done;
  done.order = w.nodes[0].log_pending.back().order;
  done.order.term = done.order.term.next();
  replica_effects out;
  w.nodes[0].core->on_log_done(done, w.now, out);
  w.carry(0, out);
  w.touch(0);
  w.run_for(20ms);
  EXPECT_FALSE(w.answered(call)); // its own disk has not said so
  w.run_for(3s);
  EXPECT_TRUE(w.answered(call));
}

TEST(replica_completions, of_another_order_of_the_state_count_for_nothing) {
  world_options alone;
  alone.nodes = alone.voters = 1;
  world w{7, alone};
  w.boot(0);
  w.await_leader();
  ASSERT_EQ(w.ask(0, w.command("a", "append", "w")).status, reply_status::ok);
  w.options.disk_low = 1s;
  w.options.disk_high = 2s;
  auto& me = w.nodes[0];
  const auto applied = me.core->status().applied;
  ASSERT_TRUE(w.run_until([&] { return !me.state_pending.empty(); }));
  store::order_id other{w.base.group, me.self.replica, {}, 1'000'000};
  replica_effects out;
  me.core->on_state_committed(other, store::digest_at{}, w.now, out);
  w.carry(0, out);
  EXPECT_EQ(me.core->status().applied, applied);
  w.run_for(3s);
  EXPECT_GT(me.core->status().applied, applied);
}

TEST_F(replica_damage, a_row_of_an_older_state_is_no_answer) {
  boot();
  fill(0, 100);
  w.run_for(1s);
  const auto name = "k" + std::to_string(3);
  ASSERT_EQ(status(w.command(name, "append", "new")), reply_status::ok);
  // The followers have the entry and don't know that it is committed.
  w.drop = [&](std::size_t from, std::size_t, const group_frame& f) {
    return from == leader && f.kind == group_frame_kind::raft;
  };
  ASSERT_TRUE(w.run_until(
      [&] {
        const auto s = w.nodes[leader].core->status();
        return s.applied == s.committed;
      },
      400ms));
  ASSERT_LT(w.nodes[other()].core->status().applied,
            w.nodes[leader].core->status().applied);
  w.rot(leader, actor_row(name));
  w.scrub(leader);
  w.run_for(20ms);
  w.drop = nullptr;
  w.run_for(2s);
  EXPECT_EQ(w.nodes[leader].core->status().rows_damaged, 0U);
  EXPECT_NE(w.words(name).find("new,"), std::string::npos);
  w.check_states_equal();
}

} // namespace
} // namespace banyan::test
