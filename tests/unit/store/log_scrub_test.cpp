// Bad bytes in the log of a running process: found, named, left behind.
#include "log_rig.hpp"

namespace banyan::store::test {
namespace {

/// Three groups in several segments, all of it still needed.
struct scrubbed : log_rig {
  explicit scrubbed(int rounds = 30) : log_rig{32 << 10} {
    open();
    for (int i = 1; i <= rounds; ++i)
      for (std::uint8_t g = 1; g <= 3; ++g) {
        auto w = order(g);
        w.entries = {
            entry_at(static_cast<std::uint64_t>(i), 1, std::string(700, 'e'))};
        w.hard = hard_state{term{static_cast<std::uint64_t>(i)}, {}};
        give(std::move(w));
        run();
      }
  }
  log_scrub scrub_all() {
    log_scrub all;
    std::optional<log_place> from = log_place{};
    while (from) {
      const auto piece = engine->scrub(*from, 4096);
      all.bytes_read += piece.bytes_read;
      all.damage.insert(all.damage.end(), piece.damage.begin(),
                        piece.damage.end());
      all.groups.insert(all.groups.end(), piece.groups.begin(),
                        piece.groups.end());
      from = piece.next;
    }
    return all;
  }
  void flip(const log_engine::entry_place& at) {
    (*files->content(at.path))[at.offset + at.bytes / 2] ^= 4;
  }
  std::size_t aside() const { return files->list("aside")->size(); }
  /// All groups but `lost` come back whole.
  void expect_whole(std::size_t entries, std::uint8_t lost = 0) {
    open();
    for (std::uint8_t g = 1; g <= 3; ++g) {
      ASSERT_NE(log_of(g), nullptr);
      if (g == lost)
        continue;
      EXPECT_FALSE(log_of(g)->damaged) << log_of(g)->damage;
      EXPECT_EQ(log_of(g)->entries.size(), entries);
      EXPECT_EQ(log_of(g)->hard.term, term{entries});
    }
  }
};

TEST(log_scrub, reads_all_and_finds_nothing_in_a_whole_log) {
  scrubbed rig;
  const auto all = rig.scrub_all();
  EXPECT_TRUE(all.damage.empty());
  EXPECT_GT(all.bytes_read, 90u * 700u);
  EXPECT_GT(rig.engine->segments().second, 2u);
  rig.run();
  EXPECT_EQ(rig.aside(), 0u);
}

TEST(log_scrub, every_flipped_byte_is_found_and_named) {
  scrubbed rig{8};
  const auto [oldest, newest] = rig.engine->segments();
  ASSERT_EQ(oldest, newest);
  auto& c = *rig.files->content(first_segment);
  auto end = c.size();
  while (end > 0 && c[end - 1] == 0)
    --end;
  for (std::size_t at = 0; at < end; at += 37) {
    c[at] ^= 0x10;
    const auto all = rig.engine->scrub({}, 1 << 30);
    c[at] ^= 0x10;
    ASSERT_EQ(all.damage.size(), 1u) << at;
    ASSERT_LE(all.groups.size(), 1u);
  }
}

TEST(log_scrub, groups_whose_entries_are_whole_are_written_elsewhere) {
  scrubbed rig;
  const auto places = rig.engine->entry_places(group_number(2));
  rig.flip(places[3]);
  const auto all = rig.scrub_all();
  ASSERT_EQ(all.damage.size(), 1u);
  EXPECT_EQ(all.groups, std::vector<group_id>{group_number(2)});
  rig.run();
  for (const std::uint8_t g : {std::uint8_t{1}, std::uint8_t{3}})
    for (const auto& at : rig.engine->entry_places(group_number(g)))
      EXPECT_GT(at.path, places[3].path);
  EXPECT_EQ(rig.aside(), 0u); // group 2 still counts on the rest of it
  // A start now finds the damage, and only that group has to give up.
  rig.expect_whole(30, 2);
  EXPECT_TRUE(rig.log_of(2)->damaged);
}

TEST(log_scrub, a_group_that_gives_its_log_again_mends_it_for_good) {
  scrubbed rig;
  std::vector<log_entry> memory;
  for (std::uint64_t i = 1; i <= 30; ++i)
    memory.push_back(entry_at(i, 1, std::string(700, 'e')));
  rig.flip(rig.engine->entry_places(group_number(2))[3]);
  ASSERT_EQ(rig.scrub_all().groups.size(), 1u);
  rig.run();
  // In orders that fit, as the replica would: the first one resets.
  for (std::size_t at = 0; at < memory.size(); at += 5) {
    auto w = rig.order(2);
    if (at == 0)
      w.reset = log_base{};
    if (at == 0)
      w.hard = hard_state{term{30}, {}};
    w.entries.assign(memory.begin() + static_cast<std::ptrdiff_t>(at),
                     memory.begin() + static_cast<std::ptrdiff_t>(at) + 5);
    rig.give(std::move(w));
  }
  for (const auto& d : rig.run())
    EXPECT_FALSE(d.error);
  EXPECT_EQ(rig.aside(), 1u); // kept
  EXPECT_TRUE(rig.scrub_all().damage.empty());
  rig.expect_whole(30);
  EXPECT_FALSE(rig.found.damaged);
}

TEST(log_scrub, bad_bytes_that_nobody_needs_harm_nobody) {
  scrubbed rig;
  const auto place = rig.engine->entry_places(group_number(2))[3];
  rig.give(log_cut{group_number(2), replica_number(1), log_index{10}});
  rig.run(); // the others still need this segment
  rig.flip(place);
  const auto all = rig.scrub_all();
  EXPECT_EQ(all.damage.size(), 1u);
  EXPECT_TRUE(all.groups.empty());
  rig.run();
  EXPECT_TRUE(rig.scrub_all().damage.empty());
  EXPECT_EQ(rig.aside(), 1u);
  rig.open();
  EXPECT_FALSE(rig.found.damaged);
  for (std::uint8_t g = 1; g <= 3; ++g)
    EXPECT_FALSE(rig.log_of(g)->damaged);
}

TEST(log_scrub, damage_in_the_newest_segment_makes_a_new_one) {
  scrubbed rig{8};
  ASSERT_EQ(rig.engine->segments().second, 1u);
  rig.flip(rig.engine->entry_places(group_number(1))[7]);
  ASSERT_FALSE(rig.scrub_all().damage.empty());
  rig.run();
  EXPECT_GT(rig.engine->segments().second, 1u);
  auto w = rig.order(1);
  w.entries = {entry_at(8, 2, "anew")}; // the one that was hit
  rig.give(std::move(w));
  EXPECT_FALSE(rig.run().back().error);
  EXPECT_EQ(rig.aside(), 1u);
  rig.open();
  EXPECT_FALSE(rig.found.damaged);
  EXPECT_TRUE(same(rig.log_of(1)->entries[7], entry_at(8, 2, "anew")));
}

TEST(log_scrub, a_crash_at_any_moment_of_it_loses_nothing) {
  for (std::uint64_t changes = 1; changes < 60; ++changes) {
    scrubbed rig;
    rig.flip(rig.engine->entry_places(group_number(2))[3]);
    rig.scrub_all();
    rig.files->cut_power_after(changes);
    rig.run();
    seeded_random random{changes};
    rig.files->crash(random);
    rig.expect_whole(30, 2);
  }
}

} // namespace
} // namespace banyan::store::test
