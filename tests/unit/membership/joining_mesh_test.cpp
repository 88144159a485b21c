// Nodes that join, come back or have lost everybody, on a virtual network.
#include "net/membership/messages.hpp"
#include "net/membership/remembering_verifier.hpp"
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

namespace banyan::net::testing {
namespace {

/// Rations are as in production for whoever starts from now on.
void ration(mesh& m) {
  m.every = [before = m.every](membership_config& c) {
    before(c);
    c.admissions_burst = 64;
  };
}

bool knows_all(mesh& m, std::size_t who) {
  for (std::size_t i = 0; i < m.size(); ++i)
    if (m[i].up() && !m.sees(who, i))
      return false;
  return true;
}

std::optional<join_progress> joined(mesh& m, std::size_t who) {
  for (const auto& [at, p] : m.all<join_progress>(who))
    if (p.done)
      return p;
  return std::nullopt;
}

TEST(newcomers, take_a_large_mesh_in_pages_whoever_let_its_members_in) {
  mesh m{101};
  m.found_again(100); // the first let all others in: a ration of minutes
  ration(m);
  m.latency_low = 5ms;
  m.latency_high = 50ms;
  const auto i = m.add();
  const auto begun = m.now;
  m.start(i, 77);
  ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 10s, 10ms));
  std::printf("101 nodes: joined after %.0f ms\n", to_ms(m.now - begun));
  const auto p = joined(m, i);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->giver, m.id(77));
  EXPECT_EQ(p->witnesses, 2U);
  EXPECT_EQ(p->unconfirmed, 0U);
  EXPECT_EQ(p->withheld, 0U);
  EXPECT_FALSE(m.core(i).joining());
  EXPECT_TRUE(m.all<misbehaved>(i).empty());
  // Whom it knows, the ration is on for again.
  EXPECT_EQ(m.core(i).counters().admissions_rationed, 0U);
}

TEST(newcomers, find_another_giver_when_the_first_dies) {
  mesh m{102};
  m.found_again(100);
  ration(m);
  m.latency_low = 20ms;
  m.latency_high = 30ms;
  const auto i = m.add();
  m.start(i, 5);
  ASSERT_TRUE(m.run_until(
      [&] { return m.core(i).joining() && m.core(i).joining()->have > 0; },
      10s));
  m.kill(5);
  ASSERT_TRUE(m.run_until([&] { return joined(m, i).has_value(); }, 20s));
  EXPECT_NE(joined(m, i)->giver, m.id(5));
  EXPECT_TRUE(m.run_until([&] { return m.agreed(); }, 20s, 100ms));
}

/// A view unlike any other, of so many members.
membership_message root_of(std::optional<std::uint32_t> members) {
  return root_message{77, members};
}

TEST(newcomers, ask_no_page_of_a_build_that_has_none) {
  mesh m{112};
  m.found(2);
  const auto i = m.add();
  m.start(i, 0);
  ASSERT_TRUE(m.run_until([&] { return m.linked(0, i); }, 5s, 10us));
  m.inject(0, i, channel::membership, encode(root_of(std::nullopt)));
  for (int n = 0; n < 100; ++n) {
    m.run_for(100us);
    EXPECT_FALSE(m.core(i).joining());
  }
}

