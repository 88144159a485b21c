#include "actors/node/event_streams.hpp"

namespace banyan::actors {
namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr duration unsent_pause = 20ms; ///< before a slow client is seen again

} // namespace

io::http_response sse_head() {
  io::http_response r;
  r.content_type = "text/event-stream";
  r.headers.emplace_back("Cache-Control", "no-store");
  return r;
}

void append_sse(std::string& out, std::uint64_t id, std::string_view json) {
  out += "id: " + std::to_string(id) + "\ndata: ";
  out += json;
  out += "\n\n";
}

bool number_parameter(const io::http_request& q, std::string_view name,
                      std::uint64_t& out) {
  const auto* text = q.parameter(name);
  if (text == nullptr)
    return true;
  if (text->empty() || text->size() > 18)
    return false;
  std::uint64_t v = 0;
  for (const char c : *text) {
    if (c < '0' || c > '9')
      return false;
    v = v * 10 + static_cast<std::uint64_t>(c - '0');
  }
  out = v;
  return true;
}

event_streams::event_streams(node_context& ctx)
    : ctx_{ctx}, beat_{ctx.loop}, again_{ctx.loop} {
  ctx_.on_event = [this] { pump_later(); };
}

event_streams::~event_streams() {
  ctx_.on_event = nullptr;
}

void event_streams::serve(const io::http_request& q, io::http_responder to) {
  follower f;
  std::uint64_t follow = 1;
  bool good = number_parameter(q, "after", f.after)
              && number_parameter(q, "follow", follow);
  if (const auto last = q.header("last-event-id"); !last.empty() && good) {
    io::http_request given;
    given.query.emplace_back("id", std::string{last});
    good = number_parameter(given, "id", f.after);
  }
  if (!good) {
    to.send(io::http_error(400, "invalid_argument",
                           "after, follow and Last-Event-ID must be numbers"));
    return;
  }
  if (followers_.size() >= sse_followers_max) {
    to.send(io::http_error(429, "overloaded",
                           "too many clients follow the events of this peer",
                           1s));
    return;
  }
  if (f.after > ctx_.events.newest())
    f.after = 0;
  f.ends = follow == 0;
  f.to = std::move(to);
  if (!f.to.begin(sse_head()))
    return;
  followers_.push_back(std::move(f));
  if (followers_.size() == 1)
    keep_alive();
  pump();
}

void event_streams::pump_later() {
  if (followers_.empty() || asked_)
    return;
  asked_ = true;
  ctx_.loop.flush_later([this, alive = std::weak_ptr<bool>{alive_}] {
    if (!alive.expired())
      pump();
  });
}

void event_streams::pump() {
  asked_ = false;
  bool again = false;
  for (auto i = followers_.begin(); i != followers_.end();) {
    while (i->to.client_waits() && i->to.unsent() < sse_unsent_enough
           && write_next(*i)) {
    }
    const bool done = i->after >= ctx_.events.newest();
    if (!i->to.client_waits() || (done && i->ends)) {
      i->to.finish();
      i = followers_.erase(i);
      continue;
    }
    again |= !done;
    ++i;
  }
  if (again)
    again_.arm(
        ctx_.loop.now() + unsent_pause, [this] { pump(); }, "event streams");
}

bool event_streams::write_next(follower& f) {
  std::string text;
  ctx_.events.each_after(f.after, [&](const mesh_event& e) {
    append_sse(text, e.number, event_json(e));
    f.after = e.number;
    return text.size() < chunk_bytes;
  });
  return !text.empty() && f.to.write_chunk(text);
}

void event_streams::keep_alive() {
  beat_.arm(
      ctx_.loop.now() + sse_keep_alive_interval,
      [this] {
        for (auto i = followers_.begin(); i != followers_.end();)
          i = i->to.client_waits() && i->to.write_chunk(sse_keep_alive)
                  ? std::next(i)
                  : followers_.erase(i);
        if (!followers_.empty())
          keep_alive();
      },
      "event streams");
}

} // namespace banyan::actors
