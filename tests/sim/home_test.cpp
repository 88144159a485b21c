// Voters that return home, and nodes that an enforced policy empties, with
// whole nodes on virtual time (DESIGN sections 8 and 10).
#include "actors/node/evacuation.hpp"
#include "sim/drained_world.hpp"

namespace banyan::sim {
namespace {

constexpr auto machines = drained_world::machines;

/// Two machines in eu, two in us, one in ap; voters of two regions at least.
/// All waits are minutes shorter than in production.
struct homes : ::testing::TestWithParam<std::uint64_t> {
  static world_options options(std::uint64_t seed) {
    auto o = drained_world::of_seed(seed);
    o.regions = {"eu", "eu", "us", "us", "ap"};
    o.between.delay_low = 5ms;
    o.between.delay_high = 6ms;
    o.homing.well_for = 20s;
    o.homing.look_every = 500ms;
    o.homing.between = 3s;
    o.homing.unmoved = 5s;
    return o;
  }
  homes() : d{options(7000 + GetParam()), 4} {}

  void begin() {
    d.replace_after = 5s;
    ASSERT_NO_FATAL_FAILURE(d.begin());
    for (std::uint32_t s = 0; s < d.shards; ++s)
      home.push_back(voters(s));
  }
  std::set<node_id> voters(std::uint32_t shard) const {
    std::set<node_id> out;
    if (const auto* c = d.w.logs.configuration({d.app, shard}); c != nullptr)
      for (const auto& v : c->voters)
        out.insert(v.node);
    return out;
  }
  bool settled() const {
    for (std::uint32_t s = 0; s < d.shards; ++s) {
      const auto* c = d.w.logs.configuration({d.app, s});
      if (c == nullptr || c->joint() || c->voters.size() != 3
          || !c->learners.empty())
        return false;
    }
    return true;
  }
  bool all_home() const {
    for (std::uint32_t s = 0; s < d.shards; ++s)
      if (voters(s) != home[s])
        return false;
    return settled();
  }
  /// No group is below three voters that run, or has two learners.
  void look() {
    for (std::uint32_t s = 0; s < d.shards; ++s) {
      const auto* c = d.w.logs.configuration({d.app, s});
      ASSERT_NE(c, nullptr);
      EXPECT_EQ(c->voters.size(), 3U);
      EXPECT_LE(c->learners.size(), 1U);
    }
  }
  /// Until `done`; calls all the while.
  bool live(const std::function<bool()>& done, duration limit,
            bool watch = true) {
    for (const auto until = d.w.now() + limit; d.w.now() < until;) {
      d.write();
      for (int i = 0; i < 10; ++i) {
        run(50ms);
        if (watch)
          look();
      }
      if (done())
        return true;
    }
    return false;
  }
  void run(duration t) {
    for (std::size_t n = 0; n < machines; ++n)
      if (d.w.at(n).up())
        d.context(n).standing_of = [this](const node_id& who) {
          const auto at = stand.find(who);
          return at == stand.end() ? standing::normal : at->second;
        };
    d.w.run_for(t);
  }
  std::size_t heard(std::size_t by, const std::string& kind) {
    std::size_t n = 0;
    d.context(by).events.each_after(0, [&](const mesh_event& e) {
      n += e.kind == kind;
      return true;
    });
    return n;
  }

  drained_world d;
  std::vector<std::set<node_id>> home;
  /// What the policy makes of whom, as every node reads it.
  std::map<node_id, standing> stand;
};

TEST_P(homes, a_region_that_comes_back_gets_its_voters_back_slowly) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const std::set<node_id> eu{d.w.at(0).id(), d.w.at(1).id()};
  const auto away = [&] {
    for (std::uint32_t s = 0; s < d.shards; ++s)
      for (const auto& v : voters(s))
        if (eu.count(v) != 0)
          return false;
    return settled();
  };
  std::size_t lost = 0;
  for (const auto& h : home)
    for (const auto& v : h)
      lost += eu.count(v);
  ASSERT_GT(lost, 0U);
  d.w.at(0).kill(machine::end::power);
  d.w.at(1).kill(machine::end::power);
  ASSERT_TRUE(
      live(away, 2min, false)); // a group may lack its majority at first
  d.w.at(0).boot();
  d.w.at(1).boot();
  ASSERT_TRUE(live([&] { return d.all_met(); }, 30s));
  EXPECT_FALSE(live([&] { return !away(); }, 15s)); // not at once
  EXPECT_TRUE(live([&] { return all_home(); }, 5min));
  // A leader that is to go itself gives the lead away first, and who leads then
  // begins anew.
  const auto moved = heard(4, "voter_goes_home");
  EXPECT_GE(moved, lost);
  EXPECT_LE(moved, 2 * lost);
  // And there they stay.
  live([] { return false; }, 30s);
  EXPECT_TRUE(all_home());
  EXPECT_EQ(heard(4, "voter_goes_home"), moved);
  d.judge();
}

TEST_P(homes, what_an_operator_moved_stays_there_restarts_included) {
  ASSERT_NO_FATAL_FAILURE(begin());
  actors::operate_in in;
  in.what = operator_wish::move;
  in.app = "counter";
  in.from = *home[0].begin();
  for (const auto& m : d.w.machines)
    if (home[0].count(m->id()) == 0)
      in.to = m->id();
  const auto from = in.from;
  const auto to = in.to;
  const auto a = d.operate(0, std::move(in));
  ASSERT_EQ(a.status, reply_status::ok) << a.message;
  const auto there = [&] {
    return settled() && voters(0).count(to) != 0 && voters(0).count(from) == 0;
  };
  ASSERT_TRUE(live(there, 60s));
  live([] { return false; }, 60s); // by then it would have gone home
  EXPECT_TRUE(there());
  for (std::size_t n = 0; n < machines; ++n) {
    d.w.at(n).kill(machine::end::power);
    d.w.run_for(300ms);
    d.w.at(n).boot();
    ASSERT_TRUE(live([&] { return d.all_met(); }, 30s, false));
  }
  live([] { return false; }, 90s);
  EXPECT_TRUE(there());
  EXPECT_EQ(heard(1, "voter_goes_home"), 0U);
  d.judge();
}

TEST_P(homes, a_node_on_hold_keeps_what_it_has_and_gets_nothing_new) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const auto held = d.w.at(4).id();
  stand[held] = standing::hold;
  d.w.at(2).kill(machine::end::power); // its voters go to others, if anywhere
  live([] { return false; }, 60s, false);
  for (std::uint32_t s = 0; s < d.shards; ++s)
    EXPECT_EQ(voters(s).count(held), home[s].count(held)) << s;
  EXPECT_EQ(heard(0, "voter_goes_home"), 0U);
  d.w.at(2).boot();
  ASSERT_TRUE(live([&] { return d.all_met() && settled(); }, 2min, false));
  d.judge();
}

