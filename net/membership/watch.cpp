#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

bool has_left(const member_book::member& m) {
  return m.record().word == member_word::left;
}

} // namespace

duration membership::state::interval_of(const peer& p) const {
  if (p.shares_group)
    return cfg_.liveness.beat_group;
  return full() ? cfg_.liveness.beat_mesh : cfg_.liveness.beat_rings;
}

void membership::state::set_shares_group(const node_id& node, bool shares) {
  auto* p = find_peer(node);
  if (p == nullptr && !shares)
    return;
  auto& q = p != nullptr ? *p : peer_of(node);
  if (q.shares_group == shares)
    return;
  q.shares_group = shares;
  if (!full())
    wired_ = 0; // the next input sees to its link
  q.next_beat = std::min(q.next_beat, now_ + interval_of(q));
  due_ = std::max(next_due(), now_);
}

void membership::state::set_leads(const node_id& node, std::uint64_t hash) {
  if (hash != 0 || links_all() || find_peer(node) != nullptr)
    peer_of(node).leads = hash;
}

bool membership::state::hears(const node_id& node) const {
  const auto i = peers_.find(node);
  return node == self_ || (i != peers_.end() && i->second.saw == sight::heard);
}

bool membership::state::hears(const node_id& observer,
                              const node_id& subject) const {
  if (observer == self_)
    return hears(subject);
  const auto i = peers_.find(observer);
  return i != peers_.end() && i->second.saw == sight::heard
         && (observer == subject || i->second.hears.count(subject) > 0);
}

duration membership::state::fsync_age(const node_id& node) const {
  const auto i = peers_.find(node);
  return i == peers_.end() ? duration{} : i->second.fsync_age;
}

std::optional<member_view> membership::state::view(const node_id& node) const {
  const auto* m = book_.find(node);
  if (m == nullptr)
    return std::nullopt;
  member_view v;
  v.record = m->record();
  v.state = m->state;
  v.accusers = m->accusers;
  v.linked = v.heard = node == self_;
  const auto i = peers_.find(node);
  if (i != peers_.end()) {
    v.linked = i->second.link.has_value();
    v.heard = i->second.saw == sight::heard;
    v.round_trip = i->second.life.round_trip();
  }
  return v;
}

std::vector<member_view> membership::state::views() const {
  std::vector<member_view> all;
  all.reserve(book_.size());
  book_.each(
      [&](const node_id& node, const auto&) { all.push_back(*view(node)); });
  return all;
}

std::shared_ptr<const settled_members> membership::state::settled() const {
  BANYAN_ASSERT(cfg_.order);
  auto all = std::make_shared<settled_members>();
  all->order = cfg_.order;
  book_.each([&](const node_id&, const auto& m) { all->put(m.held); });
  return all;
}

std::vector<node_id> membership::state::linked() const {
  std::vector<node_id> out;
  for (const auto& [node, p] : peers_)
    if (p.link && is_member(node))
      out.push_back(node);
  return out;
}

void membership::state::note_member(const node_id& node, time_point now,
                                    membership_effects& out) {
  out.emplace_back(member_changed{node, std::nullopt, member_state::alive});
  auto* p = links_all() ? &peer_of(node) : find_peer(node);
  if (p == nullptr)
    return; // a neighbour on the rings is found when they are looked at
  p->since = now;
  want(node, out);
  if (p->link)
    mark_heard(node, *p, now, out); // it stood at the door
}

void membership::state::see(const node_id&, peer& p, sight now_seen,
                            time_point now) {
  if (p.saw == sight::heard || now_seen == sight::heard)
    ++hears_version_;
  p.saw = now_seen;
  p.since = now;
}

void membership::state::mark_heard(const node_id& node, peer& p, time_point now,
                                   membership_effects& out) {
  if (p.saw == sight::heard)
    return;
  see(node, p, sight::heard, now);
  p.life.heard(now);
  p.cut = false;
  out.emplace_back(peer_back{node});
  reconcile_report(node, p, now);
}

void membership::state::mark_lost(const node_id& node, peer& p, evidence why,
                                  time_point now, membership_effects& out) {
  if (p.saw == sight::gone
      || (p.saw == sight::silent && why == evidence::silence))
    return;
  if (why == evidence::silence) {
    see(node, p, sight::silent, now);
    out.emplace_back(peer_silent{node});
  } else {
    see(node, p, sight::gone, now);
    out.emplace_back(peer_gone{node, why});
  }
  reconcile_report(node, p, now);
}

