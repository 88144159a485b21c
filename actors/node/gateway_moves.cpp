// What operators order over HTTP: stop and start of apps, moves, drains.
#include "actors/host/json.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_views.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

std::optional<node_id> find_node(const node_context& ctx,
                                 const std::string& text, reply& why) {
  std::vector<node_id> fit;
  ctx.members->each([&](const net::member_record& m, net::member_state) {
    if (!text.empty() && to_string(m.node).rfind(text, 0) == 0)
      fit.push_back(m.node);
  });
  if (fit.size() == 1)
    return fit.front();
  why.status =
      fit.empty() ? reply_status::not_found : reply_status::invalid_argument;
  why.message = fit.empty()
                    ? "no node '" + text.substr(0, 64)
                          + "' among the members; `banyan nodes` lists them"
                    : "'" + text + "' is the beginning of "
                          + std::to_string(fit.size())
                          + " nodes' ids; give some more of it";
  return std::nullopt;
}

namespace {

struct move_body {
  std::uint64_t shard = 0;
  bool has_shard = false;
  std::string from;
  std::string to;
};

/// `{"shard": 3, "from": NODE, "to": NODE}`; `why` says what is wrong with it.
bool read_body(const io::http_request& q, move_body& out, std::string& why) {
  const auto map = json_to_msgpack(q.body);
  if (!map.ok()) {
    why = "the body is no JSON: " + map.error().message;
    return false;
  }
  reader r{*map};
  const auto fields = r.map(8);
  for (std::size_t i = 0; i < fields && r.ok(); ++i) {
    const auto name = r.text(64);
    if (name == "shard") {
      out.shard = r.uint();
      out.has_shard = true;
    } else if (name == "from") {
      out.from = r.text(256);
    } else if (name == "to") {
      out.to = r.text(256);
    } else {
      why = "unknown field '" + std::string{name} + "'";
      return false;
    }
  }
  if (r.done() && out.has_shard && !out.from.empty() && !out.to.empty())
    return true;
  why = R"(the body must be {"shard": NUMBER, "from": NODE, "to": NODE})";
  return false;
}

bool flag(const io::http_request& q, std::string_view name) {
  const auto* v = q.parameter(name);
  return v != nullptr && *v == "1";
}

} // namespace

bool http_gateway::operate(io::http_request& q, const responder& r) {
  const auto& path = q.path;
  if (path.size() != 4)
    return false;
  const bool post = q.method == "POST";
  const bool app =
      path[1] == "apps" && post
      && (path[3] == "stop" || path[3] == "start" || path[3] == "move");
  const bool node = path[1] == "nodes" && path[3] == "drain"
                    && (post || q.method == "DELETE");
  if (!app && !node)
    return false;
  if (!is_admin(q)) {
    responder{r}.send(refusal(reply_status::unauthorized,
                              "that needs admin rights: " + admin_rights));
    return true;
  }
  if (node)
    drain(q, r, !post);
  else if (path[3] == "move")
    move(q, r);
  else
    stop_or_start(q, r, path[3] == "stop");
  return true;
}

void http_gateway::stop_or_start(io::http_request& q, responder r, bool stop) {
  operate_in in;
  in.what = stop ? operator_wish::stop : operator_wish::start;
  in.app = q.path[2];
  in.done = [q = std::make_shared<io::http_request>(std::move(q)), r,
             stop](const operate_answer& a) mutable {
    if (a.status != reply_status::ok)
      return void(r.send(refusal(a.status, a.message)));
    bytes b;
    writer w{b};
    w.map(3).text("app").text(q->path[2]).text("stopped").boolean(stop);
    w.text("groups").uint(a.shards.size());
    r.send(answer(*q, b));
  };
  caf::anon_send(ctx_.supervisor, std::move(in));
}

void http_gateway::move(io::http_request& q, responder r) {
  const auto refuse = [&](reply_status s, std::string why) {
    r.send(refusal(s, std::move(why)));
  };
  move_body body;
  std::string why;
  if (!read_body(q, body, why))
    return refuse(reply_status::invalid_argument, std::move(why));
  if (body.shard >= shards_max)
    return refuse(reply_status::not_found, "no app has so many shards");
  reply unknown;
  const auto from = find_node(ctx_, body.from, unknown);
  const auto to =
      from ? find_node(ctx_, body.to, unknown) : std::optional<node_id>{};
  if (!to)
    return void(r.send(refusal(unknown)));
  operate_in in;
  in.what = operator_wish::move;
  in.app = q.path[2];
  in.shard = static_cast<std::uint32_t>(body.shard);
  in.from = *from;
  in.to = *to;
  in.done = [q = std::make_shared<io::http_request>(std::move(q)), r,
             shard = body.shard, from = *from,
             to = *to](const operate_answer& a) mutable {
    if (a.status != reply_status::ok)
      return void(r.send(refusal(a.status, a.message)));
    bytes b;
    writer w{b};
    w.map(7).text("number").uint(a.number).text("app").text(q->path[2]);
    w.text("shard").uint(shard).text("from").text(to_string(from));
    w.text("to").text(to_string(to)).text("state");
    w.text(a.drained ? "done" : "moving").text("message").text(a.message);
    r.send(answer(*q, b));
  };
  caf::anon_send(ctx_.supervisor, std::move(in));
}

void http_gateway::drain(io::http_request& q, responder r, bool keep) {
  reply unknown;
  const auto node = find_node(ctx_, q.path[2], unknown);
  if (!node)
    return void(r.send(refusal(unknown)));
  operate_in in;
  in.what = keep ? operator_wish::keep : operator_wish::drain;
  in.from = *node;
  in.force = flag(q, "force");
  in.done = [q = std::make_shared<io::http_request>(std::move(q)), r,
             node = *node, keep](const operate_answer& a) mutable {
    if (a.status != reply_status::ok)
      return void(r.send(refusal(a.status, a.message)));
    bytes b;
    writer w{b};
    w.map(4).text("node").text(to_string(node)).text("draining").boolean(!keep);
    w.text("done").boolean(a.drained).text("message").text(a.message);
    r.send(answer(*q, b));
  };
  caf::anon_send(ctx_.supervisor, std::move(in));
}

} // namespace banyan::actors
