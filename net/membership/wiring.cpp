// Whom a node keeps links with, and to whom it passes news on. In a full mesh:
// everybody. Above that its neighbours on the rings, in both directions: it
// observes the one and is observed by the other.
#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// Who can't be dialled dials itself whom it needs a link with.
constexpr duration relay_wait = 500ms;

/// So few members are all dialled, the dead ones too, for ever.
constexpr std::size_t all_dialled_max = 2 * full_mesh_max;

} // namespace

bool membership::state::needs_link(const node_id& node,
                                   const member_book::member& m) const {
  if (m.record().word == member_word::left)
    return false;
  if (links_all())
    return m.state != member_state::dead || node == revisited_
           || book_.size() <= all_dialled_max;
  if (around_.count(node) > 0 || node == revisited_)
    return true;
  const auto i = peers_.find(node);
  return i != peers_.end()
         && (i->second.shares_group || i->second.leads != 0
             || i->second.applicant || now_ < i->second.used_until);
}

bool membership::state::awaited(const node_id& node, const peer& p) const {
  return links_all() || p.shares_group || around_.count(node) > 0;
}

/// Keeps a link to every member that it needs one with, where that says it is.
void membership::state::want(const node_id& node, membership_effects& out) {
  const auto* m = book_.find(node);
  auto& p = peer_of(node);
  if (m == nullptr || !running())
    return;
  const auto& at = m->record().address;
  const auto relays = relays_of(m->record());
  if (!needs_link(node, *m)) {
    if (std::exchange(p.wanted, false))
      out.emplace_back(unwant_link{node});
  } else if ((!at.empty() || !relays.empty())
             && (!p.wanted || p.wanted_at != at || p.wanted_relays != relays)) {
    p.wanted = true;
    p.wanted_at = at;
    p.wanted_relays = relays;
    const bool it_dials = own_.relays.empty() && p.used_until <= now_;
    out.emplace_back(
        want_link{node, at, relays,
                  relays.empty() || !it_dials ? duration{} : relay_wait});
    seek_relay(node, now_, out);
  }
}

void membership::state::use_link(const node_id& node, time_point now,
                                 membership_effects& out) {
  if (node == self_ || !is_member(node) || links_all())
    return;
  const bool known = find_peer(node) != nullptr;
  auto& p = peer_of(node);
  if (!known)
    p.since = now;
  p.used_until = now + cfg_.link_idle;
  want(node, out);
}

bool membership::state::release_link(const node_id& node, time_point now,
                                     membership_effects& out) {
  auto* p = find_peer(node);
  const auto* m = book_.find(node);
  if (p == nullptr || m == nullptr || links_all())
    return false;
  const auto used = std::exchange(p->used_until, long_ago);
  if (needs_link(node, *m)) {
    p->used_until = used;
    return false;
  }
  if (std::exchange(p->wanted, false))
    out.emplace_back(unwant_link{node});
  p->idle_since = never;
  if (p->link) {
    p->link.reset();
    see(node, *p, sight::unheard, now);
    out.emplace_back(close_link{node});
  }
  return true;
}

/// After a change of the rings: other neighbours, perhaps.
void membership::state::rewire(time_point now, membership_effects& out) {
  const auto& rings = book_.on_rings();
  const bool anew = std::exchange(wired_, rings.version()) == 0;
  if (!running())
    return;
  const bool was_full = std::exchange(wired_full_, full());
  if (wired_full_ && was_full)
    return; // members are wanted as they come
  if (!anew && !wired_full_ && !was_full && subjects_ == rings.subjects(self_)
      && observers_ == rings.observers(self_))
    return take_back_unplaced(); // somebody else's neighbours are others now
  const auto before = std::exchange(around_, {});
  if (wired_full_) {
    book_.each([&](const node_id& node, const auto& m) {
      if (node != self_ && needs_link(node, m))
        around_.insert(node);
    });
  } else {
    subjects_ = rings.subjects(self_);
    observers_ = rings.observers(self_);
    around_.insert(subjects_.begin(), subjects_.end());
    around_.insert(observers_.begin(), observers_.end());
    around_.erase(self_);
  }
  for (const auto& node : around_) {
    const bool met = find_peer(node) != nullptr;
    auto& p = peer_of(node);
    p.next_beat = std::min(p.next_beat, now + interval_of(p));
    const bool stays = met && (was_full || before.count(node) > 0);
    if (!stays && !p.link)
      see(node, p, sight::unheard, now); // it gets the time to answer
    want(node, out);
    reconcile_report(node, p, now);
  }
  if (wired_full_)
    return around_.clear();
  for (auto& [node, p] : peers_)
    if (around_.count(node) == 0)
      want(node, out);
  take_back_unplaced();
  forget_strangers(out);
  vouch_for_recent();
}

/// What this node said of those whom it doesn't observe any more counts for
/// nothing now, and must not count when it is put there again.
void membership::state::take_back_unplaced() {
  std::vector<node_id> unplaced;
  for (const auto& r : book_.reports_by(self_))
    if (r->down && book_.on_rings().has(r->subject)
        && !book_.observes(self_, r->subject))
      unplaced.push_back(r->subject);
  if (!leaving_)
    for (const auto& node : unplaced)
      issue_report(node, false);
}

