#include "net/membership/book.hpp"

#include "base/assert.hpp"
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

std::uint64_t mix(std::uint64_t h, const node_id& node) noexcept {
  static_assert(node_id::size % 8 == 0);
  const auto* b = node.array().data();
  for (std::size_t i = 0; i < node_id::size; i += 8) {
    std::uint64_t v = 0;
    for (std::size_t j = 0; j < 8; ++j)
      v = v << 8U | b[i + j];
    h = mix(h, v);
  }
  return h;
}

std::uint64_t hash_of_report(const report& r) {
  auto h = mix(0, r.subject);
  h = mix(mix(h, r.observer_incarnation.value()), r.number);
  return mix(h, r.subject_incarnation.value());
}

} // namespace

member_book::member_book(const node_id& self, const mesh_id& mesh,
                         const membership_config& limits)
    : self_{self}, mesh_{mesh}, limits_{&limits}, rings_{mesh, limits.order},
      order_{&rings_.order()}, own_number_{order_->add(self)} {
}

member_book::index member_book::number(const node_id& node) const {
  return order_->find(node).value_or(nobody);
}

const member_book::member* member_book::find(const node_id& node) const {
  return at(number(node));
}

std::vector<node_id> member_book::within(const node_id& first,
                                         const node_id& last) const {
  std::vector<node_id> found;
  for (auto p = order_->position(first); p < order_->size(); ++p) {
    const auto i = order_->at_position(p);
    if (last < order_->node(i))
      break;
    if (at(i) != nullptr)
      found.push_back(order_->node(i));
  }
  return found;
}

std::optional<node_id> member_book::after(const node_id& node) const {
  for (auto p = order_->position(node); p < order_->size(); ++p) {
    const auto i = order_->at_position(p);
    if (at(i) != nullptr && node < order_->node(i))
      return order_->node(i);
  }
  return std::nullopt;
}

const report* member_book::said(index observer, index subject) const {
  return subject < members_.size() && members_[subject].spoken_of
             ? reports_.find(observer, subject)
             : nullptr;
}

const report* member_book::find_report(const node_id& observer,
                                       const node_id& subject) const {
  const auto s = number(subject);
  return s < members_.size() && members_[s].spoken_of
             ? said(number(observer), s)
             : nullptr;
}

std::vector<shared_report>
member_book::reports_about(const node_id& subject) const {
  std::vector<shared_report> found;
  reports_.about(number(subject),
                 [&](index, const auto& r) { found.push_back(r); });
  return found;
}

