// Who keeps views, whom to ask, and what waits for a link.
#include "actors/pure/keepers.hpp"
#include "actors/pure/keepers_wire.hpp"
#include "actors/pure/link_waits.hpp"
#include "actors/pure/sums_compared.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace banyan {
namespace {

using namespace std::chrono_literals;

node_id node(std::uint32_t n) {
  std::array<std::uint8_t, 32> a{};
  std::uint64_t x = n + 1;
  for (auto& b : a) { // as keys are: spread over all values
    x = x * 6364136223846793005 + 1442695040888963407;
    b = static_cast<std::uint8_t>(x >> 56);
  }
  return node_id{a};
}

group_id group(std::uint32_t shard) {
  return {app_id{std::array<std::uint8_t, 32>{7}}, shard};
}

std::vector<node_id> keepers(const group_id& g,
                             const std::vector<node_id>& all) {
  keeper_choice k{g};
  for (const auto& n : all)
    k.offer(n);
  return k.take();
}

std::vector<node_id> nodes(std::uint32_t n) {
  std::vector<node_id> out;
  for (std::uint32_t i = 0; i < n; ++i)
    out.push_back(node(i));
  return out;
}

TEST(keepers, are_eight_and_the_same_whatever_the_order_of_members) {
  auto all = nodes(100);
  const auto first = keepers(group(3), all);
  ASSERT_EQ(first.size(), keepers_max);
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(keepers(group(3), all), first);
  EXPECT_NE(keepers(group(4), all), first);
  EXPECT_EQ(keepers(group(3), nodes(5)).size(), 5U);
}

TEST(keepers, change_by_one_with_one_member_and_are_spread) {
  const auto all = nodes(200);
  std::map<node_id, int> kept;
  for (std::uint32_t s = 0; s < 500; ++s) {
    const auto before = keepers(group(s), all);
    for (const auto& n : before)
      ++kept[n];
    auto fewer = all;
    const auto gone = before[s % keepers_max];
    fewer.erase(std::find(fewer.begin(), fewer.end(), gone));
    const auto after = keepers(group(s), fewer);
    std::size_t same = 0;
    for (const auto& n : before)
      same += std::find(after.begin(), after.end(), n) != after.end() ? 1 : 0;
    EXPECT_EQ(same, keepers_max - 1);
  }
  for (const auto& n : all) { // 20 on average
    EXPECT_GT(kept[n], 4);
    EXPECT_LT(kept[n], 45);
  }
}

TEST(view_questions, go_to_pair_after_pair_and_rest_when_answered) {
  view_questions q;
  time_point now{};
  EXPECT_TRUE(q.want(group(1), now));
  auto due = q.due(now);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].first, 0U);
  EXPECT_TRUE(q.want(group(1), now)); // it is being asked
  EXPECT_TRUE(q.due(now).empty());
  now += view_questions::patience;
  ASSERT_EQ(q.due(now).at(0).first, 2U);
  q.answered(group(1), now);
  EXPECT_FALSE(q.asks(group(1)));
  EXPECT_FALSE(q.want(group(1), now)); // it was answered just now
  now += view_questions::rest;
  EXPECT_TRUE(q.want(group(1), now));
  EXPECT_EQ(q.due(now).at(0).first, 0U);
}

TEST(view_questions, end_when_no_keeper_knows) {
  view_questions q;
  time_point now{};
  ASSERT_TRUE(q.want(group(1), now));
  std::size_t asked = 0;
  while (q.asks(group(1))) {
    asked += q.due(now).size();
    ASSERT_LT(now, time_point{} + 10s);
    now = std::max(now, q.deadline());
  }
  EXPECT_EQ(asked, keepers_max / view_questions::at_once);
  now += view_questions::rest;
  EXPECT_TRUE(q.due(now).empty());
  EXPECT_EQ(q.deadline(), never); // nothing is left of it
}

