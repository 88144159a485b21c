#include "disk_rig.hpp"
#include "log_rig.hpp"

namespace banyan::store::test {
namespace {

/// A simulated node that appends to one group and commits what it appended.
struct node {
  virtual_time time;
  virtual_disk under;
  disk d;
  std::vector<log_done> done;
  std::uint64_t number = 0;

  explicit node(std::uint64_t seed = 1)
      : under{options(seed), time.scheduler(), time.clock()} {
    boot();
  }
  static virtual_disk::options options(std::uint64_t seed) {
    virtual_disk::options o;
    o.seed = seed;
    o.segment_bytes = 64 << 10;
    return o;
  }
  void boot() {
    d = {};
    d = under.open();
    d.log->on_done([this](const std::vector<log_done>& more) {
      done.insert(done.end(), more.begin(), more.end());
    });
  }
  void append(std::uint64_t index, const std::string& text = "data") {
    log_write w;
    w.order = {group_number(1), replica_number(1), term{1}, ++number};
    w.entries = {entry_at(index, 1, text)};
    d.log->submit(std::move(w));
  }
  std::size_t entries() const {
    const auto& logs = d.recovered_logs.logs;
    return logs.empty() ? 0 : logs[0].entries.size();
  }
  void drain() {
    while (time.step()) {
    }
  }
};

TEST(virtual_disk, un_synced_orders_are_lost_and_completed_ones_stay) {
  std::size_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    node n{seed};
    seeded_random random{seed};
    std::uint64_t next = 1;
    for (int round = 0; round < 8; ++round) {
      for (int i = 0; i < 5; ++i)
        n.append(next++);
      const auto steps = random.below(12);
      for (std::uint64_t i = 0; i < steps; ++i)
        n.time.step();
      const auto completed = n.done.size();
      n.under.crash();
      n.drain();
      ASSERT_EQ(n.done.size(), completed); // the dead complete nothing
      n.boot();
      ASSERT_FALSE(n.d.recovered_logs.damaged);
      const auto kept = n.entries();
      std::size_t acknowledged = 0;
      for (const auto& one : n.done)
        acknowledged += one.error ? 0u : 1u;
      ASSERT_LE(kept, next - 1);
      ASSERT_GE(kept, acknowledged);
      lost += next - 1 - kept;
      next = kept + 1;
      n.done.clear();
      n.done.resize(kept); // what is on disk now must stay
    }
  }
  EXPECT_GT(lost, 0u);
}

TEST(virtual_disk, kill_keeps_what_was_written) {
  node n;
  n.append(1);
  n.time.step(); // written, not synced
  n.under.kill();
  n.boot();
  EXPECT_EQ(n.entries(), 1u);
  EXPECT_TRUE(n.done.empty());
}

TEST(virtual_disk, the_same_seed_gives_the_same_run) {
  const auto run = [] {
    node n{42};
    for (std::uint64_t i = 1; i <= 50; ++i)
      n.append(i);
    n.drain();
    return n.time.now();
  };
  EXPECT_EQ(run(), run());
}

TEST(virtual_disk, a_slow_disk_shows_in_oldest_pending) {
  node n;
  n.under.set_sync_delay(5s);
  n.append(1);
  const auto since = n.d.log->oldest_pending();
  while (n.done.empty())
    ASSERT_TRUE(n.time.step());
  EXPECT_GE(n.time.now() - since, 5s);
}

TEST(virtual_disk, full_is_typed_and_heals) {
  node n;
  n.under.set_full(true);
  std::uint64_t next = 1;
  do {
    n.append(next++, std::string(9000, 'x'));
    n.drain();
  } while (!n.done.back().error && next < 100);
  EXPECT_EQ(n.done.back().error, store_errc::full);
  std::optional<store_errc> error;
  group_commit c;
  c.order = {group_number(1), replica_number(1), term{1}, 1};
  c.rows = {{to_bytes("k"), shared_bytes{to_bytes("v")}, log_index{1}}};
  c.meta = applied_meta{};
  n.d.state->commit({c}, [&](auto r) { error = r.front().error().code; });
  n.drain();
  EXPECT_EQ(error, store_errc::full);
  n.under.set_full(false);
  n.append(next - 1, "again");
  n.drain();
  EXPECT_FALSE(n.done.back().error);
}

TEST(virtual_disk, a_full_log_shows_in_oldest_pending) {
  node n;
  n.under.set_full(true);
  std::uint64_t next = 1;
  auto since = n.time.now();
  do {
    since = n.time.now();
    n.append(next++, std::string(9000, 'x'));
    n.drain();
  } while (!n.done.back().error && next < 100);
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(n.d.log->oldest_pending(), since);
    n.append(next - 1, std::string(9000, 'x'));
    n.drain();
    ASSERT_EQ(n.done.back().error, store_errc::full);
  }
  n.under.set_full(false);
  n.append(next - 1, "again");
  n.drain();
  ASSERT_FALSE(n.done.back().error);
  EXPECT_EQ(n.d.log->oldest_pending(), never);
}

