// Scenarios of 100 nodes: one for each thing that can happen, and what it comes
// to.
#include "actors/sim/course.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace banyan::sim {
namespace {

struct played {
  std::map<std::string, double> figures;
  std::vector<second_row> rows;
  std::string csv, json;
  bool settled = false;
  std::size_t running = 0;
  double at(const std::string& key) const {
    const auto i = figures.find(key);
    EXPECT_NE(i, figures.end()) << key << " is missing in " << json;
    return i == figures.end() ? -1 : i->second;
  }
};

played play(const std::string& toml, const std::string& length = "30s",
            const std::string& mesh = "nodes = 100\nregions = 4\n") {
  auto s =
      parse_scenario(mesh + "length = \"" + length + "\"\n" + toml, "test");
  if (!s) {
    ADD_FAILURE() << s.error().message;
    return {};
  }
  const auto right = check(*s);
  EXPECT_TRUE(right) << right.error().message;
  course c{std::move(*s)};
  played out;
  while (c.step()) {
  }
  out.rows = c.take_rows();
  for (const auto& r : out.rows)
    out.csv += csv_line(r);
  const auto figures = c.figures();
  for (const auto& f : figures)
    out.figures[f.key] = f.value;
  out.json = json_of(figures);
  out.settled = c.mesh().settled();
  out.running = c.mesh().views().observers();
  return out;
}

std::string event(const std::string& fields) {
  return "[[event]]\n" + fields + "\n";
}

TEST(courses, know_of_kills_and_say_how_soon) {
  const auto p = play(event("at=\"5s\"\ndo=\"kill\"\ncount=3"));
  EXPECT_EQ(p.at("kills"), 3);
  EXPECT_GT(p.at("kill_median_ms"), 0);
  EXPECT_LE(p.at("kill_p99_ms"), 3000);
  EXPECT_EQ(p.at("unaware"), 0);
  EXPECT_EQ(p.at("false_deaths"), 0);
  EXPECT_LE(p.at("links_max"), 64);
  EXPECT_LE(p.at("calm_bytes_mean"), 8192);
  EXPECT_TRUE(p.settled);
  EXPECT_EQ(p.running, 97U);
  ASSERT_EQ(p.rows.size(), 30U);
  EXPECT_EQ(p.rows[3].running, 100U);
  EXPECT_EQ(p.rows[5].running, 97U);
  EXPECT_EQ(p.rows[29].wrong, 0U);
}

TEST(courses, freeze_nodes_and_thaw_them) {
  const auto p = play(event("at=\"5s\"\ndo=\"freeze\"\ncount=2\nfor=\"15s\"")
                      + event("at=\"6s\"\ndo=\"freeze\"\nnodes=[7]")
                      + event("at=\"20s\"\ndo=\"thaw\"\nnodes=[7]"));
  EXPECT_EQ(p.at("freezes"), 3);
  EXPECT_GE(p.at("freeze_median_ms"), 1000); // nobody said so
  EXPECT_LE(p.at("freeze_p99_ms"), 5000);
  EXPECT_EQ(p.at("false_deaths"), 0);
  EXPECT_TRUE(p.settled);
  EXPECT_EQ(p.running, 100U);
}

TEST(courses, cut_a_region_off_and_heal) {
  const auto p =
      play("groups = 20\n"
           + event("at=\"5s\"\ndo=\"partition\"\nregion=\"virginia\"")
           + event("at=\"15s\"\ndo=\"heal\""));
  EXPECT_GT(p.rows[12].wrong, 0U);
  EXPECT_EQ(p.at("false_deaths"), 0); // they could not know better
  // Each has two voters together on one side.
  for (const auto& r : p.rows)
    EXPECT_EQ(r.groups_serving, 20U) << r.second;
  EXPECT_TRUE(p.settled);
}

TEST(courses, cut_nodes_off_one_way) {
  const auto p = play(
      event("at=\"5s\"\ndo=\"partition\"\ncount=2\nway=\"out\"\nfor=\"10s\""));
  EXPECT_GT(p.rows[12].wrong, 0U);
  EXPECT_EQ(p.at("false_deaths"), 0);
  EXPECT_TRUE(p.settled);
}

TEST(courses, lose_a_region_and_no_group) {
  const auto p =
      play("groups = 20\n"
           + event("at=\"5s\"\ndo=\"region_loss\"\nregion=\"frankfurt\""));
  EXPECT_EQ(p.at("lost"), 25);
  EXPECT_LE(p.at("lost_settled_ms"), 15'000);
  EXPECT_EQ(p.at("groups_least"), 20);
  EXPECT_EQ(p.at("groups_serving"), 20);
  EXPECT_GT(p.at("leader_missed_median_ms"), 0);
  EXPECT_EQ(p.at("false_deaths"), 0);
  EXPECT_EQ(p.running, 75U);
}

TEST(courses, lose_packets_and_nobody) {
  const auto p = play("loss = 5\n");
  EXPECT_EQ(p.at("false_deaths"), 0);
  const auto q = play(event("at=\"5s\"\ndo=\"loss\"\npercent=5\nfor=\"20s\"")
                      + event("at=\"6s\"\ndo=\"loss\"\npercent=80\ncount=2\n"
                              "way=\"out\"\nfor=\"10s\""));
  EXPECT_EQ(q.at("false_deaths"), 0); // of the others
}

TEST(courses, lose_packets_of_a_full_mesh_and_nobody) {
  for (const char* nodes : {"5", "10", "17"}) {
    const auto p = play("loss = 2\nlatency = \"lan\"\n", "20s",
                        std::string{"regions = 1\nnodes = "} + nodes + "\n");
    EXPECT_EQ(p.at("false_deaths"), 0) << nodes << " nodes";
  }
}

TEST(courses, slow_a_processor_down_and_wrong_nobody_else) {
  const auto p = play(
      event("at=\"5s\"\ndo=\"slow\"\ncount=2\nfactor=100000\nfor=\"15s\""));
  EXPECT_GT(p.rows[14].wrong, 0U);
  EXPECT_EQ(p.at("false_deaths"), 0);
}

TEST(courses, churn_and_take_everybody_back) {
  const auto p = play(event("at=\"5s\"\ndo=\"churn\"\npercent=10\n"
                            "for=\"20s\"\ndown=\"5s\""));
  EXPECT_GE(p.at("churn_deaths"), 2);
  EXPECT_GT(p.at("churn_bytes_mean"), p.at("calm_bytes_mean"));
  EXPECT_EQ(p.at("false_deaths"), 0);
  EXPECT_TRUE(p.settled);
  EXPECT_EQ(p.running, 100U);
}

TEST(courses, let_nodes_join_and_leave) {
  const auto p =
      play(event("at=\"5s\"\ndo=\"join\"\ncount=2\nregion=\"singapore\"")
           + event("at=\"20s\"\ndo=\"leave\"\nnodes=[3, 101]"));
  EXPECT_EQ(p.at("joined"), 2);
  EXPECT_LE(p.at("join_knows_max_ms"), 3000);
  EXPECT_LE(p.at("join_known_max_ms"), 3000);
  EXPECT_TRUE(p.settled);
  EXPECT_EQ(p.running, 100U);
}

TEST(courses, go_alike_with_one_seed_and_otherwise_with_another) {
  const auto toml = [](int seed) {
    return "seed = " + std::to_string(seed) + "\nloss = 2\ngroups = 10\n"
           + event("at=\"5s\"\ndo=\"kill\"\ncount=3")
           + event("at=\"8s\"\ndo=\"churn\"\npercent=20\ndown=\"3s\"")
           + event("at=\"9s\"\ndo=\"join\"");
  };
  const auto first = play(toml(1), "12s"), again = play(toml(1), "12s");
  const auto other = play(toml(2), "12s");
  EXPECT_EQ(first.json, again.json);
  EXPECT_EQ(first.csv, again.csv);
  EXPECT_NE(first.csv, other.csv);
}

TEST(courses, say_what_they_missed) {
  figure f{"k", "text", 5, "ms", 3.0};
  EXPECT_FALSE(f.met());
  f.floor = true;
  EXPECT_TRUE(f.met());
  EXPECT_EQ(json_of({f, {"l", "other", 0.25, ""}}), "{\"k\": 5, \"l\": 0.2}\n");
  f.floor = false;
  EXPECT_NE(table_of({f}).find("MISSED: <= 3"), std::string::npos);
  const auto head = csv_head(), line = csv_line({});
  EXPECT_EQ(std::count(head.begin(), head.end(), ','),
            std::count(line.begin(), line.end(), ','));
}

} // namespace
} // namespace banyan::sim
