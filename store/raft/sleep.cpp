// Sleeping under a named leader, and waking.
#include "store/raft/core.hpp"

#include <algorithm>

namespace banyan::raft {

bool core::nothing_to_do() const {
  if (opts_.sleep_after == duration::max() || incarnation_.value() == 0
      || !leads_committed() || transfer_ || change_pending()
      || committed_ != log_.last_index() || unordered() || !held_.empty()
      || log_.persisted() != log_.last_index() || round_.number != 0
      || !waiting_reads_.empty() || !waiting_remotes_.empty())
    return false;
  return std::all_of(peers_.begin(), peers_.end(), [&](const progress& p) {
    return p.match == log_.last_index();
  });
}

/// In place of the beats, until everybody agreed. One that does not answer
/// keeps the group awake: the others get their beats again.
bool core::offer_sleep(time_point now) {
  if (settling_ && (!nothing_to_do() || settle_until_ <= now)) {
    busy(now);
    return true;
  }
  if (!settling_) {
    if (now - idle_since_ < opts_.sleep_after || !nothing_to_do())
      return false;
    settling_ = true;
    settle_until_ = now + opts_.quorum_timeout / 2;
  }
  bool all = true;
  for (const auto& p : peers_)
    if (!p.sleep_agreed) {
      all = false;
      post(p.peer, sleep{log_.last_index(), incarnation_});
    }
  if (all)
    fall_asleep();
  return true;
}

void core::fall_asleep() {
  asleep_ = true;
  settling_ = false;
  beat_at_ = quorum_check_ = never;
  effects_.emplace_back(asleep{self_, hard_.term, incarnation_});
}

/// There is something to do: beats again, at once if anybody sleeps already.
void core::busy(time_point now) {
  BANYAN_ASSERT(leads());
  idle_since_ = now;
  if (!asleep_ && !settling_)
    return;
  if (std::exchange(asleep_, false)) {
    effects_.emplace_back(awake{});
    quorum_check_ = now + opts_.quorum_timeout;
    for (auto& p : peers_)
      p.heard = now; // nobody was to speak until now
  }
  settling_ = false;
  for (auto& p : peers_)
    p.sleep_agreed = false;
  beat_at_ = now + opts_.beat_interval;
  send_beats(now);
}

void core::busy_if_asleep(time_point now) {
  if (asleep_ || settling_)
    busy(now);
}

void core::wake(time_point now) {
  if (leads()) {
    busy(now);
    return;
  }
  if (!asleep_)
    return;
  asleep_ = false;
  effects_.emplace_back(awake{});
  arm_election(now);
  post(*leader_, probe{});
}

void core::on(time_point now, const message& m, const raft::sleep& b) {
  if (!from_leader(now, m))
    return;
  if (b.last != log_.last_index() || b.last < committed_)
    return; // the leader will find out and append
  // It offers sleep only to who holds its whole log, all of it committed.
  commit_to(now, b.last);
  asleep_ = true;
  election_at_ = never;
  leader_incarnation_ = b.incarnation;
  effects_.emplace_back(asleep{m.from, hard_.term, b.incarnation});
  post(m.from, sleep_answer{});
}

void core::on(time_point now, const message& m, const sleep_answer&) {
  auto* p = find(m.from);
  if (!p || !settling_)
    return;
  p->sleep_agreed = true;
  if (!nothing_to_do()) {
    busy(now);
    return;
  }
  if (std::all_of(peers_.begin(), peers_.end(),
                  [](const progress& q) { return q.sleep_agreed; }))
    fall_asleep();
}

} // namespace banyan::raft
