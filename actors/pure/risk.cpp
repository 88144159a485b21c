#include "actors/pure/risk.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace banyan {
namespace {

/// A stateless app's new instance: its node looks at the placement once a
/// second, and its host has to start.
constexpr duration instance_start = 2s;

constexpr const char* nodes_without = "nodes without a ";

using place_names = std::unordered_map<node_id, const candidate*>;

/// Where a node is, as far as `kind` goes. Empty: nobody says.
std::string place_of(loss_of kind, const node_id& node,
                     const place_names& known) {
  const auto at = known.find(node);
  if (kind == loss_of::node
      || (kind == loss_of::machine
          && (at == known.end() || at->second->host.empty())))
    return to_string(node);
  if (at == known.end())
    return {};
  const auto& c = *at->second;
  switch (kind) {
  case loss_of::machine:
    return c.host;
  case loss_of::zone:
    return c.zone.empty()
               ? std::string{}
               : c.zone + (c.region.empty() ? "" : " of " + c.region);
  case loss_of::region:
  case loss_of::node:
    break;
  }
  return c.region;
}

/// The same, with a name for what has none.
std::string group_key(loss_of kind, const node_id& node,
                      const place_names& known) {
  auto name = place_of(kind, node, known);
  if (!name.empty())
    return name;
  const auto at = known.find(node);
  const bool elsewhere = at != known.end() && !at->second->region.empty();
  if (kind == loss_of::zone && elsewhere)
    return nodes_without + std::string{"zone, of "} + at->second->region;
  return std::string{nodes_without} + to_string(kind);
}

struct standing {
  std::size_t up = 0;      ///< voters
  std::size_t current = 0; ///< of those
  std::size_t needed = 0;
  std::uint32_t copies = 0; ///< replicas outside of the lost place
  std::vector<node_id> gone;
  [[nodiscard]] bool serves() const { return up >= needed; }
  /// Its next commits wait for one that is behind.
  [[nodiscard]] bool slow() const { return serves() && current < needed; }
};

template <class Lost>
standing stand(const risk_group& g, bool stateless, Lost lost) {
  standing s;
  s.needed = stateless ? 1 : g.voters.size() / 2 + 1;
  for (const auto& v : g.voters) {
    const bool gone = lost(v.node);
    s.copies += gone ? 0 : 1;
    if (gone || !v.up)
      s.gone.push_back(v.node);
    else {
      ++s.up;
      s.current += v.current ? 1 : 0;
    }
  }
  for (const auto& l : g.learners)
    s.copies += lost(l.node) ? 0 : 1;
  return s;
}

waiting_shard waiting(const risk_group& g, standing s) {
  waiting_shard w;
  w.shard = g.shard;
  w.missing = static_cast<std::uint32_t>(s.needed - s.up);
  w.wait_for = std::move(s.gone);
  w.copies_outside = s.copies;
  return w;
}

class judge {
public:
  judge(const risk_facts& f, loss_of kind)
      : f_{f}, kind_{kind}, fitting_(f.fitting.begin(), f.fitting.end()) {
    for (const auto& c : f.members)
      known_.emplace(c.node, &c);
  }

  kind_risk operator()(const std::vector<bool>& serves_now) {
    kind_risk out;
    out.kind = kind_;
    struct there {
      std::set<node_id> nodes;
      std::set<std::size_t> groups;
    };
    std::map<std::string, there> places;
    bool labelled = false;
    for (std::size_t i = 0; i < f_.groups.size(); ++i) {
      const auto note = [&](const risk_replica& r) {
        labelled |= !place_of(kind_, r.node, known_).empty();
        auto& p = places[group_key(kind_, r.node, known_)];
        p.nodes.insert(r.node);
        p.groups.insert(i);
      };
      for (const auto& v : f_.groups[i].voters)
        note(v);
      for (const auto& l : f_.groups[i].learners)
        note(l);
    }
    if (kind_ == loss_of::region) // it may be in any of them
      for (std::size_t i = 0; i < f_.groups.size(); ++i)
        for (const auto* list : {&f_.groups[i].voters, &f_.groups[i].learners})
          for (const auto& r : *list)
            if (const auto at = known_.find(r.node);
                at != known_.end() && at->second->unverified)
              for (auto& [name, p] : places) {
                p.nodes.insert(r.node);
                p.groups.insert(i);
              }
    std::map<std::string, std::size_t> fitting;
    for (const auto& n : f_.fitting)
      ++fitting[group_key(kind_, n, known_)];
    out.places = static_cast<std::uint32_t>(places.size());
    out.known = labelled || places.empty();
    bool repaired = true;
    for (const auto& [name, p] : places) {
      const auto lost = [&p = p](const node_id& n) {
        return p.nodes.count(n) != 0;
      };
      place_risk r;
      r.name = name;
      r.nodes = static_cast<std::uint32_t>(p.nodes.size());
      const auto here = fitting.find(name);
      const auto elsewhere =
          f_.fitting.size() - (here == fitting.end() ? 0 : here->second);
      duration pause{};
      std::uint32_t slow = 0;
      bool whole = true;
      for (const auto i : p.groups) {
        const auto& g = f_.groups[i];
        if (!serves_now[i])
          continue;
        auto s = stand(g, f_.stateless, lost);
        const bool room = elsewhere > taken(g, name);
        whole &= room;
        if (!s.serves() && f_.stateless && room) {
          pause = std::max(pause, f_.silence + instance_start);
          continue;
        }
        if (!s.serves()) {
          ++r.waiting_count;
          if (r.waiting.size() < risk_shards_max)
            r.waiting.push_back(waiting(g, std::move(s)));
          continue;
        }
        slow += s.slow() && !f_.stateless ? 1 : 0;
        if (f_.stateless)
          pause = std::max(pause, f_.silence);
        else if (!g.leader || lost(*g.leader))
          pause = std::max(pause, f_.silence + f_.takeover);
      }
      if (r.waiting_count > 0) {
        ++out.breaking_count;
        out.breaking.push_back(std::move(r));
        continue;
      }
      out.pause = std::max(out.pause, pause);
      out.catching_up = std::max(out.catching_up, slow);
      repaired &= whole;
    }
    std::stable_sort(out.breaking.begin(), out.breaking.end(),
                     [](const auto& a, const auto& b) {
                       return a.waiting_count > b.waiting_count;
                     });
    if (out.breaking.size() > risk_places_max)
      out.breaking.resize(risk_places_max);
    const bool some = std::any_of(serves_now.begin(), serves_now.end(),
                                  [](bool s) { return s; });
    out.survives = out.known && some && out.breaking_count == 0;
    if (repaired && out.breaking_count < out.places)
      out.repair_after = f_.stateless ? f_.silence + instance_start
                                      : f_.silence + f_.replace_after;
    return out;
  }

private:
  /// Replicas of the group on fitting nodes outside of that place.
  [[nodiscard]] std::size_t taken(const risk_group& g,
                                  const std::string& place) const {
    std::size_t n = 0;
    const auto count = [&](const risk_replica& r) {
      n += fitting_.count(r.node) != 0
                   && group_key(kind_, r.node, known_) != place
               ? 1
               : 0;
    };
    std::for_each(g.voters.begin(), g.voters.end(), count);
    std::for_each(g.learners.begin(), g.learners.end(), count);
    return n;
  }

