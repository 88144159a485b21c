// Meshes too large for everybody to watch everybody, on a virtual network and
// clock. BANYAN_NODES=N adds a run with N nodes; 512 take a minute.
#include "net/membership/book.hpp"
#include "net/membership/messages.hpp"
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace banyan::net::testing {
namespace {

std::vector<std::size_t> sizes() {
  std::vector<std::size_t> out{18, 64};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
  if (const char* more = std::getenv("BANYAN_NODES"))
    out.push_back(std::strtoul(more, nullptr, 10));
  return out;
}

class large_mesh : public ::testing::TestWithParam<std::size_t> {
protected:
  large_mesh() : m{GetParam()} { m.found_again(GetParam()); }

  std::size_t links_of(std::size_t i) const {
    std::size_t n = 0;
    for (std::size_t j = 0; j < m.size(); ++j)
      n += i != j && m.linked(i, j) ? 1U : 0U;
    return n;
  }
  /// Nobody who runs is thought dead by anybody who runs.
  void expect_no_false_death() {
    for (std::size_t i = 0; i < m.size(); ++i)
      for (std::size_t j = 0; j < m.size(); ++j)
        if (m[i].up() && m[j].up()) {
          ASSERT_NE(m.sees(i, j), member_state::dead) << i << " of " << j;
        }
  }
  /// Runs until all know that `whom` is dead; when each knew, in ms.
  std::vector<double> known_dead(std::size_t whom, duration limit) {
    const auto begun = m.now;
    std::vector<double> at(m.size(), 0);
    std::size_t open = 0;
    for (std::size_t i = 0; i < m.size(); ++i)
      open += m[i].up() && i != whom ? 1U : 0U;
    const auto done = m.run_until(
        [&] {
          for (std::size_t i = 0; i < m.size(); ++i)
            if (m[i].up() && i != whom && at[i] == 0
                && m.sees(i, whom) == member_state::dead) {
              at[i] = to_ms(m.now - begun);
              --open;
            }
          return open == 0;
        },
        limit, 5ms);
    EXPECT_TRUE(done) << open << " do not know";
    at.erase(at.begin() + std::ptrdiff_t(whom));
    std::sort(at.begin(), at.end());
    std::printf("%zu nodes: known to half after %.1f ms, to 99 %% after %.1f "
                "ms, to all after %.1f ms\n",
                m.size(), at[at.size() / 2], at[at.size() * 99 / 100],
                at.back());
    return at;
  }

  mesh m;
};

TEST_P(large_mesh, keeps_ring_links_and_no_others) {
  m.run_for(60s);
  std::size_t most = 0;
  for (std::size_t i = 0; i < m.size(); ++i)
    most = std::max(most, links_of(i));
  EXPECT_LE(most, 2 * ring_count);
  expect_no_false_death();
}

TEST_P(large_mesh, a_crash_is_known_to_all) {
  m.latency_low = 1ms;
  m.latency_high = 100ms; // a dozen countries
  m.run_for(10s);
  m.kill(5);
  const auto at = known_dead(5, 10s);
  EXPECT_LE(at[at.size() * 99 / 100], 3000);
  expect_no_false_death();
}

TEST_P(large_mesh, a_freeze_is_known_to_all_and_refuted_after_it) {
  m.freeze(5);
  known_dead(5, 10s);
  m.run_for(10s);
  m.thaw(5);
  EXPECT_TRUE(m.run_until([&] { return m.agreed(); }, 60s, 100ms));
}

TEST_P(large_mesh, one_bad_link_evicts_nobody) {
  // The worst one: where an observer has most places.
  m.sever(0, 1);
  for (std::size_t j = 2; j < m.size(); ++j)
    if (m.linked(7, j)) {
      m.sever(7, j);
      break;
    }
  for (int i = 0; i < 30; ++i) {
    m.run_for(1s);
    expect_no_false_death();
  }
}

TEST_P(large_mesh, no_false_death_at_five_percent_loss) {
  m.latency_low = 5ms;
  m.latency_high = 80ms;
  m.loss = 0.05;
  std::uint64_t silences = 0;
  for (int i = 0; i < 60; ++i) {
    m.run_for(1s);
    expect_no_false_death();
  }
  for (std::size_t i = 0; i < m.size(); ++i)
    silences += m.all<peer_silent>(i).size();
  std::printf("%zu nodes, a minute at 5 %% loss: %llu silences\n", m.size(),
              static_cast<unsigned long long>(silences));
}

TEST_P(large_mesh, a_third_that_is_lost_takes_nobody_along_and_comes_back) {
  std::set<std::size_t> lost;
  for (std::size_t i = 0; i < m.size() / 3; ++i)
    lost.insert(i);
  m.split(lost);
  const auto settled = [&] {
    for (std::size_t i = lost.size(); i < m.size(); ++i)
      for (const auto j : lost)
        if (m.sees(i, j) != member_state::dead)
          return false;
    return true;
  };
  const auto begun = m.now;
  bool done = false;
  while (!done && m.now - begun < 60s) {
    m.run_for(500ms);
    for (std::size_t i = lost.size(); i < m.size(); ++i)
      for (std::size_t j = lost.size(); j < m.size(); ++j)
        ASSERT_NE(m.sees(i, j), member_state::dead) << i << " of " << j;
    done = settled();
  }
  EXPECT_TRUE(done);
  std::printf("%zu nodes, a third lost: one view after %.1f s\n", m.size(),
              to_ms(m.now - begun) / 1000);
  m.split(lost, false);
  const auto healed = m.run_until([&] { return m.agreed(); }, 120s, 100ms);
  ASSERT_TRUE(healed);
  for (std::size_t i = 0; i < m.size(); ++i)
    EXPECT_EQ(m.core(i).counters().reports_rationed, 0U) << i;
  std::printf("%zu nodes: healed after %.1f s\n", m.size(),
              to_ms(*healed) / 1000);
}

TEST_P(large_mesh, all_stop_and_start_again) {
  for (std::size_t i = 0; i < m.size(); ++i)
    m.kill(i);
  m.run_for(5s);
  for (std::size_t i = m.size(); i-- > 0;) {
    m.start(i);
    m.run_for(20ms);
  }
  EXPECT_TRUE(m.run_until([&] { return m.agreed(); }, 60s, 100ms));
}

TEST_P(large_mesh, a_newcomer_joins_at_anybody) {
  const auto i = m.add();
  m.start(i, 11);
  const auto took = m.run_until([&] { return m.agreed(); }, 30s, 10ms);
  ASSERT_TRUE(took);
  std::printf("%zu nodes: joined after %.1f ms\n", m.size(), to_ms(*took));
  m.run_for(60s);
  EXPECT_LE(links_of(i), 2 * ring_count);
  m.call(i, [&](auto& c, auto& out) { c.leave(m.now, out); });
  EXPECT_TRUE(
      m.run_until([&] { return m.all_see(i, member_state::left); }, 10s));
}

TEST_P(large_mesh, is_calm_and_cheap) {
  m.run_for(30s);
  const auto digests = [&] {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < m.size(); ++i)
      n += m.core(i).counters().digests;
    return n;
  };
  const auto before = digests();
  const auto bytes_before = m.frame_bytes;
  const auto frames_before = m.frames;
  m.run_for(30s);
  EXPECT_EQ(digests(), before);
  const auto per_second = (m.frame_bytes - bytes_before) / 30 / m.size();
  std::printf("%zu nodes, calm: %llu bytes in %llu frames per node and s\n",
              m.size(), static_cast<unsigned long long>(per_second),
              static_cast<unsigned long long>((m.frames - frames_before) / 30
                                              / m.size()));
  EXPECT_LT(per_second, 4096U);
}

TEST_P(large_mesh, an_item_comes_soon_and_a_few_times_to_each) {
  const auto known = [&] {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < m.size(); ++i)
      n += m.core(i).counters().records_known;
    return n;
  };
  const auto before = known();
  m.call(3, [&](auto& c, auto& out) {
    c.set_own(3, {4, 100, 1, 1}, m.now, out);
  });
  m.run_for(200ms); // views are compared every second: it came by the rings
  EXPECT_TRUE(m.agreed());
  EXPECT_LE(double(known() - before), 4.0 * double(m.size()));
}

