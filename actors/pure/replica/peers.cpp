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
    if (m && m->from == far)
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

/// The word may be late, from a leader of long ago: a replica that was taken in
/// again since may not forget its log and its vote.
void replica_core::impl::on_retire(const_bytes payload) {
  reader r{payload};
  log_index removed;
  r.id(removed);
  if (!r.done() || leading_
      || (raft_->configuration().contains(config_.self)
          && raft_->configuration_index() > removed))
    return;
  out_.emplace_back(replica_retired{});
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
    it->next = now + 1s;
    if (durable) {
      bytes removal;
      writer{removal}.id(it->index);
      send_frame(it->who, group_frame_kind::retire, std::move(removal), false);
      if (++it->told >= 5) {
        it = leaving_.erase(it);
        continue;
      }
    }
    ++it;
  }
}

} // namespace banyan
