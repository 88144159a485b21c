#include "actors/pure/uptime/archive.hpp"
#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

struct member {
  explicit member(seeded_random& r) : key{identity::generate(r)} {}
  identity key;
  signed_document sign(const observation& o) const {
    return signed_document::make(key, sign_kind::observation, orchard(), o.day,
                                 o.encode());
  }
};
bool everybody(const node_id&, const node_id&) {
  return true;
}

class archive : public ::testing::Test {
protected:
  archive() {
    for (int i = 0; i < 5; ++i)
      members.emplace_back(random);
  }
  /// What `by` says of node 1 and 2.
  static observation says(std::uint32_t day, const seen_day& of_1) {
    observation o;
    o.day = day;
    o.subjects = {{node(1), of_1}, {node(2), well()}};
    return o;
  }
  day_archive::outcome put(day_archive& a, std::size_t by,
                           const observation& o) {
    return a.put(members[by].sign(o), o);
  }
  seeded_random random{3};
  std::vector<member> members;
  day_archive kept;
};

TEST_F(archive, counts_what_it_keeps) {
  for (std::size_t by = 0; by < 3; ++by)
    EXPECT_EQ(put(kept, by, says(10, down(0, 144))),
              day_archive::outcome::kept);
  EXPECT_EQ(put(kept, 2, says(10, down(0, 144))), day_archive::outcome::known);
  kept.refresh(everybody);
  ASSERT_NE(kept.results(node(1)), nullptr);
  EXPECT_EQ(sum_of(*kept.results(node(1)), 10, 1).score(), basis_points{9'000});
  EXPECT_EQ(kept.results(node(9)), nullptr);
}

TEST_F(archive, an_observer_that_signs_two_for_a_day_is_found_out) {
  for (std::size_t by = 0; by < 3; ++by)
    put(kept, by, says(10, well()));
  EXPECT_EQ(put(kept, 3, says(10, down(0, 1440))), day_archive::outcome::kept);
  EXPECT_TRUE(kept.two_faced().empty());
  EXPECT_EQ(put(kept, 3, says(10, down(0, 700))), day_archive::outcome::kept);
  EXPECT_EQ(put(kept, 3, says(10, down(0, 800))), day_archive::outcome::known);
  EXPECT_EQ(kept.two_faced(), std::set<node_id>{members[3].key.id()});
  kept.refresh(everybody);
  EXPECT_EQ(kept.results(node(1))->at(10).observers.size(), 3U);
}

TEST_F(archive, who_does_not_observe_a_node_does_not_count_about_it) {
  for (std::size_t by = 0; by < 5; ++by)
    put(kept, by, says(10, by < 2 ? well() : down(0, 1440)));
  kept.refresh([&](const node_id& observer, const node_id&) {
    return observer == members[0].key.id() || observer == members[1].key.id();
  });
  EXPECT_TRUE((kept.results(node(1))->at(10).minutes == tally{1440, 1440}));
}

TEST_F(archive, two_that_exchange_what_differs_hold_the_same) {
  day_archive other;
  for (std::uint32_t day = 10; day < 40; ++day)
    for (std::size_t by = 0; by < 5; ++by)
      put((day + by) % 3 == 0 ? other : kept, by, says(day, well()));
  const auto fetch = [&](day_archive& from, day_archive& to) {
    bool more = true;
    std::size_t answers = 0;
    std::optional<day_archive::place> after;
    while (more) {
      const auto d = from.differing(
          std::nullopt, to.fingerprints_of(std::nullopt), after, 3'000, more);
      ASSERT_FALSE(d.empty());
      after = {static_cast<std::uint32_t>(d.back().version),
               observer_of(d.back())};
      EXPECT_LE(d.size(), day_archive::answer_documents_max);
      for (const auto& one : d) {
        observation o;
        ASSERT_TRUE(observation::decode(one.body, o));
        to.put(one, std::move(o));
      }
      ASSERT_LT(++answers, 100U);
    }
  };
  fetch(kept, other);
  fetch(other, kept);
  EXPECT_EQ(kept.size(), 150U);
  EXPECT_EQ(other.size(), 150U);
  EXPECT_EQ(kept.fingerprints_of(std::nullopt),
            other.fingerprints_of(std::nullopt));
  bool more = true;
  EXPECT_TRUE(kept.differing(std::nullopt, other.fingerprints_of(std::nullopt),
                             std::nullopt, 10'000, more)
                  .empty());
  EXPECT_FALSE(more);
}

TEST_F(archive, what_is_about_one_node_can_be_asked_for) {
  put(kept, 0, says(10, well()));
  observation o;
  o.day = 10;
  o.subjects = {{node(3), well()}};
  put(kept, 1, o);
  bool more = true;
  EXPECT_EQ(kept.differing(node(3), {}, {}, 10'000, more).size(), 1U);
  EXPECT_EQ(kept.fingerprints_of(node(4)).size(), 0U);
}

TEST_F(archive, keeps_30_days) {
  for (std::uint32_t day = 10; day < 50; ++day)
    put(kept, 0, says(day, well()));
  const auto gone = kept.forget_before(20);
  EXPECT_EQ(gone.size(), 10U);
  EXPECT_EQ(gone.front(),
            day_archive::name_of(members[0].sign(says(10, well()))));
  EXPECT_EQ(kept.size(), 30U);
  kept.refresh(everybody);
  EXPECT_EQ(kept.results(node(2))->begin()->first, 20U);
}

// Who always has more doesn't keep a question open.
TEST(day_pages, end_behind_each_other_and_after_as_many_as_there_can_be) {
  day_pages one;
  EXPECT_FALSE(one.after());
  EXPECT_TRUE(one.goes_on({10, node(2)}));
  ASSERT_TRUE(one.after());
  EXPECT_EQ(one.after()->day, 10U);
  EXPECT_EQ(one.after()->observer, node(2));
  EXPECT_FALSE(one.goes_on({10, node(2)})) << "the same page again";
  EXPECT_FALSE(one.goes_on({10, node(1)}));
  EXPECT_FALSE(one.goes_on({9, node(3)}));
  EXPECT_TRUE(one.goes_on({10, node(3)}));
  EXPECT_TRUE(one.goes_on({11, node(1)}));

  day_pages many;
  std::uint32_t day = 1;
  while (many.goes_on({day, node(1)}) && day < 10'000)
    ++day;
  EXPECT_EQ(day, day_pages::pages_max);
}

// Each is asked only for what those before it lacked.
TEST(day_questions, go_to_one_node_at_a_time) {
  seeded_random random{9};
  time_point now{1h};
  day_questions q;
  EXPECT_FALSE(q.on_look({500, 1}, {node(1)}, random, now)) << "no reason";
  q.on_link(node(2));
  q.on_link(node(3));
  EXPECT_EQ(q.on_look({500, 1}, {}, random, now), node(2));
  EXPECT_FALSE(q.on_look({500, 1}, {}, random, now + 9s));
  EXPECT_FALSE(q.on_page(node(3), true, day_archive::place{9, node(1)}, now));
  // Page by page: each has its own time.
  EXPECT_TRUE(
      q.on_page(node(2), true, day_archive::place{9, node(1)}, now + 9s));
  ASSERT_TRUE(q.after());
  EXPECT_EQ(q.after()->day, 9U);
  EXPECT_FALSE(q.on_look({500, 1}, {}, random, now + 15s));
  EXPECT_FALSE(
      q.on_page(node(2), false, day_archive::place{10, node(1)}, now + 15s));
  EXPECT_FALSE(q.after());
  EXPECT_EQ(q.on_look({500, 1}, {}, random, now + 15s), node(3));
  // Who doesn't answer is passed over.
  EXPECT_FALSE(q.on_look({500, 2}, {}, random, now + 25s));
  EXPECT_FALSE(q.on_page(node(3), true, day_archive::place{9, node(1)}, now));
}

TEST(day_questions, end_with_a_page_that_goes_nowhere) {
  seeded_random random{9};
  day_questions q;
  const auto ask = [&] {
    q.on_link(node(2));
    ASSERT_EQ(q.on_look({500, 1}, {}, random, {}), node(2));
  };
  ask();
  EXPECT_FALSE(q.on_page(node(2), true, std::nullopt, {})) << "an empty one";
  ask();
  EXPECT_TRUE(q.on_page(node(2), true, day_archive::place{9, node(1)}, {}));
  EXPECT_FALSE(q.on_page(node(2), true, day_archive::place{9, node(1)}, {}));
  ask();
}

TEST(day_questions, somebody_is_asked_every_ten_minutes) {
  seeded_random random{9};
  day_questions q;
  std::set<node_id> asked;
  time_point now{1h};
  std::size_t n = 0;
  for (std::uint32_t minute = 1; minute <= 300; ++minute)
    for (int look = 0; look < 6; ++look, now += 10s)
      if (const auto whom =
              q.on_look({500, minute}, {node(1), node(2)}, random, now)) {
        asked.insert(*whom);
        EXPECT_EQ(minute % 10, 0U);
        EXPECT_FALSE(q.on_page(*whom, false, std::nullopt, now));
        ++n;
      }
  EXPECT_EQ(n, 30U);
  EXPECT_EQ(asked.size(), 2U);
}

TEST_F(archive, a_proof_comes_to_the_same_result) {
  std::vector<observation> days;
  std::vector<node_id> observers;
  for (std::uint32_t day = 10; day < 20; ++day)
    for (std::size_t by = 0; by < 5; ++by) {
      const auto o = says(day, by == 4 ? down(0, 1440) : down(0, day));
      put(kept, by, o);
      days.push_back(o);
      observers.push_back(members[by].key.id());
    }
  const auto twice = says(15, down(3, 9)); // of one of them
  put(kept, 2, twice);
  days.push_back(twice);
  observers.push_back(members[2].key.id());
  kept.refresh(everybody);
  const auto proven = results_from(days, observers, node(1));
  ASSERT_EQ(proven.size(), 10U);
  for (const auto& [day, r] : proven)
    EXPECT_TRUE(r.minutes == kept.results(node(1))->at(day).minutes) << day;
}

} // namespace
} // namespace banyan::uptime_test
