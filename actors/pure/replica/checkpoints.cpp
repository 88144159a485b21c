// Checkpoints: every replica stores its state exactly at one entry and tells
// the leader the digest. Who differs from an agreeing majority rebuilds; where
// no majority agrees, nobody does, and the group answers `conflict`.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"
#include "store/raft/quorum.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration report_again = std::chrono::seconds{1};
constexpr unsigned reports_max = 10;
constexpr duration conflict_again = std::chrono::seconds{10};
constexpr std::size_t comparisons_max = 4;

using verdict = replica::checkpoint_verdict::what;

} // namespace

// ---- the entry --------------------------------------------------------------

void replica_core::impl::checkpoint(std::uint64_t number, time_point) {
  if (!raft_ || failed_ || !leading_)
    return end_change(number, false, "not the leader");
  if (checkpoint_wanted_.size() >= 16)
    return end_change(number, false, "too many comparisons wait");
  checkpoint_wanted_.push_back(number);
}

void replica_core::impl::propose_checkpoint(time_point now) {
  if (!released_ || raft_->transferring())
    return;
  const bool open = std::any_of(comparisons_.begin(), comparisons_.end(),
                                [](const auto& c) { return !c.second.ended; });
  if (open)
    return; // one at a time
  const auto entries = overlay_.last().value() - checkpoint_at_.value();
  const bool alone = raft_->configuration().members().size() < 2;
  const bool due =
      !alone
      && (entries >= config_.checkpoint_entries
          || checkpoint_size_ >= config_.checkpoint_bytes || compare_asked_
          || (conflict_ && conflict_retry_ <= now));
  if (!due && checkpoint_wanted_.empty())
    return;
  const auto index = propose(replica::checkpoint_entry{}, now);
  if (!index)
    return;
  compare_asked_ = false;
  if (conflict_)
    conflict_retry_ = now + conflict_again;
  if (comparisons_.size() >= comparisons_max)
    comparisons_.erase(comparisons_.begin());
  auto& c = comparisons_[*index];
  c.until = now + config_.checkpoint_patience;
  c.numbers = std::exchange(checkpoint_wanted_, {});
}

// ---- every replica ----------------------------------------------------------

/// The state has come to stand somewhere else.
void replica_core::impl::stored_checkpoint(time_point now) {
  bool here = false;
  while (!checkpoints_.empty() && checkpoints_.front() <= state_meta_.index) {
    here = checkpoints_.front() == state_meta_.index;
    checkpoints_.pop_front();
  }
  if (!here || !state_digest_ || !damage_.empty())
    return; // it says nothing while it isn't known to be right
  report_ = {state_meta_.index, *state_digest_};
  report_settled_ = false;
  reported_ = 0;
  report_checkpoint(now);
}

void replica_core::impl::report_checkpoint(time_point now) {
  report_next_ = never;
  if (!report_ || report_settled_ || !whole())
    return;
  if (leading_)
    return take_report(config_.self, *report_, now);
  if (++reported_ > reports_max)
    return;
  report_next_ = now + report_again;
  if (const auto& leader = raft_->leader(); leader && *leader != config_.self)
    send_frame(*leader, group_frame_kind::checkpoint_report,
               replica::encode(*report_), false);
}

void replica_core::impl::on_verdict(const replica_ref& from,
                                    const_bytes payload, time_point now) {
  replica::checkpoint_verdict m;
  if (!replica::decode(payload, m) || raft_->leader() != from || !whole()
      || !report_ || m.index != report_->index)
    return;
  report_settled_ = true;
  report_next_ = never;
  switch (m.verdict) {
  case verdict::agreed:
    conflict_ = false;
    return;
  case verdict::conflict:
    conflict_ = true;
    conflict_retry_ = now + conflict_again;
    return;
  case verdict::odd:
    if (m.digest != report_->digest)
      lose_state("it differs from a majority at entry "
                     + std::to_string(m.index.value()),
                 true, now);
    return;
  case verdict::unknown:
    return;
  }
}

// ---- the leader -------------------------------------------------------------

void replica_core::impl::on_report(const replica_ref& from, const_bytes payload,
                                   time_point now) {
  replica::checkpoint_report m;
  if (!replica::decode(payload, m) || !leading_
      || !raft_->configuration().contains(from))
    return;
  if (m.index == log_index{})
    compare_asked_ = true;
  else
    take_report(from, m, now);
}

void replica_core::impl::take_report(const replica_ref& from,
                                     const replica::checkpoint_report& report,
                                     time_point now) {
  auto it = comparisons_.find(report.index);
  if (it == comparisons_.end()) {
    // Proposed by an earlier leader, or long over.
    const bool mine = (report_ && report_->index == report.index)
                      || report.index > state_meta_.index;
    if (!mine || report.index > committed_
        || comparisons_.size() >= comparisons_max) {
      if (from != config_.self)
        tell_verdict(from, report.index, {});
      return;
    }
    it = comparisons_.try_emplace(report.index).first;
    it->second.until = now + config_.checkpoint_patience;
    if (report_ && report_->index == report.index)
      it->second.reports[config_.self] = report_->digest;
  }
  it->second.reports[from] = report.digest;
  judge(report.index, it->second, now);
}

