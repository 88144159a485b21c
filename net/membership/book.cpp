#include "net/membership/book.hpp"

#include "base/planted.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// Reports against an observer from which on its own word does not count.
constexpr unsigned accusers_to_ignore = 2;

/// Mixes numbers for comparing views; not against an adversary, who can only
/// hide its own news that way.
std::uint64_t mix(std::uint64_t h, std::uint64_t v) noexcept {
  h ^= v + 0x9e3779b97f4a7c15ULL + (h << 6U) + (h >> 2U);
  h *= 0xff51afd7ed558ccdULL;
  return h ^ (h >> 33U);
}

std::uint64_t mix(std::uint64_t h, const_bytes b) noexcept {
  for (std::size_t i = 0; i < b.size(); i += 8) {
    std::uint64_t v = 0;
    for (std::size_t j = i; j < std::min(i + 8, b.size()); ++j)
      v = v << 8U | b[j];
    h = mix(h, v);
  }
  return h;
}

} // namespace

const member_book::member* member_book::find(const node_id& node) const {
  const auto i = members_.find(node);
  return i == members_.end() ? nullptr : &i->second;
}

const report* member_book::find_report(const node_id& observer,
                                       const node_id& subject) const {
  const auto* m = find(subject);
  if (m == nullptr)
    return nullptr;
  const auto i = m->reports.find(observer);
  return i == m->reports.end() ? nullptr : &i->second;
}

std::vector<const report*>
member_book::reports_by(const node_id& observer) const {
  std::vector<const report*> found;
  for (const auto& [node, m] : members_) {
    const auto i = m.reports.find(observer);
    if (i != m.reports.end())
      found.push_back(&i->second);
  }
  return found;
}

bool member_book::admit(const node_id& sponsor, time_point now) {
  const auto burst = static_cast<double>(limits_->admissions_burst);
  auto [i, fresh] = rations_.try_emplace(sponsor, ration{burst, now});
  auto& left = i->second;
  if (!fresh) {
    const auto gained =
        std::chrono::duration<double>(now - left.at)
        / std::chrono::duration<double>(limits_->admission_interval);
    left.budget = std::min(burst, left.budget + gained);
    left.at = now;
  }
  if (left.budget < 1)
    return false;
  left.budget -= 1;
  return true;
}

put_outcome member_book::put(const member_document& document, time_point now) {
  const auto& record = document.record;
  const auto* held = find(record.node);
  if (held != nullptr) {
    const auto& mine = held->document;
    if (!record.newer_than(mine.record)
        && !(planted(planted_bug::lower_incarnation_of_a_record)
             && record.incarnation < mine.record.incarnation)) {
      if (mine.record.newer_than(record))
        return put_outcome::older;
      if (mine.body == document.body)
        return put_outcome::known;
      return document.verify(mesh_) ? put_outcome::conflict
                                    : put_outcome::forged;
    }
    if (!document.verify(mesh_))
      return put_outcome::forged;
    auto newer = document;
    newer.admitted = mine.admitted; // once per node
    store(std::move(newer));
    return put_outcome::replaced;
  }
  if (members_.size() >= limits_->members_max)
    return put_outcome::full;
  if (!document.admitted)
    return put_outcome::unsponsored;
  const auto& sponsor = document.admitted->sponsor;
  if (sponsor == record.node || find(sponsor) == nullptr)
    return put_outcome::unsponsored;
  if (!document.verify(mesh_) || !document.admitted->verify(mesh_, record.node))
    return put_outcome::forged;
  if (!admit(sponsor, now))
    return put_outcome::rationed;
  store(member_document{document});
  return put_outcome::added;
}

void member_book::put_trusted(member_document document) {
  store(std::move(document));
}

void member_book::store(member_document&& document) {
  const auto node = document.record.node;
  auto& m = members_[node];
  m.document = std::move(document);
  prune(node);
}

/// Forgets what a higher incarnation has made void. It can't come back: no
/// record is ever replaced by an older one.
void member_book::prune(const node_id& node) {
  for (auto& [subject, m] : members_)
    for (auto i = m.reports.begin(); i != m.reports.end();)
      if ((subject == node || i->first == node) && !current(i->second, m))
        i = m.reports.erase(i);
      else
        ++i;
}

bool member_book::current(const report& r, const member& subject) const {
  const auto* observer = find(r.observer);
  return observer != nullptr
         && r.observer_incarnation == observer->document.record.incarnation
         && r.subject_incarnation == subject.document.record.incarnation;
}

report_outcome member_book::put(const report& r) {
  const auto* observer = find(r.observer);
  const auto subject = members_.find(r.subject);
  if (observer == nullptr || subject == members_.end()
      || r.observer == r.subject)
    return report_outcome::unplaced;
  auto& m = subject->second;
  const auto observer_now = observer->document.record.incarnation;
  const auto subject_now = m.document.record.incarnation;
  if (r.observer_incarnation < observer_now
      || r.subject_incarnation < subject_now)
    return report_outcome::stale;
  if (!current(r, m))
    return report_outcome::unplaced;
  const auto held = m.reports.find(r.observer);
  if (held != m.reports.end() && !r.newer_than(held->second))
    return report_outcome::known;
  if (!r.verify(mesh_))
    return report_outcome::forged;
  m.reports[r.observer] = r;
  return report_outcome::stored;
}

bool member_book::observes(const node_id& observer,
                           const node_id& subject) const {
  if (observer == subject)
    return false;
  const auto* m = find(observer);
  return m != nullptr && m->document.record.word != member_word::left
         && m->dead != m->document.record.incarnation;
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

void member_book::recount(std::vector<change>& out) {
  // A death takes an observer out of the count, so count until nothing moves.
  for (bool moved = true; moved;) {
    moved = false;
    std::map<node_id, unsigned> against;
    for (const auto& [subject, m] : members_)
      for (const auto& [observer, r] : m.reports)
        if (r.down && observes(observer, subject))
          ++against[subject];
    for (auto& [subject, m] : members_) {
      std::size_t watching = 0;
      m.accusers = 0;
      for (const auto& [observer, o] : members_) {
        if (!observes(observer, subject))
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
        moved = true;
      }
    }
  }
  for (auto& [node, m] : members_) {
    const auto now = judge(m);
    if (now == m.state)
      continue;
    out.push_back({node, m.state, now});
    m.state = now;
  }
}

digest_message::entry member_book::entry_of(const node_id& node) const {
  digest_message::entry e;
  e.node = node;
  if (const auto* m = find(node)) {
    const auto& record = m->document.record;
    e.incarnation = record.incarnation;
    e.number = record.number;
    e.dead = m->state == member_state::dead;
  }
  for (const auto* r : reports_by(node)) {
    auto h = mix(0, r->subject.view());
    h = mix(mix(h, r->observer_incarnation.value()), r->number);
    e.reports ^= mix(h, r->subject_incarnation.value());
  }
  return e;
}

std::uint64_t member_book::summary() const {
  std::uint64_t h = 0;
  for (const auto& [node, m] : members_) {
    const auto e = entry_of(node);
    h = mix(mix(h, node.view()), e.incarnation.value());
    h = mix(mix(mix(h, e.number), e.reports), e.dead ? 1 : 0);
  }
  return h;
}

} // namespace banyan::net
