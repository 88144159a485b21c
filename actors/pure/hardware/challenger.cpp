#include "actors/pure/hardware/challenger.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr unsigned strikes_max = 2;
/// Fewer beats with a pending fsync say nothing about a disk.
constexpr std::uint32_t fsyncs_judged = 200;
/// What a loaded disk is excused, and what no disk need be.
constexpr std::uint32_t fsync_excused = 8;
constexpr duration fsync_always_fine = std::chrono::milliseconds{200};
/// An asker's own work says how fast such work is: so many times as slow may
/// the other be.
constexpr int slower_than_asker = 8;

} // namespace

std::uint8_t challenger::worth(const subject& s) {
  if (s.unproven)
    return 0;
  auto out = std::min(s.claim, s.disk_tier);
  if (s.failed)
    out = std::min<std::uint8_t>(out, *s.failed - 1);
  return out;
}

time_point challenger::at_random(time_point from, duration within) {
  return from + random_.between(duration{0}, std::max(within, duration{1}));
}

void challenger::say(const node_id& who, const subject& s, std::uint8_t before,
                     const std::string& why, challenge_effects& out) const {
  if (worth(s) != before)
    out.emplace_back(finding_made{who, s.claim, worth(s), why});
}

void challenger::meet(const challenge_subject& c, time_point now,
                      challenge_effects& out) {
  const auto [at, is_new] = subjects_.try_emplace(c.node);
  auto& s = at->second;
  if (is_new || c.claim > s.claim) {
    const auto soon = at_random(now, rhythm_.first_within);
    s.due = is_new ? soon : std::min(s.due, soon);
    if (is_new)
      s.next_period = s.due;
  }
  if (s.claim != c.claim) { // its failures stay with it
    s.claim = c.claim;
    s.testing = c.claim;
    s.held.reset();
  }
  s.missing_since.reset();
  if (c.claim == 0) { // it claims nothing
    s.had_no_time_since.reset();
    s.unproven = false;
  }
  s.heard = c.heard;
  s.busy = c.busy || !c.answers;
  s.round_trip = c.round_trip;
  watch_disk(s, c.node, c.fsync_age, out);
}

/// A pending fsync that is far older than the claimed tier's may be, in a fifth
/// of the beats that tell of one.
void challenger::watch_disk(subject& s, const node_id& node, duration age,
                            challenge_effects& out) {
  if (age == duration{} || s.claim == 0)
    return;
  ++s.fsyncs;
  for (std::size_t i = 0; i < policy_.tiers.size(); ++i) {
    const auto fine = std::max(
        fsync_always_fine,
        duration{std::chrono::microseconds{policy_.tiers[i].fsync_p99_us}}
            * fsync_excused);
    s.slow[i] += policy_.tiers[i].fsync_p99_us != 0 && age > fine ? 1 : 0;
  }
  if (s.fsyncs < fsyncs_judged)
    return;
  const auto before = worth(s);
  s.disk_tier = UINT8_MAX;
  for (std::size_t i = policy_.tiers.size(); i > 0; --i)
    if (s.slow[i - 1] * 5 >= s.fsyncs)
      s.disk_tier = static_cast<std::uint8_t>(i - 1);
  s.fsyncs = 0;
  s.slow = {};
  say(node, s, before,
      worth(s) < before ? "its disk is far slower than that, by its beats"
                        : "its disk is as fast as that",
      out);
}

void challenger::on_look(const std::vector<challenge_subject>& subjects,
                         const mesh_policy& policy, bool busy, time_point now,
                         challenge_effects& out) {
  policy_ = policy;
  std::map<node_id, subject> kept;
  for (const auto& c : subjects) {
    meet(c, now, out);
    kept.insert(subjects_.extract(c.node));
  }
  // Who goes away doesn't come back a better one.
  for (auto& [node, s] : subjects_) {
    s.heard = false;
    if (!s.missing_since)
      s.missing_since = now;
    if (worth(s) < s.claim && now - *s.missing_since < rhythm_.period)
      kept.emplace(node, s);
  }
  subjects_ = std::move(kept);
  if (run_) {
    const auto at = subjects_.find(run_->who);
    if (at == subjects_.end()) {
      run_.reset();
    } else if (run_->expected && !at->second.heard) {
      const auto who = run_->who;
      run_.reset();
      had_no_time(who, at->second, now, out); // its link broke: no verdict
    } else if (run_->expected && now >= run_->sent + run_->limit) {
      strike("it did not answer", now, out);
    }
  }
  if (run_)
    return;
  for (auto& [node, s] : subjects_) {
    if (s.claim == 0 || s.missing_since || now < s.due)
      continue;
    if (busy) // this node's business is no fault of theirs
      continue;
    if (!s.heard || s.busy) {
      had_no_time(node, s, now, out);
      continue;
    }
    return begin(node, challenge_kind::memory, out);
  }
}

void challenger::begin(const node_id& who, challenge_kind kind,
                       challenge_effects& out) {
  const auto& s = subjects_.at(who);
  run r;
  r.who = who;
  r.tier = s.testing;
  r.what.number = ++numbers_;
  r.what.kind = kind;
  r.what.nonce = challenge_nonce{random_.array<32>()};
  if (kind == challenge_kind::memory) {
    r.what.size = memory_challenge_mib(policy_, s.testing);
    r.limit = memory_challenge_limit(r.what.size);
  } else {
    r.what.size = bandwidth_challenge_kib(s.testing);
    r.limit = bandwidth_challenge_limit;
  }
  run_ = r;
  out.emplace_back(solve_challenge{r.what});
}

