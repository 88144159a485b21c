// Calls of stateless apps, and what they are refused.
#include "actors/node/gateway.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

#include <set>

namespace banyan::actors {

// No actor, no session and no key: any instance answers, and who gets no answer
// asks another, so it runs at least once.
void http_gateway::stateless_call(io::http_request& q, responder r,
                                  bool only_arg) {
  call_request c;
  c.app = q.path[2];
  c.key = "-";
  c.command = q.path[4];
  c.kind = request_kind::query;
  const auto bad = [&](std::string why) {
    r.send(refusal(reply_status::invalid_argument, std::move(why)));
  };
  if (!admit_call(q, r, c, "command"))
    return;
  if (const auto* app = ctx_.known.find_app(c.app);
      app != nullptr && !app->stateless)
    return bad("'" + c.app + "' is a durable app: write /v1/apps/" + c.app
               + "/actors/KEY/" + c.command);
  std::string_view text = q.body;
  if (only_arg)
    if (const auto* arg = q.parameter("arg"))
      text = *arg;
  std::string why;
  if (!read_argument(q, text, c, why))
    return bad(std::move(why));
  call_in in;
  in.request = std::move(c);
  in.client = client_of(q.from);
  in.answer = [form = answer_form{q}, r = std::move(r)](const reply& a,
                                                        std::uint32_t) mutable {
    if (a.status != reply_status::ok)
      return void(r.send(refusal(a)));
    bytes b;
    writer w{b};
    w.map(1).text("result");
    if (a.result.empty())
      w.nil();
    else
      w.raw(a.result);
    r.send(answer(form, b));
  };
  caf::anon_send(ctx_.router, std::move(in));
}

bool http_gateway::wants_durable(const io::http_request& q,
                                 const responder& r) const {
  const auto& path = q.path;
  if (path.size() < 4 || path[1] != "apps")
    return false;
  const auto* app = ctx_.known.find_app(path[2]);
  if (app == nullptr || !app->stateless)
    return false;
  static const std::set<std::string, std::less<>> durable{
      "actors",  "_all", "_backup", "_restore",
      "recover", "move", "stop",    "start"};
  if (durable.count(path[3]) == 0)
    return false;
  const auto& what = path[3];
  auto to = r;
  to.send(refusal(
      reply_status::invalid_argument,
      "'" + path[2] + "' is stateless: "
          + (what == "actors" || what == "_all"
                 ? "it has no actors; write /v1/apps/" + path[2]
                       + "/call/COMMAND"
             : what == "move"
                 ? "its instances go where the placement says; `banyan drain` "
                   "empties a node"
             : what == "stop" || what == "start"
                 ? "it has nothing to stop; `banyan remove` ends it, a deploy "
                   "begins it again"
                 : "it keeps no data to back up, restore or recover")));
  return true;
}

} // namespace banyan::actors
