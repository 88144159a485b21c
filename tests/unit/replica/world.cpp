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
  r.meta = nd.meta;
  for (const auto& [key, row] : nd.rows)
    if (is_small_row(key))
      r.small_rows.push_back(row);
  replica_effects out;
  if (!nd.core->start(std::move(r), now, out))
    problems.push_back("node " + std::to_string(n) + " can't start");
  carry(n, out);
  start_host(n);
  touch(n);
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
  nd.core->on_host_up(now, out);
  carry(n, out);
  touch(n);
}

void world::kill_host(std::size_t n, std::optional<turn_key> running) {
  auto& nd = nodes[n];
  if (!nd.up || !nd.host_up)
    return;
  nd.host_up = false;
  ++nd.host_life;
  nd.held.clear();
  nd.turns_at_once = 0;
  replica_effects out;
  nd.core->on_host_down(running, now, out);
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
  at(duration{1}, [this, n] { flush(n); });
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

// ---- the node's surroundings ------------------------------------------------

void world::apply_log(node& nd, const store::log_write& w,
                      std::vector<digest>* out) {
  auto& log = nd.log;
  nd.has_log = true;
  log.group = w.order.group;
  log.replica = w.order.replica;
  if (w.reset) {
    log.base = *w.reset;
    log.entries.clear();
    log.end_hash = w.reset->hash;
  }
  if (w.hard)
    log.hard = *w.hard;
  const auto recompute = [&] {
    auto h = log.base.hash;
    for (const auto& e : log.entries)
      h = store::chain_hash(h, e);
    log.end_hash = h;
  };
  if (!w.entries.empty()) {
    const auto keep =
        w.entries.front().index.value() - 1 - log.base.index.value();
    if (log.entries.size() > keep) {
      log.entries.resize(keep);
      recompute();
    }
    BANYAN_ASSERT(log.entries.size() == keep);
    for (const auto& e : w.entries) {
      log.end_hash = store::chain_hash(log.end_hash, e);
      log.entries.push_back(e);
      if (out)
        out->push_back(log.end_hash);
    }
  }
}

void world::log_step(std::size_t n) {
  auto& nd = nodes[n];
  const auto life = nd.life;
  at(random.between(options.disk_low, options.disk_high), [this, n, life] {
    auto& me = nodes[n];
    if (!me.up || me.life != life)
      return;
    std::vector<store::log_done> done;
    const auto batch = me.log_pending.size();
    for (std::size_t i = 0; i < batch; ++i) {
      auto w = std::move(me.log_pending.front());
      me.log_pending.pop_front();
      store::log_done d;
      d.order = w.order;
      if (disk_full)
        d.error = i == 0 ? store::store_errc::full : store::store_errc::stale;
      else
        apply_log(me, w, &d.hashes);
      done.push_back(std::move(d));
    }
    replica_effects out;
    for (const auto& d : done)
      me.core->on_log_done(d, now, out);
    carry(n, out);
    touch(n);
    if (!me.log_pending.empty())
      log_step(n);
  });
}

void world::state_later(std::size_t n, std::function<void(bool)> f) {
  auto& nd = nodes[n];
  nd.state_pending.push_back(std::move(f));
  const auto life = nd.life;
  at(random.between(options.disk_low, options.disk_high), [this, n, life] {
    auto& me = nodes[n];
    if (!me.up || me.life != life || me.state_pending.empty())
      return;
    auto next = std::move(me.state_pending.front());
    me.state_pending.pop_front();
    next(false);
    touch(n);
  });
}

void world::run_turns(std::size_t n, std::vector<turn_order> orders) {
  auto& nd = nodes[n];
  nd.turns_at_once += orders.size();
  if (!nd.host_up)
    return;
  const auto life = nd.host_life;
  duration at_time{};
  for (auto& o : orders) {
    if (o.command == "hang")
      continue;
    at_time += random.between(options.turn_low, options.turn_high);
    at(at_time, [this, n, life, o = std::move(o)] {
      auto& me = nodes[n];
      if (!me.up || !me.host_up || me.host_life != life)
        return;
      if (o.command == "die") {
        kill_host(n, o.key);
        return;
      }
      ++me.turns_run;
      --me.turns_at_once;
      replica_effects out;
      me.core->on_turn_results({run_app(o)}, now, out);
      carry(n, out);
      touch(n);
    });
  }
}

struct carrier {
  world& w;
  std::size_t n;
  node& nd = w.nodes[n];

  void operator()(send_group_frame& e) const {
    group_frame f;
    BANYAN_ASSERT(decode(e.frame, f));
    for (std::size_t to = 0; to < w.nodes.size(); ++to) {
      if (w.nodes[to].self.node != e.to || w.cuts.count({n, to}) != 0
          || w.random.chance(w.options.loss) || (w.drop && w.drop(n, to, f)))
        continue;
      w.at(w.random.between(w.options.net_low, w.options.net_high),
           [&world = w, from = n, to, frame = e.frame] {
             if (!world.nodes[to].up || world.cuts.count({from, to}) != 0)
               return;
             replica_effects out;
             world.nodes[to].core->on_group_frame(world.nodes[from].self.node,
                                                  frame, world.now, out);
             world.carry(to, out);
             world.touch(to);
           });
    }
  }
  void operator()(order_log& e) const {
    w.note(e.write.order.number);
    nd.log_pending.push_back(std::move(e.write));
    if (nd.log_pending.size() == 1)
      w.log_step(n);
  }
  void operator()(order_log_cut& e) const {
    auto& log = nd.log;
    while (!log.entries.empty() && log.base.index < e.index) {
      const auto& first = log.entries.front();
      log.base = {first.index, first.term,
                  store::chain_hash(log.base.hash, first)};
      log.entries.erase(log.entries.begin());
    }
  }
  static void put(std::map<bytes, store::row>& rows,
                  const std::vector<store::row_change>& changes) {
    for (const auto& c : changes)
      if (c.value)
        rows[c.key] = {c.key, *c.value, c.index};
      else
        rows.erase(c.key);
  }
  void operator()(order_commit& e) const {
    const auto& meta = *e.commit.meta;
    const auto [it, fresh] = w.hashes.emplace(meta.index.value(), meta.hash);
    if (!fresh && it->second != meta.hash)
      w.problems.push_back("two histories at index "
                           + std::to_string(meta.index.value()));
    w.state_later(n, [&world = w, at = n, c = std::move(e.commit)](bool only) {
      auto& me = world.nodes[at];
      put(me.rows, c.rows);
      me.meta = c.meta;
      if (only)
        return;
      replica_effects out;
      me.core->on_state_committed(c.order, {}, world.now, out);
      world.carry(at, out);
    });
  }
  void operator()(order_read& e) const {
    w.state_later(n, [&world = w, at = n, e](bool only) {
      if (only)
        return;
      auto& me = world.nodes[at];
      std::optional<store::row> row;
      if (const auto it = me.rows.find(e.key); it != me.rows.end())
        row = it->second;
      replica_effects out;
      me.core->on_state_read(e.order, row, world.now, out);
      world.carry(at, out);
    });
  }
  void operator()(order_scan& e) const {
    w.state_later(n, [&world = w, at = n, e](bool only) {
      if (only)
        return;
      auto& me = world.nodes[at];
      store::scan_page page;
      std::size_t size = 0;
      auto it = me.rows.lower_bound(std::max(e.request.from, e.request.prefix));
      for (; it != me.rows.end(); ++it) {
        const auto& key = it->first;
        if (key.size() < e.request.prefix.size()
            || !std::equal(e.request.prefix.begin(), e.request.prefix.end(),
                           key.begin()))
          break;
        if (!page.rows.empty()
            && (size > e.request.bytes_max
                || page.rows.size() >= e.request.rows_max)) {
          page.next = key;
          break;
        }
        size += key.size() + it->second.value.size();
        page.rows.push_back(it->second);
      }
      replica_effects out;
      me.core->on_state_scanned(e.order, std::move(page), world.now, out);
      world.carry(at, out);
    });
  }
  void operator()(order_stage& e) const {
    w.state_later(n, [&world = w, at = n, e](bool only) {
      auto& me = world.nodes[at];
      switch (e.what) {
      case order_stage::step::put:
        put(me.staged, e.rows);
        break;
      case order_stage::step::finish:
        me.rows = std::exchange(me.staged, {});
        me.meta = e.meta;
        break;
      default:
        me.staged.clear();
      }
      if (only)
        return;
      replica_effects out;
      me.core->on_staged(e.order, e.what, {}, world.now, out);
      world.carry(at, out);
    });
  }
  void operator()(order_turns& e) const {
    for (const auto& o : e.orders)
      w.note(o.key.number);
    if (w.hold_turns) {
      for (auto& o : e.orders)
        nd.held.push_back(std::move(o));
      return;
    }
    w.run_turns(n, std::move(e.orders));
  }
  void operator()(answer_call& e) const {
    w.note(e.call * 31 + static_cast<std::uint64_t>(e.reply.status));
    if (!w.answers.emplace(e.call, std::move(e.reply)).second)
      w.problems.push_back("a call was answered twice");
  }
  void operator()(send_stream& e) const {
    w.foreign.push_back(std::move(e.frame));
  }
  void operator()(role_changed& e) const {
    w.note(static_cast<std::uint64_t>(e.now) * 7 + e.term.value());
    nd.last_role = e;
    if (e.now != role_changed::role::leader)
      return;
    const auto it = w.leaders.emplace(e.term, nd.self).first;
    if (it->second != nd.self)
      w.problems.push_back("two leaders in one term");
  }
  void operator()(configuration_changed& e) const {
    nd.configuration = e.configuration;
  }
  void operator()(failover_report& e) const { nd.failovers.push_back(e); }
  void operator()(change_done& e) const { nd.changes.push_back(e); }
  void operator()(banyan::replica_lost& e) const { nd.lost.push_back(e); }
  void operator()(replica_retired&) const { nd.retired = true; }
  void operator()(replica_failed& e) const {
    w.problems.push_back("replica failed: " + e.message);
  }
  template <class T>
  void operator()(T&) const {}
};

void world::carry(std::size_t n, replica_effects& out) {
  for (auto& e : out) {
    note(e.index());
    std::visit(carrier{*this, n}, e);
  }
  out.clear();
  note(static_cast<std::uint64_t>(now.time_since_epoch().count()));
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
