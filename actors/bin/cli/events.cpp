// `banyan events` and what following a stream takes.
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/follow.hpp"
#include "actors/bin/cli/sse.hpp"
#include "actors/docs/spec_file.hpp"
#include "actors/host/json.hpp"

#include <chrono>
#include <cstdio>
#include <deque>
#include <thread>

namespace banyan::cli {
namespace {

constexpr auto reach_again_every = std::chrono::milliseconds{500};
constexpr auto reach_again_for = std::chrono::seconds{30};

std::string event_line(const value& e) {
  std::string out = time_text(static_cast<std::int64_t>(e["at_unix_ms"].uint()))
                    + "  " + e["node"].text().substr(0, 8) + "  "
                    + e["kind"].text();
  if (!e["app"].is_nil()) {
    out += "  " + e["app"].text();
    if (!e["shard"].is_nil())
      out += "/" + e["shard"].shown();
  }
  if (!e["text"].text().empty())
    out += "  " + e["text"].text();
  return printable(out);
}

} // namespace

result<std::int64_t, problem> since_ms(const std::string& text) {
  if (text.empty())
    return std::int64_t{0};
  duration d{};
  if (!parse_duration(text, d))
    return failure{
        problem{exit_code::usage, "--since '" + printable(text)
                                      + "' is no time: write 30s, 10m or 2h"}};
  return unix_ms_now() - d / std::chrono::milliseconds{1};
}

bool read_json(std::string_view json, value& out) {
  const auto encoded = json_to_msgpack(json, {sse_reader::line_bytes_max});
  return encoded.ok() && value::decode(*encoded, out);
}

bool can_print() {
  return std::ferror(stdout) == 0;
}

outcome follow(peer_client& peer, const std::function<std::string()>& target,
               const sse_reader::message_function& f) {
  using clock = std::chrono::steady_clock;
  auto heard = clock::now();
  bool connected = false;
  bool enough = false;
  for (;;) {
    sse_reader reader;
    bool now_connected = false;
    const auto end = peer.stream(target(), [&](std::string_view piece) {
      now_connected = true;
      enough = !reader.put(piece, f);
      return !enough && can_print();
    });
    if (enough || !can_print())
      return {};
    if (!end.ok() && end.error().code != exit_code::no_peer)
      return failure{end.error()};
    if (now_connected) {
      connected = true;
      heard = clock::now();
      note("the stream ended; it goes on as soon as the peer answers");
    } else if (!connected || clock::now() - heard > reach_again_for) {
      if (!end.ok())
        return failure{end.error()};
      return failure{problem{exit_code::no_peer, "the peer says nothing"}};
    }
    std::this_thread::sleep_for(reach_again_every);
  }
}

outcome events(const session& s, const events_options& o) {
  const auto since = since_ms(o.since);
  if (!since.ok())
    return failure{since.error()};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  std::string after = "0";
  std::deque<std::string> last;
  const auto take = [&](std::string_view id, std::string_view json) {
    after = id;
    value e;
    if (!read_json(json, e)
        || static_cast<std::int64_t>(e["at_unix_ms"].uint()) < *since)
      return true;
    last.push_back(s.json ? std::string{json} : event_line(e));
    return true;
  };
  sse_reader reader;
  const auto backlog =
      peer->stream("/v1/events?follow=0", [&](std::string_view piece) {
        reader.put(piece, take);
        while (last.size() > o.most)
          last.pop_front();
        return true;
      });
  if (!backlog.ok())
    return failure{backlog.error()};
  for (const auto& line : last)
    print(line);
  last.clear();
  if (!o.follow)
    return {};
  return cli::follow(
      *peer, [&] { return "/v1/events?after=" + after; },
      [&](std::string_view id, std::string_view json) {
        take(id, json);
        for (const auto& line : last)
          print(line);
        last.clear();
        return can_print();
      });
}

} // namespace banyan::cli
