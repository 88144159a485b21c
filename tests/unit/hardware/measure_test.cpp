// The shells that measure: on this machine, whatever it is.
#include "actors/hardware/measure.hpp"
#include "crypto/measure.hpp"
#include "tests/unit/docs/folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace banyan {
namespace {

namespace fs = std::filesystem;

store::disk_plan small() {
  store::disk_plan p;
  p.fsync_budget = 1ms;
  p.fsyncs_max = 20;
  p.write_budget = p.read_budget = 1ms;
  p.bytes_max = 4 << 20;
  return p;
}

TEST(disk_measure, gives_each_figure_and_leaves_nothing) {
  const test::folder dir;
  auto plan = small();
  std::vector<std::uint32_t> seen;
  plan.progress = [&](std::uint32_t permille) { seen.push_back(permille); };
  const auto d = store::measure_disk(dir.path(), plan);
  ASSERT_TRUE(d.ok()) << d.error().message;
  EXPECT_GE(d->fsyncs.size(), 1U);
  EXPECT_GT(d->written, 0U);
  EXPECT_GT(d->writing, duration{});
  EXPECT_GT(d->read, 0U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 1000U);
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(disk_measure, a_full_disk_is_a_typed_error_with_the_next_step) {
  const test::folder dir;
  auto plan = small();
  plan.free_bytes = [](const fs::path&) {
    return result<std::uint64_t, store::store_error>{std::uint64_t{1} << 20};
  };
  const auto d = store::measure_disk(dir.path(), plan);
  ASSERT_FALSE(d.ok());
  EXPECT_EQ(d.error().code, store::store_errc::full);
  EXPECT_NE(d.error().message.find("free some space"), std::string::npos);
}

TEST(disk_measure, a_bad_directory_is_a_typed_error_with_the_next_step) {
  const test::folder dir;
  std::ofstream{dir.path() / "file"} << "x";
  for (const auto* bad : {"nowhere", "file", "file/below"}) {
    const auto d = store::measure_disk(dir.path() / bad, small());
    ASSERT_FALSE(d.ok()) << bad;
    EXPECT_EQ(d.error().code, store::store_errc::unreadable);
    EXPECT_NE(d.error().message.find("--data"), std::string::npos);
  }
}

TEST(crypto_measure, stops_by_the_clock_that_it_is_given) {
  time_point t{};
  const auto c = measure_crypto(10ms, [&] { return t += 1ms; });
  EXPECT_GE(c.sealed_bytes, 64U * 1024);
  EXPECT_GE(c.verified, 1U);
  EXPECT_LE(c.sealing + c.verifying, 16ms);
}

TEST(memory_work, is_the_same_everywhere_and_differs_by_nonce_and_size) {
  const bytes nonce(32, 1);
  const bytes other(32, 2);
  const auto a = fill_memory(nonce, 1);
  ASSERT_TRUE(a);
  // Argon2id by libsodium 1.0.18: what an older peer computes.
  EXPECT_EQ(to_hex(a->view()),
            "cc56927ea457c3eff768046639dbdbbfd80cadee70acc8c160397bf53bbcc439");
  EXPECT_EQ(fill_memory(nonce, 1), a);
  EXPECT_NE(fill_memory(other, 1), a);
  EXPECT_NE(fill_memory(nonce, 2), a);
}

TEST(solved_challenges, are_the_same_at_both_ends) {
  hardware_challenge c;
  c.number = 7;
  for (const auto kind : {challenge_kind::memory, challenge_kind::bandwidth}) {
    c.kind = kind;
    c.nonce = challenge_nonce{std::array<std::uint8_t, 32>{3}};
    c.size = kind == challenge_kind::memory ? 1 : 128;
    const auto a = solve_hardware_challenge(c);
    const auto b = solve_hardware_challenge(c);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->number, 7U);
    EXPECT_EQ(a->proof, b->proof);
    EXPECT_EQ(a->data, b->data);
    EXPECT_EQ(a->data.size(), kind == challenge_kind::memory ? 0 : 128U << 10);
    c.nonce = challenge_nonce{std::array<std::uint8_t, 32>{4}};
    EXPECT_NE(solve_hardware_challenge(c)->proof, a->proof);
  }
}

TEST(machine, has_cores_and_memory) {
  const auto m = look_at_machine();
  EXPECT_GE(m.cores, 1U);
  EXPECT_GE(m.memory_mib, 1U);
  EXPECT_LE(available_memory_mib(), 1U << 30);
}

} // namespace
} // namespace banyan
