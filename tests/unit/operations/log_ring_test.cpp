// The lines that a peer keeps of an app.
#include "actors/pure/log_ring.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace banyan {
namespace {

constexpr std::int64_t today = 1'800'000'000'000;

std::vector<std::string> texts(const log_ring& r, std::uint64_t after = 0,
                               std::int64_t since = 0) {
  std::vector<std::string> out;
  r.each_after(after, since, [&](const log_line& l) {
    out.push_back(l.text);
    return true;
  });
  return out;
}

TEST(log_ring, lines_come_in_order_from_a_number_and_a_time_on) {
  log_ring r;
  r.add(log_source::out, "", "a", today);
  const auto first = r.newest();
  r.add(log_source::out, "", "b", today + 5);
  r.add(log_source::log, "alice", "c", today + 9);
  EXPECT_EQ(texts(r), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(texts(r, first), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(texts(r, 0, today + 6), (std::vector<std::string>{"c"}));
  EXPECT_TRUE(texts(r, r.newest()).empty());
}

TEST(log_ring, a_reader_may_stop) {
  log_ring r;
  for (int i = 0; i < 10; ++i)
    r.add(log_source::out, "", "x", today);
  int seen = 0;
  r.each_after(0, 0, [&](const log_line&) { return ++seen < 3; });
  EXPECT_EQ(seen, 3);
}

TEST(log_ring, the_last_4_mib_of_an_app_are_kept_per_node) {
  log_ring r;
  const std::string kib(1000, 'x');
  for (int i = 0; i < 20'000; ++i)
    r.add(log_source::out, "", std::to_string(i) + kib, today);
  EXPECT_LE(r.bytes(), log_ring::bytes_max);
  EXPECT_GT(r.bytes(), log_ring::bytes_max - 4096);
  EXPECT_EQ(texts(r).back(), "19999" + kib);
  EXPECT_EQ(log_ring::bytes_max, std::size_t{4} << 20U);
}

TEST(log_ring, a_line_is_kept_as_it_came_but_cut) {
  log_ring r;
  r.add(log_source::out, "al\nice", "\x1b[2J\xff", today);
  r.add(log_source::out, "", std::string(10'000, 'y'), today);
  EXPECT_EQ(texts(r)[0], "\x1b[2J\xff");
  EXPECT_EQ(texts(r)[1].size(), log_line::text_bytes_max);
}

TEST(log_ring, lines_of_a_restarted_node_have_higher_numbers) {
  log_ring before;
  before.add(log_source::out, "", "a", today);
  log_ring after;
  after.add(log_source::out, "", "b", today + 1);
  EXPECT_GT(after.newest(), before.newest());
}

} // namespace
} // namespace banyan