TEST_P(large_mesh, a_digest_mends_what_a_flood_missed) {
  auto r = m.core(3).own();
  r.number += 1;
  r.region = "north";
  const auto d = member_document::make(m[3].key, m.mesh_name(), r);
  // One node has it from its own past, and nobody floods it.
  m.kill(8);
  m.run_for(5s);
  bytes disk;
  writer w{disk};
  reader old{m[8].members_on_disk};
  w.array(old.array(2)).uint(old.uint());
  auto n = old.array(100'000);
  for (w.array(n); n > 0; --n) {
    member_document held;
    ASSERT_TRUE(member_document::decode(old, held));
    if (held.record.node == m.id(3)) {
      auto newer = d;
      newer.admitted = held.admitted;
      newer.encode(w);
    } else {
      held.encode(w);
    }
  }
  m[8].members_on_disk = disk;
  m.start(8);
  EXPECT_TRUE(m.run_until(
      [&] {
        for (std::size_t i = 0; i < m.size(); ++i)
          if (i != 3 && m.core(i).find(m.id(3))->record.region != "north")
            return false;
        return true;
      },
      60s, 100ms));
}

TEST_P(large_mesh, liars_evict_nobody) {
  const auto liars = 1 + m.size() / 32;
  auto left = m.core(1).own();
  left.number += 1;
  left.word = member_word::left;
  const auto forged = member_document::make(m[0].key, m.mesh_name(), left);
  for (std::uint64_t n = 1; n < 4; ++n) {
    for (std::size_t liar = 10; liar < 10 + liars && liar < m.size(); ++liar) {
      news_message lies;
      for (std::size_t subject = 0; subject < m.size(); ++subject)
        if (subject != liar)
          lies.reports.push_back(m.says(liar, subject, 1000 + n));
      const auto frame = encode(lies);
      const auto leave = encode(news_message{{forged}, {}});
      for (std::size_t to = 0; to < m.size(); ++to)
        if (to != liar && m.linked(liar, to)) {
          m.inject(liar, to, channel::membership, frame);
          m.inject(liar, to, channel::membership, leave);
        }
    }
    m.run_for(500ms);
  }
  m.run_for(5s);
  expect_no_false_death();
  for (std::size_t i = 0; i < m.size(); ++i) {
    EXPECT_EQ(m.core(i).counters().refutations, 0U) << i; // no need to
    EXPECT_NE(m.sees(i, 1), member_state::left);
  }
}

TEST_P(large_mesh, churn_costs_each_node_a_few_copies_of_it) {
  m.run_for(30s);
  const auto calm_before = m.frame_bytes;
  m.run_for(20s);
  const auto calm = m.frame_bytes - calm_before;
  const auto before = m.frame_bytes;
  const auto by_kind = m.bytes_by_kind;
  for (std::size_t i = 5; i < 15; ++i) { // a death and a return every 2 s
    m.kill(i);
    m.run_for(1s);
    m.start(i);
    m.run_for(1s);
  }
  EXPECT_TRUE(m.agreed());
  const auto each =
      double(m.frame_bytes - before - calm) / 10 / double(m.size());
  std::printf("%zu nodes: a death and a return cost each node %.0f bytes\n",
              m.size(), each);
  for (std::size_t kind = 0; kind < by_kind.size(); ++kind)
    if (m.bytes_by_kind[kind] > by_kind[kind])
      std::printf("  kind %zu: %.0f\n", kind,
                  double(m.bytes_by_kind[kind] - by_kind[kind]) / 10
                      / double(m.size()));
  // Three or four copies of eight reports and a record; and what the links of
  // its neighbours say, which is the less for each the more there are.
  const double local = 4e5 / double(m.size());
  // Five reports of the eight: the others are passed on by few.
  const auto news = double(m.bytes_by_kind[2] - by_kind[2]) / 10;
  if (m.size() >= 64) {
    EXPECT_LE(news / double(m.size()), 3500);
  }
  EXPECT_LE(each, 4.0 * (ring_count * 150 + 350) + local);
}

TEST(settled_mesh, goes_on_without_a_word_about_members) {
  mesh m{84};
  m.found_settled(64);
  EXPECT_TRUE(m.agreed());
  for (std::size_t i = 0; i < m.size(); ++i) {
    EXPECT_EQ(m.core(i).counters().records_new, 0U);
    EXPECT_EQ(m.core(i).counters().digests, 0U);
    EXPECT_EQ(m.core(i).own().incarnation, incarnation{1});
    EXPECT_GE(m.core(i).linked().size(), ring_count);
  }
  m.kill(7);
  EXPECT_TRUE(
      m.run_until([&] { return m.all_see(7, member_state::dead); }, 10s, 5ms));
  m.kill(8);
  m.run_for(1s);
  m.start(7); // with what it knew; an incarnation higher
  ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 10s, 10ms));
  EXPECT_EQ(m.core(7).own().incarnation, incarnation{2});
  EXPECT_TRUE(
      m.run_until([&] { return m.all_see(8, member_state::dead); }, 10s, 5ms));
}

