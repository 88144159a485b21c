// Copies of a replica's state for a backup: whole, as new as they say, taken
// while the group goes on.
#include "actors/pure/backup/image.hpp"
#include "tests/unit/replica/rules.hpp"

namespace banyan::test {
namespace {

struct backup_copy : replica_rules {
  backup_copy() {
    w.base.state_commit_interval = 200ms;
    w.base.snapshot_chunk_bytes = 40;
  }
  void append(const std::string& key, const std::string& word) {
    ASSERT_EQ(status(w.command(key, "append", word)), reply_status::ok);
  }
  void fill(int n) {
    for (int i = 0; i < n; ++i)
      append("k" + std::to_string(i % 23), std::to_string(i));
  }
  copy_given ask(std::size_t n, copy_step step, std::uint64_t token = 9) {
    w.copies.clear();
    replica_effects out;
    w.nodes[n].core->on_copy(token, step, w.now, out);
    w.carry(n, out);
    w.touch(n);
    w.run_until([&] { return !w.copies.empty(); }, 2s);
    return w.copies.empty() ? copy_given{} : w.copies.front();
  }
  /// Asks until the step's last part; empty: it failed.
  std::string take(
      std::size_t n, copy_step step, backup::shard_image& image,
      const std::function<void()>& between = [] {}) {
    for (int i = 0; i < 1000; ++i) {
      auto g = ask(n, step);
      if (g.kind == copy_given::what::failed)
        return g.why;
      if (g.kind == copy_given::what::wait) {
        w.run_for(50ms);
        continue;
      }
      bytes part{static_cast<std::uint8_t>(
          step == copy_step::rows ? backup::part_rows : backup::part_entries)};
      banyan::append(part, g.payload);
      if (const auto why = image.add(part); !why.empty())
        return why;
      if (g.last)
        return {};
      between();
    }
    return "no end";
  }
  void ask_end(std::size_t n) {
    replica_effects out;
    w.nodes[n].core->on_copy(9, copy_step::end, w.now, out);
    w.carry(n, out);
  }
  std::size_t follower() const { return (leader + 1) % 3; }
};

TEST_F(backup_copy, of_a_follower_is_whole_though_the_group_goes_on) {
  boot();
  fill(30);
  w.run_for(1s);
  backup::shard_image image{w.base.group};
  int more = 100;
  const auto go_on = [&] {
    append("new" + std::to_string(more % 2), "m");
    ++more;
  };
  ASSERT_EQ(take(follower(), copy_step::rows, image, go_on), "");
  EXPECT_GE(more, 102); // several ranges, and writes between them
  const auto last = w.nodes[leader].core->status().committed;
  ASSERT_EQ(take(follower(), copy_step::entries, image), "");
  EXPECT_EQ(image.finish(), ""); // the digest fits
  EXPECT_GE(image.meta().index, last);
  EXPECT_EQ(image.actors(), 25U);
}

TEST_F(backup_copy, ends_no_earlier_than_what_was_committed_when_asked) {
  boot();
  fill(10);
  w.run_for(1s);
  backup::shard_image image{w.base.group};
  ASSERT_EQ(take(follower(), copy_step::rows, image), "");
  append("late", "x");
  const auto committed = w.nodes[leader].core->status().committed;
  ASSERT_EQ(take(follower(), copy_step::entries, image), "");
  EXPECT_GE(image.meta().index, committed);
  EXPECT_EQ(image.finish(), "");
  EXPECT_EQ(image.rows().count(replica::actor_row("late")), 1U);
}

// Found by a backup under load: entries came from where the state stood, rows
// from where a commit on its way was about to bring it.
TEST_F(backup_copy, begun_while_a_commit_is_on_its_way_lacks_no_entry) {
  w.options.disk_low = 20ms;
  w.options.disk_high = 40ms;
  boot();
  for (int i = 0; i < 30; ++i) {
    fill(2);
    backup::shard_image image{w.base.group};
    ASSERT_EQ(take(follower(), copy_step::rows, image), "") << i;
    ASSERT_EQ(take(follower(), copy_step::entries, image), "") << i;
    ASSERT_EQ(image.finish(), "") << i;
    w.run_for(std::chrono::milliseconds{7 * i});
    ask_end(follower());
  }
}

TEST_F(backup_copy, a_leader_serves_one_too) {
  boot();
  fill(10);
  w.run_for(1s);
  backup::shard_image image{w.base.group};
  ASSERT_EQ(take(leader, copy_step::rows, image), "");
  ASSERT_EQ(take(leader, copy_step::entries, image), "");
  EXPECT_EQ(image.finish(), "");
}

TEST_F(backup_copy, a_follower_that_is_cut_off_gives_none_that_may_be_old) {
  boot();
  fill(10);
  w.run_for(1s);
  backup::shard_image image{w.base.group};
  const auto n = follower();
  ASSERT_EQ(take(n, copy_step::rows, image), "");
  cut_off(n);
  append("late", "x");
  for (int i = 0; i < 40; ++i) {
    EXPECT_NE(ask(n, copy_step::entries).kind, copy_given::what::entries);
    w.run_for(50ms);
  }
}

TEST_F(backup_copy, that_nobody_asks_for_lets_the_log_go) {
  w.base.log_kept_entries = 20;
  boot();
  fill(30);
  w.run_for(1s);
  ASSERT_EQ(ask(follower(), copy_step::rows).kind, copy_given::what::rows);
  w.run_for(70s);
  EXPECT_EQ(ask(follower(), copy_step::entries).kind, copy_given::what::failed);
}

TEST_F(backup_copy, whose_log_grows_too_long_is_given_up) {
  w.base.copy_log_bytes_max = 2000;
  boot();
  fill(30);
  w.run_for(1s);
  ASSERT_EQ(ask(follower(), copy_step::rows).kind, copy_given::what::rows);
  fill(100);
  w.run_for(2s);
  EXPECT_EQ(ask(follower(), copy_step::entries).kind, copy_given::what::failed);
}

TEST_F(backup_copy, a_state_that_is_damaged_gives_none) {
  boot();
  fill(30);
  w.run_for(1s);
  for (std::size_t n = 0; n < 3; ++n)
    w.rot(n, replica::actor_row("k3"));
  backup::shard_image image{w.base.group};
  EXPECT_NE(take(follower(), copy_step::rows, image), "");
}

TEST_F(backup_copy, put_together_with_a_row_missing_is_found) {
  boot();
  fill(30);
  w.run_for(1s);
  backup::shard_image image{w.base.group};
  auto g = ask(follower(), copy_step::rows);
  replica::snapshot_chunk chunk;
  ASSERT_TRUE(replica::decode(g.payload, chunk));
  ASSERT_FALSE(chunk.rows.empty());
  chunk.rows.pop_back();
  chunk.hash = replica::hash_rows(chunk.rows); // whoever did it knows how
  bytes part{backup::part_rows};
  banyan::append(part, replica::encode(chunk));
  ASSERT_EQ(image.add(part), "");
  if (!g.last) {
    ASSERT_EQ(take(follower(), copy_step::rows, image), "");
  }
  ASSERT_EQ(take(follower(), copy_step::entries, image), "");
  EXPECT_NE(image.finish(), "");
}

} // namespace
} // namespace banyan::test
