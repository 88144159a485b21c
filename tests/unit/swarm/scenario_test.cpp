// Scenario files: what they say, and what is said about bad ones.
#include "actors/sim/scenario.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace banyan::sim {
namespace {

/// What is wrong with it, by itself or as a whole.
std::string why(const std::string& toml) {
  auto s = parse_scenario(toml, "f.toml");
  if (!s)
    return s.error().message;
  const auto right = check(*s);
  return right ? "" : right.error().message;
}

bool says(const std::string& toml, const std::string& part) {
  const auto got = why(toml);
  EXPECT_NE(got.find(part), std::string::npos)
      << "said: " << got << "\nwanted: " << part;
  return got.find(part) != std::string::npos;
}

TEST(scenarios, say_what_happens_and_when) {
  auto s = parse_scenario(R"(
nodes = 100
regions = ["tokyo", "paris"]
seed = 9
length = "2m"
groups = 3
loss = 0.5
[sizes]
tokyo = 30
[[event]]
at = "20s"
do = "freeze"
percent = 2.5
for = "500ms"
[[event]]
at = "10s"
do = "kill"
nodes = [4, 99]
)",
                          "f.toml");
  ASSERT_TRUE(s);
  ASSERT_TRUE(check(*s));
  EXPECT_EQ(s->nodes, 100U);
  EXPECT_EQ(s->seed, 9U);
  EXPECT_EQ(s->length, 120s);
  EXPECT_EQ(s->loss, 0.5);
  ASSERT_EQ(s->events.size(), 2U);
  EXPECT_EQ(s->events[0].what, action::kill); // by time
  EXPECT_EQ(s->events[0].nodes, (std::vector<index>{4, 99}));
  EXPECT_EQ(s->events[1].percent, 2.5);
  EXPECT_EQ(s->events[1].lasting, 500ms);
  const auto w = places_of(*s);
  EXPECT_EQ(w.name(0), "tokyo");
  EXPECT_EQ(sizes_of(*s, w), (std::vector<std::size_t>{30, 70}));
}

