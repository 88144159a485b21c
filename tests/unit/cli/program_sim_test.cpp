// `banyan sim`: no peer, and one result for one seed.
#include "played_peer.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace banyan::cli {
namespace {

using banyan::test::contains;
using ProgramSim = test::played_peer;

TEST_F(ProgramSim, PrintsWhatBecameOfAMesh) {
  std::ofstream{dir / "small.toml"} << "nodes = 30\nregions = 3\n"
                                       "length = \"8s\"\n"
                                       "[[event]]\nat = \"4s\"\ndo = \"kill\"\n"
                                       "count = 1\n";
  const auto a = banyan({"sim", "small.toml", "--csv", "small.csv"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "a kill known to a node, 99 %")) << a.out;
  EXPECT_TRUE(contains(a.out, "goal <= 3000")) << a.out;
  EXPECT_FALSE(contains(a.out, "MISSED")) << a.out;
  EXPECT_TRUE(contains(a.err, "30 nodes run")) << a.err;
  std::ifstream in{dir / "small.csv"};
  const std::string csv{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 9); // and a head
  const auto json = banyan({"sim", "small.toml", "--json"});
  EXPECT_EQ(json.code, 0) << json.err;
  EXPECT_TRUE(contains(json.out, "\"kills\": 1")) << json.out;
  EXPECT_EQ(banyan({"sim", "small.toml", "--json"}).out, json.out);
}

TEST_F(ProgramSim, RefusesBadScenariosAsUsage) {
  std::ofstream{dir / "bad.toml"} << "nodes = 30\nknots = 3\n";
  const auto a = banyan({"sim", "bad.toml"});
  EXPECT_EQ(a.code, 2);
  EXPECT_TRUE(contains(a.err, "bad.toml:2: knots: unknown; known are"))
      << a.err;
  EXPECT_EQ(banyan({"sim", "missing.toml"}).code, 2);
  EXPECT_EQ(banyan({"sim", "--nodes", "0"}).code, 2);
  EXPECT_EQ(banyan({"sim", "--at", "soon kill"}).code, 2);
  EXPECT_EQ(banyan({"sim", "--length", "long"}).code, 2);
  EXPECT_EQ(banyan({"sim", "--loss", "100"}).code, 2);
  const auto story = banyan({"sim", "--story", "nobody's"});
  EXPECT_EQ(story.code, 2);
  EXPECT_TRUE(contains(story.err, "uptime, swim, lifeguard, rapid"))
      << story.err;
  EXPECT_EQ(
      banyan({"sim", "--nodes", "5", "--calm", "--csv", "/no/where"}).code, 2);
}

} // namespace
} // namespace banyan::cli
