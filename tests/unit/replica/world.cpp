#include "world.hpp"

#include <algorithm>

namespace banyan::test {

world::world(std::uint64_t seed, world_options o) : random{seed}, options{o} {
  base.app_name = "words";
  base.group.app = app_id{random.array<32>()};
  base.lineage = lineage_id{random.array<16>()};
  base.incarnation = incarnation{1};
  base.raft.sleep_after = 60s;
  nodes.resize(options.nodes);
  dirty_.resize(options.nodes);
  armed_.resize(options.nodes, never);
  for (auto& n : nodes)
    n.self = {node_id{random.array<32>()}, replica_id{random.array<16>()}};
  for (std::size_t i = 0; i < options.voters; ++i)
    base.genesis_voters.push_back(nodes[i].self);
}
world::~world() = default;

std::optional<app_directory::app> world::find(std::string_view name) const {
  if (name != "other")
    return std::nullopt;
  app a;
  a.id = app_id{std::array<std::uint8_t, 32>{9}};
  return a;
}

replica_config world::config_of(std::size_t n) const {
  auto c = base;
  c.self = nodes[n].self;
  if (const auto f = features.find(n); f != features.end())
    c.features = f->second;
  c.left = nodes[n].left;
  if (n >= options.voters)
    c.genesis_voters.clear();
  return c;
}

void world::note(std::uint64_t x) {
  trace = (trace ^ x) * 1099511628211u;
}

void world::at(duration after, std::function<void()> f) {
  events_.emplace(event_key{now + after, ++sequence_}, std::move(f));
}

void world::boot(std::size_t n) {
  auto& nd = nodes[n];
  nd.up = true;
  ++nd.life;
  armed_[n] = never;
  nd.core = std::make_unique<replica_core>(config_of(n), random, *this);
  recovered_replica r;
  if (nd.has_log)
    r.log = nd.log;
  if (nd.digest != digest_of(nd.rows)) {
    nd.up = false;
    lose_state(n); // the check at a start sets it aside
    nd.up = true;
  }
  const bool verified_first = options.verify_high <= duration{};
  if (verified_first)
    r.state = recovered(n);
  replica_effects out;
  if (!nd.core->start(std::move(r), now, out))
    problems.push_back("node " + std::to_string(n) + " can't start");
  carry(n, out);
  if (!verified_first)
    at(random.between(options.verify_low, options.verify_high),
       [this, n, life = nd.life] {
         if (!nodes[n].up || nodes[n].life != life)
           return;
         replica_effects later;
         nodes[n].core->on_state_recovered(recovered(n), now, later);
         carry(n, later);
         touch(n);
       });
  start_host(n);
  touch(n);
}

recovered_rows world::recovered(std::size_t n) const {
  const auto& nd = nodes[n];
  recovered_rows r;
  r.meta = nd.meta;
  if (nd.meta)
    r.digest = nd.digest;
  for (const auto& [key, row] : nd.rows)
    if (is_small_row(key)) {
      if (nd.rotten.count(key) != 0)
        r.damaged.push_back(key);
      else
        r.small_rows.push_back(row);
    }
  return r;
}

void world::crash(std::size_t n) {
  auto& nd = nodes[n];
  nd.up = nd.host_up = false;
  ++nd.life;
  ++nd.host_life;
  nd.core.reset();
  // Of what was not synced, a prefix is there.
  while (!nd.log_pending.empty() && random.chance(0.5)) {
    apply_log(nd, nd.log_pending.front(), nullptr);
    nd.log_pending.pop_front();
  }
  nd.log_pending.clear();
  while (!nd.state_pending.empty() && random.chance(0.5)) {
    nd.state_pending.front()(true);
    nd.state_pending.pop_front();
  }
  nd.state_pending.clear();
  nd.commits_open = 0;
  nd.staged.clear();
  nd.held.clear();
  nd.turns_at_once = 0;
  nd.last_role = {};
}

void world::cut(std::size_t a, std::size_t b, bool both) {
  cuts.insert({a, b});
  if (both)
    cuts.insert({b, a});
}
void world::heal() {
  cuts.clear();
}

void world::evidence(std::size_t dead) {
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (!nodes[n].up || n == dead)
      continue;
    replica_effects out;
    nodes[n].core->on_evidence(nodes[dead].self.node, node_evidence::link_down,
                               now, out);
    carry(n, out);
    touch(n);
  }
}

void world::start_host(std::size_t n) {
  auto& nd = nodes[n];
  nd.host_up = true;
  ++nd.host_life;
  nd.turns_at_once = 0;
  replica_effects out;
  for (const auto version : hosts)
    nd.core->on_host_up(now, out, version);
  carry(n, out);
  touch(n);
}

void world::kill_host(std::size_t n, const turn_suspects& died_of) {
  auto& nd = nodes[n];
  if (!nd.up || !nd.host_up)
    return;
  nd.host_up = false;
  ++nd.host_life;
  nd.held.clear();
  nd.turns_at_once = 0;
  replica_effects out;
  for (const auto version : hosts)
    nd.core->on_host_down(died_of, now, out, version);
  carry(n, out);
  touch(n);
  const auto life = nd.life;
  at(1ms, [this, n, life] {
    if (nodes[n].up && nodes[n].life == life && !nodes[n].host_up)
      start_host(n);
  });
}

// ---- calls ------------------------------------------------------------------