void replica_core::impl::tell_verdict(const replica_ref& to, log_index index,
                                      const comparison& c) {
  replica::checkpoint_verdict m;
  m.index = index;
  const auto own = c.reports.find(to);
  if (c.agreed && own != c.reports.end()) {
    m.digest = *c.agreed;
    m.verdict = own->second == *c.agreed ? verdict::agreed : verdict::odd;
  } else if (c.ended && conflict_) {
    m.verdict = verdict::conflict;
  }
  send_frame(to, group_frame_kind::checkpoint_verdict, replica::encode(m),
             false);
}

void replica_core::impl::judge(log_index index, comparison& c, time_point now) {
  const auto conf = raft_->configuration();
  std::map<store::state_digest, std::size_t> sizes;
  for (const auto& [who, sum] : c.reports)
    if (conf.contains(who))
      ++sizes[sum];
  std::size_t largest = 0;
  for (const auto& [sum, size] : sizes) {
    largest = std::max(largest, size);
    if (c.agreed)
      continue;
    // Only voters that have a whole state now count: whoever is odd rebuilds
    // from them.
    const auto outcome = raft::quorum::vote_result(
        conf, [&, &d = sum](const replica_ref& r) -> std::optional<bool> {
          const auto at = c.reports.find(r);
          if (at == c.reports.end() || lacks_state(r, now))
            return std::nullopt;
          return at->second == d;
        });
    if (outcome == raft::quorum::outcome::won
        || planted(planted_bug::quarantine_without_majority))
      c.agreed = sum;
  }
  bool all = true;
  for (const auto& r : conf.members())
    if (c.reports.count(r) == 0 && !lacks_state(r, now))
      all = false;

  checkpoint_judged news;
  news.index = index;
  news.compared = c.reports.size();
  news.agreeing = largest;
  if (c.agreed) {
    bool self_odd = false;
    for (const auto& [who, sum] : c.reports) {
      if (sum == *c.agreed || !c.odd.insert(who).second)
        continue;
      news.odd.push_back(who);
      self_odd |= who == config_.self;
    }
    digests_odd_ += news.odd.size();
    const bool first =
        !std::exchange(c.ended, all || now >= c.until) && c.ended;
    if (first)
      digests_compared_ += c.reports.size();
    if (first || !news.odd.empty())
      out_.emplace_back(news);
    conflict_ = false;
    conflict_retry_ = never;
    const auto reports = c.reports;
    for (const auto& [who, sum] : reports)
      if (who != config_.self)
        tell_verdict(who, index, c);
      else if (!self_odd)
        report_settled_ = true;
    if (first)
      end_comparison(index, c, true, {});
    if (self_odd) // in this order: `c` is gone afterwards
      lose_state("it differs from a majority at entry "
                     + std::to_string(index.value()),
                 true, now);
    return;
  }
  if (c.ended || (!all && now < c.until))
    return;
  c.ended = true;
  digests_compared_ += c.reports.size();
  const auto heard = raft::quorum::vote_result(
      conf, [&](const replica_ref& r) -> std::optional<bool> {
        return c.reports.count(r) != 0 ? std::optional{true} : std::nullopt;
      });
  if (sizes.size() < 2 || heard != raft::quorum::outcome::won) {
    end_comparison(index, c, false, "too few voters said what they have");
    return; // nothing is known to be wrong
  }
  conflict_ = news.conflict = true;
  conflict_retry_ = now + conflict_again;
  report_settled_ = true;
  out_.emplace_back(news);
  for (const auto& [who, sum] : c.reports)
    if (who != config_.self)
      tell_verdict(who, index, c);
  end_comparison(index, c, false, "the states differ, and no majority agrees");
}

void replica_core::impl::end_comparison(log_index, comparison& c, bool done,
                                        const std::string& why) {
  c.ended = true;
  for (const auto number : std::exchange(c.numbers, {}))
    end_change(number, done, why);
}

void replica_core::impl::checkpoint_tick(time_point now) {
  if (report_next_ <= now)
    report_checkpoint(now);
  if (!leading_) {
    // The leader that found it may be gone, and the next one not know of it.
    const auto& leader = raft_->leader();
    if (!conflict_ || conflict_retry_ > now)
      return;
    conflict_retry_ = now + conflict_again;
    if (whole() && leader && *leader != config_.self)
      send_frame(*leader, group_frame_kind::checkpoint_report,
                 replica::encode(replica::checkpoint_report{}), false);
    return;
  }
  for (auto it = comparisons_.begin(); leading_ && it != comparisons_.end();) {
    auto& [index, c] = *it++;
    if (!c.ended && c.until <= now)
      judge(index, c, now);
  }
}

time_point replica_core::impl::checkpoint_deadline() const {
  auto at = conflict_ ? std::min(report_next_, conflict_retry_) : report_next_;
  for (const auto& [index, c] : comparisons_)
    if (leading_ && !c.ended)
      at = std::min(at, c.until);
  return at;
}

} // namespace banyan
