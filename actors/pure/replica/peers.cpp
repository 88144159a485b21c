// Frames between the replicas of the group, evidence about their nodes.
#include "actors/pure/replica/impl.hpp"
#include "base/codec.hpp"

#include <algorithm>

namespace banyan {

void replica_core::impl::send_frame(const replica_ref& to,
                                    group_frame_kind kind, bytes payload,
                                    bool bulk) {
  group_frame f;
  f.group = config_.group;
  f.lineage = config_.lineage;
  f.from = config_.self.replica;
  f.to = to.replica;
  f.kind = kind;
  f.payload = std::move(payload);
  send_group_frame effect;
  effect.to = to.node;
  effect.bulk = bulk;
  encode(f, effect.frame);
  out_.emplace_back(std::move(effect));
}

void replica_core::impl::on_group_frame(const node_id& from, const_bytes frame,
                                        time_point now) {
  group_frame f;
  if (!raft_ || failed_ || !decode(frame, f) || f.group != config_.group
      || f.lineage != config_.lineage)
    return;
  const replica_ref far{from, f.from};
  if (!whole() && heard_.size() < 64)
    heard_.insert(far);
  if (f.kind == group_frame_kind::no_such_replica) {
    raft::message m;
    m.from = far;
    m.to = config_.self;
    m.body = raft::no_such_replica{f.from};
    raft_->step(now, m);
    return;
  }
  if (f.to != config_.self.replica) {
    // As the replica that was asked for: it is not here.
    group_frame none;
    none.group = f.group;
    none.lineage = f.lineage;
    none.from = f.to;
    none.to = f.from;
    none.kind = group_frame_kind::no_such_replica;
    send_group_frame effect;
    effect.to = from;
    encode(none, effect.frame);
    out_.emplace_back(std::move(effect));
    return;
  }
  switch (f.kind) {
  case group_frame_kind::raft: {
    const auto m = raft::decode_message(f.payload, from, config_.self.node);
    if (m && m->from == far && readable(*m))
      raft_->step(now, *m);
    return;
  }
  case group_frame_kind::snapshot_offer:
    on_offer(far, f.payload, now);
    return;
  case group_frame_kind::snapshot_pull:
    on_pull(far, f.payload, now);
    return;
  case group_frame_kind::snapshot_chunk:
    on_chunk(far, f.payload, now);
    return;
  case group_frame_kind::snapshot_entries:
    on_entries(far, f.payload, now);
    return;
  case group_frame_kind::retire:
    return on_retire(f.payload);
  case group_frame_kind::left_out:
    return on_left_out(far, now);
  case group_frame_kind::log_lost:
    return on_log_lost(far, f.payload);
  case group_frame_kind::cleared:
    return on_cleared(far, f.payload, now);
  case group_frame_kind::state_wanted:
    on_state_wanted(far, f.payload, now);
    return;
  case group_frame_kind::row_wanted:
    on_row_wanted(far, f.payload, now);
    return;
  case group_frame_kind::row_given:
    on_row_given(far, f.payload, now);
    return;
  case group_frame_kind::checkpoint_report:
    on_report(far, f.payload, now);
    return;
  case group_frame_kind::checkpoint_verdict:
    on_verdict(far, f.payload, now);
    return;
  default:
    return;
  }
}

/// What can't be read is not appended: the next start would have to refuse it.
bool replica_core::impl::readable(const raft::message& m) {
  const auto* a = std::get_if<raft::append>(&m.body);
  if (!a)
    return true;
  for (const auto& e : a->entries)
    if (e.kind == entry_kind::command
        && replica::is_later(e.data.view(), config_.features)) {
      refuse_later(e.index);
      return false;
    }
  return true;
}

void replica_core::impl::refuse_later(log_index index) {
  if (refused_later_ >= index)
    return; // said before
  refused_later_ = index;
  out_.emplace_back(entry_refused{
      index, config_.app_name + "/" + std::to_string(config_.group.shard)
                 + ": entry " + std::to_string(index.value())
                 + " needs a newer version of banyan-peer than this one; this "
                   "replica stays behind until it is updated"});
}

/// The word may be late, from a leader of long ago: a replica that was taken in
/// again since may not forget its log and its vote. What took it in again has
/// the leader's term or a later one; a configuration of an earlier term behind
/// the removal was never committed. Without any, nothing that was acknowledged
/// here counts: a replica comes back as a learner first, and what is in front
/// of that entry was committed without it.
void replica_core::impl::on_retire(const_bytes payload) {
  reader r{payload};
  log_index removed;
  banyan::term told_in;
  r.require(r.array(2) == 2);
  r.id(removed);
  r.id(told_in);
  if (!r.done() || leading_)
    return;
  const auto& c = raft_->configuration();
  const auto& log = raft_->log();
  const bool unknown = c.members().empty(); // the state knows, once it is whole
  const auto at = unknown ? log.base().index : raft_->configuration_index();
  const auto since = log.knows(at) ? log.term_at(at) : log.base().term;
  if ((unknown || c.contains(config_.self)) && at > removed && since >= told_in)
    return;
  out_.emplace_back(replica_retired{});
}

/// This replica has acknowledged an entry that it doesn't have: its disk was
/// put back to an older state, and may have forgotten a vote as well.
void replica_core::impl::on_log_lost(const replica_ref& from,
                                     const_bytes payload) {
  reader r{payload};
  log_index index;
  banyan::term of;
  r.require(r.array(2) == 2);
  r.id(index);
  r.id(of);
  if (!r.done() || leading_ || raft_->leader() != from
      || index <= raft_->committed_index() || raft_->log().matches(index, of))
    return;
  failed_ = true;
  replica_failed failed;
  failed.message = "its disk was put back to an older state: entry "
                   + std::to_string(index.value())
                   + ", which it has acknowledged, is missing";
  failed.at_start = failed.forgot = true;
  out_.emplace_back(std::move(failed));
}

/// It was away while its removal was committed and told, or the leader that
/// asked for it died before its group took it in. The configuration at the
/// commit is without it: so that is as good as the index of its removal.
void replica_core::impl::on_left_out(const replica_ref& who, time_point now) {
  const auto named = [&](const std::vector<replica_ref>& list) {
    return std::find(list.begin(), list.end(), who) != list.end();
  };
  if (!leading_ || !released_ || committed_members_.empty()
      || committed_members_.count(who) != 0
      || raft_->configuration().contains(who)
      || std::any_of(
          changes_.begin(), changes_.end(),
          [&](const auto& c) { return named(c.learners) || named(c.in); })
      || leaving_.size() >= leaving_max
      || std::any_of(leaving_.begin(), leaving_.end(),
                     [&](const auto& l) { return l.who == who; }))
    return;
  leaving_.push_back({who, committed_, now, leaving_replica::told_max - 1});
}

void replica_core::impl::on_effect(const raft::send& e, time_point) {
  send_frame(e.message.to, group_frame_kind::raft, raft::encode(e.message),
             false);
}

unsigned replica_core::impl::rank(const node_id& lost, banyan::term led) const {
  return raft::election_rank(
      raft_->configuration(), config_.self, lost, led,
      [&](const node_id& n) { return apps_.same_region(lost, n); });
}

void replica_core::impl::on_evidence(const node_id& node, node_evidence what,
                                     time_point now) {
  if (!raft_ || failed_)
    return;
  auto why = raft::evidence::end_of_stream;
  switch (what) {
  case node_evidence::link_up:
    // Whoever was away asks or is told now, not at the next beat.
    raft_->wake(now);
    return;
  case node_evidence::silent:
    why = raft::evidence::silence;
    break;
  case node_evidence::stopping:
    why = raft::evidence::stopped;
    break;
  default:
    break;
  }
  const auto leader = raft_->leader();
  if (!leader || leader->node != node || leader->node == config_.self.node)
    return;
  if (!detected_)
    detected_ = now;
  raft_->leader_lost(now, node, why, rank(node, raft_->term()));
}

void replica_core::impl::on_node_seen(const node_id& node, incarnation seen,
                                      time_point now) {
  if (raft_ && !failed_)
    raft_->node_seen(now, node, seen, rank(node, raft_->term()));
}

void replica_core::impl::wake(time_point now) {
  if (raft_ && !failed_)
    raft_->wake(now);
}

void replica_core::impl::on_effect(const raft::leader_stopped& e,
                                   time_point now) {
  if (!detected_)
    detected_ = now;
  raft_->leader_lost(now, e.leader.node, raft::evidence::stopped,
                     rank(e.leader.node, e.led));
}

void replica_core::impl::on_effect(const raft::probe_leader& e, time_point) {
  out_.emplace_back(probe_node{e.leader.node});
}
void replica_core::impl::on_effect(const raft::replica_lost& e, time_point) {
  out_.emplace_back(replica_lost{e.peer});
}
void replica_core::impl::on_effect(const raft::log_lost& e, time_point) {
  bytes lost;
  writer{lost}.array(2).id(e.index).id(e.term);
  send_frame(e.peer, group_frame_kind::log_lost, std::move(lost), false);
  out_.emplace_back(replica_lost{e.peer});
}
void replica_core::impl::on_effect(const raft::asleep&, time_point) {
}
void replica_core::impl::on_effect(const raft::awake&, time_point) {
}

void replica_core::impl::on_effect(const raft::configuration_changed& e,
                                   time_point now) {
  configuration_changed effect;
  effect.configuration = e.configuration;
  effect.committed = e.committed;
  out_.emplace_back(std::move(effect));
  const auto members = e.configuration.members();
  const std::set<replica_ref> next{members.begin(), members.end()};
  leaving_.erase(std::remove_if(leaving_.begin(), leaving_.end(),
                                [&](const auto& l) { // it is back
                                  return next.count(l.who) != 0;
                                }),
                 leaving_.end());
  if (!e.committed)
    return;
  for (const auto& who : committed_members_)
    if (leading_ && next.count(who) == 0 && who != config_.self)
      leaving_.push_back({who, e.index, now, 0});
  committed_members_ = next;
  committed_configuration_ = e.configuration;
}

/// A replica whose removal is committed is told so once every remaining voter
/// has synced past it: only then are its files the last copies of nothing.
void replica_core::impl::tell_leaving(time_point now) {
  for (auto it = leaving_.begin(); it != leaving_.end();) {
    if (it->next > now) {
      ++it;
      continue;
    }
    bool durable = leading_ && raft_->persisted_index() >= it->index;
    for (const auto& p : raft_->peers())
      if (p.voter && p.match < it->index)
        durable = false;
    // Mostly one fsync of the slowest voter away; not so if one is missing.
    it->next = now + it->pause;
    it->pause = std::min<duration>(2 * it->pause, 1s);
    if (durable) {
      it->next = now + 1s;
      bytes removal;
      writer{removal}.array(2).id(it->index).id(leading_term_);
      send_frame(it->who, group_frame_kind::retire, std::move(removal), false);
      if (++it->told >= leaving_replica::told_max) {
        it = leaving_.erase(it);
        continue;
      }
    }
    ++it;
  }
}

} // namespace banyan
