#include "actors/pure/why.hpp"

#include <algorithm>
#include <map>

namespace banyan {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words)
    out += (out.empty() ? "" : ", ") + w;
  return out;
}

std::string unfit_text(const candidate& c, const placement_need& need) {
  const auto less = [](const char* what, std::uint64_t has,
                       std::uint64_t wanted, const char* unit) {
    return std::string{"its "} + what + " is " + std::to_string(has) + unit
           + ", the spec wants " + std::to_string(wanted) + unit;
  };
  switch (why_unfit(c, need)) {
  case unfit::none:
    break;
  case unfit::region:
    return (c.region.empty() ? "it has no region"
                             : "its region \"" + c.region + "\" is not allowed")
           + (need.regions.empty() ? std::string{}
                                   : "; allowed are " + joined(need.regions));
  case unfit::tier:
    return less("tier", c.tier, need.min_tier, "");
  case unfit::memory:
    return less("memory", c.memory_mib, need.memory_mib, " MiB");
  case unfit::disk:
    return less("disk", c.disk_mib, need.disk_mib, " MiB");
  case unfit::module:
    return "the spec has no module for what it runs on";
  case unfit::weight:
    return "its weight is 0: it takes nothing new";
  }
  return {};
}

std::string excluded_text(const why_member& m, const placement_need& need) {
  return may_run(m) ? unfit_text(m.as, need) : words_of(m.away);
}

/// "machine with aaaa, zone with bbbb".
std::string shares_text(const placement_step& s) {
  std::string out;
  for (const auto& [what, node] : s.shares)
    out += (out.empty() ? "" : ", ") + std::string{to_string(what)} + " with "
           + short_string(node);
  return out;
}

std::string rank_text(const placement_step& s) {
  return "rank " + std::to_string(s.rank) + " by score";
}

std::string chosen_text(const placement_step& s, std::size_t place) {
  auto out = "choice " + std::to_string(place + 1) + ": " + rank_text(s);
  if (s.passed_over > 0)
    out += "; " + std::to_string(s.passed_over)
           + " with a higher score would have shared more with those before";
  if (!s.shares.empty())
    out += "; shares " + shares_text(s) + ": there was no choice";
  return out;
}

std::string passed_text(const placement_step& s) {
  if (s.crowded)
    return rank_text(s) + ", passed over: shares "
           + (s.shares.empty() ? "more" : shares_text(s));
  auto out = rank_text(s) + ", lower than the last choice";
  return s.shares.empty() ? out : out + "; shares " + shares_text(s);
}

} // namespace

std::string words_of(away why) {
  switch (why) {
  case away::none:
    break;
  case away::suspect:
    return "it is suspected to be dead";
  case away::dead:
    return "it is dead";
  case away::left:
    return "it left";
  case away::unheard:
    return "this peer doesn't hear it";
  case away::drained:
    return "it is drained";
  case away::older:
    return "its banyan-peer is older than what the app needs";
  case away::sealed:
    return "it came after the deploy, and its banyan-peer is too old to ask "
           "for the app's secrets";
  case away::unlisted:
    return "it isn't on the mesh's list of allowed nodes: it keeps what it has "
           "and takes nothing new (`banyan policy show`)";
  case away::held:
    return "its uptime was too low for the mesh's policy: it takes nothing new "
           "(`banyan uptime`)";
  case away::unproven:
    return "its hardware is below what the mesh's policy wants, or what it "
           "claims of it doesn't hold: it takes nothing new (`banyan nodes`)";
  case away::evacuated:
    return "its uptime is too low for the mesh's policy: what it has moves "
           "away (`banyan uptime`)";
  }
  return {};
}

