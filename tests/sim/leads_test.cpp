// Leaders end spread evenly over the voters, whatever died before.
#include "sim/drained_world.hpp"

namespace banyan::sim {
namespace {

struct leads : ::testing::TestWithParam<std::uint64_t> {};

/// How many more groups the leader of one leads than the least of its voters.
int excess(drained_world& d) {
  std::map<node_id, int> led;
  std::vector<const group_view*> views;
  for (std::uint32_t s = 0; s < d.shards; ++s) {
    const auto* v = d.context(0).known.view({d.app, s});
    if (v == nullptr || v->leader.node.is_none())
      return 100;
    ++led[v->leader.node];
    views.push_back(v);
  }
  int most = 0;
  for (const auto* v : views)
    for (const auto& r : v->voters)
      most = std::max(most, led[v->leader.node] - led[r.who.node]);
  return most;
}

TEST_P(leads, spread_over_voters_after_kills) {
  drained_world d{3000 + GetParam(), 8};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  // Two machines after each other: what they led is elsewhere when they return.
  for (int i = 0; i < 2; ++i) {
    fault f;
    f.kind = fault_kind::kill;
    f.a = 1 + d.dice.below(drained_world::machines - 1);
    f.lasts = 3s;
    f.dice = d.dice.next();
    static_cast<void>(d.h.begin(f));
    for (int n = 0; n < 20; ++n) {
      d.write();
      d.w.run_for(300ms);
    }
  }
  d.h.heal();
  const auto moved = [&] {
    d.write(); // moves go on under load
    d.w.run_for(1s);
    return excess(d) <= 1;
  };
  bool even = false;
  for (int n = 0; n < 240 && !even; ++n)
    even = moved();
  EXPECT_TRUE(even) << "still " << excess(d) << " more";
  // And then it rests.
  std::map<std::uint32_t, term> terms;
  const auto term_of = [&](std::uint32_t s) {
    return d.context(0).known.view({d.app, s})->term;
  };
  d.w.run_for(30s);
  for (std::uint32_t s = 0; s < d.shards; ++s)
    terms[s] = term_of(s);
  d.w.run_for(60s);
  for (std::uint32_t s = 0; s < d.shards; ++s)
    EXPECT_EQ(term_of(s), terms[s]) << "shard " << s;
  d.judge();
}
INSTANTIATE_TEST_SUITE_P(seeds, leads,
                         ::testing::Range(std::uint64_t{1}, std::uint64_t{9}));

} // namespace
} // namespace banyan::sim
