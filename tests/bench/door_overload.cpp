#include "examples/counter/counter.hpp"
#include "tests/bench/door_bench.hpp"
#include "tests/support/process_mesh.hpp"

#include <banyan/client.hpp>
#include <sched.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <thread>

namespace banyan::test {
namespace {

constexpr std::size_t links = 16;
constexpr std::size_t keys = 4096;
constexpr std::chrono::milliseconds patience{1000}; ///< of each call

/// Callers are other machines: on one of their own, they take no CPU from the
/// peers. What this thread starts from here on runs there.
void run_on(bool callers) {
  const auto cores = std::thread::hardware_concurrency();
  if (cores < 2)
    return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (unsigned n = 0; n < cores; ++n)
    if ((n == cores - 1) == callers)
      CPU_SET(n, &set);
  if (::sched_setaffinity(0, sizeof(set), &set) != 0)
    throw std::runtime_error{"no core of its own for the callers"};
}

/// How calls of one step ended; any thread counts.
class tally {
public:
  void ok(duration took) {
    ++good;
    const auto us = std::max(1.0, static_cast<double>(took.count()) / 1e3);
    const auto n = static_cast<std::size_t>(std::log(us) / std::log(step));
    ++spread_[std::min(n, spread_.size() - 1)];
  }
  /// In ms; to 5 %.
  [[nodiscard]] double quantile(double q) const {
    std::uint64_t seen = 0;
    for (std::size_t n = 0; n < spread_.size(); ++n) {
      seen += spread_[n];
      if (static_cast<double>(seen) >= q * static_cast<double>(good)
          && seen > 0)
        return std::pow(step, static_cast<double>(n + 1)) / 1e3;
    }
    return 0;
  }
  std::atomic<std::uint64_t> good{0}, overloaded{0}, late{0}, other{0},
      ended{0};

private:
  static constexpr double step = 1.05;
  std::array<std::atomic<std::uint64_t>, 400> spread_{};
};

struct step_result {
  double offered = 0; ///< per second
  double good = 0;
  double p50 = 0, p99 = 0;
  std::uint64_t overloaded = 0, late = 0, other = 0;
};

/// Calls go out at their rate, whatever becomes of those before.
step_result offer(std::vector<client>& clients, double rate, duration span) {
  auto t = std::make_shared<tally>();
  std::uint64_t sent = 0;
  const auto begun = now();
  const auto send = [&] {
    const auto from = now();
    call_options o;
    o.deadline = patience;
    clients[sent % clients.size()].call_async<&counter::add>(
        "k" + std::to_string(sent * 2654435761U % keys), {1},
        [t, from](const auto& r) {
          if (r.ok())
            t->ok(now() - from);
          else if (r.error().error == call_errc::overloaded)
            ++t->overloaded;
          else if (r.error().error == call_errc::deadline)
            ++t->late;
          else
            ++t->other;
          ++t->ended;
        },
        std::move(o));
    ++sent;
  };
  for (auto at = begun; at < begun + span; at = now()) {
    const auto due = static_cast<std::uint64_t>(
        rate * std::chrono::duration<double>(at - begun).count());
    while (sent < due)
      send();
    std::this_thread::sleep_for(1ms); // the pace of the generator
  }
  const auto seconds = std::chrono::duration<double>(now() - begun).count();
  const auto good = t->good.load(); // what is behind the span counts for none
  if (!wait_until([&] { return t->ended == sent; }, 10s))
    throw std::runtime_error{"calls without an end"};
  return {static_cast<double>(sent) / seconds,
          static_cast<double>(good) / seconds,
          t->quantile(0.5),
          t->quantile(0.99),
          t->overloaded,
          t->late,
          t->other};
}

void print(const step_result& r) {
  std::printf("%10.0f %10.0f %9.2f %9.1f %11llu %8llu %7llu\n", r.offered,
              r.good, r.p50, r.p99,
              static_cast<unsigned long long>(r.overloaded),
              static_cast<unsigned long long>(r.late),
              static_cast<unsigned long long>(r.other));
  std::fflush(stdout);
}

} // namespace

bool door_overload(const door_settings& s) {
  run_on(false);
  process_mesh mesh{std::vector<peer_place>(std::min<std::size_t>(s.peers, 3))};
  mesh.start_all();
  mesh.wait_members(mesh.size());
  mesh.deploy("counter", "name = \"counter\"\nmodule = \"counter\"\n"
                         "shards = 8\nreplicas = 3\n");
  mesh.wait_healthy("counter", 3);
  run_on(true);
  std::vector<client> clients;
  for (std::size_t i = 0; i < links; ++i) {
    client_options o;
    for (std::size_t p = 0; p < mesh.size(); ++p)
      o.peers.push_back(mesh.listening((i + p) % mesh.size()));
    auto c = client::connect(std::move(o));
    if (!c.ok())
      throw std::runtime_error{c.error().message};
    clients.push_back(std::move(*c));
  }
  std::printf("%10s %10s %9s %9s %11s %8s %7s\n", "offered/s", "good/s",
              "p50 ms", "p99 ms", "overloaded", "late", "other");
  const duration each = s.judge ? duration{3s} : duration{500ms};
  static_cast<void>(offer(clients, 500, each)); // sessions, warm
  step_result best;
  std::uint64_t unheard = 0;
  for (double rate = 2000; rate < 1e6; rate *= 1.25) {
    const auto r = offer(clients, rate, each);
    print(r);
    const bool kept_up = r.good > 0.9 * rate;
    unheard += kept_up ? r.other : 0; // above that some run out of time
    if (r.good > best.good)
      best = r;
    if (!kept_up || !s.judge)
      break;
  }
  const auto flood = offer(clients, 3 * best.good, s.span);
  print(flood);
  const auto after = offer(clients, best.good / 2, each);
  print(after);
  std::printf("served at three times the load: %.0f %% of the peak, p99 %.0f "
              "ms\n",
              100 * flood.good / best.good, flood.p99);
  const auto fallen = mesh.casualties();
  std::printf("%s", fallen.c_str());
  std::fflush(stdout);
  if (!fallen.empty() || flood.good <= 0 || after.good <= 0)
    return false;
  return !s.judge || (flood.good >= 0.9 * best.good && unheard == 0);
}

} // namespace banyan::test