const char* to_string(away why) noexcept {
  switch (why) {
  case away::none:
    return "none";
  case away::suspect:
    return "suspect";
  case away::dead:
    return "dead";
  case away::left:
    return "left";
  case away::unheard:
    return "unheard";
  case away::drained:
    return "drained";
  case away::older:
    return "older";
  case away::sealed:
    return "sealed";
  case away::unlisted:
    return "unlisted";
  case away::held:
    return "held";
  case away::unproven:
    return "unproven";
  case away::evacuated:
    return "evacuated";
  }
  return "?";
}

const char* to_string(why_role r) noexcept {
  switch (r) {
  case why_role::leader:
    return "leader";
  case why_role::voter:
    return "voter";
  case why_role::learner:
    return "learner";
  case why_role::instance:
    return "instance";
  case why_role::wanted:
    return "wanted";
  case why_role::runner_up:
    return "runner_up";
  }
  return "?";
}

why_group explain(const why_facts& f) {
  std::vector<candidate> able;
  std::map<node_id, const why_member*> members;
  for (const auto& m : f.members) {
    members.emplace(m.as.node, &m);
    if (may_run(m))
      able.push_back(m.as);
  }
  // Replicas may be anywhere in the order: it is read to its end for them.
  const auto steps =
      explain_place(f.hash, f.need, able, f.runners_up + f.replicas.size());
  std::map<node_id, std::size_t> at;
  for (std::size_t i = 0; i < steps.size(); ++i)
    at.emplace(steps[i].node, i);
  why_group out;
  std::size_t chosen_there = 0;
  std::size_t voters = 0;
  const auto row = [&](const node_id& node, why_role role) -> why_row& {
    auto& r = out.rows.emplace_back();
    r.node = node;
    r.role = role;
    if (const auto i = at.find(node); i != at.end()) {
      r.score = steps[i->second].score;
      r.rank = steps[i->second].rank;
    }
    return r;
  };
  for (const auto& replica : f.replicas) {
    auto& r = row(replica.node, replica.role);
    const bool votes = replica.role != why_role::learner;
    voters += votes ? 1 : 0;
    const auto i = at.find(replica.node);
    const auto m = members.find(replica.node);
    if (i != at.end() && steps[i->second].chosen) {
      chosen_there += votes ? 1 : 0;
      r.text = chosen_text(steps[i->second], i->second);
      continue;
    }
    std::string why;
    if (i != at.end())
      why = passed_text(steps[i->second]);
    else if (m == members.end())
      why = "it is no member";
    else
      why = excluded_text(*m->second, f.need);
    r.text = (why.empty() ? "far behind by score" : why)
             + "; chosen when the members were others, and stays until it has "
               "to move";
    if (m == members.end()
        || (m->second->away != away::none && !is_hold(m->second->away)))
      r.text = why + ": it is replaced in time, unless it comes back";
  }
  std::size_t wanted = 0;
  const auto has_one = [&](const node_id& n) {
    return std::any_of(f.replicas.begin(), f.replicas.end(),
                       [&](const why_replica& r) { return r.node == n; });
  };
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (steps[i].chosen && !has_one(steps[i].node)) {
      row(steps[i].node, why_role::wanted).text =
          chosen_text(steps[i], i) + "; a replica comes here when one moves";
      ++wanted;
    }
  std::size_t next = 0;
  for (const auto& s : steps)
    if (!s.chosen && next < f.runners_up && !has_one(s.node)) {
      row(s.node, why_role::runner_up).text = passed_text(s);
      ++next;
    }
  for (auto& r : out.rows)
    if (const auto m = members.find(r.node);
        m != members.end() && m->second->as.unverified)
      r.text += "; its region is unverified";
  out.as_placed = wanted == 0 && chosen_there == voters;
  return out;
}

std::vector<why_excluded> excluded_of(const placement_need& need,
                                      const std::vector<why_member>& members) {
  std::vector<why_excluded> out;
  for (const auto& m : members)
    if (auto text = excluded_text(m, need); !text.empty())
      out.push_back({m.as.node, std::move(text)});
  return out;
}

} // namespace banyan