TEST(newcomers, whom_one_promises_many_and_gives_few_join_at_the_next) {
  mesh m{113};
  m.found_again(100);
  ration(m);
  const auto liar = m.add(); // it knows nobody, and says otherwise
  const auto i = m.add();
  m.start(liar);
  m.start(i, liar);
  ASSERT_TRUE(m.run_until([&] { return m.linked(liar, i); }, 5s));
  m.run_for(100ms);
  m.inject(liar, i, channel::membership, encode(root_of(10'000)));
  ASSERT_TRUE(m.run_until([&] { return joined(m, i).has_value(); }, 5s));
  m[i].log.clear();
  m.inject(liar, i, channel::membership, encode(root_of(100)));
  EXPECT_TRUE(m.run_until([&] { return joined(m, i).has_value(); }, 5s));
}

TEST(members, that_join_anew_go_on_answering) {
  mesh m{114};
  m.found_again(40);
  std::size_t far = 1;
  std::size_t other = 0;
  for (std::size_t k = 1; k < m.size(); ++k)
    if (k != 5 && m.linked(5, k))
      (far == 1 ? far : other) = k;
  ASSERT_TRUE(m.linked(5, far) && m.linked(5, other) && far != other);
  m.inject(far, 5, channel::membership, encode(root_of(20'000)));
  m.freeze(far);
  ASSERT_TRUE(
      m.run_until([&] { return m.core(5).joining().has_value(); }, 2s, 100us));
  ASSERT_EQ(m.core(5).joining()->giver, m.id(far));
  m[other].log.clear();
  m.inject(other, 5, channel::membership, encode(page_wanted_message{0, {}}));
  EXPECT_TRUE(m.run_until([&] { return !m.all<misbehaved>(other).empty(); },
                          1s)); // unasked for
  EXPECT_TRUE(m.core(5).joining());
}

TEST(newcomers, of_a_small_mesh_ask_for_no_page) {
  mesh m{103};
  m.found(15);
  const auto i = m.add();
  m.start(i, 3);
  const auto took = m.run_until([&] { return m.settled(); }, 5s);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 100ms);
  EXPECT_TRUE(m.all<join_progress>(i).empty());
}

TEST(newcomers, all_at_once_get_to_know_each_other) {
  mesh m{104};
  m.found_again(100);
  ration(m);
  for (std::size_t n = 0; n < 50; ++n)
    m.start(m.add(), n);
  const auto took = m.run_until([&] { return m.agreed(); }, 60s, 100ms);
  ASSERT_TRUE(took);
  std::printf("50 join 100 at once: one view after %.1f s\n",
              to_ms(*took) / 1000);
}

/// Counts the vouchers that are verified.
struct counting_verifier : remembering_verifier {
  using remembering_verifier::genuine;
  using remembering_verifier::remembering_verifier;
  std::size_t vouchers = 0;
  bool genuine(const report& r, const mesh_id& mesh) override {
    vouchers += r.down ? 0U : 1U;
    return remembering_verifier::genuine(r, mesh);
  }
};

TEST(newcomers, who_form_a_mesh_at_once_verify_few_vouchers) {
  constexpr std::size_t n = 60;
  mesh m{201};
  const auto verify = std::make_shared<counting_verifier>(m.mesh_name());
  m.every = [&](auto& cfg) { cfg.verify = verify; };
  m.latency_low = 10ms; // a machine that all of them keep busy
  m.latency_high = 100ms;
  for (std::size_t i = 0; i < n; ++i)
    m.add();
  for (std::size_t i = 0; i < n; ++i) {
    m.start(i, i == 0 ? std::nullopt : std::optional{i / 8});
    m.run_for(10ms);
  }
  const auto took = m.run_until([&] { return m.agreed(); }, 30s, 100ms);
  ASSERT_TRUE(took);
  std::printf("%zu form a mesh: one view after %.1f s, %zu vouchers verified "
              "by each\n",
              n, to_ms(*took) / 1000, verify->vouchers / n);
  EXPECT_LE(verify->vouchers / n, 5 * n);
}

TEST(returning_nodes, take_a_mesh_that_grew_much_in_pages) {
  mesh m{105};
  m.found_again(40);
  m.kill(39);
  const auto known = m[39].members_on_disk;
  ration(m);
  for (std::size_t n = 0; n < 75; ++n) {
    m.start(m.add(), n % 8);
    m.run_for(20ms);
  }
  ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 60s, 100ms));
  m.start(39);
  ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 30s, 100ms));
  EXPECT_TRUE(joined(m, 39));
}

TEST(returning_nodes, start_with_what_can_be_read_of_a_damaged_list) {
  for (const bool whole : {false, true}) {
    mesh m{106};
    m.found(5);
    m.run_for(2s);
    m.kill(4);
    auto& disk = m[4].members_on_disk;
    if (whole)
      disk[0] = 0xc1;
    else
      disk.resize(disk.size() / 2);
    m[4].log.clear();
    m.start(4, 2);
    const auto told = m.all<members_damaged>(4);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].second.kept > 0, !whole);
    EXPECT_EQ(told[0].second.lost > 0, !whole);
    EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
    m.run_for(2s);
    m.kill(4);
    m[4].log.clear();
    m.start(4);
    EXPECT_TRUE(m.all<members_damaged>(4).empty());
    EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  }
}

