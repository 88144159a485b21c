#include "base/planted.hpp"
#include "net/membership/book.hpp"

#include <algorithm>
#include <bitset>
#include <unordered_map>
#include <utility>

namespace banyan::net {

namespace {

/// In a full mesh: reports against an observer from which on its own word does
/// not count.
constexpr unsigned accusers_to_ignore = 2;
/// On the rings: places that accuse an observer from which on it counts as
/// having reported, and places that make a death.
constexpr unsigned places_to_discredit = 3;
constexpr unsigned places_to_condemn = 5;

unsigned count(std::uint8_t places) {
  return static_cast<unsigned>(std::bitset<ring_count>{places}.count());
}

/// Two different ones stand in these places.
bool two_of(const rings::numbers_of_all& all, std::uint8_t places) {
  std::optional<rings::index> one;
  for (std::size_t p = 0; p < all.size(); ++p)
    if ((places >> p & 1U) != 0 && one.value_or(all[p]) != all[p])
      return true;
    else if ((places >> p & 1U) != 0)
      one = all[p];
  return false;
}

} // namespace

std::uint8_t member_book::accusing(const rings::numbers_of_all& places,
                                   index subject) const {
  static_assert(ring_count <= 8);
  std::uint8_t found = 0;
  reports_.about(subject, [&](index observer, const auto& r) {
    for (std::size_t p = 0; r->down && p < places.size(); ++p)
      if (places[p] == observer)
        found |= static_cast<std::uint8_t>(1U << p);
  });
  return found;
}

bool member_book::observes(const node_id& observer,
                           const node_id& subject) const {
  if (observer == subject || !rings_.has(observer))
    return false;
  return rings_.full() || rings_.places(observer, subject) > 0;
}

bool member_book::proved(const node_id& dead) const {
  const auto subject = number(dead);
  const auto* m = at(subject);
  if (m == nullptr || !m->spoken_of)
    return false;
  const auto places = rings_.observers(subject);
  const auto says = accusing(places, subject);
  // As many as a death takes, not only places.
  return count(says) >= places_to_condemn && two_of(places, says);
}

bool member_book::lacks_evidence(const node_id& observer,
                                 const node_id& dead) const {
  const auto places = rings_.observers(dead);
  return std::find(places.begin(), places.end(), observer) != places.end()
         && !accuses(number(observer), number(dead)) && !proved(dead);
}

member_state member_book::judge(const member& m) const {
  if (m.record().word == member_word::left)
    return member_state::left;
  if (m.dead && (m.condemned || !planted(planted_bug::dead_come_back_unasked)))
    return member_state::dead;
  return m.accusers > 0 && m.record().node != self_ ? member_state::suspect
                                                    : member_state::alive;
}

/// Puts a node on the rings, or takes it off. Whoever it begins or ceases to
/// observe is counted again.
void member_book::place(index i) {
  const auto& m = members_[i];
  if (rings_.set(i, m.record().word != member_word::left && !m.dead))
    touch_around(i);
}

void member_book::touch(index i) {
  if (!std::exchange(members_[i].touched, true))
    touched_.push_back(i);
}

void member_book::touch_around(index i) {
  for (const auto subject : rings_.subjects(i))
    touch(subject);
}

/// In the order of ids, each once.
void member_book::sort_by_id(std::vector<index>& some) const {
  std::sort(some.begin(), some.end(),
            [this](index a, index b) { return order_->before(a, b); });
  some.erase(std::unique(some.begin(), some.end()), some.end());
}

void member_book::recount(std::vector<change>& out) {
  // A death takes an observer out of the count, and may take the view from the
  // rings to a full mesh: so count until nothing moves.
  do {
    const bool full = rings_.full();
    if (full != was_full_)
      for (index i = 0; i < members_.size(); ++i)
        if (at(i) != nullptr)
          touch(i);
    was_full_ = full;
    if (full)
      count_full();
    else
      count_rings();
  } while (rings_.full() != was_full_);
  if (was_full_) {
    for (std::size_t p = 0; p < order_->size(); ++p)
      judge_again(order_->at_position(p), out);
  } else {
    sort_by_id(counted_);
    for (const auto i : counted_)
      judge_again(i, out);
  }
  counted_.clear();
}

void member_book::judge_again(index i, std::vector<change>& out) {
  if (at(i) == nullptr)
    return;
  auto& m = members_[i];
  const auto now = judge(m);
  if (now == m.state)
    return;
  out.push_back({order_->node(i), m.state, now});
  const bool weighs =
      (m.state == member_state::dead) != (now == member_state::dead);
  // What was said about the dead is left out of who said it.
  if (weighs)
    reports_.about(i, [&](index observer, const auto&) {
      range_of(observer) -= mark_of(observer);
    });
  change_entry(i, [&] { m.state = now; });
  if (weighs)
    reports_.about(i, [&](index observer, const auto&) {
      range_of(observer) += mark_of(observer);
    });
}

void member_book::count_full() {
  counted_.clear();
  for (bool moved = true; moved;) {
    moved = false;
    std::unordered_map<index, unsigned> against;
    std::vector<index> observers;
    for (index i = 0; i < members_.size(); ++i)
      if (rings_.has(i))
        observers.push_back(i);
    reports_.each([&](index observer, index subject, const auto& r) {
      if (r->down && rings_.has(observer))
        ++against[subject];
    });
    for (std::size_t p = 0; p < order_->size(); ++p) {
      const auto subject = order_->at_position(p);
      if (at(subject) == nullptr)
        continue;
      auto& m = members_[subject];
      std::size_t watching = 0;
      m.accusers = 0;
      m.discredited = false;
      for (const auto observer : observers) {
        if (observer == subject || !rings_.has(observer)) // dead by now
          continue;
        const auto o = against.find(observer);
        if (o != against.end() && o->second >= accusers_to_ignore)
          continue;
        ++watching;
        if (accuses(observer, subject))
          ++m.accusers;
      }
      const bool enough = std::size_t{m.accusers} * 2 > watching
                          && (m.accusers >= 2 || watching < 2);
      m.condemned = enough;
      // This node knows best about itself; it refutes what others count.
      if (enough && m.record().node != self_
          && m.record().word != member_word::left && !m.dead) {
        m.dead = true;
        place(subject);
        moved = true;
      }
    }
  }
  for (const auto i : std::exchange(touched_, {}))
    members_[i].touched = false;
}

void member_book::count_rings() {
  while (!touched_.empty() && !rings_.full()) {
    // Who is doubted follows from reports and places alone: first of all, so
    // that nobody is condemned by what was so before.
    std::vector<index> round;
    while (!touched_.empty()) {
      const auto subject = touched_.back();
      touched_.pop_back();
      members_[subject].touched = false;
      if (at(subject) == nullptr)
        continue;
      round.push_back(subject);
      if (rings_.has(subject)) // else judged: a higher incarnation ends that
        doubt_on_rings(subject);
    }
    sort_by_id(round);
    counted_.insert(counted_.end(), round.begin(), round.end());
    for (auto i = round.begin(); i != round.end(); ++i) {
      auto& m = members_[*i];
      if (!rings_.has(*i) || !condemn_on_rings(*i) || m.record().node == self_)
        continue;
      m.dead = true;
      place(*i); // others observe now: the rest is counted with these
      std::for_each(std::next(i), round.end(), [this](index n) { touch(n); });
      break;
    }
  }
}

void member_book::doubt_on_rings(index subject) {
  auto& m = members_[subject];
  m.accusers = 0;
  if (m.spoken_of)
    m.accusers = static_cast<std::uint8_t>(
        count(accusing(rings_.observers(subject), subject)));
  const bool doubted = m.accusers >= places_to_discredit;
  if (doubted != m.discredited) {
    m.discredited = doubted;
    touch_around(subject);
  }
}

/// True when the subject is to be counted dead. An observer that is accused
/// itself counts as having reported, but it is others who must begin: two at
/// least whom nobody doubts. So no single link or member evicts anybody, and no
/// lost region takes along whom it observed.
bool member_book::condemn_on_rings(index subject) {
  auto& m = members_[subject];
  m.condemned = false;
  if (m.accusers < 2)
    return false;
  const auto places = rings_.observers(subject);
  const auto says = accusing(places, subject);
  std::uint8_t doubted = 0;
  for (std::size_t p = 0; p < places.size(); ++p)
    if (places[p] != subject && members_[places[p]].discredited)
      doubted |= static_cast<std::uint8_t>(1U << p);
  m.condemned = count(says | doubted) >= places_to_condemn
                && two_of(places, says & ~doubted);
  return m.condemned;
}

} // namespace banyan::net
