#include "actors/pure/directory.hpp"

#include "base/codec.hpp"

#include <algorithm>

namespace banyan {

const char* to_string(group_health h) noexcept {
  switch (h) {
  case group_health::healthy:
    return "healthy";
  case group_health::degraded:
    return "degraded";
  case group_health::no_quorum:
    return "no_quorum";
  case group_health::parked:
    return "parked";
  case group_health::conflict:
    return "conflict";
  }
  return "conflict";
}

const char* to_string(replica_state s) noexcept {
  switch (s) {
  case replica_state::current:
    return "current";
  case replica_state::catching_up:
    return "catching_up";
  case replica_state::unreachable:
    return "unreachable";
  }
  return "unreachable";
}

namespace {

void encode_replicas(writer& w, const std::vector<replica_view>& list) {
  BANYAN_ASSERT(list.size() <= group_replicas_max);
  w.array(list.size());
  for (const auto& r : list)
    w.array(4).id(r.who.node).id(r.who.replica).uint(r.state).uint(r.permille);
}

void decode_replicas(reader& r, std::vector<replica_view>& out) {
  out.resize(r.array(group_replicas_max));
  for (auto& v : out) {
    r.require(r.array(4) == 4);
    r.id(v.who.node);
    r.id(v.who.replica);
    v.state = static_cast<std::uint8_t>(
        r.uint(static_cast<std::uint64_t>(replica_state::unreachable)));
    v.permille = static_cast<std::uint16_t>(r.uint(1000));
  }
}

bool is_later(const group_view& v, const group_view& than) {
  return v.term != than.term ? than.term < v.term : than.number < v.number;
}

} // namespace

void encode(const group_view& v, bytes& out) {
  writer w{out};
  w.array(10).id(v.group.app).uint(v.group.shard).id(v.term);
  w.id(v.leader.node).id(v.leader.replica);
  encode_replicas(w, v.voters);
  encode_replicas(w, v.learners);
  w.id(v.committed).uint(static_cast<std::uint64_t>(v.health)).uint(v.number);
}

bool decode(const_bytes in, group_view& out) {
  reader r{in};
  r.require(r.array(10) == 10);
  r.id(out.group.app);
  out.group.shard = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  r.id(out.term);
  r.id(out.leader.node);
  r.id(out.leader.replica);
  decode_replicas(r, out.voters);
  decode_replicas(r, out.learners);
  r.id(out.committed);
  out.health = static_cast<group_health>(
      r.uint(static_cast<std::uint64_t>(group_health::conflict)));
  out.number = r.uint();
  return r.done();
}

void directory::put_app(app a) {
  BANYAN_ASSERT(a.shards > 0 && a.born.size() == a.shards);
  a.contested = false;
  names_[a.id] = a.name;
  const auto at = apps_.find(a.name);
  if (at == apps_.end()) {
    auto name = a.name;
    apps_.emplace(std::move(name), std::move(a));
    return;
  }
  auto& shown = at->second;
  if (shown.id == a.id) {
    a.contested = shown.contested;
    shown = std::move(a);
    return;
  }
  a.contested = shown.contested = true;
  if (a.id < shown.id)
    std::swap(a, shown);
  hidden_.insert_or_assign(app_id{a.id}, std::move(a));
}

void directory::remove_app(const app_id& id) {
  const auto n = names_.find(id);
  if (n == names_.end())
    return;
  const std::string name = std::move(n->second);
  names_.erase(n);
  const auto shown = apps_.find(name);
  const auto gone = hidden_.find(id);
  const auto shards =
      gone == hidden_.end() ? shown->second.shards : gone->second.shards;
  for (std::uint32_t s = 0; s < shards; ++s) {
    views_.erase(group_id{id, s});
    told_views_.erase(group_id{id, s});
    doubted_.erase(group_id{id, s});
  }
  ++views_changed_;
  if (gone != hidden_.end())
    hidden_.erase(gone);
  else
    apps_.erase(shown);
  settle_name(name);
  if (const auto s = served_.find(id); s != served_.end()) {
    for (const auto& node : s->second.nodes)
      told_[node].erase(id);
    served_.erase(s);
  }
}

void directory::settle_name(const std::string& name) {
  std::size_t others = 0;
  auto first = hidden_.end();
  for (auto h = hidden_.begin(); h != hidden_.end(); ++h)
    if (h->second.name == name && others++ == 0)
      first = h;
  if (apps_.count(name) == 0) {
    if (others == 0)
      return;
    apps_.emplace(name, std::move(first->second));
    hidden_.erase(first);
    --others;
  }
  apps_.at(name).contested = others > 0;
}

const directory::app* directory::find_app(std::string_view name) const {
  const auto a = apps_.find(name);
  return a == apps_.end() ? nullptr : &a->second;
}

const directory::app* directory::find_app(const app_id& id) const {
  const auto n = names_.find(id);
  if (n == names_.end())
    return nullptr;
  if (const auto h = hidden_.find(id); h != hidden_.end())
    return &h->second;
  return find_app(n->second);
}

bool directory::put_view(const group_view& v) {
  // A view may come before the documents of its app.
  const auto* a = find_app(v.group.app);
  if (a == nullptr ? views_.size() >= unknown_views_max
                   : v.group.shard >= a->shards)
    return false;
  const auto [at, fresh] = views_.try_emplace(v.group, v);
  const bool hearsay = !fresh && told_views_.erase(v.group) != 0;
  if (!fresh && !hearsay && !is_later(v, at->second))
    return false;
  doubted_.erase(v.group);
  at->second = v;
  ++views_changed_;
  return true;
}

bool directory::put_told(const group_view& v) {
  const auto* a = find_app(v.group.app);
  if (a == nullptr || v.group.shard >= a->shards)
    return false;
  const auto [at, fresh] = views_.try_emplace(v.group, v);
  if (!fresh && doubted_.erase(v.group) == 0 && !is_later(v, at->second))
    return false;
  const bool same = !fresh && at->second.leader.node == v.leader.node
                    && at->second.term == v.term
                    && at->second.number == v.number;
  told_views_.insert(v.group);
  at->second = v;
  ++views_changed_;
  return !same;
}

void directory::doubt(const group_id& g) {
  if (views_.count(g) != 0)
    doubted_.insert(g);
}

const group_view* directory::view(const group_id& g) const {
  const auto v = views_.find(g);
  return v == views_.end() ? nullptr : &v->second;
}

std::vector<node_id> directory::candidates(const group_id& g) const {
  std::vector<node_id> out;
  const auto add = [&](const node_id& n) {
    if (!n.is_none() && std::find(out.begin(), out.end(), n) == out.end())
      out.push_back(n);
  };
  if (const auto* v = view(g)) {
    add(v->leader.node);
    for (const auto& r : v->voters)
      add(r.who.node);
  } else if (const auto* a = find_app(g.app)) {
    if (a->stateless)
      for (const auto& n : instances(g.app))
        if (heard(n))
          add(n);
    if (g.shard < a->born.size())
      for (const auto& r : a->born[g.shard])
        add(r.node);
  }
  return out;
}

std::optional<node_id> directory::leader(const group_id& g) const {
  const auto* v = view(g);
  if (v == nullptr || v->leader.node.is_none())
    return std::nullopt;
  return v->leader.node;
}

bool directory::majority_alive(const group_id& g) const {
  std::vector<node_id> voters;
  if (const auto* v = view(g)) {
    for (const auto& r : v->voters)
      voters.push_back(r.who.node);
  } else {
    voters = candidates(g);
  }
  const auto living = std::count_if(voters.begin(), voters.end(),
                                    [&](const node_id& n) { return heard(n); });
  return static_cast<std::size_t>(living) * 2 > voters.size();
}

void directory::put_instance(const app_id& of, const node_id& node, bool up,
                             std::uint64_t number) {
  auto& told = told_[node];
  if (up) {
    if (find_app(of) == nullptr && told.size() >= told_apps_max)
      return;
    told.insert(of);
    auto& s = served_[of];
    s.nodes.insert(node);
    s.numbers[node] = number;
    return;
  }
  told.erase(of);
  const auto s = served_.find(of);
  if (s == served_.end())
    return;
  s->second.nodes.erase(node);
  s->second.numbers.erase(node);
  if (s->second.nodes.empty())
    served_.erase(s);
}

void directory::forget_instances(const node_id& node) {
  const auto told = told_.find(node);
  if (told == told_.end())
    return;
  for (const auto& id : std::set<app_id>{told->second})
    put_instance(id, node, false);
  told_.erase(node);
}

const std::set<node_id>& directory::instances(const app_id& of) const {
  static const std::set<node_id> none;
  const auto s = served_.find(of);
  return s == served_.end() ? none : s->second.nodes;
}

std::uint64_t directory::instance_number(const app_id& of,
                                         const node_id& node) const {
  const auto s = served_.find(of);
  if (s == served_.end())
    return 0;
  const auto n = s->second.numbers.find(node);
  return n == s->second.numbers.end() ? 0 : n->second;
}

void directory::put_instances_told(
    const app_id& of, const std::map<node_id, std::uint64_t>& nodes,
    const std::function<bool(const node_id&)>& spare) {
  if (find_app(of) == nullptr)
    return;
  for (const auto& node : std::set<node_id>{instances(of)})
    if (nodes.count(node) == 0 && !spare(node))
      put_instance(of, node, false);
  for (const auto& [node, number] : nodes)
    if (!spare(node))
      put_instance(of, node, true, number);
}

} // namespace banyan