TEST(scenarios, may_have_round_trips_of_their_own) {
  auto s = parse_scenario(
      "regions = [\"a\", \"b\"]\nlatency = [[1, 90.5], [90.5, 2]]", "f.toml");
  ASSERT_TRUE(s);
  ASSERT_TRUE(check(*s));
  EXPECT_EQ(places_of(*s).one_way(0, 1), 45'250us);
  EXPECT_EQ(places_of(*s).name(1), "b");
}

TEST(scenarios, that_are_bad_are_refused_with_line_and_what_is_allowed) {
  EXPECT_TRUE(says("nodes = 0", "f.toml:1: nodes: must be a whole number"));
  EXPECT_TRUE(says("\nnodes = \"many\"", "f.toml:2: nodes: "));
  EXPECT_TRUE(says("knots = 5", "knots: unknown; known are"));
  EXPECT_TRUE(says("nodes = [", "f.toml:1"));
  EXPECT_TRUE(says("length = \"soon\"", "as in \"500ms\", \"10s\", \"2m\""));
  EXPECT_TRUE(says("latency = \"mars\"", "\"planet\", \"lan\" or a square"));
  EXPECT_TRUE(says("latency = [[1, 2]]", "must be a square"));
  EXPECT_TRUE(says("latency = [[-1]]", "must be a square"));
  EXPECT_TRUE(says("latency = [1]", "must be \"planet\""));
  EXPECT_TRUE(says("regions = [\"atlantis\"]", "they are cities: frankfurt"));
  EXPECT_TRUE(says("regions = 65", "must be a whole number from 1 to 64"));
  EXPECT_TRUE(says("regions = 2\n[sizes]\nmoon = 3", "there is no region"));
  EXPECT_TRUE(says("nodes = 9\nregions = 2\n[sizes]\nfrankfurt = 10",
                   "10 nodes in regions, of 9"));
  EXPECT_TRUE(says("voters = 2", "must be 1, 3, 5 or 7"));
  EXPECT_TRUE(says("loss = 100", "must be a number from 0 to 99"));
  EXPECT_TRUE(says("event = 5", "[[event]]"));
}

TEST(scenarios, with_bad_events_are_refused_with_line_and_what_is_allowed) {
  const auto event = [](const std::string& fields) {
    return "nodes = 50\n[[event]]\n" + fields;
  };
  EXPECT_TRUE(says(event("do = \"kill\"\ncount = 1"),
                   "f.toml:2: event: at: is missing"));
  EXPECT_TRUE(says(event("at = \"1s\"\ncount = 1"), "do: is missing"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"explode\""),
                   "f.toml:4: do: must be \"kill\" or \"freeze\""));
  EXPECT_TRUE(
      says(event("at = \"1s\"\ndo = \"kill\""), "kill needs to know whom"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"kill\"\ncuont = 1"),
                   "cuont: unknown; an event has"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"kill\"\ncount = 1\nfactor = 3"),
                   "factor: unknown; known are at, count, do"));
  EXPECT_TRUE(says(event("at = \"90s\"\ndo = \"kill\"\ncount = 1"),
                   "f.toml:2: kill: at: is after the end, at 60s"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"kill\"\nnodes = [50]"),
                   "there is no 50; they are numbered from 0 to 49"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"kill\"\nnodes = [-1]"),
                   "must be a list of numbers"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"kill\"\nregion = \"oz\""),
                   "there is no 'oz'; there are frankfurt"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"region_loss\""),
                   "region_loss needs region"));
  EXPECT_TRUE(
      says(event("at = \"1s\"\ndo = \"churn\""), "churn needs percent"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"loss\"\npercent = 200"),
                   "must be a number from 0 to 100"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"slow\"\ncount = 1"),
                   "slow needs factor"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"join\"\npercent = 1"),
                   "join needs count"));
  EXPECT_TRUE(says(event("at = 5\ndo = \"heal\""), "must be a time in quotes"));
  EXPECT_TRUE(says(event("at = \"1s\"\ndo = \"partition\"\ncount = 1\n"
                         "way = \"up\""),
                   "must be \"both\" or \"in\" or \"out\""));
}

TEST(events, can_be_said_in_one_line) {
  const auto e = parse_event("10s partition region=tokyo way=out for=500ms");
  ASSERT_TRUE(e);
  EXPECT_EQ(e->at, 10s);
  EXPECT_EQ(e->what, action::partition);
  EXPECT_EQ(e->region, "tokyo");
  EXPECT_EQ(e->way, direction::out);
  EXPECT_EQ(e->lasting, 500ms);
  const auto n = parse_event("1s kill nodes=[1,2]");
  ASSERT_TRUE(n);
  EXPECT_EQ(n->nodes, (std::vector<index>{1, 2}));
  for (const auto* bad :
       {"", "10s", "kill 10s count=1", "10s kil count=1", "10s kill",
        "10s kill count", "10s kill =1", "10s kill count=\"1\"",
        "10s kill count=1\nx=2", "10s kill nodes=[", "10s kill count=1..2"}) {
    const auto r = parse_event(bad);
    EXPECT_FALSE(r) << bad;
    if (!r) {
      EXPECT_EQ(r.error().message.rfind("'" + std::string{bad} + "'", 0), 0U)
          << r.error().message;
    }
  }
}

TEST(scenarios, of_the_documents_can_be_played) {
  std::ifstream in{BANYAN_SOURCE_DIR "/docs/scenarios/scale.toml"};
  std::ostringstream text;
  text << in.rdbuf();
  ASSERT_FALSE(text.str().empty());
  EXPECT_EQ(why(text.str()), "");
}

TEST(scenarios, have_events_of_their_own_when_none_are_said) {
  scenario s;
  ASSERT_TRUE(check(s));
  add_standard_events(s);
  EXPECT_TRUE(check(s));
  EXPECT_GE(s.events.size(), 10U);
}

} // namespace
} // namespace banyan::sim
