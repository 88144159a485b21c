#include "actors/node/gateway_answers.hpp"

#include "actors/host/json.hpp"
#include "actors/node/gateway.hpp"

#include <banyan/detail/codec.hpp>

namespace banyan::actors {

answer_form::answer_form(const io::http_request& q)
    : msgpack{q.header("accept").find("msgpack") != std::string_view::npos} {
}

io::http_response answer(const io::http_request& q, const_bytes value,
                         int status) {
  return answer(answer_form{q}, value, status);
}

io::http_response answer(answer_form form, const_bytes value, int status) {
  io::http_response r;
  r.status = status;
  if (form.msgpack) {
    r.content_type = "application/msgpack";
    r.body = to_text(value);
    return r;
  }
  auto json = msgpack_to_json(value);
  if (!json.ok())
    return io::http_error(500, "app_failed", json.error().message);
  r.body = std::move(*json);
  r.body.push_back('\n');
  return r;
}

io::http_response refusal(const reply& r) {
  const auto [code, status] = http_code_of(r.status);
  std::chrono::milliseconds retry{0};
  if (r.retry_after)
    retry =
        std::chrono::duration_cast<std::chrono::milliseconds>(*r.retry_after);
  if (r.status != reply_status::rejected)
    return io::http_error(status, code,
                          r.message.empty() ? to_string(r.status) : r.message,
                          retry);
  io::http_response out;
  out.status = status;
  out.body = "{\"error\":\"rejected\",\"code\":";
  append_json_string(out.body, r.code);
  out.body += ",\"message\":";
  append_json_string(out.body, r.message);
  out.body += "}\n";
  return out;
}

io::http_response refusal(reply_status s, std::string message) {
  reply r;
  r.status = s;
  r.message = std::move(message);
  return refusal(r);
}

bool parse_milliseconds(std::string_view text, duration& out) {
  if (text.empty() || text.size() > 9)
    return false;
  std::int64_t v = 0;
  for (const char c : text) {
    if (c < '0' || c > '9')
      return false;
    v = v * 10 + (c - '0');
  }
  out = std::chrono::milliseconds{v};
  return true;
}

std::string_view bearer_of(const io::http_request& q) {
  constexpr std::string_view bearer = "Bearer ";
  auto given = q.header("authorization");
  if (given.substr(0, bearer.size()) != bearer)
    return {};
  given.remove_prefix(bearer.size());
  return given;
}

bool is_argument(const_bytes in, std::string& why) {
  reader form{in};
  form.skip();
  if (!form.done()) {
    why = "the body is not one msgpack value";
    return false;
  }
  reader r{in};
  for (std::uint64_t left = 1; left > 0; --left)
    switch (r.peek()) {
    case reader::kind::array:
      left += r.array(r.left());
      break;
    case reader::kind::map:
      left += 2 * std::uint64_t{r.map(r.left())};
      break;
    case reader::kind::text:
      if (!detail::is_utf8(r.text(r.left()))) {
        why = "a text in the body is no UTF-8";
        return false;
      }
      break;
    default:
      r.skip();
    }
  return true;
}

bool read_consistency(const io::http_request& q, call_request& c,
                      std::string& why) {
  const auto* consistency = q.parameter("consistency");
  if (consistency == nullptr || *consistency == "linearizable")
    return true;
  if (*consistency != "stale") {
    why = "consistency must be linearizable or stale";
    return false;
  }
  duration staleness = 10s;
  if (const auto* ms = q.parameter("max_staleness_ms");
      ms != nullptr && !parse_milliseconds(*ms, staleness)) {
    why = "max_staleness_ms must be a number of milliseconds";
    return false;
  }
  c.max_staleness = staleness;
  return true;
}

bool check_actor(const std::string& app, const std::string& key,
                 std::string& why) {
  if (!is_app_name(app)) {
    why = "'" + app
          + "' is no app name: 1 to 63 of a-z, 0-9, _ and -, a letter first";
    return false;
  }
  if (key.empty() || key.size() > actor_key_bytes_max
      || !detail::is_utf8(key)) {
    why = "the actor's key has " + std::to_string(key.size())
          + " bytes; it must be 1 to 255 bytes of UTF-8";
    return false;
  }
  return true;
}

} // namespace banyan::actors
