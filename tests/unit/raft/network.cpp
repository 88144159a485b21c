#include "network.hpp"

#include <algorithm>

namespace banyan::raft_test {

replica_ref replica(unsigned n) {
  std::array<std::uint8_t, 32> node{};
  std::array<std::uint8_t, 16> id{};
  node.back() = id.back() = static_cast<std::uint8_t>(n);
  return {node_id{node}, replica_id{id}};
}

unsigned number_of(const replica_ref& r) {
  return r.node.array().back();
}

// --- network ----------------------------------------------------------------

network::network(std::uint64_t seed, unsigned voters, unsigned spares,
                 raft::options opts, weather w)
    : random_{seed}, opts_{opts}, weather_{w} {
  raft::configuration genesis;
  for (unsigned n = 1; n <= voters; ++n)
    genesis.voters.insert(replica(n));
  for (unsigned n = 1; n <= voters + spares; ++n) {
    auto m = std::make_unique<machine>();
    m->id = replica(n);
    m->stored.configurations.emplace_back(
        log_index{}, n <= voters ? genesis : raft::configuration{});
    start(*m);
    machines_.push_back(std::move(m));
  }
}

void network::at(time_point when, event e) {
  events_.emplace(when, std::move(e));
}

void network::run(duration span) {
  const auto end = now_ + span;
  while (complaint_.empty()) {
    // The earliest of events and deadlines.
    auto next = events_.empty() ? never : events_.begin()->first;
    machine* due = nullptr;
    for (const auto& m : machines_)
      if (m->core && m->core->deadline() < next) {
        next = m->core->deadline();
        due = m.get();
      }
    if (next > end)
      break;
    now_ = std::max(now_, next);
    if (due) {
      due->core->tick(now_);
      settle(*due);
      continue;
    }
    auto e = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    e();
  }
  now_ = end;
}

void network::start(machine& m) {
  ++m.life;
  m.pending = random_.chance(0.4);
  auto from = m.pending ? m.stored.log_alone() : m.stored.restart();
  m.stored.base = from.base; // the log begins where the core does
  m.stored.entries = from.entries;
  m.applied = from.applied;
  m.core =
      std::make_unique<raft::core>(m.id, opts_, random_, std::move(from), now_);
  m.core->set_incarnation(incarnation{m.life});
  if (m.pending) {
    m.core->set_may_lead(now_, false);
    at(now_ + delay() + delay(), [this, &m, life = m.life] {
      if (m.core && m.life == life)
        find_state(m);
    });
  }
  settle(m);
}

/// What was stored as applied is known from now on; until then the core had its
/// log alone.
void network::find_state(machine& m) {
  const auto applied = m.stored.applied;
  const auto& conf = m.stored.configuration_at(applied.index);
  if (!m.core->state_known(now_, applied, conf)) {
    if (m.core->install(now_, applied, conf))
      m.applied = applied.index;
    else
      complain("log and state contradict each other");
  }
  m.pending = false;
  m.core->set_may_lead(now_, true);
  ++count.pending;
  settle(m);
  // Its log begins behind what is committed: others may take that as told.
  for (const auto& other : machines_)
    if (other->core && other.get() != &m && random_.chance(0.3)) {
      other->core->learn_committed(now_, m.stored.base.index,
                                   m.stored.base.term);
      settle(*other);
    }
}

void network::crash(machine& m) {
  ++count.crashes;
  m.core.reset();
  // What was under way is on disk up to some point, in order.
  const auto kept = random_.below(m.writing.size() + 1);
  for (std::size_t i = 0; i < kept; ++i)
    m.stored.write(m.writing[i]);
  m.writing.clear();
  m.reads.clear();
  m.asked.clear();
}

void network::settle(machine& m) {
  std::vector<raft::effect> effects;
  m.core->flush(now_, effects);
  m.core->check_invariants();
  for (auto& e : effects)
    carry_out(m, e);
}

void network::carry_out(machine& m, raft::effect& e) {
  if (auto* s = std::get_if<raft::send>(&e)) {
    send(s->message);
  } else if (auto* p = std::get_if<raft::persist>(&e)) {
    order(m, std::move(*p));
  } else if (auto* c = std::get_if<raft::committed>(&e)) {
    apply(m, *c);
  } else if (auto* r = std::get_if<raft::role_changed>(&e)) {
    if (r->role == raft::role::leader) {
      ++count.elections;
      const auto [it, first] = leaders_.emplace(r->term, m.id);
      if (!first)
        complain("two leaders of term " + std::to_string(r->term.value()));
    }
  } else if (auto* ok = std::get_if<raft::reads_confirmed>(&e)) {
    for (const auto context : ok->contexts) {
      const auto least = m.reads.find(context);
      ++count.reads;
      if (least == m.reads.end() || ok->index < least->second)
        complain("a stale read was confirmed");
      else
        m.reads.erase(least);
    }
  } else if (auto* gone = std::get_if<raft::reads_dropped>(&e)) {
    for (const auto context : gone->contexts)
      if (m.reads.erase(context) == 0)
        complain("an unknown read was dropped");
  } else if (auto* f = std::get_if<raft::fresh>(&e)) {
    ++count.fresh;
    const auto least = m.asked.find(f->asked);
    if (least == m.asked.end() || f->index < least->second)
      complain("an older state was called fresh");
  } else if (auto* n = std::get_if<raft::needs_snapshot>(&e)) {
    send_snapshot(m, n->peer);
  } else if (auto* conf = std::get_if<raft::configuration_changed>(&e)) {
    if (conf->committed) {
      ++count.changes;
      m.stored.configurations.emplace_back(conf->index, conf->configuration);
    }
  } else if (auto* t = std::get_if<raft::transfer_ended>(&e)) {
    count.transfers += t->done ? 1 : 0;
  } else if (std::holds_alternative<raft::asleep>(e)) {
    ++count.sleeps;
  } else if (std::holds_alternative<raft::replica_lost>(e)) {
    complain("nobody lost a replica here");
  } else if (std::holds_alternative<raft::log_lost>(e)) {
    complain("no disk is an older one here");
  }
}

void network::send(const raft::message& m) {
  ++count.messages;
  if (!connected(m.from, m.to) || random_.chance(weather_.loss))
    return;
  // Over the wire and back: the codec takes part.
  const auto wire = raft::encode(m);
  auto back = raft::decode_message(wire, m.from.node, m.to.node);
  if (!back.ok() || raft::encode(*back) != wire) {
    complain(std::string{"the codec lost a "} + raft::name_of(m.body));
    return;
  }
  const int copies = random_.chance(weather_.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i)
    at(now_ + delay(), [this, copy = *back] { deliver(copy); });
}

void network::deliver(const raft::message& m) {
  auto* to = find(m.to);
  if (!to || !to->core || !connected(m.from, m.to))
    return;
  to->core->step(now_, m);
  // Sometimes several inputs make one batch.
  if (!random_.chance(0.2))
    settle(*to);
  else
    at(now_ + 100us, [this, to, life = to->life] {
      if (to->core && to->life == life)
        settle(*to);
    });
}

void network::order(machine& m, raft::persist p) {
  const auto number = p.number;
  m.writing.push_back(std::move(p));
  m.writes_done = std::max(m.writes_done, now_) + delay();
  at(m.writes_done, [this, &m, number, life = m.life] {
    if (!m.core || m.life != life)
      return;
    while (!m.writing.empty() && m.writing.front().number <= number) {
      m.stored.write(m.writing.front());
      m.writing.erase(m.writing.begin());
    }
    m.core->persisted(now_, number);
    settle(m);
  });
}

void network::apply(machine& m, const raft::committed& c) {
  for (const auto& e : c.entries) {
    if (e.index != m.applied.next())
      complain("committed entries out of order");
    m.applied = e.index;
    ++count.commits;
    const auto [it, first] = committed_.emplace(e.index, e);
    if (!first
        && (it->second.term != e.term || it->second.kind != e.kind
            || !(it->second.data == e.data)))
      complain("the committed entry " + std::to_string(e.index.value())
               + " changed");
    if (m.core->leads())
      acknowledged_ = std::max(acknowledged_, e.index);
  }
  if (m.pending)
    return;
  // The store takes what is applied now and then; never ahead of the log.
  const auto durable = std::min(m.applied, m.core->persisted_index());
  if (random_.chance(0.3) && durable > m.stored.applied.index
      && m.core->log().knows(durable)
      && durable.value() - m.stored.base.index.value()
             <= m.stored.entries.size())
    m.stored.applied = {durable, m.core->log().term_at(durable), {}};
}

void network::send_snapshot(machine& from, const replica_ref& to) {
  ++count.snapshots;
  const auto index = from.core->committed_index();
  const log_base base{index, from.core->log().term_at(index), {}};
  const auto conf = from.core->committed_configuration();
  from.core->snapshot_started(now_, to, index);
  at(now_ + delay() + delay(), [=, &from, life = from.life] {
    auto* m = find(to);
    const bool arrives = m && m->core && !m->pending && connected(from.id, to)
                         && !random_.chance(0.2);
    if (arrives) {
      if (base.index > m->core->committed_index()) {
        const auto before = m->core->committed_index();
        if (m->core->install(now_, base, conf)) {
          m->applied = base.index;
          m->stored.applied = base; // durable before the log hears of it
          m->stored.configurations.emplace_back(base.index, conf);
          if (before >= base.index)
            complain("an install went back");
        }
      }
      settle(*m);
    }
    if (!from.core || from.life != life)
      return;
    if (arrives)
      from.core->snapshot_finished(now_, to, index);
    else
      from.core->snapshot_failed(now_, to);
    settle(from);
  });
}

// --- what happens -----------------------------------------------------------

/// Leaderships of milliseconds, and crashes in the middle of a write.
void network::unrest() {
  auto& m = any();
  if (!m.core) {
    start(m);
    return;
  }
  if (!m.writing.empty() && random_.chance(0.3)) {
    crash(m);
    if (random_.chance(0.8))
      start(m); // at once: it may meet answers to its former life
    return;
  }
  if (m.core->leads() && random_.chance(0.5))
    (void)m.core->propose(now_,
                          shared_bytes{to_bytes(std::to_string(++contexts_))});
  settle(m);
  if (!random_.chance(0.15))
    return;
  for (const auto& x : machines_)
    if (x->core && x->core->leader() && random_.chance(0.6)) {
      x->core->leader_lost(now_, x->core->leader()->node,
                           raft::evidence::silence,
                           static_cast<unsigned>(random_.below(2)));
      settle(*x);
    }
}

void network::disturb() {
  if (weather_.restless && random_.chance(0.8)) {
    unrest();
    return;
  }
  auto& m = any();
  auto* leader = any_leader();
  switch (random_.below(24)) {
  case 0: {
    const auto up = std::count_if(machines_.begin(), machines_.end(),
                                  [](auto& x) { return x->core != nullptr; });
    if (m.core && up * 2 > static_cast<long>(machines_.size()))
      crash(m);
    break;
  }
  case 1:
  case 2:
    if (!m.core)
      start(m);
    break;
  case 3:
    cut_off_.clear();
    if (random_.chance(0.5))
      for (const auto& x : machines_)
        if (random_.chance(0.4))
          cut_off_.insert(x->id);
    break;
  case 4:
    if (leader && random_.chance(0.5))
      change_something(*leader);
    break;
  case 5:
    if (leader) {
      leader->core->transfer(now_, any().id);
      settle(*leader);
    }
    break;
  case 6: // evidence, right or wrong
    if (m.core && m.core->leader()) {
      m.core->leader_lost(now_, m.core->leader()->node, raft::evidence::silence,
                          static_cast<unsigned>(random_.below(3)));
      settle(m);
    }
    break;
  case 7:
    if (m.core) {
      m.core->wake(now_);
      settle(m);
    }
    break;
  case 8:
    if (m.core && m.writing.empty() && random_.chance(0.3)) {
      const auto cut = m.core->trim(m.stored.applied.index);
      if (cut > m.stored.base.index) {
        auto& s = m.stored;
        const auto n = cut.value() - s.base.index.value();
        BANYAN_ASSERT(n <= s.entries.size());
        s.base = {cut, s.entries[n - 1].term, {}};
        s.entries.erase(s.entries.begin(),
                        s.entries.begin() + static_cast<std::ptrdiff_t>(n));
      }
    }
    break;
  case 9:
  case 10:
  case 11:
    if (m.core && m.core->leads()) {
      m.reads.emplace(++contexts_, acknowledged_);
      if (!m.core->read(now_, contexts_))
        complain("a leader refused a read");
      settle(m);
    }
    break;
  case 12:
    if (m.core && m.asked.emplace(now_, acknowledged_).second) {
      m.core->confirm(now_);
      settle(m);
    }
    break;
  default:
    for (auto n = random_.below(4); leader && n > 0; --n)
      if (leader->core) {
        (void)leader->core->propose(
            now_, shared_bytes{to_bytes(std::to_string(++contexts_))});
        if (random_.chance(0.5))
          settle(*leader);
      }
    if (leader && leader->core)
      settle(*leader);
  }
}

void network::change_something(machine& leader) {
  using kind = raft::change::kind;
  std::vector<raft::change> steps;
  const auto& c = leader.core->configuration();
  const auto who = any().id;
  switch (random_.below(4)) {
  case 0:
    steps.push_back({kind::add_learner, who});
    break;
  case 1:
    steps.push_back({kind::add_voter, who});
    break;
  case 2:
    if (c.voters.size() > 2)
      steps.push_back({kind::remove, who});
    break;
  default: // a replacement: one in, one out, in one joint change
    steps.push_back({kind::add_voter, who});
    steps.push_back({kind::remove, any().id});
    break;
  }
  if (c.voters.size() <= 2 && steps.size() == 1
      && steps.front().what == kind::add_learner && c.is_voter(who))
    return;
  (void)leader.core->propose_change(now_, steps);
  settle(leader);
}

void network::heal() {
  cut_off_.clear();
  weather_.loss = weather_.duplicate = weather_.slow = 0;
  for (auto& m : machines_)
    if (!m->core)
      start(*m);
}

void network::expect_convergence(duration limit) {
  const auto end = now_ + limit;
  log_index goal;
  term proposed;
  while (complaint_.empty() && now_ < end) {
    run(50ms);
    auto* leader = any_leader();
    if (goal.value() == 0) {
      if (leader && leader->core->leads_committed()) {
        if (auto index = leader->core->propose(
                now_, shared_bytes{to_bytes("the last one")}))
          goal = *index;
        proposed = leader->core->term();
        settle(*leader);
      }
      continue;
    }
    if (!leader)
      continue;
    const auto& c = leader->core->configuration();
    if (!c.joint()
        && std::all_of(machines_.begin(), machines_.end(), [&](auto& m) {
             return !c.contains(m->id) || m->core->committed_index() >= goal;
           }))
      return;
    if (leader->core->term() != proposed)
      goal = {}; // lost with its term, perhaps: once more
  }
  complain("no convergence");
}

void network::check() {
  // Log matching: one (index, term), one entry, at everybody and for ever.
  for (const auto& m : machines_) {
    if (!m->core)
      continue;
    const auto& log = m->core->log();
    for (auto i = log.base().index.next(); i <= log.last_index();
         i = i.next()) {
      const auto& e = log.at(i);
      auto what = e.data.view().copy();
      what.push_back(static_cast<std::uint8_t>(e.kind));
      const auto [it, first] =
          seen_.emplace(std::pair{i.value(), e.term.value()}, what);
      if (!first && it->second != what)
        complain("logs differ at one index and term");
    }
  }
}

std::string network::describe() const {
  static constexpr const char* roles[] = {"follower", "pre_candidate",
                                          "candidate", "leader"};
  std::string out;
  const auto set = [](const raft::replica_set& members) {
    std::string text = "(";
    for (const auto& r : members)
      text += std::to_string(number_of(r)) + ' ';
    return text + ")";
  };
  for (const auto& m : machines_) {
    out += "\n  " + std::to_string(number_of(m->id)) + ' ';
    if (!m->core) {
      out += "down";
      continue;
    }
    const auto& c = *m->core;
    out += roles[static_cast<unsigned>(c.role())];
    out += " term=" + std::to_string(c.term().value())
           + " log=" + std::to_string(c.log().base().index.value()) + ".."
           + std::to_string(c.log().last_index().value()) + "@"
           + std::to_string(c.log().last_term().value())
           + " committed=" + std::to_string(c.committed_index().value())
           + " voters=" + set(c.configuration().voters)
           + " outgoing=" + set(c.configuration().outgoing) + " learners="
           + set(c.configuration().learners) + (c.is_asleep() ? " asleep" : "");
    for (const auto& p : c.peers())
      out += " [" + std::to_string(number_of(p.peer))
             + " match=" + std::to_string(p.match.value())
             + " state=" + std::to_string(static_cast<int>(p.state)) + "]";
  }
  return out;
}

void network::complain(const std::string& what) {
  if (complaint_.empty())
    complaint_ = what + " at "
                 + std::to_string(to_ms(now_.time_since_epoch()) - 3600e3)
                 + " ms" + describe();
}

network::machine* network::find(const replica_ref& r) {
  for (const auto& m : machines_)
    if (m->id == r)
      return m.get();
  return nullptr;
}

network::machine& network::any() {
  return *machines_[random_.below(machines_.size())];
}

network::machine* network::any_leader() {
  machine* found = nullptr;
  for (const auto& m : machines_)
    if (m->core && m->core->leads()
        && (!found || m->core->term() > found->core->term()))
      found = m.get();
  return found;
}

bool network::connected(const replica_ref& a, const replica_ref& b) const {
  return cut_off_.count(a) == cut_off_.count(b);
}

duration network::delay() {
  return random_.between(50us, random_.chance(weather_.slow)
                                   ? weather_.slow_max
                                   : weather_.fast_max);
}

} // namespace banyan::raft_test
