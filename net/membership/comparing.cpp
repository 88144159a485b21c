// Views compared: what a flood missed is found and fetched here. In a full mesh
// by one hash of everything, above that by ranges of node ids.
#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

constexpr std::size_t digest_entries_per_frame = 200;
/// A view that keeps changing is compared every so many times only.
constexpr int views_compared = 5;
/// Of the ranges that two views differ in, so many are compared at once; and
/// where more of them differ, more is missing than what is on its way.
constexpr std::size_t ranges_compared_max = 8;
/// Views that one peer may have compared per digest interval.
constexpr unsigned compared_per_peer_max = 4;
/// Digests of several members that one peer may send per second: who keeps to
/// the protocol sends `ranges_compared_max` for each view compared.
constexpr unsigned digests_per_peer_max = 64;
/// A range that has not changed for so many digest intervals.
constexpr std::uint8_t ranges_calm = 2;
/// Answers to deaths in one digest that this node knows nothing of.
constexpr std::size_t deaths_asked_max = 16;

node_id lowest_id(std::uint8_t range = 0) {
  std::array<std::uint8_t, node_id::size> id{};
  id[0] = range;
  return node_id{id};
}

node_id highest_id(std::uint8_t range = 0xff) {
  std::array<std::uint8_t, node_id::size> id{};
  id.fill(0xff);
  id[0] = range;
  return node_id{id};
}

} // namespace

void membership::state::send_summary(const node_id& to,
                                     membership_effects& out) {
  if (knows_little())
    return; // it knows that they differ
  if (full())
    send(to, summary_message{book_.summary()}, out);
  else
    send(to,
         root_message{book_.root(), static_cast<std::uint32_t>(book_.size())},
         out);
}

void membership::state::send_digest(const node_id& to, const node_id& first,
                                    const node_id& last,
                                    membership_effects& out) {
  ++counters_.digests;
  digest_message m;
  m.first = first;
  const auto all = book_.within(first, last);
  for (const auto& node : all) {
    m.entries.push_back(book_.entry_of(node));
    if (m.entries.size() == digest_entries_per_frame && node != all.back()) {
      m.last = node;
      send(to, m, out);
      m.first = node;
      m.entries.clear();
      m.entries.push_back(book_.entry_of(node));
    }
  }
  m.last = last;
  send(to, m, out);
}

void membership::state::on_summary(const node_id& from, peer& p,
                                   const summary_message& m, time_point now,
                                   membership_effects& out) {
  if (!full())
    send_summary(from, out); // as those on the rings compare
  else if (m.hash == book_.summary())
    joined_ = true; // of a small mesh, it may be
  else if (may_compare(p, now))
    send_digest(from, lowest_id(), highest_id(), out);
}

void membership::state::on_root(const node_id& from, const root_message& m,
                                time_point now, membership_effects& out) {
  if (m.hash == book_.root()) {
    joined_ = true;
    return;
  }
  if (wants_to_join(m))
    return join_at(from, m.members.value_or(0), now, out);
  if (knows_little())
    return;
  // While news is on its way two views differ for a moment: no need to compare
  // them. But where there always is some, what was missed has to come too.
  const bool changing = now < changed_at_ + cfg_.digest_interval && !far_apart_;
  if (changing && now < compared_at_ + views_compared * cfg_.digest_interval)
    return;
  compared_at_ = now;
  ++counters_.digests;
  ranges_message mine{book_.ranges(), {}};
  for (std::size_t i = 0; i < mine.hashes.size(); ++i)
    if (range_moves(i))
      mine.moving[i / 8] |= static_cast<std::uint8_t>(1U << i % 8);
  send(from, mine, out);
}

/// An answer is many times as large as the question. Who keeps to the protocol
/// asks about once per interval.
bool membership::state::may_compare(peer& p, time_point now) const {
  if (p.compared_since + cfg_.digest_interval <= now) {
    p.compared_since = now;
    p.compared = 0;
  }
  return ++p.compared <= compared_per_peer_max;
}

/// A digest costs as much as the range that it says to be of has members.
bool membership::state::may_digest(peer& p, time_point now) {
  if (p.digests_since + 1s <= now) {
    p.digests_since = now;
    p.digests = 0;
  }
  return ++p.digests <= digests_per_peer_max;
}

