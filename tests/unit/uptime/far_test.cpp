#include "actors/pure/uptime/far.hpp"
#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

bool anybody(const node_id&, const node_id&) {
  return true;
}

/// A mesh in which each node keeps its own documents, and those about it.
struct far_mesh {
  far_mesh() {
    for (int i = 0; i < 6; ++i)
      keys.push_back(identity::generate(random));
  }
  [[nodiscard]] node_id id(std::size_t n) const { return keys[n].id(); }
  /// Observers 1 to 5 say so of node 0.
  void add_day(std::uint32_t day, std::size_t down_minutes) {
    for (std::size_t by = 1; by < keys.size(); ++by) {
      observation o;
      o.day = day;
      o.subjects = {{id(0), down(0, down_minutes)}};
      const auto d = signed_document::make(keys[by], sign_kind::observation,
                                           orchard(), day, o.encode());
      kept[id(0)].put(d, o);
      kept[id(by)].put(d, o);
    }
  }
  [[nodiscard]] std::vector<node_id> observers() const {
    std::vector<node_id> out;
    for (std::size_t by = 1; by < keys.size(); ++by)
      out.push_back(id(by));
    return out;
  }
  /// Plays until nothing is asked any more. @returns how many were asked.
  std::size_t play(far_days& core, std::optional<far_days::wish> w,
                   std::size_t bytes_most = 2'000) {
    std::size_t questions = 0;
    while (w) {
      ++questions;
      now += 10ms;
      if (silent.count(w->whom) != 0) {
        now += far_days::answer_within;
        w = core.on_tick(now, who);
        continue;
      }
      bool more = false;
      far_days::arrived a;
      for (auto& d : kept[w->whom].differing(w->what.about, w->what.have,
                                             w->what.after, bytes_most, more)) {
        observation o;
        EXPECT_TRUE(observation::decode(d.body, o));
        a.end = day_archive::place{o.day, observer_of(d)};
        a.days.emplace_back(std::move(d), std::move(o));
        ++documents;
      }
      a.more = more;
      EXPECT_TRUE(core.awaits(w->whom, w->what.about));
      const auto from = w->whom;
      w = core.on_given(from, std::move(a), now, who);
    }
    EXPECT_FALSE(core.busy());
    return questions;
  }
  seeded_random random{8};
  std::vector<identity> keys;
  std::map<node_id, day_archive> kept;
  std::set<node_id> silent;
  day_archive::counts who = anybody;
  time_point now{};
  std::size_t documents = 0;
};

TEST(far_days, others_fetch_on_demand) {
  far_mesh m;
  for (std::uint32_t day = 100; day < 110; ++day)
    m.add_day(day, 144);
  far_days core;
  EXPECT_EQ(core.results(m.id(0)), nullptr);
  m.play(core, core.begin(m.id(0), m.observers(), 109, m.now));
  ASSERT_NE(core.results(m.id(0)), nullptr);
  EXPECT_EQ(sum_of(*core.results(m.id(0)), 109, 7).score(),
            basis_points{9'000});
  EXPECT_EQ(judge(*core.results(m.id(0)), 109, {}, false).is,
            standing::evacuate);
}

TEST(far_days, only_days_that_are_not_known_are_asked_for) {
  far_mesh m;
  for (std::uint32_t day = 100; day < 110; ++day)
    m.add_day(day, 0);
  far_days core;
  m.play(core, core.begin(m.id(0), m.observers(), 109, m.now));
  EXPECT_FALSE(core.begin(m.id(0), m.observers(), 109, m.now));
  m.add_day(110, 100);
  m.documents = 0;
  m.play(core, core.begin(m.id(0), m.observers(), 110, m.now));
  EXPECT_EQ(core.results(m.id(0))->size(), 11U);
  EXPECT_LE(m.documents, 5U + 5U); // of that day, from it and each observer
}

TEST(far_days, a_node_that_hides_a_bad_day_is_contradicted_by_its_observers) {
  far_mesh m;
  for (std::uint32_t day = 100; day < 110; ++day)
    m.add_day(day, 144);
  m.kept[m.id(0)] = {};
  far_days core;
  m.play(core, core.begin(m.id(0), m.observers(), 109, m.now));
  EXPECT_EQ(sum_of(*core.results(m.id(0)), 109, 7).score(),
            basis_points{9'000});
}

TEST(far_days, who_does_not_answer_is_passed_over) {
  far_mesh m;
  m.add_day(100, 0);
  m.silent = {m.id(0), m.id(2)};
  far_days core;
  EXPECT_EQ(m.play(core, core.begin(m.id(0), m.observers(), 100, m.now)), 6U);
  EXPECT_EQ(core.results(m.id(0))->at(100).minutes.counted, minutes_a_day);
  // Nobody at all: it is asked another time.
  far_days other;
  for (std::size_t n = 0; n < 6; ++n)
    m.silent.insert(m.id(n));
  m.play(other, other.begin(m.id(0), m.observers(), 100, m.now));
  EXPECT_FALSE(other.knows(m.id(0), 100));
}

TEST(far_days, who_does_not_observe_a_node_has_no_word_about_it) {
  far_mesh m;
  m.add_day(100, 1440);
  m.who = [&](const node_id& observer, const node_id&) {
    return observer == m.id(1);
  };
  far_days core;
  m.play(core, core.begin(m.id(0), m.observers(), 100, m.now));
  EXPECT_EQ(core.results(m.id(0))->at(100).minutes.counted, 0U);
}

TEST(far_days, an_answer_without_end_comes_to_one) {
  far_mesh m;
  m.add_day(100, 0);
  far_days core;
  auto w = core.begin(m.id(0), {}, 100, m.now);
  std::size_t answers = 0;
  while (w && ++answers < 10) {
    far_days::arrived a;
    a.more = true;
    bool ignored = false;
    for (auto& d :
         m.kept[m.id(0)].differing(m.id(0), {}, {}, 100'000, ignored)) {
      observation o;
      ASSERT_TRUE(observation::decode(d.body, o));
      a.end = day_archive::place{o.day, observer_of(d)};
      a.days.emplace_back(std::move(d), std::move(o));
    }
    w = core.on_given(m.id(0), std::move(a), m.now, anybody);
  }
  EXPECT_EQ(answers, 2U);
  EXPECT_FALSE(core.busy());
}

TEST(far_days, an_answer_that_nobody_asked_for_is_nothing) {
  far_mesh m;
  far_days core;
  EXPECT_FALSE(core.on_given(m.id(1), {}, m.now, anybody));
  ASSERT_TRUE(core.begin(m.id(0), m.observers(), 100, m.now));
  EXPECT_FALSE(core.on_given(m.id(1), {}, m.now, anybody));
  EXPECT_FALSE(core.awaits(m.id(0), m.id(1)));
  EXPECT_TRUE(core.busy());
}

} // namespace
} // namespace banyan::uptime_test
