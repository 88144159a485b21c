// Many seeds, one seed, or one seed made shorter: see `usage`.
#include "sim/shrink.hpp"
#include "sim/table.hpp"
#include "sim/workers.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

namespace banyan::sim {
namespace {

constexpr const char* usage =
    "sim_seeds: whole peers on virtual time, network, disks and hosts\n"
    "  --seeds N     so many seeds (default 50)\n"
    "  --hours H     fresh seeds for so long\n"
    "  --from SEED   the first one (default 1)\n"
    "  --workers N   processes (default 2)\n"
    "  --table FILE  writes the table there too, every minute\n"
    "  --ci          fails unless the run is as large as CI asks for\n"
    "  --seed SEED   one seed, in this process\n"
    "  --kinds LIST  faults to draw from: \"kill,slow disk\" (with all of the\n"
    "                above, also for a replay)\n"
    "  --only LIST   of its faults these alone, by number: 3,7,12 or none\n"
    "  --log         shows all that happens\n"
    "  --shrink SEED finds a short list of faults with which it still fails\n";

struct options {
  std::uint64_t seeds = 50;
  double hours = 0;
  std::uint64_t from = 1;
  std::size_t workers = 2;
  std::string table;
  bool ci = false;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> shrink;
  std::optional<std::vector<std::size_t>> only;
  std::vector<fault_kind> kinds;
};

std::vector<std::size_t> numbers_in(const std::string& list) {
  std::vector<std::size_t> out;
  std::istringstream in{list};
  for (std::string n; list != "none" && std::getline(in, n, ',');)
    out.push_back(std::stoul(n));
  return out;
}

std::vector<fault_kind> kinds_in(const std::string& list) {
  std::vector<fault_kind> out;
  std::istringstream in{list};
  for (std::string n; std::getline(in, n, ',');) {
    const auto k = fault_named(n);
    if (!k)
      throw std::invalid_argument{"no fault is called " + n};
    out.push_back(*k);
  }
  return out;
}

void keep_only(plan& p, const std::vector<std::size_t>& only) {
  p.skipped.clear();
  for (std::size_t i = 0; i < p.faults(); ++i)
    p.skipped.insert(i);
  for (const auto i : only)
    p.skipped.erase(i);
}

void print(const plan& p) {
  std::printf("seed %llu: %zu machines in %zu regions\n",
              static_cast<unsigned long long>(p.seed), p.machines, p.regions);
  std::size_t i = 0;
  for (std::size_t phase = 0; phase < p.phases.size(); ++phase)
    for (const auto& f : p.phases[phase]) {
      if (p.skipped.count(i) == 0)
        std::printf("%4zu  phase %zu  %s\n", i, phase, to_string(f).c_str());
      ++i;
    }
  std::fflush(stdout);
}

void print(const outcome& o, double real_s) {
  std::printf("seed %8llu  %5.1f s  %5llu acknowledged  %4llu repeated  %3llu "
              "leaderships  settled in %4.1f s  %016llx  %s (%.2f s)\n",
              static_cast<unsigned long long>(o.seed), o.virtual_s,
              static_cast<unsigned long long>(o.acknowledged),
              static_cast<unsigned long long>(o.retries),
              static_cast<unsigned long long>(o.leaderships), o.settled_s,
              static_cast<unsigned long long>(o.hash),
              o.problems.empty() ? "ok" : "FAILED", real_s);
  for (const auto& p : o.problems)
    std::printf("  seed %llu: %s\n", static_cast<unsigned long long>(o.seed),
                p.c_str());
  std::fflush(stdout);
}

int make_shorter(std::uint64_t seed, const options& o) {
  auto p = plan_for(seed, o.kinds);
  auto worst = workers::run_one(p);
  if (worst.problems.empty()) {
    std::printf("seed %llu does not fail\n",
                static_cast<unsigned long long>(seed));
    return 0;
  }
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < p.faults(); ++i)
    all.push_back(i);
  const auto fails = [&](const std::vector<std::size_t>& some) {
    keep_only(p, some);
    const auto now = workers::run_one(p);
    if (!now.problems.empty())
      worst = now;
    std::printf("%zu faults: %s\n", some.size(),
                now.problems.empty() ? "passes" : now.problems.front().c_str());
    std::fflush(stdout);
    return !now.problems.empty();
  };
  const auto shortest = shrink(all, fails, 200);
  keep_only(p, shortest);
  std::printf("\nseed %llu fails with %zu of its %zu faults:\n",
              static_cast<unsigned long long>(seed), shortest.size(),
              all.size());
  print(p);
  for (const auto& problem : worst.problems)
    std::printf("  %s\n", problem.c_str());
  std::printf("replay: %s\n", replay_command(seed, &shortest).c_str());
  return 1;
}

int one(const options& o) {
  auto p = plan_for(*o.seed, o.kinds);
  if (o.only)
    keep_only(p, *o.only);
  print(p);
  const auto result = run(p);
  print(result, 0);
  return result.problems.empty() ? 0 : 1;
}

int many(const options& o) {
  using clock = std::chrono::steady_clock;
  const auto began = clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(clock::now() - began).count();
  };
  table t;
  auto next = o.from;
  double shown = 0;
  const auto write_table = [&] {
    if (o.table.empty())
      return;
    std::ofstream out{o.table + ".new"};
    out << "seeds " << o.from << " to " << next - 1 << ", "
        << static_cast<long>(seconds()) << " s on " << o.workers
        << " processes\n\n";
    t.print(out);
    out.close();
    std::rename((o.table + ".new").c_str(), o.table.c_str());
  };
  workers::run(
      o.workers,
      [&]() -> std::optional<plan> {
        const bool over =
            o.hours > 0 ? seconds() > o.hours * 3600 : next >= o.from + o.seeds;
        if (over)
          return std::nullopt;
        return plan_for(next++, o.kinds);
      },
      [&](const outcome& done, double real_s) {
        t.add(done);
        if (!done.problems.empty()) {
          print(done, real_s);
          std::printf("  replay: %s\n", replay_command(done.seed).c_str());
        }
        if (seconds() - shown < (o.hours > 0 ? 60 : 10))
          return;
        shown = seconds();
        std::printf("%6.0f s: %llu seeds, %.1f virtual hours, %llu operations, "
                    "%llu faults, %zu failures\n",
                    shown, static_cast<unsigned long long>(t.seeds()),
                    t.virtual_s() / 3600,
                    static_cast<unsigned long long>(t.operations()),
                    static_cast<unsigned long long>(t.faults()),
                    t.failed().size());
        std::fflush(stdout);
        write_table();
      });
  write_table();
  std::printf("\n%.0f s on %zu processes\n", seconds(), o.workers);
  t.print(std::cout);
  std::cout.flush();
  bool failed = !t.failed().empty();
  if (o.ci)
    for (const auto& why : t.missing_in_ci()) {
      std::printf("too small: %s\n", why.c_str());
      failed = true;
    }
  if (o.ci && !t.failed().empty())
    make_shorter(t.failed().front(), o);
  return failed ? 1 : 0;
}

