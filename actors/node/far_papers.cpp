// What the supervisor tells where not everybody is linked with everybody: its
// documents by their sum, what it leads and serves to keepers, modules to those
// that will need them. And whom it has groups in common with.
#include "actors/node/reach.hpp"
#include "actors/node/supervisor.hpp"
#include "actors/node/uptime.hpp"
#include "actors/pure/features.hpp"
#include "crypto/hash.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

constexpr duration compare_every = 5s; ///< documents, with one neighbour
constexpr duration list_again = 1s;    ///< to the same one
/// Views and words are told to keepers again after so long: one may have been
/// lost, or have started anew.
constexpr duration told_again = 60s;
constexpr std::size_t told_at_once = 4; ///< groups looked at per tick
constexpr duration offered_for = 2min;
constexpr std::size_t offered_to_max = 24; ///< nodes

} // namespace

documents_sum group_supervisor::sum_of_documents() const {
  documents_sum s;
  for (const auto& [id, a] : apps_)
    s.add(id.view(), a.number, a.deleted);
  for (const auto& [g, all] : recoveries_)
    for (const auto& [lineage, d] : all)
      s.add(lineage.view(), g.shard, false);
  if (ctx_.uptime != nullptr)
    for (const auto& r : ctx_.uptime->policies().records())
      s.add(hash(r.document.encode()).view(), r.version, false);
  return s;
}

void group_supervisor::tell_documents(const node_id& to) {
  documents_held mine;
  for (const auto& [id, a] : apps_)
    mine.apps[id] = {a.number, a.deleted};
  ctx_.tell(to, net::channel::group, encoded_control(mine));
}

void group_supervisor::tell_recoveries(const node_id& to) {
  for (const auto& [g, all] : recoveries_)
    for (const auto& [lineage, d] : all)
      ctx_.tell(to, net::channel::group, encoded_control(recovery_told{d}));
}

/// The other one sends what this node lacks.
void group_supervisor::on_sum(const node_id& from,
                              const documents_sum& theirs) {
  const auto mine = sum_of_documents();
  if (!(theirs == mine)
      && far_.compared.worth(from, theirs, mine, ctx_.loop.now()))
    list_documents(from);
}

void group_supervisor::list_documents(const node_id& to) {
  const auto now = ctx_.loop.now();
  auto& at = far_.listed.try_emplace(to, now - list_again).first->second;
  if (now - at < list_again)
    return;
  at = now;
  tell_documents(to);
  tell_recoveries(to);
  if (ctx_.uptime != nullptr)
    ctx_.uptime->tell_policies(to);
}

void group_supervisor::on_documents(const node_id& from,
                                    const documents_held& theirs) {
  for (const auto& [id, a] : apps_) {
    const auto at = theirs.apps.find(id);
    if (at == theirs.apps.end() || at->second.number < a.number
        || (a.deleted && !at->second.deleted))
      tell_papers(from, a.papers);
  }
  if (ctx_.full_mesh())
    return; // both sides say what they have
  for (const auto& [id, item] : theirs.apps) {
    const auto here = apps_.find(id);
    if (here == apps_.end() || here->second.number < item.number
        || (item.deleted && !here->second.deleted))
      return list_documents(from);
  }
}

void group_supervisor::refresh_sharing() {
  if (ctx_.members == nullptr)
    return;
  std::set<node_id> sharing;
  for (const auto& [g, r] : replicas_) {
    for (const auto& node : ctx_.known.candidates(g))
      sharing.insert(node);
    for (const auto* set : {&r.configuration.voters, &r.configuration.outgoing,
                            &r.configuration.learners})
      for (const auto& who : *set)
        sharing.insert(who.node);
  }
  sharing.erase(ctx_.self());
  for (const auto& node : far_.sharing)
    if (sharing.count(node) == 0)
      ctx_.members->set_shares_group(node, false);
  for (const auto& node : sharing)
    if (ctx_.members->state_of(node))
      ctx_.members->set_shares_group(node, true);
  far_.sharing = std::move(sharing);
}

/// All of them, to everybody with a link.
void group_supervisor::tell_views_to_all() {
  for (const auto& [g, r] : replicas_)
    if (const auto* v = ctx_.known.view(g);
        v != nullptr && r.role.serving && v->leader.node == ctx_.self())
      ctx_.broadcast(net::channel::group, encoded_control(*v));
}