  const risk_facts& f_;
  loss_of kind_;
  place_names known_;
  std::unordered_set<node_id> fitting_;
};

std::string nodes_text(const std::vector<node_id>& nodes) {
  std::string out;
  for (const auto& n : nodes)
    out += (out.empty() ? "" : " ") + short_string(n);
  return out;
}

std::string time_text(duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d);
  if (ms < 1s)
    return std::to_string(ms.count()) + " ms";
  const auto s = ms.count() / 1000;
  return s < 120 ? std::to_string(s) + " s" : std::to_string(s / 60) + " min";
}

} // namespace

const char* to_string(loss_of what) noexcept {
  switch (what) {
  case loss_of::node:
    return "node";
  case loss_of::machine:
    return "machine";
  case loss_of::zone:
    return "zone";
  case loss_of::region:
    return "region";
  }
  return "?";
}

risk_report risk_of(const risk_facts& f) {
  risk_report out;
  out.stateless = f.stateless;
  out.shards = static_cast<std::uint32_t>(f.groups.size());
  std::vector<bool> serves;
  for (const auto& g : f.groups) {
    auto s = stand(g, f.stateless, [](const node_id&) { return false; });
    serves.push_back(s.serves());
    if (s.serves())
      continue;
    ++out.waiting_count;
    if (out.waiting.size() < risk_shards_max)
      out.waiting.push_back(waiting(g, std::move(s)));
  }
  for (const auto kind :
       {loss_of::node, loss_of::machine, loss_of::zone, loss_of::region})
    out.kinds.push_back(judge{f, kind}(serves));
  return out;
}

std::string words_of(const waiting_shard& s, const risk_report& r) {
  auto out = "shard " + std::to_string(s.shard);
  if (s.wait_for.empty())
    return out + " has nobody to wait for: no instance runs";
  out += " waits for ";
  if (s.missing < s.wait_for.size())
    out += std::to_string(s.missing) + " of ";
  out += nodes_text(s.wait_for);
  return s.copies_outside == 0 && !r.stateless
             ? out + ", which have its only copies"
             : out;
}

std::string words_of(const kind_risk& k, const risk_report& r) {
  if (!k.known)
    return std::string{"not known: no node with a replica says its "}
           + to_string(k.kind) + " (`banyan-peer --" + to_string(k.kind) + "`)";
  if (k.places == 0 || r.waiting_count == r.shards)
    return "nothing serves now";
  if (k.breaking_count == 0) {
    std::string out = "nothing is lost; ";
    out += k.pause > duration{}
               ? "every shard answers again within " + time_text(k.pause)
               : "calls go on";
    if (k.catching_up > 0)
      out += ", " + std::to_string(k.catching_up)
             + " of them once a voter that is behind has caught up";
    return out
           + (k.repair_after ? "; replicas are made anew elsewhere after "
                                   + time_text(*k.repair_after)
                             : "; no other node can take its replicas");
  }
  const auto& worst = k.breaking.front();
  const bool nameless = worst.name.rfind(nodes_without, 0) == 0;
  auto out = (nameless ? std::string{} : std::string{to_string(k.kind)} + " ")
             + (k.kind == loss_of::node ? worst.name.substr(0, 8) : worst.name)
             + ": " + words_of(worst.waiting.front(), r);
  if (worst.waiting_count > 1)
    out += ", and " + std::to_string(worst.waiting_count - 1) + " more";
  if (const auto more = k.breaking_count - 1; more > 0)
    out += "; so with " + std::to_string(more) + " other " + to_string(k.kind)
           + (more == 1 ? "" : "s");
  return r.stateless ? out : out + "; nothing is lost unless their disks are";
}

} // namespace banyan