/// A later boot is there: what the earlier one led, nobody leads now.
void membership::state::restarted(const node_id& node, peer& p, time_point now,
                                  membership_effects& out) {
  if (p.saw == sight::heard || p.saw == sight::silent)
    out.emplace_back(peer_gone{node, evidence::restarted});
  see(node, p, sight::unheard, now);
}

void membership::state::link_up(const link_info& link, time_point now,
                                membership_effects& out) {
  if (!running() || link.node == self_)
    return;
  auto& p = peer_of(link.node);
  if (newcomers_.document(link.node))
    take_in(link.node, now, out); // that proves it
  const auto* m = book_.find(link.node);
  const auto before =
      p.link ? p.link->boot : (m ? m->record().boot : link.boot);
  if (link.boot != before)
    p.own_told_at = long_ago; // that was another boot
  p.link = link;
  p.applicant.reset();
  p.life.reset(now);
  p.life.round_trip(link.round_trip);
  p.next_beat = now;
  p.beat_in = 0;
  p.hears_told = 0;
  p.far_needs = true;
  const auto* mine = book_.find(self_);
  send(
      link.node,
      hello_message{mine->document(), link.relayed() ? address{} : link.remote},
      out);
  if (!link.dialled && !link.relayed())
    reach_told(link.node, true);
  if (m == nullptr)
    return; // its hello says who it is
  const auto& record = m->record();
  if (link.boot != record.boot) {
    if (record.incarnation < link.incarnation) {
      if (before != link.boot)
        restarted(link.node, p, now, out);
    } else {
      tell_own_record(link.node, p, m->document(), record.address, now, out);
    }
  }
  if (p.rival && p.rival->record.boot != link.boot) {
    p.own_told_at = long_ago;
    tell_own_record(link.node, p, *p.rival, p.rival_at, now, out);
    p.rival.reset();
  }
  mark_heard(link.node, p, now, out);
  watch(now, out); // the first beat
  send_summary(link.node, out);
  vouch_for(link.node);
}

void membership::state::link_down(const link_info& link, link_end why,
                                  time_point now, membership_effects& out) {
  auto* p = find_peer(link.node);
  if (p == nullptr || !p->link || p->link->id != link.id
      || why == link_end::replaced)
    return;
  p->link.reset();
  p->applicant.reset();
  dial_back_token_ = 0;
  const auto* m = book_.find(link.node);
  if (m == nullptr) {
    if (!p->shares_group && p->leads == 0)
      peers_.erase(link.node);
    return;
  }
  if (!links_all() && !needs_link(link.node, *m))
    return forget_strangers(out);
  switch (why) {
  case link_end::end_of_stream:
    mark_lost(link.node, *p, evidence::end_of_stream, now, out);
    break;
  case link_end::reset:
    mark_lost(link.node, *p, evidence::reset, now, out);
    break;
  case link_end::relay_lost:
    spare(*p, now);
    break;
  case link_end::timed_out:
    mark_lost(link.node, *p, evidence::silence, now, out);
    break;
  default:
    // No evidence in itself; silence will tell, or a refused dial.
    if (has_left(*m))
      mark_lost(link.node, *p, evidence::end_of_stream, now, out);
  }
  if (p->wanted)
    out.emplace_back(hurry_link{link.node});
}

void membership::state::dial_failed(const node_id& node, dial_error why,
                                    time_point now, membership_effects& out) {
  auto* p = find_peer(node);
  if (p == nullptr || p->link || why != dial_error::refused
      || p->saw == sight::unheard || !is_member(node)
      || !book_.find(node)->record().relays.empty())
    return; // nor does it mean anything where nobody could ever dial
  mark_lost(node, *p, evidence::refused, now, out);
}

bool membership::state::heard(const node_id& from, time_point now,
                              membership_effects& out) {
  auto* p = find_peer(from);
  if (p == nullptr || !p->link)
    return false;
  p->life.heard(now);
  if (p->saw == sight::heard || !is_member(from))
    return false;
  mark_heard(from, *p, now, out);
  return true;
}