TEST(settled_mesh, a_member_costs_a_core_few_bytes) {
  EXPECT_LE(sizeof(member_book::member), 24U);
}

TEST(seeds, are_left_alone_once_a_large_mesh_is_joined) {
  mesh m{85};
  m.found_again(40);
  const auto i = m.add();
  m.start(i, 11);
  ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 30s, 10ms));
  m.run_for(3s);
  EXPECT_EQ(m.all<unwant_seed>(i).size(), 1U);
  EXPECT_EQ(m.all<want_seed>(i).size(), 1U);
  for (std::size_t j = 0; j < 40; ++j)
    m.sever(i, j);
  ASSERT_TRUE(m.run_until( // it has nobody else to ask
      [&] { return m.all<want_seed>(i).size() == 2; }, 30s, 10ms));
}

TEST(comparing_views, is_rationed_per_peer) {
  mesh m{86};
  m.found_settled(40);
  std::size_t from = 1;
  while (!m.linked(0, from))
    ++from;
  m.run_for(2s);
  const auto before = m.core(0).counters().digests;
  ranges_message r;
  r.hashes.fill(1);
  for (int n = 0; n < 50; ++n)
    m.inject(from, 0, channel::membership, encode(r));
  EXPECT_LE(m.core(0).counters().digests - before, 4U * 8U);
  EXPECT_GE(m.core(0).counters().digests - before, 8U);
}