void challenger::on_solved(std::uint64_t number,
                           const std::optional<hardware_answer>& answer,
                           duration took, time_point now,
                           challenge_effects& out) {
  if (!run_ || run_->what.number != number || run_->expected)
    return;
  const auto at = subjects_.find(run_->who);
  if (!answer || at == subjects_.end() || !at->second.heard) {
    if (at != subjects_.end()) // this node couldn't: another time
      at->second.due = at_random(now + rhythm_.later, rhythm_.later);
    run_.reset();
    return;
  }
  run_->expected = answer->proof;
  run_->sent = now;
  if (run_->what.kind == challenge_kind::memory)
    run_->limit = std::max(run_->limit, took * slower_than_asker)
                  + 2 * at->second.round_trip;
  ++counters_.asked;
  out.emplace_back(send_challenge{run_->who, run_->what});
}

void challenger::on_answer(const node_id& from, const hardware_answer& a,
                           time_point now, challenge_effects& out) {
  if (!run_ || run_->who != from || run_->what.number != a.number
      || !run_->expected)
    return;
  auto& s = subjects_.at(from);
  if (a.outcome == challenge_outcome::later) {
    run_.reset();
    return had_no_time(from, s, now, out);
  }
  const auto took = now - run_->sent;
  if (took >= run_->limit)
    return strike("its answer came too late", now, out);
  if (a.outcome == challenge_outcome::unable)
    return strike("it has not got the memory", now, out);
  if (a.proof != *run_->expected)
    return strike("its answer was wrong", now, out);
  if (run_->what.kind == challenge_kind::memory)
    return begin(from, challenge_kind::bandwidth, out);
  const auto size = std::uint64_t{run_->what.size} * 1024;
  const auto least = std::uint64_t{bandwidth_kb_s(run_->tier)} * 1000;
  const auto line = std::max(took - s.round_trip, duration{1});
  if (a.data.size() != size)
    return strike("it sent something else than it was asked for", now, out);
  if (rate(size, line) < least)
    return strike("it sends too slowly: "
                      + std::to_string(rate(size, line) / 1000) + " KB/s",
                  now, out);
  hold(now, out);
}

void challenger::had_no_time(const node_id& who, subject& s, time_point now,
                             challenge_effects& out) {
  ++counters_.postponed;
  s.due = at_random(now + rhythm_.later, rhythm_.later);
  if (!s.had_no_time_since)
    s.had_no_time_since = now;
  if (s.unproven || now - *s.had_no_time_since < rhythm_.unproven_after)
    return;
  const auto before = worth(s);
  s.unproven = true;
  say(who, s, before, "it was never to be had for a challenge", out);
}

/// What is under way wasn't met.
void challenger::strike(const std::string& why, time_point now,
                        challenge_effects& out) {
  const auto r = *run_;
  run_.reset();
  ++counters_.failed;
  auto& s = subjects_.at(r.who);
  s.had_no_time_since.reset();
  s.due = at_random(now + rhythm_.again, rhythm_.again);
  if (++s.strikes < strikes_max)
    return;
  const auto before = worth(s);
  s.strikes = 0;
  s.held.reset();
  s.failed = std::min(s.failed.value_or(UINT8_MAX), r.tier);
  say(r.who, s, before, why, out);
  if (r.tier > 1) {
    s.testing = static_cast<std::uint8_t>(r.tier - 1);
    return; // soon: does less hold?
  }
  s.testing = s.claim; // nothing does; the whole claim in the next period
  while (s.next_period <= now)
    s.next_period += rhythm_.period;
  s.due = at_random(s.next_period, rhythm_.period / 2);
}

/// What is under way was met, and with it all that the tier asks for.
void challenger::hold(time_point now, challenge_effects& out) {
  const auto r = *run_;
  run_.reset();
  ++counters_.held;
  auto& s = subjects_.at(r.who);
  const auto before = worth(s);
  s.strikes = 0;
  s.unproven = false;
  s.had_no_time_since.reset();
  if (s.failed && r.tier >= *s.failed)
    s.failed.reset();
  if (r.tier >= s.claim)
    s.held = now;
  say(r.who, s, before, "it has proven it", out);
  s.testing = s.claim;
  while (s.next_period <= now)
    s.next_period += rhythm_.period;
  s.due = at_random(s.next_period, rhythm_.period / 2);
}

std::uint8_t challenger::finding(const node_id& who) const {
  const auto at = subjects_.find(who);
  return at == subjects_.end() ? UINT8_MAX : worth(at->second);
}

std::optional<time_point> challenger::held_at(const node_id& who) const {
  const auto at = subjects_.find(who);
  return at == subjects_.end() ? std::nullopt : at->second.held;
}

std::map<node_id, std::uint8_t> challenger::doubts() const {
  std::map<node_id, std::uint8_t> out;
  for (const auto& [node, s] : subjects_)
    if (worth(s) < s.claim)
      out.emplace(node, worth(s));
  return out;
}

bool challenged::take(const node_id& from, bool observes, bool busy,
                      time_point now) {
  if (!observes) { // no word at all to count: strangers cost nothing
    ++postponed_;
    return false;
  }
  for (auto i = askers_.begin(); i != askers_.end();)
    i = now - i->second.since >= rhythm_.again ? askers_.erase(i)
                                               : std::next(i);
  auto& a = askers_.try_emplace(from, asker{now, 0}).first->second;
  if (at_work_ || busy || a.count >= rhythm_.answers_max) {
    ++postponed_;
    return false;
  }
  ++a.count;
  ++taken_;
  at_work_ = true;
  return true;
}

} // namespace banyan