/// Whoever has no link here and needs none is a member like all others.
void membership::state::forget_strangers(membership_effects& out) {
  for (auto i = peers_.begin(); i != peers_.end();) {
    const auto& [node, p] = *i;
    const auto* m = held(node, p);
    if (p.link || p.shares_group || p.leads != 0 || m == nullptr
        || needs_link(node, *m)) {
      ++i;
      continue;
    }
    if (p.saw == sight::heard)
      ++hears_version_;
    if (p.wanted)
      out.emplace_back(unwant_link{node}); // it never answered
    i = peers_.erase(i);
  }
}

/// A link that neither end has had a use for is closed after a while.
void membership::state::close_idle(const node_id& node, peer& p,
                                   const member_book::member& m, time_point now,
                                   membership_effects& out) {
  if (links_all() || !p.link || needs_link(node, m)) {
    p.idle_since = never;
    return;
  }
  if (p.idle_since == never)
    p.idle_since = now;
  if (p.far_needs || now < p.idle_since + cfg_.link_idle)
    return;
  if (std::exchange(p.wanted, false))
    out.emplace_back(unwant_link{node});
  p.link.reset();
  p.idle_since = never;
  see(node, p, sight::unheard, now);
  out.emplace_back(close_link{node});
}

/// Members are dialled by their records once they are known. In a large mesh
/// everybody would else come back to the same few seeds for ever.
void membership::state::tend_seeds(bool linked, membership_effects& out) {
  const bool wants = links_all() || !linked;
  if (std::exchange(seeds_wanted_, wants) == wants)
    return;
  for (const auto& s : cfg_.seeds)
    if (wants)
      out.emplace_back(want_seed{s.at, s.pinned});
    else
      out.emplace_back(unwant_seed{s.at});
}

/// Dials one dead member now and then: what was cut off from this side counts
/// this side as dead too, and neither is on the other's rings.
void membership::state::revisit(time_point now, membership_effects& out) {
  if (!revisited_.is_none()
      && revisit_at_ <= now + cfg_.revisit_interval - cfg_.revisit_patience) {
    const auto node = std::exchange(revisited_, node_id{});
    want(node, out);
  }
  if (now < revisit_at_)
    return;
  revisit_at_ = now + cfg_.revisit_interval;
  if (links_all() && book_.size() <= all_dialled_max)
    return;
  // Anybody, who is most often alive: so one dead member among many is visited
  // once per interval, not by everybody.
  const auto drawn = node_id{random_.array<node_id::size>()};
  const auto node = book_.after(drawn).value_or(*book_.after(node_id{}));
  if (book_.find(node)->state != member_state::dead)
    return;
  revisited_ = node;
  auto& p = peer_of(revisited_);
  if (!p.link)
    see(revisited_, p, sight::unheard, now);
  want(revisited_, out);
}

/// What proves a death goes as its observers start again or others come to
/// stand in their places; then newcomers would think that member alive. So
/// those who would observe it, were it on the rings, and who know it dead, say
/// so too while fewer than a majority of the places do.
///
/// Who died lately is looked at too and said first, once the rings are what
/// they are after it: where its observers died with it, doubt completed the
/// count, and they are gone from the rings. Who missed a report can't count
/// like that any more and has to be told by those who stand there now.
void membership::state::keep_evidence() {
  constexpr int looked_at = 64;
  std::vector<node_id> unproved; // the last is said first
  for (int n = 0; n < looked_at; ++n) {
    const auto next = book_.after(evidence_at_);
    evidence_at_ = next.value_or(node_id{});
    if (!next)
      break;
    if (book_.find(*next)->state != member_state::dead)
      continue;
    book_.drop_spare(*next);
    if (book_.lacks_evidence(self_, *next))
      unproved.push_back(*next);
  }
  for (const auto i : std::exchange(died_.back(), {})) {
    const auto* m = book_.at(i);
    if (m == nullptr || m->state != member_state::dead)
      continue;
    const auto& node = m->record().node; // may be there: it died twice since
    if (book_.lacks_evidence(self_, node)
        && std::find(unproved.begin(), unproved.end(), node) == unproved.end())
      unproved.push_back(node);
  }
  std::rotate(died_.begin(), std::prev(died_.end()), died_.end());
  if (leaving_ || unproved.empty())
    return;
  // One observer's word is held about so many only: one more would push out
  // the first, which would be said anew in the next round, without end.
  for (auto said = book_.reports_by(self_).size();
       said < cfg_.reports_max && !unproved.empty(); ++said) {
    issue_report(unproved.back(), true);
    unproved.pop_back();
  }
}

/// Of an item that came from elsewhere: both neighbours on two of the rings,
/// which the item itself chooses. Each of the two rings alone reaches
/// everybody, together they do so in few steps.
std::array<node_id, 4>
membership::state::passed_on_to(std::uint64_t item) const {
  const auto a = item % ring_count;
  const auto b = (a + 1 + item / ring_count % (ring_count - 1)) % ring_count;
  return {subjects_[a], observers_[a], subjects_[b], observers_[b]};
}

} // namespace banyan::net
