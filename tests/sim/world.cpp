#include "sim/world.hpp"

#include "sim/apps.hpp"

#include <cstdio>
#include <cstdlib>

namespace banyan::sim {
namespace {

net::virtual_network::options network_options(std::uint64_t seed) {
  seeded_random r{seed ^ 0x6e6574};
  net::virtual_network::options o;
  switch (r.below(3)) {
  case 0: // one rack
    break;
  case 1: // one country
    o.everywhere.delay_low = 1ms;
    o.everywhere.delay_high = 4ms;
    break;
  default: // jitter
    o.everywhere.delay_low = 100us;
    o.everywhere.delay_high = 20ms;
  }
  return o;
}

} // namespace

world::world(std::uint64_t s, std::size_t count)
    : seed{s}, random{s}, loop{0}, net{network_options(s), random,
                                       [this](duration d,
                                              std::function<void()> f) {
                                         loop.after(d, std::move(f), "network");
                                       },
                                       [this] { return loop.now(); }},
      verbose{std::getenv("BANYAN_SIM_LOG") != nullptr}, ties_{s ^ 0x71e5},
      began_{loop.now()} {
  set_assert_context(("seed=" + std::to_string(s)).c_str());
  add_apps(catalog);
  for (std::size_t n = 0; n < count; ++n)
    machines.push_back(
        std::make_unique<machine>(*this, n, random.next() ^ (n * 7919)));
}

world::~world() {
  machines.clear();
}

std::vector<net::membership_config::seed>
world::seeds_for(std::size_t n) const {
  std::vector<net::membership_config::seed> out;
  for (std::size_t i = 0; i < machines.size(); ++i)
    if (i != n)
      out.push_back({machines[i]->address(), std::nullopt});
  return out;
}

std::size_t world::count_up() const {
  std::size_t n = 0;
  for (const auto& m : machines)
    n += m->up() ? 1 : 0;
  return n;
}

bool world::step(time_point limit) {
  auto due = loop.next();
  auto* first = &loop;
  std::size_t ties = 1;
  for (const auto& m : machines) {
    if (m->paused())
      continue;
    const auto t = m->loop().next();
    if (t == never || t > due)
      continue;
    ties = t < due ? 1 : ties + 1;
    if (t < due || ties_.below(ties) == 0)
      first = &m->loop();
    due = t;
  }
  if (due == never || due > limit)
    return false;
  loop.advance(due);
  for (const auto& m : machines)
    if (!m->paused())
      m->loop().advance(due);
  ++steps;
  first->step(due);
  return true;
}

void world::run_for(duration d) {
  const auto end = now() + d;
  while (step(end)) {
  }
  loop.advance(end);
  for (const auto& m : machines)
    if (!m->paused())
      m->loop().advance(end);
}

bool world::run_until(const std::function<bool()>& done, duration limit) {
  const auto end = now() + limit;
  while (now() < end) {
    if (done())
      return true;
    run_for(std::min<duration>(5ms, end - now()));
  }
  return done();
}

void world::trace(const std::string& what) {
  const auto mix = [this](std::uint64_t x) {
    hash = (hash ^ x) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  };
  mix(static_cast<std::uint64_t>(elapsed().count()));
  mix(steps);
  mix(net.bytes_delivered());
  for (const char c : what)
    mix(static_cast<std::uint8_t>(c));
  if (verbose) {
    std::printf("%10.3f %s\n", to_ms(elapsed()), what.c_str());
    std::fflush(stdout);
  }
}

void world::problem(const std::string& what) {
  trace("PROBLEM: " + what);
  if (problems.size() < 20)
    problems.push_back("at " + std::to_string(to_ms(elapsed()))
                       + " ms: " + what);
}

void world::on_role(std::size_t n, const group_id& g, const role_changed& r) {
  static constexpr const char* names[] = {"follower", "candidate", "leader",
                                          "learner"};
  trace("node " + std::to_string(n) + ": " + short_string(g.app) + "/"
        + std::to_string(g.shard) + " " + names[static_cast<std::size_t>(r.now)]
        + " of term " + std::to_string(r.term.value())
        + (r.serving ? ", serving" : ""));
  if (r.now != role_changed::role::leader)
    return;
  if (r.serving)
    ++leaderships;
  const replica_ref who =
      r.leader.value_or(replica_ref{machines[n]->id(), replica_id{}});
  const auto [at, fresh] = leaders_.emplace(std::pair{g, r.term.value()}, who);
  if (!fresh && at->second.node != machines[n]->id())
    problem("two leaders of " + short_string(g.app) + "/"
            + std::to_string(g.shard) + " in term "
            + std::to_string(r.term.value()));
}

} // namespace banyan::sim
