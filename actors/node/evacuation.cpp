// What an enforced policy does to this node, and to those whose groups it
// leads: the shell of actors/pure/evacuation.
#include "actors/node/evacuation.hpp"

#include "actors/node/names.hpp"
#include "actors/node/operator_desk.hpp"
#include "actors/node/uptime.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

std::optional<std::string> kept_out(const store::documents& d,
                                    std::int64_t now_unix_ms) {
  const auto kept =
      d.find(static_cast<std::uint8_t>(document_kind::excluded), const_bytes{});
  exclusion e;
  if (!kept || !decode(kept->view(), e) || now_unix_ms >= e.until_unix_ms)
    return std::nullopt;
  return words_of(e);
}

exclusion exclusion_here(const node_context& ctx) {
  if (ctx.uptime == nullptr)
    return exclusion_of(std::nullopt, mesh_policy{}, ctx.unix_ms());
  return exclusion_of(ctx.uptime->of(ctx.self()).week, ctx.uptime->policy(),
                      ctx.unix_ms());
}

drain& operator_desk::leaving() {
  return drain_.on() ? drain_ : evacuated_;
}

/// The time is over for which it was kept out.
void operator_desk::note_readmission() {
  auto& ctx = s_.ctx_;
  if (!ctx.disk.documents->find(
          static_cast<std::uint8_t>(document_kind::excluded), const_bytes{}))
    return;
  s_.put_documents({document(document_kind::excluded, {}, std::nullopt)},
                   nullptr);
  const std::string what =
      "it was excluded by the mesh's policy, and joins again on probation";
  ctx.log(log_level::info, "this node is readmitted: " + what);
  ctx.event(event_kind::readmitted, {}, what, std::nullopt, ctx.self());
}

void operator_desk::tick_evacuation(time_point now) {
  auto& ctx = s_.ctx_;
  if (ctx.members == nullptr || s_.stopping_ || s_.halted_ || excluded_)
    return;
  const auto as = ctx.standing_of(ctx.self());
  const auto held =
      s_.replicas_.size() + s_.first_writes_.size() + ctx.instances.size();
  switch (evacuation_.on_tick(as, held, now)) {
  case evacuation::step::none:
    return;
  case evacuation::step::begin: {
    evacuated_.begin(false, now);
    ctx.draining[ctx.self()].on = true;
    const auto what = std::to_string(s_.replicas_.size())
                      + " replicas move away, one at a time: its uptime is too "
                        "low for the mesh's policy (`banyan uptime`)";
    ctx.log(log_level::warning, "this node is evacuated: " + what);
    ctx.event(event_kind::evacuation_began, {}, what, std::nullopt, ctx.self());
    return tick_drain(now);
  }
  case evacuation::step::end: {
    evacuated_.cancel();
    if (!drain_.on()) {
      drain_tokens_.clear();
      drain_asked_.clear();
      ctx.draining.erase(ctx.self());
      tell_drain();
    }
    const std::string what = "its standing is better: what is left there stays";
    ctx.log(log_level::info, "this node is evacuated no more: " + what);
    ctx.event(event_kind::evacuation_ended, {}, what, std::nullopt, ctx.self());
    return;
  }
  case evacuation::step::exclude:
    return exclude();
  }
}

/// On the disk first: whoever starts it again hears the same.
void operator_desk::exclude() {
  excluded_ = true;
  const auto e = exclusion_here(s_.ctx_);
  s_.put_documents({document(document_kind::excluded, {}, encode(e))},
                   [this, e] {
                     const auto words = words_of(e);
                     s_.ctx_.event(event_kind::excluded, {}, words,
                                   std::nullopt, s_.ctx_.self());
                     s_.start_.fatal(exit_excluded, words);
                   });
}

/// Nodes that should go and don't.
void operator_desk::tick_evictions(time_point now) {
  auto& ctx = s_.ctx_;
  if (ctx.members == nullptr || s_.stopping_)
    return;
  if (const auto* e = evictions_.running()) {
    const auto at = s_.replicas_.find(e->group);
    const bool goes_on =
        at != s_.replicas_.end() && at->second.role.serving
        && at->second.configured && !evictions_.hangs(now)
        && std::any_of(at->second.configuration.voters.begin(),
                       at->second.configuration.voters.end(),
                       [&](const auto& v) { return v.node == e->from; });
    if (goes_on && wish_for_own(e->group, e->from, std::nullopt, now))
      return;
    end_own(e->group);
    return evictions_.over(now);
  }
  if (now < evictions_at_)
    return;
  evictions_at_ = now + 1s;
  std::set<node_id> leave;
  for (const auto& [node, d] : ctx.draining)
    leave.insert(node);
  const auto standings = ctx.standings();
  evictions_.see(standings, leave, now);
  if (standings.empty())
    return;
  std::vector<eviction_group> led;
  for (const auto& [g, r] : s_.replicas_) {
    if (r.role.now != role_changed::role::leader || !r.role.serving
        || !r.configured || r.adding || r.configuration.joint()
        || wish_of(g, now) != nullptr)
      continue;
    eviction_group x;
    x.group = g;
    group_standing up;
    for (const auto& v : r.configuration.voters) {
      x.voters.push_back(v.node);
      replica_standing there;
      there.reached = ctx.hears(v.node);
      up.voters.push_back(there);
    }
    x.redundancy = redundancy_of(up);
    led.push_back(std::move(x));
  }
  if (const auto e = evictions_.next(led, now)) {
    const auto text = "node " + short_string(e->from)
                      + " should move its replicas away by the mesh's policy "
                        "and doesn't: its voter here is moved for it";
    ctx.log(log_level::warning, text);
    ctx.group_event(event_kind::evacuation_began, e->group, text, e->from);
    static_cast<void>(wish_for_own(e->group, e->from, std::nullopt, now));
  }
}

} // namespace banyan::actors
