#include "log_rig.hpp"

namespace banyan::store::test {
namespace {

/// A log of three batches in one segment; `ends` are the batches' ends.
struct three_batches : log_rig {
  std::vector<std::size_t> ends;

  three_batches() {
    open();
    ends.push_back(end()); // behind the checkpoint
    for (std::uint64_t i = 1; i <= 3; ++i) {
      write(1, {entry_at(i, 1, std::string(600, 'a'))});
      auto w = order(2);
      w.hard = hard_state{term{i}, {}};
      give(w);
      run();
      ends.push_back(end());
    }
  }
  /// Behind the last byte that isn't zero, in whole sectors.
  std::size_t end() {
    const auto& c = *files->content(first_segment);
    std::size_t n = c.size();
    while (n > 0 && c[n - 1] == 0)
      --n;
    return (n + 511) / 512 * 512;
  }
  void forget_watermark(std::uint64_t) {
    auto& c = *files->content("log/synced");
    std::fill(c.begin(), c.end(), std::uint8_t{0});
  }
  std::size_t entries() const { return log_of(1)->entries.size(); }
};

TEST(log_recovery, torn_tail_at_every_byte_of_the_last_batch) {
  three_batches made;
  const auto begin = made.ends[2];
  for (auto cut = begin; cut < made.ends[3]; cut += 1) {
    log_rig rig;
    rig.files = made.files->copy();
    auto& c = *rig.files->content(first_segment);
    const bool whole = std::all_of(c.begin() + static_cast<std::ptrdiff_t>(cut),
                                   c.end(), [](auto b) { return b == 0; });
    std::fill(c.begin() + static_cast<std::ptrdiff_t>(cut), c.end(),
              std::uint8_t{0});
    // A power cut in the middle of the write: the mark wasn't moved yet.
    auto& mark = *rig.files->content("log/synced");
    std::fill(mark.begin(), mark.end(), std::uint8_t{0});
    rig.open();
    ASSERT_FALSE(rig.found.damaged) << cut;
    ASSERT_EQ(rig.log_of(1)->entries.size(), whole ? 3u : 2u) << cut;
    ASSERT_EQ(rig.log_of(2)->hard.term, term{whole ? 3u : 2u}) << cut;
    // It goes on from there, and the torn bytes never come back.
    rig.number = 100;
    rig.write(1, {entry_at(3, 2, "new")});
    ASSERT_FALSE(rig.run().back().error);
    rig.open();
    ASSERT_FALSE(rig.found.damaged);
    ASSERT_TRUE(same(rig.log_of(1)->entries[2], entry_at(3, 2, "new")));
  }
}

TEST(log_recovery, a_missing_tail_inside_the_watermark_is_damage) {
  three_batches made;
  auto& c = *made.files->content(first_segment);
  std::fill(c.begin() + static_cast<std::ptrdiff_t>(made.ends[2]), c.end(),
            std::uint8_t{0});
  made.open();
  EXPECT_TRUE(made.found.damaged);
  EXPECT_TRUE(made.log_of(1)->damaged);
  EXPECT_TRUE(made.log_of(2)->damaged);
}

TEST(log_recovery, a_flipped_byte_in_any_earlier_batch_is_damage) {
  three_batches made;
  for (auto at = made.ends[0]; at < made.ends[2]; at += 7) {
    for (const bool with_mark : {true, false}) {
      log_rig rig;
      rig.files = made.files->copy();
      (*rig.files->content(first_segment))[at] ^= 0x10;
      if (!with_mark) {
        auto& mark = *rig.files->content("log/synced");
        std::fill(mark.begin(), mark.end(), std::uint8_t{0});
      }
      rig.open();
      ASSERT_TRUE(rig.found.damaged) << at;
      ASSERT_EQ(rig.found.set_aside.size(), 1u);
      ASSERT_TRUE(rig.log_of(1)->damaged) << at;
      // Only what stands before the hole is given back.
      ASSERT_EQ(rig.log_of(1)->entries.size(), at < made.ends[1] ? 0u : 1u);
      ASSERT_NE(rig.files->content(rig.found.set_aside[0]), nullptr);
    }
  }
}

TEST(log_recovery, damage_stays_reported_until_the_replica_is_replaced) {
  three_batches rig;
  (*rig.files->content(first_segment))[rig.ends[1] + 100] ^= 1;
  rig.open();
  ASSERT_TRUE(rig.log_of(1)->damaged);
  rig.open();
  EXPECT_FALSE(rig.found.damaged); // no new one
  ASSERT_TRUE(rig.log_of(1)->damaged);
  // The log refuses to go on under the old replica id.
  rig.write(1, {entry_at(2, 9, "x")});
  EXPECT_EQ(rig.run().back().error, store_errc::damaged);
  auto w = rig.order(1, 2);
  w.reset = log_base{};
  rig.give(w, 1);
  rig.give(log_drop{rig.order(2).order});
  for (const auto& d : rig.run())
    EXPECT_FALSE(d.error);
  rig.open();
  ASSERT_EQ(rig.found.logs.size(), 1u);
  EXPECT_FALSE(rig.log_of(1)->damaged);
}

TEST(log_recovery, a_group_with_a_later_record_is_proved_whole) {
  log_rig rig;
  rig.open();
  rig.write(1, {entry_at(1, 1, "one")});
  rig.run();
  rig.write(2, {entry_at(1, 1, "hit")});
  rig.run();
  rig.write(1, {entry_at(2, 1, "two")});
  rig.run();
  auto& c = *rig.files->content(first_segment);
  const auto hit = std::search(c.begin(), c.end(), "hit", "hit" + 3);
  ASSERT_NE(hit, c.end());
  *hit ^= 1;
  rig.open();
  EXPECT_TRUE(rig.found.damaged);
  EXPECT_FALSE(rig.log_of(1)->damaged) << rig.log_of(1)->damage;
  EXPECT_EQ(rig.log_of(1)->entries.size(), 2u);
  EXPECT_EQ(rig.log_of(2), nullptr); // the documents still know its replica
  rig.write(1, {entry_at(3, 1, "three")});
  EXPECT_FALSE(rig.run().back().error);
  rig.open();
  EXPECT_FALSE(rig.found.damaged);
  EXPECT_EQ(rig.log_of(1)->entries.size(), 3u);
}

TEST(log_recovery, lost_files_are_damage) {
  for (const bool newest : {true, false}) {
    log_rig rig;
    rig.open();
    for (std::uint64_t i = 1; i <= 200; ++i) {
      rig.write(1, {entry_at(i, 1, std::string(1000, 'x'))});
      rig.run();
    }
    const auto [first, last] = rig.engine->segments();
    ASSERT_GE(last - first, 2u);
    rig.engine.reset();
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "log/%016llx.seg",
                  static_cast<unsigned long long>(newest ? last : first + 1));
    ASSERT_TRUE(rig.files->remove(name.data()).ok());
    rig.open();
    EXPECT_TRUE(rig.found.damaged);
    ASSERT_NE(rig.log_of(1), nullptr);
    EXPECT_TRUE(rig.log_of(1)->damaged);
    for (std::size_t i = 0; i < rig.log_of(1)->entries.size(); ++i)
      EXPECT_EQ(rig.log_of(1)->entries[i].index, log_index{i + 1});
    rig.open();
    EXPECT_FALSE(rig.found.damaged);
  }
}

TEST(log_recovery, a_bad_segment_header_is_mended_by_its_copy) {
  three_batches rig;
  (*rig.files->content(first_segment))[20] ^= 1;
  rig.open();
  EXPECT_FALSE(rig.found.damaged);
  EXPECT_EQ(rig.entries(), 3u);
  rig.files->content(first_segment)->at(20) ^= 2;
  rig.files->content(first_segment)->at(512 + 20) ^= 2;
  rig.open();
  EXPECT_TRUE(rig.found.damaged);
}

TEST(log_recovery, stored_data_can_not_pose_as_a_batch) {
  three_batches made;
  // An app that stores a copy of a whole batch, then a torn tail behind it.
  const auto& c = *made.files->content(first_segment);
  const std::string batch{c.begin() + static_cast<std::ptrdiff_t>(made.ends[1]),
                          c.begin()
                              + static_cast<std::ptrdiff_t>(made.ends[2])};
  made.write(1, {entry_at(4, 1, std::string(300, 'p') + batch)});
  made.run();
  made.open();
  EXPECT_FALSE(made.found.damaged);
  EXPECT_EQ(made.entries(), 4u);
}

} // namespace
} // namespace banyan::store::test
