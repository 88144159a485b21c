#include "actors/pure/placement.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace banyan {
namespace {

class placing : public ::testing::Test {
protected:
  candidate& add(const std::string& region, const std::string& zone,
                 const std::string& host) {
    candidate c;
    c.node = node_id{random.array<32>()};
    c.region = region;
    c.zone = zone;
    c.host = host;
    c.memory_mib = 8192;
    c.disk_mib = 100000;
    members.push_back(c);
    return members.back();
  }
  /// `n` nodes on machines of their own, in `zones` zones of one region.
  void region(const std::string& name, std::size_t n, std::size_t zones) {
    for (std::size_t i = 0; i < n; ++i)
      add(name, "z" + std::to_string(i % zones),
          name + std::to_string(i) + ".example");
  }
  const candidate& at(const node_id& node) const {
    return *std::find_if(members.begin(), members.end(),
                         [&](const auto& c) { return c.node == node; });
  }
  placed group(std::uint32_t shard) {
    return place(placement_hash(as_bytes("app"), shard), need, members);
  }
  template <class Member>
  std::size_t distinct(const placed& p, Member what) const {
    std::set<std::string> seen;
    for (const auto& n : p.nodes)
      seen.insert(at(n).*what);
    return seen.size();
  }

  seeded_random random{11};
  std::vector<candidate> members;
  placement_need need;
};

TEST_F(placing, same_members_same_answer_in_any_order) {
  region("eu", 9, 3);
  std::vector<placed> first;
  for (std::uint32_t s = 0; s < 50; ++s)
    first.push_back(group(s));
  for (int i = 0; i < 5; ++i) {
    for (std::size_t k = members.size(); k > 1; --k)
      std::swap(members[k - 1], members[random.below(k)]);
    for (std::uint32_t s = 0; s < 50; ++s)
      EXPECT_EQ(group(s).nodes, first[s].nodes);
  }
}

TEST_F(placing, a_lost_member_moves_only_what_it_held) {
  region("eu", 12, 12);
  std::map<std::uint32_t, std::vector<node_id>> before;
  for (std::uint32_t s = 0; s < 200; ++s)
    before[s] = group(s).nodes;
  const auto gone = members[4].node;
  members.erase(members.begin() + 4);
  for (std::uint32_t s = 0; s < 200; ++s) {
    const auto& old = before[s];
    const auto now = group(s).nodes;
    const bool held = std::find(old.begin(), old.end(), gone) != old.end();
    std::size_t kept = 0;
    for (const auto& n : old)
      kept += std::size_t(std::count(now.begin(), now.end(), n));
    EXPECT_EQ(kept, held ? 2U : 3U) << s;
  }
}

TEST_F(placing, is_weighted_by_capacity) {
  region("eu", 8, 8);
  members[0].weight = 300;
  std::map<node_id, int> load;
  need.voters = 1;
  for (std::uint32_t s = 0; s < 4000; ++s)
    ++load[group(s).nodes.at(0)];
  EXPECT_NEAR(load[members[0].node], 1200, 120); // 300 of 1000
  EXPECT_NEAR(load[members[1].node], 400, 80);
}

TEST_F(placing, hard_constraints_are_never_bent) {
  region("eu", 3, 3);
  region("us", 3, 3);
  region("cn", 3, 3);
  need.regions = {"eu", "us"};
  need.denied = {"us"};
  need.min_tier = 1;
  for (auto& m : members)
    m.tier = 2;
  for (std::uint32_t s = 0; s < 50; ++s)
    for (const auto& n : group(s).nodes)
      EXPECT_EQ(at(n).region, "eu");
  members[0].tier = 0;
  members[1].disk_mib = 10;
  need.disk_mib = 1000;
  need.memory_mib = 1000;
  EXPECT_EQ(group(1).nodes, std::vector<node_id>{members[2].node});
  members[2].memory_mib = 10;
  EXPECT_TRUE(group(1).nodes.empty());
}

TEST_F(placing, a_node_without_the_module_is_no_candidate) {
  region("eu", 4, 4);
  members[1].has_module = false;
  for (std::uint32_t s = 0; s < 50; ++s) {
    const auto p = group(s);
    EXPECT_EQ(std::count(p.nodes.begin(), p.nodes.end(), members[1].node), 0);
  }
  EXPECT_EQ(why_unfit(members[1], need), unfit::module);
}

TEST_F(placing, a_node_without_weight_takes_nothing_new) {
  region("eu", 4, 4);
  members[2].weight = 0;
  EXPECT_EQ(why_unfit(members[2], need), unfit::weight);
  for (std::uint32_t s = 0; s < 50; ++s)
    EXPECT_EQ(group(s).missing, 0U);
}

TEST_F(placing, no_two_voters_in_one_zone_while_there_is_a_choice) {
  region("eu", 9, 3);
  for (std::uint32_t s = 0; s < 100; ++s)
    EXPECT_EQ(distinct(group(s), &candidate::zone), 3U);
  need.voters = 5; // more than zones: two, two and one
  for (std::uint32_t s = 0; s < 100; ++s) {
    const auto p = group(s);
    std::map<std::string, int> in;
    for (const auto& n : p.nodes)
      ++in[at(n).zone];
    for (const auto& [zone, n] : in)
      EXPECT_LE(n, 2);
  }
}

TEST_F(placing, no_two_voters_on_one_host_while_there_is_a_choice) {
  for (int machine = 0; machine < 3; ++machine)
    for (int peer = 0; peer < 3; ++peer)
      add("eu", "", "10.0.0." + std::to_string(machine));
  for (std::uint32_t s = 0; s < 100; ++s)
    EXPECT_EQ(distinct(group(s), &candidate::host), 3U);
}

TEST_F(placing, five_peers_on_one_machine_still_serve) {
  for (int i = 0; i < 5; ++i)
    add(i < 3 ? "north" : "south", "", "127.0.0.1");
  for (std::uint32_t s = 0; s < 20; ++s) {
    const auto p = group(s);
    EXPECT_EQ(p.missing, 0U);
    EXPECT_FALSE(survival_of(p.nodes, members).any_host);
    EXPECT_EQ(survival_of(p.nodes, members).nodes, 1U);
  }
}

TEST_F(placing, two_regions_when_the_spec_says_so) {
  region("eu", 8, 8);
  region("us", 1, 1);
  std::size_t spread = 0;
  for (std::uint32_t s = 0; s < 50; ++s)
    spread += distinct(group(s), &candidate::region) == 2;
  EXPECT_LT(spread, 50U);
  need.regions_min = 2;
  for (std::uint32_t s = 0; s < 50; ++s)
    EXPECT_EQ(distinct(group(s), &candidate::region), 2U);
  members.pop_back();
  EXPECT_EQ(strict_refusal(group(0)).find("all voters are in one region"), 0U);
}

TEST_F(placing, no_region_has_a_majority_while_there_is_a_choice) {
  region("eu", 8, 8);
  region("us", 2, 2);
  region("ap", 1, 1);
  need.regions_min = 2;
  for (const std::uint32_t voters : {3U, 5U, 7U}) {
    need.voters = voters;
    for (std::uint32_t s = 0; s < 50; ++s) {
      const auto p = group(s);
      ASSERT_EQ(p.nodes.size(), voters);
      // Seven voters: four places are left for eu at least.
      EXPECT_EQ(survival_of(p.nodes, members).any_region, voters < 7) << s;
      EXPECT_TRUE(p.warnings.empty());
    }
  }
  need.voters = 3;
  members.pop_back(); // two regions are as many as are asked for
  for (std::uint32_t s = 0; s < 50; ++s)
    EXPECT_EQ(distinct(group(s), &candidate::region), 2U);
}

TEST_F(placing, a_region_that_is_unverified_is_no_other_one) {
  region("eu", 3, 3);
  region("us", 2, 2);
  members[3].unverified = true; // it is in eu, say
  need.regions_min = 2;
  for (std::uint32_t s = 0; s < 50; ++s) {
    const auto p = group(s);
    std::set<std::string> sure;
    for (const auto& n : p.nodes)
      if (!at(n).unverified)
        sure.insert(at(n).region);
    EXPECT_EQ(sure.size(), 2U) << s;
  }
  members.pop_back();
  EXPECT_EQ(strict_refusal(group(0)).find("all voters are in one region"), 0U);
  // It replaces nobody of the region that it claims.
  const std::vector<node_id> eu{members[0].node, members[1].node};
  const auto hash = placement_hash(as_bytes("app"), 0);
  EXPECT_FALSE(next_candidate(hash, need, members, eu, eu, "us"));
  members[3].unverified = false;
  EXPECT_TRUE(next_candidate(hash, need, members, eu, eu, "us"));
}

TEST_F(placing, without_a_wish_for_regions_claims_do_not_matter) {
  region("eu", 5, 5);
  std::vector<placed> before;
  for (std::uint32_t s = 0; s < 20; ++s)
    before.push_back(group(s));
  members[2].unverified = true;
  for (std::uint32_t s = 0; s < 20; ++s)
    EXPECT_EQ(group(s).nodes, before[s].nodes);
}

TEST_F(placing, so_many_regions_as_the_spec_says) {
  for (const char* name : {"eu", "us", "ap", "sa"})
    region(name, 3, 3);
  need.voters = 5;
  need.regions_min = 4;
  for (std::uint32_t s = 0; s < 50; ++s)
    EXPECT_EQ(distinct(group(s), &candidate::region), 4U);
  need.regions_min = 5;
  const auto p = group(0);
  EXPECT_EQ(distinct(p, &candidate::region), 4U);
  EXPECT_EQ(strict_refusal(p), "all voters are in 4 regions: the spec asks for "
                               "5, but no other has a fitting node");
}

TEST_F(placing, fewer_nodes_than_voters_says_degraded_and_why) {
  region("eu", 2, 2);
  region("us", 2, 2);
  need.regions = {"eu"};
  const auto p = group(0);
  EXPECT_EQ(p.nodes.size(), 2U);
  EXPECT_EQ(p.missing, 1U);
  ASSERT_EQ(p.warnings.size(), 2U);
  EXPECT_EQ(p.warnings[0], "degraded: 2 of 3 voters, survives 0 failures");
  EXPECT_EQ(p.warnings[1], "members that don't fit: 2 for its region");
  EXPECT_EQ(strict_refusal(p), p.warnings[0]);
  EXPECT_EQ(usable_voters(0), 0U);
  EXPECT_EQ(usable_voters(1), 1U);
  EXPECT_EQ(usable_voters(2), 1U);
  EXPECT_EQ(usable_voters(4), 3U);
  EXPECT_EQ(usable_voters(5), 5U);
}

TEST_F(placing, strict_accepts_what_is_whole) {
  region("eu", 3, 3);
  EXPECT_EQ(strict_refusal(group(0)), "");
}

TEST_F(placing, a_plan_says_what_it_would_survive) {
  region("eu", 3, 3);
  auto s = survival_of(group(0).nodes, members);
  EXPECT_EQ(s.nodes, 1U);
  EXPECT_TRUE(s.any_host);
  EXPECT_TRUE(s.any_zone);
  EXPECT_FALSE(s.any_region);
  ASSERT_EQ(s.warnings.size(), 1U);
  region("us", 3, 3);
  region("ap", 3, 3);
  std::vector<node_id> one_each{members[0].node, members[3].node,
                                members[6].node};
  EXPECT_TRUE(survival_of(one_each, members).any_region);
  EXPECT_TRUE(survival_of(one_each, members).warnings.empty());
  const auto alone = survival_of({members[0].node}, members);
  EXPECT_EQ(alone.nodes, 0U);
  EXPECT_EQ(alone.warnings.size(), 1U);
  // Two of three in one zone: the zone takes the majority with it.
  members[1].zone = members[0].zone;
  EXPECT_FALSE(
      survival_of({members[0].node, members[1].node, members[2].node}, members)
          .any_zone);
}

TEST_F(placing, the_next_candidate_keeps_the_others_and_their_diversity) {
  region("eu", 9, 3);
  for (std::uint32_t s = 0; s < 50; ++s) {
    const auto p = group(s);
    const std::vector<node_id> kept{p.nodes[0], p.nodes[1]};
    const auto hash = placement_hash(as_bytes("app"), s);
    const auto next =
        next_candidate(hash, need, members, kept, p.nodes, std::nullopt);
    ASSERT_TRUE(next);
    EXPECT_EQ(at(*next).zone, at(p.nodes[2]).zone); // the only free zone
    EXPECT_EQ(std::count(p.nodes.begin(), p.nodes.end(), *next), 0);
  }
}

TEST_F(placing, the_next_candidate_is_of_the_same_region_first) {
  region("eu", 3, 3);
  region("us", 3, 3);
  const std::vector<node_id> voters{members[0].node, members[1].node,
                                    members[2].node};
  const auto hash = placement_hash(as_bytes("app"), 0);
  const std::vector<node_id> kept{voters[0], voters[1]};
  EXPECT_FALSE(next_candidate(hash, need, members, kept, voters, "eu"));
  const auto anywhere =
      next_candidate(hash, need, members, kept, voters, std::nullopt);
  ASSERT_TRUE(anywhere);
  EXPECT_EQ(at(*anywhere).region, "us");
  add("eu", "z9", "eu9.example");
  const auto near = next_candidate(hash, need, members, kept, voters, "eu");
  ASSERT_TRUE(near);
  EXPECT_EQ(*near, members.back().node);
}

// ---- large meshes

using partners_of = std::map<node_id, std::set<node_id>>;

void note_partners(const std::vector<node_id>& group, partners_of& out) {
  for (const auto& a : group)
    for (const auto& b : group)
      if (a != b)
        out[a].insert(b);
}

TEST_F(placing, in_a_large_mesh_a_node_has_at_most_sixteen_partners) {
  region("eu", 100, 100);
  for (const std::uint32_t voters : {3U, 5U, 9U}) {
    need.voters = voters;
    partners_of partners;
    std::map<node_id, std::size_t> held;
    for (std::uint32_t s = 0; s < 2000; ++s) {
      const auto p = group(s);
      ASSERT_EQ(p.nodes.size(), voters);
      note_partners(p.nodes, partners);
      for (const auto& n : p.nodes)
        ++held[n];
    }
    for (const auto& [node, with] : partners)
      EXPECT_LE(with.size(), 16U);
    EXPECT_EQ(held.size(), 100U); // nobody is left out
    for (const auto& [node, n] : held)
      EXPECT_LE(n, voters * 20U * 4); // four times the average
  }
}

TEST_F(placing, in_a_large_mesh_diversity_is_as_it_was) {
  for (const auto* r : {"eu", "us", "as"})
    region(r, 40, 3);
  need.regions_min = 2;
  partners_of partners;
  for (std::uint32_t s = 0; s < 300; ++s) {
    const auto p = group(s);
    EXPECT_EQ(distinct(p, &candidate::region), 3U);
    EXPECT_EQ(distinct(p, &candidate::host), 3U);
    note_partners(p.nodes, partners);
  }
  need.regions = {"us"}; // all of it is as large
  need.regions_min = 0;
  for (std::uint32_t s = 0; s < 100; ++s)
    EXPECT_EQ(distinct(group(s), &candidate::zone), 3U);
}

TEST_F(placing, in_a_large_mesh_one_that_goes_moves_its_own_groups_only) {
  region("eu", 100, 4);
  std::vector<placed> before;
  for (std::uint32_t s = 0; s < 500; ++s)
    before.push_back(group(s));
  const auto gone = members[17].node;
  members.erase(members.begin() + 17);
  std::size_t moved = 0;
  for (std::uint32_t s = 0; s < 500; ++s) {
    const auto now = group(s).nodes;
    const auto& old = before[s].nodes;
    std::size_t stay = 0;
    for (const auto& n : old)
      stay += std::count(now.begin(), now.end(), n) != 0 ? 1 : 0;
    const bool had = std::count(old.begin(), old.end(), gone) != 0;
    EXPECT_GE(stay, had ? 1U : 2U);
    moved += stay < 3 ? 1 : 0;
  }
  EXPECT_LT(moved, 9U * 500 / 100 * 2);
}

TEST_F(placing, in_a_large_mesh_replacements_keep_to_the_neighbourhood) {
  for (const std::size_t zones : {100U, 5U}) {
    members.clear();
    region("eu", 100, zones);
    partners_of partners;
    for (std::uint32_t s = 0; s < 1000; ++s) {
      const auto hash = placement_hash(as_bytes("app"), s);
      auto voters = group(s).nodes;
      const auto lost = voters[s % 3];
      voters.erase(voters.begin() + s % 3);
      const auto next =
          next_candidate(hash, need, members, voters, {lost}, "eu");
      ASSERT_TRUE(next);
      voters.push_back(*next);
      note_partners(voters, partners);
    }
    // With few zones it is worth a step or two to find another one.
    for (const auto& [node, with] : partners)
      EXPECT_LE(with.size(), zones == 100 ? 16U : 24U);
  }
}

TEST_F(placing, in_a_large_mesh_what_is_rare_is_found_far_away) {
  region("eu", 300, 5);
  const auto there = members[7].node;
  members[7].region = "us";
  const auto hash = placement_hash(as_bytes("app"), 3);
  const auto next = next_candidate(hash, need, members, group(3).nodes, {},
                                   std::string{"us"});
  EXPECT_EQ(next, there);
  need.regions_min = 2;
  const auto all = group(3).nodes; // one of them is the only one elsewhere
  EXPECT_EQ(std::count(all.begin(), all.end(), there), 1);
}

} // namespace
} // namespace banyan
