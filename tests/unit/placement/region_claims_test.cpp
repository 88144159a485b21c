// Regions that members claim, held against measured round trips.
#include "actors/pure/region_claims.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}

/// Members that really are somewhere, and say where.
class region_claims : public ::testing::Test {
protected:
  void member(std::uint8_t n, const std::string& claims,
              const std::string& really) {
    claimed.push_back({node(n), claims});
    is.emplace_back(n, really);
  }
  void members(std::uint8_t from, std::uint8_t to, const std::string& region) {
    for (auto n = from; n <= to; ++n)
      member(n, region, region);
  }
  /// 1 ms within a region, 80 ms between any two.
  [[nodiscard]] std::vector<distances_seen> measured() const {
    std::vector<distances_seen> out;
    for (const auto& [a, at] : is) {
      auto& d = out.emplace_back();
      d.observer = node(a);
      for (const auto& [b, to] : is)
        if (a != b)
          d.to[node(b)] = at == to ? 1ms : apart;
    }
    return out;
  }
  [[nodiscard]] std::set<node_id> found() const {
    return contradicted(claimed, measured());
  }

  std::vector<region_claim> claimed;
  std::vector<std::pair<std::uint8_t, std::string>> is;
  duration apart = 80ms;
};

TEST_F(region_claims, honest_members_are_never_contradicted) {
  members(1, 3, "eu");
  members(4, 5, "us");
  member(6, "ap", "ap");
  EXPECT_TRUE(found().empty());
}

TEST_F(region_claims, who_is_where_others_are_and_claims_elsewhere) {
  members(1, 3, "eu");
  members(4, 6, "us");
  member(7, "us", "eu"); // it would count as a voter of another region
  EXPECT_EQ(found(), std::set<node_id>{node(7)});
}

TEST_F(region_claims, the_only_member_of_a_region) {
  members(1, 3, "eu");
  members(4, 5, "us");
  member(6, "ap", "eu");
  EXPECT_EQ(found(), std::set<node_id>{node(6)});
  claimed.back().region.clear(); // it claims nothing
  EXPECT_TRUE(found().empty());
}

TEST_F(region_claims, rooms_of_one_building_stay_as_they_are_called) {
  members(1, 3, "north");
  members(4, 6, "south");
  member(7, "cellar", "south");
  apart = 1ms;
  EXPECT_TRUE(found().empty());
  apart = 3ms; // what a switch or a busy machine may cost
  EXPECT_TRUE(found().empty());
}

TEST_F(region_claims, one_that_lies_about_distances_convicts_nobody) {
  members(1, 3, "eu");
  members(4, 6, "us");
  for (std::uint8_t liar = 1; liar <= 6; ++liar)
    for (std::uint8_t victim = 0; victim <= 6; ++victim) // 0: about all
      for (const auto lie : {duration{10us}, duration{10s}}) {
        auto seen = measured();
        for (auto& s : seen)
          if (s.observer == node(liar))
            for (auto& [to, rtt] : s.to)
              if (victim == 0 || to == node(victim))
                rtt = lie;
        EXPECT_TRUE(contradicted(claimed, seen).empty())
            << int(liar) << " about " << int(victim);
      }
}

// The victim near, its fellows far: of two words the longer is nobody's proof.
TEST_F(region_claims, nor_does_one_of_two_that_tells_long_ways) {
  members(1, 2, "eu");
  members(4, 6, "us");
  auto seen = measured();
  for (auto& s : seen)
    for (auto& [to, rtt] : s.to)
      if (s.observer == node(2))
        rtt = to == node(4) ? duration{100us} : to == node(1) ? 200ms : 60s;
      else if (to == node(2) && s.observer == node(1))
        rtt = 200ms; // it answers late, too: its region seems wide
  EXPECT_TRUE(contradicted(claimed, seen).empty());
}

TEST_F(region_claims, one_that_lies_hides_nobody) {
  members(1, 3, "eu");
  members(4, 6, "us");
  member(7, "us", "eu");
  auto seen = measured();
  for (auto& s : seen)
    if (s.observer == node(1) || s.observer == node(7))
      for (auto& [to, rtt] : s.to)
        rtt = 500ms;
  EXPECT_EQ(contradicted(claimed, seen), std::set<node_id>{node(7)});
}

TEST_F(region_claims, a_slow_node_is_no_liar) {
  members(1, 3, "eu");
  members(4, 6, "us");
  auto seen = measured();
  for (auto& s : seen)
    for (auto& [to, rtt] : s.to)
      if (to == node(2) || s.observer == node(2))
        rtt += 300ms;
  EXPECT_TRUE(contradicted(claimed, seen).empty());
}

TEST_F(region_claims, nor_is_the_fellow_of_a_slow_one) {
  members(1, 2, "eu");
  members(4, 5, "us");
  auto seen = measured();
  for (auto& s : seen)
    for (auto& [to, rtt] : s.to)
      if (to == node(2) || s.observer == node(2))
        rtt += 300ms;
  EXPECT_TRUE(contradicted(claimed, seen).empty());
}

