#include "etcd_driver.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <sstream>

namespace banyan::raft_test {
namespace {

using raft::configuration;

unsigned number(const std::string& s) {
  return static_cast<unsigned>(std::stoul(s));
}

raft::replica_set set_of(const std::vector<std::string>* ids) {
  raft::replica_set out;
  if (ids)
    for (const auto& id : *ids)
      out.insert(replica(number(id)));
  return out;
}

std::string name(const raft::replica_set& s) {
  std::string out;
  for (const auto& r : s)
    out += (out.empty() ? "" : ",") + std::to_string(number_of(r));
  return "(" + out + ")";
}

/// As `etcd_reader` writes it.
std::string name(const configuration& c) {
  auto out = name(c.voters);
  if (c.joint())
    out += "&&" + name(c.outgoing);
  if (!c.learners.empty())
    out += ";learners=" + name(c.learners);
  if (!c.learners_next.empty())
    out += ";learners_next=" + name(c.learners_next);
  return out;
}

} // namespace

etcd_driver::machine& etcd_driver::at(const std::string& n) {
  return machines_.at(number(n));
}

void etcd_driver::add_nodes(const directive& d) {
  raft::options o;
  o.sleep_after = duration::max();
  if (d.value("checkquorum", "false") != "true")
    o.quorum_timeout = 24h;
  o.flow.window_appends = std::stoul(d.value("inflight", "1024"));
  pre_vote_ = pre_vote_ || d.value("prevote", "false") == "true";
  async_ = async_ || d.value("async-storage-writes", "false") == "true";
  raft::restart_state from;
  from.configuration.voters = set_of(d.argument("voters"));
  from.configuration.learners = set_of(d.argument("learners"));
  from.base.index = log_index{std::stoul(d.value("index", "0"))};
  from.applied = from.base.index;
  for (auto left = number(d.words().at(0)); left > 0; --left) {
    const auto n = static_cast<unsigned>(machines_.size() + 1);
    auto& m = machines_[n];
    m.id = replica(n);
    m.random = std::make_unique<seeded_random>(n);
    m.stored.base = from.base;
    m.core = std::make_unique<raft::core>(m.id, o, *m.random, from, now_);
  }
}

// --- what a replica does ----------------------------------------------------

/// Hands out what the core has gathered; false when that was nothing.
bool etcd_driver::flush(machine& m) {
  std::vector<raft::effect> effects;
  m.core->flush(now_, effects);
  m.core->check_invariants();
  for (auto& e : effects) {
    if (auto* s = std::get_if<raft::send>(&e)) {
      const auto to = s->message.to;
      wire_.push_back({m.id, to, std::move(s->message), {}});
    }
    if (auto* p = std::get_if<raft::persist>(&e)) {
      if (p->state)
        m.hard = *p->state;
      m.writing.push_back(std::move(*p));
    }
    if (const auto* c = std::get_if<raft::committed>(&e))
      for (const auto& entry : c->entries) {
        const auto& first =
            committed_.emplace(entry.index, entry).first->second;
        if (first.term != entry.term || !(first.data == entry.data))
          complaint_ = "committed entries differ at "
                       + std::to_string(entry.index.value()) + "\n";
      }
    if (const auto* n = std::get_if<raft::needs_snapshot>(&e))
      send_snapshot(m, n->peer);
  }
  return !effects.empty();
}

void etcd_driver::send_snapshot(machine& from, const replica_ref& to) {
  const auto index = from.core->committed_index();
  from.core->snapshot_started(now_, to, index);
  wire_.push_back({from.id,
                   to,
                   std::nullopt,
                   {{index, from.core->log().term_at(index), {}},
                    from.core->committed_configuration()}});
}

void etcd_driver::sync(machine& m, std::size_t writes) {
  for (; writes > 0 && !m.writing.empty(); --writes) {
    m.stored.write(m.writing.front());
    m.core->persisted(now_, m.writing.front().number);
    m.writing.pop_front();
  }
}

/// One Ready: the write, and what may leave once it is synced.
bool etcd_driver::ready(machine& m) {
  if (!m.changes.empty()) {
    const auto r = m.core->propose_change(now_, m.changes.front());
    if (r || r.error() == raft::change_errc::not_leader)
      m.changes.pop_front();
  }
  auto& c = *m.core;
  if (c.leads() && c.committed_index() > m.told) {
    m.told = c.committed_index();
    now_ = std::max(now_, c.deadline());
    c.tick(now_);
  }
  bool any = flush(m);
  if (!async_ && !m.writing.empty()) {
    any = true;
    sync(m, m.writing.size());
    flush(m);
  }
  return any;
}

bool etcd_driver::deliver(machine& m) {
  std::vector<in_flight> mine;
  std::vector<in_flight> rest;
  for (auto& f : wire_)
    (f.to == m.id ? mine : rest).push_back(std::move(f));
  wire_ = std::move(rest);
  for (const auto& f : mine) {
    if (f.message) {
      m.core->step(now_, *f.message);
      continue;
    }
    m.core->install(now_, f.state.base, f.state.configuration);
    auto& sender = *machines_.at(number_of(f.from)).core;
    sender.snapshot_finished(now_, m.id, f.state.base.index);
  }
  return !mine.empty();
}

void etcd_driver::stabilize(const std::vector<unsigned>& nodes) {
  for (bool more = true; more;) {
    more = false;
    for (const auto n : nodes)
      more = ready(machines_.at(n)) || more;
    for (const auto n : nodes)
      more = deliver(machines_.at(n)) || more;
    if (async_)
      for (const auto n : nodes) {
        auto& m = machines_.at(n);
        more = more || !m.writing.empty();
        sync(m, m.writing.size());
      }
  }
}

void etcd_driver::campaign(machine& m) {
  auto& c = *m.core;
  if (c.leader()) {
    c.leader_lost(now_, c.leader()->node, raft::evidence::silence, 0);
  } else {
    now_ = std::max(now_, c.deadline());
    c.tick(now_);
  }
  if (pre_vote_)
    return;
  const auto from = wire_.size();
  flush(m);
  std::vector<raft::message> asked;
  for (auto i = wire_.begin() + static_cast<std::ptrdiff_t>(from);
       i != wire_.end();)
    if (i->message
        && std::holds_alternative<raft::pre_vote>(i->message->body)) {
      asked.push_back(std::move(*i->message));
      i = wire_.erase(i);
    } else {
      ++i;
    }
  for (const auto& q : asked)
    c.step(now_, {q.to, q.from, c.term(),
                  raft::pre_vote_answer{
                      std::get<raft::pre_vote>(q.body).campaign, true}});
}

void etcd_driver::propose_change(machine& m, const directive& d) {
  using kind = raft::change::kind;
  std::vector<raft::change> steps;
  std::istringstream words{d.input};
  for (std::string w; words >> w;)
    steps.push_back({w[0] == 'v'   ? kind::add_voter
                     : w[0] == 'l' ? kind::add_learner
                                   : kind::remove,
                     replica(number(w.substr(1)))});
  BANYAN_ASSERT(d.value("transition", "") != "explicit"); // ours never stays
  const auto r = m.core->propose_change(now_, steps);
  if (!r && r.error() == raft::change_errc::no_own_commit)
    m.changes.push_back(std::move(steps));
}

/// `drop=(1,2)`: what is on its way there is lost.
void etcd_driver::drop_for(const directive& d) {
  const auto lost = set_of(d.argument("drop"));
  wire_.erase(
      std::remove_if(wire_.begin(), wire_.end(),
                     [&](const in_flight& f) { return lost.contains(f.to); }),
      wire_.end());
}

// --- directives -------------------------------------------------------------

std::string etcd_driver::run(const directive& d) {
  std::vector<unsigned> nodes;
  for (const auto& w : d.words())
    if (std::isdigit(w[0]))
      nodes.push_back(number(w));
  const auto& what = d.name;
  if (what == "add-nodes") {
    add_nodes(d);
  } else if (what == "campaign") {
    campaign(machines_.at(nodes.at(0)));
  } else if (what == "propose") {
    static_cast<void>(
        machines_.at(nodes.at(0))
            .core->propose(now_, shared_bytes{to_bytes(d.words().at(1))}));
  } else if (what == "propose-conf-change") {
    propose_change(machines_.at(nodes.at(0)), d);
  } else if (what == "process-ready") {
    for (const auto n : nodes)
      ready(machines_.at(n));
  } else if (what == "process-append-thread") {
    for (const auto n : nodes) {
      sync(machines_.at(n), 1);
      flush(machines_.at(n));
    }
  } else if (what == "deliver-msgs") {
    drop_for(d);
    for (const auto n : nodes)
      deliver(machines_.at(n));
  } else if (what == "stabilize") {
    if (nodes.empty())
      for (const auto& [n, m] : machines_)
        nodes.push_back(n);
    stabilize(nodes);
  } else if (what == "tick-heartbeat") {
    auto& m = machines_.at(nodes.at(0));
    if (m.core->leads()) {
      now_ = std::max(now_, m.core->deadline());
      m.core->tick(now_);
    } else if (m.ticks_left > 0 && --m.ticks_left == 0) {
      campaign(m);
    }
  } else if (what == "set-randomized-election-timeout") {
    machines_.at(nodes.at(0)).ticks_left = number(d.value("timeout", "0"));
  } else if (what == "forget-leader") {
    auto& c = *machines_.at(nodes.at(0)).core;
    if (c.leader() && !c.leads())
      c.leader_lost(now_, c.leader()->node, raft::evidence::silence, 1'000'000);
  } else if (what == "transfer-leadership") {
    static_cast<void>(
        at(d.value("from", "0"))
            .core->transfer(now_, replica(number(d.value("to", "0")))));
  } else if (what == "compact") {
    machines_.at(nodes.at(0)).core->trim(log_index{nodes.at(1)});
  } else if (what == "send-snapshot") {
    send_snapshot(machines_.at(nodes.at(0)), replica(nodes.at(1)));
  } else if (what != "log-level" && what != "raft-log" && what != "raft-state"
             && what != "status" && what != "process-apply-thread"
             && what != "report-unreachable") {
    return "unknown directive " + what + "\n";
  }
  return compare(d.expected);
}

std::string etcd_driver::compare(const std::string& expected) const {
  std::map<unsigned, replica_facts> theirs;
  if (!parse(expected, theirs))
    return "not facts\n";
  auto out = complaint_;
  for (const auto& [n, facts] : theirs) {
    const auto all = facts_of(machines_.at(n));
    replica_facts ours;
    for (const auto& [key, value] : facts)
      if (const auto at = all.find(key); at == all.end() || at->second != value)
        ours[key] = at == all.end() ? "unknown" : at->second;
    out += text({{n, facts}});
    if (!ours.empty())
      out += "ours " + text({{n, ours}});
  }
  return out;
}

replica_facts etcd_driver::facts_of(const machine& m) const {
  static constexpr const char* roles[] = {"follower", "pre_candidate",
                                          "candidate", "leader"};
  const auto& c = *m.core;
  const auto ref = [](const std::optional<replica_ref>& r) {
    return r ? std::to_string(number_of(*r)) : "none";
  };
  replica_facts f;
  f["role"] = roles[static_cast<unsigned>(c.role())];
  f["term"] = std::to_string(c.term().value());
  f["vote"] = ref(m.hard.term == c.term() ? m.hard.vote : std::nullopt);
  f["commit"] = std::to_string(c.committed_index().value());
  f["leader"] = ref(c.leader());
  f["voters"] = name(c.configuration());
  f["votes"] = c.configuration().is_voter(m.id) ? "yes" : "no";
  for (const auto& p : c.peers())
    f["match_of_" + std::to_string(number_of(p.peer))] =
        std::to_string(p.match.value());
  f["match_of_" + std::to_string(number_of(m.id))] =
      std::to_string(c.persisted_index().value());
  auto& log = f["log"];
  for (const auto& e : m.stored.entries)
    log +=
        (log.empty() ? "" : ",") + std::to_string(e.term.value()) + "/"
        + std::to_string(e.index.value())
        + (e.kind == entry_kind::command ? ":" + to_text(e.data.view()) : "");
  return f;
}

} // namespace banyan::raft_test