int run_main(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--log") {
      setenv("BANYAN_SIM_LOG", "1", 1);
      continue;
    }
    if (flag == "--ci") {
      o.ci = true;
      continue;
    }
    const char* value = i + 1 < argc ? argv[++i] : nullptr;
    if (value == nullptr) {
      std::fputs(usage, stderr);
      return 2;
    }
    if (flag == "--seeds")
      o.seeds = std::strtoull(value, nullptr, 10);
    else if (flag == "--hours")
      o.hours = std::strtod(value, nullptr);
    else if (flag == "--from")
      o.from = std::strtoull(value, nullptr, 10);
    else if (flag == "--workers")
      o.workers = std::strtoull(value, nullptr, 10);
    else if (flag == "--table")
      o.table = value;
    else if (flag == "--seed")
      o.seed = std::strtoull(value, nullptr, 10);
    else if (flag == "--only")
      o.only = numbers_in(value);
    else if (flag == "--kinds")
      o.kinds = kinds_in(value);
    else if (flag == "--shrink")
      o.shrink = std::strtoull(value, nullptr, 10);
    else {
      std::fputs(usage, stderr);
      return 2;
    }
  }
  if (o.shrink)
    return make_shorter(*o.shrink, o);
  return o.seed ? one(o) : many(o);
}

} // namespace
} // namespace banyan::sim

int main(int argc, char** argv) {
  return banyan::sim::run_main(argc, argv);
}
