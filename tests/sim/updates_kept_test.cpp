// What a group's version rests on while it changes: the papers of the one
// before, and the word of shard 0 (DESIGN sections 6 and 8).
#include "sim/updates.hpp"

namespace banyan::sim {
namespace {

using actors::document_kind;
using updates_kept = updates;

TEST_F(updates_kept, the_word_of_shard_0_is_said_again_to_who_missed_it) {
  begin();
  const auto of_0 = leader(0);
  for (std::uint32_t s = 1; s < shards; ++s)
    if (leader(s) == of_0)
      context(of_0).tell_replica({app, s}, actors::group_order{});
  ASSERT_TRUE(
      w.run_until([&] { return leader(1) != of_0 && leader(2) != of_0; }, 5s));
  ASSERT_EQ(deploy("tally2", 1s).status, reply_status::ok);
  ASSERT_TRUE(w.run_until(
      [&] {
        const auto* x = word(0, of_0);
        return x != nullptr && x->running == 2
               && x->state == update_state::done;
      },
      10s));
  // Whatever it said then, nobody has heard.
  for (int i = 0; i < 40; ++i) {
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (n != of_0)
        context(n).version_words.erase({app, 0});
    w.run_for(1ms);
  }
  ASSERT_EQ(word(1, of_0)->running, 1U);
  EXPECT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 10s));
}

// ---- groups that were born before versions ----------------------------------

/// One group, three machines of a build that knows no versions.
struct unnamed_versions : updates {
  unnamed_versions() : updates{3, 1} {}
  std::size_t bases(std::size_t n) {
    return context(n)
        .disk.documents->list(static_cast<std::uint8_t>(document_kind::base))
        .size();
  }
  void reboot(std::size_t n) {
    w.at(n).kill(machine::end::process);
    w.at(n).set_features(features_known);
    w.run_for(100ms);
    w.at(n).boot();
  }
};

// Which version such a group runs only its papers say, until an entry does: one
// that is committed, or a leader that starts again would run the newest.
TEST_F(unnamed_versions, an_entry_that_is_only_proposed_forgets_no_papers) {
  begin({0, 1, 2});
  ASSERT_EQ(ask(0, key(0), "add").status, reply_status::ok);
  ++added[key(0)];
  ASSERT_EQ(deploy("tally2", 0s).status, reply_status::ok);
  ASSERT_TRUE(w.run_until(
      [&] { return bases(0) == 1 && bases(1) == 1 && bases(2) == 1; }, 5s));
  // All but one are updated: the update waits for that one.
  const auto last = (leader(0) + 1) % 3;
  for (std::size_t n = 0; n < 3; ++n)
    if (n != last)
      reboot(n);
  w.run_for(5s);
  for (int i = 0; i < 5 && leader(0) == last; ++i) {
    context(last).tell_replica({app, 0}, actors::group_order{});
    w.run_for(1s);
  }
  const auto led = leader(0);
  ASSERT_NE(led, last);
  ASSERT_EQ(word(0, led)->running, 1U);
  reboot(last);
  for (std::size_t n = 0; n < 3; ++n)
    if (n != led)
      w.at(n).disk().set_sync_delay(2s);
  // Two entries follow each other, each for as long as a follower's disk takes.
  ASSERT_TRUE(w.run_until(
      [&] { return word(0, led)->state == update_state::rolling; }, 20s));
  w.run_for(3s);
  ASSERT_EQ(leader(0), led);
  ASSERT_EQ(word(0, led)->running, 1U);
  EXPECT_EQ(bases(led), 1U);
  for (const auto& m : w.machines) {
    m->kill(machine::end::power);
    m->disk().set_sync_delay(0ms);
  }
  w.run_for(100ms);
  for (const auto& m : w.machines)
    m->boot();
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 30s));
  ASSERT_TRUE(
      w.run_until([&] { return bases(0) + bases(1) + bases(2) == 0; }, 5s));
  EXPECT_EQ(ask(0, key(0), "label").status, reply_status::ok);
  expect_values(0);
}

} // namespace
} // namespace banyan::sim