std::vector<shared_report>
member_book::reports_by(const node_id& observer) const {
  std::vector<shared_report> found;
  reports_.by(number(observer),
              [&](index, const auto& r) { found.push_back(r); });
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
    const auto& mine = held->document();
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
  if (size_ >= limits_->members_max)
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

void member_book::put_settled(const settled_members& all) {
  BANYAN_ASSERT(size_ == 0 && all.order.get() == order_);
  members_.resize(all.members.size());
  for (index i = 0; i < all.members.size(); ++i) {
    if (!all.members[i])
      continue;
    auto& m = members_[i];
    m.held = all.members[i];
    m.state = judge(m);
    ++size_;
    rings_.set(i, m.state == member_state::alive);
    range_of(i) += mark_of(i);
  }
  was_full_ = rings_.full();
}

void member_book::store(member_document&& document) {
  const auto i = order_->add(document.record.node);
  if (members_.size() <= i)
    members_.resize(order_->size());
  auto& m = members_[i];
  const bool fresh = !m.held;
  const bool again =
      !fresh && m.record().incarnation != document.record.incarnation;
  change_entry(i, [&] {
    m.held = limits_->verify->keep(std::move(document));
    m.dead = m.dead && !again;
  });
  size_ += fresh ? 1 : 0;
  if (again)
    prune(i);
  place(i);
  touch(i);
}

/// Forgets what a higher incarnation has made void. It can't come back: no
/// record is ever replaced by an older one.
void member_book::prune(index i) {
  std::vector<index> observers, subjects;
  reports_.about(i, [&](index observer, const auto& r) {
    if (!current(*r))
      observers.push_back(observer);
  });
  for (const auto observer : observers)
    drop_report(observer, i);
  reports_.by(i, [&](index subject, const auto& r) {
    if (!current(*r))
      subjects.push_back(subject);
  });
  for (const auto subject : subjects) {
    drop_report(i, subject);
    touch(subject);
  }
}

void member_book::keep_report(index observer, index subject, shared_report r) {
  change_entry(observer,
               [&] { reports_.put(observer, subject, std::move(r)); });
  members_[subject].spoken_of = true;
}

void member_book::drop_report(index observer, index subject) {
  change_entry(observer, [&] { reports_.drop(observer, subject); });
  members_[subject].spoken_of = reports_.any_about(subject);
}

bool member_book::current(const report& r) const {
  const auto* observer = find(r.observer);
  const auto* subject = find(r.subject);
  return observer != nullptr && subject != nullptr
         && r.observer_incarnation == observer->record().incarnation
         && r.subject_incarnation == subject->record().incarnation;
}

report_outcome member_book::put(const report& r) {
  const auto observer = number(r.observer);
  const auto subject = number(r.subject);
  const auto* by = at(observer);
  const auto* about = at(subject);
  if (by == nullptr || about == nullptr || observer == subject)
    return report_outcome::unplaced;
  if (r.observer_incarnation < by->record().incarnation
      || r.subject_incarnation < about->record().incarnation)
    return report_outcome::stale;
  if (r.observer_incarnation != by->record().incarnation
      || r.subject_incarnation != about->record().incarnation)
    return report_outcome::unplaced;
  const auto* held = said(observer, subject);
  if (held != nullptr && !r.newer_than(*held))
    return report_outcome::known;
  // Only so many by one observer, the newest, which are the same everywhere:
  // whoever accuses everybody forgets the first.
  std::optional<index> first;
  if (held == nullptr && reports_.count_by(observer) >= limits_->reports_max) {
    first = oldest_word(observer);
    const auto before = said(observer, *first)->number;
    if (r.number < before
        || (r.number == before && order_->before(subject, *first)))
      return report_outcome::stale;
  }
  if (!limits_->verify->genuine(r, mesh_))
    return report_outcome::forged;
  if (first) {
    drop_report(observer, *first);
    touch(*first);
  }
  keep_report(observer, subject, limits_->verify->keep(r));
  touch(subject);
  return report_outcome::stored;
}

digest_message::entry member_book::entry_of(index i, bool of_all) const {
  digest_message::entry e;
  e.node = order_->node(i);
  if (const auto* m = at(i)) {
    e.incarnation = m->record().incarnation;
    e.number = m->record().number;
    e.dead = m->state == member_state::dead;
  }
  e.reports = hash_of_words(i, of_all);
  return e;
}

digest_message::entry member_book::entry_of(const node_id& node) const {
  if (const auto i = order_->find(node))
    return entry_of(*i, rings_.full());
  digest_message::entry e;
  e.node = node;
  return e;
}

std::uint64_t member_book::summary() const {
  std::uint64_t h = 0;
  for (std::size_t p = 0; p < order_->size(); ++p) {
    const auto i = order_->at_position(p);
    if (at(i) == nullptr)
      continue;
    const auto e = entry_of(i, true);
    h = mix(mix(h, e.node), e.incarnation.value());
    h = mix(mix(mix(h, e.number), e.reports), e.dead ? 1 : 0);
  }
  return h;
}

/// Of all reports by one observer, or of those that aren't about the dead.
std::uint64_t member_book::hash_of_words(index observer, bool of_all) const {
  std::uint64_t h = 0;
  reports_.by(observer, [&](index subject, const auto& r) {
    if (of_all || !is_dead(subject))
      h ^= hash_of_report(*r);
  });
  return h;
}

member_book::index member_book::oldest_word(index observer) const {
  auto oldest = nobody;
  std::uint64_t number = 0;
  reports_.by(observer, [&](index subject, const auto& r) {
    if (oldest == nobody || r->number < number
        || (r->number == number && order_->before(subject, oldest))) {
      oldest = subject;
      number = r->number;
    }
  });
  return oldest;
}

void member_book::drop_spare(const node_id& dead) {
  const auto subject = number(dead);
  const auto* m = at(subject);
  if (m == nullptr || !m->spoken_of || !is_dead(subject) || !proved(dead))
    return;
  const auto places = rings_.observers(subject);
  std::vector<index> spare;
  reports_.about(subject, [&](index observer, const auto&) {
    if (std::find(places.begin(), places.end(), observer) == places.end())
      spare.push_back(observer);
  });
  for (const auto observer : spare)
    drop_report(observer, subject);
}

/// What the member adds to the hash of its range.
std::uint64_t member_book::mark_of(index i) const {
  if (at(i) == nullptr)
    return 0;
  const auto e = entry_of(i, false);
  const auto h = mix(mix(mix(0, e.node), e.incarnation.value()), e.number);
  return mix(mix(h, e.reports), e.dead ? 1 : 0);
}

std::uint64_t member_book::root() const noexcept {
  std::uint64_t h = 0;
  for (const auto r : ranges_)
    h = mix(h, r);
  return h;
}

} // namespace banyan::net
