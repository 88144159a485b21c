// One hostile member among five honest ones, all of them whole nodes (DESIGN
// section 5): it has the mesh key and a link to each, and says over them, in
// its own name, whatever it likes. It evicts nobody and moves nothing, and what
// no honest node would send costs it its name in the others' logs.
#include "net/membership/messages.hpp"
#include "sim/drained_world.hpp"

namespace banyan::sim {
namespace {

using namespace net;

struct one_of_six : ::testing::Test {
  static constexpr std::size_t honest = drained_world::machines;
  static constexpr std::size_t liar = honest;

  static world_options options() {
    world_options o;
    o.seed = 6006;
    o.machines = honest + 1;
    return o;
  }
  void SetUp() override {
    d.replace_after = 1s; // a false death would move a voter
    ASSERT_NO_FATAL_FAILURE(d.begin());
    d.w.run_for(20s); // leaders have spread over the voters
    for (std::uint32_t s = 0; s < d.shards; ++s) {
      const auto* v = d.context(0).known.view({d.app, s});
      ASSERT_NE(v, nullptr);
      before.push_back(*v);
    }
  }
  membership& core(std::size_t n) { return *d.context(n).members; }
  const identity& key() { return d.context(liar).key; }
  mesh_id mesh() { return d.w.mesh().id; }

  void say_bytes(const bytes& payload, channel on = channel::membership) {
    for (std::size_t n = 0; n < honest; ++n)
      d.context(liar).send(d.w.at(n).id(), on, payload);
  }
  void say(const membership_message& m) { say_bytes(encode(m)); }
  report accuse(std::size_t subject, bool down = true) {
    report r;
    r.observer = key().id();
    r.subject = d.w.at(subject).id();
    r.observer_incarnation = core(liar).own().incarnation;
    r.subject_incarnation = core(subject).own().incarnation;
    r.number = ++number;
    r.down = down;
    r.sign(key(), mesh());
    return r;
  }
  /// The lie, every 100 ms for ten seconds, while clients write.
  template <class Lie>
  void lie_on(Lie lie) {
    for (int n = 0; n < 100; ++n) {
      lie();
      if (n % 3 == 0)
        d.write();
      d.w.run_for(100ms);
      for (std::size_t a = 0; a < honest; ++a)
        for (std::size_t b = 0; b < honest; ++b) {
          const auto is = core(a).state_of(d.w.at(b).id());
          EXPECT_NE(is, member_state::dead) << a << " of " << b;
          EXPECT_NE(is, member_state::left) << a << " of " << b;
        }
      if (HasFailure())
        return;
    }
  }
  /// Same voters, same leaders, same terms; and all that was acknowledged.
  void TearDown() override {
    for (std::uint32_t s = 0; s < d.shards; ++s) {
      const auto* v = d.context(0).known.view({d.app, s});
      ASSERT_NE(v, nullptr);
      EXPECT_EQ(v->leader, before[s].leader) << s;
      EXPECT_EQ(v->term, before[s].term) << s;
      ASSERT_EQ(v->voters.size(), before[s].voters.size());
      for (std::size_t i = 0; i < v->voters.size(); ++i)
        EXPECT_EQ(v->voters[i].who, before[s].voters[i].who) << s;
    }
    d.judge();
  }
  template <class Counter>
  std::uint64_t least(Counter counter) {
    auto n = UINT64_MAX;
    for (std::size_t a = 0; a < honest; ++a)
      n = std::min<std::uint64_t>(n, core(a).counters().*counter);
    return n;
  }

  drained_world d{options(), 3};
  std::vector<group_view> before;
  std::uint64_t number = 1'000'000;
};

TEST_F(one_of_six, who_accuses_the_healthy_evicts_nobody) {
  lie_on([&] {
    news_message lies;
    for (std::size_t n = 0; n < honest; ++n)
      lies.reports.push_back(accuse(n));
    say(lies);
  });
}

TEST_F(one_of_six, who_claims_huge_incarnations_evicts_nobody) {
  lie_on([&] {
    auto own = core(liar).own();
    own.incarnation = incarnation{UINT64_MAX - 1};
    own.number = ++number;
    news_message lies;
    lies.records.push_back(member_document::make(key(), mesh(), own));
    say(lies);
    lies = {};
    for (std::size_t n = 0; n < honest; ++n) {
      auto r = accuse(n);
      r.observer_incarnation = incarnation{UINT64_MAX - 1};
      r.sign(key(), mesh());
      lies.reports.push_back(r);
      r.subject_incarnation = incarnation{UINT64_MAX - 1};
      r.sign(key(), mesh());
      lies.reports.push_back(r);
    }
    say(lies);
    for (std::size_t n = 0; n < honest; ++n) {
      auto theirs = core(n).own(); // with its own key
      theirs.incarnation = incarnation{UINT64_MAX - 1};
      say(news_message{{member_document::make(key(), mesh(), theirs)}, {}});
    }
  });
  EXPECT_GT(least(&membership_counters::signatures_bad), 0U);
}

TEST_F(one_of_six, who_tells_all_that_they_are_dead_costs_them_a_number) {
  const auto told = core(0).counters().refutations;
  lie_on([&] {
    for (std::size_t n = 0; n < honest; ++n)
      d.context(liar).send(
          d.w.at(n).id(), channel::membership,
          encode(membership_message{
              verdict_message{core(n).own().incarnation}}));
  });
  EXPECT_LE(core(0).counters().refutations - told, 12U); // one a second
}

TEST_F(one_of_six, who_forges_leaves_is_found_out) {
  lie_on([&] {
    for (std::size_t n = 0; n < honest; ++n) {
      auto r = core(n).own();
      r.number += 1;
      r.word = member_word::left;
      say(news_message{{member_document::make(key(), mesh(), r)}, {}});
    }
  });
  EXPECT_GE(least(&membership_counters::signatures_bad), 100U);
}

TEST_F(one_of_six, who_repeats_reorders_and_changes_what_was_said_moves_nothing) {
  std::vector<bytes> said;
  for (std::size_t n = 0; n < honest; ++n) {
    said.push_back(encode(news_message{{}, {accuse(n)}}));
    said.push_back(encode(news_message{{}, {accuse(n, false)}}));
    auto of = core(n).own();
    said.push_back(encode(
        news_message{{member_document::make(key(), mesh(), of)}, {}}));
  }
  said.push_back(encode(news_message{
      {member_document::make(key(), mesh(), core(liar).own())}, {}}));
  lie_on([&] {
    for (int n = 0; n < 10; ++n) {
      auto one = said[d.dice.below(said.size())];
      say_bytes(one); // in any order, again and again
      one[d.dice.below(one.size())] ^=
          static_cast<std::uint8_t>(1U << d.dice.below(8));
      say_bytes(one);
      one.resize(d.dice.below(one.size() + 1));
      say_bytes(one, n % 2 == 0 ? channel::membership : channel::beat);
    }
  });
  EXPECT_GT(least(&membership_counters::frames_bad), 0U);
  EXPECT_GT(least(&membership_counters::signatures_bad), 0U);
}

TEST_F(one_of_six, who_floods_delays_nobody) {
  bytes rubbish(4096);
  d.dice.fill(rubbish.data(), rubbish.size());
  lie_on([&] {
    for (int turn = 0; turn < 20; ++turn) {
      news_message lies;
      for (std::size_t n = 0; n < honest; ++n)
        lies.reports.push_back(accuse(n, turn % 2 == 0));
      say(lies);
      say_bytes(rubbish);
    }
  });
  EXPECT_GE(least(&membership_counters::frames_bad), 1'000U);
}

} // namespace
} // namespace banyan::sim
