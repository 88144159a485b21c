// Calls of apps: who may, what they ask for, and their answers.
#include "actors/docs/app_token.hpp"
#include "actors/host/json.hpp"
#include "actors/node/gateway.hpp"
#include "actors/pure/admission.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

// What comes without TLS from elsewhere comes through a proxy, which is many.
std::string client_of(const io::http_origin& from) {
  return from.unix_socket || from.loopback || !from.tls ? std::string{}
                                                        : from.network;
}

bool http_gateway::may_call(const io::http_request& q,
                            const std::string& app) const {
  if (q.from.unix_socket || q.from.loopback)
    return true;
  const auto spec = ctx_.specs.find(app);
  if (spec == ctx_.specs.end())
    return ctx_.known.find_app(app) == nullptr || is_admin(q);
  return spec->second.access == app_access::everyone
         || is_app_token(bearer_of(q), spec->second.token_hash) || is_admin(q);
}

// While it costs nothing yet to say so.
std::optional<reply> http_gateway::turned_away(const io::http_request& q,
                                               const call_request& c) const {
  const auto* known = ctx_.known.find_app(c.app);
  if (ctx_.door == nullptr || known == nullptr)
    return std::nullopt;
  const auto no =
      ctx_.door->turn_away({known->id, shard_of(c.key, known->shards)},
                           client_of(q.from), q.body.size());
  if (!no)
    return std::nullopt;
  reply r;
  r.status = reply_status::overloaded;
  r.message = no->why;
  r.retry_after = no->retry_after;
  return r;
}

bool http_gateway::admit_call(const io::http_request& q, responder& r,
                              call_request& c, const char* what) {
  const auto no = [&](reply_status s, std::string why) {
    r.send(refusal(s, std::move(why)));
    return false;
  };
  if (std::string wrong; !check_actor(c.app, c.key, wrong))
    return no(reply_status::invalid_argument, std::move(wrong));
  if (c.command.empty() || c.command.size() > name_bytes_max
      || c.command[0] == '_')
    return no(reply_status::invalid_argument,
              "'" + c.command.substr(0, 64) + "' is no " + what);
  if (!may_call(q, c.app))
    return no(reply_status::unauthorized,
              "this app takes calls off loopback only with its token: send "
              "`Authorization: Bearer TOKEN`");
  if (const auto among = ctx_.conflicts.find(c.app);
      among != ctx_.conflicts.end())
    return no(reply_status::conflict, contested_words(c.app, among->second));
  if (const auto full = turned_away(q, c)) {
    r.send(refusal(*full));
    return false;
  }
  if (const auto limit = q.header("banyan-deadline-ms"); !limit.empty())
    if (!parse_milliseconds(limit, c.deadline) || c.deadline > 10min)
      return no(reply_status::invalid_argument,
                "Banyan-Deadline-Ms must be milliseconds, at most 600000");
  return true;
}

void http_gateway::app_call(io::http_request& q, responder r, bool only_query) {
  call_request c;
  c.app = q.path[2];
  c.key = q.path[4];
  c.command = q.path[5];
  const auto bad = [&](std::string why) {
    r.send(refusal(reply_status::invalid_argument, std::move(why)));
  };
  if (!admit_call(q, r, c, "command or query"))
    return;
  const auto key = q.header("idempotency-key");
  if (key.size() > idempotency_key_bytes_max)
    return bad("Idempotency-Key is longer than 255 bytes");
  std::string_view text = q.body;
  if (only_query)
    if (const auto* arg = q.parameter("arg"))
      text = *arg;
  std::string why;
  if (!read_argument(q, text, c, why))
    return bad(std::move(why));
  const auto* consistency = q.parameter("consistency");
  if (!read_consistency(q, c, why))
    return bad(std::move(why));
  bool is_query = only_query || consistency != nullptr;
  bool known = is_query;
  if (const auto h = ctx_.handlers.find(c.app); h != ctx_.handlers.end()) {
    const auto* info = ctx_.handler(c.app, c.command);
    if (info == nullptr || info->reply_only)
      return void(r.send(refusal(reply_status::not_found,
                                 "app '" + c.app + "' has no command or query '"
                                     + c.command + "'")));
    if (only_query && !info->query)
      return bad("'" + c.command
                 + "' is a command: use POST, or `banyan call`");
    if (consistency != nullptr && !info->query)
      return bad("'" + c.command
                 + "' is a command: consistency is for queries; use "
                   "`banyan call`, or POST without it");
    is_query = info->query;
    known = true;
  }
  c.kind = is_query ? request_kind::query : request_kind::command;
  if (!is_query && !key.empty())
    c.identity = idempotency_request{std::string{key}};
  call(answer_form{q}, client_of(q.from), std::move(r), std::move(c), !known);
}

bool http_gateway::read_argument(const io::http_request& q,
                                 std::string_view text, call_request& c,
                                 std::string& why) {
  if (q.header("content-type").find("msgpack") != std::string_view::npos) {
    c.argument = to_bytes(q.body);
    return c.argument.empty() || is_argument(c.argument, why);
  }
  auto argument = json_to_msgpack(text);
  if (!argument.ok()) {
    why = c.command + ": the argument is no JSON: " + argument.error().message
          + " at byte " + std::to_string(argument.error().position);
    return false;
  }
  c.argument = std::move(*argument);
  return true;
}

void http_gateway::call(answer_form form, const std::string& client,
                        responder r, call_request c, bool may_be_query) {
  call_in in;
  std::shared_ptr<call_request> again;
  if (may_be_query) {
    again = std::make_shared<call_request>(c);
    in.kept = c.argument.size();
  }
  in.request = std::move(c);
  in.client = client;
  in.answer = [this, form, r = std::move(r), again,
               client = may_be_query ? client : std::string{}](
                  reply a, std::uint32_t) mutable {
    if (a.status == reply_status::not_found && again != nullptr) {
      again->kind = request_kind::query; // perhaps it is one
      again->identity = std::monostate{};
      return call(form, client, std::move(r), std::move(*again), false);
    }
    if (a.status != reply_status::ok) {
      r.send(refusal(a));
      return;
    }
    bytes b;
    writer w{b};
    w.map(3).text("result");
    if (a.result.empty())
      w.nil();
    else
      w.raw(a.result);
    w.text("term").id(a.term).text("index").id(a.index);
    r.send(answer(form, b));
  };
  caf::anon_send(ctx_.router, std::move(in));
}

} // namespace banyan::actors