TEST(link_waits, gives_frames_back_in_order_and_bounds_them) {
  link_waits w;
  const bytes small{1};
  const time_point now{};
  EXPECT_TRUE(w.put(node(1), net::channel::request, small, now));
  EXPECT_TRUE(w.put(node(1), net::channel::group, bytes{2}, now));
  EXPECT_TRUE(w.waits(node(1)));
  EXPECT_EQ(w.deadline(), now + link_waits::patience);
  const auto out = w.take(node(1));
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].payload, small);
  EXPECT_EQ(out[1].channel, net::channel::group);
  EXPECT_FALSE(w.waits(node(1)));
  const bytes large(link_waits::node_bytes_max - 1000);
  std::uint32_t n = 0;
  for (; w.put(node(n), net::channel::bulk, large, now); ++n)
    EXPECT_FALSE(w.put(node(n), net::channel::bulk, large, now));
  EXPECT_EQ(n, link_waits::bytes_max / link_waits::node_bytes_max);
  EXPECT_TRUE(w.late(now).empty());
  EXPECT_EQ(w.late(now + link_waits::patience).size(), n);
}

TEST(link_waits, names_the_idlest_and_says_use_now_and_then) {
  link_waits w;
  const time_point now{};
  EXPECT_TRUE(w.used(node(1), now));
  EXPECT_TRUE(w.used(node(2), now + 1s));
  EXPECT_FALSE(w.used(node(1), now + 2s)); // it was told 2 s ago
  EXPECT_EQ(w.idlest(now), (std::vector<node_id>{node(2), node(1)}));
  EXPECT_TRUE(w.put(node(2), net::channel::group, bytes{1}, now));
  EXPECT_EQ(w.idlest(now), std::vector<node_id>{node(1)}); // 2 is awaited
  EXPECT_TRUE(w.used(node(1), now + 6s));
  for (std::uint32_t n = 10; n < 10 + 2 * link_waits::uses_max; ++n)
    w.used(node(n), now + 7s);
  EXPECT_EQ(w.idlest(now).size(), link_waits::uses_max);
}

TEST(link_waits, holds_the_links_of_calls_that_are_under_way) {
  link_waits w;
  using whose = link_waits::caller;
  time_point now{1h};
  w.used(node(1), now);
  w.used(node(2), now);
  w.used(node(3), now + 1ms);
  EXPECT_EQ(w.held_due(), never);
  w.call_began(node(1), whose::here, 7, now + 1min);
  w.call_began(node(1), whose::here, 8, now + 2min);
  w.call_began(node(2), whose::there, 7, now + 2min);
  // Neither is idle; the caller keeps the link.
  EXPECT_EQ(w.idlest(now), std::vector<node_id>{node(3)});
  EXPECT_LE(w.held_due(), now);
  EXPECT_EQ(w.held(now), std::vector<node_id>{node(1)});
  EXPECT_TRUE(w.held(now).empty()); // not all the time
  EXPECT_EQ(w.held_due(), now + link_waits::held_again);
  now += 90s;
  w.call_ended(node(1), whose::here, 7);
  w.call_ended(node(1), whose::there, 8); // another's
  EXPECT_EQ(w.held(now), std::vector<node_id>{node(1)});
  w.call_ended(node(1), whose::here, 8);
  w.call_ended(node(1), whose::here, 8);
  now += 20s;
  EXPECT_TRUE(w.held(now).empty());
  EXPECT_EQ(w.idlest(now), (std::vector<node_id>{node(1), node(3)}));
  // One that nobody answered ends with its time.
  now += 11s;
  EXPECT_EQ(w.idlest(now).size(), 3U);
  EXPECT_EQ(w.held_due(), never);
  w.call_began(node(2), whose::here, 9, now + 1min);
  w.forget(node(2)); // its link broke
  EXPECT_EQ(w.held_due(), never);
}

TEST(view_questions, listens_for_what_another_keeper_knows_better) {
  view_questions q;
  const time_point now{1h};
  EXPECT_FALSE(q.listens(group(1)));
  ASSERT_TRUE(q.want(group(1), now));
  ASSERT_EQ(q.due(now).size(), 1U);
  q.answered(group(1), now);
  EXPECT_FALSE(q.asks(group(1)));
  EXPECT_TRUE(q.listens(group(1)));
  EXPECT_TRUE(q.due(now + view_questions::rest).empty());
  EXPECT_FALSE(q.listens(group(1)));
}

