// How long a newcomer takes to know a large mesh over twelve regions.
// BANYAN_NODES=N: a mesh of N; 10,000 take a minute and 5.5 GB.
#include "actors/sim/swarm.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace banyan::sim {
namespace {

std::size_t nodes() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
  const char* n = std::getenv("BANYAN_NODES");
  return n != nullptr ? std::strtoul(n, nullptr, 10) : 300;
}

TEST(newcomers, know_a_mesh_of_thousands_within_three_seconds) {
  swarm_config c;
  c.seed = 5;
  c.places = world::planet(12);
  c.last_mile = 5ms;
  swarm s{c};
  const auto n = nodes();
  for (std::size_t i = 0; i < n; ++i)
    s.add(i % 12);
  s.start_settled();
  s.run_for(8s);
  for (std::size_t k = 0; k < 3; ++k) {
    const auto who = s.add(k);
    std::optional<net::join_progress> joined;
    duration took{};
    const auto begun = s.now();
    s.on_effect = [&](sim::index i, const net::membership_effect& e,
                      time_point at) {
      const auto* p = std::get_if<net::join_progress>(&e);
      if (i == who && p != nullptr && p->done) {
        joined = *p;
        took = at - begun;
      }
    };
    s.start(who, {static_cast<sim::index>((n / 2 + 7 * k) % n)});
    ASSERT_TRUE(s.run_until([&] { return joined.has_value(); }, 30s));
    EXPECT_LE(took, 3s);
    EXPECT_EQ(joined->witnesses, 2U);
    EXPECT_EQ(joined->unconfirmed, 0U);
    EXPECT_EQ(joined->total, n + k + 1);
    EXPECT_TRUE(s.run_until([&] { return s.settled(); }, 10s, 100ms));
    std::printf("%zu nodes: one from %s joined after %.2f s, with %.0f KB in "
                "and %.0f KB out\n",
                n, s.places().name(k).c_str(), to_ms(took) / 1000,
                double(s.of(who).bytes_in) / 1000,
                double(s.of(who).bytes_out) / 1000);
  }
}

} // namespace
} // namespace banyan::sim
