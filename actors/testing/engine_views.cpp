#include "actors/testing/engine_views.hpp"

#include <algorithm>
#include <stdexcept>

namespace banyan::testing::detail {

call_request request_of(const banyan::detail::call_order& order) {
  call_request r;
  r.app = order.app;
  r.kind = order.query ? request_kind::query : request_kind::command;
  r.key = order.key;
  r.command = order.command;
  r.argument = order.argument;
  if (!order.options.idempotency_key.empty() && !order.query)
    r.identity = idempotency_request{order.options.idempotency_key};
  r.deadline = order.options.deadline;
  r.max_staleness = order.options.max_staleness;
  return r;
}

std::size_t engine_views::first_awake() const {
  for (std::size_t n = 0; n < count(); ++n)
    if (awake(n))
      return n;
  return mesh_engine::any;
}

std::optional<std::size_t> engine_views::number_of(const node_id& id) const {
  for (std::size_t n = 0; n < count(); ++n)
    if (awake(n) && id_of(n) == id)
      return n;
  return std::nullopt;
}

std::optional<group_view> engine_views::view_of(const std::string& app,
                                                const std::string& key) const {
  std::optional<group_id> group;
  for (std::size_t n = 0; n < count() && !group; ++n)
    if (awake(n))
      look(n, [&](actors::peer& p) {
        if (const auto* a = p.context().known.find_app(app))
          group = group_id{a->id, shard_of(key, a->shards)};
      });
  return group ? view_of(*group) : std::nullopt;
}

std::optional<group_view> engine_views::view_of(const group_id& group) const {
  std::optional<group_view> newest;
  for (std::size_t n = 0; n < count(); ++n) {
    if (!awake(n))
      continue;
    look(n, [&](actors::peer& p) {
      const auto* v = p.context().known.view(group);
      if (v != nullptr
          && (!newest || newest->term < v->term
              || (newest->term == v->term && newest->number < v->number)))
        newest = *v;
    });
  }
  return newest;
}

std::optional<std::size_t>
engine_views::find_leader(const std::string& app,
                          const std::string& key) const {
  const auto v = view_of(app, key);
  if (!v || v->leader.node.is_none())
    return std::nullopt;
  return number_of(v->leader.node);
}

std::vector<std::size_t>
engine_views::find_voters(const std::string& app,
                          const std::string& key) const {
  std::vector<std::size_t> out;
  if (const auto v = view_of(app, key))
    for (const auto& r : v->voters)
      if (const auto n = number_of(r.who.node))
        out.push_back(*n);
  return out;
}

std::vector<engine_member>
engine_views::members_known_to(std::size_t node) const {
  std::vector<engine_member> out;
  if (!look(node, [&](actors::peer& p) {
        for (const auto& m : p.context().members->members())
          out.push_back({to_string(m.record.node), to_string(m.record.address),
                         m.record.region, net::to_string(m.state), m.heard});
      }))
    throw std::runtime_error{"peer " + std::to_string(node) + " doesn't run"};
  return out;
}

std::string engine_views::why_unformed() const {
  std::string why;
  for (std::size_t a = 0; a < count() && why.empty(); ++a) {
    if (!awake(a))
      continue;
    look(a, [&](actors::peer& p) {
      const auto* members = p.context().members;
      for (std::size_t b = 0; b < count(); ++b)
        if (a != b && awake(b)
            && (members == nullptr || !p.context().reaches(id_of(b))
                || members->state_of(id_of(b)) != net::member_state::alive))
          why = "peer " + std::to_string(a) + " doesn't hear peer "
                + std::to_string(b);
    });
  }
  return why;
}

std::string engine_views::why_unhealthy(const group_view& v,
                                        const std::string& shard) const {
  if (v.health != group_health::healthy)
    return shard + " is " + to_string(v.health);
  // A leader may not have missed its voter yet.
  for (const auto& r : v.voters)
    if (!number_of(r.who.node))
      return shard + " has a voter that doesn't run";
  return {};
}

engine_views::app_knowledge
engine_views::known_anywhere(const std::string& name) const {
  app_knowledge out;
  std::optional<directory::app> app;
  for (std::size_t n = 0; n < count(); ++n)
    if (awake(n))
      look(n, [&](actors::peer& p) {
        const auto* a = p.context().known.find_app(name);
        if (a == nullptr)
          return;
        app = *a;
        for (const auto& node : p.context().known.instances(a->id))
          out.instances.insert(node);
      });
  for (std::uint32_t s = 0; app && s < app->shards; ++s)
    out.views.push_back(view_of(group_id{app->id, s}));
  return out;
}

std::string engine_views::why_unserved(const std::string& name,
                                       bool all_voters) const {
  // In a large mesh not everybody is told: who doesn't know asks.
  const auto anywhere =
      count() > net::full_mesh_max ? known_anywhere(name) : app_knowledge{};
  std::string why;
  for (std::size_t n = 0; n < count() && why.empty(); ++n) {
    if (!awake(n))
      continue;
    look(n, [&](actors::peer& p) {
      const auto& known = p.context().known;
      const auto* a = known.find_app(name);
      if (a == nullptr) {
        why = "peer " + std::to_string(n) + " doesn't know " + name;
        return;
      }
      if (a->stateless) {
        std::size_t up = 0;
        for (const auto& node : p.context().full_mesh() ? known.instances(a->id)
                                                        : anywhere.instances)
          up += number_of(node) ? 1 : 0;
        std::size_t machines = 0;
        for (std::size_t m = 0; m < count(); ++m)
          machines += awake(m) ? 1 : 0;
        const auto& spec = p.context().specs.at(name);
        const auto enough =
            all_voters ? std::min<std::size_t>(spec.replicas, machines) : 1;
        if (up < enough)
          why = "peer " + std::to_string(n) + " knows of " + std::to_string(up)
                + " instances of " + name;
        return;
      }
      for (std::uint32_t s = 0; s < a->shards && why.empty(); ++s) {
        const auto* v = known.view({a->id, s});
        if (v == nullptr && !p.context().full_mesh()
            && s < anywhere.views.size() && anywhere.views[s])
          v = &*anywhere.views[s];
        const auto shard = name + "/" + std::to_string(s);
        if (v == nullptr || v->leader.node.is_none()
            || !number_of(v->leader.node))
          why = "peer " + std::to_string(n) + " knows no leader of " + shard;
        else if (all_voters)
          why = why_unhealthy(*v, shard);
      }
    });
  }
  return why;
}

std::string
engine_views::why_unhealthy(const std::set<std::string>& apps) const {
  auto why = why_unformed();
  for (const auto& app : apps)
    if (why.empty())
      why = why_unserved(app, true);
  return why;
}

} // namespace banyan::testing::detail