/// Beats, silence, take-backs: whatever the clock alone can bring about.
void membership::state::watch(time_point now, membership_effects& out) {
  const auto stretch = health_.stretch(now);
  for (auto& [node, p] : peers_) {
    const auto* m = held(node, p);
    if (m == nullptr)
      continue;
    if (p.link && p.next_beat <= now)
      send_beat(node, p, false, now, out);
    const bool silent =
        (p.saw == sight::heard && p.life.silent_at(stretch) <= now)
        || (p.saw == sight::unheard && !has_left(*m) && awaited(node, p)
            && p.since + cfg_.liveness.grace <= now);
    if (silent && p.saw == sight::heard && p.link && p.link->relayed()) {
      // It may be the neighbour that is silent: another one, first.
      spare(p, now);
      p.link.reset();
      out.emplace_back(cut_link{node});
    } else if (silent && p.saw == sight::heard && now < p.spared_until)
      continue;
    else if (silent)
      mark_lost(node, p, evidence::silence, now, out);
    else if (p.saw == sight::silent && p.link && !p.cut
             && p.since + cfg_.cut_after <= now) {
      p.cut = true;
      p.link.reset();
      out.emplace_back(cut_link{node});
    }
    if (p.link && p.saw == sight::heard && m->state == member_state::dead
        && p.told_at + membership_patience <= now) {
      p.told_at = now;
      send(node, verdict_message{m->record().incarnation}, out);
    }
    reconcile_report(node, p, now);
    close_idle(node, p, *m, now, out);
  }
}

time_point membership::state::watch_due() const {
  const auto stretch = health_.stretch(now_);
  auto due = never;
  for (const auto& [node, p] : peers_) {
    const auto* m = held(node, p);
    if (m == nullptr)
      continue;
    if (p.link)
      due = std::min(due, p.next_beat);
    const bool spared = !p.link || !p.link->relayed();
    if (p.saw == sight::heard)
      due = std::min(due, std::max(p.life.silent_at(stretch),
                                   spared ? p.spared_until : long_ago));
    else if (p.saw == sight::unheard && !has_left(*m) && awaited(node, p))
      due = std::min(due, p.since + cfg_.liveness.grace);
    else if (p.saw == sight::silent && p.link && !p.cut)
      due = std::min(due, p.since + cfg_.cut_after);
    if (const auto told = told_at(p, *m); p.lost() && now_ < told)
      due = std::min(due, told);
    if (p.link && p.saw == sight::heard && m->state == member_state::dead)
      due = std::min(due, p.told_at + membership_patience);
    const auto* r = book_.own_report(p.number);
    if (r != nullptr && r->down && p.saw == sight::heard && !leaving_)
      due = std::min(due, p.reported_at + membership_patience);
  }
  return due;
}

/// When a loss is told. At once where it is sure and where no packets get lost.
/// But where they do, silences come and go, at any time somewhere in a large
/// mesh, and each would be two floods; in a full mesh all beat to all so often
/// that at any time two or three are silent to somebody: that others report
/// one too says little there.
time_point membership::state::told_at(const peer& p,
                                      const member_book::member& m) const {
  if (p.saw != sight::silent
      || late_beats_[0] + cfg_.liveness.late_beats_for <= now_)
    return p.since;
  if (full())
    return p.since + cfg_.liveness.silence_floor;
  return m.accusers == 0 ? p.since + cfg_.liveness.lone_silence : p.since;
}

/// Makes this node's signed report say what it sees. Accuses as soon as that is
/// to be told; takes back at most once a second, so a flapping link costs
/// little.
void membership::state::reconcile_report(const node_id& node, peer& p,
                                         time_point now) {
  const auto* m = held(node, p);
  if (m == nullptr || !running() || leaving_)
    return;
  const auto* standing = book_.own_report(p.number);
  const bool accused = standing != nullptr && standing->down;
  const bool accuses = p.lost() && !accused && !has_left(*m)
                       && told_at(p, *m) <= now && book_.observes(self_, node);
  const bool takes_back = accused && p.saw == sight::heard
                          && p.reported_at + membership_patience <= now;
  if (!accuses && !takes_back)
    return;
  p.reported_at = now;
  issue_report(node, accuses);
}

void membership::state::issue_report(const node_id& node, bool down) {
  report r;
  r.observer = self_;
  r.subject = node;
  r.observer_incarnation = own_.incarnation;
  r.subject_incarnation = book_.find(node)->record().incarnation;
  r.number = ++report_number_;
  r.down = down;
  r.sign(cfg_.key, cfg_.mesh);
  const auto stored = book_.put(r);
  BANYAN_ASSERT(stored == report_outcome::stored);
  count_dirty_ = true;
  flood_report(r, self_);
}

void membership::state::recount(time_point, membership_effects& out) {
  count_dirty_ = false;
  std::vector<member_book::change> changes;
  book_.recount(changes);
  for (const auto& c : changes)
    if (c.node != self_) {
      if (c.to == member_state::dead && !full())
        died_[0].push_back(book_.number(c.node));
      out.emplace_back(member_changed{c.node, c.from, c.to});
    }
  if (book_.find(self_)->condemned)
    raise(own_.incarnation);
}

} // namespace banyan::net
