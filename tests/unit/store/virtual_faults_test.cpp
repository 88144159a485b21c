// Each fault of the simulated disk: what it does to what was stored, and that
// the contract holds for the rest.
#include "disk_rig.hpp"
#include "log_rig.hpp"

namespace banyan::store::test {
namespace {

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
  void append(std::uint64_t index, std::uint8_t group = 1,
              const std::string& text = "data") {
    log_write w;
    w.order = {group_number(group), replica_number(1), term{1}, ++number};
    w.entries = {entry_at(index, 1, text)};
    d.log->submit(std::move(w));
  }
  void drain() {
    while (time.step()) {
    }
  }
  group_commit change(std::uint64_t index, const std::string& key,
                      const std::string& value, std::uint8_t group = 1) {
    group_commit c;
    c.order = {group_number(group), replica_number(1), term{1}, ++number};
    c.rows = {{to_bytes(key), shared_bytes{to_bytes(value)}, log_index{index}}};
    applied_meta m;
    m.index = log_index{index};
    c.meta = m;
    return c;
  }
  std::optional<store_errc> commit(group_commit c) {
    std::optional<store_errc> error;
    d.state->commit({std::move(c)}, [&](auto r) {
      if (!r.front())
        error = r.front().error().code;
    });
    drain();
    return error;
  }
  std::string read(const std::string& key) {
    std::string out = "no answer";
    d.state->read(group_number(1), to_bytes(key), [&](auto r) {
      out = !r.ok() ? std::string{to_string(r.error().code)}
            : *r    ? to_text((*r)->value.view())
                    : "nothing";
    });
    drain();
    return out;
  }
  std::optional<bool> scrub() {
    std::optional<bool> out;
    d.state->scrub(group_number(1), {}, 1 << 30,
                   [&](auto r) { out = r->digest_matches; });
    drain();
    return out;
  }
  log_scrub scrub_log() {
    log_scrub out;
    d.log->scrub({}, 1 << 30, [&](const log_scrub& s) { out = s; });
    drain();
    return out;
  }
  /// The next open checks the state first.
  state_opening checked_boot() {
    under.kill();
    under.set_check_time(1s, 2s);
    boot();
    std::optional<state_opening> out;
    d.on_state_open([&](const state_opening& o) { out = o; });
    EXPECT_FALSE(out);
    drain();
    return out ? *out : state_opening{};
  }
};

TEST(virtual_faults, the_power_goes_at_the_nth_change_and_nobody_hears) {
  for (std::uint64_t n = 1; n <= 40; ++n) {
    node m{n};
    bool cut = false;
    m.under.crash_at_change(n, [&] {
      cut = true;
      m.under.crash();
    });
    std::uint64_t next = 1;
    while (!cut && next < 100) {
      m.append(next);
      (void)m.commit(m.change(next, "k", std::to_string(next)));
      ++next;
    }
    ASSERT_TRUE(cut) << n;
    for (const auto& one : m.done)
      ASSERT_FALSE(one.error); // a power cut isn't an error
    const auto acknowledged = m.done.size();
    m.boot();
    const auto& logs = m.d.recovered_logs;
    EXPECT_FALSE(logs.damaged);
    const auto kept = logs.logs.empty() ? 0 : logs.logs[0].entries.size();
    ASSERT_GE(kept, acknowledged);
    ASSERT_LE(kept, next - 1);
    const auto& states = m.d.recovered_states;
    if (!states.empty()) {
      const auto index = states[0].meta.index.value();
      EXPECT_EQ(m.read("k"), std::to_string(index));
      EXPECT_GE(index + 2, next);
    }
  }
}

TEST(virtual_faults, a_failed_write_and_a_failed_commit_are_io) {
  node m;
  m.under.fail_next_write();
  m.append(1);
  m.drain();
  EXPECT_EQ(m.done.back().error, store_errc::io);
  ASSERT_FALSE(m.commit(m.change(1, "k", "v")));
  m.under.fail_next_commit();
  EXPECT_EQ(m.commit(m.change(2, "k", "w")), store_errc::io);
  EXPECT_EQ(m.read("k"), "v");
  m.under.fail_next_read();
  EXPECT_EQ(m.read("k"), "io");
  EXPECT_EQ(m.read("k"), "v");
}

TEST(virtual_faults, a_row_under_anothers_key_is_seen_by_scrub_and_check) {
  node m;
  ASSERT_FALSE(m.commit(m.change(1, "a", "1")));
  ASSERT_FALSE(m.commit(m.change(2, "b", "1")));
  EXPECT_EQ(m.scrub(), true);
  m.under.misdirect_next_row();
  ASSERT_FALSE(m.commit(m.change(3, "a", "2")));
  EXPECT_EQ(m.read("a"), "1"); // whole, and old: only the digest can tell
  EXPECT_EQ(m.read("b"), "damaged");
  EXPECT_EQ(m.scrub(), std::nullopt);
  ASSERT_FALSE(m.commit(m.change(4, "b", "3")));
  EXPECT_EQ(m.scrub(), false);
  EXPECT_EQ(m.under.digest_holds(group_number(1)), false);
  const auto opening = m.checked_boot();
  EXPECT_TRUE(opening.set_aside);
  EXPECT_TRUE(opening.groups.empty());
}

TEST(virtual_faults, rot_is_found_by_the_check_where_it_is_not_mendable) {
  node m;
  for (std::uint64_t i = 1; i <= 9; ++i)
    ASSERT_FALSE(m.commit(m.change(i, "k" + std::to_string(i), "v")));
  ASSERT_TRUE(m.under.rot_row(group_number(1), as_bytes("k3")));
  auto opening = m.checked_boot();
  EXPECT_FALSE(opening.set_aside); // a row alone is mended by its key
  ASSERT_EQ(opening.groups.size(), 1u);
  EXPECT_FALSE(opening.groups[0].damaged);
  EXPECT_EQ(m.read("k3"), "damaged");
  ASSERT_TRUE(m.under.rot_meta(group_number(1)));
  opening = m.checked_boot();
  EXPECT_FALSE(opening.set_aside); // a group alone is rebuilt
  ASSERT_EQ(opening.groups.size(), 1u);
  EXPECT_TRUE(opening.groups[0].damaged);
  EXPECT_EQ(m.read("k1"), "damaged");
  ASSERT_TRUE(m.under.rot_state());
  opening = m.checked_boot();
  EXPECT_TRUE(opening.set_aside);
}

TEST(virtual_faults, a_lost_row_shows_in_the_digest_alone) {
  node m;
  for (std::uint64_t i = 1; i <= 9; ++i)
    ASSERT_FALSE(m.commit(m.change(i, "k" + std::to_string(i), "v")));
  ASSERT_TRUE(m.under.lose_row());
  EXPECT_EQ(m.scrub(), false);
  EXPECT_TRUE(m.checked_boot().set_aside);
}

TEST(virtual_faults, a_rotten_key_is_a_row_that_is_missing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    node m{seed};
    for (std::uint64_t i = 1; i <= 9; ++i)
      ASSERT_FALSE(m.commit(m.change(i, "k" + std::to_string(i), "v")));
    EXPECT_EQ(m.under.digest_holds(group_number(1)), true);
    ASSERT_TRUE(m.under.rot_key());
    EXPECT_EQ(m.under.digest_holds(group_number(1)), false);
    EXPECT_EQ(m.scrub(), false);
    std::optional<store_errc> error;
    m.d.state->scan(group_number(1), {}, [&](auto r) {
      if (!r)
        error = r.error().code;
    });
    m.drain();
    EXPECT_EQ(error, store_errc::damaged); // as a whole: nobody knows which
    // Whichever name is asked for, no other row's value comes.
    for (std::uint64_t i = 1; i <= 9; ++i) {
      const auto got = m.read("k" + std::to_string(i));
      EXPECT_TRUE(got == "v" || got == "nothing" || got == "damaged") << got;
    }
    const auto opening = m.checked_boot();
    EXPECT_TRUE(opening.set_aside);
    EXPECT_NE(opening.damage.find("key"), std::string::npos);
  }
}

