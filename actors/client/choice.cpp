// Which peer a call is given to: who led its group, or who is quick.
#include "actors/client/client_core.hpp"

#include <algorithm>

namespace banyan {
namespace {

/// An app has no more shards; what a peer says may be anything.
constexpr std::uint32_t shards_named_max = 1024;

} // namespace

// ---- calls that any peer may answer -----------------------------------------

bool client_core::is_spread(const pending& c) {
  return c.what == purpose::call && c.frame.kind == client_call_kind::query
         && (c.frame.max_staleness.has_value() || c.frame.key.empty());
}

// ---- who leads
// ---------------------------------------------------------------

/// None: any replica will do, or the group isn't known.
std::optional<std::uint32_t> client_core::shard_for(const pending& c) {
  const auto& f = c.frame;
  const auto shards = c.home->shards;
  if (shards == 0 || f.max_staleness || f.kind == client_call_kind::lookup)
    return std::nullopt;
  const auto shard = shard_of(f.key, shards);
  return shard < shards_named_max ? std::optional{shard} : std::nullopt;
}

client_core::shard_hint* client_core::hint_for(const pending& c) {
  const auto shard = shard_for(c);
  if (!shard)
    return nullptr;
  auto& hints = c.home->hints;
  if (hints.size() <= *shard)
    hints.resize(*shard + 1);
  return &hints[*shard];
}

// A peer that leads the group, or knows no better, names nobody.
void client_core::learn(const pending& asked, const node_id& from,
                        const client_reply_frame& f) {
  const auto& r = f.reply;
  auto& a = *asked.home;
  if (f.shards == 0 || asked.frame.max_staleness
      || asked.frame.kind == client_call_kind::lookup)
    return;
  if (a.shards == 0 && !a.asking)
    a.shards = f.shards;
  if (a.shards != f.shards || (!r.leader && r.status != reply_status::ok))
    return;
  if (auto* h = hint_for(asked))
    h->leader = r.leader ? r.leader->node : from;
}

// ---- which peer
// ---------------------------------------------------------------

void client_core::peers_changed(time_point now) {
  std::vector<balanced_instance> there;
  for (const auto& p : peers_) {
    balanced_instance i;
    i.node = p.node;
    there.push_back(i);
  }
  spread_.set(there, now);
}

void client_core::begin_attempt(pending& c, const node_id& at, time_point now) {
  if (!is_spread(c))
    return;
  c.spread.emplace_back(at, ++attempts_);
  spread_.began(attempts_, at, now);
}

void client_core::end_attempt(pending& c, const node_id& at, balanced_end how,
                              time_point now, duration retry_after) {
  for (auto i = c.spread.begin(); i != c.spread.end(); ++i)
    if (i->first == at) {
      spread_.ended(i->second, how, now, retry_after);
      c.spread.erase(i);
      return;
    }
}

client_core::peer* client_core::choose(const pending& c, time_point now) {
  const auto may = [&](const peer& p) {
    return !has_node(c.asked, p.node) && !has_node(c.not_here, p.node);
  };
  if (is_spread(c)) {
    std::set<node_id> tried{c.asked.begin(), c.asked.end()};
    tried.insert(c.not_here.begin(), c.not_here.end());
    if (const auto node = spread_.choose(tried, now))
      if (auto* p = find(*node); p != nullptr && !p->silent && may(*p))
        return p;
  } else if (const auto* h = hint_for(c)) {
    if (auto* p = find(h->leader); p != nullptr && !p->silent && may(*p))
      return p;
  }
  for (const bool silent : {false, true})
    for (auto& p : peers_)
      if (p.silent == silent && may(p))
        return &p;
  return nullptr;
}

bool client_core::has_node(const std::vector<node_id>& list,
                           const node_id& node) {
  return std::find(list.begin(), list.end(), node) != list.end();
}

} // namespace banyan
