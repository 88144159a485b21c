// What other nodes and clients send: whose it is, and whether it may be.
#include "actors/loop/coordinator.hpp"
#include "actors/node/hardware.hpp"
#include "actors/node/log_streams.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/node.hpp"
#include "actors/node/uptime.hpp"
#include "actors/pure/admission.hpp"
#include "actors/pure/client_wire.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

void node_shell::on_frames(const net::link_info& info,
                           const std::vector<net::frame_view>& frames) {
  if (info.role == link_role::client) {
    for (const auto& f : frames)
      if (f.channel == net::channel::request)
        on_client_call(info, f.payload);
    return;
  }
  bool heard = false;
  for (const auto& f : frames) {
    switch (f.channel) {
    case net::channel::membership:
    case net::channel::beat:
      member_input([&](auto& m, auto now, auto& out) {
        m.on_frame(info.node, f.channel, f.payload, now, out);
      });
      continue;
    case net::channel::bulk: {
      group_id of; // frames of groups and, kept from the others, large news
      if (!peek_group(f.payload, of)) {
        on_control(info, f.payload);
        break;
      }
      on_group_frame(info, f.payload);
      break;
    }
    case net::channel::raft:
      on_group_frame(info, f.payload);
      break;
    case net::channel::module:
      if (ctx_.modules != nullptr)
        ctx_.modules->on_piece(info.node, f.payload);
      break;
    case net::channel::group:
      on_control(info, f.payload);
      break;
    case net::channel::request: {
      reach_->heard(info.node);
      request_in in{info.node, {}};
      if (!decode(f.payload, in.frame)) {
        ++ctx_.counters.frames_bad;
        break;
      }
      const auto group = in.frame.group;
      const auto call = in.frame.call;
      reach_->call_began(info.node, link_waits::caller::there, call,
                         in.frame.deadline_left);
      if (ctx_.tell_replica(group, std::move(in)))
        break;
      reply none;
      none.status = reply_status::no_such_replica;
      ctx_.answer_to(info.node, call, std::move(none));
      break;
    }
    case net::channel::reply: {
      reply_in in{info.node, {}};
      if (decode(f.payload, in.frame))
        caf::anon_send(ctx_.router, std::move(in));
      else
        ++ctx_.counters.frames_bad;
      break;
    }
    case net::channel::outbox: {
      stream_in in;
      if (!decode(f.payload, in.frame)) {
        ++ctx_.counters.frames_bad;
        break;
      }
      // The sender must belong to the group that it speaks for. Of an app that
      // has no replica here this node has no secret to check that with.
      const auto& by = in.frame.is_ack ? in.frame.to : in.frame.from;
      if (ctx_.stateless.count(by.app) != 0) {
        ++ctx_.counters.frames_bad; // it has no stream that leaves a node
        break;
      }
      if (ctx_.guard.knows(by.app) && !ctx_.guard.may_speak(info.id, by)) {
        ++ctx_.counters.frames_unproven;
        break;
      }
      const auto to = addressee(in.frame);
      ctx_.tell_replica(to, std::move(in));
      break;
    }
    case net::channel::link:
    case net::channel::relay: // the table's own
      break;
    }
    heard = true;
  }
  if (heard)
    member_input(
        [&](auto& m, auto now, auto& out) { m.on_heard(info.node, now, out); });
}

void node_shell::on_group_frame(const net::link_info& info,
                                const_bytes payload) {
  group_id group;
  if (!peek_group(payload, group)) {
    ++ctx_.counters.frames_bad;
    return;
  }
  const bool here = ctx_.replicas.count(group) != 0;
  if (here && ctx_.guard.may_speak(info.id, group)) {
    ctx_.tell_replica(group, group_frame_in{info.node, payload.copy()});
    return;
  }
  group_frame f;
  if (!decode(payload, f)) {
    ++ctx_.counters.frames_bad;
    return;
  }
  // A node may say of itself, without proof, that it has no such replica.
  if (f.kind == group_frame_kind::no_such_replica) {
    ctx_.tell_replica(group, group_frame_in{info.node, payload.copy()});
    return;
  }
  if (here) {
    ++ctx_.counters.frames_unproven;
    return;
  }
  if (ctx_.known.find_app(group.app) == nullptr)
    return; // its documents are on their way
  std::swap(f.from, f.to);
  f.kind = group_frame_kind::no_such_replica;
  f.payload.clear();
  bytes b;
  encode(f, b);
  ctx_.send(info.node, net::channel::raft, b);
}