TEST_F(region_claims, nothing_is_known_of_who_is_not_measured) {
  members(1, 3, "eu");
  members(4, 6, "us");
  member(7, "us", "eu");
  auto seen = measured();
  for (auto& s : seen)
    if (s.observer != node(1)) // one observer is not enough
      s.to.erase(node(7));
  EXPECT_TRUE(contradicted(claimed, seen).empty());
  EXPECT_TRUE(contradicted(claimed, {}).empty());
  EXPECT_TRUE(contradicted({}, seen).empty());
}

TEST(region_verdicts, come_and_go_slowly) {
  region_verdicts v;
  const std::set<node_id> bad{node(1)};
  time_point t{1h};
  EXPECT_FALSE(v.on_tick(bad, t));
  EXPECT_FALSE(v.on_tick(bad, t += 59s));
  EXPECT_FALSE(v.unverified(node(1)));
  EXPECT_FALSE(v.on_tick({}, t += 500ms)); // once not: it begins anew
  EXPECT_FALSE(v.on_tick(bad, t += 1s));
  EXPECT_FALSE(v.on_tick(bad, t += 59s));
  EXPECT_TRUE(v.on_tick(bad, t += 1s));
  EXPECT_TRUE(v.unverified(node(1)));
  EXPECT_FALSE(v.unverified(node(2)));
  EXPECT_FALSE(v.on_tick({}, t += 1s));
  EXPECT_FALSE(v.on_tick(bad, t += 290s)); // so does the way back
  EXPECT_FALSE(v.on_tick({}, t += 20s));
  EXPECT_TRUE(v.unverified(node(1)));
  EXPECT_TRUE(v.on_tick({}, t += 300s));
  EXPECT_FALSE(v.unverified(node(1)));
}

/// All nodes' watches, which tell each other what they measure.
TEST_F(region_claims, watches_agree_and_forget) {
  members(1, 3, "eu");
  members(4, 6, "us");
  member(7, "us", "eu");
  std::map<node_id, region_watch> watches;
  time_point t{1h};
  const auto look = [&] {
    t += region_watch::look_every;
    for (const auto& d : measured())
      watches[d.observer].on_look(d.observer, d.to, claimed, t);
    for (auto& [from, one] : watches)
      for (auto& [to, other] : watches)
        other.on_told(from, one.mine(), t);
  };
  for (int n = 0; n < 6; ++n)
    look();
  for (auto& [n, w] : watches)
    EXPECT_TRUE(w.unverified().empty());
  for (int n = 0; n < 3; ++n)
    look();
  for (auto& [n, w] : watches)
    EXPECT_EQ(w.unverified(), std::set<node_id>{node(7)});
  is.back().second = "us"; // it moves there at last
  // The shortest of a minute counts, and then it is five minutes.
  for (int n = 0; n < 34; ++n)
    look();
  EXPECT_FALSE(watches.at(node(1)).unverified().empty());
  for (int n = 0; n < 6; ++n)
    look();
  for (auto& [n, w] : watches)
    EXPECT_TRUE(w.unverified().empty());
}

TEST(region_watch, noise_is_not_told_again) {
  using far = std::map<node_id, duration>;
  const far was{{node(1), 100us}, {node(2), 80ms}};
  EXPECT_FALSE(region_watch::worth_telling(was, was));
  EXPECT_FALSE(
      region_watch::worth_telling(was, {{node(1), 900us}, {node(2), 95ms}}));
  EXPECT_TRUE(
      region_watch::worth_telling(was, {{node(1), 1200us}, {node(2), 80ms}}));
  EXPECT_TRUE(
      region_watch::worth_telling(was, {{node(1), 100us}, {node(2), 60ms}}));
  EXPECT_TRUE(region_watch::worth_telling(was, {{node(1), 100us}}));
  EXPECT_TRUE(
      region_watch::worth_telling(was, {{node(1), 100us}, {node(3), 80ms}}));
  EXPECT_TRUE(region_watch::worth_telling({}, was));
}

TEST_F(region_claims, who_says_nothing_for_long_is_no_witness) {
  members(1, 3, "eu");
  members(4, 6, "us");
  member(7, "us", "eu");
  region_watch w;
  time_point t{1h};
  const auto all = measured();
  for (const auto& d : all)
    w.on_told(d.observer, d.to, t); // once, and never again
  for (int n = 0; n < 30; ++n)
    w.on_look(node(4), all[3].to, claimed, t += region_watch::look_every);
  EXPECT_FALSE(w.unverified().empty());
  for (int n = 0; n < 70; ++n)
    w.on_look(node(4), all[3].to, claimed, t += region_watch::look_every);
  EXPECT_TRUE(w.unverified().empty());
}

} // namespace
} // namespace banyan
