#include "actors/bin/cli/owner.hpp"
#include "actors/docs/sign_app.hpp"

namespace banyan::cli {
namespace {

constexpr auto msgpack = "application/msgpack";

std::string names(const std::vector<replica_ref>& list) {
  std::string out;
  for (const auto& r : list)
    out += (out.empty() ? "" : " ") + short_string(r.node);
  return out.empty() ? "nobody" : out;
}

/// What is kept, who said nothing, and that the rest is not known.
std::string report(const app_recovery& r) {
  return "shard " + std::to_string(r.shard) + ": keeps all entries up to term "
         + std::to_string(r.term.value()) + ", index "
         + std::to_string(r.last.value()) + ", of node "
         + short_string(r.survivor.node) + " (known there as committed: up to "
         + std::to_string(r.committed.value()) + ")\n  asked: " + names(r.asked)
         + "; did not answer: " + names(r.silent)
         + "\n  what was acknowledged after that entry is unknown, and lost if "
           "there was any\n  messages to other groups that lost entries had "
           "sent are not taken back; as many new ones of this shard may be "
           "taken for them\n  lineage "
         + to_string(r.parent) + " ends, " + to_string(r.lineage) + " begins";
}

outcome confirm(const std::string& app) {
  std::fprintf(stderr,
               "this gives up whatever only the lost voters had, for good\n"
               "type the app's name to go on: ");
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar())
    line.push_back(static_cast<char>(c));
  if (line != app)
    return failure{problem{exit_code::failed,
                           "nothing was recovered: that is not the app's name; "
                           "--yes does it without asking"}};
  return {};
}

} // namespace

outcome recover(const session& s, const recover_options& o) {
  if (!is_app_name(o.app))
    return failure{
        problem{exit_code::usage, "'" + printable(o.app) + "' is no app name"}};
  if (!o.accept_loss)
    return failure{problem{
        exit_code::usage,
        "a recovery gives up what only the lost voters had: say so with "
        "--accept-loss, once their machines are known to be gone for good"}};
  const auto owner = owner_or_local(o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  if (auto right = check_mesh(*peer, *owner, o.owner); !right.ok())
    return right;
  io::http_call ask;
  ask.method = "POST";
  ask.target = "/v1/apps/" + percent_encoded(o.app) + "/recover?prepare=1";
  if (o.shard)
    ask.target += "&shard=" + std::to_string(*o.shard);
  ask.headers.emplace_back("Accept", msgpack);
  const auto planned = peer->send(std::move(ask), effect::none);
  if (!planned.ok())
    return failure{planned.error()};
  value v;
  if (!value::decode(as_bytes(planned->body), v))
    return failure{problem{exit_code::failed,
                           "the peer's answer makes no sense; are peer and "
                           "`banyan` of the same version?"}};
  bytes body;
  writer w{body};
  w.array(v["shards"].items().size());
  std::string text;
  for (const auto& shard : v["shards"].items()) {
    app_recovery r;
    const auto document = to_bytes(shard["document"].text());
    if (!app_recovery::decode(document, r))
      return failure{problem{exit_code::failed,
                             "the peer's recovery makes no sense; ask another "
                             "peer"}};
    text += (text.empty() ? "" : "\n") + report(r);
    w.blob(signed_document::make(owner->key, sign_kind::recovery, owner->mesh,
                                 1, document)
               .encode());
  }
  for (const auto& line : v["left_out"].items())
    text += "\nleft alone: " + printable(line.text());
  note(text);
  if (!o.yes)
    if (auto sure = confirm(o.app); !sure.ok())
      return sure;
  io::http_call put;
  put.method = "PUT";
  put.target = "/v1/apps/" + percent_encoded(o.app) + "/recover";
  put.body = to_text(body);
  put.headers.emplace_back("Content-Type", msgpack);
  put.headers.emplace_back("Accept", msgpack);
  const auto done = peer->send(std::move(put), effect::changes);
  if (!done.ok()) {
    auto why = done.error();
    if (why.code == exit_code::unknown)
      why.message += "; `banyan apps " + o.app + "` shows what became of it";
    return failure{std::move(why)};
  }
  const auto led = wait_for_leaders(*peer, o.app);
  if (!led.ok())
    return failure{led.error()};
  print(text + "\n" + o.app + " serves again");
  return {};
}

outcome undelete(const session& s, const undelete_options& o) {
  const auto owner = owner_or_local(o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  if (auto right = check_mesh(*peer, *owner, o.owner); !right.ok())
    return right;
  const auto found = current_papers(*peer, *owner, o.app);
  if (!found.ok())
    return failure{found.error()};
  if (!*found)
    return failure{problem{exit_code::failed,
                           "not_found: no app named '" + printable(o.app)
                               + "' is known here, nor was one removed"}};
  if (!(*found)->deleted)
    return failure{problem{exit_code::failed,
                           "'" + printable(o.app) + "' is not removed"}};
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/apps/" + percent_encoded(o.app);
  c.body = to_text(sign_undeletion(owner->key, owner->mesh, **found).encode());
  c.headers.emplace_back("Content-Type", msgpack);
  c.headers.emplace_back("Accept", msgpack);
  const auto sent = peer->send(std::move(c), effect::changes);
  if (!sent.ok())
    return failure{sent.error()};
  const auto led = wait_for_leaders(*peer, o.app);
  if (!led.ok())
    return failure{led.error()};
  print(o.app + " is back, with all that it had");
  return {};
}

} // namespace banyan::cli