void group_supervisor::tick_far(time_point now) {
  const bool full = ctx_.full_mesh();
  if (full && !std::exchange(far_.was_full, full))
    tell_views_to_all(); // keepers are asked no more
  far_.was_full = full;
  if (full)
    return;
  if (now >= far_.compare_at) {
    far_.compare_at = now + compare_every;
    refresh_sharing(); // who came since; what is led elsewhere now
    const auto linked = ctx_.members->linked();
    if (!linked.empty()) {
      const auto& node = linked[ctx_.random.below(linked.size())];
      if (knows(ctx_.features_of(node), feature::keepers))
        ctx_.tell(node, net::channel::group,
                  encoded_control(sum_of_documents()));
    }
    for (auto i = far_.listed.begin(); i != far_.listed.end();)
      i = now - i->second >= list_again ? far_.listed.erase(i) : std::next(i);
    for (auto i = far_.offered.begin(); i != far_.offered.end();) {
      const auto app = apps_.find(i->first);
      if (now >= i->second || app == apps_.end()) {
        i = far_.offered.erase(i);
        continue;
      }
      offer_modules(app->second, now);
      ++i;
    }
  }
  keep_told(now);
}

void group_supervisor::keep_told(time_point now) {
  // A few at a time: to name a group's keepers all members are looked at.
  group_turns turns{far_.told_up_to, told_at_once};
  for (const auto& [g, r] : replicas_)
    if (r.role.serving)
      turns.offer(g);
  for (const auto& [id, seat] : instances_)
    if (seat.keeper.serving() != 0)
      turns.offer({id, 0});
  far_.told_up_to = turns.last();
  for (const auto& g : turns.take()) {
    bytes frame;
    if (const auto seat = instances_.find(g.app); seat != instances_.end())
      frame = encoded_control(
          instance_word{g.app, seat->second.keeper.serving(), true});
    else if (const auto* v = ctx_.known.view(g);
             v != nullptr && v->leader.node == ctx_.self())
      frame = encoded_control(*v);
    else
      continue;
    auto keepers = ctx_.far->keepers_of(g);
    auto& told = far_.told[g];
    const bool again = now >= told.at + told_again;
    for (const auto& node : keepers)
      if (node != ctx_.self()
          && (again
              || std::find(told.keepers.begin(), told.keepers.end(), node)
                     == told.keepers.end()))
        ctx_.send(node, net::channel::group, frame);
    told.keepers = std::move(keepers);
    if (again)
      told.at = now;
  }
  for (auto i = far_.told.begin(); i != far_.told.end();) {
    const bool here =
        replicas_.count(i->first) != 0 || instances_.count(i->first.app) != 0;
    i = here ? std::next(i) : far_.told.erase(i);
  }
}

void group_supervisor::when_known(const std::string& name,
                                  std::function<void()> then) {
  const auto* app = ctx_.known.find_app(name);
  if (ctx_.full_mesh() || app == nullptr)
    return then();
  std::vector<group_id> groups;
  for (std::uint32_t s = 0; s < app->shards; ++s)
    groups.push_back({app->id, s});
  ctx_.far->when_known(std::move(groups), [weak = weak_from_this(), then] {
    if (const auto self = weak.lock())
      then();
  });
}

void group_supervisor::offer_modules(const app_record& a, time_point now) {
  if (ctx_.full_mesh() || a.version.spec.modules.empty() || a.deleted)
    return;
  far_.offered.try_emplace(a.id, now + offered_for);
  std::set<node_id> to;
  for (std::uint32_t s = 0; s < a.genesis.shards(); ++s) {
    if (ctx_.known.view({a.id, s}) == nullptr)
      ctx_.ask_view({a.id, s});
    for (const auto& node : ctx_.known.candidates({a.id, s}))
      to.insert(node);
  }
  if (a.genesis.stateless())
    for (const auto& node :
         instances_of(a.version.spec, a.genesis.nonce, a.version.spec.replicas)
             .nodes)
      to.insert(node);
  std::size_t n = 0;
  for (const auto& node : to)
    if (node != ctx_.self() && n++ < offered_to_max)
      ctx_.use_link(node); // what is here is told on each new link
}

} // namespace banyan::actors
