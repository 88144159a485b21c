// Whole nodes from one seed (DESIGN section 13). On failure:
//   BANYAN_SEED=n BANYAN_SIM_LOG=1 bin/sim
#include "base/time.hpp"
#include "sim/run.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

namespace banyan::sim {
namespace {

std::optional<std::uint64_t> one_seed() {
  const char* s = std::getenv("BANYAN_SEED");
  if (s == nullptr)
    return std::nullopt;
  return std::strtoull(s, nullptr, 10);
}

std::uint64_t seed_count() {
  const char* s = std::getenv("BANYAN_SEEDS");
  return s == nullptr ? 50 : std::strtoull(s, nullptr, 10);
}

void expect_clean(const outcome& o) {
  for (const auto& p : o.problems)
    ADD_FAILURE() << "seed " << o.seed << ": " << p;
  if (!o.problems.empty())
    std::printf("replay: BANYAN_SEED=%llu BANYAN_SIM_LOG=1 bin/sim\n",
                static_cast<unsigned long long>(o.seed));
}

void print(const outcome& o, double real_s) {
  std::printf("seed %6llu  %5.1f s  %6llu acknowledged  %4llu retries  %3llu "
              "leaderships  settled in %4.1f s  %8llu steps  %016llx  %s "
              "(%.1f s)\n",
              static_cast<unsigned long long>(o.seed), o.virtual_s,
              static_cast<unsigned long long>(o.acknowledged),
              static_cast<unsigned long long>(o.retries),
              static_cast<unsigned long long>(o.leaderships), o.settled_s,
              static_cast<unsigned long long>(o.steps),
              static_cast<unsigned long long>(o.hash),
              o.problems.empty() ? "ok" : "FAILED", real_s);
  std::fflush(stdout);
}

struct totals {
  std::uint64_t seeds = 0;
  std::uint64_t failed = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t retries = 0;
  std::uint64_t leaderships = 0;
  double virtual_s = 0;
  std::map<std::string, std::uint64_t> faults;

  void add(const outcome& o) {
    ++seeds;
    failed += o.problems.empty() ? 0 : 1;
    acknowledged += o.acknowledged;
    retries += o.retries;
    leaderships += o.leaderships;
    virtual_s += o.virtual_s;
    for (const auto& [kind, n] : o.faults)
      faults[kind] += n;
  }
  void print() const {
    std::printf("seeds %llu  virtual seconds %.0f  acknowledged %llu  retries "
                "%llu  leaderships %llu  failed seeds %llu\n",
                static_cast<unsigned long long>(seeds), virtual_s,
                static_cast<unsigned long long>(acknowledged),
                static_cast<unsigned long long>(retries),
                static_cast<unsigned long long>(leaderships),
                static_cast<unsigned long long>(failed));
    for (const auto& [kind, n] : faults)
      std::printf("  %-12s %llu\n", kind.c_str(),
                  static_cast<unsigned long long>(n));
  }
};

outcome timed(std::uint64_t seed) {
  const auto began = std::chrono::steady_clock::now();
  auto o = run_seed(seed);
  print(o, to_ms(std::chrono::steady_clock::now() - began) / 1000);
  return o;
}

/// Seeds that once found a bug: `seed what it found`, one per line.
std::vector<std::uint64_t> kept_seeds() {
  std::vector<std::uint64_t> out;
  std::ifstream in{BANYAN_SOURCE_DIR "/tests/sim/seeds.txt"};
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::uint64_t seed = 0;
    if (words >> seed)
      out.push_back(seed);
  }
  return out;
}

/// What another process finds of `seed`: the hash in its report.
std::string hash_elsewhere(std::uint64_t seed) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  const auto command = "BANYAN_SEED=" + std::to_string(seed) + " "
                       + self.string() + " --gtest_filter='*whole_nodes*'";
  const std::unique_ptr<FILE, int (*)(FILE*)> out{popen(command.c_str(), "r"),
                                                  pclose};
  if (!out)
    return {};
  std::string all;
  std::array<char, 256> piece{};
  while (std::fgets(piece.data(), piece.size(), out.get()) != nullptr)
    all += piece.data();
  return all;
}

std::string text_of(std::uint64_t hash) {
  std::array<char, 17> out{};
  std::snprintf(out.data(), out.size(), "%016llx",
                static_cast<unsigned long long>(hash));
  return out.data();
}

} // namespace

TEST(sim, whole_nodes_keep_every_acknowledged_write) {
  totals t;
  if (const auto seed = one_seed()) {
    const auto o = timed(*seed);
    expect_clean(o);
    return;
  }
  for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
    const auto o = timed(seed);
    t.add(o);
    expect_clean(o);
  }
  t.print();
}

TEST(sim, seeds_that_found_bugs) {
  if (one_seed())
    return;
  for (const auto seed : kept_seeds())
    expect_clean(timed(seed));
}

TEST(sim, the_same_seed_gives_the_same_trace) {
  if (one_seed())
    return;
  for (const std::uint64_t seed : {1, 2, 3})
    EXPECT_EQ(run_seed(seed).hash, run_seed(seed).hash) << "seed " << seed;
}

TEST(sim, the_same_seed_gives_the_same_trace_in_another_process) {
  if (one_seed())
    return;
  for (const std::uint64_t seed : {4, 5}) {
    const auto here = text_of(run_seed(seed).hash);
    const auto there = hash_elsewhere(seed);
    EXPECT_NE(there.find(here), std::string::npos)
        << "seed " << seed << ": " << here << " here, there:\n"
        << there;
  }
}

} // namespace banyan::sim
