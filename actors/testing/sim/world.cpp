#include "actors/testing/sim/world.hpp"

#include <cstdio>
#include <cstdlib>

namespace banyan::sim {
namespace {

net::virtual_network::options network_options(const world_options& how) {
  net::virtual_network::options o;
  o.everywhere = how.within;
  return o;
}

identity owner_of(std::uint64_t seed) {
  seeded_random r{seed ^ 0x0e4};
  return identity::generate(r);
}

/// How often the checkers look at what nobody tells them.
constexpr duration look_every = 100ms;

} // namespace

world::world(world_options o)
    : how{std::move(o)}, seed{how.seed}, owner{owner_of(seed)}, random{seed},
      loop{0}, net{network_options(how), random,
                   [this](duration d, std::function<void()> f) {
                     loop.after(d, std::move(f), "network");
                   },
                   [this] { return loop.now(); }},
      logs{[this](const std::string& what) { problem(what); }},
      leaders{[this](const std::string& what) { problem(what); }},
      members{[this](const std::string& what) { problem(what); }},
      states{[this](const std::string& what) { problem(what); }},
      verbose{std::getenv("BANYAN_SIM_LOG") != nullptr}, ties_{seed ^ 0x71e5},
      began_{loop.now()}, trouble_(how.machines),
      link_trouble_(how.machines * how.machines) {
  set_assert_context(("seed=" + std::to_string(seed)).c_str());
  for (std::size_t n = 0; n < how.machines; ++n) {
    std::string region = "here";
    if (!how.regions.empty())
      region = how.regions[std::min(n, how.regions.size() - 1)];
    machines.push_back(std::make_unique<machine>(
        *this, n, random.next() ^ (n * 7919), std::move(region)));
    at(n).disk().on_state_commit([this, n](const group_id& g, const replica_id&,
                                           const store::applied_meta& meta,
                                           const store::state_digest& digest) {
      logs.committed(g, meta.index, meta.hash);
      if (!logs.lossy(at(n).id())) // else it may be waiting for its repair
        states.stored(n, g, meta.index, digest);
    });
  }
  for (std::size_t a = 0; a < how.machines; ++a)
    for (std::size_t b = 0; b < how.machines; ++b)
      if (a != b)
        net.set_path(at(a).host(), at(b).host(), usual_path(a, b));
  after(look_every, [this] { look(); });
}

world::~world() {
  machines.clear();
}

const net::virtual_network::path& world::usual_path(std::size_t from,
                                                    std::size_t to) const {
  const auto place = [&](std::size_t n) {
    return how.places.empty() ? at(n).region()
                              : how.places[std::min(n, how.places.size() - 1)];
  };
  return place(from) == place(to) ? how.within : how.between;
}

std::vector<net::membership_config::seed>
world::seeds_for(std::size_t n) const {
  std::vector<net::membership_config::seed> out;
  for (std::size_t i = 0; i < machines.size(); ++i)
    if (i != n)
      out.push_back({machines[i]->address(), std::nullopt});
  return out;
}

mesh_file world::mesh() const {
  auto m = mesh_file::local();
  if (how.owned) {
    m.name = "sim";
    m.owners = {owner.owner()};
  }
  return m;
}

std::size_t world::count_up() const {
  std::size_t n = 0;
  for (const auto& m : machines)
    n += m->up() ? 1 : 0;
  return n;
}

bool world::step(time_point limit) {
  auto due = loop.next();
  machine* first = nullptr;
  std::size_t ties = 1;
  for (const auto& m : machines) {
    const auto t = m->next();
    if (t == never || t > due)
      continue;
    ties = t < due ? 1 : ties + 1;
    if (t < due || ties_.below(ties) == 0)
      first = m.get();
    due = t;
  }
  if (due == never || due > limit)
    return false;
  loop.advance(due);
  for (const auto& m : machines)
    if (!m->paused())
      m->advance(due);
  ++steps;
  if (first == nullptr)
    loop.step(due);
  else
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
      m->advance(end);
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

// ---- what the checkers see -------------------------------------------------

void world::on_role(std::size_t n, const group_id& g, const role_changed& r) {
  static constexpr const char* names[] = {"follower", "candidate", "leader",
                                          "learner"};
  trace("node " + std::to_string(n) + ": " + short_string(g.app) + "/"
        + std::to_string(g.shard) + " " + names[static_cast<std::size_t>(r.now)]
        + " of term " + std::to_string(r.term.value())
        + (r.serving ? ", serving" : ""));
  leaders.on_role(n, at(n).id(), g, r);
}

void world::on_down(std::size_t n) {
  leaders.on_down(n);
  members.on_down(n);
}

store::disk world::watched(std::size_t n, store::disk d) {
  logs.opened(at(n).id(), d.recovered_logs);
  d.log = logs.watched(at(n).id(), std::move(d.log));
  return d;
}

void world::troubled(std::size_t n, duration d) {
  trouble_[n] = std::max(trouble_[n], now() + d);
}

void world::troubled(std::size_t from, std::size_t to, duration d) {
  auto& until = link_trouble_[from * machines.size() + to];
  until = std::max(until, now() + d);
}

bool world::well(std::size_t n) const {
  return at(n).up() && !at(n).paused() && now() >= trouble_[n];
}

bool world::well(std::size_t a, std::size_t b) const {
  return now() >= link_trouble_[a * machines.size() + b]
         && now() >= link_trouble_[b * machines.size() + a];
}

void world::mended(std::size_t from, std::size_t to) {
  link_trouble_[from * machines.size() + to] = now() + aftermath;
}

void world::all_well() {
  std::fill(trouble_.begin(), trouble_.end(), now());
  std::fill(link_trouble_.begin(), link_trouble_.end(), now());
}

void world::look() {
  leaders.look(*this);
  members.look(*this);
  after(look_every, [this] { look(); });
}

} // namespace banyan::sim
