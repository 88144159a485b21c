// Uptime among whole nodes, through days whose minutes are short.
#include "actors/node/placing.hpp"
#include "actors/node/uptime.hpp"
#include "actors/testing/sim/harm.hpp"
#include "crypto/mesh_key.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

constexpr duration minute = 50ms;
constexpr duration day = minute * minutes_a_day;

struct uptime_days : ::testing::Test {
  uptime_days() : w{options()} {
    for (const auto& m : w.machines)
      m->boot();
    w.run_for(2s);
  }
  static world_options options() {
    world_options o;
    o.seed = 77;
    o.machines = 5;
    o.uptime_minute = minute;
    return o;
  }
  actors::uptime_shell& at(std::size_t n) {
    return *w.at(n).peer().context().uptime;
  }
  verdict of(std::size_t n, std::size_t by) { return at(by).of(w.at(n).id()); }
  /// It takes new replicas.
  bool takes(std::size_t n, std::size_t by) {
    for (const auto& m :
         actors::members_for(w.at(by).peer().context(), nullptr))
      if (m.as.node == w.at(n).id())
        return m.away == away::none;
    return false;
  }
  /// It doesn't, and its uptime is named as the cause.
  bool kept_off(std::size_t n, std::size_t by) {
    for (const auto& m :
         actors::members_for(w.at(by).peer().context(), nullptr))
      if (m.as.node == w.at(n).id())
        return m.away == away::held || m.away == away::evacuated;
    return false;
  }
  /// To the beginning of the next UTC day, and a little on.
  void to_next_day() {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(day);
    w.run_for(std::chrono::milliseconds{
        ms.count() - w.at(0).unix_ms() % ms.count() + 200});
  }
  /// A day on which machine 4 is killed for `part` of it; then it is judged.
  void flaky_day(double part) {
    w.run_for(day / 4);
    if (part > 0) {
      const auto off = std::chrono::duration_cast<duration>(day * part);
      w.at(4).kill(machine::end::process);
      w.run_for(off);
      w.at(4).boot();
    }
    to_next_day();
    w.run_for(minute * (actors::uptime_shell::judged_after + 5));
  }
  world w;
};

TEST_F(uptime_days, are_seen_alike_by_all_and_a_policy_makes_them_count) {
  to_next_day();
  for (int n = 0; n < 7; ++n) {
    if (n == 2) { // a planned absence
      bool down = false;
      w.at(3).stop([&] { down = true; });
      ASSERT_TRUE(w.run_until([&] { return down; }, 40s));
      w.run_for(day / 5);
      w.at(3).boot();
    }
    flaky_day(0.1);
    // The first days of a mesh: the one that it began in may count, too.
    if (n < 5) {
      EXPECT_FALSE(of(4, 0).judged) << n;
    }
  }
  for (std::size_t by = 0; by < 4; ++by) {
    SCOPED_TRACE(by);
    const auto v = of(4, by);
    EXPECT_TRUE(v.judged);
    EXPECT_TRUE(v.must_go);
    ASSERT_TRUE(v.week);
    EXPECT_GE(*v.week, 8'800);
    EXPECT_LE(*v.week, 9'200);
    EXPECT_EQ(v.week, of(4, 0).week);
    EXPECT_EQ(v.is, of(4, 0).is);
    for (std::size_t n = 0; n < 4; ++n) {
      ASSERT_TRUE(of(n, by).week);
      EXPECT_GE(*of(n, by).week, 9'950) << n;
      EXPECT_EQ(of(n, by).is, standing::normal) << n;
    }
    // Observe only: nothing acts on it.
    EXPECT_EQ(at(by).acting(w.at(4).id()), standing::normal);
    EXPECT_TRUE(takes(4, by));
  }

  // A policy comes to all, and holds; the node itself may obey and go.
  w.at(4).expect_fatal();
  mesh_policy p;
  p.enforce = true;
  const auto signed_by = sign_policy(local_mesh_owner(), w.mesh().id, 1, p);
  bool taken = false;
  at(1).take_policy(signed_by.document, [&](reply_status s, std::string) {
    taken = s == reply_status::ok;
  });
  EXPECT_TRUE(w.run_until(
      [&] {
        bool all = taken;
        for (std::size_t by = 0; by < 4; ++by)
          all = all && at(by).policies().version() == 1 && kept_off(4, by)
                && takes(2, by);
        return all;
      },
      10s));

  // What was signed outlives the processes, also of all at once.
  const auto before = of(4, 0);
  for (std::size_t n = 0; n < 4; ++n)
    w.at(n).kill(machine::end::power);
  for (std::size_t n = 0; n < 4; ++n)
    w.at(n).boot();
  EXPECT_TRUE(w.run_until(
      [&] {
        for (std::size_t by = 0; by < 4; ++by)
          if (of(4, by).week != before.week || !kept_off(4, by))
            return false;
        return true;
      },
      20s));
  EXPECT_TRUE(w.problems.empty());
}

TEST_F(uptime_days, an_observer_with_two_documents_for_a_day_is_found_out) {
  to_next_day();
  flaky_day(0);
  const auto& key = w.at(3).peer().context().key;
  observation lie;
  lie.day = at(0).last_day();
  std::vector<node_id> nodes{w.at(0).id(), w.at(1).id()};
  std::sort(nodes.begin(), nodes.end());
  for (const auto& n : nodes) {
    seen_day s;
    s.observed.set_range(0, minutes_a_day);
    lie.subjects.push_back({n, s});
  }
  const auto d = signed_document::make(key, sign_kind::observation, w.mesh().id,
                                       lie.day, lie.encode());
  // Only one node is told; the others hear of it as they exchange days.
  at(2).on_control(w.at(3).id(), days_given{{}, false, {d}});
  EXPECT_TRUE(w.run_until(
      [&] {
        for (std::size_t by = 0; by < 3; ++by)
          if (at(by).disagree().count(w.at(3).id()) == 0)
            return false;
        return true;
      },
      minute * 200));
  EXPECT_GE(*of(0, 1).day, 9'990);
  EXPECT_GE(*of(1, 0).day, 9'990);
}

} // namespace
} // namespace banyan::sim
