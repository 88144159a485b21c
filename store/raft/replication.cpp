// The log: appends, acknowledgements, commits and configurations.
#include "base/planted.hpp"
#include "store/raft/core.hpp"
#include "store/raft/quorum.hpp"

#include <algorithm>

namespace banyan::raft {

progress* core::find(const replica_ref& peer) {
  const auto at = std::lower_bound(
      peers_.begin(), peers_.end(), peer,
      [](const progress& p, const replica_ref& r) { return p.peer < r; });
  return at != peers_.end() && at->peer == peer ? &*at : nullptr;
}

const progress* core::find(const replica_ref& peer) const {
  return const_cast<core*>(this)->find(peer);
}

void core::add_entry(entry_kind kind, shared_bytes data) {
  BANYAN_ASSERT(leads());
  log_entry e{hard_.term, log_.last_index().next(), kind, std::move(data)};
  log_.push(e);
  if (kind == entry_kind::configuration)
    configuration_entry(e);
}

// --- a follower's side ------------------------------------------------------

namespace {

/// What only a broken peer sends: gaps, terms that fall or run ahead, a
/// configuration that cannot be read.
bool makes_sense(const append& b, term sender) {
  auto index = b.prev_index;
  auto t = b.prev_term;
  configuration c;
  for (const auto& e : b.entries) {
    if (e.index != index.next() || e.term < t || e.term > sender)
      return false;
    if (e.kind == entry_kind::configuration && !decode(e.data.view(), c))
      return false;
    index = e.index;
    t = e.term;
  }
  return t <= sender;
}

} // namespace

void core::on(time_point now, const message& m, const append& b) {
  if (!makes_sense(b, m.term)) {
    ++refused_;
    return;
  }
  if (!from_leader(now, m))
    return;
  const log_index last{b.prev_index.value() + b.entries.size()};
  if (last <= committed_) {
    post_durable(m.from, append_answer{committed_, false, {}, {}});
    return;
  }
  // What is committed here is equal at every leader: it needs no check, and
  // may be trimmed.
  if (b.prev_index >= committed_ && !log_.matches(b.prev_index, b.prev_term)
      && !(planted(planted_bug::append_without_term_check)
           && log_.knows(b.prev_index))) {
    const auto hint = log_.last_with_term_at_most(b.prev_index, b.prev_term);
    post(m.from, append_answer{b.prev_index, true, hint, log_.term_at(hint)});
    return;
  }
  for (const auto& e : b.entries)
    if (e.index <= committed_ && log_.knows(e.index)
        && !log_.matches(e.index, e.term)) {
      ++refused_; // contradicts what is committed
      return;
    }
  accept_entries(b);
  commit_to(now, std::min(b.committed, last));
  post_durable(m.from, append_answer{last, false, {}, {}});
}

void core::accept_entries(const append& b) {
  for (const auto& e : b.entries) {
    if (e.index <= committed_
        || (log_.matches(e.index, e.term)
            && !planted(planted_bug::truncate_without_conflict)))
      continue;
    if (e.index <= log_.last_index()) {
      log_.truncate(e.index);
      effects_.emplace_back(truncated{e.index});
      configurations_truncated(e.index);
    }
    log_.push(e);
    if (e.kind == entry_kind::configuration)
      configuration_entry(e);
  }
}

void core::on(time_point now, const message& m, const beat& b) {
  if (!from_leader(now, m))
    return;
  commit_to(now, std::min(b.committed, log_.last_index()));
  post(m.from, beat_answer{});
}

// --- a leader's side --------------------------------------------------------

void core::on(time_point now, const message& m, const append_answer& b) {
  auto* p = find(m.from);
  if (!p)
    return;
  if (b.refused) {
    if (p->state == peer_state::snapshot)
      return;
    if (b.index <= p->durable
        && !planted(planted_bug::rolled_back_voter_counts)) {
      refuses_what_it_had(now, *p, b.index);
      return;
    }
    if (b.index <= p->durable || b.index >= p->next
        || (p->state == peer_state::probe && b.index != p->next.prev()))
      return; // about something since settled
    const auto fits = log_.last_with_term_at_most(
        std::min(b.hint_index, b.index), b.hint_term);
    p->become_probe();
    p->next = std::max(std::min(b.index, fits.next()), p->durable.next());
    return;
  }
  if (b.index > log_.last_index()) {
    ++refused_;
    return;
  }
  if (!p->acknowledged(b.index)) {
    if (p->state == peer_state::probe && p->match == p->durable)
      p->become_replicate();
    return;
  }
  if (p->state == peer_state::probe
      || (p->state == peer_state::snapshot && p->match >= log_.base().index))
    p->become_replicate();
  count_commit(now);
  advance_transfer();
}

/// It refuses what it has acknowledged to this leader. The answer may have come
/// down an older link, after the acknowledgement that overtook it: so it counts
/// for nothing but a question, asked for longer than any link takes to drain.
/// Who still refuses just what it acknowledged last has lost it, and maybe a
/// vote as well: its disk is an older one.
void core::refuses_what_it_had(time_point now, progress& p, log_index index) {
  const bool asked_again = p.match < p.durable;
  p.doubt();
  if (p.doubted == never) {
    p.doubted = now;
    return;
  }
  if (!asked_again || index != p.durable
      || now < p.doubted + opts_.quorum_timeout || !log_.knows(index))
    return;
  p.doubted = now; // said again as long as it is here
  effects_.emplace_back(log_lost{p.peer, index, log_.term_at(index)});
}

void core::on(time_point now, const message& m, const beat_answer&) {
  auto* p = find(m.from);
  if (!p)
    return;
  p->probing = false;
  if (planted(planted_bug::beats_count_as_read_acknowledgements))
    on(now, m, round_answer{round_.number});
  // Something may have been lost with a link: an append without entries is
  // refused if so.
  if (p->match < log_.last_index() && !send_append(now, *p, false))
    send_append(now, *p, true);
}

void core::on(time_point, const message& m, const no_such_replica& b) {
  if (m.from.replica == b.asked && find(m.from))
    effects_.emplace_back(replica_lost{m.from});
}

void core::send_appends(time_point now) {
  for (auto& p : peers_)
    while (p.next <= log_.last_index() && p.may_send(opts_.flow)
           && send_append(now, p, false)) {
    }
}

bool core::send_append(time_point now, progress& p, bool even_empty) {
  if (p.state == peer_state::snapshot)
    return false;
  const auto prev = p.next.prev();
  if (!log_.knows(prev)) {
    p.become_snapshot({});
    p.snapshot_wanted = now;
    effects_.emplace_back(needs_snapshot{p.peer});
    return false;
  }
  raft::append b{prev, log_.term_at(prev), committed_, {}};
  if (p.may_send(opts_.flow))
    b.entries =
        log_.slice(p.next, opts_.flow.append_entries, opts_.flow.append_bytes);
  if (b.entries.empty() && !even_empty)
    return false;
  std::size_t size = 0;
  for (const auto& e : b.entries)
    size += e.data.size();
  p.sent(log_index{prev.value() + b.entries.size()}, size);
  post(p.peer, std::move(b));
  return true;
}

void core::send_beats(time_point now) {
  for (auto& p : peers_) {
    post(p.peer, beat{planted(planted_bug::commit_beyond_what_matches)
                          ? committed_
                          : std::min(p.match, committed_)});
    if (p.state == peer_state::snapshot && p.snapshot.value() == 0
        && p.snapshot_wanted + opts_.snapshot_repeat <= now) {
      p.snapshot_wanted = now;
      effects_.emplace_back(needs_snapshot{p.peer});
    }
  }
  if (round_.number != 0) {
    send_round();
    settle_round(); // the configuration may have changed meanwhile
  }
}

void core::count_commit(time_point now) {
  const auto index = quorum::committed(configuration(), [&](const auto& r) {
    if (r == self_)
      return (planted(planted_bug::leader_counts_its_unsynced_log)
                  ? log_.last_index()
                  : log_.persisted())
          .value(); // own share: what is synced here
    const auto* p = find(r);
    return p ? p->match.value() : 0;
  });
  // Entries of older terms are committed by one of this term behind them,
  // never by counting.
  if (index > committed_.value() && index <= log_.last_index().value()
      && (log_.term_at(log_index{index}) == hard_.term
          || planted(planted_bug::commit_old_term_by_counting)))
    commit_to(now, log_index{index});
}

void core::commit_to(time_point now, log_index index) {
  if (index <= committed_)
    return;
  const bool was_released = leads_committed();
  effects_.emplace_back(committed{log_.range(committed_.next(), index)});
  committed_ = index;
  forget_old_configurations();
  if (!leads() || !leads_committed())
    return;
  if (!was_released)
    effects_.emplace_back(own_term_committed{hard_.term});
  if (configurations_.size() == 1)
    go_on_from_configuration(now);
}

// --- configurations ---------------------------------------------------------

void core::configuration_entry(const log_entry& e) {
  if (e.kind != entry_kind::configuration)
    return;
  raft::configuration c;
  const bool readable = decode(e.data.view(), c);
  BANYAN_ASSERT(readable); // checked before it came into the log
  configurations_.push_back({e.index, std::move(c)});
  effects_.emplace_back(configuration_changed{e.index, configuration(), false});
  if (leads())
    refresh_peers(idle_since_, e.index);
}

void core::configurations_truncated(log_index from) {
  if (configurations_.back().index < from)
    return;
  while (configurations_.back().index >= from)
    configurations_.pop_back();
  BANYAN_ASSERT(!configurations_.empty());
  effects_.emplace_back(
      configuration_changed{configurations_.back().index, configuration(),
                            configurations_.back().index <= committed_});
}

void core::forget_old_configurations() {
  std::size_t old = 0;
  while (old + 1 < configurations_.size()
         && configurations_[old + 1].index <= committed_)
    ++old;
  if (old == 0)
    return;
  configurations_.erase(configurations_.begin(),
                        configurations_.begin()
                            + static_cast<std::ptrdiff_t>(old));
  effects_.emplace_back(configuration_changed{
      configurations_.front().index, configurations_.front().conf, true});
}

/// A leader speaks to everybody in any configuration that is not yet behind
/// the commit: a replica on its way out should learn that it is.
void core::refresh_peers(time_point heard, log_index next_index) {
  replica_set wanted;
  for (const auto& c : configurations_)
    for (const auto& r : c.conf.members())
      if (r != self_)
        wanted.insert(r);
  std::vector<progress> next;
  next.reserve(wanted.size());
  for (const auto& r : wanted) {
    if (auto* p = find(r)) {
      next.push_back(std::move(*p));
      continue;
    }
    progress p;
    p.peer = r;
    p.next = next_index;
    p.heard = heard;
    next.push_back(std::move(p));
  }
  peers_ = std::move(next);
}

/// The configuration in force is committed: leave a joint one, let go of who
/// is out, and of the leadership if that is this replica.
void core::go_on_from_configuration(time_point now) {
  const auto c = configuration();
  if (c.joint()) {
    if (!c.auto_leave || transfer_)
      return;
    auto next = leave_joint(c);
    BANYAN_ASSERT(next.ok());
    add_entry(entry_kind::configuration, shared_bytes{encode(*next)});
    return;
  }
  for (auto& p : peers_)
    if (!c.contains(p.peer))
      send_append(now, p, true); // its last word: the commit of its removal
  refresh_peers(now, log_.last_index());
  if (!c.voters.contains(self_)) {
    if (const auto* heir = best_heir()) {
      post(heir->peer, timeout_now{});
      handing_over_ = true;
    }
    become_follower(now, hard_.term, std::nullopt);
  }
}

} // namespace banyan::raft
