// Figures, and the tiers that they are worth.
#include "actors/pure/hardware/challenge_wire.hpp"
#include "actors/pure/hardware/tiers.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

hardware_figures good() {
  hardware_figures f;
  f.machine = {8, 16'000, "a processor"};
  f.available_mib = 9'000;
  f.fsync_p50_us = 90;
  f.fsync_p99_us = 1'200;
  f.disk_write_mb_s = 900;
  f.disk_read_mb_s = 1'500;
  f.crypto_mb_s = 1'400;
  f.verify_per_s = 20'000;
  f.at_unix_ms = 1'700'000'000'000;
  return f;
}

TEST(figures, come_back_as_they_were_kept) {
  const auto f = good();
  const auto b = encode(f);
  hardware_figures back;
  ASSERT_TRUE(decode(b, back));
  EXPECT_EQ(encode(back), b);
  EXPECT_EQ(back.machine, f.machine);
  for (std::size_t n = 0; n < b.size(); ++n)
    EXPECT_FALSE(decode(const_bytes{b}.first(n), back));
}

TEST(figures, are_kept_for_seven_days_of_the_same_machine) {
  const auto f = good();
  constexpr std::int64_t day = 24LL * 3600 * 1000;
  EXPECT_TRUE(still_good(f, f.machine, f.at_unix_ms));
  EXPECT_TRUE(still_good(f, f.machine, f.at_unix_ms + 7 * day - 1));
  EXPECT_FALSE(still_good(f, f.machine, f.at_unix_ms + 7 * day));
  EXPECT_FALSE(still_good(f, f.machine, f.at_unix_ms - 1));
  auto other = f.machine;
  other.memory_mib /= 2;
  EXPECT_FALSE(still_good(f, other, f.at_unix_ms));
  other = f.machine;
  other.cores = 2;
  EXPECT_FALSE(still_good(f, other, f.at_unix_ms));
}

TEST(statistics, the_99th_percentile_is_one_that_was_measured) {
  std::vector<duration> none;
  EXPECT_EQ(percentile(none, 990), duration{});
  std::vector<duration> one{5ms};
  EXPECT_EQ(percentile(one, 500), 5ms);
  std::vector<duration> all;
  for (int i = 100; i > 0; --i)
    all.push_back(std::chrono::milliseconds{i});
  EXPECT_EQ(percentile(all, 500), 50ms);
  EXPECT_EQ(percentile(all, 990), 99ms);
  EXPECT_EQ(percentile(all, 1000), 100ms);
  EXPECT_EQ(percentile(all, 0), 1ms);
}

TEST(statistics, a_rate_of_no_time_is_none) {
  EXPECT_EQ(rate(1000, 500ms), 2000U);
  EXPECT_EQ(rate(1000, duration{}), 0U);
}

TEST(machine_text, memory_and_processor) {
  const auto m = read_meminfo("MemTotal:       24683024 kB\nMemFree: 1 kB\n"
                              "MemAvailable:   23365120 kB\n");
  EXPECT_EQ(m.total_mib, 24'104U);
  EXPECT_EQ(m.available_mib, 22'817U);
  EXPECT_EQ(read_meminfo("nonsense\n:::\n").total_mib, 0U);
  EXPECT_EQ(read_processor("processor\t: 0\nmodel name\t: AMD EPYC\nx: y\n"),
            "AMD EPYC");
  EXPECT_EQ(read_processor(""), "");
}

TEST(machine_text, limits_of_a_control_group) {
  EXPECT_EQ(read_cgroup("0::/a/b\n", ""), "/a/b");
  const auto old = "5:cpu,cpuacct:/c\n4:memory:/m\n1:name=systemd:/\n";
  EXPECT_EQ(read_cgroup(old, "memory"), "/m");
  EXPECT_EQ(read_cgroup(old, "cpuacct"), "/c");
  EXPECT_EQ(read_cgroup(old, ""), std::nullopt);
  EXPECT_EQ(read_cgroup("junk", ""), std::nullopt);
  EXPECT_EQ(read_memory_limit("max\n"), std::nullopt);
  EXPECT_EQ(read_memory_limit("536870912\n"), 536'870'912U);
  EXPECT_EQ(read_memory_limit("9223372036854771712\n"), std::nullopt);
  EXPECT_EQ(read_cpu_limit("max 100000\n"), std::nullopt);
  EXPECT_EQ(read_cpu_limit("150000 100000\n"), 2U);
  EXPECT_EQ(read_cpu_limit("20000 100000\n"), 1U);
  EXPECT_EQ(read_cpu_limit("20000 0\n"), std::nullopt);
  EXPECT_EQ(read_cpu_limit(""), std::nullopt);
}

TEST(tiers, a_machine_gets_the_highest_that_it_satisfies_wholly) {
  const mesh_policy p;
  EXPECT_EQ(tier_of(good(), p).tier, 3);
  EXPECT_TRUE(tier_of(good(), p).missing.empty());
  auto f = good();
  f.fsync_p99_us = 9'000; // a single threshold of tier 3
  const auto v = tier_of(f, p);
  EXPECT_EQ(v.tier, 2);
  ASSERT_EQ(v.missing.size(), 1U);
  EXPECT_EQ(v.missing[0].what, "fsync p99");
  EXPECT_EQ(v.missing[0].has, "9.00 ms");
  EXPECT_EQ(v.missing[0].wants, "at most 5.00 ms");
  f.machine.memory_mib = 500; // below tier 1, whatever else it has
  EXPECT_EQ(tier_of(f, p).tier, 0);
  EXPECT_EQ(tier_of(hardware_figures{}, p).tier, 0);
}

TEST(tiers, thresholds_are_the_policys) {
  mesh_policy p;
  p.tiers[2].cores = 64;
  EXPECT_EQ(tier_of(good(), p).tier, 2);
  EXPECT_EQ(tier_of(good(), p).missing[0].what, "cores");
  p.tiers = {}; // it asks for nothing
  EXPECT_EQ(tier_of(hardware_figures{}, p).tier, 3);
}

TEST(tiers, a_challenge_grows_with_the_claim_and_is_bounded) {
  mesh_policy p;
  EXPECT_EQ(memory_challenge_mib(p, 1), 56U);
  EXPECT_EQ(memory_challenge_mib(p, 2), 218U);
  EXPECT_EQ(memory_challenge_mib(p, 3), hardware_challenge::mib_max);
  p.tiers = {};
  EXPECT_EQ(memory_challenge_mib(p, 1), 16U);
  for (std::uint8_t t = 1; t <= 3; ++t) {
    EXPECT_LE(bandwidth_challenge_kib(t), 1024U);
    EXPECT_GT(bandwidth_kb_s(t), bandwidth_kb_s(t - 1));
  }
}

// ---- the lower of claim and proof

TEST(proof, one_lying_observer_lowers_nobody) {
  for (std::size_t observers = 1; observers <= 16; ++observers)
    EXPECT_EQ(proven_tier(3, observers, {0}), 3) << observers;
}

TEST(proof, a_minority_of_observers_lowers_nobody) {
  EXPECT_EQ(proven_tier(3, 4, {0, 0}), 3);
  EXPECT_EQ(proven_tier(3, 5, {0, 0}), 3);
  EXPECT_EQ(proven_tier(3, 8, {0, 0, 0, 0}), 3);
}

TEST(proof, a_majority_of_observers_does) {
  EXPECT_EQ(proven_tier(3, 2, {1, 2}), 2);
  EXPECT_EQ(proven_tier(3, 3, {1, 1}), 1);
  EXPECT_EQ(proven_tier(3, 8, {2, 2, 2, 2, 2}), 2);
}

TEST(proof, a_helper_of_the_liar_saves_it_not) {
  EXPECT_EQ(proven_tier(3, 3, {0, 0, 3}), 0);
  EXPECT_EQ(proven_tier(3, 5, {1, 1, 1}), 1); // two of five say nothing
}

TEST(proof, a_finding_above_the_claim_counts_as_the_claim) {
  EXPECT_EQ(proven_tier(1, 3, {200, 200, 200}), 1);
}

} // namespace
} // namespace banyan
