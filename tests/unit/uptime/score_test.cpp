#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

constexpr std::uint32_t day_one = 1000;

/// `minutes[i]` down on day `day_one + i`; negative: not observed at all.
day_results days_of(const std::vector<int>& minutes) {
  day_results out;
  for (std::size_t i = 0; i < minutes.size(); ++i)
    if (minutes[i] >= 0)
      out[day_one + static_cast<std::uint32_t>(i)] =
          day_with(static_cast<std::uint32_t>(minutes[i]));
  return out;
}
verdict after(const std::vector<int>& minutes, bool empty = false,
              mesh_policy p = {}) {
  return judge(days_of(minutes),
               day_one + static_cast<std::uint32_t>(minutes.size()) - 1, p,
               empty);
}
std::vector<int> then(std::vector<int> a, std::size_t n, int minutes) {
  a.insert(a.end(), n, minutes);
  return a;
}

// ---- scores

TEST(uptime_score, is_the_median_of_observers) {
  const auto d = count_day({{node(1), down(0, 100)},
                            {node(2), down(0, 60)},
                            {node(3), down(0, 20)}});
  EXPECT_EQ(d.minutes.counted, 1440U);
  EXPECT_EQ(d.minutes.up, 1380U); // the middle one
}

TEST(uptime_score, anyone_can_recompute_it_in_any_order) {
  std::vector<day_word> words{{node(1), down(5, 100)},
                              {node(2), down(0, 60)},
                              {node(3), down(30, 900)},
                              {node(4), well()}};
  const auto one = count_day(words);
  std::swap(words[0], words[3]);
  std::swap(words[1], words[2]);
  EXPECT_TRUE(count_day(words).minutes == one.minutes);
}

TEST(uptime_score, agrees_with_counting_minute_by_minute) {
  seeded_random random{42};
  for (int round = 0; round < 20; ++round) {
    std::vector<day_word> words(1 + random.below(20));
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i].observer = node(static_cast<std::uint8_t>(i + 1));
      for (std::size_t m = 0; m < minutes_a_day; ++m) {
        if (random.below(10) > 0)
          words[i].seen.observed.set(m);
        if (words[i].seen.observed.test(m) && random.below(3) > 0)
          words[i].seen.up.set(m);
      }
    }
    tally plain;
    for (std::size_t m = 0; m < minutes_a_day; ++m) {
      std::size_t up = 0;
      std::size_t down = 0;
      for (const auto& w : words) {
        up += w.seen.up.test(m) ? 1 : 0;
        down += w.seen.observed.test(m) && !w.seen.up.test(m) ? 1 : 0;
      }
      const auto counts = [&](std::size_t votes) {
        return votes >= 2 && votes * 2 > words.size();
      };
      plain.up += counts(up) ? 1 : 0;
      plain.counted += counts(up) || counts(down) ? 1 : 0;
    }
    EXPECT_TRUE(count_day(words).minutes == plain) << round;
  }
}

TEST(uptime_score, minutes_that_nobody_observed_dont_count) {
  seen_day half;
  half.observed.set_range(0, 720);
  half.up.set_range(0, 700);
  const auto d = count_day({{node(1), half}, {node(2), half}, {node(3), half}});
  EXPECT_EQ(d.minutes.counted, 720U);
  EXPECT_EQ(d.minutes.up, 700U);
}

TEST(uptime_score, one_observer_alone_judges_nobody) {
  EXPECT_EQ(count_day({{node(1), down(0, 1440)}}).minutes.counted, 0U);
  EXPECT_EQ(
      count_day({{node(1), down(0, 1440)}, {node(2), well()}}).minutes.counted,
      0U);
  EXPECT_EQ(count_day({{node(1), well()}, {node(2), well()}}).minutes.up,
            1440U);
}

TEST(uptime_score, false_bitmaps_of_a_minority_move_nothing) {
  for (std::uint8_t all = 3; all <= 16; ++all)
    for (std::uint8_t liars = 1; liars * 2 < all; ++liars)
      for (const bool accuse : {true, false}) {
        std::vector<day_word> words;
        for (std::uint8_t i = 0; i < all; ++i)
          words.push_back({node(i), down(0, 100)});
        const auto honest = count_day(words).minutes;
        for (std::uint8_t i = 0; i < liars; ++i)
          words[i].seen = accuse ? down(0, minutes_a_day) : well();
        const auto met = count_day(words);
        EXPECT_TRUE(met.minutes == honest) << int(all) << "/" << int(liars);
      }
}

TEST(uptime_score, a_minority_makes_no_minute_count_by_itself) {
  seen_day away; // the honest saw nothing then
  away.observed.set_range(0, 600);
  away.up.set_range(0, 600);
  std::vector<day_word> words{{node(1), away},
                              {node(2), away},
                              {node(3), away},
                              {node(4), down(600, 1440)},
                              {node(5), down(600, 1440)}};
  const auto d = count_day(words);
  EXPECT_EQ(d.minutes.counted, 600U);
  EXPECT_EQ(d.minutes.up, 600U);
}

