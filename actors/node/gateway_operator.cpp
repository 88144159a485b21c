// What those who run a peer ask for: lines of apps, states of actors, and which
// actors there are.
#include "actors/host/json.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_answers.hpp"
#include "base/codec.hpp"

#include <banyan/detail/codec.hpp>
#include <caf/all.hpp>

#include <set>

namespace banyan::actors {
namespace {

constexpr std::uint64_t listed_max = 1000;
constexpr std::uint64_t listed_usual = 100;
constexpr std::uint32_t shards_at_once = 16;

/// Asks every shard for its first keys and keeps the first of all.
struct list_job {
  io::http_request q;
  io::http_responder r;
  std::string app;
  std::string prefix;
  std::string after;
  std::uint64_t limit = listed_usual;
  std::uint32_t shards = 0;
  std::uint32_t asked = 0;
  std::uint32_t answered = 0;
  std::optional<duration> max_staleness;
  std::set<std::string> keys;
  bool more = false;
  bool over = false;

  void take(const reply& a) {
    reader in{a.result};
    in.require(in.array(2) == 2);
    for (auto n = in.array(listed_max); n > 0 && in.ok(); --n)
      keys.emplace(in.text(actor_key_bytes_max));
    more |= in.boolean();
    while (keys.size() > limit) {
      keys.erase(std::prev(keys.end()));
      more = true;
    }
  }
  [[nodiscard]] bytes view() const {
    bytes out;
    writer w{out};
    const auto key = [&](const std::string& k) {
      if (detail::is_utf8(k))
        w.text(k);
      else
        w.blob(as_bytes(k));
    };
    w.map(2).text("actors").array(keys.size());
    for (const auto& k : keys)
      key(k);
    w.text("next");
    if (more && !keys.empty())
      key(*keys.rbegin());
    else
      w.nil();
    return out;
  }
};

void ask_shards(node_context& ctx, const std::shared_ptr<list_job>& job) {
  while (!job->over && job->asked < job->shards
         && job->asked - job->answered < shards_at_once) {
    call_in in;
    in.request.app = job->app;
    in.request.key = "*";
    in.request.shard = job->asked++;
    in.request.kind = request_kind::query;
    in.request.command = look_list;
    in.request.max_staleness = job->max_staleness;
    writer{in.request.argument}
        .array(3)
        .text(job->prefix)
        .text(job->after)
        .uint(job->limit);
    in.answer = [&ctx, job](const reply& a, std::uint32_t shard) {
      if (job->over)
        return;
      if (a.status != reply_status::ok) {
        job->over = true;
        auto why = a;
        why.message = "shard " + std::to_string(shard) + ": "
                      + (a.message.empty() ? to_string(a.status) : a.message);
        job->r.send(refusal(why));
        return;
      }
      job->take(a);
      if (++job->answered < job->shards)
        return ask_shards(ctx, job);
      job->over = true;
      job->r.send(answer(job->q, job->view()));
    };
    caf::anon_send(ctx.router, std::move(in));
  }
}

} // namespace

void http_gateway::logs(io::http_request& q, responder r) {
  const auto& app = q.path[2];
  if (!is_admin(q)) {
    r.send(refusal(reply_status::unauthorized,
                   "logs need admin rights: " + admin_rights));
    return;
  }
  if (ctx_.known.find_app(app) == nullptr && ctx_.app_lines.count(app) == 0) {
    r.send(refusal(reply_status::not_found,
                   "no app named '" + app
                       + "'; `banyan apps` lists what there is"));
    return;
  }
  logs_.serve(q, std::move(r), app);
}

// Whoever may call an app sees what its queries show; its stored states are for
// this machine's users and for admins.
bool http_gateway::may_look(const io::http_request& q, responder& r) const {
  if (q.from.loopback || is_admin(q))
    return true;
  r.send(refusal(reply_status::unauthorized,
                 "stored states are shown off loopback to admins only: "
                     + admin_rights));
  return false;
}

void http_gateway::look(io::http_request& q, responder r) {
  const auto& command = q.path[5];
  const auto bad = [&](std::string why) {
    r.send(refusal(reply_status::invalid_argument, std::move(why)));
  };
  std::string why;
  if (!check_actor(q.path[2], q.path[4], why))
    return bad(std::move(why));
  if (!may_look(q, r))
    return;
  if (q.method != "GET" || (command != look_state && command != look_watch))
    return void(r.send(refusal(reply_status::not_found,
                               "'" + command
                                   + "' is none of ours: GET _state or _watch; "
                                     "an app's names have no leading _")));
  if (ctx_.known.find_app(q.path[2]) == nullptr)
    return void(r.send(refusal(reply_status::not_found,
                               "no app named '" + q.path[2]
                                   + "'; `banyan apps` lists what there is")));
  if (command == look_watch)
    return watches_.serve(q, std::move(r));
  call_in in;
  in.request.app = q.path[2];
  in.request.key = q.path[4];
  in.request.kind = request_kind::query;
  in.request.command = look_state;
  if (!read_consistency(q, in.request, why))
    return bad(std::move(why));
  in.answer = [q, r](const reply& a, std::uint32_t) mutable {
    if (a.status != reply_status::ok)
      return void(r.send(refusal(a)));
    log_index index;
    const auto view = look_view(a.result, index);
    r.send(view ? answer(q, *view)
                : refusal(reply_status::app_failed,
                          "the group's leader answered what this peer doesn't "
                          "understand: is it of another version?"));
  };
  caf::anon_send(ctx_.router, std::move(in));
}

void http_gateway::list(io::http_request& q, responder r) {
  const auto bad = [&](std::string why) {
    r.send(refusal(reply_status::invalid_argument, std::move(why)));
  };
  auto job = std::make_shared<list_job>();
  job->app = q.path[2];
  for (auto [name, to] :
       {std::pair{"prefix", &job->prefix}, std::pair{"after", &job->after}})
    if (const auto* given = q.parameter(name)) {
      if (given->size() > actor_key_bytes_max || !detail::is_utf8(*given))
        return bad(std::string{name} + " must be at most 255 bytes of UTF-8");
      *to = *given;
    }
  if (!number_parameter(q, "limit", job->limit) || job->limit == 0
      || job->limit > listed_max)
    return bad("limit must be a number from 1 to 1000");
  call_request consistency;
  if (std::string why; !read_consistency(q, consistency, why))
    return bad(std::move(why));
  job->max_staleness = consistency.max_staleness;
  if (!may_look(q, r))
    return;
  const auto* app = ctx_.known.find_app(job->app);
  if (app == nullptr)
    return void(r.send(refusal(reply_status::not_found,
                               "no app named '" + job->app
                                   + "'; `banyan apps` lists what there is")));
  job->shards = app->shards;
  job->q = std::move(q);
  job->r = std::move(r);
  ask_shards(ctx_, job);
}

} // namespace banyan::actors
