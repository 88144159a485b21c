#include "sim/run.hpp"

#include "sim/clients.hpp"
#include "sim/faults.hpp"

#include <caf/send.hpp>

namespace banyan::sim {
namespace {

constexpr duration trouble = 30s;
constexpr duration peace = 20s;

bool all_met(world& w) {
  for (const auto& m : w.machines) {
    std::size_t heard = 0;
    for (const auto& other : w.machines)
      if (other->id() != m->id()
          && m->peer().context().members->hears(other->id()))
        ++heard;
    if (heard + 1 != w.machines.size())
      return false;
  }
  return true;
}

bool deploy(world& w, const std::string& name) {
  actors::deploy_in d;
  d.spec.name = name;
  d.spec.module = name;
  d.spec.shards = 2;
  d.spec.isolation = app_isolation::none;
  d.strict = true;
  bool done = false;
  d.done = [&](const actors::deploy_answer& a) {
    done = true;
    if (a.status != reply_status::ok)
      w.problem("deploy of " + name + ": " + a.message);
  };
  caf::anon_send(w.at(0).peer().context().supervisor, std::move(d));
  if (w.run_until([&] { return done; }, 10s))
    return true;
  w.problem("deploy of " + name + " has no end");
  return false;
}

void run(world& w, outcome& out) {
  for (const auto& m : w.machines)
    m->boot();
  if (!w.run_until([&] { return all_met(w); }, 10s))
    return w.problem("the machines did not meet");
  if (!deploy(w, "counter") || !deploy(w, "ledger"))
    return;

  clients c{w, 6};
  faults f{w};
  c.start();
  w.run_for(1s);
  f.start();
  w.run_for(trouble);
  f.heal();
  c.stop();
  const auto healed = w.now();
  if (!w.run_until([&] { return c.idle(); }, peace))
    w.problem("calls have no end though all is well:" + c.waiting());
  bool settled = false;
  while (!settled && w.now() - healed < peace) {
    bool asked = false;
    c.audit([&](bool s) {
      asked = true;
      settled = s;
    });
    w.run_until([&] { return asked; }, peace);
    if (!settled)
      w.run_for(200ms);
  }
  if (!settled)
    w.problem("peers, counters and accounts do not agree 20 s after healing");
  out.settled_s = to_ms(w.now() - healed) / 1000;
  c.check();
  out.acknowledged = c.acknowledged();
  out.retries = c.retries();
  out.faults = f.counts();
}

} // namespace

outcome run_seed(std::uint64_t seed) {
  outcome out;
  out.seed = seed;
  world w{seed};
  run(w, out);
  w.trace("end");
  out.hash = w.hash;
  out.virtual_s = to_ms(w.elapsed()) / 1000;
  out.steps = w.steps;
  out.leaderships = w.leaderships;
  out.problems = w.problems;
  return out;
}

} // namespace banyan::sim
