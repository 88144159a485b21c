#include "net/membership/liveness.hpp"

#include <gtest/gtest.h>

namespace banyan::net {
namespace {

constexpr time_point start = time_point{} + 1h;

time_point beats(peer_liveness& p, int n, duration every, duration late = {}) {
  auto now = start;
  for (int i = 0; i < n; ++i) {
    now += every + (i % 2 == 0 ? late : duration{});
    p.beat(every, now);
  }
  return now;
}

TEST(liveness, unknown_peers_get_more_time) {
  liveness_config cfg;
  peer_liveness p{cfg};
  p.reset(start);
  EXPECT_EQ(p.patience(), cfg.silence_unknown);
  beats(p, 4, 50ms);
  EXPECT_EQ(p.patience(), cfg.silence_floor);
}

TEST(liveness, silence_adapts_to_round_trip_mean_and_deviation) {
  liveness_config cfg;
  peer_liveness p{cfg};
  beats(p, 20, 100ms);
  for (int i = 0; i < 50; ++i)
    p.round_trip(i % 2 == 0 ? 150ms : 250ms);
  // 100 between beats, 200 mean, 4 x 50 deviation: about half a second.
  EXPECT_GT(p.patience(), 400ms);
  EXPECT_LT(p.patience(), 700ms);
  for (int i = 0; i < 100; ++i)
    p.round_trip(1ms);
  EXPECT_EQ(p.patience(), cfg.silence_floor);
}

TEST(liveness, silence_adapts_to_late_beats) {
  liveness_config cfg;
  peer_liveness p{cfg};
  beats(p, 40, 50ms, 200ms);
  EXPECT_GT(p.patience(), 300ms);
  EXPECT_LE(p.patience(), cfg.silence_cap);
}

TEST(liveness, says_which_beats_came_late) {
  liveness_config cfg;
  peer_liveness p{cfg};
  p.reset(start);
  EXPECT_FALSE(p.beat(1s, start + 5s)); // the first
  EXPECT_FALSE(p.beat(1s, start + 6s));
  EXPECT_FALSE(p.beat(1s, start + 7s + 99ms));
  EXPECT_TRUE(p.beat(1s, start + 8s + 199ms));
  // It means to send more often from now on: that one comes as it was said.
  EXPECT_FALSE(p.beat(50ms, start + 9s + 199ms));
  EXPECT_TRUE(p.beat(50ms, start + 9s + 349ms));
  EXPECT_FALSE(p.beat(50ms, start + 9s + 350ms)); // an answer, out of turn
}

TEST(liveness, never_below_the_floor_never_above_the_cap) {
  liveness_config cfg;
  peer_liveness p{cfg};
  beats(p, 10, 1ms);
  EXPECT_EQ(p.patience(), cfg.silence_floor);
  for (int i = 0; i < 10; ++i)
    p.round_trip(i % 2 == 0 ? 1ms : 60s);
  EXPECT_EQ(p.patience(), cfg.silence_cap);
}

TEST(liveness, traffic_counts_as_a_sign_of_life) {
  liveness_config cfg;
  peer_liveness p{cfg};
  const auto now = beats(p, 10, 50ms);
  const auto silent = p.silent_at({});
  p.heard(now + 70ms);
  EXPECT_EQ(p.silent_at({}), silent + 70ms);
  p.heard(now); // an older one takes nothing back
  EXPECT_EQ(p.silent_at({}), silent + 70ms);
}

TEST(liveness, a_deaf_observer_credits_its_peers) {
  liveness_config cfg;
  peer_liveness p{cfg};
  const auto now = beats(p, 10, 50ms);
  p.credit(5s, now + 5s);
  EXPECT_EQ(p.last_heard(), now + 5s);
}

TEST(local_health, punctual_means_no_stretch) {
  liveness_config cfg;
  local_health h{cfg};
  EXPECT_EQ(h.observe(start, start + 5ms), duration{});
  EXPECT_EQ(h.observe(never, start + 5s), duration{});
  EXPECT_EQ(h.stretch(start + 5s), duration{});
}

TEST(local_health, lateness_stretches_silence_and_is_forgiven) {
  liveness_config cfg;
  local_health h{cfg};
  EXPECT_EQ(h.observe(start, start + 800ms), duration{800ms});
  EXPECT_EQ(h.stretch(start + 800ms), duration{800ms});
  const auto later = h.stretch(start + 800ms + cfg.late_half_life);
  EXPECT_NEAR(to_ms(later), 400, 1);
  EXPECT_LT(h.stretch(start + 60s), 1ms);
}

TEST(local_health, the_stretch_has_a_cap) {
  liveness_config cfg;
  local_health h{cfg};
  EXPECT_EQ(h.observe(start, start + 1h), duration{1h});
  EXPECT_EQ(h.stretch(start + 1h), cfg.late_cap);
}

} // namespace
} // namespace banyan::net