TEST(virtual_faults, a_scrub_of_the_log_names_the_group_that_was_hit) {
  node m;
  for (std::uint64_t i = 1; i <= 40; ++i)
    for (std::uint8_t g = 1; g <= 3; ++g) {
      m.append(i, g);
      m.drain();
    }
  EXPECT_TRUE(m.scrub_log().damage.empty());
  ASSERT_TRUE(m.under.rot_log(group_number(2)));
  const auto found = m.scrub_log();
  EXPECT_EQ(found.damage.size(), 1u);
  EXPECT_EQ(found.groups, std::vector<group_id>{group_number(2)});
}

TEST(virtual_faults, a_batch_in_another_place_is_found_at_the_next_start) {
  int damaged = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    node m{seed};
    for (std::uint64_t i = 1; i <= 5; ++i)
      m.append(i);
    m.drain();
    m.under.misdirect_next_batch();
    m.append(6);
    m.drain();
    const auto acknowledged = m.done.size();
    EXPECT_EQ(acknowledged, 6u); // the disk said yes
    EXPECT_FALSE(m.scrub_log().damage.empty());
    m.under.kill();
    m.boot();
    // Whatever it hit: nobody goes on as if nothing was missing.
    const auto& logs = m.d.recovered_logs.logs;
    const bool told = logs.empty() || logs[0].damaged;
    const bool whole = !logs.empty() && logs[0].entries.size() == 6;
    EXPECT_TRUE(told || whole) << seed;
    damaged += told ? 1 : 0;
  }
  EXPECT_GT(damaged, 0);
}

