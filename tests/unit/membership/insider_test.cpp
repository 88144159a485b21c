// One hostile member among real ones (DESIGN section 5): it has the mesh key
// and signs what it likes, with keys of its own making too.
#include "net/membership/messages.hpp"
#include "net/membership/ration.hpp"
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

namespace banyan::net::testing {
namespace {

struct insider : ::testing::Test {
  std::size_t honest = 4; ///< and machine `honest`, which isn't
  mesh m{77};
  seeded_random random{78};
  std::vector<identity> invented;

  void SetUp() override { m.found(honest + 1); }
  void say(const membership_message& lies) {
    for (std::size_t to = 0; to < honest; ++to)
      m.inject(honest, to, channel::membership, encode(lies));
  }
  member_document invention(const identity& of) {
    member_record r;
    r.node = of.id();
    r.incarnation = incarnation{1};
    r.address = {"10.9.9.9", 7600};
    auto d = member_document::make(of, m.mesh_name(), r);
    d.admitted = admission::make(m[honest].key, m.mesh_name(), r.node);
    return d;
  }
  /// Members that nobody runs, let in by the insider.
  void invent(std::size_t n) {
    while (n > 0) {
      news_message lies;
      for (; n > 0 && lies.records.size() < 16; --n) {
        invented.push_back(identity::generate(random));
        lies.records.push_back(invention(invented.back()));
      }
      say(lies);
    }
  }
  report accuse(const identity& by, incarnation of_its, std::size_t subject,
                std::uint64_t number, bool down = true) {
    report r;
    r.observer = by.id();
    r.subject = m.id(subject);
    r.observer_incarnation = of_its;
    r.subject_incarnation = m.core(subject).own().incarnation;
    r.number = number;
    r.down = down;
    r.sign(by, m.mesh_name());
    return r;
  }
  /// The invented ones accuse everybody, `number` times by now.
  void crowd_accuses(std::uint64_t number) {
    news_message lies;
    for (const auto& by : invented)
      for (std::size_t subject = 0; subject < std::min<std::size_t>(honest, 8);
           ++subject)
        lies.reports.push_back(accuse(by, incarnation{1}, subject, number));
    say(lies);
  }
  void expect_nobody_was_evicted() {
    for (std::size_t i = 0; i < honest; ++i)
      for (const auto& [at, change] : m.all<member_changed>(i)) {
        if (change.to == member_state::alive
            || change.to == member_state::suspect)
          continue;
        EXPECT_GE(m.index_of(change.node, i), honest) << "at " << i;
      }
  }
  void expect_nobody_believes() {
    for (std::size_t i = 0; i < honest; ++i)
      EXPECT_EQ(m.core(i).members().size(), honest + 1) << i;
  }
};

TEST_F(insider, who_invents_members_evicts_nobody_with_them) {
  for (std::uint64_t round = 1; round <= 20; ++round) {
    invent(round == 1 ? 60 : 2);
    crowd_accuses(round);
    m.run_for(1s);
  }
  expect_nobody_was_evicted();
  expect_nobody_believes();
}

TEST_F(insider, who_invents_members_hides_no_death) {
  invent(60);
  m.run_for(30s);
  m.kill(1);
  EXPECT_TRUE(m.run_until(
      [&] {
        return m.sees(0, 1) == member_state::dead
               && m.sees(2, 1) == member_state::dead;
      },
      5s));
}

TEST_F(insider, who_names_and_vouches_for_its_inventions_is_one_voice) {
  invent(20);
  vouch_message vouches;
  name_message names;
  digest_message digest;
  for (const auto& of : invented) {
    report r;
    r.observer = m.id(honest);
    r.subject = of.id();
    r.observer_incarnation = m.core(honest).own().incarnation;
    r.subject_incarnation = incarnation{1};
    r.sign(m[honest].key, m.mesh_name());
    vouches.vouchers.push_back(r);
    r.observer = invented[0].id(); // and they for each other
    r.sign(invented[0], m.mesh_name());
    vouches.vouchers.push_back(r);
    names.nodes.push_back(of.id());
    digest.first = digest.last = of.id();
    digest.entries = {{of.id(), incarnation{1}, 0, 0, false}};
    say(digest);
  }
  say(vouches);
  say(names);
  m.run_for(5s);
  expect_nobody_believes();
}

TEST_F(insider, what_it_invents_is_dialled_by_few_and_forgotten) {
  invent(60);
  EXPECT_LE(m[0].wanted.size(), honest + 16);
  EXPECT_EQ(m.core(0).counters().newcomers_waiting, 60U);
  m.run_for(70s);
  EXPECT_EQ(m.core(0).counters().newcomers_dropped, 60U);
  EXPECT_EQ(m[0].wanted.size(), honest); // nobody else any more
  const auto before = m[0].log.size();
  news_message again;
  for (std::size_t i = 0; i < 16; ++i)
    again.records.push_back(invention(invented[i]));
  say(again);
  m.run_for(1s);
  EXPECT_EQ(m.core(0).counters().newcomers_waiting, 60U); // not so soon
  EXPECT_EQ(m[0].log.size(), before);
}

TEST_F(insider, who_signs_genuine_reports_without_end_is_rationed) {
  const auto before = m.core(0).counters();
  for (std::uint64_t n = 0; n < 50; ++n) {
    news_message flood;
    for (std::uint64_t i = 1; i <= 100; ++i)
      flood.reports.push_back(accuse(m[honest].key,
                                     m.core(honest).own().incarnation, 1,
                                     1000 + n * 100 + i, i % 2 == 0));
    say(flood);
    m.run_for(10ms);
  }
  const auto& after = m.core(0).counters();
  EXPECT_LE(after.reports_new - before.reports_new,
            2 * report_ration::reports_max);
  EXPECT_GT(after.reports_rationed, 3000U);
  expect_nobody_was_evicted();
  m.run_for(report_ration::window);
  m.kill(1); // others are heard all the same
  EXPECT_TRUE(
      m.run_until([&] { return m.sees(0, 1) == member_state::dead; }, 5s));
}

struct insider_on_the_rings : insider {
  void SetUp() override {
    honest = 29;
    m.found_settled(honest + 1);
  }
};

TEST_F(insider_on_the_rings, gets_nobody_in_evicts_nobody_and_hides_no_death) {
  for (std::uint64_t round = 1; round <= 5; ++round) {
    invent(round == 1 ? 60 : 2);
    crowd_accuses(round);
    m.run_for(1s);
  }
  expect_nobody_believes();
  m.kill(1);
  EXPECT_TRUE(m.run_until(
      [&] {
        for (std::size_t i = 0; i < honest; ++i)
          if (i != 1 && m.sees(i, 1) != member_state::dead)
            return false;
        return true;
      },
      10s));
  m.start(1);
  EXPECT_TRUE(m.run_until([&] { return m.agreed(); }, 30s));
}

TEST(proof, of_those_who_would_observe_a_newcomer_reaches_all_on_the_rings) {
  mesh m{79};
  m.found_settled(40);
  const auto i = m.add();
  m.start(i, 0);
  const auto took = m.run_until(
      [&] {
        for (std::size_t j = 0; j < i; ++j)
          if (!m.sees(j, i))
            return false;
        return true;
      },
      10s);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 1s); // nobody had to ask
}

TEST(proof, comes_from_most_neighbours_where_a_link_cannot_be_made) {
  for (const std::size_t n : {4U, 30U}) {
    mesh m{80};
    if (n > full_mesh_max)
      m.found_settled(n);
    else
      m.found(n);
    const auto i = m.add();
    for (std::size_t j = 2; j<n; j += n> full_mesh_max ? 5 : 2)
      m.sever(i, j);
    m.start(i, 0);
    EXPECT_TRUE(m.run_until(
        [&] {
          for (std::size_t j = 0; j < n; ++j)
            if (!m.sees(j, i))
              return false;
          return true;
        },
        20s))
        << n;
  }
}

TEST(proof, of_the_dead_comes_to_a_newcomer_from_most_of_its_neighbours) {
  mesh m{81};
  m.found(5);
  m.kill(1);
  m.run_for(1s);
  const auto i = m.add();
  m.start(i, 0);
  EXPECT_TRUE(
      m.run_until([&] { return m.sees(i, 1) == member_state::dead; }, 20s));
}

} // namespace
} // namespace banyan::net::testing
