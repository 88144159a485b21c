#include "actors/pure/drain.hpp"

#include "actors/pure/placement.hpp"
#include "base/assert.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace banyan {
namespace {

std::string nodes_of(const std::vector<const replica_standing*>& list) {
  std::string out;
  for (const auto* r : list)
    out += (out.empty() ? "" : ", ") + short_string(r->who.node);
  return out;
}

std::string counted(std::size_t n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

bool fit(const replica_standing& r) {
  return r.reached && r.current;
}

/// Of five voters without one: four, so one of them becomes a learner; the
/// least useful one.
departure shrink(const group_standing& g,
                 const std::vector<const replica_standing*>& others) {
  departure d;
  const auto keep = usable_voters(others.size());
  const auto up = static_cast<std::size_t>(std::count_if(
      others.begin(), others.end(), [](const auto* r) { return fit(*r); }));
  if (up * 2 <= others.size() || up < keep) {
    d.what = departure::kind::wait;
    d.why = g.name + " may not shrink: of the voters that would remain only "
            + std::to_string(up) + " of " + std::to_string(others.size())
            + " are up and current; start their peers";
    return d;
  }
  auto order = others;
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) {
                     const auto worth = [](const replica_standing* r) {
                       return std::pair{fit(*r), r->stays};
                     };
                     return worth(a) > worth(b);
                   });
  d.what = departure::kind::shrink;
  for (auto i = keep; i < order.size(); ++i)
    d.demote.push_back(order[i]->who);
  return d;
}

} // namespace

std::int32_t redundancy_of(const group_standing& g) {
  const auto up = std::count_if(g.voters.begin(), g.voters.end(),
                                [](const auto& r) { return r.reached; });
  return static_cast<std::int32_t>(up)
         - static_cast<std::int32_t>(g.voters.size() / 2 + 1);
}

departure judge_departure(const group_standing& g, const node_id& from,
                          bool force) {
  const auto says = [](departure::kind what, std::string why) {
    return departure{what, std::move(why), {}};
  };
  const auto is_it = [&](const replica_standing& r) {
    return r.who.node == from;
  };
  const bool votes = std::any_of(g.voters.begin(), g.voters.end(), is_it);
  if (!votes && std::none_of(g.learners.begin(), g.learners.end(), is_it))
    return {};
  if (!g.led)
    return says(departure::kind::wait,
                g.name
                    + " has no leader right now; see `banyan apps` for which "
                      "voters are missing");
  const auto nobody = g.why_nobody.empty()
                          ? ""
                          : " (members that don't fit: " + g.why_nobody + ")";
  if (!votes) {
    if (force || g.candidate)
      return says(departure::kind::remove, {});
    return says(departure::kind::refuse,
                g.name
                    + " would have one copy less, and no other node may "
                      "take it"
                    + nobody + ": start another peer, or --force lets it go");
  }
  std::vector<const replica_standing*> others;
  std::vector<const replica_standing*> missing;
  std::vector<const replica_standing*> behind;
  for (const auto& r : g.voters) {
    if (is_it(r))
      continue;
    others.push_back(&r);
    if (!r.reached)
      missing.push_back(&r);
    else if (!r.current)
      behind.push_back(&r);
  }
  const bool heir =
      g.candidate
      || std::any_of(g.learners.begin(), g.learners.end(),
                     [](const auto& r) { return r.reached && r.stays; });
  if (!heir && others.empty())
    return says(departure::kind::last,
                g.name
                    + " has its last voter there, and no other node may take "
                      "it"
                    + nobody
                    + ": start another peer, or `banyan remove` the app");
  const auto quorum = g.voters.size() / 2 + 1;
  if (!missing.empty() && others.size() - missing.size() < quorum && !force)
    return says(departure::kind::refuse,
                g.name + " would fall below its quorum: of its other voters "
                    + nodes_of(missing)
                    + " is not reached; start that peer, or --force goes on "
                      "with the rest and waits for this one");
  if (!heir && !force)
    return says(
        departure::kind::refuse,
        "no other node may take the replica of " + g.name + nobody
            + ": start another peer, or --force lets the group go on with "
            + counted(usable_voters(others.size()), "voter"));
  if (!heir)
    return shrink(g, others);
  if (!missing.empty())
    return says(departure::kind::wait,
                g.name + " has another voter missing (" + nodes_of(missing)
                    + "): it is replaced, or comes back, first");
  if (!behind.empty())
    return says(departure::kind::wait,
                g.name + " has another voter that isn't up to date ("
                    + nodes_of(behind) + "): it catches up first");
  return says(departure::kind::replace, {});
}

// ---- a drained node

void drain::begin(bool force, time_point now) {
  if (!on_)
    began_ = now;
  force_ = force || (on_ && force_);
  on_ = true;
  for (auto& [g, m] : moves_)
    m.next = now;
}

void drain::cancel() {
  *this = drain{at_once_};
}

