// A log that is full: what is refused, what is given up for room, and how often
// it is tried again.
#include "rules.hpp"

namespace banyan::test {
namespace {

struct replica_full_log : replica_rules {
  std::size_t log_orders() const {
    std::size_t sum = 0;
    for (const auto& n : w.nodes)
      sum += n.log_orders;
    return sum;
  }
  request_frame query(const std::string& key) {
    auto q = w.command(key, "get", "");
    q.kind = request_kind::query;
    return q;
  }
};

TEST_F(replica_full_log, one_order_is_tried_again_ever_more_seldom) {
  boot();
  w.disk_full = true;
  for (int i = 0; i < 50; ++i) { // each an order of its own
    w.call(leader, w.command("k" + std::to_string(i), "append", "x"));
    w.run_for(20us);
  }
  w.run_for(100ms);
  const auto before = log_orders();
  w.run_for(20s);
  EXPECT_LT(log_orders() - before, 60u); // 3 nodes, every 2 s in the end
  EXPECT_GT(log_orders() - before, 15u);
  w.disk_full = false;
  w.run_for(4s);
  leader = w.await_leader();
  for (int i = 0; i < 50; i += 7)
    EXPECT_EQ(status(w.command("k" + std::to_string(i), "append", "y")),
              reply_status::ok);
  w.check_states_equal();
}

TEST_F(replica_full_log, what_is_stored_is_given_up_and_the_order_tried_again) {
  boot();
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.run_for(2s);
  const auto kept = w.nodes[leader].log.base.index;
  ASSERT_EQ(kept, log_index{}); // for voters that were away
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
  w.disk_full = true;
  const auto before = log_orders();
  w.call(leader, w.command("a", "append", "z"));
  // Not after a second: what was not stored yet is stored for it.
  w.run_for(20ms);
  for (const auto& n : w.nodes) {
    EXPECT_GE(n.log.base.index.value(), 105u);
    EXPECT_EQ(n.log.base.index, n.core->status().applied);
  }
  EXPECT_GE(log_orders() - before, 6u); // at once, as there may be room now
  w.disk_full = false;
  w.run_for(200ms);
  EXPECT_EQ(status(w.command("a", "append", "z")), reply_status::ok);
  w.check_states_equal();
}

TEST_F(replica_full_log, another_groups_full_log_is_this_ones) {
  boot();
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  store::log_done full;
  full.order.group.shard = 77;
  full.error = store::store_errc::full;
  replica_effects out;
  w.nodes[leader].core->on_log_done(full, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(10ms); // it is stored first
  w.nodes[leader].core->on_log_done(full, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  EXPECT_GE(w.nodes[leader].log.base.index.value(), 10u);
  EXPECT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
}

TEST_F(replica_full_log, queries_that_it_holds_up_are_disk_full) {
  boot();
  ASSERT_EQ(status(w.command("b", "append", "x")), reply_status::ok);
  w.disk_full = true;
  w.call(leader, w.command("a", "append", "x")); // nobody can store it
  w.run_for(10ms);
  EXPECT_EQ(status(query("b")), reply_status::ok); // needs no disk
  auto brief = query("a");
  brief.deadline_left = 200ms;
  EXPECT_EQ(w.ask(leader, brief, 300ms).status, reply_status::disk_full);
  auto patient = query("a");
  patient.deadline_left = 30s;
  EXPECT_EQ(w.ask(leader, patient, 3s).status, reply_status::disk_full);
  w.disk_full = false;
  w.run_for(4s);
  EXPECT_EQ(w.words("a"), "x,");
}

} // namespace
} // namespace banyan::test
