// `/v1/apps/NAME/_all/QUERY`: one query of every actor, added up.
#include "actors/host/json.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_answers.hpp"
#include "actors/pure/all_query.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

struct all_job {
  all_job(std::uint32_t shards, bool as_list) : core{shards, as_list} {}

  io::http_request q;
  io::http_responder r;
  call_request like; ///< app, query, argument and how stale
  time_point until;
  all_query core;
  bool asking = false;
  bool over = false;
};

void go_on(node_context& ctx, const std::shared_ptr<all_job>& job);

call_in call_of(node_context& ctx, const all_job& job, std::uint32_t shard) {
  call_in in;
  in.request.app = job.like.app;
  in.request.kind = request_kind::query;
  in.request.shard = shard;
  in.request.max_staleness = job.like.max_staleness;
  in.request.deadline = job.until - ctx.loop.now();
  return in;
}

void ask(node_context& ctx, const std::shared_ptr<all_job>& job,
         all_query::list what) {
  auto in = call_of(ctx, *job, what.shard);
  in.request.key = "*";
  in.request.command = look_list;
  writer{in.request.argument}
      .array(3)
      .text("")
      .text(what.after)
      .uint(all_query::page);
  in.answer = [&ctx, job, what](const reply& a, std::uint32_t) {
    job->core.listed(what.shard, a);
    go_on(ctx, job);
  };
  caf::anon_send(ctx.router, std::move(in));
}

void ask(node_context& ctx, const std::shared_ptr<all_job>& job,
         all_query::ask what) {
  auto in = call_of(ctx, *job, what.shard);
  in.request.key = what.key;
  in.request.command = job->like.command;
  in.request.argument = job->like.argument;
  in.answer = [&ctx, job, what](const reply& a, std::uint32_t) {
    job->core.answered(what, a);
    go_on(ctx, job);
  };
  caf::anon_send(ctx.router, std::move(in));
}

void go_on(node_context& ctx, const std::shared_ptr<all_job>& job) {
  if (job->over)
    return;
  if (!job->r.client_waits()) { // nobody reads the sum
    job->over = true;
    return;
  }
  while (const auto step = job->core.next())
    std::visit([&](const auto& what) { ask(ctx, job, what); }, *step);
  if (!job->core.over())
    return;
  job->over = true;
  reply why;
  const auto result =
      job->core.result(job->like.max_staleness.has_value(), why);
  job->r.send(result ? answer(job->q, *result) : refusal(why));
}

} // namespace

void http_gateway::all(io::http_request& q, responder r) {
  const auto bad = [&](std::string why) {
    r.send(refusal(reply_status::invalid_argument, std::move(why)));
  };
  call_request c;
  c.app = q.path[2];
  c.command = q.path[4];
  if (c.command.empty() || c.command.size() > name_bytes_max
      || c.command[0] == '_')
    return bad("'" + c.command.substr(0, 64) + "' is no query");
  if (!may_call(q, c.app))
    return void(r.send(
        refusal(reply_status::unauthorized,
                "this app takes calls off loopback only with its token: send "
                "`Authorization: Bearer TOKEN`")));
  const auto* fold = q.parameter("fold");
  if (fold != nullptr && *fold != "sum" && *fold != "list")
    return bad("fold must be sum or list");
  const bool as_list = fold != nullptr && *fold == "list";
  if (as_list && !may_look(q, r)) // it shows which actors there are
    return;
  const auto* app = ctx_.known.find_app(c.app);
  if (app == nullptr)
    return void(r.send(refusal(reply_status::not_found,
                               "no app named '" + c.app
                                   + "'; `banyan apps` lists what there is")));
  if (app->stateless)
    return bad("'" + c.app
               + "' is stateless: it has no actors that could be asked");
  if (ctx_.conflicts.count(c.app) != 0)
    return void(r.send(refusal(reply_status::conflict,
                               "two apps bear this name; its owner has to "
                               "remove one of them")));
  if (ctx_.handlers.count(c.app) != 0) {
    const auto* info = ctx_.handler(c.app, c.command);
    if (info == nullptr)
      return void(r.send(
          refusal(reply_status::not_found,
                  "app '" + c.app + "' has no query '" + c.command + "'")));
    if (!info->query)
      return bad("'" + c.command
                 + "' is a command: only queries are asked of all actors");
  }
  if (const auto limit = q.header("banyan-deadline-ms"); !limit.empty())
    if (!parse_milliseconds(limit, c.deadline) || c.deadline > 10min)
      return bad("Banyan-Deadline-Ms must be milliseconds, at most 600000");
  std::string why;
  if (!read_consistency(q, c, why))
    return bad(std::move(why));
  std::string_view text = q.body;
  if (const auto* arg = q.parameter("arg"); arg != nullptr && text.empty())
    text = *arg;
  if (q.header("content-type").find("msgpack") != std::string_view::npos) {
    c.argument = to_bytes(q.body);
    reader check{c.argument};
    check.skip();
    if (!c.argument.empty() && !check.done())
      return bad("the body is not one msgpack value");
  } else {
    auto argument = json_to_msgpack(text);
    if (!argument.ok())
      return bad(c.command
                 + ": the argument is no JSON: " + argument.error().message
                 + " at byte " + std::to_string(argument.error().position));
    c.argument = std::move(*argument);
  }
  auto job = std::make_shared<all_job>(app->shards, as_list);
  job->until = ctx_.loop.now() + c.deadline;
  job->like = std::move(c);
  job->q = std::move(q);
  job->r = std::move(r);
  go_on(ctx_, job);
}

} // namespace banyan::actors
