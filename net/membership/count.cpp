#include "base/planted.hpp"
#include "net/membership/book.hpp"

namespace banyan::net {

namespace {

/// In a full mesh: reports against an observer from which on its own word does
/// not count.
constexpr unsigned accusers_to_ignore = 2;
/// On the rings: places that accuse an observer from which on it counts as
/// having reported, and places that make a death.
constexpr unsigned places_to_discredit = 3;
constexpr unsigned places_to_condemn = 5;

} // namespace

bool member_book::observes(const node_id& observer,
                           const node_id& subject) const {
  if (observer == subject || !rings_.has(observer))
    return false;
  return rings_.full() || rings_.places(observer, subject) > 0;
}

bool member_book::lacks_evidence(const node_id& observer,
                                 const node_id& dead) const {
  const auto* m = find(dead);
  const auto says = [&](const node_id& o) {
    const auto r = m->reports.find(o);
    return r != m->reports.end() && r->second.down;
  };
  unsigned places = 0;
  std::set<node_id> sayers; // as many as a death takes, not only places
  bool placed = false;
  for (const auto& o : rings_.observers(dead)) {
    if (says(o)) {
      ++places;
      sayers.insert(o);
    }
    placed = placed || o == observer;
  }
  return placed && (places < places_to_condemn || sayers.size() < 2)
         && !says(observer);
}

member_state member_book::judge(const member& m) const {
  if (m.document.record.word == member_word::left)
    return member_state::left;
  if (m.dead == m.document.record.incarnation
      && (m.condemned || !planted(planted_bug::dead_come_back_unasked)))
    return member_state::dead;
  return m.accusers > 0 && m.document.record.node != self_
             ? member_state::suspect
             : member_state::alive;
}

/// Puts a node on the rings, or takes it off. Whoever it begins or ceases to
/// observe is counted again.
void member_book::place(const node_id& node, const member& m) {
  const auto& record = m.document.record;
  const bool on =
      record.word != member_word::left && m.dead != record.incarnation;
  if (rings_.set(node, on))
    touch_around(node);
}

void member_book::touch_around(const node_id& node) {
  for (const auto& subject : rings_.subjects(node))
    touched_.insert(subject);
}

void member_book::recount(std::vector<change>& out) {
  // A death takes an observer out of the count, and may take the view from the
  // rings to a full mesh: so count until nothing moves.
  do {
    const bool full = rings_.full();
    if (full != was_full_)
      for (const auto& [node, m] : members_)
        touched_.insert(node);
    was_full_ = full;
    if (full)
      count_full();
    else
      count_rings();
  } while (rings_.full() != was_full_);
  if (was_full_)
    for (auto& [node, m] : members_)
      judge_again(node, m, out);
  else
    for (const auto& node : counted_)
      judge_again(node, members_[node], out);
  counted_.clear();
}

void member_book::judge_again(const node_id& node, member& m,
                              std::vector<change>& out) {
  const auto now = judge(m);
  if (now == m.state)
    return;
  out.push_back({node, m.state, now});
  m.state = now;
  remark(node);
}

void member_book::count_full() {
  touched_.clear();
  counted_.clear();
  for (bool moved = true; moved;) {
    moved = false;
    std::map<node_id, unsigned> against;
    std::vector<node_id> observers;
    for (const auto& [subject, m] : members_) {
      if (rings_.has(subject))
        observers.push_back(subject);
      for (const auto& [observer, r] : m.reports)
        if (r.down && observes(observer, subject))
          ++against[subject];
    }
    for (auto& [subject, m] : members_) {
      std::size_t watching = 0;
      m.accusers = 0;
      m.discredited = false;
      for (const auto& observer : observers) {
        if (observer == subject || !rings_.has(observer)) // dead by now
          continue;
        const auto i = against.find(observer);
        if (i != against.end() && i->second >= accusers_to_ignore)
          continue;
        ++watching;
        const auto r = m.reports.find(observer);
        if (r != m.reports.end() && r->second.down)
          ++m.accusers;
      }
      const auto& record = m.document.record;
      const bool enough = std::size_t{m.accusers} * 2 > watching
                          && (m.accusers >= 2 || watching < 2);
      m.condemned = enough;
      // This node knows best about itself; it refutes what others count.
      if (enough && subject != self_ && record.word != member_word::left
          && m.dead != record.incarnation) {
        m.dead = record.incarnation;
        place(subject, m);
        moved = true;
      }
    }
  }
}

void member_book::count_rings() {
  while (!touched_.empty() && !rings_.full()) {
    // Who is doubted follows from reports and places alone: first of all, so
    // that nobody is condemned by what was so before.
    std::set<node_id> round;
    while (!touched_.empty()) {
      const auto subject = *touched_.begin();
      touched_.erase(touched_.begin());
      const auto at = members_.find(subject);
      if (at == members_.end())
        continue;
      round.insert(subject);
      counted_.insert(subject);
      if (rings_.has(subject)) // else judged: a higher incarnation ends that
        doubt_on_rings(subject, at->second);
    }
    for (auto at = round.begin(); at != round.end(); ++at) {
      auto& m = members_.at(*at);
      if (!rings_.has(*at) || !condemn_on_rings(*at, m) || *at == self_)
        continue;
      m.dead = m.document.record.incarnation;
      place(*at, m); // others observe now: the rest is counted with these
      touched_.insert(std::next(at), round.end());
      break;
    }
  }
}

void member_book::doubt_on_rings(const node_id& subject, member& m) {
  m.accusers = 0;
  for (const auto& observer : rings_.observers(subject)) {
    const auto r = m.reports.find(observer);
    if (observer != subject && r != m.reports.end() && r->second.down)
      ++m.accusers;
  }
  const bool doubted = m.accusers >= places_to_discredit;
  if (doubted != m.discredited) {
    m.discredited = doubted;
    touch_around(subject);
  }
}

/// True when `m` is to be counted dead. An observer that is accused itself
/// counts as having reported, but it is others who must begin: two at least
/// whom nobody doubts. So no single link or member evicts anybody, and no lost
/// region takes along whom it observed.
bool member_book::condemn_on_rings(const node_id& subject, member& m) {
  std::set<node_id> trusted;
  unsigned places = 0;
  for (const auto& observer : rings_.observers(subject)) {
    if (observer == subject)
      continue;
    const auto r = m.reports.find(observer);
    const bool says = r != m.reports.end() && r->second.down;
    const bool doubted = members_[observer].discredited;
    places += says || doubted ? 1 : 0;
    if (says && !doubted)
      trusted.insert(observer);
  }
  m.condemned = places >= places_to_condemn && trusted.size() >= 2;
  return m.condemned;
}

} // namespace banyan::net
