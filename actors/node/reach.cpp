#include "actors/node/reach.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

/// What goes between partners and neighbours alone waits for no link: it would
/// come without the proofs that it needs, or too late.
bool may_wait(net::channel c) {
  switch (c) {
  case net::channel::group:
  case net::channel::request:
  case net::channel::reply:
  case net::channel::bulk:
  case net::channel::module:
    return true;
  case net::channel::raft:
  case net::channel::outbox:
  case net::channel::link:
  case net::channel::relay:
  case net::channel::membership:
  case net::channel::beat:
    return false;
  }
  return false;
}

std::size_t links_of_peers(const node_context& ctx) {
  const auto& all = ctx.links->links();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(),
                    [](const auto& l) { return l.role == link_role::peer; }));
}

} // namespace

reach::reach(node_context& ctx, wiring w)
    : ctx_{ctx}, wiring_{std::move(w)}, timer_{ctx.loop} {
}

bool reach::send(const node_id& to, net::channel c, const_bytes payload) {
  if (ctx_.full_mesh())
    return false;
  if (c == net::channel::raft || c == net::channel::outbox)
    use(to); // and is lost
  if (!may_wait(c) || !use(to) || !waits_.put(to, c, payload, ctx_.loop.now()))
    return false;
  arm();
  return true;
}

bool reach::use(const node_id& to) {
  if (ctx_.full_mesh() || to == ctx_.self())
    return false;
  const auto state = ctx_.members->state_of(to);
  if (state != net::member_state::alive && state != net::member_state::suspect)
    return false;
  const bool linked = ctx_.is_linked(to);
  if (!linked && !waits_.waits(to) && !make_room(to))
    return false;
  if (waits_.used(to, ctx_.loop.now()) || !linked)
    wiring_.use(to);
  return true;
}

void reach::used(const node_id& node, net::channel c) {
  if (ctx_.full_mesh() || c == net::channel::reply || !may_wait(c))
    return;
  if (waits_.used(node, ctx_.loop.now()))
    wiring_.use(node);
}

void reach::heard(const node_id& node) {
  if (!ctx_.full_mesh())
    static_cast<void>(waits_.used(node, ctx_.loop.now()));
}

void reach::call_began(const node_id& node, link_waits::caller whose,
                       std::uint64_t call, duration left) {
  if (ctx_.full_mesh() || node == ctx_.self())
    return;
  waits_.call_began(node, whose, call, ctx_.loop.now() + left);
  arm();
}

void reach::call_ended(const node_id& node, link_waits::caller whose,
                       std::uint64_t call) {
  waits_.call_ended(node, whose, call);
}

bool reach::make_room(const node_id& instead_of) {
  if (waits_.nodes() + links_of_peers(ctx_) < links_max)
    return true;
  for (const auto& node : waits_.idlest(ctx_.loop.now()))
    if (node != instead_of && ctx_.is_linked(node) && wiring_.release(node)) {
      waits_.forget(node);
      return true;
    }
  return false;
}

void reach::on_link_up(const node_id& node) {
  if (ctx_.full_mesh() && !waits_.waits(node))
    return;
  heard(node);
  for (auto& f : waits_.take(node))
    ctx_.send(node, f.channel, f.payload);
  // Others came here: who was idle for longest goes.
  if (links_of_peers(ctx_) > links_max && !ctx_.full_mesh())
    static_cast<void>(make_room(node));
  arm();
}

void reach::on_link_down(const node_id& node, net::link_end why) {
  // It has no room for this link, or stops: it is asked again when something
  // is to be sent.
  if (why == net::link_end::goodbye && !ctx_.full_mesh())
    static_cast<void>(wiring_.release(node));
  waits_.forget(node);
}

void reach::on_dial_failed(const node_id& node) {
  if (waits_.waits(node))
    give_up(node);
}

/// Who called there is told at once that nobody took it, and asks elsewhere.
void reach::give_up(const node_id& node) {
  for (const auto& f : waits_.take(node)) {
    ++ctx_.counters.sends_refused;
    request_frame request;
    if (f.channel != net::channel::request || !decode(f.payload, request))
      continue;
    reply none;
    none.status = reply_status::no_such_replica;
    caf::anon_send(ctx_.router,
                   reply_in{node, reply_frame{request.call, std::move(none)}});
  }
  static_cast<void>(wiring_.release(node));
  waits_.forget(node);
}

void reach::on_time() {
  for (const auto& node : waits_.late(ctx_.loop.now()))
    give_up(node);
  for (const auto& node : waits_.held(ctx_.loop.now()))
    if (ctx_.is_linked(node))
      wiring_.use(node);
  ask_due();
  wait_over();
  arm();
}

void reach::arm() {
  auto due =
      std::min({waits_.deadline(), waits_.held_due(), questions_.deadline()});
  for (const auto& g : gatherings_)
    due = std::min(due, g.until);
  if (due >= due_)
    return;
  due_ = due;
  timer_.arm(
      due,
      [this] {
        due_ = never;
        on_time();
      },
      "reach");
}

} // namespace banyan::actors