TEST(virtual_faults, rotten_documents_are_damage) {
  node m;
  ASSERT_TRUE(m.d.documents->put_now({{1, to_bytes("a"), bytes{1}}}).ok());
  ASSERT_TRUE(m.under.rot_documents());
  m.under.kill();
  m.boot();
  EXPECT_TRUE(m.d.documents->damaged());
}

TEST(virtual_faults, an_old_image_is_what_it_was) {
  node m;
  m.append(1);
  ASSERT_FALSE(m.commit(m.change(1, "k", "old")));
  const auto image = m.under.copy();
  m.append(2);
  ASSERT_FALSE(m.commit(m.change(2, "k", "new")));
  m.under.restore(image);
  m.append(3); // the process is gone
  m.drain();
  m.boot();
  ASSERT_EQ(m.d.recovered_logs.logs.size(), 1u);
  EXPECT_EQ(m.d.recovered_logs.logs[0].entries.size(), 1u);
  EXPECT_EQ(m.read("k"), "old");
  m.under.restore(image); // it can be put back again
  m.boot();
  EXPECT_EQ(m.read("k"), "old");
}

TEST(virtual_faults, observers_see_commits_and_synced_entries) {
  node m;
  std::vector<std::uint64_t> seen;
  m.under.on_state_commit([&](const group_id& g, const replica_id& r,
                              const applied_meta& meta, const state_digest& d) {
    EXPECT_EQ(g, group_number(1));
    EXPECT_EQ(r, replica_number(1));
    EXPECT_FALSE(d.is_none());
    seen.push_back(meta.index.value());
  });
  ASSERT_FALSE(m.commit(m.change(7, "k", "v")));
  EXPECT_EQ(seen, std::vector<std::uint64_t>{7});
  EXPECT_FALSE(m.under.log_synced(group_number(1)));
  std::size_t synced_early = 0;
  for (std::uint64_t i = 1; i <= 30; ++i) {
    m.append(i);
    while (m.done.size() < i) {
      const auto end = m.under.log_synced(group_number(1));
      EXPECT_EQ(end ? end->last.index.value() : 0, i - 1);
      ASSERT_TRUE(m.time.step());
    }
    const auto end = m.under.log_synced(group_number(1));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->replica, replica_number(1));
    EXPECT_EQ(end->last.index.value(), i);
    EXPECT_EQ(end->last.hash, m.done.back().hashes.back());
    EXPECT_EQ(m.under.log_hash(group_number(1), log_index{i}),
              m.done.back().hashes.back());
    synced_early += m.under.log_hash(group_number(1), log_index{i + 1}) ? 1 : 0;
  }
  EXPECT_EQ(synced_early, 0u);
  // Truncated and written anew in one batch: until the sync the old one counts.
  const auto old = m.under.log_hash(group_number(1), log_index{20});
  m.append(31);
  m.append(15, 1, "other");
  m.append(16, 1, "other");
  m.time.step(); // written, not synced
  EXPECT_EQ(m.under.log_synced(group_number(1))->last.index, log_index{30});
  EXPECT_EQ(m.under.log_hash(group_number(1), log_index{20}), old);
  m.drain();
  EXPECT_EQ(m.under.log_synced(group_number(1))->last.index, log_index{16});
  m.under.kill();
  EXPECT_EQ(m.under.log_synced(group_number(1))->last.index, log_index{16});
}

} // namespace
} // namespace banyan::store::test
