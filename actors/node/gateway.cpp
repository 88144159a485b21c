#include "actors/node/gateway.hpp"

#include "actors/docs/spec_file.hpp"
#include "actors/docs/spec_map.hpp"
#include "actors/host/json.hpp"
#include "actors/loop/coordinator.hpp"
#include "actors/node/gateway_answers.hpp"
#include "actors/node/openapi.hpp"
#include "actors/node/reach.hpp"
#include "actors/pure/all_jobs.hpp"
#include "base/codec.hpp"
#include "crypto/secret.hpp"

#include <banyan/detail/codec.hpp>
#include <caf/all.hpp>

namespace banyan::actors {
namespace {

// TOML when it says so, else JSON.
result<app_spec, config_error> read_spec(const io::http_request& q) {
  if (q.header("content-type").find("toml") != std::string_view::npos) {
    auto file = parse_spec(q.body, "spec");
    if (!file.ok())
      return failure{file.error()};
    if (!file->modules.empty())
      return failure{config_error{
          "spec: [module] names files, which only `banyan deploy` can read; "
          "send the spec as JSON, with the hashes of its modules"}};
    return std::move(file->spec);
  }
  if (q.header("content-type").find("banyan-version")
      != std::string_view::npos) { // of a restore
    app_version v;
    if (!app_version::decode(as_bytes(q.body), v))
      return failure{config_error{"spec: this is no version of an app"}};
    return std::move(v.spec);
  }
  if (q.header("content-type").find("msgpack") != std::string_view::npos)
    return parse_spec_map(as_bytes(q.body));
  const auto map = json_to_msgpack(q.body);
  if (!map.ok())
    return failure{config_error{"spec: no JSON: " + map.error().message}};
  return parse_spec_map(*map);
}

} // namespace

http_code http_code_of(reply_status s) noexcept {
  switch (s) {
  case reply_status::ok:
    return {"ok", 200};
  case reply_status::rejected:
    return {"rejected", 422};
  case reply_status::invalid_argument:
    return {"invalid_argument", 400};
  case reply_status::not_found:
    return {"not_found", 404};
  case reply_status::app_failed:
    return {"app_failed", 500};
  case reply_status::poisoned:
    return {"poisoned", 500};
  case reply_status::too_large:
    return {"too_large", 413};
  case reply_status::conflict:
    return {"conflict", 409};
  case reply_status::expired:
    return {"expired", 410};
  case reply_status::overloaded:
    return {"overloaded", 429};
  case reply_status::deadline:
    return {"deadline", 504};
  case reply_status::unknown:
    return {"unknown", 504};
  case reply_status::not_leader:
  case reply_status::no_such_replica:
  case reply_status::no_quorum:
    return {"no_quorum", 503};
  case reply_status::parked:
  case reply_status::stopped:
    return {"parked", 503};
  case reply_status::disk_full:
    return {"disk_full", 507};
  case reply_status::unauthorized:
    return {"unauthorized", 401};
  case reply_status::forbidden:
    return {"forbidden", 403};
  }
  return {"app_failed", 500};
}

http_gateway::http_gateway(node_context& ctx, gateway_start start)
    : ctx_{ctx}, start_{std::move(start)}, started_{ctx.loop.now()},
      all_jobs_{std::make_shared<all_jobs>()}, events_{ctx}, logs_{ctx},
      watches_{ctx} {
}

bool http_gateway::is_admin(const io::http_request& q) const {
  if (q.from.unix_socket)
    return true;
  const auto given = bearer_of(q);
  return !given.empty() && !start_.admin_token.empty()
         && same_secret(as_bytes(given), as_bytes(start_.admin_token));
}

void http_gateway::handle(io::http_request q, responder r) {
  const auto& path = q.path;
  const bool get = q.method == "GET" || q.method == "HEAD";
  const auto uptime = ctx_.loop.now() - started_;
  const auto not_found = [&] {
    r.send(refusal(reply_status::not_found,
                   "no such path; see `banyan --help` for what there is"));
  };
  if (path.empty()) {
    io::http_response page;
    page.content_type = "text/plain; charset=utf-8";
    page.body = "Banyan " + ctx_.settings.version + ", node "
                + to_string(ctx_.self())
                + "\nsee /v1/status, /v1/nodes, /v1/apps, /v1/failovers, "
                  "/v1/events\n";
    r.send(std::move(page));
    return;
  }
  if (path[0] == "healthz" && get) {
    io::http_response ok;
    ok.content_type = "text/plain";
    ok.body = "ok\n";
    r.send(std::move(ok));
    return;
  }
  if (path[0] == "metrics" && get) {
    io::http_response m;
    m.content_type = "text/plain; version=0.0.4";
    m.body = view_metrics(ctx_, uptime,
                          http_ ? std::optional{http_()} : std::nullopt);
    r.send(std::move(m));
    return;
  }
  if (path[0] != "v1" || path.size() < 2)
    return not_found();
  if (get && ask_first(q, r))
    return;
  const auto& what = path[1];
  if (path.size() == 2 && get) {
    if (what == "openapi.json") {
      io::http_response description;
      description.body = openapi_document();
      r.send(std::move(description));
      return;
    }
    if (what == "status")
      return void(r.send(answer(q, view_status(ctx_, uptime))));
    if (what == "nodes") {
      look_for_drains(ctx_);
      return void(r.send(answer(q, view_nodes(ctx_))));
    }
    if (what == "apps")
      return void(r.send(answer(q, view_apps(ctx_))));
    if (what == "removed")
      return void(r.send(answer(q, view_removed(ctx_))));
    if (what == "failovers")
      return void(r.send(answer(q, view_failovers(ctx_))));
    if (what == "moves")
      return void(r.send(answer(q, view_moves(ctx_))));
  }
  if (path.size() == 2 && what == "events" && q.method == "GET")
    return events_.serve(q, std::move(r));
  if (path.size() == 2 && what == "plan" && q.method == "POST")
    return plan(q, r);
  if (path.size() == 2 && what == "verify" && (get || q.method == "POST"))
    return verify(q, r, !get);
  if (what == "modules" && ctx_.modules != nullptr
      && (get ? path.size() <= 3 : path.size() == 3 && q.method == "PUT"))
    return modules(q, r);
  if (what == "uptime" && path.size() <= 3 && get)
    return this->uptime(q, r);
  if (what == "policy" && path.size() == 2 && (get || q.method == "PUT"))
    return policy(q, r);
  if (wants_durable(q, r))
    return;
  if (operate(q, r))
    return;
  if (what != "apps" || path.size() < 3)
    return not_found();
  if (path.size() == 3) {
    if (q.method == "PUT")
      return deploy(q, r);
    if (q.method == "DELETE")
      return remove(q, r);
    if (!get)
      return not_found();
    const auto view = view_app(ctx_, path[2]);
    if (view.empty())
      return void(
          r.send(refusal(reply_status::not_found,
                         "no app named '" + path[2]
                             + "'; `banyan apps` lists what there is")));
    return void(r.send(answer(q, view)));
  }
  if (path.size() == 5 && path[3] == "call" && (get || q.method == "POST"))
    return stateless_call(q, std::move(r), get);
  if (path.size() == 4 && (path[3] == "risk" || path[3] == "why") && get)
    return outlook(q, r);
  if (path.size() == 4 && path[3] == "_papers" && get)
    return papers(q, r);
  if (path.size() == 4 && path[3] == "_backup" && get)
    return backup(q, r);
  if (path.size() == 4 && path[3] == "_logs" && q.method == "GET")
    return logs(q, std::move(r));
  if (path.size() == 4 && path[3] == "actors" && q.method == "GET")
    return list(q, std::move(r));
  if (path.size() == 6 && path[3] == "actors" && path[5].substr(0, 1) == "_")
    return look(q, std::move(r));
  if (path.size() == 5 && path[3] == "_all" && (get || q.method == "POST"))
    return all(q, std::move(r));
  if (path.size() == 4 && path[3] == "_restore" && q.method == "POST")
    return load(q, r);
  if (path.size() == 4 && path[3] == "recover"
      && (q.method == "POST" || q.method == "PUT"))
    return recover(q, r);
  if (path.size() == 6 && path[3] == "actors" && (get || q.method == "POST"))
    return app_call(q, r, get);
  not_found();
}

bool http_gateway::ask_first(io::http_request& q, const responder& r) {
  constexpr std::size_t asked_max = 32; ///< each has keepers of its own
  const auto& path = q.path;
  const bool looks = path[1] == "apps"
                     && (path.size() <= 3
                         || (path.size() == 4
                             && (path[3] == "risk" || path[3] == "why"
                                 || path[3] == "_logs")));
  if (asked_ || !looks || ctx_.full_mesh() || ctx_.far == nullptr)
    return false;
  const bool one = path.size() > 2;
  std::vector<group_id> groups;
  for (const auto& [name, app] : ctx_.known.apps())
    for (std::uint32_t s = 0; s < app.shards && groups.size() < asked_max; ++s)
      if (const group_id g{app.id, s};
          one ? name == path[2]
                    && (app.stateless || ctx_.known.view(g) == nullptr
                        || ctx_.known.at_second_hand(g))
              : !app.stateless && ctx_.known.view(g) == nullptr)
        groups.push_back(g);
  if (groups.empty())
    return false;
  ctx_.far->when_known(std::move(groups),
                       [this,
                        q = std::make_shared<io::http_request>(std::move(q)),
                        r]() mutable {
                         asked_ = true;
                         handle(std::move(*q), r);
                         asked_ = false;
                       });
  return true;
}

// ---- apps
// ------------------------------------------------------------------------

void http_gateway::deploy(io::http_request& q, responder r) {
  if (!is_admin(q))
    return void(r.send(
        refusal(reply_status::unauthorized,
                "deploys need the control socket, or `Authorization: Bearer` "
                "with the token in DIR/admin.token")));
  const auto done = [this, q = std::make_shared<io::http_request>(q),
                     r](const deploy_answer& a) mutable {
    r.send(a.status == reply_status::ok ? answer(*q, view_deploy(ctx_, a))
                                        : refusal(a.status, a.message));
  };
  const auto type = q.header("content-type");
  if (type.find("msgpack") != std::string_view::npos) {
    papers_in in;
    if (!app_papers::decode(as_bytes(q.body), in.papers))
      return void(r.send(refusal(reply_status::invalid_argument,
                                 "the body is no signed app document")));
    in.done = done;
    caf::anon_send(ctx_.supervisor, std::move(in));
    return;
  }
  auto spec = read_spec(q);
  if (!spec.ok())
    return void(
        r.send(refusal(reply_status::invalid_argument, spec.error().message)));
  if (spec->name != q.path[2])
    return void(r.send(refusal(reply_status::invalid_argument,
                               "the spec's name is '" + spec->name
                                   + "', the path says '" + q.path[2] + "'")));
  deploy_in in;
  in.spec = std::move(*spec);
  const auto* strict = q.parameter("strict");
  in.strict = strict != nullptr && *strict == "1";
  in.done = done;
  caf::anon_send(ctx_.supervisor, std::move(in));
}

void http_gateway::plan(io::http_request& q, responder r) {
  auto spec = read_spec(q);
  if (!spec.ok())
    return void(
        r.send(refusal(reply_status::invalid_argument, spec.error().message)));
  plan_in in;
  in.spec = std::move(*spec);
  const auto* prepare = q.parameter("prepare");
  in.prepare = prepare != nullptr && *prepare == "1";
  if (in.prepare && !is_admin(q))
    return void(r.send(
        refusal(reply_status::unauthorized,
                "preparing a deploy needs admin rights: " + admin_rights)));
  in.done = [this, q = std::make_shared<io::http_request>(std::move(q)),
             r](const deploy_answer& a) mutable {
    r.send(a.status == reply_status::ok ? answer(*q, view_deploy(ctx_, a))
                                        : refusal(a.status, a.message));
  };
  caf::anon_send(ctx_.supervisor, std::move(in));
}

// What an owner needs to sign an app's next version or its deletion.
void http_gateway::papers(io::http_request& q, responder r) {
  if (!is_admin(q))
    return void(r.send(
        refusal(reply_status::unauthorized,
                "an app's documents need admin rights: " + admin_rights)));
  const auto& name = q.path[2];
  if (const auto among = ctx_.conflicts.find(name);
      among != ctx_.conflicts.end()) {
    const auto* id = q.parameter("id");
    const auto* one =
        choose(among->second, id == nullptr ? std::string{} : *id);
    if (one == nullptr)
      return void(r.send(refusal(reply_status::conflict,
                                 contested_words(name, among->second))));
    return void(r.send(answer(q, one->papers)));
  }
  const auto found = ctx_.papers.find(name);
  if (found == ctx_.papers.end())
    return void(r.send(refusal(reply_status::not_found,
                               "no app named '" + q.path[2]
                                   + "'; `banyan apps` lists what there is")));
  r.send(answer(q, found->second));
}

// Reads everything on this peer's disk again, or tells how far that is.
void http_gateway::verify(io::http_request& q, responder r, bool begin) {
  if (begin && !is_admin(q))
    return void(r.send(
        refusal(reply_status::unauthorized,
                "reading the disk again needs admin rights: " + admin_rights)));
  verify_in in;
  in.begin = begin;
  in.done = [q = std::make_shared<io::http_request>(std::move(q)),
             r](const scrub_report& report, time_point now) mutable {
    r.send(answer(*q, view_verify(report, now)));
  };
  caf::anon_send(ctx_.scrub, std::move(in));
}

void http_gateway::remove(io::http_request& q, responder r) {
  if (!is_admin(q))
    return void(
        r.send(refusal(reply_status::unauthorized,
                       "removing an app needs admin rights: " + admin_rights)));
  const auto done = [this, q = std::make_shared<io::http_request>(q),
                     r](const deploy_answer& a) mutable {
    r.send(a.status == reply_status::ok ? answer(*q, view_deploy(ctx_, a))
                                        : refusal(a.status, a.message));
  };
  if (q.header("content-type").find("msgpack") != std::string_view::npos) {
    papers_in in;
    if (!app_papers::decode(as_bytes(q.body), in.papers) || !in.papers.deletion)
      return void(r.send(refusal(reply_status::invalid_argument,
                                 "the body is no signed deletion")));
    in.done = done;
    caf::anon_send(ctx_.supervisor, std::move(in));
    return;
  }
  const auto* id = q.parameter("id");
  caf::anon_send(ctx_.supervisor,
                 remove_in{q.path[2], id == nullptr ? "" : *id, done});
}

caf::behavior gateway_actor(caf::stateful_actor<gateway_actor_state>* self,
                            std::shared_ptr<http_gateway> shell) {
  quiet(self);
  self->state.shell = std::move(shell);
  return {[](leave_in) {}};
}

} // namespace banyan::actors
