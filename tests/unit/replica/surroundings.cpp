// What surrounds a replica: its log, state, host and links.
#include "world.hpp"

#include <algorithm>

namespace banyan::test {

store::state_digest
world::digest_of(const std::map<bytes, store::row>& rows) const {
  store::state_digest sum;
  for (const auto& [key, row] : rows)
    store::add(sum,
               store::row_hash(base.group, key, row.index, row.value.view()));
  return sum;
}

/// As the store does: the digest follows the rows one by one, and is computed
/// anew when what is overwritten can't be trusted.
void world::write_rows(node& nd,
                       const std::vector<store::row_change>& changes) const {
  bool anew = false;
  for (const auto& c : changes) {
    const auto old = nd.rows.find(c.key);
    anew |= nd.rotten.erase(c.key) != 0;
    if (old != nd.rows.end())
      store::subtract(nd.digest,
                      store::row_hash(base.group, c.key, old->second.index,
                                      old->second.value.view()));
    if (c.value) {
      nd.rows[c.key] = {c.key, *c.value, c.index};
      store::add(nd.digest,
                 store::row_hash(base.group, c.key, c.index, c.value->view()));
    } else {
      nd.rows.erase(c.key);
    }
  }
  if (anew)
    nd.digest = digest_of(nd.rows);
}

// ---- what goes wrong on a disk ----------------------------------------------

void world::rot(std::size_t n, const bytes& key) {
  nodes[n].rotten.insert(key);
}

void world::lose_state(std::size_t n) {
  auto& nd = nodes[n];
  BANYAN_ASSERT(!nd.up);
  nd.rows.clear();
  nd.rotten.clear();
  nd.meta.reset();
  nd.digest = {};
}

void world::falsify(std::size_t n, const bytes& key, bool digest_follows) {
  auto& nd = nodes[n];
  auto& row = nd.rows.at(key);
  row.value = shared_bytes{to_bytes("false")};
  if (digest_follows)
    nd.digest = digest_of(nd.rows);
}

void world::scrub(std::size_t n) {
  auto& nd = nodes[n];
  replica_effects out;
  for (const auto& key : nd.rotten)
    nd.core->on_row_damaged(key, now, out);
  if (nd.rotten.empty() && nd.digest != digest_of(nd.rows))
    nd.core->on_state_inconsistent(now, out);
  carry(n, out);
  touch(n);
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

void world::run_turns(std::size_t n, std::uint64_t version,
                      std::vector<turn_order> orders) {
  auto& nd = nodes[n];
  nd.turns_at_once += orders.size();
  nd.ran_on[version] += orders.size();
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
        kill_host(n, {true, o.key});
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
    ++nd.log_orders;
    nd.log_pending.push_back(std::move(e.write));
    if (nd.log_pending.size() == 1)
      w.log_step(n);
  }
  void operator()(order_log_cut& e) const {
    if (!nd.meta || nd.meta->index < e.index)
      w.problems.push_back("a log was cut beyond the state that is stored");
    auto& log = nd.log;
    while (!log.entries.empty() && log.base.index < e.index) {
      const auto& first = log.entries.front();
      log.base = {first.index, first.term,
                  store::chain_hash(log.base.hash, first)};
      log.entries.erase(log.entries.begin());
    }
  }
  void operator()(order_commit& e) const {
    if (const auto& meta = e.commit.meta) {
      const auto [it, fresh] =
          w.hashes.emplace(meta->index.value(), meta->hash);
      if (!fresh && it->second != meta->hash)
        w.problems.push_back("two histories at index "
                             + std::to_string(meta->index.value()));
    }
    ++nd.commits_open;
    nd.mends += e.commit.meta ? 0 : 1;
    w.state_later(n, [&world = w, at = n, c = std::move(e.commit)](bool only) {
      auto& me = world.nodes[at];
      --me.commits_open;
      auto fails = std::exchange(me.commit_fails, std::nullopt);
      if (!c.meta && !me.meta)
        fails = store::store_errc::stale;
      if (fails) {
        if (only)
          return;
        replica_effects out;
        me.core->on_state_committed(c.order, failure{*fails}, world.now, out);
        world.carry(at, out);
        return;
      }
      if (!c.meta)
        for (const auto& row : c.rows)
          if (row.index > me.meta->index)
            world.problems.push_back("a row was put back before its time");
      world.write_rows(me, c.rows);
      if (c.meta)
        me.meta = c.meta;
      if (only)
        return;
      replica_effects out;
      me.core->on_state_committed(
          c.order,
          store::digest_at{world.base.group, me.meta->index, me.digest},
          world.now, out);
      world.carry(at, out);
    });
  }
  void operator()(order_read& e) const {
    ++nd.rows_ordered;
    w.state_later(n, [&world = w, at = n, e](bool only) {
      if (only)
        return;
      auto& me = world.nodes[at];
      std::optional<store::row> row;
      if (const auto it = me.rows.find(e.key); it != me.rows.end())
        row = it->second;
      replica_effects out;
      if (me.rotten.count(e.key) != 0)
        me.core->on_state_read(e.order, failure{store::store_errc::damaged},
                               world.now, out);
      else
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
        if (me.rotten.count(key) != 0) {
          page.damaged.push_back(key);
          continue;
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
    // A node gathers the commits of a loop turn: one might come after it.
    nd.finishes += e.what == order_stage::step::finish ? 1 : 0;
    if (e.what == order_stage::step::finish && nd.commits_open != 0)
      w.problems.push_back("a snapshot switches while a commit is under way");
    w.state_later(n, [&world = w, at = n, e](bool only) {
      auto& me = world.nodes[at];
      bool mismatch = false;
      switch (e.what) {
      case order_stage::step::put:
        for (const auto& c : e.rows)
          if (c.value)
            me.staged[c.key] = {c.key, *c.value, c.index};
          else
            me.staged.erase(c.key);
        break;
      case order_stage::step::finish:
        mismatch = e.expected && *e.expected != world.digest_of(me.staged);
        if (mismatch) {
          me.staged.clear();
          ++world.mismatches;
          break;
        }
        me.rows = std::exchange(me.staged, {});
        me.rotten.clear();
        me.digest = world.digest_of(me.rows);
        me.meta = e.meta;
        break;
      default:
        me.staged.clear();
      }
      if (only)
        return;
      replica_effects out;
      if (mismatch)
        me.core->on_staged(e.order, e.what,
                           failure{store::store_errc::mismatch}, world.now,
                           out);
      else
        me.core->on_staged(
            e.order, e.what,
            store::digest_at{world.base.group, e.meta.index, me.digest},
            world.now, out);
      world.carry(at, out);
    });
  }
  void operator()(order_turns& e) const {
    for (const auto& o : e.orders)
      w.note(o.key.number);
    if (w.hold_turns) {
      for (auto& o : e.orders)
        nd.held.push_back(std::move(o));
      nd.held_version = e.version;
      return;
    }
    w.run_turns(n, e.version, std::move(e.orders));
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
  void operator()(checkpoint_judged& e) const { nd.judged.push_back(e); }
  void operator()(state_phase_changed& e) const {
    nd.phases.push_back(e);
    if (e.now == state_phase::whole)
      ++nd.times_whole;
  }
  void operator()(row_damaged& e) const { nd.damaged.push_back(e); }
  void operator()(row_mended& e) const { nd.mended.push_back(e.key); }
  void operator()(version_changed& e) const { nd.version = e; }
  void operator()(entry_refused& e) const { nd.refused.push_back(e); }
  void operator()(state_doubted&) const {
    // The node has its scrub look at the group.
    w.at(1ms, [&world = w, at = n, life = nd.life] {
      if (world.nodes[at].up && world.nodes[at].life == life)
        world.scrub(at);
    });
  }
  void operator()(copy_given& e) const { w.copies.push_back(std::move(e)); }
  void operator()(replica_failed& e) const {
    nd.failed = e;
    if (!e.newer)
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

} // namespace banyan::test
