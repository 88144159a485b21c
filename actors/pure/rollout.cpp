#include "actors/pure/rollout.hpp"

#include <algorithm>

namespace banyan {
namespace {

using kind = rollout_step::kind;

std::string milliseconds(duration d) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d);
  const auto tenths = us.count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10)
         + " ms";
}

double failed_part(const health_figures& h) {
  return h.turns == 0
             ? 0
             : static_cast<double>(h.failed) / static_cast<double>(h.turns);
}

std::string written_words(const state_written& w) {
  return "state version " + std::to_string(w.state_version)
         + " was written at index " + std::to_string(w.index.value());
}

rollout_step wait_for(std::string why) {
  return {kind::wait, update_state::waiting, std::move(why)};
}

/// Whom an entry of a later build would lock out; empty: nobody.
std::string without_bits(const rollout_facts& f) {
  if (knows(f.features, feature::versions))
    return {}; // the log asks for them already
  for (const auto& m : f.members)
    if (!knows(m.features, feature::versions))
      return "update waits for node " + m.name
             + ": its banyan-peer is older than versions of apps; update it";
  return {};
}

/// Whose host of the newest version isn't up; empty: all that count are.
std::string not_ready(const rollout_facts& f) {
  std::size_t voters = 0;
  std::size_t ready = 0;
  std::string why;
  for (const auto& m : f.members) {
    if (!m.voter)
      continue;
    ++voters;
    if (m.ready && m.ready->ok && (m.reached || m.here)) {
      ++ready;
      continue;
    }
    const bool gone = !m.here && !m.reached;
    if (gone && m.away >= rollout_patience)
      continue;
    if (!why.empty())
      continue;
    why = "update waits for node " + m.name + ": "
          + (gone                               ? "it is not reached"
             : m.ready && !m.ready->why.empty() ? m.ready->why
                                                : "the new version isn't up "
                                                  "there yet");
  }
  if (why.empty() && ready * 2 <= voters)
    return "update waits for a majority of the voters";
  return why;
}

/// Of what the newest module writes, by whoever has it up.
std::uint32_t newest_state_version(const rollout_facts& f) {
  for (const auto& m : f.members)
    if (m.ready && m.ready->ok && m.ready->state_version != 0)
      return m.ready->state_version;
  return 0;
}

/// The entries that an update needs first; nothing to do: no step.
std::optional<rollout_step> prepare(const rollout_facts& f) {
  if (auto why = without_bits(f); !why.empty())
    return wait_for(std::move(why));
  if (f.changing)
    return wait_for("update waits for a change of the group's replicas");
  if (!knows(f.features, feature::versions))
    return rollout_step{kind::enable, update_state::rolling, {}};
  if (f.versions)
    return std::nullopt;
  if (!f.host_up)
    return wait_for("update waits for the host of the version that runs");
  return rollout_step{kind::record, update_state::rolling, {}};
}

rollout_step watch_over(const rollout_facts& f) {
  const auto& v = *f.versions;
  const auto why = why_unhealthy(f);
  if (!why.empty()) {
    if (f.written && f.written->state_version > v.former->state_version)
      return {kind::settle, update_state::refused,
              why + "; can't go back: " + written_words(*f.written)
                  + "; deploy a fix under a higher number"};
    return {kind::go_back, update_state::rolled_back, why};
  }
  if (f.watched < f.watch || f.longest_turn >= gate_longest_turn)
    return {kind::wait, update_state::canary,
            "watched for " + std::to_string(f.watch / 1s) + " s"};
  return {kind::settle, update_state::done, {}};
}

rollout_step runs_newest(const rollout_facts& f) {
  if (f.versions) {
    if (f.versions->former)
      return watch_over(f);
    if (f.versions->refused == f.running)
      return {kind::rest, update_state::refused, f.versions->why};
    return {};
  }
  // A group that this build has made begins with its version.
  if (!f.newborn || !without_bits(f).empty())
    return {};
  auto step = prepare(f);
  if (!step || step->what == kind::wait)
    return {};
  step->state = update_state::done;
  return *step;
}

