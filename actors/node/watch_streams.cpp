#include "actors/node/watch_streams.hpp"

#include "actors/host/json.hpp"
#include "actors/node/event_streams.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration tick_every = 100ms;
constexpr duration ask_for = 20s; ///< then the leader is asked again
constexpr duration retry_pause = 500ms;

/// [version, fields], as <banyan/app.hpp> stores it.
bool read_stored(const_bytes blob, std::uint64_t& version,
                 const_bytes& fields) {
  reader r{blob};
  r.require(r.array(2) == 2);
  version = r.uint();
  fields = r.raw();
  return r.done() && version > 0 && msgpack_to_json(fields).ok();
}

} // namespace

std::optional<bytes> look_view(const_bytes result, log_index& index) {
  reader r{result};
  r.require(r.array(2) == 2);
  r.id(index);
  const bool exists = r.peek() != reader::kind::nil;
  const auto blob = exists ? r.blob(SIZE_MAX) : const_bytes{};
  if (!exists)
    r.nil();
  if (!r.done())
    return std::nullopt;
  bytes out;
  writer w{out};
  std::uint64_t version = 0;
  const_bytes fields;
  w.map(4).text("state");
  if (!exists)
    w.nil();
  else if (read_stored(blob, version, fields))
    w.raw(fields);
  else
    w.blob(blob);
  w.text("version");
  if (version == 0)
    w.nil();
  else
    w.uint(version);
  w.text("index").id(index).text("exists").boolean(exists);
  return out;
}

void watch_streams::serve(const io::http_request& q, io::http_responder to) {
  const auto s = std::make_shared<session>();
  s->app = q.path[2];
  s->key = q.path[4];
  if (const auto last = q.header("last-event-id"); !last.empty()) {
    io::http_request given;
    given.query.emplace_back("id", std::string{last});
    std::uint64_t index = 0;
    if (!number_parameter(given, "id", index)) {
      to.send(io::http_error(400, "invalid_argument",
                             "Last-Event-ID must be a number"));
      return;
    }
    s->seen = log_index{index};
  }
  if (sessions_.size() >= watches_max) {
    to.send(io::http_error(429, "overloaded",
                           "too many clients watch actors by this peer", 1s));
    return;
  }
  if (!to.begin(sse_head()))
    return;
  s->to = std::move(to);
  s->next = s->written = ctx_.loop.now();
  sessions_.push_back(s);
  ask(s);
  if (sessions_.size() == 1)
    tick();
}

void watch_streams::ask(const session_ptr& s) {
  call_in in;
  in.request.app = s->app;
  in.request.key = s->key;
  in.request.kind = request_kind::query;
  in.request.command = look_watch;
  in.request.deadline = ask_for;
  if (s->after)
    writer{in.request.argument}.id(*s->after);
  in.answer = [this, weak = std::weak_ptr{s}](const reply& r, std::uint32_t) {
    if (const auto mine = weak.lock())
      on_answer(*mine, r);
  };
  s->asking = true;
  caf::anon_send(ctx_.router, std::move(in));
}

void watch_streams::on_answer(session& s, const reply& r) {
  const auto now = ctx_.loop.now();
  s.asking = false;
  s.next = now;
  log_index index;
  if (r.status == reply_status::ok) {
    const auto view = look_view(r.result, index);
    if (!view) {
      s.next = now + retry_pause;
      return;
    }
    s.after = index;
    if (s.seen == index)
      return;
    s.seen = index;
    std::string text;
    if (const auto json = msgpack_to_json(*view); json.ok())
      append_sse(text, index.value(), *json);
    else
      append_sse(text, index.value(),
                 R"({"error":"app_failed","message":"the state can't be said )"
                 R"(in JSON"})");
    write(s, text);
    return;
  }
  if (r.status == reply_status::deadline)
    return; // nothing new
  if (r.status == reply_status::not_found) {
    std::string why = "data: {\"error\":\"not_found\",\"message\":";
    append_json_string(why, r.message);
    write(s, why + "}\n\n");
    s.over = true;
    return;
  }
  s.next = now + retry_pause;
}

void watch_streams::write(session& s, std::string_view text) {
  s.written = ctx_.loop.now();
  s.to.write_chunk(text);
}

// Newer states come with the tick, so that a busy actor is shown ten times a
// second and no oftener.
void watch_streams::tick() {
  timer_.arm(
      ctx_.loop.now() + tick_every,
      [this] {
        const auto now = ctx_.loop.now();
        for (auto i = sessions_.begin(); i != sessions_.end();) {
          auto& s = **i;
          if (s.over)
            s.to.finish();
          if (s.over || !s.to.client_waits()) {
            i = sessions_.erase(i);
            continue;
          }
          if (now - s.written >= sse_keep_alive_interval)
            write(s, sse_keep_alive);
          if (!s.asking && now >= s.next && s.to.unsent() < sse_unsent_enough)
            ask(*i);
          ++i;
        }
        if (!sessions_.empty())
          tick();
      },
      "watch streams");
}

} // namespace banyan::actors