TEST(leaving, waits_for_nothing_that_it_would_not_say) {
  mesh m{87};
  m.found(4);
  m.sever(0, 1);
  ASSERT_TRUE(
      m.run_until([&] { return m.sees(0, 1) == member_state::suspect; }, 10s));
  m.sever(0, 1, false);
  m.call(0, [&](auto& c, auto& out) { c.leave(m.now, out); });
  ASSERT_TRUE(m.run_until([&] { return m.core(0).hears(m.id(1)); }, 20s));
  m.run_for(2s); // a report that stands would be taken back by now
  m.call(0, [&](auto& c, auto& out) { c.on_tick(m.now, out); });
  EXPECT_GT(m.core(0).deadline(), m.now);
}

TEST(growing_mesh, goes_from_full_to_rings_and_back) {
  mesh m{77};
  m.found(15);
  for (std::size_t i = 15; i < 24; ++i) {
    m.add();
    m.start(i, i % 5);
    ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 20s)) << i;
  }
  m.run_for(60s);
  std::size_t links = 0;
  for (std::size_t i = 1; i < 24; ++i)
    links += m.linked(0, i) ? 1U : 0U;
  EXPECT_LE(links, 2 * ring_count);
  for (std::size_t i = 23; i >= 12; --i) {
    m.kill(i);
    ASSERT_TRUE(
        m.run_until([&] { return m.all_see(i, member_state::dead); }, 20s))
        << i;
    ASSERT_TRUE(m.agreed());
  }
  // Twelve are left: a full mesh again.
  EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 20s));
  m.kill(3);
  const auto took =
      m.run_until([&] { return m.all_see(3, member_state::dead); }, 5s);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 50ms);
}