rollout_step towards_newest(const rollout_facts& f) {
  if (f.versions && f.versions->former)
    return watch_over(f); // one step after another
  if (f.versions && f.versions->refused == f.newest)
    return {kind::rest, update_state::rolled_back, f.versions->why};
  const auto state_version = newest_state_version(f);
  if (state_version != 0 && f.written
      && f.written->state_version > state_version)
    return {kind::rest, update_state::refused,
            "its module writes state version " + std::to_string(state_version)
                + ", but " + written_words(*f.written)
                + "; deploy one that reads it under a higher number"};
  if (f.shard != 0) {
    if (f.canary && f.canary->number == f.newest
        && (f.canary->state == update_state::rolled_back
            || f.canary->state == update_state::refused))
      return {kind::rest, f.canary->state, "shard 0: " + f.canary->why};
  }
  if (auto why = without_bits(f); !why.empty())
    return wait_for(std::move(why));
  if (auto why = not_ready(f); !why.empty())
    return wait_for(std::move(why));
  if (f.shard != 0
      && (!f.canary || f.canary->running != f.newest
          || f.canary->number != f.newest
          || f.canary->state != update_state::done))
    return wait_for("update waits for shard 0, which takes it first");
  if (const auto first = prepare(f))
    return *first;
  return {kind::take, update_state::rolling, {}};
}

} // namespace

const char* to_string(update_state s) noexcept {
  switch (s) {
  case update_state::done:
    return "done";
  case update_state::waiting:
    return "waiting";
  case update_state::canary:
    return "canary";
  case update_state::rolling:
    return "rolling";
  case update_state::rolled_back:
    return "rolled_back";
  case update_state::refused:
    return "refused";
  }
  return "?";
}

health_figures figures_of(const turn_health& h) {
  return {h.turns, h.failed, h.crashes, h.quantile(0.5), h.quantile(0.99)};
}

std::string why_unhealthy(const rollout_facts& f) {
  const auto& fresh = f.fresh;
  auto crashes = f.before.crashes;
  auto failed = failed_part(f.before);
  for (const auto& o : f.others) {
    crashes = std::max(crashes, o.crashes);
    failed = std::max(failed, failed_part(o));
  }
  if (fresh.crashes > crashes)
    return "its host failed " + std::to_string(fresh.crashes)
           + (fresh.crashes == 1 ? " time" : " times") + ", the old one's "
           + std::to_string(crashes);
  if (fresh.failed >= gate_failed_min
      && failed_part(fresh) > gate_failed_part + 2 * failed)
    return std::to_string(fresh.failed) + " of " + std::to_string(fresh.turns)
           + " turns failed";
  if (f.watched < gate_warm_up)
    return {};
  const auto slower = [&](duration health_figures::*figure,
                          std::uint64_t turns_min, int times, duration slack,
                          const char* name) -> std::string {
    if (fresh.turns < turns_min)
      return {};
    duration old{};
    if (f.before.turns >= turns_min)
      old = f.before.*figure;
    for (const auto& o : f.others)
      if (o.turns >= turns_min)
        old = std::max(old, o.*figure);
    if (old == duration{} || fresh.*figure <= times * old + slack)
      return {};
    return std::string{name} + " of its turns is " + milliseconds(fresh.*figure)
           + ", the old one's " + milliseconds(old);
  };
  auto why = slower(&health_figures::p50, gate_p50_turns, 2, gate_p50_slack,
                    "the median");
  if (why.empty())
    why = slower(&health_figures::p99, gate_p99_turns, 3, gate_p99_slack,
                 "the 99th percentile");
  return why;
}

rollout_step next_step(const rollout_facts& f) {
  if (f.running >= f.newest)
    return runs_newest(f);
  return towards_newest(f);
}

} // namespace banyan
