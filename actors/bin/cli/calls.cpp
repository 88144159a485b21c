#include "actors/bin/cli/commands.hpp"
#include "actors/docs/app_documents.hpp"
#include "actors/host/json.hpp"

#include <optional>

namespace banyan::cli {
namespace {

/// Longer ones go into the body: a request's head has 16 KiB in all.
constexpr std::size_t inline_argument_max = 8 * 1024;

problem usage(std::string why) {
  return {exit_code::usage, std::move(why)};
}

// What can be known to be wrong without asking a peer. A call may name an app
// alone: then it is a stateless one's, and `out.key` is empty.
std::optional<problem> check(const std::string& address,
                             const std::string& name,
                             const std::string& argument, actor_address& out,
                             bool app_alone) {
  std::string why;
  if (app_alone && is_app_name(address))
    out.app = address;
  else if (!split_address(address, out, why))
    return usage(std::move(why));
  if (name.empty())
    return usage("an empty name is no command or query");
  if (const auto encoded = json_to_msgpack(argument); !encoded.ok())
    return usage("the argument is no JSON: " + encoded.error().message
                 + " at byte " + std::to_string(encoded.error().position)
                 + "; quote it for the shell, like '{\"cents\":5}'");
  return std::nullopt;
}

std::string path_of(const actor_address& a, const std::string& name) {
  if (a.key.empty())
    return "/v1/apps/" + a.app + "/call/" + percent_encoded(name);
  return "/v1/apps/" + a.app + "/actors/" + percent_encoded(a.key) + "/"
         + percent_encoded(name);
}

// The answer of a call: `result` alone for people, all of it for programs.
outcome show(const session& s, const io::http_reply& r) {
  if (s.json) {
    print(r.body);
    return {};
  }
  reader in{as_bytes(r.body)};
  const auto fields = in.map(16);
  for (std::size_t i = 0; i < fields && in.ok(); ++i) {
    const auto name = in.text(64);
    const auto content = in.raw();
    if (name != "result" || !in.ok())
      continue;
    const auto json = msgpack_to_json(content);
    if (!json.ok())
      break;
    print(*json);
    return {};
  }
  return failure{problem{exit_code::failed,
                         "the peer's answer makes no sense; are peer and "
                         "`banyan` of the same version?"}};
}

void accept(const session& s, io::http_call& c) {
  if (!s.json)
    c.headers.emplace_back("Accept", "application/msgpack");
}

std::string unknown_json(const std::string& message, const std::string& key) {
  std::string out = "{\"error\":\"unknown\",\"message\":";
  append_json_string(out, message);
  out += ",\"key\":";
  append_json_string(out, key);
  return out + "}";
}

bool is_header_text(const std::string& key) {
  for (const char c : key)
    if (c <= 0x20 || c >= 0x7F)
      return false;
  return !key.empty() && key.size() <= 255;
}

} // namespace

outcome call(const session& s, const call_options& o) {
  actor_address to;
  if (auto wrong = check(o.address, o.command, o.argument, to, true))
    return failure{std::move(*wrong)};
  if (!o.key.empty() && !is_header_text(o.key))
    return failure{usage("--key must be 1 to 255 visible ASCII characters")};
  const auto key = o.key.empty() ? to_base32(s.random.array<20>()) : o.key;
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  io::http_call c;
  c.method = "POST";
  c.target = path_of(to, o.command);
  c.body = o.argument;
  c.headers.emplace_back("Content-Type", "application/json");
  const bool stateless = to.key.empty();
  if (!stateless)
    c.headers.emplace_back("Idempotency-Key", key);
  accept(s, c);
  const auto r = peer->send(std::move(c), effect::changes);
  if (r.ok())
    return show(s, *r);
  auto p = r.error();
  if (p.code == exit_code::unknown && stateless) {
    p.message +=
        "; it may or may not have run, and runs again if you repeat it";
  } else if (p.code == exit_code::unknown) {
    p.json = unknown_json(p.message, key);
    p.message += "; it may or may not have been done: repeat with --key " + key
                 + ", which does it at most once";
  }
  return failure{std::move(p)};
}

outcome query(const session& s, const query_options& o) {
  actor_address to;
  if (auto wrong = check(o.address, o.query, o.argument, to, false))
    return failure{std::move(*wrong)};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  io::http_call c;
  c.target = path_of(to, o.query);
  c.target += o.stale_ms ? "?consistency=stale&max_staleness_ms="
                               + std::to_string(*o.stale_ms)
                         : "?consistency=linearizable";
  const auto inline_argument = percent_encoded(o.argument);
  if (inline_argument.size() <= inline_argument_max) {
    if (!o.argument.empty())
      c.target += "&arg=" + inline_argument;
  } else {
    c.method = "POST";
    c.body = o.argument;
    c.headers.emplace_back("Content-Type", "application/json");
  }
  accept(s, c);
  const auto r = peer->send(std::move(c), effect::none);
  if (!r.ok())
    return failure{r.error()};
  return show(s, *r);
}

} // namespace banyan::cli
