// Linearizable queries: ReadIndex rounds, without clocks and leases.
#include "base/planted.hpp"
#include "store/raft/core.hpp"
#include "store/raft/quorum.hpp"

#include <algorithm>

namespace banyan::raft {

bool core::read(time_point now, std::uint64_t context) {
  if (!leads())
    return false;
  busy(now);
  if (planted(planted_bug::read_joins_a_running_round) && round_.number != 0)
    return round_.contexts.push_back(context), true;
  waiting_reads_.push_back(context);
  return true;
}

bool core::confirm(time_point now) {
  if (!leader_)
    return false;
  if (confirm_sent_ != time_point::min()
      && now - confirm_sent_ < opts_.quorum_timeout)
    return true; // one question at a time, unless its answer was lost
  confirm_sent_ = now;
  ++confirm_number_;
  if (leads()) {
    busy(now);
    waiting_remotes_.push_back({self_, confirm_number_});
  } else {
    post(*leader_, confirm_question{confirm_number_});
  }
  return true;
}

/// Everybody who waits joins one round; who comes later waits for the next,
/// since an answer already under way says nothing about later.
void core::start_round(time_point now) {
  BANYAN_ASSERT(round_.number == 0);
  while ((!waiting_reads_.empty() || !waiting_remotes_.empty())
         && (leads_committed()
             || planted(planted_bug::read_before_own_term_commit))
         && round_.number == 0) {
    round_ = {};
    round_.number = ++rounds_;
    round_.index = committed_;
    round_.sent = now;
    round_.acks.insert(self_);
    round_.contexts = std::exchange(waiting_reads_, {});
    round_.remotes = std::exchange(waiting_remotes_, {});
    send_round();
    settle_round();
  }
}

void core::send_round() {
  const auto& c = configuration();
  for (const auto& p : peers_)
    if (c.is_voter(p.peer) && !round_.acks.contains(p.peer))
      post(p.peer, round_question{round_.number});
}

void core::settle_round() {
  const auto outcome = quorum::vote_result(configuration(), [&](const auto& r) {
    return round_.acks.contains(r) ? std::optional<bool>{true} : std::nullopt;
  });
  if (outcome != quorum::outcome::won)
    return;
  if (!round_.contexts.empty())
    effects_.emplace_back(
        reads_confirmed{std::move(round_.contexts), round_.index});
  for (const auto& r : round_.remotes) {
    if (r.from != self_)
      post(r.from, confirm_answer{r.number, round_.index});
    else if (r.number == confirm_number_)
      effects_.emplace_back(
          fresh{std::exchange(confirm_sent_, time_point::min()), round_.index});
  }
  round_ = {};
}

void core::drop_reads() {
  auto contexts = std::move(round_.contexts);
  contexts.insert(contexts.end(), waiting_reads_.begin(), waiting_reads_.end());
  waiting_reads_.clear();
  waiting_remotes_.clear();
  round_ = {};
  if (!contexts.empty())
    effects_.emplace_back(reads_dropped{std::move(contexts)});
}

void core::on(time_point now, const message& m, const round_question& b) {
  if (from_leader(now, m))
    post(m.from, round_answer{b.round});
}

void core::on(time_point, const message& m, const round_answer& b) {
  if (!leads() || round_.number == 0
      || (b.round != round_.number
          && !planted(planted_bug::answers_of_any_round_count))
      || !configuration().is_voter(m.from))
    return;
  round_.acks.insert(m.from);
  settle_round();
}

void core::on(time_point now, const message& m, const confirm_question& b) {
  if (!leads() || !find(m.from))
    return;
  busy(now);
  const auto same =
      std::find_if(waiting_remotes_.begin(), waiting_remotes_.end(),
                   [&](const auto& r) { return r.from == m.from; });
  if (same != waiting_remotes_.end())
    same->number = b.number; // only its last question counts
  else
    waiting_remotes_.push_back({m.from, b.number});
}

void core::on(time_point now, const message& m, const confirm_answer& b) {
  if (!from_leader(now, m))
    return;
  // An answer to an earlier question, or to an earlier life, whose numbers
  // began elsewhere, confirms nothing about the time of the last one.
  if (b.number != confirm_number_ || confirm_sent_ == time_point::min())
    return;
  effects_.emplace_back(
      fresh{std::exchange(confirm_sent_, time_point::min()), b.index});
}

} // namespace banyan::raft