TEST(uptime_score, who_contradicts_the_others_is_found_out) {
  const auto d = count_day({{node(1), well()},
                            {node(2), well()},
                            {node(3), down(0, 1440)},
                            {node(4), down(0, 300)}});
  ASSERT_EQ(d.observers.size(), 4U);
  EXPECT_FALSE(d.observers[0].disagrees());
  EXPECT_TRUE(d.observers[2].disagrees());
  EXPECT_FALSE(d.observers[3].disagrees());   // in a fifth of them
  EXPECT_EQ(d.observers[3].contradicted, 0U); // 2:2, it doesn't count
}

TEST(uptime_score, of_a_day_a_week_and_a_month) {
  auto minutes = then({}, 29, 0);
  minutes.push_back(144);
  const auto v = after(minutes);
  EXPECT_EQ(v.day, basis_points{9'000});
  EXPECT_EQ(v.week, basis_points{9'857});
  EXPECT_EQ(v.month, basis_points{9'966});
}

// ---- verdicts

TEST(uptime_policy, no_verdict_before_7_observed_days) {
  EXPECT_FALSE(after(then({}, 6, 700)).judged);
  EXPECT_EQ(after(then({}, 6, 700)).is, standing::normal);
  EXPECT_TRUE(after(then({}, 7, 700)).judged);
  EXPECT_EQ(after(then({}, 7, 700)).is, standing::evacuate);
  // A day of which too little counts is not observed.
  auto days = days_of(then({}, 7, 700));
  days[day_one + 3].minutes.counted = 719;
  EXPECT_FALSE(judge(days, day_one + 6, {}, false).judged);
}

TEST(uptime_policy, from_99_percent_a_node_is_normal) {
  EXPECT_EQ(after(then({}, 10, 14)).is, standing::normal); // 99.02 %
  EXPECT_EQ(after(then({}, 10, 15)).is, standing::hold);   // 98.95 %
}

TEST(uptime_policy, below_97_percent_its_groups_move_away) {
  EXPECT_EQ(after(then({}, 10, 43)).is, standing::hold);     // 97.01 %
  EXPECT_EQ(after(then({}, 10, 44)).is, standing::evacuate); // 96.94 %
  EXPECT_FALSE(after(then({}, 10, 44)).must_go);
}

TEST(uptime_policy, below_95_percent_and_empty_it_is_excluded) {
  const auto bad = then({}, 10, 80); // 94.4 %
  EXPECT_EQ(after(bad).is, standing::evacuate);
  EXPECT_TRUE(after(bad).must_go);
  EXPECT_EQ(after(bad, true).is, standing::excluded);
  EXPECT_EQ(after(then({}, 10, 44), true).is, standing::evacuate);
}

TEST(uptime_policy, reentry_is_on_probation) {
  // A bad day on the tenth; good again once that is out of the window.
  auto story = then(then({}, 9, 0), 1, 200);
  EXPECT_EQ(after(story).is, standing::hold); // 98.01 %
  story = then(story, 6, 0);
  EXPECT_EQ(after(story).is, standing::hold);
  story = then(story, 1, 0);
  EXPECT_EQ(after(story).is, standing::probation);
  EXPECT_FALSE(takes_replicas(after(story).is));
  story = then(story, 6, 0);
  EXPECT_EQ(after(story).is, standing::probation);
  EXPECT_EQ(after(story).good_days, 6U);
  EXPECT_EQ(after(then(story, 1, 0)).is, standing::normal);
  EXPECT_EQ(after(then(story, 1, 30)).is, standing::probation); // from anew
  EXPECT_EQ(after(then(story, 1, 30)).good_days, 0U);
  EXPECT_EQ(after(then(story, 1, 300)).is, standing::hold);
}

TEST(uptime_policy, an_excluded_node_comes_back_on_probation) {
  auto story = then({}, 10, 80);
  ASSERT_EQ(after(story, true).is, standing::excluded);
  story = then(story, 6, -1);
  EXPECT_EQ(after(story, true).is, standing::excluded);
  story = then(story, 1, -1); // unseen for a whole window
  EXPECT_EQ(after(story, true).is, standing::probation);
  EXPECT_FALSE(after(story, true).must_go);
  story = then(story, 6, 0);
  EXPECT_EQ(after(story, true).is, standing::probation);
  EXPECT_EQ(after(then(story, 2, 0), true).is, standing::normal);
}

TEST(uptime_policy, a_node_at_a_threshold_does_not_flap) {
  // 97 % more or less, day by day.
  auto story = then({}, 7, 46);
  ASSERT_EQ(after(story).is, standing::evacuate);
  for (int i = 0; i < 14; ++i) {
    story.push_back(i % 2 == 0 ? 30 : 50);
    EXPECT_EQ(after(story).is, standing::evacuate) << i;
  }
}

TEST(uptime_policy, every_day_of_30_leads_to_the_same_verdict_everywhere) {
  seeded_random random{7};
  for (int round = 0; round < 50; ++round) {
    std::vector<int> story;
    for (int i = 0; i < 30; ++i)
      story.push_back(random.below(4) == 0 ? static_cast<int>(random.below(200))
                                           : 0);
    const auto all = days_of(story);
    auto more = all; // what is older than 30 days changes nothing
    more[day_one - 1] = day_with(1440);
    const auto a = judge(all, day_one + 29, {}, false);
    const auto b = judge(more, day_one + 29, {}, false);
    EXPECT_EQ(a.is, b.is) << round;
    EXPECT_EQ(a.since, b.since) << round;
  }
}

} // namespace
} // namespace banyan::uptime_test