TEST(old_deaths, are_known_to_newcomers_when_others_stand_around_them) {
  mesh m{79};
  m.found_again(40);
  m.kill(9);
  ASSERT_TRUE(
      m.run_until([&] { return m.all_see(9, member_state::dead); }, 10s));
  for (std::size_t i = 0; i < 40; i += 4) { // their reports are void now
    m.kill(i);
    m.run_for(50ms);
    m.start(i);
    m.run_for(1s);
  }
  for (std::size_t n = 0; n < 30; ++n) {
    const auto i = m.add();
    m.start(i, 3);
    m.run_for(500ms);
    ASSERT_TRUE(m.run_until([&] { return m.all_see(9, member_state::dead); },
                            30s, 100ms))
        << "newcomer " << n;
  }
  ASSERT_TRUE(m.run_until([&] { return m.agreed(); }, 30s, 100ms));
}

TEST(reports_on_rings, are_taken_back_when_their_place_goes) {
  mesh m{81};
  m.found_again(24);
  rings all{m.mesh_name(), nullptr};
  for (std::size_t i = 0; i < 24; ++i)
    all.set(m.id(i), true);
  std::size_t observer = 1;
  while (all.places(m.id(observer), m.id(0)) != 1
         || all.places(m.id(0), m.id(observer)) != 0)
    ++observer;
  m.sever(observer, 0);
  ASSERT_TRUE(
      m.run_until([&] { return m.all_see(0, member_state::suspect); }, 10s));
  // Somebody comes to stand between the two, and leaves.
  std::size_t between = 0;
  do {
    between = m.add();
    all.set(m.id(between), true);
    if (all.places(m.id(observer), m.id(0)) == 0)
      break;
    all.set(m.id(between), false);
  } while (between < 10'000);
  m.start(between, 0);
  ASSERT_TRUE(
      m.run_until([&] { return m.all_see(0, member_state::alive); }, 10s));
  m.run_for(10s);
  ASSERT_FALSE(m.linked(observer, 0)); // nor will it be: it has no use for it
  m.sever(observer, 0, false);
  m.run_for(10s);
  for (std::size_t i = 0; i < 24; ++i)
    m[i].log.clear();
  m.call(between, [&](auto& c, auto& out) { c.leave(m.now, out); });
  m.run_for(10s);
  EXPECT_TRUE(m.all_see(between, member_state::left));
  for (std::size_t i = 0; i < 24; ++i)
    for (const auto& [at, e] : m.all<member_changed>(i))
      EXPECT_NE(e.node, m.id(0)) << i << " doubted it again";
}

TEST(halves, find_each_other_dead_and_meet_again) {
  mesh m{82};
  m.found_again(64);
  std::set<std::size_t> half;
  for (std::size_t i = 0; i < 32; ++i)
    half.insert(i);
  m.split(half);
  const auto parted = m.run_until(
      [&] {
        for (std::size_t i = 0; i < 32; ++i)
          for (std::size_t j = 32; j < 64; ++j)
            if (m.sees(i, j) != member_state::dead
                || m.sees(j, i) != member_state::dead)
              return false;
        return true;
      },
      120s, 500ms);
  ASSERT_TRUE(parted);
  m.run_for(60s);
  for (std::size_t i = 0; i < 32; ++i)
    for (std::size_t j = 32; j < 64; ++j)
      ASSERT_FALSE(m.linked(i, j));
  m.split(half, false);
  const auto healed = m.run_until([&] { return m.agreed(); }, 120s, 100ms);
  ASSERT_TRUE(healed);
  std::printf("two halves of 64: parted after %.1f s, one again after %.1f s\n",
              to_ms(*parted) / 1000, to_ms(*healed) / 1000);
}

TEST(all_links, are_kept_where_a_node_needs_them_and_the_rings_judge) {
  mesh m{80};
  for (std::size_t i = 0; i < 24; ++i)
    m.add();
  m.every = [](membership_config& c) { c.link_all = true; };
  for (std::size_t i = 0; i < 24; ++i)
    m.start(i, i == 0 ? std::nullopt : std::optional<std::size_t>{0});
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  m.run_for(60s);
  for (std::size_t a = 0; a < m.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      EXPECT_TRUE(m.linked(a, b));
  const auto before = m.core(1).counters().reports_new;
  m.kill(5);
  m.run_for(5s);
  EXPECT_TRUE(m.all_see(5, member_state::dead));
  EXPECT_LE(m.core(1).counters().reports_new - before, ring_count);
  EXPECT_EQ(m.all<peer_gone>(1).size(), 1U); // it saw that itself all the same
}

TEST(used_links, are_made_when_asked_for_and_closed_when_idle) {
  mesh m{78};
  m.found_again(64);
  m.run_for(60s);
  std::size_t far = 1;
  while (m.linked(0, far))
    ++far;
  m.call(0, [&](auto& c, auto& out) { c.use_link(m.id(far), m.now, out); });
  EXPECT_TRUE(m.run_until([&] { return m.linked(0, far); }, 1s));
  m.run_for(20s);
  EXPECT_TRUE(m.linked(0, far));
  m.call(0, [&](auto& c, auto& out) { c.use_link(m.id(far), m.now, out); });
  m.run_for(25s);
  EXPECT_TRUE(m.linked(0, far));
  m.run_for(60s);
  EXPECT_FALSE(m.linked(0, far));
  m.core(0).set_shares_group(m.id(far), true);
  m.core(far).set_shares_group(m.id(0), true);
  EXPECT_TRUE(m.run_until([&] { return m.linked(0, far); }, 3s));
  m.run_for(60s);
  EXPECT_TRUE(m.linked(0, far));
  m.kill(far);
  m.run_for(50ms);
  EXPECT_EQ(m.all<peer_gone>(0).size(), 1U); // its partner knows at once
}

TEST(used_links, are_given_up_to_make_room_unless_something_else_needs_them) {
  mesh m{79};
  m.found_again(40);
  m.run_for(60s);
  std::size_t far = 1;
  while (m.linked(0, far))
    ++far;
  m.call(0, [&](auto& c, auto& out) { c.use_link(m.id(far), m.now, out); });
  ASSERT_TRUE(m.run_until([&] { return m.linked(0, far); }, 1s));
  const auto release = [&](std::size_t n) {
    bool released = false;
    m.call(0, [&](auto& c, auto& out) {
      released = c.release_link(m.id(n), m.now, out);
    });
    return released;
  };
  EXPECT_TRUE(release(far));
  EXPECT_TRUE(m.run_until([&] { return !m.linked(0, far); }, 1s));
  m.run_for(5s);
  EXPECT_FALSE(m.linked(0, far));
  std::size_t near = 1;
  while (!m.linked(0, near))
    ++near;
  m.call(0, [&](auto& c, auto& out) { c.use_link(m.id(near), m.now, out); });
  EXPECT_FALSE(release(near)); // a neighbour on a ring
  m.run_for(5s);
  EXPECT_TRUE(m.linked(0, near));
}

INSTANTIATE_TEST_SUITE_P(sizes, large_mesh, ::testing::ValuesIn(sizes()));

} // namespace
} // namespace banyan::net::testing