TEST(view_checks, not_at_first_then_now_and_then) {
  view_checks c;
  const time_point now{1h};
  EXPECT_FALSE(c.due(group(1), now));
  EXPECT_FALSE(c.due(group(1), now + 4s));
  EXPECT_TRUE(c.due(group(1), now + 5s));
  EXPECT_FALSE(c.due(group(1), now + 9s));
  EXPECT_FALSE(c.due(group(2), now + 9s));
  EXPECT_TRUE(c.due(group(1), now + 10s));
  for (std::uint32_t g = 0; g < view_checks::groups_max; ++g)
    c.due(group(g), now + 11s);
  EXPECT_FALSE(c.due(group(9999), now + 12s)); // no room
  EXPECT_FALSE(c.due(group(9999), now + 17s)); // those before went
  EXPECT_TRUE(c.due(group(9999), now + 22s));
}

TEST(group_turns, everybody_has_a_turn_in_whatever_order_they_are_offered) {
  // As replicas, then instances: of each more than one turn takes.
  std::vector<group_id> all;
  for (std::uint32_t g = 1; g < 12; g += 2)
    all.push_back(group(g));
  for (std::uint32_t g = 2; g < 12; g += 2)
    all.push_back(group(g));
  std::vector<group_id> told;
  group_id behind;
  for (;;) {
    group_turns t{behind, 4};
    for (const auto& g : all)
      t.offer(g);
    ASSERT_LE(t.take().size(), 4U);
    told.insert(told.end(), t.take().begin(), t.take().end());
    behind = t.last();
    if (t.take().empty())
      break;
  }
  EXPECT_EQ(behind, group_id{}); // a round is over
  std::sort(all.begin(), all.end());
  EXPECT_EQ(told, all);
}

TEST(sums_compared, lets_be_who_never_agrees) {
  documents_sum mine;
  mine.add(node(1).view(), 1, false);
  documents_sum theirs = mine;
  theirs.add(node(2).view(), 1, false);
  sums_compared c;
  time_point now{1h};
  unsigned exchanges = 0;
  for (int i = 0; i < 100; ++i, now += 5s)
    exchanges += c.worth(node(7), theirs, mine, now) ? 1 : 0;
  EXPECT_EQ(exchanges, sums_compared::tries);
  now += sums_compared::rest;
  EXPECT_TRUE(c.worth(node(7), theirs, mine, now));
  EXPECT_TRUE(c.worth(node(7), theirs, mine, now));
  EXPECT_TRUE(c.worth(node(7), theirs, mine, now));
  EXPECT_FALSE(c.worth(node(7), theirs, mine, now));
  EXPECT_TRUE(c.worth(node(8), theirs, mine, now)); // another one
  auto more = theirs;
  more.add(node(3).view(), 1, false);
  EXPECT_TRUE(c.worth(node(7), more, mine, now)); // it has news
  EXPECT_TRUE(c.worth(node(7), more, theirs, now));
  EXPECT_TRUE(c.worth(node(7), more, theirs, now));
  EXPECT_TRUE(c.worth(node(7), more, theirs, now));
  EXPECT_FALSE(c.worth(node(7), more, theirs, now));
  c.forget(node(7));
  EXPECT_TRUE(c.worth(node(7), more, theirs, now));
}

TEST(documents_sum, tells_apart_what_differs_in_any_order) {
  const auto a = node(1);
  const auto b = node(2);
  documents_sum one;
  one.add(a.view(), 1, false);
  one.add(b.view(), 2, false);
  documents_sum other;
  other.add(b.view(), 2, false);
  other.add(a.view(), 1, false);
  EXPECT_EQ(one, other);
  other = {};
  other.add(b.view(), 2, true);
  other.add(a.view(), 1, false);
  EXPECT_FALSE(one == other);
  other = {};
  other.add(b.view(), 1, false);
  other.add(a.view(), 2, false);
  EXPECT_FALSE(one == other);
}

} // namespace
} // namespace banyan
