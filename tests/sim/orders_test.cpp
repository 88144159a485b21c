// Who may order what, and how much of it at once, on virtual machines (DESIGN
// sections 8 and 12).
#include "actors/docs/app_documents.hpp"
#include "crypto/sealed_box.hpp"
#include "sim/drained_world.hpp"

#include <set>

namespace banyan::sim {
namespace {

constexpr auto machines = drained_world::machines;

group_id group(const drained_world& d, std::uint32_t shard = 0) {
  return {d.app, shard};
}

replica_ref ref_on(const drained_world& d, std::uint32_t shard,
                   const node_id& node) {
  for (const auto& v : d.w.logs.configuration(group(d, shard))->voters)
    if (v.node == node)
      return v;
  return {};
}

/// As its frame brings it.
void tell(drained_world& d, std::size_t to, const node_id& from,
          control_frame f) {
  caf::anon_send(d.context(to).supervisor,
                 actors::control_in{from, std::move(f)});
}

// Tokens are drawn: who wasn't asked can't answer, whatever it guesses.
TEST(orders, are_answered_by_who_was_asked) {
  drained_world d{301};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  std::size_t by = 0;
  const auto leads = [&](std::size_t n) {
    for (std::uint32_t s = 0; s < d.shards; ++s)
      if (d.w.leaders.serving(group(d, s)) == n)
        return true;
    return false;
  };
  while (leads(by))
    ++by;
  fault alone;
  alone.kind = fault_kind::isolate;
  alone.a = by;
  alone.b = (by + 1) % machines;
  alone.lasts = 1500ms;
  ASSERT_TRUE(d.h.begin(alone));
  actors::operate_in in;
  in.what = operator_wish::stop;
  in.app = "counter";
  in.deadline = 10s;
  std::optional<actors::operate_answer> got;
  in.done = [&](const actors::operate_answer& a) { got = a; };
  caf::anon_send(d.context(by).supervisor, std::move(in));
  d.w.run_for(1ms);
  for (std::uint64_t token = 0; token < 1000; ++token) {
    operator_answer a;
    a.token = token;
    a.progress = operator_progress::done;
    tell(d, by, d.w.at(alone.b).id(), a);
  }
  d.w.run_for(1s);
  EXPECT_FALSE(got) << "what nobody has done is said to be";
  ASSERT_TRUE(d.w.run_until([&] { return got.has_value(); }, 10s));
  EXPECT_EQ(got->status, reply_status::ok) << got->message;
}

// A member that has another's replica given up could thin out any group.
TEST(orders, give_up_no_replica_but_the_senders_own) {
  drained_world d{302};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  const auto leader = d.w.leaders.serving(group(d));
  ASSERT_TRUE(leader);
  std::size_t voter = machines;
  for (std::size_t n = 0; n < machines; ++n)
    if (n != *leader && d.votes(0, d.w.at(n).id()))
      voter = n;
  const auto& id = d.w.at(voter).id();
  operator_order o;
  o.token = 77;
  o.what = static_cast<std::uint8_t>(operator_wish::move);
  o.group = group(d);
  o.from = id;
  for (int i = 0; i < 5; ++i) { // as if it were drained, but said by another
    tell(d, *leader, d.w.at((voter + 1) % machines).id(), o);
    d.w.run_for(1s);
  }
  EXPECT_TRUE(d.votes(0, id));
  EXPECT_TRUE(d.w.logs.configuration(group(d))->learners.empty());
  tell(d, *leader, id, o);
  EXPECT_TRUE(d.w.run_until([&] { return !d.votes(0, id); }, 10s));
  d.judge();
}

// DESIGN section 12, SIGTERM: nobody knows when the process ends at last.
TEST(orders, who_stops_hands_over_again_what_it_is_given_meanwhile) {
  drained_world d{303};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  const auto led = d.w.leaders.serving(group(d));
  ASSERT_TRUE(led);
  bool done = false;
  caf::anon_send(d.context(*led).supervisor,
                 actors::stop_in{[&] { done = true; }});
  ASSERT_TRUE(d.w.run_until([&] { return done; }, 10s));
  const auto next = d.w.leaders.serving(group(d));
  ASSERT_TRUE(next);
  ASSERT_NE(*next, *led);
  actors::group_order back;
  back.who = ref_on(d, 0, d.w.at(*led).id());
  d.context(*next).tell_replica(group(d), std::move(back));
  ASSERT_TRUE(
      d.w.run_until([&] { return d.w.leaders.serving(group(d)) == led; }, 5s));
  EXPECT_TRUE(d.w.run_until(
      [&] {
        const auto now = d.w.leaders.serving(group(d));
        return now && now != led;
      },
      5s));
}

// DESIGN section 8: whoever asks a third time before the first two have come
// hears that it should ask again.
TEST(orders, that_bring_a_third_replica_into_a_node_wait) {
  drained_world d{305, 8};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  app_papers papers;
  app_genesis genesis;
  ASSERT_TRUE(app_papers::decode(d.context(0).papers.at("counter"), papers));
  ASSERT_TRUE(app_genesis::decode(papers.genesis.body, genesis));
  const std::size_t to = 4;
  const auto before = d.context(to).replicas.size();
  std::uint32_t asked = 0;
  for (std::uint32_t s = 0; s < d.shards && asked < 3; ++s) {
    if (d.votes(s, d.w.at(to).id()))
      continue;
    ++asked;
    make_replicas m;
    m.token = s;
    m.app = d.app;
    m.nonce = genesis.nonce;
    m.shards = {s};
    ASSERT_TRUE(seal_secret(
        d.w.at(to).id(), group_secret_context(genesis.nonce),
        *d.context(0).guard.secret(d.app), d.w.random, m.secret.emplace()));
    tell(d, to, d.w.at(0).id(), std::move(m));
  }
  ASSERT_EQ(asked, 3U);
  d.w.run_for(1s);
  EXPECT_EQ(d.context(to).replicas.size(), before + 2);
}

/// That machine hears of two of its replicas, which it doesn't lead, that they
/// are learners on their way. `quorum`: and that their voters live.
void takes_in_two(drained_world& d, std::size_t n, bool quorum) {
  auto& known = d.context(n).known;
  const auto& self = d.w.at(n).id();
  int made = 0;
  for (std::uint32_t s = 0; s < d.shards && made < 2; ++s) {
    auto v = *known.view(group(d, s));
    const auto mine =
        std::find_if(v.voters.begin(), v.voters.end(),
                     [&](const auto& r) { return r.who.node == self; });
    if (mine == v.voters.end() || v.leader.node == self)
      continue;
    ++made;
    v.term = term{v.term.value() + 1000};
    v.learners = {*mine};
    v.learners[0].state = static_cast<std::uint8_t>(replica_state::catching_up);
    v.voters.erase(mine);
    if (!quorum)
      for (auto& r : v.voters)
        r.who.node = node_id{d.w.random.array<32>()};
    ASSERT_TRUE(known.put_view(v));
  }
  ASSERT_EQ(made, 2);
}

/// Groups with a voter there, but those that had one.
std::size_t come_to(drained_world& d, const std::set<std::uint32_t>& had,
                    std::size_t to) {
  std::size_t out = 0;
  for (std::uint32_t s = 0; s < d.shards; ++s)
    out += d.votes(s, d.w.at(to).id()) && had.count(s) == 0 ? 1 : 0;
  return out;
}

std::set<std::uint32_t> voted_on(const drained_world& d, const node_id& n) {
  std::set<std::uint32_t> out;
  for (std::uint32_t s = 0; s < d.shards; ++s)
    if (d.votes(s, n))
      out.insert(s);
  return out;
}

// A node that takes in two for ever holds nobody up for longer than a minute.
TEST(orders, a_node_that_takes_in_others_for_long_is_left_for_another) {
  drained_world d{306, 8};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  const std::size_t busy = 3;
  const std::size_t leaves = 0;
  const auto had = voted_on(d, d.w.at(busy).id());
  ASSERT_NO_FATAL_FAILURE(takes_in_two(d, busy, true));
  d.drain(leaves);
  // Some groups' next place is there; they wait for it, and then no longer.
  d.w.run_for(50s);
  EXPECT_FALSE(d.gone(d.w.at(leaves).id()));
  EXPECT_EQ(come_to(d, had, busy), 0U);
  EXPECT_TRUE(d.w.run_until([&] { return d.gone(d.w.at(leaves).id()); }, 60s));
  EXPECT_EQ(come_to(d, had, busy), 0U);
  d.judge();
}

// What its leader says outlives the group's quorum; such a copy never comes.
TEST(orders, copies_of_groups_without_a_quorum_hold_nobody_up) {
  drained_world d{306, 8};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  const std::size_t busy = 3;
  const std::size_t leaves = 0;
  const auto had = voted_on(d, d.w.at(busy).id());
  ASSERT_NO_FATAL_FAILURE(takes_in_two(d, busy, false));
  d.drain(leaves);
  EXPECT_TRUE(d.w.run_until([&] { return d.gone(d.w.at(leaves).id()); }, 50s));
  EXPECT_GT(come_to(d, had, busy), 0U);
  d.judge();
}

} // namespace
} // namespace banyan::sim
