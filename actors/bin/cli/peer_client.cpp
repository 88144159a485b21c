#include "actors/bin/cli/peer_client.hpp"

#include "actors/host/json.hpp"
#include "crypto/key_file.hpp"
#include "crypto/secret.hpp"

namespace banyan::cli {
namespace {

constexpr auto msgpack = "application/msgpack";

result<std::string, problem> bearer(const std::filesystem::path& file) {
  auto content = key_file::read(file);
  if (!content.ok())
    return failure{problem{exit_code::usage, content.error().message}};
  std::string token = to_text(*content);
  wipe(*content);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r'))
    token.pop_back();
  if (token.empty() || token.find_first_of(" \r\n\t") != std::string::npos)
    return failure{
        problem{exit_code::usage, file.string()
                                      + " holds no token; copy the peer's "
                                        "DIR/admin.token"}};
  return "Bearer " + token;
}

value error_of(const std::string& body) {
  value v;
  const auto encoded = json_to_msgpack(body);
  if (!encoded.ok() || !value::decode(*encoded, v))
    return {};
  return v;
}

} // namespace

problem problem_of(const io::http_reply& r, effect e) {
  const auto v = error_of(r.body);
  const auto& code = v["error"].text();
  problem p;
  if (code.empty()) {
    p.message = "the peer answered with HTTP status " + std::to_string(r.status)
                + " and no reason; is that address really a peer's?";
    return p;
  }
  p.json = r.body;
  p.message = code == "rejected" && !v["code"].text().empty()
                  ? "rejected (" + v["code"].text() + ")"
                  : code;
  if (!v["message"].text().empty())
    p.message += ": " + v["message"].text();
  if (const auto ms = v["retry_after_ms"].uint(); ms > 0)
    p.message += "; try again in " + std::to_string(ms) + " ms";
  p.message = printable(p.message);
  if (code == "unknown" && e == effect::changes)
    p.code = exit_code::unknown;
  return p;
}

bool says(const problem& p, std::string_view code) {
  return error_of(p.json)["error"].text() == code;
}

peer_client::peer_client(io::http_target to, std::string authorization,
                         std::string hint)
    : client_{std::move(to)},
      authorization_{std::move(authorization)}, hint_{std::move(hint)} {
}

result<peer_client, problem> peer_client::open(const peer_place& place) {
  io::http_target to;
  std::string authorization;
  std::string hint;
  if (place.http.empty()) {
    if (!place.token.empty())
      return failure{problem{exit_code::usage,
                             "--token goes with --http URL; the control socket "
                             "needs none"}};
    if (place.data.empty())
      return failure{problem{exit_code::usage,
                             "no data directory: HOME is not set; give --data "
                             "DIR or --http URL"}};
    to.unix_socket = place.data / "control.sock";
    hint = "start one with `banyan-peer --data " + place.data.string()
           + "`, or name another with --data DIR or --http URL";
  } else {
    to = io::parse_http_url(place.http);
    if (to.host.empty())
      return failure{problem{exit_code::usage,
                             "'" + printable(place.http)
                                 + "' is no peer's URL; write "
                                   "http://HOST:PORT or https://HOST:PORT"}};
    hint = "start one with `banyan-peer --http HOST:PORT`, or name another";
  }
  if (!place.token.empty()) {
    auto b = bearer(place.token);
    if (!b.ok())
      return failure{b.error()};
    authorization = std::move(*b);
  }
  return peer_client{std::move(to), std::move(authorization), std::move(hint)};
}

problem peer_client::unreached(const io::net_error& e, effect what) const {
  problem p;
  if (e.code == io::net_errc::unknown && what == effect::changes) {
    p.code = exit_code::unknown;
    p.message = "outcome unknown: " + e.message;
    return p;
  }
  p.code = exit_code::no_peer;
  const bool asks = !e.message.empty() && e.message.back() == '?';
  p.message = "no peer reached: " + e.message + (asks ? " " : "; ") + hint_;
  return p;
}

result<io::http_reply, problem> peer_client::send(io::http_call c, effect e) {
  if (!authorization_.empty())
    c.headers.emplace_back("Authorization", authorization_);
  auto r = client_.call(c);
  if (!r.ok())
    return failure{unreached(r.error(), e)};
  if (r->status >= 400)
    return failure{problem_of(*r, e)};
  return std::move(*r);
}

result<io::http_reply, problem>
peer_client::stream(io::http_call c,
                    const std::function<bool(std::string_view)>& on_data) {
  constexpr std::size_t error_bytes_max = 64 * 1024;
  if (!authorization_.empty())
    c.headers.emplace_back("Authorization", authorization_);
  // The status comes with the reply: what may be an error's text is held back.
  std::string held;
  bool is_error = false;
  bool begun = false;
  auto r = client_.stream(c, [&](std::string_view data) {
    if (!begun) {
      begun = true;
      is_error = !data.empty() && data.front() == '{';
    }
    if (!is_error)
      return on_data(data);
    held.append(data);
    return held.size() < error_bytes_max;
  });
  if (!r.ok())
    return failure{unreached(r.error(), effect::none)};
  if (r->status >= 400) {
    r->body = std::move(held);
    return failure{problem_of(*r, effect::none)};
  }
  if (is_error)
    on_data(held);
  return std::move(*r);
}

result<std::string, problem> peer_client::get_json(const std::string& target) {
  io::http_call c;
  c.target = target;
  auto r = send(std::move(c), effect::none);
  if (!r.ok())
    return failure{r.error()};
  return std::move(r->body);
}

result<value, problem> peer_client::get(const std::string& target) {
  io::http_call c;
  c.target = target;
  c.headers.emplace_back("Accept", msgpack);
  auto r = send(std::move(c), effect::none);
  if (!r.ok())
    return failure{r.error()};
  value v;
  if (!value::decode(as_bytes(r->body), v))
    return failure{problem{exit_code::failed,
                           "the answer to " + target
                               + " makes no sense; are peer and `banyan` of "
                                 "the same version?"}};
  return v;
}

result<void, problem>
peer_client::stream(const std::string& target,
                    const std::function<bool(std::string_view)>& on_data) {
  constexpr std::size_t error_bytes_max = 64 * 1024;
  io::http_call c;
  c.target = target;
  c.timeout = duration::zero();
  if (!authorization_.empty())
    c.headers.emplace_back("Authorization", authorization_);
  std::string begin; // of an error: all that it says
  auto r = client_.stream(c, [&](std::string_view piece) {
    begin += piece.substr(0, error_bytes_max - begin.size());
    return on_data(piece);
  });
  if (!r.ok())
    return failure{unreached(r.error(), effect::none)};
  if (r->status < 400)
    return {};
  r->body = std::move(begin);
  return failure{problem_of(*r, effect::none)};
}

} // namespace banyan::cli
