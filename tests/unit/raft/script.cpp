#include "script.hpp"

#include <algorithm>
#include <sstream>

namespace banyan::raft_test {
namespace {

using namespace raft; // every name below is one of its effects or messages

std::string text(log_index i) {
  return std::to_string(i.value());
}
std::string text(banyan::term t) {
  return std::to_string(t.value());
}
std::string text(const replica_ref& r) {
  return std::to_string(number_of(r));
}
std::string text(bool b) {
  return b ? "yes" : "no";
}
std::string text(const log_entry& e) {
  std::string out = text(e.index) + "@" + text(e.term);
  if (e.kind == entry_kind::no_op)
    return out + ":no_op";
  if (e.kind == entry_kind::configuration)
    return out + ":configuration";
  return out + ":" + to_text(e.data.view());
}
std::string text(const std::vector<log_entry>& entries) {
  std::string out;
  for (const auto& e : entries)
    out += (out.empty() ? "" : " ") + text(e);
  return "[" + out + "]";
}
std::string text(const replica_set& members) {
  std::string out;
  for (const auto& r : members)
    out += (out.empty() ? "" : " ") + text(r);
  return "(" + out + ")";
}
std::string text(const configuration& c) {
  std::string out = text(c.voters);
  if (c.joint())
    out += "&&" + text(c.outgoing);
  if (!c.learners.empty())
    out += " learners=" + text(c.learners);
  if (!c.learners_next.empty())
    out += " learners_next=" + text(c.learners_next);
  return out;
}
const char* text(role r) {
  static constexpr const char* names[] = {"follower", "pre_candidate",
                                          "candidate", "leader"};
  return names[static_cast<unsigned>(r)];
}

struct body_text {
  std::string operator()(const pre_vote& b) const {
    return " next_term=" + text(b.next_term) + " last=" + text(b.last_index)
           + "@" + text(b.last_term);
  }
  std::string operator()(const pre_vote_answer& b) const {
    return " granted=" + text(b.granted);
  }
  std::string operator()(const vote& b) const {
    return " last=" + text(b.last_index) + "@" + text(b.last_term);
  }
  std::string operator()(const vote_answer& b) const {
    return " granted=" + text(b.granted);
  }
  std::string operator()(const raft::append& b) const {
    return " prev=" + text(b.prev_index) + "@" + text(b.prev_term)
           + " committed=" + text(b.committed) + " " + text(b.entries);
  }
  std::string operator()(const append_answer& b) const {
    return b.refused ? " refused=" + text(b.index) + " hint="
                           + text(b.hint_index) + "@" + text(b.hint_term)
                     : " index=" + text(b.index);
  }
  std::string operator()(const beat& b) const {
    return " committed=" + text(b.committed);
  }
  std::string operator()(const round_question& b) const {
    return " round=" + std::to_string(b.round);
  }
  std::string operator()(const round_answer& b) const {
    return " round=" + std::to_string(b.round);
  }
  std::string operator()(const confirm_answer& b) const {
    return " index=" + text(b.index);
  }
  std::string operator()(const stopped_leading& b) const {
    return " led=" + text(b.led) + (b.handed ? " handed" : "");
  }
  std::string operator()(const raft::sleep& b) const {
    return " last=" + text(b.last)
           + " incarnation=" + std::to_string(b.incarnation.value());
  }
  template <class T>
  std::string operator()(const T&) const {
    return "";
  }
};

std::string text(const message& m) {
  return text(m.from) + "->" + text(m.to) + " " + name_of(m.body)
         + " term=" + text(m.term) + std::visit(body_text{}, m.body);
}

std::string contexts(const std::vector<std::uint64_t>& v) {
  std::string out;
  for (const auto c : v)
    out += " " + std::to_string(c);
  return out;
}

struct effect_text {
  time_point start;
  std::string operator()(const send& e) const { return text(e.message); }
  std::string operator()(const persist& e) const {
    std::string out = "write " + std::to_string(e.number);
    if (e.reset)
      out += " reset=" + text(e.reset->index) + "@" + text(e.reset->term);
    if (e.state)
      out += " term=" + text(e.state->term)
             + " vote=" + (e.state->vote ? text(*e.state->vote) : "none");
    return e.entries.empty() ? out : out + " " + text(e.entries);
  }
  std::string operator()(const committed& e) const {
    return "committed " + text(e.entries);
  }
  std::string operator()(const truncated& e) const {
    return "truncated from=" + text(e.from);
  }
  std::string operator()(const role_changed& e) const {
    return std::string{text(e.role)} + " term=" + text(e.term)
           + " leader=" + (e.leader ? text(*e.leader) : "none");
  }
  std::string operator()(const own_term_committed& e) const {
    return "own term committed: " + text(e.term);
  }
  std::string operator()(const reads_confirmed& e) const {
    return "reads confirmed at " + text(e.index) + ":" + contexts(e.contexts);
  }
  std::string operator()(const reads_dropped& e) const {
    return "reads dropped:" + contexts(e.contexts);
  }
  std::string operator()(const fresh& e) const {
    return "fresh as of "
           + std::to_string(
               std::chrono::duration_cast<std::chrono::milliseconds>(e.asked
                                                                     - start)
                   .count())
           + " ms, index=" + text(e.index);
  }
  std::string operator()(const needs_snapshot& e) const {
    return "needs snapshot: " + text(e.peer);
  }
  std::string operator()(const configuration_changed& e) const {
    return "configuration " + text(e.configuration) + " of " + text(e.index)
           + (e.committed ? " committed" : "");
  }
  std::string operator()(const replica_lost& e) const {
    return "replica lost: " + text(e.peer);
  }
  std::string operator()(const log_lost& e) const {
    return "log lost: " + text(e.peer) + " entry=" + text(e.index) + "@"
           + text(e.term);
  }
  std::string operator()(const probe_leader& e) const {
    return "probe the leader " + text(e.leader);
  }
  std::string operator()(const leader_stopped& e) const {
    return "leader stopped: " + text(e.leader) + " led=" + text(e.led);
  }
  std::string operator()(const raft::asleep& e) const {
    return "asleep under " + text(e.leader) + " incarnation="
           + std::to_string(e.incarnation.value()) + " term=" + text(e.term);
  }
  std::string operator()(const awake&) const { return "awake"; }
  std::string operator()(const transfer_ended& e) const {
    return "transfer to " + text(e.to) + " ended, done=" + text(e.done);
  }
};

const char* text(propose_errc e) {
  return e == propose_errc::not_leader     ? "not leader"
         : e == propose_errc::transferring ? "transferring"
                                           : "too large";
}
const char* text(change_errc e) {
  static constexpr const char* names[] = {
      "",        "joint",         "no voters",    "not simple", "not leader",
      "pending", "no own commit", "transferring", "invalid"};
  return names[static_cast<unsigned>(e)];
}

change parse_change(const std::string& word) {
  using kind = change::kind;
  return {word[0] == 'v'   ? kind::add_voter
          : word[0] == 'l' ? kind::add_learner
                           : kind::remove,
          replica(static_cast<unsigned>(std::stoul(word.substr(1))))};
}

std::size_t number(const std::string& s) {
  return std::stoul(s);
}

} // namespace

void script::line(const std::string& text) {
  if (!quiet_)
    out_ += text + '\n';
}

script::machine& script::at(const std::string& n) {
  return machines_.at(static_cast<unsigned>(number(n)));
}

void script::make_group(const directive& d) {
  machines_.clear();
  waiting_.clear();
  now_ = start_;
  options_ = {};
  options_.flow.append_entries = number(d.value("append_entries", "1024"));
  configuration genesis;
  const auto read = [&](const char* key, replica_set& into) {
    if (const auto* ids = d.argument(key))
      for (const auto& id : *ids)
        into.insert(replica(static_cast<unsigned>(number(id))));
  };
  read("voters", genesis.voters);
  read("learners", genesis.learners);
  const auto members = genesis.members();
  const auto all = members.size() + number(d.value("spares", "0"));
  for (unsigned n = 1; n <= all; ++n) {
    auto& m = machines_[n];
    m.id = replica(n);
    m.random = std::make_unique<seeded_random>(n);
    m.stored.configurations.emplace_back(
        log_index{}, n <= members.size() ? genesis : configuration{});
    start(m);
  }
}

void script::start(machine& m) {
  auto from = m.stored.restart();
  m.stored.base = from.base;
  m.stored.entries = from.entries;
  m.core = std::make_unique<core>(m.id, options_, *m.random, from, now_);
  m.core->set_incarnation(m.life);
  flush(m);
}

void script::flush(machine& m) {
  std::vector<effect> effects;
  m.core->flush(now_, effects);
  m.core->check_invariants();
  for (auto& e : effects)
    show(m, e);
}

void script::show(machine& m, effect& e) {
  const auto words = std::visit(effect_text{start_}, e);
  const bool sent = std::holds_alternative<send>(e);
  const bool routine = sent || std::holds_alternative<persist>(e)
                       || std::holds_alternative<committed>(e);
  if (!brief_ || !routine)
    line(sent ? "  " + words : text(m.id) + ": " + words);
  if (sent)
    waiting_.push_back(std::get<send>(e).message);
  else if (auto* p = std::get_if<persist>(&e))
    m.writing.push_back(*p);
  else if (auto* c = std::get_if<configuration_changed>(&e))
    if (c->committed)
      m.stored.configurations.emplace_back(c->index, c->configuration);
}

void script::sync(machine& m, std::size_t writes) {
  for (; writes > 0 && !m.writing.empty(); --writes) {
    const auto n = m.writing.front().number;
    m.stored.write(m.writing.front());
    m.writing.pop_front();
    m.core->persisted(now_, n);
    flush(m);
  }
}

/// Takes the messages that the words of `d` name out of those that wait.
bool script::take(const directive& d, std::vector<message>& out) {
  std::vector<message> left;
  for (auto& m : waiting_) {
    bool fits = true;
    for (const auto& w : d.words()) {
      if (w.find("->") != std::string::npos)
        fits = fits && w == text(m.from) + "->" + text(m.to);
      else if (std::isdigit(w[0]))
        fits = fits && w == text(m.to);
      else
        fits = fits && w == name_of(m.body);
    }
    (fits ? out : left).push_back(std::move(m));
  }
  waiting_ = std::move(left);
  return !out.empty();
}

void script::deliver_all() {
  for (bool more = true; more;) {
    more = false;
    for (const auto& m : std::exchange(waiting_, {})) {
      more = true;
      const auto to = machines_.find(number_of(m.to));
      if (to == machines_.end())
        continue;
      to->second.core->step(now_, m);
      flush(to->second);
    }
    for (auto& [n, m] : machines_) {
      more = more || !m.writing.empty();
      sync(m, m.writing.size());
    }
  }
}

void script::run_quiet() {
  quiet_ = true;
  deliver_all();
  quiet_ = false;
}

/// Time passes: messages and writes take none of it. Shows what is neither.
void script::live(duration span) {
  const auto end = now_ + span;
  brief_ = true;
  for (;;) {
    deliver_all();
    machine* next = nullptr;
    for (auto& [n, m] : machines_)
      if (!next || m.core->deadline() < next->core->deadline())
        next = &m;
    if (next->core->deadline() > end)
      break;
    now_ = std::max(now_, next->core->deadline());
    next->core->tick(now_);
    flush(*next);
  }
  now_ = end;
  brief_ = false;
}

void script::status(const machine& m) {
  const auto& c = *m.core;
  line(text(m.id) + ": " + text(c.role()) + " term=" + text(c.term())
       + " leader=" + (c.leader() ? text(*c.leader()) : "none")
       + " last=" + text(c.log().last_index()) + "@" + text(c.log().last_term())
       + " committed=" + text(c.committed_index())
       + " durable=" + text(c.persisted_index())
       + " voters=" + text(c.configuration()) + (c.is_asleep() ? " asleep" : "")
       + (c.deadline() == never ? " no timer" : ""));
}

std::string script::run(const directive& d) {
  out_.clear();
  const auto words = d.words();
  const auto& name = d.name;
  if (name == "group") {
    make_group(d);
  } else if (name == "wait") {
    now_ += std::chrono::milliseconds{number(words[0])};
  } else if (name == "deliver" || name == "drop" || name == "repeat") {
    std::vector<message> taken;
    take(d, taken);
    if (name == "repeat")
      waiting_.insert(waiting_.end(), taken.begin(), taken.end());
    for (const auto& m : taken) {
      const auto to = machines_.find(number_of(m.to));
      if (name == "drop" || to == machines_.end()) {
        line("dropped " + text(m));
        continue;
      }
      line(text(m));
      to->second.core->step(now_, m);
      flush(to->second);
    }
  } else if (name == "run") {
    run_quiet();
  } else if (name == "live") {
    live(std::chrono::milliseconds{number(words[0])});
  } else if (name == "status") {
    for (const auto& [n, m] : machines_)
      if (words.empty() || words[0] == std::to_string(n))
        status(m);
  } else if (name == "waiting") {
    for (const auto& m : waiting_)
      line(text(m));
  } else if (name == "kill") {
    machines_.erase(static_cast<unsigned>(number(words.at(0))));
  } else if (name == "image") {
    auto& m = at(words.at(0));
    m.image = m.stored;
  } else if (name == "restore") {
    auto& m = at(words.at(0));
    m.stored = m.image;
    m.writing.clear();
    m.life = m.life.next();
    start(m);
  } else if (name == "reborn") {
    auto& m = at(words.at(0));
    m.id.replica =
        replica(static_cast<unsigned>(number(d.value("as", "0")))).replica;
    m.stored = {};
    m.stored.configurations.emplace_back(log_index{}, configuration{});
    m.writing.clear();
    start(m);
  } else {
    auto& m = at(words.at(0));
    auto& c = *m.core;
    const auto node = [&](const char* key) {
      return replica(static_cast<unsigned>(number(d.value(key, "0"))));
    };
    const auto rank = static_cast<unsigned>(number(d.value("rank", "0")));
    if (name == "expire") {
      if (c.deadline() == never)
        return "no timer";
      now_ = std::max(now_, c.deadline());
      c.tick(now_);
    } else if (name == "tick") {
      c.tick(now_);
    } else if (name == "sync") {
      sync(m, number(d.value("writes", "1000")));
    } else if (name == "elect") {
      quiet_ = true;
      for (int i = 0; i < 9 && !c.leads_committed(); ++i) {
        if (!c.leads())
          c.leader_lost(now_, c.leader() ? c.leader()->node : node_id{},
                        evidence::silence, 0);
        if (c.role() == role::follower) {
          now_ = std::max(now_, c.deadline());
          c.tick(now_);
        }
        flush(m);
        run_quiet();
        quiet_ = true;
      }
      quiet_ = false;
    } else if (name == "propose") {
      for (std::size_t i = 1; i < words.size(); ++i) {
        const auto r = c.propose(now_, shared_bytes{to_bytes(words[i])});
        if (!r)
          line(text(r.error()));
      }
    } else if (name == "read") {
      if (!c.read(now_, number(words.at(1))))
        line("not leader");
    } else if (name == "confirm") {
      if (!c.confirm(now_))
        line("no leader");
    } else if (name == "transfer") {
      if (!c.transfer(now_, node("to")))
        line("refused");
    } else if (name == "change") {
      std::vector<change> steps;
      for (std::size_t i = 1; i < words.size(); ++i)
        steps.push_back(parse_change(words[i]));
      const auto r = c.propose_change(now_, steps);
      if (!r)
        line(std::string{"refused: "} + text(r.error()));
    } else if (name == "lost") {
      c.leader_lost(now_, node("leader").node, evidence::end_of_stream, rank);
    } else if (name == "seen") {
      c.node_seen(now_, node("node").node,
                  incarnation{number(d.value("incarnation", "1"))}, rank);
    } else if (name == "wake") {
      c.wake(now_);
    } else if (name == "may-lead") {
      c.set_may_lead(now_, words.at(1) == "yes");
    } else if (name == "restart") {
      for (auto n = number(d.value("writes", "0")); n > 0 && !m.writing.empty();
           --n) {
        m.stored.write(m.writing.front());
        m.writing.pop_front();
      }
      m.writing.clear();
      m.life = m.life.next();
      start(m);
    } else if (name == "snapshot") {
      const auto fails = std::find(words.begin(), words.end(), "fails");
      if (fails != words.end())
        c.snapshot_failed(now_, node("to"));
      else if (std::find(words.begin(), words.end(), "done") != words.end())
        c.snapshot_finished(now_, node("to"), c.committed_index());
      else
        c.snapshot_started(now_, node("to"), c.committed_index());
    } else if (name == "install") {
      const auto& from = *at(d.value("from", "0")).core;
      const auto i = from.committed_index();
      const log_base base{i, from.log().term_at(i), {}};
      if (!c.install(now_, base, from.committed_configuration()))
        line("refused");
      else
        m.stored.applied = base;
    } else if (name == "trim") {
      line("base=" + text(c.trim(log_index{number(words.at(1))})));
    } else if (name == "log") {
      line(text(
          c.log().range(c.log().base().index.next(), c.log().last_index())));
    } else {
      line("unknown command " + name);
    }
    flush(m);
  }
  return out_;
}

} // namespace banyan::raft_test
