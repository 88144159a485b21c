#include "net/membership/book.hpp"

#include "base/planted.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

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

member_book::member_book(const node_id& self, const mesh_id& mesh,
                         const membership_config& limits)
    : self_{self}, mesh_{mesh}, limits_{&limits}, rings_{mesh, limits.order} {
}

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
  const auto about = reported_.find(observer);
  if (about == reported_.end())
    return found;
  for (const auto& subject : about->second)
    found.push_back(find_report(observer, subject));
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

put_outcome member_book::put(const member_document& document, time_point now,
                             bool believed) {
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
      return limits_->verify->genuine(document, mesh_) ? put_outcome::conflict
                                                       : put_outcome::forged;
    }
    if (!limits_->verify->genuine(document, mesh_))
      return put_outcome::forged;
    auto newer = document;
    newer.admitted = mine.admitted; // once per node
    store(std::move(newer));
    return put_outcome::replaced;
  }
  if (members_.size() >= limits_->members_max)
    return put_outcome::full;
  if (believed) {
    if (!limits_->verify->genuine(document, mesh_)
        || (document.admitted
            && !limits_->verify->genuine(*document.admitted, mesh_,
                                         record.node)))
      return put_outcome::forged;
    store(member_document{document});
    return put_outcome::added;
  }
  if (!document.admitted)
    return put_outcome::unsponsored;
  const auto& sponsor = document.admitted->sponsor;
  if (sponsor == record.node || find(sponsor) == nullptr)
    return put_outcome::unsponsored;
  if (!limits_->verify->genuine(document, mesh_)
      || !limits_->verify->genuine(*document.admitted, mesh_, record.node))
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
  place(node, m);
  touched_.insert(node);
  remark(node);
}

/// Forgets what a higher incarnation has made void. It can't come back: no
/// record is ever replaced by an older one.
void member_book::prune(const node_id& node) {
  auto& m = members_[node];
  for (auto i = m.reports.begin(); i != m.reports.end();) {
    if (current(i->second, m)) {
      ++i;
      continue;
    }
    const auto observer = i->first;
    i = m.reports.erase(i);
    reported_[observer].erase(node);
    remark(observer);
  }
  auto& about = reported_[node];
  for (auto i = about.begin(); i != about.end();) {
    auto& subject = members_[*i];
    const auto r = subject.reports.find(node);
    if (current(r->second, subject)) {
      ++i;
      continue;
    }
    touched_.insert(*i);
    subject.reports.erase(r);
    i = about.erase(i);
  }
  if (about.empty())
    reported_.erase(node);
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
  if (!limits_->verify->genuine(r, mesh_))
    return report_outcome::forged;
  m.reports[r.observer] = r;
  reported_[r.observer].insert(r.subject);
  touched_.insert(r.subject);
  remark(r.observer);
  return report_outcome::stored;
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

/// Brings the hash of the range that `node` is in up to date with its entry.
void member_book::remark(const node_id& node) {
  const auto at = members_.find(node);
  if (at == members_.end())
    return;
  const auto e = entry_of(node);
  auto h = mix(mix(mix(0, node.view()), e.incarnation.value()), e.number);
  h = mix(mix(h, e.reports), e.dead ? 1 : 0);
  auto& range = ranges_[node.array()[0]];
  range += h - at->second.mark;
  at->second.mark = h;
}

std::uint64_t member_book::root() const noexcept {
  std::uint64_t h = 0;
  for (const auto r : ranges_)
    h = mix(h, r);
  return h;
}

} // namespace banyan::net
