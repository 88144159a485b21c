// `/v1/apps/NAME/_all/QUERY`: one query of every actor, added up.
#include "actors/host/json.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_answers.hpp"
#include "actors/pure/all_jobs.hpp"
#include "actors/pure/all_query.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration retry_after = 200ms;

/// Counts among `jobs` until the last of its questions is answered: so long it
/// holds what it has.
struct all_job {
  all_job(std::shared_ptr<all_jobs> of, const directory::app& app,
          const io::http_request& q, io::http_responder to, call_request what,
          time_point end, bool as_list)
      : jobs{std::move(of)}, id{app.id}, client{client_of(q.from)}, form{q},
        r{std::move(to)}, like{std::move(what)}, until{end},
        core{app.shards, as_list, like.argument.size()} {}
  all_job(const all_job&) = delete;
  all_job& operator=(const all_job&) = delete;
  ~all_job() { jobs->ended(id, client); }

  const std::shared_ptr<all_jobs> jobs;
  const app_id id;
  const std::string client;
  const answer_form form;
  io::http_responder r;
  const call_request like; ///< app, query, argument and how stale
  const time_point until;
  all_query core;
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
  in.client = job.client;
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
  job->r.send(result ? answer(job->form, *result) : refusal(why));
}

} // namespace

void http_gateway::all(io::http_request& q, responder r) {
  const auto bad = [&](std::string why) {
    r.send(refusal(reply_status::invalid_argument, std::move(why)));
  };
  call_request c;
  c.app = q.path[2];
  c.key = "*";
  c.command = q.path[4];
  if (!admit_call(q, r, c, "query"))
    return;
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
  std::string why;
  if (!read_consistency(q, c, why))
    return bad(std::move(why));
  std::string_view text = q.body;
  if (const auto* arg = q.parameter("arg"); arg != nullptr && text.empty())
    text = *arg;
  if (!read_argument(q, text, c, why))
    return bad(std::move(why));
  if (const auto* full = all_jobs_->begin(app->id, client_of(q.from))) {
    reply no;
    no.status = reply_status::overloaded;
    no.message = full;
    no.retry_after = retry_after;
    return void(r.send(refusal(no)));
  }
  const auto until = ctx_.loop.now() + c.deadline;
  go_on(ctx_, std::make_shared<all_job>(all_jobs_, *app, q, std::move(r),
                                        std::move(c), until, as_list));
}

} // namespace banyan::actors