/// Once per digest interval.
void membership::state::look_at_ranges() {
  for (std::size_t i = 0; i < ranges_seen_.size(); ++i) {
    auto& calm = ranges_calm_[i];
    calm = ranges_seen_[i] != book_.ranges()[i]
               ? std::uint8_t{0}
               : std::min<std::uint8_t>(calm + 1U, ranges_calm);
  }
  ranges_seen_ = book_.ranges();
}

bool membership::state::range_moves(std::size_t range) const {
  return ranges_calm_[range] < ranges_calm
         || ranges_seen_[range] != book_.ranges()[range];
}

void membership::state::on_ranges(const node_id& from, peer& p,
                                  const ranges_message& m,
                                  membership_effects& out) {
  std::vector<std::uint8_t> differing;
  std::vector<std::uint8_t> calm; // of them
  for (std::size_t i = 0; i < m.hashes.size(); ++i) {
    const auto range = static_cast<std::uint8_t>(i);
    if (m.hashes[i] == book_.ranges()[i])
      continue;
    if (m.hashes[i] != 0) {
      differing.push_back(range);
      if ((m.moving[i / 8] >> i % 8 & 1U) == 0 && !range_moves(i))
        calm.push_back(range);
      continue;
    }
    for (const auto& node : book_.within(lowest_id(range), highest_id(range))) {
      p.news_records.insert(node);
      for (const auto& r : book_.reports_by(node))
        p.news_reports.emplace(r->observer, r->subject);
    }
  }
  far_apart_ = differing.size() > ranges_compared_max;
  if (!far_apart_)
    differing = std::move(calm);
  // Others at other times: who draws them at random comes to all in the end.
  for (std::size_t n = 0; n < ranges_compared_max && n < differing.size();
       ++n) {
    std::swap(differing[n], differing[n + random_.below(differing.size() - n)]);
    send_digest(from, lowest_id(differing[n]), highest_id(differing[n]), out);
  }
}

void membership::state::on_digest(const node_id& from, peer& p,
                                  const digest_message& m, time_point now,
                                  membership_effects& out) {
  want_message want;
  std::set<node_id> named;
  std::size_t asked = 0;
  for (const auto& e : m.entries) {
    if (e.node < m.first || m.last < e.node) {
      bad_frame(from, "a digest out of its range", out);
      return;
    }
    named.insert(e.node);
    const auto* held = book_.find(e.node);
    if (held == nullptr) {
      if (!is_named(from, e, now, out))
        continue;
      if (!is_member(e.node))
        want.records.push_back(e.node);
      want.observers.push_back(e.node);
      continue;
    }
    const auto mine = book_.entry_of(e.node);
    const bool theirs_newer = e.incarnation != mine.incarnation
                                  ? mine.incarnation < e.incarnation
                                  : mine.number < e.number;
    const bool same =
        e.incarnation == mine.incarnation && e.number == mine.number;
    if (theirs_newer)
      want.records.push_back(e.node);
    else if (!same)
      p.news_records.insert(e.node);
    if (e.reports != mine.reports) {
      for (const auto& r : book_.reports_by(e.node))
        if (full() || book_.find(r->subject)->state != member_state::dead)
          p.news_reports.emplace(r->observer, r->subject);
      want.observers.push_back(e.node);
    }
    if (!full() && e.dead != mine.dead && e.incarnation == mine.incarnation) {
      // Who knows it dead shows the other why, once it hears of the difference.
      if (mine.dead)
        for (const auto& r : book_.reports_about(e.node))
          p.news_reports.emplace(r->observer, r->subject);
      else if (e.node != self_ && asked++ < deaths_asked_max)
        send_digest(from, e.node, e.node, out);
    }
    if (!e.dead || e.incarnation != mine.incarnation)
      continue;
    if (e.node == self_) {
      raise(own_.incarnation);
    } else if (auto* subject = find_peer(e.node);
               !mine.dead && subject != nullptr && subject->link
               && subject->told_at + membership_patience <= now) {
      subject->told_at = now;
      send(e.node, verdict_message{e.incarnation}, out);
    }
  }
  for (const auto& node : book_.within(m.first, m.last))
    if (named.count(node) == 0)
      p.news_records.insert(node);
  if (!want.records.empty() || !want.observers.empty())
    send(from, want, out);
}

void membership::state::on_want(peer& p, const want_message& m) {
  for (const auto& node : m.records)
    if (is_member(node))
      p.news_records.insert(node);
  for (const auto& observer : m.observers)
    for (const auto& r : book_.reports_by(observer))
      p.news_reports.emplace(r->observer, r->subject);
}

} // namespace banyan::net
