#include "sim/run.hpp"

#include "actors/testing/sim/harm.hpp"
#include "sim/apps.hpp"
#include "sim/clients.hpp"

#include <caf/send.hpp>

namespace banyan::sim {
namespace {

constexpr duration trouble = 22s;
constexpr duration peace = 30s; // an fsync of 10 s may just have begun
/// A step of a replacement that hangs is given up after 60 s, and tried anew.
constexpr duration replaced_within = 90s;
constexpr duration calm = 5s; ///< at the least, with clients at work

world_options options_for(const plan& p) {
  world_options o;
  o.seed = p.seed;
  o.machines = p.machines;
  for (std::size_t n = 0; n < p.machines; ++n)
    o.regions.push_back("region" + std::to_string(n % p.regions));
  seeded_random r{p.seed ^ 0x6e6574};
  switch (r.below(3)) {
  case 0: // one rack
    break;
  case 1: // one country
    o.within.delay_low = 1ms;
    o.within.delay_high = 4ms;
    break;
  default: // jitter
    o.within.delay_low = 100us;
    o.within.delay_high = 20ms;
  }
  o.between.delay_low = r.between(2ms, 30ms);
  o.between.delay_high = o.between.delay_low + r.between(1ms, 10ms);
  return o;
}

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

bool deploy(world& w, const std::string& name, std::uint32_t shards,
            std::vector<deployed>& apps) {
  actors::deploy_in d;
  d.spec.name = name;
  d.spec.module = name;
  d.spec.shards = shards;
  d.spec.replace_after = 2s;
  d.spec.isolation = app_isolation::none;
  d.strict = true;
  bool done = false;
  d.done = [&](const actors::deploy_answer& a) {
    done = true;
    if (a.status != reply_status::ok)
      return w.problem("deploy of " + name + ": " + a.message);
    apps.push_back({name, a.app, shards});
    for (std::uint32_t s = 0; s < shards; ++s)
      w.logs.born({a.app, s}, a.voters[s]);
  };
  caf::anon_send(w.at(0).peer().context().supervisor, std::move(d));
  if (w.run_until([&] { return done; }, 10s))
    return w.problems.empty();
  w.problem("deploy of " + name + " has no end");
  return false;
}

/// What stands in the stores: every replica's actors by group, and how many
/// rows. A row that rotted is skipped: nobody has asked for it since.
using stored_rows = std::map<group_id, std::map<bytes, bytes>>;

bool votes(const world& w, const group_id& g, std::size_t n) {
  if (const auto* c = w.logs.configuration(g))
    for (const auto& v : c->voters)
      if (v.node == w.at(n).id())
        return true;
  return false;
}

std::vector<stored_rows> read_stores(world& w) {
  struct reading {
    explicit reading(std::size_t machines) : rows(machines) {}
    std::vector<stored_rows> rows;
    std::size_t open = 0;
  };
  const auto r = std::make_shared<reading>(w.machines.size());
  for (std::size_t n = 0; n < w.machines.size(); ++n) {
    if (!w.at(n).up())
      continue;
    auto& context = w.at(n).peer().context();
    for (const auto& [g, actor] : context.replicas) {
      if (!votes(w, g, n))
        continue;
      store::scan_request q;
      q.prefix = {static_cast<std::uint8_t>(row_kind::actor)};
      ++r->open;
      context.disk.state->scan(
          g, std::move(q),
          [r, n, group = g](
              const result<store::scan_page, store::state_error>& page) {
            --r->open;
            if (page.ok())
              for (const auto& row : page->rows)
                r->rows[n][group][row.key] = row.value.view().copy();
          });
    }
  }
  w.run_until([&] { return r->open == 0; }, 2s);
  return r->rows;
}

/// Replicas of one group hold the same, once all is applied and stored.
bool stores_agree(world& w) {
  std::map<group_id, std::map<bytes, bytes>> all;
  for (const auto& machine : read_stores(w))
    for (const auto& [g, rows] : machine)
      for (const auto& [key, value] : rows)
        if (all[g].emplace(key, value).first->second != value) {
          w.trace("stores differ in a row of " + short_string(g.app) + "/"
                  + std::to_string(g.shard) + ": "
                  + std::string{key.begin() + 1, key.end()});
          return false;
        }
  return true;
}

/// Why not every voter of every group is there, with no change under way;
/// empty if all is well.
std::string lacking(const world& w) {
  for (const auto& g : w.logs.groups()) {
    const auto name = short_string(g.app) + "/" + std::to_string(g.shard);
    const auto* c = w.logs.configuration(g);
    if (c == nullptr || c->joint() || c->voters.size() != 3)
      return name + " is in a change of its voters, or has not three ("
             + std::to_string(c == nullptr ? 0 : c->voters.size()) + " and "
             + std::to_string(c == nullptr ? 0 : c->outgoing.size()) + " old, "
             + std::to_string(c == nullptr ? 0 : c->learners.size())
             + " learn)";
    for (const auto& v : c->voters) {
      bool there = false;
      for (const auto& m : w.machines)
        there = there
                || (m->id() == v.node && m->up()
                    && m->peer().context().replicas.count(g) != 0);
      if (!there)
        return name + " has no replica on " + short_string(v.node);
    }
  }
  return {};
}

/// A machine holds a replica of a group that has replaced it, or never took it
/// in; empty if none does.
std::string strays(const world& w) {
  for (std::size_t n = 0; n < w.machines.size(); ++n) {
    if (!w.at(n).up())
      continue;
    for (const auto& [g, actor] : w.at(n).peer().context().replicas) {
      bool member = false;
      if (const auto* c = w.logs.configuration(g))
        for (const auto& who : c->members())
          member = member || who.node == w.at(n).id();
      if (!member)
        return "machine " + std::to_string(n) + " of " + short_string(g.app)
               + "/" + std::to_string(g.shard);
    }
  }
  return {};
}

/// Every disk is read again, and what is damaged there is mended: the next
/// trouble may take another machine's. What is not in time, or nothing.
std::string unmended(world& w) {
  struct answers {
    std::size_t open = 0;
    std::string bad;
  };
  // A peer that ends meanwhile has to begin again.
  std::vector<std::uint64_t> begun(w.machines.size());
  for (const auto patience = w.now() + 2 * peace;;) {
    const auto a = std::make_shared<answers>();
    for (std::size_t n = 0; n < w.machines.size(); ++n) {
      if (!w.at(n).up()) { // on its way up again, if all is well
        a->bad += " machine " + std::to_string(n) + " is down";
        continue;
      }
      actors::verify_in in;
      in.begin = std::exchange(begun[n], w.at(n).boots()) != w.at(n).boots();
      in.done = [a, n](const scrub_report& r, time_point) {
        --a->open;
        if (r.now == scrub_report::phase::done && r.open() == 0)
          return;
        a->bad += " machine " + std::to_string(n) + ": "
                  + std::to_string(r.open()) + " open, "
                  + std::to_string(r.digests_compared) + " of "
                  + std::to_string(r.groups) + " groups compared";
        for (const auto& f : r.findings)
          a->bad += " (" + f + ")";
      };
      ++a->open;
      caf::anon_send(w.at(n).peer().context().scrub, std::move(in));
    }
    if (!w.run_until([&] { return a->open == 0; }, 2s))
      a->bad += " no answer";
    if (a->bad.empty() || w.now() >= patience)
      return a->bad;
    w.run_for(200ms);
  }
}

/// Heals, and demands that all serves and agrees in time.
void settle(world& w, harm& h, clients& c, outcome& out) {
  h.heal();
  const auto healed = w.now();
  w.run_for(calm);
  c.stop();
  if (!w.run_until([&] { return c.idle(); }, peace))
    w.problem("calls have no end though all is well:" + c.waiting());
  bool settled = false;
  while (!settled && w.now() - healed < peace) {
    // A peer that dies with the question never answers it.
    const auto answer = std::make_shared<std::optional<bool>>();
    c.audit([answer](bool agree) { *answer = agree; });
    w.run_until([&] { return answer->has_value(); }, 4s);
    settled = answer->value_or(false);
    if (!settled)
      w.run_for(200ms);
  }
  if (!settled)
    w.problem("peers, counters, accounts and lists do not agree 30 s after "
              "healing");
  out.settled_s = std::max(out.settled_s, to_ms(w.now() - healed) / 1000);
  if (!w.run_until([&] { return lacking(w).empty(); }, replaced_within))
    w.problem("a group lacks a replica though all machines are well: "
              + lacking(w));
  if (!w.run_until([&] { return strays(w).empty(); }, peace))
    w.problem("a replica that was replaced doesn't learn of it: on "
              + strays(w));
  bool agree = false;
  for (int i = 0; i < 10 && !agree; ++i) {
    w.run_for(1s);
    agree = stores_agree(w);
  }
  if (!agree)
    w.problem("two replicas of a group have stored different actors");
  if (const auto damage = unmended(w); !damage.empty())
    w.problem("a disk's damage is not mended, though all is well:" + damage);
  w.logs.settled();
  w.all_well();
}

void run_in(world& w, const plan& p, outcome& out) {
  add_apps(w.catalog);
  for (const auto& m : w.machines)
    m->boot();
  if (!w.run_until([&] { return all_met(w); }, 10s))
    return w.problem("the machines did not meet");
  std::vector<deployed> apps;
  for (const auto& [name, shards] :
       {std::pair{"counter", 1U}, {"kv", 1U}, {"ledger", 2U}, {"list", 1U}})
    if (!deploy(w, name, shards, apps))
      return;
  clients c{w, 6, std::move(apps)};
  harm h{w};
  std::size_t before = 0;
  for (const auto& phase : p.phases) {
    c.start();
    w.run_for(500ms);
    h.play(phase,
           [&](std::size_t i) { return p.skipped.count(before + i) != 0; });
    w.run_for(trouble);
    settle(w, h, c, out);
    before += phase.size();
    if (!w.problems.empty())
      break;
  }
  c.check();
  out.acknowledged = c.acknowledged();
  out.checked = c.checked();
  out.retries = c.retries();
  out.faults = h.counts();
  out.changing = h.changing();
}

} // namespace

std::size_t plan::faults() const {
  std::size_t n = 0;
  for (const auto& phase : phases)
    n += phase.size();
  return n;
}

plan plan_for(std::uint64_t seed, const std::vector<fault_kind>& kinds) {
  seeded_random r{seed ^ 0x706c616e};
  plan p;
  p.seed = seed;
  p.machines = 3 + r.below(3);
  p.regions = 1 + r.below(3);
  schedule_options how;
  how.machines = p.machines;
  how.length = trouble;
  how.kinds = kinds;
  for (int i = 0; i < 2; ++i)
    p.phases.push_back(draw_schedule(r.next(), how));
  return p;
}

outcome run(const plan& p) {
  outcome out;
  out.seed = p.seed;
  world w{options_for(p)};
  run_in(w, p, out);
  w.trace("end");
  out.hash = w.hash;
  out.virtual_s = to_ms(w.elapsed()) / 1000;
  out.steps = w.steps;
  out.answers = w.logs.answers();
  out.leaderships = w.leaders.leaderships();
  out.late_results = w.leaders.late_results();
  out.problems = w.problems;
  return out;
}

} // namespace banyan::sim
