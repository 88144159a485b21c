// The owner's list of allowed nodes (DESIGN section 4), as it meets links and
// members: who is refused, who is told so, and who is a member in spite of it.
#include "actors/node/unlisted.hpp"

#include "actors/node/node.hpp"
#include "actors/node/uptime.hpp"

#include <algorithm>

namespace banyan::actors {
namespace {

const allowed_nodes& list_of(const node_context& ctx) {
  static const allowed_nodes all;
  return ctx.uptime == nullptr ? all : ctx.uptime->policy().nodes;
}

} // namespace

bool is_allowed(const node_context& ctx, const node_id& node) {
  return list_of(ctx).allows(node);
}

bool lets_in(const node_context& ctx, const node_id& node) {
  return list_of(ctx).lets_in(node);
}

void on_new_list(node_context& ctx) {
  const auto& list = list_of(ctx);
  if (!list.is_list())
    return;
  ctx.members->each([&](const net::member_record& m, net::member_state state) {
    if (list.allows(m.node) || state == net::member_state::dead
        || state == net::member_state::left)
      return;
    const auto who =
        m.node == ctx.self() ? "this node" : "member " + short_string(m.node);
    const auto text =
        who
        + " isn't on the list of allowed nodes: it keeps what it has and takes "
          "nothing new; `banyan drain "
        + short_string(m.node) + "` moves its replicas away";
    ctx.log(log_level::warning, text);
    ctx.event(event_kind::node_unlisted, {}, text, std::nullopt, m.node);
  });
  for (const auto& l : ctx.links->links())
    if (l.role == link_role::peer && !list.lets_in(l.node)
        && !ctx.members->state_of(l.node))
      ctx.links->close(l.node, ctx.loop.now());
}

/// Whoever runs the other node reads the same there, if it was the one to dial.
void node_shell::on_unlisted(const node_id& node, const net::address& at) {
  tell_refused(node, "node " + to_string(node) + " at " + to_string(at)
                         + " has the mesh key and isn't on the list of allowed "
                           "nodes: it was refused. To let it in, an owner runs "
                           "`banyan policy set --allow "
                         + to_string(node) + "`");
}

/// The dial is repeated every few seconds; that is no news.
void node_shell::tell_refused(const node_id& node, const std::string& text) {
  constexpr duration again = 10min;
  constexpr std::size_t remembered = 64;
  const auto now = ctx_.loop.now();
  if (const auto at = refused_said_.find(node);
      at != refused_said_.end() && now < at->second + again)
    return;
  if (refused_said_.size() >= remembered)
    refused_said_.erase(std::min_element(
        refused_said_.begin(), refused_said_.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; }));
  refused_said_[node] = now;
  ctx_.log(log_level::warning, text);
  ctx_.event(event_kind::node_refused, {}, text, std::nullopt, node);
}

void node_shell::tell_not_allowed(const net::address& at) {
  tell_refused(ctx_.self(),
               "the peer at " + to_string(at)
                   + " refuses this node: its id isn't on the mesh's list of "
                     "allowed nodes. An owner of the mesh lets it in with "
                     "`banyan policy set --allow "
                   + to_string(ctx_.self())
                   + "`; this peer goes on trying and needs no restart");
}

} // namespace banyan::actors