TEST_P(homes, an_evacuated_node_is_emptied_one_group_at_a_time_then_excluded) {
  ASSERT_NO_FATAL_FAILURE(begin());
  std::size_t bad = 0; // whoever has most
  const auto held = [&](std::size_t n) {
    std::size_t count = 0;
    for (std::uint32_t s = 0; s < d.shards; ++s)
      count += voters(s).count(d.w.at(n).id());
    return count;
  };
  for (std::size_t n = 1; n < machines; ++n)
    bad = held(n) > held(bad) ? n : bad;
  const auto id = d.w.at(bad).id();
  const auto by = (bad + 1) % machines;
  const auto stands = [&](standing as) { stand[id] = as; };
  ASSERT_GT(held(bad), 0U);
  stands(standing::evacuate);
  std::size_t moving_most = 0;
  EXPECT_TRUE(live(
      [&] {
        std::size_t moving = 0;
        for (std::uint32_t s = 0; s < d.shards; ++s)
          if (const auto* c = d.w.logs.configuration({d.app, s}))
            moving += voters(s).count(id) != 0 && !c->learners.empty();
        moving_most = std::max(moving_most, moving);
        return d.gone(id) && d.holds_nothing(bad);
      },
      3min));
  EXPECT_LE(moving_most, 1U);
  EXPECT_EQ(heard(by, "evacuation_began"), 1U);
  EXPECT_TRUE(live([&] { return heard(by, "evacuation_ended") == 1; }, 10s));
  live([] { return false; }, 30s);
  EXPECT_TRUE(d.w.at(bad).up()); // not so bad that it has to go
  d.w.at(bad).expect_fatal();
  stands(standing::excluded);
  EXPECT_TRUE(live([&] { return !d.w.at(bad).up(); }, 30s));
  EXPECT_EQ(d.w.at(bad).fault_code(), actors::exit_excluded);
  const auto words = d.w.at(bad).fault();
  EXPECT_NE(words.find("excluded by the mesh's policy"), std::string::npos);
  // Started again it says the same, and joins nobody.
  for (int i = 0; i < 3; ++i) {
    d.w.at(bad).jump_wall_clock(24h);
    d.w.at(bad).boot();
    live([] { return false; }, 1s);
    EXPECT_FALSE(d.w.at(bad).up());
    EXPECT_EQ(d.w.at(bad).fault_code(), actors::exit_excluded);
    EXPECT_EQ(d.w.at(bad).fault(), words);
  }
  // Readmitted once its time is over.
  d.w.at(bad).jump_wall_clock(7 * 24h);
  stands(standing::probation);
  d.w.at(bad).boot();
  EXPECT_TRUE(live([&] { return d.all_met(); }, 30s));
  EXPECT_TRUE(live([&] { return heard(bad, "readmitted") == 1; }, 10s));
  d.judge();
}

TEST_P(homes, a_better_standing_ends_an_evacuation) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const auto id = d.w.at(3).id();
  stand[id] = standing::evacuate;
  run(500ms);
  EXPECT_TRUE(d.context(0).is_drained(id));
  stand[id] = standing::probation;
  run(2s);
  EXPECT_FALSE(d.context(0).is_drained(id));
  EXPECT_FALSE(d.context(3).is_drained(id));
  d.judge();
}

INSTANTIATE_TEST_SUITE_P(seeds, homes, ::testing::Range<std::uint64_t>(0, 3));

} // namespace
} // namespace banyan::sim
