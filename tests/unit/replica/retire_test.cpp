// A replica that left its group, and may be back in it.
#include "world.hpp"

#include <gtest/gtest.h>

namespace banyan::test {
namespace {

world_options four_nodes() {
  world_options o;
  o.nodes = 4;
  return o;
}

// Seen between hosts that were cut off for a second: what a leader had sent to
// a removed replica came after the next leader had taken that one in again, and
// a voter forgot its log and its vote.
TEST(replica_retirement, a_late_word_is_not_for_one_that_was_taken_in_again) {
  world w{3, four_nodes()};
  for (std::size_t i = 0; i < 4; ++i)
    w.boot(i);
  const auto leader = w.await_leader();
  ASSERT_LT(leader, 3U);
  const auto out = (leader + 1) % 3;
  std::optional<bytes> late;
  w.drop = [&](std::size_t, std::size_t to, const group_frame& f) {
    if (f.kind != group_frame_kind::retire || to != out)
      return false;
    if (!late)
      encode(f, late.emplace());
    return true;
  };
  replica_effects none;
  const auto change = [&](std::uint64_t number, std::size_t in,
                          std::size_t gone) {
    w.nodes[leader].changes.clear();
    w.nodes[leader].core->change_voters(number, {w.nodes[in].self},
                                        {w.nodes[gone].self}, w.now, none);
    w.touch(leader);
    ASSERT_TRUE(
        w.run_until([&] { return !w.nodes[leader].changes.empty(); }, 30s));
    ASSERT_TRUE(w.nodes[leader].changes[0].done);
  };
  change(9, 3, out);
  ASSERT_TRUE(w.run_until([&] { return late.has_value(); }, 30s));
  change(10, out, 3);
  ASSERT_EQ(w.leader(), leader);
  const auto deliver = [&] {
    replica_effects effects;
    w.nodes[out].core->on_group_frame(w.nodes[leader].self.node, *late, w.now,
                                      effects);
    w.carry(out, effects);
  };
  deliver();
  EXPECT_FALSE(w.nodes[out].retired);
  late.reset();
  change(11, 3, out);
  ASSERT_TRUE(w.run_until([&] { return late.has_value(); }, 30s));
  deliver();
  EXPECT_TRUE(w.nodes[out].retired);
  for (const auto& p : w.problems)
    ADD_FAILURE() << p;
}

// It was away when it was told, or the leader that wanted it died: it asks.
TEST(replica_retirement, who_is_left_out_is_told_and_a_member_is_not) {
  world w{4, four_nodes()};
  for (std::size_t i = 0; i < 4; ++i)
    w.boot(i);
  const auto leader = w.await_leader();
  ASSERT_LT(leader, 3U);
  const auto out = (leader + 1) % 3;
  std::size_t told = 0;
  bool lost = true;
  w.drop = [&](std::size_t, std::size_t, const group_frame& f) {
    told += f.kind == group_frame_kind::retire ? 1 : 0;
    return f.kind == group_frame_kind::retire && lost;
  };
  const auto ask = [&](std::size_t from, std::size_t to) {
    group_frame f;
    f.group = w.base.group;
    f.lineage = w.base.lineage;
    f.from = w.nodes[from].self.replica;
    f.to = w.nodes[to].self.replica;
    f.kind = group_frame_kind::left_out;
    bytes b;
    encode(f, b);
    replica_effects effects;
    w.nodes[to].core->on_group_frame(w.nodes[from].self.node, b, w.now,
                                     effects);
    w.carry(to, effects);
    w.touch(to);
    w.run_for(3s);
  };
  replica_effects none;
  w.nodes[leader].core->change_voters(9, {w.nodes[3].self}, {w.nodes[out].self},
                                      w.now, none);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return told == 5; }, 30s));
  w.run_for(5s);
  EXPECT_EQ(told, 5U);
  lost = false;
  const auto follower = 3 - leader - out; // of the first three
  ask(follower, leader);
  ask(3, leader);
  ask(out, follower); // who doesn't lead says nothing
  EXPECT_EQ(told, 5U);
  EXPECT_FALSE(w.nodes[out].retired);
  ask(out, leader);
  EXPECT_EQ(told, 6U);
  EXPECT_TRUE(w.nodes[out].retired);
  for (const auto& p : w.problems)
    ADD_FAILURE() << p;
}

} // namespace
} // namespace banyan::test