drain::steps drain::on_tick(const std::vector<drained_replica>& here,
                            time_point now) {
  steps out;
  if (!on_)
    return out;
  std::set<group_id> present;
  told_ = {};
  told_.on = true;
  told_.replicas = static_cast<std::uint32_t>(here.size());
  names_.clear();
  bool leaderships = false;
  for (const auto& r : here) {
    present.insert(r.group);
    names_[r.group] = r.name;
    if (!r.leads) {
      handed_.erase(r.group);
      continue;
    }
    ++told_.leaderships;
    if (!r.has_heir)
      continue;
    leaderships = true;
    auto& next = handed_[r.group];
    if (next > now || out.hand_over.size() >= hand_overs_max)
      continue;
    next = now + hand_over_again;
    out.hand_over.push_back(r.group);
  }
  for (auto i = moves_.begin(); i != moves_.end();)
    i = present.count(i->first) != 0 ? std::next(i) : moves_.erase(i);
  most_ = std::max(most_, here.size());
  std::size_t running = 0;
  for (auto& [g, m] : moves_) {
    if (m.running && now - m.heard >= silence_max) {
      m.running = false;
      m.next = now + refused_pause;
      m.blocked = names_[g] + ": its leader doesn't answer";
    }
    running += m.running ? 1 : 0;
  }
  std::vector<const drained_replica*> order;
  if (!leaderships)
    for (const auto& r : here)
      order.push_back(&r);
  // What was refused waits behind all others, and the longest first.
  std::stable_sort(
      order.begin(), order.end(), [&](const auto* a, const auto* b) {
        const auto key = [&](const drained_replica* r) {
          const auto at = moves_.find(r->group);
          const bool waits = at != moves_.end() && !at->second.blocked.empty();
          return std::tuple{waits ? at->second.next : time_point{},
                            r->redundancy, r->group};
        };
        return key(a) < key(b);
      });
  for (const auto* r : order) {
    auto& m = moves_[r->group];
    if (m.next > now)
      continue;
    if (!m.running) {
      if (running >= at_once_)
        continue;
      ++running;
      m.running = true;
      m.heard = now;
    }
    m.next = now + ask_again;
    out.ask.push_back(r->group);
  }
  for (const auto& [g, m] : moves_)
    if (!m.blocked.empty() && told_.blocked.size() < drain_blocked_max)
      told_.blocked.push_back(m.blocked);
  told_.done = here.empty();
  estimate(now);
  return out;
}

/// As long for each replica that is left as for each that has gone.
void drain::estimate(time_point now) {
  const auto gone = most_ - told_.replicas;
  if (gone == 0 || told_.replicas == 0)
    return;
  const auto each = (now - began_) / static_cast<std::int64_t>(gone);
  const auto left = each * static_cast<std::int64_t>(told_.replicas);
  told_.eta_s = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(left / std::chrono::seconds{1}, 0, UINT32_MAX));
}

void drain::on_answer(const group_id& g, const operator_answer& a,
                      time_point now) {
  const auto at = moves_.find(g);
  if (!on_ || at == moves_.end())
    return;
  auto& m = at->second;
  m.heard = now;
  switch (a.progress) {
  case operator_progress::done: // until the replica here has heard of it
  case operator_progress::under_way:
    m.blocked.clear();
    return;
  case operator_progress::later:
  case operator_progress::refused:
    m.running = false;
    m.next = now
             + (a.progress == operator_progress::later ? later_pause
                                                       : refused_pause);
    m.blocked = a.message;
  }
}

drain_notice drain::notice() const {
  return told_;
}

std::optional<std::uint32_t> drained_weight::on_tick(bool drained,
                                                     std::uint32_t is) {
  if (is != 0)
    usual_ = is;
  const auto due = drained ? 0 : usual_;
  return due == is ? std::nullopt : std::optional{due};
}

bool moves_on(const drain_notice& d) {
  const auto told = std::min<std::size_t>(d.replicas, drain_blocked_max);
  return d.on && !d.done && (told == 0 || d.blocked.size() < told);
}

// ---- one order to all groups of an app

group_orders::group_orders(std::uint32_t shards, time_point until)
    : shards_(shards), until_{until} {
  BANYAN_ASSERT(shards > 0);
}

std::vector<std::uint32_t> group_orders::on_tick(time_point now) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t s = 0; s < shards_.size(); ++s) {
    auto& x = shards_[s];
    if (x.answered || x.next > now)
      continue;
    x.next = now + ask_again;
    out.push_back(s);
  }
  return out;
}

bool group_orders::on_answer(std::uint32_t shard, const operator_answer& a) {
  if (shard >= shards_.size() || shards_[shard].answered)
    return false;
  auto& x = shards_[shard];
  x.why = a.message;
  x.answered = a.progress == operator_progress::done
               || a.progress == operator_progress::refused;
  x.done = a.progress == operator_progress::done;
  if (x.done)
    x.why.clear();
  return true;
}

bool group_orders::over(time_point now) const {
  return now >= until_
         || std::all_of(shards_.begin(), shards_.end(),
                        [](const auto& x) { return x.answered; });
}

} // namespace banyan