TEST(returning_nodes, are_the_same_at_another_address) {
  for (const std::size_t n : {5, 40}) {
    mesh m{107};
    m.found_again(n);
    const auto before = m.core(3).own().incarnation;
    m.kill(3);
    m.run_for(200ms);
    m[3].at = {"10.9.9.9", 7611};
    m.start(3);
    ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 30s, 100ms)) << n;
    for (std::size_t i = 0; i < n; ++i) {
      const auto v = m.core(i).find(m.id(3));
      ASSERT_TRUE(v);
      EXPECT_EQ(v->record.address, m[3].at);
      EXPECT_GT(v->record.incarnation, before);
      EXPECT_EQ(m.core(i).members().size(), n);
    }
    // Others dial it there: its links are cut from its own side only.
    for (std::size_t i = 0; i < n; ++i)
      if (i != 3 && m[i].wanted.count(m.id(3)) > 0) {
        EXPECT_EQ(m[i].wanted[m.id(3)], m[3].at) << i;
      }
  }
}

TEST(mass_restart, heals_without_any_seed) {
  mesh m{108};
  m.found_again(100);
  for (std::size_t i = 0; i < m.size(); ++i)
    m.kill(i);
  m.run_for(60s);
  for (std::size_t i = 0; i < m.size(); ++i)
    m.start(i); // all in one moment
  const auto took = m.run_until([&] { return m.agreed(); }, 60s, 100ms);
  ASSERT_TRUE(took);
  std::printf("100 nodes restarted at once: one view after %.1f s\n",
              to_ms(*took) / 1000);
}

TEST(mass_restart, of_few_among_many_that_are_gone_finds_them_all) {
  mesh m{109};
  m.found_again(100);
  for (std::size_t i = 0; i < m.size(); ++i)
    m.kill(i);
  m.run_for(5s);
  for (std::size_t i = 0; i < 8; ++i)
    m.start(i);
  const auto current = [&] {
    for (std::size_t i = 0; i < 8; ++i)
      for (std::size_t j = 0; j < 8; ++j) {
        const auto v = m.core(i).find(m.id(j));
        if (!v || v->record.incarnation != m.core(j).own().incarnation)
          return false;
      }
    return true;
  };
  const auto took = m.run_until(current, 300s, 500ms);
  ASSERT_TRUE(took);
  std::printf("8 of 100 are left: they know of each other after %.1f s\n",
              to_ms(*took) / 1000);
}

TEST(mass_restart, one_that_all_its_neighbours_left_dials_few_at_a_time) {
  mesh m{110};
  m.found_again(100);
  for (std::size_t i = 0; i < m.size(); ++i)
    m.kill(i);
  m.run_for(5s);
  m[7].log.clear();
  m.start(7);
  m.run_for(120s);
  std::size_t most = 0;
  std::size_t wanted = 0;
  for (const auto& e : m[7].log) {
    if (std::holds_alternative<want_link>(e.what))
      most = std::max(most, ++wanted);
    if (std::holds_alternative<unwant_link>(e.what))
      --wanted;
  }
  EXPECT_LE(most, 16U + 3 * 4U);
  EXPECT_LE(m[7].wanted.size(), 16U + 8U);
}

TEST(partitions, of_ten_minutes_heal) {
  mesh m{111};
  m.found_again(64);
  std::set<std::size_t> side;
  for (std::size_t i = 0; i < 20; ++i)
    side.insert(i);
  m.split(side);
  m.run_for(300s);
  ration(m);
  m.start(m.add(), 40); // and somebody came meanwhile
  m.split(side);
  m.run_for(300s);
  m.split(side, false);
  const auto took = m.run_until([&] { return m.agreed(); }, 240s, 500ms);
  ASSERT_TRUE(took);
  std::printf("parted for ten minutes: one again after %.1f s\n",
              to_ms(*took) / 1000);
  EXPECT_TRUE(knows_all(m, 3));
}

} // namespace
} // namespace banyan::net::testing