request_frame world::command(std::string key, std::string command,
                             std::string argument) {
  request_frame r;
  r.group = base.group;
  r.key = std::move(key);
  r.command = std::move(command);
  r.argument = to_bytes(argument);
  return r;
}

std::uint64_t world::call(std::size_t n, request_frame r) {
  const auto id = ++calls_;
  replica_effects out;
  nodes[n].core->on_request(id, std::move(r), now, out);
  carry(n, out);
  touch(n);
  return id;
}

std::optional<reply> world::answered(std::uint64_t call) const {
  const auto it = answers.find(call);
  return it == answers.end() ? std::nullopt : std::optional{it->second};
}

reply world::ask(std::size_t n, request_frame r, duration limit) {
  const auto id = call(n, std::move(r));
  if (!run_until([&] { return answers.count(id) != 0; }, limit)) {
    reply none;
    none.status = reply_status::unknown;
    none.message = "no answer at all";
    return none;
  }
  return answers.at(id);
}

std::uint64_t world::open_session(std::size_t n) {
  request_frame r;
  r.group = base.group;
  r.kind = request_kind::open_session;
  return ask(n, r).session;
}

std::string world::words(const std::string& key) {
  auto r = command(key, "get", "");
  r.kind = request_kind::query;
  const auto n = await_leader();
  const auto answer = ask(n, r);
  return answer.status == reply_status::ok ? to_text(answer.result)
                                           : to_string(answer.status);
}

// ---- time -------------------------------------------------------------------

void world::touch(std::size_t n) {
  if (dirty_[n])
    return;
  dirty_[n] = true;
  at(options.loop_high > duration{1}
         ? random.between(duration{1}, options.loop_high)
         : duration{1},
     [this, n] { flush(n); });
}

void world::arm(std::size_t n) {
  const auto due = nodes[n].core->deadline();
  if (due == never || armed_[n] <= due)
    return;
  armed_[n] = due;
  const auto life = nodes[n].life;
  at(std::max(due - now, duration{1}), [this, n, life, due] {
    if (armed_[n] == due)
      armed_[n] = never;
    if (!nodes[n].up || nodes[n].life != life)
      return;
    replica_effects out;
    nodes[n].core->on_tick(now, out);
    carry(n, out);
    touch(n);
  });
}

void world::flush(std::size_t n) {
  dirty_[n] = false;
  if (!nodes[n].up)
    return;
  replica_effects out;
  nodes[n].core->flush(now, out);
  carry(n, out);
  arm(n);
}

bool world::run_until(const std::function<bool()>& done, duration limit) {
  const auto end = now + limit;
  while (!done()) {
    if (events_.empty() || events_.begin()->first.first > end) {
      now = end;
      return done();
    }
    now = events_.begin()->first.first;
    auto f = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    f();
  }
  return true;
}
void world::run_for(duration d) {
  run_until([] { return false; }, d);
}

std::size_t world::leader() const {
  std::size_t found = SIZE_MAX;
  banyan::term best;
  for (std::size_t n = 0; n < nodes.size(); ++n)
    if (nodes[n].up) {
      const auto s = nodes[n].core->status();
      if (s.serving && s.term >= best) {
        best = s.term;
        found = n;
      }
    }
  return found;
}
std::size_t world::await_leader() {
  if (!run_until([&] { return leader() != SIZE_MAX; }, 30s))
    problems.push_back("nobody leads");
  return leader() == SIZE_MAX ? 0 : leader();
}

void world::check_states_equal() {
  const auto settled = [&] {
    std::optional<log_index> index;
    for (const auto& nd : nodes) {
      if (!nd.up)
        continue;
      const auto s = nd.core->status();
      if (s.last != s.committed || s.applied != s.committed)
        return false;
      if (index && *index != s.applied)
        return false;
      index = s.applied;
    }
    return true;
  };
  if (!run_until(settled, 30s)) {
    problems.push_back("the replicas don't settle");
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (nodes[i].up) {
        for (const auto& p : nodes[i].core->status().progress)
          problems.push_back("  " + std::to_string(i) + " has one at "
                             + std::to_string(p.durable.value())
                             + (p.snapshot ? " in a snapshot" : ""));
        const auto s = nodes[i].core->status();
        problems.push_back(std::to_string(i) + ": role "
                           + std::to_string(int(s.role)) + " term "
                           + std::to_string(s.term.value()) + " last "
                           + std::to_string(s.last.value()) + " committed "
                           + std::to_string(s.committed.value()) + " applied "
                           + std::to_string(s.applied.value()));
      }
    return;
  }
  const node* first = nullptr;
  for (const auto& nd : nodes) {
    if (!nd.up)
      continue;
    if (!first) {
      first = &nd;
      continue;
    }
    if (nd.meta->hash != first->meta->hash)
      problems.push_back("hash chains differ");
    const auto describe = [](const store::row& r) {
      return to_hex(r.key) + " by " + std::to_string(r.index.value()) + ": "
             + to_hex(r.value.view()).substr(0, 80);
    };
    const auto missing = [&](const node& a, const node& b, const char* what) {
      for (const auto& [key, row] : a.rows) {
        const auto it = b.rows.find(key);
        if (it == b.rows.end() || !(it->second.value == row.value)
            || it->second.index != row.index)
          problems.push_back(
              "applied states differ at one index: " + describe(row) + what
              + (it == b.rows.end() ? "" : describe(it->second)));
      }
    };
    missing(nd, *first, " elsewhere ");
    missing(*first, nd, " at the first, later ");
  }
}

} // namespace banyan::test
