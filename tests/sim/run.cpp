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
  d.spec.replace_after = 2s;
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

/// What stands in the stores: every replica's actors by group, and how many
/// rows. A row that rotted is skipped: nobody has asked for it since.
using stored_rows = std::map<group_id, std::map<bytes, bytes>>;

std::vector<stored_rows> read_stores(world& w) {
  std::vector<stored_rows> out(w.machines.size());
  std::size_t open = 0;
  for (std::size_t n = 0; n < out.size(); ++n) {
    if (!w.at(n).up())
      continue;
    auto& context = w.at(n).peer().context();
    for (const auto& [g, actor] : context.replicas) {
      store::scan_request q;
      q.prefix = {static_cast<std::uint8_t>(row_kind::actor)};
      ++open;
      context.disk.state->scan(
          g, std::move(q),
          [&open, &rows = out[n][g]](
              const result<store::scan_page, store::state_error>& page) {
            --open;
            if (page.ok())
              for (const auto& r : page->rows)
                rows[r.key] = r.value.view().copy();
          });
    }
  }
  w.run_until([&] { return open == 0; }, 2s);
  return out;
}

/// Replicas of one group hold the same, once all is applied and stored.
bool stores_agree(world& w) {
  std::map<group_id, std::map<bytes, bytes>> all;
  for (const auto& machine : read_stores(w))
    for (const auto& [g, rows] : machine)
      for (const auto& [key, value] : rows)
        if (all[g].emplace(key, value).first->second != value)
          return false;
  return true;
}

bool fully_replicated(world& w) {
  for (const auto& m : w.machines)
    if (!m->up()
        || m->peer().context().replicas.size() != 4) // 2 apps × 2 shards
      return false;
  return true;
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
  if (!w.run_until([&] { return fully_replicated(w); }, peace))
    w.problem("a group lacks a replica though all machines are well");
  bool agree = false;
  for (int i = 0; i < 10 && !agree; ++i) {
    w.run_for(1s);
    agree = stores_agree(w);
  }
  if (!agree)
    w.problem("two replicas of a group have stored different actors");
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