/// Fills the log until a write of group 1 is refused.
struct full_node : node {
  std::uint64_t next = 1;

  full_node() {
    under.set_full(true);
    while (done.empty() || !done.back().error)
      write(next++);
    EXPECT_EQ(done.back().error, store_errc::full);
    EXPECT_NE(d.log->oldest_pending(), never);
  }
  void write(std::uint64_t index) {
    append(index, std::string(9000, 'x'));
    drain();
  }
  void pass(duration more) {
    time.scheduler()(more, [] {});
    drain();
  }
};

TEST(virtual_disk, a_full_log_counts_while_somebody_still_tries) {
  full_node n;
  const auto since = n.d.log->oldest_pending();
  for (int again = 0; again < 5; ++again) { // as seldom as a replica does
    n.pass(2s);
    EXPECT_EQ(n.d.log->oldest_pending(), since);
    n.write(n.next - 1);
    ASSERT_EQ(n.done.back().error, store_errc::full);
  }
  // Its replica is given up, or began with this write and went elsewhere.
  n.pass(log::full_patience);
  EXPECT_EQ(n.d.log->oldest_pending(), never);
  // Whoever tries then has waited since then.
  const auto later = n.time.now();
  n.write(n.next - 1);
  ASSERT_EQ(n.done.back().error, store_errc::full);
  EXPECT_EQ(n.d.log->oldest_pending(), later);
}

TEST(virtual_disk, a_log_that_is_dropped_is_not_full) {
  full_node n;
  n.under.refuse_writes(true);
  n.d.log->drop({group_number(1), replica_number(1), {}, 0});
  n.drain();
  ASSERT_EQ(n.done.back().error, store_errc::full);
  EXPECT_EQ(n.d.log->oldest_pending(), never);
}

TEST(virtual_disk, a_failed_sync_is_for_good) {
  node n;
  n.under.fail_next_sync();
  n.append(1);
  n.drain();
  EXPECT_EQ(n.done.back().error, store_errc::io);
  n.append(1);
  n.drain();
  EXPECT_EQ(n.done.back().error, store_errc::io);
}

TEST(virtual_disk, rot_is_found) {
  node n;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    n.append(i);
    n.drain();
  }
  group_commit c;
  c.order = {group_number(1), replica_number(1), term{1}, 1};
  c.rows = {{to_bytes("k"), shared_bytes{to_bytes("v")}, log_index{1}}};
  c.meta = applied_meta{};
  n.d.state->commit({c}, {});
  n.drain();
  ASSERT_TRUE(n.under.rot_row());
  std::optional<store_errc> error;
  n.d.state->read(group_number(1), to_bytes("k"), [&](auto r) {
    if (!r)
      error = r.error().code;
  });
  n.drain();
  EXPECT_EQ(error, store_errc::damaged);
  ASSERT_TRUE(n.under.rot_log());
  n.under.kill();
  n.boot();
  EXPECT_TRUE(n.d.recovered_logs.damaged);
  EXPECT_TRUE(n.d.recovered_logs.logs.empty()
              || n.d.recovered_logs.logs[0].damaged);
}

TEST(virtual_disk, wiped_is_empty) {
  node n;
  n.append(1);
  n.drain();
  ASSERT_TRUE(n.d.documents->put_now({{1, to_bytes("a"), bytes{1}}}).ok());
  n.under.wipe();
  n.boot();
  EXPECT_EQ(n.entries(), 0u);
  EXPECT_FALSE(n.d.documents->find(1, as_bytes("a")));
  EXPECT_FALSE(n.d.documents->damaged());
}

} // namespace
} // namespace banyan::store::test
