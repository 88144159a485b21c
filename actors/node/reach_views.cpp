// Who leads groups that this node has nothing to do with.
#include "actors/node/reach.hpp"
#include "actors/pure/features.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <random>
#include <set>

namespace banyan::actors {
namespace {

/// So long somebody who looks at apps waits for what others say of them.
constexpr duration gather_patience = 800ms;

} // namespace

std::vector<node_id> reach::keepers_of(const group_id& g) const {
  keeper_choice k{g};
  ctx_.members->each([&](const net::member_record& r, net::member_state state) {
    if (state == net::member_state::alive && r.word == net::member_word::normal
        && knows(r.features, feature::keepers))
      k.offer(r.node);
  });
  return k.take();
}

void reach::tell_keepers(const group_id& g, const_bytes frame) {
  for (const auto& node : keepers_of(g))
    if (node != ctx_.self())
      ctx_.send(node, net::channel::group, frame);
}

void reach::publish(const group_view& v) {
  std::set<node_id> to;
  for (const auto* list : {&v.voters, &v.learners})
    for (const auto& r : *list)
      to.insert(r.who.node);
  for (const auto& node : keepers_of(v.group))
    to.insert(node);
  to.erase(ctx_.self());
  const auto frame = encoded_control(v);
  for (const auto& node : to)
    ctx_.send(node, net::channel::group, frame);
}

// Who has a replica hears it from the leader.
void reach::ask(const group_id& g, bool doubted) {
  if (ctx_.full_mesh() || ctx_.replicas.count(g) != 0)
    return;
  if (doubted)
    ctx_.known.doubt(g);
  if (questions_.want(g, ctx_.loop.now()))
    ask_due();
  arm();
}

void reach::check(const group_id& g, const node_id& leader) {
  if (ctx_.full_mesh() || leader == ctx_.self())
    return;
  // What a leader that is there said itself gives way to later news alone.
  if (!ctx_.reaches(leader))
    ask(g, true);
  else if (checks_.due(g, ctx_.loop.now()))
    ask(g, !ctx_.known.heard(leader));
}

void reach::ask_due() {
  for (const auto& q : questions_.due(ctx_.loop.now())) {
    auto all = keepers_of(q.group);
    // In an order of this node's own: not everybody asks the same one.
    std::shuffle(all.begin(), all.end(),
                 std::minstd_rand{static_cast<std::uint32_t>(
                     std::hash<node_id>{}(ctx_.self()))});
    const auto frame = encoded_control(view_wanted{q.group});
    for (auto i = q.first;
         i < std::min(all.size(), q.first + view_questions::at_once); ++i)
      if (all[i] != ctx_.self())
        ctx_.send(all[i], net::channel::group, frame);
  }
}

void reach::on_wanted(const node_id& from, const view_wanted& m) {
  const auto* app = ctx_.known.find_app(m.group.app);
  if (app != nullptr && app->stateless) {
    instances_told told;
    told.app = m.group.app;
    for (const auto& node : ctx_.known.instances(m.group.app))
      if (told.nodes.size() < instances_told::nodes_max && ctx_.reaches(node))
        told.nodes[node] = ctx_.known.instance_number(m.group.app, node);
    if (!told.nodes.empty())
      ctx_.send(from, net::channel::group, encoded_control(told));
    return;
  }
  // What was heard from somebody else isn't passed on: it may be old.
  const auto* v = ctx_.known.view(m.group);
  if (v != nullptr && !ctx_.known.at_second_hand(m.group))
    ctx_.send(from, net::channel::group, encoded_control(view_told{*v}));
}

void reach::on_told(const node_id&, const group_view& v) {
  // Two are asked at once: the one that answers first may know less.
  if (!questions_.listens(v.group) || ctx_.replicas.count(v.group) != 0)
    return; // nobody asked
  // A leader that is gone is no answer: the next keepers may know the new one.
  if (!v.leader.node.is_none() && ctx_.reaches(v.leader.node))
    questions_.answered(v.group, ctx_.loop.now());
  if (ctx_.known.put_told(v))
    caf::anon_send(ctx_.router, view_in{v.group});
  wait_over();
}

void reach::on_instances(const node_id&, const instances_told& m) {
  const group_id g{m.app, 0};
  if (!questions_.asks(g))
    return;
  questions_.answered(g, ctx_.loop.now());
  // Who has a link here says it itself.
  ctx_.known.put_instances_told(m.app, m.nodes, [&](const node_id& n) {
    return n == ctx_.self() || ctx_.is_linked(n);
  });
  caf::anon_send(ctx_.router, view_in{g});
  wait_over();
}

void reach::when_known(std::vector<group_id> groups,
                       std::function<void()> then) {
  for (const auto& g : groups)
    ask(g, false);
  gatherings_.push_back(
      {std::move(groups), std::move(then), ctx_.loop.now() + gather_patience});
  wait_over();
  arm();
}

void reach::wait_over() {
  const auto now = ctx_.loop.now();
  std::vector<std::function<void()>> over;
  for (auto i = gatherings_.begin(); i != gatherings_.end();) {
    if (now < i->until
        && std::any_of(i->groups.begin(), i->groups.end(),
                       [&](const auto& g) { return questions_.asks(g); })) {
      ++i;
      continue;
    }
    over.push_back(std::move(i->then));
    i = gatherings_.erase(i);
  }
  for (const auto& then : over)
    then();
}

} // namespace banyan::actors