void node_shell::on_control(const net::link_info& info, const_bytes payload) {
  control_in in{info.node, {}};
  if (!decode(payload, in.frame)) {
    ++ctx_.counters.frames_bad;
    return;
  }
  if (const auto* proof = std::get_if<secret_proof>(&in.frame)) {
    if (!ctx_.guard.on_proof(info, proof->group, proof->proof))
      ++ctx_.counters.proofs_wrong;
  } else if (const auto* v = std::get_if<group_view>(&in.frame)) {
    if (v->leader.node != info.node)
      ++ctx_.counters.frames_bad;
    else if (ctx_.known.put_view(*v))
      caf::anon_send(ctx_.router, view_in{v->group});
  } else if (const auto* wanted = std::get_if<view_wanted>(&in.frame)) {
    reach_->on_wanted(info.node, *wanted);
  } else if (const auto* told_view = std::get_if<view_told>(&in.frame)) {
    reach_->on_told(info.node, told_view->view);
  } else if (const auto* serving = std::get_if<instances_told>(&in.frame)) {
    reach_->on_instances(info.node, *serving);
  } else if (const auto* word = std::get_if<instance_word>(&in.frame)) {
    ctx_.known.put_instance(word->app, info.node, word->up, word->number);
    caf::anon_send(ctx_.router, view_in{{word->app, 0}});
  } else if (const auto* load = std::get_if<node_load>(&in.frame)) {
    ctx_.loads[info.node] = *load;
  } else if (auto* far = std::get_if<distances_told>(&in.frame)) {
    ctx_.region_claims.on_told(info.node, std::move(far->to), ctx_.loop.now());
  } else if (auto* told = std::get_if<event_told>(&in.frame)) {
    ctx_.hear_event(info.node, std::move(told->what));
  } else if (const auto* lines = std::get_if<logs_wanted>(&in.frame)) {
    ctx_.send(info.node, net::channel::group,
              encoded_control(lines_here(ctx_, *lines)));
  } else if (auto* held = std::get_if<logs_held>(&in.frame)) {
    if (ctx_.on_logs)
      ctx_.on_logs(info.node, std::move(*held));
  } else if (ctx_.uptime != nullptr
             && ctx_.uptime->on_control(info.node, in.frame)) {
    return;
  } else if (ctx_.hardware != nullptr
             && ctx_.hardware->on_control(info.node, in.frame)) {
    return;
  } else if (ctx_.modules == nullptr
             || !ctx_.modules->on_control(info.node, in.frame)) {
    caf::anon_send(ctx_.supervisor, std::move(in));
  }
}

void node_shell::on_client_call(const net::link_info& info,
                                const_bytes payload) {
  client_call_frame f;
  if (!decode(payload, f)) {
    ++ctx_.counters.frames_bad;
    links_->close(info.node, ctx_.loop.now());
    return;
  }
  if (!f.command.empty() && f.command[0] == '_')
    f.command = "?"; // what is ours isn't for apps' clients: no such query
  const auto* app = ctx_.known.find_app(f.app);
  const auto shards = app == nullptr ? 0U : app->shards;
  const bool of_group = app != nullptr && f.kind != client_call_kind::lookup;
  const auto answer = [&ctx = ctx_, node = info.node, call = f.call, shards,
                       id = of_group ? app->id
                                     : app_id{}](reply r, std::uint32_t shard) {
    // Whom to ask at once next time, if that is another peer.
    const auto* v = id.is_none() ? nullptr : ctx.known.view({id, shard});
    if (v != nullptr && !v->leader.node.is_none()
        && v->leader.node != ctx.self())
      r.leader = v->leader;
    bytes b;
    encode(client_reply_frame{call, std::move(r), shards}, b);
    ctx.send(node, net::channel::reply, b);
  };
  if (f.kind == client_call_kind::lookup) {
    reply r;
    if (app == nullptr)
      r.status = reply_status::not_found;
    answer(std::move(r), 0);
    return;
  }
  call_in c;
  c.client = to_text(info.node.view());
  if (app != nullptr && app->stateless && f.key.empty())
    f.key = "-"; // it needs none
  const bool takes_a_place =
      f.kind == client_call_kind::command || f.kind == client_call_kind::query;
  if (app != nullptr && ctx_.door != nullptr && takes_a_place) {
    const auto shard = shard_of(f.key, shards);
    if (const auto full = ctx_.door->turn_away({app->id, shard}, c.client,
                                               f.argument.size())) {
      reply r;
      r.status = reply_status::overloaded;
      r.message = full->why;
      r.retry_after = full->retry_after;
      answer(std::move(r), shard);
      return;
    }
  }
  c.request.app = std::move(f.app);
  c.request.kind = static_cast<request_kind>(f.kind);
  c.request.key = std::move(f.key);
  c.request.command = std::move(f.command);
  c.request.argument = std::move(f.argument);
  c.request.identity = std::move(f.identity);
  c.request.deadline = f.deadline;
  c.request.max_staleness = f.max_staleness;
  c.answer = answer;
  caf::anon_send(ctx_.router, std::move(c));
}

} // namespace banyan::actors
