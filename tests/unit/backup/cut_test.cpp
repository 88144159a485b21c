// One cut through all shards: no message between them is lost or doubled.
#include "actors/pure/backup/cut.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::backup {
namespace {

shard_marks::mark at(std::uint64_t index, std::uint64_t number) {
  return {log_index{index}, number};
}
shard_marks copied(std::uint64_t lowest, std::uint64_t highest) {
  shard_marks s;
  s.lowest = log_index{lowest};
  s.highest = log_index{highest};
  return s;
}

TEST(backup_cut, without_messages_each_shard_stands_where_it_was_copied) {
  const auto c = consistent_cut({copied(5, 10), copied(0, 3)});
  EXPECT_TRUE(c.impossible.empty());
  EXPECT_EQ(c.at, (std::vector<log_index>{log_index{10}, log_index{3}}));
}

TEST(backup_cut, a_message_taken_but_not_sent_is_not_taken_yet) {
  auto a = copied(5, 10);
  a.sent[1] = {2, {at(9, 2)}};
  auto b = copied(5, 30);
  b.taken[0] = {4, {at(20, 2), at(25, 3), at(26, 4)}};
  const auto c = consistent_cut({a, b});
  EXPECT_TRUE(c.impossible.empty());
  EXPECT_EQ(c.at[0], log_index{10});
  EXPECT_EQ(c.at[1], log_index{24});
  EXPECT_EQ(taken_at(b, 0, c.at[1]), 2U);
}

TEST(backup_cut, a_message_forgotten_but_not_taken_is_still_in_the_outbox) {
  auto a = copied(5, 10);
  a.sent[1] = {7, {}};
  a.acknowledged[1] = {7, {at(5, 3), at(8, 6), at(9, 7)}};
  auto b = copied(5, 30);
  b.taken[0] = {5, {}};
  const auto c = consistent_cut({a, b});
  EXPECT_TRUE(c.impossible.empty());
  EXPECT_EQ(c.at[0], log_index{7});
  EXPECT_EQ(c.at[1], log_index{30});
}

TEST(backup_cut, shards_copied_too_far_apart_are_named) {
  auto a = copied(5, 10);
  a.sent[1] = {2, {}};
  auto b = copied(20, 30);
  b.taken[0] = {4, {}}; // in its rows already
  const auto c = consistent_cut({a, b});
  EXPECT_NE(c.impossible.find("shards 0 and 1"), std::string::npos);
  EXPECT_EQ(c.at[0], log_index{10});
}

/// Shards that send to each other as they like; rows are copied at some time,
/// entries end at others, later for each.
struct story {
  struct event {
    enum class what { send, take, acknowledge } kind;
    std::uint32_t shard, other;
    std::uint64_t number;
    log_index index;
  };
  explicit story(std::uint64_t seed) {
    seeded_random r{seed};
    constexpr std::uint32_t n = 3;
    std::uint64_t sent[n][n]{}, taken[n][n]{}, known[n][n]{};
    std::uint64_t index[n]{};
    for (int step = 0; step < 300; ++step) {
      const auto a = static_cast<std::uint32_t>(r.next() % n);
      const auto b =
          static_cast<std::uint32_t>((a + 1 + r.next() % (n - 1)) % n);
      const auto kind = r.next() % 3;
      if (kind == 0)
        events.push_back(
            {event::what::send, a, b, ++sent[a][b], log_index{++index[a]}});
      else if (kind == 1 && taken[a][b] < sent[a][b])
        events.push_back(
            {event::what::take, b, a, ++taken[a][b], log_index{++index[b]}});
      else if (kind == 2 && known[a][b] < taken[a][b])
        events.push_back({event::what::acknowledge, a, b,
                          known[a][b] = taken[a][b], log_index{++index[a]}});
    }
    for (std::uint32_t s = 0; s < n; ++s) {
      const auto rows = 100 + r.next() % 50; // all before event 150
      const auto entries = 150 + r.next() % 150;
      shards.push_back(copy(s, rows, entries));
    }
  }
  shard_marks copy(std::uint32_t s, std::size_t rows, std::size_t entries) {
    shard_marks m;
    for (std::size_t i = 0; i < events.size() && i < entries; ++i) {
      const auto& e = events[i];
      if (e.shard != s)
        continue;
      auto& stream = e.kind == event::what::send   ? m.sent[e.other]
                     : e.kind == event::what::take ? m.taken[e.other]
                                                   : m.acknowledged[e.other];
      stream.last = e.number;
      if (i >= rows)
        stream.marks.push_back({e.index, e.number});
      else if (e.kind == event::what::acknowledge)
        stream.marks = {{log_index{}, e.number}};
      (i < rows ? m.lowest : m.highest) = e.index;
    }
    m.highest = std::max(m.highest, m.lowest);
    return m;
  }
  std::uint64_t count(event::what kind, std::uint32_t shard,
                      std::uint32_t other, log_index up_to) const {
    std::uint64_t n = 0;
    for (const auto& e : events)
      if (e.kind == kind && e.shard == shard && e.other == other
          && e.index <= up_to)
        n = std::max(n, e.number);
    return n;
  }
  std::vector<event> events;
  std::vector<shard_marks> shards;
};

TEST(backup_cut, holds_for_any_story_whose_rows_came_before_all_ends) {
  using what = story::event::what;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    const story s{seed};
    const auto c = consistent_cut(s.shards);
    ASSERT_TRUE(c.impossible.empty()) << c.impossible;
    for (std::uint32_t a = 0; a < 3; ++a) {
      EXPECT_GE(c.at[a], s.shards[a].lowest);
      EXPECT_LE(c.at[a], s.shards[a].highest);
      for (std::uint32_t b = 0; b < 3; ++b) {
        if (a == b)
          continue;
        const auto taken = s.count(what::take, b, a, c.at[b]);
        EXPECT_LE(taken, s.count(what::send, a, b, c.at[a]));
        EXPECT_GE(taken, s.count(what::acknowledge, a, b, c.at[a]));
        EXPECT_EQ(taken_at(s.shards[b], a, c.at[b]), taken);
      }
    }
  }
}

} // namespace
} // namespace banyan::backup
