// Terms, votes and who leads.
#include "base/planted.hpp"
#include "store/raft/core.hpp"
#include "store/raft/quorum.hpp"

#include <algorithm>

namespace banyan::raft {

void core::report_role() {
  effects_.emplace_back(
      role_changed{role_, hard_.term, leader_, log_.last_index()});
}

void core::arm_election(time_point now) {
  election_at_ = now + random_.between(opts_.election_min, opts_.election_max);
}

bool core::may_stand() const {
  if (!may_lead_)
    return false;
  // A replica that an uncommitted entry takes out of the voters may be the
  // only one that can still commit it.
  return std::any_of(configurations_.begin(), configurations_.end(),
                     [&](const auto& c) { return c.conf.is_voter(self_); });
}

bool core::up_to_date(log_index last, banyan::term last_term) const {
  return planted(planted_bug::vote_for_a_shorter_log)
         || last_term > log_.last_term()
         || (last_term == log_.last_term() && last >= log_.last_index());
}

void core::become_follower(time_point now, banyan::term t,
                           std::optional<replica_ref> leader) {
  BANYAN_ASSERT(t >= hard_.term);
  const auto before = std::make_tuple(role_, hard_.term, leader_);
  const auto led = hard_.term;
  const bool was_leader = leads();
  std::vector<replica_ref> followers;
  if (was_leader)
    for (const auto& p : peers_)
      followers.push_back(p.peer);
  if (t > hard_.term) {
    hard_ = {t, std::nullopt};
    state_dirty_ = true;
  }
  role_ = role::follower;
  votes_.clear();
  if (leader_ && leader_ != leader)
    lost_leader_ = leader_;
  if (leader_ != leader)
    confirm_sent_ = time_point::min();
  leader_ = leader;
  if (was_leader)
    stop_leading(led, t > led, followers);
  if (std::exchange(asleep_, false))
    effects_.emplace_back(awake{});
  arm_election(now);
  settle_pre_votes(leader.has_value());
  if (before != std::make_tuple(role_, hard_.term, leader_))
    report_role();
}

void core::stop_leading(banyan::term led, bool replaced,
                        const std::vector<replica_ref>& followers) {
  const bool handed = std::exchange(handing_over_, false);
  // Before anything else that this batch says on the links.
  std::vector<effect> first;
  first.reserve(followers.size());
  for (const auto& f : followers)
    first.emplace_back(
        send{{self_, f, hard_.term, stopped_leading{led, handed}}});
  effects_.insert(effects_.begin(), std::make_move_iterator(first.begin()),
                  std::make_move_iterator(first.end()));
  if (transfer_)
    effects_.emplace_back(transfer_ended{transfer_->to, replaced});
  transfer_.reset();
  peers_.clear();
  settling_ = false;
  beat_at_ = quorum_check_ = never;
  drop_reads();
}

void core::forget_leader(time_point now) {
  if (!leader_)
    return;
  become_follower(now, hard_.term, std::nullopt);
}

void core::stand(time_point now, bool asked_by_leader) {
  if (!may_stand()) {
    forget_leader(now);
    arm_election(now);
    return;
  }
  if (asked_by_leader || planted(planted_bug::no_pre_vote)) {
    campaign(now);
    return;
  }
  forget_leader(now);
  role_ = role::pre_candidate;
  campaign_ = random_.next();
  votes_.clear();
  votes_[self_] = true;
  arm_election(now);
  report_role();
  for (const auto& r : configuration().members())
    if (r != self_ && configuration().is_voter(r))
      post(r, pre_vote{campaign_, hard_.term.next(), log_.last_index(),
                       log_.last_term()});
  count_votes(now);
}

void core::campaign(time_point now) {
  BANYAN_ASSERT(!leads());
  if (leader_)
    lost_leader_ = leader_;
  leader_.reset();
  if (std::exchange(asleep_, false))
    effects_.emplace_back(awake{});
  role_ = role::candidate;
  hard_ = {hard_.term.next(), self_};
  state_dirty_ = true;
  own_vote_durable_ = false;
  campaign_ = random_.next();
  votes_.clear();
  arm_election(now);
  settle_pre_votes(false);
  report_role();
  for (const auto& r : configuration().members())
    if (r != self_ && configuration().is_voter(r))
      post(r, vote{campaign_, log_.last_index(), log_.last_term()});
}

void core::count_votes(time_point now) {
  const auto outcome = quorum::vote_result(
      configuration(), [&](const auto& r) -> std::optional<bool> {
        const auto at = votes_.find(r);
        return at == votes_.end() ? std::nullopt
                                  : std::optional<bool>{at->second};
      });
  if (outcome == quorum::outcome::lost) {
    role_ = role::follower;
    votes_.clear();
    report_role();
  } else if (outcome == quorum::outcome::won) {
    if (role_ == role::pre_candidate)
      campaign(now);
    else if (own_vote_durable_)
      become_leader(now);
  }
}

void core::become_leader(time_point now) {
  BANYAN_ASSERT(role_ == role::candidate && own_vote_durable_);
  role_ = role::leader;
  leader_ = self_;
  lost_leader_.reset();
  votes_.clear();
  election_at_ = never;
  idle_since_ = now;
  settle_pre_votes(true);
  report_role();
  term_start_ = log_.last_index().next();
  refresh_peers(now, term_start_);
  beat_at_ = now + opts_.beat_interval;
  quorum_check_ = now + opts_.quorum_timeout;
  add_entry(entry_kind::no_op, {});
}

void core::heard_leader(time_point now, const message& m) {
  BANYAN_ASSERT(m.term == hard_.term && !leads());
  heard_leader_ = now;
  lost_leader_.reset();
  if (role_ != role::follower || leader_ != m.from) {
    become_follower(now, m.term, m.from);
    return;
  }
  if (std::exchange(asleep_, false))
    effects_.emplace_back(awake{});
  arm_election(now);
  settle_pre_votes(true);
}

bool core::from_leader(time_point now, const message& m) {
  if (leads()) {
    ++refused_; // two leaders of one term cannot be
    return false;
  }
  heard_leader(now, m);
  return true;
}

// --- pre-votes --------------------------------------------------------------

void core::on(time_point now, const message& m, const pre_vote& b) {
  if (b.next_term <= hard_.term || !up_to_date(b.last_index, b.last_term)) {
    answer_pre_vote(m.from, b, false);
    return;
  }
  if (leads()) {
    busy_if_asleep(now);
    post(m.from, beat{});
    answer_pre_vote(m.from, b, false);
    return;
  }
  if (leader_ == m.from)
    forget_leader(now); // who asks for votes does not lead
  if (!leader_) {
    answer_pre_vote(m.from, b, true);
    return;
  }
  if (!configuration().contains(m.from)) {
    answer_pre_vote(m.from, b, false);
    return;
  }
  // It may be right: ask the leader, and answer when more is known.
  if (held_pre_votes_.empty()) {
    post(*leader_, probe{});
    effects_.emplace_back(probe_leader{*leader_});
  }
  const auto same =
      std::find_if(held_pre_votes_.begin(), held_pre_votes_.end(),
                   [&](const auto& held) { return held.from == m.from; });
  if (same != held_pre_votes_.end())
    same->asked = b;
  else
    held_pre_votes_.push_back({m.from, b, now + opts_.pre_vote_hold});
}

void core::answer_pre_vote(const replica_ref& to, const pre_vote& asked,
                           bool granted) {
  post(to, pre_vote_answer{asked.campaign, granted});
}

void core::settle_pre_votes(bool leader_answered) {
  for (const auto& held : std::exchange(held_pre_votes_, {}))
    answer_pre_vote(
        held.from, held.asked,
        !leader_answered && held.asked.next_term > hard_.term
            && up_to_date(held.asked.last_index, held.asked.last_term));
}

void core::expire_pre_votes(time_point now) {
  // A leader that was silent for a whole shortest election time, and to the
  // probe, is gone for this replica too; else the answer is no.
  if (leader_ && heard_leader_ + opts_.election_min <= now)
    forget_leader(now);
  else
    settle_pre_votes(true);
}

void core::on(time_point now, const message& m, const pre_vote_answer& b) {
  if (role_ != role::pre_candidate || b.campaign != campaign_)
    return;
  votes_.emplace(m.from, b.granted);
  count_votes(now);
}

// --- votes ------------------------------------------------------------------

void core::on(time_point now, const message& m, const vote& b) {
  // A learner answers too: it may have been promoted without knowing. Whether
  // its vote counts is for the candidate's configuration to say.
  const bool free = hard_.vote == m.from || (!hard_.vote && !leader_)
                    || planted(planted_bug::vote_twice_in_a_term);
  if (!free || !up_to_date(b.last_index, b.last_term)) {
    post(m.from, vote_answer{b.campaign, false});
    return;
  }
  if (!hard_.vote) {
    hard_.vote = m.from;
    state_dirty_ = true;
  }
  if (role_ == role::pre_candidate) {
    role_ = role::follower; // let the one voted for try
    votes_.clear();
    report_role();
  }
  arm_election(now);
  post_durable(m.from, vote_answer{b.campaign, true});
}

void core::on(time_point now, const message& m, const vote_answer& b) {
  if (role_ != role::candidate || b.campaign != campaign_)
    return;
  votes_.emplace(m.from, b.granted);
  count_votes(now);
}

void core::on(time_point now, const message& m, const timeout_now&) {
  if (!leads() && (leader_ == m.from || lost_leader_ == m.from)
      && configuration().is_voter(self_))
    stand(now, true);
}

// --- evidence ---------------------------------------------------------------

void core::on(time_point now, const message& m, const stopped_leading& b) {
  if (leader_ != m.from || leads() || b.led != hard_.term || m.term < b.led)
    return;
  last_evidence_ = evidence::stopped;
  forget_leader(now);
  if (m.term > b.led)
    lost_leader_.reset(); // somebody stands already: don't compete
  else if (!b.handed)
    effects_.emplace_back(leader_stopped{m.from, b.led});
}

void core::on(time_point now, const message& m, const probe&) {
  if (!leads()) {
    if (leader_ == m.from)
      forget_leader(now); // a leader does not ask
    post(m.from, stopped_leading{hard_.term});
    return;
  }
  busy_if_asleep(now);
  post(m.from, beat{});
}

void core::leader_lost(time_point now, const node_id& leader, evidence why,
                       unsigned rank) {
  if (leads())
    return;
  const auto& followed = leader_ ? leader_ : lost_leader_;
  if (!followed || followed->node != leader)
    return;
  last_evidence_ = why;
  forget_leader(now);
  lost_leader_.reset(); // one piece of evidence shortens one wait
  if (role_ != role::follower)
    return; // standing already
  auto wait = opts_.rank_step * static_cast<duration::rep>(rank);
  if (rank > 0)
    wait += random_.between(0ms, opts_.rank_step);
  election_at_ = std::min(election_at_, now + wait);
  if (rank == 0)
    stand(now, false);
}

void core::node_seen(time_point now, const node_id& node, incarnation seen,
                     unsigned rank) {
  if (leads()) {
    for (auto& p : peers_)
      if (p.peer.node == node
          && !planted(planted_bug::rolled_back_voter_counts)) {
        p.doubt();
        busy(now);
        send_append(now, p, true);
      }
    return;
  }
  if (!planted(planted_bug::miss_a_restarted_leader) && asleep_
      && leader_->node == node && seen > leader_incarnation_)
    leader_lost(now, node, evidence::higher_incarnation, rank);
}

unsigned election_rank(const configuration& c, const replica_ref& self,
                       const node_id& lost, term led,
                       const std::function<bool(const node_id&)>& same_region) {
  // Replica ids are random; the term turns the order, so that one replica
  // does not lead all groups of a lost node twice.
  const auto place = [&](const replica_ref& r) {
    std::uint64_t h = led.value() * 0x9e3779b97f4a7c15u;
    for (const auto b : r.replica.array())
      h = (h ^ b) * 0x100000001b3u;
    h ^= h >> 32;
    return std::make_tuple(!same_region(r.node), h, r);
  };
  const auto mine = place(self);
  unsigned rank = 0;
  for (const auto& r : c.members())
    if (r.node != lost && c.is_voter(r) && r != self && place(r) < mine)
      ++rank;
  return c.is_voter(self) ? rank : static_cast<unsigned>(c.voters.size());
}

} // namespace banyan::raft
