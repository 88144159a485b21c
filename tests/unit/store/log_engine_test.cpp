#include "log_rig.hpp"

namespace banyan::store::test {
namespace {

TEST(log_engine, comes_back_with_what_was_written) {
  log_rig rig;
  rig.open();
  auto w = rig.order(1);
  w.hard = hard_state{term{3}, replica_ref{{}, replica_number(9)}};
  w.entries = {entry_at(1, 2, "one"), entry_at(2, 3, "two")};
  rig.give(w);
  const auto done = rig.run();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].order, w.order);
  EXPECT_FALSE(done[0].error);
  const auto h1 = chain_hash({}, entry_at(1, 2, "one"));
  const auto h2 = chain_hash(h1, entry_at(2, 3, "two"));
  EXPECT_EQ(done[0].hashes, (std::vector<digest>{h1, h2}));

  rig.open();
  ASSERT_EQ(rig.found.logs.size(), 1u);
  const auto& l = rig.found.logs[0];
  EXPECT_EQ(l.replica, replica_number(1));
  EXPECT_EQ(l.hard, *w.hard);
  ASSERT_EQ(l.entries.size(), 2u);
  EXPECT_TRUE(same(l.entries[1], entry_at(2, 3, "two")));
  EXPECT_EQ(l.end_hash, h2);
  EXPECT_FALSE(l.damaged);
  EXPECT_FALSE(rig.found.damaged);
}

TEST(log_engine, group_commit_shares_one_sync) {
  log_rig rig;
  rig.open();
  const auto before = rig.files->syncs();
  for (std::uint8_t g = 1; g <= 50; ++g)
    rig.write(g, {entry_at(1, 1, "x")});
  EXPECT_EQ(rig.run().size(), 50u);
  EXPECT_EQ(rig.files->syncs(), before + 1);
}

TEST(log_engine, an_entry_truncates_everything_at_or_past_its_index) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "a"), entry_at(2, 1, "b"), entry_at(3, 1, "c")});
  rig.write(1, {entry_at(2, 2, "B")});
  rig.run();
  rig.open();
  const auto* l = rig.log_of(1);
  ASSERT_NE(l, nullptr);
  ASSERT_EQ(l->entries.size(), 2u);
  EXPECT_TRUE(same(l->entries[1], entry_at(2, 2, "B")));
}

TEST(log_engine, a_reset_begins_behind_a_snapshot) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "a")});
  auto w = rig.order(1);
  w.reset =
      log_base{log_index{100}, term{4}, chain_hash({}, entry_at(1, 1, "s"))};
  w.entries = {entry_at(101, 4, "next")};
  rig.give(w);
  rig.run();
  rig.open();
  const auto* l = rig.log_of(1);
  ASSERT_NE(l, nullptr);
  EXPECT_EQ(l->base.index, log_index{100});
  EXPECT_EQ(l->base.term, term{4});
  EXPECT_EQ(l->base.hash, w.reset->hash);
  ASSERT_EQ(l->entries.size(), 1u);
}

TEST(log_engine, another_replica_id_needs_a_reset) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "a")});
  auto w = rig.order(1, 2);
  w.entries = {entry_at(2, 1, "b")};
  rig.give(w);
  auto done = rig.run();
  EXPECT_EQ(done.back().error, store_errc::stale);
  w.reset = log_base{};
  w.entries = {entry_at(1, 1, "b")};
  rig.give(w);
  done = rig.run();
  EXPECT_FALSE(done.back().error);
  rig.open();
  EXPECT_EQ(rig.log_of(1)->replica, replica_number(2));
  EXPECT_EQ(rig.log_of(1)->hard, hard_state{}); // a vote of another life
}

TEST(log_engine, cut_and_drop_are_remembered) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "a"), entry_at(2, 1, "b"), entry_at(3, 1, "c")});
  rig.write(2, {entry_at(1, 1, "z")});
  rig.give(log_cut{group_number(1), replica_number(1), log_index{2}});
  rig.give(log_drop{rig.order(2).order});
  const auto done = rig.run();
  ASSERT_EQ(done.size(), 3u); // the cut doesn't complete
  rig.open();
  EXPECT_EQ(rig.found.logs.size(), 1u);
  EXPECT_EQ(rig.log_of(1)->base.index, log_index{2});
  EXPECT_EQ(rig.log_of(1)->entries.size(), 1u);
}

TEST(log_engine, segments_are_freed_once_every_group_is_cut_past) {
  log_rig rig;
  rig.open();
  const std::string kib(1024, 'k');
  for (std::uint64_t i = 1; i <= 300; ++i) {
    rig.write(1, {entry_at(i, 1, kib)});
    rig.run();
    if (i % 20 == 0) {
      rig.give(log_cut{group_number(1), replica_number(1), log_index{i}});
      rig.run();
    }
  }
  const auto [oldest, newest] = rig.engine->segments();
  EXPECT_GE(newest, 5u);
  EXPECT_GE(oldest + 1, newest);
  rig.open();
  EXPECT_EQ(rig.log_of(1)->base.index, log_index{300});
  EXPECT_EQ(rig.log_of(1)->end_hash, rig.log_of(1)->base.hash);
  EXPECT_FALSE(rig.found.damaged);
}

