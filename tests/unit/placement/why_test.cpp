// Why replicas are where they are, by the placement function itself.
#include "actors/pure/why.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <set>

namespace banyan {
namespace {

class why : public ::testing::Test {
protected:
  void member(const std::string& region, const std::string& zone,
              const std::string& host) {
    auto& m = f.members.emplace_back();
    m.as.node = node_id{random.array<32>()};
    m.as.region = region;
    m.as.zone = zone;
    m.as.host = host;
  }
  void members(std::size_t n, std::size_t zones) {
    for (std::size_t i = 0; i < n; ++i)
      member("eu", "z" + std::to_string(i % zones), "h" + std::to_string(i));
  }
  [[nodiscard]] std::vector<candidate> able() const {
    std::vector<candidate> out;
    for (const auto& m : f.members)
      if (m.away == away::none)
        out.push_back(m.as);
    return out;
  }
  /// Its replicas are where placement puts them.
  void placed_now(std::uint32_t shard) {
    f.hash = placement_hash(as_bytes("app"), shard);
    f.replicas.clear();
    for (const auto& n : place(f.hash, f.need, able()).nodes)
      f.replicas.push_back(
          {n, f.replicas.empty() ? why_role::leader : why_role::voter});
  }
  why_member& at(const node_id& node) {
    return *std::find_if(f.members.begin(), f.members.end(),
                         [&](auto& m) { return m.as.node == node; });
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  seeded_random random{4};
  why_facts f;
};

TEST_F(why, steps_are_those_of_placement) {
  members(12, 3);
  f.need.voters = 5;
  for (std::uint32_t s = 0; s < 50; ++s) {
    const auto hash = placement_hash(as_bytes("app"), s);
    const auto steps = explain_place(hash, f.need, able(), 100);
    const auto p = place(hash, f.need, able());
    ASSERT_EQ(steps.size(), 12U);
    std::set<std::uint32_t> ranks;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_EQ(steps[i].chosen, i < 5);
      EXPECT_EQ(i < 5 ? p.nodes[i] : steps[i].node, steps[i].node);
      ranks.insert(steps[i].rank);
    }
    EXPECT_EQ(ranks.size(), 12U); // 1 to 12
    EXPECT_EQ(*ranks.rbegin(), 12U);
    EXPECT_EQ(steps[0].rank, 1U);
    EXPECT_EQ(
        next_candidate(hash, f.need, able(), p.nodes, p.nodes, std::nullopt),
        steps[5].node);
  }
}

TEST_F(why, each_voter_has_its_choice_and_each_runner_up_its_reason) {
  members(6, 6);
  placed_now(0);
  const auto g = explain(f);
  EXPECT_TRUE(g.as_placed);
  ASSERT_EQ(g.rows.size(), 6U);
  EXPECT_EQ(g.rows[0].role, why_role::leader);
  EXPECT_EQ(g.rows[0].text, "choice 1: rank 1 by score");
  EXPECT_EQ(g.rows[2].text, "choice 3: rank 3 by score");
  EXPECT_EQ(g.rows[3].role, why_role::runner_up);
  EXPECT_EQ(g.rows[3].text, "rank 4 by score, lower than the last choice");
  EXPECT_GT(*g.rows[0].score, *g.rows[3].score);
}

TEST_F(why, a_higher_score_that_shares_a_zone_is_passed_over) {
  members(9, 3);
  bool seen = false;
  for (std::uint32_t s = 0; s < 20 && !seen; ++s) {
    placed_now(s);
    const auto g = explain(f);
    EXPECT_TRUE(g.as_placed);
    for (const auto& r : g.rows)
      if (r.role == why_role::runner_up && has(r.text, "passed over")) {
        seen = true;
        EXPECT_TRUE(has(r.text, "shares zone with ")) << r.text;
        EXPECT_LT(r.rank, g.rows[2].rank);
        EXPECT_TRUE(has(g.rows[1].text, "higher score")
                    || has(g.rows[2].text, "higher score"))
            << g.rows[2].text;
      }
  }
  EXPECT_TRUE(seen);
}

TEST_F(why, a_shared_machine_without_a_choice_is_said) {
  member("eu", "", "h1");
  member("eu", "", "h1");
  member("eu", "", "h2");
  placed_now(0);
  const auto g = explain(f);
  EXPECT_TRUE(
      has(g.rows[2].text, "shares machine with " + short_string(g.rows[0].node))
      || has(g.rows[2].text,
             "shares machine with " + short_string(g.rows[1].node)))
      << g.rows[2].text;
  EXPECT_TRUE(has(g.rows[2].text, "there was no choice"));
}

TEST_F(why, a_region_is_shared_only_where_the_spec_wants_several) {
  for (int i = 0; i < 3; ++i) {
    member("eu", "z" + std::to_string(i), "e" + std::to_string(i));
    member("us", "z" + std::to_string(i), "u" + std::to_string(i));
  }
  f.need.regions_min = 2;
  placed_now(0);
  const auto g = explain(f);
  EXPECT_TRUE(has(g.rows[2].text, "shares region with ")) << g.rows[2].text;
  f.need.regions_min = 0;
  placed_now(0);
  for (const auto& r : explain(f).rows)
    EXPECT_FALSE(has(r.text, "region")) << r.text;
}

TEST_F(why, a_voter_that_is_away_and_who_would_come) {
  members(5, 5);
  placed_now(0);
  const auto gone = f.replicas[1].node;
  at(gone).away = away::dead;
  const auto g = explain(f);
  EXPECT_FALSE(g.as_placed);
  ASSERT_EQ(g.rows[1].node, gone);
  EXPECT_EQ(g.rows[1].rank, 0U);
  EXPECT_FALSE(g.rows[1].score);
  EXPECT_EQ(g.rows[1].text,
            "it is dead: it is replaced in time, unless it comes back");
  ASSERT_EQ(g.rows[3].role, why_role::wanted);
  EXPECT_TRUE(has(g.rows[3].text, "choice 3")) << g.rows[3].text;
}

TEST_F(why, a_voter_of_other_days_stays) {
  members(4, 4);
  placed_now(0);
  const auto last = f.replicas[2].node;
  const auto all = able();
  f.replicas[2].node =
      std::find_if(all.begin(), all.end(), [&](const candidate& c) {
        return std::none_of(f.replicas.begin(), f.replicas.end(),
                            [&](const auto& r) { return r.node == c.node; });
      })->node;
  const auto g = explain(f);
  EXPECT_FALSE(g.as_placed);
  EXPECT_TRUE(has(g.rows[2].text, "stays until it has to move"))
      << g.rows[2].text;
  EXPECT_EQ(g.rows[2].rank, 4U);
  ASSERT_EQ(g.rows.size(), 4U);
  EXPECT_EQ(g.rows[3].node, last);
  EXPECT_EQ(g.rows[3].role, why_role::wanted);
}

TEST_F(why, who_can_not_be_chosen_and_why) {
  members(3, 3);
  for (const char* region : {"cn", "us", "us", "us", "us"})
    member(region, "", "h" + std::to_string(f.members.size()));
  f.need.regions = {"eu", "us"};
  f.need.min_tier = 1;
  for (auto& m : f.members)
    m.as.tier = 1;
  f.members[4].as.tier = 0;
  f.members[5].as.weight = 0;
  f.members[6].as.has_module = false;
  f.members[7].away = away::drained;
  const auto out = excluded_of(f.need, f.members);
  ASSERT_EQ(out.size(), 5U);
  EXPECT_EQ(out[0].text,
            "its region \"cn\" is not allowed; allowed are eu, us");
  EXPECT_EQ(out[1].text, "its tier is 0, the spec wants 1");
  EXPECT_EQ(out[2].text, "its weight is 0: it takes nothing new");
  EXPECT_EQ(out[3].text, "the spec has no module for what it runs on");
  EXPECT_EQ(out[4].text, "it is drained");
}

// A hold has one mechanism, and says whether uptime or hardware is the cause.
TEST_F(why, a_hold_names_its_cause_and_moves_nothing) {
  members(6, 6);
  placed_now(0);
  const auto held = f.replicas[1].node;
  const auto weak = f.replicas[2].node;
  at(held).away = away::held;
  at(weak).away = away::unproven;
  const auto g = explain(f);
  EXPECT_TRUE(has(g.rows[1].text, "its uptime")) << g.rows[1].text;
  EXPECT_TRUE(has(g.rows[2].text, "its hardware")) << g.rows[2].text;
  for (const auto n : {1U, 2U}) {
    EXPECT_TRUE(has(g.rows[n].text, "stays")) << g.rows[n].text;
    EXPECT_FALSE(has(g.rows[n].text, "replaced")) << g.rows[n].text;
  }
  const auto out = excluded_of(f.need, f.members);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_NE(has(out[0].text, "uptime"), has(out[1].text, "uptime"));
  EXPECT_NE(has(out[0].text, "hardware"), has(out[1].text, "hardware"));
  // Who serves a stateless app goes on, on hold for either.
  at(held).serves = at(weak).serves = true;
  EXPECT_TRUE(explain(f).as_placed);
  EXPECT_TRUE(excluded_of(f.need, f.members).empty());
}

} // namespace
} // namespace banyan
