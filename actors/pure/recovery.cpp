#include "actors/pure/recovery.hpp"

#include <algorithm>
#include <tuple>

namespace banyan {

lineage_state resolve_lineage(const lineage_id& birth,
                              std::vector<app_recovery> all) {
  lineage_state out;
  out.lineage = birth;
  const auto children = [&](const lineage_id& of) {
    std::vector<app_recovery> found;
    for (const auto& r : all)
      if (r.parent == of)
        found.push_back(r);
    return found;
  };
  for (std::size_t steps = 0; steps <= all.size(); ++steps) {
    auto next = children(out.lineage);
    if (next.size() > 1) { // one that was itself recovered was decided for
      std::vector<app_recovery> decided;
      for (const auto& r : next)
        if (!children(r.lineage).empty())
          decided.push_back(r);
      if (decided.size() != 1) {
        out.conflicting = std::move(next);
        return out;
      }
      next = std::move(decided);
    }
    if (next.empty())
      return out;
    out.lineage = next.front().lineage;
    out.recovery = std::move(next.front());
  }
  return out; // a circle, which only its own owner can have signed
}

lineage_step next_step(const lineage_state& now, const replica_ref& who,
                       const lineage_id& speaks) {
  // Of a conflict neither side is taken up, and nobody ends: its owner may
  // still decide for either.
  if (!now.conflicting.empty() || !now.recovery || now.lineage == speaks)
    return lineage_step::none;
  return now.recovery->survivor == who ? lineage_step::take_up
                                       : lineage_step::end;
}

lineage_start start_in(const lineage_state& now, const replica_ref& who,
                       const std::optional<lineage_id>& noted,
                       const lineage_id& birth) {
  lineage_start s;
  s.lineage = now.lineage;
  if (!now.conflicting.empty())
    s.lineage = noted.value_or(now.lineage); // each in the line that it was in
  else
    s.step = next_step(now, who, noted.value_or(birth));
  return s;
}

recovery_choice choose_survivor(const app_id& app, std::uint32_t shard,
                                const lineage_state& now,
                                const lineage_id& next,
                                const std::vector<surviving_replica>& answers) {
  const auto counts = [&](const surviving_replica& s) {
    if (now.conflicting.empty())
      return s.lineage == now.lineage;
    return std::any_of(now.conflicting.begin(), now.conflicting.end(),
                       [&](const auto& r) { return r.lineage == s.lineage; });
  };
  std::vector<const surviving_replica*> of;
  for (const auto& s : answers)
    if (s.group == group_id{app, shard} && counts(s))
      of.push_back(&s);
  recovery_choice out;
  if (of.empty()) {
    out.why = "no replica of it is left on any node that answers: restore a "
              "backup, or start the nodes that have one";
    return out;
  }
  const auto rank = [](const surviving_replica& s) {
    return std::make_tuple(s.whole, s.term, s.last, s.who);
  };
  const auto* best = *std::max_element(
      of.begin(), of.end(),
      [&](const auto* a, const auto* b) { return rank(*a) < rank(*b); });
  // The configuration of the one that knows most.
  const auto* newest =
      *std::max_element(of.begin(), of.end(), [](const auto* a, const auto* b) {
        return std::tie(a->term, a->last) < std::tie(b->term, b->last);
      });
  const auto answered = [&](const replica_ref& r) {
    return std::any_of(of.begin(), of.end(),
                       [&](const auto* s) { return s->who == r; });
  };
  // One that is about to say what it has may be the best; one that doesn't know
  // who votes says nothing of a majority.
  if (newest->voters.empty()
      || std::any_of(of.begin(), of.end(),
                     [](const auto* s) { return s->pending; })) {
    out.why = "a replica's state is still being verified: ask again";
    return out;
  }
  std::size_t heard = 0;
  app_recovery r;
  for (const auto& v : newest->voters)
    if (answered(v))
      ++heard;
    else
      r.silent.push_back(v);
  std::size_t heard_outgoing = 0;
  for (const auto& v : newest->outgoing)
    if (answered(v))
      ++heard_outgoing;
    else if (std::find(r.silent.begin(), r.silent.end(), v) == r.silent.end())
      r.silent.push_back(v);
  const bool elects = heard * 2 > newest->voters.size()
                      && (newest->outgoing.empty()
                          || heard_outgoing * 2 > newest->outgoing.size());
  const bool serves = std::any_of(of.begin(), of.end(),
                                  [](const auto* s) { return s->serving; });
  if (now.conflicting.empty() && (serves || elects)) {
    out.why = "the group serves, or will by itself: " + std::to_string(heard)
              + " of " + std::to_string(newest->voters.size())
              + " voters answer; nothing is lost";
    return out;
  }
  r.app = app;
  r.shard = shard;
  r.parent = best->lineage;
  r.lineage = next;
  r.survivor = best->who;
  r.term = best->term;
  r.last = best->last;
  r.committed = best->committed;
  for (const auto* s : of)
    r.asked.push_back(s->who);
  out.document = std::move(r);
  return out;
}

} // namespace banyan