TEST(log_engine, an_idle_group_does_not_pin_old_segments) {
  log_rig rig;
  rig.open();
  auto idle = rig.order(2);
  idle.hard = hard_state{term{7}, {}};
  idle.entries = {entry_at(1, 1, "first"), entry_at(2, 5, "second")};
  rig.give(idle);
  const std::string kib(1024, 'k');
  for (std::uint64_t i = 1; i <= 400; ++i) {
    rig.write(1, {entry_at(i, 1, kib)});
    rig.give(log_cut{group_number(1), replica_number(1), log_index{i}});
    rig.run();
  }
  const auto [oldest, newest] = rig.engine->segments();
  EXPECT_GT(oldest, 4u);
  EXPECT_LE(newest - oldest, 2u);
  rig.open();
  const auto* l = rig.log_of(2);
  ASSERT_NE(l, nullptr);
  EXPECT_FALSE(l->damaged) << l->damage;
  EXPECT_EQ(l->hard, *idle.hard);
  ASSERT_EQ(l->entries.size(), 2u);
  EXPECT_TRUE(same(l->entries[1], idle.entries[1]));
}

TEST(log_engine, a_full_disk_is_an_error_and_the_log_goes_on_later) {
  log_rig rig;
  rig.open();
  rig.files->set_quota(rig.files->used()); // the reserve is there, no more
  const std::string big(8000, 'b');
  std::uint64_t next = 1;
  std::vector<log_done> done;
  for (int i = 0; i < 40; ++i) {
    rig.write(1, {entry_at(next++, 1, big)});
    done = rig.run();
    if (done.back().error)
      break;
  }
  ASSERT_EQ(done.back().error, store_errc::full);
  --next;
  EXPECT_GT(next, 10u); // the reserved segment was used up first
  // Given before the failure was heard of: would leave a hole.
  rig.write(1, {entry_at(next + 1, 1, "later")});
  EXPECT_EQ(rig.run().back().error, store_errc::stale);
  // What frees space still works: cuts, and then the log itself.
  rig.give(log_cut{group_number(1), replica_number(1), log_index{next - 1}});
  rig.run();
  for (int i = 0; i < 6; ++i) {
    rig.write(1, {entry_at(next++, 1, big)}, 1);
    EXPECT_FALSE(rig.run().back().error);
  }
  rig.open();
  EXPECT_FALSE(rig.found.damaged);
  EXPECT_EQ(rig.log_of(1)->entries.back().index, log_index{next - 1});
}

TEST(log_engine, a_disk_with_less_than_a_free_segment_goes_on_once_it_is_cut) {
  for (const std::size_t beside : {12, 20, 40}) { // KiB behind the first one
    log_rig rig;
    rig.files->set_quota((65 + beside) << 10);
    rig.open();
    const std::string big(2000, 'b');
    std::uint64_t failures = 0;
    for (std::uint64_t i = 1; i <= 400; ++i) {
      rig.write(1, {entry_at(i, 1, big)}, failures);
      const auto error = rig.run().back().error;
      if (!error)
        continue;
      ASSERT_EQ(error, store_errc::full);
      ++failures;
      ASSERT_LT(failures, 40u) << i;
      rig.give(log_cut{group_number(1), replica_number(1), log_index{i - 1}});
      rig.write(1, {entry_at(i, 1, big)}, failures);
      ASSERT_FALSE(rig.run().back().error) << i << " " << beside;
      rig.files->kill();
      rig.open();
      ASSERT_FALSE(rig.found.damaged);
      ASSERT_EQ(rig.log_of(1)->entries.size(), 1u);
      failures = 0; // of an engine
    }
    rig.open();
    EXPECT_FALSE(rig.found.damaged);
    EXPECT_EQ(rig.log_of(1)->entries.back().index, log_index{400});
    rig.files->set_quota(UINT64_MAX); // there is room again: whole segments
    rig.open();
    for (std::uint64_t i = 401; i <= 500; ++i) {
      rig.write(1, {entry_at(i, 1, big)});
      ASSERT_FALSE(rig.run().back().error);
    }
    EXPECT_LE(rig.engine->segments().second - rig.engine->segments().first,
              12u);
  }
}

TEST(log_engine, a_refused_write_leaves_nothing_behind) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "a"), entry_at(2, 1, "b")});
  rig.run();
  rig.files->refuse_writes(true);
  rig.write(1, {entry_at(2, 2, "B"), entry_at(3, 2, "C")});
  rig.write(1, {entry_at(4, 2, "D")});
  rig.write(2, {entry_at(1, 1, "new")});
  auto done = rig.run();
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[0].error, store_errc::full);
  EXPECT_EQ(done[1].error, store_errc::stale);
  EXPECT_EQ(done[2].error, store_errc::full);
  rig.files->refuse_writes(false);
  rig.write(1, {entry_at(3, 1, "c")}, 1); // "b" is still there
  done = rig.run();
  EXPECT_FALSE(done.back().error);
  rig.open();
  ASSERT_EQ(rig.log_of(1)->entries.size(), 3u);
  EXPECT_TRUE(same(rig.log_of(1)->entries[1], entry_at(2, 1, "b")));
  EXPECT_EQ(rig.log_of(2), nullptr);
}

TEST(log_engine, a_failed_sync_ends_the_log_for_good) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "a")});
  rig.run();
  rig.files->fail_next_sync();
  rig.write(1, {entry_at(2, 1, "b")});
  EXPECT_EQ(rig.run().back().error, store_errc::io);
  rig.write(1, {entry_at(2, 1, "b")});
  EXPECT_EQ(rig.run().back().error, store_errc::io);
  EXPECT_TRUE(rig.engine->failed());
}

TEST(log_engine, an_order_too_large_is_refused) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, std::string(64 << 10, 'x'))});
  EXPECT_EQ(rig.run().back().error, store_errc::too_large);
  rig.write(1, {entry_at(1, 1, "x")}, 1);
  EXPECT_FALSE(rig.run().back().error);
}

} // namespace
} // namespace banyan::store::test
